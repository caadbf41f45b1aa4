/**
 * As much of HDF5 (File Format Specification, version 3.0) as it takes to read the texts among the root group's attributes: superblocks 0 to
 * 3, object headers 1 and 2, attribute messages, the global heap. Every way to store an attribute that is not read here is refused, so that
 * nothing can be hidden in one.
 */
import { fail } from '../../core/errors.ts';
import type { ByteSource } from '../../data/zip.ts';

/** Blocks of one object header, and messages in all of them. */
const MAX_BLOCKS = 1000;
const MAX_MESSAGES = 100_000;
/** Bytes of one block of messages. */
const MAX_BLOCK = 4_000_000;
/** Bytes of one text. */
const MAX_TEXT = 16_000_000;
/** Objects that are stepped over in one collection of the global heap. */
const MAX_HEAP_OBJECTS = 1_000_000;

const ATTRIBUTE = 0x0c;
const CONTINUATION = 0x10;
const ATTRIBUTE_INFO = 0x15;

const wrong = (what: string, expected?: string, got?: string): never => fail({ where: 'hdf5', what, expected, got });

/** The attributes of the root group that are single texts; those of other types, or not wanted, are there with undefined. */
export function rootTexts(source: ByteSource, start: number, wanted: readonly string[]): Map<string, string | undefined> {
  return new Reader(source, start, wanted).attributes();
}

class Reader {
  readonly #source: ByteSource;
  /** Addresses in the file count from here. */
  #base = 0;
  /** Bytes of an address and of a length. */
  #address = 8;
  #length = 8;
  readonly #start: number;
  readonly #wanted: readonly string[];

  constructor(source: ByteSource, start: number, wanted: readonly string[]) {
    this.#wanted = wanted;
    this.#source = source;
    this.#start = start;
  }

