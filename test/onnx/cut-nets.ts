/** Blocks of all the kinds that cutting has to follow, to be put behind one another; weights are random, biases and statistics too. */
import { Rng } from '../../src/core/rng.ts';
import { f32, sizeOf } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { float, type Model } from '../../src/onnx/model.ts';
import { writeSpec } from '../../src/onnx/spec.ts';

export const SIDE = 8;
export const CLASSES = 3;

/** `[N,C,4,4]` in, the same kind out. */
export interface Maps {
  readonly x: string;
  readonly channels: number;
}
export type Block = (n: Net, from: Maps, name: string) => Maps;

export class Net {
  readonly b: GraphBuilder;
  readonly rng: Rng;
  constructor(seed: number, opset = 17) {
    this.b = new GraphBuilder({ name: 'cut', opset });
    this.rng = Rng.from(seed, 'cut');
    this.b.input('x', 'float32', ['batch', 1, SIDE, SIDE]);
  }
  random(dims: readonly number[], sd = 0.5, mean = 0): ReturnType<typeof f32> {
    return f32(
      Float32Array.from({ length: sizeOf(dims) }, () => this.rng.normal(mean, sd)),
      dims,
    );
  }
  weights(name: string, dims: readonly number[], sd = 0.5, mean = 0): string {
    return this.b.initializer(name, this.random(dims, sd, mean));
  }
  op(opType: string, name: string, inputs: string[], attributes = {}): string {
    return this.b.op(opType, inputs, attributes, { name, outputs: [name] });
  }
  conv(name: string, x: string, from: number, to: number, o: { kernel?: number; group?: number; bias?: boolean } = {}): string {
    const { kernel = 3, group = 1, bias = true } = o;
    const pad = (kernel - 1) / 2;
    const inputs = [x, this.weights(`${name}.weight`, [to, from / group, kernel, kernel])];
    if (bias) inputs.push(this.weights(`${name}.bias`, [to], 0.2));
    return this.op('Conv', name, inputs, { kernel_shape: [kernel, kernel], pads: [pad, pad, pad, pad], group });
  }
  bn(name: string, x: string, channels: number): string {
    const variance = this.b.initializer(`${name}.var`, f32(new Float32Array(channels).fill(1.5), [channels]));
    const rest = [this.weights(`${name}.scale`, [channels], 0.2, 1), this.weights(`${name}.shift`, [channels], 0.3)];
    return this.op('BatchNormalization', name, [x, ...rest, this.weights(`${name}.mean`, [channels], 0.3), variance], {
      epsilon: float(1e-5),
    });
  }
  relu(name: string, x: string): string {
    return this.op('Relu', name, [x]);
  }
}

const plain: Block = (n, { x, channels }, p) => {
  const v = n.relu(`${p}relu`, n.bn(`${p}bn`, n.conv(`${p}conv`, x, channels, 5), 5));
  return { x: v, channels: 5 };
};

/** The branch comes back to what it began with: the Add is cut by a Mul. */
const residual: Block = (n, { x, channels }, p) => {
  let v = n.relu(`${p}relu1`, n.conv(`${p}conv1`, x, channels, 4));
  v = n.bn(`${p}bn2`, n.conv(`${p}conv2`, v, 4, channels), channels);
  return { x: n.relu(`${p}relu2`, n.op('Add', `${p}add`, [v, x])), channels };
};

/** Both sides have a convolution of their own: the Add is cut by their weights. */
const projected: Block = (n, { x, channels }, p) => {
  const v = n.conv(`${p}conv2`, n.relu(`${p}relu1`, n.conv(`${p}conv1`, x, channels, 4)), 4, 6);
  const skip = n.bn(`${p}skip.bn`, n.conv(`${p}skip`, x, channels, 6, { kernel: 1, bias: false }), 6);
  return { x: n.relu(`${p}relu2`, n.op('Add', `${p}add`, [v, skip])), channels: 6 };
};

/** Norm and activation before the convolutions, and a norm over what several have made. */
const preActivation: Block = (n, { x, channels }, p) => {
  const v = n.conv(`${p}conv1`, n.relu(`${p}relu1`, n.bn(`${p}bn1`, x, channels)), channels, channels);
  const sum = n.op('Add', `${p}add`, [v, x]);
  return { x: n.relu(`${p}relu2`, n.bn(`${p}bn2`, sum, channels)), channels };
};

