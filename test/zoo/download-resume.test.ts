import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  BODY,
  begin,
  breakAt,
  cache,
  cached,
  expected,
  fileAt,
  folder,
  get,
  host,
  leftParts,
  notes,
  OTHER,
  server,
  sha,
} from './downloads.ts';
import { etagOf } from './server.ts';
import { told } from './told.ts';

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
