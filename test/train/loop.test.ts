import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { f32, type Tensor } from '../../src/core/tensor.ts';
import { makeDataset } from '../../src/data/make.ts';
import type { Model } from '../../src/onnx/model.ts';
import { readSpec } from '../../src/onnx/spec.ts';
import { type DisposableRuntime, openRuntime } from '../../src/runtime/open.node.ts';
import type { Runtime } from '../../src/runtime/session.ts';
import { Batches } from '../../src/train/batches.ts';
import type { Checkpoint, CheckpointStore } from '../../src/train/checkpoint.ts';
import { train } from '../../src/train/loop.ts';
import type { TrainOptions, TrainProgress } from '../../src/train/options.ts';
import { linearNet, quarters, tinyNet } from './tiny.ts';

let runtime: DisposableRuntime;
beforeAll(async () => {
  runtime = await openRuntime({ threads: 1 });
});
afterAll(() => runtime.dispose());

const base: TrainOptions = { epochs: 3, batchSize: 16, learningRate: 0.1, optimizer: { kind: 'sgd', momentum: 0.9 }, seed: 1 };
const weights = (model: Model, name: string): number[] => [...(model.graph.initializers.get(name)!.data as Float32Array)];
const everything = (model: Model): Record<string, number[]> =>
  Object.fromEntries([...model.graph.initializers.keys()].map((name) => [name, weights(model, name)]));

function memoryStore(): CheckpointStore & { saved: Checkpoint[] } {
  const saved: Checkpoint[] = [];
  return {
    saved,
    load: async () => saved.at(-1),
    save: async (c) => {
      saved.push(structuredClone(c));
    },
  };
}

test('learns, tells what it does, and leaves the given model alone', async () => {
  const model = tinyNet();
  const before = everything(model);
  const seen: TrainProgress[] = [];
  const { model: trained, history } = await train(runtime, model, quarters(400), {
    ...base,
    schedule: { kind: 'cosine', floor: 0 },
    evaluate: async (m) => ({ norm: Math.hypot(...weights(m, 'fc.weight')) }),
    onProgress: (p) => seen.push(p),
  });
  expect(everything(model)).toEqual(before);
  expect(history.map((r) => r.epoch)).toEqual([1, 2, 3]);
  expect(history[2].loss).toBeLessThan(history[0].loss / 2);
  expect(history[2].trainAccuracy).toBeGreaterThan(0.95);
  expect(history[2].evaluated.norm).toBeCloseTo(Math.hypot(...weights(trained, 'fc.weight')), 6);
  expect(history[0].imagesPerSecond).toBeGreaterThan(0);
  expect(seen.map((p) => p.kind)).toEqual([
    'start',
    ...Array.from({ length: 3 }, () => [...new Array<string>(25).fill('step'), 'epoch']).flat(),
  ]);
  const steps = seen.filter((p) => p.kind === 'step');
  expect(steps.map((p) => p.doneSteps)).toEqual(Array.from({ length: 75 }, (_, i) => i + 1));
  expect(steps.at(-1)!.secondsLeft).toBe(0);
  expect(steps[24].loss).toBe(history[0].loss);
});

/** Softmax cross-entropy and plain gradient descent on {@link linearNet}, in plain arithmetic. */
function byHand(
  start: readonly number[],
  images: readonly (readonly [readonly number[], number])[][],
  rate: number,
): { w: number[]; loss: number } {
  const w = [...start];
  const bias = [0, 0];
  let loss = 0;
  for (const batch of images) {
    const gradient = [0, 0, 0, 0];
    const biasGradient = [0, 0];
    for (const [x, y] of batch) {
      const z = [0, 1].map((k) => x[0] * w[k] + x[1] * w[2 + k] + bias[k]);
      const p = z.map((v) => Math.exp(v) / (Math.exp(z[0]) + Math.exp(z[1])));
      loss -= Math.log(p[y]);
      for (let k = 0; k < 2; k++) {
        biasGradient[k] += (p[k] - Number(k === y)) / batch.length;
        for (let i = 0; i < 2; i++) gradient[i * 2 + k] += (x[i] * (p[k] - Number(k === y))) / batch.length;
      }
    }
    for (const [i, g] of gradient.entries()) w[i] -= rate * g;
    for (const [k, g] of biasGradient.entries()) bias[k] -= rate * g;
  }
  return { w, loss: loss / images.flat().length };
}