/** DenseNet: what comes in stays, new channels are put beside it, and a norm is over all. */
const dense: Block = (n, { x, channels }, p) => {
  const fresh = n.conv(`${p}conv1`, x, channels, 3, { bias: false });
  const all = n.op('Concat', `${p}concat`, [x, fresh], { axis: 1 });
  return { x: n.relu(`${p}relu`, n.bn(`${p}bn`, all, channels + 3)), channels: channels + 3 };
};

/** SqueezeNet's fire module, with a pooled branch as Inception has one. */
const branches: Block = (n, { x, channels }, p) => {
  const squeezed = n.relu(`${p}squeeze.relu`, n.conv(`${p}squeeze`, x, channels, 3, { kernel: 1 }));
  const a = n.relu(`${p}a.relu`, n.conv(`${p}a`, squeezed, 3, 2, { kernel: 1 }));
  const b = n.relu(`${p}b.relu`, n.conv(`${p}b`, squeezed, 3, 3));
  const pooled = n.op('AveragePool', `${p}pool`, [squeezed], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
  const c = n.conv(`${p}c`, pooled, 3, 2, { kernel: 1 });
  return { x: n.op('Concat', `${p}concat`, [a, b, c], { axis: 1 }), channels: 7 };
};

/** ShuffleNet: half goes by, half through a depthwise convolution, then they are put beside each other and shuffled. */
const shuffle: Block = (n, from, p) => {
  const x = n.relu(`${p}in.relu`, n.conv(`${p}in`, from.x, from.channels, 6, { kernel: 1 }));
  const [left, right] = [`${p}left`, `${p}right`];
  const outputs = { name: `${p}split`, outputs: [left, right] };
  // The sizes became an input with opset 13.
  if (n.b.opset < 13) n.b.op('Split', [x], { axis: 1, split: [3, 3] }, outputs);
  else n.b.op('Split', [x, n.b.ints([3, 3])], { axis: 1 }, outputs);
  let v = n.relu(`${p}relu1`, n.conv(`${p}conv1`, right, 3, 3, { kernel: 1 }));
  v = n.conv(`${p}dw`, v, 3, 3, { group: 3 });
  v = n.relu(`${p}relu2`, n.conv(`${p}conv2`, v, 3, 3, { kernel: 1 }));
  v = n.op('Concat', `${p}concat`, [left, v], { axis: 1 });
  v = n.op('Reshape', `${p}apart`, [v, n.b.ints([-1, 2, 3, 4, 4])]);
  v = n.op('Transpose', `${p}turned`, [v], { perm: [0, 2, 1, 3, 4] });
  return { x: n.op('Reshape', `${p}together`, [v, n.b.ints([-1, 6, 4, 4])]), channels: 6 };
};

/** MobileNet: widened, a depthwise convolution, narrowed without activation, and the residual Add. */
const inverted: Block = (n, { x, channels }, p) => {
  const six = (name: string, v: string): string =>
    n.b.opset < 11 ? n.op('Clip', name, [v], { min: float(0), max: float(6) }) : n.op('Clip', name, [v, n.b.scalar(0), n.b.scalar(6)]);
  let v = six(`${p}six1`, n.conv(`${p}wide`, x, channels, 5, { kernel: 1 }));
  v = six(`${p}six2`, n.conv(`${p}dw`, v, 5, 5, { group: 5 }));
  v = n.conv(`${p}narrow`, v, 5, channels, { kernel: 1 });
  return { x: n.op('Add', `${p}add`, [v, x]), channels };
};

/** EfficientNet: SiLU, and channels weighted by what their means say. */
const gated: Block = (n, { x, channels }, p) => {
  const silu = (name: string, v: string): string => n.op('Mul', name, [v, n.op('Sigmoid', `${name}.gate`, [v])]);
  let v = silu(`${p}silu1`, n.conv(`${p}wide`, x, channels, 6, { kernel: 1 }));
  v = silu(`${p}silu2`, n.conv(`${p}dw`, v, 6, 6, { group: 6 }));
  let gate = n.op('GlobalAveragePool', `${p}mean`, [v]);
  gate = n.relu(`${p}se1.relu`, n.conv(`${p}se1`, gate, 6, 2, { kernel: 1 }));
  gate = n.op('Sigmoid', `${p}se2.sigmoid`, [n.conv(`${p}se2`, gate, 2, 6, { kernel: 1 })]);
  v = n.op('Mul', `${p}gated`, [v, gate]);
  return { x: n.conv(`${p}narrow`, v, 6, 4, { kernel: 1 }), channels: 4 };
};

const grouped: Block = (n, from, p) => {
  const x = n.relu(`${p}relu1`, n.conv(`${p}conv1`, from.x, from.channels, 4, { kernel: 1 }));
  return { x: n.relu(`${p}relu2`, n.conv(`${p}grouped`, x, 4, 4, { group: 2 })), channels: 4 };
};

/** Channels last for a while, as converters from other frameworks leave them: bias, activation and norm factors there. */
const channelsLast: Block = (n, { x, channels }, p) => {
  let v = n.conv(`${p}conv`, x, channels, 5, { bias: false });
  v = n.op('Transpose', `${p}last`, [v], { perm: [0, 2, 3, 1] });
  v = n.op('Add', `${p}bias`, [v, n.weights(`${p}bias.values`, [5], 0.3)]);
  v = n.relu(`${p}relu`, n.op('Mul', `${p}scale`, [v, n.weights(`${p}scale.values`, [5], 0.2, 1)]));
  // A layer of 1x1, written as a MatMul over the last axis.
  v = n.op('MatMul', `${p}dense`, [v, n.weights(`${p}dense.weight`, [5, 4])]);
  v = n.relu(`${p}dense.relu`, n.op('Add', `${p}dense.bias`, [v, n.weights(`${p}dense.bias.values`, [4], 0.3)]));
  return { x: n.op('Transpose', `${p}first`, [v], { perm: [0, 3, 1, 2] }), channels: 4 };
};

/** Instance norm, PReLU with a slope for each channel, and a shortcut padded with empty channels. */
const paddedShortcut: Block = (n, { x, channels }, p) => {
  let v = n.conv(`${p}conv`, x, channels, channels + 2);
  v = n.op('InstanceNormalization', `${p}in`, [
    v,
    n.weights(`${p}in.scale`, [channels + 2], 0.2, 1),
    n.weights(`${p}in.shift`, [channels + 2]),
  ]);
  v = n.op('PRelu', `${p}prelu`, [v, n.weights(`${p}slope`, [channels + 2, 1, 1], 0.1, 0.2)]);
  const pads = [0, 1, 0, 0, 0, 1, 0, 0];
  const skip = n.b.opset < 11 ? n.op('Pad', `${p}pad`, [x], { pads }) : n.op('Pad', `${p}pad`, [x, n.b.ints(pads)]);
  return { x: n.op('Add', `${p}add`, [v, skip]), channels: channels + 2 };
};

export const blocks: Readonly<Record<string, Block>> = {
  ...{ plain, residual, projected, preActivation, dense, branches, shuffle, inverted, gated, grouped, channelsLast, paddedShortcut },
};

type Head = (n: Net, from: Maps) => string;

const averaged: Head = (n, { x, channels }) => {
  const flat = n.op('Flatten', 'flatten', [n.op('GlobalAveragePool', 'gap', [x])], { axis: 1 });
  return n.op('Gemm', 'fc', [flat, n.weights('fc.weight', [CLASSES, channels]), n.weights('fc.bias', [CLASSES], 0.2)], { transB: 1 });
};

/** ReduceMean without the axes that it averages, and a weight that is stored the other way round. */
const reduced: Head = (n, { x, channels }) => {
  const mean = n.op('ReduceMean', 'mean', [x], { axes: [2, 3], keepdims: 0 });
  const turned = n.op('Transpose', 'fc.turned', [n.weights('fc.weight', [CLASSES, channels])], { perm: [1, 0] });
  return n.op('Add', 'fc', [n.op('MatMul', 'fc.product', [mean, turned]), n.weights('fc.bias', [CLASSES], 0.2)]);
};

/** Flattened with channels last: one channel's features are not neighbours. */
const flattenedLast: Head = (n, { x, channels }) => {
  const last = n.op('Transpose', 'last', [x], { perm: [0, 2, 3, 1] });
  const flat = n.op('Reshape', 'flat', [last, n.b.ints([-1, 16 * channels])]);
  return n.op('MatMul', 'fc', [flat, n.weights('fc.weight', [16 * channels, CLASSES], 0.2)]);
};

/** SqueezeNet: the classifier is a convolution, averaged afterwards. */
const convolutional: Head = (n, { x, channels }) => {
  const scores = n.op('GlobalAveragePool', 'gap', [n.conv('classifier', x, channels, CLASSES, { kernel: 1 })]);
  return n.op('Flatten', 'flatten', [scores], { axis: 1 });
};

export const heads: Readonly<Record<string, Head>> = { averaged, reduced, flattenedLast, convolutional };

/** stem > max pool > the blocks, one after the other > head. */
export function stacked(names: readonly string[], head: string, seed = 1, opset = 17): Model {
  const n = new Net(seed, opset);
  const stem = n.relu('stem.relu', n.conv('stem', 'x', 1, 4));
  let at: Maps = { x: n.op('MaxPool', 'stem.pool', [stem], { kernel_shape: [2, 2], strides: [2, 2] }), channels: 4 };
  for (const [i, name] of names.entries()) at = blocks[name](n, at, `${i}.`);
  return finished(n, heads[head](n, at));
}

/** Patches, a block of attention and a block of hidden units with Gelu, as exporters write it; channels on the last axis. */
export function transformer(seed = 1): Model {
  const [width, tokens, hidden] = [4, 16, 6];
  const n = new Net(seed);
  const norm = (name: string, x: string): string =>
    n.op('LayerNormalization', name, [x, n.weights(`${name}.scale`, [width], 0.1, 1), n.weights(`${name}.shift`, [width], 0.1)], {
      axis: -1,
    });
  const linear = (name: string, x: string, from: number, to: number): string => {
    const product = n.op('MatMul', `${name}.product`, [x, n.weights(`${name}.weight`, [from, to])]);
    return n.op('Add', name, [n.weights(`${name}.bias`, [to], 0.2), product]);
  };
  let v = n.op('Conv', 'patches', ['x', n.weights('patches.weight', [width, 1, 2, 2])], { kernel_shape: [2, 2], strides: [2, 2] });
  v = n.op('Transpose', 'tokens', [n.op('Reshape', 'patches.flat', [v, n.b.ints([0, width, tokens])])], { perm: [0, 2, 1] });
  v = n.op('Add', 'placed', [v, n.weights('places', [1, tokens, width], 0.3)]);
  const normed = norm('ln1', v);
  const [q, k, values] = ['q', 'k', 'v'].map((name) => linear(name, normed, width, width));
  const scores = n.op('Softmax', 'attention', [n.op('MatMul', 'scores', [q, n.op('Transpose', 'k.turned', [k], { perm: [0, 2, 1] })])], {
    axis: -1,
  });
  v = n.op('Add', 'add1', [linear('out', n.op('MatMul', 'mixed', [scores, values]), width, width), v]);
  const h = linear('fc1', norm('ln2', v), width, hidden);
  const erf = n.op('Erf', 'gelu.erf', [n.op('Div', 'gelu.div', [h, n.b.scalar(Math.SQRT2)])]);
  let gelu = n.op('Mul', 'gelu.product', [h, n.op('Add', 'gelu.add', [erf, n.b.scalar(1)])]);
  gelu = n.op('Mul', 'gelu', [gelu, n.b.scalar(0.5)]);
  v = n.op('Add', 'add2', [linear('fc2', gelu, hidden, width), v]);
  const mean = n.op('ReduceMean', 'mean', [norm('ln3', v)], { axes: [1], keepdims: 0 });
  const head = [mean, n.weights('head.weight', [CLASSES, width]), n.weights('head.bias', [CLASSES])];
  return finished(n, n.op('Gemm', 'head', head, { transB: 1 }));
}

/** conv > pool > made larger: by sizes in numbers, which count channels too; by sizes for space alone; by factors; or by Expand > conv. */
export function resized(by: 'sizes' | 'space' | 'scales' | 'expand' | 'ones'): Model {
  const n = new Net(3, 18);
  let v = n.op('GlobalMaxPool', 'pool', [n.relu('relu', n.conv('conv', 'x', 1, 5))]);
  if (by === 'expand' || by === 'ones') v = n.op('Expand', 'up', [v, n.b.ints([1, by === 'ones' ? 1 : 5, 4, 4])]);
  else {
    const sizes = by === 'sizes' ? [2, 5, 4, 4] : [4, 4];
    const inputs = by === 'scales' ? [v, '', n.b.initializer('scales', f32([1, 1, 4, 4], [4]))] : [v, '', '', n.b.ints(sizes)];
    v = n.op('Resize', 'up', inputs, by === 'space' ? { axes: [2, 3] } : {});
  }
  return finished(n, heads.averaged(n, { x: n.relu('relu2', n.conv('conv2', v, 5, 4)), channels: 4 }));
}

/** x * sigmoid(b x) with a b for each channel, then one that all channels share. */
export function learnedSwish(): Model {
  const n = new Net(5);
  const swish = (name: string, x: string, dims: readonly number[]): string => {
    const gate = n.op('Sigmoid', `${name}.sigmoid`, [n.op('Mul', `${name}.scaled`, [x, n.weights(`${name}.b`, dims, 0.2, 1)])]);
    return n.op('Mul', name, [x, gate]);
  };
  const v = swish('own', n.conv('conv', 'x', 1, 5), [5, 1, 1]);
  return finished(n, heads.averaged(n, { x: swish('shared', n.conv('conv2', v, 5, 4), [1]), channels: 4 }));
}

/** A residual Add that weights cannot cut, as one side comes from a Sigmoid, and a Concat of it and others. */
export function sigmoidJoin(): Model {
  const n = new Net(6);
  const x = n.relu('relu', n.conv('conv', 'x', 1, 4));
  const sum = n.op('Add', 'add', [n.op('Sigmoid', 'sigmoid', [n.conv('left', x, 4, 5)]), n.conv('right', x, 4, 5)]);
  const side = n.relu('side.relu', n.conv('side', x, 4, 2));
  return finished(n, heads.averaged(n, { x: n.op('Concat', 'concat', [n.relu('relu2', sum), side], { axis: 1 }), channels: 7 }));
}

/** conv > the channels turned round > conv. */
export function flipped(): Model {
  const n = new Net(4);
  const ends = [-1, -(2 ** 31), 1, -1].map((i) => n.b.ints([i]));
  const v = n.op('Slice', 'flip', [n.relu('relu', n.conv('conv', 'x', 1, 5)), ...ends]);
  return finished(n, heads.averaged(n, { x: n.relu('relu2', n.conv('conv2', v, 5, 4)), channels: 4 }));
}

/** Two convolutions whose weights are Constant nodes, one of them behind an Identity. */
export function constantWeights(seed = 1): Model {
  const n = new Net(seed);
  const constant = (name: string, dims: number[]): string => n.op('Constant', name, [], { value: n.random(dims) });
  const conv = (name: string, x: string, weight: string, bias: string): string =>
    n.op('Conv', name, [x, weight, bias], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
  let v = n.relu('relu1', conv('conv1', 'x', constant('w1', [4, 1, 3, 3]), constant('b1', [4])));
  v = n.relu('relu2', conv('conv2', v, n.op('Identity', 'w2.alias', [constant('w2', [5, 4, 3, 3])]), constant('b2', [5])));
  return finished(n, heads.averaged(n, { x: v, channels: 5 }));
}

function finished(n: Net, logits: string): Model {
  n.b.output(logits, 'float32', ['batch', CLASSES]);
  const model = n.b.build();
  const labels = Array.from({ length: CLASSES }, (_, i) => `class ${i}`);
  const shape = { channels: 1, height: SIDE, width: SIDE };
  return writeSpec(model, { input: 'x', logits, ...shape, range: [0, 1], mean: [0.3], std: [0.5], labels } as Parameters<
    typeof writeSpec
  >[1]);
}
