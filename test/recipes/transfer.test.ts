import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import type { Dataset, Role } from '../../src/data/dataset.ts';
import { makeDataset } from '../../src/data/make.ts';
import { Result } from '../../src/evaluate/result.ts';
import type { NeuronReport } from '../../src/inspect/backdoor-neurons.ts';
import type { RecipeOutcome, RecipeStore, Source, StoredModel, StudyDeps } from '../../src/recipes/recipe.ts';
import { belgianSigns, KINDS } from '../../src/recipes/transfer/belgium.ts';
import { strengthClaims } from '../../src/recipes/transfer/claims.ts';
import { costs, lost } from '../../src/recipes/transfer/figures.ts';
import { pickedNotes, settledNotes } from '../../src/recipes/transfer/notes.ts';
import { PAPER_BY_CLASS, PAPER_STRENGTH } from '../../src/recipes/transfer/paper.ts';
import { chosenBy, type StrengthSeed } from '../../src/recipes/transfer/run.ts';
import { FULL, QUICK, type TransferScale } from '../../src/recipes/transfer/scale.ts';
import { tasksOf } from '../../src/recipes/transfer/task.ts';
import { runStrength, runTransfer } from '../../src/recipes/transfer.ts';
import { ReportMedia } from '../../src/report/media.ts';
import { renderReport } from '../../src/report/render.tsx';
import { nativeRuntime } from '../../src/runtime/open.node.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

const SIDE = 16;
/** Numbers as BelgiumTSC has them in its test part. */
const BELGIAN =
  '0 1 2 3 4 5 6 7 8 10 12 13 14 16 17 18 19 20 21 22 23 24 25 27 28 29 30 31 32 34 35 37 38 39 40 41 42 43 44 45 46 47 49 51 53 54 55 56 57 58 59 60 61'.split(
    ' ',
  );

/** A flat colour for each class, with noise: `each` signs of a class, two frames of each. */
function signsOf<R extends Role>(role: R, classes: readonly string[], each: number, seed: number): Dataset<R> {
  const rng = Rng.from(seed, 'signs', role);
  const labels = Int32Array.from({ length: classes.length * each * 2 }, (_, i) => Math.floor(i / (2 * each)));
  const area = SIDE * SIDE;
  const pixels = new Uint8Array(labels.length * 3 * area);
  for (let i = 0; i < pixels.length; i++) {
    const label = labels[Math.floor(i / (3 * area))];
    const channel = Math.floor(i / area) % 3;
    pixels[i] = 40 + ((label * (channel + 2) * 37) % 160) + rng.int(30);
  }
  const groups = { by: 'pole', ids: Int32Array.from(labels, (_, i) => Math.floor(i / 2) + (role === 'test' ? 10000 : 0)) };
  return makeDataset({ role, source: `tiny ${role}`, channels: 3, height: SIDE, width: SIDE, pixels, labels, classes, groups });
}

const GERMAN = Array.from({ length: 43 }, (_, i) => String(i).padStart(5, '0'));
const HOME = ['stop', 'speed limit', 'warning', 'give way'];
const source = (classes: readonly string[], each: number, uri: string, synthetic = false): Source => ({
  uri,
  synthetic,
  train: signsOf('train', classes, each, 1),
  test: signsOf('test', classes, Math.max(1, Math.floor(each / 2)), 2),
});

const BASE: TransferScale = {
  ...FULL,
  home: {
    ...FULL.home,
    network: 'badnets-cnn',
    normalize: undefined,
    augment: undefined,
    epochs: 1,
    badnetEpochs: 2,
    fraction: 0.4,
    tune: 0.2,
    batchSize: 32,
    prune: { ...FULL.home.prune, layer: 'conv2' },
  },
  user: { ...FULL.user, epochs: 1, batchSize: 32 },
  scratchEpochs: 1,
  leastSigns: 2,
  strengths: [1, 10, 100],
  // Picks something whatever was learnt, and not most.
  rule: { at: 'average', rise: 0.001, quiet: 2, alone: false },
  rules: [{ at: 'place', rise: 1000, quiet: 0, alone: true }],
};

class MemoryStore implements RecipeStore {
  readonly steps = new Map<string, StoredModel>();
  readonly files = new Map<string, unknown>();
  async load(name: string): Promise<StoredModel | undefined> {
    return this.steps.get(name);
  }
  async save(name: string, made: StoredModel): Promise<void> {
    this.steps.set(name, made);
  }
  async metric(): Promise<void> {}
  async json(name: string, value: unknown): Promise<void> {
    this.files.set(name, value);
  }
}

