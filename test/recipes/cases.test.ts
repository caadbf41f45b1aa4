import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/dataset.ts';
import { digits } from '../../src/data/digits.ts';
import { groupsOf } from '../../src/data/groups.ts';
import { withoutDark } from '../../src/data/quality.ts';
import type { AttackRates } from '../../src/evaluate/rates.ts';
import { Result } from '../../src/evaluate/result.ts';
import { wilson } from '../../src/evaluate/wilson.ts';
import { runCases, StudyOptions } from '../../src/recipes/case-recipe.ts';
import { attackRate, type CaseScale, type CaseStudy } from '../../src/recipes/cases/case.ts';
import { face } from '../../src/recipes/cases/face.ts';
import { caseMedia, substitutesOf } from '../../src/recipes/cases/media.ts';
import { type CaseSeed, caseSteps, sharedKey } from '../../src/recipes/cases/run.ts';
import { signs } from '../../src/recipes/cases/signs.ts';
import { caseTables } from '../../src/recipes/cases/tables.ts';
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
  /** What each step is made of. */
  readonly shared = new Map<string, string>();
  async load(name: string): Promise<StoredModel | undefined> {
    return this.steps.get(name);
  }
  async save(name: string, made: StoredModel, shared?: string): Promise<void> {
    this.steps.set(name, made);
    if (shared !== undefined) this.shared.set(name, shared);
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
const ALL = { defences: true, controls: true, extras: false };
const PRUNING = { defences: false, controls: false, extras: false };
const QUICK = StudyOptions.parse({ quick: true });

let seeds: CaseSeed[];
beforeAll(async () => {
  const shared = new SharedSteps(new MemoryStore(), folder, ['test']);
  [seeds] = (await runCases(deps(shared), [FACE], QUICK, ALL)).cases;
}, 300_000);

const resultOf = (real: boolean): Result =>
  Result.parse({ recipe: 'face', tables: caseTables(seeds, real), provenance: { ...provenance, seeds: [1], inputs: {}, steps: [] } });

describe('a case study', () => {
  it('does the steps that it announces', () => {
    const of = caseSteps(FACE, true, ALL);
    expect(heard).toHaveLength(of);
    expect(heard[0]).toBe(`1/${of} seed1-clean`);
    expect(heard.at(-1)).toBe(`${of}/${of} seed1-judging`);
  });

  it('has a valid result with the control that each claim needs', () => {
    const result = resultOf(true);
    const names = result.tables.map((t) => t.name);
    for (const name of [
      'table 1',
      'defences',
      'clean-model control',
      'accuracy on held-out data',
      'pruning curve',
      'neurons',
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

  it('stands beside the numbers of the paper where it is real and whole, else beside none', () => {
    const paper = (real: boolean): number[] => resultOf(real).tables.flatMap((t) => t.cells.flatMap((c) => c.paper ?? []));
    // twelve of Table 1, and the BadNet's accuracy again
    expect(paper(true)).toHaveLength(13);
    expect(paper(true)).toContain(0.998);
    expect(paper(false)).toEqual([]);
  });

  it('is drawn by the report, with claims where it is real and whole', () => {
    const real = ReportMedia.parse(caseMedia(seeds, 'Faces', true));
    expect(renderReport(resultOf(true), real)).toContain('What holds');
    expect(real.substitutes?.[0]).toContain('Faces: 10 people, ');
    const check = ReportMedia.parse(caseMedia(seeds, 'Faces', false));
    expect(check.claims).toBeUndefined();
    expect(renderReport(resultOf(false), check)).toContain('A check that everything runs');
  });

  it('biases of -1e20 are flagged, the honest network is not', () => {
    const cells = resultOf(true)
      .tables.find((t) => t.name === 'dead-channel check')
      ?.cells.filter((c) => c.column === 'flagged');
    expect(cells?.find((c) => c.row === 'pruning-aware (paper)')?.value).toBeGreaterThan(0);
    expect(cells?.find((c) => c.row === 'clean model')?.value).toBe(0);
  });

  it('a defence is not praised for an attack that had failed', () => {
    const failed = seeds.map((seed) => ({
      ...seed,
      suspects: seed.suspects.map((s) => {
        const attack = { ...(s.judgements.none.attack as AttackRates), success: wilson(2, 100) };
        return { ...s, judgements: { ...s.judgements, none: { ...s.judgements.none, attack } } };
      }),
    }));
    const verdicts = new Map(claimsOf([failed]).map((c) => [c.claim, c.verdict]));
    expect(verdicts.get('The trigger makes it do what the attacker wants.')).toBe('does not hold');
    expect(verdicts.get('Pruning removes the baseline backdoor before clean accuracy suffers.')).toBe('not tested');
    expect(verdicts.get('Fine-tuning alone does not remove the baseline backdoor.')).toBe('not tested');
  });
});

describe('steps that recipes share', () => {
  it('are found by another recipe under its own names, with two networks at a time', async () => {
    heard.length = 0;
    const before = (await readdir(folder)).length;
    const store = new MemoryStore();
    const second = nativeRuntime({ threads: 1 });
    const lanes = [runtime, second];
    const { cases } = await runCases({ ...deps(new SharedSteps(store, folder, ['test'])), lanes }, [FACE, SIGNS], QUICK, PRUNING).finally(
      () => second.dispose(),
    );
    const again = heard.filter((h) => h.endsWith('again')).map((h) => h.replace(/^\S+ /, ''));
    expect(again).toContain('face-seed1-clean again');
    expect(again).toContain('face-seed1-baseline-pruned again');
    expect(again.some((h) => h.startsWith('signs'))).toBe(false);
    expect(store.steps.has('face-seed1-badnet')).toBe(true);
    expect((await readdir(folder)).length).toBeGreaterThan(before);
    const [faces, pictures] = cases;
    expect(faces[0].study.name).toBe('face');
    // the same networks, so the same curve
    expect(faces[0].suspects[0].curve).toEqual(seeds[0].suspects[0].curve);
    const { clean, attack } = pictures[0].badnet.judgement;
    expect(attackRate(SIGNS, pictures[0].badnet.judgement).value).toBeCloseTo(1 - (attack?.robust.value ?? 0) / clean.accuracy.value, 10);
    const claims = claimsOf([faces, pictures]);
    expect(claims.some((c) => c.claim.startsWith('Fine-tuning alone'))).toBe(false);
    expect(claims[0].parts?.map((p) => p.name)).toEqual(['face', 'signs']);
    // drawn by a machine, whatever it came to
    expect(substitutesOf(pictures)[0]).toContain('made by a program');
  }, 300_000);

  it('of other versions are not taken', async () => {
    const store = new MemoryStore();
    const made = { model: seeds[0].clean.model, history: [], facts: {}, seconds: 1, rssBytes: 1 };
    await new SharedSteps(store, folder, ['test']).save('x', made, 'what it is made of');
    expect(await new SharedSteps(new MemoryStore(), folder, ['test']).load('y', 'what it is made of')).toMatchObject({ seconds: 1 });
    expect(await new SharedSteps(new MemoryStore(), folder, ['other']).load('y', 'what it is made of')).toBeUndefined();
    expect(await new SharedSteps(new MemoryStore(), folder, ['test']).load('y', 'something else')).toBeUndefined();
  });

  it('another grouping is another network', () => {
    const other = {
      ...train,
      groups: groupsOf(
        'hour',
        Array.from(train.labels, (_, i) => `h${i % 5}`),
      ),
    };
    const key = (data: Dataset<'train'>): string => {
      const parts = FACE.parts({ uri: 'made', synthetic: false, train: data }, FACE.scale, 1);
      return sharedKey(FACE, FACE.scale, 1, parts, FACE.attack(parts, FACE.scale, 1));
    };
    expect(key(other)).not.toBe(key(train));
    expect(key(train)).toBe(key({ ...train }));
  });
});

describe('what the data must say', () => {
  it('faces without groups are refused with what to do', () => {
    const { groups: _, ...loose } = train;
    expect(() => face.parts({ uri: 'faces/', synthetic: false, train: loose }, FACE.scale, 1)).toThrow(
      'data: faces/: does not say which images belong together, so test images that are really new cannot be held out, expected groups of images ' +
        '(lights, sessions or films). Try --group-by COLUMN of its index or --group-by prefix of the file names (in reproduce face, speech and signs).',
    );
  });

  it('no test image is of a group that is trained on', () => {
    const parts = face.parts(sources.face, FACE.scale, 3);
    const of = (d: Dataset): Set<number> => new Set(d.groups?.ids);
    for (const id of of(parts.test)) for (const d of [parts.train, parts.validation, parts.tune]) expect(of(d).has(id)).toBe(false);
    expect(parts.train.count + parts.validation.count + parts.tune.count + parts.test.count).toBe(withoutDark(train, 20).count);
  });
});
