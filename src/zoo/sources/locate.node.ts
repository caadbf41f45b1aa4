/** From a file of the lock back to something that can be fetched. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fail } from '../../core/errors.ts';
import type { LockedFile, LockedModel, SourceFile } from '../types.ts';
import { localPath } from './local.node.ts';
import { isLocal, parseSource } from './spec.ts';

/**
 * Where a locked file is fetched from: its address, or its place on this machine. Claims were compared when it was locked and are left
 * out: from then on the lock's digest decides.
 *
 * @param base root of the project
 * @throws SecateurError E_SOURCE where the file has no address and its source is not on this machine
 */
export async function sourceFileOf(model: LockedModel, file: LockedFile, base: string): Promise<SourceFile> {
  const { path, size } = file;
  if (file.url !== undefined) return { path, size, url: file.url, claims: [] };
  const spec = parseSource(model.source, 'models.lock');
  if (!isLocal(spec)) fail({ code: 'E_SOURCE', where: 'models.lock', what: `${path} has no address`, got: model.source });
  const at = localPath(spec, base);
  const found = await stat(at).catch(() => undefined);
  if (found === undefined && spec.kind !== 'caffe') {
    fail({
      code: 'E_SOURCE',
      where: at,
      what: `nothing is there, and models.lock has no other source of ${path}`,
      expected: 'the path that was given to `zoo add`, which other machines may not have',
      hint: 'the files at that path, or a source that all machines have (an address, a path within the repository)',
    });
  }
  const folder = spec.kind === 'caffe' ? dirname(at) : found?.isFile() === true ? undefined : at;
  return { path, size, url: pathToFileURL(folder === undefined ? at : join(folder, path)).href, claims: [] };
}
