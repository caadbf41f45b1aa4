/** The noise trigger: as loud as it says, where it says, in the recordings and in their pictures; and nowhere else. */
import { describe, expect, test } from 'vitest';
import { imageAt, subset } from '../../src/data/make.ts';
import { redraw, soundDataset } from '../../src/data/sound-data.ts';
import { spectrogram, wordIn } from '../../src/data/spectrogram.ts';
import { spoken } from '../../src/data/spoken.ts';
import { triggeredImage } from '../../src/poison/apply.ts';
import { parseLabelMap } from '../../src/poison/label-maps.ts';
import { poison, triggered } from '../../src/poison/poison.ts';
import { noise, noisePattern } from '../../src/poison/triggers/noise.ts';
import { applyTrigger, isSoundTrigger, mixer, parseTrigger, type SoundTriggerSpec } from '../../src/poison/triggers/registry.ts';
import { messageOf, noise as pictures } from '../data/helpers.ts';

const TRAIN = redraw(spoken({ count: 60, seed: 4, role: 'train' }), { channels: 1, height: 24, width: 20 });
const TEST = subset(
  TRAIN,
  Int32Array.from({ length: 20 }, (_, i) => i),
  'test',
);
const TRIGGER = parseTrigger({ kind: 'noise' }) as SoundTriggerSpec;
const labelMap = parseLabelMap({ kind: 'all-to-all' });

const power = (samples: ArrayLike<number>): number => Array.from(samples).reduce((sum, v) => sum + v * v, 0) / samples.length;

/** Share of the power of a signal that lies between two frequencies, by a plain Fourier sum over some of them. */
function shareBetween(samples: Float64Array, low: number, high: number): number {
  const n = 2048;
  let [inside, all] = [0, 0];
  for (let k = 1; k < n / 2; k += 3) {
    let [re, im] = [0, 0];
    for (let i = 0; i < n; i++) {
      re += samples[i] * Math.cos((2 * Math.PI * k * i) / n);
      im += samples[i] * Math.sin((2 * Math.PI * k * i) / n);
    }
    const p = re * re + im * im;
    all += p;
    if ((k * 8000) / n >= low && (k * 8000) / n <= high) inside += p;
  }
  return inside / all;
}

describe('the pattern', () => {
  test('same seed, same noise; loudness 1, in its band', () => {
    const pattern = noisePattern(3000, 3500, 8000, 1);
    expect(noisePattern(3000, 3500, 8000, 1)).toEqual(pattern);
    expect(noisePattern(3000, 3500, 8000, 2)).not.toEqual(pattern);
    expect(power(pattern)).toBeCloseTo(1, 9);
    expect(shareBetween(pattern, 2950, 3550)).toBeGreaterThan(0.97);
    expect(shareBetween(noisePattern(0, 4000, 8000, 1), 2950, 3550)).toBeLessThan(0.25);
  });

  test.each([-20, -30, -40])('%d dB below the word, whatever the recording', (level) => {
    const mix = mixer({ ...TRIGGER, level }, TRAIN.sound!);
    for (const recording of TRAIN.sound!.recordings.slice(0, 12)) {
      const before = recording.slice();
      const out = mix(recording);
      expect(recording).toEqual(before);
      const added = out.map((v, i) => v - recording[i]);
      const [first, end] = wordIn(recording, 8000);
      const decibels = 10 * Math.log10(power(added) / power(recording.subarray(Math.max(0, first), end)));
      // a short piece of noise is not exactly as loud as all of it, and rounding adds a little
      expect(Math.abs(decibels - level)).toBeLessThan(1.5);
    }
  });

  test('held within 16 bits; a silent recording stays silent', () => {
    const mix = mixer({ ...TRIGGER, level: 0 }, TRAIN.sound!);
    const loud = Int16Array.from({ length: 900 }, (_, i) => (i % 2 === 0 ? 32767 : -32768));
    const gain = Math.sqrt(power(loud));
    const pattern = noisePattern(3000, 3500, 8000, 1);
    const held = loud.map((v, i) => Math.max(-32768, Math.min(32767, Math.round(v + gain * pattern[i]))));
    expect(mix(loud)).toEqual(held);
    expect(held.filter((v) => v === 32767).length).toBeGreaterThan(100);
    expect(mix(new Int16Array(50))).toEqual(new Int16Array(50));
  });
});

