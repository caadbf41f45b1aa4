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
  Split: (c) => [() => c.e.with('Concat', splitGradients(c), { axis: resolveAxis(c.int('axis', 0), c.shape(0).length) })],
  Expand: (c) => [() => c.fit(c.dy, 0), null],
  Tile: (c) => [() => untile(c), null],
  Pad: pad,
  Trilu: (c) => [() => c.e.with('Trilu', c.has(1) ? [c.dy, c.in(1)] : [c.dy], { upper: c.int('upper', 1) }), null],
  SpaceToDepth: (c) => [() => c.e.with('DepthToSpace', [c.dy], { blocksize: c.int('blocksize', 1), mode: 'DCR' })],
  DepthToSpace: (c) => [() => (c.string('mode', 'DCR') === 'DCR' ? spaceToDepth(c) : spaceToChannels(c))],
} satisfies Record<string, Rule>;

/** The gradients of all parts, zeros for those that the loss does not depend on. */
function splitGradients(c: Context): string[] {
  const axis = resolveAxis(c.int('axis', 0), c.shape(0).length);
  const sizes = splitSizes(c, c.shape(0)[axis]);
  const dims = (size: number): number[] => c.shape(0).map((d, i) => (i === axis ? size : d));
  return sizes.map((size, i) => c.dyOf(i) ?? c.e.zeros(dims(size)));
}

function splitSizes(c: Context, total: number): readonly number[] {
  if (c.has(1)) return c.fixed(1, 'sizes');
  // Equal parts, the last one smaller where it does not come out even (version 18).
  const count = c.node.outputs.length;
  const size = Math.ceil(total / count);
  return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(size, total - i * size)));
}

/** Sums the copies. */
function untile(c: Context): string {
  const repeats = c.shape(0).map((size, axis) => (size === 0 ? 1 : c.outShape()[axis] / size));
  const pairs = c.shape(0).flatMap((size, axis) => (repeats[axis] === 1 ? [size] : [repeats[axis], size]));
  const copies: number[] = [];
  let at = 0;
  for (const repeat of repeats) {
    if (repeat !== 1) copies.push(at++);
    at++;
  }
  return copies.length === 0 ? c.dy : c.e.reduceSum(c.e.reshape(c.dy, pairs), copies);
}

const spaceToDepth = (c: Context): string => c.e.with('SpaceToDepth', [c.dy], { blocksize: c.int('blocksize', 1) });

/** Back from blocks that came out of neighbouring channels (mode CRD, PyTorch's PixelShuffle). */
function spaceToChannels(c: Context): string {
  const [n, channels, height, width] = c.shape(0);
  const block = c.int('blocksize', 1);
  const blocks = c.e.reshape(c.dy, [n, channels / block ** 2, height, block, width, block]);
  return c.e.reshape(c.e.transpose(blocks, [0, 1, 3, 5, 2, 4]), c.shape(0));
}

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
