import fc from 'fast-check';
import { describe, it } from 'vitest';
import { f32, i64 } from '../../src/core/tensor.ts';
import type { GraphBuilder } from '../../src/onnx/builder.ts';
import { type AttributeShorthand, float } from '../../src/onnx/model.ts';
import { checkGradients, forAll, smooth } from './differences.ts';

type Attributes = Record<string, AttributeShorthand>;
const squared = (g: GraphBuilder, y: string): string => g.op('Mul', [y, y]);
const scales = (g: GraphBuilder, values: readonly number[]): string => g.constant(f32(values, [values.length]));

const NEAREST: readonly Attributes[] = ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'].flatMap((mode) =>
  ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'].map((nearest_mode) => ({
    mode: 'nearest',
    coordinate_transformation_mode: mode,
    nearest_mode,
  })),
);
const SMOOTH: readonly Attributes[] = ['linear', 'cubic'].flatMap((mode) =>
  ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'].map((by) => ({ mode, coordinate_transformation_mode: by })),
);

describe('Resize', () => {
  it('nearest: every way to find the pixel and to round, by sizes', () =>
    forAll(
      fc.tuple(fc.constantFrom(...NEAREST), fc.constantFrom([4, 6], [3, 2], [5, 1])),
      ([attributes, [h, w]], rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [1, 2, 2, 3]) },
          graph: (g) => squared(g, g.op('Resize', ['x', '', '', g.ints([1, 2, h, w])], attributes)),
        }),
      8,
    ));

  it('nearest by whole factors, as networks enlarge', () =>
    forAll(
      fc.tuple(fc.constantFrom('asymmetric', 'half_pixel'), fc.constantFrom([2, 2], [1, 3], [3, 1])),
      ([mode, [a, b]], rng) => {
        const nearest_mode = mode === 'asymmetric' ? 'floor' : 'round_prefer_floor';
        return checkGradients({
          inputs: { x: smooth(rng, [2, 2, 2, 3]) },
          graph: (g) =>
            squared(
              g,
              g.op('Resize', ['x', '', scales(g, [1, 1, a, b])], { mode: 'nearest', coordinate_transformation_mode: mode, nearest_mode }),
            ),
        });
      },
      4,
    ));

  it('linear and cubic: every way to find the place, larger and smaller', () =>
    forAll(
      fc.tuple(fc.constantFrom(...SMOOTH), fc.constantFrom([4, 6], [2, 3], [5, 2])),
      ([attributes, [h, w]], rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [1, 2, 3, 4]) },
          graph: (g) => squared(g, g.op('Resize', ['x', '', '', g.ints([1, 2, h, w])], attributes)),
        }),
      8,
    ));

  it('by scales that do not come out even', () =>
    forAll(
      fc.constantFrom('nearest', 'linear', 'cubic'),
      (mode, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [1, 1, 3, 4]) },
          graph: (g) => squared(g, g.op('Resize', ['x', '', scales(g, [1, 1, 1.7, 0.6])], { mode })),
        }),
      4,
    ));

  it('channels last, volumes, a matrix, a first axis', () =>
    forAll(
      fc.constantFrom<[number[], number[], string]>(
        [[1, 2, 3, 2], [1, 4, 5, 2], 'linear'],
        [[1, 2, 3, 2], [1, 4, 5, 2], 'nearest'],
        [[1, 2, 2, 2, 3], [1, 2, 4, 3, 5], 'linear'],
        [[2, 3], [4, 5], 'linear'],
        [[2, 3], [3, 2], 'nearest'],
        [[2, 2, 3], [3, 2, 5], 'nearest'],
      ),
      ([from, to, mode], rng) =>
        checkGradients({
          inputs: { x: smooth(rng, from) },
          graph: (g) => squared(g, g.op('Resize', ['x', '', '', g.ints(to)], { mode })),
        }),
      5,
    ));

  it('version 18: axes named, antialiased', () =>
    forAll(
      fc.constantFrom<Attributes>(
        { mode: 'linear' },
        { mode: 'linear', antialias: 1 },
        { mode: 'cubic', antialias: 1 },
        { mode: 'nearest' },
      ),
      (attributes, rng) =>
        checkGradients({
          opset: 18,
          inputs: { x: smooth(rng, [1, 2, 5, 6]) },
          graph: (g) => squared(g, g.op('Resize', ['x', '', '', g.constant(i64([3, 4]))], { ...attributes, axes: [2, 3] })),
        }),
      4,
    ));

  it('a cut-out region, with a constant outside', () =>
    forAll(
      fc.constantFrom('linear', 'nearest'),
      (mode, rng) =>
        checkGradients({
          inputs: { x: smooth(rng, [1, 1, 4, 4]) },
          graph: (g) => {
            const roi = scales(g, [0, 0, 0.4, 0.2, 1, 1, 0.8, 1.3]);
            const attributes = { mode, coordinate_transformation_mode: 'tf_crop_and_resize', extrapolation_value: float(7) };
            return squared(g, g.op('Resize', ['x', roi, '', g.ints([1, 1, 3, 3])], attributes));
          },
        }),
      3,
    ));

  it('as it was: Resize 10, Upsample 9, Upsample 7', () =>
    forAll(
      fc.tuple(fc.constantFrom(10, 9, 7), fc.constantFrom('nearest', 'linear')),
      ([opset, mode], rng) =>
        checkGradients({
          opset,
          inputs: { x: smooth(rng, [1, 2, 2, 3]) },
          graph: (g) => {
            if (opset === 7) return squared(g, g.op('Upsample', ['x'], { mode, scales: float([1, 1, 2, 2]) }));
            return squared(g, g.op(opset === 10 ? 'Resize' : 'Upsample', ['x', scales(g, [1, 1, 2, 3])], { mode }));
          },
        }),
      4,
    ));
});

