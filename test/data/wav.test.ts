/** WAV files and folders of them: every kind that is read, layouts, settings, and what is said where something is wrong. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SecateurError } from '../../src/core/errors.ts';
import { fromBase64 } from '../../src/data/base64.ts';
import { loadData } from '../../src/data/load.node.ts';
import { countByClass } from '../../src/data/make.ts';
import { readSoundSettings } from '../../src/data/sound-settings.ts';
import { usualView } from '../../src/data/spectrogram.ts';
import { readWav, writeWav } from '../../src/data/wav.ts';
import { messageOf, tempFolder } from './helpers.ts';

interface Wave {
  code: number;
  bits: number;
  channels: number;
  values: number[];
  bytes: string;
}
const { waves } = JSON.parse(readFileSync(new URL('../golden/data/spectrograms.json', import.meta.url), 'utf8')) as { waves: Wave[] };
const { dir, write } = tempFolder();

/** A little tone, so that every recording has a picture of its own. */
const beep = (hertz: number, { rate = 8000, seconds = 0.1 } = {}): Uint8Array =>
  writeWav(
    Int16Array.from({ length: Math.round(rate * seconds) }, (_, i) => Math.round(9000 * Math.sin((2 * Math.PI * hertz * i) / rate))),
    rate,
  );

const change = (bytes: Uint8Array, at: number, ...values: number[]): Uint8Array => {
  const out = bytes.slice();
  out.set(values, at);
  return out;
};

