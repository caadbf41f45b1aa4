import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkClaims, requireClaims } from '../../src/zoo/fetch/claims.node.ts';
import { type FileOptions, fetchFile } from '../../src/zoo/fetch/download.node.ts';
import { writeAll } from '../../src/zoo/fetch/write-all.node.ts';
import { type Cache, openCache } from '../../src/zoo/store/cache.node.ts';
import type { SourceFile } from '../../src/zoo/types.ts';
import { gitBlob } from './hub.ts';
import { etagOf, startServer, type TestServer } from './server.ts';
import { told } from './told.ts';

const sha = (body: Uint8Array | string, algorithm = 'sha256'): string => createHash(algorithm).update(body).digest('hex');
/** Bytes that differ everywhere, so that a piece in the wrong place is seen. */
const made = (size: number, seed = 1): Buffer => {
  const bytes = Buffer.alloc(size);
  for (let i = 0, x = seed; i < size; i++) {
    x = (x * 1103515245 + 12345) & 0x7fffffff;
    bytes[i] = x >> 16;
  }
  return bytes;
};
const BODY = made(300_000);
const OTHER = made(300_000, 2);

let server: TestServer;
let folder: string;
let cache: Cache;
let notes: string[];
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

const expected = (body: Uint8Array) => ({ size: body.length, digest: `sha256:${sha(body)}` as const });
const fileAt = (path: string, more: Partial<SourceFile> = {}): SourceFile => ({
  path: 'net.onnx',
  url: `${server.url}${path}`,
  claims: [],
  ...more,
});
const get = (file: SourceFile, o: FileOptions = {}) =>
  fetchFile(file, cache, { allowHttp: true, backoffMs: 1, stallMs: 20_000, retries: 2, onNote: (text) => notes.push(text), ...o });
const cached = async (body: Uint8Array): Promise<string> => sha(readFileSync((await cache.find(`sha256:${sha(body)}`))!));
const host = (): string => new URL(server.url).host;
/** Nothing half-done, no notes, no owner is left. */
const leftParts = (): string[] => readdirSync(join(cache.root, 'parts'));
/** What an earlier try left: the first bytes of `body`, which came with `etag`. */
const begin = (path: string, body: Uint8Array, origin: Record<string, unknown> = {}): void => {
  const part = cache.partPath(`${server.url}${path}`);
  writeFileSync(part, body);
  writeFileSync(`${part}.json`, JSON.stringify({ url: `${server.url}${path}`, ...origin }));
};
/** Starts a download that breaks after so many bytes, for good. */
const breakAt = async (path: string, size: number): Promise<void> => {
  server.once(path, { cut: size });
  await told(() => get(fileAt(path), { retries: 0 }));
};

