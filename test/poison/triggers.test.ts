/** One suite over every kind of trigger there is, then what each of them in particular does. */
import { describe, expect, test } from 'vitest';
import { toBase64 } from '../../src/data/base64.ts';
import type { ImageShape } from '../../src/data/dataset.ts';
import { digits } from '../../src/data/digits.ts';
import { imageAt, imageSize } from '../../src/data/make.ts';
import { patchTrigger, resizeRgba } from '../../src/poison/triggers/patch-image.ts';
import { applyTrigger, parseTrigger, TriggerSpec, triggerKinds } from '../../src/poison/triggers/registry.ts';
import { messageOf, noise } from '../data/helpers.ts';

const GREY: ImageShape = { channels: 1, height: 28, width: 28 };
const COLOUR: ImageShape = { channels: 3, height: 12, width: 16 };
const TINY: ImageShape = { channels: 1, height: 1, width: 1 };
const bytes = (...values: number[]): string => toBase64(Uint8Array.from(values));
const STICKER = { width: 2, height: 1, rgba: bytes(255, 255, 0, 255, 250, 200, 10, 128) };
const OPAQUE = { width: 2, height: 2, rgba: bytes(...[10, 20, 30, 40].flatMap((v) => [v, v, v, 255])) };

/** What a user would write for each kind, for the conformance suite; a kind that is missing here fails it. */
const EXAMPLES: Record<string, object[]> = {
  pixel: [{ kind: 'pixel' }, { kind: 'pixel', row: 0, column: 3, value: [255, 200, 0] }],
  pattern: [
    { kind: 'pattern' },
    {
      kind: 'pattern',
      pixels: [
        [1, 1],
        [-5, 2],
      ],
      value: 180,
    },
  ],
  patch: [
    { kind: 'patch', ...STICKER },
    { kind: 'patch', ...STICKER, row: 3, column: 0, alpha: 0.7 },
  ],
  blend: [{ kind: 'blend' }, { kind: 'blend', alpha: 0.5, seed: 9 }],
  sunglasses: [{ kind: 'sunglasses' }, { kind: 'sunglasses', size: 0.5, centre: [0.4, 0.6], alpha: 0.8 }],
  'yellow-square': [{ kind: 'yellow-square' }, { kind: 'yellow-square', size: 0.25, centre: [0.5, 0.5], value: [255, 220, 0] }],
  bomb: [{ kind: 'bomb' }, { kind: 'bomb', size: 0.5, centre: [0.5, 0.5] }],
  flower: [{ kind: 'flower' }, { kind: 'flower', size: 0.5, centre: [0.5, 0.5] }],
};
/** Examples that do not fit images of one pixel; noise fits everything, a picture only its own size. */
const TOO_BIG: Record<string, object> = {
  ...EXAMPLES,
  pixel: EXAMPLES.pixel[0],
  pattern: EXAMPLES.pattern[0],
  patch: EXAMPLES.patch[0],
  blend: { kind: 'blend', image: { width: 2, height: 2, channels: 1, pixels: bytes(1, 2, 3, 4) } },
  ...Object.fromEntries(['sunglasses', 'yellow-square', 'bomb', 'flower'].map((kind) => [kind, { kind }])),
};

