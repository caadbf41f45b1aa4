/** Every point at which a change can be cut off: what is found then, and what the next command makes of it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exclusively } from '../../src/zoo/store/exclusive.node.ts';
import { type PlaceOptions, placeModel, recover, removeModelFiles } from '../../src/zoo/store/place.node.ts';
import { emptyCache, filesOf, message, put, scratch, tree } from './store-files.ts';

const FOLDER = 'models/net';
const ONE = { 'a/x': 'x1', 'a/y': 'y1', z: 'z1' };
const TWO = { 'a/x': 'x2', 'a/y': 'y2', w: 'w2' };
const MINE = { 'a/mine': 'm', 'b/mine': 'n', top: 't' };

const at = (contents: Record<string, string>, lock: string): Record<string, string> => ({
  ...Object.fromEntries(Object.entries(contents).map(([path, text]) => [`${FOLDER}/${path}`, text])),
  'models.lock': lock,
});

class Cut extends Error {}

/** A promise and what resolves it. */
function gate(): [Promise<void>, () => void] {
  let open = (): void => undefined;
  return [
    new Promise((resolve) => {
      open = resolve;
    }),
    () => open(),
  ];
}

/** A project with version one, a lock and things of the user. */
async function start(): Promise<{
  root: string;
  run(o: Partial<PlaceOptions>): Promise<unknown>;
  remove(o: Partial<PlaceOptions>): Promise<unknown>;
  one(o: Partial<PlaceOptions>): Promise<unknown>;
}> {
  const [root, cache] = [scratch(), await emptyCache()];
  await placeModel(root, FOLDER, filesOf(ONE), { cache, also: () => [{ path: 'models.lock', bytes: 'lock 1' }] });
  for (const [path, text] of Object.entries(MINE)) put(join(root, FOLDER, path), text);
  const also = () => [{ path: 'models.lock', bytes: 'lock 2' }];
  return {
    root,
    run: (o) => placeModel(root, FOLDER, filesOf(TWO), { cache, previous: filesOf(ONE), also, ...o }),
    remove: (o) => removeModelFiles(root, FOLDER, filesOf(ONE), { cache, also, ...o }),
    one: (o) => placeModel(root, FOLDER, filesOf({ ...ONE, z: 'z2' }), { cache, also, ...o }),
  };
}

async function stepsOf(what: 'run' | 'remove' | 'one'): Promise<string[]> {
  const steps: string[] = [];
  await (await start())[what]({ onStep: (step) => steps.push(step) });
  return steps;
}

const AFTER = { run: { ...TWO, ...MINE }, remove: MINE, one: { ...ONE, z: 'z2', ...MINE } };
const STEPS = { run: await stepsOf('run'), remove: await stepsOf('remove'), one: await stepsOf('one') };

describe('cut off after any step, a change is finished by the next command', () => {
  it('the steps are those of a switch', () => {
    const sorted = Object.fromEntries(Object.entries(STEPS).map(([what, steps]) => [what, [...steps].sort()]));
    expect(sorted).toEqual({
      run: [
        'journal',
        'old away',
        'new in place',
        'carried top',
        'carried a/mine',
        'carried b',
        'recorded',
        'written models.lock',
        'staging gone',
      ].sort(),
      remove: [
        'journal',
        'old away',
        'carried top',
        'carried a/mine',
        'carried b',
        'recorded',
        'written models.lock',
        'staging gone',
      ].sort(),
      one: ['journal', 'file in place', 'recorded', 'written models.lock', 'staging gone'].sort(),
    });
  });

  for (const what of ['run', 'remove', 'one'] as const) {
    it.each(STEPS[what])(`${what}: %s`, async (last) => {
      const s = await start();
      const onStep = (step: string): void => {
        if (step === last) throw new Cut(step);
      };
      expect(await message(s[what]({ onStep }))).toBe(last);
      expect(await recover(s.root)).toEqual([`${FOLDER}: a change that was cut off has been finished`]);
      expect(tree(s.root)).toEqual(at(AFTER[what], 'lock 2'));
      expect(await recover(s.root)).toEqual([]);
      expect(readdirSync(join(s.root, '.secateur/zoo/changes'))).toEqual([]);
      expect(existsSync(join(s.root, 'models/.secateur'))).toBe(false);
    });
  }

  it('even if finishing is cut off again and again', async () => {
    const s = await start();
    await message(
      s.run({
        onStep: () => {
          throw new Cut('journal');
        },
      }),
    );
    // The journal is made anew with the same content, as after a kill in the midst of recovery.
    const [journal] = readdirSync(join(s.root, '.secateur/zoo/changes')).filter((n) => n.endsWith('.json'));
    const text = readFileSync(join(s.root, '.secateur/zoo/changes', journal));
    await recover(s.root);
    put(join(s.root, '.secateur/zoo/changes', journal), text);
    await recover(s.root);
    expect(tree(s.root)).toEqual(at(AFTER.run, 'lock 2'));
  });

  it('before the journal nothing has changed, and what was staged goes', async () => {
    const s = await start();
    const before = tree(s.root);
    // A process that dies in the check, which none of our own cleaning survives.
    const died = join(s.root, '.secateur/zoo/changes/3b241101-e2bb-4255-8caf-4136c566a962.staging');
    put(died, JSON.stringify({ version: 1, folder: FOLDER }));
    put(join(s.root, 'models/.secateur/3b241101-e2bb-4255-8caf-4136c566a962/new/a/x'), 'x2');
    expect(await recover(s.root)).toEqual([]);
    expect(tree(s.root)).toEqual(before);
    expect(existsSync(died)).toBe(false);
    expect(existsSync(join(s.root, 'models/.secateur'))).toBe(false);
  });

  it('somebody who deletes what was staged gets the old model back', async () => {
    const s = await start();
    await message(
      s.run({
        onStep: (step) => {
          if (step === 'old away') throw new Cut(step);
        },
      }),
    );
    const [id] = readdirSync(join(s.root, 'models/.secateur'));
    rmSync(join(s.root, 'models/.secateur', id, 'new'), { recursive: true });
    expect(await recover(s.root)).toEqual([`${FOLDER}: a change that was cut off has been undone`]);
    expect(tree(s.root)).toEqual(at({ ...ONE, ...MINE }, 'lock 1'));
  });

  it('a reader does not wait for somebody who is only preparing', async () => {
    const s = await start();
    const note = join(s.root, '.secateur/zoo/changes/3b241101-e2bb-4255-8caf-4136c566a962.staging');
    const [atWork, begun] = gate();
    const [readerIsDone, done] = gate();
    const busy = exclusively(s.root, async () => {
      put(note, JSON.stringify({ version: 1, folder: FOLDER }));
      begun();
      await readerIsDone;
    });
    await atWork;
    expect(await recover(s.root)).toEqual([]);
    done();
    await busy;
    expect(readdirSync(join(s.root, '.secateur/zoo/changes'))).toHaveLength(1);
    await recover(s.root);
    expect(readdirSync(join(s.root, '.secateur/zoo/changes'))).toEqual([]);
  });
});

