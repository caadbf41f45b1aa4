/** Numbers, names, colours, pictures and label places, each by itself. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Cell } from '../../src/evaluate/result.ts';
import { textWidth } from '../../src/report/charts/frame.tsx';
import { densify, placeLabels } from '../../src/report/charts/place-labels.ts';
import { bytes, cellFormat, duration, fixed, integer, list, percent, significant } from '../../src/report/format.ts';
import { pictureOf, shortFloats } from '../../src/report/media.ts';
import { bitmapOf, changeOf, closeUp, heatBitmap } from '../../src/report/pictures.ts';
import { columnParts, rowNumber, shared } from '../../src/report/tables.ts';
import { dark, light, TONES, toneOf } from '../../src/report/theme.ts';

describe('numbers', () => {
  it.each([
    [integer(281_034), '281\u202f034'],
    [integer(-1234567), '\u22121\u202f234\u202f567'],
    [fixed(-0.0001, 2), '0.00'],
    [fixed(-1.5, 1), '\u22121.5'],
    [percent(0.00481, 2), '0.48'],
    [significant(0.1234), '0.123'],
    [significant(1234.5), '1235'],
    [significant(0.0000123), '1.23e\u22125'],
    [significant(0), '0'],
    [duration(0.01052), '10.5\u00a0ms'],
    [duration(0), '0.00\u00a0s'],
    [duration(0.416), '0.42\u00a0s'],
    [duration(59.96), '1\u00a0min 00\u00a0s'],
    [duration(125), '2\u00a0min 05\u00a0s'],
    [duration(3725), '1\u00a0h 02\u00a0min'],
    [bytes(812), '812\u00a0B'],
    [bytes(1_153_434), '1.1\u00a0MiB'],
    [list(['a', 'b', 'c']), 'a, b and c'],
  ])('%s', (got, expected) => expect(got).toBe(expected));

  it('rates have the decimals that n resolves, and at least those of the paper', () => {
    const cell = (n?: number, paper?: number): Cell => ({ row: '', column: '', value: 0.5, n, paper });
    expect(cellFormat('rate', [cell(100)]).value(0.123456)).toBe('12');
    expect(cellFormat('rate', [cell(1000)]).value(0.123456)).toBe('12.3');
    expect(cellFormat('rate', [cell(10_000), cell(100)]).value(0.123456)).toBe('12.35');
    expect(cellFormat('rate', [cell(100, 0.978)]).value(0.123456)).toBe('12.3');
    expect(cellFormat('rate', [cell(200, 0.0056)]).value(0.0056)).toBe('0.56');
  });

  it('no unit but a rate has a suffix', () => {
    expect(cellFormat('rate', []).suffix).toBe('%');
    for (const unit of ['count', 'seconds', 'bytes', 'activation'] as const) expect(cellFormat(unit, []).suffix).toBe('');
    expect(cellFormat('count', []).value(26.5)).toBe('26.5');
  });
});

describe('names of rows and columns', () => {
  it.each([
    ['pruning-aware attack success', 'pruning-aware', 'attack success'],
    ['attack success rate', '', 'attack success'],
    ['baseline clean', 'baseline', 'clean'],
    ['pattern backdoor error', 'pattern', 'backdoor error'],
    ['clean accuracy', '', 'clean accuracy'],
    ['something else', '', 'something else'],
  ])('%s', (column, subject, metric) => expect(columnParts(column)).toEqual({ subject, metric }));

  it('reads the number that a row starts with', () => {
    expect(['10 %', '27', '27 of 32', '0.5'].map(rowNumber)).toEqual([10, 27, 27, 0.5]);
    expect(rowNumber('none')).toBeNaN();
  });

  it('finds what all cells share', () => {
    const cells = [1, 1, 2].map((n) => ({ row: '', column: '', value: 0, n }));
    expect(shared(cells, (c) => c.n)).toBeUndefined();
    expect(shared(cells.slice(0, 2), (c) => c.n)).toBe(1);
  });
});

/** Relative luminance and contrast as WCAG 2 defines them. */
function contrast(a: string, b: string): number {
  const luminance = (hex: string): number => {
    const [r, g, bl] = [1, 3, 5].map((i) => {
      const c = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * bl;
  };
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
}

describe.each([
  ['light', light as Record<string, string>],
  ['dark', dark as Record<string, string>],
])('%s colours', (_, palette) => {
  const grounds = ['page', 'panel', 'sunken'];
  const texts = ['ink', 'ink-soft', 'good', 'bad', 'accent', ...TONES.map((t) => `${t}-ink`)];
  it.each(texts)('text %s has 4.5 : 1 on every ground', (name) => {
    for (const ground of grounds) expect(contrast(palette[name], palette[ground])).toBeGreaterThanOrEqual(4.5);
  });
  it.each([...TONES])('marks in %s have 3 : 1 on every ground', (name) => {
    for (const ground of grounds) expect(contrast(palette[name], palette[ground])).toBeGreaterThanOrEqual(3);
  });
});

it('clean and triggered keep their tone whatever the metric is called', () => {
  expect(['clean accuracy', 'clean error', 'clean'].map((m) => toneOf(m))).toEqual(['clean', 'clean', 'clean']);
  expect(['attack success', 'backdoor error', 'triggered'].map((m) => toneOf(m))).toEqual(['triggered', 'triggered', 'triggered']);
  expect(toneOf('something', 1)).toBe('validation');
});

describe('pictures', () => {
  const shape = { channels: 3, height: 2, width: 2 };
  const planes = Uint8Array.from([1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24]);

  it('planes become pixels', () => {
    const picture = pictureOf(planes, shape);
    expect([...atob(picture.pixels)].map((c) => c.charCodeAt(0))).toEqual([1, 11, 21, 2, 12, 22, 3, 13, 23, 4, 14, 24]);
    expect(bitmapOf(picture).uri).toMatch(/^data:image\/png;base64,iVBOR/);
  });

  it('a number of channels that no picture has keeps the first', () => {
    const picture = pictureOf(Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]), { channels: 2, height: 2, width: 2 });
    expect(picture.channels).toBe(1);
    expect([...atob(picture.pixels)].map((c) => c.charCodeAt(0))).toEqual([1, 2, 3, 4]);
  });

  it('finds the changed pixels and how much they changed', () => {
    const changed = planes.slice();
    changed[5] = 72;
    const change = changeOf(pictureOf(planes, shape), pictureOf(changed, shape));
    expect(change?.pixels).toEqual([{ x: 1, y: 0 }]);
    expect(change?.largest).toBe(60);
    expect([...(change?.difference ?? [])]).toEqual([0, 20, 0, 0]);
    expect(changeOf(pictureOf(planes, shape), pictureOf(planes.slice(0, 3), { channels: 3, height: 1, width: 1 }))).toBeUndefined();
  });

  it('the close-up lies inside the picture and holds the changed pixels', () => {
    const pixel = fc.record({ x: fc.nat(27), y: fc.nat(27) });
    fc.assert(
      fc.property(fc.array(pixel, { minLength: 1, maxLength: 12 }), (pixels) => {
        const box = closeUp({ width: 28, height: 28 }, { pixels, largest: 1, difference: new Float32Array() });
        expect(box.x).toBeGreaterThanOrEqual(0);
        expect(box.y).toBeGreaterThanOrEqual(0);
        expect(box.x + box.width).toBeLessThanOrEqual(28);
        expect(box.y + box.height).toBeLessThanOrEqual(28);
        for (const p of pixels) {
          expect(p.x >= box.x && p.x < box.x + box.width && p.y >= box.y && p.y < box.y + box.height).toBe(true);
        }
      }),
    );
  });

  it('a trigger all over the image is shown whole', () => {
    const pixels = Array.from({ length: 400 }, (_, i) => ({ x: i % 28, y: Math.floor(i / 28) }));
    expect(closeUp({ width: 28, height: 28 }, { pixels, largest: 1, difference: new Float32Array() })).toEqual({
      x: 0,
      y: 0,
      width: 28,
      height: 28,
    });
  });

  it('heat maps differ by sign and survive an all-zero map', () => {
    expect(heatBitmap([1], 1, 1, 1).uri).not.toBe(heatBitmap([-1], 1, 1, 1).uri);
    expect(heatBitmap([1], 1, 1, 1).uri).toBe(heatBitmap([-1], 1, 1, 1, 'clean').uri);
    expect(heatBitmap([0], 1, 1, 0).uri).toMatch(/^data:image\/png/);
  });

  it('floats are shortened', () => expect(shortFloats([0.123456789, 1e-9], 3)).toEqual([0.123, 1e-9]));
});

