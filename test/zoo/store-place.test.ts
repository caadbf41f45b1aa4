import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Cache } from '../../src/zoo/store/cache.node.ts';
import { type Placed, type PlaceOptions, placeModel, recover, removeModelFiles } from '../../src/zoo/store/place.node.ts';
import { emptyCache, filesOf, message, put, scratch, sha, tree } from './store-files.ts';

const ONE = { 'onnx/model.onnx': 'graph 1', 'onnx/weights.bin': 'weights 1', 'config.json': '{}' };
const TWO = { 'onnx/model.onnx': 'graph 2', 'onnx/weights.bin': 'weights 2', 'new.json': '[]' };
const FOLDER = 'models/team/net';

interface Project {
  readonly root: string;
  readonly cache: Cache;
  place(contents: Record<string, string>, o?: Partial<PlaceOptions>): Promise<Placed>;
  files(): Record<string, string>;
}

async function project(): Promise<Project> {
  const [root, cache] = [scratch(), await emptyCache()];
  return {
    root,
    cache,
    place: (contents, o) => placeModel(root, FOLDER, filesOf(contents), { cache, ...o }),
    files: () => tree(root),
  };
}

const at = (contents: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(contents).map(([path, text]) => [`${FOLDER}/${path}`, text]));

/** Nothing of ours is left but the folder of state. */
function expectClean(root: string): void {
  const left = readdirSync(root, { recursive: true, withFileTypes: true })
    .map((e) => join(e.parentPath, e.name).slice(root.length + 1))
    .filter((path) => path.includes('.secateur'));
  const ours = left.filter((path) => !path.startsWith('.secateur/zoo/placed'));
  expect(ours.sort()).toEqual(['.secateur', '.secateur/.gitignore', '.secateur/zoo', '.secateur/zoo/changes']);
}

