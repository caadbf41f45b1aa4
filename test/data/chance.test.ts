/** Networks that guess, and what they should have been fed. */
import { afterAll, describe, expect, test } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32 } from '../../src/core/tensor.ts';
import { type Agreement, agreement, describeChance, describeFeed, findBetter, Trial, usualWays } from '../../src/data/chance.ts';
import type { Dataset } from '../../src/data/dataset.ts';
import { makeDataset } from '../../src/data/make.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import type { Model } from '../../src/onnx/model.ts';
import { type ModelSpec, writeSpec } from '../../src/onnx/spec.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { messageOf, noise } from './helpers.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

test('agreement beyond chance', () => {
  expect(agreement([0, 1, 2, 0], [0, 1, 2, 0])).toEqual({ accuracy: 1, chance: 0.375, kappa: 1, n: 4 });
  // always the same class: as often right as that class is there, and no better than chance
  const constant = agreement(
    new Int32Array(100),
    Int32Array.from({ length: 100 }, (_, i) => (i < 70 ? 0 : 1)),
  );
  expect(constant).toMatchObject({ accuracy: 0.7, kappa: 0 });
  expect(agreement([1, 0, 1, 0], [0, 1, 0, 1]).kappa).toBe(-1);
  expect(agreement([0, 0], [0, 0]).kappa).toBe(1);
  // images of one class: a network that names it is right, one that names others is not
  expect(agreement([3, 3, 3, 3], [3, 3, 3, 3], 10)).toEqual({ accuracy: 1, chance: 0.1, kappa: 1, n: 4 });
  expect(agreement([3, 3, 3, 1], [3, 3, 3, 3], 10).kappa).toBeCloseTo(0.65 / 0.9, 10);
  expect(agreement([1, 2, 0, 4], [3, 3, 3, 3], 10).kappa).toBeLessThan(0);
});

test('chance in words', () => {
  const of = (accuracy: number, chance: number, n: number): Agreement => ({ accuracy, chance, kappa: 0, n });
  expect(describeChance(of(0.08, 0.001, 256), 1000)).toBe('80 times chance for 1000 classes, and low');
  expect(describeChance(of(0.15, 0.1, 256), 10)).toBe('chance for 10 classes');
  expect(describeChance(of(0.25, 0.1, 16), 10)).toBe('chance for 10 classes');
});

/**
 * Classes are levels of the first channel of images `[3,2,2]`, 12 of them; the other channels are noise. The network knows each level as
 * it is fed with `trained` and names the nearest: score_k = 2 * level_k * x - level_k ** 2.
 */
const CLASSES = 12;
const byteOf = (label: number): number => 10 + label * 21;

function data(classes = Array.from({ length: CLASSES }, (_, i) => String(i))): Dataset<'test'> {
  const { pixels, labels } = noise('test', 240, { channels: 3, height: 2, width: 2, classes: CLASSES });
  const mine = pixels.slice();
  for (const [i, label] of labels.entries()) mine.fill(byteOf(label), i * 12, i * 12 + 4);
  return makeDataset({ role: 'test', source: 'levels', channels: 3, height: 2, width: 2, pixels: mine, labels, classes });
}

function net(
  trained: Partial<ModelSpec>,
  batch: number | string,
  order = Array.from({ length: CLASSES }, (_, i) => i),
): { model: Model; spec: ModelSpec } {
  const spec: ModelSpec = {
    ...{ input: 'x', logits: 'logits', layout: 'NCHW', dims: [3, 2, 2], channelOrder: 'RGB', channels: 3, height: 2, width: 2 },
    ...{ range: [0, 1], mean: [0, 0, 0], std: [1, 1, 1], labels: Array.from({ length: CLASSES }, (_, i) => String(i)) },
    ...trained,
  };
  const b = new GraphBuilder();
  b.input('x', 'float32', [batch, 3, 2, 2]);
  const red = spec.channelOrder === 'BGR' ? 2 : 0;
  const level = (label: number): number =>
    ((byteOf(label) / 255) * (spec.range[1] - spec.range[0]) + spec.range[0] - spec.mean[red]) / spec.std[red];
  const weights = new Float32Array(12 * CLASSES);
  const bias = new Float32Array(CLASSES);
  for (let k = 0; k < CLASSES; k++) {
    for (let p = 0; p < 4; p++) weights[(red * 4 + p) * CLASSES + k] = level(order[k]) / 2;
    bias[k] = -(level(order[k]) ** 2);
  }
  const flat = b.op('Flatten', ['x']);
  const scores = b.op('MatMul', [flat, b.initializer('w', f32(weights, [12, CLASSES]))]);
  b.op('Add', [scores, b.initializer('b', f32(bias, [CLASSES]))], {}, { outputs: ['logits'] });
  b.output('logits', 'float32', [batch, CLASSES]);
  return { model: writeSpec(b.build(), spec), spec };
}

