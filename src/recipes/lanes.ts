/** Several networks at once: small ones keep one core busy each, and many of them many cores far better than one does. */
import type { Runtime } from '../runtime/session.ts';
import type { StudyDeps } from './recipe.ts';

/**
 * Does `work` for every task, as many at a time as there are `deps.lanes`, each on a runtime of its own; results are in the order of the tasks and do not
 * depend on how many lanes there are. The first error stops the others before their next task and is thrown.
 */
export async function inLanes<T, R>(deps: StudyDeps, tasks: readonly T[], work: (deps: StudyDeps, task: T) => Promise<R>): Promise<R[]> {
  const lanes: readonly Runtime[] = deps.lanes ?? [deps.runtime];
  // lines on training would be taken for those of the step that began last
  const { training: _, ...progress } = deps.progress ?? {};
  const quiet = lanes.length > 1 && deps.progress !== undefined ? { progress: { ...progress, step: deps.progress.step } } : {};
  const results: R[] = [];
  let next = 0;
  const lane = async (runtime: Runtime): Promise<void> => {
    while (next < tasks.length) {
      const at = next++;
      try {
        results[at] = await work({ ...deps, ...quiet, runtime }, tasks[at]);
      } catch (error) {
        next = tasks.length;
        throw error;
      }
    }
  };
  const ended = await Promise.allSettled(lanes.map(lane));
  const failed = ended.find((e) => e.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return results;
}
