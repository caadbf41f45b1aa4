import { readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { openVerified, readVerified } from '../../src/zoo/store/open-verified.node.ts';
import { digestOf, madeProject } from './locked.ts';
import { message, put } from './store-files.ts';

const BIG = Buffer.alloc(3_000_000, 'weights');
let project: string;
const installed = (path: string): string => join(project, 'models/net', path);

beforeEach(() => {
  project = madeProject({ net: { files: { 'model.onnx': 'graph', 'model.onnx_data': BIG } }, single: { files: { 'one.onnx': 'one' } } });
});

describe('openVerified', () => {
  it('gives the locked bytes, whatever happens to the file afterwards', async () => {
    const { handle, path, digest } = await openVerified('net', { project, file: 'model.onnx_data' });
    expect(path).toBe(installed('model.onnx_data'));
    expect(digest).toBe(digestOf(BIG));
    // Written through the same name, over the same blocks, as a program that meant harm would.
    writeFileSync(path, Buffer.alloc(BIG.length, 'evil'));
    expect((await handle.readFile()).equals(BIG)).toBe(true);
    await handle.close();
  });

  it('its copy has no name that somebody could write to, and cannot be written through', async () => {
    const { handle } = await openVerified('single', { project });
    expect((await handle.stat()).nlink).toBe(0);
    expect(readdirSync(join(project, '.secateur/zoo')).filter((name) => name.startsWith('open-'))).toEqual([]);
    await expect(handle.write('evil')).rejects.toThrow('EBADF');
    expect(await handle.readFile('utf8')).toBe('one');
    await handle.close();
  });

  it('works in a project that cannot be written to', async () => {
    put(join(project, '.secateur'), 'a file where the folder would be');
    const { handle } = await openVerified('single', { project });
    expect(await handle.readFile('utf8')).toBe('one');
    await handle.close();
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('open-'))).toEqual([]);
  });

  it('refuses other bytes, another size, a link, a folder, nothing', async () => {
    const told = (): Promise<string> => message(openVerified('single', { project }));
    const differs = (got: string): string =>
      `E_INTEGRITY single: one.onnx: is not the file in models.lock, expected ${digestOf('one')}, 3 bytes, got ${got}. ` +
      'Try `secateur zoo verify single` to see all that differs, and `secateur zoo install` to bring the locked files back.';
    const file = join(project, 'models/single/one.onnx');
    writeFileSync(file, 'two');
    expect(await told()).toBe(differs(`${digestOf('two')}, 3 bytes`));
    writeFileSync(file, 'more');
    expect(await told()).toBe(differs('4 bytes'));
    renameSync(file, `${file}.real`);
    symlinkSync('one.onnx.real', file);
    expect(await told()).toBe(differs('a symbolic link'));
    rmSync(file);
    put(join(file, 'x'), '');
    expect(await told()).toBe(differs('a folder'));
    rmSync(file, { recursive: true });
    expect(await told()).toBe(`E_NOT_INSTALLED single: one.onnx: is not there, expected the file ${file}. Try \`secateur zoo install\`.`);
    expect(readdirSync(join(project, '.secateur/zoo')).filter((name) => name.startsWith('open-'))).toEqual([]);
  });

  it('wants a name of the lock, and a file of it where there are several', async () => {
    expect(await message(openVerified('nte', { project }))).toBe(
      `E_NAME nte: no model of that name in ${join(project, 'models.lock')}. Try "net".`,
    );
    expect(await message(openVerified('__proto__', { project }))).toBe(
      `E_NAME __proto__: no model of that name in ${join(project, 'models.lock')}. Try \`secateur zoo add\`, or another name.`,
    );
    expect(await message(openVerified('net', { project }))).toBe(
      'E_NAME net: has several files, expected model.onnx, model.onnx_data, got no choice.',
    );
    expect(await message(openVerified('net', { project, file: '../single/one.onnx' }))).toBe(
      'E_NAME net: has no such file, expected model.onnx, model.onnx_data, got ../single/one.onnx.',
    );
  });
});

describe('readVerified', () => {
  it('all files, or those that are named, with the entry that says who vouches', async () => {
    const all = await readVerified('net', { project });
    expect([...all.bytes.keys()]).toEqual(['model.onnx', 'model.onnx_data']);
    expect(Buffer.from(all.bytes.get('model.onnx_data')!).equals(BIG)).toBe(true);
    expect(all.model.integrity).toBe('pinned-on-first-use');
    writeFileSync(installed('model.onnx_data'), 'evil');
    const one = await readVerified('net', { project, files: ['model.onnx'] });
    expect([...one.bytes].map(([path, bytes]) => [path, Buffer.from(bytes).toString()])).toEqual([['model.onnx', 'graph']]);
    expect(await message(readVerified('net', { project }))).toMatch(
      /^E_INTEGRITY net: model\.onnx_data: is not the file in models\.lock, /,
    );
    expect(await message(readVerified('net', { project, files: ['x'] }))).toBe(
      'E_NAME net: has no such file, expected model.onnx, model.onnx_data, got x.',
    );
  });

  it('finishes a change that was cut off before it reads', async () => {
    const id = '3b241101-e2bb-4255-8caf-4136c566a962';
    const journal = { version: 1, folder: 'models/net', kind: 'folder', ours: ['model.onnx', 'model.onnx_data'], placed: [], also: [] };
    put(join(project, `.secateur/zoo/changes/${id}.json`), JSON.stringify(journal));
    put(join(project, `models/.secateur/${id}/new/model.onnx`), 'graph');
    writeFileSync(installed('model.onnx'), 'old');
    const { bytes } = await readVerified('net', { project, files: ['model.onnx'] });
    expect(Buffer.from(bytes.get('model.onnx')!).toString()).toBe('graph');
    expect(readFileSync(installed('model.onnx'), 'utf8')).toBe('graph');
  });
});
