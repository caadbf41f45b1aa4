/** Where the window of a convolution or a pool stands: `auto_pad` and `ceil_mode` resolved into plain numbers. */
import type { Context } from './context.ts';

/** One number per spatial axis; pads are all beginnings, then all ends. */
export interface Windows {
  readonly kernel_shape: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
}

/**
 * The windows of a Conv, or of a pool: how `input` [N,C,...] was turned into `output` [N,C,...]. Ends of the padding are moved so that
 * the last window ends exactly there, or before it by less than a stride: with `ceil_mode` it would end outside.
 */
export function windowsOf(c: Context, kernel: readonly number[], input: readonly number[], output: readonly number[]): Windows {
  const [sizes, counts] = [input.slice(2), output.slice(2)];
  const ones = sizes.map(() => 1);
  const strides = c.ints('strides') ?? ones;
  const dilations = c.ints('dilations') ?? ones;
  const mode = c.string('auto_pad', 'NOTSET');
  const given = c.ints('pads') ?? [...sizes, ...sizes].map(() => 0);
  const begins: number[] = [];
  const ends: number[] = [];
  sizes.forEach((size, axis) => {
    const needed = (counts[axis] - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1 - size;
    if (mode === 'SAME_UPPER' || mode === 'SAME_LOWER') {
      const total = Math.max(needed, 0);
      const begin = mode === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2);
      begins.push(begin);
      ends.push(total - begin);
    } else {
      const begin = mode === 'VALID' ? 0 : given[axis];
      begins.push(begin);
      ends.push(Math.max(mode === 'VALID' ? 0 : given[sizes.length + axis], needed - begin));
    }
  });
  return { kernel_shape: [...kernel], strides: [...strides], dilations: [...dilations], pads: [...begins, ...ends] };
}

/** How many cells of `[0, size)` each window of one axis covers. */
export function coverage(w: Windows, axis: number, size: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    let covered = 0;
    for (let k = 0; k < w.kernel_shape[axis]; k++) {
      const at = i * w.strides[axis] - w.pads[axis] + k * w.dilations[axis];
      if (at >= 0 && at < size) covered++;
    }
    return covered;
  });
}
