/** From bytes to feeds, and whole data sets through networks small enough to work out by hand. */
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { f32 } from '../../src/core/tensor.ts';
import { feeder, feedTable, rangeFeed, toFeed } from '../../src/data/feed.ts';
import { argmax, forward, predict, withOutputs } from '../../src/data/forward.ts';
import { makeDataset } from '../../src/data/make.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import type { Dim, Model } from '../../src/onnx/model.ts';
import { type ModelSpec, writeSpec } from '../../src/onnx/spec.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import type { Feeds, Runtime, Session } from '../../src/runtime/session.ts';
import { messageOf, noise } from './helpers.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

const CHANNELS = 3;
const [HEIGHT, WIDTH] = [2, 2];
const DATA = noise('test', 11, { channels: CHANNELS, height: HEIGHT, width: WIDTH, classes: CHANNELS });
const SPEC: ModelSpec = {
  input: 'x',
  layout: 'NCHW',
  dims: [CHANNELS, HEIGHT, WIDTH],
  channelOrder: 'RGB',
  logits: 'scores',
  channels: CHANNELS,
  height: HEIGHT,
  width: WIDTH,
  range: [-1, 1],
  mean: [0.1, 0.2, 0.3],
  std: [0.5, 1, 2],
  labels: ['red', 'green', 'blue'],
};

/** Class score: the mean of a channel. The mean before flattening is an inner value, `pooled`. */
function brightest(batch: Dim, spec = SPEC): Model {
  const b = new GraphBuilder();
  b.input('x', 'float32', [batch, CHANNELS, HEIGHT, WIDTH]);
  const pooled = b.op('GlobalAveragePool', ['x'], {}, { outputs: ['pooled'] });
  const flat = b.op('Flatten', [pooled], {}, { outputs: ['flat'] });
  b.op('Mul', [flat, b.constant(f32([1], [1]))], {}, { outputs: ['scores'] });
  b.output('scores', 'float32', [batch, CHANNELS]);
  return writeSpec(b.build(), spec);
}

const fed = (pixel: number, c: number): number => Math.fround(((pixel / 255) * 2 - 1 - SPEC.mean[c]) / SPEC.std[c]);
const means = (image: number): number[] =>
  [0, 1, 2].map((c) => {
    const from = (image * CHANNELS + c) * HEIGHT * WIDTH;
    return DATA.pixels.subarray(from, from + 4).reduce((sum, pixel) => sum + fed(pixel, c), 0) / 4;
  });
const EXPECTED = Array.from({ length: DATA.count }, (_, i) => means(i));

describe('toFeed', () => {
  test('every byte becomes ((p / 255) * (hi - lo) + lo - mean) / std of its channel', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(DATA.count - 1), { minLength: 1, maxLength: 5 }), (indices) => {
        const { dims, data } = toFeed(DATA, indices, SPEC);
        expect(dims).toEqual([indices.length, CHANNELS, HEIGHT, WIDTH]);
        for (const [at, value] of data.entries()) {
          const c = Math.floor(at / 4) % 3;
          expect(value).toBe(fed(DATA.pixels[indices[Math.floor(at / 12)] * 12 + (at % 12)], c));
        }
      }),
    );
    const table = feedTable({ ...SPEC, range: [0, 1], mean: [0, 0, 0], std: [1, 1, 1] });
    expect([table[0], table[255], table[512 + 51]]).toEqual([0, 1, Math.fround(0.2)]);
  });

  test('a range is the same, filled up with zeros', () => {
    const whole = toFeed(DATA, [3, 4], SPEC).data;
    const padded = rangeFeed(DATA, 3, 2, feeder(SPEC), 4);
    expect(padded.dims).toEqual([4, 3, 2, 2]);
    expect(padded.data).toEqual(Float32Array.of(...whole, ...new Array(24).fill(0)));
  });

  test('channels last, in the order of the network, or all in one row', () => {
    const grey = { ...SPEC, range: [0, 255] as [number, number], mean: [0, 0, 0], std: [1, 1, 1] };
    const of = (spec: Partial<ModelSpec>): { dims: readonly number[]; data: Float32Array } => toFeed(DATA, [1, 2], { ...grey, ...spec });
    const image = (i: number, c: number, at: number): number => DATA.pixels[i * 12 + c * 4 + at];
    const nhwc = of({ layout: 'NHWC', dims: [2, 2, 3] });
    expect(nhwc.dims).toEqual([2, 2, 2, 3]);
    const bgr = of({ channelOrder: 'BGR', mean: [0, 0, 100] });
    const both = of({ layout: 'NHWC', dims: [2, 2, 3], channelOrder: 'BGR' });
    const flat = of({ layout: 'flat', dims: [12, 1] });
    expect(flat.dims).toEqual([2, 12, 1]);
    expect([...flat.data]).toEqual([...DATA.pixels.subarray(12, 36)]);
    for (let i = 0; i < 2; i++) {
      for (let c = 0; c < 3; c++) {
        for (let at = 0; at < 4; at++) {
          expect(nhwc.data[i * 12 + at * 3 + c]).toBe(image(i + 1, c, at));
          expect(bgr.data[i * 12 + c * 4 + at]).toBe(image(i + 1, 2 - c, at) - (c === 2 ? 100 : 0));
          expect(both.data[i * 12 + at * 3 + c]).toBe(image(i + 1, 2 - c, at));
        }
      }
    }
  });

  test('names both sizes where they differ', async () => {
    const grey = noise('test', 2, { channels: 1, height: 28, width: 28 });
    const text =
      'data: noise: images do not fit the model (channels x height x width), expected 3x2x2 for input "x", got 1x28x28. Try --preprocess imagenet, cifar10, mnist or FILE.yaml, which says how to resize them.';
    expect(await messageOf(() => toFeed(grey, [0], SPEC))).toBe(text);
    expect(await messageOf(() => predict(runtime, brightest('batch'), grey))).toBe(text);
    expect(await messageOf(() => toFeed(DATA, [11], SPEC))).toBe('data: noise: no such image, expected 0 to 10, got 11.');
  });
});

