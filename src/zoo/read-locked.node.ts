/**
 * Files of a locked model as bytes that were compared with the lock: a file is opened once, read whole, hashed, and what is handed out is
 * what was hashed. Nobody can change it between the check and the use.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fail } from '../core/errors.ts';
import { diskFailure } from './store/disk.node.ts';
import type { LockedFile } from './types.ts';

/** Without waiting (a FIFO would block for ever) and without following a link in the last part of the path. */
const READ_ONLY = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** What one piece of memory may hold on every Node that is supported. */
const MAX_BYTES = 2 ** 32;
/** Read and hashed at once: the bytes are still in the processor's cache when they are hashed. */
const CHUNK = 2 ** 20;

/**
 * The bytes of one file of the model `name`, installed in `folder`, which are those of the lock.
 * @throws SecateurError E_INTEGRITY (exit code 3) where the file has other bytes, is missing or is no plain file; E_DISK
 *   where the disk does not let it be read, E_FILE_SIZE where it has more than 4 GiB
 */
export function readLockedFile(name: string, folder: string, locked: LockedFile): Uint8Array {
  const where = `${name}: ${locked.path}`;
  const path = join(folder, locked.path);
  if (locked.size > MAX_BYTES) {
    const hint = `the path ${path} instead of the name, after \`secateur zoo verify ${name}\``;
    return fail({
      code: 'E_FILE_SIZE',
      where,
      what: 'too large to be read at once',
      expected: 'at most 4 GiB',
      got: `${locked.size} bytes`,
      hint,
    });
  }
  const expected = `${locked.digest}, ${locked.size} bytes`;
  const differs = (got: string): never =>
    fail({
      code: 'E_INTEGRITY',
      where,
      what: 'is not the file in models.lock',
      expected,
      got: `${got} in ${path}`,
      hint: `\`secateur zoo verify ${name}\` to see all that differs, and \`secateur zoo install\` to bring the locked files back`,
      exitCode: 3,
    });
  let handle: number;
  try {
    handle = openSync(path, READ_ONLY);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ELOOP') return differs('a symbolic link');
    if (code !== 'ENOENT' && code !== 'ENOTDIR') return diskFailure(cause, path, 'cannot be read');
    return fail({
      code: 'E_INTEGRITY',
      where,
      what: 'is in models.lock but not on disk',
      expected: `the file ${path}`,
      hint: `\`secateur zoo install\``,
      exitCode: 3,
    });
  }
  try {
    const stat = fstatSync(handle);
    if (!stat.isFile()) return differs('something that is no plain file');
    if (stat.size !== locked.size) return differs(`${stat.size} bytes`);
    const bytes = new Uint8Array(locked.size);
    const hash = createHash('sha256');
    for (let at = 0; at < bytes.length; ) {
      const read = readSync(handle, bytes, at, Math.min(bytes.length - at, CHUNK), at);
      if (read === 0) return differs(`${at} bytes`);
      hash.update(bytes.subarray(at, at + read));
      at += read;
    }
    const got = `sha256:${hash.digest('hex')}`;
    if (got !== locked.digest) return differs(`${got}, ${stat.size} bytes`);
    return bytes;
  } catch (cause) {
    return diskFailure(cause, path, 'cannot be read');
  } finally {
    closeSync(handle);
  }
}
