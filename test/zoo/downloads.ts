/** A server, a cache and a file to fetch for each test of downloads. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { type FileOptions, fetchFile } from '../../src/zoo/fetch/download.node.ts';
import { type Cache, openCache } from '../../src/zoo/store/cache.node.ts';
import type { SourceFile } from '../../src/zoo/types.ts';
import { startServer, type TestServer } from './server.ts';
import { told } from './told.ts';

export const sha = (body: Uint8Array | string, algorithm = 'sha256'): string => createHash(algorithm).update(body).digest('hex');
/** Bytes that differ everywhere, so that a piece in the wrong place is seen. */
export const made = (size: number, seed = 1): Buffer => {
  const bytes = Buffer.alloc(size);
  for (let i = 0, x = seed; i < size; i++) {
    x = (x * 1103515245 + 12345) & 0x7fffffff;
    bytes[i] = x >> 16;
  }
  return bytes;
};
export const BODY = made(300_000);
export const OTHER = made(300_000, 2);

export let server: TestServer;
export let folder: string;
export let cache: Cache;
export let notes: string[];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'secateur-fetch-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  server = await startServer();
  cache = await openCache(mkdtempSync(join(folder, 'cache-')));
  notes = [];
});
afterEach(() => server.close());

export const expected = (body: Uint8Array) => ({ size: body.length, digest: `sha256:${sha(body)}` as const });
export const fileAt = (path: string, more: Partial<SourceFile> = {}): SourceFile => ({
  path: 'net.onnx',
  url: `${server.url}${path}`,
  claims: [],
  ...more,
});
export const get = (file: SourceFile, o: FileOptions = {}) =>
  fetchFile(file, cache, { allowHttp: true, backoffMs: 1, stallMs: 20_000, retries: 2, onNote: (text) => notes.push(text), ...o });
export const cached = async (body: Uint8Array): Promise<string> => sha(readFileSync((await cache.find(`sha256:${sha(body)}`))!));
export const host = (): string => new URL(server.url).host;
/** Nothing half-done, no notes, no owner is left. */
export const leftParts = (): string[] => readdirSync(join(cache.root, 'parts'));
/** What an earlier try left: the first bytes of `body`, which came with `etag`. */
export const begin = (path: string, body: Uint8Array, origin: Record<string, unknown> = {}): void => {
  const part = cache.partPath(`${server.url}${path}`);
  writeFileSync(part, body);
  writeFileSync(`${part}.json`, JSON.stringify({ url: `${server.url}${path}`, ...origin }));
};
/** Starts a download that breaks after so many bytes, for good. */
export const breakAt = async (path: string, size: number): Promise<void> => {
  server.once(path, { cut: size });
  await told(() => get(fileAt(path), { retries: 0 }));
};
