import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/dataset.ts';
import { digits } from '../../src/data/digits.ts';
import { groupsOf } from '../../src/data/groups.ts';
import { withoutDark } from '../../src/data/quality.ts';
import { Result } from '../../src/evaluate/result.ts';
import { runCaseRecipe, runCases, StudyOptions } from '../../src/recipes/case-recipe.ts';
import { attackRate, type CaseScale, type CaseStudy } from '../../src/recipes/cases/case.ts';
import { face } from '../../src/recipes/cases/face.ts';
import { caseSteps } from '../../src/recipes/cases/run.ts';
import { signs } from '../../src/recipes/cases/signs.ts';
import { tableOne } from '../../src/recipes/cases/table-1.ts';
import { claimsOf } from '../../src/recipes/claims.ts';
import type { RecipeStore, Source, StoredModel, StudyDeps } from '../../src/recipes/recipe.ts';
import { SharedSteps } from '../../src/recipes/shared-steps.node.ts';
import { ReportMedia } from '../../src/report/media.ts';
import { renderReport } from '../../src/report/render.tsx';
import { nativeRuntime } from '../../src/runtime/open.node.ts';

const runtime = nativeRuntime({ threads: 1 });
const folder = await mkdtemp(join(tmpdir(), 'secateur-cases-'));
afterAll(async () => {
  await runtime.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** As small as it gets: nothing is learnt, everything runs. */
const tiny = (scale: CaseScale): CaseScale => ({
  ...scale,
  epochs: 1,
  badnetEpochs: 1,
  validation: 0.25,
  tune: 0.15,
  finetune: { ...scale.finetune, epochs: 1 },
  pruningAware: { ...scale.pruningAware, rounds: 1, epochs: 1, prune: 20 },
  scratchEpochs: 1,
  relearn: { ...scale.relearn, images: 20, poisoned: 5, epochs: 2 },
});
const small = (study: CaseStudy): CaseStudy => ({ ...study, scale: tiny(study.scale), quick: tiny(study.quick) });
const FACE = small(face);
const SIGNS = small(signs);

const grouped = <D extends Dataset>(data: D): D => ({
  ...data,
  groups: groupsOf(
    'light',
    Array.from(data.labels, (_, i) => `l${Math.floor(i / 10) % 8}`),
  ),
});
const train = grouped(digits({ count: 160, seed: 1, role: 'train' }));
const test = digits({ count: 60, seed: 1, role: 'test' });
const sources: Record<string, Source> = {
  face: { uri: 'made/faces', synthetic: false, train },
  signs: { uri: 'builtin:signs', synthetic: true, train, test },
};

class MemoryStore implements RecipeStore {
  readonly steps = new Map<string, StoredModel>();
  async load(name: string): Promise<StoredModel | undefined> {
    return this.steps.get(name);
  }
  async save(name: string, made: StoredModel): Promise<void> {
    this.steps.set(name, made);
  }
  async metric(): Promise<void> {}
  async json(): Promise<void> {}
}

const heard: string[] = [];
const provenance = { command: 'secateur reproduce face', versions: { secateur: '0' }, machine: 'test', started: '2026-01-01T00:00:00Z' };
const deps = (store: RecipeStore): StudyDeps => ({
  runtime,
  sources,
  provenance,
  store,
  progress: { step: (name, p) => void heard.push(`${p.index}/${p.of} ${name}${p.reused ? ' again' : ''}`) },
});

let outcome: Awaited<ReturnType<typeof runCaseRecipe>>;
beforeAll(async () => {
  outcome = await runCaseRecipe(FACE, { quick: true }, deps(new SharedSteps(new MemoryStore(), folder, ['test'])));
}, 300_000);

describe('a case study', () => {
  it('does the steps that it announces', () => {
    const of = caseSteps(FACE, true, { defences: true, controls: true, extras: false });
    expect(heard).toHaveLength(of);
    expect(heard[0]).toBe(`1/${of} seed1-clean`);
    expect(heard.at(-1)).toBe(`${of}/${of} seed1-judging`);
  });

  it('has a valid result with the control that each claim needs', () => {
    const result = Result.parse(outcome.result);
    const names = result.tables.map((t) => t.name);
    for (const name of [
      'table 1',
      'defences',
      'clean-model control',
      'accuracy on held-out data',
      'pruning curve',
      'neurons',
      'weights moved by fine-tuning',
      're-learning',
      'dead-channel check',
      'accuracy by class',
    ]) {
      expect(names).toContain(name);
    }
    const rows = [...new Set(result.tables.find((t) => t.name === 'defences')?.cells.map((c) => c.row))];
    expect(rows).toEqual(['none', 'fine-tune', 'prune', 'fine-prune', 'from scratch']);
    const curve = result.tables.find((t) => t.name === 're-learning')?.cells.filter((c) => c.column === 'clean model attack success');
    expect(curve?.map((c) => c.row)).toEqual(['0', '25', '50']);
  });

  it('a quick run stands beside no number of the paper', () => {
    expect(outcome.result.tables.flatMap((t) => t.cells).some((c) => c.paper !== undefined)).toBe(false);
    expect(outcome.media.substitutes?.[0]).toContain('Extended Yale B');
  });

  it('is drawn by the report', () => {
    ReportMedia.parse(outcome.media);
    const html = renderReport(outcome.result, outcome.media);
    expect(html).toContain('What holds');
    expect(html).toContain('how soon the backdoor is learnt again');
  });

  it('the authors’ -1e20 is flagged, the honest network is not', () => {
    const cells = outcome.result.tables.find((t) => t.name === 'dead-channel check')?.cells.filter((c) => c.column === 'flagged');
    expect(cells?.find((c) => c.row === 'pruning-aware (paper)')?.value).toBeGreaterThan(0);
    expect(cells?.find((c) => c.row === 'clean model')?.value).toBe(0);
  });
});

describe('steps that recipes share', () => {
  it('are found by another recipe under its own names', async () => {
    heard.length = 0;
    const before = (await readdir(folder)).length;
    const store = new MemoryStore();
    const { cases } = await runCases(deps(new SharedSteps(store, folder, ['test'])), [FACE, SIGNS], StudyOptions.parse({ quick: true }), {
      defences: false,
      controls: false,
      extras: false,
    });
    const again = heard.filter((h) => h.endsWith('again')).map((h) => h.replace(/^\S+ /, ''));
    expect(again).toContain('face-seed1-clean again');
    expect(again).toContain('face-seed1-baseline-pruned again');
    expect(again.some((h) => h.startsWith('signs'))).toBe(false);
    expect(store.steps.has('face-seed1-badnet')).toBe(true);
    expect((await readdir(folder)).length).toBeGreaterThan(before);
    const [faces, pictures] = cases;
    // synthetic signs say so, and the drop is measured against clean accuracy
    expect(tableOne(cases, false).cells).toHaveLength(0);
    expect(attackRate(SIGNS, pictures[0].badnet.judgement).n).toBe(60);
    const claims = claimsOf([faces, pictures]);
    expect(claims.map((c) => c.claim)).toContain('The pruning-aware attack survives pruning.');
    expect(claims.some((c) => c.claim.startsWith('Fine-tuning alone'))).toBe(false);
    expect(claims[0].parts?.map((p) => p.name)).toEqual(['face', 'signs']);
  });

  it('made elsewhere, by other versions, they are not taken', async () => {
    const other = new SharedSteps(new MemoryStore(), folder, ['other']);
    const [key] = (await readdir(folder)).filter((f) => f.endsWith('.json'));
    expect(await other.load('x', key)).toBeUndefined();
  });
});

describe('what the data must say', () => {
  it('faces without groups are refused with what to do', () => {
    const { groups: _, ...loose } = train;
    expect(() => face.parts({ uri: 'faces/', synthetic: false, train: loose }, FACE.scale, 1)).toThrow(
      'data: faces/: does not say which images belong together, so test images that are really new cannot be held out, expected groups of images ' +
        '(lights, sessions or films). Try --group-by COLUMN of its index, or --group-by prefix of the file names.',
    );
  });

  it('no test image is of a group that is trained on', () => {
    const parts = face.parts(sources.face, FACE.scale, 3);
    const of = (d: Dataset): Set<number> => new Set(d.groups?.ids);
    for (const id of of(parts.test)) for (const d of [parts.train, parts.validation, parts.tune]) expect(of(d).has(id)).toBe(false);
    expect(parts.train.count + parts.validation.count + parts.tune.count + parts.test.count).toBe(withoutDark(train, 20).count);
  });
});
