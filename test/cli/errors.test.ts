/** What a user can get wrong: one line that says what to do, the right exit code, and nothing half-written left behind. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { RunFolder } from '../../src/cli/run-folder.node.ts';
import { saveModel } from '../../src/onnx/file.node.ts';
import { buildNetwork } from '../../src/train/networks/registry.ts';
import { errorOf, run, scratch } from './in-process.ts';

/** Set by a test: writes to paths that match fail as on a full disk, renames of them as of a folder that somebody holds. */
const disk = vi.hoisted(() => ({ full: undefined as RegExp | undefined, stuck: undefined as RegExp | undefined }));
vi.mock('node:fs/promises', async (original) => {
  const fs = await original<typeof import('node:fs/promises')>();
  const check = (path: unknown): void => {
    if (disk.full?.test(String(path))) {
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write', path: String(path) });
    }
  };
  return {
    ...fs,
    rename: async (...args: Parameters<typeof fs.rename>) => {
      if (disk.stuck?.test(String(args[0]))) throw Object.assign(new Error('EBUSY'), { code: 'EBUSY' });
      return fs.rename(...args);
    },
    writeFile: async (...args: Parameters<typeof fs.writeFile>) => {
      check(args[0]);
      return fs.writeFile(...args);
    },
    open: async (...args: Parameters<typeof fs.open>) => {
      const handle = await fs.open(...args);
      const write = handle.writeFile.bind(handle);
      handle.writeFile = async (...data: Parameters<typeof write>) => {
        check(args[0]);
        return write(...data);
      };
      return handle;
    },
  };
});

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  disk.full = undefined;
  disk.stuck = undefined;
});
const at = (...parts: string[]): string => join(folder, ...parts);
const DATA = ['--data', 'builtin:digits?train=100&test=20', '--threads', '1'];
const FAST = ['--epochs', '1', '--batch-size', '32', '--network', 'small-resnet'];

beforeAll(async () => {
  await saveModel(at('model.onnx'), buildNetwork('badnets-cnn', 1, { channels: 1, height: 28, width: 28, classes: 10 }));
  await saveModel(at('colour.onnx'), buildNetwork('badnets-cnn', 1, { channels: 3, height: 32, width: 32, classes: 10 }));
  const silent = buildNetwork('badnets-cnn', 1, { channels: 1, height: 28, width: 28, classes: 10 });
  silent.metadata.clear();
  await saveModel(at('silent.onnx'), silent);
  writeFileSync(at('text.onnx'), 'not an ONNX file at all');
  await saveModel(at('cut.onnx'), silent);
  truncateSync(at('cut.onnx'), 5000);
  mkdirSync(at('empty'));
});

/** Runs, expects the exit code, and gives the error; no command that fails leaves anything at --out. */
async function failing(code: number, ...argv: string[]): Promise<string> {
  const before = readdirSync(folder).sort();
  const printed = await run(...argv, '--out', at('out'));
  expect(printed.code).toBe(code);
  expect(printed.out).toBe('');
  expect(printed.err).not.toMatch(/\n {4}at |This is a bug/);
  expect(readdirSync(folder).sort()).toEqual(before);
  return errorOf(printed).replaceAll(`${folder}/`, '');
}

describe('files and data', () => {
  test.each([
    [['evaluate', 'nowhere.onnx', ...DATA], 'error: nowhere.onnx: no such file.'],
    [['evaluate', 'text.onnx', ...DATA], /^error: text\.onnx: not an ONNX/],
    [['evaluate', 'cut.onnx', ...DATA], /^error: cut\.onnx: /],
    [['evaluate', 'model.onnx', '--data', 'nowhere'], 'error: data: nowhere: nowhere cannot be read, got no such file or folder.'],
    [
      ['evaluate', 'model.onnx', '--data', 'empty'],
      /^error: data: empty: no data found in this folder, expected one sub-folder of pictures/,
    ],
    [
      ['evaluate', 'colour.onnx', ...DATA],
      /^error: data: builtin:digits.*: images do not fit the model \(channels x height x width\), expected 3x32x32 for input "x", got 3x28x28\. Try --preprocess imagenet, cifar10, mnist or FILE\.yaml, which says how to resize them\.$/,
    ],
    [
      ['evaluate', 'silent.onnx', ...DATA],
      'error: model: nothing says how pixels become inputs of this network, expected secateur.range, secateur.mean and secateur.std in the metadata of the file, got none of them. Try --preprocess imagenet, cifar10, mnist, none (0..1) or FILE.yaml, or --input-range, --mean and --std.',
    ],
  ])('%j', async (argv, message) => {
    // paths in the folder, as if it were the working directory
    const there = argv.map((word) => (/^(nowhere|empty|.*\.onnx)$/.test(word) ? at(word) : word));
    expect(await failing(1, ...there)).toMatch(message);
  });

  test('flags can say what a file does not', async () => {
    const { code } = await run('evaluate', at('silent.onnx'), ...DATA, '--input-range', '0,1', '--out', at('said'));
    expect(code).toBe(0);
    rmSync(at('said'), { recursive: true });
  });
});

