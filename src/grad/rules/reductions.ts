/** Sums and means over axes. */
import { resolveAxis } from '../../core/shapes.ts';
import { sizeOf } from '../../core/tensor.ts';
import type { Context } from '../context.ts';
import type { Rule } from '../table.ts';

export const reductions = {
  ReduceSum: (c) => [() => spreadOver(c, axesInput(c), 1)],
  // The axes of a ReduceMean became an input in version 18, those of a ReduceSum in 13.
  ReduceMean: (c) => [() => spreadOver(c, c.opset < 18 ? c.ints('axes') : axesInput(c), sizeOf(c.outShape()) / sizeOf(c.shape(0)))],
} satisfies Record<string, Rule>;

const axesInput = (c: Context) => (c.has(1) ? c.fixed(1, 'axes') : undefined);

/** Repeats the gradient, times `factor`, along the reduced axes. */
function spreadOver(c: Context, given: readonly number[] | undefined, factor: number): string {
  const dims = c.shape(0);
  const all = given === undefined || given.length === 0;
  if (all && c.int('noop_with_empty_axes', 0) === 1) return c.dy;
  const axes = all ? dims.map((_, axis) => axis) : given.map((axis) => resolveAxis(axis, dims.length));
  const kept = dims.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const dy = c.int('keepdims', 1) === 1 ? c.dy : c.e.reshape(c.dy, kept);
  return c.e.spread(dy, kept, dims, factor);
}
