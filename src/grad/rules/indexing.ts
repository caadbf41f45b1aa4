/** Operators that pick elements by index. On the way back elements are added where they came from. */
import { resolveAxis } from '../../core/shapes.ts';
import { i64, sizeOf } from '../../core/tensor.ts';
import { type Context, once } from '../context.ts';
import type { Rule } from '../table.ts';
import { affineGrid, gridSample } from './grid-sample.ts';

export const indexing = {
  GridSample: gridSample,
  AffineGrid: affineGrid,
  Gather: (c) => [() => ungather(c), null],
  GatherElements: (c) => [() => scatterAdd(c, c.shape(0), c.in(1), c.dy, resolveAxis(c.int('axis', 0), c.shape(0).length)), null],
  GatherND: (c) => [() => ungatherND(c), null],
  ScatterElements: (c) => {
    const axis = resolveAxis(c.int('axis', 0), c.shape(0).length);
    return scattered(c, {
      overwrite: (zeros) => c.e.with('ScatterElements', [c.dy, c.in(1), zeros], { axis }),
      read: () => c.e.with('GatherElements', [c.dy, c.in(1)], { axis }),
    });
  },
  ScatterND: (c) =>
    scattered(c, {
      overwrite: (zeros) => c.e.op('ScatterND', c.dy, c.in(1), zeros),
      read: () => c.e.op('GatherND', c.dy, c.in(1)),
    }),
  TopK: (c) => {
    const axis = resolveAxis(c.int('axis', -1), c.shape(0).length);
    const { e } = c;
    const places = c.node.outputs[1] || c.refuse('no output of indices');
    return [() => e.with('ScatterElements', [e.zeros(c.shape(0)), places, c.dy], { axis }), null];
  },
  // Its indices count through the whole output.
  MaxUnpool: (c) => [
    () => {
      const flat = c.e.with('GatherElements', [c.e.reshape(c.dy, [-1]), c.e.reshape(c.in(1), [-1])], { axis: 0 });
      return c.e.reshape(flat, c.shape(0));
    },
    null,
  ],
  Compress: (c) => [() => decompress(c), null],
  CumSum: (c) => [() => c.e.with('CumSum', [c.dy, c.in(1)], { exclusive: c.int('exclusive', 0), reverse: 1 - c.int('reverse', 0) }), null],
} satisfies Record<string, Rule>;

/**
 * `updates` added along `axis` to zeros of the given shape. ScatterElements runs on one thread; ScatterND, which has several, adds
 * wrongly where an index occurs twice (onnxruntime issue 18048).
 */
function scatterAdd(c: Context, dims: readonly number[], indices: string, updates: string, axis: number): string {
  return c.e.with('ScatterElements', [c.e.zeros(dims), indices, updates], { axis, reduction: 'add' });
}

/** Of a scatter: what was written over has no gradient, what was added to or written has that of its place. */
function scattered(c: Context, o: { overwrite: (zeros: string) => string; read: () => string }): ReturnType<Rule> {
  const reduction = c.string('reduction', 'none');
  if (reduction !== 'none' && reduction !== 'add') c.refuse(`reduction "${reduction}"`);
  return [reduction === 'add' ? () => c.dy : () => o.overwrite(c.e.zeros(c.shape(2))), null, once(o.read)];
}

/** Of a Gather along one axis. Where the indices are known and none occurs twice, nothing has to be added. */
function ungather(c: Context): string {
  const { e } = c;
  const dims = c.shape(0);
  const axis = resolveAxis(c.int('axis', 0), dims.length);
  const size = dims[axis];
  const count = sizeOf(c.shape(1));
  // The picked slices as one axis, whatever the shape of the indices.
  const flat = [...dims.slice(0, axis), count, ...dims.slice(axis + 1)];
  const dy = c.shape(1).length === 1 ? c.dy : e.reshape(c.dy, flat);
  const known = c.constant(1)?.map((i) => (i < 0 ? i + size : i));
  if (known?.every((at, i) => at === known[0] + i)) {
    const pads = new Array<number>(2 * dims.length).fill(0);
    pads[axis] = known[0];
    pads[dims.length + axis] = size - known[0] - count;
    return e.pad(dy, pads);
  }
  if (known !== undefined && new Set(known).size === count) return takeBack(c, dy, { known, dims, axis });
  const [outer, inner] = [sizeOf(dims.slice(0, axis)), sizeOf(dims.slice(axis + 1))];
  if (known !== undefined && size * count <= ONE_HOT_LIMIT) {
    const back = e.op('MatMul', e.constant(oneHot(known, size), [size, count]), e.reshape(dy, [outer, count, inner]));
    return e.reshape(back, dims);
  }
  const column = e.reshape(e.op('Mod', e.op('Add', cast64(c, 1), c.b.scalar(size, 'int64')), c.b.scalar(size, 'int64')), [1, count, 1]);
  const places = e.op('Expand', column, c.b.ints([outer, count, inner]));
  return e.reshape(scatterAdd(c, [outer, size, inner], places, e.reshape(dy, [outer, count, inner]), 1), dims);
}

