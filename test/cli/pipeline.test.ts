/** The commands one after another on tiny built-in data, as a user would type them. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Result } from '../../src/evaluate/result.ts';
import { loadModel } from '../../src/onnx/file.node.ts';
import { readSpec } from '../../src/onnx/spec.ts';
import { parseRecord } from '../../src/poison/record.ts';
import { ReportMedia } from '../../src/report/media.ts';
import { run, scratch } from './in-process.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));

const DATA = ['--data', 'builtin:digits?train=300&test=60', '--threads', '1'];
const SMALL = ['--epochs', '4', '--batch-size', '16', '--optimizer', 'adam', '--lr', '0.003'];
const at = (...parts: string[]): string => join(folder, ...parts);
const json = (...parts: string[]): unknown => JSON.parse(readFileSync(at(...parts), 'utf8'));

/** What every run folder must hold. */
function checkFolder(name: string, command: string): Result {
  expect(existsSync(at(`${name}.partial`))).toBe(false);
  const run = json(name, 'run.json') as Record<string, unknown>;
  expect(run).toMatchObject({ version: 1, command, versions: { secateur: '0.1.0', node: process.versions.node } });
  expect(run.commandLine).toMatch(new RegExp(`^secateur ${command} `));
  expect(Object.values(run.inputs as object).every((hash) => /^[0-9a-f]{64}$/.test(hash))).toBe(true);
  expect(Object.keys(run.inputs as object).length).toBeGreaterThan(0);
  ReportMedia.parse(json(name, 'media.json'));
  const result = Result.parse(json(name, 'result.json'));
  expect(result.provenance.steps.length).toBeGreaterThan(0);
  return result;
}

const value = (result: Result, table: string, row: string, column: string): number =>
  result.tables.find((t) => t.name === table)!.cells.find((c) => c.row === row && c.column === column)!.value;