describe('a network that guesses on clean images', () => {
  test.each(['prune', 'finetune', 'fineprune'])('%s stops before it changes anything', async (command) => {
    expect(await failing(1, command, at('model.onnx'), ...DATA)).toMatch(
      /^error: data: builtin:digits.*: clean accuracy \d+\.\d % on 10 images is chance for 10 classes: is the preprocessing right, expected a network that works before anything is changed, got a network fed with 0\.\.1 \(as the model file says\); .*, or --allow-chance to go on as it is\.$/,
    );
  });

  test('evaluate says so and goes on', async () => {
    const { code, err } = await run('evaluate', at('model.onnx'), ...DATA, '--out', at('guessed'));
    expect(code).toBe(0);
    expect(err).toMatch(
      /warning: clean accuracy .* is chance for 10 classes: is the preprocessing right\? This is a network fed with 0\.\.1/,
    );
    rmSync(at('guessed'), { recursive: true });
  });

  test.each([
    ['cifar', 'error: --preprocess cifar: neither a preset nor a file, expected imagenet, cifar10, mnist, none, or a YAML file.'],
    ['imagenet', 'error: --preprocess imagenet: mean: bad value, expected 1 number, one a channel, got 0.485,0.456,0.406.'],
  ])('--preprocess %s is refused', async (written, message) => {
    expect(await failing(2, 'evaluate', at('model.onnx'), ...DATA, '--preprocess', written)).toContain(message);
  });

  test('--preprocess FILE: what it cannot mean', async () => {
    writeFileSync(at('p.yaml'), 'preset: mnist\nmeen: 1\n');
    const args = ['evaluate', at('silent.onnx'), ...DATA, '--preprocess', at('p.yaml')];
    expect(await failing(2, ...args)).toMatch(/^error: p\.yaml: no key "meen", expected one of preset, .* Try "mean"\.$/);
    writeFileSync(at('p.yaml'), 'mean: [');
    expect(await failing(2, ...args)).toMatch(/^error: p\.yaml: not valid YAML or JSON: /);
    rmSync(at('p.yaml'));
  });
});

