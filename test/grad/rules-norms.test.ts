import fc from 'fast-check';
import { describe, it } from 'vitest';
import { sizeOf } from '../../src/core/tensor.ts';
import type { GraphBuilder } from '../../src/onnx/builder.ts';
import { float } from '../../src/onnx/model.ts';
import { apart, between, checkGradients, dims, forAll, smooth } from './differences.ts';

/** A normalised value is orthogonal to its own slope, so a plain sum of it would say little. */
const squared = (g: GraphBuilder, y: string): string => g.op('Mul', [y, y]);
const epsilon = float(0.1);

describe('LayerNormalization', () => {
  it('over the last axes, with and without bias, the scale smaller', () =>
    forAll(
      dims(2, 4).chain((d) =>
        fc.record({ d: fc.constant(d), axis: fc.integer({ min: 1, max: d.length - 1 }), bias: fc.boolean(), end: fc.boolean() }),
      ),
      ({ d, axis, bias, end }, rng) => {
        const inner = d.slice(axis);
        return checkGradients({
          inputs: { x: smooth(rng, d), scale: smooth(rng, inner), ...(bias ? { bias: smooth(rng, inner) } : {}) },
          graph: (g) =>
            squared(
              g,
              g.op('LayerNormalization', ['x', 'scale', ...(bias ? ['bias'] : [])], { axis: end ? axis - d.length : axis, epsilon }),
            ),
        });
      },
      5,
    ));

  it('a scale that is broadcast within the row', () =>
    forAll(
      fc.constantFrom([1], [4], [3, 1], [1, 3, 4]),
      (scale, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [2, 3, 4]), scale: smooth(rng, scale), bias: smooth(rng, scale) },
          graph: (g) => squared(g, g.op('LayerNormalization', ['x', 'scale', 'bias'], { axis: 1, epsilon })),
        }),
      4,
    ));

  it('whose mean and deviation are used too', () =>
    forAll(
      fc.constantFrom(-1, 1),
      (axis, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [2, 3, 4]), scale: smooth(rng, axis === 1 ? [3, 4] : [4]) },
          graph: (g) => {
            const [y, mean, inverse] = g.opN('LayerNormalization', ['x', 'scale'], { axis, epsilon }, { outputs: 3 });
            return squared(g, g.op('Sum', [y, mean, inverse]));
          },
        }),
      2,
    ));

  it('written out, as exporters did before there was one', () =>
    forAll(
      fc.constantFrom(11, 18),
      (opset, rng) =>
        checkGradients({
          opset,
          inputs: { x: smooth(rng, [2, 3, 4]), scale: smooth(rng, [4]), bias: smooth(rng, [4]) },
          graph: (g) => {
            const mean = (x: string) => (opset < 18 ? g.op('ReduceMean', [x], { axes: [-1] }) : g.op('ReduceMean', [x, g.ints([-1])]));
            const centred = g.op('Sub', ['x', mean('x')]);
            const deviation = g.op('Sqrt', [g.op('Add', [mean(g.op('Pow', [centred, g.scalar(2)])), g.scalar(0.1)])]);
            return squared(g, g.op('Add', [g.op('Mul', [g.op('Div', [centred, deviation]), 'scale']), 'bias']));
          },
        }),
      2,
    ));
});

describe('relatives', () => {
  it('RMSNormalization and its older name', () =>
    forAll(
      fc.constantFrom([23, 'RMSNormalization'] as const, [17, 'SimplifiedLayerNormalization'] as const),
      ([opset, op], rng) =>
        checkGradients({
          opset,
          inputs: { x: smooth(rng, [2, 3, 4]), scale: smooth(rng, [4]) },
          graph: (g) => squared(g, g.op(op, ['x', 'scale'], { axis: -1, epsilon })),
        }),
      3,
    ));

  it('SkipLayerNormalization, whose sum is used too', () =>
    forAll(
      fc.tuple(fc.boolean(), fc.boolean()),
      ([bias, sum], rng) =>
        checkGradients({
          inputs: {
            x: smooth(rng, [2, 3, 4]),
            skip: smooth(rng, [2, 3, 4]),
            gamma: smooth(rng, [4]),
            beta: smooth(rng, [4]),
            ...(bias ? { bias: smooth(rng, [4]) } : {}),
          },
          graph: (g) => {
            const o = { domain: 'com.microsoft', outputs: ['y', '', '', 'sum'] };
            const [y] = g.opN('SkipLayerNormalization', ['x', 'skip', 'gamma', 'beta', ...(bias ? ['bias'] : [])], { epsilon }, o);
            return squared(g, sum ? g.op('Add', [y, 'sum']) : y);
          },
        }),
      4,
    ));

  it('InstanceNormalization', () =>
    forAll(
      dims(3, 5, 3).map(([n, c, ...rest]) => [n, c, ...rest.slice(0, -1), rest[rest.length - 1] + 1]),
      (d, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, d), scale: smooth(rng, [d[1]]), bias: smooth(rng, [d[1]]) },
          graph: (g) => squared(g, g.op('InstanceNormalization', ['x', 'scale', 'bias'], { epsilon })),
        }),
      4,
    ));

  for (const opset of [18, 21]) {
    it(`GroupNormalization in opset ${opset}`, () =>
      forAll(
        fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), dims(1, 2, 3)),
        ([groups, each, rest], rng) => {
          const channels = groups * each;
          const scales = [opset < 21 ? groups : channels];
          return checkGradients({
            opset,
            inputs: { x: smooth(rng, [2, channels, ...rest]), scale: smooth(rng, scales), bias: smooth(rng, scales) },
            graph: (g) => squared(g, g.op('GroupNormalization', ['x', 'scale', 'bias'], { epsilon, num_groups: groups })),
          });
        },
        4,
      ));
  }

  it('MeanVarianceNormalization', () =>
    forAll(
      fc.constantFrom(undefined, [1], [0, 2, 3], [-1, -2]),
      (axes, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [2, 3, 2, 3]) },
          tolerance: 5e-3,
          graph: (g) => squared(g, g.op('MeanVarianceNormalization', ['x'], axes === undefined ? {} : { axes })),
        }),
      4,
    ));

  it('LpNormalization', () =>
    forAll(
      dims(1, 3).chain((d) => fc.tuple(fc.constant(d), fc.integer({ min: -d.length, max: d.length - 1 }), fc.constantFrom(1, 2))),
      ([d, axis, p], rng) =>
        checkGradients({
          inputs: { x: apart(rng, d) },
          step: 1 / 256,
          tolerance: 1e-2,
          graph: (g) => g.op('Mul', [g.op('LpNormalization', ['x'], { axis, p }), g.constant(between(rng, d, 1, 2))]),
        }),
      4,
    ));

  it('a norm divided by, as exporters write it, clipped from below', () =>
    forAll(
      fc.constant([2, 4]),
      (d, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, d) },
          graph: (g) => {
            const norm = g.op('Clip', [g.op('ReduceL2', ['x'], { axes: [1] }), g.scalar(1e-3)]);
            return g.op('Mul', [
              g.op('Div', ['x', g.op('Expand', [norm, g.op('Shape', ['x'])])]),
              g.constant(smooth(rng, [sizeOf(d.slice(1))])),
            ]);
          },
        }),
      2,
    ));
});
