/** What a disk answers, in words; and the few operations on it that every part of the store does the same way. */
import { randomUUID } from 'node:crypto';
import { constants, type FileHandle, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fail, SecateurError } from '../../core/errors.ts';

const CAUSES: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of this user is used up',
  EFBIG: 'the file is larger than this file system takes',
  EACCES: 'no permission',
  EPERM: 'not permitted',
  EROFS: 'the disk is read-only',
  ENOENT: 'it is not there',
  ENOTDIR: 'a part of the path is no folder',
  EISDIR: 'it is a folder',
  ELOOP: 'a symbolic link stands there',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files',
  EIO: 'the disk reports an error',
  ENAMETOOLONG: 'the name is too long for this file system',
  EXDEV: 'it lies on another disk',
  EBUSY: 'another program has it open, or a disk is mounted there',
};

/** Node's code of a failed operation (`ENOENT`), or undefined for any other error. */
export function codeOf(cause: unknown): string | undefined {
  const code = (cause as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/**
 * Throws what went wrong with a file as E_DISK (exit code 1); our own errors and aborts pass through as they are.
 * @param what what was tried: `cannot be read`
 */
export function diskFailure(cause: unknown, where: string, what: string): never {
  const code = codeOf(cause);
  if (cause instanceof SecateurError || code === undefined) throw cause;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  const got = CAUSES[code] === undefined ? code : `${CAUSES[code]} (${code})`;
  const hint = full ? 'again after making room' : undefined;
  return fail({ code: 'E_DISK', where, what, got, hint, cause });
}

/** What a promise gives, or undefined where the file is not there. */
export async function ifThere<T>(made: Promise<T>): Promise<T | undefined> {
  try {
    return await made;
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw cause;
  }
}

// A link in the file's place is not followed, and a pipe without a writer must not make us wait. Windows has neither flag.
const READ = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Opens a regular file for reading. Throws E_DISK where there is none, and E_NOT_A_FILE for a link, a folder, a pipe or a device. */
export async function openRegular(path: string): Promise<FileHandle> {
  let handle: FileHandle;
  try {
    handle = await open(path, READ);
  } catch (cause) {
    if (codeOf(cause) === 'ELOOP') notAFile(path, 'a symbolic link');
    // A socket cannot be opened at all.
    if (codeOf(cause) === 'ENXIO') notAFile(path, 'a socket or a device');
    return diskFailure(cause, path, 'cannot be opened');
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) notAFile(path, kindOf(stat));
    return handle;
  } catch (cause) {
    await handle.close();
    throw cause;
  }
}

const notAFile = (where: string, got: string): never =>
  fail({ code: 'E_NOT_A_FILE', where, what: 'cannot be used', expected: 'a regular file', got });

interface Kind {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}

/** What stands in a folder under a name, with its article. */
export function kindOf(entry: Kind): string {
  if (entry.isFile()) return 'a file';
  if (entry.isDirectory()) return 'a folder';
  if (entry.isSymbolicLink()) return 'a symbolic link';
  if (entry.isFIFO()) return 'a pipe';
  return entry.isSocket() ? 'a socket' : 'a device';
}

/** Makes a rename in this folder last through a power cut, where the system can (Windows cannot open folders). */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, constants.O_RDONLY);
    await handle.sync();
  } catch (cause) {
    const code = codeOf(cause);
    if (code !== 'EISDIR' && code !== 'EPERM' && code !== 'EACCES' && code !== 'EINVAL' && code !== 'ENOTSUP') throw cause;
  } finally {
    await handle?.close();
  }
}

/** Writes a whole file so that a kill or a power cut leaves either the old one or the new one: beside it, synced, renamed over it. */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const beside = `${path}.${randomUUID()}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(beside, 'wx');
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await unlink(beside).catch(() => undefined);
    diskFailure(cause, path, 'cannot be written');
  }
}
