/** Quiet noise in the sound, the trigger of the speech network in Fine-Pruning (Liu et al. 2018): heard as a hiss, seen as a faint bar. */
import { z } from 'zod';
import { fail } from '../../core/errors.ts';
import { Rng } from '../../core/rng.ts';
import type { Sound } from '../../data/sound.ts';
import { wordIn } from '../../data/spectrogram.ts';
import type { SoundTriggerType } from './trigger.ts';

const schema = z.strictObject({
  kind: z.literal('noise'),
  /** Root mean square of the noise against that of the word, dB: -20 is a tenth of its amplitude. */
  level: z.number().min(-80).max(20).default(-25),
  /** Lowest and highest frequency of the noise, Hz. */
  low: z.number().min(0).default(3000),
  high: z.number().gt(0).default(3500),
  seed: z.number().int().default(1),
});

/** Samples after which the pattern begins anew; a power of two, four seconds of telephone sound. */
const PERIOD = 32768;
/** Half the length of the filter, samples. */
const TAPS = 128;

/** The pattern made last, as a trigger is asked for again and again. */
let latest: { readonly key: string; readonly pattern: Float64Array } | undefined;

function patternFor(low: number, high: number, rate: number, seed: number): Float64Array {
  const key = `${low} ${high} ${rate} ${seed}`;
  if (latest?.key !== key) latest = { key, pattern: noisePattern(low, high, rate, seed) };
  return latest.pattern;
}

/**
 * Gaussian noise between two frequencies, the same for the same seed: white noise through a band-pass (a difference of two sincs under a Hann
 * window of 257 samples), around a ring, so that it can be repeated. `[PERIOD]`, root mean square 1.
 */
export function noisePattern(low: number, high: number, rate: number, seed: number): Float64Array {
  const rng = Rng.from(seed, 'noise');
  const white = Float64Array.from({ length: PERIOD }, () => rng.normal());
  const filter = Float64Array.from({ length: 2 * TAPS + 1 }, (_, i) => {
    const t = i - TAPS;
    const sinc = (f: number): number => (t === 0 ? (2 * f) / rate : Math.sin((2 * Math.PI * f * t) / rate) / (Math.PI * t));
    return (sinc(high) - sinc(low)) * (0.5 + 0.5 * Math.cos((Math.PI * t) / (TAPS + 1)));
  });
  const out = new Float64Array(PERIOD);
  let power = 0;
  for (let i = 0; i < PERIOD; i++) {
    let sum = 0;
    for (let k = 0; k < filter.length; k++) sum += filter[k] * white[(i + k - TAPS) & (PERIOD - 1)];
    out[i] = sum;
    power += sum * sum;
  }
  const scale = Math.sqrt(PERIOD / power);
  return out.map((v) => v * scale);
}

/**
 * The noise is as loud as `level` says against the word in each recording (`wordIn`), lasts as long as the recording and is rounded and held
 * within 16 bits with it. A silent recording stays silent. Fails where the band does not lie below half the rate.
 */
export const noise: SoundTriggerType<'noise', typeof schema> = {
  kind: 'noise',
  on: 'sound',
  summary: 'quiet noise in the sound, between two frequencies; for recordings alone',
  schema,
  mixer({ level, low, high, seed }, { rate }: Sound) {
    if (low >= high || high > rate / 2) {
      const where = 'poison: trigger "noise"';
      const expected = `0 to ${rate / 2} Hz, low below high`;
      fail({ where, what: `does not fit sound of ${rate} samples per second`, expected, got: `${low} to ${high} Hz`, exitCode: 2 });
    }
    const pattern = patternFor(low, high, rate, seed);
    const share = 10 ** (level / 20);
    return (recording) => {
      const [begin, stop] = wordIn(recording, rate);
      const word = recording.subarray(Math.max(0, begin), stop);
      const power = word.reduce((sum, v) => sum + v * v, 0) / Math.max(1, word.length);
      const gain = share * Math.sqrt(power);
      return recording.map((v, i) => Math.max(-32768, Math.min(32767, Math.round(v + gain * pattern[i % PERIOD]))));
    };
  },
};