describe('what the user did between the cut and the next command', () => {
  it.each(['journal', 'old away', 'written models.lock'])('%s: his models.lock is left as it is, and that is told', async (last) => {
    const s = await start();
    const onStep = (step: string): void => {
      if (step === last) throw new Cut();
    };
    await expect(s.run({ onStep })).rejects.toThrow(Cut);
    put(join(s.root, 'models.lock'), 'lock 3, by git pull');
    expect(await recover(s.root)).toEqual([
      `${FOLDER}: a change that was cut off has been finished`,
      'models.lock was changed since that was cut off and is left as it is',
    ]);
    expect(tree(s.root)).toEqual(at({ ...TWO, ...MINE }, 'lock 3, by git pull'));
    expect(await recover(s.root)).toEqual([]);
  });
});

it('what was only prepared does not stop one who cannot write', async () => {
  const root = scratch();
  put(join(root, '.secateur/zoo/changes/3b241101-e2bb-4255-8caf-4136c566a962.staging'), JSON.stringify({ version: 1, folder: FOLDER }));
  // The disk refuses it to root too.
  mkdirSync(join(root, '.secateur/zoo/writer'));
  expect(await recover(root)).toEqual([]);
});

describe('a record of a change that came with a repository', () => {
  const id = '3b241101-e2bb-4255-8caf-4136c566a962';
  const good = { version: 1, folder: FOLDER, kind: 'folder', ours: [], placed: [], also: [] };
  it.each<[string, unknown]>([
    ['a folder outside', { ...good, folder: '../../home' }],
    ['an absolute folder', { ...good, folder: '/etc' }],
    ['a file outside', { ...good, kind: 'file', file: '../../x' }],
    ['a path that is no text', { ...good, ours: [1] }],
    ['another file', { ...good, also: [{ path: '.git/hooks/post-checkout', base64: 'eA==' }] }],
    ['a file outside by way of the signatures', { ...good, also: [{ path: 'models.sigs/../../x', base64: 'eA==' }] }],
    ['content that is no text', { ...good, also: [{ path: 'models.lock', base64: {} }] }],
    ['a placed file outside', { ...good, placed: [['../x', `sha256:${'0'.repeat(64)}`]] }],
    ['a placed file without a digest', { ...good, placed: [['x', 'sha256:0']] }],
    ['another version', { ...good, version: 2 }],
    ['another kind', { ...good, kind: 'everything' }],
    ['no record', 'x'],
    ['nothing', null],
  ])('%s is refused', async (_, change) => {
    const root = scratch();
    const path = put(join(root, `.secateur/zoo/changes/${id}.json`), JSON.stringify(change));
    expect(await message(recover(root))).toBe(
      `E_JOURNAL ${path}: is not the record of a change that secateur began. Try again after deleting this file.`,
    );
    expect(Object.keys(tree(root))).toEqual([]);
  });

  it('a name that is none of ours, and a note that is none, are refused', async () => {
    const root = scratch();
    const path = put(join(root, '.secateur/zoo/changes/x.json'), JSON.stringify(good));
    expect(await message(recover(root))).toMatch(`E_JOURNAL ${path}: `);
    rmSync(path);
    const note = put(join(root, `.secateur/zoo/changes/${id}.staging`), JSON.stringify({ folder: '../..' }));
    expect(await message(recover(root))).toMatch(`E_JOURNAL ${note}: `);
  });

  it('does nothing through links', async () => {
    const root = scratch();
    const outside = scratch();
    put(join(outside, 'f'), 'x');
    symlinkSync(outside, join(root, 'models'));
    put(join(root, `.secateur/zoo/changes/${id}.json`), JSON.stringify({ ...good, kind: 'remove' }));
    expect(await message(recover(root))).toMatch(/^E_LINK .*models: nothing is written through links/);
    expect(tree(outside)).toEqual({ f: 'x' });
  });
});