/** Largest matrix of zeros and ones that is put into the graph. */
const ONE_HOT_LIMIT = 1 << 20;

function oneHot(indices: readonly number[], size: number): number[] {
  const matrix = new Array<number>(size * indices.length).fill(0);
  indices.forEach((at, i) => {
    matrix[at * indices.length + i] = 1;
  });
  return matrix;
}

interface Picked {
  /** Which slices were picked, each at most once. */
  readonly known: readonly number[];
  /** Shape that they were picked from, and the axis. */
  readonly dims: readonly number[];
  readonly axis: number;
}

/** Each slice takes back its gradient, or the zeros that are put behind the last one. */
function takeBack(c: Context, dy: string, { known, dims, axis }: Picked): string {
  const place = new Map(known.map((at, i) => [at, i]));
  const all = Array.from({ length: dims[axis] }, (_, at) => place.get(at) ?? known.length);
  const pads = new Array<number>(2 * dims.length).fill(0);
  if (known.length < dims[axis]) pads[dims.length + axis] = 1;
  return c.e.with('Gather', [c.e.pad(dy, pads), c.b.ints(all)], { axis });
}

/** Of a choice by a list of true and false; without an axis, of all elements in a row. */
function decompress(c: Context): string {
  const whole = c.shape(0);
  const given = c.int('axis', Number.NaN);
  const [dims, axis] = Number.isNaN(given) ? [[sizeOf(whole)], 0] : [whole, resolveAxis(given, whole.length)];
  const known = c.fixed(1, 'conditions').flatMap((taken, i) => (taken === 1 ? [i] : []));
  const back = takeBack(c, c.dy, { known, dims, axis });
  return dims === whole ? back : c.e.reshape(back, whole);
}

/** Indices as int64: they may be int32 too. */
const cast64 = (c: Context, i: number): string => (c.inType(i).dtype === 'int64' ? c.in(i) : c.e.cast(c.in(i), 'int64'));

/** Of a GatherND: the index of each slice, counted through, and a scatter along that one axis. */
function ungatherND(c: Context): string {
  const { e } = c;
  const dims = c.shape(0);
  const indices = c.shape(1);
  const batchDims = c.int('batch_dims', 0);
  const depth = indices[indices.length - 1];
  const [batch, picked] = [dims.slice(0, batchDims), dims.slice(batchDims, batchDims + depth)];
  const [rows, perBatch, inner] = [sizeOf(picked), sizeOf(indices.slice(batchDims, -1)), sizeOf(dims.slice(batchDims + depth))];
  const batches = sizeOf(batch);
  const ints = (values: readonly number[]): string => c.b.constant(i64([...values], [1, 1, values.length]));
  // Negative indices count from the end.
  const sizes = ints(picked);
  const positive = e.op('Mod', e.op('Add', e.reshape(cast64(c, 1), [batches, perBatch, depth]), sizes), sizes);
  const steps = picked.map((_, k) => sizeOf(picked.slice(k + 1)));
  const at = e.reduceSum(e.op('Mul', positive, ints(steps)), [2], true); // [batches, perBatch, 1]
  const places = e.op('Expand', at, c.b.ints([batches, perBatch, inner]));
  return e.reshape(scatterAdd(c, [batches, rows, inner], places, e.reshape(c.dy, [batches, perBatch, inner]), 1), dims);
}
