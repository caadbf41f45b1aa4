import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { openStamps } from '../../src/zoo/store/stamps.node.ts';
import { type FilesCheck, verifyFiles } from '../../src/zoo/store/verify-files.node.ts';
import type { LockedFile } from '../../src/zoo/types.ts';
import { filesOf, put, scratch, sha } from './store-files.ts';

const CONTENTS = { 'onnx/model.onnx': 'graph', 'onnx/a/weights.bin': 'weights', 'config.json': '{}' };
const RIGHT = { changed: [], missing: [], extra: [], linked: [], checked: 3, bytes: 14 };

let root: string;
let folder: string;
let files: LockedFile[];
const check = (o = {}): Promise<FilesCheck> => verifyFiles(folder, { files }, o);
const path = (name: string): string => join(folder, name);

beforeEach(() => {
  root = scratch();
  folder = join(root, 'models/net');
  files = filesOf(CONTENTS);
  for (const [name, text] of Object.entries(CONTENTS)) put(path(name), text);
});

describe('a folder against the lock', () => {
  it('right, with progress over all bytes', async () => {
    const seen: [number, number, string][] = [];
    expect(await check({ onBytes: (done: number, total: number, file: string) => seen.push([done, total, file]) })).toEqual(RIGHT);
    expect(seen.at(-1)).toEqual([14, 14, 'config.json']);
    expect(seen.map(([done]) => done)).toEqual([...seen.map(([done]) => done)].sort((a, b) => a - b));
  });

  it('other bytes, another size, missing, beside it', async () => {
    writeFileSync(path('onnx/model.onnx'), 'GRAPH');
    writeFileSync(path('config.json'), '{} ');
    rmSync(path('onnx/a'), { recursive: true });
    put(path('onnx/extra.bin'), 'x');
    put(path('notes/a/b.txt'), 'x');
    mkdirSync(path('empty'));
    symlinkSync('..', path('up'));
    expect(await check()).toEqual({
      changed: [
        {
          path: 'onnx/model.onnx',
          expected: sha('graph'),
          got: sha('GRAPH'),
          size: 5,
          says: `has other bytes: ${sha('GRAPH')}, locked is ${sha('graph')}`,
        },
        { path: 'config.json', expected: sha('{}'), size: 3, says: 'has 3 bytes, 2 are locked' },
      ],
      missing: ['onnx/a/weights.bin'],
      extra: ['empty/', 'notes/', 'onnx/extra.bin', 'up'],
      linked: [],
      checked: 2,
      bytes: 5,
    });
  });

  it('no folder at all', async () => {
    rmSync(folder, { recursive: true });
    expect(await check()).toEqual({ ...RIGHT, missing: Object.keys(CONTENTS), checked: 0, bytes: 0 });
    writeFileSync(folder, 'a file in its place');
    expect(await check()).toEqual({ ...RIGHT, missing: Object.keys(CONTENTS), checked: 0, bytes: 0 });
  });

  it('links are not followed, neither in the place of a file nor of a folder, whatever they lead to', async () => {
    const elsewhere = scratch();
    renameSync(path('config.json'), join(elsewhere, 'config.json'));
    symlinkSync(join(elsewhere, 'config.json'), path('config.json'));
    renameSync(path('onnx'), join(elsewhere, 'onnx'));
    symlinkSync(join(elsewhere, 'onnx'), path('onnx'));
    const found = await check();
    expect(found.changed.map((c) => [c.path, c.says])).toEqual([
      ['onnx/model.onnx', 'lies behind a symbolic link at onnx'],
      ['onnx/a/weights.bin', 'lies behind a symbolic link at onnx'],
      ['config.json', 'is a symbolic link'],
    ]);
    // The link is listed as what it is, and its loop is not walked.
    expect(found.extra).toEqual(['onnx']);
    expect(found.bytes).toBe(0);
  });

  it('a pipe, a folder, a loop of links in the place of a file', async () => {
    for (const name of Object.keys(CONTENTS)) rmSync(path(name));
    execFileSync('mkfifo', [path('config.json')]);
    mkdirSync(path('onnx/model.onnx'));
    symlinkSync('weights.bin', path('onnx/a/weights.bin'));
    expect((await check()).changed.map((c) => c.says)).toEqual(['is a folder', 'is a symbolic link', 'is a pipe']);
  });

  it('a second name of a file is told', async () => {
    linkSync(path('onnx/model.onnx'), join(root, 'second'));
    expect(await check()).toEqual({ ...RIGHT, linked: ['onnx/model.onnx'] });
    linkSync(path('config.json'), path('config.copy'));
    expect(await check()).toEqual({ ...RIGHT, linked: ['onnx/model.onnx', 'config.json'], extra: ['config.copy'] });
  });

  it('names that are no UTF-8, and names of one file that only look the same', async () => {
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x61, 0xff, 0x0a])]), 'x');
    mkdirSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xfe])]));
    put(path('caf\u00e9'), 'composed');
    files = [...files, ...filesOf({ 'cafe\u0301': 'decomposed' })];
    const found = await check();
    expect(found.missing).toEqual(['cafe\u0301']);
    expect(found.extra).toEqual(['\\xfe/', 'a\\xff\\x0a', 'caf\u00e9']);
  });

  it('ten thousand strangers are listed up to a thousand', async () => {
    for (let i = 0; i < 1200; i++) writeFileSync(path(`x${i}`), '');
    expect((await check()).extra).toHaveLength(1000);
  });

  it('a file that grows while it is read comes to an end', async () => {
    writeFileSync(path('config.json'), new Uint8Array(3 << 20));
    files = [{ ...files[2], path: 'config.json', size: 3 << 20, digest: sha(new Uint8Array(3 << 20)) }];
    const grow = (done: number): void => {
      if (done < 50 << 20) appendFileSync(path('config.json'), new Uint8Array(2 << 20));
    };
    const found = await check({ onBytes: grow });
    expect(found.changed).toMatchObject([{ path: 'config.json' }]);
    expect(found.bytes).toBeLessThan(8 << 20);
  });

  it('stops when told to, and says what it may not read', async () => {
    const stop = new AbortController();
    stop.abort(new Error('stopped'));
    await expect(check({ signal: stop.signal })).rejects.toThrow('stopped');
    // root reads everything, so this is for others
    chmodSync(path('config.json'), 0o000);
    if (process.getuid?.() !== 0) {
      await expect(check()).rejects.toThrow(`E_DISK ${path('config.json')}: cannot be opened, got no permission (EACCES).`);
    }
  });
});

