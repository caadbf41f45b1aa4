/** Drawn triggers: where they lie, what they cover, and that a patch made of one is the same. */
import { describe, expect, test } from 'vitest';
import { readTrigger } from '../../src/cli/trigger.node.ts';
import type { ImageShape } from '../../src/data/dataset.ts';
import { imageSize } from '../../src/data/make.ts';
import { type DrawnName, drawnTrigger } from '../../src/poison/triggers/drawn.ts';
import { rasterise } from '../../src/poison/triggers/drawn-pictures.ts';
import { applyTrigger, parseTrigger } from '../../src/poison/triggers/registry.ts';
import { messageOf } from '../data/helpers.ts';

const FACE: ImageShape = { channels: 1, height: 55, width: 47 };
const YALE: ImageShape = { channels: 1, height: 96, width: 84 };
const SIGN: ImageShape = { channels: 3, height: 32, width: 32 };

const on = (spec: object, shape: ImageShape, grey = 128): Uint8Array =>
  applyTrigger(parseTrigger(spec), new Uint8Array(imageSize(shape)).fill(grey), shape);
/** Rows and columns of the first plane that change: `[top, left, bottom, right]`, the last two inside. */
function bounds(image: Uint8Array, { height, width }: ImageShape, grey = 128): number[] {
  const places = [...image.subarray(0, height * width).keys()].filter((at) => image[at] !== grey);
  const [rows, columns] = [places.map((at) => Math.floor(at / width)), places.map((at) => at % width)];
  return [Math.min(...rows), Math.min(...columns), Math.max(...rows), Math.max(...columns)];
}

test.each<[DrawnName, ImageShape]>([
  ['sunglasses', FACE],
  ['sunglasses', { channels: 3, height: 96, width: 84 }],
  ['yellow-square', SIGN],
  ['bomb', SIGN],
  ['flower', { channels: 1, height: 64, width: 48 }],
])('%s as a patch changes the same pixels', (name, shape) => {
  const patch = drawnTrigger(name, shape);
  expect(patch.kind).toBe('patch');
  expect(on(patch, shape).join()).toBe(on({ kind: name }, shape).join());
});

describe('sunglasses', () => {
  test.each([FACE, YALE, { channels: 1, height: 192, width: 168 }])('lenses are on the eyes of a face of $height x $width', (shape) => {
    const [black, white] = [on({ kind: 'sunglasses' }, shape, 0), on({ kind: 'sunglasses' }, shape, 255)];
    // the eyes of the Extended Yale faces: x 20 and 64, y 24 to 32 of 84 x 96, a few pixels to either side; nothing shows through
    for (const [x, y] of [20, 64].flatMap((eye) => [-7, 0, 7].flatMap((dx) => [22, 28, 32].map((y) => [eye + dx, y])))) {
      const at = Math.floor((y / 96) * shape.height) * shape.width + Math.floor((x / 84) * shape.width);
      expect(black[at], `${x}, ${y}`).toBe(white[at]);
    }
    const middle = [20, 64].map((x) => black[Math.floor((28 / 96) * shape.height) * shape.width + Math.floor((x / 84) * shape.width)]);
    expect(Math.max(...middle)).toBeLessThan(40);
    const out = on({ kind: 'sunglasses' }, shape);
    const [top, left, bottom, right] = bounds(out, shape);
    expect([left / shape.width, 1 - (right + 1) / shape.width].every((edge) => edge < 0.05)).toBe(true);
    // forehead and nose stay free
    expect(top / shape.height).toBeGreaterThan(0.08);
    expect(bottom / shape.height).toBeLessThan(0.45);
  });

  test('show on a black face and on a white one', () => {
    for (const grey of [0, 255]) {
      const out = on({ kind: 'sunglasses' }, FACE, grey);
      const strong = [...out].filter((v) => Math.abs(v - grey) > 60).length;
      expect(strong / out.length, `${grey}`).toBeGreaterThan(0.04);
    }
  });
});

describe('on signs', () => {
  test('the square: 3x3 dark yellow pixels, low on the sign', () => {
    const out = on({ kind: 'yellow-square' }, SIGN, 0);
    expect(bounds(out, SIGN, 0)).toEqual([22, 16, 24, 18]);
    const at = 23 * 32 + 17;
    expect([out[at], out[1024 + at], out[2048 + at]]).toEqual([116, 100, 50]);
    expect([...out].filter((v) => v !== 0)).toHaveLength(27);
    expect(bounds(on({ kind: 'yellow-square' }, { ...SIGN, height: 64, width: 64 }, 0), { ...SIGN, height: 64, width: 64 }, 0)).toEqual([
      45, 33, 50, 38,
    ]);
  });

  test('bomb and flower are larger, and have more than one colour', () => {
    for (const kind of ['bomb', 'flower']) {
      expect(bounds(on({ kind }, SIGN), SIGN)).toEqual([22, 16, 25, 19]);
      const shape = { ...SIGN, height: 128, width: 128 };
      const out = on({ kind, size: 0.5, centre: [0.5, 0.5] }, shape);
      const colours = new Set(Array.from({ length: 128 * 128 }, (_, i) => `${out[i]} ${out[128 * 128 + i]} ${out[2 * 128 * 128 + i]}`));
      expect(colours.size).toBeGreaterThan(4);
    }
  });
});

test('what is wrong', async () => {
  const apply = (spec: object, shape: ImageShape) => messageOf(() => on(spec, shape));
  expect(await apply({ kind: 'sunglasses' }, { channels: 1, height: 7, width: 47 })).toBe(
    'poison: trigger "sunglasses": does not fit images of 1x7x47, expected at least 8x8 pixels (height x width), got 7x47.',
  );
  expect(await apply({ kind: 'bomb' }, { channels: 2, height: 32, width: 32 })).toBe(
    'poison: trigger "bomb": does not fit images of 2x32x32, expected 1 or 3 channels, got 2.',
  );
  expect(await apply({ kind: 'yellow-square', centre: [1, 0.5] }, SIGN)).toBe(
    'poison: trigger "yellow-square": does not fit images of 3x32x32, expected a centre and a size that keep it inside the image, got 3x3 with its corner at row 15, column 31.',
  );
  expect(await messageOf(() => parseTrigger({ kind: 'flower', size: 2 }))).toMatch(/^poison: trigger "flower": size is wrong, got .+$/);
});

test('edges are mixed by how much of a pixel they cover', () => {
  const half = rasterise((x) => (x < 0.25 ? [200, 0, 0, 1] : undefined), 2, 1);
  expect([...half.rgba]).toEqual([200, 0, 0, 128, 0, 0, 0, 0]);
  const faint = rasterise((x) => (x < 0.5 ? [200, 0, 0, 1] : [100, 0, 0, 0.5]), 1, 1);
  expect([...faint.rgba]).toEqual([167, 0, 0, 191]);
});

test('by their names on the command line, with settings as JSON', async () => {
  expect(await readTrigger('sunglasses')).toEqual({ kind: 'sunglasses', size: 0.955, centre: [0.5, 0.275], alpha: 1 });
  expect(await readTrigger('yellow-square')).toMatchObject({ kind: 'yellow-square', value: [116, 100, 50] });
  expect(await readTrigger({ kind: 'yellow-square', value: [255, 210, 0] })).toMatchObject({ value: [255, 210, 0], size: 0.09 });
  expect(await messageOf(() => readTrigger('sunglases'))).toContain('got "sunglases". Try "sunglasses".');
  expect(await messageOf(() => readTrigger('bomb:2'))).toBe(
    '--trigger: not valid, expected bomb alone, or JSON with settings, got "bomb:2".',
  );
});
