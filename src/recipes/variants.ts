/** `reproduce variants`: the case studies through fine-pruning as different authors have written it. How much the outcome hangs on the variant. */
import { finetune } from '../defend/finetune.ts';
import { AUTHORS_SHARES } from '../defend/variants/authors.ts';
import { finepruneVariant, VARIANTS } from '../defend/variants/registry.ts';
import { figureCell, rateCell } from '../evaluate/cells.ts';
import { Judge, type Judgement } from '../evaluate/judge.ts';
import type { Cell, Table } from '../evaluate/result.ts';
import { besidePaper, CASES, inputsOf, StudyOptions, seedsOf } from './case-recipe.ts';
import { attackRate, type CaseName, type CaseStudy } from './cases/case.ts';
import { mean, percent } from './cases/figures.ts';
import { dataFacts, samples, substitutesOf } from './cases/media.ts';
import { AWARE, BASELINE, type CaseSeed, CLEAN, caseSteps, runCase } from './cases/run.ts';
import { inLanes } from './lanes.ts';
import { type RecipeOutcome, Steps, type StudyDeps } from './recipe.ts';
import { judgedCells, present } from './tables.ts';

/** Networks that go through every variant; the last is the control. */
const NETWORKS = [BASELINE, AWARE, CLEAN] as const;
type NetworkName = (typeof NETWORKS)[number];

const UNTOUCHED = 'none';
const TUNED = 'fine-tuning alone';
const ROWS = [UNTOUCHED, TUNED, ...VARIANTS.map((v) => v.name)];

/** What came of one network under one variant. */
interface Outcome {
  readonly judgement: Judgement;
  /** Before fine-tuning; undefined where nothing was pruned. */
  readonly pruned?: Judgement;
  /** Share of the channels or columns that were cut, 0..1. */
  readonly share?: number;
  readonly what?: string;
}

interface VariantSeed {
  readonly study: CaseStudy;
  readonly seed: CaseSeed;
  readonly outcomes: Readonly<Record<NetworkName, Readonly<Record<string, Outcome>>>>;
}

/** Pruning curves only: the networks are what is needed. */
const WORK = { defences: false, controls: false, extras: false };

/**
 * Every variant on the BadNet, the pruning-aware BadNet and the honest network of each case, with the same fine-tuning for all that fine-tune.
 * @param studies default: all three
 * @throws SecateurError where the data are not of the studies' kind
 */
export async function runVariants(
  options: Partial<StudyOptions>,
  deps: StudyDeps,
  studies: readonly CaseStudy[] = CASES,
): Promise<RecipeOutcome> {
  const parsed = StudyOptions.parse(options);
  const { quick } = parsed;
  const numbers = seedsOf(parsed);
  const more = NETWORKS.length * (VARIANTS.length + 1);
  const steps = new Steps(deps, numbers.length * studies.reduce((a, study) => a + caseSteps(study, quick, WORK) + more, 0));
  // by seed first: a run that is stopped early has every network
  const tasks = numbers.flatMap((seed) => studies.map((study) => ({ seed, study })));
  const done = await inLanes(deps, tasks, async (lane, { seed, study }): Promise<VariantSeed> => {
    const prefix = studies.length > 1 ? `${study.name}-` : '';
    const made = await runCase(lane, steps, study, { seed, quick, work: WORK, prefix });
    return { study, seed: made, outcomes: await outcomesOf(lane, steps, made, `${prefix}seed${seed}`) };
  });
  const cases = studies.map((study) => done.filter((v) => v.study === study));
  const paper = besidePaper(
    deps,
    studies.map((s) => s.name),
    quick,
  );
  const seeds = cases.map((list) => list.map((v) => v.seed));
  return {
    result: {
      recipe: 'variants',
      tables: [attackTable(cases, paper), prunedTable(cases), shareTable(cases), controlTable(cases)],
      provenance: { ...deps.provenance, seeds: numbers, inputs: { ...inputsOf(deps), ...steps.hashes }, steps: steps.done },
    },
    media: {
      title: 'Variants of fine-pruning',
      substitutes: seeds.flatMap(substitutesOf),
      captions: { variants: [RULES] },
      data: seeds.flatMap(([first]) => dataFacts(first)),
      triggers: seeds.map(([first]) => samples(first)),
    },
    line: `attack success left on the BadNet, by variant: ${cases.map(rangeOf).join('; ')}`,
    models: {},
  };
}

