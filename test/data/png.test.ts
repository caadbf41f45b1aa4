/** Our PNG files read back by pngjs, which did not write them. */
import fc from 'fast-check';
import { PNG } from 'pngjs';
import { describe, expect, test } from 'vitest';
import { base64Size, dataUri, fromBase64, toBase64 } from '../../src/data/base64.ts';
import { contactSheet } from '../../src/data/contact-sheet.ts';
import { crc32, encodePng } from '../../src/data/png.ts';
import { messageOf, noise } from './helpers.ts';

describe('encodePng', () => {
  test('crc32 gives the check value of the CRC catalogue', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
  });

  test('pngjs reads back what was written', () => {
    const picture = fc
      .record({ width: fc.integer({ min: 1, max: 9 }), height: fc.integer({ min: 1, max: 9 }), channels: fc.constantFrom(1, 3, 4) })
      .chain((size) => {
        const length = size.width * size.height * size.channels;
        return fc.record({ size: fc.constant(size), pixels: fc.uint8Array({ minLength: length, maxLength: length }) });
      });
    fc.assert(
      fc.property(picture, ({ size: { width, height, channels }, pixels }) => {
        const png = PNG.sync.read(Buffer.from(encodePng(pixels, width, height, channels)));
        expect([png.width, png.height]).toEqual([width, height]);
        for (let i = 0; i < width * height; i++) {
          const at = (c: number): number => pixels[i * channels + (channels === 1 ? 0 : c)];
          const rgba = [at(0), at(1), at(2), channels === 4 ? at(3) : 255];
          expect([...png.data.subarray(i * 4, i * 4 + 4)]).toEqual(rgba);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('says what does not fit', async () => {
    expect(await messageOf(() => encodePng(new Uint8Array(8), 2, 2, 2))).toBe(
      'png: cannot be written, expected 1, 3 or 4 channels, got 2.',
    );
    expect(await messageOf(() => encodePng(new Uint8Array(5), 2, 2, 1))).toBe(
      'png: pixels do not fit the size, expected 4 bytes for 2x2x1, got 5.',
    );
  });
});

test('base64 goes round, and agrees with Node', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = toBase64(bytes);
      expect(text).toBe(Buffer.from(bytes).toString('base64'));
      expect(fromBase64(text)).toEqual(bytes);
      expect(base64Size(text)).toBe(bytes.length);
    }),
  );
  const long = Uint8Array.from({ length: 100_003 }, (_, i) => (i * 31) % 256);
  expect(toBase64(long)).toBe(Buffer.from(long).toString('base64'));
  expect(dataUri(Uint8Array.of(1, 2, 3))).toBe('data:image/png;base64,AQID');
});

test.each([1, 3])('a contact sheet puts every image (%d channels) in its place', (channels) => {
  const data = noise('test', 5, { channels, height: 3, width: 4 });
  const png = PNG.sync.read(Buffer.from(contactSheet(data, [0, 3, 4], { columns: 2, zoom: 2, gap: 1, paper: 7 })));
  expect([png.width, png.height]).toEqual([2 * 9 + 1, 2 * 7 + 1]);
  const at = (x: number, y: number): number[] => [...png.data.subarray((y * png.width + x) * 4, (y * png.width + x) * 4 + 3)];
  const pixel = (image: number, y: number, x: number): number[] =>
    [0, 1, 2].map((c) => data.pixels[((image * channels + (channels === 3 ? c : 0)) * 3 + y) * 4 + x]);
  expect(at(0, 0)).toEqual([7, 7, 7]);
  expect(at(1, 1)).toEqual(pixel(0, 0, 0));
  expect(at(2, 2)).toEqual(pixel(0, 0, 0));
  // Image 3 stands second in the first row, image 4 first in the second.
  expect(at(1 + 9 + 7, 1 + 5)).toEqual(pixel(3, 2, 3));
  expect(at(1 + 2, 1 + 7 + 4)).toEqual(pixel(4, 2, 1));
  expect(at(1 + 9 + 3, 1 + 7 + 3)).toEqual([7, 7, 7]);
});
