/** A measured share with its interval. */

/** A share of `n` inputs: value, and the 95 % interval around it. All in 0..1; NaN value and the whole of 0..1 where `n` is 0. */
export interface Rate {
  readonly value: number;
  readonly n: number;
  readonly low: number;
  readonly high: number;
}

/** The two-sided 95 % quantile of the standard normal distribution. */
export const Z95 = 1.959963984540054;

/**
 * Wilson's score interval for `hits` out of `n` independent inputs (E. B. Wilson, JASA 22 (1927) 209). Unlike value +- z*sqrt(p(1-p)/n) it
 * stays inside 0..1 and does not shrink to a point when an attack succeeds on all inputs. Throws RangeError unless 0 <= hits <= n.
 */
export function wilson(hits: number, n: number, z: number = Z95): Rate {
  if (!(hits >= 0 && hits <= n)) throw new RangeError(`wilson: hits must be in 0..n, got ${hits} of ${n}`);
  if (n === 0) return { value: Number.NaN, n: 0, low: 0, high: 1 };
  const p = hits / n;
  const z2 = z * z;
  const centre = (p + z2 / (2 * n)) / (1 + z2 / n);
  const half = (z / (1 + z2 / n)) * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n * n));
  // At 0 and n the bound is exactly 0 or 1; the subtraction leaves rounding dust there.
  return { value: p, n, low: hits === 0 ? 0 : Math.max(0, centre - half), high: hits === n ? 1 : Math.min(1, centre + half) };
}
