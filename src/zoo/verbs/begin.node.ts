/** How every verb that changes something begins: alone in the project, with what a killed run left behind finished. */
import { SecateurError } from '../../core/errors.ts';
import { type Project, readProject } from '../project.node.ts';
import { type Cache, openCache } from '../store/cache.node.ts';
import { exclusively } from '../store/exclusive.node.ts';
import { recover } from '../store/place.node.ts';
import type { VerbOptions } from './options.ts';

/** Runs `work` as the only writer of the project. */
export async function begin<T>(root: string, o: VerbOptions, work: (project: Project, cache: Cache) => Promise<T>): Promise<T> {
  const cache = o.cache ?? (await openCache());
  const wait = { onWait: o.onNote, signal: o.signal };
  return exclusively(
    root,
    async () => {
      for (const text of await recover(root)) o.onNote?.(text);
      return work(await readProject(root), cache);
    },
    wait,
  );
}

/** Where work on several models fails, what was done before is done, and is told. */
export async function tellingBefore(
  o: Pick<VerbOptions, 'onNote'>,
  done: () => readonly string[],
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    for (const text of done()) o.onNote?.(text);
    throw error;
  }
}

/** Does it once more where a file of the cache turned out to be damaged: it was moved aside, and is fetched anew. */
export async function withSoundCache<T>(o: Pick<VerbOptions, 'onNote'>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SecateurError && error.parts.code === 'E_CACHE')) throw error;
    o.onNote?.(`${error.parts.where}: ${error.parts.what}; fetched anew`);
    return work();
  }
}