describe('stamps', () => {
  /** Older than the tick of the disk's clock, so that a stamp counts. */
  const settle = (): Promise<void> => sleep(70);

  it('save hashing, but never against fresh', async () => {
    await settle();
    const stamps = await openStamps(root);
    expect(await check({ stamps })).toEqual(RIGHT);
    expect(await check({ stamps })).toEqual({ ...RIGHT, bytes: 0 });
    expect(await check({ stamps, fresh: true })).toEqual(RIGHT);
    await stamps.save();
    expect(await check({ stamps: await openStamps(root) })).toEqual({ ...RIGHT, bytes: 0 });
  });

  it('a file that was just written is hashed again', async () => {
    await settle();
    const stamps = await openStamps(root);
    // Younger than its hashing, however slow this machine is: written again within a tick of the clock, it could have the same times.
    const soon = new Date(Date.now() + 60_000);
    utimesSync(path('config.json'), soon, soon);
    await check({ stamps });
    expect((await check({ stamps })).bytes).toBe(2);
    utimesSync(path('config.json'), 1e9, 1e9);
    await settle();
    await check({ stamps });
    expect((await check({ stamps })).bytes).toBe(0);
  });

  it.each<[string, () => void]>([
    [
      'other bytes of the same size and time',
      () => {
        writeFileSync(path('config.json'), '[]');
        utimesSync(path('config.json'), 1e9, 1e9);
      },
    ],
    [
      'another file of the same size and time in its place',
      () => {
        put(path('new'), '[]');
        utimesSync(path('new'), 1e9, 1e9);
        renameSync(path('new'), path('config.json'));
      },
    ],
  ])('are not fooled by %s', async (_, change) => {
    utimesSync(path('config.json'), 1e9, 1e9);
    await settle();
    const stamps = await openStamps(root);
    await check({ stamps });
    expect((await check({ stamps })).bytes).toBe(0);
    change();
    expect((await check({ stamps })).changed).toMatchObject([{ path: 'config.json', got: sha('[]') }]);
  });

  it('a stamp of other bytes than the locked ones is no proof that they are wrong', async () => {
    await settle();
    const stamps = await openStamps(root);
    await check({ stamps });
    files = files.map((f) => (f.path === 'config.json' ? { ...f, digest: sha('[]') } : f));
    expect((await check({ stamps })).changed).toMatchObject([{ path: 'config.json', got: sha('{}') }]);
  });

  it('are written in order, and forgotten with their files', async () => {
    await settle();
    const stamps = await openStamps(root);
    await check({ stamps });
    await stamps.save();
    const written = join(root, '.secateur/zoo/stamps.json');
    const read = (): string[] => (JSON.parse(readFileSync(written, 'utf8')) as { files: string[][] }).files.map(([name]) => name);
    expect(read()).toEqual(['models/net/config.json', 'models/net/onnx/a/weights.bin', 'models/net/onnx/model.onnx']);
    rmSync(path('onnx'), { recursive: true });
    await (await openStamps(root)).save();
    expect(read()).toEqual(['models/net/config.json']);
  });

  it.each([
    '',
    '{',
    '[]',
    'null',
    '{"version":1,"files":5}',
    '{"version":1,"files":[["a"],[1,2,3,4],null,["a","sha256:x","1","2"]]}',
    '{"version":2,"files":[]}',
  ])('what is no file of stamps is as good as none: %s', async (text) => {
    put(join(root, '.secateur/zoo/stamps.json'), text);
    expect(await check({ stamps: await openStamps(root) })).toEqual(RIGHT);
  });
});