describe('forward and predict', () => {
  test.each([
    ['any batch size', 'batch', undefined],
    ['batches of 4, the last one of 3', 'batch', 4],
    ['one at a time', 'batch', 1],
    ['a model that takes 4 at a time, the last batch filled up', 4, undefined],
    ['a model that takes one at a time', 1, 256],
    ['a model that takes more than there are', 16, undefined],
  ] as const)('%s', async (_, batch, batchSize) => {
    const { labels, logits, classes } = await predict(runtime, brightest(batch), DATA, { batchSize });
    expect(classes).toBe(3);
    expect(logits.length).toBe(33);
    for (const [i, expected] of EXPECTED.entries()) {
      for (const [c, value] of expected.entries()) expect(logits[i * 3 + c]).toBeCloseTo(value, 5);
      expect(labels[i]).toBe(expected.indexOf(Math.max(...expected)));
    }
  });

  test('inner values can be fetched, the model stays as it was', async () => {
    for (const batch of ['batch', 4] as const) {
      const model = brightest(batch);
      const seen: number[] = [];
      for await (const { start, count, values } of forward(runtime, model, DATA, { outputs: ['pooled', 'scores'], batchSize: 5 })) {
        expect(start).toBe(seen.length / 3);
        expect(values.pooled.dims).toEqual([count, 3, 1, 1]);
        expect(values.scores.data).toEqual(values.pooled.data);
        seen.push(...(values.pooled.data as Float32Array));
      }
      expect(seen.length).toBe(33);
      expect(model.graph.outputs.map((output) => output.name)).toEqual(['scores']);
    }
  });

  test('what the file says of its pixels can be overruled', async () => {
    const raw = { range: [0, 255] as [number, number], mean: [0, 0, 0], std: [1, 1, 1] };
    const { logits } = await predict(runtime, brightest('batch'), DATA, { spec: raw });
    expect(logits[0]).toBeCloseTo(DATA.pixels.subarray(0, 4).reduce((a, b) => a + b) / 4, 3);
  });

  test('the next run is asked for before the last one is done, and stopping early closes the session', async () => {
    const log: string[] = [];
    const slow: Runtime = {
      backend: 'native',
      threads: 1,
      open: async (): Promise<Session> => ({
        backend: 'native',
        inputNames: ['x'],
        outputNames: ['scores'],
        run: async (feeds: Feeds) => {
          log.push('run');
          await new Promise((resolve) => setTimeout(resolve, 5));
          log.push('done');
          return { scores: f32(new Float32Array(feeds.x.dims[0] * 3), [feeds.x.dims[0], 3]) };
        },
        state: async () => ({}),
        types: async () => ({}),
        setState: async () => {},
        close: async () => {
          log.push('closed');
        },
        endProfile: async () => undefined,
      }),
    };
    let seen = 0;
    for await (const { count } of forward(slow, brightest('batch'), DATA, { batchSize: 3 })) {
      seen += count;
      if (seen === 6) break;
    }
    expect(log.slice(0, 3)).toEqual(['run', 'run', 'done']);
    expect(log).toContain('closed');
    expect(log.filter((entry) => entry === 'run').length).toBe(3);
  });

  test('says what does not fit', async () => {
    const first = (model: Model, options = {}) => messageOf(() => forward(runtime, model, DATA, options).next());
    expect(await first(brightest('batch'), { outputs: ['poled'] })).toBe('model: no value "poled" in the graph. Try "pooled".');
    expect(await first(brightest('batch'), { outputs: ['conv5'] })).toBe('model: no value "conv5" in the graph.');
    expect(await first(brightest('batch'), { batchSize: 0 })).toBe('forward: batch size, expected a whole number above 0, got 0.');
    const two = makeDataset({ ...DATA, labels: new Int32Array(DATA.count), classes: ['cat', 'dog'] });
    expect(await messageOf(() => predict(runtime, brightest('batch'), two))).toBe(
      'data: noise: classes do not fit the model, expected 3 (red, green, blue), got 2 (cat, dog).',
    );
    expect(await messageOf(() => predict(runtime, brightest('batch'), DATA, { spec: { logits: 'pooled' } }))).toBe(
      'model: pooled: not the logits of a classifier, expected float32 [11,3], got float32 [11,3,1,1].',
    );
  });
});

test('withOutputs gives the same model back where nothing is to be added', () => {
  const model = brightest('batch');
  expect(withOutputs(model, ['scores'])).toBe(model);
});

test('argmax takes the first of equals and -1 where something is not a number', () => {
  const values = Float32Array.of(9, 1, 3, 3, Number.NaN, 5, -Infinity, -Infinity);
  expect(argmax(values, 1, 3)).toBe(1);
  expect(argmax(values, 3, 3)).toBe(-1);
  expect(argmax(values, 6, 2)).toBe(0);
});
