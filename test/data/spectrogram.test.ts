/** Spectrograms against NumPy and torch.stft (scripts/golden-spectrogram.py), and what they must not depend on. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromBase64 } from '../../src/data/base64.ts';
import type { ImageShape } from '../../src/data/dataset.ts';
import { fitDataset } from '../../src/data/fit.ts';
import { gather, makeDataset, subset, withLabels } from '../../src/data/make.ts';
import type { Sound, SpectrogramView } from '../../src/data/sound.ts';
import { redraw, soundDataset } from '../../src/data/sound-data.ts';
import { recorder, resampler } from '../../src/data/sound-resample.ts';
import { spectrogram, USUAL_SHAPE, usualView, wordIn } from '../../src/data/spectrogram.ts';
import { bandCorners, bands, hertzOf, melOf, transformSize } from '../../src/data/spectrogram-bands.ts';
import { messageOf, noise } from './helpers.ts';

interface Golden {
  spectrograms: { name: string; rate: number; height: number; width: number; view: SpectrogramView; samples: string; pixels: string }[];
  resamplings: { from: number; to: number; input: string; output: string }[];
}
const golden = JSON.parse(readFileSync(new URL('../golden/data/spectrograms.json', import.meta.url), 'utf8')) as Golden;

const samplesOf = (text: string): Int16Array => new Int16Array(fromBase64(text).slice().buffer);
const floatsOf = (text: string): Float32Array => new Float32Array(fromBase64(text).slice().buffer);

function picture(recording: Int16Array, view: SpectrogramView = usualView(), shape: ImageShape = USUAL_SHAPE, rate = 8000): Uint8Array {
  const out = new Uint8Array(shape.channels * shape.height * shape.width);
  spectrogram(view, rate, shape)(recording, out);
  return out;
}

/** A tone of `hertz` with silence around it. */
function tone(hertz: number, { loud = 8000, before = 300, after = 300, length = 2000, rate = 8000 } = {}): Int16Array {
  const inside = (i: number): boolean => i >= before && i < before + length;
  return Int16Array.from({ length: before + length + after }, (_, i) =>
    inside(i) ? Math.round(loud * Math.sin((2 * Math.PI * hertz * i) / rate)) : 0,
  );
}

describe('against NumPy and torch.stft', () => {
  test.each(golden.spectrograms)('$name', ({ rate, height, width, view, samples, pixels }) => {
    const ours = picture(samplesOf(samples), view, { channels: 1, height, width }, rate);
    const theirs = fromBase64(pixels);
    expect(ours.length).toBe(theirs.length);
    let off = 0;
    for (const [i, v] of theirs.entries()) {
      // two ways to add the same numbers may round to neighbouring bytes, nothing more
      expect(Math.abs(ours[i] - v)).toBeLessThanOrEqual(1);
      if (ours[i] !== v) off++;
    }
    expect(off / theirs.length).toBeLessThan(0.002);
  });

  test.each(golden.resamplings)(
    'from $from to $to samples per second: the tones that were there, at the new rate',
    ({ from, to, input, output }) => {
      const [ours, theirs] = [resampler(from, to)(floatsOf(input)), floatsOf(output)];
      expect(ours.length).toBe(theirs.length);
      const edge = Math.ceil(80 * Math.max(1, to / from));
      for (let i = edge; i < ours.length - edge; i++) expect(Math.abs(ours[i] - theirs[i])).toBeLessThan(5e-4);
    },
  );
});

