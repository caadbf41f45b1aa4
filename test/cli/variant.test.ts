/** fineprune --variant: what it does, and the flags that a variant has no use for. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadModel, saveModel } from '../../src/onnx/file.node.ts';
import { buildNetwork } from '../../src/train/networks/registry.ts';
import { errorOf, run, scratch } from './in-process.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (...parts: string[]): string => join(folder, ...parts);
const model = at('net.onnx');
const DATA = ['--data', 'builtin:digits?train=60&test=20', '--validation', 'all', '--allow-chance', '--threads', '1'];
beforeAll(() => saveModel(model, buildNetwork('badnets-cnn', 1, { channels: 1, height: 28, width: 28, classes: 10 })));

test('does as its authors have it and says whose it is', async () => {
  const { code, out } = await run('fineprune', model, ...DATA, '--variant', 'authors', '--count', '5', '--out', at('authors'));
  expect(code).toBe(0);
  expect(out).toMatch(/^cut 5 of 32 channels of conv2 \(the authors' scripts\) {2}validation /);
  expect(out).not.toContain('fine-tuned');
  const weight = (await loadModel(at('authors', 'model.onnx'))).graph.initializers.get('conv2.weight')!.data as Float32Array;
  const zero = Array.from({ length: 32 }, (_, c) => weight.subarray(c * 400, (c + 1) * 400)).filter((w) => w.every((v) => v === 0));
  expect(zero).toHaveLength(5);
  const { tables } = JSON.parse(readFileSync(at('authors', 'result.json'), 'utf8'));
  expect(tables[0].cells.map((c: { row: string }) => c.row)).toEqual(['before', 'pruned']);
  expect(tables[0].notes[0]).toMatch(/^the authors' scripts: mean behind the pooling; /);
});

test('fine-tunes where the authors do', async () => {
  const args = ['--variant', 'backdoorbox', '--rate', '0.5', '--epochs', '1', '--out', at('box')];
  const { code, out } = await run('fineprune', model, ...DATA, ...args);
  expect(code).toBe(0);
  expect(out).toMatch(/^cut 16 of 32 channels of conv2, fine-tuned \(BackdoorBox\) {2}validation /);
});

test('the limit that was used is in run.json, in points or of the start', async () => {
  const left = async (name: string, ...flags: string[]) => {
    const { code } = await run('fineprune', model, ...DATA, ...flags, '--out', at(name));
    expect(code).toBe(0);
    const { tables } = JSON.parse(readFileSync(at(name, 'result.json'), 'utf8')) as { tables: { notes?: string[] }[] };
    return { ...JSON.parse(readFileSync(at(name, 'run.json'), 'utf8')).options, notes: tables.flatMap((t) => t.notes ?? []).join(' ') };
  };
  const toolbox = await left('toolbox', '--variant', 'backdoor-toolbox');
  expect(toolbox.threshold).toBe(0.2);
  expect(toolbox.notes).toContain(' Limit of this run: validation accuracy falls by 20.0 points. ');
  const bench = ['--variant', 'backdoorbench', '--epochs', '1'];
  expect(await left('asked', ...bench, '--threshold', '0.3')).toMatchObject({
    threshold: 0.3,
    notes: expect.stringContaining(' Limit of this run: validation accuracy falls by 30.0 % of its start. '),
  });
  expect((await left('paper', '--epochs', '1')).threshold).toBe(0.04);
  // a variant without a limit
  expect(JSON.parse(readFileSync(at('authors', 'run.json'), 'utf8')).options).not.toHaveProperty('threshold');
  const { out } = await run('fineprune', '--help');
  expect(out.replace(/\s+/g, ' ')).toContain(
    'with --variant backdoorbench a share of the start); default by variant: paper 0.04, backdoorbench 0.1, trojanzoo 0.2, backdoor-toolbox 0.2',
  );
});

test.each([
  [
    ['--variant', 'authors', '--threshold', '0.1'],
    'error: --threshold: has no effect on --variant authors. Try --variant paper or backdoorbench or trojanzoo or backdoor-toolbox.',
  ],
  [
    ['--variant', 'authors', '--epochs', '3'],
    'error: --epochs: has no effect on --variant authors. Try a variant that fine-tunes; this one prunes only.',
  ],
  [
    ['--variant', 'trojanzoo', '--layer', 'conv1'],
    'error: --layer: has no effect on --variant trojanzoo. Try --variant paper or authors or backdoorbox.',
  ],
  [['--count', '3'], 'error: --count: has no effect on --variant paper. Try --variant authors.'],
  [
    ['--variant', 'backdoorbox', '--compact'],
    'error: --compact: has no effect on --variant backdoorbox. Try --variant paper, which cuts whole channels.',
  ],
])('%j is refused', async (flags, message) => {
  const printed = await run('fineprune', model, ...DATA, ...flags, '--out', at('none'));
  expect(printed.code).toBe(2);
  expect(errorOf(printed)).toBe(message);
});