describe('a model is placed', () => {
  it('where there was none, as files of their own', async () => {
    const p = await project();
    const placed = await p.place(ONE);
    expect(placed).toEqual({ state: 'placed', folder: join(p.root, FOLDER), kept: [], carried: [], removed: [] });
    expect(p.files()).toEqual(at(ONE));
    for (const path of Object.keys(ONE)) expect(lstatSync(join(p.root, FOLDER, path))).toMatchObject({ nlink: 1 });
    expectClean(p.root);
  });

  it('and not touched where it is right', async () => {
    const p = await project();
    await p.place(ONE);
    const before = lstatSync(join(p.root, FOLDER), { bigint: true });
    expect(await p.place(ONE)).toMatchObject({ state: 'unchanged', kept: [], carried: [] });
    expect(lstatSync(join(p.root, FOLDER), { bigint: true })).toEqual(before);
  });

  it('files that the caller knows to be right need no source, and are hashed when they are copied', async () => {
    const p = await project();
    await p.place(ONE);
    writeFileSync(join(p.root, FOLDER, 'config.json'), 'changed');
    const known = filesOf(ONE).map((f) => (f.path === 'config.json' ? f : { ...f, from: undefined }));
    await placeModel(p.root, FOLDER, known, { cache: p.cache });
    expect(p.files()).toEqual(at(ONE));
    // Changed since: copying finds it, and everything stays.
    writeFileSync(join(p.root, FOLDER, 'config.json'), 'changed');
    writeFileSync(join(p.root, FOLDER, 'onnx/weights.bin'), 'weights X');
    rmSync(join(p.root, FOLDER, 'onnx/model.onnx'));
    const files = filesOf(ONE).map((f) => (f.path === 'onnx/weights.bin' ? { ...f, from: undefined } : f));
    expect(await message(placeModel(p.root, FOLDER, files, { cache: p.cache }))).toBe(
      `E_INTEGRITY onnx/weights.bin: ${join(p.root, FOLDER, 'onnx/weights.bin')} is not the file that is wanted; nothing was changed, ` +
        `expected ${sha('weights 1')}, 9 bytes, got ${sha('weights X')}, 9 bytes.`,
    );
    expectClean(p.root);
  });

  it("a new version takes what is the old one with it, and leaves what is the user's", async () => {
    const p = await project();
    await p.place(ONE);
    const folder = join(p.root, FOLDER);
    put(join(folder, 'notes.txt'), 'mine');
    put(join(folder, 'onnx/my/deep.txt'), 'mine too');
    symlinkSync('notes.txt', join(folder, 'link'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    mkdirSync(join(folder, 'empty'));
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x66, 0xff])]), 'no UTF-8');
    const placed = await p.place(TWO, { previous: filesOf(ONE) });
    expect(placed).toMatchObject({ state: 'placed', kept: [], removed: ['config.json'] });
    expect(placed.carried).toEqual(['empty', 'f\ufffd', 'link', 'notes.txt', 'onnx/my', 'pipe']);
    const odd = readdirSync(folder, { encoding: 'buffer' }).find((name) => name[0] === 0x66 && name.length === 2);
    expect(odd).toEqual(Buffer.from([0x66, 0xff]));
    rmSync(Buffer.concat([Buffer.from(`${folder}/`), odd!]));
    expect(p.files()).toEqual({
      ...at(TWO),
      ...at({ 'notes.txt': 'mine', 'onnx/my/deep.txt': 'mine too', link: '-> notes.txt', 'empty/': '', pipe: 'no file' }),
    });
    expectClean(p.root);
  });

  it('a new version without a word on the old one, as after git pull, takes with it what was placed here', async () => {
    const p = await project();
    await p.place(ONE);
    put(join(p.root, FOLDER, 'new-notes.txt'), 'mine');
    expect(await p.place(TWO)).toMatchObject({ removed: ['config.json'], kept: [], carried: ['new-notes.txt'] });
    expect(p.files()).toEqual(at({ ...TWO, 'new-notes.txt': 'mine' }));
    // A file that another has put there is his, whatever its bytes; so is one that was changed.
    const [other, mine] = [await project(), { ...TWO, 'config.json': '{}' }];
    for (const [path, text] of Object.entries(mine)) put(join(other.root, FOLDER, path), text);
    expect(await other.place(TWO)).toMatchObject({ state: 'unchanged', removed: [] });
    expect(other.files()).toEqual(at(mine));
    for (const text of ['', '{', 'null', '{"version":1,"folder":"models/team/net","files":[["../../x","y"]]}']) {
      const [record] = readdirSync(join(other.root, '.secateur/zoo/placed'));
      writeFileSync(join(other.root, '.secateur/zoo/placed', record), text);
      expect(await other.place(TWO)).toMatchObject({ state: 'unchanged', removed: [] });
    }
  });

  it('what the user changed is kept before it is replaced; what the new version lacks is left to him', async () => {
    const p = await project();
    await p.place(ONE);
    writeFileSync(join(p.root, FOLDER, 'onnx/weights.bin'), 'my weights');
    writeFileSync(join(p.root, FOLDER, 'config.json'), 'my config');
    const placed = await p.place(TWO, { previous: filesOf(ONE) });
    const kept = join(p.cache.root, 'rejected', sha('my weights').slice(7));
    expect(placed).toMatchObject({ kept: [{ path: 'onnx/weights.bin', kept }], carried: ['config.json'], removed: [] });
    expect(readFileSync(kept, 'utf8')).toBe('my weights');
    expect(p.files()).toEqual(at({ ...TWO, 'config.json': 'my config' }));
  });

  it('a link or a folder in the place of a file is put beside it', async () => {
    const p = await project();
    await p.place(ONE);
    const folder = join(p.root, FOLDER);
    const elsewhere = put(join(scratch(), 'big.onnx'), 'elsewhere');
    rmSync(join(folder, 'onnx/model.onnx'));
    symlinkSync(elsewhere, join(folder, 'onnx/model.onnx'));
    expect(await p.place(ONE)).toMatchObject({ carried: ['onnx/model.onnx.kept-1'] });
    rmSync(join(folder, 'config.json'));
    put(join(folder, 'config.json/x'), 'inside');
    expect(await p.place(ONE)).toMatchObject({ carried: ['config.json.kept-1', 'onnx/model.onnx.kept-1'] });
    expect(p.files()).toEqual(at({ ...ONE, 'onnx/model.onnx.kept-1': `-> ${elsewhere}`, 'config.json.kept-1/x': 'inside' }));
    expect(readFileSync(elsewhere, 'utf8')).toBe('elsewhere');
    // The folder above is a link: what it leads to is not touched.
    const other = scratch();
    put(join(other, 'weights.bin'), 'other');
    rmSync(join(folder, 'onnx'), { recursive: true });
    symlinkSync(other, join(folder, 'onnx'));
    expect(await p.place(ONE)).toMatchObject({ carried: ['config.json.kept-1', 'onnx.kept-1'] });
    expect(tree(other)).toEqual({ 'weights.bin': 'other' });
    expect(readFileSync(join(folder, 'onnx/weights.bin'), 'utf8')).toBe('weights 1');
  });

  it('what is the user’s in a folder that becomes a file is put beside it', async () => {
    const p = await project();
    await p.place(ONE);
    put(join(p.root, FOLDER, 'onnx/mine'), 'mine');
    expect(await p.place({ onnx: 'a file' })).toMatchObject({ carried: ['onnx.kept-1/mine'] });
    expect(p.files()).toEqual(at({ onnx: 'a file', 'onnx.kept-1/mine': 'mine' }));
    expectClean(p.root);
  });

  it('one changed file is renamed over, the others are not copied', async () => {
    const p = await project();
    await p.place(ONE);
    const folder = join(p.root, FOLDER);
    const before = lstatSync(join(folder, 'onnx/model.onnx'));
    writeFileSync(join(folder, 'config.json'), 'changed');
    put(join(folder, 'notes.txt'), 'mine');
    expect(await p.place(ONE)).toMatchObject({ state: 'placed', carried: [] });
    expect(p.files()).toEqual(at({ ...ONE, 'notes.txt': 'mine' }));
    expect(lstatSync(join(folder, 'onnx/model.onnx')).ino).toBe(before.ino);
    expectClean(p.root);
  });

  it('is looked at as a whole before anything is changed', async () => {
    const p = await project();
    await p.place(ONE);
    put(join(p.root, FOLDER, 'notes.txt'), 'mine');
    let seen: Record<string, string> = {};
    const refuse = async (folder: string): Promise<void> => {
      seen = tree(folder);
      throw new Error('refused');
    };
    expect(
      await message(p.place(TWO, { check: refuse, previous: filesOf(ONE), also: () => [{ path: 'models.lock', bytes: 'new' }] })),
    ).toBe('refused');
    expect(seen).toEqual(TWO);
    expect(p.files()).toEqual(at({ ...ONE, 'notes.txt': 'mine' }));
    expectClean(p.root);
    // Nothing differs: it looks at the model itself. One file differs: still at all.
    expect(await message(p.place(ONE, { check: refuse }))).toBe('refused');
    expect(seen).toEqual({ ...ONE, 'notes.txt': 'mine' });
    expect(await message(p.place({ ...ONE, 'config.json': '2' }, { check: refuse }))).toBe('refused');
    expect(seen).toEqual({ ...ONE, 'config.json': '2' });
  });

  it('with the small files that belong to it, whether the model changes or not', async () => {
    const p = await project();
    const bundle = new Uint8Array([0, 255, 10]);
    const small = (text: string) => ({
      also: () => [
        { path: 'models.lock', bytes: text },
        { path: 'models.sigs/team/net.sig', bytes: bundle },
      ],
    });
    await p.place(ONE, small('lock 1'));
    expect(readFileSync(join(p.root, 'models.lock'), 'utf8')).toBe('lock 1');
    expect(new Uint8Array(readFileSync(join(p.root, 'models.sigs/team/net.sig')))).toEqual(bundle);
    expect(await p.place(ONE, small('lock 2'))).toMatchObject({ state: 'unchanged' });
    expect(readFileSync(join(p.root, 'models.lock'), 'utf8')).toBe('lock 2');
    await p.place(ONE, { also: () => [{ path: 'models.sigs/team/net.sig' }] });
    expect(existsSync(join(p.root, 'models.sigs/team/net.sig'))).toBe(false);
    expect(await message(p.place(ONE, { also: () => [{ path: 'src/x.ts', bytes: 'x' }] }))).toBe(
      'E_PATH files that change with a model: no file that changes with a model, expected models.lock, models.json or models.sigs/..., got src/x.ts.',
    );
    expectClean(p.root);
  });

  it('a damaged file of the cache is put aside and named', async () => {
    const p = await project();
    const digest = sha('good');
    const cached = await p.cache.accept(put(p.cache.partPath('k'), 'good'), digest, 4);
    chmodSync(cached, 0o644);
    writeFileSync(cached, 'evil');
    const placing = placeModel(p.root, FOLDER, [{ path: 'm.onnx', size: 4, digest, from: cached }], { cache: p.cache });
    const kept = join(p.cache.root, 'rejected', sha('evil').slice(7));
    expect(await message(placing)).toBe(
      `E_CACHE m.onnx: the cached file had been damaged and was moved to ${kept}, expected ${digest}, 4 bytes, got ${sha('evil')}, 4 bytes. ` +
        'Try the same again: the file is then fetched anew.',
    );
    expect(await p.cache.find(digest)).toBeUndefined();
    expect(tree(p.root)).toEqual({});
    expectClean(p.root);
  });

  it('two versions at once: one after the other, never a mixture', async () => {
    const p = await project();
    const results = await Promise.all([p.place(ONE), p.place(TWO), p.place(ONE), p.place(TWO)]);
    // Who waits is served in any order: the same version twice in a row has nothing to do the second time.
    expect(results.filter((r) => r.state === 'placed').length).toBeGreaterThanOrEqual(2);
    expect([at(ONE), at(TWO)]).toContainEqual(p.files());
    expectClean(p.root);
  });

  it('the only file of a model is renamed over, so that the folder is never away', async () => {
    const p = await project();
    await p.place({ 'm.onnx': 'one' });
    const steps: string[] = [];
    await p.place({ 'm.onnx': 'two' }, { onStep: (step) => steps.push(step) });
    expect(steps).toEqual(['journal', 'file in place', 'recorded', 'staging gone']);
    expect(p.files()).toEqual(at({ 'm.onnx': 'two' }));
  });

  it('stopping leaves everything as it was', async () => {
    const p = await project();
    await p.place(ONE);
    const stop = new AbortController();
    const placing = p.place(TWO, { signal: stop.signal, onBytes: () => stop.abort(new Error('stopped')), previous: filesOf(ONE) });
    expect(await message(placing)).toBe('stopped');
    expect(p.files()).toEqual(at(ONE));
    expectClean(p.root);
  });
});

