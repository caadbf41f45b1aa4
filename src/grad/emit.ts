/**
 * Short names for the nodes that gradients are made of, in operator-set version 17 and newer; `raise-opset.ts` brings older models
 * there first. Where a name is missing here, rules say `e.op('Exp', x)`.
 */
import { broadcastAxes, sameDims } from '../core/shapes.ts';
import { type DType, f32, sizeOf, type Tensor } from '../core/tensor.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { dtypeCode } from '../onnx/dtypes.ts';
import { type AttributeShorthand, float } from '../onnx/model.ts';

/** Up to this many elements a row, an outer product spreads a value faster than Expand does (measured: 0.5 against 2 ms at 16). */
const OUTER_PRODUCT_LIMIT = 128;

type FloatType = 'float32' | 'float64';

export class Emit {
  readonly b: GraphBuilder;
  /** What scalar constants are made of. */
  readonly dtype: FloatType;
  readonly #scope: string;

  /** @param scope what the nodes are for, `conv1`: their names begin with it, so that a profile can be read */
  constructor(b: GraphBuilder, scope: string, dtype: FloatType = 'float32') {
    this.b = b;
    this.dtype = dtype;
    this.#scope = scope;
  }

  op(opType: string, ...inputs: string[]): string {
    return this.with(opType, inputs);
  }

  with(opType: string, inputs: readonly string[], attributes: Record<string, AttributeShorthand> = {}, domain = ''): string {
    return this.b.op(opType, inputs, attributes, { name: this.nodeName(opType.toLowerCase()), domain });
  }

  /** What a node of this scope is called, for those that are added with several outputs. */
  nodeName(what: string): string {
    return `${this.#scope}/${what}`;
  }

  add = (a: string, b: string): string => this.op('Add', a, b);
  sub = (a: string, b: string): string => this.op('Sub', a, b);
  mul = (a: string, b: string): string => this.op('Mul', a, b);
  div = (a: string, b: string): string => this.op('Div', a, b);
  neg = (a: string): string => this.op('Neg', a);

  /** A scalar constant of shape []. */
  scalar(value: number): string {
    return this.b.scalar(value, this.dtype);
  }

  /** `a` times a number; nothing where the number is 1. */
  scale(a: string, factor: number): string {
    return factor === 1 ? a : this.mul(a, this.scalar(factor));
  }

  /** The sum of values of one shape. Additions, because ONNX Runtime's Sum uses one thread (three times slower at 262 144 elements). */
  sum(values: readonly string[]): string {
    return values.reduce((a, b) => this.add(a, b));
  }

  cast(x: string, to: DType): string {
    return this.with('Cast', [x], { to: dtypeCode(to) });
  }

  where(condition: string, yes: string, no: string): string {
    return this.op('Where', condition, yes, no);
  }

  /**
   * 1 where a condition holds, 0 elsewhere, as numbers. A product with it is a third faster than Where, which passes over its operands
   * twice (measured: 2.3 against 3.3 ms at 1.6 million elements).
   */
  mask(condition: string): string {
    return this.cast(condition, this.dtype);
  }

  /** Zeros of a shape; the runtime makes them once, when the session is opened. */
  zeros(dims: readonly number[]): string {
    const zero: Tensor = this.dtype === 'float32' ? f32([0], [1]) : { dtype: this.dtype, dims: [1], data: Float64Array.of(0) };
    return this.with('ConstantOfShape', [this.b.ints(dims)], { value: zero });
  }

  /** `x` with nothing below 0 (`max: 0`: above). */
  clip(x: string, o: { min?: number; max?: number }): string {
    const bound = (value: number | undefined): string => (value === undefined ? '' : this.scalar(value));
    return o.max === undefined ? this.op('Clip', x, bound(o.min)) : this.op('Clip', x, bound(o.min), bound(o.max));
  }

  reshape(x: string, dims: readonly number[]): string {
    return this.op('Reshape', x, this.b.ints(dims));
  }

  transpose(x: string, perm: readonly number[]): string {
    return perm.every((axis, i) => axis === i) ? x : this.with('Transpose', [x], { perm });
  }

