/** Pooling over windows; global maxima and norms are reductions. Un-pooling is a pseudo-operator: `runtime/lowerings` knows fast forms for the windows that networks have. */
import { sizeOf } from '../../core/tensor.ts';
import type { AttributeShorthand } from '../../onnx/model.ts';
import type { Context } from '../context.ts';
import type { Rule } from '../table.ts';
import { coverage, type Windows, windowsOf } from '../windows.ts';
import { normGradient } from './reductions.ts';

export const pools = {
  MaxPool: (c) => {
    const attributes = { ...poolWindows(c), input_shape: [...c.shape(0)], output_shape: [...c.outShape()] };
    return [() => c.pseudo('MaxPoolGrad', [c.in(0), rowMajor(c), c.dy], attributes)];
  },
  AveragePool: averagePool,
  LpPool: lpPool,
  GlobalAveragePool: (c) => [() => c.e.spread(c.dy, c.outShape(), c.shape(0), 1 / sizeOf(c.shape(0).slice(2)))],
} satisfies Record<string, Rule>;

/** The pool's output, from a node whose indices count rows first: those of `storage_order` 1 are pooled again. */
function rowMajor(c: Context): string {
  if (c.int('storage_order', 0) === 0 || !c.node.outputs[1]) return c.out();
  const { storage_order: _, ...attributes } = shorthand(c.node.attributes);
  return c.e.with('MaxPool', [c.in(0)], attributes);
}

function poolWindows(c: Context): Windows {
  return windowsOf(c, c.ints('kernel_shape') ?? c.refuse('no kernel_shape'), c.shape(0), c.outShape());
}

/**
 * The pseudo-operator divides by the size of the window (count_include_pad = 1). Where the forward pass divided by less, the gradient
 * is first multiplied by what is missing.
 */
function averagePool(c: Context): ReturnType<Rule> {
  const { e } = c;
  const windows = poolWindows(c);
  return [
    () => {
      const share = shareOfWindow(c, windows);
      return unpool(c, share === undefined ? c.dy : e.mul(c.dy, share), windows);
    },
  ];
}

/** Spreads each gradient over its window, divided by the window's size. */
function unpool(c: Context, dy: string, windows: Windows): string {
  const { dilations, ...apart } = windows;
  const shapes = { input_shape: [...c.shape(0)], output_shape: [...c.outShape()] };
  if (dilations.every((d) => d === 1)) return c.pseudo('AveragePoolGrad', [dy], { ...apart, count_include_pad: 1, ...shapes });
  // With gaps it is the input gradient of a convolution of each channel with equal weights.
  const channels = c.shape(0)[1];
  const cells = sizeOf(windows.kernel_shape);
  const weight = c.e.constant(new Array(channels * cells).fill(1 / cells), [channels, 1, ...windows.kernel_shape]);
  return c.pseudo('ConvGradInput', [dy, weight], { ...windows, group: channels, ...shapes });
}

/** y = (sum |x|^p)^(1/p) over each window. */
function lpPool(c: Context): ReturnType<Rule> {
  const { e } = c;
  const windows = poolWindows(c);
  const cells = sizeOf(windows.kernel_shape);
  const p = c.int('p', 2);
  // As for a norm, but what a window gives to its elements is summed over the windows that they lie in.
  const spread = (dy: string): string => unpool(c, e.scale(dy, cells), windows);
  return [() => normGradient(c, p, c.dy, c.out(), spread)];
}

/** Size of the window over the number that the forward pass divided by, [1,1,...]; undefined where it is 1 everywhere. */
function shareOfWindow(c: Context, windows: Windows): string | undefined {
  const sizes = c.shape(0).slice(2);
  const counts = c.outShape().slice(2);
  const covered = outer(counts.map((count, axis) => coverage(windows, axis, sizes[axis], count)));
  const cells = sizeOf(windows.kernel_shape);
  const dims = [1, 1, ...counts];
  if (c.int('count_include_pad', 0) === 0) {
    if (covered.every((n) => n === cells)) return undefined;
    return c.e.constant(
      covered.map((n) => (n === 0 ? 0 : cells / n)),
      dims,
    );
  }
  if (c.int('ceil_mode', 0) === 0) return undefined;
  // What a window that sticks out of the padding is divided by has changed between versions of ONNX Runtime, so it is asked: the
  // average of ones is cells covered / divisor. It is computed once, when the session is made.
  const ones = c.e.constant(new Array(sizeOf(sizes)).fill(1), [1, 1, ...sizes]);
  const attributes = new Map(c.node.attributes);
  const average = c.b.op('AveragePool', [ones], shorthand(attributes));
  return c.e.mul(
    average,
    c.e.constant(
      covered.map((n) => (n === 0 ? 0 : cells / n)),
      dims,
    ),
  );
}

/** Products of one number from each list, the last list running fastest. */
function outer(lists: readonly (readonly number[])[]): number[] {
  return lists.reduce<number[]>((products, list) => products.flatMap((p) => list.map((n) => p * n)), [1]);
}

function shorthand(attributes: Context['node']['attributes']): Record<string, AttributeShorthand> {
  const entries = [...attributes].flatMap(([name, a]): [string, AttributeShorthand][] =>
    a.type === 'int' || a.type === 'ints' || a.type === 'string' ? [[name, a.value]] : [],
  );
  return Object.fromEntries(entries);
}