describe('flags that do not fit', () => {
  const model = at('model.onnx');
  test.each([
    [2, ['evaluate'], 'error: MODEL: missing, expected the network: an ONNX file, or the name of a model in models.lock.'],
    [2, ['evaluate', model], /^error: --data: missing, expected a folder with one sub-folder of pictures a class/],
    [2, ['train'], 'error: --data: missing, expected a folder, or builtin:digits.'],
    [2, ['train', ...DATA, '--epochs', '0'], 'error: --epochs: not valid, expected a whole number of at least 1, got 0.'],
    [
      2,
      ['train', ...DATA, '--network', 'resnet'],
      'error: --network: not valid, expected one of badnets-cnn, deepid, speech-alexnet, speech-alexnet-small, zf, zf-small, resnet18-cifar, small-resnet, got "resnet".',
    ],
    [
      2,
      ['train', model, ...DATA, '--network', 'small-resnet'],
      'error: --network: has no effect on a model that is given. Try without it.',
    ],
    [
      2,
      ['train', ...DATA, '--optimizer', 'adam', '--momentum', '0.5'],
      'error: --momentum: has no effect with --optimizer adam. Try without it.',
    ],
    [2, ['train', ...DATA, '--schedule', 'cosin'], /^error: --schedule: not a schedule, expected constant, .*, got "cosin"\.$/],
    [2, ['train', ...DATA, '--augment', 'shift:28'], /^error: --augment: shift is as large as the image, expected less than 28 pixels/],
    [
      2,
      ['train', ...DATA, '--validation', 'all'],
      'error: --validation: nothing would be left to train on, expected a share below 1 or a number, got all.',
    ],
    [2, ['train', ...DATA, '--mean', '1,2'], 'error: --mean: wrong number of values, expected 1, as there is one channel, got 2.'],
    [
      1,
      ['train', ...DATA, '--validation', '100'],
      /^error: data: split: no clean data left after a split, expected at least one image in every part/,
    ],
    [
      1,
      ['train', model, ...DATA, '--freeze-before', 'fc3'],
      'error: --freeze-before: the model has no node "fc3", expected the name of a node or of a value. Try --freeze-before fc1.',
    ],
    [
      1,
      ['prune', model, ...DATA, '--layer', 'conv3', '--allow-chance'],
      'error: layer "conv3": is not in the model, expected one of conv1, conv2, fc1. Try "conv1".',
    ],
    [
      2,
      ['evaluate', model, ...DATA, '--trigger', 'pixl', '--label-map', 'random'],
      'error: poison: kind of trigger, expected pixel, pattern, patch, blend, sunglasses, yellow-square, bomb, flower, noise, ' +
        'got "pixl". Try "pixel".',
    ],
    [
      2,
      ['evaluate', model, ...DATA, '--trigger', 'pixel'],
      'error: --label-map: missing beside --trigger, expected both, or --attack RUN.',
    ],
    [
      2,
      ['evaluate', model, ...DATA, '--trigger', 'pixel', '--label-map', 'target'],
      'error: --label-map: not valid, expected target:CLASS with a class number, got "target".',
    ],
    [
      2,
      ['evaluate', model, ...DATA, '--trigger', 'pixel', '--label-map', 'target:10'],
      /^error: poison: label map "target": no such target class, expected 0 to 9, got 10\.$/,
    ],
    [
      2,
      ['evaluate', model, ...DATA, '--trigger', 'patch', '--label-map', 'random'],
      'error: --trigger: not valid, expected patch:FILE.png[@ROW,COLUMN], got "patch".',
    ],
    [
      2,
      ['evaluate', model, ...DATA, '--trigger', 'patch:no.png', '--label-map', 'random'],
      'error: --trigger patch:no.png: the picture cannot be read, got ENOENT.',
    ],
    [
      2,
      ['evaluate', model, ...DATA, '--trigger', `patch:${at('text.onnx')}`, '--label-map', 'random'],
      'error: --trigger patch:text.onnx: not a picture, expected a PNG file.',
    ],
    [2, ['evaluate', model, ...DATA, '--trigger', 'blend:0', '--label-map', 'random'], /^error: poison: trigger "blend": alpha is wrong/],
    [
      2,
      ['evaluate', model, ...DATA, '--attack', at('empty')],
      'error: --attack: no poison.json in empty, expected the run folder of secateur attack.',
    ],
    [
      2,
      ['evaluate', model, ...DATA, '--max-attack', '0.1'],
      'error: --max-attack: no attack to judge, expected --attack RUN, or --trigger and --label-map.',
    ],
    [
      2,
      ['inspect', model, '--trigger', 'pixel', '--label-map', 'random'],
      'error: --data: missing, expected images to put the trigger on.',
    ],
    [2, ['attack', 'badnet', ...DATA, '--fraction', '50'], 'error: --fraction: not valid, expected a number above 0 and below 1, got 50.'],
    [
      2,
      ['attack', 'pruning-aware', ...DATA, '--bias', 'margin:-1'],
      'error: --bias: not valid, expected a number of at least 0 after margin:, got "margin:-1".',
    ],
    [
      2,
      ['attack', 'pruning-aware', ...DATA, '--bias', 'low'],
      'error: --bias: not valid, expected paper[:VALUE] or margin[:MARGIN], got "low".',
    ],
    [
      2,
      ['attack', 'pruning-aware', model, ...DATA, '--prune', '32'],
      'error: attack: layer conv2: number of channels to prune, expected 1 to 31, got 32.',
    ],
  ] as const)('%i %j', async (code, argv, message) => {
    expect(await failing(code, ...argv)).toMatch(message);
  });

  test.each([
    [['prune', model, ...DATA, '--memory-limit', '100'], '--memory-limit', '--untrusted as well'],
    [['finetune', model, ...DATA, '--time-limit', '5'], '--time-limit', '--untrusted as well'],
    [['fineprune', model, ...DATA, '--memory-limit', '100', '--time-limit', '5'], '--memory-limit', '--untrusted as well'],
    [['evaluate', model, ...DATA, '--time-limit', '60'], '--time-limit', '--untrusted as well'],
    [['inspect', model, '--trusted', '--memory-limit', '100'], '--memory-limit', 'the same without --trusted'],
  ] as const)('limits that nobody would keep: %j', async (argv, flag, hint) => {
    expect(await failing(2, ...argv)).toBe(`error: ${flag}: has no effect on a trusted model. Try ${hint}.`);
  });

  test('the same for commands without a run folder, and from a config file', async () => {
    const refused = async (...argv: string[]) => {
      const printed = await run(...argv);
      return [printed.code, printed.out, printed.err];
    };
    const error = (flag: string, hint: string) => [2, '', `error: ${flag}: has no effect on a trusted model. Try ${hint}.\n`];
    expect(await refused('gradcheck', model, '--time-limit', '5')).toEqual(error('--time-limit', '--untrusted as well'));
    expect(await refused('doctor', model, '--trusted', '--time-limit', '5')).toEqual(error('--time-limit', 'the same without --trusted'));
    writeFileSync(at('limits.yaml'), 'memory-limit: 500\n');
    expect(await refused('gradcheck', model, '--config', at('limits.yaml'))).toEqual(error('--memory-limit', '--untrusted as well'));
    rmSync(at('limits.yaml'));
  });

  test('report of what is no run', async () => {
    const printed = await run('report', at('empty'));
    expect(printed).toMatchObject({ code: 2, out: '', err: `error: ${at('empty')}: not a finished run, expected a result.json in it.\n` });
  });
});

