import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { TensorProto_DataType as T, type TensorProto, TensorProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { type DType, sizeOf, type Tensor } from '../../src/core/tensor.ts';
import { byteLength, dtypeInfo } from '../../src/onnx/dtypes.ts';
import { readTensor, writeTensor } from '../../src/onnx/proto.ts';

type Init = Parameters<typeof create<typeof TensorProtoSchema>>[1];
const bytes = (init: Init): Uint8Array => toBinary(TensorProtoSchema, create(TensorProtoSchema, init));
const proto = (b: Uint8Array): TensorProto => fromBinary(TensorProtoSchema, b);

// biome-ignore format: a table
const NUMERIC: DType[] = [
  'float32', 'float64', 'float16', 'bfloat16', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'bool',
  'complex64', 'complex128', 'float8e4m3fn', 'float8e4m3fnuz', 'float8e5m2', 'float8e5m2fnuz', 'float8e8m0',
  'uint4', 'int4', 'uint2', 'int2', 'float4e2m1',
];

const randomTensor = fc
  .record({ dtype: fc.constantFrom(...NUMERIC), dims: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }) })
  .chain(({ dtype, dims }) => {
    const kind = dtypeInfo(dtype)!;
    const length = byteLength(kind, sizeOf(dims));
    return fc.uint8Array({ minLength: length, maxLength: length }).map((raw): Tensor => {
      const copy = new Uint8Array(raw);
      return { dtype, dims, data: new kind.array(copy.buffer, 0, length / kind.array.BYTES_PER_ELEMENT) };
    });
  });

const rawOf = (t: Tensor): number[] => {
  const { buffer, byteOffset, byteLength } = t.data as Uint8Array;
  return [...new Uint8Array(buffer, byteOffset, byteLength)];
};

describe('every numeric type', () => {
  it('comes back bit by bit from raw_data, wherever in memory the bytes lie', () => {
    fc.assert(
      fc.property(randomTensor, fc.integer({ min: 0, max: 7 }), (tensor, offset) => {
        const written = writeTensor(tensor, 'w');
        const moved = new Uint8Array(written.length + offset);
        moved.set(written, offset);
        const read = readTensor(moved.subarray(offset));
        expect([read.dtype, read.dims, rawOf(read)]).toEqual([tensor.dtype, tensor.dims, rawOf(tensor)]);
        expect(read.data.constructor).toBe(tensor.data.constructor);
        expect([...writeTensor(read)]).toEqual([...written]);
      }),
    );
  });

  it('has a code, and the codes are those of onnx.proto', () => {
    for (const dtype of NUMERIC) {
      const name = ({ float32: 'FLOAT', float64: 'DOUBLE' } as Record<string, string>)[dtype] ?? dtype.toUpperCase();
      expect([dtype, dtypeInfo(dtype)!.code]).toEqual([dtype, T[name as keyof typeof T]]);
    }
  });

  it.each<[DType, Init, Tensor['data']]>([
    ['float32', { floatData: [0.5, -0] }, Float32Array.of(0.5, -0)],
    ['complex64', { dims: [1n], floatData: [1, 2] }, Float32Array.of(1, 2)],
    ['float64', { doubleData: [0.1, Number.NaN] }, Float64Array.of(0.1, Number.NaN)],
    ['complex128', { dims: [1n], doubleData: [3, 4] }, Float64Array.of(3, 4)],
    ['int8', { int32Data: [-128, 127] }, Int8Array.of(-128, 127)],
    ['uint8', { int32Data: [0, 255] }, Uint8Array.of(0, 255)],
    ['int16', { int32Data: [-32768, 32767] }, Int16Array.of(-32768, 32767)],
    ['uint16', { int32Data: [0, 65535] }, Uint16Array.of(0, 65535)],
    ['int32', { int32Data: [-(2 ** 31), 2 ** 31 - 1] }, Int32Array.of(-(2 ** 31), 2 ** 31 - 1)],
    ['int64', { int64Data: [-(2n ** 63n), 5n] }, BigInt64Array.of(-(2n ** 63n), 5n)],
    ['uint32', { uint64Data: [0n, 2n ** 32n - 1n] }, Uint32Array.of(0, 2 ** 32 - 1)],
    ['uint64', { uint64Data: [0n, 2n ** 64n - 1n] }, BigUint64Array.of(0n, 2n ** 64n - 1n)],
    ['bool', { int32Data: [0, 1] }, Uint8Array.of(0, 1)],
    ['float16', { int32Data: [0x3c00, 0xfc00] }, Uint16Array.of(0x3c00, 0xfc00)],
    ['bfloat16', { int32Data: [0x3f80, 0xff80] }, Uint16Array.of(0x3f80, 0xff80)],
    ['float8e4m3fn', { int32Data: [1, 255] }, Uint8Array.of(1, 255)],
    ['uint4', { dims: [3n], int32Data: [0x21, 0x03] }, Uint8Array.of(0x21, 0x03)],
    ['int4', { dims: [2n], int32Data: [0xf7] }, Uint8Array.of(0xf7)],
  ])('%s is read from its typed field, and written back in it', (dtype, init, data) => {
    const written = bytes({ dims: [2n], name: 't', dataType: dtypeInfo(dtype)!.code, ...init });
    const read = readTensor(written);
    expect([read.dtype, read.data]).toEqual([dtype, data]);
    expect(proto(writeTensor(read))).toEqual(proto(written));
  });
});

