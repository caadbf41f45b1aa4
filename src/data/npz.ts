/**
 * NumPy's array files: `.npy` (NEP 1) and `.npz`, a zip archive of them. Numbers and booleans only: object arrays are pickles, which
 * run code when they are read, and are refused.
 */
import { zipSync } from 'fflate';
import { fail } from '../core/errors.ts';
import { type DType, type NumericArray, sizeOf, type Tensor } from '../core/tensor.ts';
import { bytesOf, dtypeInfo, viewBytes } from '../onnx/dtypes.ts';
import { type ByteSource, bytesSource, readZip } from './zip.ts';

/** NumPy's kind and size -> element type, and the bytes of what is swapped where the file is big-endian. */
const TYPES: Readonly<Record<string, readonly [dtype: DType, unit: number]>> = {
  f2: ['float16', 2],
  f4: ['float32', 4],
  f8: ['float64', 8],
  i1: ['int8', 1],
  i2: ['int16', 2],
  i4: ['int32', 4],
  i8: ['int64', 8],
  u1: ['uint8', 1],
  u2: ['uint16', 2],
  u4: ['uint32', 4],
  u8: ['uint64', 8],
  b1: ['bool', 1],
  c8: ['complex64', 4],
  c16: ['complex128', 8],
};
const CODES = new Map(Object.entries(TYPES).map(([code, [dtype]]) => [dtype, code]));
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const MAX_RANK = 64;

/**
 * One array of a `.npy` file, in row-major order; a view of `bytes` where they are aligned, little-endian and in C order, else a copy.
 * float16 comes as raw bits in a Uint16Array. `where` names the file in errors.
 * Throws SecateurError where it is no such file, holds objects, text or records, or is shorter than its header says.
 */
export function readNpy(bytes: Uint8Array, where: string): Tensor {
  const { descr, fortran, dims, start } = header(bytes, where);
  const [dtype, unit] = elementType(descr, where);
  const info = dtypeInfo(dtype)!;
  const elements = sizeOf(dims);
  const size = (elements * info.bits) / 8;
  const text = `[${dims.join(',')}]`;
  if (bytes.length - start < size) {
    const expected = `${start + size} bytes for ${dtype} ${text}`;
    fail({ where, what: 'file is truncated', expected, got: `${bytes.length}`, hint: 'copying or writing the file again' });
  }
  let body = bytes.subarray(start, start + size);
  if (descr[0] === '>' && unit > 1) body = swapped(body, unit);
  const data = viewBytes(info, body);
  // complex numbers are pairs of one unit
  const step = info.bits / 8 / unit;
  return { dtype, dims, data: fortran && dims.length > 1 ? toRowMajor(data, dims, step) : data };
}

interface Header {
  readonly descr: string;
  readonly fortran: boolean;
  readonly dims: number[];
  /** Where the elements begin. */
  readonly start: number;
}

