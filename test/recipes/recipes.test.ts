import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digits } from '../../src/data/digits.ts';
import { Result } from '../../src/evaluate/result.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import { parseRecord } from '../../src/poison/record.ts';
import { runSeeds, type SeedResult, stepsPerSeed } from '../../src/recipes/experiment.ts';
import { mediaOf } from '../../src/recipes/media.ts';
import { runMnist } from '../../src/recipes/mnist.ts';
import type { RecipeDeps, RecipeStore, StoredModel } from '../../src/recipes/recipe.ts';
import { RecipeFolder, type RunHead } from '../../src/recipes/run-folder.node.ts';
import { MNIST, type Scale } from '../../src/recipes/scale.ts';
import { headline, tablesOf } from '../../src/recipes/story.ts';
import { ReportMedia } from '../../src/report/media.ts';
import { renderReport } from '../../src/report/render.tsx';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import * as nets from '../defend/tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

/** As small as it gets: nothing is learnt, everything runs. */
const TINY: Scale = {
  ...MNIST,
  validation: 40,
  tune: 30,
  batchSize: 64,
  epochs: 1,
  fractions: [
    { fraction: 0.2, epochs: 1 },
    { fraction: 0.5, epochs: 1 },
  ],
  pruningAware: { ...MNIST.pruningAware, rounds: 1, epochs: 1 },
  finetune: { epochs: 1, learningRate: 0.01, batchSize: 32, momentum: 0.9 },
  otherRates: [0.1],
  scratchEpochs: 1,
};
const data = { train: digits({ count: 200, seed: 1, role: 'train' }), test: digits({ count: 60, seed: 1, role: 'test' }) };
const provenance = { command: 'secateur reproduce mnist', versions: { secateur: '0' }, machine: 'test', started: '2026-01-01T00:00:00Z' };

class MemoryStore implements RecipeStore {
  readonly steps = new Map<string, StoredModel>();
  readonly metrics: unknown[] = [];
  async load(name: string): Promise<StoredModel | undefined> {
    return this.steps.get(name);
  }
  async save(name: string, made: StoredModel): Promise<void> {
    this.steps.set(name, made);
  }
  async metric(record: unknown): Promise<void> {
    this.metrics.push(record);
  }
  readonly files = new Map<string, unknown>();
  async json(name: string, value: unknown): Promise<void> {
    this.files.set(name, value);
  }
}

const deps = (more: Partial<RecipeDeps> = {}): RecipeDeps => ({ runtime, data, provenance, ...more });

let results: SeedResult[];
const store = new MemoryStore();
const heard: string[] = [];
beforeAll(async () => {
  const progress = { step: (name: string, p: { index: number; of: number }) => void heard.push(`${p.index}/${p.of} ${name}`) };
  results = (await runSeeds(deps({ store, progress }), TINY, [1, 2])).results;
});

describe('the experiment', () => {
  it('does the steps it announces', () => {
    const of = 2 * stepsPerSeed(TINY);
    expect(heard).toHaveLength(of);
    expect(heard[0]).toBe(`1/${of} seed1-clean`);
    expect(heard.at(-1)).toBe(`${of}/${of} seed2-judging`);
    expect(store.metrics.length).toBeGreaterThan(10);
  });

  it('differs by seed in first weights, splits and poisoned images', () => {
    const [a, b] = results;
    expect(a.parts.train.sha256).not.toBe(b.parts.train.sha256);
    expect(writeModel(a.baseline.model)).not.toEqual(writeModel(b.baseline.model));
    expect(a.parts.validation.count).toBe(40);
    expect(parseRecord(a.record, 'test')).toMatchObject({ fraction: { asked: 0.5 }, trigger: { kind: 'pattern' }, seed: 1 });
  });

  it('taken up from its store it gives the same, and makes no network anew', async () => {
    const half = new MemoryStore();
    let count = 0;
    for (const [name, made] of store.steps) if (name.startsWith('seed1-') && count++ < 8) half.steps.set(name, made);
    const kept = new Set(half.steps.keys());
    const reused: string[] = [];
    const progress = { step: (name: string, p: { reused: boolean }) => void (p.reused && reused.push(name)) };
    const again = (await runSeeds(deps({ store: half, progress }), TINY, [1])).results;
    expect(new Set(reused)).toEqual(kept);
    expect(tablesOf(again, { paper: false })).toEqual(tablesOf(results.slice(0, 1), { paper: false }));
  });

  it('stops between two steps when asked to', async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(runSeeds(deps({ store, signal: controller.signal }), TINY, [1])).rejects.toThrow(
      'recipe: interrupted before seed1-clean. Try the same command again, which goes on from there.',
    );
  });
});

