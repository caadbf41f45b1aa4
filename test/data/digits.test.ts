/** The built-in digits: the same everywhere, dark in the corner, readable but not trivially so. */
import { describe, expect, test } from 'vitest';
import { DIGIT_FORMS } from '../../src/data/digit-strokes.ts';
import { digits } from '../../src/data/digits.ts';
import { generators, loadBuiltin, registerGenerator } from '../../src/data/generators.ts';
import { loadData } from '../../src/data/load.node.ts';
import { countByClass, imageAt } from '../../src/data/make.ts';
import { messageOf } from './helpers.ts';

const TRAIN = digits({ count: 1500, seed: 1, role: 'train' });
const TEST = digits({ count: 300, seed: 1, role: 'test' });

test('a seed gives the same bytes on every machine', () => {
  expect(TRAIN.sha256).toBe('d0735686f042ab4b0275abf0cb55c7180068bfc210714edf9e0adeaf2c997383');
});

test('a smaller set is the beginning of a larger one; seeds and roles share nothing', () => {
  const few = digits({ count: 37, seed: 1, role: 'train' });
  expect(few.pixels).toEqual(TRAIN.pixels.subarray(0, few.pixels.length));
  expect(few.labels).toEqual(TRAIN.labels.subarray(0, 37));
  const seen = new Set<string>();
  for (const data of [TRAIN, TEST, digits({ count: 300, seed: 2, role: 'train' })]) {
    for (let i = 0; i < data.count; i++) seen.add(String(imageAt(data, i)));
  }
  expect(seen.size).toBe(2100);
});

test('every class is there equally often, in no order', () => {
  expect([...countByClass(TRAIN)]).toEqual(new Array(10).fill(150));
  expect([...TRAIN.labels.subarray(0, 10)]).not.toEqual([...TRAIN.labels.subarray(10, 20)]);
});

test('the four by four pixels in the bottom right corner are dark, as in MNIST', () => {
  for (let i = 0; i < TRAIN.count; i++) {
    const image = imageAt(TRAIN, i);
    for (let y = 24; y < 28; y++) expect(image.subarray(y * 28 + 24, y * 28 + 28).some((v) => v > 0)).toBe(false);
  }
});

test('ink looks like ink: background 0, strokes bright, about as much of it as in MNIST', () => {
  let [sum, dark, bright] = [0, 0, 0];
  for (const v of TRAIN.pixels) {
    sum += v;
    if (v === 0) dark++;
    if (v > 200) bright++;
  }
  const share = (n: number): number => n / TRAIN.pixels.length;
  // MNIST: mean 0.131, 81 % black.
  expect(share(sum) / 255).toBeGreaterThan(0.11);
  expect(share(sum) / 255).toBeLessThan(0.15);
  expect(share(dark)).toBeGreaterThan(0.75);
  expect(share(bright)).toBeGreaterThan(0.06);
});

test('nearest neighbours read most of them, not all: the classes are real and overlap a little', () => {
  let right = 0;
  for (let i = 0; i < TEST.count; i++) {
    const image = imageAt(TEST, i);
    let [best, label] = [Infinity, -1];
    for (let k = 0; k < TRAIN.count; k++) {
      const other = imageAt(TRAIN, k);
      let distance = 0;
      for (let p = 0; p < 784 && distance < best; p++) distance += (image[p] - other[p]) ** 2;
      if (distance < best) [best, label] = [distance, TRAIN.labels[k]];
    }
    if (label === TEST.labels[i]) right++;
  }
  expect(right / TEST.count).toBeGreaterThan(0.85);
  expect(right / TEST.count).toBeLessThan(0.98);
});

test('the drafts of a form have the same points and corners', () => {
  for (const forms of DIGIT_FORMS) {
    for (const { drafts } of forms) {
      const [first, ...others] = drafts;
      const corners = (stroke: Float64Array): number[] =>
        [...stroke.keys()].filter((i) => i >= 2 && i % 2 === 0 && stroke[i] === stroke[i - 2] && stroke[i + 1] === stroke[i - 1]);
      for (const other of others) {
        expect(other.map((stroke) => stroke.length)).toEqual(first.map((stroke) => stroke.length));
        expect(other.map(corners)).toEqual(first.map(corners));
      }
    }
  }
});

describe('builtin: addresses', () => {
  test('counts and seed in the address, then in the options, then the usual ones', async () => {
    const { train, test: held } = await loadData('builtin:digits?train=30&seed=5', { train: 99, test: 20 });
    expect([train?.count, held?.count, train?.role, held?.role]).toEqual([30, 20, 'train', 'test']);
    expect(train?.pixels).toEqual(digits({ count: 30, seed: 5, role: 'train' }).pixels);
    expect(train?.source).toBe('builtin:digits');
  });

  test('others can be added', () => {
    const generate = ({ count, role }: { count: number; role: 'train' | 'test' }) => digits({ count, seed: 9, role });
    registerGenerator({ name: 'test-nines', summary: 'for this test', counts: { train: 10, test: 10 }, generate: generate as never });
    expect(generators().map((g) => g.name)).toContain('test-nines');
    expect(loadBuiltin('builtin:test-nines').train.count).toBe(10);
    expect(() => registerGenerator(generators()[0])).toThrow('data: two generators are called "digits".');
  });

  test('what is wrong with an address', async () => {
    expect(await messageOf(() => loadData('builtin:digit'))).toMatch(
      /^data: builtin:digit: no such built-in data, expected builtin:digits(, builtin:[a-z-]+)*\. Try builtin:digits\.$/,
    );
    expect(await messageOf(() => loadData('builtin:digits?size=3'))).toBe(
      'data: builtin:digits?size=3: unknown setting "size", expected train, test, seed.',
    );
    expect(await messageOf(() => loadData('builtin:digits?train=many'))).toBe(
      'data: builtin:digits?train=many: train, expected a whole number, got many.',
    );
    expect(await messageOf(() => loadData('builtin:digits', { test: 0 }))).toBe(
      'data: builtin:digits: number of test images, expected a whole number above 0, got 0.',
    );
  });
});
