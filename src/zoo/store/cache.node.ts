/**
 * The store of files by their SHA-256, shared by all projects of a user. What lies under a name has that hash; it is hashed again on its way
 * out. Files that were refused are kept aside, so that nobody needs to fetch them a second time to look at them.
 */
import { createHash, randomUUID } from 'node:crypto';
import { constants, copyFile, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fail } from '../../core/errors.ts';
import { hexOf, parseSha256 } from '../digest.ts';
import type { Sha256 } from '../types.ts';
import { codeOf, diskFailure, ifThere, syncFolder } from './disk.node.ts';
import { hashFile } from './hash.node.ts';
import { own, type Release, type WaitOptions } from './owner.node.ts';

/** A download that is under way, for one process alone. */
export interface PartClaim {
  /** The file to write; it may hold what an earlier try left. */
  readonly path: string;
  readonly release: Release;
}

export interface Cache {
  readonly root: string;
  /** Path of the file with this hash and, where it is given, size. One that was damaged, as its size tells, is put aside and not found. */
  find(digest: Sha256, size?: number): Promise<string | undefined>;
  /**
   * Takes a finished download, whose hash the caller has just computed: synced, then renamed to its name. Two processes may bring the same.
   * @returns where it lies now; `part` is gone
   */
  accept(part: string, digest: Sha256, size: number): Promise<string>;
  /** Where a download of this key (address and revision) is written. */
  partPath(key: string): string;
  /** The same for this process alone until it is released; waits for another one that writes it, after which `find` may find it. */
  claimPart(key: string, o?: WaitOptions): Promise<PartClaim>;
  /** Moves a file that is not what it should be out of the way. `digest` is the one that it has. */
  reject(path: string, digest: Sha256): Promise<string>;
  /** As `reject`, but the file stays where it is, too. */
  keep(path: string, digest: Sha256): Promise<string>;
}

/** `$SECATEUR_CACHE/zoo`, or `zoo` in `secateur` of the user's cache folder. */
export function cacheRoot(): string {
  const base = process.env.SECATEUR_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'secateur');
  return join(base, 'zoo');
}

/** Opens the cache and makes its folders. Throws E_DISK where that cannot be done. */
export async function openCache(root: string = cacheRoot()): Promise<Cache> {
  const cache = new DiskCache(resolve(root));
  try {
    for (const folder of ['sha256', 'parts', 'rejected']) await mkdir(join(cache.root, folder), { recursive: true });
  } catch (cause) {
    diskFailure(cause, cache.root, 'the cache cannot be made');
  }
  return cache;
}

class DiskCache implements Cache {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  async find(digest: Sha256, size?: number): Promise<string | undefined> {
    const path = this.#pathOf(digest);
    const stat = await ifThere(lstat(path)).catch((cause) => diskFailure(cause, path, 'cannot be read'));
    if (stat === undefined) return undefined;
    if (stat.isFile() && (size === undefined || stat.size === size)) return path;
    // A size is what some server or lock says: a sound file is not put aside for one who is wrong about it.
    if (stat.isFile() && (await hashFile(path)).digest === digest) return undefined;
    await this.#move(path, join(this.root, 'rejected', `${hexOf(digest)}.damaged`));
    return undefined;
  }

  async accept(part: string, digest: Sha256, size: number): Promise<string> {
    const path = this.#pathOf(digest);
    try {
      const handle = await open(part, 'r+');
      try {
        const got = (await handle.stat()).size;
        if (got !== size)
          fail({ code: 'E_SIZE', where: part, what: 'was changed while it was taken in', expected: `${size} bytes`, got: `${got} bytes` });
        await handle.sync();
      } finally {
        await handle.close();
      }
      // Over a file that is there already: these bytes were hashed just now, that one may have been damaged since.
      await this.find(digest);
      await this.#move(part, path);
      return path;
    } catch (cause) {
      return diskFailure(cause, path, 'cannot be taken into the cache');
    }
  }

  partPath(key: string): string {
    return join(this.root, 'parts', `${createHash('sha256').update(key).digest('hex')}.part`);
  }

  async claimPart(key: string, o?: WaitOptions): Promise<PartClaim> {
    const path = this.partPath(key);
    return { path, release: await own(`${path}.owner`, o) };
  }

  async reject(path: string, digest: Sha256): Promise<string> {
    return await this.#aside(digest, (to) => this.#move(path, to), path);
  }

  async keep(path: string, digest: Sha256): Promise<string> {
    return await this.#aside(digest, (to) => copyWhole(path, to), path);
  }

  async #aside(digest: Sha256, put: (to: string) => Promise<void>, from: string): Promise<string> {
    const to = join(this.root, 'rejected', hexOf(digest));
    try {
      await mkdir(dirname(to), { recursive: true });
      await put(to);
      return to;
    } catch (cause) {
      return diskFailure(cause, from, 'cannot be kept aside in the cache');
    }
  }

  /** Renames, over whatever is there: it has the same bytes. A file of another disk is copied. */
  async #move(from: string, to: string): Promise<void> {
    await mkdir(dirname(to), { recursive: true });
    try {
      await rename(from, to);
    } catch (cause) {
      if (codeOf(cause) !== 'EXDEV') throw cause;
      await copyWhole(from, to);
      await rm(from);
    }
    await syncFolder(dirname(to));
  }

  #pathOf(digest: Sha256): string {
    // Digests come out of files that strangers wrote, and this one becomes a path.
    if (parseSha256(digest) === undefined)
      fail({ code: 'E_DIGEST', where: 'cache', what: 'not a digest', expected: 'sha256: and 64 hex digits', got: digest });
    const hex = hexOf(digest);
    return join(this.root, 'sha256', hex.slice(0, 2), hex.slice(2));
  }
}

async function copyWhole(from: string, to: string): Promise<void> {
  const beside = `${to}.${randomUUID()}.tmp`;
  try {
    await copyFile(from, beside, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    const handle = await open(beside, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, to);
  } finally {
    await rm(beside, { force: true });
  }
}
