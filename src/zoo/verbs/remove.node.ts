/** `zoo remove`: a model leaves the project, and with it what was said about it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { attestationsOf } from '../attest/tested.node.ts';
import { withoutModel, writeLock } from '../lock-write.ts';
import { removeFromManifest } from '../manifest.ts';
import { modelFolder } from '../project.node.ts';
import { removeModelFiles } from '../store/place.node.ts';
import { begin } from './begin.node.ts';
import { chosen } from './install.node.ts';
import { bundlePath } from './obtain.node.ts';
import type { VerbOptions } from './options.ts';

export interface RemoveOutcome {
  readonly name: string;
  readonly removed: readonly string[];
  /** Changed here, and where a copy of each is. */
  readonly kept: readonly { readonly path: string; readonly kept: string }[];
  /** Never part of the model: left where it is. */
  readonly left: readonly string[];
}

/** Takes a model out of models.json and models.lock, and its files off the disk, all at once. Rules that name it stay. */
export async function removeModel(root: string, name: string, o: VerbOptions = {}): Promise<RemoveOutcome> {
  return begin(root, o, async (project, cache) => {
    chosen(project, [name]);
    const entry = project.lock.models.get(name);
    const text = project.manifestText;
    const attested = attestationsOf(name);
    const also = () => [
      ...(text === undefined ? [] : [{ path: 'models.json', bytes: removeFromManifest(text, name) }]),
      { path: 'models.lock', bytes: writeLock(withoutModel(project.lock, name)) },
      ...(entry?.signature === undefined ? [] : [{ path: bundlePath(name) }]),
      ...(existsSync(join(project.root, attested)) ? [{ path: attested }] : []),
    ];
    const { removed, kept, carried } = await removeModelFiles(project.root, modelFolder(project, name), entry?.files ?? [], {
      cache,
      also,
      signal: o.signal,
    });
    return { name, removed, kept, left: carried };
  });
}
