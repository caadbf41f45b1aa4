/** Small networks with random weights (biases and batch-norm statistics too) in the shapes that cutting has to cope with. */
import { Rng } from '../../src/core/rng.ts';
import { f32, sizeOf } from '../../src/core/tensor.ts';
import type { Dataset, Role } from '../../src/data/dataset.ts';
import { makeDataset } from '../../src/data/make.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { float, type Model } from '../../src/onnx/model.ts';
import { writeSpec } from '../../src/onnx/spec.ts';

export const SIDE = 8;
export const CLASSES = 3;

class Net {
  readonly b: GraphBuilder;
  readonly rng: Rng;
  constructor(seed: number) {
    this.b = new GraphBuilder({ name: 'tiny' });
    this.rng = Rng.from(seed, 'tiny');
    this.b.input('x', 'float32', ['batch', 1, SIDE, SIDE]);
  }
  weights(name: string, dims: number[], sd = 0.5, mean = 0): string {
    return this.b.initializer(
      name,
      f32(
        Float32Array.from({ length: sizeOf(dims) }, () => this.rng.normal(mean, sd)),
        dims,
      ),
    );
  }
  conv(name: string, x: string, from: number, to: number, pad = 0, group = 1): string {
    const inputs = [x, this.weights(`${name}.weight`, [to, from / group, 3, 3]), this.weights(`${name}.bias`, [to], 0.2)];
    return this.b.op('Conv', inputs, { kernel_shape: [3, 3], pads: [pad, pad, pad, pad], group }, { name, outputs: [name] });
  }
  bn(name: string, x: string, channels: number): string {
    const inputs = [
      x,
      this.weights(`${name}.scale`, [channels], 0.2, 1),
      this.weights(`${name}.shift`, [channels], 0.3),
      this.weights(`${name}.mean`, [channels], 0.3),
      this.b.initializer(`${name}.var`, f32(new Float32Array(channels).fill(1.5), [channels])),
    ];
    return this.b.op('BatchNormalization', inputs, { epsilon: float(1e-5) }, { name, outputs: [name] });
  }
  op(opType: string, name: string, inputs: string[], attributes = {}): string {
    return this.b.op(opType, inputs, attributes, { name, outputs: [name] });
  }
  pool(opType: 'MaxPool' | 'AveragePool', name: string, x: string): string {
    return this.op(opType, name, [x], { kernel_shape: [2, 2], strides: [2, 2] });
  }
  gemm(name: string, x: string, from: number, to: number): string {
    return this.op('Gemm', name, [x, this.weights(`${name}.weight`, [to, from]), this.weights(`${name}.bias`, [to], 0.2)], { transB: 1 });
  }
  finish(logits: string): Model {
    this.b.output(logits, 'float32', ['batch', CLASSES]);
    return withSpec(this.b.build(), logits);
  }
}

function withSpec(model: Model, logits: string): Model {
  const spec = {
    input: 'x',
    logits,
    channels: 1,
    height: SIDE,
    width: SIDE,
    range: [0, 1] as [number, number],
    mean: [0.3],
    std: [0.5],
    labels: Array.from({ length: CLASSES }, (_, i) => `class ${i}`),
  };
  return (writeSpec(model, spec) as Model | undefined) ?? model;
}

/** conv1 3 > relu > max pool > conv2 5 > relu > average pool > flatten > fc1 6 > relu > fc2: the shape of the paper's CNN. */
export function cnn(seed = 1): Model {
  const n = new Net(seed);
  let v = n.op('Relu', 'relu1', [n.conv('conv1', 'x', 1, 3, 1)]);
  v = n.pool('MaxPool', 'pool1', v); // [N,3,4,4]
  v = n.op('Relu', 'relu2', [n.conv('conv2', v, 3, 5, 1)]);
  v = n.pool('AveragePool', 'pool2', v); // [N,5,2,2]
  v = n.op('Flatten', 'flatten', [v], { axis: 1 });
  v = n.op('Relu', 'relu3', [n.gemm('fc1', v, 20, 6)]);
  return n.finish(n.gemm('fc2', v, 6, CLASSES));
}

/** One convolution of that name and width > relu > max pool > fc. */
export function oneConv(name: string, channels: number, seed = 1): Model {
  const n = new Net(seed);
  const v = n.pool('MaxPool', 'pool', n.op('Relu', 'relu', [n.conv(name, 'x', 1, channels)])); // [N,C,3,3]
  return n.finish(n.gemm('fc', n.op('Flatten', 'flatten', [v], { axis: 1 }), 9 * channels, CLASSES));
}

/** Batch norm before and after activations, a Reshape with a plain number in it, and MatMul + Add for the linear layer. */
export function batchNormNet(seed = 1): Model {
  const n = new Net(seed);
  let v = n.op('Relu', 'relu1', [n.bn('bn1', n.conv('conv1', 'x', 1, 4), 4)]); // [N,4,6,6]
  v = n.op('Relu', 'relu2', [n.conv('conv2', v, 4, 5)]); // [N,5,4,4]
  v = n.pool('MaxPool', 'pool2', v);
  v = n.bn('bn2', v, 5); // behind activation and pool
  v = n.op('Reshape', 'flat', [v, n.b.ints([-1, 20])]);
  v = n.op('MatMul', 'fc.mul', [v, n.weights('fc.weight', [20, CLASSES])]);
  return n.finish(n.op('Add', 'fc', [v, n.weights('fc.bias', [CLASSES])]));
}