test.each([
  [4, 'one full batch'],
  [3, 'a second batch of one image and two places of padding, which have no part in loss and gradient'],
])('batches of %i: the same as worked out by hand (%s)', async (batchSize) => {
  const data = makeDataset({
    ...{ role: 'train' as const, source: 'four', channels: 1, height: 1, width: 2, classes: ['0', '1'] },
    pixels: Uint8Array.from([255, 0, 51, 255, 102, 204, 0, 153]),
    labels: Int32Array.from([0, 1, 1, 0]),
  });
  const images = [0, 1, 2, 3].map((i) => [[data.pixels[2 * i] / 255, data.pixels[2 * i + 1] / 255], data.labels[i]] as const);
  const start = [0.1, -0.2, 0.3, 0.4];
  const model = linearNet(start);
  const order = [...new Batches(data, readSpec(model), { batchSize, seed: 1, rest: 'pad' }).order(0)].map((i) => images[i]);
  const batches = batchSize === 4 ? [order] : [order.slice(0, 3), order.slice(3)];
  const expected = byHand(start, batches, 0.5);
  const options: TrainOptions = { ...base, epochs: 1, batchSize, learningRate: 0.5, optimizer: { kind: 'sgd' } };
  const { model: trained, history } = await train(runtime, model, data, options);
  for (const [i, v] of weights(trained, 'w').entries()) expect(v).toBeCloseTo(expected.w[i], 6);
  expect(history[0].loss).toBeCloseTo(expected.loss, 6);
});

test('a batch larger than the data is the data', async () => {
  const options: TrainOptions = { ...base, epochs: 1 };
  const exact = await train(runtime, tinyNet(), quarters(20), { ...options, batchSize: 20 });
  const over = await train(runtime, tinyNet(), quarters(20), { ...options, batchSize: 64 });
  expect(everything(over.model)).toEqual(everything(exact.model));
});

test('same seed, same bytes; another seed, other weights', async () => {
  const run = async (seed: number) => everything((await train(runtime, tinyNet(), quarters(100), { ...base, seed })).model);
  expect(await run(1)).toEqual(await run(1));
  expect(await run(1)).not.toEqual(await run(2));
});

test('masks hold, frozen parameters stay, batch statistics move', async () => {
  const mask = f32([1, 0, 1, 1], [4, 1, 1, 1]);
  const cut = await train(runtime, tinyNet(), quarters(100), { ...base, masks: new Map([['conv.weight', mask]]) });
  expect(
    weights(cut.model, 'conv.weight')
      .slice(9, 18)
      .every((v) => v === 0),
  ).toBe(true);
  expect(
    weights(cut.model, 'conv.weight')
      .slice(0, 9)
      .every((v) => v !== 0),
  ).toBe(true);

  const frozen = await train(runtime, tinyNet(), quarters(100), { ...base, trainable: (name) => name.startsWith('fc') });
  expect(weights(frozen.model, 'conv.weight')).toEqual(weights(tinyNet(), 'conv.weight'));
  expect(weights(frozen.model, 'fc.weight')).not.toEqual(weights(tinyNet(), 'fc.weight'));

  const norm = await train(runtime, tinyNet(1, true), quarters(100), base);
  expect(weights(norm.model, 'bn.mean').every((v) => v !== 0)).toBe(true);
  const still = await train(runtime, tinyNet(1, true), quarters(100), { ...base, batchNorm: 'inference' });
  expect(weights(still.model, 'bn.mean')).toEqual([0, 0, 0, 0]);
});

