import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/hash.ts';
import { sizeOf } from '../../src/core/tensor.ts';
import type { Model } from '../../src/onnx/model.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import { readSpec } from '../../src/onnx/spec.ts';
import { openRuntime } from '../../src/runtime/open.node.ts';
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

describe('in ONNX Runtime', () => {
  test.each(networks.map((n) => n.name).filter((n) => n !== 'resnet18-cifar'))(
    '%s runs at its smallest size and at odd sizes',
    async (name) => {
      const runtime = await openRuntime({ threads: 1 });
      try {
        const least = networks.find((n) => n.name === name)!.least;
        for (const [height, width] of [
          [least, least],
          [33, 19],
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
    },
  );
});

test('bad requests', () => {
  expect(() => buildNetwork('badnets-cn', 1, mnist)).toThrow(
    '--network: no network "badnets-cn", expected one of badnets-cnn, resnet18-cifar, small-resnet. Try --network badnets-cnn.',
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
