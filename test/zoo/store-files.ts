/** Folders, files and caches for the tests of the store. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';
import { openCache } from '../../src/zoo/store/cache.node.ts';
import type { PlacedFile } from '../../src/zoo/store/place.node.ts';
import type { LockedFile, Sha256 } from '../../src/zoo/types.ts';

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** An empty folder that is gone after the tests. */
export function scratch(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'secateur-store-')));
  made.push(folder);
  return folder;
}

export const sha = (bytes: string | Uint8Array): Sha256 => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export function put(path: string, bytes: string | Uint8Array): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  return path;
}

/** What a lock would say of these files, and where the bytes are: a source folder outside of any project. */
export function filesOf(contents: Readonly<Record<string, string>>): (PlacedFile & LockedFile)[] {
  const source = scratch();
  return Object.entries(contents).map(([path, text], i) => ({
    path,
    size: Buffer.byteLength(text),
    digest: sha(text),
    claims: [],
    format: 'unknown',
    lint: 'ok',
    from: put(join(source, String(i)), text),
  }));
}

export const emptyCache = (): ReturnType<typeof openCache> => openCache(scratch());

/** All below a folder: files with their text, links with an arrow, empty folders with a slash. Without our own state. */
export function tree(folder: string, below = ''): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.name === '.secateur') continue;
    if (entry.isSymbolicLink()) found[path] = `-> ${readlinkSync(join(folder, path))}`;
    else if (entry.isDirectory()) {
      const inside = tree(folder, path);
      Object.assign(found, Object.keys(inside).length === 0 ? { [`${path}/`]: '' } : inside);
    } else if (entry.isFile()) found[path] = readFileSync(join(folder, path), 'utf8');
    else found[path] = 'no file';
  }
  return found;
}

/** The whole message of what a promise throws. */
export async function message(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    (value) => `no error but ${JSON.stringify(value)}`,
    (error) => (error as Error).message,
  );
}
