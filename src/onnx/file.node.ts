/** ONNX files on disk. Writing is atomic: a file is either the whole model or what was there before. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fail, SecateurError } from '../core/errors.ts';
import { checkModel } from './check.ts';
import { externalReader } from './external.node.ts';
import type { ExternalFile } from './external-layout.ts';
import { type Limits, MAX_MODEL_BYTES, UNTRUSTED } from './limits.ts';
import type { Model } from './model.ts';
import { type ExternalReader, encodeWithExternal, externalLocations, readModel } from './proto.ts';
import { vetModel } from './vet.ts';

/**
 * Reads an ONNX file, and the files beside it in which it keeps external data. Throws SecateurError naming the path.
 * The graph keeps the rules of `check.ts`, its operators and sizes those of `vet.ts`.
 */
export async function loadModel(path: string, limits: Limits = UNTRUSTED): Promise<Model> {
  const bytes = readPlainFile(path);
  const external = externalReader(path, limits.externalBytes);
  try {
    return modelFromBytes(bytes, path, external.read, limits);
  } finally {
    external.close();
  }
}

/**
 * The same for bytes that were read already. Throws SecateurError naming `where`.
 * @param external gives the data that the model keeps in other files
 */
export function modelFromBytes(bytes: Uint8Array, where: string, external: ExternalReader, limits: Limits = UNTRUSTED): Model {
  const model = readModel(bytes, where, external, limits);
  checkModel(model, where);
  vetModel(model, where);
  return model;
}

/** The bytes of a plain file of at most 2 GB; pipes and devices, which have no end or block for ever, are refused. */
function readPlainFile(path: string): Uint8Array {
  try {
    // Asked before it is opened, because opening alone can do something to a device; and after, because the name may have changed hands.
    refuseOddFile(statSync(path), path);
    const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const bytes = new Uint8Array(refuseOddFile(fstatSync(file), path));
      for (let at = 0; at < bytes.length; ) {
        const read = readSync(file, bytes, at, Math.min(bytes.length - at, 2 ** 30), at);
        if (read === 0) fail({ where: path, what: 'became shorter while it was read', expected: 'a file that stays as it is' });
        at += read;
      }
      return bytes;
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    if (cause instanceof SecateurError) throw cause;
    return fail({ where: path, ...reason(cause, 'read'), cause });
  }
}

function refuseOddFile(stats: Stats, path: string): number {
  if (stats.isDirectory()) fail({ where: path, ...IS_FOLDER });
  if (!stats.isFile()) fail({ where: path, what: 'is no plain file', expected: 'an .onnx file', got: 'a pipe or a device' });
  if (stats.size > MAX_MODEL_BYTES) {
    const expected = 'at most 2 GB, the bound of the file format';
    fail({ where: path, what: 'too large to be an ONNX model', expected, got: `${stats.size} bytes`, hint: 'a model with external data' });
  }
  return stats.size;
}

const IS_FOLDER = { what: 'is a folder', hint: 'the path of an .onnx file' };

/** SHA-256 of a model's file; where it keeps data in files beside it, of the digests of all of them, one a line, the model's first. */
export async function hashModel(path: string, model: Model): Promise<string> {
  const { sha256, sha256File } = await import('../core/hash.node.ts');
  const digests: string[] = [];
  for (const file of [path, ...externalLocations(model).map((name) => join(dirname(path), name))]) digests.push(await sha256File(file));
  return digests.length === 1 ? digests[0] : sha256(new TextEncoder().encode(digests.join('\n')));
}

/**
 * Writes a model to `path`, making its folder, and beside it the files in which it kept external data when it was read (or, for a model
 * beyond 2 GB, one file `NAME.data`). Each file is complete or not there; the model comes last, so what stands at `path` has its data.
 * Throws SecateurError, leaving what was at `path` and no temporary file, where the disk is full or the place cannot be written.
 */
export async function saveModel(path: string, model: Model): Promise<void> {
  const spill = `${basename(path)}.data`;
  // Where a file system takes `A.data` and `a.data` for one file, the second would be written over the first: they become one file.
  const names = new Map([[spill.toLowerCase(), spill]]);
  const nameOf = (location: string): string => {
    const name = isFreeDataName(path, location) ? location : spill;
    const before = names.get(name.toLowerCase());
    if (before === undefined) names.set(name.toLowerCase(), name);
    return before ?? name;
  };
  const { parts, files } = encodeWithExternal(model, { spill, nameOf, where: path });
  const beside = (file: ExternalFile) => ({ target: join(dirname(path), file.location), content: filled(file) });
  const whole = [...files.map(beside), { target: path, content: parts }];
  const temporary: string[] = [];
  try {
    await mkdir(dirname(path), { recursive: true });
    for (const { target, content } of whole) {
      const name = join(dirname(path), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
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

/**
 * Whether a file name from a model may be written beside the model at `path`: it is the name of a data file and nothing else, and nothing of
 * that name is there. Otherwise a model could have files overwritten that it was never given.
 */
function isFreeDataName(path: string, location: string): boolean {
  if (!/^[\w][\w.-]*\.(data|bin|weights?|onnx_data|pb)$/.test(location)) return false;
  if (location.toLowerCase() === basename(path).toLowerCase()) return false;
  return lstatSync(join(dirname(path), location), { throwIfNoEntry: false }) === undefined;
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
      return IS_FOLDER;
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