describe('the result', () => {
  const table = (name: string, seeds = results) => tablesOf(seeds, { paper: true }).find((t) => t.name === name);
  const columns = (name: string): string[] => [...new Set(table(name)?.cells.map((c) => c.column))];
  const rows = (name: string): string[] => [...new Set(table(name)?.cells.map((c) => c.row))];

  it('has the tables of the issue, with the names, rows and columns that the report draws', () => {
    const names = tablesOf(results, { paper: true }).map((t) => t.name);
    for (const name of ['per-class error', 'poison fraction', 'defences', 'pruning curve', 'clean-model control'])
      expect(names).toContain(name);
    expect(rows('per-class error')).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'average']);
    expect(columns('per-class error')).toEqual(['baseline clean', 'pattern clean', 'pattern backdoor', 'pixel clean', 'pixel backdoor']);
    expect(rows('poison fraction')).toEqual(['20 %', '50 %']);
    expect(columns('poison fraction')).toEqual(['pattern clean error', 'pattern backdoor error']);
    expect(rows('defences')).toEqual(['none', 'fine-tune', 'prune', 'fine-prune', 'from scratch']);
    expect(columns('defences').filter((c) => c.endsWith('attack success'))).toEqual([
      'baseline attack success',
      'pruning-aware (margin) attack success',
      'pruning-aware (paper) attack success',
    ]);
    expect(rows('pruning curve')).toEqual(Array.from({ length: 33 }, (_, i) => String(i)));
    expect(rows('clean-model control')).toEqual(['none', 'fine-tune', 'prune', 'fine-prune']);
  });

  it('puts the paper beside real data only', () => {
    const cell = table('per-class error')?.cells.find((c) => c.row === 'average' && c.column === 'pattern backdoor');
    expect(cell?.paper).toBe(0.0056);
    expect(
      tablesOf(results, { paper: false })
        .flatMap((t) => t.cells)
        .some((c) => c.paper !== undefined),
    ).toBe(false);
  });

  it('has n and interval for every rate: Wilson for one seed, Student t for two', () => {
    const pick = (seeds: SeedResult[]) =>
      table('defences', seeds)?.cells.find((c) => c.row === 'none' && c.column === 'baseline clean accuracy');
    const one = pick(results.slice(0, 1));
    const two = pick(results);
    expect(one).toMatchObject({ n: 60, seeds: 1 });
    expect(two).toMatchObject({ n: 120, seeds: 2 });
    expect(two?.value).toBeCloseTo(
      (results[0].suspects[0].judgements.none.clean.accuracy.value + results[1].suspects[0].judgements.none.clean.accuracy.value) / 2,
      12,
    );
    for (const cell of table('defences')?.cells ?? []) {
      expect(cell.low).toBeLessThanOrEqual(cell.value);
      expect(cell.high).toBeGreaterThanOrEqual(cell.value);
    }
  });

  it('explains what is not as the papers have it', () => {
    const notes = table('per-class error')?.notes?.join('\n') ?? '';
    // Nets that learnt nothing are far from the paper, and the note says by how much.
    expect(notes).toMatch(/The baseline's clean error is \d+\.\d\d % where the paper has 0\.50 %/);
    expect(table('defences')?.notes?.length).toBeGreaterThan(2);
  });

  it('is drawn by the report, with its pictures', () => {
    const media = ReportMedia.parse(mediaOf(results[0], 'Test'));
    expect(media.triggers?.map((t) => [t.name, t.samples.length])).toEqual([
      ['pattern', 6],
      ['pixel', 6],
    ]);
    expect(media.maps?.[0]).toMatchObject({ model: 'clean model', height: 8, width: 8 });
    expect(media.stops?.map((s) => s.attack)).toEqual(['baseline', 'pruning-aware (margin)', 'pruning-aware (paper)', 'clean model']);
    const tables = tablesOf(results, { paper: true });
    const result = Result.parse({ recipe: 'mnist', tables, provenance: { ...provenance, seeds: [1, 2], inputs: {}, steps: [] } });
    const html = renderReport(result, media);
    const ids = ['data', 'per-class', 'fraction', 'filters', 'neurons', 'pruning', 'defences', 'control', 'training', 'provenance'];
    expect(ids.filter((id) => !html.includes(`<section id="${id}"`))).toEqual([]);
    expect(tables.filter((t) => t.notes?.some((n) => n.includes('NaN') || n.includes('undefined')))).toEqual([]);
    expect(headline(results)).toMatch(/^clean [\d.]+ %, attack success [\d.]+ %; after fine-pruning .* \(pattern BadNet, 2 seeds\)$/);
  });

  it('refuses data that is not like MNIST', async () => {
    const odd = { train: nets.bars(20, 'train'), test: nets.bars(20, 'test') };
    await expect(runMnist({}, deps({ data: odd }))).rejects.toThrow(
      'data: bars: not like MNIST, expected 1x28x28, 10 classes, got 1x8x8, 3 classes.',
    );
  });
});

