import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { Tensor } from '../../src/core/tensor.ts';
import { type AttributeShorthand, float } from '../../src/onnx/model.ts';
import { between, checkGradients, dims, forAll, smooth } from './differences.ts';

type Attributes = Record<string, AttributeShorthand>;

describe('Gemm', () => {
  const options = fc.record({
    m: fc.integer({ min: 1, max: 3 }),
    k: fc.integer({ min: 1, max: 4 }),
    n: fc.integer({ min: 1, max: 3 }),
    transA: fc.nat(1),
    transB: fc.nat(1),
    alpha: fc.constantFrom(1, 0.5, -2),
    beta: fc.constantFrom(1, 0.25),
    bias: fc.constantFrom('none', 'scalar', 'row', 'column', 'full', 'vector'),
  });
  it('transposes, factors, and every way to broadcast C', () =>
    forAll(
      options,
      ({ m, k, n, transA, transB, alpha, beta, bias }, rng) => {
        const shape = { scalar: [], row: [1, n], column: [m, 1], full: [m, n], vector: [n], none: [] }[bias] as number[];
        const inputs: Record<string, Tensor> = {
          a: smooth(rng, transA ? [k, m] : [m, k]),
          b: smooth(rng, transB ? [n, k] : [k, n]),
          ...(bias === 'none' ? {} : { c: smooth(rng, shape) }),
        };
        const attributes = { transA, transB, alpha: float(alpha), beta: float(beta) };
        return checkGradients({ inputs, graph: (g) => g.op('Gemm', Object.keys(inputs), attributes) });
      },
      24,
    ));
});

describe('MatMul', () => {
  const cases: [number[], number[]][] = [
    [
      [2, 3],
      [3, 2],
    ],
    [[3], [3]],
    [[3], [3, 2]],
    [[2, 3], [3]],
    [
      [2, 2, 3],
      [3, 2],
    ],
    [[2, 2, 3], [3]],
    [[3], [2, 3, 2]],
    [
      [2, 3],
      [2, 3, 2],
    ],
    [
      [2, 2, 3],
      [2, 3, 2],
    ],
    [
      [2, 1, 2, 3],
      [3, 3, 1],
    ],
    [
      [1, 2, 3],
      [2, 3, 2],
    ],
    [
      [2, 3, 1, 2],
      [1, 2, 2],
    ],
  ];
  it('matrices, vectors, batches that broadcast', () =>
    forAll(
      fc.constantFrom(...cases),
      ([a, b], rng) => checkGradients({ inputs: { a: smooth(rng, a), b: smooth(rng, b) }, graph: (g) => g.op('MatMul', ['a', 'b']) }),
      30,
    ));
});

/** A random convolution, small enough for differences: its attributes, and the shapes of X, W and B. */
const convolution = (rank: 1 | 2 | 3) =>
  fc
    .record({
      group: fc.constantFrom(1, 1, 2),
      batch: fc.integer({ min: 1, max: 2 }),
      inPerGroup: fc.integer({ min: 1, max: 2 }),
      outPerGroup: fc.integer({ min: 1, max: 2 }),
      axes: fc.array(
        fc.record({
          kernel: fc.integer({ min: 1, max: 3 }),
          stride: fc.integer({ min: 1, max: 3 }),
          dilation: fc.integer({ min: 1, max: 2 }),
          begin: fc.nat(2),
          end: fc.nat(2),
          extra: fc.nat(rank === 3 ? 1 : 3),
        }),
        { minLength: rank, maxLength: rank },
      ),
      auto: fc.constantFrom('NOTSET', 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
      bias: fc.boolean(),
    })
    .map(({ axes, auto, ...rest }) => ({
      ...rest,
      auto,
      axes: axes.map((a) => {
        // ONNX Runtime takes no dilations together with SAME.
        const dilation = auto.startsWith('SAME') ? 1 : a.dilation;
        return { ...a, dilation, size: dilation * (a.kernel - 1) + 1 + a.extra };
      }),
    }));
type Convolution = ReturnType<typeof convolution> extends fc.Arbitrary<infer T> ? T : never;

function attributesOf({ axes, auto, group }: Convolution): Attributes {
  const pads = [...axes.map((a) => a.begin), ...axes.map((a) => a.end)];
  return {
    kernel_shape: axes.map((a) => a.kernel),
    strides: axes.map((a) => a.stride),
    dilations: axes.map((a) => a.dilation),
    group,
    ...(auto === 'NOTSET' ? { pads } : { auto_pad: auto }),
  };
}

describe('Conv', () => {
  for (const rank of [1, 2, 3] as const) {
    it(`${rank}-D: stride, dilation, pads, auto_pad, group`, () =>
      forAll(
        convolution(rank),
        (c, rng) => {
          const { group, batch, inPerGroup, outPerGroup, axes } = c;
          const inputs: Record<string, Tensor> = {
            x: smooth(rng, [batch, group * inPerGroup, ...axes.map((a) => a.size)]),
            w: smooth(rng, [group * outPerGroup, inPerGroup, ...axes.map((a) => a.kernel)]),
            ...(c.bias ? { b: smooth(rng, [group * outPerGroup]) } : {}),
          };
          return checkGradients({ inputs, graph: (g) => g.op('Conv', Object.keys(inputs), attributesOf(c)) });
        },
        rank === 2 ? 24 : 10,
      ));
  }

  it('attributes left out', () =>
    forAll(
      fc.constant(0),
      (_, rng) =>
        checkGradients({ inputs: { x: smooth(rng, [1, 2, 4, 3]), w: smooth(rng, [2, 2, 2, 3]) }, graph: (g) => g.op('Conv', ['x', 'w']) }),
      1,
    ));

  it('depthwise', () =>
    forAll(
      fc.constantFrom(1, 2),
      (stride, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [2, 3, 5, 4]), w: smooth(rng, [3, 1, 3, 3]), b: smooth(rng, [3]) },
          graph: (g) => g.op('Conv', ['x', 'w', 'b'], { group: 3, strides: [stride, stride], pads: [1, 1, 1, 1] }),
        }),
      4,
    ));
});