describe('what stands in the way is told before anything is changed', () => {
  it('a file of the user in the place of the folder', async () => {
    const p = await project();
    put(join(p.root, FOLDER), 'mine');
    const told =
      `E_LINK ${join(p.root, FOLDER)}: something else stands in the way, expected a folder of the project itself, got a file. ` +
      'Try a real folder in its place; a larger disk can be mounted over the folder of all models.';
    expect(await message(p.place(ONE))).toBe(told);
    expect(await message(removeModelFiles(p.root, FOLDER, filesOf(ONE), { cache: p.cache }))).toBe(told);
    expect(await recover(p.root)).toEqual([]);
    expect(p.files()).toEqual({ [FOLDER]: 'mine' });
  });

  it('somebody who writes to a file of the model meanwhile', async () => {
    const p = await project();
    await p.place(ONE);
    const path = join(p.root, FOLDER, 'onnx/model.onnx');
    const write = async (): Promise<void> => writeFileSync(path, 'work of an hour');
    const told =
      `E_CHANGED ${path}: was written to while the model was made ready. ` +
      'Try again when nothing else writes there; nothing was changed.';
    expect(await message(p.place(TWO, { check: write, previous: filesOf(ONE) }))).toBe(told);
    expect(p.files()).toEqual(at({ ...ONE, 'onnx/model.onnx': 'work of an hour' }));
    const files = [...filesOf({ 'config.json': '{}' }), ...filesOf({ 'onnx/model.onnx': 'x' })];
    const cache: Cache = {
      ...p.cache,
      keep: async (from) => {
        writeFileSync(from, 'more work');
        return from;
      },
    };
    expect(await message(removeModelFiles(p.root, FOLDER, files, { cache }))).toBe(told);
    expect(p.files()).toEqual(at({ ...ONE, 'onnx/model.onnx': 'more work' }));
    expectClean(p.root);
  });

  it('a link in the place of models.lock', async () => {
    const p = await project();
    symlinkSync('/etc/hostname', join(p.root, 'models.lock'));
    expect(await message(p.place(ONE, { also: () => [{ path: 'models.lock', bytes: 'lock' }] }))).toBe(
      `E_LINK ${join(p.root, 'models.lock')}: nothing is written through links, expected a file of the project itself, got a symbolic link. Try a real file in its place.`,
    );
    expect(p.files()).toEqual({ 'models.lock': '-> /etc/hostname' });
    expectClean(p.root);
  });
});