describe('files', () => {
  test.each(waves)('format $code, $bits bits, $channels channels; an odd chunk before the samples', ({ bits, channels, values, bytes }) => {
    const sound = readWav(fromBase64(bytes), 'x');
    expect(sound.rate).toBe(8000);
    expect(sound.channels.length).toBe(channels);
    for (const [c, samples] of sound.channels.entries()) {
      const wanted = values.map((v) => (c === 1 && v !== -1 ? -v : v));
      for (const [i, v] of samples.entries()) expect(Math.abs(v - wanted[i])).toBeLessThanOrEqual(bits === 8 ? 1 / 128 : 0);
    }
  });

  test('what is written is read back, sample by sample', () => {
    fc.assert(
      fc.property(fc.int16Array({ minLength: 1, maxLength: 50 }), fc.integer({ min: 1000, max: 192_000 }), (samples, rate) => {
        const { channels, rate: back } = readWav(writeWav(samples, rate), 'x');
        expect(back).toBe(rate);
        expect([...channels[0]].map((v) => v * 32768)).toEqual([...samples].map((v) => v + 0));
      }),
      { numRuns: 30, seed: 3 },
    );
  });

  test('WAVE_FORMAT_EXTENSIBLE; a size that was never written; a file cut short', () => {
    const plain = beep(400);
    const extended = new Uint8Array(plain.length + 24);
    extended.set(plain.subarray(0, 36));
    extended.set(plain.subarray(36), 60);
    new DataView(extended.buffer).setUint32(16, 40, true);
    extended.set([0xfe, 0xff], 20);
    extended.set([1, 0], 44);
    expect(readWav(extended, 'x')).toEqual(readWav(plain, 'x'));
    expect(readWav(change(plain, 40, 0xff, 0xff, 0xff, 0xff), 'x')).toEqual(readWav(plain, 'x'));
    expect(readWav(change(plain, 40, 0, 0, 0, 0), 'x')).toEqual(readWav(plain, 'x'));
    expect(readWav(plain.subarray(0, 44 + 101), 'x').channels[0]).toEqual(readWav(plain, 'x').channels[0].subarray(0, 50));
  });

  test('no samples and other chunks after them: not read as samples', async () => {
    const list = [...new TextEncoder().encode('LIST'), 6, 0, 0, 0, 73, 78, 70, 79, 0, 1];
    const none = writeWav(new Int16Array(0), 8000);
    const message = (tail: number[]): Promise<string> => messageOf(() => readWav(Uint8Array.from([...none, ...tail]), 'x'));
    const expected = 'x: a recording without samples, expected at least one.';
    expect(await message(list)).toBe(expected);
    expect(await message([...list, ...list])).toBe(expected);
    // an odd chunk with and without the byte that fills it up; 8 bits, or the rest would be no whole sample
    const odd = [105, 100, 51, 32, 1, 0, 0, 0, 9];
    const bytes8 = change(change(none, 34, 8), 32, 1);
    for (const tail of [odd, [...odd, 0]]) {
      expect(await messageOf(() => readWav(Uint8Array.from([...bytes8, ...tail]), 'x'))).toBe(expected);
    }
    // sound that begins like a name, but not with a chunk
    expect(readWav(Uint8Array.from([...none, ...list, 1, 2]), 'x').channels[0].length).toBe(8);
    expect(readWav(Uint8Array.from([...none, ...list.slice(0, -2)]), 'x').channels[0].length).toBe(6);
  });

  test('bytes of any kind: sound, or an error of ours', () => {
    const start = writeWav(Int16Array.from([1, 2, 3]), 8000);
    const bytes = fc.uint8Array({ maxLength: 60 });
    fc.assert(
      fc.property(bytes, fc.nat(50), fc.boolean(), (some, at, own) => {
        const file = own ? some : Uint8Array.from([...start.subarray(0, at), ...some]);
        try {
          return readWav(file, 'x').channels[0].length > 0;
        } catch (error) {
          return error instanceof SecateurError;
        }
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  const good = beep(400);
  const text = (s: string): Uint8Array => new TextEncoder().encode(s);
  test.each<[string, Uint8Array, string]>([
    ['empty', new Uint8Array(0), 'not a WAV file, expected RIFF/WAVE, got an empty file.'],
    ['anything', Uint8Array.from([1, 2, 3, 4, 5]), 'not a WAV file, expected RIFF/WAVE, got a file that starts with 01 02 03 04.'],
    ['FLAC', text('fLaC....'), 'not a WAV file, expected RIFF/WAVE, got FLAC. Try ffmpeg -i FILE -c:a pcm_s16le FILE.wav.'],
    [
      'AVI',
      text('RIFF....AVI '),
      'not a WAV file, expected RIFF/WAVE, got a video or another RIFF file. Try ffmpeg -i FILE -c:a pcm_s16le FILE.wav.',
    ],
    ['pointer', text('version https://git-lfs.github.com/spec/v1'), 'not a WAV file, expected RIFF/WAVE, got a Git LFS pointer.'],
    ['no chunks', good.subarray(0, 12), 'damaged WAV file, expected chunks "fmt " and "data", got neither.'],
    ['no samples', good.subarray(0, 40), 'damaged WAV file, expected chunks "fmt " and "data", got no data chunk.'],
    ['no format', change(good, 12, 0x78), 'damaged WAV file, expected a fmt chunk before the samples, got none.'],
    ['short format', change(good, 16, 14), 'damaged WAV file, expected a fmt chunk of at least 16 bytes, got 14.'],
    [
      'A-law',
      change(good, 20, 6),
      'samples of a kind that is not read, expected PCM of 8, 16, 24 or 32 bits, or floating point of 32 or 64, got A-law. ' +
        'Try ffmpeg -i FILE -c:a pcm_s16le NEW.wav.',
    ],
    [
      '12 bits',
      change(good, 34, 12),
      'samples of a kind that is not read, expected PCM of 8, 16, 24 or 32 bits, or floating point of 32 or 64, got PCM of 12 bits. ' +
        'Try ffmpeg -i FILE -c:a pcm_s16le NEW.wav.',
    ],
    ['no channels', change(good, 22, 0), 'damaged WAV file, expected at least one channel, got 0.'],
    ['rate', change(good, 24, 1, 0), 'damaged WAV file, expected 1000 to 768000 samples per second, got 1.'],
    ['nothing in it', writeWav(new Int16Array(0), 8000), 'a recording without samples, expected at least one.'],
    ['not numbers', nan(), 'a sample is not a number, expected finite samples, got channel 0 has others.'],
  ])('%s', async (_, bytes, message) => {
    expect(await messageOf(() => readWav(bytes, 'data: a.wav'))).toBe(`data: a.wav: ${message}`);
  });
});

function nan(): Uint8Array {
  const bytes = change(writeWav(new Int16Array(4), 8000), 20, 3);
  bytes.set([32, 0], 34);
  new DataView(bytes.buffer).setFloat32(48, Number.NaN, true);
  return bytes;
}

describe('folders', () => {
  test('label and speaker in the name: speakers are groups, files in natural order', async () => {
    for (const [label, speaker, i] of [
      ['1', 'ann', 0],
      ['1', 'ann', 10],
      ['1', 'ann', 2],
      ['1', 'bo_b', 0],
      ['0', 'bo_b', 0],
      ['0', 'ann', 0],
    ] as const) {
      write(`flat/recordings/${label}_${speaker}_${i}.wav`, beep(300 + 100 * i + (speaker === 'ann' ? 0 : 37)));
    }
    write('flat/SOURCE.md', 'from somewhere');
    const notes: string[] = [];
    const loaded = await loadData(join(dir, 'flat'), { note: (text) => notes.push(text) });
    expect(notes).toEqual(['recordings of the same speaker stay together when some are held out (--group-by none parts them)']);
    expect(loaded.undivided).toBe(true);
    expect(loaded.test).toBeUndefined();
    const train = loaded.train!;
    expect(train).toMatchObject({ kind: 'clean', role: 'train', count: 6, channels: 1, height: 64, width: 64, classes: ['0', '1'] });
    expect([...train.labels]).toEqual([0, 0, 1, 1, 1, 1]);
    expect(train.groups).toEqual({ by: 'speaker', ids: Int32Array.from([0, 1, 0, 0, 0, 1]), names: ['ann', 'bo_b'] });
    expect(train.sound).toMatchObject({ rate: 8000, view: usualView() });
    // natural order: 0, 2, 10
    const known = [300, 500, 1300].map((hertz) => Math.round(9000 * Math.sin((2 * Math.PI * hertz) / 8000)));
    expect(train.sound?.recordings.slice(2, 5).map((samples) => samples[1])).toEqual(known);
    expect((await loadData(join(dir, 'flat/recordings'), { groupBy: 'none' })).train?.groups).toBeUndefined();
    expect((await loadData(join(dir, 'flat/recordings'), { groupBy: 'prefix' })).train?.groups?.by).toBe('prefix');
  });

  test('one sub-folder a class, with train and test; speakers by the beginning of the name', async () => {
    for (const [part, label, name] of [
      ['train', 'yes', 'ann_0'],
      ['train', 'yes', 'ann_1'],
      ['train', 'no', 'ann_2'],
      ['train', 'no', 'bob_0'],
      ['test', 'no', 'eve'],
    ]) {
      write(`parts/${part}/${label}/${name}.wav`, beep(500, { seconds: 0.05 }));
    }
    const { train, test: held, undivided } = await loadData(join(dir, 'parts'));
    expect(undivided).toBeUndefined();
    expect(train?.classes).toEqual(['no', 'yes']);
    expect([...train!.labels]).toEqual([0, 0, 1, 1]);
    expect(train?.groups).toEqual({ by: 'speaker', ids: Int32Array.from([0, 1, 0, 0]), names: ['ann', 'bob'] });
    expect(held).toMatchObject({ role: 'test', count: 1, classes: ['no', 'yes'] });
    expect(held?.groups).toBeUndefined();
    expect((await loadData(join(dir, 'parts/train'))).train?.count).toBe(4);
  });

  test('speakers with numbers for names are the same in every class; bare numbers are nobody', async () => {
    for (const name of ['no/07_0', 'no/08_0', 'yes/07_0', 'yes/07_1']) write(`numbers/${name}.wav`, beep(500));
    const { train } = await loadData(join(dir, 'numbers'));
    expect([train!.groups!.by, ...train!.groups!.ids]).toEqual(['speaker', 0, 1, 0, 0]);
    expect(train!.groups!.names).toEqual(['07', '08']);
    for (const name of ['no/0', 'no/1', 'yes/0', 'yes/1']) write(`counted/${name}.wav`, beep(500));
    expect((await loadData(join(dir, 'counted'))).train!.groups).toBeUndefined();
  });

  test('grouped by prefix, digits count within their class', async () => {
    for (const name of ['no/12_0', 'no/12_1', 'no/13_0', 'yes/12_0', 'yes/ann-1', 'no/ann-2']) write(`prefix/${name}.wav`, beep(500));
    const { train } = await loadData(join(dir, 'prefix'), { groupBy: 'prefix' });
    expect([...train!.labels]).toEqual([0, 0, 0, 0, 1, 1]);
    expect([train!.groups!.by, ...train!.groups!.ids]).toEqual(['prefix', 0, 0, 1, 2, 3, 2]);
    expect(train!.groups!.names).toEqual(['12 of no', '13 of no', 'ann', '12 of yes']);
  });

  test('one speaker is no group, unless that is asked for', async () => {
    write('one/a_x_0.wav', beep(400));
    write('one/b_x_0.wav', beep(500));
    expect((await loadData(join(dir, 'one'))).train?.groups).toBeUndefined();
    expect((await loadData(join(dir, 'one'), { groupBy: 'speaker' })).train?.groups).toEqual({
      by: 'speaker',
      ids: Int32Array.of(0, 0),
      names: ['x'],
    });
  });

  test('train and test with flat names', async () => {
    write('flat parts/train/a_ann_0.wav', beep(500));
    write('flat parts/train/b_ann_0.wav', beep(500));
    write('flat parts/test/b_bob_0.wav', beep(500));
    const { train, test: held } = await loadData(join(dir, 'flat parts'));
    expect([train?.count, held?.count, held?.labels[0]]).toEqual([2, 1, 1]);
  });

  test('folders beside train and test are left out, and that is said; a class of trains is a class', async () => {
    for (const name of ['train/a/x', 'train/b/x', 'test/b/y', 'val/a/z', 'dev/a_x_0', 'noise/hiss']) write(`beside/${name}.wav`, beep(500));
    write('beside/docs/readme.md', 'hello');
    const notes: string[] = [];
    const { train, test: held } = await loadData(join(dir, 'beside'), { note: (text) => notes.push(text) });
    expect([train!.classes, train!.count, held!.count]).toEqual([['a', 'b'], 2, 1]);
    expect(notes).toEqual([
      'the folder "dev" is left out: the defender\'s own recordings are taken from the training part',
      'the folder "noise" is left out: neither train nor test',
      'the folder "val" is left out: the defender\'s own recordings are taken from the training part',
    ]);
    for (const name of ['train/a/x', 'val/a/y']) write(`two/${name}.wav`, beep(500));
    expect((await loadData(join(dir, 'two'))).train).toMatchObject({ count: 1, classes: ['a'] });
    for (const name of ['train/x', 'plane/x', 'car/x']) write(`trains/${name}.wav`, beep(500));
    expect((await loadData(join(dir, 'trains'))).train!.classes).toEqual(['car', 'plane', 'train']);
  });

  test('settings in the address; a size that a network wants', async () => {
    write('small/a_x_0.wav', beep(1000));
    write('small/b_x_0.wav', beep(2000));
    const path = join(dir, 'small');
    const { train } = await loadData(`${path}?size=32x48&channels=3&rate=16000&scale=linear&window=0.01&low=0&high=7000&range=80&span=0.5`);
    expect(train).toMatchObject({ channels: 3, height: 32, width: 48 });
    expect(train?.sound).toMatchObject({
      rate: 16000,
      view: { scale: 'linear', window: 0.01, low: 0, high: 7000, range: 80, span: 0.5 },
    });
    expect(train?.sound?.recordings[0].length).toBe(1600);
    const fitted = await loadData(path, { fit: { channels: 3, height: 20, width: 20 } });
    expect(fitted.train).toMatchObject({ channels: 3, height: 20, width: 20 });
    expect(fitted.train?.pixels).toEqual((await loadData(`${path}?size=20&channels=3`)).train?.pixels);
  });

  test('other rates and several channels are brought together, and that is said', async () => {
    write('rates/a_x_0.wav', beep(1000, { rate: 16000, seconds: 0.2 }));
    write('rates/a_x_1.wav', beep(1000, { seconds: 0.2 }));
    const stereo = change(beep(1000, { rate: 8000 }), 22, 2);
    write('rates/b_x_0.wav', stereo);
    const notes: string[] = [];
    const { train } = await loadData(join(dir, 'rates'), { note: (text) => notes.push(text) });
    expect(train?.sound?.recordings.map((samples) => samples.length)).toEqual([1600, 1600, 400]);
    expect(notes).toEqual([
      'recordings brought to 8000 samples per second: 1 of 16000 Hz (?rate= in the address says another)',
      '1 recordings have more than one channel: the mean is taken',
    ]);
    // the same tone at both rates is the same picture, but for its ends
    const [a, b] = [train!.pixels.subarray(0, 4096), train!.pixels.subarray(4096, 8192)];
    let apart = 0;
    for (let i = 0; i < 4096; i++) if (i % 64 >= 16 && i % 64 < 48) apart = Math.max(apart, Math.abs(a[i] - b[i]));
    expect(apart).toBeLessThan(25);
  });

  test('what is wrong with a folder', async () => {
    write('odd/3.wav', beep(400));
    expect(await messageOf(() => loadData(join(dir, 'odd')))).toBe(
      `data: ${join(dir, 'odd/3.wav')}: the name says no label, expected <label>_<speaker>_<index>.wav, got 3.wav. ` +
        'Try one sub-folder for each class, with any names.',
    );
    write('mixed/0_a_0.wav', beep(400));
    write('mixed/1_a_0.flac', 'fLaC');
    expect(await messageOf(() => loadData(join(dir, 'mixed')))).toBe(
      `data: ${join(dir, 'mixed/1_a_0.flac')}: sound of a kind that is not read, expected WAV, got 1_a_0.flac. ` +
        'Try ffmpeg -i FILE -c:a pcm_s16le FILE.wav.',
    );
    write('bare/yes/a.wav', beep(400));
    write('bare/no/readme.md', 'hello');
    expect(await messageOf(() => loadData(join(dir, 'bare')))).toBe(
      `data: ${join(dir, 'bare/no')}: class folder is empty, expected WAV files in it.`,
    );
    write('stranger/train/a/x.wav', beep(400));
    write('stranger/test/b/x.wav', beep(400));
    expect(await messageOf(() => loadData(join(dir, 'stranger')))).toBe(
      `data: ${join(dir, 'stranger/test/b/x.wav')}: class is not in the training part, expected a, got b.`,
    );
    write('torn/a_x_0.wav', 'RIFF');
    expect(await messageOf(() => loadData(join(dir, 'torn')))).toBe(
      `data: ${join(dir, 'torn/a_x_0.wav')}: not a WAV file, expected RIFF/WAVE, got a video or another RIFF file. ` +
        'Try ffmpeg -i FILE -c:a pcm_s16le FILE.wav.',
    );
    expect(await messageOf(() => loadData(join(dir, 'stranger'), { groupBy: 'track' }))).toBe(
      `--group-by: no such column in ${join(dir, 'stranger/train')}, expected speaker, prefix (names up to the last _ or -) or none, got track.`,
    );
  });

  test('what is wrong with settings', async () => {
    const expected =
      'size=64 or 64x48, channels=1 or 3, rate=8000, scale=mel or linear, window=0.025, low=50, high=4000, range=60, span=word or seconds';
    for (const setting of ['hop=3', 'size=a', 'channels=2', 'scale=bark', 'low=-1', 'span=all', 'rate=8k']) {
      expect(await messageOf(() => readSoundSettings(setting, 'data: x'))).toBe(
        `data: x: unknown setting "${setting}", expected ${expected}.`,
      );
    }
    expect(await messageOf(() => readSoundSettings('rate=1', 'data: x'))).toBe(
      'data: x: rate, expected 2000 to 96000 samples per second, got 1.',
    );
    expect(readSoundSettings('', 'data: x')).toMatchObject({ rate: 8000, shape: { channels: 1, height: 64, width: 64 } });
  });
});

const FSDD = new URL('../../../shared/data/fsdd', import.meta.url).pathname;

test.skipIf(!existsSync(FSDD))('the Free Spoken Digit Dataset (skipped where ../shared/data is not there)', async () => {
  const { train, undivided } = await loadData(`${FSDD}?size=8`);
  expect(undivided).toBe(true);
  expect(train).toMatchObject({
    count: 3000,
    channels: 1,
    height: 8,
    width: 8,
    classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
  });
  expect([...countByClass(train!)]).toEqual(new Array(10).fill(300));
  const by = new Int32Array(6);
  for (const id of train!.groups!.ids) by[id]++;
  expect([...by]).toEqual(new Array(6).fill(500));
});
