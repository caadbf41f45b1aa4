import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { AttributeShorthand } from '../../src/onnx/model.ts';
import { apart, checkGradients, dims, forAll, smooth } from './differences.ts';

type Attributes = Record<string, AttributeShorthand>;

const pool = (rank: 1 | 2 | 3) =>
  fc
    .record({
      lead: fc.constantFrom([1, 1], [1, 2], [2, 2]),
      axes: fc.array(
        fc.record({
          kernel: fc.integer({ min: 1, max: 3 }),
          stride: fc.integer({ min: 1, max: 3 }),
          begin: fc.nat(1),
          end: fc.nat(1),
          extra: fc.nat(rank === 3 ? 1 : 4),
        }),
        { minLength: rank, maxLength: rank },
      ),
      auto: fc.constantFrom('NOTSET', 'NOTSET', 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
      ceil: fc.nat(1),
    })
    .map(({ lead, axes, auto, ceil }) => {
      // Padding has to be smaller than the window, or a window sees nothing but padding.
      const cut = axes.map((a) => ({ ...a, begin: Math.min(a.begin, a.kernel - 1), end: Math.min(a.end, a.kernel - 1) }));
      // SAME with windows smaller than the stride: ONNX Runtime computes negative padding and refuses, or shifts, by version.
      const usual = auto.startsWith('SAME') ? cut.map((a) => ({ ...a, stride: Math.min(a.stride, a.kernel) })) : cut;
      // A last window that starts outside: ONNX's shape inference counts it, ONNX Runtime leaves it out.
      const outside = usual.some((a) => {
        const [size, span] = [a.kernel + a.extra, a.extra + a.begin + a.end];
        return Math.ceil(span / a.stride) * a.stride >= size + a.begin;
      });
      const pads = [...cut.map((a) => a.begin), ...cut.map((a) => a.end)];
      const attributes: Attributes = {
        kernel_shape: cut.map((a) => a.kernel),
        strides: usual.map((a) => a.stride),
        ...(auto === 'NOTSET' ? { pads, ceil_mode: outside ? 0 : ceil } : { auto_pad: auto }),
      };
      return { shape: [...lead, ...cut.map((a) => a.kernel + a.extra)], attributes };
    });

describe('MaxPool', () => {
  for (const rank of [1, 2, 3] as const) {
    it(`${rank}-D: overlapping or not, pads, ceil_mode, auto_pad`, () =>
      forAll(
        pool(rank),
        ({ shape, attributes }, rng) =>
          checkGradients({ inputs: { x: apart(rng, shape) }, graph: (g) => g.op('MaxPool', ['x'], attributes) }),
        rank === 2 ? 20 : 8,
      ));
  }

  it('with indices that count columns first', () =>
    forAll(
      fc.constantFrom(1, 2),
      (stride, rng) =>
        checkGradients({
          inputs: { x: apart(rng, [1, 2, 4, 5]) },
          graph: (g) => g.opN('MaxPool', ['x'], { kernel_shape: [2, 2], strides: [stride, stride], storage_order: 1 }, { outputs: 2 })[0],
        }),
      2,
    ));

  it('dilated', () =>
    forAll(
      fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 2 })),
      ([stride, dilation], rng) =>
        checkGradients({
          inputs: { x: apart(rng, [1, 2, 6, 5]) },
          graph: (g) => g.op('MaxPool', ['x'], { kernel_shape: [2, 2], strides: [stride, stride], dilations: [dilation, dilation] }),
        }),
      6,
    ));
});

describe('AveragePool', () => {
  for (const rank of [1, 2, 3] as const) {
    for (const opset of [11, 17, 22]) {
      it(`${rank}-D in opset ${opset}: overlapping or not, pads counted or not, ceil_mode, auto_pad`, () =>
        forAll(
          fc.tuple(pool(rank), fc.nat(1)),
          ([{ shape, attributes }, count_include_pad], rng) =>
            checkGradients({
              opset,
              inputs: { x: smooth(rng, shape) },
              graph: (g) => {
                const y = g.op('AveragePool', ['x'], { ...attributes, count_include_pad });
                return g.op('Mul', [y, y]);
              },
            }),
          rank === 2 ? 20 : 8,
        ));
    }
  }
});

describe('GlobalAveragePool', () => {
  it('one, two and three axes, small and large', () =>
    forAll(fc.oneof(dims(3, 5, 3), fc.constant([1, 2, 12, 13])), (d, rng) =>
      checkGradients({
        inputs: { x: smooth(rng, d) },
        graph: (g) => {
          const y = g.op('GlobalAveragePool', ['x']);
          return g.op('Mul', [y, y]);
        },
      }),
    ));
});

describe('further pools', () => {
  it('AveragePool with gaps, in opset 19', () =>
    forAll(
      fc.tuple(fc.constantFrom(1, 2), fc.nat(1), fc.nat(1)),
      ([stride, count_include_pad, pad], rng) =>
        checkGradients({
          opset: 19,
          inputs: { x: smooth(rng, [2, 2, 6, 5]) },
          graph: (g) => {
            const attributes = { kernel_shape: [2, 2], dilations: [2, 1], strides: [stride, 1], pads: [pad, 0, pad, 0], count_include_pad };
            const y = g.op('AveragePool', ['x'], attributes);
            return g.op('Mul', [y, y]);
          },
        }),
      6,
    ));

  it('LpPool', () =>
    forAll(
      fc.tuple(fc.constantFrom(1, 2, 3), fc.constantFrom(1, 2), fc.constantFrom(11, 18)),
      ([p, stride, opset], rng) =>
        checkGradients({
          opset,
          step: 1 / 256,
          tolerance: 5e-3,
          inputs: { x: apart(rng, [1, 2, 5, 4]) },
          graph: (g) => g.op('LpPool', ['x'], { kernel_shape: [3, 2], strides: [stride, stride], pads: [1, 0, 1, 0], p }),
        }),
      6,
    ));
});