async function look(built: ReturnType<typeof net>, fed: Partial<ModelSpec>, images = data()) {
  const spec = { ...built.spec, ...fed };
  const trial = new Trial(runtime, built.model, images, spec);
  const [said] = await trial.predictions([{}]);
  const now = agreement(said, trial.labels);
  return { now, better: await findBetter(trial, now, spec) };
}

const none = { range: [0, 1] as [number, number], mean: [0, 0, 0], std: [1, 1, 1] };

describe('the usual preprocessing that does best is named', () => {
  const cases = usualWays({ channels: 3, height: 2 });
  test.each(cases.filter((way) => /none|-1,1|imagenet|cifar10$|BGR/.test(way.flags)))('$flags', async (way) => {
    const built = net(way.spec, 'N');
    expect((await look(built, {})).now.accuracy).toBe(1);
    const wrong = { ...none, range: [0, 255] as [number, number], channelOrder: way.spec.channelOrder === 'BGR' ? 'RGB' : 'BGR' } as const;
    const { now, better } = await look(built, wrong);
    expect(now.kappa).toBeLessThan(0.1);
    expect(better!.accuracy).toBeGreaterThan(0.9);
    // BGR and RGB are told apart by where the levels are
    expect(better!.flags.includes('BGR')).toBe(way.spec.channelOrder === 'BGR');
  });

  test('with the batch fixed in the graph', async () => {
    const { now, better } = await look(net({ range: [-1, 1] }, 7), { ...none, range: [0, 255] });
    expect(now.kappa).toBeLessThan(0.1);
    expect(better).toMatchObject({ flags: '--input-range -1,1', accuracy: 1, n: 240 });
  });

  test('classes in alphabetical order', async () => {
    const names = Array.from({ length: CLASSES }, (_, i) => String(i));
    const sorted = [...names].sort().map(Number);
    const { now, better } = await look(net({}, 'N', sorted), {});
    expect(now.accuracy).toBeLessThan(0.5);
    expect(better).toMatchObject({ accuracy: 1, flags: '--preprocess none --labels 0,1,10,11,... (all 12 in alphabetical order)' });
  });

  test('few images name nothing by luck, and many name what helps a little', async () => {
    /** Ways that are right for a share of the images, one of them for more. */
    const found = async (n: number, share: number, best: number, seed: number): Promise<boolean> => {
      const rng = Rng.from(seed, 'luck');
      const labels = Int32Array.from({ length: n }, () => rng.int(10));
      const guess = (right: number): Int32Array => labels.map((label) => (rng.uniform(0, 1) < right ? label : rng.int(10)));
      const classes = Array.from({ length: 10 }, (_, i) => String(i));
      const predictions = async (ways: readonly unknown[]): Promise<Int32Array[]> => ways.map((_, i) => guess(i === 3 ? best : share));
      const trial = { labels, classes, predictions } as unknown as Trial;
      return (await findBetter(trial, agreement(guess(share), labels, 10), { channels: 3, height: 32 })) !== undefined;
    };
    const count = async (n: number, share: number, best: number): Promise<number> => {
      let times = 0;
      for (let seed = 0; seed < 50; seed++) if (await found(n, share, best, seed)) times++;
      return times;
    };
    expect(await count(20, 0, 0)).toBeLessThan(5);
    expect(await count(20, 0.2, 0.2)).toBeLessThan(5);
    expect(await count(256, 0.1, 0.4)).toBe(50);
    expect(await count(20, 0, 0.9)).toBe(50);
  });

  test('nothing is named where nothing helps', async () => {
    const images = data();
    const shuffled = makeDataset({ ...images, labels: images.labels.map((_, i) => (i * 7 + Math.floor(i / 12) * 5) % CLASSES) });
    expect((await look(net({}, 'N'), {}, shuffled)).better).toBeUndefined();
  });
});

test('images that do not fit are told before anything runs', async () => {
  const { model, spec } = net({}, 'N');
  expect(await messageOf(() => new Trial(runtime, model, noise('test', 3), spec))).toContain('images do not fit the model');
});

test('what a network is fed, in words', () => {
  const { spec } = net({}, 'N');
  expect(describeFeed(spec)).toBe('0..1, RGB');
  expect(describeFeed({ ...spec, mean: [0.5, 0.5, 0.5], std: [1, 2, 3], channelOrder: 'BGR', layout: 'NHWC' })).toBe(
    '0..1, mean 0.5, std 1,2,3, BGR, NHWC',
  );
});
