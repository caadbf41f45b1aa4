import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/hash.ts';
import { sizeOf } from '../../src/core/tensor.ts';
import type { Dataset, ImageShape } from '../../src/data/dataset.ts';
import { makeDataset } from '../../src/data/make.ts';
import { cutPoints } from '../../src/onnx/cut-points.ts';
import type { Model } from '../../src/onnx/model.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import { readSpec } from '../../src/onnx/spec.ts';
import { openRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import { train } from '../../src/train/loop.ts';
import { buildNetwork, networks } from '../../src/train/networks/registry.ts';

const mnist = { channels: 1, height: 28, width: 28, classes: 10 };
const parameters = (model: Model): number =>
  [...model.graph.initializers].filter(([name]) => !name.includes('running_')).reduce((n, [, t]) => n + sizeOf(t.dims), 0);

test("BadNets' CNN has the paper's 281 034 parameters, readable names, no Softmax", () => {
  const model = buildNetwork('badnets-cnn', 1, mnist);
  expect(parameters(model)).toBe(281_034);
  expect([...model.graph.initializers].map(([name, t]) => `${name} ${t.dims.join('x')}`)).toEqual([
    'conv1.weight 16x1x5x5',
    'conv1.bias 16',
    'conv2.weight 32x16x5x5',
    'conv2.bias 32',
    'fc1.weight 512x512',
    'fc1.bias 512',
    'fc2.weight 10x512',
    'fc2.bias 10',
  ]);
  expect(model.graph.nodes.map((n) => n.opType)).toEqual([
    ...['Conv', 'Relu', 'AveragePool', 'Conv', 'Relu', 'AveragePool'],
    ...['Flatten', 'Gemm', 'Relu', 'Gemm'],
  ]);
  expect(model.graph.outputs.map((o) => [o.name, o.dims])).toEqual([['logits', ['batch', 10]]]);
});

test('ResNet-18 for 32x32 images has the known number of parameters and batch statistics', () => {
  const model = buildNetwork('resnet18-cifar', 1, { channels: 3, height: 32, width: 32, classes: 10 });
  expect(parameters(model)).toBe(11_173_962);
  expect(model.graph.nodes.filter((n) => n.opType === 'Conv')).toHaveLength(20);
  expect(model.graph.nodes.filter((n) => n.opType === 'BatchNormalization')).toHaveLength(20);
  expect(model.graph.initializers.has('layer2.0.downsample.0.weight')).toBe(true);
});

test('small-resnet has 78 thousand parameters at 3 channels', () => {
  expect(parameters(buildNetwork('small-resnet', 1, { channels: 3, height: 32, width: 32, classes: 10 }))).toBe(78_042);
});

test("DeepID has the paper's 601 643 parameters at 3x55x47 and 1283 people", () => {
  const model = buildNetwork('deepid', 1, { channels: 3, height: 55, width: 47, classes: 1283 });
  expect(parameters(model)).toBe(601_643);
  expect([...model.graph.initializers].map(([name, t]) => `${name} ${t.dims.join('x')}`)).toEqual([
    ...['conv1.weight 20x3x4x4', 'conv1.bias 20', 'conv2.weight 40x20x3x3', 'conv2.bias 40', 'conv3.weight 60x40x3x3', 'conv3.bias 60'],
    ...['fc160_1.weight 160x1200', 'fc160_1.bias 160', 'conv4.weight 80x60x2x2', 'conv4.bias 80', 'fc160_2.weight 160x960'],
    ...['fc160_2.bias 160', 'fc8.weight 1283x160', 'fc8.bias 1283'],
  ]);
});

test("the speech network has the paper's layers: 17.1 M parameters at 3x512x512, three convolutions in two groups", () => {
  const model = buildNetwork('speech-alexnet', 1, { channels: 3, height: 512, width: 512, classes: 10 });
  // Checked by hand from the authors' prototxt: 34 944 + 307 456 + 885 120 + 663 936 + 442 624 + 14 745 856 + 32 896 + 1 290.
  expect(parameters(model)).toBe(17_114_122);
  expect(model.graph.initializers.get('conv2.weight')!.dims).toEqual([256, 48, 5, 5]);
  const grouped = model.graph.nodes.filter((n) => n.attributes.has('group')).map((n) => n.name);
  expect(grouped).toEqual(['conv2', 'conv4', 'conv5']);
  // Pooling that rounds up makes 15x15 of 126x126; rounded down it would be 14x14.
  expect(model.graph.initializers.get('fc6.weight')!.dims).toEqual([256, 256 * 15 * 15]);
});

test('the full Zeiler-Fergus network has the published widths', () => {
  const model = buildNetwork('zf', 1, { channels: 3, height: 33, width: 33, classes: 43 });
  const weights = [...model.graph.initializers].filter(([name]) => name.endsWith('.weight')).map(([, t]) => t.dims.join('x'));
  expect(weights).toEqual([
    ...['96x3x7x7', '256x96x5x5', '384x256x3x3', '384x384x3x3', '256x384x3x3'],
    ...['4096x256', '4096x4096', '43x4096'],
  ]);
});

test('first weights: variance as the papers say, biases 0, the same for the same seed and others for another', () => {
  const model = buildNetwork('badnets-cnn', 7, mnist);
  const values = (name: string): Float32Array => model.graph.initializers.get(name)!.data as Float32Array;
  const variance = (a: Float32Array): number => a.reduce((s, v) => s + v * v, 0) / a.length;
  expect(variance(values('fc1.weight')) / (2 / 512)).toBeCloseTo(1, 1);
  expect(variance(values('conv2.weight')) / (2 / 400)).toBeCloseTo(1, 1);
  // uniform in +-l has variance l^2 / 3 = 2 / (fan-in + fan-out)
  expect(variance(values('fc2.weight')) / (2 / 522)).toBeCloseTo(1, 1);
  expect(Math.max(...values('fc2.weight').map(Math.abs))).toBeLessThanOrEqual(Math.sqrt(6 / 522));
  expect(values('conv1.bias').every((v) => v === 0)).toBe(true);
  const bytes = (seed: number): string => sha256(writeModel(buildNetwork('badnets-cnn', seed, mnist)));
  expect(bytes(7)).toBe(sha256(writeModel(model)));
  expect(bytes(8)).not.toBe(bytes(7));
});

test('what the network is fed is written into the file', () => {
  const model = buildNetwork('badnets-cnn', 1, {
    channels: 3,
    height: 32,
    width: 20,
    classes: 2,
    labels: ['a', 'b'],
    mean: [0.5],
    std: [1, 2, 3],
  });
  expect(readSpec(model)).toEqual({
    input: 'x',
    layout: 'NCHW',
    dims: [3, 32, 20],
    channelOrder: 'RGB',
    logits: 'logits',
    channels: 3,
    height: 32,
    width: 20,
    range: [0, 1],
    mean: [0.5, 0.5, 0.5],
    std: [1, 2, 3],
    labels: ['a', 'b'],
    name: 'badnets-cnn',
  });
});

const LARGE: ReadonlySet<string> = new Set(['resnet18-cifar', 'zf', 'speech-alexnet']);

describe('in ONNX Runtime', () => {
  test.each(networks.map((n) => n.name).filter((n) => !LARGE.has(n)))('%s runs at its smallest size and at odd sizes', async (name) => {
    const runtime = await openRuntime({ threads: 1 });
    try {
      const least = networks.find((n) => n.name === name)!.least;
      for (const [height, width] of [
        [least, least],
        [least + 5, least + 2],
      ]) {
        const session = await runtime.open(buildNetwork(name, 1, { channels: 3, height, width, classes: 4 }));
        const x = { dtype: 'float32' as const, dims: [2, 3, height, width], data: new Float32Array(6 * height * width).fill(0.5) };
        const { logits } = await session.run({ x });
        expect(logits.dims).toEqual([2, 4]);
        expect([...(logits.data as Float32Array)].every(Number.isFinite)).toBe(true);
        await session.close();
      }
    } finally {
      await runtime.dispose();
    }
  });
});

describe('networks of the case studies', () => {
  test.each([
    // conv3 is read by both branches: fc160_1 and conv4.
    ['deepid', 'conv3', 'Gemm, Conv', { channels: 1, height: 31, width: 31 }],
    ['speech-alexnet-small', 'conv5', 'Gemm', { channels: 1, height: 24, width: 24 }],
    ['zf-small', 'conv5', 'Gemm', { channels: 3, height: 16, width: 16 }],
  ])('%s: %s can be cut by weights, and a few steps lower the loss', async (name, layer, readers, shape) => {
    const runtime = await openRuntime({ threads: 1 });
    try {
      const model = buildNetwork(name, 1, { ...shape, classes: 4 });
      const { layers, leftOut } = cutPoints(model, await probe(runtime, model, { batch: 2 }));
      const point = layers.find((l) => l.layer === layer)!;
      expect(point.zeroable).toBe(true);
      expect(point.value).toBe(layer.replace('conv', 'relu'));
      expect(point.ends.map((end) => end.node?.opType).join(', ')).toBe(readers);
      expect(leftOut.map((l) => l.layer)).toEqual(['fc8']);
      const { history } = await train(runtime, model, fourCorners(16, shape), {
        ...{ epochs: 12, batchSize: 16, learningRate: 0.05, seed: 1 },
        optimizer: { kind: 'sgd', momentum: 0.9, weightDecay: 0 },
      });
      expect(history.at(-1)!.loss).toBeLessThan(0.8 * history[0].loss);
    } finally {
      await runtime.dispose();
    }
  });
});

/** Images of which one quarter is bright, each quarter a class. */
function fourCorners(count: number, shape: ImageShape): Dataset<'train'> {
  const { channels, height, width } = shape;
  const labels = Int32Array.from({ length: count }, (_, i) => i % 4);
  const pixels = new Uint8Array(count * channels * height * width);
  for (let i = 0; i < pixels.length; i++) {
    const label = labels[Math.floor(i / (channels * height * width))];
    const [y, x] = [Math.floor(i / width) % height, i % width];
    if (y >= height / 2 === label >= 2 && x >= width / 2 === (label % 2 === 1)) pixels[i] = 255;
  }
  return makeDataset({ role: 'train', source: 'corners', ...shape, pixels, labels, classes: ['0', '1', '2', '3'] });
}

test('bad requests', () => {
  expect(() => buildNetwork('badnets-cn', 1, mnist)).toThrow(
    '--network: no network "badnets-cn", expected one of badnets-cnn, deepid, speech-alexnet, speech-alexnet-small, zf, zf-small, resnet18-cifar, small-resnet. Try --network badnets-cnn.',
  );
  expect(() => buildNetwork('badnets-cnn', 1, { ...mnist, height: 15 })).toThrow(
    'network badnets-cnn: images too small, expected at least 16x16 pixels, got 15x28. Try another --network.',
  );
  expect(() => buildNetwork('badnets-cnn', 1, { ...mnist, classes: 1 })).toThrow(
    'network badnets-cnn: too few classes, expected at least 2, got 1.',
  );
  expect(() => buildNetwork('badnets-cnn', 1, { ...mnist, channels: 3, mean: [1, 2] })).toThrow(
    '--mean: wrong number of values, expected 1 or 3, one for each channel, got 2.',
  );
});
