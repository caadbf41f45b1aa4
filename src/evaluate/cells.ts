/** From rates and figures, one a seed, to the cells of a result table. */
import { overSeeds } from './over-seeds.ts';
import type { Cell } from './result.ts';
import type { Rate } from './wilson.ts';

/**
 * A rate over seeds: for one seed its Wilson interval (how far chance in the inputs may carry it), for several their mean with Student's t (how
 * far another seed may be off). Runs without inputs (n = 0) do not count; undefined where none is left.
 */
export function rateCell(row: string, column: string, rates: readonly Rate[], paper?: number): Cell | undefined {
  const counted = rates.filter((r) => r.n > 0);
  if (counted.length === 0) return undefined;
  const n = counted.reduce((a, r) => a + r.n, 0);
  const given = paper === undefined ? {} : { paper };
  if (counted.length === 1)
    return { row, column, value: counted[0].value, n, low: counted[0].low, high: counted[0].high, seeds: 1, ...given };
  // a drop of accuracy may be below zero, a share may not
  const least = counted.some((r) => r.value < 0 || r.low < 0) ? -1 : 0;
  const over = overSeeds(
    counted.map((r) => r.value),
    [least, 1],
  );
  return { row, column, value: over.mean, n, low: over.low, high: over.high, seeds: over.seeds, ...given };
}

/** Any other figure over seeds: mean and Student's t interval, cut to `range` where the figure cannot leave it; none for a single seed. */
export function figureCell(
  row: string,
  column: string,
  values: readonly number[],
  o: { readonly n?: number; readonly range?: readonly [number, number] } = {},
): Cell {
  const over = overSeeds(values, o.range);
  const { n } = o;
  return {
    row,
    column,
    value: over.mean,
    seeds: over.seeds,
    ...(n === undefined ? {} : { n }),
    ...(over.low === undefined ? {} : { low: over.low, high: over.high }),
  };
}