describe('the run folder', () => {
  let base: string;
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'secateur-recipe-'));
  });
  afterAll(() => rm(base, { recursive: true, force: true }));
  const head = (settings: Record<string, unknown>): RunHead => ({
    command: 'reproduce mnist',
    commandLine: 'secateur reproduce mnist',
    settings,
    seed: 1,
    versions: {},
    machine: 'test',
    inputs: {},
  });
  const made = (): StoredModel => ({ model: nets.cnn(), history: [], facts: { order: [2, 1] }, seconds: 1.5, rssBytes: 7 });

  it('keeps finished steps for the same settings, and takes them up', async () => {
    const out = join(base, 'a');
    const { folder, resumed } = await RecipeFolder.open(out, head({ seeds: 1 }));
    expect(resumed).toBe(false);
    await folder.save('seed1-clean', made());
    const second = await RecipeFolder.open(out, head({ seeds: 1 }));
    expect(second.resumed).toBe(true);
    expect(second.folder.started).toBe(folder.started);
    const found = await second.folder.load('seed1-clean');
    expect(found).toMatchObject({ facts: { order: [2, 1] }, seconds: 1.5, rssBytes: 7 });
    expect(writeModel(found!.model)).toEqual(writeModel(made().model));
    expect(await second.folder.load('seed1-other')).toBeUndefined();
  });

  it('does not mix settings', async () => {
    const out = join(base, 'a');
    await expect(RecipeFolder.open(out, head({ seeds: 2 }))).rejects.toThrow(
      `--out: an unfinished run with other settings is in ${out}.partial. ` +
        'Try --force to replace it, another --out, or the settings it was begun with to go on with it.',
    );
    const { folder, resumed } = await RecipeFolder.open(out, head({ seeds: 2 }), true);
    expect(resumed).toBe(false);
    expect(await folder.load('seed1-clean')).toBeUndefined();
  });

  it('does a step again whose files are damaged', async () => {
    const { folder } = await RecipeFolder.open(join(base, 'b'), head({}));
    await folder.save('one', made());
    await folder.save('two', made());
    await writeFile(folder.file('one.onnx'), 'no model');
    await writeFile(folder.file('two.json'), '{"settings":');
    expect(await folder.load('one')).toBeUndefined();
    expect(await folder.load('two')).toBeUndefined();
  });

  it('stands at its place only when it is complete', async () => {
    const out = join(base, 'c');
    const { folder } = await RecipeFolder.open(out, head({}));
    await folder.metric({ step: 'x', epoch: 1 });
    expect(await readdir(base)).not.toContain('c');
    const result = { recipe: 'mnist', tables: [], provenance: { ...provenance, seeds: [1], inputs: {}, steps: [] } };
    expect(await folder.finish(result, {}, '<html></html>')).toBe(join(out, 'report.html'));
    expect((await readdir(out)).sort()).toEqual(['media.json', 'metrics.jsonl', 'report.html', 'result.json', 'run.json']);
    expect(JSON.parse(await readFile(join(out, 'run.json'), 'utf8'))).toMatchObject({ version: 1, command: 'reproduce mnist' });
    await expect(RecipeFolder.open(out, head({}))).rejects.toThrow(
      `--out: ${out} exists already. Try another name, or --force to replace it.`,
    );
  });
});