  #read(at: number, length: number): DataView {
    if (!(at >= 0 && at + length <= this.#source.size)) wrong('something lies outside of the file');
    const bytes = this.#source.read(at, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  /** A little-endian number of `width` bytes; all ones, which stands for nowhere, is infinite. */
  #number(view: DataView, at: number, width: number): number {
    if (at + width > view.byteLength) wrong('a number goes on after its block');
    let value = 0;
    let ones = true;
    for (let i = width - 1; i >= 0; i--) {
      const byte = view.getUint8(at + i);
      ones &&= byte === 0xff;
      value = value * 256 + byte;
    }
    return ones && width >= 2 ? Number.POSITIVE_INFINITY : value;
  }

  attributes(): Map<string, string | undefined> {
    const found = new Map<string, string | undefined>();
    for (const { type, flags, view } of this.#messages(this.#root())) {
      if (type === ATTRIBUTE_INFO) this.#checkDense(view);
      if (type !== ATTRIBUTE) continue;
      if ((flags & 2) !== 0) wrong('an attribute that is shared with another object is not looked at');
      const { name, text } = this.#attribute(view);
      if (found.has(name)) wrong('an attribute is there twice', undefined, name);
      found.set(name, text);
    }
    return found;
  }

  /** Reads the superblock; where the root group's header is. */
  #root(): number {
    const version = this.#read(this.#start + 8, 1).getUint8(0);
    if (version > 3) wrong('unknown superblock', 'version 0 to 3', `${version}`);
    const old = version < 2;
    const widths = this.#read(this.#start + (old ? 13 : 9), 2);
    [this.#address, this.#length] = [widths.getUint8(0), widths.getUint8(1)];
    if (![2, 4, 8].includes(this.#address) || ![2, 4, 8].includes(this.#length)) wrong('addresses of an unknown size');
    const at = this.#start + (old ? (version === 0 ? 24 : 28) : 12);
    const addresses = this.#read(at, 6 * this.#address);
    this.#base = this.#number(addresses, 0, this.#address);
    // Files with something before them keep their base there, or say 0 and mean where the superblock is.
    if (this.#base !== this.#start && this.#base !== 0) wrong('the base address is not where the file begins');
    this.#base = this.#start;
    // 0 and 1: base, free space, end, driver, then the root's symbol table entry; 2 and 3: base, extension, end, root
    return this.#number(addresses, (old ? 5 : 3) * this.#address, this.#address);
  }

  *#messages(root: number): Generator<{ type: number; flags: number; view: DataView }> {
    const at = this.#base + root;
    const second = this.#read(at, 4).getUint32(0) === 0x4f484452;
    const open: { at: number; length: number }[] = [];
    let order = false;
    if (second) {
      const flags = this.#read(at + 5, 1).getUint8(0);
      if (this.#read(at + 4, 1).getUint8(0) !== 2) wrong('unknown object header');
      order = (flags & 4) !== 0;
      const width = 1 << (flags & 3);
      const sizeAt = at + 6 + ((flags & 0x20) !== 0 ? 16 : 0) + ((flags & 0x10) !== 0 ? 4 : 0);
      open.push({ at: sizeAt + width, length: this.#number(this.#read(sizeAt, width), 0, width) });
    } else {
      const head = this.#read(at, 16);
      if (head.getUint8(0) !== 1) wrong('unknown object header');
      open.push({ at: at + 16, length: head.getUint32(8, true) });
    }
    let messages = 0;
    const seen = new Set<number>();
    for (let block = open.pop(); block !== undefined; block = open.pop()) {
      if (seen.has(block.at) || seen.size > MAX_BLOCKS) wrong('blocks of an object header that go round in a circle, or are too many');
      seen.add(block.at);
      if (!(block.length <= MAX_BLOCK)) wrong('a block of an object header is too long', `at most ${MAX_BLOCK} bytes`, `${block.length}`);
      const view = this.#read(block.at, block.length);
      const head = second ? (order ? 6 : 4) : 8;
      for (let p = 0; p + head <= view.byteLength; ) {
        if (++messages > MAX_MESSAGES) wrong('too many messages in an object header');
        const type = second ? view.getUint8(p) : view.getUint16(p, true);
        const size = view.getUint16(second ? p + 1 : p + 2, true);
        const flags = view.getUint8(second ? p + 3 : p + 4);
        if (p + head + size > view.byteLength) wrong('a message goes on after its block');
        const body = new DataView(view.buffer, view.byteOffset + p + head, size);
        if (type === CONTINUATION) {
          const [next, length] = [this.#number(body, 0, this.#address), this.#number(body, this.#address, this.#length)];
          // in the second form a block begins with OCHK and ends with a checksum
          open.push(second ? { at: this.#base + next + 4, length: length - 8 } : { at: this.#base + next, length });
        } else yield { type, flags, view: body };
        p += head + size;
      }
    }
  }

  /** Many attributes, or long ones, may lie in a heap and a tree of their own. */
  #checkDense(view: DataView): void {
    const flags = view.getUint8(1);
    if (this.#number(view, 2 + ((flags & 1) !== 0 ? 2 : 0), this.#address) !== Number.POSITIVE_INFINITY) {
      wrong('its attributes are stored in a form that is not looked into (a fractal heap)');
    }
  }

  #attribute(view: DataView): { name: string; text: string | undefined } {
    if (view.byteLength < 8) wrong('an attribute too short');
    const version = view.getUint8(0);
    if (version < 1 || version > 3) wrong('unknown attribute', 'version 1 to 3', `${version}`);
    const [nameSize, typeSize, spaceSize] = [view.getUint16(2, true), view.getUint16(4, true), view.getUint16(6, true)];
    const padded = (n: number): number => (version === 1 ? Math.ceil(n / 8) * 8 : n);
    const nameAt = version === 3 ? 9 : 8;
    const typeAt = nameAt + padded(nameSize);
    const spaceAt = typeAt + padded(typeSize);
    const dataAt = spaceAt + padded(spaceSize);
    if (dataAt > view.byteLength || typeSize < 8 || spaceSize < 4) wrong('an attribute goes on after its message');
    const name = textOf(view, nameAt, nameSize);
    const shared = version > 1 && (view.getUint8(1) & 3) !== 0;
    if (shared) wrong('an attribute whose type is shared with another object is not looked at', undefined, name);
    const single = view.getUint8(spaceAt + 1) === 0;
    return { name, text: single && this.#wanted.includes(name) ? this.#text(view, typeAt, dataAt) : undefined };
  }

  /** A single value as text; undefined for other types. */
  #text(view: DataView, typeAt: number, dataAt: number): string | undefined {
    const kind = view.getUint8(typeAt) & 15;
    const size = view.getUint32(typeAt + 4, true);
    if (kind === 3) {
      if (dataAt + size > view.byteLength) wrong('a text goes on after its attribute');
      return textOf(view, dataAt, size);
    }
    if (kind !== 9 || (view.getUint8(typeAt + 1) & 15) !== 1) return undefined;
    if (dataAt + 8 + this.#address > view.byteLength) wrong('a text goes on after its attribute');
    const length = view.getUint32(dataAt, true);
    const heap = this.#number(view, dataAt + 4, this.#address);
    const index = view.getUint32(dataAt + 4 + this.#address, true);
    return length === 0 ? '' : this.#heapText(this.#base + heap, index, length);
  }

  /** Object `index` of a collection of the global heap. */
  #heapText(at: number, index: number, length: number): string {
    const head = this.#read(at, 8 + this.#length);
    if (head.getUint32(0) !== 0x47434f4c) wrong('no collection of the global heap where one should be');
    const end = at + this.#number(head, 8, this.#length);
    const step = 8 + this.#length;
    let p = at + step;
    for (let i = 0; i < MAX_HEAP_OBJECTS && p + step <= end; i++) {
      const object = this.#read(p, step);
      const [number, size] = [object.getUint16(0, true), this.#number(object, 8, this.#length)];
      if (number === index) {
        if (length > size || length > MAX_TEXT)
          wrong('a text is longer than its place', `at most ${Math.min(size, MAX_TEXT)} bytes`, `${length}`);
        return textOf(this.#read(p + step, length), 0, length);
      }
      if (number === 0) break;
      p += step + Math.ceil(size / 8) * 8;
    }
    return wrong('a text is not in the global heap');
  }
}

/** Up to the first NUL, which pads texts and ends those of C. */
function textOf(view: DataView, at: number, length: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, length);
  const end = bytes.indexOf(0);
  return new TextDecoder('utf-8').decode(end < 0 ? bytes : bytes.subarray(0, end));
}
