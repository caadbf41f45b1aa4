/** Where an HDF5 file begins within a file. */
import type { ByteSource } from '../../data/zip.ts';

const MARK = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];

/** Readers look at 0, 512, 1024, 2048 and so on; undefined where none of these places begins one. */
export function hdf5Start(source: ByteSource): number | undefined {
  for (let at = 0; at + MARK.length <= source.size; at = at === 0 ? 512 : at * 2) {
    if (source.read(at, MARK.length).every((b, i) => b === MARK[i])) return at;
  }
  return undefined;
}
