/** Test parts by whole groups, dark images left out, classes kept, groups of several columns. */

import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Dataset } from '../../src/data/dataset.ts';
import { groupsPerClass, membersOf } from '../../src/data/groups.ts';
import { holdOut } from '../../src/data/hold-out.ts';
import { keepClasses } from '../../src/data/keep-classes.ts';
import { loadData } from '../../src/data/load.node.ts';
import { imageAt, makeDataset, subset } from '../../src/data/make.ts';
import { encodePng } from '../../src/data/png.ts';
import { meanGrey, withoutDark } from '../../src/data/quality.ts';
import { split } from '../../src/data/split.ts';
import { messageOf, noise, tempFolder } from './helpers.ts';

/** `people` x `lights` images, the light as group, each image of one grey that names it. */
function lit(people: number, lights: number): Dataset<'train'> {
  const count = people * lights;
  return makeDataset({
    role: 'train',
    source: 'faces',
    channels: 1,
    height: 1,
    width: 2,
    pixels: Uint8Array.from({ length: count * 2 }, (_, i) => Math.floor(i / 2) % 256),
    labels: Int32Array.from({ length: count }, (_, i) => i % people),
    classes: Array.from({ length: people }, (_, i) => `person ${i}`),
    groups: { by: 'light', ids: Int32Array.from({ length: count }, (_, i) => Math.floor(i / people)) },
  });
}

