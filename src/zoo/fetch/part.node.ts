/** A download that may have been begun before: the bytes on disk, and what is known about the answer that they came with. */
import type { Stats } from 'node:fs';
import { constants, type FileHandle, lstat, open, rm, statfs, writeFile } from 'node:fs/promises';
import { uptime } from 'node:os';
import { dirname } from 'node:path';
import { fail } from '../../core/errors.ts';
import { diskFailure, ifThere, openRegular } from '../store/disk.node.ts';
import { type Digester, pieces } from '../store/hash.node.ts';

const MAX_NOTES = 16_384;

/** What the first answer said, by which a later one is known to be about the same bytes. */
export interface Origin {
  readonly url: string;
  /** A strong one only: a weak ETag says that a page means the same, not that it has the same bytes. */
  readonly etag?: string;
  /** Only where it counts as strong (RFC 9110 section 8.8.2.2): the answer is at least a second younger. */
  readonly lastModified?: string;
  /** Bytes of the whole file. */
  readonly total?: number;
}

export interface Begun {
  /** Bytes. */
  readonly size: number;
  readonly origin: Origin;
  /** From before this machine was started: after a power cut a file can be as long as it was, with nothing in it. */
  readonly isOld: boolean;
}

export class Part {
  readonly path: string;
  readonly #notes: string;

  constructor(path: string) {
    this.path = path;
    this.#notes = `${path}.json`;
  }

  /** What is there of this address; undefined where nothing is, or where it is not known what. */
  async begun(url: string): Promise<Begun | undefined> {
    const there = await ifThere(lstat(this.path)).catch((cause) => diskFailure(cause, this.path, 'cannot be read'));
    if (there === undefined || there.size === 0 || !isOwn(there)) return undefined;
    const origin = originIn(await readNotes(this.#notes));
    const isOld = there.mtimeMs < Date.now() - uptime() * 1000;
    return origin?.url === url ? { size: there.size, origin, isOld } : undefined;
  }

  /** Throws E_DISK where so many bytes more cannot lie on the disk: better now than after an hour. */
  async requireRoom(more: number): Promise<void> {
    const disk = await statfs(dirname(this.path)).catch(() => undefined);
    // Some network disks answer with 0 for all.
    if (disk === undefined || disk.blocks === 0) return;
    const free = disk.bavail * disk.bsize;
    if (more <= free) return;
    fail({
      code: 'E_DISK',
      where: dirname(this.path),
      what: 'there is not enough room on the disk',
      expected: `${more} bytes`,
      got: `${free} bytes`,
      hint: 'SECATEUR_CACHE=... for a cache on another disk; nothing was fetched',
    });
  }

  /**
   * Makes it anew, and writes down what the bytes that are coming belong to. What is in its place is removed and not written to: in a cache
   * that others can write to it may be a link to a file of ours. Notes first: bytes without notes are never gone on from.
   */
  async start(origin: Origin): Promise<FileHandle> {
    try {
      await this.remove();
      const handle = await open(this.path, 'wx');
      await writeFile(this.#notes, `${JSON.stringify(origin)}\n`, { flag: 'wx' });
      return handle;
    } catch (cause) {
      return diskFailure(cause, this.path, 'cannot be written');
    }
  }

  /** Opens it to go on from byte `from`, having hashed those before into `digester`. False where it has fewer. */
  async goOn(from: number, digester: Digester, signal: AbortSignal | undefined): Promise<FileHandle | undefined> {
    const flags = constants.O_RDWR | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
    const handle = await open(this.path, flags).catch((cause) => diskFailure(cause, this.path, 'cannot be opened'));
    try {
      let left = from;
      for await (const piece of pieces(handle, this.path, signal)) {
        digester.update(piece.subarray(0, left));
        left -= Math.min(left, piece.length);
        if (left === 0) break;
      }
      if (left === 0 && isOwn(await handle.stat())) {
        await handle.truncate(from);
        return handle;
      }
    } catch (cause) {
      await handle.close();
      return diskFailure(cause, this.path, 'cannot be read');
    }
    await handle.close();
    return undefined;
  }

  /** Forgets what is known about it, once the bytes have moved elsewhere. */
  async finished(): Promise<void> {
    await rm(this.#notes, { force: true });
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
    await this.finished();
  }
}

/** A file of one name only: through a second one, what is written would land in a file that somebody else chose. */
const isOwn = (stat: Stats): boolean => stat.isFile() && stat.nlink === 1;

async function readNotes(path: string): Promise<string> {
  const handle = await openRegular(path).catch(() => undefined);
  if (handle === undefined) return '';
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(MAX_NOTES), 0, MAX_NOTES, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch {
    return '';
  } finally {
    await handle.close();
  }
}

/** Damaged notes are no notes. */
function originIn(text: string): Origin | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { url, etag, lastModified, total } = (value ?? {}) as Record<string, unknown>;
  if (typeof url !== 'string') return undefined;
  const words = (text: unknown): string | undefined => (typeof text === 'string' && /^[\x20-\x7e]{1,512}$/.test(text) ? text : undefined);
  return { url, etag: words(etag), lastModified: words(lastModified), total: Number.isSafeInteger(total) ? (total as number) : undefined };
}
