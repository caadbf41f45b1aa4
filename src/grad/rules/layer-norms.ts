/**
 * Normalisations whose mean and variance are the sample's own: of whole rows (LayerNormalization), of channels or groups of them
 * (InstanceNormalization, GroupNormalization), or of given axes; and norms that are divided by.
 *
 * With n = (x - mean) / deviation and g the gradient of n: dx = (g - mean(g) - n mean(g n)) / deviation (Ba et al. 2016, section 3).
 */
import { resolveAxis } from '../../core/shapes.ts';
import { sizeOf } from '../../core/tensor.ts';
import { float } from '../../onnx/model.ts';
import { type Context, once } from '../context.ts';
import type { Rule } from '../table.ts';
import { divideOrZero } from './reductions.ts';

export const layerNorms = {
  LayerNormalization: (c) => layerNormalization(c, { x: c.in(0), scale: 1, centred: true }),
  RMSNormalization: (c) => layerNormalization(c, { x: c.in(0), scale: 1, centred: false }),
  SimplifiedLayerNormalization: (c) => layerNormalization(c, { x: c.in(0), scale: 1, centred: false }),
  InstanceNormalization: (c) => groupNormalization(c, c.shape(0)[1]),
  GroupNormalization: (c) => groupNormalization(c, c.int('num_groups', 1)),
  MeanVarianceNormalization: meanVarianceNormalization,
  LpNormalization: lpNormalization,
} satisfies Record<string, Rule>;

/** Rows that were normalised. */
interface Rows {
  /** [rows, size] */
  readonly normal: string;
  /** 1 / deviation, [rows, 1] */
  readonly inverse: string;
}

/** Normalises again, in one pass: that costs less memory traffic than keeping n in the forward part, which would have to be split for it. */
function normalise(c: Context, x: string, [rows, size]: readonly [number, number], epsilon: number, centred: boolean): Rows {
  const { e, b } = c;
  const flat = e.reshape(x, [rows, size]);
  if (!centred) {
    const inverse = e.op('Reciprocal', e.op('Sqrt', e.add(e.reduceMean(e.mul(flat, flat), [1], true), e.scalar(epsilon))));
    return { normal: e.mul(flat, inverse), inverse };
  }
  const ones = e.constant(new Array(size).fill(1), [size]);
  const attributes = { axis: -1, epsilon: float(epsilon) };
  const [normal, , inverse] = b.opN('LayerNormalization', [flat, ones], attributes, { outputs: 3, name: e.nodeName('normalise') });
  return { normal, inverse };
}

/** (g - mean(g) - n mean(g n)) / deviation, the means given, [rows, 1]; without the first where nothing was centred. */
function throughNormal(c: Context, { normal, inverse }: Rows, g: string, mean: string | undefined, along: string): string {
  const { e } = c;
  const shift = e.mul(normal, along);
  return e.mul(e.sub(g, mean === undefined ? shift : e.add(shift, mean)), inverse);
}

/**
 * @param o.x what was normalised, of the shape of the node's first output
 * @param o.scale which input the scale is; the bias comes after it
 * @param o.centred whether the mean was subtracted
 * @param o.epsilon the operator's own default, 1e-5 where none is given
 */
export function layerNormalization(
  c: Context,
  o: { x: string; scale: number; centred: boolean; epsilon?: number },
): [() => string, () => string, () => string] {
  const { e } = c;
  // Scale and shift are asked for alone where nothing before is trained: then what comes through the statistics is of no use.
  if (c.node.opType === 'LayerNormalization') for (const i of [1, 2]) c.dyOf(i);
  const dims = c.outShape();
  const axis = resolveAxis(c.int('axis', -1), dims.length);
  const inner = dims.slice(axis);
  const [rows, size] = [sizeOf(dims.slice(0, axis)), sizeOf(inner)];
  const scaleDims = c.shape(o.scale);
  const extra = scaleDims.length - inner.length;
  if (extra > 0 && sizeOf(scaleDims.slice(0, extra)) > 1) c.refuse('a scale that differs from row to row');

  const dy = once(() => e.reshape(c.dy, [rows, size]));
  const n = once(() => normalise(c, o.x, [rows, size], c.float('epsilon', o.epsilon ?? 1e-5), o.centred));
  const product = once(() => e.mul(dy(), n().normal));
  // One number per element of a row; a smaller scale was broadcast.
  const scale = once(() => {
    const given = extra > 0 ? e.reshape(c.in(o.scale), scaleDims.slice(extra)) : c.in(o.scale);
    return sizeOf(scaleDims) === size ? given : e.op('Expand', given, c.b.ints(inner));
  });
  const dx = () => {
    const share = e.reshape(e.scale(scale(), 1 / size), [size, 1]);
    const mean = o.centred ? e.op('MatMul', dy(), share) : undefined;
    const g = e.mul(dy(), e.reshape(scale(), [1, size]));
    return e.reshape(ofStatistics(c, n(), throughNormal(c, n(), g, mean, e.op('MatMul', product(), share)), [rows, size]), dims);
  };
  const summed = (name: string, i: number): string => {
    const whole = e.reshape(e.reduceSum(name, [0]), inner);
    return extra > 0 ? e.reshape(whole, c.shape(i)) : e.sumTo(whole, inner, c.shape(i));
  };
  return [dx, () => summed(product(), o.scale), () => summed(dy(), o.scale + 1)];
}

