/**
 * Changes to files, from single bytes to the structure of protobuf: the bytes are taken for messages within messages wherever they can be,
 * so that fields are dropped, doubled, moved, swapped between files and given absurd values while all lengths around them stay right.
 */
import { joinBytes } from '../src/core/bytes.ts';
import type { Rng } from '../src/core/rng.ts';

interface Field {
  no: number;
  wire: number;
  /** Of varints. */
  value: bigint;
  /** Of fixed fields and of runs that are no message. */
  bytes: Uint8Array;
  /** Of runs that can be read as a message. */
  inner: Field[] | undefined;
}

const MAX_DEPTH = 30;
/** Which change how often: those after which the file is no protobuf any more are found out at once, so they are rare. */
const CHANGES = [0, 0, 1, 1, 2, 2, 3, 4, 5, 5, 5, 7, 7, 7, 8, 8, 9, 10, 10, 10, 10, 10, 10];
const ABSURD: readonly bigint[] = [
  0n,
  1n,
  2n,
  7n,
  127n,
  128n,
  255n,
  2n ** 16n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 40n,
  2n ** 53n,
].concat([2n ** 62n, 2n ** 63n - 1n, 2n ** 64n - 1n, 2n ** 63n]);
const TEXTS = [
  '',
  '\0',
  '__proto__',
  'constructor',
  'ai.onnx',
  'com.microsoft',
  'EPContext',
  'Loop',
  'Expand',
  'ConstantOfShape',
  '../../x',
].concat(['\u001b[31m', 'x'.repeat(5000), 'then_branch', 'location', '語', 'If', 'Scan', 'Tile', 'Relu', 'x', 'y']);

/** The file as fields; undefined where it is no protobuf. */
function parse(bytes: Uint8Array, depth = 0): Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; shift < 70n && at < bytes.length; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag === undefined || tag < 8n || tag > 1n << 20n) return undefined;
    const [no, wire] = [Number(tag >> 3n), Number(tag & 7n)];
    const field: Field = { no, wire, value: 0n, bytes: new Uint8Array(), inner: undefined };
    if (wire === 0) {
      const value = varint();
      if (value === undefined) return undefined;
      field.value = value;
    } else {
      const length = wire === 2 ? varint() : wire === 1 ? 8n : wire === 5 ? 4n : undefined;
      if (length === undefined || BigInt(at) + length > BigInt(bytes.length)) return undefined;
      field.bytes = bytes.subarray(at, at + Number(length));
      at += Number(length);
      // Long runs are weights, and short ones mostly texts; a text that happens to be a message is changed as one, which does no harm.
      if (wire === 2 && depth < MAX_DEPTH && length > 1n && length < 1n << 16n) field.inner = parse(field.bytes, depth + 1);
    }
    fields.push(field);
  }
  return fields;
}

function varint(n: bigint): number[] {
  const out: number[] = [];
  let v = BigInt.asUintN(64, n);
  for (; v > 127n; v >>= 7n) out.push(Number(v & 127n) | 128);
  out.push(Number(v));
  return out;
}

function write(fields: readonly Field[]): Uint8Array {
  const parts: (Uint8Array | number[])[] = [];
  for (const f of fields) {
    parts.push(varint((BigInt(f.no) << 3n) | BigInt(f.wire)));
    if (f.wire === 0) parts.push(varint(f.value));
    else if (f.wire !== 2) parts.push(f.bytes);
    else {
      const body = f.inner === undefined ? f.bytes : write(f.inner);
      parts.push(varint(BigInt(body.length)), body);
    }
  }
  return joinBytes(parts);
}

/** Every list of fields in a tree. */
function lists(fields: Field[], found: Field[][] = []): Field[][] {
  found.push(fields);
  for (const f of fields) if (f.inner) lists(f.inner, found);
  return found;
}

const pick = <T>(rng: Rng, items: readonly T[]): T => items[rng.int(items.length)];