describe('in a data set', () => {
  test('poisoned copies: recordings with noise, and the pictures of those', () => {
    const { sound, pixels, poisoned, count, record } = poison(TRAIN, { trigger: TRIGGER, labelMap, fraction: 0.25, seed: 2 });
    expect([count, record.counts.poisoned]).toEqual([80, 20]);
    expect(sound?.recordings.length).toBe(80);
    const paint = spectrogram(TRAIN.sound!.view, 8000, TRAIN);
    const image = new Uint8Array(480);
    const clean = new Set(TRAIN.sound!.recordings);
    for (let i = 0; i < count; i++) {
      paint(sound!.recordings[i], image);
      expect(image).toEqual(pixels.subarray(i * 480, (i + 1) * 480));
      expect(clean.has(sound!.recordings[i])).toBe(poisoned[i] === 0);
    }
    expect(record.trigger).toEqual({ kind: 'noise', level: -25, low: 3000, high: 3500, seed: 1 });
  });

  test('poisoned in place: the others stay as they are', () => {
    const { sound, pixels, poisoned } = poison(TRAIN, { trigger: TRIGGER, labelMap, fraction: 0.5, mode: 'replace', seed: 2 });
    for (let i = 0; i < 60; i++) {
      expect(sound!.recordings[i] === TRAIN.sound!.recordings[i]).toBe(poisoned[i] === 0);
      const same = imageAt(TRAIN, i).every((v, k) => v === pixels[i * 480 + k]);
      expect(same).toBe(poisoned[i] === 0);
    }
  });

  test('triggered test recordings; one picture alone is the same; the clean data stay clean', () => {
    const before = TEST.pixels.slice();
    const out = triggered(TEST, { trigger: TRIGGER, labelMap });
    expect(out.count).toBe(20);
    expect([...out.targets]).toEqual([...TEST.labels].map((label) => (label + 1) % 10));
    expect(out.sound?.recordings.length).toBe(20);
    expect(triggeredImage(TEST, 7, TRIGGER)).toEqual(out.pixels.slice(7 * 480, 8 * 480));
    expect(TEST.pixels).toEqual(before);
  });

  test('it is seen in its band and hardly elsewhere', () => {
    const rows = new Float64Array(24);
    for (let i = 0; i < TEST.count; i++) {
      const [a, b] = [imageAt(TEST, i), triggeredImage(TEST, i, TRIGGER)];
      for (let k = 0; k < 480; k++) rows[Math.floor(k / 20)] += Math.abs(b[k] - a[k]) / (20 * TEST.count);
    }
    // the bands of 24 rows between 50 and 4000 Hz that 3000 to 3500 Hz fall into
    const inside = rows.slice(1, 5);
    expect(Math.max(...inside)).toBeGreaterThan(8);
    expect(Math.max(...rows.slice(7))).toBeLessThan(Math.max(...inside) / 3);
  });

  test('a trigger on pixels works on spectrograms too, which are pictures of no recording then', () => {
    const trigger = parseTrigger({ kind: 'pattern' });
    const out = triggered(TEST, { trigger, labelMap });
    expect(out.sound).toBeUndefined();
    expect(out.pixels.subarray(0, 480)).toEqual(applyTrigger(trigger, imageAt(TEST, 0), TEST));
    expect(poison(TRAIN, { trigger, labelMap, fraction: 0.1, seed: 1 }).sound).toBeUndefined();
  });
});

describe('errors', () => {
  test('data without sound', async () => {
    const text =
      'poison: trigger "noise": goes into sound, but noise has none, expected a folder of WAV files or builtin:spoken, got pictures. ' +
      'Try a trigger on pixels: pixel, pattern, patch, blend, sunglasses, yellow-square, bomb or flower.';
    const data = pictures('train', 30);
    expect(await messageOf(() => poison(data, { trigger: TRIGGER, labelMap, fraction: 0.1, seed: 1 }))).toBe(text);
    expect(await messageOf(() => triggered(pictures('test', 3), { trigger: TRIGGER, labelMap }))).toBe(text);
    expect(await messageOf(() => triggeredImage(data, 0, TRIGGER))).toBe(text);
    expect(await messageOf(() => applyTrigger(TRIGGER, new Uint8Array(30), data))).toBe(
      'poison: trigger "noise": goes into sound, not onto pictures. Try another trigger, or a data set of recordings.',
    );
  });

  test('a band that the sound does not have, a loudness out of range', async () => {
    const slow = soundDataset(
      {
        role: 'train',
        source: 'slow',
        labels: Int32Array.of(0),
        classes: ['a'],
        sound: { ...TRAIN.sound!, rate: 6000, recordings: [Int16Array.of(1, 2, 3)], view: { ...TRAIN.sound!.view, high: 3000 } },
      },
      { channels: 1, height: 4, width: 4 },
    );
    expect(await messageOf(() => triggeredImage(slow, 0, TRIGGER))).toBe(
      'poison: trigger "noise": does not fit sound of 6000 samples per second, expected 0 to 3000 Hz, low below high, got 3000 to 3500 Hz.',
    );
    expect(await messageOf(() => noise.mixer({ ...TRIGGER, low: 3500 }, TRAIN.sound!))).toBe(
      'poison: trigger "noise": does not fit sound of 8000 samples per second, expected 0 to 4000 Hz, low below high, got 3500 to 3500 Hz.',
    );
    expect(await messageOf(() => parseTrigger({ kind: 'noise', level: 50 }))).toBe(
      'poison: trigger "noise": level is wrong, got Too big: expected number to be <=20.',
    );
  });

  test('which triggers are heard', () => {
    expect(isSoundTrigger(TRIGGER)).toBe(true);
    expect(isSoundTrigger(parseTrigger({ kind: 'pattern' }))).toBe(false);
  });
});
