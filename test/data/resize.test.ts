import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromBase64 } from '../../src/data/base64.ts';
import { cropCentre, type Picture, resize, shorterSide, withChannels } from '../../src/data/resize.ts';
import type { Interpolation } from '../../src/onnx/preprocess.ts';

interface Resize {
  channels: 1 | 3;
  height: number;
  width: number;
  to: [number, number];
  pixels: string;
  results: Record<Interpolation, string>;
}
const golden = JSON.parse(readFileSync(new URL('../golden/data/pictures.json', import.meta.url), 'utf8')) as {
  resize: Resize[];
  prepare: { height: number; width: number; resize: number; crop: number; pixels: string; result: string }[];
  grey: { pixels: string; grey: string };
};

/** How many bytes differ, and by how much at most. */
function difference(a: Uint8Array, b: Uint8Array): { differ: number; most: number } {
  expect(a.length).toBe(b.length);
  let [differ, most] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) differ++;
    most = Math.max(most, Math.abs(a[i] - b[i]));
  }
  return { differ, most };
}

describe('as PIL', () => {
  const cases = golden.resize.flatMap((c) =>
    (Object.keys(c.results) as Interpolation[]).map((name) => ({
      title: `${name}, ${c.channels}x${c.height}x${c.width} to ${c.to.join('x')}`,
      name,
      c,
    })),
  );
  test.each(cases)('$title', ({ name, c }) => {
    const picture: Picture = { channels: c.channels, height: c.height, width: c.width, pixels: fromBase64(c.pixels) };
    const made = resize(picture, c.to[0], c.to[1], name);
    expect([made.height, made.width]).toEqual(c.to);
    expect(difference(made.pixels, fromBase64(c.results[name]))).toEqual({ differ: 0, most: 0 });
  });

  test.each(golden.prepare)('shorter side $resize, centre $crop of $height x $width', (c) => {
    const picture: Picture = { channels: 3, height: c.height, width: c.width, pixels: fromBase64(c.pixels) };
    const [height, width] = shorterSide(c.height, c.width, c.resize);
    const made = cropCentre(resize(picture, height, width, 'bilinear'), c.crop, c.crop);
    expect(difference(made.pixels, fromBase64(c.result))).toEqual({ differ: 0, most: 0 });
  });

  test('grey', () => {
    const picture: Picture = { channels: 3, height: 8, width: 8, pixels: fromBase64(golden.grey.pixels) };
    const grey = withChannels(picture, 1);
    expect(difference(grey.pixels, fromBase64(golden.grey.grey))).toEqual({ differ: 0, most: 0 });
    expect(withChannels(grey, 3).pixels).toEqual(Uint8Array.of(...grey.pixels, ...grey.pixels, ...grey.pixels));
  });
});

const sizes = fc.integer({ min: 1, max: 12 });
const pictures = fc
  .tuple(sizes, sizes, fc.constantFrom(1, 3))
  .chain(([height, width, channels]) =>
    fc
      .uint8Array({ minLength: channels * height * width, maxLength: channels * height * width })
      .map((pixels): Picture => ({ channels: channels as 1 | 3, height, width, pixels })),
  );

test('one grey stays one grey, and no filter but bicubic and lanczos leaves the range of the picture', () => {
  fc.assert(
    fc.property(pictures, sizes, sizes, fc.boolean(), fc.nat(255), (picture, height, width, antialias, grey) => {
      for (const name of ['nearest', 'bilinear', 'bicubic', 'lanczos'] as const) {
        const flat = resize({ ...picture, pixels: new Uint8Array(picture.pixels.length).fill(grey) }, height, width, name, antialias);
        expect(flat.pixels.every((v) => v === grey)).toBe(true);
      }
      const made = resize(picture, height, width, 'bilinear', antialias).pixels;
      expect(Math.min(...made)).toBeGreaterThanOrEqual(Math.min(...picture.pixels));
      expect(Math.max(...made)).toBeLessThanOrEqual(Math.max(...picture.pixels));
    }),
  );
});

test('without antialias only the nearest two pixels of a row count', () => {
  const row = Uint8Array.of(0, 0, 0, 90, 30, 0, 0, 0);
  const picture: Picture = { channels: 1, height: 1, width: 8, pixels: row };
  expect([...resize(picture, 1, 2, 'bilinear', false).pixels]).toEqual([0, 0]);
  expect([...resize(picture, 1, 1, 'bilinear', false).pixels]).toEqual([60]);
  expect(resize(picture, 1, 2, 'bilinear').pixels[0]).toBeGreaterThan(0);
});
