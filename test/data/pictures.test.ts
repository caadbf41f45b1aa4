/** The made-up faces and signs: the same on every machine, groups that keep parts apart, and enough in them to tell classes by. */
import { describe, expect, test } from 'vitest';
import type { Dataset } from '../../src/data/dataset.ts';
import { generators, loadBuiltin } from '../../src/data/generators.ts';
import { groupsPerClass } from '../../src/data/groups.ts';
import { imageAt } from '../../src/data/make.ts';
import { meanGrey } from '../../src/data/quality.ts';
import { ABROAD, HOME } from '../../src/data/sign-pictures-designs.ts';

const FACES = loadBuiltin('builtin:faces?train=60&test=20');
const SIGNS = loadBuiltin(`builtin:signs?train=${HOME.length * 16}&test=${HOME.length * 8}`);
const ABROAD_SIGNS = loadBuiltin(`builtin:signs-abroad?train=${ABROAD.length * 16}&test=20`);

const sets = [
  ['faces', FACES, { channels: 1, height: 96, width: 84 }, 'light', 20],
  ['signs', SIGNS, { channels: 3, height: 32, width: 32 }, 'sign', HOME.length],
  ['signs-abroad', ABROAD_SIGNS, { channels: 3, height: 32, width: 32 }, 'sign', ABROAD.length],
] as const;

/** The bytes as text, for sets. */
const key = (image: Uint8Array): string => new TextDecoder('latin1').decode(image);

/** Mean absolute difference of two images, in grey levels. */
function distance(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i] - b[i]);
  return sum / a.length;
}

describe.each(sets)('builtin:%s', (name, { train, test: held }, shape, by, classes) => {
  test('says what it is; classes come in turn; groups are whole', () => {
    expect(generators().find((g) => g.name === name)!.summary.length).toBeGreaterThan(20);
    expect(train).toMatchObject({ ...shape, source: `builtin:${name}`, groups: { by } });
    expect(new Set(train.classes).size).toBe(classes);
    for (let start = 0; start < train.count; start += classes) {
      expect(new Set(train.labels.subarray(start, start + classes)).size).toBe(classes);
    }
    // a sign is of one kind, a light falls on everybody
    const kinds = new Map<number, Set<number>>();
    for (const [i, id] of train.groups!.ids.entries()) kinds.set(id, (kinds.get(id) ?? new Set()).add(train.labels[i]));
    for (const labels of kinds.values()) expect(labels.size).toBe(by === 'sign' ? 1 : classes);
    expect([...groupsPerClass(train)]).toEqual(new Array(classes).fill(by === 'sign' ? 2 : 3));
  });

  test('roles share no image, and a smaller set is the beginning of a larger one', () => {
    const seen = new Set(Array.from({ length: train.count }, (_, i) => key(imageAt(train, i))));
    expect(seen.size).toBe(train.count);
    for (let i = 0; i < held.count; i++) expect(seen.has(key(imageAt(held, i)))).toBe(false);
    const { train: less } = loadBuiltin(`builtin:${name}?train=${classes + 3}&test=1`);
    for (let i = 0; i < less.count; i++) expect(key(imageAt(less, i))).toBe(key(imageAt(train, i)));
    expect(loadBuiltin(`builtin:${name}?train=1&test=1&seed=2`).train.sha256).not.toBe(
      loadBuiltin(`builtin:${name}?train=1&test=1`).train.sha256,
    );
  });

  test('pictures are neither black nor blank', () => {
    const grey = [...meanGrey(train)].sort((a, b) => a - b);
    expect(grey[0]).toBeGreaterThan(10);
    expect(grey[Math.floor(grey.length / 2)]).toBeGreaterThan(50);
    expect(grey[grey.length - 1]).toBeLessThan(235);
  });
});

test('the bytes are the same everywhere: no sine or logarithm goes into them', () => {
  expect([FACES.test, SIGNS.test, ABROAD_SIGNS.test].map((data) => data.sha256.slice(0, 16))).toEqual([
    '282734b3e023d21f',
    '34f83918834c0268',
    'd2275ccc1148c26d',
  ]);
});

test('everybody is seen under the same light, and the light makes more of a difference than the person', () => {
  const by = (label: number, light: number): Uint8Array => {
    const at = FACES.train.labels.findIndex((l, i) => l === label && FACES.train.groups!.ids[i] === light);
    return imageAt(FACES.train, at);
  };
  const [others, lights] = [distance(by(0, 0), by(1, 0)), distance(by(0, 0), by(0, 1))];
  expect(others).toBeGreaterThan(10);
  expect(lights).toBeGreaterThan(10);
});

test('the two countries have no name and no design in common', () => {
  expect(HOME.filter((design) => ABROAD.some((other) => other.name === design.name))).toEqual([]);
  // each design's colours in a grid over the sign: two that looked alike would differ in a few points only
  const grid = Array.from({ length: 400 }, (_, i) => [(i % 20) / 10 - 0.95, Math.floor(i / 20) / 10 - 0.95] as const);
  const look = (layers: (typeof HOME)[number]['layers']): number[] =>
    grid.flatMap(([x, y]) =>
      layers[0].shape(x, y) > 0 ? [128, 128, 128] : layers.reduce((c, l) => (l.shape(x, y) < 0 ? l.colour : c), layers[0].colour),
    );
  const designs = [...HOME, ...ABROAD].map((design) => ({ name: design.name, look: Uint8Array.from(look(design.layers)) }));
  for (const [i, a] of designs.entries()) {
    for (const b of designs.slice(i + 1)) expect(distance(a.look, b.look), `${a.name}, ${b.name}`).toBeGreaterThan(7);
  }
});

test('the nearest neighbour of a new sign is often, not always of its kind: there is something to learn', () => {
  const hits = share(SIGNS.train, SIGNS.test);
  expect(hits).toBeGreaterThan(2.5 / HOME.length);
  expect(hits).toBeLessThan(0.9);
});

function share(train: Dataset, held: Dataset): number {
  let hits = 0;
  for (let i = 0; i < held.count; i++) {
    let best = { far: Infinity, label: -1 };
    for (let k = 0; k < train.count; k++) {
      const far = distance(imageAt(held, i), imageAt(train, k));
      if (far < best.far) best = { far, label: train.labels[k] };
    }
    hits += best.label === held.labels[i] ? 1 : 0;
  }
  return hits / held.count;
}