const RULES =
  'Each variant ranks, cuts and stops as its authors have it (facts read in their public source), deviations from the paper included; where one ' +
  "looks at test data, ours looks at the defender's validation images. Those that fine-tune do it with the same settings here, so that pruning " +
  'alone tells them apart.';

/** Of the layer's channels, what the authors' scripts cut in this case; they have none for signs, which borrow the face's share. */
const authorsShare = (name: CaseName): number => (name === 'signs' ? AUTHORS_SHARES.face : AUTHORS_SHARES[name]);

async function outcomesOf(deps: StudyDeps, steps: Steps, made: CaseSeed, prefix: string): Promise<VariantSeed['outcomes']> {
  const { runtime, progress, signal } = deps;
  const { scale, parts, seed, triggeredTest } = made;
  const judge = new Judge(runtime, parts.test, triggeredTest);
  const tuning = { ...scale.finetune, seed, onProgress: progress?.training, signal };
  const found = {} as Record<NetworkName, Record<string, Outcome>>;
  for (const network of NETWORKS) {
    const model = network === CLEAN ? made.clean.model : made.suspects.find((s) => s.name === network)!.model;
    // in a name space of their own: the attack has a step called pruning-aware-paper
    const file = (what: string): string => `${prefix}-variants-${network.replaceAll(' ', '-')}-${what}`;
    const outcomes: Record<string, Outcome> = { [UNTOUCHED]: { judgement: await judge.judge(model) } };
    const tuned = await steps.model(file('finetuned'), async () => ({
      ...(await finetune(runtime, model, parts.validation, tuning)),
      facts: {},
    }));
    outcomes[TUNED] = { judgement: await judge.judge(tuned.model) };
    for (const { name, takes } of VARIANTS) {
      const { layer, threshold } = scale.prune;
      const settings = {
        ...(takes.includes('layer') && { layer }),
        ...(name === 'paper' && { threshold }),
        ...(name === 'authors' && { count: Math.round(authorsShare(made.study.name) * made.suspects[0].pruning.order.length) }),
      };
      const result = await steps.model(file(name), async () => {
        const done = await finepruneVariant(runtime, model, parts.validation, { variant: name, ...settings, finetune: tuning });
        const pruned = await judge.judge(done.pruned);
        return { model: done.model, history: done.history, facts: { what: done.what, share: done.cut.length / done.of, pruned } };
      });
      outcomes[name] = { ...(result.facts as unknown as Omit<Outcome, 'judgement'>), judgement: await judge.judge(result.model) };
    }
    found[network] = outcomes;
  }
  return found;
}

type Cases = readonly (readonly VariantSeed[])[];

/** In front of a column: the network's name, where there are several. */
const before = (cases: Cases, { study }: VariantSeed): string => (cases.length > 1 ? `${study.name} ` : '');

/** Clean accuracy and attack success after each variant, for both attacks. */
function attackTable(cases: Cases, paper: boolean): Table {
  const cells = ROWS.flatMap((row) =>
    cases.flatMap((seeds) =>
      [BASELINE, AWARE].flatMap((network) => {
        const { study } = seeds[0];
        const judged = seeds.map((s) => s.outcomes[network as NetworkName][row].judgement);
        const column = `${before(cases, seeds[0])}${network} `;
        return judgedCells(row, column, judged, (j) => attackRate(study, j)).map((cell) => withPaper(cell, study, network, paper));
      }),
    ),
  );
  return { name: 'variants', unit: 'rate', cells, notes: VARIANTS.map((v) => `${v.name} (${v.title}): ${v.how}.`) };
}