describe.each(triggerKinds().filter(({ on }) => on === 'image'))('conformance: $kind', ({ kind, summary }) => {
  test('says what it is', () => {
    expect(summary.length).toBeGreaterThan(10);
    expect(EXAMPLES[kind]?.length).toBeGreaterThan(0);
  });

  for (const [i, example] of (EXAMPLES[kind] ?? []).entries()) {
    for (const shape of [GREY, COLOUR]) {
      test(`example ${i} on ${shape.channels} channels: same result twice, input untouched, image changed`, () => {
        const spec = parseTrigger(example);
        const images = shape === GREY ? digits({ count: 5, seed: 3, role: 'test' }) : noise('test', 5, COLOUR);
        for (let k = 0; k < images.count; k++) {
          const image = imageAt(images, k).slice();
          const before = image.slice();
          const out = applyTrigger(spec, image, shape);
          expect(image).toEqual(before);
          expect(out).toBeInstanceOf(Uint8Array);
          expect(out.length).toBe(image.length);
          expect(applyTrigger(spec, image, shape)).toEqual(out);
          expect(out).not.toEqual(image);
        }
      });

      test(`example ${i} on ${shape.channels} channels: never runs over 0 or 255`, () => {
        // A byte that ran over would come out on the other side; the darkest and brightest images bound what is possible.
        const spec = parseTrigger(example);
        const black = applyTrigger(spec, new Uint8Array(imageSize(shape)), shape);
        const white = applyTrigger(spec, new Uint8Array(imageSize(shape)).fill(255), shape);
        const middle = applyTrigger(spec, new Uint8Array(imageSize(shape)).fill(128), shape);
        expect(middle.every((v, p) => black[p] <= v && v <= white[p])).toBe(true);
      });
    }

    test(`example ${i} goes through JSON and back`, () => {
      const spec = parseTrigger(example);
      const again = parseTrigger(JSON.parse(JSON.stringify(spec)));
      expect(again).toEqual(spec);
      expect(TriggerSpec.parse(spec)).toEqual(spec);
      const image = imageAt(digits({ count: 1, seed: 1, role: 'test' }), 0);
      expect(applyTrigger(again, image, GREY)).toEqual(applyTrigger(spec, image, GREY));
    });
  }

  test('an image it does not fit is an error that names it', async () => {
    const text = await messageOf(() => applyTrigger(parseTrigger(TOO_BIG[kind]), new Uint8Array(1), TINY));
    expect(text).toMatch(new RegExp(`^poison: trigger "${kind}": does not fit images of 1x1x1, expected .+, got .+\\.$`));
  });

  test('a field nobody knows is an error', async () => {
    const text = await messageOf(() => parseTrigger({ ...EXAMPLES[kind][0], colour: 'red' }));
    expect(text).toBe(`poison: trigger "${kind}": is wrong, got Unrecognized key: "colour".`);
  });
});

const changed = (spec: object, image: Uint8Array, shape: ImageShape): [number, number][] => {
  const out = applyTrigger(parseTrigger(spec), image, shape);
  return [...out.entries()].filter(([i, v]) => v !== image[i]);
};

