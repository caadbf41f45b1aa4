/** How every verb that changes something begins: alone in the project, with what a killed run left behind finished. */
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
