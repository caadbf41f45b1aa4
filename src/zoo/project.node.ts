/** A project of models on disk: a folder with models.json, models.lock and the models. */
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fail } from '../core/errors.ts';
import { emptyLock, LOCK_FILE, parseLock } from './lock.ts';
import { writeLock } from './lock-write.ts';
import { emptyManifest, MANIFEST_FILE, parseManifest } from './manifest.ts';
import { syncFolder } from './store/disk.node.ts';
import { decodeUtf8 } from './strict-json.ts';
import type { Lock, Manifest } from './types.ts';

export interface Project {
  /** Absolute. */
  readonly root: string;
  readonly manifest: Manifest;
  /** models.json as it is written; undefined where there is none. */
  readonly manifestText?: string;
  readonly lock: Lock;
  readonly lockPresent: boolean;
}

const MAX_MANIFEST = 2 ** 24;
const MAX_LOCK = 2 ** 26;

/** The nearest folder with models.json or models.lock, from a folder (default: the working one) upwards; undefined where there is none. */
export function findProject(start: string = '.'): string | undefined {
  let folder = resolve(start);
  for (;;) {
    if (existsSync(join(folder, MANIFEST_FILE)) || existsSync(join(folder, LOCK_FILE))) return folder;
    const above = dirname(folder);
    if (above === folder) return undefined;
    folder = above;
  }
}

/**
 * Reads models.json and models.lock; either may be missing.
 * @throws SecateurError E_MANIFEST, E_LOCK and what their parsers throw
 */
export async function readProject(root: string): Promise<Project> {
  const folder = resolve(root);
  const [manifestText, lockText] = await Promise.all([
    readText(join(folder, MANIFEST_FILE), MANIFEST_FILE, 'E_MANIFEST', MAX_MANIFEST),
    readText(join(folder, LOCK_FILE), LOCK_FILE, 'E_LOCK', MAX_LOCK),
  ]);
  return {
    root: folder,
    manifest: manifestText === undefined ? emptyManifest() : parseManifest(manifestText),
    ...(manifestText !== undefined && { manifestText }),
    lock: lockText === undefined ? emptyLock() : parseLock(lockText),
    lockPresent: lockText !== undefined,
  };
}

/** The text of a file, or undefined where there is none. Never more than `most` bytes are read, and nothing but regular files. */
async function readText(path: string, where: string, code: string, most: number): Promise<string | undefined> {
  try {
    const found = await stat(path);
    if (!found.isFile())
      return fail({
        code,
        where,
        what: 'is no file',
        expected: 'a file of JSON',
        got: found.isDirectory() ? 'a folder' : 'something else',
      });
    if (found.size > most) return fail({ code, where, what: 'too long', expected: `at most ${most} bytes`, got: `${found.size}` });
    return decodeUtf8(await readFile(path), where, { code, maxChars: most });
  } catch (cause) {
    const error = (cause as NodeJS.ErrnoException).code;
    if (error === 'ENOENT') return undefined;
    if ((cause as NodeJS.ErrnoException).syscall === undefined) throw cause;
    return fail({ code, where, what: 'cannot be read', got: error, cause });
  }
}

/** Where a model is installed: `<root>/<folder>/<name>`, absolute. */
export function modelFolder({ root, manifest }: Pick<Project, 'root' | 'manifest'>, name: string): string {
  return join(root, ...manifest.folder.split('/'), ...name.split('/'));
}

/**
 * The text of models.lock as it will be written.
 * @throws SecateurError what `parseLock` throws, where no command could read it back: with more files than a lock may have, for one
 */
export function lockText(lock: Lock): string {
  const text = writeLock(lock);
  parseLock(text, 'models.lock as it would be written');
  return text;
}

/**
 * Writes models.lock: after a crash at any moment it is wholly the old or wholly the new one. Nothing is written where the bytes are the
 * same. Returns whether it was.
 * @throws SecateurError where the lock could not be read back, which would be a fault of the caller
 */
export async function writeLockFile(root: string, lock: Lock): Promise<boolean> {
  return writeFileAtomic(join(root, LOCK_FILE), lockText(lock));
}

/**
 * Writes a file so that after a crash at any moment it is wholly the old or wholly the new one: beside it, fsynced, renamed over it, the
 * folder fsynced. Makes folders as needed. Nothing is written where the bytes are the same; returns whether something was.
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array): Promise<boolean> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const before = await readFile(path).catch(() => undefined);
  if (before?.equals(bytes)) return false;
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const draft = `${path}.${process.pid}.new`;
  try {
    const handle = await open(draft, 'w', 0o644);
    try {
      if (before !== undefined) await handle.chmod((await stat(path)).mode & 0o777);
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncFolder(folder);
  return true;
}
