/**
 * A short cut for weights kept in `float_data` or `double_data`: the protobuf library makes a JavaScript array of them number by number,
 * which is slow and ends at about 10^8 numbers. On the wire a packed field is a run of plain little-endian floats, so here those runs
 * are found first and hidden from the library, as fields it does not know; it then keeps them as views of the file.
 */

/** Runs shorter than this are left to the library. */
const LONG = 1 << 16;

/** Submessages that can hold tensors: message -> field number -> message. `proto.ts` reveals every tensor it can reach this way. */
const INSIDE: Record<string, Record<number, string>> = {
  model: { 7: 'graph' },
  graph: { 1: 'node', 5: 'tensor' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor' },
  tensor: {},
};
/** Tags of float_data (4) and double_data (10) in packed form; each is one byte. */
const PACKED_TAGS = new Set([(4 << 3) | 2, (10 << 3) | 2]);
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
 * Parses with the long runs hidden. `bytes` is changed for as long as `parse` runs and is as before afterwards, also when it throws.
 * `reveal(fields)`, to be called on every parsed tensor's unknown fields, gives hidden runs their true field number back, so that
 * writing the message writes them as they were.
 */
export function withHiddenRuns<T>(bytes: Uint8Array, message: 'model' | 'tensor', parse: () => T): T {
  const tags = findRuns(bytes, 0, bytes.byteLength, message, 0);
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

/** Positions of the tags of long runs. Stops at the first thing that is no protobuf: the library will say what is wrong with it. */
function findRuns(bytes: Uint8Array, start: number, end: number, message: string, depth: number): number[] {
  const found: number[] = [];
  /** Occurrences of a field in this tensor: a field in several pieces is left to the library, which joins them. */
  const pieces = new Map<number, number>();
  let at = start;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < end && scale < 2 ** 56; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  };
  while (at < end && depth < 50) {
    const tagAt = at;
    const tag = varint();
    if (Number.isNaN(tag)) break;
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    pieces.set(field, (pieces.get(field) ?? 0) + 1);
    if (wire === 0) {
      // Up to ten bytes, of which only the end matters.
      while (at < end && bytes[at++] >= 0x80);
      continue;
    }
    const length = wire === 2 ? varint() : wire === 1 ? 8 : wire === 5 ? 4 : Number.NaN;
    if (Number.isNaN(length) || at + length > end) break;
    if (wire === 2 && length >= LONG) {
      const inner = INSIDE[message][field];
      if (inner !== undefined) found.push(...findRuns(bytes, at, at + length, inner, depth + 1));
      else if (message === 'tensor' && PACKED_TAGS.has(tag)) found.push(tagAt);
    }
    at += length;
  }
  return message === 'tensor' ? found.filter((tagAt) => pieces.get(bytes[tagAt] >> 3) === 1) : found;
}
