/** Spectrograms: a recording as a picture that a network for images can be trained on. */
import FFT from 'fft.js';
import { fail } from '../core/errors.ts';
import type { ImageShape } from './dataset.ts';
import type { SpectrogramView } from './sound.ts';
import { bandCorners, bands, transformSize } from './spectrogram-bands.ts';

/** Samples per second of a data set where nobody says: the telephone's, in which all digits can be told apart. */
export const USUAL_RATE = 8000;
/** Channels, height and width where nobody says. */
export const USUAL_SHAPE: ImageShape = { channels: 1, height: 64, width: 64 };

/** What is seen of a recording where nobody says: see {@link spectrogram}. */
export function usualView(rate: number = USUAL_RATE): SpectrogramView {
  return { scale: 'mel', window: 0.025, low: 50, high: rate / 2, range: 60, span: 'word' };
}

/** The loudness of a moment is the mean square over that long, seconds. */
const MOMENT = 0.02;
/** A word is heard clearly down to that much below its loudest moment, dB; any hiss is quieter. */
const WORD_DEPTH = 20;
/** Its weak beginnings and ends (f, s, th, the burst of a t) lie within that long of it, seconds. */
const WORD_MARGIN = 0.06;
/** Power of a cell is never taken as less, in units of squared 16-bit samples: the rounding of the samples is louder. */
const LEAST_POWER = 1e-3;

/** Draws one recording into `out`, `[C,H,W]` bytes. */
export type DrawSound = (recording: Int16Array, out: Uint8Array) => void;

/**
 * How recordings of `rate` samples per second become pictures of `shape`, `view` saying what is seen:
 *
 * 1. The word: the loudness is the mean square over 20 ms around each sample; the word goes from 60 ms before the first sample
 *    at which it is at most 20 dB below its maximum to 60 ms after the last. With `span` in seconds instead, that long around its middle.
 * 2. Columns: `width` windows, column `j` centred at `(j + 1/2) / width` of that stretch (so for `word` the hop is the word's length over
 *    the width: how fast somebody speaks is not seen). Beyond its ends the recording is silent. A Hann window (periodic) of `window`
 *    seconds, then a Fourier transform padded with zeros to `transformSize` points; power is the squared magnitude.
 * 3. Rows: `height` triangular bands between `low` and `high` Hz, equally spaced in mel or Hz; a cell is the weighted mean of the power under
 *    its triangle, in dB. The lowest frequency is the bottom row.
 * 4. Level: the loudest cell of each picture is 255, `range` dB below it and less is 0, linear in dB between: how loud a recording is, which
 *    differs by 20 dB between speakers, is not seen. A silent recording is black.
 *
 * All channels are alike. Throws SecateurError where the frequencies do not fit the rate or a setting is out of range.
 */
export function spectrogram(view: SpectrogramView, rate: number, shape: ImageShape): DrawSound {
  checkView(view, rate, shape);
  const { channels, height, width } = shape;
  const length = Math.max(2, Math.round(view.window * rate));
  const window = Float64Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / length));
  const corners = bandCorners(view.scale, height, view.low, view.high);
  const size = transformSize(length, rate, corners);
  const filters = bands(corners, size, rate);
  const transform = new FFT(size);
  const [frame, bins] = [new Float64Array(size), transform.createComplexArray()];
  const power = new Float64Array(size / 2 + 1);
  const level = new Float64Array(height * width);
  const plane = height * width;
  return (recording, out) => {
    const [start, end] = stretch(recording, view, rate);
    let loudest = -Infinity;
    for (let x = 0; x < width; x++) {
      const first = Math.round(start + ((x + 0.5) * (end - start)) / width) - (length >> 1);
      // beyond its ends a recording is silent
      const [begin, stop] = [Math.min(length, Math.max(0, -first)), Math.max(0, Math.min(length, recording.length - first))];
      frame.fill(0, 0, length);
      for (let i = begin; i < stop; i++) frame[i] = recording[first + i] * window[i];
      transform.realTransform(bins, frame);
      for (let k = 0; k < power.length; k++) power[k] = bins[2 * k] * bins[2 * k] + bins[2 * k + 1] * bins[2 * k + 1];
      for (let b = 0; b < height; b++) {
        const { first: from, weights } = filters[b];
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * power[from + k];
        const decibels = 10 * Math.log10(Math.max(LEAST_POWER, sum));
        level[(height - 1 - b) * width + x] = decibels;
        if (decibels > loudest) loudest = decibels;
      }
    }
    const silent = loudest <= 10 * Math.log10(LEAST_POWER);
    for (let i = 0; i < plane; i++) out[i] = silent ? 0 : Math.max(0, Math.round(255 * (1 + (level[i] - loudest) / view.range)));
    for (let c = 1; c < channels; c++) out.copyWithin(c * plane, 0, plane);
  };
}

