/** One writer per project: what changes models.lock or a model's folder runs inside of `exclusively`. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { diskFailure } from './disk.node.ts';
import { own, ownNow, type Release, type WaitOptions } from './owner.node.ts';
import { stateFolder } from './state.node.ts';

/** Projects that the work now running has for itself. */
const held = new AsyncLocalStorage<ReadonlySet<string>>();

/**
 * Runs `work` while no other process, and no other call in this one, works on the same project. Within `work` the same call runs at once.
 * @throws E_DISK where the project's folder cannot be written; the signal's reason where it fires before our turn
 */
export async function exclusively<T>(projectRoot: string, work: () => Promise<T>, o: WaitOptions = {}): Promise<T> {
  const root = await real(projectRoot);
  if (held.getStore()?.has(root)) return await work();
  return await inside(root, await own(await ownerFile(root), o), work);
}

/** As {@link exclusively} without waiting: undefined, and `work` is not run, where somebody else is at work. */
export async function ifIdle<T>(projectRoot: string, work: () => Promise<T>): Promise<T | undefined> {
  const root = await real(projectRoot);
  if (held.getStore()?.has(root)) return await work();
  const release = await ownNow(await ownerFile(root));
  return release === undefined ? undefined : await inside(root, release, work);
}

async function inside<T>(root: string, release: Release, work: () => Promise<T>): Promise<T> {
  try {
    return await held.run(new Set([...(held.getStore() ?? []), root]), work);
  } finally {
    await release();
  }
}

const ownerFile = async (root: string): Promise<string> => join(await stateFolder(root), 'writer');

/** The same folder under another name is the same project. */
const real = (root: string): Promise<string> => realpath(root).catch((cause) => diskFailure(cause, root, 'cannot be used as a project'));
