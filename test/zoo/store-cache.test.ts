import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCache } from '../../src/zoo/store/cache.node.ts';
import { copyHashed, pour } from '../../src/zoo/store/copy.node.ts';
import { diskFailure } from '../../src/zoo/store/disk.node.ts';
import type { Sha256 } from '../../src/zoo/types.ts';
import { emptyCache, message, put, scratch, sha } from './store-files.ts';

const hex = (digest: Sha256): string => digest.slice(7);

describe('the cache', () => {
  it('takes a download in and finds it by hash', async () => {
    const cache = await emptyCache();
    const part = put(cache.partPath('https://x/y 1'), 'bytes');
    const path = await cache.accept(part, sha('bytes'), 5);
    expect(path).toBe(join(cache.root, 'sha256', hex(sha('bytes')).slice(0, 2), hex(sha('bytes')).slice(2)));
    expect(readFileSync(path, 'utf8')).toBe('bytes');
    expect(existsSync(part)).toBe(false);
    expect(await cache.find(sha('bytes'))).toBe(path);
    expect(await cache.find(sha('bytes'), 5)).toBe(path);
    expect(await cache.find(sha('other'))).toBeUndefined();
  });

  it('two that bring the same at once are both served', async () => {
    const cache = await emptyCache();
    const parts = Array.from({ length: 8 }, (_, i) => put(join(cache.root, 'parts', `${i}.part`), 'same bytes'));
    const paths = await Promise.all(parts.map((part) => cache.accept(part, sha('same bytes'), 10)));
    expect(new Set(paths).size).toBe(1);
    expect(readFileSync(paths[0], 'utf8')).toBe('same bytes');
    expect(readdirSync(join(cache.root, 'parts'))).toEqual([]);
  });

  it('a file of another size is put aside instead of found', async () => {
    const cache = await emptyCache();
    const path = await cache.accept(put(cache.partPath('k'), 'bytes'), sha('bytes'), 5);
    writeFileSync(path, 'byt');
    expect(await cache.find(sha('bytes'), 5)).toBeUndefined();
    expect(existsSync(path)).toBe(false);
    expect(readFileSync(join(cache.root, 'rejected', `${hex(sha('bytes'))}.damaged`), 'utf8')).toBe('byt');
    expect(await cache.accept(put(cache.partPath('k'), 'bytes'), sha('bytes'), 5)).toBe(path);
  });

  it('is not put aside for one who is wrong about its size', async () => {
    const cache = await emptyCache();
    const path = await cache.accept(put(cache.partPath('k'), 'bytes'), sha('bytes'), 5);
    expect(await cache.find(sha('bytes'), 6)).toBeUndefined();
    expect(await cache.find(sha('bytes'), 5)).toBe(path);
  });

  it('takes what was just hashed in place of what may have been damaged', async () => {
    const cache = await emptyCache();
    const path = await cache.accept(put(cache.partPath('k'), 'bytes'), sha('bytes'), 5);
    writeFileSync(path, 'bytex');
    expect(await cache.accept(put(cache.partPath('k'), 'bytes'), sha('bytes'), 5)).toBe(path);
    expect(readFileSync(path, 'utf8')).toBe('bytes');
  });

  it('a link in the place of a file is not followed', async () => {
    const cache = await emptyCache();
    const path = await cache.accept(put(cache.partPath('k'), 'bytes'), sha('bytes'), 5);
    rmSync(path);
    symlinkSync('/etc/hostname', path);
    expect(await cache.find(sha('bytes'))).toBeUndefined();
    expect(existsSync(path)).toBe(false);
  });

  it('does not take what changed after it was hashed', async () => {
    const cache = await emptyCache();
    const part = put(cache.partPath('k'), 'bytes and more');
    expect(await message(cache.accept(part, sha('bytes'), 5))).toBe(
      `E_SIZE ${part}: was changed while it was taken in, expected 5 bytes, got 14 bytes.`,
    );
    expect(await cache.find(sha('bytes'))).toBeUndefined();
  });

  it('what is no digest becomes no path', async () => {
    const cache = await emptyCache();
    for (const text of ['sha256:../../../etc/passwd', 'sha256:', `sha1:${'0'.repeat(40)}`, `sha256:${'A'.repeat(64)}`, '__proto__']) {
      expect(await message(cache.find(text as Sha256))).toBe(
        `E_DIGEST cache: not a digest, expected sha256: and 64 hex digits, got ${text}.`,
      );
    }
  });

  it('keys of downloads become plain names', async () => {
    const cache = await emptyCache();
    expect(cache.partPath('https://x/../../y?z#\0')).toMatch(/[/\\]parts[/\\][0-9a-f]{64}\.part$/);
    expect(cache.partPath('a')).not.toBe(cache.partPath('b'));
  });

  it('a download is written by one at a time', async () => {
    const cache = await emptyCache();
    const first = await cache.claimPart('k');
    writeFileSync(first.path, 'half');
    const told: string[] = [];
    const second = cache.claimPart('k', { onWait: (says) => told.push(says) });
    const other = await cache.claimPart('another key');
    await first.release();
    const claim = await second;
    expect(claim.path).toBe(first.path);
    expect(readFileSync(claim.path, 'utf8')).toBe('half');
    await claim.release();
    await other.release();
    expect(told).toEqual([`waiting for process ${process.pid}`]);
  });

  it('what is refused is kept under the hash that it has', async () => {
    const cache = await emptyCache();
    const part = put(cache.partPath('k'), 'evil');
    const kept = await cache.reject(part, sha('evil'));
    expect(kept).toBe(join(cache.root, 'rejected', hex(sha('evil'))));
    expect(existsSync(part)).toBe(false);
    const mine = put(join(scratch(), 'f'), 'evil');
    expect(await cache.keep(mine, sha('evil'))).toBe(kept);
    expect(readFileSync(mine, 'utf8')).toBe('evil');
    expect(readdirSync(join(cache.root, 'rejected'))).toEqual([hex(sha('evil'))]);
  });

  it('says why it cannot be made', async () => {
    const path = put(join(scratch(), 'f'), '');
    expect(await message(openCache(path))).toBe(`E_DISK ${path}: the cache cannot be made, got a part of the path is no folder (ENOTDIR).`);
  });
});

