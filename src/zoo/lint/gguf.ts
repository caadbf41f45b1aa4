/** GGUF (ggml-org/ggml, docs/gguf.md), versions 2 and 3: keys and values, then the tensors' descriptions, then their bytes. */
import { fail } from '../../core/errors.ts';
import type { ByteSource } from '../../data/zip.ts';
import { type Findings, quoted } from './findings.ts';
import { Forward } from './forward.ts';

/** Bytes of a value by its type; 8 is a text, 9 an array. */
const WIDTH: readonly (number | undefined)[] = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8];
const TEXT = 8;
const ARRAY = 9;
const MAX_KEYS = 100_000;
const MAX_TENSORS = 100_000;
/** Texts within arrays: a vocabulary has a few hundred thousand. */
const MAX_ITEMS = 10_000_000;
const MAX_KEY = 65_535;
const MAX_RANK = 8;
const MAX_DEPTH = 8;

const wrong = (what: string, expected?: string, got?: string): never => fail({ where: 'gguf', what, expected, got });

export function lintGguf(source: ByteSource, findings: Findings): void {
  findings.attempt('gguf', () => new Reader(source, findings).read());
}

class Reader {
  readonly #bytes: Forward;
  readonly #findings: Findings;
  #items = 0;

  constructor(source: ByteSource, findings: Findings) {
    this.#bytes = new Forward(source, 4);
    this.#findings = findings;
  }

  read(): void {
    const version = this.#u32();
    if (version !== 2 && version !== 3) wrong('unknown version', '2 or 3', `${version}`);
    const tensors = this.#count(MAX_TENSORS, 'tensors');
    const keys = this.#count(MAX_KEYS, 'keys');
    const seen = new Set<string>();
    let alignment = 32;
    for (let i = 0; i < keys; i++) {
      const key = this.#text(MAX_KEY);
      if (seen.has(key)) wrong(`key ${quoted(key)} is there twice`);
      seen.add(key);
      if (/(^|\.)chat_template(\.|$)/.test(key)) {
        this.#findings.flag('chat-template', `carries a chat template (${quoted(key)}), a program in Jinja that the reading program runs`);
      }
      const type = this.#u32();
      if (key === 'general.alignment' && type === 4) {
        alignment = this.#u32();
        if (alignment === 0 || alignment % 8 !== 0) wrong('alignment is no multiple of 8', undefined, `${alignment}`);
      } else this.#value(type, 0);
    }
    const names = new Set<string>();
    let furthest = 0;
    for (let i = 0; i < tensors; i++) {
      const name = this.#text(MAX_KEY);
      if (names.has(name)) wrong(`tensor ${quoted(name)} is there twice`);
      names.add(name);
      const rank = this.#u32();
      if (rank > MAX_RANK) wrong(`tensor ${quoted(name)} of too many dimensions`, `at most ${MAX_RANK}`, `${rank}`);
      let elements = 1n;
      for (let d = 0; d < rank; d++) elements *= this.#u64();
      if (elements > 1n << 53n) wrong(`tensor ${quoted(name)} is too large`, 'at most 2^53 elements', 'more');
      this.#u32();
      const offset = this.#u64();
      if (offset % BigInt(alignment) !== 0n || offset > 1n << 53n)
        wrong(`tensor ${quoted(name)} begins at a wrong place`, `a multiple of ${alignment}`, `${offset}`);
      furthest = Math.max(furthest, Number(offset));
    }
    const start = Math.ceil(this.#bytes.at / alignment) * alignment;
    if (tensors > 0 && start + furthest >= this.#bytes.at + this.#bytes.left) wrong('a tensor begins after the end of the file');
  }

  #take(length: number): DataView {
    const bytes = this.#bytes.take(length) ?? wrong('ends within its header');
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #u32(): number {
    return this.#take(4).getUint32(0, true);
  }

  #u64(): bigint {
    return this.#take(8).getBigUint64(0, true);
  }

  #count(most: number, what: string): number {
    const count = this.#u64();
    if (count > BigInt(most)) wrong(`too many ${what}`, `at most ${most}`, `${count}`);
    return Number(count);
  }

  #length(): number {
    const length = this.#u64();
    if (length > BigInt(this.#bytes.left)) wrong('a text or list goes on after the end of the file');
    return Number(length);
  }

  #text(longest: number): string {
    const length = this.#length();
    if (length > longest) wrong('a name too long', `at most ${longest} bytes`, `${length}`);
    const view = this.#take(length);
    return new TextDecoder('utf-8').decode(new Uint8Array(view.buffer, view.byteOffset, length));
  }

  #value(type: number, depth: number): void {
    const width = WIDTH[type];
    if (width !== undefined) {
      this.#take(width);
      return;
    }
    if (type === TEXT) {
      this.#bytes.skip(this.#length());
      return;
    }
    if (type !== ARRAY) wrong('a value of unknown type', '0 to 12', `${type}`);
    if (depth >= MAX_DEPTH) wrong('lists within lists', `at most ${MAX_DEPTH} deep`, 'more');
    const item = this.#u32();
    const count = this.#length();
    const fixed = WIDTH[item];
    if (fixed !== undefined) {
      if (!this.#bytes.skip(count * fixed)) wrong('a list goes on after the end of the file');
      return;
    }
    this.#items += count;
    if (this.#items > MAX_ITEMS) wrong('too many texts in lists', `at most ${MAX_ITEMS}`, 'more');
    for (let i = 0; i < count; i++) this.#value(item, depth + 1);
  }
}
