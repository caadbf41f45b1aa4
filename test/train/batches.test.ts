import { expect, test } from 'vitest';
import type { Dataset } from '../../src/data/dataset.ts';
import type { ModelSpec } from '../../src/onnx/spec.ts';
import { Batches } from '../../src/train/batches.ts';

const spec: ModelSpec = {
  input: 'x',
  layout: 'NCHW',
  dims: [2, 2, 3],
  channelOrder: 'RGB',
  logits: 'logits',
  channels: 2,
  height: 2,
  width: 3,
  range: [-1, 1],
  mean: [0.5, 0],
  std: [0.25, 2],
  labels: ['a', 'b', 'c'],
};

/** Every byte of image i is i, so that a batch tells which images are in it. */
function images(count: number, shape = { channels: 2, height: 2, width: 3 }): Dataset<'train'> {
  const size = shape.channels * shape.height * shape.width;
  return {
    kind: 'clean',
    role: 'train',
    source: 'test',
    ...shape,
    count,
    pixels: Uint8Array.from({ length: count * size }, (_, i) => Math.floor(i / size)),
    labels: Int32Array.from({ length: count }, (_, i) => i % 3),
    classes: ['a', 'b', 'c'],
    sha256: '',
  };
}

const plain = { batchSize: 4, seed: 1, rest: 'pad' as const };
/** Which images a batch holds, from the first channel: byte = (((x * 0.25 + 0.5) + 1) / 2) * 255. */
const held = (batches: Batches, epoch: number, step: number): number[] => {
  const { x, count } = batches.at(epoch, step);
  return Array.from({ length: count }, (_, i) => Math.round((((x.data[i * 12] as number) * 0.25 + 0.5 + 1) / 2) * 255));
};

test('pixels become (byte / 255 * (high - low) + low - mean) / std, channel by channel', () => {
  const data = images(1);
  const { x } = new Batches({ ...data, pixels: Uint8Array.from([0, 51, 102, 153, 204, 255, 0, 51, 102, 153, 204, 255]) }, spec, plain).at(
    0,
    0,
  );
  expect(x.dims).toEqual([1, 2, 2, 3]);
  const expected = [-1.5, -1.1, -0.7, -0.3, 0.1, 0.5].map((v) => v / 0.25).concat([-1, -0.6, -0.2, 0.2, 0.6, 1].map((v) => v / 2));
  for (const [i, v] of expected.entries()) expect(x.data[i]).toBeCloseTo(v, 5);
});

test('an epoch shows every image once, with its label; another epoch shows them in another order', () => {
  const data = images(10);
  const batches = new Batches(data, spec, plain);
  expect(batches.stepsPerEpoch).toBe(3);
  const epoch = (n: number): number[] => [0, 1, 2].flatMap((step) => held(batches, n, step));
  expect(epoch(0).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(epoch(0)).not.toEqual(epoch(1));
  expect([...batches.at(0, 1).labels.data]).toEqual(held(batches, 0, 1).map((i) => BigInt(i % 3)));
});

test('any batch can be asked for at any time: what was asked for before does not matter', () => {
  const options = { ...plain, augment: { shift: 1, flip: true } };
  const inOrder = new Batches(images(10), spec, options);
  for (let step = 0; step < 3; step++) inOrder.at(0, step);
  expect(inOrder.at(1, 1)).toEqual(new Batches(images(10), spec, options).at(1, 1));
  expect(inOrder.at(1, 1)).not.toEqual(new Batches(images(10), spec, { ...options, seed: 2 }).at(1, 1));
});

test('the last batch is filled up with images of weight 0, or left out', () => {
  const padded = new Batches(images(10), spec, plain);
  expect([...(padded.at(0, 0).weights!.data as Float32Array)]).toEqual([1, 1, 1, 1]);
  const last = padded.at(0, 2);
  expect(last.count).toBe(2);
  expect(last.x.dims).toEqual([4, 2, 2, 3]);
  expect([...(last.weights!.data as Float32Array)]).toEqual([1, 1, 0, 0]);
  expect([...last.x.data].slice(24).every((v) => v === 0)).toBe(true);
  expect(new Batches(images(10), spec, { ...plain, rest: 'drop' }).stepsPerEpoch).toBe(2);
  const whole = new Batches(images(8), spec, plain);
  expect(whole.padded).toBe(false);
  expect(whole.at(0, 0).weights).toBeUndefined();
});

test('with fewer images than a batch, the batch shrinks', () => {
  const batches = new Batches(images(3), spec, { ...plain, batchSize: 128, rest: 'drop' });
  expect([batches.batchSize, batches.stepsPerEpoch]).toEqual([3, 1]);
  expect(batches.at(0, 0).x.dims).toEqual([3, 2, 2, 3]);
});

test('a batch that is fixed in the graph cannot shrink', () => {
  const fixed = { ...plain, batchSize: 4, fixed: 4 };
  expect(() => new Batches(images(3), spec, fixed)).toThrow(
    'data: test: fewer images than the network takes at once, expected at least 4, got 3. Try more images, or the network exported with a free batch.',
  );
  expect(new Batches(images(5), spec, fixed).at(0, 1)).toMatchObject({ count: 1, x: { dims: [4, 2, 2, 3] } });
});

test('data that do not fit are refused', () => {
  expect(() => new Batches(images(1, { channels: 1, height: 2, width: 3 }), spec, plain)).toThrow(
    'data: test: images do not fit the model (channels x height x width), expected 2x2x3 for input "x", got 1x2x3.',
  );
  expect(() => new Batches(images(3), { ...spec, labels: ['a', 'b'] }, plain)).toThrow(
    'data: test: classes do not fit the model, expected 2 (a, b), got 3 (a, b, c).',
  );
});
