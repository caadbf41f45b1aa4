/**
 * A short cut for weights kept in `float_data`, `int64_data` and their like: the protobuf library makes a JavaScript array of them number
 * by number, which is slow, takes many times the memory, and ends at about 10^8 numbers. On the wire a packed field is one run of bytes,
 * so here the runs that `wire.ts` found are hidden from the library, as fields it does not know; it then keeps them as views of the file.
 */

import type { NumericArray } from '../core/tensor.ts';
import type { DTypeInfo } from './dtypes.ts';
import { viewBytes } from './dtypes.ts';

/** Tags of TensorProto's packed numbers: float_data (4), int32_data (5), int64_data (7), double_data (10), uint64_data (11); one byte each. */
const PACKED_TAGS = new Set([4, 5, 7, 10, 11].map((no) => (no << 3) | 2));
/** A field number that TensorProto does not use and whose tag is one byte too. */
const HIDDEN_FIELD = 15;
const HIDDEN_TAG = (HIDDEN_FIELD << 3) | 2;

export interface UnknownField {
  no: number;
  readonly wireType: number;
  /** Begins with the length, as on the wire. */
  readonly data: Uint8Array;
}

/**
 * Parses with the runs at `tags` hidden. `bytes` is changed for as long as `parse` runs and is as before afterwards, also when it throws.
 * `reveal(fields)`, to be called on every parsed tensor's unknown fields, gives hidden runs their true field number back, so that
 * writing the message writes them as they were.
 */
export function withHiddenRuns<T>(bytes: Uint8Array, tags: readonly number[], parse: () => T): T {
  const original = tags.map((at) => bytes[at]);
  for (const at of tags) bytes[at] = HIDDEN_TAG;
  try {
    return parse();
  } finally {
    for (let i = 0; i < tags.length; i++) bytes[tags[i]] = original[i];
  }
}

/** Gives hidden runs their number back. The byte before a field's data is its tag, which by now is the true one again. */
export function reveal(fields: UnknownField[] | undefined): void {
  for (const field of fields ?? []) {
    if (field.no !== HIDDEN_FIELD || field.data.byteOffset === 0) continue;
    const tag = new Uint8Array(field.data.buffer, field.data.byteOffset - 1, 1)[0];
    if (PACKED_TAGS.has(tag)) field.no = tag >> 3;
  }
}

/** The packed numbers of an unknown field with this number, as bytes; undefined where there is none. */
export function packedRun(fields: readonly UnknownField[] | undefined, no: number): Uint8Array | undefined {
  const run = fields?.find((f) => f.no === no && f.wireType === 2)?.data;
  if (run === undefined) return undefined;
  let lengthBytes = 1;
  while (run[lengthBytes - 1] >= 0x80) lengthBytes++;
  return run.subarray(lengthBytes);
}

/** How many varints a run holds. */
export function countVarints(run: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < run.length; i++) if (run[i] < 0x80) count++;
  return count;
}

/**
 * The varints of a run as numbers of a type, of which they keep the low bits, as protobuf does it.
 * @param bytes of the result, already checked against the number of varints
 */
export function decodeVarints(run: Uint8Array, kind: DTypeInfo, bytes: number): NumericArray {
  const out = new Uint8Array(bytes);
  const size = kind.array.BYTES_PER_ELEMENT;
  const view = new DataView(out.buffer);
  for (let from = 0, to = 0; to < bytes; to += size) {
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = run[from++];
      const bits = byte & 0x7f;
      if (shift < 32) low |= bits << shift;
      if (shift + 7 > 32 && shift < 64) high |= shift < 32 ? bits >>> (32 - shift) : bits << (shift - 32);
      if (byte < 0x80) break;
    }
    if (size === 8) {
      view.setInt32(to, low, true);
      view.setInt32(to + 4, high, true);
    } else if (size === 4) view.setInt32(to, low, true);
    else if (size === 2) view.setInt16(to, low, true);
    else view.setInt8(to, low);
  }
  return viewBytes(kind, out);
}
