import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';

/** Written down from the first run: a change of these breaks the repeatability of published runs. */
const GOLDEN_INT = 163989;
const GOLDEN_ORDER = [6, 5, 4, 1, 7, 2, 0, 3];

const take = (rng: Rng, n: number): number[] => Array.from({ length: n }, () => rng.next());

describe('Rng', () => {
  it('gives the same numbers for the same seed, on every machine and for ever', () => {
    const rng = Rng.from(1, 'golden');
    expect(take(rng, 3)).toEqual(take(Rng.from(1, 'golden'), 3));
    expect(Rng.from(42).int(1_000_000)).toBe(GOLDEN_INT);
    expect([...Rng.from(42, 'order').permutation(8)]).toEqual(GOLDEN_ORDER);
  });

  it('gives other numbers for another seed, another label, and labels split differently', () => {
    const first = [
      Rng.from(1),
      Rng.from(2),
      Rng.from(-1),
      Rng.from(1.5),
      Rng.from(1, 'a'),
      Rng.from(1, 'b'),
      Rng.from(1, 'a', 'b'),
      Rng.from(1, 'ab'),
      Rng.from(1, 1),
      Rng.from(1, '1'),
    ].map((r) => r.next());
    expect(new Set(first).size).toBe(first.length);
  });

  it('forks independently of how far the parent has run, and labels of from() are forks', () => {
    const used = Rng.from(7);
    take(used, 100);
    used.normal();
    expect(take(used.fork('x'), 5)).toEqual(take(Rng.from(7).fork('x'), 5));
    expect(take(used.fork('x'), 5)).toEqual(take(Rng.from(7, 'x'), 5));
  });

  it('goes on after restore() exactly where state() was taken', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.constantFrom('next', 'normal', 'int'), { maxLength: 12 }), (seed, steps) => {
        const rng = Rng.from(seed);
        for (const step of steps) step === 'int' ? rng.int(10) : rng[step as 'next' | 'normal']();
        const copy = Rng.restore(JSON.parse(JSON.stringify(rng.state())) as number[]);
        expect([copy.normal(), copy.next(), copy.int(9), copy.normal()]).toEqual([rng.normal(), rng.next(), rng.int(9), rng.normal()]);
        expect(copy.fork('f').next()).toBe(rng.fork('f').next());
      }),
    );
  });

  it('is uniform and normal enough: moments within five standard errors', () => {
    const n = 40_000;
    const rng = Rng.from(3, 'moments');
    const uniform = Array.from({ length: n }, () => rng.uniform(-1, 3));
    const normal = Array.from({ length: n }, () => rng.normal(2, 0.5));
    const mean = (v: number[]): number => v.reduce((a, b) => a + b) / v.length;
    const variance = (v: number[]): number => mean(v.map((x) => (x - mean(v)) ** 2));
    // sd of uniform(-1,3) is 4/sqrt(12); standard error of the mean sd/sqrt(n).
    expect(Math.abs(mean(uniform) - 1)).toBeLessThan((5 * 4) / Math.sqrt(12) / Math.sqrt(n));
    expect(Math.min(...uniform)).toBeGreaterThanOrEqual(-1);
    expect(Math.max(...uniform)).toBeLessThan(3);
    expect(Math.abs(mean(normal) - 2)).toBeLessThan((5 * 0.5) / Math.sqrt(n));
    const sd = Math.sqrt(variance([...normal].slice(0, 2000)));
    expect(Math.abs(sd - 0.5)).toBeLessThan((5 * 0.5) / Math.sqrt(2 * 2000));
  });

  it('draws every integer below n about equally often', () => {
    const rng = Rng.from(5);
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 6000; i++) counts[rng.int(6)]++;
    for (const c of counts) expect(Math.abs(c - 1000)).toBeLessThan(5 * Math.sqrt((6000 * 5) / 36));
  });

  it('shuffles in place and loses nothing', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.integer(), { maxLength: 40 }), (seed, items) => {
        const copy = [...items];
        expect(Rng.from(seed).shuffle(copy)).toBe(copy);
        expect(copy.sort((a, b) => a - b)).toEqual([...items].sort((a, b) => a - b));
      }),
    );
    expect([...Rng.from(1).permutation(50)].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect([...Rng.from(1).permutation(50)]).not.toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  it('refuses what is no seed, no range and no state', () => {
    expect(() => Rng.from(Number.NaN)).toThrow('seed: not a number, expected a finite number, got NaN.');
    expect(() => Rng.from(1).int(0)).toThrow('Rng.int: n must be an integer 1..2^32, got 0');
    expect(() => Rng.restore([1, 2])).toThrow('Rng.restore: expected the 8 or 9 numbers of Rng.state(), got 2');
  });
});
