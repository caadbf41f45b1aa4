/** Bands of frequency: what the rows of a spectrogram gather. */

/** Mel of a frequency in Hz: 2595 log10(1 + f / 700) (O'Shaughnessy, Speech Communication, 1987; HTK's formula). */
export function melOf(hertz: number): number {
  return 2595 * Math.log10(1 + hertz / 700);
}

/** Frequency in Hz of a mel, the inverse of {@link melOf}. */
export function hertzOf(mel: number): number {
  return 700 * (10 ** (mel / 2595) - 1);
}

/** One triangle over the bins of a transform: weights of the bins `first`, `first + 1`, ...; they add up to 1. */
export interface Band {
  readonly first: number;
  readonly weights: Float64Array;
}

/**
 * Corners of `count` triangular bands between `low` and `high` Hz, equally far apart on the scale: band `i` rises from corner `i` to
 * `i + 1` and falls to `i + 2`. `[count + 2]` Hz, ascending
 */
export function bandCorners(scale: 'mel' | 'linear', count: number, low: number, high: number): Float64Array {
  const [from, to, back] = scale === 'mel' ? [melOf(low), melOf(high), hertzOf] : [low, high, (f: number) => f];
  return Float64Array.from({ length: count + 2 }, (_, i) => back(from + ((to - from) * i) / (count + 1)));
}

/**
 * Points of the Fourier transform: the smallest power of two that holds the window and puts a bin into the narrowest band.
 * @param windowLength samples
 * @param rate samples per second
 */
export function transformSize(windowLength: number, rate: number, corners: Float64Array): number {
  let narrowest = Infinity;
  for (let i = 1; i < corners.length; i++) narrowest = Math.min(narrowest, corners[i] - corners[i - 1]);
  let size = 2;
  while (size < windowLength || rate / size > narrowest) size *= 2;
  return size;
}

/** The triangles of {@link bandCorners} as weights of the bins of a transform of `size` points, each scaled to add up to 1. */
export function bands(corners: Float64Array, size: number, rate: number): Band[] {
  const step = rate / size;
  return Array.from({ length: corners.length - 2 }, (_, i) => {
    const [left, middle, right] = corners.subarray(i, i + 3);
    const first = Math.floor(left / step) + 1;
    const last = Math.min(size / 2, Math.ceil(right / step) - 1);
    const weights = Float64Array.from({ length: last - first + 1 }, (_, k) => {
      const f = (first + k) * step;
      return Math.min((f - left) / (middle - left), (right - f) / (right - middle));
    });
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((w) => w / sum) };
  });
}