test('the next step is sent before the last one is waited for', async () => {
  const order: string[] = [];
  const watched: Runtime = {
    backend: runtime.backend,
    threads: runtime.threads,
    async open(model, options) {
      const session = await runtime.open(model, options);
      let n = 0;
      return {
        ...session,
        inputNames: session.inputNames,
        outputNames: session.outputNames,
        types: (feeds, limit) => session.types(feeds, limit),
        state: () => session.state(),
        close: () => session.close(),
        run: async (feeds, o) => {
          const k = ++n;
          order.push(`sent ${k}`);
          const values = await session.run(feeds, o);
          order.push(`done ${k}`);
          return values;
        },
      } as typeof session;
    },
  };
  await train(watched, tinyNet(), quarters(64), { ...base, epochs: 1 });
  expect(order).toEqual(['sent 1', 'sent 2', 'done 1', 'sent 3', 'done 2', 'sent 4', 'done 3', 'done 4']);
});

describe('stopping and going on', () => {
  const options: TrainOptions = {
    ...base,
    epochs: 4,
    optimizer: { kind: 'adam', weightDecay: 0.01 },
    learningRate: 0.01,
    schedule: { kind: 'one-cycle', warmUp: 0.3 },
    augment: { shift: 1, flip: true },
  };
  // 100 images in batches of 16: 7 steps an epoch, the last one padded
  const data = quarters(100);

  test.each([
    ['plain', false],
    ['with batch normalisation', true],
  ])('aborted at any step and resumed: the same weights bit by bit, the same history (%s)', async (_, batchNorm) => {
    const whole = await train(runtime, tinyNet(1, batchNorm), data, options);
    const timeless = (h: typeof whole.history) => h.map(({ seconds: _s, imagesPerSecond: _i, ...rest }) => rest);
    for (const stops of [[1], [6], [7], [3, 9, 20]]) {
      const store = memoryStore();
      let result: Awaited<ReturnType<typeof train>> | undefined;
      for (const stop of [...stops, Number.POSITIVE_INFINITY]) {
        const controller = new AbortController();
        const onProgress = (p: TrainProgress): void => {
          if (p.kind === 'step' && p.doneSteps >= stop) controller.abort();
        };
        const run = train(runtime, tinyNet(1, batchNorm), data, { ...options, checkpoint: store, signal: controller.signal, onProgress });
        if (stop === Number.POSITIVE_INFINITY) result = await run;
        else
          await expect(run).rejects.toMatchObject({
            exitCode: 130,
            message: expect.stringMatching(/^train: interrupted at epoch \d, step \d of \d\.$/),
          });
      }
      expect(everything(result!.model)).toEqual(everything(whole.model));
      expect(timeless(result!.history)).toEqual(timeless(whole.history));
    }
  });

  test('a checkpoint every so many steps and after every epoch; a finished run is not trained further', async () => {
    const store = memoryStore();
    const whole = await train(runtime, tinyNet(), data, { ...options, epochs: 2, checkpoint: store, checkpointEvery: 3 });
    expect(store.saved.map((c) => [c.epoch, c.step])).toEqual([
      [0, 3],
      [0, 6],
      [1, 0],
      [1, 2],
      [1, 5],
      [2, 0],
    ]);
    const seen: TrainProgress[] = [];
    const again = await train(runtime, tinyNet(), data, { ...options, epochs: 2, checkpoint: store, onProgress: (p) => seen.push(p) });
    expect(everything(again.model)).toEqual(everything(whole.model));
    expect(seen.map((p) => p.kind)).toEqual(['start']);
    // from the middle
    for (const c of store.saved) {
      const from: CheckpointStore = { load: async () => c, save: async () => {} };
      expect(everything((await train(runtime, tinyNet(), data, { ...options, epochs: 2, checkpoint: from })).model)).toEqual(
        everything(whole.model),
      );
    }
  });

  test('other settings, other data, another network are refused by name', async () => {
    const store = memoryStore();
    await train(runtime, tinyNet(), data, { ...options, epochs: 1, checkpoint: store });
    const on = (change: Partial<TrainOptions>, d = data, m = tinyNet()) =>
      train(runtime, m, d, { ...options, epochs: 1, checkpoint: store, ...change });
    const start = 'checkpoint: it was made with other settings and cannot be resumed with these, expected';
    await expect(on({ learningRate: 0.02 })).rejects.toThrow(`${start} --lr 0.01, got 0.02.`);
    await expect(on({ epochs: 2 })).rejects.toThrow(`${start} --epochs 1, got 2.`);
    await expect(on({ seed: 9 })).rejects.toThrow(`${start} --seed 1, got 9.`);
    await expect(on({ augment: { flip: true } })).rejects.toThrow(`${start} --augment flip,shift:1, got flip.`);
    await expect(on({ trainable: (n) => n === 'fc.bias' })).rejects.toThrow(`${start} the trained parameters `);
    await expect(on({}, quarters(100, 2))).rejects.toThrow(`${start} --data `);
    await expect(on({}, data, tinyNet(2))).rejects.toThrow(`${start} the network `);
  });

  test('another backend or thread count may go on, and says what that costs', async () => {
    const store = memoryStore();
    const controller = new AbortController();
    controller.abort();
    await expect(train(runtime, tinyNet(), data, { ...options, checkpoint: store, signal: controller.signal })).rejects.toThrow(
      'interrupted',
    );
    store.saved.push({ ...store.saved[0], machine: 'native, 64 threads' });
    const seen: TrainProgress[] = [];
    await train(runtime, tinyNet(), data, { ...options, epochs: 4, checkpoint: store, onProgress: (p) => seen.push(p) });
    expect(seen[0]).toEqual({
      kind: 'notice',
      text: expect.stringMatching(
        /^the checkpoint was written with native, 64 threads; with \w+, 1 threads, operators [0-9a-f]{8} the weights will not be the same bit by bit$/,
      ),
    });
  });

  test('a checkpoint that cannot be written ends the run with its own error', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write' });
    const store: CheckpointStore = { load: async () => undefined, save: () => Promise.reject(full) };
    await expect(train(runtime, tinyNet(), data, { ...options, checkpoint: store })).rejects.toBe(full);
  });
});

