/** Writing that leaves nothing out. */
import type { FileHandle } from 'node:fs/promises';
import { diskFailure } from '../store/disk.node.ts';

/**
 * Writes all bytes at a position; one call of the system may write fewer.
 *
 * @param path of the file, for the message
 * @throws SecateurError E_DISK, for a full disk above all
 */
export async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number, path: string): Promise<void> {
  try {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  } catch (cause) {
    diskFailure(cause, path, `cannot be written after ${position} bytes`);
  }
}
