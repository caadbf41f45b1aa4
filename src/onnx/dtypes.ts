/** One table of ONNX element types: code in the file, size, and the array that holds them. */
import type { DType, NumericArray } from '../core/tensor.ts';

type ArrayType = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): NumericArray;
};

/** Repeated field of TensorProto that holds the elements where `raw_data` is not used. */
export type TypedField = 'floatData' | 'doubleData' | 'int32Data' | 'int64Data' | 'uint64Data';

export interface DTypeInfo {
  /** TensorProto.DataType. */
  readonly code: number;
  /** Bits of one element in `raw_data` and in memory. */
  readonly bits: number;
  readonly array: ArrayType;
  readonly field: TypedField;
}

const info = (code: number, bits: number, array: ArrayType, field: TypedField): DTypeInfo => ({ code, bits, array, field });

const NUMERIC: Record<Exclude<DType, 'string'>, DTypeInfo> = {
  float32: info(1, 32, Float32Array, 'floatData'),
  uint8: info(2, 8, Uint8Array, 'int32Data'),
  int8: info(3, 8, Int8Array, 'int32Data'),
  uint16: info(4, 16, Uint16Array, 'int32Data'),
  int16: info(5, 16, Int16Array, 'int32Data'),
  int32: info(6, 32, Int32Array, 'int32Data'),
  int64: info(7, 64, BigInt64Array, 'int64Data'),
  bool: info(9, 8, Uint8Array, 'int32Data'),
  float16: info(10, 16, Uint16Array, 'int32Data'),
  float64: info(11, 64, Float64Array, 'doubleData'),
  uint32: info(12, 32, Uint32Array, 'uint64Data'),
  uint64: info(13, 64, BigUint64Array, 'uint64Data'),
  complex64: info(14, 64, Float32Array, 'floatData'),
  complex128: info(15, 128, Float64Array, 'doubleData'),
  bfloat16: info(16, 16, Uint16Array, 'int32Data'),
  float8e4m3fn: info(17, 8, Uint8Array, 'int32Data'),
  float8e4m3fnuz: info(18, 8, Uint8Array, 'int32Data'),
  float8e5m2: info(19, 8, Uint8Array, 'int32Data'),
  float8e5m2fnuz: info(20, 8, Uint8Array, 'int32Data'),
  uint4: info(21, 4, Uint8Array, 'int32Data'),
  int4: info(22, 4, Uint8Array, 'int32Data'),
  float4e2m1: info(23, 4, Uint8Array, 'int32Data'),
  float8e8m0: info(24, 8, Uint8Array, 'int32Data'),
  uint2: info(25, 2, Uint8Array, 'int32Data'),
  int2: info(26, 2, Uint8Array, 'int32Data'),
};
const STRING_CODE = 8;

const BY_CODE = new Map<number, DType>([
  [STRING_CODE, 'string'],
  ...Object.entries(NUMERIC).map(([dtype, { code }]): [number, DType] => [code, dtype as DType]),
]);

/** Undefined for strings, which have no fixed size. */
export function dtypeInfo(dtype: DType): DTypeInfo | undefined {
  return dtype === 'string' ? undefined : NUMERIC[dtype];
}

export function dtypeCode(dtype: DType): number {
  return dtype === 'string' ? STRING_CODE : NUMERIC[dtype].code;
}

/** Undefined for 0 (no type) and for codes newer than this program. */
export function dtypeOfCode(code: number): DType | undefined {
  return BY_CODE.get(code);
}

/** Bytes that `elements` of a numeric type take; 4-bit and 2-bit types are packed, the last byte padded. */
export function byteLength({ bits }: DTypeInfo, elements: number): number {
  return bits >= 8 ? elements * (bits / 8) : Math.ceil((elements * bits) / 8);
}

/** The bytes as an array of the type: a view where they are aligned, a copy where they are not. */
export function viewBytes({ array }: DTypeInfo, bytes: Uint8Array): NumericArray {
  const size = array.BYTES_PER_ELEMENT;
  // Not bytes.slice(): Node's Buffer gives a view there.
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new array(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}

/** The bytes of an array without copying. */
export function bytesOf(data: NumericArray): Uint8Array<ArrayBuffer> {
  // Our arrays never lie in shared memory when they are written to a file; the cast only narrows the buffer's type.
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

/** Whether two runs of bytes hold the same. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.byteLength !== b.byteLength) return false;
  for (let i = 0; i < a.byteLength; i++) if (a[i] !== b[i]) return false;
  return true;
}
