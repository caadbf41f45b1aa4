/** An ONNX network out of a locked model: its file and the data beside it, all of them compared with the lock as they are read. */
import { posix } from 'node:path';
import { fail } from '../core/errors.ts';
import { sha256 } from '../core/hash.node.ts';
import { badLocation } from '../onnx/external.node.ts';
import { modelFromBytes } from '../onnx/file.node.ts';
import { type Limits, UNTRUSTED } from '../onnx/limits.ts';
import type { Model } from '../onnx/model.ts';
import { type ExternalReader, externalLocations } from '../onnx/proto.ts';
import { hexOf } from './digest.ts';
import { readLockedFile } from './read-locked.node.ts';
import type { LockedFile, LockedModel } from './types.ts';

/** Where a locked model lies. */
export interface LockedPlace {
  readonly name: string;
  /** Folder in which it is installed, absolute. */
  readonly folder: string;
  readonly model: LockedModel;
}

/**
 * Reads one ONNX file of a locked model, with the limits of `onnx/limits.ts`.
 * @throws SecateurError E_INTEGRITY (exit code 3) where any file that it needs is not the one in the lock, or is not in the lock at all; and
 *   as `loadModel` does for a file that is refused
 */
export function readLockedOnnx(place: LockedPlace, file: LockedFile, limits: Limits = UNTRUSTED): Model {
  return modelFromBytes(
    readLockedFile(place.name, place.folder, file),
    `${place.name}: ${file.path}`,
    lockedReader(place, file, limits),
    limits,
  );
}

/** The same without the weights that lie in other files: their numbers are zeros, of which no memory is taken. For descriptions only. */
export function outlineLockedOnnx(place: LockedPlace, file: LockedFile): Model {
  let zeros: Uint8Array = new Uint8Array(0);
  const read: ExternalReader = ({ location, offset, length }, where) => {
    const data = dataFile(place, file, location, where);
    checkRange(data, offset, length ?? 0, where);
    if (zeros.length < (length ?? 0)) zeros = new Uint8Array(length ?? 0);
    return zeros.subarray(0, length ?? 0);
  };
  return modelFromBytes(readLockedFile(place.name, place.folder, file), `${place.name}: ${file.path}`, read, UNTRUSTED);
}

/**
 * What `hashModel` of onnx/file.node.ts says of the same files, from the lock: the digest of the file, or where it keeps data beside it that
 * of all their digests, 64 hex digits.
 */
export function lockedModelHash(place: LockedPlace, file: LockedFile, model: Model): string {
  const beside = externalLocations(model).map((location) => hexOf(dataFile(place, file, location, place.name).digest));
  const all = [hexOf(file.digest), ...beside];
  return all.length === 1 ? all[0] : sha256(new TextEncoder().encode(all.join('\n')));
}

function lockedReader(place: LockedPlace, file: LockedFile, limits: Limits): ExternalReader {
  const files = new Map<string, Uint8Array>();
  const ranges = new Set<string>();
  let total = 0;
  return ({ location, offset, length }, where) => {
    const data = dataFile(place, file, location, where);
    const wanted = length ?? data.size - offset;
    checkRange(data, offset, wanted, where);
    // Many tensors may point at the same bytes; ranges that overlap without being equal count separately.
    const range = `${data.path}:${offset}+${wanted}`;
    if (!ranges.has(range)) {
      ranges.add(range);
      total += wanted;
      if (total > limits.externalBytes) {
        const expected = `at most ${limits.externalBytes} bytes in one model`;
        fail({ where, what: 'too much external data', expected, got: `${total} so far` });
      }
    }
    let bytes = files.get(data.path);
    if (bytes === undefined) {
      bytes = readLockedFile(place.name, place.folder, data);
      files.set(data.path, bytes);
    }
    return bytes.subarray(offset, offset + wanted);
  };
}

/** The locked file that a location in an ONNX file names; locations are relative to that file's folder. */
function dataFile({ name, model }: LockedPlace, file: LockedFile, location: string, where: string): LockedFile {
  const bad = badLocation(location);
  if (bad !== undefined) return fail({ where, what: `external data "${location}" lies outside the folder of the model`, got: bad });
  const path = posix.join(posix.dirname(file.path), location);
  const found = model.files.find((f) => f.path === path);
  if (found !== undefined) return found;
  return fail({
    code: 'E_INTEGRITY',
    where,
    what: `its external data "${location}" are not in models.lock, so nobody knows what they should be`,
    expected: `a file ${path} among the ${model.files.length} of ${name}`,
    hint: '"include" in models.json that takes the data file too, then `secateur zoo update`',
    exitCode: 3,
  });
}

function checkRange(data: LockedFile, offset: number, length: number, where: string): void {
  if (length >= 0 && offset + length <= data.size) return;
  const expected = `at least ${offset + Math.max(0, length)} bytes`;
  fail({ where, what: `external data "${data.path}" is cut off`, expected, got: String(data.size) });
}
