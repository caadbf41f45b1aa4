import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { Rng } from '../../src/core/rng.ts';
import { i64, sizeOf, type Tensor } from '../../src/core/tensor.ts';
import type { GraphBuilder } from '../../src/onnx/builder.ts';
import { apart, checkGradients, dims, forAll, smooth } from './differences.ts';

const squared = (g: GraphBuilder, y: string): string => g.op('Mul', [y, y]);

/** Indices into an axis, negative ones too. */
const indices = (rng: Rng, shape: readonly number[], size: number): Tensor =>
  i64(
    Array.from({ length: sizeOf(shape) }, () => rng.int(2 * size) - size),
    shape,
  );

const where = dims(1, 3).chain((d) => fc.tuple(fc.constant(d), fc.integer({ min: -d.length, max: d.length - 1 }), dims(0, 2, 3)));
const sizeAt = (d: readonly number[], axis: number): number => d[axis < 0 ? axis + d.length : axis];

describe('Gather', () => {
  for (const known of [true, false]) {
    it(`indices ${known ? 'known' : 'fed'}, some of them twice or negative`, () =>
      forAll(
        where,
        ([d, axis, shape], rng) => {
          const at = indices(rng, shape, sizeAt(d, axis));
          return checkGradients({
            inputs: { x: smooth(rng, d), ...(known ? {} : { at }) },
            graph: (g) => squared(g, g.op('Gather', ['x', known ? g.constant(at) : 'at'], { axis })),
          });
        },
        5,
      ));
  }

  it('one slice, a run of slices, a permutation, a choice', () =>
    forAll(
      fc.constantFrom([2], [1, 2], [3, 1, 0, 2], [0, 3], [-1, 0]),
      (at, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [2, 4, 3]) },
          graph: (g) => squared(g, g.op('Gather', ['x', at.length === 1 ? g.scalar(at[0], 'int64') : g.ints(at)], { axis: 1 })),
        }),
      4,
    ));

  it('int32 indices, fed', () =>
    forAll(
      fc.constant(0),
      (_, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [3, 2]), at: { dtype: 'int32', dims: [4], data: Int32Array.of(0, 2, -1, 0) } },
          graph: (g) => squared(g, g.op('Gather', ['x', 'at'])),
        }),
      1,
    ));

  it('many rows of a table of weights', () =>
    forAll(
      fc.constant(0),
      (_, rng) =>
        checkGradients({
          inputs: { table: smooth(rng, [5, 2]) },
          graph: (g) => squared(g, g.op('Gather', ['table', g.constant(indices(rng, [3, 4], 5))])),
        }),
      1,
    ));
});

