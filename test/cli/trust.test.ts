/** How much of a file is believed: by default, with --trusted, with --untrusted. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32 } from '../../src/core/tensor.ts';
import { loadModel, saveModel } from '../../src/onnx/file.node.ts';
import { fileCheckpoint } from '../../src/train/checkpoint.node.ts';
import { linear, net } from '../grad/nets.ts';
import { errorOf, run, scratch } from './in-process.ts';

vi.mock('../../src/runtime/open.node.ts', async () => {
  const { inProcess } = await import('../grad/runtime.ts');
  return { openRuntime: async () => ({ ...inProcess, dispose: async () => {} }) };
});

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'many.onnx');
const DATA = ['--data', 'builtin:digits?train=60&test=20', '--threads', '1', '--input-range', '0,1'];
const out = (name: string): string[] => ['--out', join(folder, name)];

/** A small network with more entries of metadata than a stranger's file may have. */
beforeAll(async () => {
  const model = net([1, 28, 28], (b) => linear(b, Rng.from(1), 'fc', b.op('Flatten', ['x'], {}, { name: 'flat' }), 784, 10));
  model.graph.outputs[0].dims = ['batch', 10];
  for (let i = 0; i < 60_000; i++) model.metadata.set(`key ${i}`, 'value');
  await saveModel(path, model);
});

const refusal = (hint: string): RegExp =>
  new RegExp(
    `^error: \\S+/many\\.onnx: too many parts, expected a graph that takes at most 16 MB in memory beside its weights, got more, in a file of \\d\\.\\d MB\\. Try ${hint}, if you know where the file is from\\.$`,
  );

test.each([
  ['doctor', [], []],
  ['inspect', ['--layers'], out('layers')],
])('%s: a stranger may not have so many parts, but with --trusted', async (command, flags, at) => {
  const refused = await run(command, path, ...flags, ...at);
  expect([refused.code, refused.out]).toEqual([1, '']);
  expect(errorOf(refused)).toMatch(refusal('--trusted'));
  expect((await run(command, path, '--trusted', ...flags, ...at)).code).toBe(0);
});

test.each([
  ['gradcheck', ['--samples', '1'], []],
  ['evaluate', DATA, out('judged')],
])('%s: everybody may, but with --untrusted', async (command, flags, at) => {
  expect((await run(command, path, ...flags, ...at)).code).toBe(0);
  const refused = await run(command, path, '--untrusted', ...flags, ...at.map((word) => `${word}${word === '--out' ? '' : '-2'}`));
  expect([refused.code, refused.out]).toEqual([1, '']);
  expect(errorOf(refused)).toMatch(refusal('the same without --untrusted'));
});

test('train goes on from it, and other refusals stay as they are', async () => {
  expect((await run('train', path, ...DATA, '--epochs', '1', ...out('further'))).code).toBe(0);
  expect(errorOf(await run('doctor', join(folder, 'none.onnx')))).toBe(`error: ${join(folder, 'none.onnx')}: no such file.`);
});

test('a checkpoint may have as many parts as it had when it was written', async () => {
  const PARTS = 18_000;
  const file = join(folder, 'checkpoint.onnx');
  const store = fileCheckpoint(file);
  const state = Object.fromEntries(Array.from({ length: PARTS }, (_, i) => [`tensor ${i}`, f32([i], [])]));
  const sums = { loss: 0, correct: 0, seen: 0, seconds: 0 };
  await store.save({ version: 1, settings: {}, machine: 'test', epoch: 1, step: 0, sums, history: [], state });
  await expect(loadModel(file)).rejects.toThrow('too many parts');
  expect(Object.keys((await store.load())!.state)).toHaveLength(PARTS);
});
