import fc from 'fast-check';
import { describe, it } from 'vitest';
import { f32 } from '../../src/core/tensor.ts';
import type { GraphBuilder } from '../../src/onnx/builder.ts';
import { apart, between, broadcastPair, checkGradients, dims, forAll, smooth } from './differences.ts';

const REDUCTIONS = ['Max', 'Min', 'L1', 'L2', 'Prod', 'LogSum', 'LogSumExp', 'SumSquare'];

/** A shape, some of its axes (none: all), and whether they are kept. */
const reduction = dims(1, 3).chain((d) =>
  fc.record({
    d: fc.constant(d),
    axes: fc.subarray(d.map((_, i) => i)),
    fromEnd: fc.boolean(),
    keepdims: fc.nat(1),
  }),
);

describe('reductions', () => {
  for (const op of REDUCTIONS) {
    for (const opset of [11, 18]) {
      it(`Reduce${op} in opset ${opset}`, () =>
        forAll(
          reduction,
          ({ d, axes, fromEnd, keepdims }, rng) => {
            const given = axes.map((axis) => (fromEnd ? axis - d.length : axis));
            const x = op === 'LogSum' ? between(rng, d, 0.5, 2) : apart(rng, d);
            return checkGradients({
              opset,
              inputs: { x },
              graph: (g) => {
                const named = given.length === 0 ? [] : [g.ints(given)];
                return opset < 18
                  ? g.op(`Reduce${op}`, ['x'], { keepdims, ...(given.length === 0 ? {} : { axes: given }) })
                  : g.op(`Reduce${op}`, ['x', ...named], { keepdims });
              },
            });
          },
          2,
        ));
    }
  }

  it('no axes and noop_with_empty_axes: nothing is reduced', async () => {
    for (const op of ['Sum', 'Mean', ...REDUCTIONS]) {
      await checkGradients({
        opset: 18,
        inputs: { x: f32([1, 2, 3], [3]) },
        graph: (g) => g.op(`Reduce${op}`, ['x', g.ints([])], { noop_with_empty_axes: 1 }),
      });
    }
  });

  it('ReduceProd with one zero, and with two', async () => {
    for (const values of [
      [2, 0, 3],
      [0, 5, 0],
    ]) {
      await checkGradients({ inputs: { x: f32(values, [1, 3]) }, graph: (g) => g.op('ReduceProd', ['x'], { axes: [1] }) });
    }
  });

  it('GlobalMaxPool and GlobalLpPool', () =>
    forAll(
      fc.tuple(dims(3, 5, 3), fc.constantFrom(1, 2, 3)),
      async ([d, p], rng) => {
        await checkGradients({ inputs: { x: apart(rng, d) }, graph: (g) => g.op('GlobalMaxPool', ['x']) });
        await checkGradients({
          inputs: { x: apart(rng, d) },
          step: 1 / 256,
          tolerance: 5e-3,
          graph: (g) => g.op('GlobalLpPool', ['x'], { p }),
        });
      },
      4,
    ));
});

describe('several operands', () => {
  for (const op of ['Max', 'Min']) {
    it(`${op} of two, broadcast either way`, () =>
      forAll(broadcastPair, ([a, b], rng) =>
        checkGradients({
          inputs: { a: apart(rng, a), b: between(rng, b, -0.02, 0.02) },
          step: 1 / 256,
          graph: (g) => g.op(op, ['a', 'b']),
        }),
      ));
    it(`${op}: equal operands share the gradient`, async () => {
      const inputs = { a: f32([1, 1, 0], [3]), b: f32([1, 0, 1], [3]), c: f32([1, 1, 0], [3]) };
      // Central differences of a tie of two give half of each side; a tie of three has no such luck, so no element ties thrice.
      await checkGradients({ inputs: { a: inputs.a, b: inputs.b }, graph: (g) => g.op(op, ['a', 'b']) });
    });
    it(`${op} of one and of three`, () =>
      forAll(
        dims(1, 3),
        async (d, rng) => {
          const shared = apart(rng, [3, ...d]);
          const part = (i: number) =>
            f32((shared.data as Float32Array).slice((i * shared.data.length) / 3, ((i + 1) * shared.data.length) / 3), d);
          await checkGradients({ inputs: { a: part(0), b: part(1), c: part(2) }, graph: (g) => g.op(op, ['a', 'b', 'c']) });
          await checkGradients({ inputs: { a: part(0) }, graph: (g) => g.op(op, ['a']) });
        },
        3,
      ));
  }

  for (const op of ['Sum', 'Mean']) {
    it(`${op}, broadcast`, () =>
      forAll(
        broadcastPair,
        ([a, b], rng) => checkGradients({ inputs: { a: smooth(rng, a), b: smooth(rng, b) }, graph: (g) => g.op(op, ['a', 'b', 'a']) }),
        4,
      ));
  }

  it('Where, broadcast, the condition computed', () =>
    forAll(
      broadcastPair,
      ([a, b], rng) =>
        checkGradients({
          inputs: { a: apart(rng, a), b: apart(rng, b) },
          graph: (g) => g.op('Where', [g.op('Greater', ['a', g.scalar(0)]), 'a', 'b']),
        }),
      4,
    ));

  it('Mod, rounded down or towards zero', () =>
    forAll(
      fc.constant(1),
      (fmod, rng) =>
        checkGradients({
          inputs: { a: between(rng, [2, 3], 2.2, 2.8), b: f32([1, -0.7, 0.6], [3]) },
          step: 1 / 512,
          graph: (g) => g.op('Mod', ['a', 'b'], { fmod }),
        }),
      3,
    ));
});

describe('steps', () => {
  it('carry no gradient, and what lies beside them does', async () => {
    for (const op of ['Floor', 'Ceil', 'Round', 'Sign']) {
      await checkGradients({
        inputs: { x: f32([0.3, -1.2, 2.4], [3]) },
        graph: (g: GraphBuilder) => g.op('Mul', ['x', g.op(op, ['x'])]),
      });
    }
  });
});