describe('a download', () => {
  it('brings the bytes, their hashes and progress, and asks for them as they are', async () => {
    server.put('/net.onnx', BODY);
    const claims = [
      { from: 'user', algorithm: 'sha256', value: sha(BODY) },
      { from: 'caffe-readme', algorithm: 'sha1', value: sha(BODY, 'sha1') },
      { from: 'x', algorithm: 'md5', value: '0'.repeat(32) },
      { from: 'hf-git-oid', algorithm: 'git-blob', value: gitBlob(BODY) },
    ] as const;
    const seen: (number | undefined)[][] = [];
    const got = await get(fileAt('/net.onnx', { claims }), { onProgress: (done, total) => seen.push([done, total]) });
    expect(got).toMatchObject({ size: BODY.length, digest: `sha256:${sha(BODY)}`, path: 'net.onnx' });
    expect(checkClaims(got).map((claim) => claim.matched)).toEqual([true, true, false, true]);
    expect(await cached(BODY)).toBe(sha(BODY));
    expect(seen[0]).toEqual([0, BODY.length]);
    expect(seen.at(-1)).toEqual([BODY.length, BODY.length]);
    expect(leftParts()).toEqual([]);
    expect(server.requests[0].headers).toMatchObject({ 'accept-encoding': 'identity', 'user-agent': 'secateur (zoo)' });
    expect(server.requests[0].headers).not.toHaveProperty('range');
  });

  it('takes an empty file, chunks, and a body whose end is the end of the connection', async () => {
    server.put('/empty', '');
    expect((await get(fileAt('/empty'))).size).toBe(0);
    server.put('/net', BODY);
    server.once('/net', { chunked: true }, { unsized: true });
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    server.put('/net2', OTHER);
    server.always('/net2', { unsized: true });
    expect((await get(fileAt('/net2'), { expect: expected(OTHER) })).digest).toBe(`sha256:${sha(OTHER)}`);
    expect(notes).toEqual([]);
    server.put('/net3', BODY.subarray(1));
    server.always('/net3', { unsized: true });
    await get(fileAt('/net3'));
    expect(notes).toEqual(['net.onnx: the server does not say how long it is, so one that was cut off on the way would look whole']);
  });

  it('is not made when the file is in the cache', async () => {
    server.put('/net', BODY);
    await get(fileAt('/net'));
    const claims = [
      { from: 'hf-lfs-oid', algorithm: 'sha256', value: sha(BODY) },
      { from: 'caffe-readme', algorithm: 'sha1', value: sha(BODY, 'sha1') },
    ] as const;
    const again = await get(fileAt('/elsewhere', { claims }), { offline: true });
    expect(checkClaims(again).every((claim) => claim.matched)).toBe(true);
    expect((await get(fileAt('/elsewhere'), { offline: true, expect: expected(BODY) })).size).toBe(BODY.length);
    expect(server.requests.length).toBe(1);
  });

  it('is made anew when the copy in the cache was damaged', async () => {
    server.put('/net', BODY);
    await get(fileAt('/net'));
    const path = (await cache.find(`sha256:${sha(BODY)}`))!;
    writeFileSync(path, OTHER);
    expect((await get(fileAt('/net'), { expect: expected(BODY) })).digest).toBe(`sha256:${sha(BODY)}`);
    expect(await cached(BODY)).toBe(sha(BODY));
    expect(notes).toEqual(['net.onnx: the copy in the cache was damaged and is put aside; it is fetched anew']);
  });

  it('is refused offline and without TLS', async () => {
    expect(await told(() => get(fileAt('/net?token=secret', { path: 'a/net.onnx' }), { offline: true, name: 'digits' }))).toBe(
      `1 E_OFFLINE digits: a/net.onnx: this has to be fetched, and nothing may be, got ${server.url}/net?.... Try without --offline once; then it is in the cache.`,
    );
    expect(await told(() => get(fileAt('/net'), { allowHttp: false }))).toBe(
      `2 E_HTTP ${server.url}/net: http:// is not fetched: whoever sits on the way can change the file, expected https://. Try the same address with https://, or --allow-http if the bytes are checked by other means.`,
    );
    expect(server.requests).toEqual([]);
  });

  it('of one file by two at once is one download', async () => {
    server.put('/net', BODY);
    const o = { expect: expected(BODY) };
    await Promise.all([get(fileAt('/net'), o), get(fileAt('/net'), o), get(fileAt('/net'), o)]);
    expect(server.requests.length).toBe(1);
  });
});

