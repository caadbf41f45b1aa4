/**
 * The one source of randomness: xoroshiro128+ of the library pure-rand, seeded by hashing a seed and labels. Streams with different
 * labels are independent of each other and of how much another stream was used, so adding a draw in one place changes no other place.
 */
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { fail } from './errors.ts';
import { sha256Bytes } from './hash.ts';

export type RngLabel = string | number;

export class Rng {
  /** Four 32-bit words that name this stream; forks are derived from them, not from the position in the stream. */
  readonly #key: readonly number[];
  #generator: RandomGenerator;
  /** Second half of a pair of normals. */
  #spare: number | undefined;

  private constructor(key: readonly number[], generator: RandomGenerator, spare?: number) {
    this.#key = key;
    this.#generator = generator;
    this.#spare = spare;
  }

  /** A stream named by a seed (any finite number) and labels: `Rng.from(seed, 'shuffle', epoch)`. */
  static from(seed: number, ...labels: RngLabel[]): Rng {
    if (!Number.isFinite(seed)) fail({ where: 'seed', what: 'not a number', expected: 'a finite number', got: String(seed), exitCode: 2 });
    return labels.reduce<Rng>((rng, label) => rng.fork(label), Rng.#keyed(JSON.stringify(['seed', seed])));
  }

  static #keyed(text: string): Rng {
    const digest = sha256Bytes(text);
    const words = new DataView(digest.buffer, digest.byteOffset, 32);
    const key = [0, 4, 8, 12].map((at) => words.getInt32(at, true));
    return new Rng(key, xoroshiro128plusFromState(key));
  }

  /** A stream of its own, the same whether or not this one was used before. */
  fork(label: RngLabel): Rng {
    return Rng.#keyed(JSON.stringify([...this.#key, label]));
  }

  /** Uniform in [0, 1), 53 random bits. */
  next(): number {
    return uniformFloat64(this.#generator);
  }

  /** Uniform in [lo, hi). */
  uniform(lo: number, hi: number): number {
    return lo + (hi - lo) * this.next();
  }

  /** Uniform integer 0..n-1, without modulo bias; n is 1..2^32. */
  int(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 2 ** 32) throw new RangeError(`Rng.int: n must be an integer 1..2^32, got ${n}`);
    return uniformInt(this.#generator, 0, n - 1);
  }

  /** Normal by Marsaglia's polar method. */
  normal(mean = 0, sd = 1): number {
    if (this.#spare !== undefined) {
      const z = this.#spare;
      this.#spare = undefined;
      return mean + sd * z;
    }
    for (;;) {
      const u = 2 * this.next() - 1;
      const v = 2 * this.next() - 1;
      const s = u * u + v * v;
      if (s >= 1 || s === 0) continue;
      const scale = Math.sqrt((-2 * Math.log(s)) / s);
      this.#spare = v * scale;
      return mean + sd * (u * scale);
    }
  }

  /** Shuffles in place (Fisher-Yates) and returns its argument. */
  shuffle<T extends Int32Array | unknown[]>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = uniformInt(this.#generator, 0, i);
      const held = items[i];
      items[i] = items[j];
      items[j] = held;
    }
    return items;
  }

  /** 0..n-1 in random order. */
  permutation(n: number): Int32Array {
    return this.shuffle(Int32Array.from({ length: n }, (_, i) => i));
  }

  /** Everything needed to go on from here, as plain numbers; see {@link Rng.restore}. */
  state(): number[] {
    const words = [...this.#key, ...this.#generator.getState()];
    return this.#spare === undefined ? words : [...words, this.#spare];
  }

  /** A generator that goes on exactly where `state()` was called. Throws RangeError for anything else than such a state. */
  static restore(state: readonly number[]): Rng {
    if ((state.length !== 8 && state.length !== 9) || !state.every((v) => Number.isFinite(v))) {
      throw new RangeError(`Rng.restore: expected the 8 or 9 numbers of Rng.state(), got ${state.length}`);
    }
    return new Rng(state.slice(0, 4), xoroshiro128plusFromState(state.slice(4, 8)), state[8]);
  }
}