describe('pixel and pattern', () => {
  const black = new Uint8Array(784);
  const at = (row: number, column: number): [number, number] => [row * 28 + column, 255];

  test('the usual places: bottom right, one pixel off the edges', () => {
    expect(changed({ kind: 'pixel' }, black, GREY)).toEqual([at(26, 26)]);
    expect(changed({ kind: 'pattern' }, black, GREY)).toEqual([at(24, 26), at(25, 25), at(26, 24), at(26, 26)]);
  });

  test('rows and columns from either end', () => {
    expect(changed({ kind: 'pixel', row: 0, column: 27, value: 9 }, black, GREY)).toEqual([[27, 9]]);
    expect(changed({ kind: 'pixel', row: -28, column: -1, value: 9 }, black, GREY)).toEqual([[27, 9]]);
  });

  test('colours: by channel, or their luma on grey', () => {
    const small = { channels: 3, height: 1, width: 2 };
    const spec = { kind: 'pixel', row: 0, column: 1, value: [200, 100, 50] };
    expect([...applyTrigger(parseTrigger(spec), new Uint8Array(6), small)]).toEqual([0, 200, 0, 100, 0, 50]);
    expect(changed(spec, black, GREY)).toEqual([[1, Math.round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]]);
    const two = { channels: 2, height: 1, width: 2 };
    expect([...applyTrigger(parseTrigger({ ...spec, value: 7 }), new Uint8Array(4), two)]).toEqual([0, 7, 0, 7]);
  });

  test('what is wrong', async () => {
    const apply = (spec: object, shape = GREY) =>
      messageOf(() => applyTrigger(parseTrigger(spec), new Uint8Array(imageSize(shape)), shape));
    expect(await apply({ kind: 'pixel', row: 28 })).toBe(
      'poison: trigger "pixel": does not fit images of 1x28x28, expected rows -28 to 27, columns -28 to 27, got row 28, column -2.',
    );
    expect(await apply({ kind: 'pixel', value: [1, 2, 3] }, { channels: 2, height: 4, width: 4 })).toBe(
      'poison: trigger "pixel": does not fit images of 2x4x4, expected a single value, or images of 1 or 3 channels, got red, green and blue.',
    );
    expect(await apply({ kind: 'pixel', value: 256 })).toMatch(/^poison: trigger "pixel": value is wrong, got .+$/);
    expect(await apply({ kind: 'pattern', pixels: [] })).toMatch(/^poison: trigger "pattern": pixels is wrong, got .+$/);
    expect(await messageOf(() => applyTrigger(parseTrigger({ kind: 'pixel' }), new Uint8Array(5), GREY))).toBe(
      'poison: trigger "pixel": not one image, expected 784 bytes for 1x28x28, got 5.',
    );
    expect(await messageOf(() => parseTrigger({ kind: 'patern' }))).toBe(
      'poison: kind of trigger, expected pixel, pattern, patch, blend, sunglasses, yellow-square, bomb, flower, noise, got "patern". Try "pattern".',
    );
    expect(await messageOf(() => parseTrigger('pixel'))).toBe(
      'poison: kind of trigger, expected pixel, pattern, patch, blend, sunglasses, yellow-square, bomb, flower, noise, got none.',
    );
  });
});

describe('patch', () => {
  const square = { channels: 1, height: 4, width: 4 };

  test('lies where it is put; negative places count from the far edges', () => {
    const grid = (spec: object): number[] => [
      ...applyTrigger(parseTrigger({ kind: 'patch', ...OPAQUE, ...spec }), new Uint8Array(16), square),
    ];
    expect(grid({ row: 0, column: 1 })).toEqual([0, 10, 20, 0, 0, 30, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(grid({ row: -1, column: -1 })).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 20, 0, 0, 30, 40]);
    expect(grid({})).toEqual([0, 0, 0, 0, 0, 10, 20, 0, 0, 30, 40, 0, 0, 0, 0, 0]);
  });

  test('its own opacity counts, times alpha', () => {
    const spec = { kind: 'patch', width: 3, height: 1, rgba: bytes(200, 0, 0, 255, 200, 0, 0, 51, 200, 0, 0, 0), row: 0, column: 0 };
    const shape = { channels: 3, height: 1, width: 3 };
    const image = new Uint8Array(9).fill(100);
    expect([...applyTrigger(parseTrigger(spec), image, shape)]).toEqual([200, 120, 100, 0, 80, 100, 0, 80, 100]);
    expect([...applyTrigger(parseTrigger({ ...spec, alpha: 0.5 }), image, shape)]).toEqual([150, 110, 100, 50, 90, 100, 50, 90, 100]);
  });

  test('what is wrong', async () => {
    expect(await messageOf(() => applyTrigger(parseTrigger({ kind: 'patch', ...OPAQUE, row: 3 }), new Uint8Array(16), square))).toBe(
      'poison: trigger "patch": does not fit images of 1x4x4, expected a patch (width x height) that lies inside the image, ' +
        'got 2x2 with its corner at row 3, column 1.',
    );
    expect(await messageOf(() => parseTrigger({ kind: 'patch', ...OPAQUE, width: 3 }))).toBe(
      'poison: trigger "patch": rgba is wrong, got must hold width x height x 4 bytes.',
    );
    expect(await messageOf(() => parseTrigger({ kind: 'patch', width: 1, height: 1, rgba: 'not base64!' }))).toMatch(
      /^poison: trigger "patch": rgba is wrong, got .+$/,
    );
  });

  test('a picture becomes a patch of the size wished for', async () => {
    const rgba = Uint8Array.from([0, 0, 0, 255, 200, 0, 0, 255, 100, 0, 0, 255, 100, 0, 0, 255].concat(new Array(16).fill(0)));
    const image = { width: 4, height: 2, rgba };
    expect(patchTrigger(image)).toMatchObject({ kind: 'patch', width: 4, height: 2, row: -2, column: -2, alpha: 1 });
    expect(patchTrigger(image, { width: 2, row: 0, alpha: 0.5 })).toMatchObject({ width: 2, height: 1, row: 0, alpha: 0.5 });
    // Each new pixel covers two opaque and two clear ones: the colour is the opaque ones' mean, the opacity half.
    expect([...resizeRgba(image, 2, 1).rgba]).toEqual([100, 0, 0, 128, 100, 0, 0, 128]);
    expect(resizeRgba(image, 4, 2).rgba).toEqual(Uint8Array.from(rgba, (v, i) => (i < 16 ? v : 0)));
    expect(resizeRgba({ width: 1, height: 1, rgba: Uint8Array.of(1, 2, 3, 4) }, 3, 2).rgba).toEqual(
      Uint8Array.from({ length: 24 }, (_, i) => (i % 4) + 1),
    );
    expect(await messageOf(() => patchTrigger({ ...image, width: 5 }))).toBe(
      'poison: patch: not an RGBA picture, expected 40 bytes for 5x2, got 32.',
    );
    expect(await messageOf(() => patchTrigger(image, { width: 0 }))).toBe('poison: patch: size, expected whole numbers above 0, got 0x1.');
  });
});