describe('other bytes than those of the lock', () => {
  const lead = (): string =>
    `3 E_INTEGRITY resnet50: net.onnx is not the file in models.lock, expected sha256:${sha(BODY)} (300000 bytes), got `;
  const end =
    ". Try 'secateur zoo diff resnet50' to see what changed: the publisher may have replaced the file, or the download was altered; nothing was installed.";
  const o = { expect: expected(BODY), name: 'resnet50' };

  it('of the same length are kept aside and told', async () => {
    server.put('/net', OTHER);
    const text = await told(() => get(fileAt('/net'), o));
    const kept = join(cache.root, 'rejected', sha(OTHER));
    expect(text).toBe(`${lead()}sha256:${sha(OTHER)} (300000 bytes) from ${server.url}/net, kept as ${kept}${end}`);
    expect(sha(readFileSync(kept))).toBe(sha(OTHER));
    expect(text).not.toMatch(/again|retry|rename/i);
    expect(await cache.find(`sha256:${sha(OTHER)}`)).toBeUndefined();
    expect(leftParts()).toEqual([]);
    expect(server.requests.length).toBe(1);
  });

  it('of another length are not even fetched', async () => {
    server.put('/net', 'a login page', { headers: { 'content-type': 'text/html' } });
    expect(await told(() => get(fileAt('/net'), o))).toBe(
      `${lead()}12 bytes of text/html from ${server.url}/net, which were not fetched${end}`,
    );
  });

  it('without end are cut off where the file would end', async () => {
    server.put('/net', BODY);
    server.always('/net', { endless: true });
    expect(await told(() => get(fileAt('/net'), o))).toBe(`${lead()}more from ${server.url}/net, where the download was stopped${end}`);
  });

  it('that end too soon, and say so, are told with their length', async () => {
    server.put('/net', BODY.subarray(0, 1000));
    server.always('/net', { chunked: true });
    expect(await told(() => get(fileAt('/net'), o))).toBe(`${lead()}1000 bytes from ${server.url}/net${end}`);
    expect(leftParts()).toEqual([]);
  });

  it('on this machine are told with their path', async () => {
    const path = join(folder, 'net.onnx');
    writeFileSync(path, OTHER);
    const text = await told(() => get({ path: 'net.onnx', url: pathToFileURL(path).href, claims: [] }, o));
    expect(text).toBe(`${lead()}sha256:${sha(OTHER)} (300000 bytes) at ${path}${end}`);
    expect(leftParts()).toEqual([]);
    writeFileSync(path, 'short');
    expect(await told(() => get({ path: 'net.onnx', url: pathToFileURL(path).href, claims: [] }, o))).toBe(
      `${lead()}5 bytes at ${path}, which were not read${end}`,
    );
  });
});

describe('other bytes than the source says', () => {
  it('are refused by their length', async () => {
    server.put('/net', BODY);
    expect(await told(() => get(fileAt('/net', { size: 299_999 })))).toBe(
      `3 E_SIZE net.onnx: not as long as the source says it is, expected 299999 bytes, got 300000 bytes of application/octet-stream from ${server.url}/net, which were not fetched.`,
    );
    server.always('/net', { chunked: true });
    expect(await told(() => get(fileAt('/net', { size: 299_999 })))).toBe(
      `3 E_SIZE net.onnx: not as long as the source says it is, expected 299999 bytes, got more from ${server.url}/net, where the download was stopped.`,
    );
    expect(await told(() => get(fileAt('/net', { size: 300_001 }), { name: 'digits' }))).toBe(
      `3 E_SIZE digits: net.onnx: not as long as the source says it is, expected 300001 bytes, got 300000 bytes from ${server.url}/net.`,
    );
  });

  it('and of a length that nobody takes are refused', async () => {
    server.put('/net', BODY);
    expect(await told(() => get(fileAt('/net'), { maxBytes: 1000 }))).toBe(
      `1 E_SIZE net.onnx: longer than is taken, expected at most 1000 bytes, got 300000 bytes of application/octet-stream from ${server.url}/net, which were not fetched.`,
    );
    server.always('/net', { endless: true });
    expect(await told(() => get(fileAt('/net'), { maxBytes: 1_000_000 }))).toBe(
      `1 E_SIZE net.onnx: longer than is taken, expected at most 1000000 bytes, got more from ${server.url}/net, where the download was stopped.`,
    );
    // A server that fills the disk does not leave it full.
    expect(leftParts()).toEqual([]);
  });

  it('by a published hash are a claim that does not hold', async () => {
    server.put('/net', BODY);
    const claims = [{ from: 'caffe-readme', algorithm: 'sha1', value: sha(OTHER, 'sha1') }] as const;
    const got = await get(fileAt('/net?sig=secret', { claims }));
    const checked = checkClaims(got);
    expect(checked).toEqual([{ ...claims[0], matched: false }]);
    expect(await told(() => requireClaims('digits: net.onnx', got, checked))).toBe(
      `3 E_CLAIM digits: net.onnx: not the file that its readme.md speaks of, expected sha1 ${sha(OTHER, 'sha1')}, got sha1 ${sha(BODY, 'sha1')} (300000 bytes) from ${server.url}/net?.... ` +
        'Try to ask the publisher which of the two is wrong; nothing was installed (--accept-claim-mismatch takes the file and writes down that it does not match).',
    );
    requireClaims('digits: net.onnx', got, checked, { accept: true, onNote: (text) => notes.push(text) });
    expect(notes).toEqual([
      `digits: net.onnx: not the file that its readme.md speaks of: sha1 ${sha(OTHER, 'sha1')} there, ${sha(BODY, 'sha1')} here`,
    ]);
  });

  it("by the user's own hash cannot be taken", async () => {
    server.put('/net', BODY);
    const claims = [{ from: 'user', algorithm: 'sha256', value: sha(OTHER) }] as const;
    const got = await get(fileAt('/net', { claims }));
    expect(await told(() => requireClaims('digits: net.onnx', got, checkClaims(got), { accept: true }))).toBe(
      `3 E_CLAIM digits: net.onnx: not the file that you (--sha256) speaks of, expected sha256 ${sha(OTHER)}, got sha256 ${sha(BODY)} (300000 bytes) from ${server.url}/net. Try to find out who is right before using the file; nothing was installed.`,
    );
  });
});