describe('copies', () => {
  it('have a life of their own: no link, no shared name', async () => {
    const folder = scratch();
    const from = put(join(folder, 'from'), 'bytes');
    const to = join(folder, 'to');
    expect(await copyHashed(from, to, { size: 5 })).toMatchObject({ size: 5, digest: sha('bytes') });
    writeFileSync(from, 'other');
    expect(readFileSync(to, 'utf8')).toBe('bytes');
    expect(execFileSync('stat', ['-c', '%h %F', to], { encoding: 'utf8' }).trim()).toBe('1 regular file');
  });

  it('never go over a file, end soon after the size, and leave nothing behind when stopped', async () => {
    const folder = scratch();
    const from = put(join(folder, 'from'), new Uint8Array(5 << 20));
    expect(await message(copyHashed(from, put(join(folder, 'there'), 'x'), { size: 1 }))).toMatch(
      /^E_DISK .*there: cannot be written, got EEXIST\.$/,
    );
    expect(readFileSync(join(folder, 'there'), 'utf8')).toBe('x');
    const stop = new AbortController();
    const copying = copyHashed(from, join(folder, 'to'), {
      size: 5 << 20,
      signal: stop.signal,
      onBytes: () => stop.abort(new Error('stopped')),
    });
    expect(await message(copying)).toBe('stopped');
    expect(existsSync(join(folder, 'to'))).toBe(false);
    expect((await copyHashed(from, join(folder, 'short'), { size: 10 })).size).toBeLessThan(5 << 20);
  });

  it('a full disk is told plainly', async () => {
    // /dev/full answers every write as a full disk does.
    const source = await open(put(join(scratch(), 'f'), 'bytes'));
    const full = await open('/dev/full', 'w');
    expect(await message(pour(source, 'f', full, 'models/x.onnx', { size: 5 }))).toBe(
      'E_DISK models/x.onnx: cannot be written, got the disk is full (ENOSPC). Try again after making room.',
    );
    await Promise.all([source.close(), full.close()]);
  });

  it('other errors are none of the disk', () => {
    expect(() => diskFailure(new TypeError('bug'), 'x', 'y')).toThrow(TypeError);
  });
});
