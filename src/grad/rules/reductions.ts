/** Sums, means, extrema and norms over axes. */
import { resolveAxis } from '../../core/shapes.ts';
import { sizeOf } from '../../core/tensor.ts';
import type { Context } from '../context.ts';
import type { Rule } from '../table.ts';

/** What the gradient of a reduction is made of: the reduced axes are kept with size 1, so that all broadcasts. */
interface Reduced {
  readonly axes: readonly number[];
  /** The input's shape with 1 for every reduced axis. */
  readonly kept: readonly number[];
  readonly dy: string;
  /** The node's output. */
  y(): string;
}

const reduction =
  (gradient: (c: Context, r: Reduced) => string): Rule =>
  (c) => [() => gradient(c, reduced(c))];

export const reductions = {
  ReduceSum: reduction((c, r) => c.e.spread(r.dy, r.kept, c.shape(0))),
  ReduceMean: reduction((c, r) => c.e.spread(r.dy, r.kept, c.shape(0), sizeOf(r.kept) / sizeOf(c.shape(0)))),
  ReduceMax: reduction(toExtrema),
  ReduceMin: reduction(toExtrema),
  GlobalMaxPool: (c) => [() => toExtrema(c, { ...pooled(c), dy: c.dy, y: () => c.out() })],
  ReduceL1: reduction((c, r) => c.e.mul(c.e.op('Sign', c.in(0)), r.dy)),
  ReduceL2: reduction((c, r) => c.e.mul(c.in(0), divideOrZero(c, r.dy, r.y()))),
  GlobalLpPool: (c) => [() => normGradient(c, c.int('p', 2), c.dy, c.out())],
  ReduceSumSquare: reduction((c, r) => c.e.mul(c.in(0), c.e.scale(r.dy, 2))),
  // 1 / sum = e^-y
  ReduceLogSum: reduction((c, r) => c.e.spread(c.e.div(r.dy, c.e.op('Exp', r.y())), r.kept, c.shape(0))),
  ReduceLogSumExp: reduction((c, r) => c.e.mul(c.e.op('Exp', c.e.sub(c.in(0), r.y())), r.dy)),
  ReduceProd: reduction((c, r) => c.e.mul(productOfOthers(c, r), r.dy)),
} satisfies Record<string, Rule>;

function reduced(c: Context): Reduced {
  const dims = c.shape(0);
  // The axes became an input in version 18, those of a ReduceSum in 13.
  const given = c.ints('axes') ?? (c.has(1) ? c.fixed(1, 'axes') : []);
  const none = c.int('noop_with_empty_axes', 0) === 1 ? [] : dims.map((_, axis) => axis);
  const axes = given.length === 0 ? none : given.map((axis) => resolveAxis(axis, dims.length));
  const kept = dims.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const keep = (name: string): string => (c.int('keepdims', 1) === 1 ? name : c.e.reshape(name, kept));
  return { axes, kept, dy: keep(c.dy), y: () => keep(c.out()) };
}

/** The axes of a global pool: all but batch and channels. */
function pooled(c: Context): Pick<Reduced, 'axes' | 'kept'> {
  const dims = c.shape(0);
  return { axes: dims.map((_, axis) => axis).slice(2), kept: dims.map((size, axis) => (axis < 2 ? size : 1)) };
}

/** To the largest (or smallest) elements, in equal parts where there are several, as PyTorch's amax has it. */
function toExtrema(c: Context, r: Reduced): string {
  const { e } = c;
  const taken = e.mask(e.op('Equal', c.in(0), r.y()));
  return e.mul(taken, e.div(r.dy, e.reduceSum(taken, r.axes, true)));
}

/** a / b, and 0 where b is 0: a norm has no slope at the origin, and 0 is one of its subgradients. */
export function divideOrZero({ e }: Context, a: string, b: string): string {
  const isZero = e.op('Equal', b, e.scalar(0));
  return e.where(isZero, e.scalar(0), e.div(a, e.where(isZero, e.scalar(1), b)));
}

/**
 * Of y = (sum |x|^p)^(1/p): sign(x) |x|^(p-1) dy y^(1-p).
 * @param spread brings a value of y's shape to one that broadcasts to x
 */
export function normGradient(c: Context, p: number, dy: string, y: string, spread = (v: string): string => v): string {
  const { e } = c;
  const x = c.in(0);
  if (p === 1) return e.mul(e.op('Sign', x), spread(dy));
  if (p === 2) return e.mul(x, spread(divideOrZero(c, dy, y)));
  const power = e.mul(e.op('Sign', x), e.op('Pow', e.op('Abs', x), e.scalar(p - 1)));
  return e.mul(power, spread(divideOrZero(c, dy, e.op('Pow', y, e.scalar(p - 1)))));
}

/** For each element the product of the others: y / x, but where there are zeros. */
function productOfOthers(c: Context, r: Reduced): string {
  const { e } = c;
  if (r.axes.length === 0) return e.scalar(1);
  const zero = e.op('Equal', c.in(0), e.scalar(0));
  const isZero = e.mask(zero);
  const nonzero = e.where(zero, e.scalar(1), c.in(0));
  const product = e.div(e.reduce('ReduceProd', nonzero, r.axes, true), nonzero);
  // Zeros among the others: all of them but the element itself.
  const others = e.sub(e.reduceSum(isZero, r.axes, true), isZero);
  return e.mul(product, e.mask(e.op('Less', others, e.scalar(0.5))));
}
