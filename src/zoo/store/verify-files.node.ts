/** Whether a model's folder holds what the lock says: every file hashed, no link followed, nothing overlooked that lies beside. */
import { isUtf8 } from 'node:buffer';
import type { BigIntStats, Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { compareNames } from '../digest.ts';
import type { LockedFile, LockedModel, Sha256 } from '../types.ts';
import { codeOf, diskFailure, ifThere, kindOf, openRegular } from './disk.node.ts';
import { Digester, pieces } from './hash.node.ts';
import { clock, type Stamps } from './stamps.node.ts';
import { OURS } from './state.node.ts';

/** Things that the lock does not mention are listed up to here; the folder is searched no further. */
const MOST_EXTRA = 1000;

export interface ChangedFile {
  readonly path: string;
  readonly expected: Sha256;
  /** Absent where nothing was hashed: the size differs, or it is no file. */
  readonly got?: Sha256;
  /** Bytes on disk; 0 where it is no file. */
  readonly size: number;
  /** What is wrong, after the path: `has 12 bytes, 100 are locked`, `is a symbolic link`. */
  readonly says: string;
}

export interface FilesCheck {
  readonly changed: readonly ChangedFile[];
  readonly missing: readonly string[];
  /** In the folder but not in the lock, in order; a folder with nothing locked in it stands as one, with `/` behind. At most 1000. */
  readonly extra: readonly string[];
  /** Right, but under a second name on this disk too, through which they can be changed, and which ONNX refuses for external data. */
  readonly linked: readonly string[];
  /** Files that are there, with whatever content. */
  readonly checked: number;
  /** Bytes hashed; files that a stamp vouches for count none. */
  readonly bytes: number;
}

export interface VerifyFilesOptions {
  /** Hashes of before are believed where a file looks untouched, and new ones are remembered. */
  readonly stamps?: Stamps;
  /** Hashes everything, whatever the stamps say. */
  readonly fresh?: boolean;
  readonly signal?: AbortSignal;
  /** Progress over the whole model, in bytes, and the file at work. */
  onBytes?(done: number, total: number, path: string): void;
}

/**
 * Compares a folder with a lock's entry. Paths of the entry must have passed `checkFilePath`, as all of a parsed lock have.
 * @throws E_DISK where something cannot be read
 */
export async function verifyFiles(dir: string, locked: Pick<LockedModel, 'files'>, o: VerifyFilesOptions = {}): Promise<FilesCheck> {
  const changed: ChangedFile[] = [];
  const missing: string[] = [];
  const linked: string[] = [];
  const met = new Set<string>();
  const total = locked.files.reduce((sum, f) => sum + f.size, 0);
  let [checked, bytes, done] = [0, 0, 0];
  for (const file of locked.files) {
    o.signal?.throwIfAborted();
    const at = await locate(dir, file.path);
    if (at === undefined) missing.push(file.path);
    else if (typeof at === 'string') changed.push({ path: file.path, expected: file.digest, size: 0, says: at });
    else {
      checked++;
      met.add(identity(at));
      if (at.nlink > 1n) linked.push(file.path);
      const start = done;
      const onBytes = (n: number): void => o.onBytes?.(Math.min(start + n, total), total, file.path);
      const found = await checkFile(join(dir, file.path), file, at, { ...o, onBytes });
      bytes += found.hashed;
      if (found.changed !== undefined) changed.push(found.changed);
    }
    done += file.size;
    o.onBytes?.(done, total, file.path);
  }
  return { changed, missing, extra: await extras(dir, locked, met), linked, checked, bytes };
}

/** A file's status; undefined where it is missing; a text where something else stands in its place or in that of a folder above it. */
async function locate(dir: string, path: string): Promise<BigIntStats | string | undefined> {
  let at = '';
  try {
    const parts = path.split('/');
    for (const [i, part] of parts.entries()) {
      at = at === '' ? part : `${at}/${part}`;
      const stat = await ifThere(lstat(join(dir, at), { bigint: true }));
      if (stat === undefined) return undefined;
      const isLast = i === parts.length - 1;
      if (isLast ? !stat.isFile() : !stat.isDirectory()) return isLast ? `is ${kindOf(stat)}` : `lies behind ${kindOf(stat)} at ${at}`;
      if (isLast) return stat;
    }
    return undefined;
  } catch (cause) {
    if (codeOf(cause) === 'ENOTDIR') return undefined;
    return diskFailure(cause, join(dir, at), 'cannot be read');
  }
}

interface FileCheck {
  readonly changed?: ChangedFile;
  /** Bytes. */
  readonly hashed: number;
}

async function checkFile(
  path: string,
  file: LockedFile,
  at: BigIntStats,
  o: Omit<VerifyFilesOptions, 'onBytes'> & { onBytes(done: number): void },
): Promise<FileCheck> {
  const size = Number(at.size);
  const is = { path: file.path, expected: file.digest, size };
  // Nothing is gained by hashing gigabytes of which the size tells enough.
  if (size !== file.size) return { hashed: 0, changed: { ...is, says: `has ${size} bytes, ${file.size} are locked` } };
  const stamped = o.fresh === true ? undefined : o.stamps?.digestOf(path, at);
  if (stamped === file.digest) return { hashed: 0 };
  const began = clock();
  const handle = await openRegular(path);
  try {
    const before = await handle.stat({ bigint: true });
    const digester = new Digester();
    for await (const piece of pieces(handle, path, o.signal)) {
      digester.update(piece);
      o.onBytes(digester.size);
      // Somebody is writing to it, maybe without end.
      if (digester.size > size) break;
    }
    const { digest, size: read } = digester.result();
    o.stamps?.remember(path, digest, before, await handle.stat({ bigint: true }), began);
    const same = digest === file.digest && read === size;
    return {
      hashed: read,
      changed: same ? undefined : { ...is, got: digest, says: `has other bytes: ${digest}, locked is ${file.digest}` },
    };
  } finally {
    await handle.close();
  }
}

/** Two names of one file on a disk that does not tell upper from lower case, or writes accents in its own way. */
const identity = (stat: BigIntStats): string => `${stat.dev} ${stat.ino}`;

async function extras(dir: string, { files }: Pick<LockedModel, 'files'>, met: ReadonlySet<string>): Promise<string[]> {
  const known = new Set(files.map((f) => f.path));
  const folders = new Set(files.flatMap((f) => [...f.path.matchAll(/\//g)].map((slash) => f.path.slice(0, slash.index))));
  const found: string[] = [];
  const todo = [''];
  for (let below = todo.pop(); below !== undefined && found.length < MOST_EXTRA; below = todo.pop()) {
    for (const entry of await list(join(dir, below))) {
      const name = entry.name;
      const path = below === '' ? textOf(name) : `${below}/${textOf(name)}`;
      if (path === OURS || (known.has(path) && entry.isFile())) continue;
      if (entry.isDirectory() && isUtf8(name) && folders.has(path)) todo.push(path);
      else if (!(await isMet(join(dir, path), entry, met))) found.push(entry.isDirectory() ? `${path}/` : path);
    }
  }
  return found
    .filter((path) => !known.has(path))
    .sort(compareNames)
    .slice(0, MOST_EXTRA);
}

/** Names as bytes: Node turns what is not UTF-8 into U+FFFD without a word, and two names into one. */
async function list(folder: string): Promise<Dirent<Buffer>[]> {
  try {
    return (await ifThere(readdir(folder, { withFileTypes: true, encoding: 'buffer' }))) ?? [];
  } catch (cause) {
    if (codeOf(cause) === 'ENOTDIR') return [];
    return diskFailure(cause, folder, 'cannot be read');
  }
}

/** A name for people: bytes that are no UTF-8 as `\xNN`. */
function textOf(name: Buffer): string {
  if (isUtf8(name)) return name.toString('utf8');
  return name.toString('latin1').replace(/[^ -~]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

async function isMet(path: string, entry: Dirent<Buffer>, met: ReadonlySet<string>): Promise<boolean> {
  if (!entry.isFile()) return false;
  const stat = await lstat(path, { bigint: true }).catch(() => undefined);
  // With a second name it may be a real extra file: a hard link beside.
  return stat !== undefined && stat.nlink === 1n && met.has(identity(stat));
}