describe('what goes wrong', () => {
  test('a loss that is no number names epoch and step and says what to try', async () => {
    await expect(train(runtime, tinyNet(), quarters(400), { ...base, learningRate: 1e30, optimizer: { kind: 'sgd' } })).rejects.toThrow(
      /^train: training diverged, expected a finite loss and finite weights, got (NaN|Infinity|-Infinity) at epoch 1, step \d+ of 25\. Try --lr 1e\+29 \(it was 1e\+30\), or --schedule one-cycle, which begins slowly\.$/,
    );
  });

  test('weights that are no numbers after the very last step are found too', async () => {
    const huge = f32(new Float32Array(4 * 64).fill(3e38), [4, 64]);
    const net = tinyNet();
    net.graph.initializers.set('fc.weight', huge as Tensor);
    await expect(train(runtime, net, quarters(16), { ...base, epochs: 1, learningRate: 1e38 })).rejects.toThrow('train: training diverged');
  });

  test.each([
    [{ epochs: 0 }, '--epochs: not valid, expected a whole number of at least 1, got 0.'],
    [{ batchSize: 1.5 }, '--batch-size: not valid, expected a whole number of at least 1, got 1.5.'],
    [{ learningRate: 0 }, '--lr: not valid, expected a number above 0, got 0.'],
    [{ checkpointEvery: 0 }, '--checkpoint-every: not valid, expected a whole number of at least 1, got 0.'],
  ])('%j', async (change, message) => {
    await expect(train(runtime, tinyNet(), quarters(8), { ...base, ...change })).rejects.toThrow(message);
  });
});