describe('nothing is written outside of the project', () => {
  it.each(['../x', '/etc/x', 'models/../../x', '', 'models//x', 'a\0b', 'CON'])('folder %j', async (folder) => {
    const p = await project();
    expect(await message(placeModel(p.root, folder, filesOf({ f: 'x' }), { cache: p.cache }))).toMatch(/^E_PATH /);
    expect(tree(p.root)).toEqual({});
  });

  it.each(['../x', '/etc/x', 'a/../../x'])('file %j', async (path) => {
    const p = await project();
    expect(await message(p.place({ [path]: 'x' }))).toMatch(/^E_PATH /);
    expect(tree(p.root)).toEqual({});
  });

  it.each([
    'models',
    'models/team',
    FOLDER,
    'models/team/.secateur',
    '.secateur',
    '.secateur/zoo',
    '.secateur/zoo/changes',
    '.secateur/zoo/placed',
  ])('through a link at %s', async (link) => {
    const p = await project();
    const outside = scratch();
    mkdirSync(join(p.root, link, '..'), { recursive: true });
    symlinkSync(outside, join(p.root, link));
    expect(await message(p.place(ONE))).toBe(
      `E_LINK ${join(p.root, link)}: nothing is written through links, expected a folder of the project itself, got a symbolic link. ` +
        'Try a real folder in its place; a larger disk can be mounted over the folder of all models.',
    );
    expect(tree(outside)).toEqual({});
  });
});