  /** Swaps the last two axes. */
  swapLast(x: string, rank: number): string {
    const perm = Array.from({ length: rank }, (_, i) => i);
    perm.splice(rank - 2, 2, rank - 1, rank - 2);
    return this.transpose(x, perm);
  }

  reduceSum(x: string, axes: readonly number[], keepdims = false): string {
    if (axes.length === 0) return x;
    return this.with('ReduceSum', [x, this.b.ints(axes)], { keepdims: keepdims ? 1 : 0 });
  }

  reduceMean(x: string, axes: readonly number[], keepdims = false): string {
    return this.reduce('ReduceMean', x, axes, keepdims);
  }

  /** Any reduction but ReduceSum: its axes are an attribute up to version 17, an input from 18 on. */
  reduce(opType: string, x: string, axes: readonly number[], keepdims = false): string {
    const keep = { keepdims: keepdims ? 1 : 0 };
    return this.b.opset >= 18 ? this.with(opType, [x, this.b.ints(axes)], keep) : this.with(opType, [x], { axes: [...axes], ...keep });
  }

  /** Elements `starts` to `ends` (exclusive) along the given axes, step 1. */
  slice(x: string, axes: readonly number[], starts: readonly number[], ends: readonly number[]): string {
    return this.op('Slice', x, this.b.ints(starts), this.b.ints(ends), this.b.ints(axes));
  }

  /** Zeros around `x`; `pads` are ONNX's, all beginnings then all ends, and a negative one cuts off. */
  pad(x: string, pads: readonly number[]): string {
    return pads.every((p) => p === 0) ? x : this.op('Pad', x, this.b.ints(pads));
  }

  /** Turns one axis around. */
  flip(x: string, axis: number): string {
    const all = -Number.MAX_SAFE_INTEGER;
    return this.op('Slice', x, this.b.ints([-1]), this.b.ints([all]), this.b.ints([axis]), this.b.ints([-1]));
  }

  /** `alpha * a' * b'` of matrices. */
  gemm(a: string, b: string, o: { transA?: boolean; transB?: boolean; alpha?: number } = {}): string {
    const attributes: Record<string, AttributeShorthand> = { transA: o.transA ? 1 : 0, transB: o.transB ? 1 : 0 };
    if (o.alpha !== undefined && o.alpha !== 1) attributes.alpha = float(o.alpha);
    return this.with('Gemm', [a, b], attributes);
  }

  /** Undoes broadcasting: sums `x` of shape `from` to the shape `to` that had been broadcast to it. */
  sumTo(x: string, from: readonly number[], to: readonly number[]): string {
    if (sameDims(from, to)) return x;
    const axes = broadcastAxes(to, from);
    const keepdims = from.length === to.length;
    const summed = this.reduceSum(x, axes, keepdims);
    const left = keepdims ? to : from.filter((_, axis) => !axes.includes(axis));
    return sameDims(left, to) ? summed : this.reshape(summed, to);
  }

  /** Repeats `x` of shape `from` (sizes 1 where `to` has more) to shape `to`, times `factor`. */
  spread(x: string, from: readonly number[], to: readonly number[], factor = 1): string {
    const repeated = to.map((size, axis) => size !== from[axis]);
    const first = repeated.indexOf(true);
    if (first < 0) return this.scale(x, factor);
    const columns = sizeOf(to.slice(first));
    // Where all of the last axes are repeated, this is a column times a row, and the factor comes for nothing.
    if (sizeOf(from.slice(first)) === 1 && columns <= OUTER_PRODUCT_LIMIT) {
      const column = this.reshape(x, [sizeOf(from), 1]);
      return this.reshape(this.op('MatMul', column, this.constant(new Array(columns).fill(factor), [1, columns])), to);
    }
    return this.op('Expand', this.scale(x, factor), this.b.ints(to));
  }

  /** A constant of the float type in use. */
  constant(values: readonly number[], dims: readonly number[]): string {
    const tensor: Tensor = this.dtype === 'float32' ? f32(values, dims) : { dtype: this.dtype, dims, data: Float64Array.from(values) };
    return this.b.constant(tensor);
  }
}
