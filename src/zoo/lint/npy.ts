/** NumPy's `.npy` (NEP 1 and its versions 2 and 3): a header that is a Python literal, then the elements. */
import { fail } from '../../core/errors.ts';
import type { ByteSource } from '../../data/zip.ts';
import { type Findings, quoted } from './findings.ts';
import { lintPickle } from './pickle.ts';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** NumPy itself reads no longer header unless it is told to. */
const MAX_HEADER = 10_000;
const MAX_RANK = 64;
const MAX_DEPTH = 20;

export const hasNpyMark = (source: ByteSource): boolean => source.size >= 6 && source.read(0, 6).every((b, i) => b === MAGIC[i]);

const wrong = (what: string, expected?: string, got?: string): never => fail({ where: 'npy', what, expected, got });

/** @param total unpacked bytes of the file where `source` holds only its start */
export function lintNpy(source: ByteSource, findings: Findings, total = source.size): void {
  const read = findings.attempt('npy', () => header(source, total));
  if (read === undefined) return;
  const { objects, size, start } = read;
  if (objects) {
    findings.refuse('npy-objects', 'an array of objects, which are a pickle behind the header and run code when they are read');
    if (source.size === total && total > start) {
      lintPickle({ size: total - start, read: (offset, length) => source.read(start + offset, length) }, findings);
    }
    return;
  }
  const rest = total - start;
  if (size === undefined) return;
  if (BigInt(rest) < size) findings.refuse('npy', `ends early, expected ${size} bytes of elements, got ${rest}`);
  else if (BigInt(rest) > size) findings.flag('npy-trailing', `${BigInt(rest) - size} bytes stand behind the last element`);
}

interface Header {
  readonly objects: boolean;
  /** Bytes of the elements; undefined where the type is one whose size is not known here. */
  readonly size: bigint | undefined;
  readonly start: number;
}

function header(source: ByteSource, total: number): Header {
  if (source.size < 12) wrong('ends within its header');
  const head = source.read(0, 12);
  const view = new DataView(head.buffer, head.byteOffset, 12);
  const major = head[6];
  if (!(major >= 1 && major <= 3)) wrong('unknown version', '1, 2 or 3', `${major}`);
  const at = major === 1 ? 10 : 12;
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER) wrong('header too long', `at most ${MAX_HEADER} bytes`, `${length}`);
  if (at + length > Math.min(total, source.size)) wrong('header goes on after the end of the file');
  const text = new TextDecoder('utf-8').decode(source.read(at, length));
  const value = new Literal(text).whole();
  if (!(value instanceof Map)) return wrong('header is no dictionary');
  const keys = [...value.keys()].sort().join(' ');
  if (keys !== 'descr fortran_order shape') wrong('header of other keys', 'descr, fortran_order, shape', quoted(keys));
  const shape = value.get('shape');
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every((d) => typeof d === 'bigint' && d >= 0n))
    return wrong('shape is no tuple of sizes');
  if (typeof value.get('fortran_order') !== 'boolean') wrong('fortran_order is neither True nor False');
  const type = typeOf(value.get('descr'), 0);
  const elements = (shape as bigint[]).reduce((n, d) => n * d, 1n);
  if (elements > 1n << 60n) wrong('array too large', 'at most 2^60 elements', 'more');
  return { objects: type.objects, size: type.bytes === undefined ? undefined : elements * type.bytes, start: at + length };
}

interface Type {
  readonly objects: boolean;
  readonly bytes: bigint | undefined;
}

/** A type's text (`<f4`), or a list of fields `(name, type)` or `(name, type, shape)`. */
function typeOf(descr: Value | undefined, depth: number): Type {
  if (typeof descr === 'string') {
    const simple = /^([<>|=]?)([biufcmMSUVOa?])(\d{0,9})(\[[\w/]{1,40}\])?$/.exec(descr);
    if (simple === null) return wrong('unknown element type', 'such as <f4', quoted(descr));
    const [, , kind, digits] = simple;
    if (kind === 'O') return { objects: true, bytes: undefined };
    if (digits === '') return { objects: false, bytes: kind === '?' ? 1n : undefined };
    return { objects: false, bytes: BigInt(digits) * (kind === 'U' ? 4n : 1n) };
  }
  if (!Array.isArray(descr) || depth > MAX_DEPTH) return wrong('element type is neither a text nor a list of fields');
  let objects = false;
  let bytes: bigint | undefined = 0n;
  for (const field of descr) {
    if (!Array.isArray(field) || field.length < 2 || field.length > 3) return wrong('a field of the element type is no pair');
    const inner = typeOf(field[1], depth + 1);
    const counts: unknown = field[2] === undefined ? [] : Array.isArray(field[2]) ? field[2] : [field[2]];
    const many = (counts as Value[]).reduce<bigint>(
      (n, d) => (typeof d === 'bigint' && d >= 0n ? n * d : wrong('a field of a shape that is none')),
      1n,
    );
    objects ||= inner.objects;
    bytes = bytes === undefined || inner.bytes === undefined ? undefined : bytes + inner.bytes * many;
  }
  return { objects, bytes };
}

type Value = string | bigint | boolean | null | Value[] | Map<string, Value>;

/** Texts, whole numbers, True, False, None, tuples, lists and dictionaries of Python; nothing is computed. */
class Literal {
  readonly #text: string;
  #at = 0;
  constructor(text: string) {
    this.#text = text;
  }

  whole(): Value {
    const value = this.#value(0);
    this.#space();
    return this.#at < this.#text.length ? wrong('header goes on behind its dictionary') : value;
  }

  #space(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  #take(pattern: RegExp): string | undefined {
    this.#space();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #value(depth: number): Value {
    if (depth > MAX_DEPTH) return wrong('header nested too deeply');
    const word = this.#take(/[bu]?'[^'\\\n]*'|[bu]?"[^"\\\n]*"|-?\d{1,40}L?|True|False|None|[([{]/y);
    if (word === undefined)
      return wrong('header that is no plain Python value', undefined, quoted(this.#text.slice(this.#at, this.#at + 40)));
    if (word === '(') return this.#items(/\)/y, depth);
    if (word === '[') return this.#items(/\]/y, depth);
    if (word === '{') return this.#fields(depth);
    if (word === 'None') return null;
    if (word === 'True' || word === 'False') return word === 'True';
    if (/^-?\d/.test(word)) return BigInt(word.replace('L', ''));
    return word.slice(word.search(/['"]/) + 1, -1);
  }

  #items(close: RegExp, depth: number): Value[] {
    const items: Value[] = [];
    while (this.#take(close) === undefined) {
      items.push(this.#value(depth + 1));
      if (this.#take(/,/y) === undefined) {
        if (this.#take(close) === undefined) wrong('header with a bracket that is not closed');
        break;
      }
    }
    return items;
  }

  #fields(depth: number): Map<string, Value> {
    const fields = new Map<string, Value>();
    while (this.#take(/\}/y) === undefined) {
      const key = this.#value(depth + 1);
      if (typeof key !== 'string' || fields.has(key)) return wrong('header with a key that is no text, or is there twice');
      if (this.#take(/:/y) === undefined) wrong('header with a key without value');
      fields.set(key, this.#value(depth + 1));
      if (this.#take(/,/y) === undefined) {
        if (this.#take(/\}/y) === undefined) wrong('header with a bracket that is not closed');
        break;
      }
    }
    return fields;
  }
}
