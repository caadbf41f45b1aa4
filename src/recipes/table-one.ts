/** `reproduce table1` and `reproduce pruning`: the three case studies of Fine-Pruning beside each other. */
import { rateCell } from '../evaluate/cells.ts';
import type { Cell, Table } from '../evaluate/result.ts';
import type { Rate } from '../evaluate/wilson.ts';
import type { ReportMedia, Verdict } from '../report/media.ts';
import { besidePaper, CASES, inputsOf, runCases, StudyOptions, seedsOf } from './case-recipe.ts';
import { attackRate } from './cases/case.ts';
import type { Seeds } from './cases/figures.ts';
import { about, attackOf, BOTH, mean, over, percent } from './cases/figures.ts';
import { CHECK, dataFacts, marginCharts, pruningCharts, relearnCharts, samples, substitutesOf } from './cases/media.ts';
import { BASELINE } from './cases/run.ts';
import { tableOne } from './cases/table-1.ts';
import { caseTables } from './cases/tables.ts';
import { claimsOf } from './claims.ts';
import type { RecipeOutcome, StudyDeps } from './recipe.ts';
import { suspect } from './tables.ts';

/** Networks x attacks x defences, with the claims of the lecture. */
export async function runTableOne(options: Partial<StudyOptions>, deps: StudyDeps): Promise<RecipeOutcome> {
  const parsed = StudyOptions.parse(options);
  const { cases, steps } = await runCases(deps, CASES, parsed, { defences: true, controls: true, extras: false });
  const paper = besidePaper(deps, namesOf(cases), parsed.quick);
  const left = (seeds: Seeds): string => `${seeds[0].study.name} ${percent(attackOf(seeds, BASELINE, 'fine-prune') ?? 0)}`;
  return {
    result: {
      recipe: 'table1',
      tables: [tableOne(cases, paper), ...together(cases, paper)],
      provenance: { ...deps.provenance, seeds: seedsOf(parsed), inputs: { ...inputsOf(deps), ...steps.hashes }, steps: steps.done },
    },
    media: {
      ...mediaOfAll(cases, 'Three networks, two attacks, three defences'),
      ...(paper ? { claims: claimsOf(cases) } : { headline: CHECK }),
      charts: cases.flatMap((seeds) => [...pruningCharts(seeds), ...relearnCharts(seeds), ...marginCharts(seeds)]),
    },
    line: `attack success after fine-pruning the BadNets: ${cases.map(left).join(', ')}  (${parsed.seeds} seed${parsed.seeds === 1 ? '' : 's'})`,
    models: {},
  };
}

/** Pruning alone: the curves of the three networks, both attacks, with their phases. */
export async function runPruning(options: Partial<StudyOptions>, deps: StudyDeps): Promise<RecipeOutcome> {
  const parsed = StudyOptions.parse(options);
  const { cases, steps } = await runCases(deps, CASES, parsed, { defences: false, controls: false, extras: false });
  const real = besidePaper(deps, namesOf(cases), parsed.quick);
  return {
    result: {
      recipe: 'pruning',
      tables: together(cases, false),
      provenance: { ...deps.provenance, seeds: seedsOf(parsed), inputs: { ...inputsOf(deps), ...steps.hashes }, steps: steps.done },
    },
    media: {
      ...mediaOfAll(cases, 'Pruning three networks'),
      ...(real ? { claims: claimsOf(cases), headline: pruningLine(cases) } : { headline: CHECK }),
      verdicts: cases.flatMap(pruningTiles),
      charts: cases.flatMap(pruningCharts),
    },
    line: pruningLine(cases),
    models: {},
  };
}

/** Where the defender stops on the BadNets, and what is left of the attack: means over the seeds. */
function pruningLine(cases: readonly Seeds[]): string {
  const stops = (seeds: Seeds): string => {
    const cut = over(seeds, (s) => suspect(s, BASELINE).pruning.cut.length);
    const of = suspect(seeds[0], BASELINE).pruning.order.length;
    return `${seeds[0].study.name} ${about(cut)} of ${of} cut, attack ${percent(attackOf(seeds, BASELINE, 'prune') ?? 0)}`;
  };
  return `where pruning stops on the BadNets: ${cases.map(stops).join('; ')}`;
}

/** What pruning leaves of each attack. */
function pruningTiles(seeds: Seeds): Verdict[] {
  return BOTH.map((name) => {
    const { study } = seeds[0];
    const rates = (defence: 'none' | 'prune'): Rate[] => seeds.map((s) => attackRate(study, suspect(s, name).judgements[defence]));
    const cell = rateCell('', '', rates('prune')) as Cell;
    const before = mean(rates('none').map((r) => r.value));
    const { row: _, column: __, ...figures } = cell;
    const [tone, says] =
      before < 0.5
        ? (['neutral', `was ${percent(before)}: the attack had failed`] as const)
        : cell.value <= 0.1
          ? (['good', `gone (was ${percent(before)})`] as const)
          : cell.value >= 0.5
            ? (['bad', `still there (was ${percent(before)})`] as const)
            : (['neutral', `weakened (was ${percent(before)})`] as const);
    return { label: `${study.title}, ${name} attack: success after pruning`, ...figures, unit: 'rate', tone, says };
  });
}

const namesOf = (cases: readonly Seeds[]): string[] => cases.map(([{ study }]) => study.name);

/** Tables of the single cases, the network in front of rows, so that one table holds all networks. */
function together(cases: readonly Seeds[], paper: boolean): Table[] {
  const tables = cases.map((seeds) => caseTables(seeds, paper));
  const wanted = ['accuracy on held-out data', 'neurons', 'weights moved by fine-tuning', 'dead-channel check', 'clean-model control'];
  const joined = wanted.flatMap((name): Table[] => {
    const found = tables.flatMap((list, i) => list.filter((t) => t.name === name).map((table) => ({ table, of: cases[i][0].study.name })));
    if (found.length === 0) return [];
    const cells = found.flatMap(({ table, of }) => table.cells.map((cell) => ({ ...cell, row: `${of}: ${cell.row}` })));
    const notes = found.flatMap(({ table, of }) => (table.notes ?? []).map((note) => `${of}: ${note}`));
    // the page draws a control with these rows as a chart of one network
    const plain = name === 'clean-model control' ? 'honest networks defended' : name;
    return [{ name: plain, unit: found[0].table.unit, cells, notes }];
  });
  return [...joined, ...cases.map((seeds, i) => curveOf(tables[i], seeds[0].study.name))];
}

/** The pruning curve of one network under its own name: the charts above it show all. */
function curveOf(tables: readonly Table[], name: string): Table {
  const curve = tables.find((t) => t.name === 'pruning curve') as Table;
  return { ...curve, name: `pruning curve: ${name}` };
}

function mediaOfAll(cases: readonly Seeds[], title: string): ReportMedia {
  return {
    title,
    substitutes: cases.flatMap(substitutesOf),
    data: cases.flatMap(([seed]) => dataFacts(seed)),
    triggers: cases.map(([seed]) => samples(seed)),
  };
}
