/** A file of this machine into the cache, hashed as it is copied. */
import { fileURLToPath } from 'node:url';
import { fail } from '../../core/errors.ts';
import type { Cache } from '../store/cache.node.ts';
import { diskFailure, openRegular } from '../store/disk.node.ts';
import { Digester, pieces } from '../store/hash.node.ts';
import type { FetchedFile, SourceFile } from '../types.ts';
import { algorithmsOf } from './claims.node.ts';
import { type FetchOptions, MAX_BYTES } from './options.ts';
import { Part } from './part.node.ts';
import { interrupted } from './trouble.node.ts';
import { writeAll } from './write-all.node.ts';
import { refuseBytes, refuseLength } from './wrong-bytes.ts';

/**
 * Copies a regular file; what was hashed is what was written, whatever happens to the original meanwhile.
 *
 * @throws SecateurError E_INTEGRITY (exit code 3), E_SIZE, E_DISK, E_NOT_A_FILE, E_SOURCE
 */
export async function copyLocal(
  file: SourceFile,
  cache: Cache,
  o: FetchOptions & { expect?: { size: number; digest: string } },
): Promise<FetchedFile> {
  const path = pathOf(file.url);
  const { maxBytes = MAX_BYTES, name, signal } = o;
  const source = await openRegular(path);
  try {
    const { size } = await source.stat();
    if (o.expect !== undefined && size !== o.expect.size)
      refuseBytes(file, o.expect, name, `${size} bytes at ${path}, which were not read`);
    if (size > maxBytes) refuseLength(name === undefined ? file.path : `${name}: ${file.path}`, maxBytes, `${size} bytes at ${path}`);
    const claim = await cache.claimPart(file.url, {
      signal,
      onWait: () => o.onNote?.(`${file.path}: another process is reading this; waiting for it`),
    });
    const part = new Part(claim.path);
    try {
      const digester = new Digester({ algorithms: algorithmsOf(file.claims), size });
      const to = await part.start({ url: file.url });
      try {
        for await (const piece of pieces(source, path, signal)) {
          digester.update(piece);
          await writeAll(to, piece, digester.size - piece.length, part.path);
          o.onProgress?.(digester.size, size, file.path);
        }
      } finally {
        await to.close().catch((cause) => diskFailure(cause, part.path, 'cannot be written'));
      }
      const hashed = digester.result();
      if (o.expect !== undefined && hashed.digest !== o.expect.digest) {
        refuseBytes(file, o.expect, name, `${hashed.digest} (${hashed.size} bytes) at ${path}`);
      }
      await cache.accept(part.path, hashed.digest, hashed.size);
      return { ...file, ...hashed };
    } catch (error) {
      if (signal?.aborted === true) throw interrupted(file.path, error);
      throw error;
    } finally {
      // Half a copy is of no use: the original is as near.
      await part.remove();
      await claim.release();
    }
  } finally {
    await source.close();
  }
}

/** Locks and models.json hold addresses that nobody may have tried: with a host, or with an encoded slash. */
function pathOf(url: string): string {
  try {
    const path = fileURLToPath(url);
    if (!path.includes('\0')) return path;
  } catch {
    // Told below.
  }
  return fail({ code: 'E_SOURCE', where: 'zoo', what: 'no address of a file on this machine', expected: 'file:///path', got: url });
}