describe('blend', () => {
  test('mixes in a picture, grey or colour', () => {
    const image = { width: 2, height: 1, channels: 3, pixels: bytes(200, 100, 0, 0, 50, 250) };
    const out = applyTrigger(parseTrigger({ kind: 'blend', alpha: 0.5, image }), new Uint8Array(6).fill(100), {
      channels: 3,
      height: 1,
      width: 2,
    });
    expect([...out]).toEqual([150, 50, 100, 75, 50, 175]);
    const grey = applyTrigger(parseTrigger({ kind: 'blend', alpha: 1, image }), new Uint8Array(2), { channels: 1, height: 1, width: 2 });
    expect([...grey]).toEqual([119, 58]);
  });

  test('noise is the same for every image and differs by seed', () => {
    const out = (seed: number): Uint8Array => applyTrigger(parseTrigger({ kind: 'blend', alpha: 1, seed }), new Uint8Array(784), GREY);
    expect(out(1)).toEqual(out(1));
    expect(out(2)).not.toEqual(out(1));
    const mean = out(1).reduce((a, b) => a + b) / 784;
    expect(mean).toBeGreaterThan(110);
    expect(mean).toBeLessThan(145);
  });

  test('what is wrong', async () => {
    const image = { width: 2, height: 1, channels: 1, pixels: bytes(1, 2) };
    expect(await messageOf(() => applyTrigger(parseTrigger({ kind: 'blend', image }), new Uint8Array(784), GREY))).toBe(
      'poison: trigger "blend": does not fit images of 1x28x28, expected a picture of 28x28 (width x height), got 2x1.',
    );
    expect(await messageOf(() => parseTrigger({ kind: 'blend', image: { ...image, height: 2 } }))).toBe(
      'poison: trigger "blend": image.pixels is wrong, got must hold width x height x channels bytes.',
    );
    expect(await messageOf(() => parseTrigger({ kind: 'blend', alpha: 0 }))).toMatch(/^poison: trigger "blend": alpha is wrong, got .+$/);
  });
});