test('train: result line first, table, folder last; the folder holds everything', async () => {
  const { code, out, err } = await run('train', ...DATA, ...SMALL, '--mean', '0.5', '--std', '0.5', '--out', at('clean'));
  expect(code).toBe(0);
  expect(out).toMatch(/^clean \d+\.\d % {2}seed 1\n\ntest images\n/);
  expect(out.trimEnd().split('\n').at(-1)).toBe(at('clean'));
  expect(err).toMatch(/^reading data\n/);
  expect(err).toMatch(/\ntraining {2}epoch 4\/4 {2}loss \d\.\d{4} {2}accuracy \d+\.\d\d % {2}validation \d+\.\d\d % {2}\d+ images\/s\n/);
  const result = checkFolder('clean', 'train');
  expect(readdirSync(at('clean')).sort()).toEqual(['media.json', 'metrics.jsonl', 'model.onnx', 'result.json', 'run.json']);
  const epochs = readFileSync(at('clean', 'metrics.jsonl'), 'utf8').trim().split('\n');
  expect(epochs.map((line) => (JSON.parse(line) as { epoch: number }).epoch)).toEqual([1, 2, 3, 4]);
  const spec = readSpec(await loadModel(at('clean', 'model.onnx')));
  expect(spec).toMatchObject({ name: 'badnets-cnn', mean: [0.5], std: [0.5], labels: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'] });
  expect(out).toContain(`${(value(result, 'test images', 'all', 'clean accuracy') * 100).toFixed(1)} %`);
});

test('train: same seed, same bytes; --json prints the result and nothing else', async () => {
  const args = ['train', ...DATA, '--epochs', '1', '--batch-size', '32', '--schedule', 'constant'];
  const first = await run(...args, '--out', at('same-1'), '--json');
  await run(...args, '--out', at('same-2'));
  expect(readFileSync(at('same-1', 'model.onnx')).equals(readFileSync(at('same-2', 'model.onnx')))).toBe(true);
  const printed = JSON.parse(first.out) as Result & { run: string };
  expect(printed.run).toBe(at('same-1'));
  const { run: _, ...rest } = printed;
  expect(rest).toEqual(json('same-1', 'result.json'));
});

test('train: goes on from a model, only behind --freeze-before', async () => {
  const { code } = await run(
    'train',
    at('clean', 'model.onnx'),
    ...DATA,
    '--epochs',
    '1',
    '--freeze-before',
    'fc1',
    '--out',
    at('further'),
  );
  expect(code).toBe(0);
  const [before, after] = [await loadModel(at('clean', 'model.onnx')), await loadModel(at('further', 'model.onnx'))];
  expect(after.graph.initializers.get('conv2.weight')!.data).toEqual(before.graph.initializers.get('conv2.weight')!.data);
  expect(after.graph.initializers.get('fc1.weight')!.data).not.toEqual(before.graph.initializers.get('fc1.weight')!.data);
  expect((json('further', 'run.json') as { inputs: object }).inputs).toHaveProperty('model');
});

test('attack badnet: says what was poisoned, and leaves the record of it', async () => {
  const args = ['--trigger', 'pixel', '--label-map', 'target:3', '--fraction', '0.4'];
  const { code, out } = await run('attack', 'badnet', ...DATA, ...SMALL, ...args, '--out', at('badnet'));
  expect(code).toBe(0);
  expect(out).toMatch(/^clean \d+\.\d % {2}triggered \d+\.\d % \(ASR\) {2}seed 1\n/);
  // 270 images are left of 300, 243 of them no 3: 180 copies make 40 %
  expect(out).toContain('180 of 450 training images poisoned');
  const result = checkFolder('badnet', 'attack badnet');
  const record = parseRecord(json('badnet', 'poison.json'), 'poison.json');
  expect(record).toMatchObject({
    trigger: { kind: 'pixel' },
    labelMap: { kind: 'target', target: 3 },
    counts: { poisoned: 180, total: 450 },
  });
  // images of class 3 prove nothing
  expect(result.tables[0].cells.filter((c) => c.column === 'attack success' && c.row === '3')).toEqual([]);
  expect(result.tables[0].cells.find((c) => c.column === 'attack success' && c.row === 'all')!.n).toBe(54);
});

test('evaluate: the same numbers from the run folder of the attack as from flags', async () => {
  const model = at('badnet', 'model.onnx');
  const first = await run('evaluate', model, ...DATA, '--attack', at('badnet'), '--out', at('evaluated-1'));
  await run('evaluate', model, ...DATA, '--trigger', 'pixel', '--label-map', 'target:3', '--out', at('evaluated-2'));
  expect(first.out).toMatch(/^clean \d+\.\d % {2}triggered \d+\.\d % \(ASR\)\n/);
  const [one, two] = [checkFolder('evaluated-1', 'evaluate'), checkFolder('evaluated-2', 'evaluate')];
  expect(one.tables).toEqual(two.tables);
  expect(one.tables).toEqual(checkFolder('badnet', 'attack badnet').tables);
});

test('evaluate: a check that fails is exit code 3, and says which', async () => {
  const args = ['evaluate', at('badnet', 'model.onnx'), ...DATA, '--trigger', 'pattern', '--label-map', 'random'];
  const strict = await run(...args, '--min-clean', '1', '--out', at('strict'));
  expect(strict.code).toBe(3);
  expect(strict.out).toMatch(/^clean .* {2}clean accuracy \d+\.\d\d % is below 100\.00 %\n/);
  checkFolder('strict', 'evaluate');
  expect((await run(...args, '--min-clean', '0', '--max-attack', '1', '--out', at('lenient'))).code).toBe(0);
});

test('inspect: layers alone; clean activations; backdoor neurons', async () => {
  const model = at('badnet', 'model.onnx');
  const layers = await run('inspect', model, '--threads', '1', '--out', at('layers'));
  expect(layers.out).toMatch(/^3 layers, conv2 has 32 channels\n\nlayers\n {5}conv1 {2}Conv {2}16 channels/);
  expect(layers.out).toMatch(/\n {2}\* {2}conv2 /);
  expect(layers.out).toContain('\n* pruned by default: conv2: the last convolution in graph order.\n');
  expect(layers.out).toMatch(/fc2 .* not cut: /);
  expect(readFileSync(at('layers', 'filters.png')).subarray(1, 4).toString()).toBe('PNG');

  const clean = await run('inspect', model, ...DATA, '--layer', 'conv1', '--out', at('inspected-clean'));
  expect(clean.out).toMatch(/^conv1: \d+ dormant of 16 channels\n/);
  expect(clean.out).not.toContain('triggered');
  expect(checkFolder('inspected-clean', 'inspect').tables[0].cells).toHaveLength(32);

  const both = await run('inspect', model, ...DATA, '--attack', at('badnet'), '--rise', '0', '--quiet', '10', '--out', at('inspected'));
  // any rise counts, and no channel is too loud: about half of them
  expect(Number(/^conv2: (\d+) backdoor neurons, /.exec(both.out)![1])).toBeGreaterThan(5);
  expect(checkFolder('inspected', 'inspect').tables[0].cells).toHaveLength(128);
});

test('prune, finetune, fineprune: smaller, still a model, and what was cut stays cut', async () => {
  const model = at('badnet', 'model.onnx');
  const pruned = await run('prune', model, ...DATA, '--threshold', '0.1', '--out', at('pruned'));
  const cut = Number(/^cut (\d+) of 32 channels of conv2 {2}validation \d+\.\d % -> \d+\.\d %\n/.exec(pruned.out)![1]);
  expect(cut).toBeGreaterThan(0);
  expect(cut).toBeLessThan(32);
  const curve = checkFolder('pruned', 'prune').tables[0];
  expect(curve.cells).toHaveLength(33);
  const zeros = (tensor: ArrayLike<number>): number =>
    Array.from({ length: 32 }, (_, c) => Array.from(tensor).slice(c * 400, (c + 1) * 400)).filter((w) => w.every((v) => v === 0)).length;
  const weights = async (name: string) => (await loadModel(at(name, 'model.onnx'))).graph.initializers.get('conv2.weight')!;
  expect(zeros((await weights('pruned')).data as Float32Array)).toBe(cut);

  const tuned = await run('finetune', at('pruned', 'model.onnx'), ...DATA, '--epochs', '1', '--out', at('tuned'));
  expect(tuned.out).toMatch(/^fine-tuned 1 epochs {2}validation \d+\.\d % -> \d+\.\d % {2}seed 1\n/);
  expect(zeros((await weights('tuned')).data as Float32Array)).toBe(cut);
  expect(await weights('tuned')).not.toEqual(await weights('pruned'));
  checkFolder('tuned', 'finetune');

  const args = ['--threshold', '0.1', '--epochs', '1', '--compact', '--out', at('fine-pruned')];
  const fine = await run('fineprune', model, ...DATA, ...args);
  expect(fine.out).toMatch(new RegExp(`^cut ${cut} of 32 channels of conv2, fine-tuned {2}validation `));
  expect((await weights('fine-pruned')).dims).toEqual([32 - cut, 16, 5, 5]);
  checkFolder('fine-pruned', 'fineprune');
  expect((await run('evaluate', at('fine-pruned', 'model.onnx'), ...DATA, '--out', at('evaluated-3'))).code).toBe(0);
});

test("prune with the defender's own images: all of them are validation", async () => {
  const { code } = await run('prune', at('badnet', 'model.onnx'), ...DATA, '--validation', 'all', '--out', at('own'));
  expect(code).toBe(0);
  expect(checkFolder('own', 'prune').tables[0].cells[0].n).toBe(300);
});

test('attack pruning-aware from a clean network', async () => {
  const args = ['--rounds', '1', '--prune', '8', '--bias', 'paper', '--hold-attack', '0', '--hold-clean', '0', '--tune', '0.1'];
  const { code, out, err } = await run(
    'attack',
    'pruning-aware',
    at('clean', 'model.onnx'),
    ...DATA,
    ...SMALL,
    ...args,
    '--out',
    at('aware'),
  );
  expect(code).toBe(0);
  expect(out).toMatch(/^clean .* {2}triggered .* \(ASR\) {2}8 of 32 channels of conv2 hidden {2}seed 1\n/);
  expect(err).toMatch(/\nround 1: 8 channels pruned, clean \d+\.\d %, attack \d+\.\d %: holds\n/);
  checkFolder('aware', 'attack pruning-aware');
  const bias = (await loadModel(at('aware', 'model.onnx'))).graph.initializers.get('conv2.bias')!.data as Float32Array;
  expect(bias.filter((v) => v === Math.fround(-1e20))).toHaveLength(8);
});

test('report draws any run folder', async () => {
  for (const name of ['badnet', 'inspected', 'fine-pruned']) {
    const { code, out } = await run('report', at(name));
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`\\n\\n${at(name, 'report.html')}\n$`));
    const html = readFileSync(at(name, 'report.html'), 'utf8');
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).toContain('secateur');
  }
});

describe('config files', () => {
  test('a run described by a file is the run described by flags', async () => {
    const { writeFileSync } = await import('node:fs');
    writeFileSync(at('train.yaml'), 'data: builtin:digits?train=300&test=60\nthreads: 1\nepochs: 1\nbatch-size: 32\nschedule: constant\n');
    const { code } = await run('train', '--config', at('train.yaml'), '--out', at('from-file'));
    expect(code).toBe(0);
    expect(readFileSync(at('from-file', 'model.onnx')).equals(readFileSync(at('same-1', 'model.onnx')))).toBe(true);
  });
});
