/** Starts the worker thread of `worker.node.ts`, in this process or in the child process of the sandbox. */
import { Worker } from 'node:worker_threads';
import type { WorkerSetup } from './messages.ts';

/** From TypeScript sources (tests, benches) the worker registers tsx first; the built package runs its own JavaScript. */
export function startWorker(workerData: WorkerSetup): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./worker.node.js', import.meta.url), { workerData });
  const [tsx, file] = [import.meta.resolve('tsx/esm/api'), new URL('./worker.node.ts', import.meta.url).href];
  const boot = `import(${JSON.stringify(tsx)}).then(({ register }) => { register(); return import(${JSON.stringify(file)}); })`;
  return new Worker(boot, { eval: true, workerData });
}