describe('gathers and scatters of single elements', () => {
  it('GatherElements', () =>
    forAll(
      dims(1, 3).chain((d) => fc.tuple(fc.constant(d), fc.integer({ min: -d.length, max: d.length - 1 }))),
      ([d, axis], rng) =>
        checkGradients({
          inputs: { x: smooth(rng, d), at: indices(rng, d, sizeAt(d, axis)) },
          graph: (g) => squared(g, g.op('GatherElements', ['x', 'at'], { axis })),
        }),
      4,
    ));

  it('GatherND, with and without axes of a batch', () =>
    forAll(
      fc.tuple(fc.constantFrom(0, 1), fc.constantFrom(1, 2), dims(0, 1, 3)),
      ([batch, depth, shape], rng) => {
        const d = [2, 3, 2, 2];
        const lead = batch === 0 ? shape : [2, ...shape];
        const rows = Array.from({ length: sizeOf(lead) }, () =>
          Array.from({ length: depth }, (_, k) => rng.int(2 * d[batch + k]) - d[batch + k]),
        );
        return checkGradients({
          inputs: { x: smooth(rng, d), at: i64(rows.flat(), [...lead, depth]) },
          graph: (g) => squared(g, g.op('GatherND', ['x', 'at'], { batch_dims: batch })),
        });
      },
      5,
    ));

  it('ScatterElements, in the place of what was there or added to it', () =>
    forAll(
      fc.tuple(fc.constantFrom('none', 'add'), fc.constantFrom(0, 1, -1)),
      ([reduction, axis], rng) => {
        const at = axis === 0 ? i64([2, 0, 1, 1, -1, 0], [2, 3]) : i64([1, -1, 0, 0, 2, 1], [2, 3]);
        return checkGradients({
          inputs: { x: smooth(rng, [3, 3]), at, u: smooth(rng, [2, 3]) },
          graph: (g) => squared(g, g.op('ScatterElements', ['x', 'at', 'u'], { axis, ...(reduction === 'none' ? {} : { reduction }) })),
        });
      },
      4,
    ));

  it('Scatter, its name in opset 10', () =>
    forAll(
      fc.constant(0),
      (_, rng) =>
        checkGradients({
          opset: 10,
          inputs: { x: smooth(rng, [3, 3]), at: i64([2, 0, 1], [1, 3]), u: smooth(rng, [1, 3]) },
          graph: (g) => squared(g, g.op('Scatter', ['x', 'at', 'u'])),
        }),
      1,
    ));

  it('ScatterND', () =>
    forAll(
      fc.tuple(fc.constantFrom('none', 'add'), fc.constantFrom(1, 2)),
      ([reduction, depth], rng) => {
        const at = depth === 1 ? i64([2, -4], [2, 1]) : i64([0, 1, 3, -1, 2, 0], [3, 2]);
        return checkGradients({
          inputs: { x: smooth(rng, [4, 3, 2]), at, u: smooth(rng, depth === 1 ? [2, 3, 2] : [3, 2]) },
          graph: (g) => squared(g, g.op('ScatterND', ['x', 'at', 'u'], reduction === 'none' ? {} : { reduction })),
        });
      },
      4,
    ));

  it('TopK: its values', () =>
    forAll(
      fc.tuple(fc.constantFrom(9, 10, 17), fc.constantFrom(0, 1, -1)),
      ([opset, axis], rng) =>
        checkGradients({
          opset,
          inputs: { x: apart(rng, [3, 4]) },
          graph: (g) =>
            squared(
              g,
              opset === 9
                ? g.opN('TopK', ['x'], { k: 2, axis }, { outputs: 2 })[0]
                : g.opN('TopK', ['x', g.ints([2])], { axis }, { outputs: 2 })[0],
            ),
        }),
      4,
    ));

  it('MaxUnpool behind a MaxPool', () =>
    forAll(
      fc.constant(0),
      (_, rng) =>
        checkGradients({
          inputs: { x: apart(rng, [2, 2, 4, 6]) },
          graph: (g) => {
            const size = { kernel_shape: [2, 2], strides: [2, 2] };
            return squared(g, g.op('MaxUnpool', g.opN('MaxPool', ['x'], size, { outputs: 2 }), size));
          },
        }),
      2,
    ));

  it('Compress along an axis and of all elements', () =>
    forAll(
      fc.constantFrom(undefined, 1, -2),
      (axis, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [2, 3, 2]) },
          graph: (g) => {
            const taken = g.constant({ dtype: 'bool', dims: [3], data: Uint8Array.of(1, 0, 1) });
            return squared(g, g.op('Compress', ['x', taken], axis === undefined ? {} : { axis }));
          },
        }),
      3,
    ));

  it('CumSum, forwards, backwards, without itself', () =>
    forAll(
      fc.tuple(fc.nat(1), fc.nat(1), fc.constantFrom(0, -1)),
      ([exclusive, reverse, axis], rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [3, 4]) },
          graph: (g) => squared(g, g.op('CumSum', ['x', g.scalar(axis, 'int64')], { exclusive, reverse })),
        }),
      4,
    ));
});