/** One to four changes in the structure of `bytes`, with parts of `other`. */
function changeStructure(bytes: Uint8Array, other: Uint8Array, rng: Rng): Uint8Array {
  const tree = parse(bytes);
  if (tree === undefined) return changeBytes(bytes, other, rng);
  const foreign = lists(parse(other) ?? []).filter((l) => l.length > 0);
  for (let changes = 1 + rng.int(4); changes > 0; changes--) {
    // Long lists are more than their share of the fields, so that nodes and dimensions are hit, not only the outermost fields.
    const all = lists(tree).filter((l) => l.length > 0);
    if (all.length === 0) break;
    const list = pick(rng, all);
    const i = rng.int(list.length);
    const field = list[i];
    switch (pick(rng, CHANGES)) {
      case 0:
        list.splice(i, 1);
        break;
      case 1:
        list.splice(
          i,
          0,
          ...Array.from({ length: rng.int(8) === 0 && write([field]).length < 100 ? 2000 : 1 }, () => structuredClone(field)),
        );
        break;
      case 2:
        list.splice(rng.int(list.length), 0, ...list.splice(i, 1));
        break;
      case 3:
        field.no = 1 + rng.int(26);
        break;
      case 4:
        field.wire = pick(rng, [0, 1, 2, 5]);
        if (field.wire === 1 || field.wire === 5) field.bytes = new Uint8Array(field.wire === 1 ? 8 : 4).map(() => rng.int(256));
        field.inner = undefined;
        break;
      case 5:
        if (field.wire === 0) field.value = pick(rng, ABSURD);
        else if (field.wire === 2) Object.assign(field, { bytes: new TextEncoder().encode(pick(rng, TEXTS)), inner: undefined });
        break;
      case 7:
        if (foreign.length > 0) list.splice(i, 1, structuredClone(pick(rng, pick(rng, foreign))));
        break;
      case 8:
        // The message within itself.
        if (field.inner && write(tree).length < 1e5) field.inner.push({ ...field, inner: structuredClone(field.inner) });
        break;
      case 9:
        if (field.wire === 2) Object.assign(field, { bytes: changeBytes(write([field]).subarray(1), other, rng), inner: undefined });
        break;
      default:
        if (field.wire === 0) field.value = BigInt(rng.int(40));
        else if (field.wire === 2) {
          const texts = all.flat().filter((f) => f.wire === 2 && f.inner === undefined);
          if (texts.length > 0) Object.assign(field, { bytes: pick(rng, texts).bytes, inner: undefined });
        }
    }
  }
  return write(tree);
}

/** One to six changes of single bytes and stretches of bytes. */
function changeBytes(bytes: Uint8Array, other: Uint8Array, rng: Rng): Uint8Array {
  let out = Array.from(bytes);
  for (let changes = 1 + rng.int(6); changes > 0; changes--) {
    const at = rng.int(out.length + 1);
    const length = rng.int(4) === 0 ? rng.int(200) : 1 + rng.int(4);
    switch (rng.int(7)) {
      case 0:
        out[at] = rng.int(256);
        break;
      case 1:
        out[at] = (out[at] ?? 0) ^ (1 << rng.int(8));
        break;
      case 2:
        out.splice(at, length);
        break;
      case 3:
        out.splice(at, 0, ...out.slice(at, at + length));
        break;
      case 4:
        out.splice(at, 0, ...Array.from({ length }, () => rng.int(256)));
        break;
      case 5: {
        const from = rng.int(other.length + 1);
        out.splice(at, length, ...other.subarray(from, from + length));
        break;
      }
      default:
        if (rng.int(4) === 0) out = out.slice(0, at);
        else out.splice(at, length, ...varint(pick(rng, ABSURD)));
    }
  }
  return Uint8Array.from(out, (b) => b ?? 0);
}

/** A changed copy of `bytes`. */
export function mutate(bytes: Uint8Array, other: Uint8Array, rng: Rng): Uint8Array {
  return rng.int(3) === 0 ? changeBytes(bytes, other, rng) : changeStructure(bytes, other, rng);
}