describe('labels beside lines', () => {
  const plot = { left: 40, right: 400, top: 30, bottom: 240 };
  const lines = fc.array(fc.array(fc.double({ min: 30, max: 240, noNaN: true }), { minLength: 2, maxLength: 10 }), {
    minLength: 1,
    maxLength: 4,
  });
  const toLines = (all: number[][]) =>
    all.map((ys, i) => ({ text: `series ${i}`, points: ys.map((y, k) => ({ x: 40 + (360 * k) / (ys.length - 1), y })) }));

  it('never cover a line or each other and stay inside the plot', () => {
    fc.assert(
      fc.property(lines, (all) => {
        const made = toLines(all);
        const placed = placeLabels(made, plot).filter((l) => l !== undefined);
        const dense = made.flatMap((l) => densify(l.points));
        for (const [i, l] of placed.entries()) {
          const half = textWidth(l.text) / 2;
          expect(l.x - half).toBeGreaterThanOrEqual(plot.left);
          expect(l.x + half).toBeLessThanOrEqual(plot.right);
          expect(dense.some((p) => Math.abs(p.x - l.x) < half && p.y < l.y + 3 && p.y > l.y - 9.6)).toBe(false);
          for (const other of placed.slice(i + 1)) {
            expect(Math.abs(other.x - l.x) < textWidth(l.text) && Math.abs(other.y - l.y) < 12).toBe(false);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('a line alone gets its label; texts and strokes in the way are heeded', () => {
    const [line] = toLines([[100, 100]]);
    expect(placeLabels([line], plot)[0]).toBeDefined();
    const grid = Array.from({ length: 40 }, (_, i) => [
      { x: 40, y: 30 + i * 6 },
      { x: 400, y: 30 + i * 6 },
    ]);
    expect(placeLabels([line], plot, { strokes: grid })[0]).toBeUndefined();
  });
});
