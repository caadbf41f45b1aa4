/**
 * JSON (RFC 8259) read strictly and with positions. `JSON.parse` takes the last of two equal keys, turns 1e400 into infinity and says
 * nothing about where a value of the wrong kind stands; a file that decides what is installed deserves better. One pass, no recursion
 * beyond `maxDepth`, memory in proportion to the number of values, which is bounded too.
 */
import { type ExitCode, fail } from '../core/errors.ts';
import { JsonDocument, JsonNode } from './json-node.ts';

export { JsonNode, toPlain } from './json-node.ts';

export interface JsonOptions {
  /** Stands first in every message; default `E_JSON`. */
  readonly code?: string;
  /** Objects and arrays within each other, 1..512; default 64. */
  readonly maxDepth?: number;
  /** Values of all kinds together; default 500,000. */
  readonly maxValues?: number;
  /** UTF-16 units of the text; default 64 Mi. */
  readonly maxChars?: number;
  /** Default 1. */
  readonly exitCode?: ExitCode;
}

const DEPTH = 64;
const DEEPEST = 512;
const VALUES = 500_000;
const CHARS = 2 ** 26;

/**
 * The value that a text holds. Refused, with line and column: anything that RFC 8259 does not allow (comments, trailing commas, NaN,
 * single quotes), and what it allows but readers disagree on: two equal keys in one object, lone surrogates, a byte order mark, numbers
 * beyond the range of a double. Conflict markers of a merge are told as such.
 * @param where the file as the user knows it; messages say `where:LINE:COLUMN`
 * @throws SecateurError with `o.code`
 */
export function parseJson(text: string, where: string, o: JsonOptions = {}): JsonNode {
  const document = new JsonDocument(text, where, o.code ?? 'E_JSON', o.exitCode ?? 1);
  const maxChars = o.maxChars ?? CHARS;
  if (text.length > maxChars) {
    const got = `${text.length}`;
    return fail({
      code: document.code,
      where,
      what: 'too long',
      expected: `at most ${maxChars} characters`,
      got,
      exitCode: document.exitCode,
    });
  }
  return new Parser(document, Math.min(o.maxDepth ?? DEPTH, DEEPEST), o.maxValues ?? VALUES).document();
}

/**
 * {@link parseJson} over bytes, which must be UTF-8 (RFC 8259 section 8.1) without byte order mark. `maxChars` bounds the bytes.
 * @throws SecateurError with `o.code`
 */
export function parseJsonBytes(bytes: Uint8Array, where: string, o: JsonOptions = {}): JsonNode {
  return parseJson(decodeUtf8(bytes, where, o), where, o);
}

/**
 * The text of UTF-8 bytes. A byte order mark is kept, for the parser to refuse.
 * @throws SecateurError with `o.code` where the bytes are no UTF-8 or more than `o.maxChars`
 */
export function decodeUtf8(bytes: Uint8Array, where: string, o: Pick<JsonOptions, 'code' | 'maxChars' | 'exitCode'> = {}): string {
  const { code = 'E_JSON', maxChars = CHARS, exitCode } = o;
  if (bytes.length > maxChars)
    fail({ code, where, what: 'too long', expected: `at most ${maxChars} bytes`, got: `${bytes.length}`, exitCode });
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return fail({ code, where, what: 'not a text', expected: 'UTF-8', got: `bytes that are none (${startOf(bytes)})`, exitCode });
  }
}

const startOf = (bytes: Uint8Array): string =>
  `it begins with ${Array.from(bytes.subarray(0, 8), (b) => b.toString(16).padStart(2, '0')).join(' ')}`;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** A number at the sticky position; RFC 8259 section 6. */
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
/** What a person might have meant as a word or a number, to be quoted in a message. */
const WORD = /[-+.\w]{1,40}/y;
/** A line that Git leaves in a file it could not merge. No such line can stand in JSON, since strings hold no line ends. */
const CONFLICT = /^(?:<{7}|={7}|>{7}|\|{7})(?:[ \t].*)?\r?$/m;
const WORDS: ReadonlyMap<string, boolean | null> = new Map<string, boolean | null>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

class Parser {
  readonly #document: JsonDocument;
  readonly #text: string;
  readonly #maxDepth: number;
  readonly #maxValues: number;
  #at = 0;
  #depth = 0;
  #values = 0;

