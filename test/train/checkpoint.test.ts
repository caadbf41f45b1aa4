import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { f32, i64 } from '../../src/core/tensor.ts';
import { saveModel } from '../../src/onnx/file.node.ts';
import { fileCheckpoint } from '../../src/train/checkpoint.node.ts';
import { type Checkpoint, checkSettings, fromModel, toModel } from '../../src/train/checkpoint.ts';
import { buildNetwork } from '../../src/train/networks/registry.ts';

const folder = mkdtempSync(join(tmpdir(), 'secateur-checkpoint-'));
afterAll(() => rmSync(folder, { recursive: true }));

const checkpoint: Checkpoint = {
  version: 1,
  settings: { seed: 1, learningRate: 0.1, schedule: 'cosine' },
  machine: 'native, 2 threads',
  epoch: 3,
  step: 17,
  sums: { loss: 0.1 + 0.2, correct: 5, seen: 6, seconds: 1.25 },
  history: [{ epoch: 1, loss: 1 / 3, trainAccuracy: 0.5, learningRate: 0.1, seconds: 2, imagesPerSecond: 3, evaluated: { clean: 0.9 } }],
  state: { w: f32([1.5, -0, Number.MIN_VALUE, 1e-45], [2, 2]), steps: i64([9_007_199_254_740_991]) },
};

test('what is saved comes back bit by bit', async () => {
  const store = fileCheckpoint(join(folder, 'new', 'checkpoint.onnx'));
  expect(await store.load()).toBeUndefined();
  await store.save(checkpoint);
  const back = await store.load();
  expect(back).toMatchObject({ ...checkpoint, state: {} });
  for (const [name, t] of Object.entries(checkpoint.state)) {
    expect(back!.state[name].dims).toEqual(t.dims);
    expect(Buffer.from((back!.state[name].data as Float32Array).slice().buffer)).toEqual(
      Buffer.from((t.data as Float32Array).slice().buffer),
    );
  }
});

test('saving replaces the last one and leaves nothing else in the folder', async () => {
  const store = fileCheckpoint(join(folder, 'two', 'checkpoint.onnx'));
  await store.save(checkpoint);
  await store.save({ ...checkpoint, step: 18 });
  expect((await store.load())!.step).toBe(18);
  expect(readdirSync(join(folder, 'two'))).toEqual(['checkpoint.onnx']);
});

test('a write that fails leaves the last one whole', async () => {
  const path = join(folder, 'three', 'checkpoint.onnx');
  const store = fileCheckpoint(path);
  await store.save(checkpoint);
  const before = readFileSync(path);
  const broken = { ...checkpoint.state, w: { ...checkpoint.state.w, data: null as unknown as Float32Array } };
  await expect(store.save({ ...checkpoint, state: broken })).rejects.toThrow();
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readdirSync(join(folder, 'three'))).toEqual(['checkpoint.onnx']);
});

test('files that are no checkpoint', async () => {
  const path = join(folder, 'other.onnx');
  await saveModel(path, buildNetwork('badnets-cnn', 1, { channels: 1, height: 16, width: 16, classes: 2 }));
  await expect(fileCheckpoint(path).load()).rejects.toThrow(
    `${path}: not a checkpoint, expected one written by this version of secateur, got an ONNX file without training state. Try a new run without --resume.`,
  );
  truncateSync(path, 1000);
  await expect(fileCheckpoint(path).load()).rejects.toThrow(path);
  expect(existsSync(path)).toBe(true);
  const model = toModel(checkpoint);
  model.metadata.set('secateur.checkpoint', JSON.stringify({ version: 1, settings: {}, machine: '', epoch: 'x' }));
  expect(() => fromModel(model, 'c.onnx')).toThrow(
    'c.onnx: not a checkpoint, expected one written by this version of secateur, got training state without a valid epoch.',
  );
});

test('other settings are refused by name', () => {
  expect(() => checkSettings({ seed: 1 }, { seed: 1 })).not.toThrow();
  expect(() => checkSettings({ seed: 1, learningRate: 0.1 }, { seed: 1, learningRate: 0.05 })).toThrow(
    'checkpoint: it was made with other settings and cannot be resumed with these, expected --lr 0.1, got 0.05. ' +
      'Try the settings of the first run, or a new run in another --out folder.',
  );
  expect(() => checkSettings({ data: 'a'.repeat(64) }, { data: 'b'.repeat(64) })).toThrow(
    'expected --data aaaaaaaaaaaa..., got bbbbbbbbbbbb....',
  );
});
