/** Operators that ONNX Runtime's optimiser makes of several, and rounding that counts as the line it approximates. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { f32 } from '../../src/core/tensor.ts';
import { gradientGraph } from '../../src/grad/step.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { type AttributeShorthand, float } from '../../src/onnx/model.ts';
import { checkGradients, forAll, smooth } from './differences.ts';
import { classes, typesOf } from './nets.ts';
import { runOnce } from './runtime.ts';

const microsoft = { domain: 'com.microsoft' };

describe('FusedConv and FusedGemm', () => {
  const activations: readonly [string, readonly number[]][] = [
    ['Sigmoid', []],
    ['Tanh', []],
    ['Relu', []],
    ['LeakyRelu', [0.2]],
    ['Clip', [-0.7, 0.9]],
    ['HardSigmoid', [0.3, 0.4]],
  ];

  it('a convolution and what follows it', () =>
    forAll(
      fc.constantFrom(...activations),
      ([activation, parameters], rng) => {
        const attributes: Record<string, AttributeShorthand> = { activation, pads: [1, 0, 1, 0] };
        if (parameters.length > 0) attributes.activation_params = float(parameters);
        return checkGradients({
          // Narrow steps: nothing keeps the sums off the kinks, but few lie that close to one.
          step: 1 / 1024,
          tolerance: 2e-2,
          inputs: { x: smooth(rng, [1, 2, 3, 4]), w: smooth(rng, [3, 2, 2, 2]), b: smooth(rng, [3]) },
          graph: (g) => g.op('FusedConv', ['x', 'w', 'b'], attributes, microsoft),
        });
      },
      6,
    ));

  it('a convolution with a sum: the shortcut of a residual block', () =>
    forAll(
      fc.constant(0),
      (_, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [1, 2, 3, 3]), w: smooth(rng, [2, 2, 1, 1]), b: smooth(rng, [2]), z: smooth(rng, [1, 2, 3, 3]) },
          graph: (g) => g.op('FusedConv', ['x', 'w', 'b', 'z'], { activation: 'Tanh' }, microsoft),
        }),
      1,
    ));

  it('a product with an activation', () =>
    forAll(
      fc.constantFrom('Tanh', 'Sigmoid'),
      (activation, rng) =>
        checkGradients({
          inputs: { a: smooth(rng, [2, 3]), b: smooth(rng, [4, 3]), c: smooth(rng, [4]) },
          graph: (g) => g.op('FusedGemm', ['a', 'b', 'c'], { transB: 1, activation }, microsoft),
        }),
      2,
    ));

  it('root mean squares of a sum', () =>
    forAll(
      fc.constant(0),
      (_, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [2, 3, 4]), skip: smooth(rng, [2, 3, 4]), gamma: smooth(rng, [4]) },
          graph: (g) => {
            const y = g.op('SkipSimplifiedLayerNormalization', ['x', 'skip', 'gamma'], { epsilon: float(0.1) }, microsoft);
            return g.op('Mul', [y, y]);
          },
        }),
      1,
    ));
});

describe('straight through', () => {
  /** x (a row of ones) times weights, then `steps`. */
  async function slopes(weights: readonly number[], steps: (b: GraphBuilder, x: string) => string, straightThrough: boolean) {
    const b = new GraphBuilder();
    b.input('x', 'float32', [1, weights.length]);
    const product = b.op('Mul', ['x', b.initializer('w', f32(weights, [1, weights.length]))]);
    b.output(b.op('Identity', [steps(b, product)], {}, { outputs: ['logits'] }), 'float32', [1, weights.length]);
    const model = b.build();
    const o = { input: 'x', logits: 'logits', loss: 'cross-entropy', wrt: ['w'], straightThrough } as const;
    const graph = gradientGraph(model, await typesOf(model, 1), o);
    if (graph.gradients.w === undefined) return undefined;
    const ones = f32(new Float32Array(weights.length).fill(1), [1, weights.length]);
    const values = await runOnce(graph.model, { x: ones, [graph.feeds.labels]: classes(0) });
    return Array.from(values[graph.gradients.w].data as Float32Array);
  }
  /** The gradient of the cross-entropy with class 0. */
  const ofLogits = (logits: readonly number[]): number[] => {
    const powers = logits.map(Math.exp);
    const sum = powers.reduce((a, v) => a + v, 0);
    return powers.map((v, i) => v / sum - (i === 0 ? 1 : 0));
  };
  const near = (found: readonly number[] | undefined, expected: readonly number[]): void => {
    expect(found).toHaveLength(expected.length);
    for (const [i, v] of expected.entries()) expect(found![i]).toBeCloseTo(v, 5);
  };

  it('rounding passes gradients on where it is asked to, and ends them otherwise', async () => {
    for (const [op, rounded] of [
      ['Round', [1, 2]],
      ['Floor', [1, 1]],
      ['Ceil', [2, 2]],
    ] as const) {
      const steps = (b: GraphBuilder, x: string) => b.op(op, [x]);
      near(await slopes([1.2, 1.7], steps, true), ofLogits(rounded));
      expect(await slopes([1.2, 1.7], steps, false)).toBeUndefined();
    }
  });

  it('Sign passes them on between -1 and 1', async () => {
    const expected = ofLogits([1, -1, 1]);
    near(await slopes([0.4, -0.9, 1.3], (b, x) => b.op('Sign', [x]), true), [expected[0], expected[1], 0]);
  });

  it('quantisation does within its range, each channel with a scale of its own', async () => {
    const quantised = (scale: readonly number[]) => (b: GraphBuilder, x: string) => {
      const zero = b.constant({ dtype: 'int8', dims: scale.length === 1 ? [] : [scale.length], data: new Int8Array(scale.length) });
      const by = b.constant(f32(scale, scale.length === 1 ? [] : [scale.length]));
      return b.op('DequantizeLinear', [b.op('QuantizeLinear', [x, by, zero], { axis: 1 }), by, zero], { axis: 1 });
    };
    const one = ofLogits([0.5, -0.25, 127 / 16]);
    near(await slopes([0.5, -0.25, 100], quantised([1 / 16]), true), [one[0], one[1], 0]);
    const own = ofLogits([0.5, 127 / 1024, 0.75]);
    near(await slopes([0.5, 0.7, 0.75], quantised([1 / 16, 1 / 1024, 1 / 4]), true), [own[0], 0, own[2]]);
  });
});