describe('run folders', () => {
  test('an existing one is not overwritten unless told to', async () => {
    mkdirSync(at('there'));
    writeFileSync(at('there', 'precious'), '');
    const args = ['inspect', at('model.onnx'), '--threads', '1', '--out', at('there')];
    const refused = await run(...args);
    expect(refused.code).toBe(2);
    expect(refused.err).toBe(`error: --out: ${at('there')} exists already. Try another name, or --force to replace it.\n`);
    expect(existsSync(at('there', 'precious'))).toBe(true);
    const forced = await run(...args, '--force');
    expect(forced.code).toBe(2);
    expect(forced.err).toBe(
      `error: --force: ${at('there')} is no run folder, so it is left as it is, expected a folder with a run.json in it, or an empty one, got a folder of 1 entry without one. Try another --out.\n`,
    );
    expect(readdirSync(at('there'))).toEqual(['precious']);
    rmSync(at('there', 'precious'));
    // an empty folder first, then a run, beside what an earlier program may have left
    mkdirSync(at('there.old'));
    writeFileSync(at('there.old', 'precious'), '');
    expect((await run(...args, '--force')).code).toBe(0);
    writeFileSync(at('there', 'result.json'), 'of the run before');
    expect((await run(...args, '--force')).code).toBe(0);
    expect(readFileSync(at('there', 'result.json'), 'utf8')).toMatch(/^\{/);
    expect(readdirSync(folder).filter((name) => name.startsWith('there'))).toEqual(['there', 'there.old']);
    expect(readdirSync(at('there.old'))).toEqual(['precious']);
  });

  test.each([[['inspect', at('model.onnx'), '--threads', '1']], [['demo']]])('--force does not take away a file: %j', async (argv) => {
    const refused = await run(...argv, '--out', at('text.onnx'), '--force');
    expect(refused.code).toBe(2);
    expect(refused.err).toBe(
      `error: --force: ${at('text.onnx')} is no run folder, so it is left as it is, expected a folder with a run.json in it, or an empty one, got a file. Try another --out.\n`,
    );
    expect(existsSync(at('text.onnx'))).toBe(true);
  });

  test('a run that cannot take its place leaves the one that stands there', async () => {
    const folders = await RunFolder.create(at('stays'), 'inspect', false);
    mkdirSync(at('stays'));
    writeFileSync(at('stays', 'run.json'), '{}');
    await folders.json('run.json', {
      version: 1,
      command: 'inspect',
      commandLine: '',
      options: {},
      seed: 0,
      versions: {},
      machine: '',
      inputs: {},
      started: '',
    });
    disk.stuck = /stays\.partial$/;
    await expect(folders.finish()).rejects.toThrow('EBUSY');
    expect(readFileSync(at('stays', 'run.json'), 'utf8')).toBe('{}');
    expect(readdirSync(folder).filter((name) => name.startsWith('stays'))).toEqual(['stays', 'stays.partial']);
    for (const name of ['stays', 'stays.partial']) rmSync(at(name), { recursive: true });
  });

  test('an unfinished one is not overwritten either', async () => {
    mkdirSync(at('half.partial'));
    writeFileSync(at('half.partial', 'checkpoint.onnx'), '');
    const refused = await run('train', ...DATA, '--out', at('half'));
    expect(refused.code).toBe(2);
    expect(refused.err).toBe(
      `error: --out: an unfinished run is in ${at('half.partial')}. Try --force to replace it, or --resume ${at('half')} to go on with it.\n`,
    );
    rmSync(at('half.partial'), { recursive: true });
  });

  test('without --out the next free name is taken', async () => {
    const before = process.cwd();
    process.chdir(at('empty'));
    try {
      for (const n of [1, 2])
        expect((await run('inspect', at('model.onnx'), '--threads', '1')).out).toMatch(new RegExp(`\nruns/inspect-${n}\n$`));
      expect(readdirSync('runs').sort()).toEqual(['inspect-1', 'inspect-2']);
    } finally {
      process.chdir(before);
    }
  });

  test('resuming what is not there, what is complete, what is no run', async () => {
    const resume = async (name: string) => errorOf(await run('train', '--resume', at(name)));
    expect(await resume('nothing')).toBe(
      `error: --resume: no unfinished run in ${at('nothing.partial')}. Try the path that was given with --out.`,
    );
    expect(await resume('there')).toBe(`error: --resume: the run in ${at('there')} is complete. Try a new run without --resume.`);
    mkdirSync(at('broken.partial'));
    expect(await resume('broken')).toBe(`error: ${at('broken.partial')}: not a run folder, expected a run.json in it.`);
    writeFileSync(at('broken.partial', 'run.json'), '{"version": 1');
    expect(await resume('broken')).toBe(
      `error: ${at('broken.partial', 'run.json')}: not the description of a run, expected one written by secateur.`,
    );
    rmSync(at('broken.partial'), { recursive: true });
  });
});

describe('a full disk', () => {
  const FULL = /^error: out\.partial\/\S+: the disk is full\. Try /;

  test.each([
    ['the first checkpoint', /checkpoint/, ['train', ...DATA, ...FAST]],
    ['the description of the run', /run\.json/, ['train', ...DATA, ...FAST]],
    ['the model', /model\.onnx/, ['prune', at('model.onnx'), ...DATA, '--allow-chance']],
    ['the result', /result\.json/, ['prune', at('model.onnx'), ...DATA, '--allow-chance']],
  ])('while %s is written: an error, and nothing left', async (_, full, argv) => {
    disk.full = full;
    expect(await failing(1, ...argv)).toMatch(FULL);
  });

  test('while the model is written, after an hour of training: the checkpoint stays, and with space again the run is completed', async () => {
    disk.full = /model\.onnx/;
    const printed = await run('train', ...DATA, ...FAST, '--out', at('out'));
    expect(printed.code).toBe(1);
    expect(errorOf(printed).replaceAll(`${folder}/`, '')).toMatch(FULL);
    expect(printed.err).toContain(`\nthe last checkpoint is kept: secateur train --resume ${at('out')} goes on from there\n`);
    expect(existsSync(at('out'))).toBe(false);
    disk.full = undefined;
    expect((await run('train', '--resume', at('out'))).code).toBe(0);
    expect(readdirSync(at('out')).sort()).toEqual(['media.json', 'metrics.jsonl', 'model.onnx', 'result.json', 'run.json']);
    rmSync(at('out'), { recursive: true });
  });

  test('while a report is written: the old one stays', async () => {
    const { code } = await run('inspect', at('model.onnx'), '--threads', '1', '--out', at('reported'));
    expect(code).toBe(0);
    await run('report', at('reported'));
    disk.full = /report\.html/;
    const printed = await run('report', at('reported'));
    expect(printed.code).toBe(1);
    expect(errorOf(printed)).toMatch(/report\.html\.\w+\.tmp: the disk is full\. Try freeing some space/);
    expect(readdirSync(at('reported')).filter((name) => name.startsWith('report'))).toEqual(['report.html']);
    rmSync(at('reported'), { recursive: true });
  });
});

test('training that diverges says so and keeps nothing', async () => {
  const error = await failing(1, 'train', ...DATA, '--epochs', '3', '--batch-size', '32', '--lr', '1e30', '--schedule', 'constant');
  expect(error).toMatch(/^error: train: training diverged, expected a finite loss and finite weights, got .*\. Try --lr 1e\+29 /);
});
