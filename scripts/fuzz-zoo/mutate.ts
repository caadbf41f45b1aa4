/** Changes to bytes of any format: single bytes, numbers, lengths, blocks, words, pieces of other files, and long repetitions. */
import { joinBytes } from '../../src/core/bytes.ts';
import type { Rng } from '../../src/core/rng.ts';

const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x0d, 0x20, 0x22, 0x27, 0x28, 0x2e, 0x3a, 0x5c, 0x7b, 0x7d];
const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
const DIGITS = ['0', '-1', '1e999', '9007199254740993', '18446744073709551616', '1.5', '00', '+1', '1'.repeat(400), 'NaN', 'null'];
const TEXTS = [
  '\0',
  '__proto__',
  'constructor',
  '../../x',
  '/etc/passwd',
  'C:x',
  'a\\b',
  '\u001b[31m',
  '\u202e',
  '\ufeff',
  'é',
  'e\u0301',
].concat(['<<<<<<< HEAD\n', '---\n', '\r\n', '\t', '{', '}', '[', ']', ',', ':', '"', '\\u0000', '\\ud800', 'CON', 'x'.repeat(5000)]);
/** No input grows beyond this. */
const LONGEST = 1 << 20;

const text = (s: string): Uint8Array => new TextEncoder().encode(s);
/** A word of a format: characters up to U+00FF stand for bytes. */
const wordBytes = (s: string): Uint8Array => ([...s].every((c) => c <= 'ÿ') ? Uint8Array.from(s, (c) => c.charCodeAt(0)) : text(s));

/** One to six changes; the same for the same generator. */
export function mutateBytes(seed: Uint8Array, other: Uint8Array, words: readonly string[], rng: Rng): Uint8Array {
  let bytes: Uint8Array = seed.slice();
  for (let n = 1 + rng.int(6); n > 0; n--) {
    bytes = change(bytes, other, words, rng);
    if (bytes.length > LONGEST) bytes = bytes.slice(0, LONGEST);
  }
  return bytes;
}

function change(bytes: Uint8Array, other: Uint8Array, words: readonly string[], rng: Rng): Uint8Array {
  const pick = <T>(items: readonly T[]): T => items[rng.int(items.length)];
  const at = rng.int(bytes.length + 1);
  const span = Math.min(bytes.length - at, 1 + rng.int(rng.int(4) === 0 ? 256 : 8));
  const put = (piece: Uint8Array, instead = 0): Uint8Array => joinBytes([bytes.subarray(0, at), piece, bytes.subarray(at + instead)]);
  switch (rng.int(14)) {
    case 0:
      if (at < bytes.length) bytes[at] ^= 1 << rng.int(8);
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = rng.int(2) === 0 ? rng.int(256) : pick(INTERESTING);
      return bytes;
    case 2:
      return put(new Uint8Array(), span);
    case 3:
      return put(bytes.slice(at, at + span));
    case 4:
      return put(Uint8Array.from({ length: 1 + rng.int(8) }, () => rng.int(256)));
    case 5:
      return rng.int(3) === 0 ? bytes.slice(0, at) : bytes.slice(Math.min(at, rng.int(64)));
    case 6: {
      const from = rng.int(other.length + 1);
      return put(other.slice(from, from + 1 + rng.int(rng.int(3) === 0 ? other.length + 1 : 64)), rng.int(2) * span);
    }
    case 7: {
      const width = pick([1, 2, 4, 8]);
      if (at + width > bytes.length) return bytes;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const value = BigInt(pick(NUMBERS)) * (width === 8 && rng.int(3) === 0 ? 1n << 31n : 1n);
      const little = rng.int(4) > 0;
      if (width === 8) view.setBigUint64(at, BigInt.asUintN(64, value), little);
      else if (width === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), little);
      else if (width === 2) view.setUint16(at, Number(value & 0xffffn), little);
      else view.setUint8(at, Number(value & 0xffn));
      return bytes;
    }
    case 8: {
      // a number in text for another
      const found = nextDigits(bytes, at);
      if (found === undefined) return put(text(pick(DIGITS)));
      return joinBytes([bytes.subarray(0, found.from), text(pick(DIGITS)), bytes.subarray(found.to)]);
    }
    case 9:
      return put(text(pick(TEXTS)), rng.int(2) * span);
    case 10:
    case 11: {
      if (words.length === 0) return put(text(pick(TEXTS)));
      const word = wordBytes(pick(words));
      return put(word, rng.int(2) * Math.min(word.length, bytes.length - at));
    }
    case 12: {
      // the same block many times: nesting and long lists
      if (rng.int(6) > 0 || span === 0) return bytes;
      const block = bytes.slice(at, at + span);
      return put(joinBytes(Array.from({ length: 1 + rng.int(Math.ceil(50_000 / span)) }, () => block)));
    }
    default: {
      // two blocks change places
      const to = rng.int(bytes.length + 1);
      const [a, b] = at < to ? [at, to] : [to, at];
      const m = Math.min(b, a + span);
      return joinBytes([bytes.subarray(0, a), bytes.subarray(m, b), bytes.subarray(a, m), bytes.subarray(b)]);
    }
  }
}

function nextDigits(bytes: Uint8Array, at: number): { from: number; to: number } | undefined {
  const digit = (i: number): boolean => bytes[i] >= 48 && bytes[i] <= 57;
  let from = at;
  while (from < bytes.length && from < at + 400 && !digit(from)) from++;
  if (!digit(from)) return undefined;
  let to = from;
  while (to < bytes.length && digit(to)) to++;
  return { from, to };
}