describe('ConvTranspose', () => {
  for (const rank of [1, 2] as const) {
    it(`${rank}-D: stride, dilation, pads, group, output_padding, auto_pad`, () =>
      forAll(
        fc.tuple(convolution(rank), fc.nat(2), fc.constantFrom('pads', 'pads', 'output_shape')),
        ([c, extraOut, how], rng) => {
          const { group, batch, inPerGroup, outPerGroup, axes, auto } = c;
          // A padding that takes everything away is no case; ONNX Runtime wants an output padding below the stride.
          const cut = axes.map((a) => ({ ...a, begin: Math.min(a.begin, a.kernel - 1), end: 0 }));
          const spare = cut.map((a) => Math.min(extraOut, a.stride - 1));
          const inputs: Record<string, Tensor> = {
            x: smooth(rng, [batch, group * inPerGroup, ...cut.map((_, i) => 2 + (i % 2))]),
            w: smooth(rng, [group * inPerGroup, outPerGroup, ...cut.map((a) => a.kernel)]),
            ...(c.bias ? { b: smooth(rng, [group * outPerGroup]) } : {}),
          };
          const attributes = attributesOf({ ...c, axes: cut });
          const natural = cut.map((a, i) => a.stride * (1 + (i % 2)) + a.dilation * (a.kernel - 1) + 1);
          const outputs: Attributes =
            how === 'output_shape' && auto !== 'VALID'
              ? { output_shape: natural.map((n) => Math.max(1, n - 1)) }
              : auto.startsWith('SAME')
                ? {}
                : { output_padding: spare };
          if (how === 'output_shape') delete attributes.pads;
          return checkGradients({ inputs, graph: (g) => g.op('ConvTranspose', Object.keys(inputs), { ...attributes, ...outputs }) });
        },
        rank === 1 ? 30 : 15,
      ));
  }
});

describe('BatchNormalization with running statistics', () => {
  it('inputs of two, three and four axes, opsets 9, 14 and 15', () =>
    forAll(fc.tuple(dims(2, 4, 3), fc.constantFrom(9, 14, 15), fc.constantFrom(1e-5, 0.1)), ([d, opset, epsilon], rng) => {
      const c = [d[1]];
      return checkGradients({
        opset,
        inputs: { x: smooth(rng, d), scale: smooth(rng, c), b: smooth(rng, c), mean: smooth(rng, c), variance: between(rng, c, 0.5, 2) },
        wrt: ['x', 'scale', 'b'],
        graph: (g) => g.op('BatchNormalization', ['x', 'scale', 'b', 'mean', 'variance'], { epsilon: float(epsilon) }),
      });
    }));
});

describe('LRN', () => {
  it('sizes up to more than the channels (ONNX Runtime takes odd ones only)', () =>
    forAll(fc.tuple(dims(4, 4, 4), fc.constantFrom(1, 3, 5), fc.boolean()), ([d, size, named], rng) => {
      const attributes: Attributes = named ? { size, alpha: float(0.8), beta: float(0.6), bias: float(1.5) } : { size };
      return checkGradients({ inputs: { x: smooth(rng, d) }, graph: (g) => g.op('LRN', ['x'], attributes) });
    }));
});

describe('reductions', () => {
  const reduction = dims(1, 4, 3).chain((d) =>
    fc.record({
      d: fc.constant(d),
      axes: fc.subarray(d.map((_, i) => i)).chain((axes) => fc.tuple(...axes.map((a) => fc.constantFrom(a, a - d.length)))),
      keepdims: fc.constantFrom(undefined, 0, 1),
      noop: fc.nat(1),
    }),
  );
  for (const [op, opset] of [
    ['ReduceSum', 11],
    ['ReduceSum', 13],
    ['ReduceSum', 18],
    ['ReduceMean', 11],
    ['ReduceMean', 17],
    ['ReduceMean', 18],
  ] as const) {
    const asInput = opset >= (op === 'ReduceSum' ? 13 : 18);
    it(`${op} in opset ${opset}, axes ${asInput ? 'an input' : 'an attribute'}`, () =>
      forAll(reduction, ({ d, axes, keepdims, noop }, rng) => {
        const keep: Attributes = keepdims === undefined ? {} : { keepdims };
        const given = axes as number[];
        return checkGradients({
          opset,
          inputs: { x: smooth(rng, d) },
          // Squared, so that the gradient that comes in is not the same everywhere.
          graph: (g) => {
            const y = asInput
              ? g.op(op, given.length > 0 ? ['x', g.ints(given)] : ['x'], { ...keep, noop_with_empty_axes: noop })
              : g.op(op, ['x'], { ...keep, ...(given.length > 0 ? { axes: given } : {}) });
            return g.op('Mul', [y, y]);
          },
        });
      }));
  }
});

describe('weights that the graph keeps as constants', () => {
  it('a frozen weight has no gradient, the input has', () =>
    forAll(
      fc.constant(0),
      (_, rng) => {
        const w = smooth(rng, [2, 1, 2, 2]);
        return checkGradients({ inputs: { x: smooth(rng, [1, 1, 3, 3]) }, graph: (g) => g.op('Conv', ['x', g.initializer('w', w)]) });
      },
      1,
    ));
});
