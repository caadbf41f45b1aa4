/** Sound brought to another rate, one channel and 16 bits, as a data set keeps it. */
import type { WavSound } from './wav.ts';

/** Zero crossings of the sinc on either side. */
const LOBES = 32;
/** Kaiser's shape: side lobes 80 dB down. */
const BETA = 8;
/** The filter reaches half its height here, as a share of the lower of the two Nyquist frequencies. */
const CUTOFF = 0.92;

/** Modified Bessel function of the first kind, order 0, by its power series. */
function bessel0(x: number): number {
  let sum = 1;
  for (let term = 1, k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/**
 * What brings samples to another rate, by a sinc under a Kaiser window (32 zero crossings a side, beta 8), cut off at 92 % of the lower Nyquist
 * frequency, so that nothing folds over. Beyond its ends the sound is taken to be silent. Each output phase has its filter, which is
 * computed once for all recordings and scaled to pass a constant unchanged.
 * Source: J. O. Smith, Digital Audio Resampling Home Page (CCRMA), "band-limited interpolation".
 * @param from samples per second now, a whole number
 * @param to samples per second wanted, a whole number
 */
export function resampler(from: number, to: number): (samples: Float32Array) => Float32Array {
  if (from === to) return (samples) => samples;
  const common = gcd(from, to);
  const [up, down] = [to / common, from / common];
  const cutoff = CUTOFF * Math.min(1, to / from);
  const reach = Math.ceil(LOBES / cutoff);
  const filters = new Map<number, Float64Array>();
  return (samples) => {
    const out = new Float32Array(Math.max(1, Math.round((samples.length * to) / from)));
    for (let i = 0; i < out.length; i++) {
      const phase = (i * down) % up;
      const middle = (i * down - phase) / up;
      let filter = filters.get(phase);
      if (filter === undefined) {
        filter = phaseFilter(phase / up, cutoff, reach);
        filters.set(phase, filter);
      }
      let sum = 0;
      const first = middle - reach + 1;
      for (let k = Math.max(0, -first), end = Math.min(filter.length, samples.length - first); k < end; k++) {
        sum += filter[k] * samples[first + k];
      }
      out[i] = sum;
    }
    return out;
  };
}

/** Weights of the samples `1 - reach` to `reach` around a place `phase` (0..1) behind sample 0. */
function phaseFilter(phase: number, cutoff: number, reach: number): Float64Array {
  const scale = bessel0(BETA);
  const filter = Float64Array.from({ length: 2 * reach }, (_, k) => {
    const t = k - reach + 1 - phase;
    const u = t / reach;
    if (Math.abs(u) >= 1) return 0;
    const x = Math.PI * cutoff * t;
    const sinc = x === 0 ? 1 : Math.sin(x) / x;
    return (sinc * bessel0(BETA * Math.sqrt(1 - u * u))) / scale;
  });
  const sum = filter.reduce((a, b) => a + b, 0);
  return filter.map((v) => v / sum);
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * What makes recordings as data sets hold them: channels averaged, `rate` samples per second, 16 bits (rounded to nearest, held at the ends). A
 * file of 16 bits, one channel and that rate comes back sample by sample.
 */
export function recorder(rate: number): (sound: WavSound) => Int16Array {
  const resamplers = new Map<number, ReturnType<typeof resampler>>();
  return ({ channels, rate: from }) => {
    let mono = channels[0];
    if (channels.length > 1) {
      mono = mono.map((_, i) => channels.reduce((sum, samples) => sum + samples[i], 0) / channels.length);
    }
    const resample = resamplers.get(from) ?? resampler(from, rate);
    resamplers.set(from, resample);
    const samples = resample(mono);
    const out = new Int16Array(samples.length);
    for (let i = 0; i < out.length; i++) out[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32768)));
    return out;
  };
}