/** The lecture's numbers stand beside what it measured: no defence, fine-tuning, and fine-pruning as the paper has it. */
function withPaper(cell: Cell, { paper: known }: CaseStudy, network: string, paper: boolean): Cell {
  const defences = { [UNTOUCHED]: 'none', [TUNED]: 'fine-tune', paper: 'fine-prune' } as const;
  const defence = defences[cell.row as keyof typeof defences];
  if (!paper || defence === undefined) return cell;
  const outcome = known[network as typeof BASELINE | typeof AWARE][defence];
  if (cell.column.endsWith('clean accuracy')) return { ...cell, paper: outcome.clean };
  return cell.column.endsWith('attack success') ? { ...cell, paper: outcome.attack } : cell;
}

/** The same before fine-tuning: what pruning alone does. */
function prunedTable(cases: Cases): Table {
  const cells = VARIANTS.flatMap(({ name }) =>
    cases.flatMap((seeds) =>
      [BASELINE, AWARE].flatMap((network) =>
        judgedCells(
          name,
          `${before(cases, seeds[0])}${network} `,
          seeds.flatMap((s) => s.outcomes[network as NetworkName][name].pruned ?? []),
          (j) => attackRate(seeds[0].study, j),
        ),
      ),
    ),
  );
  const notes = [
    `Before fine-tuning. ${VARIANTS.filter((v) => !v.tunes)
      .map((v) => v.name)
      .join(' and ')} stop here.`,
  ];
  return { name: 'variants before fine-tuning', unit: 'rate', cells, notes };
}

/** How much each cut. */
function shareTable(cases: Cases): Table {
  const cells = VARIANTS.flatMap(({ name }) =>
    cases.flatMap((seeds) =>
      NETWORKS.map((network) =>
        figureCell(
          name,
          `${before(cases, seeds[0])}${network}`,
          seeds.map((s) => s.outcomes[network][name].share ?? 0),
          { range: [0, 1] },
        ),
      ),
    ),
  );
  const notes = cases.flatMap((seeds) => {
    const { study, outcomes, seed } = seeds[0];
    const cut = VARIANTS.map(({ name }) => `${name} ${outcomes[BASELINE][name].what}`);
    const share = percent(authorsShare(study.name));
    const from = study.name === 'signs' ? `no share for signs, so that of the face (${share}) is borrowed` : `a share of ${share}`;
    return [`${study.title}, BadNet of seed ${seed.seed}: ${cut.join('; ')}. The authors' scripts have ${from}.`];
  });
  return { name: 'share that was cut', unit: 'rate', cells, notes };
}

/** What each costs an honest network, and how often it then takes a triggered image for the attacker's class. */
function controlTable(cases: Cases): Table {
  const cells = ROWS.flatMap((row) =>
    cases.flatMap((seeds) => {
      const judged = seeds.map((s) => s.outcomes[CLEAN][row].judgement);
      return present([
        rateCell(
          row,
          `${before(cases, seeds[0])}clean accuracy`,
          judged.map((j) => j.clean.accuracy),
        ),
        rateCell(
          row,
          `${before(cases, seeds[0])}attack success`,
          judged.map((j) => attackRate(seeds[0].study, j)),
        ),
      ]);
    }),
  );
  return { name: 'variants on honest networks', unit: 'rate', cells };
}

/** `face 0.0 % (paper) to 97.2 % (authors)`. */
function rangeOf(seeds: readonly VariantSeed[]): string {
  const { study } = seeds[0];
  const left = VARIANTS.map(({ name }) => ({
    name,
    attack: mean(seeds.map((s) => attackRate(study, s.outcomes[BASELINE][name].judgement).value)),
  })).sort((a, b) => a.attack - b.attack);
  const text = ({ name, attack }: (typeof left)[number]): string => `${percent(attack)} (${name})`;
  return `${study.name} ${text(left[0])} to ${text(left[left.length - 1])}`;
}