describe('strings', () => {
  it('are read and written as UTF-8', () => {
    const tensor: Tensor = { dtype: 'string', dims: [3], data: ['a', 'naïve ☃', ''] };
    expect(readTensor(writeTensor(tensor))).toEqual(tensor);
  });

  it('that are not UTF-8 are shown with replacement characters and written back as they were', () => {
    const written = bytes({ dims: [1n], dataType: T.STRING, stringData: [Uint8Array.of(65, 0xff)] });
    expect(readTensor(written).data).toEqual(['A\ufffd']);
    expect(proto(writeTensor(readTensor(written)))).toEqual(proto(written));
  });
});

describe('long runs of float_data', () => {
  const n = 20_000;
  const values = Array.from({ length: n }, (_, i) => Math.fround(i / 3));
  const doubles = values.map((v) => v + 1e-9);

  it('are the same numbers, are written as they were, and leave the file alone', () => {
    for (const init of [
      { dataType: T.FLOAT, floatData: values },
      { dataType: T.DOUBLE, doubleData: doubles },
    ]) {
      const written = bytes({ dims: [BigInt(n)], name: 'long', docString: 'd', ...init });
      const before = written.slice();
      const read = readTensor(written);
      expect([...(read.data as Float32Array)]).toEqual(init.floatData ?? init.doubleData);
      expect(Buffer.compare(written, before)).toBe(0);
      expect(proto(writeTensor(read, 'renamed'))).toEqual({ ...proto(written), name: 'renamed' });
    }
  });

  it('in several pieces, packed and unpacked, are joined in order', () => {
    const first = bytes({ dims: [BigInt(2 * n + 1)], dataType: T.FLOAT, floatData: values });
    const unpacked = Uint8Array.of((4 << 3) | 5, 0, 0, 128, 63); // 1.0
    const second = bytes({ floatData: values });
    const read = readTensor(Uint8Array.from([...first, ...unpacked, ...second]));
    expect([...(read.data as Float32Array)]).toEqual([...values, 1, ...values]);
  });

  it('that do not fit the shape are refused', () => {
    expect(() => readTensor(bytes({ dims: [BigInt(n + 1)], dataType: T.FLOAT, floatData: values }), 'w')).toThrow(
      'w: float_data does not fit the shape [20001], expected 80004 bytes, got 80000. Try to export or download the model again: the file is damaged.',
    );
  });
});

describe('tensors that lie are refused', () => {
  const huge = 2n ** 40n;
  it.each<[string, Init, string]>([
    [
      'too few bytes',
      { dims: [2n, 3n], dataType: T.FLOAT, rawData: new Uint8Array(20) },
      'w: raw_data does not fit the shape [2,3], expected 24 bytes, got 20. Try to export or download the model again: the file is damaged.',
    ],
    [
      'no data at all',
      { dims: [2n], dataType: T.INT64 },
      'w: int64_data does not fit the shape [2], expected 2 values, got 0. Try to export or download the model again: the file is damaged.',
    ],
    [
      'too few strings',
      { dims: [2n], dataType: T.STRING, stringData: [new Uint8Array()] },
      'w: string_data does not fit the shape [2], expected 2 strings, got 1. Try to export or download the model again: the file is damaged.',
    ],
    [
      'a size that overflows',
      { dims: [huge, huge], dataType: T.FLOAT, rawData: new Uint8Array(4) },
      'w: tensor too large, expected at most 2^53 elements, got dimensions [1099511627776,1099511627776].',
    ],
    [
      'an overflow hidden by a zero',
      { dims: [2n ** 62n, 0n], dataType: T.FLOAT },
      'w: tensor too large, expected at most 2^53 elements, got dimensions [4611686018427387904,0].',
    ],
    [
      'terabytes without data',
      { dims: [huge], dataType: T.UINT8, int32Data: [1] },
      'w: int32_data does not fit the shape [1099511627776], expected 1099511627776 values, got 1. Try to export or download the model again: the file is damaged.',
    ],
    ['a negative size', { dims: [-1n], dataType: T.FLOAT }, 'w: negative dimension, expected sizes of 0 or more, got [-1].'],
    ['no type', { dims: [1n], rawData: new Uint8Array(4) }, 'w: unknown element type, expected a TensorProto.DataType up to 26, got 0.'],
    [
      'segments',
      { dims: [1n], dataType: T.FLOAT, segment: { begin: 0n, end: 1n } },
      'w: tensor stored in segments, expected whole tensors; ONNX itself gave segments up.',
    ],
  ])('%s', (_, init, message) => expect(() => readTensor(bytes(init), 'w')).toThrow(message));

  it('of unknown types too, as later versions of ONNX may have', () => {
    expect(() => readTensor(bytes({ dims: [1n], dataType: 99 }), 'w')).toThrow(
      'w: unknown element type, expected a TensorProto.DataType up to 26, got 99.',
    );
  });
});
