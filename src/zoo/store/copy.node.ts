/** Copies whose bytes are hashed: on disks that can, the blocks are shared; elsewhere bytes are hashed as they are written. Never a link. */
import { constants, copyFile, type FileHandle, open, unlink } from 'node:fs/promises';
import type { Sha256 } from '../types.ts';
import { codeOf, diskFailure, openRegular } from './disk.node.ts';
import { Digester, type Hashed, hashFile, pieces } from './hash.node.ts';

export interface CopyOptions {
  /** The copy ends with the first piece beyond so many bytes. */
  readonly size: number;
  readonly signal?: AbortSignal;
  /** Called with the bytes that were just copied and hashed. */
  onBytes?(count: number): void;
}

// What disks answer that share no blocks, or not with the other one, or not with this program.
const NO_CLONE = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY', 'EPERM', 'EACCES', 'EIO', 'EBADF', 'ENOTIMPL']);

/**
 * Copies a regular file to a path where nothing is yet and syncs it.
 * @returns size and hash of the copy, which the caller compares
 * @throws E_DISK; the copy is removed then
 */
export async function copyHashed(from: string, to: string, o: CopyOptions): Promise<Hashed> {
  // First, because cloning would wait for ever at a pipe.
  const source = await openRegular(from);
  try {
    if (await cloned(from, to)) {
      const hashed = await hashFile(to, o);
      await synced(to);
      return hashed;
    }
    const target = await open(to, 'wx').catch((cause) => diskFailure(cause, to, 'cannot be written'));
    try {
      const hashed = await pour(source, from, target, to, o);
      await target.sync();
      return hashed;
    } catch (cause) {
      await unlink(to).catch(() => undefined);
      return diskFailure(cause, to, 'cannot be written');
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Writes one open file into another and hashes what is written. Throws E_DISK. */
export async function pour(source: FileHandle, from: string, target: FileHandle, to: string, o: CopyOptions): Promise<Hashed> {
  const digester = new Digester();
  for await (const piece of pieces(source, from, o.signal)) {
    // Hashing goes on while the disk takes the same bytes.
    const writing = writeAll(target, piece, digester.size);
    digester.update(piece);
    await writing.catch((cause) => diskFailure(cause, to, 'cannot be written'));
    o.onBytes?.(piece.byteLength);
    if (digester.size > o.size) break;
  }
  return digester.result();
}

async function writeAll(target: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.byteLength; ) {
    const { bytesWritten } = await target.write(bytes, at, bytes.byteLength - at, position + at);
    at += bytesWritten;
  }
}

async function cloned(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return true;
  } catch (cause) {
    if (NO_CLONE.has(codeOf(cause) ?? '')) return false;
    return diskFailure(cause, to, 'cannot be written');
  }
}

async function synced(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What a copy was to be. */
export interface Wanted {
  readonly size: number;
  readonly digest: Sha256;
}

export const isSame = (hashed: Hashed, wanted: Wanted): boolean => hashed.size === wanted.size && hashed.digest === wanted.digest;
