import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { overSeeds, studentT } from '../../src/evaluate/over-seeds.ts';
import { wilson } from '../../src/evaluate/wilson.ts';

describe('Wilson interval', () => {
  it('agrees with published values', () => {
    // Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    const cases: [number, number, number, number][] = [
      [81, 263, 0.2553, 0.3662],
      [15, 148, 0.0624, 0.1605],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718],
    ];
    for (const [hits, n, low, high] of cases) {
      const got = wilson(hits, n);
      expect(got.low).toBeCloseTo(low, 4);
      expect(got.high).toBeCloseTo(high, 4);
    }
  });

  it('lies in 0..1, holds the value, mirrors for misses and narrows with n', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, share) => {
        const hits = Math.round(share * n);
        const rate = wilson(hits, n);
        const misses = wilson(n - hits, n);
        expect(rate.low).toBeGreaterThanOrEqual(0);
        expect(rate.high).toBeLessThanOrEqual(1);
        expect(rate.low).toBeLessThanOrEqual(rate.value);
        expect(rate.high).toBeGreaterThanOrEqual(rate.value);
        expect(misses.low).toBeCloseTo(1 - rate.high, 12);
        const more = wilson(hits * 4, n * 4);
        expect(more.high - more.low).toBeLessThan(rate.high - rate.low);
      }),
    );
  });

  it('knows nothing without inputs, and refuses what cannot be counted', () => {
    expect(wilson(0, 0)).toEqual({ value: Number.NaN, n: 0, low: 0, high: 1 });
    expect(() => wilson(3, 2)).toThrow('wilson: hits must be in 0..n, got 3 of 2');
  });
});

describe('Student t over seeds', () => {
  it('has the quantiles of the tables', () => {
    const table: [number, number, number][] = [
      [0.975, 1, 12.7062],
      [0.975, 2, 4.3027],
      [0.975, 3, 3.1824],
      [0.975, 4, 2.7764],
      [0.975, 9, 2.2622],
      [0.975, 30, 2.0423],
      [0.975, 100, 1.984],
      [0.95, 5, 2.015],
      [0.995, 10, 3.1693],
      [0.5, 7, 0],
    ];
    for (const [p, df, t] of table) expect(studentT(p, df)).toBeCloseTo(t, 3);
  });

  it('gives mean and interval, clipped where a rate cannot go', () => {
    const three = overSeeds([0.97, 0.98, 1], [0, 1]);
    expect(three.mean).toBeCloseTo(0.98333, 5);
    expect(three.sd).toBeCloseTo(0.015275, 6);
    expect(three.low).toBeCloseTo(0.98333 - (4.30265 * 0.0152753) / Math.sqrt(3), 4);
    expect(three.high).toBe(1);
    expect(overSeeds([0.97, 0.98, 1]).high).toBeGreaterThan(1);
  });

  it('claims no interval from one seed', () => {
    expect(overSeeds([0.5])).toEqual({ mean: 0.5, low: undefined, high: undefined, seeds: 1, sd: 0 });
    expect(() => overSeeds([])).toThrow('overSeeds: no values');
  });
});
