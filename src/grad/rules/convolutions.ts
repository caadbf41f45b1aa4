/**
 * Convolutions in one, two and three dimensions. The two expensive gradients are pseudo-operators: which standard form is fastest
 * depends on the shape and the machine, and `runtime/lowerings` decides it.
 */
import type { Context } from '../context.ts';
import type { Rule } from '../table.ts';
import { type Windows, windowsOf } from '../windows.ts';

export const convolutions = { Conv: (c) => conv(c), ConvTranspose: convTranspose } satisfies Record<string, Rule>;

/** Everything but the first two axes, and the batch: what a bias is summed over. */
const allButChannels = (rank: number): number[] => Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1);

/** @param dy gradient of the convolution, where something else came after it in the same node */
export function conv(c: Context, dy = (): string => c.dy): (() => string)[] {
  const weight = c.shape(1); // [M, C/group, k...]
  const attributes = {
    ...windowsOf(c, weight.slice(2), c.shape(0), c.outShape()),
    group: c.int('group', 1),
    input_shape: [...c.shape(0)],
    output_shape: [...c.outShape()],
  };
  return [
    () => c.pseudo('ConvGradInput', [dy(), c.in(1)], attributes),
    () => c.pseudo('ConvGradWeight', [c.in(0), dy()], { ...attributes, weight_shape: [...weight] }),
    () => c.e.reduceSum(dy(), allButChannels(c.outShape().length)),
  ];
}

/** A ConvTranspose is a convolution's input gradient, so its own gradients are those of that convolution, from output to input. */
function convTranspose(c: Context): ReturnType<Rule> {
  const weight = c.shape(1); // [C, M/group, k...]
  const windows = transposedWindows(c, weight.slice(2));
  const group = c.int('group', 1);
  return [
    () => c.e.with('Conv', [c.dy, c.in(1)], { ...windows, group }),
    () =>
      c.pseudo('ConvGradWeight', [c.dy, c.in(0)], {
        ...windows,
        group,
        input_shape: [...c.outShape()],
        output_shape: [...c.shape(0)],
        weight_shape: [...weight],
      }),
    () => c.e.reduceSum(c.dy, allButChannels(c.outShape().length)),
  ];
}

function transposedWindows(c: Context, kernel: readonly number[]): Windows {
  const ones = kernel.map(() => 1);
  const strides = c.ints('strides') ?? ones;
  const dilations = c.ints('dilations') ?? ones;
  const mode = c.string('auto_pad', 'NOTSET');
  const explicit = (mode === 'NOTSET' || mode === 'VALID') && c.ints('output_shape') === undefined;
  const zeros = [...kernel, ...kernel].map(() => 0);
  if (explicit) return { kernel_shape: kernel, strides, dilations, pads: (mode === 'VALID' ? undefined : c.ints('pads')) ?? zeros };

  const outputPadding = c.ints('output_padding') ?? zeros;
  const begins: number[] = [];
  const ends: number[] = [];
  kernel.forEach((k, axis) => {
    const natural = strides[axis] * (c.shape(0)[2 + axis] - 1) + outputPadding[axis] + dilations[axis] * (k - 1) + 1;
    const total = Math.max(natural - c.outShape()[2 + axis], 0);
    const begin = mode === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2);
    begins.push(begin);
    ends.push(total - begin);
  });
  return { kernel_shape: kernel, strides, dilations, pads: [...begins, ...ends] };
}
