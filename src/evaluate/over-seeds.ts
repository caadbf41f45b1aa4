/** One number a seed -> the mean over seeds and how far it may be off. */

export interface OverSeeds {
  readonly mean: number;
  /** 95 % interval of the mean; undefined for a single seed, about which seeds can say nothing. */
  readonly low: number | undefined;
  readonly high: number | undefined;
  readonly seeds: number;
  /** Sample standard deviation (n - 1); 0 for a single seed. */
  readonly sd: number;
}

/**
 * Mean of `values` with Student's t interval: mean +- t(0.975, n-1) * sd / sqrt(n). `clip` cuts the interval to a range that the quantity
 * cannot leave ([0, 1] for rates). Throws RangeError for an empty list.
 */
export function overSeeds(values: readonly number[], clip?: readonly [number, number]): OverSeeds {
  const n = values.length;
  if (n === 0) throw new RangeError('overSeeds: no values');
  const mean = values.reduce((a, b) => a + b, 0) / n;
  if (n === 1) return { mean, low: undefined, high: undefined, seeds: 1, sd: 0 };
  const sd = Math.sqrt(values.reduce((a, v) => a + (v - mean) ** 2, 0) / (n - 1));
  const half = (studentT(0.975, n - 1) * sd) / Math.sqrt(n);
  const low = mean - half;
  const high = mean + half;
  return { mean, low: clip ? Math.max(clip[0], low) : low, high: clip ? Math.min(clip[1], high) : high, seeds: n, sd };
}

/**
 * Quantile of Student's t distribution with `df` (whole, >= 1) degrees of freedom, for 0.5 <= p < 1. For whole df the distribution function is
 * a finite sum in theta = atan(t / sqrt(df)) (Abramowitz and Stegun 26.7.3 and 26.7.4), which grows with theta: bisection finds the rest.
 */
export function studentT(p: number, df: number): number {
  if (!(p >= 0.5 && p < 1)) throw new RangeError(`studentT: p must be in 0.5..1, got ${p}`);
  if (!(Number.isInteger(df) && df >= 1)) throw new RangeError(`studentT: df must be a whole number from 1, got ${df}`);
  let low = 0;
  let high = Math.PI / 2;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (0.5 + centralMass(middle, df) / 2 < p) low = middle;
    else high = middle;
  }
  return Math.sqrt(df) * Math.tan((low + high) / 2);
}

/** P(|T| < t) with theta = atan(t / sqrt(df)). */
function centralMass(theta: number, df: number): number {
  const sine = Math.sin(theta);
  const cosine = Math.cos(theta);
  const odd = df % 2 === 1;
  // odd df: cos + 2/3 cos^3 + 2*4/(3*5) cos^5 ...; even df: 1 + 1/2 cos^2 + 1*3/(2*4) cos^4 ...
  let term = odd ? cosine : 1;
  let sum = 0;
  for (let k = odd ? 1 : 0; k <= df - 2; k += 2) {
    sum += term;
    term *= ((k + 1) / (k + 2)) * cosine * cosine;
  }
  return odd ? (2 / Math.PI) * (theta + sine * sum) : sine * sum;
}