function header(bytes: Uint8Array, where: string): Header {
  const wrong = (got: string): never =>
    fail({ where, what: 'not a NumPy array', expected: 'a .npy file of format version 1, 2 or 3', got });
  if (!MAGIC.every((b, i) => bytes[i] === b)) {
    const first = [...bytes.subarray(0, 6)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
    wrong(bytes[0] === 0x80 ? 'a pickle, which runs code when it is read' : first === '' ? 'an empty file' : `bytes ${first}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const major = bytes[6];
  if (!(major >= 1 && major <= 3)) wrong(`version ${major}`);
  const at = major === 1 ? 10 : 12;
  if (bytes.length < at) wrong(`a file of ${bytes.length} bytes`);
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const start = at + length;
  if (start > bytes.length) wrong(`a header of ${length} bytes in a file of ${bytes.length}`);
  // the header of a plain array is far shorter; one that is not is a record type
  const text = new TextDecoder().decode(bytes.subarray(at, Math.min(start, at + 4096)));
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([\d\sL,]*)\)/.exec(text)?.[1];
  if (/'descr'\s*:\s*\[/.test(text))
    fail({ where, what: 'array of records', expected: 'numbers or booleans', got: text.slice(0, 80).trim() });
  if (descr === undefined || order === undefined || shape === undefined) return wrong(`header ${text.slice(0, 80).trim()}`);
  const dims = shape
    .split(',')
    .map((part) => part.replace('L', '').trim())
    .filter((part) => part !== '')
    .map(Number);
  const elements = dims.reduce((n, d) => n * d, 1);
  if (dims.length > MAX_RANK || !Number.isSafeInteger(elements) || !dims.every(Number.isSafeInteger)) {
    fail({
      where,
      what: 'array too large',
      expected: `at most ${MAX_RANK} dimensions and 2^53 elements`,
      got: `shape (${shape.slice(0, 80)})`,
    });
  }
  return { descr, fortran: order === 'True', dims, start };
}

function elementType(descr: string, where: string): readonly [DType, number] {
  const known = /^[<>|=]/.test(descr) ? TYPES[descr.slice(1)] : undefined;
  if (known !== undefined) return known;
  const kind = descr[1];
  const got =
    kind === 'O'
      ? `objects (${descr}), which are pickled and run code when they are read`
      : kind === 'U' || kind === 'S'
        ? `text (${descr})`
        : `type ${JSON.stringify(descr)}`;
  return fail({ where, what: 'elements cannot be read', expected: `one of ${Object.keys(TYPES).join(', ')}`, got });
}

function swapped(bytes: Uint8Array, unit: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) out[i] = bytes[i - (i % unit) + unit - 1 - (i % unit)];
  return out;
}

/** `step` numbers make an element. */
function toRowMajor(data: NumericArray, dims: readonly number[], step: number): NumericArray {
  const out = data.slice();
  const strides: number[] = [];
  for (let axis = 0, stride = step; axis < dims.length; axis++) {
    strides.push(stride);
    stride *= dims[axis];
  }
  const index = new Array<number>(dims.length).fill(0);
  for (let to = 0, from = 0; to < data.length; to += step) {
    for (let k = 0; k < step; k++) out[to + k] = data[from + k];
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < dims[axis]) break;
      from -= strides[axis] * dims[axis];
      index[axis] = 0;
    }
  }
  return out;
}

/**
 * All arrays of a `.npz` archive by their names without `.npy`, as {@link readNpy}.
 * Throws SecateurError where it is no zip archive, is damaged, or holds something else than arrays of numbers.
 */
export function readNpz(bytes: Uint8Array, where: string): Map<string, Tensor> {
  return readNpzFrom(bytesSource(bytes), where);
}

/** {@link readNpz} of anything that gives bytes: each array is read when the one before it is done. */
export function readNpzFrom(source: ByteSource, where: string): Map<string, Tensor> {
  const arrays = new Map<string, Tensor>();
  for (const entry of readZip(source, where)) {
    const name = entry.name.replace(/\.npy$/, '');
    arrays.set(name, readNpy(entry.read(), `${where}: ${name}`));
  }
  return arrays;
}

/**
 * One array as a `.npy` file, version 1.0, little-endian, C order; the elements begin at a multiple of 64.
 * Throws SecateurError for types that NumPy does not have (bfloat16, 8-bit floats, packed integers, text).
 */
export function writeNpy({ dtype, dims, data }: Tensor, where = 'npy'): Uint8Array {
  const code = CODES.get(dtype);
  if (code === undefined || !ArrayBuffer.isView(data)) {
    return fail({ where, what: 'cannot be written as a NumPy array', expected: [...CODES.keys()].join(', '), got: dtype });
  }
  const order = dtypeInfo(dtype)!.bits === 8 ? '|' : '<';
  const shape = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(', ')})`;
  const text = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': ${shape}, }`;
  const start = Math.ceil((10 + text.length + 1) / 64) * 64;
  const body = bytesOf(data);
  const out = new Uint8Array(start + body.length);
  out.set(MAGIC);
  out[6] = 1;
  new DataView(out.buffer).setUint16(8, start - 10, true);
  out.set(new TextEncoder().encode(`${text.padEnd(start - 11)}\n`), 10);
  out.set(body, start);
  return out;
}

/** A `.npz` archive of the arrays, not compressed; the same arrays give the same bytes. Throws as {@link writeNpy}. */
export function writeNpz(entries: Iterable<readonly [string, Tensor]>): Uint8Array {
  const files: Record<string, Uint8Array> = {};
  for (const [name, tensor] of entries) files[`${name}.npy`] = writeNpy(tensor, `npz: ${name}`);
  // zip has no time zone: the first moment that it can write, in local time
  return zipSync(files, { level: 0, mtime: new Date(1980, 0, 1) });
}
