/** Splits: nothing shared, nothing lost, classes in proportion. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Dataset } from '../../src/data/dataset.ts';
import { countByClass, imageAt, makeDataset, subset } from '../../src/data/make.ts';
import { split, splitByHash } from '../../src/data/split.ts';
import { messageOf, noise } from './helpers.ts';

const keys = (data: Dataset): string[] => Array.from({ length: data.count }, (_, i) => `${data.labels[i]}:${imageAt(data, i)}`);
const DATA = noise('train', 300, { classes: 7 });

describe('by seed', () => {
  test('parts are disjoint, together everything, in proportion and in order', () => {
    const settings = fc.record({
      count: fc.integer({ min: 12, max: 120 }),
      classes: fc.integer({ min: 1, max: 5 }),
      validation: fc.oneof(fc.double({ min: 0.1, max: 0.45, noNaN: true }), fc.integer({ min: 1, max: 5 })),
      tune: fc.oneof(fc.double({ min: 0.1, max: 0.45, noNaN: true }), fc.integer({ min: 1, max: 5 })),
      seed: fc.integer(),
    });
    fc.assert(
      fc.property(settings, ({ count, classes, validation, tune, seed }) => {
        const data = noise('train', count, { classes, seed });
        const parts = split(data, { validation, tune }, seed);
        expect([parts.train.role, parts.validation.role, parts.tune.role]).toEqual(['train', 'validation', 'tune']);
        const size = (part: number): number => (part < 1 ? Math.round(part * count) : part);
        expect([parts.validation.count, parts.tune.count]).toEqual([size(validation), size(tune)]);
        const all = [parts.train, parts.validation, parts.tune].flatMap(keys);
        expect(all.toSorted()).toEqual(keys(data).toSorted());
        const whole = countByClass(data);
        for (const [label, n] of countByClass(parts.validation).entries()) {
          expect(Math.abs(n - (parts.validation.count * whole[label]) / count)).toBeLessThan(1);
        }
        const place = new Map(keys(data).map((key, i) => [key, i]));
        const order = keys(parts.validation).map((key) => place.get(key)!);
        expect(order).toEqual(order.toSorted((a, b) => a - b));
      }),
      { numRuns: 60 },
    );
  });

  test('the seed decides', () => {
    const [a, again, b] = [1, 1, 2].map((seed) => split(DATA, { validation: 0.2 }, seed).validation);
    expect(again.sha256).toBe(a.sha256);
    expect(b.sha256).not.toBe(a.sha256);
  });

  test('test data split into test and validation', () => {
    const held = noise('test', 20);
    const parts = split(held, { validation: 5 }, 1);
    expect([parts.test.role, parts.test.count, parts.validation.role, parts.validation.count]).toEqual(['test', 15, 'validation', 5]);
    expect('tune' in parts).toBe(false);
  });

  test('roles are types: the judge takes no training data', () => {
    const judge = (data: Dataset<'test'>): number => data.count;
    const parts = split(DATA, { validation: 0.5 }, 1);
    // @ts-expect-error validation data do not reach the judge
    expect(judge(parts.validation)).toBe(150);
  });

  test('parts that would be empty, and sizes that are none', async () => {
    const message = (validation: number, tune?: number): Promise<string> => messageOf(() => split(DATA, { validation, tune }, 1));
    expect(await message(300)).toBe(
      'data: split: no clean data left after a split, expected at least one image in every part, got train 0, validation 300. ' +
        'Try other shares, or more data.',
    );
    expect(await message(0.001)).toBe(
      'data: split: no clean data left after a split, expected at least one image in every part, got train 300, validation 0. ' +
        'Try other shares, or more data.',
    );
    expect(await message(0.6, 0.5)).toBe(
      'data: split: no clean data left after a split, expected at least one image in every part, got 150 images for tune from 300. ' +
        'Try other shares, or more data.',
    );
    const thirds = makeDataset({ ...DATA, groups: { by: 'film', ids: Int32Array.from(DATA.labels, (_, i) => Math.floor(i / 100)) } });
    expect(await messageOf(() => split(thirds, { validation: 0.1 }, 1))).toBe(
      'data: split: no clean data left after a split, expected at least one image in every part, got train 300, validation 0: groups by film ' +
        'are larger than the share, the smallest being 0.34 of the images of its classes. Try a share of at least 0.34, or smaller groups.',
    );
    expect(split(thirds, { validation: 0.34 }, 1).validation.count).toBe(100);
    for (const size of [0, -0.1, 1.5, Number.NaN]) {
      expect(await message(size)).toBe(
        `data: split: size of the validation part, expected a share between 0 and 1 or a whole number of images, got ${size}.`,
      );
    }
  });
});

describe('by hash', () => {
  test('groups stay together, as their first image falls', () => {
    const ids = Int32Array.from({ length: 300 }, (_, i) => i % 40);
    const parts = splitByHash(makeDataset({ ...DATA, groups: { by: 'person', ids } }), { validation: 0.3 });
    const alone = splitByHash(
      subset(
        DATA,
        Int32Array.from({ length: 40 }, (_, i) => i),
      ),
      { validation: 0.3 },
    );
    expect(parts.train.count + parts.validation.count).toBe(300);
    const held = [...new Set(parts.validation.groups!.ids)];
    expect(held.length).toBeGreaterThan(1);
    expect([...parts.train.groups!.ids].filter((id) => held.includes(id))).toEqual([]);
    expect(held.length).toBe(alone.validation.count);
  });

  test('an image keeps its part when the others are shuffled, doubled or taken away', () => {
    const before = splitByHash(DATA, { validation: 0.3, tune: 0.2 });
    const order = Array.from({ length: 300 }, (_, i) => (i * 7) % 300).filter((i) => i % 5 !== 0);
    const after = splitByHash(subset(DATA, [...order, ...order.slice(0, 40)]), { validation: 0.3, tune: 0.2 });
    for (const part of ['train', 'validation', 'tune'] as const) {
      const was = new Set(keys(before[part]));
      expect(keys(after[part]).every((key) => was.has(key))).toBe(true);
    }
    expect(before.train.count + before.validation.count + before.tune.count).toBe(300);
  });

  test('shares are met on average', () => {
    const many = noise('train', 4000, { height: 2, width: 4 });
    const { validation, tune, train } = splitByHash(many, { validation: 0.3, tune: 0.1 }, 4);
    // Five standard deviations.
    expect(Math.abs(validation.count - 1200)).toBeLessThan(145);
    expect(Math.abs(tune.count - 400)).toBeLessThan(95);
    expect(Math.abs(train.count - 2400)).toBeLessThan(155);
  });

  test('the seed is part of the hash; counts are not possible', async () => {
    expect(splitByHash(DATA, { validation: 0.3 }, 1).validation.sha256).not.toBe(
      splitByHash(DATA, { validation: 0.3 }, 2).validation.sha256,
    );
    expect(await messageOf(() => splitByHash(DATA, { validation: 50 }))).toBe(
      'data: split: size of the validation part, expected a share between 0 and 1, got 50.',
    );
    const one = subset(DATA, [0]);
    expect(await messageOf(() => splitByHash(one, { validation: 0.5 }))).toMatch(
      /^data: split: no clean data left after a split, expected /,
    );
  });
});

describe('makeDataset', () => {
  const parts = { role: 'train' as const, source: 'here', channels: 1, height: 1, width: 2, classes: ['a', 'b'] };

  test('checks what it is given', async () => {
    const message = (pixels: number[], labels: number[], classes = parts.classes): Promise<string> =>
      messageOf(() => makeDataset({ ...parts, classes, pixels: Uint8Array.from(pixels), labels: Int32Array.from(labels) }));
    expect(await message([], [])).toBe('data: here: no images, expected at least one.');
    expect(await message([1, 2, 3], [0, 1])).toBe('data: here: pixels do not fit, expected 4 bytes for 2 images of 1x1x2, got 3.');
    expect(await message([1, 2, 3, 4], [0, 2])).toBe(
      'data: here: label of image 1 is out of range, expected 0 to 1, one for each of 2 classes, got 2.',
    );
    expect(await message([1, 2], [-1], ['only'])).toBe('data: here: label of image 0 is out of range, expected 0, the only class, got -1.');
    expect(await messageOf(() => subset(DATA, [300]))).toBe('data: noise: no such image, expected 0 to 299, got 300.');
  });

  test('the hash is over shape, pixels and labels, nothing else', () => {
    const make = (pixels: number[], labels: number[], more = {}) =>
      makeDataset({ ...parts, pixels: Uint8Array.from(pixels), labels: Int32Array.from(labels), ...more }).sha256;
    const hash = make([1, 2, 3, 4], [0, 1]);
    expect(hash).toBe('2d774cd842c4c4614aec4e22f0dd69e3324f06ceebebbbe2ac9daf3371dccda0');
    expect(make([1, 2, 3, 4], [0, 1], { source: 'there', classes: ['c', 'd'], role: 'test' })).toBe(hash);
    expect(make([1, 2, 3, 4], [1, 0])).not.toBe(hash);
    expect(make([1, 2, 3, 5], [0, 1])).not.toBe(hash);
    expect(make([1, 2, 3, 4], [0, 1], { height: 2, width: 1 })).not.toBe(hash);
  });
});
