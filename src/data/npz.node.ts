/** `.npz` files, an array at a time: the file itself is never in memory as a whole. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import zlib from 'node:zlib';
import { fail } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import { readError } from './files.node.ts';
import { readNpzFrom } from './npz.ts';
import type { ByteSource } from './zip.ts';

/** One read call takes at most 2 GiB. */
const STEP = 2 ** 30;

/** Gives `use` an open file; what it reads are fresh buffers, so that arrays in them are aligned. */
function withFile<T>(path: string, where: string, use: (source: ByteSource) => T): T {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    return readError(error, where, path);
  }
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) fail({ where, what: 'not a file', expected: 'a .npz file' });
    return use({
      size: stats.size,
      read(offset, length) {
        const out = new Uint8Array(length);
        for (let done = 0; done < length; ) {
          const got = readSync(file, out, done, Math.min(STEP, length - done), offset + done);
          if (got === 0) fail({ where, what: 'file became shorter while it was read', expected: `${stats.size} bytes` });
          done += got;
        }
        return out;
      },
      inflate(bytes, size) {
        const out = zlib.inflateRawSync(bytes, { maxOutputLength: Math.max(1, size) });
        return new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
      },
      ...(zlib.crc32 && { crc32: (bytes: Uint8Array) => zlib.crc32(bytes) }),
    });
  } finally {
    closeSync(file);
  }
}

/** The arrays of a `.npz` file by name; see {@link readNpzFrom}. Throws SecateurError where it cannot be read or is no such file. */
export async function loadNpz(path: string): Promise<Map<string, Tensor>> {
  const where = `npz: ${path}`;
  return withFile(path, where, (source) => readNpzFrom(source, where));
}
