import fc from 'fast-check';
import { describe, it } from 'vitest';
import { f32 } from '../../src/core/tensor.ts';
import type { GraphBuilder } from '../../src/onnx/builder.ts';
import { type AttributeShorthand, float } from '../../src/onnx/model.ts';
import { apart, between, checkGradients, dims, forAll, smooth } from './differences.ts';

type Attributes = Record<string, AttributeShorthand>;

/** `apart` values stay clear of the kinks named with them; `smooth` ones may be anywhere. */
interface Case {
  readonly op: string;
  readonly opset?: number;
  readonly domain?: string;
  readonly attributes?: Attributes;
  readonly kinks: boolean;
}

const CASES: readonly Case[] = [
  { op: 'Elu', kinks: true },
  { op: 'Elu', kinks: true, attributes: { alpha: float(0.4) } },
  { op: 'Selu', kinks: true },
  { op: 'Selu', kinks: true, attributes: { alpha: float(0.7), gamma: float(2) } },
  { op: 'Celu', kinks: true },
  { op: 'Celu', kinks: true, attributes: { alpha: float(1.6) } },
  { op: 'ThresholdedRelu', kinks: true, attributes: { alpha: float(0.4) } },
  { op: 'ThresholdedRelu', kinks: true, attributes: { alpha: float(-0.4) } },
  { op: 'Shrink', kinks: true, attributes: { lambd: float(0.3), bias: float(0.2) } },
  { op: 'HardSigmoid', kinks: true },
  { op: 'HardSigmoid', kinks: true, attributes: { alpha: float(1), beta: float(0.6) } },
  { op: 'HardSwish', kinks: true },
  { op: 'Softplus', kinks: false },
  { op: 'Softsign', kinks: false },
  { op: 'Mish', kinks: false, opset: 18 },
  { op: 'Gelu', kinks: false, opset: 20 },
  { op: 'Gelu', kinks: false, opset: 20, attributes: { approximate: 'tanh' } },
  { op: 'Gelu', kinks: false, domain: 'com.microsoft' },
  { op: 'FastGelu', kinks: false, domain: 'com.microsoft' },
  { op: 'QuickGelu', kinks: false, domain: 'com.microsoft' },
  { op: 'QuickGelu', kinks: false, domain: 'com.microsoft', attributes: { alpha: float(0.8) } },
];

describe('activations', () => {
  for (const { op, opset, domain, attributes, kinks } of CASES) {
    const values = Object.entries(attributes ?? {}).map(([k, v]) => `${k} ${typeof v === 'string' ? v : (v as { value: number }).value}`);
    it([domain ?? '', op, ...values].join(' ').trim(), () =>
      forAll(
        fc.constant([3, 9]),
        (d, rng) =>
          checkGradients({
            ...(opset === undefined ? {} : { opset }),
            step: 1 / 128,
            inputs: { x: kinks ? apart(rng, d) : between(rng, d, -4, 4) },
            graph: (g) => g.op(op, ['x'], attributes, domain === undefined ? {} : { domain }),
          }),
        1,
      ),
    );
  }

  it('HardSwish on both sides of its knees', () =>
    checkGradients({ inputs: { x: f32([-4, -3.1, -2.9, 0, 1.5, 2.9, 3.1, 5], [8]) }, graph: (g) => g.op('HardSwish', ['x']) }));

  it('Mish far out, where e^x overflows', () =>
    checkGradients({ opset: 18, inputs: { x: f32([-90, -30, 30, 90, 200], [5]) }, graph: (g) => g.op('Mish', ['x']) }));

  it('Elu, Selu and Gelu far out, where e^x vanishes', async () => {
    for (const op of ['Elu', 'Selu', 'Celu', 'Gelu']) {
      await checkGradients({ opset: 20, inputs: { x: f32([-100, -20, 20, 100], [4]) }, graph: (g) => g.op(op, ['x']) });
    }
  });

  it('PRelu: slopes for each element, each channel, and for all', () =>
    forAll(
      fc.constantFrom([2, 3, 4], [3, 1], [1]),
      (slopes, rng) =>
        checkGradients({
          inputs: { x: apart(rng, [2, 3, 4]), slope: between(rng, slopes, -0.5, 1.5) },
          graph: (g) => g.op('PRelu', ['x', 'slope']),
        }),
      4,
    ));

  it('a bias in the same node', () =>
    forAll(
      fc.constantFrom('BiasGelu', 'FastGelu'),
      (op, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [2, 3, 4]), bias: smooth(rng, [4]) },
          graph: (g) => g.op(op, ['x', 'bias'], {}, { domain: 'com.microsoft' }),
        }),
      3,
    ));

  it('Softmax inside attention: products of four axes', () =>
    forAll(
      fc.constant(0),
      (_, rng) =>
        checkGradients({
          inputs: { q: smooth(rng, [2, 3, 2, 4]), k: smooth(rng, [2, 3, 2, 4]), v: smooth(rng, [2, 3, 2, 4]) },
          graph: (g) => {
            const heads = (x: string) => g.op('Transpose', [x], { perm: [0, 2, 1, 3] });
            const scores = g.op('MatMul', [heads('q'), g.op('Transpose', ['k'], { perm: [0, 2, 3, 1] })]);
            const attention = g.op('Softmax', [g.op('Mul', [scores, g.scalar(0.5)])], { axis: -1 });
            return g.op('Reshape', [heads(g.op('MatMul', [attention, heads('v')])), g.ints([2, 3, -1])]);
          },
        }),
      2,
    ));
});

const X = (g: GraphBuilder, op: string): string => g.op(op, ['x']);

describe('functions of one number', () => {
  for (const op of ['Sin', 'Cos', 'Atan', 'Sinh', 'Cosh', 'Asinh', 'Erf']) {
    it(op, () => forAll(dims(2, 3), (d, rng) => checkGradients({ inputs: { x: smooth(rng, d) }, graph: (g) => X(g, op) }), 1));
  }
  for (const [op, lo, hi] of [
    ['Tan', -1, 1],
    ['Asin', -0.8, 0.8],
    ['Acos', -0.8, 0.8],
    ['Atanh', -0.8, 0.8],
    ['Acosh', 1.3, 4],
    ['Reciprocal', 0.5, 3],
  ] as const) {
    it(op, () => forAll(dims(2, 3), (d, rng) => checkGradients({ inputs: { x: between(rng, d, lo, hi) }, graph: (g) => X(g, op) }), 1));
  }
  it('Abs', () => forAll(dims(2, 3), (d, rng) => checkGradients({ inputs: { x: apart(rng, d) }, graph: (g) => X(g, 'Abs') }), 2));
});
