/** builtin:spoken: the same everywhere, speakers apart, digits that can be told apart by a voice never heard. */
import { expect, test } from 'vitest';
import { loadBuiltin } from '../../src/data/generators.ts';
import { imageAt } from '../../src/data/make.ts';
import { redraw } from '../../src/data/sound-data.ts';
import { spoken } from '../../src/data/spoken.ts';

const TRAIN = spoken({ count: 120, seed: 1, role: 'train' });

test('same options, same bytes', () => {
  expect(TRAIN.sha256).toBe('d9411b3836fe0aeb0e80486d43ba4dfb6fd5643093655fbf777d2e8be591713b');
  expect(TRAIN).toMatchObject({ count: 120, channels: 1, height: 64, width: 64, source: 'builtin:spoken' });
  expect(TRAIN.sound?.rate).toBe(8000);
});

test('a smaller set is the beginning of a larger one; seeds and roles share nothing', () => {
  const few = spoken({ count: 17, seed: 1, role: 'train' });
  expect(few.pixels).toEqual(TRAIN.pixels.subarray(0, few.pixels.length));
  expect(few.sound?.recordings).toEqual(TRAIN.sound?.recordings.slice(0, 17));
  const seen = new Set<string>();
  for (const data of [TRAIN, spoken({ count: 20, seed: 1, role: 'test' }), spoken({ count: 20, seed: 2, role: 'train' })]) {
    for (let i = 0; i < data.count; i++) seen.add(String(imageAt(data, i)));
  }
  expect(seen.size).toBe(160);
});

test('every speaker says every digit; every ten hold each digit once', () => {
  const pairs = new Set<string>();
  for (let i = 0; i < TRAIN.count; i++) pairs.add(`${TRAIN.groups!.ids[i]} ${TRAIN.labels[i]}`);
  expect(pairs.size).toBe(60);
  expect(TRAIN.groups?.by).toBe('speaker');
  for (let i = 0; i < TRAIN.count; i += 10) expect(new Set(TRAIN.labels.subarray(i, i + 10)).size).toBe(10);
});

test('recordings are as long as words, and neither silent nor cut off', () => {
  for (const recording of TRAIN.sound!.recordings) {
    const seconds = recording.length / 8000;
    expect(seconds).toBeGreaterThan(0.15);
    expect(seconds).toBeLessThan(1.1);
    const most = recording.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    expect(most).toBeGreaterThan(1000);
    expect(most).toBeLessThan(32767);
  }
});

test('the nearest word of other speakers is most often the same digit, not always', () => {
  const small = redraw(TRAIN, { channels: 1, height: 16, width: 16 });
  let right = 0;
  for (let i = 0; i < small.count; i++) {
    const image = imageAt(small, i);
    let [best, label] = [Infinity, -1];
    for (let k = 0; k < small.count; k++) {
      if (small.groups!.ids[k] === small.groups!.ids[i]) continue;
      const other = imageAt(small, k);
      let distance = 0;
      for (let p = 0; p < 256 && distance < best; p++) distance += (image[p] - other[p]) ** 2;
      if (distance < best) [best, label] = [distance, small.labels[k]];
    }
    if (label === small.labels[i]) right++;
  }
  expect(right / small.count).toBeGreaterThan(0.6);
  expect(right / small.count).toBeLessThan(0.99);
});

test('by its address', () => {
  const { train, test: held } = loadBuiltin('builtin:spoken?train=30&test=10&seed=3');
  expect([train.count, held.count, held.role]).toEqual([30, 10, 'test']);
  expect(held.sound?.recordings.length).toBe(10);
});