describe('what is seen', () => {
  test('a tone is a bright row where its frequency is: low at the bottom', () => {
    for (const scale of ['mel', 'linear'] as const) {
      const rows = [200, 1000, 3000].map((hertz) => {
        const image = picture(tone(hertz), { ...usualView(), scale });
        const column = Array.from({ length: 64 }, (_, y) => image[y * 64 + 32]);
        return column.indexOf(Math.max(...column));
      });
      const corners = bandCorners(scale, 64, 50, 4000);
      const expected = [200, 1000, 3000].map((hertz) => {
        const middles = corners.slice(1, 65).map((f) => Math.abs(f - hertz));
        return 63 - middles.indexOf(Math.min(...middles));
      });
      for (const [i, row] of rows.entries()) expect(Math.abs(row - expected[i])).toBeLessThanOrEqual(1);
    }
  });

  test('neither loudness nor silence around a word changes its picture', () => {
    const base = picture(tone(700));
    const apart = (other: Uint8Array): number => base.reduce((sum, v, i) => Math.max(sum, Math.abs(v - other[i])), 0);
    expect(apart(picture(tone(700, { before: 1300, after: 0 + 2000 })))).toBeLessThanOrEqual(3);
    expect(apart(picture(tone(700, { loud: 16000 })))).toBeLessThanOrEqual(3);
    expect(apart(picture(tone(900)))).toBeGreaterThan(100);
  });

  test('with a span in seconds, time keeps its length', () => {
    const view = { ...usualView(), span: 0.64 };
    const bright = (length: number): number => {
      const image = picture(tone(1000, { length }), view);
      const top = Array.from({ length: 64 }, (_, x) => Math.max(...Array.from({ length: 64 }, (_, y) => image[y * 64 + x])));
      return top.filter((v) => v > 200).length;
    };
    // 64 columns of 10 ms
    expect(Math.abs(bright(2400) - 30)).toBeLessThanOrEqual(3);
    expect(Math.abs(bright(1200) - 15)).toBeLessThanOrEqual(3);
  });

  test('channels are alike; silence is black', () => {
    const shape = { channels: 3, height: 10, width: 12 };
    const image = picture(tone(500), usualView(), shape);
    expect(image.subarray(120, 240)).toEqual(image.subarray(0, 120));
    expect(image.subarray(240)).toEqual(image.subarray(0, 120));
    expect(Math.max(...image)).toBe(255);
    expect(picture(new Int16Array(800)).some((v) => v > 0)).toBe(false);
    expect(picture(new Int16Array(0)).some((v) => v > 0)).toBe(false);
  });

  test('the word is where it is loud, to 20 dB below its loudest moment, and 60 ms on either side', () => {
    const [first, end] = wordIn(tone(1000, { before: 500, length: 1000, after: 700 }), 8000);
    expect(Math.abs(first + 480 - 500)).toBeLessThan(85);
    expect(Math.abs(end - 480 - 1500)).toBeLessThan(85);
    const hissing = tone(1000, { before: 500, length: 1000, after: 700 }).map((v, i) => v + (i % 2 === 0 ? 400 : -400));
    for (const [i, at] of wordIn(hissing, 8000).entries()) expect(Math.abs(at - [first, end][i])).toBeLessThanOrEqual(3);
    expect(wordIn(new Int16Array(7), 8000)).toEqual([0, 7]);
  });

  test('any recording becomes a picture, black only where all is silent', () => {
    const shape = { channels: 1, height: 9, width: 7 };
    const paint = spectrogram(usualView(), 8000, shape);
    const out = new Uint8Array(63);
    fc.assert(
      fc.property(fc.oneof(fc.int16Array({ maxLength: 700 }), fc.int16Array({ min: -2, max: 2, maxLength: 700 })), (recording) => {
        paint(recording, out);
        const most = Math.max(...out);
        return most === (recording.some((v) => v !== 0) ? 255 : 0);
      }),
      { numRuns: 120, seed: 5 },
    );
  });
});

