/** A tiny task for the tests of the loop: which quarter of a small noisy image is bright. */
import { Rng } from '../../src/core/rng.ts';
import { f32 } from '../../src/core/tensor.ts';
import type { Dataset } from '../../src/data/dataset.ts';
import { makeDataset } from '../../src/data/make.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import type { Model } from '../../src/onnx/model.ts';
import { writeSpec } from '../../src/onnx/spec.ts';

export const SIDE = 8;
const CLASSES = ['upper left', 'upper right', 'lower left', 'lower right'];

export function quarters(count: number, seed = 1): Dataset<'train'> {
  const rng = Rng.from(seed, 'quarters');
  const labels = Int32Array.from({ length: count }, () => rng.int(4));
  const pixels = new Uint8Array(count * SIDE * SIDE);
  for (let i = 0; i < pixels.length; i++) {
    const label = labels[Math.floor(i / (SIDE * SIDE))];
    const [y, x] = [Math.floor((i % (SIDE * SIDE)) / SIDE), i % SIDE];
    const bright = label >= 2 === y >= SIDE / 2 && label % 2 === Number(x >= SIDE / 2);
    pixels[i] = rng.int(120) + (bright ? 60 : 0);
  }
  return makeDataset({ role: 'train', source: 'quarters', channels: 1, height: SIDE, width: SIDE, pixels, labels, classes: CLASSES });
}

/** Convolution, ReLU, fully connected layer; with batch normalisation where asked. */
export function tinyNet(seed = 1, batchNorm = false): Model {
  const rng = Rng.from(seed, 'tiny');
  const random = (dims: number[], scale: number) =>
    f32(
      Array.from({ length: dims.reduce((a, b) => a * b) }, () => rng.normal(0, scale)),
      dims,
    );
  const b = new GraphBuilder({ name: 'tiny' });
  b.input('x', 'float32', ['batch', 1, SIDE, SIDE]);
  b.initializer('conv.weight', random([4, 1, 3, 3], 0.5));
  b.initializer('conv.bias', f32([0, 0, 0, 0], [4]));
  let v = b.op('Conv', ['x', 'conv.weight', 'conv.bias'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, { name: 'conv' });
  if (batchNorm) {
    b.initializer('bn.weight', f32([1, 1, 1, 1], [4]));
    b.initializer('bn.bias', f32([0, 0, 0, 0], [4]));
    b.initializer('bn.mean', f32([0, 0, 0, 0], [4]));
    b.initializer('bn.var', f32([1, 1, 1, 1], [4]));
    v = b.op('BatchNormalization', [v, 'bn.weight', 'bn.bias', 'bn.mean', 'bn.var'], {}, { name: 'bn' });
  }
  v = b.op('Relu', [v], {}, { name: 'relu' });
  v = b.op('MaxPool', [v], { kernel_shape: [2, 2], strides: [2, 2] }, { name: 'pool' });
  v = b.op('Flatten', [v], { axis: 1 }, { name: 'flatten' });
  b.initializer('fc.weight', random([4, 4 * 16], 0.2));
  b.initializer('fc.bias', f32([0, 0, 0, 0], [4]));
  b.op('Gemm', [v, 'fc.weight', 'fc.bias'], { transB: 1 }, { name: 'logits' });
  b.output('logits', 'float32', ['batch', 4]);
  return withTinySpec(b.build());
}

/** One fully connected layer on 2 pixels, for arithmetic by hand. */
export function linearNet(weight: readonly number[]): Model {
  const b = new GraphBuilder({ name: 'linear' });
  b.input('x', 'float32', ['batch', 1, 1, 2]);
  b.initializer('w', f32(weight, [2, 2]));
  b.initializer('b', f32([0, 0], [2]));
  const flat = b.op('Flatten', ['x'], { axis: 1 }, { name: 'flat' });
  b.op('Gemm', [flat, 'w', 'b'], {}, { name: 'logits' });
  b.output('logits', 'float32', ['batch', 2]);
  return withTinySpec(b.build());
}

function withTinySpec(model: Model): Model {
  const [channels, height, width] = model.graph.inputs[0].dims!.slice(1) as number[];
  const classes = model.graph.outputs[0].dims![1] as number;
  const labels = Array.from({ length: classes }, (_, i) => String(i));
  return writeSpec(model, { input: 'x', logits: 'logits', channels, height, width, range: [0, 1], mean: [0], std: [1], labels });
}
