import fc from 'fast-check';
import { describe, it } from 'vitest';
import { sizeOf } from '../../src/core/tensor.ts';
import type { GraphBuilder } from '../../src/onnx/builder.ts';
import { checkGradients, dims, forAll, smooth } from './differences.ts';

/** Squared: the gradient that comes back differs from element to element, so one that ends in the wrong place is noticed. */
const squared = (g: GraphBuilder, y: string): string => g.op('Mul', [y, y]);

describe('operators that move elements', () => {
  it('Flatten', () =>
    forAll(
      dims(1, 4, 3).chain((d) => fc.tuple(fc.constant(d), fc.integer({ min: -d.length, max: d.length }))),
      ([d, axis], rng) => checkGradients({ inputs: { x: smooth(rng, d) }, graph: (g) => squared(g, g.op('Flatten', ['x'], { axis })) }),
    ));

  it('Reshape, with a size left open or copied', () =>
    forAll(fc.tuple(dims(2, 4, 3), fc.constantFrom('open', 'copied', 'flat')), ([d, how], rng) => {
      const to = how === 'open' ? [d[0], -1] : how === 'copied' ? [0, -1] : [sizeOf(d)];
      return checkGradients({ inputs: { x: smooth(rng, d) }, graph: (g) => squared(g, g.op('Reshape', ['x', g.ints(to)])) });
    }));

  it('Reshape to a shape that the graph computes', () =>
    forAll(
      dims(2, 3),
      (d, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, d) },
          graph: (g) => {
            const first = g.op('Gather', [g.op('Shape', ['x']), g.ints([0])]);
            return squared(g, g.op('Reshape', ['x', g.op('Concat', [first, g.ints([-1])], { axis: 0 })]));
          },
        }),
      4,
    ));

  it('Transpose', () =>
    forAll(
      dims(1, 4, 3).chain((d) =>
        fc.tuple(
          fc.constant(d),
          fc.shuffledSubarray(
            d.map((_, i) => i),
            { minLength: d.length },
          ),
          fc.boolean(),
        ),
      ),
      ([d, perm, named], rng) =>
        checkGradients({
          inputs: { x: smooth(rng, d) },
          graph: (g) => {
            return squared(g, g.op('Transpose', ['x'], named ? { perm } : {}));
          },
        }),
    ));

  for (const opset of [9, 17]) {
    const axesGiven = (g: GraphBuilder, op: string, axes: number[]): string =>
      opset < 13 ? g.op(op, ['x'], { axes }) : g.op(op, ['x', g.ints(axes)]);
    it(`Squeeze in opset ${opset}`, () =>
      forAll(
        fc.tuple(dims(1, 3), fc.nat(3), fc.boolean()),
        ([d, at, all], rng) => {
          const axis = Math.min(at, d.length);
          const from = [...d.slice(0, axis), 1, ...d.slice(axis)];
          return checkGradients({
            opset,
            inputs: { x: smooth(rng, from) },
            graph: (g) => {
              return squared(g, all ? g.op('Squeeze', ['x']) : axesGiven(g, 'Squeeze', [axis]));
            },
          });
        },
        6,
      ));

    it(`Unsqueeze in opset ${opset}`, () =>
      forAll(
        fc.tuple(dims(1, 3), fc.subarray([0, 1, 2], { minLength: 1 })),
        ([d, axes], rng) => {
          const fitting = axes.filter((a) => a <= d.length);
          return checkGradients({
            opset,
            inputs: { x: smooth(rng, d) },
            graph: (g) => {
              return squared(g, axesGiven(g, 'Unsqueeze', fitting.length > 0 ? fitting : [0]));
            },
          });
        },
        6,
      ));
  }

  it('Concat of several, one of them twice', () =>
    forAll(
      dims(1, 3, 3).chain((d) =>
        fc.tuple(fc.constant(d), fc.integer({ min: -d.length, max: d.length - 1 }), fc.integer({ min: 1, max: 3 })),
      ),
      ([d, axis, size], rng) => {
        const other = [...d];
        other[axis < 0 ? axis + d.length : axis] = size;
        return checkGradients({
          inputs: { a: smooth(rng, d), b: smooth(rng, other) },
          graph: (g) => {
            return squared(g, g.op('Concat', ['a', 'b', 'a'], { axis }));
          },
        });
      },
    ));
});

