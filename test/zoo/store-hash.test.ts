import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, symlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Digester, hashFile } from '../../src/zoo/store/hash.node.ts';
import { message, put, scratch, sha } from './store-files.ts';

const hex = (algorithm: string, bytes: Uint8Array): string => createHash(algorithm).update(bytes).digest('hex');

describe('hashes of a stream', () => {
  it('are those of all bytes, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (pieces) => {
        const whole = Buffer.concat(pieces);
        const digester = new Digester({ algorithms: ['sha1', 'md5', 'git-blob'], size: whole.length });
        for (const piece of pieces) digester.update(piece);
        expect(digester.result()).toEqual({
          size: whole.length,
          digest: sha(whole),
          hashes: {
            sha256: hex('sha256', whole),
            sha1: hex('sha1', whole),
            md5: hex('md5', whole),
            'git-blob': hex('sha1', Buffer.concat([Buffer.from(`blob ${whole.length}\0`), whole])),
          },
        });
      }),
    );
  });

  it('git-blob is the name that Git gives', () => {
    // printf 'hello\n' | git hash-object --stdin
    expect(new Digester({ algorithms: ['git-blob'], size: 6 }).update(Buffer.from('hello\n')).result().hashes['git-blob']).toBe(
      'ce013625030ba8dba906f756967f9e9ca394464a',
    );
  });

  it('git-blob needs the size, and the right one', () => {
    expect(() => new Digester({ algorithms: ['git-blob'] })).toThrow(
      'E_SIZE hash: a git-blob hash begins with the size, expected a known size, got none.',
    );
    expect(() => new Digester({ algorithms: ['git-blob'], size: 3 }).update(Buffer.from('ab')).result()).toThrow(
      'E_SIZE hash: a git-blob hash begins with the size, expected 3 bytes, got 2 bytes.',
    );
  });
});

describe('hashes of a file', () => {
  it.each([0, 1, 1 << 20, (1 << 20) + 1, 3_500_000])('of %i bytes are those of openssl', async (size) => {
    const bytes = new Uint8Array(size).map((_, i) => (i * 31 + (i >> 8)) & 255);
    const path = put(join(scratch(), 'f'), bytes);
    const seen: number[] = [];
    const found = await hashFile(path, { algorithms: ['sha1', 'git-blob'], onBytes: (n) => seen.push(n) });
    const openssl = (name: string): string =>
      execFileSync('openssl', ['dgst', `-${name}`, '-r', path], { encoding: 'utf8' }).slice(0, name === 'sha1' ? 40 : 64);
    expect(found).toEqual({
      size,
      digest: `sha256:${openssl('sha256')}`,
      hashes: {
        sha256: openssl('sha256'),
        sha1: openssl('sha1'),
        'git-blob': hex('sha1', Buffer.concat([Buffer.from(`blob ${size}\0`), bytes])),
      },
    });
    expect(seen.reduce((a, b) => a + b, 0)).toBe(size);
  });

  it('of an open handle: from the start, and its position stays', async () => {
    const handle = await open(put(join(scratch(), 'f'), 'abcdef'));
    await handle.read(Buffer.alloc(2), 0, 2);
    expect((await hashFile(handle)).digest).toBe(sha('abcdef'));
    const rest = Buffer.alloc(4);
    await handle.read(rest, 0, 4);
    expect(rest.toString()).toBe('cdef');
    await handle.close();
  });

  it('nothing that is no regular file is read', async () => {
    const folder = scratch();
    const target = put(join(folder, 'f'), 'x');
    symlinkSync(target, join(folder, 'link'));
    symlinkSync('loop', join(folder, 'loop'));
    mkdirSync(join(folder, 'sub'));
    // A reader of a pipe waits for a writer unless it takes care.
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const server = createServer().listen(join(folder, 'socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    const told = async (name: string): Promise<string> => message(hashFile(join(folder, name)));
    const refused = (name: string, got: string): string =>
      `E_NOT_A_FILE ${join(folder, name)}: cannot be used, expected a regular file, got ${got}.`;
    expect(await told('link')).toBe(refused('link', 'a symbolic link'));
    expect(await told('loop')).toBe(refused('loop', 'a symbolic link'));
    expect(await told('sub')).toBe(refused('sub', 'a folder'));
    expect(await told('pipe')).toBe(refused('pipe', 'a pipe'));
    expect(await told('socket')).toBe(refused('socket', 'a socket or a device'));
    expect(await message(hashFile('/dev/zero'))).toBe('E_NOT_A_FILE /dev/zero: cannot be used, expected a regular file, got a device.');
    expect(await told('none')).toBe(`E_DISK ${join(folder, 'none')}: cannot be opened, got it is not there (ENOENT).`);
    expect(await told('f/x')).toBe(`E_DISK ${join(folder, 'f/x')}: cannot be opened, got a part of the path is no folder (ENOTDIR).`);
    server.close();
  });

  it('stops when it is told to', async () => {
    const path = put(join(scratch(), 'f'), new Uint8Array(3 << 20));
    const stop = new AbortController();
    let pieces = 0;
    const hashing = hashFile(path, {
      signal: stop.signal,
      onBytes: () => {
        pieces++;
        stop.abort(new Error('stopped'));
      },
    });
    expect(await message(hashing)).toBe('stopped');
    expect(pieces).toBe(1);
  });
});
