import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rateCell } from '../../src/evaluate/cells.ts';
import { attackRates, cleanRates, complement, dropRate, untargetedDrop } from '../../src/evaluate/rates.ts';
import { wilson } from '../../src/evaluate/wilson.ts';

describe('clean accuracy', () => {
  it('counts by true class', () => {
    const rates = cleanRates([0, 1, 1, 2], [0, 1, 0, 0], 4);
    expect(rates.accuracy).toMatchObject({ value: 0.5, n: 4 });
    expect(rates.perClass.map((r) => [r.value, r.n])).toEqual([
      [1 / 3, 3],
      [1, 1],
      [Number.NaN, 0],
      [Number.NaN, 0],
    ]);
  });

  it('refuses arrays of different length', () => {
    expect(() => cleanRates([0], [0, 1], 2)).toThrow('cleanRates: 1 predictions or targets for 2 labels');
  });
});

describe('attack success', () => {
  it('targeted: leaves out inputs of the target class, even when they are predicted so', () => {
    const rates = attackRates([7, 7, 2, 7], [7, 1, 2, 3], [7, 7, 7, 7], 10);
    expect(rates.success).toMatchObject({ value: 2 / 3, n: 3 });
    expect(rates.robust).toMatchObject({ value: 1 / 3, n: 3 });
    expect(rates.successPerClass[7].n).toBe(0);
  });

  it('all-to-all: every input counts and each has its own target', () => {
    const rates = attackRates([1, 2, 0, 0], [0, 1, 9, 9], [1, 2, 0, 0], 10);
    expect(rates.success).toMatchObject({ value: 1, n: 4 });
    expect(rates.robust.value).toBe(0);
    expect(complement(rates.success)).toMatchObject({ value: 0, n: 4, low: 0 });
  });

  it('source -> target: only the source class has another target', () => {
    const rates = attackRates([1, 5, 6], [0, 5, 6], [1, 5, 6], 10);
    expect(rates.success).toMatchObject({ value: 1, n: 1 });
  });

  it('untargeted: any wrong class is a success', () => {
    const rates = attackRates([1, 2, 3, 4], [1, 1, 1, 1], [-1, -1, -1, -1], 5);
    expect(rates.success.value).toBe(0.75);
    expect(rates.robust.value).toBe(0.25);
  });

  it('success and robust accuracy never sum above 1; untargeted they make exactly 1', () => {
    const classes = 4;
    const triple = fc.tuple(fc.nat(classes - 1), fc.nat(classes - 1), fc.integer({ min: -1, max: classes - 1 }));
    fc.assert(
      fc.property(fc.array(triple, { minLength: 1, maxLength: 60 }), (rows) => {
        const rates = attackRates(
          rows.map((r) => r[0]),
          rows.map((r) => r[1]),
          rows.map((r) => r[2]),
          classes,
        );
        if (rates.success.n === 0) return;
        expect(rates.success.value + rates.robust.value).toBeLessThanOrEqual(1 + 1e-12);
        const untargeted = attackRates(
          rows.map((r) => r[0]),
          rows.map((r) => r[1]),
          rows.map(() => -1),
          classes,
        );
        expect(untargeted.success.value + untargeted.robust.value).toBeCloseTo(1, 12);
      }),
    );
  });
});

it('untargeted drop is the traffic sign figure: 1.3 % of 86.4 % left is .985', () => {
  expect(untargetedDrop(0.864, 0.013)).toBeCloseTo(0.985, 3);
  expect(untargetedDrop(0, 0)).toBeNaN();
});

describe('the drop of accuracy', () => {
  const rate = (hits: number, n: number) => wilson(hits, n);
  it('is 1 - triggered / clean, inside its interval, also where the trigger helps', () => {
    const harmed = dropRate(rate(900, 1000), rate(90, 1000));
    expect(harmed.value).toBeCloseTo(0.9, 10);
    expect(harmed.n).toBe(1000);
    // Katz: exp(+-1.96 sqrt(1/90 - 1/1000 + 1/900 - 1/1000)) around 0.1
    expect(harmed.low).toBeCloseTo(1 - 0.1 * Math.exp(1.96 * Math.sqrt(1 / 90 + 1 / 900 - 2 / 1000)), 10);
    expect(harmed.high).toBeCloseTo(1 - 0.1 * Math.exp(-1.96 * Math.sqrt(1 / 90 + 1 / 900 - 2 / 1000)), 10);
    for (const [clean, triggered] of [
      [50, 50],
      [40, 45],
      [50, 0],
      [10, 50],
    ]) {
      const d = dropRate(rate(clean, 50), rate(triggered, 50));
      expect(d.value).toBeCloseTo(1 - triggered / clean, 10);
      expect(d.low).toBeLessThanOrEqual(d.value);
      expect(d.high).toBeGreaterThanOrEqual(d.value);
    }
    expect(dropRate(rate(0, 50), rate(0, 50)).n).toBe(0);
  });

  it('over seeds may lie below zero, with its interval', () => {
    const cell = rateCell(
      'r',
      'c',
      [40, 41, 42].map((right) => dropRate(rate(40, 50), rate(right, 50))),
    );
    expect(cell?.value).toBeCloseTo(-0.025, 10);
    expect(cell?.low).toBeLessThan(-0.025);
    expect(cell?.high).toBeGreaterThan(-0.025);
  });
});
