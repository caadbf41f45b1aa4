/** ONNX files on disk. Writing is atomic: a file is either the whole model or what was there before. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fail, SecateurError } from '../core/errors.ts';
import { checkModel } from './check.ts';
import { externalReader } from './external.node.ts';
import type { Model } from './model.ts';
import { encodeModel, readModel } from './proto.ts';

/**
 * Reads an ONNX file, and the files beside it in which it keeps external data. Throws SecateurError naming the path.
 * The graph keeps the rules of `check.ts`.
 */
export async function loadModel(path: string): Promise<Model> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    return fail({ where: path, ...reason(cause, 'read'), cause });
  }
  const model = readModel(bytes, path, externalReader(path));
  checkModel(model, path);
  return model;
}

/**
 * Writes a model to `path`, making its folder. Throws SecateurError, leaving what was at `path` and no temporary file, where the
 * disk is full or the place cannot be written.
 */
export async function saveModel(path: string, model: Model): Promise<void> {
  const parts = encodeModel(model, path);
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'wx');
    try {
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    if (cause instanceof SecateurError) throw cause;
    fail({ where: path, ...reason(cause, 'written'), cause });
  }
}

function reason(cause: unknown, done: 'read' | 'written'): { what: string; got?: string; hint?: string } {
  const code = (cause as NodeJS.ErrnoException).code;
  switch (code) {
    case 'ENOENT':
      return { what: done === 'read' ? 'no such file' : 'its folder cannot be made' };
    case 'EISDIR':
      return { what: 'is a folder', hint: 'the path of an .onnx file' };
    case 'ENOTDIR':
    case 'EEXIST':
      return { what: 'its folder is a file' };
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return { what: `may not be ${done}`, got: code };
    case 'ENOSPC':
    case 'EDQUOT':
      return { what: 'the disk is full', hint: 'to free space, or another folder with --out' };
    case 'ERR_FS_FILE_TOO_LARGE':
      return { what: 'too large to read', hint: 'a model with external data' };
    default:
      return { what: `cannot be ${done}`, got: code ?? String(cause) };
  }
}