describe('hold-out', () => {
  test('a share: whole groups, every image once, every class on both sides', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 4, max: 30 }),
        fc.integer({ min: 0, max: 1000 }),
        (people, lights, seed) => {
          const data = lit(people, lights);
          const { train, test: held } = holdOut(data, { share: 0.25 }, seed);
          expect(held.role).toBe('test');
          const [left, right] = [new Set(train.groups!.ids), new Set(held.groups!.ids)];
          expect([...left].filter((id) => right.has(id))).toEqual([]);
          expect([...left, ...right].sort((a, b) => a - b)).toEqual(Array.from({ length: lights }, (_, i) => i));
          expect(train.count + held.count).toBe(data.count);
          expect(Math.abs(right.size - lights / 4)).toBeLessThanOrEqual(1);
          expect(new Set(held.labels).size).toBe(people);
          // the same images, not others under the same number
          for (let i = 0; i < held.count; i++) expect(imageAt(held, i)[0]).toBe((held.groups!.ids[i] * people + held.labels[i]) % 256);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('the seed decides which', () => {
    const held = (seed: number): number[] => [...new Set(holdOut(lit(3, 40), { share: 0.25 }, seed).test.groups!.ids)];
    expect(held(1)).toEqual(held(1));
    expect(held(1)).not.toEqual(held(2));
  });

  test('groups by name, in a part of the data too', () => {
    const { train, test: held } = holdOut(lit(2, 4), { groups: [3, 1] }, 0);
    expect([[...new Set(held.groups!.ids)], [...new Set(train.groups!.ids)]]).toEqual([
      [1, 3],
      [0, 2],
    ]);
    const again = holdOut(train, { groups: [2] }, 0);
    expect([...new Set(again.train.groups!.ids)]).toEqual([0]);
  });

  test('what is wrong', async () => {
    expect(await messageOf(() => holdOut(noise('train', 9), { share: 0.5 }, 1))).toBe(
      'data: hold-out: noise does not say which images belong together, expected groups. Try --group-by with the column that says it.',
    );
    expect(await messageOf(() => holdOut(lit(2, 4), { share: 1 }, 1))).toBe(
      'data: hold-out: not a share, expected above 0 and below 1, got 1.',
    );
    expect(await messageOf(() => holdOut(lit(2, 4), { groups: [4] }, 1))).toBe(
      'data: hold-out: no such group, expected 4 groups by light, 0 to 3, got 4.',
    );
    expect(await messageOf(() => holdOut(lit(2, 2), { groups: [0, 1] }, 1))).toBe(
      'data: hold-out: no images left, expected at least one image in every part, got train 0, test 4.',
    );
    expect(await messageOf(() => holdOut(lit(2, 2), { groups: [] }, 1))).toContain('got train 4, test 0.');
    const small =
      'data: hold-out: no images left, expected at least one image in every part, got train 6, test 0: groups by light are larger';
    expect(await messageOf(() => holdOut(lit(2, 3), { share: 0.1 }, 1))).toBe(
      `${small} than the share, the smallest being 0.34 of the images of its classes. Try a share of at least 0.34, or smaller groups.`,
    );
    expect(holdOut(lit(2, 3), { share: 0.34 }, 1).test.count).toBe(2);
    expect(await messageOf(() => holdOut(lit(6, 1), { share: 0.1 }, 1))).toBe(
      `${small} than the share, the smallest being 1.00 of the images of its classes. Try data of several groups.`,
    );
  });

  test('groups that are whole classes: nothing of such a class would be left', async () => {
    const data = { ...lit(3, 4), groups: { by: 'person', ids: lit(3, 4).labels } };
    const hint =
      'groups by what images of a class differ in: --group-by with the column (or columns, joined by commas) of light, session, film, speaker or track.';
    const message =
      'data: hold-out: groups that are whole classes cannot be held out: nobody would be trained on such a class, ' +
      `expected classes of several groups, got groups by person, each all there is of its class. Try ${hint}`;
    expect(await messageOf(() => holdOut(data, { share: 0.25 }, 1))).toBe(message);
    expect(await messageOf(() => holdOut(data, { groups: [1] }, 1))).toBe(message);
    expect(await messageOf(() => split(data, { validation: 0.1 }, 1))).toBe(
      'data: split: no clean data left after a split, expected at least one image in every part, ' +
        `got train 12, validation 0: each group by person is all there is of its class. Try ${hint}`,
    );
    // one class of several groups is enough
    const ids = data.labels.map((label, i) => (i === 0 ? 3 : label));
    expect(holdOut({ ...data, groups: { by: 'person', ids } }, { groups: [3] }, 1).test.count).toBe(1);
  });

  test('classes of several groups that a part has no image of are told', () => {
    // signs of two kinds: twenty of one, two of the other
    const labels = Int32Array.from({ length: 22 }, (_, i) => (i < 20 ? 0 : 1));
    const groups = { by: 'sign', ids: Int32Array.from(labels.keys()) };
    const data = makeDataset({ ...lit(2, 11), labels, groups });
    const told = (run: (note: (text: string) => void) => unknown): string[] => {
      const notes: string[] = [];
      run((text) => notes.push(text));
      return notes;
    };
    expect(told((note) => holdOut(data, { share: 0.2 }, 1, note))).toEqual([
      'the test part has no image of 1 class with several groups by sign: "person 1"',
    ]);
    expect(told((note) => holdOut(data, { share: 0.5 }, 1, note))).toEqual([]);
    expect(told((note) => holdOut(data, { groups: [20, 21] }, 1, note))).toEqual([
      'the training part has no image of 1 class with several groups by sign: "person 1"',
      'the test part has no image of 1 class with several groups by sign: "person 0"',
    ]);
    expect(told((note) => split(data, { validation: 0.2 }, 1, note))).toEqual([
      'the validation part has no image of 1 class with several groups by sign: "person 1"',
    ]);
    expect(told((note) => split(subset(data, [...labels.keys()].slice(0, 21)), { validation: 0.2 }, 1, note))).toEqual([]);
  });
});

describe('dark images', () => {
  const colour = makeDataset({
    role: 'test',
    source: 'dots',
    channels: 3,
    height: 1,
    width: 1,
    // red, green, blue of one value each, then white
    pixels: Uint8Array.from([100, 0, 0, 0, 100, 0, 0, 0, 100, 255, 255, 255]),
    labels: Int32Array.of(0, 0, 1, 1),
    classes: ['a', 'b'],
    groups: { by: 'place', ids: Int32Array.of(5, 6, 5, 6) },
  });

  test('grey counts as the eye sees it', () => {
    expect([...meanGrey(colour)].map((v) => Math.round(v * 1000) / 1000)).toEqual([29.9, 58.7, 11.4, 255]);
    expect([...meanGrey(noise('test', 1, { channels: 2, height: 1, width: 1 }))]).toHaveLength(1);
  });

  test('are left out with their labels and groups; nothing is copied where there are none', async () => {
    const bright = withoutDark(colour, 29);
    expect([[...bright.labels], [...bright.groups!.ids], bright.role]).toEqual([[0, 0, 1], [5, 6, 6], 'test']);
    expect(withoutDark(colour, 11)).toBe(colour);
    expect(await messageOf(() => withoutDark(subset(colour, [0, 2]), 30))).toBe(
      'data: dots: all images are too dark, expected a mean grey of at least 30, got 29.9 at most.',
    );
  });
});