const CHANGED = 'the file has changed since';
/** Ranges without a look at If-Range. */
const serveParts = (path: string, body: Buffer, headers: Record<string, string>): void =>
  server.on(path, (request, response) => {
    const start = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
    const range = start === undefined ? {} : { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` };
    response.writeHead(start === undefined ? 200 : 206, { ...headers, ...range }).end(body.subarray(Number(start ?? 0)));
  });

describe('a download that was begun', () => {
  const ask = (at = 1): string | undefined => server.asked('/net')[at]?.headers.range;

  it('goes on where the connection broke, under the condition that the file is the same', async () => {
    server.put('/net', BODY, { etag: '"v1"' });
    server.once('/net', { cut: 100_000 }, { cut: 50_000 });
    const got = await get(fileAt('/net', { claims: [{ from: 'x', algorithm: 'sha1', value: sha(BODY, 'sha1') }] }));
    expect(got.hashes).toEqual({ sha256: sha(BODY), sha1: sha(BODY, 'sha1') });
    const ranges = server.asked('/net').map(({ headers }) => [headers.range, headers['if-range']]);
    expect(ranges).toEqual([
      [undefined, undefined],
      ['bytes=100000-', '"v1"'],
      ['bytes=150000-', '"v1"'],
    ]);
    expect(notes).toEqual(Array(2).fill(`${host()}: the connection was closed before the end; again in 0 s`));
  });

  it('goes on in another process, hashing what is there', async () => {
    server.put('/net', BODY);
    await breakAt('/net', 200_000);
    expect(leftParts().length).toBe(2);
    const got = await get(fileAt('/net'));
    expect(got.digest).toBe(`sha256:${sha(BODY)}`);
    expect(ask()).toBe('bytes=200000-');
    expect(leftParts()).toEqual([]);
  });

  it('goes on by the date where there is no ETag, but not if the file was written in the same second', async () => {
    const lastModified = 'Sat, 01 Nov 2025 10:00:00 GMT';
    server.put('/net', BODY, { etag: false, lastModified });
    await breakAt('/net', 1000);
    await get(fileAt('/net'));
    expect(server.asked('/net')[1].headers).toMatchObject({ range: 'bytes=1000-', 'if-range': lastModified });
    server.put('/now', BODY, { etag: false, lastModified: new Date(Date.now() + 60_000).toUTCString() });
    await breakAt('/now', 1000);
    await get(fileAt('/now'));
    expect(server.asked('/now')[1].headers).not.toHaveProperty('range');
  });

  it('starts over where nothing can tell whether it is the same, unless a hash will', async () => {
    server.put('/net', BODY, { etag: 'W/"weak"' });
    await breakAt('/net', 1000);
    await breakAt('/net', 1000);
    expect(ask()).toBeUndefined();
    await get(fileAt('/net'), { expect: expected(BODY) });
    expect(server.asked('/net')[2].headers).toMatchObject({ range: 'bytes=1000-' });
    expect(server.asked('/net')[2].headers).not.toHaveProperty('if-range');
  });

  it('starts over what is from before this machine was started, unless a hash will tell', async () => {
    server.put('/net', BODY, { etag: '"v1"' });
    const part = cache.partPath(`${server.url}/net`);
    for (const o of [{}, { expect: expected(BODY) }]) {
      // As a power cut leaves it: the length is right, the bytes never reached the disk.
      begin('/net', Buffer.alloc(1000), { etag: '"v1"', total: BODY.length });
      utimesSync(part, 1, 1);
      expect((await get(fileAt('/net'), o)).digest).toBe(`sha256:${sha(BODY)}`);
      rmSync((await cache.find(`sha256:${sha(BODY)}`))!);
    }
    expect(server.requests.map((r) => r.headers.range)).toEqual([undefined, 'bytes=1000-', undefined]);
  });

  it('starts over when the file has changed, by ETag and 200', async () => {
    server.put('/net', OTHER, { etag: '"v1"' });
    await breakAt('/net', 100_000);
    server.put('/net', BODY, { etag: '"v2"' });
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    expect(server.asked('/net').length).toBe(2);
    expect(notes).toEqual(['net.onnx: the server sends it from the start again']);
  });

  it('starts over when the answer is of another version all the same', async () => {
    server.put('/net', BODY, { etag: '"v2"' });
    begin('/net', OTHER.subarray(0, 1000), { lastModified: '"v2"', etag: undefined, total: 299_000 });
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    expect(notes).toEqual(['net.onnx: the file has changed since; fetched from the start']);
  });

  it.each<[string, Record<string, unknown>, Record<string, string>, string]>([
    ['another date', { lastModified: 'Sat, 01 Nov 2025 10:00:00 GMT' }, { 'last-modified': 'Sun, 02 Nov 2025 10:00:00 GMT' }, CHANGED],
    ['another ETag', { etag: '"v1"' }, { etag: '"v2"' }, CHANGED],
    ['no ETag any more', { etag: '"v1"' }, {}, 'the server does not say of which version the part is that it sends'],
    ['a weak ETag now', { etag: '"v1"' }, { etag: 'W/"v1"' }, 'the server does not say of which version the part is that it sends'],
  ])('starts over where a server that does not know If-Range sends a part with %s', async (_, origin, headers, reason) => {
    serveParts('/net', BODY, headers);
    begin('/net', OTHER.subarray(0, 1000), { ...origin, total: BODY.length });
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    expect(notes).toEqual([`net.onnx: ${reason}; fetched from the start`]);
  });

  it('goes on all the same where a hash will tell', async () => {
    serveParts('/net', BODY, {});
    begin('/net', BODY.subarray(0, 1000), { etag: '"v1"', total: BODY.length });
    await get(fileAt('/net'), { expect: expected(BODY) });
    expect(server.requests.map((r) => r.headers.range)).toEqual(['bytes=1000-']);
  });

  it('is not whole where a part without a length ends early', async () => {
    server.put('/net', BODY, { etag: '"v1"' });
    begin('/net', BODY.subarray(0, 1000), { etag: '"v1"', total: BODY.length });
    const head = `HTTP/1.1 206 OK\r\netag: "v1"\r\ncontent-range: bytes 1000-299999/300000\r\nconnection: close\r\n\r\n`;
    let asked = 0;
    server.on('/net', (request, response) => {
      const start = Number(/\d+/.exec(request.headers.range ?? '0')?.[0]);
      if (asked++ === 0) request.socket.end(Buffer.concat([Buffer.from(head), BODY.subarray(1000, 2000)]));
      else response.writeHead(206, { etag: '"v1"', 'content-range': `bytes ${start}-299999/300000` }).end(BODY.subarray(start));
    });
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    expect(server.requests.map((r) => r.headers.range)).toEqual(['bytes=1000-', 'bytes=2000-']);
  });

  it('starts over where a part is longer than it says', async () => {
    begin('/net', BODY.subarray(0, 1000), { etag: '"v1"', total: BODY.length });
    server.on('/net', (request, response) => {
      if (request.headers.range === undefined) response.writeHead(200, { etag: '"v1"' }).end(BODY);
      else response.writeHead(206, { etag: '"v1"', 'content-range': 'bytes 1000-299999/300000' }).end(BODY);
    });
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    expect(notes).toEqual([`${host()}: the answer is longer than it says; again in 0 s`]);
  });

  it('takes a 200 to a range for the whole file', async () => {
    server.put('/net', BODY);
    await breakAt('/net', 100_000);
    server.once('/net', { ignoreRange: true });
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    expect(server.asked('/net').length).toBe(2);
  });

  it.each([
    [{ wrongRange: true } as const, 'the server sends another part of the file than was asked for (bytes 99993-299999/300000)'],
    [{ namelessRange: true } as const, 'the server does not say which part of the file it sends'],
  ])('does not take %j', async (behaviour, reason) => {
    server.put('/net', BODY);
    await breakAt('/net', 100_000);
    server.once('/net', behaviour);
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    expect(notes).toEqual([`net.onnx: ${reason}; fetched from the start`]);
    expect(server.asked('/net')[2].headers).not.toHaveProperty('range');
  });

  it('does not take a range that nobody asked for', async () => {
    server.put('/net', BODY);
    server.once('/net', { uncalledRange: true });
    expect(await told(() => get(fileAt('/net')))).toBe(
      `1 E_RANGE net.onnx: the server answers as if a part of the file had been asked for, expected 200, got 206 from ${server.url}/net.`,
    );
  });

  it('is whole already: 416 for what lies behind its last byte', async () => {
    server.put('/net', BODY, { etag: '"v1"' });
    begin('/net', BODY, { etag: '"v1"', total: BODY.length });
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    expect(server.requests.map((r) => r.headers.range)).toEqual(['bytes=300000-']);
  });

  it('starts over where the file has become shorter', async () => {
    server.put('/net', BODY, { etag: '"v1"' });
    begin('/net', Buffer.concat([BODY, OTHER]), { etag: '"v1"' });
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    expect(server.requests.map((r) => r.headers.range)).toEqual(['bytes=600000-', undefined]);
  });

  it('is fetched once more from the start before anybody is accused, if what was there was damaged', async () => {
    server.put('/net', BODY, { etag: '"v1"' });
    begin('/net', OTHER.subarray(0, 1000), { etag: '"v1"', total: BODY.length });
    expect((await get(fileAt('/net'), { expect: expected(BODY) })).digest).toBe(`sha256:${sha(BODY)}`);
    expect(notes).toEqual(['net.onnx: what was there does not fit what came after it; fetched from the start']);
    expect(existsSync(join(cache.root, 'rejected', sha(BODY)))).toBe(false);
  });

  it.each(['', '{', '[]', 'null', '{"url": 5}', '{"url":"https://elsewhere"}', '{"etag":"\\"v1\\""}'])(
    'is not gone on from where its notes are damaged or of another address: %s',
    async (text) => {
      server.put('/net', BODY);
      begin('/net', OTHER.subarray(0, 1000));
      writeFileSync(`${cache.partPath(`${server.url}/net`)}.json`, text);
      expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
      expect(server.requests.map((r) => r.headers.range)).toEqual([undefined]);
    },
  );
});

describe('a server', () => {
  it('that stalls, in the head or in the body, is asked again and gone on from', async () => {
    server.put('/net', BODY);
    server.once('/net', { silent: true }, { stall: 150_000 });
    expect((await get(fileAt('/net'), { stallMs: 300 })).digest).toBe(`sha256:${sha(BODY)}`);
    expect(server.asked('/net').map((r) => r.headers.range)).toEqual([undefined, undefined, 'bytes=150000-']);
    expect(notes).toEqual(Array(2).fill(`${host()}: nothing came for 0.3 s; again in 0 s`));
  });

  it('that fails for a while is asked again, after the time that it names', async () => {
    server.put('/net', BODY);
    server.once('/net', { status: 503, headers: { 'retry-after': '0' } }, { status: 429 }, { reset: true });
    expect((await get(fileAt('/net'), { retries: 3 })).digest).toBe(`sha256:${sha(BODY)}`);
    expect(notes).toEqual([
      `${host()}: the server cannot answer; again in 0 s`,
      `${host()}: too many requests; again in 0 s`,
      expect.stringMatching(/^.*: (the connection was reset|the connection was closed before the end); again in 0 s$/),
    ]);
  });

  it('that never gets further is given up, and what came is kept', async () => {
    server.put('/net', BODY);
    server.always('/net', { cut: 0 });
    expect(await told(() => get(fileAt('/net')))).toBe(
      `1 E_NETWORK ${host()}: the connection was closed before the end (3 attempts), got ${server.url}/net. Try again later; what was downloaded is kept and is gone on from.`,
    );
  });

  it('that brings something each time is not given up', async () => {
    const long = made(600_000, 3);
    server.put('/net', long);
    server.once('/net', ...Array.from({ length: 7 }, () => ({ cut: 80_000 })));
    expect((await get(fileAt('/net'), { retries: 1 })).digest).toBe(`sha256:${sha(long)}`);
  });

  it('that sends fewer bytes than it says is not believed', async () => {
    server.put('/net', BODY);
    server.always('/net', { length: 300_100 });
    expect(await told(() => get(fileAt('/net'), { stallMs: 300, retries: 1 }))).toBe(
      `1 E_NETWORK ${host()}: nothing came for 0.3 s (2 attempts), got ${server.url}/net. Try again later; what was downloaded is kept and is gone on from.`,
    );
    expect(notes.at(-1)).toBe('net.onnx: the file has changed since; fetched from the start');
    expect(await cache.find(`sha256:${sha(BODY)}`)).toBeUndefined();
  });

  it('that sends more bytes than it says is taken at its word, which is not that of the lock', async () => {
    server.put('/net', BODY);
    server.always('/net', { length: 1000 });
    expect(await told(() => get(fileAt('/net'), { expect: expected(BODY) }))).toContain('got 1000 bytes of application/octet-stream from');
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY.subarray(0, 1000))}`);
  });

  it('that packs the bytes is refused', async () => {
    server.put('/net', BODY);
    for (const [behaviour, name] of [
      [{ gzip: true }, 'gzip'],
      [{ encoding: 'br, gzip' }, 'br, gzip'],
    ] as const) {
      server.once('/net', behaviour);
      expect(await told(() => get(fileAt('/net'), { name: 'digits' }))).toBe(
        `1 E_ENCODING digits: the server sends other bytes than the file, packed, although it was asked not to, expected Content-Encoding: identity, got ${name} from ${server.url}/net.`,
      );
    }
    server.once('/net', { encoding: 'identity' });
    expect((await get(fileAt('/net'))).size).toBe(BODY.length);
  });

  it('that has no such file, or not for everybody, is not asked twice', async () => {
    expect(await told(() => get(fileAt('/net')))).toBe(
      `1 E_NOT_FOUND ${host()}: there is no such file or model, got 404 from ${server.url}/net. Try the address in a browser.`,
    );
    server.once('/net', { status: 403 }, { status: 418 });
    expect(await told(() => get(fileAt('/net')))).toBe(
      `1 E_FORBIDDEN ${host()}: the server does not let everybody read this, got 403 from ${server.url}/net. Try the address in a browser.`,
    );
    expect(await told(() => get(fileAt('/net')))).toBe(
      `1 E_NETWORK ${host()}: the server answers with a status that brings no file, expected 200, got 418 from ${server.url}/net.`,
    );
    expect(server.requests.length).toBe(3);
  });

  it('that is not there is told as such', async () => {
    await server.close();
    expect(await told(() => get(fileAt('/net'), { retries: 1 }))).toBe(
      `1 E_NETWORK ${host()}: nobody answers there (connection refused) (2 attempts), got ${server.url}/net. Try again later; what was downloaded is kept and is gone on from.`,
    );
    server = await startServer();
  });
});

