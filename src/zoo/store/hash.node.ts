/**
 * Hashes of files and streams. A file is read ahead while the last piece is hashed: the disk's threads and this one work at once, so that
 * the time is the longer of the two and not their sum.
 */
import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { fail } from '../../core/errors.ts';
import type { ClaimAlgorithm, Sha256 } from '../types.ts';
import { diskFailure, openRegular } from './disk.node.ts';

/** Bytes of a piece: large enough that the way to the reading thread costs nothing, small enough to stay in the processor's cache. */
const PIECE = 1 << 20;

export interface Hashed {
  /** Bytes. */
  readonly size: number;
  readonly digest: Sha256;
  /** Lower-case hex of each algorithm that was asked for, and of sha256. */
  readonly hashes: Readonly<Partial<Record<ClaimAlgorithm, string>>>;
}

export interface DigesterOptions {
  /** Beside SHA-256, which is always computed. */
  readonly algorithms?: readonly ClaimAlgorithm[];
  /** Bytes that will come; `git-blob` needs it before the first byte. */
  readonly size?: number;
}

/** Hashes bytes as they pass by. */
export class Digester {
  readonly #size: number | undefined;
  readonly #hashes: readonly (readonly [ClaimAlgorithm, Hash])[];
  readonly #git: boolean;
  #seen = 0;

  /** Throws SecateurError for `git-blob` without a size: Git's name of a file begins with its length. */
  constructor({ algorithms = [], size }: DigesterOptions = {}) {
    this.#size = size;
    this.#git = algorithms.includes('git-blob');
    if (this.#git && size === undefined) {
      fail({ code: 'E_SIZE', where: 'hash', what: 'a git-blob hash begins with the size', expected: 'a known size', got: 'none' });
    }
    this.#hashes = [...new Set<ClaimAlgorithm>(['sha256', ...algorithms])].map((name) => [name, start(name, size)]);
  }

  /** Bytes hashed so far. */
  get size(): number {
    return this.#seen;
  }

  update(bytes: Uint8Array): this {
    this.#seen += bytes.byteLength;
    for (const [, hash] of this.#hashes) hash.update(bytes);
    return this;
  }

  /** The hashes; nothing can be added afterwards. Throws E_SIZE where a git-blob hash was begun for another number of bytes. */
  result(): Hashed {
    if (this.#git && this.#seen !== this.#size) {
      fail({
        code: 'E_SIZE',
        where: 'hash',
        what: 'a git-blob hash begins with the size',
        expected: bytes(this.#size),
        got: bytes(this.#seen),
      });
    }
    const hashes: Partial<Record<ClaimAlgorithm, string>> = {};
    for (const [name, hash] of this.#hashes) hashes[name] = hash.digest('hex');
    return { size: this.#seen, digest: `sha256:${hashes.sha256}`, hashes };
  }
}

const bytes = (n: number | undefined): string => `${n} bytes`;

function start(name: ClaimAlgorithm, size: number | undefined): Hash {
  return name === 'git-blob' ? createHash('sha1').update(`blob ${size}\0`) : createHash(name);
}

export interface HashFileOptions {
  /** Beside SHA-256, which is always computed. */
  readonly algorithms?: readonly ClaimAlgorithm[];
  readonly signal?: AbortSignal;
  /** Called with the bytes that were just hashed. */
  onBytes?(count: number): void;
}

/**
 * Hashes a file's content from its first byte to its end.
 * @param file a path, or an open handle, whose own position is not moved
 * @throws E_DISK where it cannot be read; E_NOT_A_FILE for a link, a folder, a pipe or a device
 */
export async function hashFile(file: string | FileHandle, o: HashFileOptions = {}): Promise<Hashed> {
  if (typeof file !== 'string') return hashHandle(file, 'file', o);
  const handle = await openRegular(file);
  try {
    return await hashHandle(handle, file, o);
  } finally {
    await handle.close();
  }
}

async function hashHandle(handle: FileHandle, where: string, o: HashFileOptions): Promise<Hashed> {
  const size = o.algorithms?.includes('git-blob') ? (await handle.stat()).size : undefined;
  const digester = new Digester({ algorithms: o.algorithms, size });
  for await (const piece of pieces(handle, where, o.signal)) {
    digester.update(piece);
    o.onBytes?.(piece.byteLength);
  }
  return digester.result();
}

/**
 * A file's content in pieces of 1 MiB. The next piece is being read while the caller works on the last one, which is overwritten after that:
 * a caller that keeps bytes must copy them.
 */
export async function* pieces(handle: FileHandle, where: string, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  let [filled, spare] = [Buffer.allocUnsafe(PIECE), Buffer.allocUnsafe(PIECE)];
  let position = 0;
  let reading = handle.read(filled, 0, PIECE, position);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await reading;
      if (bytesRead === 0) return;
      position += bytesRead;
      reading = handle.read(spare, 0, PIECE, position);
      yield filled.subarray(0, bytesRead);
      [filled, spare] = [spare, filled];
    }
  } catch (cause) {
    diskFailure(cause, where, 'cannot be read');
  } finally {
    // A reader that stops early closes the file next; the read that is under way must be over by then.
    await reading.catch(() => undefined);
  }
}