/** The attacker's networks, which all tests here share. */
let nets: MemoryStore;
const provenance = {
  command: 'secateur reproduce transfer',
  versions: { secateur: '0' },
  machine: 'test',
  started: '2026-01-01T00:00:00Z',
};
const sources = { signs: source(HOME, 8, 'home/'), abroad: source(BELGIAN, 2, 'abroad/') };
const deps = (more: Partial<StudyDeps> = {}): StudyDeps => ({ runtime, provenance, sources, ...more });

const table = (outcome: RecipeOutcome, name: string) => outcome.result.tables.find((t) => t.name === name)!;
const cell = (outcome: RecipeOutcome, name: string, row: string, column: string) =>
  table(outcome, name).cells.find((c) => c.row === row && c.column === column);
/** Every sentence of a result. */
const words = ({ result, media, line }: RecipeOutcome): string[] => [
  line,
  ...result.tables.flatMap((t) => t.notes ?? []),
  ...(media.substitutes ?? []),
  ...(media.claims ?? []).flatMap((c) => [c.claim, c.says]),
  ...Object.values(media.captions ?? {}).flat(),
  ...(media.charts ?? []).flatMap((c) => [c.title, c.caption ?? '']),
];

describe('transfer', () => {
  let outcome: RecipeOutcome;
  const store = new MemoryStore();
  nets = store;
  const heard: string[] = [];
  beforeAll(async () => {
    const progress = { step: (name: string, p: { index: number; of: number }) => void heard.push(`${p.index}/${p.of} ${name}`) };
    outcome = await runTransfer({ seeds: 1 }, deps({ store, progress }), BASE);
  });

  it('does the steps it announces, and none twice', async () => {
    expect(heard).toHaveLength(9);
    expect(heard[0]).toBe('1/9 seed1-clean');
    expect(heard.at(-1)).toBe('9/9 seed1-kinds-from-scratch');
    const again: boolean[] = [];
    const progress = { step: (_: string, p: { reused: boolean }) => void again.push(p.reused) };
    const second = await runTransfer({ seeds: 1 }, deps({ store, progress }), BASE);
    // Only what is measured is measured again.
    expect(again.filter((reused) => !reused)).toHaveLength(1);
    expect(second.result.tables).toEqual(outcome.result.tables);
  });

  it("has the lecture's rows with its numbers beside, and the classes abroad by name", () => {
    const rows = [...new Set(table(outcome, 'transfer by class').cells.map((c) => c.row))];
    expect(rows).toEqual([...KINDS, 'average']);
    for (const row of rows) {
      expect(cell(outcome, 'transfer by class', row, 'BadNet clean accuracy')?.paper).toBe(PAPER_BY_CLASS[row].BadNet.clean);
      expect(cell(outcome, 'transfer by class', row, 'clean model triggered accuracy')?.paper).toBe(
        PAPER_BY_CLASS[row]['clean model'].triggered,
      );
      expect(cell(outcome, 'transfer by class', row, 'from scratch clean accuracy')?.paper).toBeUndefined();
    }
    const { cells } = table(outcome, 'transfer by class of sign');
    expect(cells.map((c) => c.row)).toContain('priority road');
    expect(cells.every((c) => c.paper === undefined)).toBe(true);
    expect(cell(outcome, 'transfer by class of sign', 'average', 'BadNet clean accuracy')).toMatchObject({ n: 53 * 2, seeds: 1 });
  });

  it('says loudly what stands in for what, and every claim with its numbers', () => {
    expect(outcome.media.substitutes).toHaveLength(3);
    expect(outcome.media.substitutes!.join(' ')).toMatch(
      /the attacker trains on home\/ \(4 classes\), not on three classes of U\.S\. signs.*Belgium instead of Sweden.*classifier.*instead of a detector/s,
    );
    expect(outcome.media.claims).toHaveLength(3);
    for (const { says, verdict } of outcome.media.claims!) {
      expect(says).toMatch(/\d/);
      expect(verdict).not.toBe('not tested');
    }
    for (const sentence of words(outcome)) expect(sentence).not.toMatch(/NaN|undefined|Infinity|\[object/);
  });

  it('is a result and a page', async () => {
    Result.parse(JSON.parse(JSON.stringify(outcome.result)));
    ReportMedia.parse(JSON.parse(JSON.stringify(outcome.media)));
    expect(renderReport(outcome.result, outcome.media)).toContain('Belgium instead of Sweden');
    expect(store.files.get('poison.json')).toMatchObject({ trigger: { kind: 'yellow-square' }, labelMap: { kind: 'random' } });
    expect(Object.keys(outcome.models)).toEqual(['badnet', 'badnet-abroad', 'clean-abroad']);
    expect(outcome.result.provenance.inputs).toMatchObject({ 'signs train': expect.any(String), 'abroad test': expect.any(String) });
  });

  it('keeps the convolutions of the network it was given bit by bit', () => {
    const bytes = (name: string, tensor: string) => store.steps.get(name)!.model.graph.initializers.get(tensor)!.data;
    for (const tensor of ['conv1.weight', 'conv2.weight', 'conv2.bias']) {
      expect(bytes('seed1-kinds-retrained-badnet', tensor)).toEqual(bytes('seed1-badnet', tensor));
    }
    expect(bytes('seed1-kinds-retrained-badnet', 'fc1.weight')).not.toEqual(bytes('seed1-badnet', 'fc1.weight'));
  });
});

describe('strength', () => {
  let outcome: RecipeOutcome;
  const store = new MemoryStore();
  const heard: string[] = [];
  beforeAll(async () => {
    for (const net of ['seed1-clean', 'seed1-badnet']) store.steps.set(net, nets.steps.get(net)!);
    const progress = { step: (name: string, p: { index: number; of: number }) => void heard.push(`${p.index}/${p.of} ${name}`) };
    outcome = await runStrength({}, deps({ store, progress }), BASE);
  });

  it('announces as many steps as there can be; a rule that picks nothing needs none', () => {
    expect(heard).toHaveLength(12);
    expect(heard.at(-1)).toBe('12/13 seed1-classes-rate-0.02-times-100');
  });

  it('picks some channels and draws as many others', () => {
    const [, picked, drawn] = /the rule picks (\d+) \(by seed\); beside them (\d+) others/.exec(
      table(outcome, 'strength controls').notes!.join(' '),
    )!;
    expect(Number(picked)).toBeGreaterThan(0);
    expect(drawn).toBe(picked);
    expect(outcome.media.claims!.every((c) => c.verdict !== 'not tested')).toBe(true);
  });

  it("has the lecture's curve beside ours, the harm of as many other channels, and the network at home", () => {
    for (const k of BASE.strengths) {
      const { clean, triggered } = PAPER_STRENGTH.get(k)!;
      expect(cell(outcome, 'strength', String(k), 'clean accuracy')?.paper).toBe(clean);
      expect(cell(outcome, 'strength', String(k), 'triggered accuracy')?.paper).toBe(triggered);
      const [c, t] = ['clean accuracy', 'triggered accuracy'].map((column) => cell(outcome, 'strength', String(k), column)!.value);
      expect(cell(outcome, 'harm by strength', String(k), 'backdoor neurons')!.value).toBeCloseTo(c - t, 10);
      expect(cell(outcome, 'strength controls', String(k), 'other channels clean accuracy')).toBeDefined();
    }
    // At k = 1 nothing is strengthened: there the two are one network.
    expect(cell(outcome, 'harm by strength', '1', 'other channels')?.value).toBe(
      cell(outcome, 'harm by strength', '1', 'backdoor neurons')?.value,
    );
    expect(cell(outcome, 'strength controls', '1', 'at home clean accuracy')?.value).toBe(
      cell(outcome, 'at home', 'BadNet', 'clean accuracy')?.value,
    );
  });

  it('counts what the rule picks: fewer, the more it asks for', () => {
    const count = (row: string, column: string): number => cell(outcome, 'channels picked by the rule', row, column)!.value;
    for (const at of ['place', 'average']) {
      for (const quiet of [0.1, 0.25, 0.5, 1]) {
        expect(count(`${at}: rise 0.1`, `quiet ${quiet}`)).toBeGreaterThanOrEqual(count(`${at}: rise 1`, `quiet ${quiet}`));
      }
      expect(count(`${at}: rise 0.1`, 'quiet 1')).toBeGreaterThanOrEqual(count(`${at}: rise 0.1`, 'quiet 0.1'));
      expect(count(`${at}: rise 0.1`, 'quiet 1')).toBeGreaterThanOrEqual(count(`${at}: rise 0.1, quiet elsewhere too`, 'quiet 1'));
    }
    // A rule that picks nothing leaves the network as it was.
    const nothing = cell(outcome, 'harm by rule', 'place, rise 1000, quiet 0, quiet elsewhere too', 'clean accuracy');
    expect(nothing?.value).toBe(cell(outcome, 'strength', '1', 'clean accuracy')?.value);
    expect(table(outcome, 'harm by rule').notes!.join(' ')).toContain('place, rise 1000, quiet 0, quiet elsewhere too: 0');
  });

  it('is a result and a page with its curves', () => {
    Result.parse(JSON.parse(JSON.stringify(outcome.result)));
    const media = ReportMedia.parse(JSON.parse(JSON.stringify(outcome.media)));
    expect(media.charts!.map((c) => c.id)).toEqual(['strength-accuracy', 'strength-harm', 'strength-rules']);
    expect(media.charts![0].series[0].points.map((p) => [p.x, p.paper])).toEqual([
      [1, 0.749],
      [10, 0.713],
      [100, 0.594],
    ]);
    for (const sentence of words(outcome)) expect(sentence).not.toMatch(/NaN|undefined|Infinity|\[object/);
    expect(renderReport(outcome.result, outcome.media).length).toBeGreaterThan(10000);
  });
});

it('strengthens those that are quiet everywhere where there are such, and all that the rule picks where there are none', () => {
  const report = { backdoor: [4, 2, 7], exclusive: [2] } as unknown as NeuronReport;
  const rule = { at: 'place', rise: 0.25, quiet: 0.25, alone: true } as const;
  expect(chosenBy(rule, report)).toEqual([2]);
  expect(chosenBy({ ...rule, alone: false }, report)).toEqual([4, 2, 7]);
  expect(chosenBy(rule, { ...report, exclusive: [] })).toEqual([4, 2, 7]);
});

describe('the user', () => {
  it('whose training diverges trains more slowly, and that is said', async () => {
    const store = new MemoryStore();
    for (const net of ['seed1-clean', 'seed1-badnet']) store.steps.set(net, nets.steps.get(net)!);
    const high = { ...BASE, user: { ...BASE.user, learningRate: 1e6 } };
    const outcome = await runTransfer({}, deps({ store }), high);
    const { rate } = store.steps.get('seed1-classes-retrained-badnet')!.facts as { rate: number };
    expect(rate).toBeLessThan(1e6);
    expect(table(outcome, 'transfer by class of sign').notes!.join(' ')).toMatch(
      /of the user's trainings diverged at a rate of 1000000; he went on with a tenth/,
    );
  });

  it('on synthetic or other signs has one task, and no number of the paper; in a quick run no claim either', async () => {
    const store = new MemoryStore();
    for (const net of ['seed1-clean', 'seed1-badnet']) store.steps.set(net, nets.steps.get(net)!);
    const made = { signs: source(HOME, 8, 'builtin:signs', true), abroad: source(['a', 'b', 'c'], 6, 'builtin:signs-abroad', true) };
    const outcome = await runTransfer({ quick: true }, deps({ sources: made, store }), BASE);
    expect(outcome.result.tables.map((t) => t.name)).toEqual(['transfer by class', 'at home']);
    expect(outcome.result.tables.flatMap((t) => t.cells).every((c) => c.paper === undefined)).toBe(true);
    expect(outcome.media.substitutes).toEqual([
      'The signs (builtin:signs, builtin:signs-abroad) are made by a program and look like nothing real. This is only a check that everything runs; its numbers say nothing of the papers.',
    ]);
    expect(outcome.media.claims).toBeUndefined();
    const real = await runTransfer({ quick: true }, deps({ store: nets }), BASE);
    expect(real.media.claims).toBeUndefined();
    expect(real.media.headline).toMatch(/^A check that everything runs/);
    const other = { signs: source(GERMAN, 8, 'gtsrb/'), abroad: source(['a', 'b', 'c'], 6, 'sweden/') };
    const german = await runTransfer({}, deps({ sources: other }), { ...BASE, home: { ...BASE.home, badnetEpochs: 1 } });
    expect(german.media.substitutes!.slice(0, 2)).toEqual([
      'Germany instead of the U.S.: the attacker trains on the 43 classes of GTSRB, not on three classes of U.S. signs.',
      "Other signs than the paper's: the user retrains on sweden/ (3 classes), not on five kinds of Swedish signs.",
    ]);
    expect(real.media.substitutes![0]).toBe(
      'A quick run of few epochs: only a check that everything runs; its numbers say nothing of the papers.',
    );
  });
});

describe("the user's tasks", () => {
  const shape = { channels: 3, height: SIDE, width: SIDE };

  it('are the classes with enough signs, and five kinds where the signs are Belgian', () => {
    const [classes, kinds, ...rest] = tasksOf(sources.abroad, shape, 3, 1);
    expect(rest).toEqual([]);
    expect(classes.train.classes).toHaveLength(53);
    expect(classes.train.classes[0]).toBe('uneven road');
    expect(kinds.train.classes).toEqual(KINDS);
    expect(kinds.train.count).toBe(sources.abroad.train.count);
    const at = sources.abroad.train.labels.indexOf(BELGIAN.indexOf('61'));
    expect(KINDS[kinds.train.labels[at]]).toBe('other');
    expect(
      tasksOf({ ...sources.abroad, train: signsOf('train', HOME, 9, 1), test: signsOf('test', HOME, 2, 1) }, shape, 9, 1),
    ).toHaveLength(1);
  });

  it('leave out of the kinds what has no name, and say so', () => {
    const all = Array.from({ length: 62 }, (_, i) => String(i).padStart(5, '0'));
    const [classes, kinds] = tasksOf(source(all, 4, 'abroad/'), shape, 3, 1);
    expect(classes.train.classes).toHaveLength(62);
    expect(classes.train.classes.slice(8, 11)).toEqual(['cyclists (warning)', 'number 9', 'road works']);
    expect(kinds.train.count).toBe(53 * 8);
    expect(kinds.says).toBe(
      '53 of 62 classes (numbers 9, 11, 15, 26, 33, 36, 48, 50, 52 have no name here and are left out), sorted into 5 kinds',
    );
    const { labels, groups } = kinds.train;
    // The tenth class that is left is number 10, road works.
    expect(KINDS[labels[9 * 8]]).toBe('warning');
    expect(groups!.ids).toHaveLength(53 * 8);
  });

  it('are held out by whole signs where there is no test part', () => {
    const { test: _, ...alone } = source(['a', 'b', 'c'], 9, 'abroad/');
    const [{ train, test }] = tasksOf(alone, shape, 3, 1);
    const ids = new Set(train.groups!.ids);
    expect(test.count).toBeGreaterThan(0);
    expect([...test.groups!.ids].some((id) => ids.has(id))).toBe(false);
  });

  it('are refused where nothing can be learnt', () => {
    expect(() => tasksOf(sources.abroad, shape, 50, 1)).toThrow(
      'data: abroad/: too few signs to learn from, expected at least 2 classes with 50 signs each, some to train on and some to test on, got 0 such classes.',
    );
    expect(() => tasksOf(sources.abroad, { ...shape, height: 32 }, 1, 1)).toThrow(
      'data: abroad/: signs of another size than at home, expected 3x32x16, got 3x16x16.',
    );
  });

  it('need both sources', async () => {
    await expect(runTransfer({}, deps({ sources: { signs: sources.signs } }), BASE)).rejects.toThrow(
      "data: abroad: missing, expected the signs of the user's country.",
    );
  });

  it('know Belgian signs by their numbers and take nothing else for them', () => {
    expect(belgianSigns(BELGIAN)!.map((s) => s!.kind)).toHaveLength(53);
    const all = Array.from({ length: 62 }, (_, i) => String(i).padStart(5, '0'));
    expect(belgianSigns(all)!.filter((s) => s !== undefined)).toHaveLength(53);
    expect(belgianSigns([...all, '00062'])).toBeUndefined();
    expect(belgianSigns(Array.from({ length: 43 }, (_, i) => String(i)))).toBeUndefined();
    expect(belgianSigns(HOME)).toBeUndefined();
    expect(belgianSigns(['61'])).toBeUndefined();
  });
});

it('the full and the quick scale begin at k = 1 and measure their rules at a k that is measured', () => {
  for (const scale of [FULL, QUICK]) {
    expect(scale.strengths[0]).toBe(1);
    expect(scale.strengths).toContain(scale.ruleStrength);
    expect([...scale.strengths].sort((a, b) => a - b)).toEqual(scale.strengths);
  }
  expect(FULL.strengths).toEqual([...PAPER_STRENGTH.keys()]);
});

it('a trigger that helps is not said to harm', () => {
  expect([0.132, -0.021, 0, -0.0001].map(costs)).toEqual([
    'costs 13.2 points',
    'costs nothing (2.1 points gained)',
    'costs nothing (0.0 points)',
    'costs nothing (0.0 points)',
  ]);
  expect([0.132, -0.021, -0.0001].map(lost)).toEqual(['13.2 points', '-2.1 points', '0.0 points']);
});

describe('claims on strength', () => {
  const KS = [1, 10, 100];
  interface Made {
    readonly seed?: number;
    readonly picked?: number;
    readonly drawn?: number;
    readonly chosen?: readonly number[];
    readonly others?: readonly number[];
    readonly otherUser?: readonly number[];
  }
  const FLAT = [0.1, 0.1, 0.1];
  const RISES = [0.1, 0.2, 0.3];
  /** A seed by its harms. */
  const seedOf = ({ seed = 1, picked = 3, drawn = 3, chosen = RISES, others = FLAT, otherUser = RISES }: Made): StrengthSeed => {
    const swept = (harms: readonly number[]) =>
      harms.map((h, i) => {
        const judgement = { clean: { accuracy: { value: 0.9 } }, attack: { robust: { value: 0.9 - h } } };
        return { k: KS[i], user: { judgement, rate: 0.003, history: [] }, home: judgement };
      });
    const channels = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
    return {
      ground: { seed, scale: FULL },
      point: { layer: 'conv5', channels: 64 },
      picked: channels(picked),
      otherChannels: channels(drawn),
      chosen: swept(chosen),
      others: swept(others),
      otherUser: swept(otherUser),
    } as unknown as StrengthSeed;
  };
  const verdicts = (...made: Made[]) => strengthClaims(made.map(seedOf)).map((c) => c.verdict);

  it("harm grows where it does at both of the user's rates, in part where at one", () => {
    expect(verdicts({})[0]).toBe('holds');
    expect(verdicts({ otherUser: FLAT })[0]).toBe('holds in part');
    expect(verdicts({ chosen: FLAT })[0]).toBe('holds in part');
    expect(verdicts({ chosen: FLAT, otherUser: FLAT })[0]).toBe('does not hold');
    const [claim] = strengthClaims([seedOf({ otherUser: [0.1, -0.05, 0] })]);
    expect(claim.says).toBe(
      'At a rate of 0.003 10.0 points at k = 1, 30.0 points at k = 100; at a rate of 0.02 10.0 points at k = 1, 0.0 points at k = 100.',
    );
    expect(claim.parts).toEqual([
      { name: 'a rate of 0.003', verdict: 'holds' },
      { name: 'a rate of 0.02', verdict: 'does not hold' },
    ]);
  });

  it('are not tested where nothing is picked, nor beside others where there are not as many', () => {
    expect(verdicts({ picked: 0, drawn: 0 })).toEqual(['not tested', 'not tested', 'not tested']);
    expect(verdicts({ picked: 40, drawn: 24 })).toEqual(['holds', 'not tested', 'does not hold']);
    expect(strengthClaims([seedOf({ picked: 40, drawn: 24 })])[1].says).toBe(
      'There are not as many other channels left (picked of 64 channels: 40; others drawn: 24).',
    );
  });

  it('speak of the seeds in which something was picked', () => {
    const made = [{ seed: 1 }, { seed: 2, picked: 0, drawn: 0, chosen: FLAT, otherUser: FLAT }];
    expect(verdicts(...made)).toEqual(['holds', 'holds', 'does not hold']);
    expect(strengthClaims(made.map(seedOf))[2].says).toBe(
      '90.0 % at k = 1, 90.0 % at k = 100 (the 1 of 2 seeds in which the rule picks any).',
    );
    expect(pickedNotes(made.map(seedOf))).toEqual([
      'Of 64 channels the rule picks 3, 0 (by seed); beside them 3, 0 others were drawn.',
      'Means over the 1 of 2 seeds in which it picks any.',
    ]);
  });

  it('say which seed was looked at, and what the others say without it', () => {
    expect(settledNotes([seedOf({ seed: 1 }), seedOf({ seed: 2, chosen: [0.05, 0.1, 0.2] })])).toEqual([
      "Seed 1 was looked at (an interim BadNet, and the harm that its trigger does) when the rule for backdoor neurons and the user's rate of 0.003 " +
        'were chosen; the other seeds were not. Without seed 1 the harm is 5.0 points at k = 1, 10.0 points at k = 10, 20.0 points at k = 100.',
    ]);
    expect(settledNotes([seedOf({})])[0]).toContain('This run has no other.');
    expect(settledNotes([seedOf({ seed: 3 })])[0]).toContain('It is not in this run.');
  });
});
