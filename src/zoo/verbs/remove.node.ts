/** `zoo remove`: a model leaves the project; files that are not exactly what the lock says stay on disk. */
import { rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { withoutModel } from '../lock-write.ts';
import { removeFromManifest } from '../manifest.ts';
import { modelFolder, readProject, writeLockFile, writeManifestFile } from '../project.node.ts';
import { exclusively } from '../store/exclusive.node.ts';
import { recover } from '../store/place.node.ts';
import { verifyFiles } from '../store/verify-files.node.ts';
import { chosen } from './install.node.ts';
import { bundlePath } from './obtain.node.ts';
import type { VerbOptions } from './options.ts';

export interface RemoveOutcome {
  readonly name: string;
  readonly removed: readonly string[];
  /** Changed here, or never part of the model: left where they are. */
  readonly left: readonly string[];
}

/** Takes a model out of models.json and models.lock, and its unchanged files off the disk. Rules that name it stay. */
export async function removeModel(root: string, name: string, o: VerbOptions = {}): Promise<RemoveOutcome> {
  return exclusively(
    root,
    async () => {
      await recover(root);
      const project = await readProject(root);
      chosen(project, [name]);
      const entry = project.lock.models.get(name);
      // the lock goes first: a model that it does not name is nobody's promise
      await writeLockFile(root, withoutModel(project.lock, name));
      if (project.manifestText !== undefined) await writeManifestFile(root, removeFromManifest(project.manifestText, name));
      if (entry === undefined) return { name, removed: [], left: [] };
      const folder = modelFolder(project, name);
      const { changed, extra, missing } = await verifyFiles(folder, entry, { signal: o.signal });
      const keep = new Set([...changed.map((c) => c.path), ...missing]);
      const removed = entry.files.map((f) => f.path).filter((path) => !keep.has(path));
      for (const path of removed) await rm(join(folder, path), { force: true });
      await removeEmpty(folder, removed);
      await rm(join(root, bundlePath(name)), { force: true });
      return { name, removed, left: [...changed.map((c) => c.path), ...extra] };
    },
    { onWait: o.onNote, signal: o.signal },
  );
}

/** Folders that became empty, the model's own last. */
async function removeEmpty(folder: string, paths: readonly string[]): Promise<void> {
  const parents = new Set<string>(['.']);
  for (const path of paths) for (let at = dirname(path); at !== '.'; at = dirname(at)) parents.add(at);
  for (const parent of [...parents].sort((a, b) => b.length - a.length || (a < b ? 1 : -1))) {
    // not empty: something of the user's is in it
    await rmdir(join(folder, parent)).catch(() => undefined);
  }
}
