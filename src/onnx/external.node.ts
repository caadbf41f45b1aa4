/**
 * Weights that a model keeps in files of their own. The path comes from an untrusted file, so it must stay below the model's folder,
 * also after every symbolic link is followed, and must be a plain file with no second name elsewhere (hard link).
 *
 * A path may change its meaning between the check and the reading. So each file is opened once, without waiting on it (a FIFO would
 * block for ever), and all checks are made on what was opened.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { fail } from '../core/errors.ts';
import { badLocation } from './external-path.ts';
import { MAX_EXTERNAL_BYTES } from './limits.ts';
import type { ExternalReader } from './proto.ts';

export { badLocation } from './external-path.ts';

/** On Windows there are neither of the two. */
const READ_ONLY = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Files of external data that one model may have. */
const MAX_FILES = 2000;
/** Of these, how many stay open until the last tensor is read. Checking a path again for every tensor takes long where there are many. */
const MAX_OPEN = 200;

interface Beside {
  /** Undefined: to be opened and checked for each tensor. */
  readonly handle: number | undefined;
  /** Ranges that were read, by `offset+length`: tensors that share one share its bytes. */
  readonly ranges: Map<string, Uint8Array>;
}

/**
 * A reader for {@link readModel} that takes external data from the folder of the model at `modelPath`, and from nowhere else. To be closed
 * when the model is read.
 * @param limit bytes that all ranges together may have. Tensors of the same range share one copy, which counts once; ranges that
 *   overlap without being equal are read, and count, separately.
 */
export function externalReader(modelPath: string, limit: number = MAX_EXTERNAL_BYTES): { read: ExternalReader; close(): void } {
  const folder = realpathSync(dirname(modelPath));
  const files = new Map<string, Beside>();
  let total = 0;
  const read: ExternalReader = ({ location, offset, length }, where) => {
    let file = files.get(location);
    const handle = file?.handle ?? openContained(folder, location, where);
    if (file === undefined) {
      const keep = files.size < MAX_OPEN;
      file = { handle: keep ? handle : undefined, ranges: new Map() };
      files.set(location, file);
      if (files.size > MAX_FILES) fail({ where, what: 'external data in too many files', expected: `at most ${MAX_FILES} files` });
    }
    try {
      const { size } = fstatSync(handle);
      const wanted = length ?? size - offset;
      // Sums of two safe integers are exact.
      if (wanted < 0 || offset + wanted > size) {
        fail({
          where,
          what: `external data "${location}" is cut off`,
          expected: `at least ${offset + Math.max(0, wanted)} bytes`,
          got: String(size),
          hint: 'to download or export the model again, with all its files',
        });
      }
      const range = `${offset}+${wanted}`;
      let bytes = file.ranges.get(range);
      if (bytes === undefined) {
        total += wanted;
        if (total > limit) {
          // Many tensors may point at the same bytes: a small file could ask for any amount of memory.
          fail({ where, what: 'too much external data', expected: `at most ${limit} bytes in one model`, got: `${total} so far` });
        }
        bytes = readRange(handle, offset, wanted, () => `${where}: external data "${location}"`);
        file.ranges.set(range, bytes);
      }
      return bytes;
    } finally {
      if (file.handle === undefined) closeSync(handle);
    }
  };
  const close = (): void => {
    for (const { handle } of files.values()) if (handle !== undefined) closeSync(handle);
    files.clear();
  };
  return { read, close };
}

function readRange(handle: number, offset: number, length: number, where: () => string): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const read = readSync(handle, bytes, at, Math.min(length - at, 2 ** 30), offset + at);
    if (read === 0) fail({ where: where(), what: 'became shorter while it was read', expected: 'a file that stays as it is' });
    at += read;
  }
  return bytes;
}

/** Caches of downloads, such as Hugging Face's, keep files elsewhere and links to them in the model's folder. */
const COPY = 'a copy of model and data in one folder (cp -L)';

/** Opens a plain file below `folder`. What is opened has been checked, not only what had the name before. */
function openContained(folder: string, location: string, where: string): number {
  const outside = (got: string, hint?: string): never =>
    fail({
      where,
      what: `external data "${location}" lies outside the folder of the model`,
      expected: `a file below ${folder}`,
      got,
      hint,
    });
  const bad = badLocation(location);
  if (bad !== undefined) return outside(bad);
  const path = resolve(folder, location);
  const own = (got: string, hint?: string): never =>
    fail({ where, what: `external data "${location}"`, expected: 'a plain file of its own', got, hint });
  let real: string;
  try {
    lstatSync(path);
    real = realpathSync(path);
  } catch (cause) {
    return fail({ where, what: `external data "${location}" is missing`, expected: `the file ${path}`, cause });
  }
  if (!real.startsWith(join(folder, sep))) return outside(`a link to ${real}`, COPY);
  // A device may do something when it is opened, so it is not.
  const found = lstatSync(real);
  if (!found.isFile()) return own('something else');
  if (found.nlink > 1) return own('a hard link', COPY);
  let handle: number;
  try {
    handle = openSync(real, READ_ONLY);
  } catch (cause) {
    return fail({ where, what: `external data "${location}" cannot be opened`, got: (cause as NodeJS.ErrnoException).code, cause });
  }
  try {
    const stat = fstatSync(handle);
    if (!stat.isFile()) own('something else');
    if (stat.nlink > 1) own('a hard link', COPY);
    // A folder on the way may have become a link since: then the name leads elsewhere now, or what was opened is not what it names.
    const again = realpathSync(path);
    const named = lstatSync(again);
    if (again !== real || named.dev !== stat.dev || named.ino !== stat.ino) outside(`a path that changed while it was opened: ${again}`);
    return handle;
  } catch (error) {
    closeSync(handle);
    throw error;
  }
}
