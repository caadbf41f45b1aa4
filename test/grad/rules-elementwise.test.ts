import fc from 'fast-check';
import { describe, it } from 'vitest';
import { f32, i64 } from '../../src/core/tensor.ts';
import { float } from '../../src/onnx/model.ts';
import { apart, between, broadcastPair, checkGradients, dims, forAll, smooth } from './differences.ts';

describe('arithmetic', () => {
  for (const op of ['Add', 'Sub', 'Mul']) {
    it(`${op}, broadcast either way`, () =>
      forAll(broadcastPair, ([a, b], rng) =>
        checkGradients({ inputs: { a: smooth(rng, a), b: smooth(rng, b) }, graph: (g) => g.op(op, ['a', 'b']) }),
      ));
  }

  it('Div, broadcast either way', () =>
    forAll(broadcastPair, ([a, b], rng) =>
      checkGradients({ inputs: { a: smooth(rng, a), b: between(rng, b, 0.7, 2) }, graph: (g) => g.op('Div', ['a', 'b']) }),
    ));

  it('a value used twice by one node', () =>
    forAll(dims(1, 2), (d, rng) => checkGradients({ inputs: { x: smooth(rng, d) }, graph: (g) => g.op('Mul', ['x', 'x']) }), 3));

  for (const op of ['Neg', 'Exp', 'Identity', 'Sigmoid', 'Tanh']) {
    it(op, () => forAll(dims(1, 4, 3), (d, rng) => checkGradients({ inputs: { x: smooth(rng, d) }, graph: (g) => g.op(op, ['x']) }), 5));
  }

  for (const op of ['Log', 'Sqrt']) {
    it(op, () =>
      forAll(dims(1, 3), (d, rng) => checkGradients({ inputs: { x: between(rng, d, 0.5, 3) }, graph: (g) => g.op(op, ['x']) }), 5),
    );
  }

  it('Pow with a constant exponent', () =>
    forAll(fc.constantFrom(0, 1, 2, 3, 0.5, -1.5), (p, rng) =>
      checkGradients({ inputs: { x: between(rng, [2, 3], 0.5, 2) }, graph: (g) => g.op('Pow', ['x', g.scalar(p)]) }),
    ));

  it('Pow with a negative base and an integer exponent', () =>
    forAll(
      fc.constantFrom(2, 3),
      (p, rng) =>
        checkGradients({ inputs: { x: between(rng, [2, 3], -2, -0.5) }, graph: (g) => g.op('Pow', ['x', g.constant(i64([p], []))]) }),
      2,
    ));

  it('Pow with gradients of base and exponent, broadcast', () =>
    forAll(broadcastPair, ([a, b], rng) =>
      checkGradients({ inputs: { a: between(rng, a, 0.5, 2), b: between(rng, b, -2, 2) }, graph: (g) => g.op('Pow', ['a', 'b']) }),
    ));

  it('Pow at zero, where naive formulas give no number', async () => {
    for (const p of [0, 2]) {
      const inputs = { x: f32([0, 1], [2]), p: f32([p, p], [2]) };
      await checkGradients({ inputs, wrt: ['x'], graph: (g) => g.op('Pow', ['x', 'p']) });
    }
  });

  it('Cast to float64 and back', () =>
    forAll(
      dims(1, 3),
      (d, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, d) },
          graph: (g) => g.op('Cast', [g.op('Mul', [g.op('Cast', ['x'], { to: 11 }), g.scalar(3, 'float64')])], { to: 1 }),
        }),
      3,
    ));
});

describe('activations', () => {
  it('Relu', () =>
    forAll(dims(1, 4, 3), (d, rng) => checkGradients({ inputs: { x: apart(rng, d) }, graph: (g) => g.op('Relu', ['x']) }), 5));

  it('LeakyRelu', () =>
    forAll(fc.constantFrom(undefined, 0, 0.2, -0.5), (alpha, rng) =>
      checkGradients({
        inputs: { x: apart(rng, [3, 4]) },
        graph: (g) => g.op('LeakyRelu', ['x'], alpha === undefined ? {} : { alpha: float(alpha) }),
      }),
    ));

  it('Clip with constant bounds, either or both', () =>
    forAll(fc.tuple(fc.boolean(), fc.boolean()), ([low, high], rng) =>
      checkGradients({
        inputs: { x: apart(rng, [3, 4]) },
        graph: (g) => g.op('Clip', ['x', low ? g.scalar(-0.3) : '', high ? g.scalar(0.4) : '']),
      }),
    ));

  it('Clip in the form of opset 9, bounds as attributes', () =>
    forAll(fc.tuple(fc.boolean(), fc.boolean()), ([low, high], rng) =>
      checkGradients({
        opset: 9,
        inputs: { x: apart(rng, [3, 4]) },
        graph: (g) => g.op('Clip', ['x'], { ...(low ? { min: float(-0.3) } : {}), ...(high ? { max: float(0.4) } : {}) }),
      }),
    ));

  it('Clip with bounds the wrong way round gives the upper one', () =>
    checkGradients({
      inputs: { x: f32([-1, 0, 1], [3]), low: f32([0.4], []), high: f32([-0.3], []) },
      graph: (g) => g.op('Clip', ['x', 'low', 'high']),
    }));

  it('CastLike, whose second operand lends its type only', () =>
    checkGradients({
      inputs: { x: f32([1, 2], [2]), like: f32([3], [1]) },
      wrt: ['x'],
      graph: (g) => g.op('Mul', [g.op('CastLike', ['x', 'like']), 'x']),
    }));

  it('Clip with gradients of its bounds', () =>
    forAll(
      fc.constant(0),
      (_, rng) =>
        checkGradients({
          inputs: { x: apart(rng, [3, 4]), low: f32([-0.3], []), high: f32([0.4], []) },
          graph: (g) => g.op('Clip', ['x', 'low', 'high']),
        }),
      2,
    ));

  for (const op of ['Softmax', 'LogSoftmax']) {
    it(`${op} over one axis (opset 13 and newer)`, () =>
      forAll(
        dims(1, 3).chain((d) => fc.tuple(fc.constant(d), fc.integer({ min: -d.length, max: d.length - 1 }), fc.boolean())),
        ([d, axis, named], rng) => checkGradients({ inputs: { x: smooth(rng, d) }, graph: (g) => g.op(op, ['x'], named ? { axis } : {}) }),
      ));

    it(`${op} over an axis and all after it (before opset 13)`, () =>
      forAll(
        dims(2, 3).chain((d) => fc.tuple(fc.constant(d), fc.integer({ min: 0, max: d.length - 1 }), fc.boolean())),
        ([d, axis, named], rng) =>
          checkGradients({ opset: 11, inputs: { x: smooth(rng, d) }, graph: (g) => g.op(op, ['x'], named ? { axis } : {}) }),
      ));
  }

  it('Dropout of a network in use is an identity, in the forms of opset 9 and 17', async () => {
    for (const opset of [9, 17]) {
      const graph = { opset, graph: (g: { op(t: string, i: string[]): string }) => g.op('Mul', [g.op('Dropout', ['x']), 'x']) };
      await forAll(dims(1, 2), (d, rng) => checkGradients({ ...graph, inputs: { x: smooth(rng, d) } }), 2);
    }
  });
});