describe('classes', () => {
  test('are kept in the order given, with their images and groups', async () => {
    const data = lit(3, 4);
    const kept = keepClasses(data, ['person 2', 'person 0']);
    expect(kept.classes).toEqual(['person 2', 'person 0']);
    expect([...kept.labels]).toEqual([1, 0, 1, 0, 1, 0, 1, 0]);
    expect([...kept.groups!.ids]).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
    expect([...kept.pixels.subarray(0, 8)]).toEqual([0, 0, 2, 2, 3, 3, 5, 5]);
    expect(kept.sha256).not.toBe(data.sha256);
    expect(await messageOf(() => keepClasses(data, ['person 3']))).toBe(
      'data: faces: no class "person 3", expected person 0, person 1, person 2. Try "person 0".',
    );
    expect(await messageOf(() => keepClasses(data, ['person 1', 'person 1']))).toBe(
      'data: faces: class "person 1" is kept twice, expected each name once.',
    );
    const without = subset(data, [0]);
    expect(await messageOf(() => keepClasses(without, ['person 1']))).toBe(
      'data: faces: no images of the classes that are kept, expected at least one, got person 1.',
    );
  });

  test('groups of each class are counted', () => {
    expect([...groupsPerClass(lit(3, 5))]).toEqual([5, 5, 5]);
    expect([...groupsPerClass(subset(lit(2, 5), [0, 2, 3, 4]))]).toEqual([3, 1]);
    expect([...groupsPerClass(noise('train', 7))]).toEqual([3, 2, 2]);
    expect(membersOf({ by: 'x', ids: Int32Array.of(2, 0, 2) })).toEqual([[1], [], [0, 2]]);
  });
});

describe('groups of several columns', () => {
  const { dir, write } = tempFolder();
  const at = join(dir, 'lights');
  write('lights/index.csv', 'who,identity,row,azimuth,elevation\nx,1,0,10,0\nx,1,1,1,00\nx,1,2,10,\ny,2,0,10,0\ny,2,1,1,0\n');
  write('lights/f/1.png', encodePng(new Uint8Array(6), 1, 6, 1));
  write('lights/f/2.png', encodePng(new Uint8Array(4), 1, 4, 1));

  test('belong together where all of them agree', async () => {
    const ids = async (groupBy: string): Promise<unknown> => {
      const { groups } = (await loadData(at, { groupBy })).train!;
      return [groups!.by, [...groups!.ids]];
    };
    // a row that lacks one of them is alone
    expect(await ids('azimuth,elevation')).toEqual(['azimuth, elevation', [0, 1, 2, 0, 3]]);
    expect(await ids('Elevation, Azimuth')).toEqual(['elevation, azimuth', [0, 1, 2, 0, 3]]);
    expect(await ids('azimuth')).toEqual(['azimuth', [0, 1, 0, 0, 1]]);
  });

  test('have names, which a part of the data keeps', async () => {
    const { train } = await loadData(at, { groupBy: 'azimuth, elevation' });
    expect(train!.groups!.names).toEqual(['10, 0', '1, 00', 'of line 4 alone', '1, 0']);
    expect(subset(train!, [4, 0], 'test').groups).toEqual({ ...train!.groups, ids: Int32Array.of(3, 0) });
    expect(holdOut(train!, { groups: [1] }, 0).test.groups!.names![1]).toBe('1, 00');
  });

  test('one of them is unknown', async () => {
    expect(await messageOf(() => loadData(at, { groupBy: 'azimuth,height' }))).toBe(
      `--group-by: no such column in data: ${join(at, 'index.csv')}, expected one of who, identity, row, azimuth, elevation, several joined by commas, prefix or none, got height.`,
    );
  });
});
