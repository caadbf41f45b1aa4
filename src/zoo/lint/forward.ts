/** Bytes of a file from front to back, a window at a time; what is skipped is not read. */
import { joinBytes } from '../../core/bytes.ts';
import type { ByteSource } from '../../data/zip.ts';

const WINDOW = 1 << 16;

export class Forward {
  readonly #source: ByteSource;
  readonly #end: number;
  #window: Uint8Array = new Uint8Array();
  /** Where the window begins in the source. */
  #base: number;
  #next = 0;

  /** From `start` to `end` of a source. */
  constructor(source: ByteSource, start = 0, end = source.size) {
    this.#source = source;
    this.#base = start;
    this.#end = end;
  }

  /** Offset of the next byte in the source. */
  get at(): number {
    return this.#base + this.#next;
  }

  get left(): number {
    return this.#end - this.at;
  }

  /** The next byte; -1 at the end. */
  byte(): number {
    if (this.#next >= this.#window.length && !this.#fill()) return -1;
    return this.#window[this.#next++];
  }

  #fill(): boolean {
    this.#base += this.#next;
    this.#next = 0;
    const length = Math.min(WINDOW, this.#end - this.#base);
    this.#window = length > 0 ? this.#source.read(this.#base, length) : new Uint8Array();
    return length > 0;
  }

  /** The next `length` bytes, which the caller has bounded; undefined if there are fewer. */
  take(length: number): Uint8Array | undefined {
    if (length > this.left) return undefined;
    const bytes = this.#next + length <= this.#window.length ? this.#window.subarray(this.#next, this.#next + length) : this.#far(length);
    this.#next += length;
    return bytes;
  }

  #far(length: number): Uint8Array {
    return this.#source.read(this.at, length);
  }

  /** Goes on behind the next `length` bytes; false if there are fewer. */
  skip(length: number): boolean {
    if (!(length <= this.left)) return false;
    this.#next += length;
    if (this.#next > this.#window.length) {
      this.#base += this.#next;
      this.#next = 0;
      this.#window = new Uint8Array();
    }
    return true;
  }

  /**
   * The bytes up to the next line end, which is passed and not given.
   * @returns undefined at the end of the bytes; null for a line longer than `longest`, which is passed too
   */
  line(longest: number): Uint8Array | undefined | null {
    let parts: Uint8Array | undefined;
    let length = 0;
    for (;;) {
      if (this.#next >= this.#window.length && !this.#fill()) return undefined;
      const end = this.#window.indexOf(0x0a, this.#next);
      const piece = this.#window.subarray(this.#next, end < 0 ? undefined : end);
      this.#next += piece.length + (end < 0 ? 0 : 1);
      length += piece.length;
      if (end >= 0 && parts === undefined) return length > longest ? null : piece;
      if (length > longest) parts = new Uint8Array();
      else parts = joinBytes([parts ?? new Uint8Array(), piece]);
      if (end >= 0) return length > longest ? null : parts;
    }
  }
}