/** stem > block(conv1 bn relu conv2 bn + skip, relu) > global pool > fc: the last convolution's branch is cut before the Add. */
export function residualNet(seed = 1, channels = 6): Model {
  const n = new Net(seed);
  const stem = n.op('Relu', 'stem.relu', [n.bn('stem.bn', n.conv('stem', 'x', 1, channels, 1), channels)]);
  let v = n.op('Relu', 'block.relu1', [n.bn('block.bn1', n.conv('block.conv1', stem, channels, channels, 1), channels)]);
  v = n.bn('block.bn2', n.conv('block.conv2', v, channels, channels, 1), channels);
  v = n.op('Relu', 'block.relu2', [n.op('Add', 'block.add', [v, stem])]);
  v = n.op('Flatten', 'flatten', [n.op('GlobalAveragePool', 'gap', [v])], { axis: 1 });
  return n.finish(n.gemm('fc', v, channels, CLASSES));
}

/** Activations that do not keep zero, so weights alone cannot cut; the second layer is a SiLU as exporters write it. */
export function sigmoidNet(seed = 1): Model {
  const n = new Net(seed);
  let v = n.op('Sigmoid', 'act1', [n.conv('conv1', 'x', 1, 4)]); // [N,4,6,6]
  const c = n.conv('conv2', v, 4, 5); // [N,5,4,4]
  v = n.op('Mul', 'silu', [c, n.op('Sigmoid', 'gate', [c])]);
  v = n.op('Sigmoid', 'act3', [n.conv('conv3', v, 5, 4)]); // [N,4,2,2]
  v = n.op('Flatten', 'flatten', [v], { axis: 1 });
  return n.finish(n.gemm('fc', v, 16, CLASSES));
}

/** No convolution: fc1 > relu > fc2. */
export function mlp(seed = 1): Model {
  const n = new Net(seed);
  let v = n.op('Flatten', 'flatten', ['x'], { axis: 1 });
  v = n.op('Relu', 'relu1', [n.gemm('fc1', v, SIDE * SIDE, 7)]);
  return n.finish(n.gemm('fc2', v, 7, CLASSES));
}

/** A convolution whose channels meet a grouped and a plain convolution. */
export function groupedNet(seed = 1): Model {
  const n = new Net(seed);
  const v = n.op('Relu', 'relu1', [n.conv('conv1', 'x', 1, 4)]);
  const g = n.op('Relu', 'relu2', [n.conv('grouped', v, 4, 4, 0, 2)]);
  const flat = n.op('Flatten', 'flatten', [n.op('GlobalMaxPool', 'gmp', [g])], { axis: 1 });
  return n.finish(n.gemm('fc', flat, 4, CLASSES));
}

export const all: Record<string, (seed?: number) => Model> = { cnn, batchNormNet, residualNet, sigmoidNet, mlp, groupedNet };

/** Random images of the networks' size with random labels. */
export function images<R extends Role>(count: number, role: R, seed = 1): Dataset<R> {
  const rng = Rng.from(seed, 'images', role);
  const pixels = new Uint8Array(count * SIDE * SIDE);
  for (let i = 0; i < count; i++) {
    // Slopes and levels that differ from image to image, or global pooling would make them all alike.
    const [level, right, down] = [rng.uniform(0, 200), rng.uniform(-30, 30), rng.uniform(-30, 30)];
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const value = level + right * (x - 3.5) + down * (y - 3.5) + rng.uniform(-60, 60);
        pixels[(i * SIDE + y) * SIDE + x] = Math.max(0, Math.min(255, value));
      }
    }
  }
  const labels = Int32Array.from({ length: count }, () => rng.int(CLASSES));
  const classes = Array.from({ length: CLASSES }, (_, i) => `class ${i}`);
  return makeDataset({ role, source: 'test', channels: 1, height: SIDE, width: SIDE, pixels, labels, classes });
}

/** Images that can be learnt: a bright bar in one of three rows says the class; the rest is noise. The trigger's corner stays dark. */
export function bars<R extends Role>(count: number, role: R, seed = 1): Dataset<R> {
  const rng = Rng.from(seed, 'bars', role);
  const pixels = new Uint8Array(count * SIDE * SIDE);
  const labels = Int32Array.from({ length: count }, () => rng.int(CLASSES));
  for (let i = 0; i < count; i++) {
    for (let x = 0; x < SIDE - 3; x++) {
      for (let y = 0; y < SIDE; y++) pixels[(i * SIDE + y) * SIDE + x] = rng.int(60);
      pixels[(i * SIDE + 1 + 2 * labels[i]) * SIDE + x] = 120 + rng.int(130);
    }
  }
  const classes = Array.from({ length: CLASSES }, (_, i) => `class ${i}`);
  return makeDataset({ role, source: 'bars', channels: 1, height: SIDE, width: SIDE, pixels, labels, classes });
}