/** Adds what comes through the mean and the inverse deviation where they are outputs that something reads: slopes 1/size and -n/size inverse^2. */
function ofStatistics(c: Context, { normal, inverse }: Rows, dx: string, [rows, size]: readonly [number, number]): string {
  const { e } = c;
  if (c.node.opType !== 'LayerNormalization') return dx;
  const [dMean, dInverse] = [c.dyOf(1), c.dyOf(2)];
  const column = (name: string): string => e.scale(e.reshape(name, [rows, 1]), 1 / size);
  const withMean = dMean === undefined ? dx : e.add(dx, column(dMean));
  if (dInverse === undefined) return withMean;
  return e.sub(withMean, e.mul(normal, e.mul(column(dInverse), e.mul(inverse, inverse))));
}

/** Rows are groups of channels of a sample; scale and bias have a number per channel (or per group, in version 18). */
function groupNormalization(c: Context, groups: number): ReturnType<Rule> {
  const { e } = c;
  const dims = c.shape(0);
  const batch = dims[0];
  const [scales] = c.shape(1);
  const [size, each] = [sizeOf(dims) / (batch * groups), sizeOf(dims) / (batch * scales)];
  const rows = [batch * groups, size] as const;
  const byScale = [batch, scales, each];

  const dy = once(() => e.reshape(c.dy, byScale));
  const n = once(() => normalise(c, c.in(0), rows, c.float('epsilon', 1e-5), true));
  const sums = once(() => e.reduceSum(dy(), [2])); // [batch, scales]
  const products = once(() => e.reduceSum(e.mul(dy(), e.reshape(n().normal, byScale)), [2]));
  // Mean of g = dy scale over a group, from the sums over channels.
  const mean = (of: string): string => {
    const weighted = e.reshape(e.mul(of, e.scale(c.in(1), 1 / size)), [rows[0], scales / groups]);
    return scales === groups ? weighted : e.reduceSum(weighted, [1], true);
  };
  const dx = () => {
    const g = e.reshape(e.mul(dy(), e.reshape(c.in(1), [scales, 1])), rows);
    return e.reshape(throughNormal(c, n(), g, mean(sums()), mean(products())), dims);
  };
  return [dx, () => e.reduceSum(products(), [0]), () => e.reduceSum(sums(), [0])];
}

/** The output is n itself, but for the 1e-9 that was added to the deviation. */
function meanVarianceNormalization(c: Context): ReturnType<Rule> {
  const { e } = c;
  const axes = (c.ints('axes') ?? [0, 2, 3]).map((axis) => resolveAxis(axis, c.shape(0).length));
  return [
    () => {
      const centred = e.sub(c.in(0), e.reduceMean(c.in(0), axes, true));
      const deviation = e.op('Sqrt', e.reduceMean(e.mul(centred, centred), axes, true));
      const inverse = divideOrZero(c, e.scalar(1), deviation);
      const along = e.reduceMean(e.mul(c.dy, c.out()), axes, true);
      return throughNormal(c, { normal: c.out(), inverse }, c.dy, e.reduceMean(c.dy, axes, true), along);
    },
  ];
}

/** y = x / |x|: (dy - |x|' sum(dy y)) / |x|, where the slope |x|' of the norm is y for p = 2 and the sign for p = 1. */
function lpNormalization(c: Context): ReturnType<Rule> {
  const { e } = c;
  const axis = [resolveAxis(c.int('axis', -1), c.shape(0).length)];
  const p = c.int('p', 2);
  return [
    () => {
      const norm = e.reduce(p === 1 ? 'ReduceL1' : 'ReduceL2', c.in(0), axis, true);
      const slope = p === 1 ? e.op('Sign', c.in(0)) : c.out();
      const along = e.reduceSum(e.mul(c.dy, c.out()), axis, true);
      return e.mul(e.sub(c.dy, e.mul(slope, along)), divideOrZero(c, e.scalar(1), norm));
    },
  ];
}
