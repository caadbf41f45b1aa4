/**
 * Resize: every way of interpolating is linear in the pixels and works along one axis after the other, so the gradient multiplies by
 * one transposed matrix per axis. The matrices are found by asking ONNX Runtime: the same node applied to an identity matrix, computed
 * once, when the session is opened. So all modes, coordinates and roundings are right by construction, in every version.
 */
import { resolveAxis } from '../../core/shapes.ts';
import { f32, i64, sizeOf } from '../../core/tensor.ts';
import type { Attribute, AttributeShorthand } from '../../onnx/model.ts';
import { float } from '../../onnx/model.ts';
import type { Context } from '../context.ts';
import type { Rule } from '../table.ts';

export const resizes = { Resize: resize } satisfies Record<string, Rule>;

/** How one axis was resized; `scale` is undefined where the file gives the size that comes out. */
interface Stretch {
  readonly axis: number;
  readonly from: number;
  readonly to: number;
  readonly scale: number | undefined;
  /** Region of interest (`tf_crop_and_resize`), from and to, in parts of the axis. */
  readonly roi: readonly [number, number];
}

function resize(c: Context): ReturnType<Rule> {
  const policy = c.string('keep_aspect_ratio_policy', 'stretch');
  if (c.has(3) && policy !== 'stretch') c.refuse(`keep_aspect_ratio_policy "${policy}"`);
  const stretches = stretchesOf(c);
  return [
    () => {
      const factors = wholeFactors(c, stretches);
      if (factors !== undefined) return sumBlocks(c, factors);
      const dims = [...c.outShape()];
      let dy = c.dy;
      // The axis that shrinks the most first: what comes after it is smaller then.
      for (const s of stretches.toSorted((a, b) => a.from / a.to - b.from / b.to)) {
        dy = shrinkAxis(c, dy, dims, s);
        dims[s.axis] = s.from;
      }
      return dy;
    },
  ];
}

/** The axes that change their size, or are cropped. */
function stretchesOf(c: Context): Stretch[] {
  const [from, to] = [c.shape(0), c.outShape()];
  const axes = c.ints('axes')?.map((axis) => resolveAxis(axis, from.length)) ?? from.map((_, axis) => axis);
  const scales = c.has(2) ? c.fixed(2, 'scales') : [];
  const cropped = c.string('coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize';
  const roi = cropped ? c.fixed(1, 'regions') : [];
  return axes.flatMap((axis, i): Stretch[] => {
    const scale = scales.length === 0 ? undefined : scales[i];
    const region = cropped ? ([roi[i], roi[axes.length + i]] as const) : ([0, 1] as const);
    const same = from[axis] === to[axis] && (scale === undefined || scale === 1) && region[0] === 0 && region[1] === 1;
    return same ? [] : [{ axis, from: from[axis], to: to[axis], scale, roi: region }];
  });
}

/** Multiplies one axis by the transposed matrix. */
function shrinkAxis(c: Context, dy: string, dims: readonly number[], s: Stretch): string {
  const { e } = c;
  const matrix = responses(c, s); // [from, to]
  const outer = sizeOf(dims.slice(0, s.axis));
  const inner = sizeOf(dims.slice(s.axis + 1));
  const result = dims.map((size, axis) => (axis === s.axis ? s.from : size));
  if (inner === 1) return e.reshape(e.gemm(e.reshape(dy, [outer, s.to]), matrix, { transB: true }), result);
  return e.reshape(e.op('MatMul', matrix, e.reshape(dy, [outer, s.to, inner])), result);
}

/** What comes out for each unit vector of the axis, [from, to]. */
function responses(c: Context, { axis, from, to, scale, roi }: Stretch): string {
  const { e, b } = c;
  const rank = c.shape(0).length;
  // The unit vectors are stacked along the first axis; where that one is resized itself, two more are put before it.
  const [places, at] = axis === 0 ? [rank + 2, 2] : [rank, axis];
  const along = (value: number, otherwise: number): number[] => Array.from({ length: places }, (_, i) => (i === at ? value : otherwise));
  const shape = along(from, 1);
  shape[0] = from;
  const unit = Array.from({ length: from * from }, (_, i) => (i % (from + 1) === 0 ? 1 : 0));
  const size = scale === undefined ? i64([from, ...along(to, 1).slice(1)]) : undefined;
  const regions = b.constant(f32([...along(roi[0], 0), ...along(roi[1], 1)], [2 * places]));
  const scales = scale === undefined ? '' : b.constant(f32(along(scale, 1), [places]));
  const inputs = [e.constant(unit, shape), regions, scales, ...(size === undefined ? [] : [b.constant(size)])];
  const attributes = Object.fromEntries(
    [...c.node.attributes].flatMap(([name, a]): [string, AttributeShorthand][] => (name === 'axes' ? [] : shorthand(name, a))),
  );
  return e.reshape(e.with('Resize', inputs, attributes), [from, to]);
}

function shorthand(name: string, a: Attribute): [string, AttributeShorthand][] {
  // What is put outside the region is a constant, and would be added to every response.
  if (name === 'extrapolation_value') return [[name, float(0)]];
  if (a.type === 'float') return [[name, float(a.value)]];
  return a.type === 'int' || a.type === 'string' ? [[name, a.value]] : [];
}

/** Factors of the last two axes where every pixel was simply repeated, which is what networks do most. */
function wholeFactors(c: Context, stretches: readonly Stretch[]): readonly [number, number] | undefined {
  const dims = c.shape(0);
  const mode = c.string('coordinate_transformation_mode', 'half_pixel');
  const rounding = c.string('nearest_mode', 'round_prefer_floor');
  const repeats = (mode === 'asymmetric' && rounding === 'floor') || (mode === 'half_pixel' && rounding.startsWith('round'));
  if (dims.length !== 4 || c.string('mode', 'nearest') !== 'nearest' || !repeats || c.int('antialias', 0) === 1) return undefined;
  const whole = stretches.every((s) => s.axis >= 2 && s.to % s.from === 0 && (s.scale === undefined || s.scale === s.to / s.from));
  return whole ? [c.outShape()[2] / dims[2], c.outShape()[3] / dims[3]] : undefined;
}

/** Sums each pixel's copies: an average pool, which is the fastest way that ONNX Runtime has. */
function sumBlocks(c: Context, factors: readonly [number, number]): string {
  if (sizeOf(factors) === 1) return c.dy;
  const pooled = c.e.with('AveragePool', [c.dy], { kernel_shape: [...factors], strides: [...factors] });
  return c.e.scale(pooled, sizeOf(factors));
}
