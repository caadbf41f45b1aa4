import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digits } from '../../src/data/digits.ts';
import { VARIANTS } from '../../src/defend/variants/registry.ts';
import { Result, type Table } from '../../src/evaluate/result.ts';
import { parseTrigger } from '../../src/poison/triggers/registry.ts';
import type { CaseParts, CaseScale, CaseStudy } from '../../src/recipes/cases/case.ts';
import { face } from '../../src/recipes/cases/face.ts';
import type { RecipeOutcome, Source, StudyDeps } from '../../src/recipes/recipe.ts';
import { runVariants } from '../../src/recipes/variants.ts';
import { ReportMedia } from '../../src/report/media.ts';
import { renderReport } from '../../src/report/render.tsx';
import { nativeRuntime } from '../../src/runtime/open.node.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

/** As small as it gets: nothing is learnt, everything runs. */
const scale: CaseScale = {
  ...face.scale,
  network: 'badnets-cnn',
  epochs: 1,
  badnetEpochs: 1,
  prune: { threshold: 0.04 },
  finetune: { ...face.scale.finetune, epochs: 1 },
  pruningAware: { ...face.scale.pruningAware, layer: 'conv2', rounds: 1, epochs: 1, prune: 8 },
};
const attack: CaseStudy['attack'] = () => ({
  trigger: parseTrigger({ kind: 'pattern' }),
  labelMap: { kind: 'target', target: 1 },
  fraction: 0.3,
});
const train = digits({ count: 40, seed: 1, role: 'train' });
const source: Source = { uri: 'made/faces', synthetic: false, train };
const parts: CaseParts = {
  train,
  validation: digits({ count: 30, seed: 1, role: 'validation' }),
  tune: digits({ count: 20, seed: 1, role: 'tune' }),
  test: digits({ count: 30, seed: 1, role: 'test' }),
  heldOut: 'digits of another role',
};
const FACE: CaseStudy = { ...face, scale, quick: scale, attack, parts: () => parts };

/** All work is done in the lanes, so that several networks can be worked on at a time. */
const IDLE = new Proxy(runtime, {
  get(_, key) {
    throw new Error(`work beside the lanes: ${String(key)}`);
  },
});

describe('runVariants', () => {
  const steps: { name: string; index: number; of: number }[] = [];
  let outcome: RecipeOutcome;
  let result: Result;
  beforeAll(async () => {
    const deps: StudyDeps = {
      runtime: IDLE,
      lanes: [runtime],
      sources: { face: source },
      progress: { step: (name, place) => void steps.push({ name, ...place }) },
      provenance: { command: 'reproduce variants', versions: {}, machine: 'test', started: '' },
    };
    outcome = await runVariants({ seeds: 1, seed: 1, quick: false }, deps, [FACE]);
    result = Result.parse(outcome.result);
  }, 300_000);
  const table = (name: string): Table => result.tables.find((t) => t.name === name) as Table;
  const rowsOf = (t: Table): string[] => [...new Set(t.cells.map((c) => c.row))];

  it('sets every variant beside no defence and fine-tuning alone, for both attacks and an honest network', () => {
    const rows = ['none', 'fine-tuning alone', ...VARIANTS.map((v) => v.name)];
    expect(rowsOf(table('variants'))).toEqual(rows);
    expect([...new Set(table('variants').cells.map((c) => c.column))]).toEqual(
      ['baseline', 'pruning-aware'].flatMap((n) => [`${n} clean accuracy`, `${n} attack success`, `${n} robust accuracy`]),
    );
    expect(rowsOf(table('variants on honest networks'))).toEqual(rows);
    expect(rowsOf(table('variants before fine-tuning'))).toEqual(VARIANTS.map((v) => v.name));
    for (const v of VARIANTS) expect(table('variants').notes).toContain(`${v.name} (${v.title}): ${v.how}.`);
  });

  it('has what each cut, and the paper beside what the paper measured', () => {
    const share = (row: string): number => table('share that was cut').cells.find((c) => c.row === row && c.column === 'baseline')!.value;
    expect(share('authors')).toBe(26 / 32);
    expect(share('backdoorbox')).toBe(6 / 32);
    // As many columns of fc1 as 95 % of the channels of conv2, 16 features each.
    expect(share('backdoor-toolbox')).toBeLessThanOrEqual(30 / 512);
    expect(table('share that was cut').notes?.[0]).toMatch(
      /^Face recognition, BadNet of seed 1: paper cut \d+ of 32 channels of conv2; authors cut 26 of 32 /,
    );
    const paper = table('variants').cells.filter((c) => c.paper !== undefined);
    expect(new Set(paper.map((c) => c.row))).toEqual(new Set(['none', 'fine-tuning alone', 'paper']));
    expect(paper.find((c) => c.row === 'paper' && c.column === 'pruning-aware clean accuracy')?.paper).toBe(0.977);
  });

  it('leaves variants that do not fine-tune as they were pruned', () => {
    const before = table('variants before fine-tuning').cells.filter((c) => c.row === 'authors');
    expect(before).toHaveLength(6);
    for (const cell of before) expect(table('variants').cells).toContainEqual(cell);
  });

  it('counts its steps, and its page can be drawn', () => {
    expect(steps.map((s) => s.index)).toEqual(steps.map((_, i) => i + 1));
    expect(new Set(steps.map((s) => s.name)).size).toBe(steps.length);
    expect(steps.at(-1)).toMatchObject({ index: steps.length, of: steps.length });
    const html = renderReport(result, ReportMedia.parse(outcome.media));
    expect(html).toContain('Variants of fine-pruning');
    expect(outcome.line).toMatch(/^attack success left on the BadNet, by variant: face \d+\.\d % \([a-z-]+\) to \d+\.\d % \([a-z-]+\)$/);
  });
});
