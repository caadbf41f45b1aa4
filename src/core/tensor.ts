/** A dense tensor outside of any runtime: what initialisers, feeds and fetches are made of. Imports nothing of ours. */

/** Element types by their ONNX Runtime spelling. */
export type DType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'string'
  | 'complex64'
  | 'complex128'
  | 'float8e4m3fn'
  | 'float8e4m3fnuz'
  | 'float8e5m2'
  | 'float8e5m2fnuz'
  | 'float8e8m0'
  | 'uint4'
  | 'int4'
  | 'uint2'
  | 'int2'
  | 'float4e2m1';

export type NumericArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/**
 * `data` holds the elements in row-major order. 16-bit floats are raw bits in a Uint16Array, bool and 8-bit floats one byte an
 * element in a Uint8Array, 4-bit and 2-bit types stay packed as in the file, complex numbers are (re, im) pairs.
 * Treated as immutable: to change a tensor, make a new one. `onnx/proto.ts` relies on that to write untouched tensors back bit by bit.
 */
export interface Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: NumericArray | readonly string[];
}

export interface FloatTensor extends Tensor {
  readonly dtype: 'float32';
  readonly data: Float32Array;
}

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(dims: readonly number[]): number {
  let n = 1;
  for (const d of dims) n *= d;
  return n;
}

export function f32(data: Float32Array | readonly number[], dims: readonly number[]): FloatTensor {
  return { dtype: 'float32', dims, data: data instanceof Float32Array ? data : Float32Array.from(data) };
}

export function i64(data: BigInt64Array | readonly number[], dims: readonly number[] = [data.length]): Tensor {
  return { dtype: 'int64', dims, data: data instanceof BigInt64Array ? data : BigInt64Array.from(data, (v) => BigInt(v)) };
}

export function isFloatTensor(t: Tensor): t is FloatTensor {
  return t.dtype === 'float32' && t.data instanceof Float32Array;
}