const cuts = dims(1, 3, 6).chain((d) =>
  fc.record({
    d: fc.constant(d),
    cuts: fc.tuple(
      ...d.map((size) =>
        fc
          .record({
            a: fc.nat(size - 1),
            b: fc.nat(size - 1),
            step: fc.constantFrom(1, 1, 2, 3, -1, -2),
            fromEnd: fc.boolean(),
            open: fc.boolean(),
            skip: fc.boolean(),
            beyond: fc.boolean(),
          })
          .map(({ a, b, step, fromEnd, open, skip, beyond }) => {
            const [low, high] = [Math.min(a, b), Math.max(a, b)];
            const start = step > 0 ? low : high;
            const end = step > 0 ? (open ? 2 ** 31 : high + 1) : open || low === 0 ? -(2 ** 31) : low - 1;
            // Far outside means from the first (or, backwards, from the last) element.
            if (beyond) return { start: step > 0 ? -(2 ** 31) : 2 ** 31, end, step, skip };
            return { start: fromEnd ? start - size : start, end, step, skip };
          }),
      ),
    ),
  }),
);

describe('Slice', () => {
  it('inputs: steps, negative ones too, ends far outside, axes left out', () =>
    forAll(
      cuts,
      ({ d, cuts: all }, rng) => {
        const axes = d.map((_, i) => i).filter((i) => !all[i].skip);
        const pick = <T>(f: (i: number) => T): T[] => axes.map(f);
        return checkGradients({
          inputs: { x: smooth(rng, d) },
          graph: (g) => {
            if (axes.length === 0) return g.op('Slice', ['x', g.ints([0]), g.ints([1])]);
            const inputs = ['x', g.ints(pick((i) => all[i].start)), g.ints(pick((i) => all[i].end)), g.ints(pick((i) => i - d.length))];
            return squared(g, g.op('Slice', [...inputs, g.ints(pick((i) => all[i].step))]));
          },
        });
      },
      24,
    ));

  it('attributes, in opset 9', () =>
    forAll(cuts, ({ d, cuts: all }, rng) => {
      const forward = all.map((c, i) => (c.step > 0 ? c : { start: 0, end: d[i] }));
      return checkGradients({
        opset: 9,
        inputs: { x: smooth(rng, d) },
        graph: (g) =>
          g.op('Slice', ['x'], { starts: forward.map((c) => c.start), ends: forward.map((c) => c.end), axes: d.map((_, i) => i) }),
      });
    }));
});

describe('Pad', () => {
  const padding = dims(1, 3, 4).chain((d) =>
    fc.tuple(fc.constant(d), fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 6, maxLength: 6 })),
  );

  for (const opset of [10, 17, 19]) {
    it(`constant, in opset ${opset}, negative pads too`, () =>
      forAll(fc.tuple(padding, fc.boolean()), ([[d, amounts], cut], rng) => {
        const pads = [...d.map((_, i) => amounts[i]), ...d.map((size, i) => (cut && size > 1 ? -1 : amounts[3 + i]))];
        return checkGradients({
          opset,
          inputs: { x: smooth(rng, d) },
          graph: (g) => {
            return squared(g, opset < 11 ? g.op('Pad', ['x'], { pads }) : g.op('Pad', ['x', g.ints(pads), g.scalar(2)]));
          },
        });
      }));
  }

  for (const mode of ['reflect', 'edge', 'wrap']) {
    it(mode, () =>
      forAll(padding, ([d, amounts], rng) => {
        // A reflection reaches no further than the other end, and neither does a wrap in one turn.
        const most = (size: number): number => (mode === 'reflect' ? size - 1 : mode === 'wrap' ? size : 3);
        const pads = [...d.map((size, i) => Math.min(amounts[i], most(size))), ...d.map((size, i) => Math.min(amounts[3 + i], most(size)))];
        return checkGradients({
          opset: mode === 'wrap' ? 19 : 13,
          inputs: { x: smooth(rng, d) },
          graph: (g) => {
            return squared(g, g.op('Pad', ['x', g.ints(pads)], { mode }));
          },
        });
      }),
    );
  }

  it('axes named, in opset 18', () =>
    forAll(
      fc.constantFrom('constant', 'edge'),
      (mode, rng) =>
        checkGradients({
          opset: 18,
          inputs: { x: smooth(rng, [2, 3, 3]) },
          graph: (g) => g.op('Pad', ['x', g.ints([1, 0, 2, 1]), '', g.ints([-1, 1])], { mode }),
        }),
      4,
    ));
});