describe('an interruption', () => {
  it.runIf(process.platform !== 'win32')('by SIGKILL leaves what came, and the next process goes on from there', async () => {
    server.put('/net', BODY);
    server.once('/net', { stall: 150_000 });
    const script = join(import.meta.dirname, 'fetch-child.ts');
    const child = spawn(process.execPath, ['--import', 'tsx', script, `${server.url}/net`, cache.root], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    await new Promise<void>((done) => {
      child.stdout.on('data', (text) => {
        said += text;
        if (said.includes('150000 bytes')) done();
      });
      child.once('exit', () => done());
    });
    child.kill('SIGKILL');
    await new Promise((done) => child.once('exit', done));
    expect(leftParts().length).toBe(3);
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    expect(server.asked('/net').map((r) => r.headers.range)).toEqual([undefined, 'bytes=150000-']);
    expect(leftParts()).toEqual([]);
  });

  it('keeps what came, for the next run', async () => {
    server.put('/net', BODY);
    server.once('/net', { stall: 100_000 });
    const stop = new AbortController();
    const onProgress = (done: number): void => {
      if (done >= 100_000) stop.abort();
    };
    expect(await told(() => get(fileAt('/net'), { signal: stop.signal, onProgress, stallMs: 20_000 }))).toBe(
      `130 ${host()}: interrupted; what was downloaded is kept, and the next run goes on from there.`,
    );
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    expect(server.asked('/net')[1].headers.range).toBe('bytes=100000-');
  });

  it('ends the wait between two attempts', async () => {
    server.always('/net', { status: 503 });
    const stop = new AbortController();
    const onNote = (): void => stop.abort();
    expect(await told(() => get(fileAt('/net'), { signal: stop.signal, onNote, backoffMs: 50_000 }))).toBe(
      `130 ${host()}: interrupted; what was downloaded is kept, and the next run goes on from there.`,
    );
  });
});

describe('a disk', () => {
  it('without room for the file is told before the first byte', async () => {
    server.put('/net', BODY);
    server.always('/net', { length: 2 ** 52 });
    const says = await told(() => get(fileAt('/net'), { maxBytes: 2 ** 62 }));
    expect(says.replace(/got \d+ bytes/, 'got N bytes')).toBe(
      `1 E_DISK ${join(cache.root, 'parts')}: there is not enough room on the disk, expected 4503599627370496 bytes, got N bytes. Try SECATEUR_CACHE=... for a cache on another disk; nothing was fetched.`,
    );
    expect(leftParts()).toEqual([]);
  });

  it.runIf(existsSync('/dev/full'))('that is full is told as such', async () => {
    const handle = await open('/dev/full', 'w');
    expect(await told(() => writeAll(handle, BODY, 7, '/cache/x.part'))).toBe(
      '1 E_DISK /cache/x.part: cannot be written after 7 bytes, got the disk is full (ENOSPC). Try again after making room.',
    );
    await handle.close();
  });
});

describe('in a cache that others can write to', () => {
  it('nothing is written through a link, or into a file with a second name, that stands in the place of a download', async () => {
    server.put('/net', BODY);
    const part = cache.partPath(`${server.url}/net`);
    const mine = join(folder, 'mine');
    for (const [put, at] of [
      [symlinkSync, part],
      [linkSync, part],
      [symlinkSync, `${part}.json`],
    ] as const) {
      writeFileSync(mine, BODY.subarray(0, 1000));
      // Notes that fit, as whoever wants us to go on there would write them.
      begin('/net', BODY.subarray(0, 1000), { etag: etagOf(BODY), total: BODY.length });
      rmSync(at);
      put(mine, at);
      expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
      expect(readFileSync(mine).equals(BODY.subarray(0, 1000))).toBe(true);
      expect(await cached(BODY)).toBe(sha(BODY));
      expect(leftParts()).toEqual([]);
    }
  });

  it('a pipe in its place, or in that of the notes, does not make us wait', async () => {
    server.put('/net', BODY);
    const part = cache.partPath(`${server.url}/net`);
    execFileSync('mkfifo', [part, `${part}.json`]);
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
    begin('/net', BODY.subarray(0, 1000));
    rmSync(`${part}.json`);
    execFileSync('mkfifo', [`${part}.json`]);
    expect((await get(fileAt('/net'))).digest).toBe(`sha256:${sha(BODY)}`);
  });
});
