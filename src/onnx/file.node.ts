/** ONNX files on disk. Writing is atomic: a file is either the whole model or what was there before. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { fail, SecateurError } from '../core/errors.ts';
import { checkModel } from './check.ts';
import { externalReader } from './external.node.ts';
import type { ExternalFile } from './external-layout.ts';
import type { Model } from './model.ts';
import { encodeWithExternal, readModel } from './proto.ts';

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
 * Writes a model to `path`, making its folder, and beside it the files in which it kept external data when it was read (or, for a model
 * beyond 2 GB, one file `NAME.data`). Each file is complete or not there; the model comes last, so what stands at `path` has its data.
 * Throws SecateurError, leaving what was at `path` and no temporary file, where the disk is full or the place cannot be written.
 */
export async function saveModel(path: string, model: Model): Promise<void> {
  const folder = dirname(path);
  const { parts, files } = encodeWithExternal(model, `${basename(path)}.data`, path);
  const whole = [...files.map((f) => ({ target: beside(path, f.location), content: filled(f) })), { target: path, content: parts }];
  const temporary: string[] = [];
  try {
    await mkdir(folder, { recursive: true });
    for (const { target, content } of whole) {
      if (target !== path) await mkdir(dirname(target), { recursive: true });
      const name = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
      temporary.push(name);
      const file = await open(name, 'wx');
      try {
        for (const part of content) await file.writeFile(part);
        await file.sync();
      } finally {
        await file.close();
      }
    }
    for (const [i, { target }] of whole.entries()) await rename(temporary[i], target);
  } catch (cause) {
    for (const name of temporary) await rm(name, { force: true }).catch(() => undefined);
    if (cause instanceof SecateurError) throw cause;
    fail({ where: path, ...reason(cause, 'written'), cause });
  }
}

/** Where the external data `location` of the model at `path` go. The name comes from the model that was read: it must stay below the folder. */
function beside(path: string, location: string): string {
  const target = resolve(dirname(path), location);
  const steps = relative(resolve(dirname(path)), target);
  if (steps === '' || steps === '..' || steps.startsWith(`..${sep}`) || isAbsolute(steps) || target === resolve(path)) {
    fail({
      where: path,
      what: `external data "${location}" cannot be written`,
      expected: 'a file beside the model, of another name',
      got: target,
      hint: 'another name for the model',
    });
  }
  return target;
}

/** The pieces of a file with zeros between them, a few at a time. */
function* filled({ pieces }: ExternalFile): Generator<Uint8Array> {
  let at = 0;
  for (const { offset, bytes } of pieces) {
    for (; at < offset; at += Math.min(ZEROS.byteLength, offset - at)) yield ZEROS.subarray(0, Math.min(ZEROS.byteLength, offset - at));
    yield bytes;
    at += bytes.byteLength;
  }
}

const ZEROS = new Uint8Array(2 ** 16);

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