describe('a model is removed', () => {
  it('with the small files, but not with what the user put beside or changed', async () => {
    const p = await project();
    await p.place(ONE, { also: () => [{ path: 'models.lock', bytes: 'one' }] });
    put(join(p.root, FOLDER, 'onnx/notes.txt'), 'mine');
    writeFileSync(join(p.root, FOLDER, 'config.json'), 'my config');
    const also = () => [{ path: 'models.lock', bytes: 'none' }];
    const gone = await removeModelFiles(p.root, FOLDER, filesOf(ONE), { cache: p.cache, also });
    const kept = join(p.cache.root, 'rejected', sha('my config').slice(7));
    expect(gone).toMatchObject({ kept: [{ path: 'config.json', kept }], carried: ['onnx/notes.txt'], removed: Object.keys(ONE) });
    expect(p.files()).toEqual({ ...at({ 'onnx/notes.txt': 'mine' }), 'models.lock': 'none' });
    expectClean(p.root);
    rmSync(join(p.root, FOLDER), { recursive: true });
    await p.place(ONE);
    await removeModelFiles(p.root, FOLDER, filesOf(ONE), { cache: p.cache });
    expect(p.files()).toEqual({ 'models.lock': 'none' });
    await removeModelFiles(p.root, FOLDER, filesOf(ONE), { cache: p.cache });
    expect(await recover(p.root)).toEqual([]);
  });
});
