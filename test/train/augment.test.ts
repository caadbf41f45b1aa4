import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { type Augmentation, augment, checkAugment, formatAugment, parseAugment } from '../../src/train/augment.ts';

const shape = { channels: 2, height: 6, width: 5 };
const size = 60;
const image = (): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i + 1);
const run = (a: Augmentation, seed: number): Uint8Array => {
  const pixels = image();
  augment(a, pixels, 1, shape, Rng.from(seed));
  return pixels;
};
const pixel = (p: Uint8Array, c: number, y: number, x: number): number => p[(c * 6 + y) * 5 + x];

test('nothing asked, nothing changed', () => {
  expect(run({}, 1)).toEqual(image());
});

test('flip mirrors every row of every channel, for about half the images', () => {
  let flipped = 0;
  for (let seed = 0; seed < 200; seed++) {
    const out = run({ flip: true }, seed);
    if (pixel(out, 0, 0, 0) === 1) expect(out).toEqual(image());
    else {
      flipped++;
      for (let c = 0; c < 2; c++)
        for (let y = 0; y < 6; y++) for (let x = 0; x < 5; x++) expect(pixel(out, c, y, x)).toBe(pixel(image(), c, y, 4 - x));
    }
  }
  expect(flipped).toBeGreaterThan(70);
  expect(flipped).toBeLessThan(130);
});

test('shift moves the whole image by at most so many pixels and brings black in', () => {
  const offsets = new Set<string>();
  for (let seed = 0; seed < 300; seed++) {
    const out = run({ shift: 2 }, seed);
    const matches: string[] = [];
    for (let dy = -2; dy <= 2; dy++) {
      for (let dx = -2; dx <= 2; dx++) {
        const moved = (c: number, y: number, x: number): number =>
          y - dy >= 0 && y - dy < 6 && x - dx >= 0 && x - dx < 5 ? pixel(image(), c, y - dy, x - dx) : 0;
        const same = out.every((v, i) => v === moved(Math.floor(i / 30), Math.floor((i % 30) / 5), i % 5));
        if (same) matches.push(`${dy},${dx}`);
      }
    }
    expect(matches).toHaveLength(1);
    offsets.add(matches[0]);
  }
  expect(offsets.size).toBe(25);
});

test('crop of a constant image is the same constant, and a crop keeps within the values of the image', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 255 }), (seed, crop, value) => {
      const flat = new Uint8Array(size).fill(value);
      augment({ crop }, flat, 1, shape, Rng.from(seed));
      expect(flat).toEqual(new Uint8Array(size).fill(value));
      const out = run({ crop }, seed);
      expect(Math.min(...out.subarray(0, 30))).toBeGreaterThanOrEqual(1);
      expect(Math.max(...out.subarray(0, 30))).toBeLessThanOrEqual(30);
      expect(Math.min(...out.subarray(30))).toBeGreaterThanOrEqual(31);
    }),
  );
});

test('crop of a linear ramp is a linear ramp: the window is scaled, not distorted', () => {
  const wide = { channels: 1, height: 16, width: 16 };
  const ramp = Uint8Array.from({ length: 256 }, (_, i) => 10 * (i % 16));
  augment({ crop: 8 }, ramp, 1, wide, Rng.from(3));
  const row = [...ramp.subarray(0, 16)];
  for (let y = 1; y < 16; y++) expect([...ramp.subarray(y * 16, y * 16 + 16)]).toEqual(row);
  const inner = row.slice(2, 14).map((v, i) => row[i + 3] - v);
  expect(Math.max(...inner) - Math.min(...inner)).toBeLessThanOrEqual(1);
  expect(inner[0]).toBeLessThanOrEqual(10);
  expect(inner[0]).toBeGreaterThanOrEqual(4);
});

test('same seed, same images; images of a batch differ', () => {
  const batch = (seed: number): Uint8Array => {
    const pixels = new Uint8Array(size * 8);
    for (let n = 0; n < 8; n++) pixels.set(image(), n * size);
    augment({ flip: true, shift: 2, crop: 2 }, pixels, 8, shape, Rng.from(seed));
    return pixels;
  };
  expect(batch(5)).toEqual(batch(5));
  expect(batch(5)).not.toEqual(batch(6));
  const images = new Set(
    Array.from({ length: 8 }, (_, n) =>
      batch(5)
        .subarray(n * size, (n + 1) * size)
        .join(),
    ),
  );
  expect(images.size).toBeGreaterThan(4);
});

test.each(['none', 'flip', 'shift:2', 'flip,shift:4,crop:3'])('%s is read and written the same', (text) => {
  expect(formatAugment(parseAugment(text))).toBe(text);
});

test.each(['flop', 'shift', 'shift:0', 'shift:1.5', 'flip:2', 'crop:2:3', ''])('"%s" is refused', (text) => {
  expect(() => parseAugment(text)).toThrow(
    `--augment: not an augmentation, expected flip, shift:PIXELS and crop:PIXELS, joined by commas, or none, got "${text}".`,
  );
});

test('a shift beyond the image is refused', () => {
  expect(() => checkAugment({ shift: 5 }, shape)).toThrow(
    '--augment: shift is as large as the image, expected less than 5 pixels for 6x5 images, got 5.',
  );
  expect(() => checkAugment({ crop: 4, shift: 4, flip: true }, shape)).not.toThrow();
});