describe('operators with several outputs, and copies', () => {
  it('Split: sizes as attribute, as input, in equal and unequal parts', () =>
    forAll(
      fc.constantFrom([11, [1, 4]], [17, [1, 2, 2]], [17, undefined], [18, undefined], [18, [3, 2]]) as fc.Arbitrary<
        [number, number[] | undefined]
      >,
      ([opset, sizes], rng) =>
        checkGradients({
          opset,
          inputs: { x: smooth(rng, [2, sizes === undefined && opset < 18 ? 6 : 5]) },
          graph: (g) => {
            const outputs = sizes?.length ?? 3;
            const attributes = {
              axis: -1,
              ...(opset < 13 && sizes ? { split: sizes } : {}),
              ...(opset >= 18 && !sizes ? { num_outputs: 3 } : {}),
            };
            const parts = g.opN('Split', opset >= 13 && sizes ? ['x', g.ints(sizes)] : ['x'], attributes, { outputs });
            // The second part is not used.
            return squared(g, g.op('Concat', [parts[0], ...parts.slice(2), parts[0]], { axis: 1 }));
          },
        }),
      5,
    ));

  it('Expand and Tile', () =>
    forAll(
      dims(1, 3).chain((d) =>
        fc.tuple(fc.constant(d), fc.array(fc.integer({ min: 1, max: 3 }), { minLength: d.length, maxLength: d.length })),
      ),
      async ([d, repeats], rng) => {
        const weight = (g: GraphBuilder, to: readonly number[]) => g.constant(smooth(rng, to));
        const tiled = d.map((s, i) => s * repeats[i]);
        await checkGradients({
          inputs: { x: smooth(rng, d) },
          graph: (g) => g.op('Mul', [g.op('Tile', ['x', g.ints(repeats)]), weight(g, tiled)]),
        });
        const from = d.map((s, i) => (repeats[i] === 1 ? s : 1));
        await checkGradients({
          inputs: { x: smooth(rng, from) },
          graph: (g) => g.op('Mul', [g.op('Expand', ['x', g.ints([2, ...d])]), weight(g, [2, ...d])]),
        });
      },
      4,
    ));

  it('DepthToSpace in both orders, SpaceToDepth, Trilu', () =>
    forAll(
      fc.constantFrom('DCR', 'CRD', 'SpaceToDepth', 'Trilu'),
      (op, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, op === 'SpaceToDepth' ? [2, 2, 4, 6] : [2, 8, 2, 3]) },
          graph: (g) => {
            if (op === 'Trilu') return squared(g, g.op('Trilu', ['x', g.scalar(1, 'int64')], { upper: 0 }));
            const y = op === 'SpaceToDepth' ? g.op(op, ['x'], { blocksize: 2 }) : g.op('DepthToSpace', ['x'], { blocksize: 2, mode: op });
            return squared(g, y);
          },
        }),
      4,
    ));

  it('an axis of size 1 tiled by a computed number, as exporters write a class token', () =>
    forAll(
      fc.constant(0),
      (_, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [3, 2]), token: smooth(rng, [1, 1, 2]) },
          graph: (g) => {
            const batch = g.op('Gather', [g.op('Shape', ['x']), g.scalar(0, 'int64')]);
            const shape = g.op('Concat', [g.op('Unsqueeze', [batch, g.ints([0])]), g.ints([-1, -1])], { axis: 0 });
            // -1 stands for "as it is" in PyTorch; in the file it is replaced by 1.
            const ones = g.op('ConstantOfShape', [g.ints([3])], { value: i64([1], [1]) });
            const whole = g.op('Where', [g.op('Equal', [shape, g.op('Mul', [ones, g.scalar(-1, 'int64')])]), ones, shape]);
            const tokens = g.op('Expand', ['token', whole]);
            return squared(g, g.op('Concat', [tokens, g.op('Unsqueeze', ['x', g.ints([1])])], { axis: 1 }));
          },
        }),
      1,
    ));
});

describe('Einsum', () => {
  const cases: readonly [string, ...number[][]][] = [
    ['ij,jk->ik', [2, 3], [3, 4]],
    ['bhid,bhjd->bhij', [2, 2, 3, 4], [2, 2, 2, 4]],
    ['bij, bjk', [2, 3, 2], [2, 2, 3]],
    ['...ij,...jk->...ik', [2, 3, 2], [2, 2, 3]],
    ['...d,dk->...k', [2, 3, 4], [4, 2]],
    ['ij->i', [2, 3]],
    ['ij->ji', [2, 3]],
    ['ij,ij->', [2, 3], [2, 3]],
    ['i,j,k->ijk', [2], [3], [2]],
    ['bi,oi,bo->b', [2, 3], [4, 3], [2, 4]],
    ['ij,j->i', [3, 4], [4]],
    ['ij,k->k', [2, 3], [2]],
  ];
  for (const [equation, ...shapes] of cases) {
    it(equation, () =>
      forAll(
        fc.constant(0),
        (_, rng) =>
          checkGradients({
            inputs: Object.fromEntries(shapes.map((d, i) => [`x${i}`, smooth(rng, d)])),
            graph: (g) =>
              squared(
                g,
                g.op(
                  'Einsum',
                  shapes.map((_d, i) => `x${i}`),
                  { equation },
                ),
              ),
          }),
        1,
      ),
    );
  }
});

describe('FusedMatMul', () => {
  it('transposed either way, scaled, broadcast', () =>
    forAll(
      fc.tuple(fc.nat(1), fc.nat(1), fc.boolean()),
      ([transA, transB, wide], rng) =>
        checkGradients({
          inputs: {
            a: smooth(rng, [2, ...(transA ? [4, 3] : [3, 4])]),
            b: smooth(rng, [...(wide ? [2] : []), ...(transB ? [2, 4] : [4, 2])]),
          },
          graph: (g) => squared(g, g.op('FusedMatMul', ['a', 'b'], { transA, transB }, { domain: 'com.microsoft' })),
        }),
      4,
    ));
});
