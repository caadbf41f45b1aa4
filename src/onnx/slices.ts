/** Slices of stored tensors along one axis: what cutting and removing channels does to weights. */
import { type NumericArray, sizeOf, type Tensor } from '../core/tensor.ts';

/** How a tensor falls apart along an axis: `outer` blocks of `length` slices of `inner` neighbouring elements. */
function blocks(dims: readonly number[], axis: number): { outer: number; length: number; inner: number } {
  return { outer: sizeOf(dims.slice(0, axis)), length: dims[axis], inner: sizeOf(dims.slice(axis + 1)) };
}

/** A copy with the slices `indices` of `axis` set to zero. Any numeric type (zero is all bits zero in each); 4-bit types are refused. */
export function zeroSlices(tensor: Tensor, axis: number, indices: Iterable<number>): Tensor {
  const { outer, length, inner } = blocks(tensor.dims, axis);
  const data = numeric(tensor).slice();
  for (const index of indices) {
    for (let o = 0; o < outer; o++) {
      const start = (o * length + index) * inner;
      if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.fill(0n, start, start + inner);
      else data.fill(0, start, start + inner);
    }
  }
  return { dtype: tensor.dtype, dims: tensor.dims, data };
}

/** A copy with the slices `indices` of `axis` multiplied by `factor`. Floating-point arrays; whole numbers would be rounded. */
export function multiplySlices(tensor: Tensor, axis: number, indices: Iterable<number>, factor: number): Tensor {
  const { outer, length, inner } = blocks(tensor.dims, axis);
  const data = numeric(tensor).slice() as Float32Array;
  for (const index of indices) {
    for (let o = 0; o < outer; o++) {
      const start = (o * length + index) * inner;
      for (let i = start; i < start + inner; i++) data[i] *= factor;
    }
  }
  return { dtype: tensor.dtype, dims: tensor.dims, data };
}

/** The slices `keep` of `axis`, in that order, as a new and smaller tensor. */
export function takeSlices(tensor: Tensor, axis: number, keep: readonly number[]): Tensor {
  const { outer, length, inner } = blocks(tensor.dims, axis);
  const from = numeric(tensor);
  const data = from.slice(0, outer * keep.length * inner);
  for (let o = 0; o < outer; o++) {
    for (let k = 0; k < keep.length; k++) {
      const start = (o * length + keep[k]) * inner;
      // Source and target are of one type; TypeScript cannot see that across the union.
      (data as Float32Array).set(from.subarray(start, start + inner) as Float32Array, (o * keep.length + k) * inner);
    }
  }
  const dims = [...tensor.dims];
  dims[axis] = keep.length;
  return { dtype: tensor.dtype, dims, data };
}

/** 0 at the slices `cut`, 1 elsewhere, of a shape that broadcasts to `dims`: 1 everywhere but at `axis`. float32. */
export function sliceMask(dims: readonly number[], axis: number, cut: Iterable<number>): Tensor {
  const data = new Float32Array(dims[axis]).fill(1);
  for (const index of cut) data[index] = 0;
  return { dtype: 'float32', dims: dims.map((d, i) => (i === axis ? d : 1)), data };
}

function numeric(tensor: Tensor): NumericArray {
  const { data } = tensor;
  if (Array.isArray(data) || data.length !== sizeOf(tensor.dims)) throw new TypeError(`slices of ${tensor.dtype} tensors`);
  return data as NumericArray;
}

/** `to` with the slices `indices` of `axis` taken from `from`, a tensor of the same type and shape. */
export function copySlices(from: Tensor, to: Tensor, axis: number, indices: Iterable<number>): Tensor {
  const { outer, length, inner } = blocks(to.dims, axis);
  const source = numeric(from) as Float32Array;
  const data = numeric(to).slice() as Float32Array;
  if (source.length !== data.length) throw new RangeError(`copySlices: [${from.dims.join(',')}] into [${to.dims.join(',')}]`);
  for (const index of indices) {
    for (let o = 0; o < outer; o++) {
      const start = (o * length + index) * inner;
      data.set(source.subarray(start, start + inner), start);
    }
  }
  return { dtype: to.dtype, dims: to.dims, data };
}
