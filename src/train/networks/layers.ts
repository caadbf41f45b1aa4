/** The few layers that the networks here are made of, with seeded first weights. */
import type { Rng } from '../../core/rng.ts';
import { f32 } from '../../core/tensor.ts';
import type { GraphBuilder } from '../../onnx/builder.ts';
import { float } from '../../onnx/model.ts';

/** Normal with variance `gain` / fan-in: 2 for layers before a ReLU (He, Zhang, Ren, Sun 2015, arXiv 1502.01852, eq. 10), 1 for others. */
export function heNormal(rng: Rng, size: number, fanIn: number, gain = 2): Float32Array {
  const sd = Math.sqrt(gain / fanIn);
  return Float32Array.from({ length: size }, () => rng.normal(0, sd));
}

/** Uniform in +-sqrt(6 / (fan-in + fan-out)), for the layer before the softmax (Glorot & Bengio 2010, eq. 16). */
export function glorotUniform(rng: Rng, size: number, fanIn: number, fanOut: number): Float32Array {
  const limit = Math.sqrt(6 / (fanIn + fanOut));
  return Float32Array.from({ length: size }, () => rng.uniform(-limit, limit));
}

export interface ConvShape {
  readonly from: number;
  readonly to: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly pad?: number;
  /** Groups of channels that do not see each other; divides `from` and `to`. Default 1. */
  readonly group?: number;
  /** Left out where a batch normalisation follows. */
  readonly bias?: boolean;
  /** No ReLU follows, so that nothing halves the variance: the first weights have variance 1 / fan-in. */
  readonly linear?: boolean;
}

/** Weights `name`.weight [to,from/group,k,k] and, unless told otherwise, `name`.bias [to]; the output is called `name`. */
export function conv(b: GraphBuilder, rng: Rng, name: string, x: string, s: ConvShape): string {
  const group = s.group ?? 1;
  const fanIn = (s.from / group) * s.kernel * s.kernel;
  const inputs = [x, `${name}.weight`];
  b.initializer(
    `${name}.weight`,
    f32(heNormal(rng.fork(name), s.to * fanIn, fanIn, s.linear ? 1 : 2), [s.to, s.from / group, s.kernel, s.kernel]),
  );
  if (s.bias !== false) {
    b.initializer(`${name}.bias`, f32(new Float32Array(s.to), [s.to]));
    inputs.push(`${name}.bias`);
  }
  const pad = s.pad ?? 0;
  const stride = s.stride ?? 1;
  const attributes = {
    kernel_shape: [s.kernel, s.kernel],
    strides: [stride, stride],
    pads: [pad, pad, pad, pad],
    ...(group === 1 ? {} : { group }),
  };
  return b.op('Conv', inputs, attributes, { name, outputs: [name] });
}

/** Scale 1, shift 0, running mean 0 and variance 1. ONNX's momentum is the share of the old running value that is kept. */
export function batchNorm(b: GraphBuilder, name: string, x: string, channels: number): string {
  const filled = (value: number) => f32(new Float32Array(channels).fill(value), [channels]);
  b.initializer(`${name}.weight`, filled(1));
  b.initializer(`${name}.bias`, filled(0));
  b.initializer(`${name}.running_mean`, filled(0));
  b.initializer(`${name}.running_var`, filled(1));
  const inputs = [x, `${name}.weight`, `${name}.bias`, `${name}.running_mean`, `${name}.running_var`];
  return b.op('BatchNormalization', inputs, { epsilon: float(1e-5), momentum: float(0.9) }, { name, outputs: [name] });
}

/** Weights `name`.weight [to,from] and `name`.bias [to]; `last` means that no ReLU follows. */
export function linear(b: GraphBuilder, rng: Rng, name: string, x: string, s: { from: number; to: number; last?: boolean }): string {
  const draw = rng.fork(name);
  const size = s.from * s.to;
  const weights = s.last ? glorotUniform(draw, size, s.from, s.to) : heNormal(draw, size, s.from);
  b.initializer(`${name}.weight`, f32(weights, [s.to, s.from]));
  b.initializer(`${name}.bias`, f32(new Float32Array(s.to), [s.to]));
  return b.op('Gemm', [x, `${name}.weight`, `${name}.bias`], { transB: 1 }, { name, outputs: [s.last ? 'logits' : name] });
}

export const relu = (b: GraphBuilder, name: string, x: string): string => b.op('Relu', [x], {}, { name, outputs: [name] });

/** Half of the values are dropped in training; nothing happens when the network is used. */
export const dropout = (b: GraphBuilder, name: string, x: string): string => b.op('Dropout', [x], {}, { name, outputs: [name] });