  constructor(document: JsonDocument, maxDepth: number, maxValues: number) {
    this.#document = document;
    this.#text = document.text;
    this.#maxDepth = maxDepth;
    this.#maxValues = maxValues;
  }

  document(): JsonNode {
    if (this.#text.charCodeAt(0) === 0xfeff) {
      this.#refuse('begins with a byte order mark', 'plain UTF-8', 'U+FEFF', 'saving the file as UTF-8 without BOM');
    }
    this.#space();
    const node = this.#value(undefined, '', -1);
    this.#space();
    if (this.#at < this.#text.length) this.#unexpected('the end of the file');
    return node;
  }

  #space(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
      this.#at++;
    }
  }

  #value(parent: JsonNode | undefined, name: string | number, keyAt: number): JsonNode {
    if (++this.#values > this.#maxValues) this.#refuse('too many values', `at most ${this.#maxValues}`, 'more');
    const node = new JsonNode(this.#document, parent, name, keyAt, this.#at);
    switch (this.#text.charCodeAt(this.#at)) {
      case OPEN_OBJECT:
        this.#object(node);
        break;
      case OPEN_ARRAY:
        this.#array(node);
        break;
      case QUOTE:
        node.value = this.#string();
        break;
      default:
        node.value = this.#word();
    }
    node.end = this.#at;
    return node;
  }

  #enter(): void {
    if (++this.#depth > this.#maxDepth) this.#refuse('objects or arrays too deep within each other', `at most ${this.#maxDepth}`, 'more');
    this.#at++;
    this.#space();
  }

  #object(node: JsonNode): void {
    this.#enter();
    const fields = new Map<string, JsonNode>();
    node.value = fields;
    if (this.#text.charCodeAt(this.#at) !== CLOSE_OBJECT) {
      do {
        this.#space();
        const keyAt = this.#at;
        if (this.#text.charCodeAt(keyAt) !== QUOTE)
          this.#unexpected(fields.size === 0 ? 'a key in double quotes, or }' : 'a key in double quotes');
        const key = this.#string();
        const first = fields.get(key);
        if (first !== undefined) {
          this.#at = keyAt;
          const got = `a second ${JSON.stringify(key)}; the first is in line ${first.line}`;
          this.#refuse(
            'the same key twice in one object',
            'each key once',
            got,
            'removing the wrong one: programs differ in which they take',
          );
        }
        this.#space();
        if (this.#text.charCodeAt(this.#at) !== COLON) this.#unexpected('a colon after the key');
        this.#at++;
        this.#space();
        fields.set(key, this.#value(node, key, keyAt));
        this.#space();
      } while (this.#more(CLOSE_OBJECT, 'a comma or }'));
    }
    this.#at++;
    this.#depth--;
  }

  #array(node: JsonNode): void {
    this.#enter();
    const items: JsonNode[] = [];
    node.value = items;
    if (this.#text.charCodeAt(this.#at) !== CLOSE_ARRAY) {
      do {
        this.#space();
        items.push(this.#value(node, items.length, -1));
        this.#space();
      } while (this.#more(CLOSE_ARRAY, 'a comma or ]'));
    }
    this.#at++;
    this.#depth--;
  }

  /** Past a comma, if one stands here. */
  #more(close: number, expected: string): boolean {
    const c = this.#text.charCodeAt(this.#at);
    if (c === close) return false;
    if (c !== COMMA) this.#unexpected(expected);
    const comma = this.#at++;
    this.#space();
    if (this.#text.charCodeAt(this.#at) === close) {
      this.#at = comma;
      this.#refuse('a comma after the last entry', `no comma before ${String.fromCharCode(close)}`, 'a comma');
    }
    return true;
  }

  /** Checked unit by unit; where there are escapes, `JSON.parse` then puts the characters in, which builds no string per escape. */
  #string(): string {
    const opening = this.#at++;
    let escaped = false;
    for (;;) {
      let c = this.#text.charCodeAt(this.#at);
      while (plain(c) || this.#pair(c)) c = this.#text.charCodeAt(++this.#at);
      if (c === QUOTE) {
        this.#at++;
        if (escaped) return JSON.parse(this.#text.slice(opening, this.#at)) as string;
        return this.#text.slice(opening + 1, this.#at - 1);
      }
      if (c === BACKSLASH) {
        escaped = true;
        this.#escape();
      } else if (c >= 0xd800) this.#refuse('half of a character', 'both surrogates', codeOf(c));
      else if (Number.isNaN(c) || c === 0x0a || c === 0x0d) {
        this.#at = opening;
        const got = Number.isNaN(c) ? 'the end of the file' : 'the end of the line';
        this.#refuse('a string without end', 'a closing quote in the same line', got);
      } else this.#refuse('a control character in a string', 'an escape such as \\u0009', codeOf(c));
    }
  }

  /** Whether a unit begins a character of two; the position then moves to the second. */
  #pair(unit: number): boolean {
    if (unit < 0xd800 || unit > 0xdbff) return false;
    const low = this.#text.charCodeAt(this.#at + 1);
    if (!(low >= 0xdc00 && low <= 0xdfff)) return false;
    this.#at++;
    return true;
  }

  /** Past an escape; a pair of `\u` escapes must make one character. */
  #escape(): void {
    const start = this.#at;
    const letter = this.#text[start + 1] ?? '';
    if (letter !== 'u') {
      if (letter === '' || !'"\\/bfnrt'.includes(letter)) {
        this.#refuse('an unknown escape', '\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u and four hex digits', `\\${letter}`);
      }
      this.#at += 2;
      return;
    }
    const high = this.#unit();
    if (high < 0xd800 || high > 0xdfff) return;
    const paired = high < 0xdc00 && this.#text.startsWith('\\u', this.#at);
    const low = paired ? this.#unit() : 0;
    if (low < 0xdc00 || low > 0xdfff) {
      this.#at = start;
      this.#refuse('half of a character', 'both surrogates', `\\u${high.toString(16)}`);
    }
  }

  /** `\uXXXX` at the position. */
  #unit(): number {
    const digits = this.#text.slice(this.#at + 2, this.#at + 6);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.#refuse('an unfinished escape', '\\u and four hex digits', `\\u${digits}`);
    this.#at += 6;
    return Number.parseInt(digits, 16);
  }

  /** A number, kept as it is written, or `true`, `false`, `null`. */
  #word(): boolean | null | { raw: string } {
    NUMBER.lastIndex = this.#at;
    const numeral = NUMBER.test(this.#text) ? this.#text.slice(this.#at, NUMBER.lastIndex) : undefined;
    WORD.lastIndex = this.#at;
    const word = WORD.test(this.#text) ? this.#text.slice(this.#at, WORD.lastIndex) : '';
    if (numeral !== undefined && numeral.length >= word.length) {
      if (!Number.isFinite(Number(numeral))) this.#refuse('a number out of range', 'at most 1.8e308 in size', numeral);
      this.#at += numeral.length;
      return { raw: numeral };
    }
    const known = WORDS.get(word);
    if (known === undefined) this.#unexpected('a value');
    this.#at += word.length;
    return known as boolean | null;
  }

  #unexpected(expected: string): never {
    WORD.lastIndex = this.#at;
    const word = WORD.test(this.#text) ? this.#text.slice(this.#at, WORD.lastIndex) : undefined;
    const point = this.#text.codePointAt(this.#at);
    const shown = point === undefined ? 'the end of the file' : point <= 0x20 || point > 0x7e ? codeOf(point) : String.fromCodePoint(point);
    return this.#refuse('not valid JSON', expected, word ?? shown);
  }

  #refuse(what: string, expected: string, got: string, hint?: string): never {
    const marker = CONFLICT.exec(this.#text);
    if (marker !== null) {
      const hint = 'resolving the merge in the file, then the same command again';
      return this.#document.refuse(
        marker.index,
        'a merge conflict that was not resolved',
        'no conflict markers',
        marker[0].slice(0, 7),
        hint,
      );
    }
    return this.#document.refuse(this.#at, what, expected, got, hint);
  }
}

/** Units that a string may simply hold; NaN, behind the end, is none. */
const plain = (unit: number): boolean => unit >= 0x20 && unit !== QUOTE && unit !== BACKSLASH && (unit < 0xd800 || unit > 0xdfff);

const codeOf = (point: number): string => `U+${point.toString(16).toUpperCase().padStart(4, '0')}`;
