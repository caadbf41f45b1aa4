/** Pad: zeros and constants, edge, reflect and wrap. */
import { resolveAxis } from '../../core/shapes.ts';
import type { Context } from '../context.ts';
import type { Rule } from '../table.ts';

/** Padding with constants is undone by cutting off. In the other modes the copies' gradients are added to where they came from. */
export function pad(c: Context): ReturnType<Rule> {
  const mode = c.string('mode', 'constant');
  const pads = padsOf(c);
  if (mode === 'constant')
    return [
      () =>
        c.e.pad(
          c.dy,
          pads.map((p) => (p === 0 ? 0 : -p)),
        ),
    ];
  if (mode !== 'reflect' && mode !== 'edge' && mode !== 'wrap') c.refuse(`mode "${mode}"`);
  if (pads.some((p) => p < 0)) c.refuse(`mode "${mode}" and negative pads`);
  return [
    () => {
      const dims = [...c.outShape()];
      let dy = c.dy;
      c.shape(0).forEach((size, axis) => {
        const [before, after] = [pads[axis], pads[dims.length + axis]];
        if (before + after > 0) dy = foldAxis(c, dy, dims, axis, { mode, size, before, after });
        dims[axis] = size;
      });
      return dy;
    },
  ];
}

interface Fold {
  readonly mode: 'reflect' | 'edge' | 'wrap';
  /** Elements of the axis before padding, and how many were put before and after them. */
  readonly size: number;
  readonly before: number;
  readonly after: number;
}

/** Adds the gradients of the padding of one axis to the elements that it copied. */
function foldAxis(c: Context, dy: string, dims: readonly number[], axis: number, { mode, size, before, after }: Fold): string {
  const { e } = c;
  const cut = (start: number, end: number) => e.slice(dy, [axis], [start], [end]);
  // A piece of the axis, placed so that its first element lies at `at`.
  const placed = (piece: string, length: number, at: number): string => {
    const around = new Array<number>(2 * dims.length).fill(0);
    around[axis] = at;
    around[dims.length + axis] = size - at - length;
    return e.pad(piece, around);
  };
  const parts = [cut(before, before + size)];
  if (mode === 'edge') {
    if (before > 0) parts.push(placed(e.reduceSum(cut(0, before), [axis], true), 1, 0));
    if (after > 0) parts.push(placed(e.reduceSum(cut(before + size, before + size + after), [axis], true), 1, size - 1));
  } else if (mode === 'reflect') {
    if (before > 0) parts.push(placed(e.flip(cut(0, before), axis), before, 1));
    if (after > 0) parts.push(placed(e.flip(cut(before + size, before + size + after), axis), after, size - 1 - after));
  } else {
    if (before > 0) parts.push(placed(cut(0, before), before, size - before));
    if (after > 0) parts.push(placed(cut(before + size, before + size + after), after, 0));
  }
  return e.sum(parts);
}

/** Pads of every axis: beginnings, then ends. */
function padsOf(c: Context): readonly number[] {
  const rank = c.shape(0).length;
  const given = c.fixed(1, 'pads');
  if (!c.has(3)) return given;
  const axes = c.fixed(3, 'axes').map((axis) => resolveAxis(axis, rank));
  const pads = new Array<number>(2 * rank).fill(0);
  axes.forEach((axis, i) => {
    pads[axis] = given[i];
    pads[rank + axis] = given[axes.length + i];
  });
  return pads;
}
