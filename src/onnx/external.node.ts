/**
 * Weights that a model keeps in files of their own. The path comes from an untrusted file, so it must stay below the model's folder,
 * also after every symbolic link is followed, and must be a plain file with no second name elsewhere (hard link).
 */
import { closeSync, fstatSync, lstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { fail } from '../core/errors.ts';
import { MAX_EXTERNAL_BYTES } from './limits.ts';
import type { ExternalReader } from './proto.ts';

/** A reader for {@link readModel} that takes external data from the folder of the model at `modelPath`, and from nowhere else. */
export function externalReader(modelPath: string): ExternalReader {
  const folder = realpathSync(dirname(modelPath));
  let total = 0;
  return ({ location, offset, length }, where) => {
    const path = contained(folder, location, where);
    const file = openSync(path, 'r');
    try {
      const stat = fstatSync(file);
      if (!stat.isFile() || stat.nlink > 1) {
        fail({
          where,
          what: `external data "${location}"`,
          expected: 'a plain file of its own',
          got: stat.isFile() ? 'a hard link' : 'something else',
        });
      }
      const wanted = length ?? stat.size - offset;
      if (offset + wanted > stat.size || wanted < 0) {
        fail({
          where,
          what: `external data "${location}" is cut off`,
          expected: `at least ${offset + wanted} bytes`,
          got: String(stat.size),
          hint: 'to download or export the model again, with all its files',
        });
      }
      total += wanted;
      if (total > MAX_EXTERNAL_BYTES) {
        // Many tensors may point at the same bytes: a small file could ask for any amount of memory.
        fail({
          where,
          what: 'too much external data',
          expected: `at most ${MAX_EXTERNAL_BYTES} bytes in one model`,
          got: `${total} so far`,
        });
      }
      const bytes = new Uint8Array(wanted);
      for (let at = 0; at < wanted; ) at += readSync(file, bytes, at, wanted - at, offset + at);
      return bytes;
    } finally {
      closeSync(file);
    }
  };
}

function contained(folder: string, location: string, where: string): string {
  const outside = (got: string): never =>
    fail({ where, what: `external data "${location}" lies outside the folder of the model`, expected: `a file below ${folder}`, got });
  const path = resolve(folder, location);
  const inside = (p: string): boolean => {
    const steps = relative(folder, p);
    return steps !== '' && steps !== '..' && !steps.startsWith(`..${sep}`) && !isAbsolute(steps);
  };
  if (location === '' || isAbsolute(location) || !inside(path)) return outside(location === '' ? 'no path' : path);
  let real: string;
  try {
    lstatSync(path);
    real = realpathSync(path);
  } catch (cause) {
    return fail({ where, what: `external data "${location}" is missing`, expected: `the file ${path}`, cause });
  }
  return inside(real) ? real : outside(`a link to ${real}`);
}
