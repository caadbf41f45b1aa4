/** Gemm, MatMul and Einsum. Transposes stand in Gemm's attributes or before a MatMul, where ONNX Runtime takes them into the product. */
import { sizeOf } from '../../core/tensor.ts';
import type { Context } from '../context.ts';
import type { Rule } from '../table.ts';
import { einsum } from './einsum.ts';

export const matrices = { Gemm: (c) => gemm(c), MatMul: matmul, Einsum: einsum } satisfies Record<string, Rule>;

/** Y = alpha A' B' + beta C, where ' stands for a transpose that may be there. */
export function gemm(c: Context, dy = (): string => c.dy): ReturnType<Rule> {
  const { e } = c;
  const alpha = c.float('alpha', 1);
  const transA = c.int('transA', 0) === 1;
  const transB = c.int('transB', 0) === 1;
  const [a, b] = [c.in(0), c.in(1)];
  return [
    () => (transA ? e.gemm(b, dy(), { transA: transB, transB: true, alpha }) : e.gemm(dy(), b, { transB: !transB, alpha })),
    () => (transB ? e.gemm(dy(), a, { transA: true, transB: transA, alpha }) : e.gemm(a, dy(), { transA: !transA, alpha })),
    () => e.scale(c.fit(dy(), 2), c.float('beta', 1)),
  ];
}

function matmul(c: Context): ReturnType<Rule> {
  const { e } = c;
  // Vectors are matrices of one row (left) or one column (right).
  const a = c.shape(0).length === 1 ? [1, ...c.shape(0)] : c.shape(0);
  const b = c.shape(1).length === 1 ? [...c.shape(1), 1] : c.shape(1);
  const [m, k] = a.slice(-2);
  const n = b[b.length - 1];
  const batch = c.outShape().slice(0, Math.max(a.length, b.length) - 2);
  const as = (name: string, from: readonly number[], to: readonly number[]): string =>
    from.length === to.length ? name : e.reshape(name, to);
  const left = () => as(c.in(0), c.shape(0), a);
  const right = () => as(c.in(1), c.shape(1), b);
  const dy = () => as(c.dy, c.outShape(), [...batch, m, n]);

  // One weight matrix for the whole batch: its gradient is a single product over all rows, not a sum of small ones.
  if (b.length === 2 && a.length > 2) {
    const rows = sizeOf(a) / k;
    return [
      () => as(e.gemm(e.reshape(c.dy, [rows, n]), right(), { transB: true }), [rows, k], a),
      () => as(e.gemm(e.reshape(c.in(0), [rows, k]), e.reshape(c.dy, [rows, n]), { transA: true }), b, c.shape(1)),
    ];
  }
  if (a.length === 2 && b.length === 2) {
    return [
      () => as(e.gemm(dy(), right(), { transB: true }), a, c.shape(0)),
      () => as(e.gemm(left(), dy(), { transA: true }), b, c.shape(1)),
    ];
  }
  return [
    () => as(e.sumTo(e.op('MatMul', dy(), e.swapLast(right(), b.length)), [...batch, m, k], a), a, c.shape(0)),
    () => as(e.sumTo(e.op('MatMul', e.swapLast(left(), a.length), dy()), [...batch, k, n], b), b, c.shape(1)),
  ];
}
