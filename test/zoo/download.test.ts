import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { checkClaims, requireClaims } from '../../src/zoo/fetch/claims.node.ts';
import { writeAll } from '../../src/zoo/fetch/write-all.node.ts';
import { BODY, cache, cached, expected, fileAt, folder, get, host, leftParts, made, notes, OTHER, server, sha } from './downloads.ts';
import { gitBlob } from './hub.ts';
import { told } from './told.ts';

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
      `2 E_HTTP ${server.url}/net: http:// is not fetched: whoever sits on the way can change the file, expected https://. Try the same address with https://, --sha256 with the hash of the file, or --allow-http if the bytes are checked by other means.`,
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

it.each(['file://host/x', 'file:///a%2Fb', 'file:///a%00b'])('what is no file of this machine is told: %s', async (url) => {
  expect(await told(() => get({ path: 'x', url, claims: [] }))).toBe(
    `1 E_SOURCE zoo: no address of a file on this machine, expected file:///path, got ${url}.`,
  );
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
      `3 E_CLAIM digits: net.onnx: not the file whose hash you gave, expected sha256 ${sha(OTHER)}, got sha256 ${sha(BODY)} (300000 bytes) from ${server.url}/net. Try to find out who is right before using the file; nothing was installed.`,
    );
  });
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
    server.always('/net', { cut: 1000 });
    expect(await told(() => get(fileAt('/net')))).toBe(
      `1 E_NETWORK ${host()}: the connection was closed before the end (3 attempts), got ${server.url}/net. Try again later; what was downloaded is kept, and the next try goes on from there.`,
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
      `1 E_NETWORK ${host()}: nothing came for 0.3 s (2 attempts), got ${server.url}/net. Try again later; what was downloaded is kept, and the next try goes on from there.`,
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
      `1 E_NETWORK ${host()}: nobody answers there (connection refused) (2 attempts), got ${server.url}/net. Try again later.`,
    );
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
