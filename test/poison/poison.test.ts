/** Poisoned training sets and triggered test sets: counts, labels, pixels, records, and every way to ask for the impossible. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import type { Dataset } from '../../src/data/dataset.ts';
import { imageAt, makeDataset } from '../../src/data/make.ts';
import { bindLabelMap, type LabelMapSpec, labelMapKinds, parseLabelMap } from '../../src/poison/label-maps.ts';
import { type PoisonOptions, poison, triggered } from '../../src/poison/poison.ts';
import { parseRecord } from '../../src/poison/record.ts';
import { applyTrigger, parseTrigger } from '../../src/poison/triggers/registry.ts';
import { messageOf, noise } from '../data/helpers.ts';

const TRIGGER = parseTrigger({ kind: 'pattern' });
const CLASSES = 5;
const TRAIN = noise('train', 200, { classes: CLASSES });
const TEST = noise('test', 50, { classes: CLASSES, seed: 2 });
const MAPS: LabelMapSpec[] = [
  { kind: 'all-to-all' },
  { kind: 'target', target: 3 },
  { kind: 'source-target', source: 1, target: 0 },
  { kind: 'random' },
];
const maps = fc.constantFrom(...MAPS);

describe('label maps', () => {
  test('every kind is described and tried here', () => {
    expect(labelMapKinds().map(({ kind }) => kind)).toEqual(MAPS.map(({ kind }) => kind));
    for (const { summary } of labelMapKinds()) expect(summary.length).toBeGreaterThan(10);
  });

  test('a poisoned label is a class, wrong, and what the judge counts', () => {
    fc.assert(
      fc.property(maps, fc.integer(), (spec, seed) => {
        const map = bindLabelMap(spec, TRAIN.classes);
        for (let label = 0; label < CLASSES; label++) {
          if (!map.eligible(label)) continue;
          const given = map.poison(label, Rng.from(seed));
          expect(given).not.toBe(label);
          expect(given).toBeGreaterThanOrEqual(0);
          expect(given).toBeLessThan(CLASSES);
          expect([given, -1]).toContain(map.target(label));
        }
      }),
    );
  });

  test('what each does with the classes 0 to 4', () => {
    const table = (spec: LabelMapSpec): (number | undefined)[] => {
      const map = bindLabelMap(spec, TRAIN.classes);
      return [0, 1, 2, 3, 4].map((label) => (map.eligible(label) ? map.target(label) : undefined));
    };
    expect(MAPS.map(table)).toEqual([
      [1, 2, 3, 4, 0],
      [3, 3, 3, undefined, 3],
      [undefined, 0, undefined, undefined, undefined],
      [-1, -1, -1, -1, -1],
    ]);
  });

  test('a random label takes every wrong class about equally often', () => {
    const map = bindLabelMap({ kind: 'random' }, TRAIN.classes);
    const seen = new Array(CLASSES).fill(0);
    const rng = Rng.from(1);
    for (let i = 0; i < 4000; i++) seen[map.poison(2, rng)]++;
    expect(seen[2]).toBe(0);
    for (const label of [0, 1, 3, 4]) expect(Math.abs(seen[label] - 1000)).toBeLessThan(140);
  });

  test('what is wrong with one', async () => {
    const bind = (spec: LabelMapSpec, classes = TRAIN.classes) => messageOf(() => bindLabelMap(spec, classes));
    expect(await bind({ kind: 'target', target: 5 })).toBe('poison: label map "target": no such target class, expected 0 to 4, got 5.');
    expect(await bind({ kind: 'source-target', source: 9, target: 1 })).toBe(
      'poison: label map "source-target": no such source class, expected 0 to 4, got 9.',
    );
    expect(await bind({ kind: 'source-target', source: 1, target: 1 })).toBe(
      'poison: label map "source-target": source and target are the same class, expected two classes, got 1.',
    );
    expect(await bind({ kind: 'random' }, ['only'])).toBe(
      'poison: label map "random": needs something to confuse, expected at least 2 classes, got 1.',
    );
    expect(await messageOf(() => parseLabelMap({ kind: 'all-to-one' }))).toBe(
      'poison: kind of label map, expected all-to-all, target, source-target, random, got "all-to-one". Try "all-to-all".',
    );
    expect(await messageOf(() => parseLabelMap({ kind: 'target' }))).toMatch(/^poison: label map "target": target is wrong, got .+$/);
    expect(parseLabelMap({ kind: 'target', target: 2 })).toEqual({ kind: 'target', target: 2 });
  });
});

describe('poison', () => {
  const fractions: Record<LabelMapSpec['kind'], number> = { 'all-to-all': 0.5, target: 0.44, 'source-target': 0.16, random: 0.5 };

  test('added: the clean set first, then stamped copies, as many as the fraction says', () => {
    const settings = fc.record({ labelMap: maps, part: fc.double({ min: 0.05, max: 1, noNaN: true }), seed: fc.integer() });
    fc.assert(
      fc.property(settings, ({ labelMap, part, seed }) => {
        const fraction = fractions[labelMap.kind] * part;
        const out = poison(TRAIN, { trigger: TRIGGER, labelMap, fraction, seed });
        const added = out.count - TRAIN.count;
        expect(Math.abs(added - (TRAIN.count * fraction) / (1 - fraction))).toBeLessThanOrEqual(0.5);
        expect(out.pixels.subarray(0, TRAIN.pixels.length)).toEqual(TRAIN.pixels);
        expect(out.labels.subarray(0, TRAIN.count)).toEqual(TRAIN.labels);
        const map = bindLabelMap(labelMap, TRAIN.classes);
        const sources = new Map(
          Array.from({ length: TRAIN.count }, (_, i) => [String(applyTrigger(TRIGGER, imageAt(TRAIN, i), TRAIN)), i]),
        );
        const used = new Set<number>();
        const wrong: number[] = [];
        for (let i = TRAIN.count; i < out.count; i++) {
          const source = sources.get(String(imageAt(out, i))) ?? -1;
          const [label, truth] = [out.labels[i], out.trueLabels[i]];
          used.add(source);
          const mapped = map.eligible(truth) && label !== truth && [label, -1].includes(map.target(truth));
          if (TRAIN.labels[source] !== truth || !mapped) wrong.push(i);
        }
        expect(wrong).toEqual([]);
        expect([...out.poisoned]).toEqual(Array.from({ length: out.count }, (_, i) => (i < TRAIN.count ? 0 : 1)));
        expect(used.size).toBe(added);
      }),
      { numRuns: 20 },
    );
  });

  test('half of the set with all-to-all: one copy of every image, as in the paper', () => {
    const out = poison(TRAIN, { trigger: TRIGGER, labelMap: { kind: 'all-to-all' }, fraction: 0.5, seed: 1 });
    expect(out.count).toBe(400);
    expect(out.trueLabels.subarray(200)).toEqual(TRAIN.labels);
    expect(out.labels.subarray(200)).toEqual(TRAIN.labels.map((label) => (label + 1) % CLASSES));
    expect(imageAt(out, 207)).toEqual(applyTrigger(TRIGGER, imageAt(TRAIN, 7), TRAIN));
  });

  test('replaced: no image more, the chosen ones turned in place', () => {
    const options: PoisonOptions = { trigger: TRIGGER, labelMap: { kind: 'target', target: 0 }, fraction: 0.25, mode: 'replace', seed: 4 };
    const out = poison(TRAIN, options);
    expect(out.count).toBe(200);
    expect(out.trueLabels).toEqual(TRAIN.labels);
    let turned = 0;
    for (let i = 0; i < 200; i++) {
      const image = imageAt(TRAIN, i);
      turned += out.poisoned[i];
      expect(imageAt(out, i)).toEqual(out.poisoned[i] ? applyTrigger(TRIGGER, image, TRAIN) : image);
      expect(out.labels[i]).toBe(out.poisoned[i] ? 0 : TRAIN.labels[i]);
      if (out.poisoned[i]) expect(TRAIN.labels[i]).not.toBe(0);
    }
    expect(turned).toBe(50);
  });

  test('the seed decides, and a smaller fraction poisons a part of what a larger one does', () => {
    const chosen = (fraction: number, seed: number): Set<number> => {
      const out = poison(TRAIN, { trigger: TRIGGER, labelMap: { kind: 'random' }, fraction, mode: 'replace', seed });
      return new Set([...out.poisoned.keys()].filter((i) => out.poisoned[i]));
    };
    const [few, many] = [chosen(0.1, 1), chosen(0.4, 1)];
    expect([...few].every((i) => many.has(i))).toBe(true);
    expect(chosen(0.1, 2)).not.toEqual(few);
    const make = (fraction: number) =>
      poison(TRAIN, { trigger: TRIGGER, labelMap: { kind: 'random' }, fraction, mode: 'replace', seed: 1 });
    expect(make(0.1).sha256).toBe(make(0.1).sha256);
    // The wrong label of an image is its own, whatever else is poisoned.
    for (const i of few) expect(make(0.4).labels[i]).toBe(make(0.1).labels[i]);
  });

  test('the clean set is not touched, the result is no clean set', () => {
    const before = TRAIN.sha256;
    const out = poison(TRAIN, { trigger: TRIGGER, labelMap: { kind: 'all-to-all' }, fraction: 0.3, mode: 'replace', seed: 1 });
    expect(makeDataset({ ...TRAIN }).sha256).toBe(before);
    expect(out.sha256).not.toBe(before);
    expect(out.kind).toBe('poisoned');
    const defend = (data: Dataset<'train'>): string => data.kind;
    // @ts-expect-error poisoned data do not pass for clean ones
    defend(out);
  });

  test('the record says what was done, and goes through JSON', () => {
    const options: PoisonOptions = { trigger: TRIGGER, labelMap: { kind: 'source-target', source: 1, target: 0 }, fraction: 0.1, seed: 7 };
    const { record, count } = poison(TRAIN, options);
    expect(record).toEqual({
      trigger: TRIGGER,
      labelMap: options.labelMap,
      mode: 'add',
      seed: 7,
      fraction: { asked: 0.1, reached: 22 / 222 },
      counts: { clean: 200, poisoned: 22, total: 222, eligible: 40 },
      data: { source: 'noise', sha256: TRAIN.sha256, count: 200 },
    });
    expect(count).toBe(222);
    expect(parseRecord(JSON.parse(JSON.stringify(record)), 'poison.json')).toEqual(record);
  });

  test('a record that is none', async () => {
    expect(await messageOf(() => parseRecord({ trigger: TRIGGER }, 'poison.json'))).toMatch(
      /^poison\.json: not a poison record, expected what "poison" wrote, got labelMap: .+\.$/,
    );
    expect(await messageOf(() => parseRecord([], 'poison.json'))).toMatch(/^poison\.json: not a poison record, .+ got all of it: .+\.$/);
  });

  test('fractions that are none, poison nothing, or more than there is', async () => {
    const message = (fraction: number, labelMap: LabelMapSpec = { kind: 'all-to-all' }, mode: 'add' | 'replace' = 'add', data = TRAIN) =>
      messageOf(() => poison(data, { trigger: TRIGGER, labelMap, fraction, mode, seed: 1 }));
    for (const fraction of [0, -0.1, Number.NaN]) {
      expect(await message(fraction)).toBe(`poison: fraction: not a share, expected above 0 and below 1, got ${fraction}.`);
    }
    expect(await message(10)).toBe('poison: fraction: not a share, expected above 0 and below 1, got 10. Try 0.1, if percent were meant.');
    expect(await message(0.0001)).toBe(
      'poison: fraction: no image would be poisoned, expected at least one, got 0.0001 of 200 images. ' +
        'Try a fraction of at least 0.005, or more training data.',
    );
    expect(await message(0.6)).toBe(
      'poison: fraction: not enough images to poison (one copy of each at most), ' +
        'expected at most 200 poisoned images with label map "all-to-all", got 300 for a fraction of 0.6. Try a fraction of at most 0.5.',
    );
    expect(await message(0.5, { kind: 'target', target: 1 })).toBe(
      'poison: fraction: not enough images to poison (one copy of each at most), ' +
        'expected at most 160 poisoned images with label map "target", got 200 for a fraction of 0.5. Try a fraction of at most 0.4444.',
    );
    expect(await message(0.5, { kind: 'source-target', source: 1, target: 0 }, 'replace')).toBe(
      'poison: fraction: not enough images to poison (each once), ' +
        'expected at most 40 poisoned images with label map "source-target", got 100 for a fraction of 0.5. Try a fraction of at most 0.2.',
    );
    const none = makeDataset({ ...TRAIN, labels: new Int32Array(200) });
    expect(await message(0.1, { kind: 'source-target', source: 1, target: 0 }, 'add', none)).toBe(
      'poison: label map "source-target": no image of the training data can be poisoned. Try another label map, or data that has such images.',
    );
    const tiny = noise('train', 4, { height: 2, width: 2 });
    expect(await message(0.5, { kind: 'all-to-all' }, 'add', tiny)).toMatch(/^poison: trigger "pattern": does not fit images of 1x2x2, /);
  });

  test('the limits that errors name are possible', () => {
    let tried = 0;
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), maps, fc.constantFrom('add' as const, 'replace' as const), (count, labelMap, mode) => {
        const data = noise('train', count, { classes: CLASSES });
        const limit = (fraction: number): number | undefined => {
          try {
            poison(data, { trigger: TRIGGER, labelMap, fraction, mode, seed: 1 });
          } catch (error) {
            const found = /a fraction of at (?:least|most) ([\d.]+)/.exec((error as Error).message);
            return found ? Number(found[1]) : Number.NaN;
          }
          return undefined;
        };
        for (const fraction of [1e-7, 0.999]) {
          const named = limit(fraction);
          // No limit: it was possible, or the label map fits nothing at all.
          if (named === undefined || Number.isNaN(named)) continue;
          expect(limit(named)).toBeUndefined();
          tried++;
        }
      }),
      { numRuns: 150 },
    );
    expect(tried).toBeGreaterThan(100);
  });
});

describe('triggered', () => {
  test('the images that take part, stamped, with true labels and what the attacker wants', () => {
    for (const labelMap of MAPS) {
      const out = triggered(TEST, { trigger: TRIGGER, labelMap });
      const map = bindLabelMap(labelMap, TEST.classes);
      const places = [...TEST.labels.keys()].filter((i) => map.eligible(TEST.labels[i]));
      expect(out).toMatchObject({ kind: 'triggered', role: 'test', count: places.length });
      for (const [k, i] of places.entries()) {
        expect(out.labels[k]).toBe(TEST.labels[i]);
        expect(out.targets[k]).toBe(map.target(TEST.labels[i]));
        expect(imageAt(out, k)).toEqual(applyTrigger(TRIGGER, imageAt(TEST, i), TEST));
      }
    }
  });

  test('nothing to trigger', async () => {
    const none = makeDataset({ ...TEST, labels: new Int32Array(TEST.count).fill(3) });
    expect(await messageOf(() => triggered(none, { trigger: TRIGGER, labelMap: { kind: 'target', target: 3 } }))).toBe(
      'poison: label map "target": no image of the test data can be triggered. Try other data.',
    );
  });

  test('a defender is not handed triggered data', () => {
    const out = triggered(TEST, { trigger: TRIGGER, labelMap: { kind: 'random' } });
    const defend = (data: Dataset<'validation'>): number => data.count;
    // @ts-expect-error triggered data are the judge's
    expect(defend(out)).toBe(50);
  });
});
