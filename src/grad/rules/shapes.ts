/** Operators that move elements without changing them. Shapes are known, so whatever only relabels axes is undone by one Reshape. */
import { resolveAxis } from '../../core/shapes.ts';
import type { Context } from '../context.ts';
import type { Rule } from '../table.ts';
import { pad } from './pad.ts';

const reshapeBack: Rule = (c) => [() => c.e.reshape(c.dy, c.shape(0))];

export const shapes = {
  Flatten: reshapeBack,
  Reshape: reshapeBack,
  Squeeze: reshapeBack,
  Unsqueeze: reshapeBack,
  Transpose: (c) => {
    const perm = c.ints('perm') ?? c.shape(0).map((_, i) => c.shape(0).length - 1 - i);
    return [
      () =>
        c.e.transpose(
          c.dy,
          perm.map((_, axis) => perm.indexOf(axis)),
        ),
    ];
  },
  Concat: (c) => {
    const axis = resolveAxis(c.int('axis', 0), c.outShape().length);
    let end = 0;
    return c.node.inputs.map((_, i) => {
      const start = end;
      end += c.shape(i)[axis];
      return () => c.e.slice(c.dy, [axis], [start], [start + c.shape(i)[axis]]);
    });
  },
  Slice: (c) => [() => unslice(c)],
  Pad: pad,
} satisfies Record<string, Rule>;

/** Puts the gradient back where its elements were taken from, zeros elsewhere. */
function unslice(c: Context): string {
  const { e } = c;
  const [from, to] = [c.outShape(), c.shape(0)];
  const rank = to.length;
  const cuts = slices(c);
  let dy = c.dy;
  for (const { axis, step } of cuts) if (step < 0) dy = e.flip(dy, axis);
  // Zeros between elements that were a step apart: an axis of size 1 after each such axis, padded to the step.
  const apart = from.map((_, axis) => Math.abs(cuts.find((s) => s.axis === axis)?.step ?? 1));
  const stretched = from.map((size, axis) => size * apart[axis]);
  if (apart.some((a) => a > 1)) {
    const pairs = e.reshape(
      dy,
      from.flatMap((size) => [size, 1]),
    );
    const ends = apart.flatMap((a) => [0, a - 1]);
    dy = e.reshape(e.pad(pairs, [...ends.map(() => 0), ...ends]), stretched);
  }
  const pads = new Array<number>(2 * rank).fill(0);
  for (const { axis, start, step } of cuts) {
    const first = step > 0 ? start : start + (from[axis] - 1) * step;
    pads[axis] = first;
    // Negative where the zeros after the last element reach beyond the input.
    pads[rank + axis] = to[axis] - first - stretched[axis];
  }
  return e.pad(dy, pads);
}

/** Axis, first index taken, and step of every sliced axis. */
function slices(c: Context): { axis: number; start: number; step: number }[] {
  const dims = c.shape(0);
  const starts = c.fixed(1, 'starts');
  const axes = c.has(3) ? c.fixed(3, 'axes') : starts.map((_, i) => i);
  const steps = c.has(4) ? c.fixed(4, 'steps') : starts.map(() => 1);
  return starts.map((given, i) => {
    const axis = resolveAxis(axes[i], dims.length);
    const size = dims[axis];
    const start = Math.max(0, given < 0 ? given + size : given);
    return { axis, step: steps[i], start: Math.min(start, steps[i] > 0 ? size : size - 1) };
  });
}
