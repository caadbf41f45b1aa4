/** Batch normalisation, with the running statistics or with those of the batch, local response normalisation, and the others by name. */
import { sizeOf } from '../../core/tensor.ts';
import { float } from '../../onnx/model.ts';
import { type Context, once } from '../context.ts';
import type { Rule } from '../table.ts';
import { layerNorms } from './layer-norms.ts';

export const normalizations = { BatchNormalization: batchNormalization, LRN: lrn, ...layerNorms } satisfies Record<string, Rule>;

/**
 * y = a (x - m) + B, a = scale / sqrt(v + epsilon), per channel. Running statistics are constants. The batch's own depend on x:
 * dx = a (dy - mean(dy) - (x - m) mean(dy (x - m)) / (v + epsilon)) (Ioffe and Szegedy 2015, section 3). It is computed as
 * dx = a dy + b x + c with numbers a, b, c per channel, which passes over the large tensors three times in all, once by a
 * BatchNormalization in inference mode (b x + c), ONNX Runtime's only operator that does both in one go.
 */
function batchNormalization(c: Context): ReturnType<Rule> {
  const { e } = c;
  const dims = c.shape(0);
  const channels = dims[1];
  const others = dims.map((_, axis) => axis).filter((axis) => axis !== 1);
  const perChannel = (v: string) => (dims.length === 2 ? v : e.reshape(v, [channels, ...dims.slice(2).map(() => 1)]));

  const mean = c.batch?.mean ?? c.in(3);
  const variance = c.batch?.variance ?? c.in(4);
  const deviation = once(() => e.op('Sqrt', e.add(variance, e.scalar(c.float('epsilon', 1e-5)))));
  const a = once(() => e.div(c.in(1), deviation()));
  const sum = once(() => e.reduceSum(c.dy, others));
  const sumTimesX = once(() => e.reduceSum(e.mul(c.dy, c.in(0)), others));
  // sum(dy (x - m)) / deviation
  const scaleGradient = once(() => e.div(e.sub(sumTimesX(), e.mul(mean, sum())), deviation()));

  const inference = () => e.mul(c.dy, perChannel(a()));
  const training = () => {
    const n = sizeOf(dims) / channels;
    const b = e.neg(e.mul(e.div(a(), deviation()), e.scale(scaleGradient(), 1 / n)));
    const shift = e.neg(e.add(e.mul(b, mean), e.mul(a(), e.scale(sum(), 1 / n))));
    const zeros = e.constant(new Array(channels).fill(0), [channels]);
    const ones = e.constant(new Array(channels).fill(1), [channels]);
    const linear = e.with('BatchNormalization', [c.in(0), b, shift, zeros, ones], { epsilon: float(0) });
    return e.add(inference(), linear);
  };
  return [c.batch === undefined ? inference : training, scaleGradient, sum];
}

/**
 * y = x S^-beta, S = bias + alpha / size * sum of x^2 over `size` channels around. The sum is an average pool over the channel axis.
 * dx = dy S^-beta - 2 alpha beta x pool(dy y / S).
 */
function lrn(c: Context): ReturnType<Rule> {
  const { e } = c;
  const dims = c.shape(0);
  const size = c.int('size', 1);
  // An even window would have to be turned around on the way back, but ONNX Runtime has none.
  if (size % 2 === 0) c.refuse('an even size');
  const reach = (size - 1) / 2;
  const pool = (x: string): string => {
    const image = e.reshape(x, [dims[0], 1, dims[1], sizeOf(dims.slice(2))]); // [N,1,C,H*W]
    const attributes = { kernel_shape: [size, 1], pads: [reach, 0, reach, 0], strides: [1, 1], count_include_pad: 1 };
    return e.reshape(e.with('AveragePool', [image], attributes), dims);
  };
  return [
    () => {
      const [alpha, beta] = [c.float('alpha', 1e-4), c.float('beta', 0.75)];
      const s = e.add(e.scale(pool(e.mul(c.in(0), c.in(0))), alpha), e.scalar(c.float('bias', 1)));
      const direct = e.mul(c.dy, e.op('Pow', s, e.scalar(-beta)));
      const around = pool(e.div(e.mul(c.dy, c.out()), s));
      return e.sub(direct, e.mul(c.in(0), e.scale(around, 2 * alpha * beta)));
    },
  ];
}
