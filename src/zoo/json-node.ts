/** A value that was read from JSON and knows where it stood, so that whoever finds it wrong can say line and column. */
import { type ExitCode, fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';

/** Text, name and code of what is being read; finds lines only when an error needs one. */
export class JsonDocument {
  readonly text: string;
  readonly where: string;
  readonly code: string;
  readonly exitCode: ExitCode;
  #marks: number[] | undefined;

  constructor(text: string, where: string, code: string, exitCode: ExitCode) {
    this.text = text;
    this.where = where;
    this.code = code;
    this.exitCode = exitCode;
  }

  /** Line and column of an offset, both from 1; columns count characters, not UTF-16 units. */
  position(at: number): { line: number; column: number } {
    this.#marks ??= lineMarks(this.text);
    let low = 0;
    let high = this.#marks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#marks[middle] <= at) low = middle;
      else high = middle - 1;
    }
    let line = low * STRIDE + 1;
    let start = this.#marks[low];
    for (let next = this.text.indexOf('\n', start); next >= 0 && next < at; next = this.text.indexOf('\n', start)) {
      start = next + 1;
      line++;
    }
    let column = 1;
    for (let i = start; i < at; i++) if ((this.text.charCodeAt(i) & 0xfc00) !== 0xdc00) column++;
    return { line, column };
  }

  refuse(at: number, what: string, expected?: string, got?: string, hint?: string, exitCode: ExitCode = this.exitCode): never {
    const { line, column } = this.position(at);
    return fail({ code: this.code, where: `${this.where}:${line}:${column}`, what, expected, got, hint, exitCode });
  }
}

/** Lines between two marks: a text may be all line ends, and its index should not be larger than itself. */
const STRIDE = 256;

/** Where every 256th line begins. */
function lineMarks(text: string): number[] {
  const marks = [0];
  let lines = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) if (++lines % STRIDE === 0) marks.push(at + 1);
  return marks;
}

export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

/** How the reader stores a value; numbers as they were written, so that 9007199254740993 is not silently another. */
type Stored = Map<string, JsonNode> | JsonNode[] | string | { raw: string } | boolean | null;

/** A string's bounds; `pattern` must not be one that can take long. */
export interface StringLimits {
  /** UTF-16 units; default 0. */
  readonly min?: number;
  /** UTF-16 units; default 65,536. */
  readonly max?: number;
  readonly pattern?: RegExp;
  /** What is wanted, in words; stands behind `expected`. */
  readonly expected?: string;
}

const LONGEST = 65_536;
/** Characters of a value that a message quotes. */
const QUOTED = 80;

/** Read by `parseJson`; the typed readers throw a SecateurError with the document's code and the value's position. */
export class JsonNode {
  readonly #document: JsonDocument;
  readonly #parent: JsonNode | undefined;
  /** Key or index within the parent. */
  readonly #name: string | number;
  /** Offset of the key's opening quote; -1 for what is no field. */
  readonly keyStart: number;
  /** Offset of the first UTF-16 unit in the text. */
  readonly start: number;
  /** Offset behind the last one; set by the parser. */
  end = 0;
  /** Set by the parser. */
  value: Stored = null;

  constructor(document: JsonDocument, parent: JsonNode | undefined, name: string | number, keyAt: number, start: number) {
    this.#document = document;
    this.#parent = parent;
    this.#name = name;
    this.keyStart = keyAt;
    this.start = start;
  }

  get kind(): JsonKind {
    const { value } = this;
    if (value === null) return 'null';
    if (typeof value === 'string' || typeof value === 'boolean') return typeof value as 'string' | 'boolean';
    return value instanceof Map ? 'object' : Array.isArray(value) ? 'array' : 'number';
  }

  /** From 1. */
  get line(): number {
    return this.#document.position(this.start).line;
  }

  /** `models.lock:12:5` */
  get where(): string {
    const { line, column } = this.#document.position(this.start);
    return `${this.#document.where}:${line}:${column}`;
  }