/** First sample of the stretch that the columns cover and the one after its last; either may lie outside of the recording. */
function stretch(recording: Int16Array, view: SpectrogramView, rate: number): [start: number, end: number] {
  const [first, end] = wordIn(recording, rate);
  if (view.span === 'word') return [first, end];
  const middle = (first + end) / 2;
  return [middle - (view.span * rate) / 2, middle + (view.span * rate) / 2];
}

/**
 * First sample of the word and the one after its last, by loudness: step 1 of {@link spectrogram}. Either may lie outside of the recording by
 * up to 60 ms. All of a silent recording.
 */
export function wordIn(recording: Int16Array, rate: number): [first: number, end: number] {
  const n = recording.length;
  const half = Math.max(1, Math.round((MOMENT * rate) / 2));
  // whole numbers below 2^53, so that adding and taking away leaves nothing behind
  const loudness = new Float64Array(n);
  let sum = 0;
  for (let i = 0; i < Math.min(half, n); i++) sum += recording[i] * recording[i];
  for (let i = 0; i < n; i++) {
    if (i + half < n) sum += recording[i + half] * recording[i + half];
    if (i - half > 0) sum -= recording[i - half - 1] * recording[i - half - 1];
    loudness[i] = sum;
  }
  const limit = loudness.reduce((a, b) => Math.max(a, b), 0) * 10 ** (-WORD_DEPTH / 10);
  if (limit === 0) return [0, n];
  const margin = Math.round(WORD_MARGIN * rate);
  return [loudness.findIndex((v) => v >= limit) - margin, loudness.findLastIndex((v) => v >= limit) + 1 + margin];
}

/** Most points of one transform; more rows than that allows are finer than sound. */
const LARGEST_TRANSFORM = 65536;

function checkView(view: SpectrogramView, rate: number, { height, width }: ImageShape): void {
  const where = 'data: spectrogram';
  const bad = (what: string, expected: string, got: string | number): never => fail({ where, what, expected, got: `${got}`, exitCode: 2 });
  if (!(view.low >= 0 && view.low < view.high && view.high <= rate / 2)) {
    bad('frequencies', `0 to ${rate / 2} Hz, half the rate, low below high`, `${view.low} to ${view.high} Hz`);
  }
  if (!(view.window >= 0.001 && view.window <= 0.5)) bad('length of the window', '0.001 to 0.5 s', `${view.window} s`);
  if (!(view.range >= 1 && view.range <= 200)) bad('range', '1 to 200 dB', `${view.range} dB`);
  if (view.span !== 'word' && !(view.span > 0 && view.span <= 60)) bad('span', '"word" or seconds up to 60', view.span);
  for (const side of [height, width]) {
    if (!Number.isInteger(side) || side < 1 || side > 4096) bad('size of the picture', '1 to 4096', `${height}x${width}`);
  }
  const corners = bandCorners(view.scale, height, view.low, view.high);
  const size = transformSize(Math.max(2, Math.round(view.window * rate)), rate, corners);
  if (size > LARGEST_TRANSFORM)
    bad('rows', 'bands that a transform of 65536 points can tell apart', `${height} between ${view.low} and ${view.high} Hz`);
}
