/** Files of this machine as a source: a file, or a folder with all that it holds. */
import type { Dirent, Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { fail } from '../../core/errors.ts';
import { checkFilePath } from '../paths.ts';
import { diskFailure, kindOf } from '../store/disk.node.ts';
import type { SourceFile } from '../types.ts';
import { GIT_NAMES } from './hub-listing.ts';
import type { SourceSpec } from './spec.ts';

const MAX_FILES = 100_000;
const MAX_DEPTH = 64;

/** Where on this machine a local source is. */
export function localPath(spec: SourceSpec, base: string): string {
  if (spec.kind === 'file') return fileURLToPath(spec.url);
  return resolve(base, spec.kind === 'path' ? spec.path : spec.kind === 'caffe' ? spec.readme : '.');
}

/**
 * The files at a path. Links and pipes within a folder are refused: a model is bytes, and a link says whose bytes only today.
 *
 * @param base root of the project, which must not lie within the folder
 * @throws SecateurError E_SOURCE (nothing there, no file in it, the project within it), E_NOT_A_FILE (a link, a pipe, a socket), E_PATH (a
 *   name that other machines cannot hold), E_DISK
 */
export async function listLocal(path: string, base: string): Promise<{ files: SourceFile[]; notes: string[] }> {
  const real = await realpath(path).catch((cause) => nothingThere(path, cause));
  const found = await stat(real).catch((cause) => diskFailure(cause, path, 'cannot be read'));
  if (!found.isDirectory()) return { files: [asFile(basename(path), real, found)], notes: [] };
  const inside = relative(real, await realpath(base).catch(() => resolve(base)));
  if (inside === '' || (inside !== '..' && !inside.startsWith(`..${sep}`) && resolve(real, inside) !== inside)) {
    fail({ code: 'E_SOURCE', where: path, what: 'the project itself lies in that folder', expected: 'a folder with the model only' });
  }
  const files: SourceFile[] = [];
  const left: string[] = [];
  await walk(real, '', 0, files, left);
  if (files.length === 0) fail({ code: 'E_SOURCE', where: path, what: 'the folder holds no file' });
  return { files, notes: left.length === 0 ? [] : [`${left.join(', ')} left out: Git's, not the model's`] };
}

function nothingThere(path: string, cause: unknown): never {
  const { code } = cause as { code?: string };
  if (code === 'ENOENT') fail({ code: 'E_SOURCE', where: path, what: 'nothing is there' });
  return diskFailure(cause, path, 'cannot be read');
}

function asFile(path: string, at: string, found: Stats): SourceFile {
  if (!found.isFile())
    fail({ code: 'E_NOT_A_FILE', where: at, what: 'cannot be part of a model', expected: 'a regular file', got: kindOf(found) });
  return { path: checkFilePath(path, at), size: found.size, url: pathToFileURL(at).href, claims: [] };
}

async function walk(folder: string, prefix: string, depth: number, files: SourceFile[], left: string[]): Promise<void> {
  if (depth > MAX_DEPTH) fail({ code: 'E_SOURCE', where: folder, what: 'folders within folders', expected: `at most ${MAX_DEPTH} deep` });
  // As bytes: Node would turn names that are no UTF-8 into other names.
  const entries: Dirent<Buffer>[] = await readdir(folder, { withFileTypes: true, encoding: 'buffer' }).catch((cause) =>
    diskFailure(cause, folder, 'cannot be listed'),
  );
  for (const entry of entries) {
    const name = textOf(entry.name, folder);
    if (prefix === '' && GIT_NAMES.includes(name)) {
      left.push(name);
      continue;
    }
    const [path, at] = [`${prefix}${name}`, join(folder, name)];
    if (entry.isSymbolicLink()) {
      const hint = `'cp -rL' into a folder of its own, which follows links`;
      fail({
        code: 'E_NOT_A_FILE',
        where: at,
        what: 'cannot be part of a model',
        expected: 'a regular file',
        got: 'a symbolic link',
        hint,
      });
    }
    if (entry.isDirectory()) await walk(at, `${path}/`, depth + 1, files, left);
    else files.push(asFile(path, at, await stat(at).catch((cause) => diskFailure(cause, at, 'cannot be read'))));
    if (files.length > MAX_FILES) fail({ code: 'E_SOURCE', where: folder, what: 'too many files', expected: `at most ${MAX_FILES}` });
  }
}

function textOf(name: Buffer, folder: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(name);
  } catch {
    const got = [...name].map((b) => (b > 0x20 && b < 0x7f ? String.fromCharCode(b) : `\\x${b.toString(16).padStart(2, '0')}`)).join('');
    return fail({ code: 'E_PATH', where: folder, what: 'the name of a file is no Unicode', expected: 'UTF-8', got });
  }
}