  /** `"size"`, `entry 3 of "files"`, `the whole file`. */
  get label(): string {
    if (this.#parent === undefined) return 'the whole file';
    if (typeof this.#name === 'string') return JSON.stringify(this.#name);
    return `entry ${this.#name + 1} of ${this.#parent.label}`;
  }

  /** The fields of an object in the order of the file. */
  object(): ReadonlyMap<string, JsonNode> {
    return this.value instanceof Map ? this.value : this.#wrongKind('an object');
  }

  array(limits: { min?: number; max?: number } = {}): readonly JsonNode[] {
    if (!Array.isArray(this.value)) return this.#wrongKind('an array');
    const { min = 0, max = Number.POSITIVE_INFINITY } = limits;
    const count = this.value.length;
    if (count < min) this.refuse(`${this.label} has too few entries`, `at least ${min}`, `${count}`);
    if (count > max) this.refuse(`${this.label} has too many entries`, `at most ${max}`, `${count}`);
    return this.value;
  }

  /** A field that must be there. */
  field(name: string): JsonNode {
    return this.object().get(name) ?? this.refuse(`${this.label} lacks a field`, JSON.stringify(name), this.#keys());
  }

  /** A field that may be missing; null is a value, not a missing field. */
  optional(name: string): JsonNode | undefined {
    return this.object().get(name);
  }

  /** Refuses fields of other names, at the position of the first such key. */
  only(...names: readonly string[]): this {
    for (const [key, node] of this.object()) {
      if (names.includes(key)) continue;
      const close = nearest(key, names);
      const hint = close === undefined ? undefined : `"${close}"`;
      return this.#document.refuse(node.keyStart, 'an unknown field', `one of ${names.join(', ')}`, quote(key), hint);
    }
    return this;
  }

  string(limits: StringLimits = {}): string {
    const { value } = this;
    const { min = 0, max = LONGEST, pattern, expected } = limits;
    if (typeof value !== 'string') return this.#wrongKind(expected ?? 'a string');
    if (value.length < min) this.refuse(`${this.label} is too short`, expected ?? `at least ${min} characters`, quote(value));
    if (value.length > max) this.refuse(`${this.label} is too long`, `at most ${max} characters`, `${value.length}`);
    if (pattern !== undefined && !pattern.test(value)) this.refuse(`${this.label} is not right`, expected ?? `${pattern}`, quote(value));
    return value;
  }

  /** One of some words. */
  oneOf<T extends string>(words: readonly T[]): T {
    const text = this.string({ expected: `one of ${words.join(', ')}` });
    if ((words as readonly string[]).includes(text)) return text as T;
    const close = nearest(text, words);
    return this.refuse(
      `${this.label} is not right`,
      `one of ${words.join(', ')}`,
      quote(text),
      close === undefined ? undefined : `"${close}"`,
    );
  }

  /**
   * A whole number written in digits, within -(2^53 - 1)..2^53 - 1 and the bounds.
   * @param limits with `fraction` also `8.0` and `1e3`, as other programs write whole numbers
   */
  integer(limits: { min?: number; max?: number; fraction?: boolean } = {}): number {
    const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER, fraction = false } = limits;
    const raw = this.raw;
    const value = Number(raw);
    if (raw === undefined || (fraction ? !Number.isInteger(value) : !/^-?[0-9]+$/.test(raw)) || !(value >= min && value <= max)) {
      return this.#wrongKind(`a whole number, ${min} to ${max}`);
    }
    return value === 0 ? 0 : value;
  }

  number(): number {
    return this.raw === undefined ? this.#wrongKind('a number') : Number(this.raw);
  }

  /** A number as it is written; undefined for other kinds. */
  get raw(): string | undefined {
    const { value } = this;
    return value !== null && typeof value === 'object' && 'raw' in value ? value.raw : undefined;
  }

  boolean(): boolean {
    return typeof this.value === 'boolean' ? this.value : this.#wrongKind('true or false');
  }

  /** Throws at this value's position. */
  refuse(what: string, expected?: string, got?: string, hint?: string, exitCode?: ExitCode): never {
    return this.#document.refuse(this.start, what, expected, got, hint, exitCode);
  }

  /** Throws at the position of this value's key. */
  refuseKey(what: string, expected?: string, got?: string, hint?: string): never {
    return this.#document.refuse(this.keyStart < 0 ? this.start : this.keyStart, what, expected, got, hint);
  }

  /** `models.lock:12:5` of this value's key. */
  get whereKey(): string {
    const { line, column } = this.#document.position(this.keyStart < 0 ? this.start : this.keyStart);
    return `${this.#document.where}:${line}:${column}`;
  }

  #wrongKind(expected: string): never {
    return this.refuse(`${this.label} is not right`, expected, this.#shown());
  }

  #keys(): string {
    const keys = [...this.object().keys()];
    if (keys.length === 0) return 'an empty object';
    return keys.length > 8 ? `${keys.slice(0, 8).map(quote).join(', ')} and ${keys.length - 8} more` : keys.map(quote).join(', ');
  }

  #shown(): string {
    const { value } = this;
    if (typeof value === 'string') return quote(value);
    if (value instanceof Map) return 'an object';
    if (Array.isArray(value)) return 'an array';
    return String(this.raw ?? value).slice(0, QUOTED);
  }
}

const quote = (text: string): string => JSON.stringify(text.length > QUOTED ? `${text.slice(0, QUOTED)}...` : text);

/**
 * The value as plain JavaScript. Objects have no prototype, so that no key of the file (`__proto__`, `constructor`) reaches anything but
 * itself; numbers become doubles.
 */
export function toPlain(node: JsonNode): unknown {
  const { value } = node;
  if (value instanceof Map) {
    const plain: Record<string, unknown> = Object.create(null);
    for (const [key, child] of value) plain[key] = toPlain(child);
    return plain;
  }
  if (Array.isArray(value)) return value.map(toPlain);
  return node.raw === undefined ? value : Number(node.raw);
}