describe('GridSample', () => {
  for (const opset of [16, 20]) {
    it(`image and grid, in opset ${opset}: places inside and outside`, () =>
      forAll(
        fc.tuple(fc.constantFrom('zeros', 'border'), fc.nat(1)),
        ([padding_mode, align_corners], rng) => {
          // In pixels of an image of 4 x 5, a third from the next one, so that no step crosses one; then in grid coordinates.
          const coordinate = (size: number) => {
            const place = rng.int(size + 2) - 1 + 0.3 + 0.4 * rng.next();
            return align_corners === 1 ? (2 * place) / (size - 1) - 1 : (2 * place + 1) / size - 1;
          };
          const grid = f32(Array.from({ length: 2 * 2 * 3 }, () => [coordinate(5), coordinate(4)]).flat(), [2, 2, 3, 2]);
          return checkGradients({
            opset,
            step: 1 / 128,
            inputs: { x: smooth(rng, [2, 2, 4, 5]), grid },
            graph: (g) => squared(g, g.op('GridSample', ['x', 'grid'], { padding_mode, align_corners })),
          });
        },
        4,
      ));
  }

  it('a spatial transformer: places computed from the image', () =>
    forAll(
      fc.constant(0),
      (_, rng) =>
        checkGradients({
          opset: 20,
          step: 1 / 256,
          tolerance: 5e-3,
          inputs: { x: smooth(rng, [1, 1, 4, 4]), theta: f32([0.83, 0.11, 0.07, -0.09, 0.79, -0.05], [1, 2, 3]) },
          graph: (g) => squared(g, g.op('GridSample', ['x', g.op('AffineGrid', ['theta', g.ints([1, 1, 3, 3])])])),
        }),
      1,
    ));
});

describe('AffineGrid', () => {
  it('in the plane and in space', () =>
    forAll(
      fc.tuple(fc.constantFrom([2, 1, 2, 3], [2, 1, 2, 3, 2]), fc.nat(1)),
      ([size, align_corners], rng) =>
        checkGradients({
          opset: 20,
          inputs: { theta: smooth(rng, size.length === 4 ? [2, 2, 3] : [2, 3, 4]) },
          graph: (g) => squared(g, g.op('AffineGrid', ['theta', g.ints(size)], { align_corners })),
        }),
      4,
    ));
});