describe('bands', () => {
  test('mel and back; 1000 Hz is 1000 mel', () => {
    expect(melOf(1000)).toBeCloseTo(1000, 1);
    for (const f of [0, 50, 440, 4000, 20000]) expect(hertzOf(melOf(f))).toBeCloseTo(f, 6);
  });

  test('every band has a bin, weights add up to 1, neighbours overlap', () => {
    for (const [scale, count, low, high, rate] of [
      ['mel', 64, 50, 4000, 8000],
      ['mel', 512, 50, 4000, 8000],
      ['linear', 512, 0, 4000, 8000],
      ['mel', 1, 100, 200, 8000],
    ] as const) {
      const corners = bandCorners(scale, count, low, high);
      const size = transformSize(200, rate, corners);
      const all = bands(corners, size, rate);
      expect(all.length).toBe(count);
      for (const { first, weights } of all) {
        expect(weights.length).toBeGreaterThan(0);
        expect(first + weights.length).toBeLessThanOrEqual(size / 2 + 1);
        expect(weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
        expect(Math.min(...weights)).toBeGreaterThanOrEqual(0);
      }
    }
  });
});

describe('resampling', () => {
  test('what does not fit the lower rate is gone', () => {
    const high = Float32Array.from({ length: 4410 }, (_, i) => Math.sin((2 * Math.PI * 6000 * i) / 44100));
    const out = resampler(44100, 8000)(high);
    expect(Math.max(...out.subarray(100, 700).map(Math.abs))).toBeLessThan(1e-3);
  });

  test('filters that another recording made are the same', () => {
    const some = Float32Array.from({ length: 900 }, (_, i) => Math.sin(i * i * 0.001));
    const used = resampler(11025, 8000);
    used(some.subarray(0, 50));
    expect(used(some)).toEqual(resampler(11025, 8000)(some));
    const [slow, quick] = [22050, 6000].map((rate) => ({ rate, channels: [some] }));
    const record = recorder(8000);
    record(slow);
    record(quick);
    expect([record(slow), record(quick)]).toEqual([recorder(8000)(slow), recorder(8000)(quick)]);
  });

  test('the mean of the channels, 16 bits, held at the ends; 16 bits at the same rate stay as they are', () => {
    const record = recorder(8000);
    const exact = Int16Array.from([0, 1, -1, 32767, -32768, 1234]);
    expect(record({ rate: 8000, channels: [Float32Array.from(exact, (v) => v / 32768)] })).toEqual(exact);
    const [left, right] = [Float32Array.from([1, 0.5, 2, -2]), Float32Array.from([0, -0.5, 2, -2])];
    expect([...record({ rate: 8000, channels: [left, right] })]).toEqual([16384, 0, 32767, -32768]);
  });
});

describe('data sets of sound', () => {
  const sound: Sound = { rate: 8000, recordings: [300, 600, 900, 1200, 1500].map((hertz) => tone(hertz)), view: usualView() };
  const labels = Int32Array.from([0, 1, 0, 1, 0]);
  const data = soundDataset(
    {
      role: 'train',
      source: 'tones',
      labels,
      classes: ['a', 'b'],
      groups: { by: 'speaker', ids: Int32Array.from([0, 0, 1, 1, 2]) },
      sound,
    },
    USUAL_SHAPE,
  );

  test('recordings go where their images go', () => {
    const some = subset(data, [3, 0], 'validation');
    expect(some.sound?.recordings).toEqual([sound.recordings[3], sound.recordings[0]]);
    expect(gather(data, [4]).sound?.recordings[0]).toBe(sound.recordings[4]);
    expect(withLabels(data, Int32Array.from([0, 0, 0, 0, 0]), ['x']).sound).toBe(sound);
    expect(gather(noise('train', 3), [1]).sound).toBeUndefined();
    expect(some.sha256).toBe(makeDataset({ ...some, pixels: some.pixels.slice() }).sha256);
  });

  test('drawn at another size, not resized', () => {
    const shape = { channels: 3, height: 20, width: 30 };
    const wide = redraw(data, shape);
    expect(wide).toMatchObject({ ...shape, count: 5, role: 'train', source: 'tones' });
    expect(wide.pixels.subarray(0, 600)).toEqual(picture(sound.recordings[0], usualView(), { channels: 1, height: 20, width: 30 }));
    expect(fitDataset(data, { ...shape, preprocess: { resize: 256 } } as never).pixels).toEqual(wide.pixels);
    expect(fitDataset(data, { channels: 1, height: 64, width: 64 })).toBe(data);
  });

  test('errors', async () => {
    expect(await messageOf(() => redraw(noise('train', 3), USUAL_SHAPE))).toBe(
      'data: noise: images without recordings, expected spectrograms of sound.',
    );
    expect(await messageOf(() => makeDataset({ ...data, sound: { ...sound, recordings: [] } }))).toBe(
      'data: tones: recordings do not fit, expected 5, one for each image, got 0.',
    );
    expect(await messageOf(() => redraw(data, { channels: 300_000, height: 64, width: 64 }))).toBe(
      'data: tones: too many spectrograms of this size for one data set, expected at most 4294967296 bytes, ' +
        'got 6144000000 (5 of 300000x64x64). Try a smaller size, or one channel.',
    );
  });
});

test.each([
  [{ high: 5000 }, {}, 'frequencies, expected 0 to 4000 Hz, half the rate, low below high, got 50 to 5000 Hz'],
  [{ window: 2 }, {}, 'length of the window, expected 0.001 to 0.5 s, got 2 s'],
  [{ range: 0 }, {}, 'range, expected 1 to 200 dB, got 0 dB'],
  [{ span: 0 }, {}, 'span, expected "word" or seconds up to 60, got 0'],
  [{}, { height: 0 }, 'size of the picture, expected 1 to 4096, got 0x64'],
  [
    { low: 100, high: 101 },
    { height: 4096 },
    'rows, expected bands that a transform of 65536 points can tell apart, got 4096 between 100 and 101 Hz',
  ],
])('a view that is none: %o %o', async (view, shape, text) => {
  const run = (): unknown => spectrogram({ ...usualView(), ...view }, 8000, { ...USUAL_SHAPE, ...shape });
  expect(await messageOf(run)).toBe(`data: spectrogram: ${text}.`);
});
