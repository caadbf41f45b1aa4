/** The tables of one case study, from the seeds' measurements; `table-1.ts` sets several beside each other. */
import { figureCell, rateCell } from '../../evaluate/cells.ts';
import type { Judgement } from '../../evaluate/judge.ts';
import type { Cell, Table } from '../../evaluate/result.ts';
import { DEFENCES } from '../bench.ts';
import { relearnTable } from '../relearning.ts';
import { fineTuningRate, judgedCells, neurons, present, pruningCurve, RATE, suspect } from '../tables.ts';
import { attackRate, stepRate } from './case.ts';
import { deadNotes, defenceNotes, heldOutNotes, movedNotes, neuronNotes } from './notes.ts';
import { AWARE, BASELINE, type CaseSeed, CLEAN } from './run.ts';
import { tableOne } from './table-1.ts';

type Seeds = readonly CaseSeed[];

/** All tables of one case, in the order of the page. */
export function caseTables(seeds: Seeds, paper: boolean): Table[] {
  const defended = seeds[0].suspects.some((s) => s.defended !== undefined);
  return [
    ...(defended ? [tableOne([seeds], paper), defences(seeds), cleanControl(seeds)] : []),
    heldOut(seeds, paper),
    pruningCurve(seeds, (step) => stepRate(seeds[0].study, step)),
    { ...neurons(seeds), notes: neuronNotes(seeds) },
    ...(defended ? [moved(seeds)] : []),
    ...rateTables(seeds),
    ...(seeds[0].controls
      ? [
          relearnTable(
            seeds.flatMap((s) => (s.controls ? [s.controls.relearnt] : [])),
            seeds[0].scale.relearn,
          ),
        ]
      : []),
    deadChannels(seeds),
    byClass(seeds),
  ];
}

/** Every attack against every defence, and a network trained on the defender's images alone. */
function defences(seeds: Seeds): Table {
  const { study } = seeds[0];
  const cells = [BASELINE, AWARE].flatMap((attack) => [
    ...DEFENCES.flatMap((defence) =>
      judgedCells(
        defence,
        `${attack} `,
        seeds.flatMap((s) => suspect(s, attack).defended?.judgements[defence] ?? []),
        (j) => attackRate(study, j),
      ),
    ),
    ...scratchCells(seeds, `${attack} `),
  ]);
  return { name: 'defences', unit: 'rate', cells, notes: defenceNotes(seeds) };
}

function scratchCells(seeds: Seeds, prefix: string): Cell[] {
  const judged = seeds.flatMap((s) => s.controls?.scratch ?? []);
  return judged.length === 0 ? [] : judgedCells('from scratch', prefix, judged, (j) => attackRate(seeds[0].study, j));
}

function cleanControl(seeds: Seeds): Table {
  const cells = DEFENCES.flatMap((defence) =>
    judgedCells(
      defence,
      '',
      seeds.flatMap((s) => suspect(s, CLEAN).defended?.judgements[defence] ?? []),
      (j) => attackRate(seeds[0].study, j),
    ),
  );
  const those = seeds.filter((s) => suspect(s, CLEAN).defended !== undefined).length;
  const notes = those < seeds.length ? [`Of the first ${those} seeds.`] : [];
  return { name: 'clean-model control', unit: 'rate', cells, notes };
}

/** What the networks reach on images that are really new. */
function heldOut(seeds: Seeds, paper: boolean): Table {
  const given = paper ? seeds[0].study.paper.baseline.none.clean : undefined;
  const rows: [string, (s: CaseSeed) => Judgement | undefined, number?][] = [
    ['honest network', (s) => s.clean.judgement],
    ['BadNet', (s) => s.badnet.judgement, given],
    ["from scratch on the defender's images", (s) => s.controls?.scratch],
    [`another network: ${seeds[0].better?.network}`, (s) => s.better?.judgement],
  ];
  const cells = rows.map(([row, read, value]) =>
    rateCell(
      row,
      'clean accuracy',
      seeds.flatMap((s) => read(s)?.clean.accuracy ?? []),
      value,
    ),
  );
  const familiar = rateCell(
    `honest network, on ${seeds[0].study.familiar}`,
    'clean accuracy',
    seeds.map((s) => s.tune),
  );
  const training = figureCell(
    'honest network',
    'training accuracy',
    seeds.map((s) => s.clean.history.at(-1)?.trainAccuracy ?? 0),
    RATE,
  );
  return {
    name: 'accuracy on held-out data',
    unit: 'rate',
    cells: [...present([...cells, familiar]), training],
    notes: heldOutNotes(seeds, paper),
  };
}

/** Relative change of the weights of backdoor neurons beside the others of the layer. */
function moved(seeds: Seeds): Table {
  const cells = [BASELINE, AWARE].flatMap((attack) =>
    (['tuned', 'finepruned'] as const).flatMap((how) =>
      (['chosen', 'others'] as const).flatMap((group) =>
        (['into', 'out'] as const).flatMap((side) => {
          const values = seeds.flatMap((s) => suspect(s, attack).moved?.[how][group][side] ?? []);
          const row = `${attack}, ${how === 'tuned' ? 'fine-tuned' : 'fine-pruned'}`;
          const column = `${group === 'chosen' ? 'backdoor neurons' : 'other neurons'}: weights ${side === 'into' ? 'in' : 'out'}`;
          return values.length === 0 ? [] : [figureCell(row, column, values, { range: [0, Number.POSITIVE_INFINITY] })];
        }),
      ),
    ),
  );
  return { name: 'weights moved by fine-tuning', unit: 'rate', cells, notes: movedNotes(seeds) };
}

/** How much the cure depends on the rate of fine-tuning. */
function rateTables(seeds: Seeds): Table[] {
  const those = seeds.flatMap(({ rates }) => (rates === undefined ? [] : [{ rates }]));
  if (those.length === 0) return [];
  const notes = [
    'The BadNet, fine-tuned and fine-pruned at several learning rates; the paper gives none, and a defender cannot see attack success.',
  ];
  return [{ ...fineTuningRate(those, (j) => attackRate(seeds[0].study, j)), notes }];
}

/** What the dead-channel check says of each network, on the defender's images. */
function deadChannels(seeds: Seeds): Table {
  const cells = seeds[0].suspects.flatMap(({ name }) => {
    const checked = seeds.map((s) => suspect(s, name).asleep);
    const channels = checked[0].layers[0]?.channels.length ?? 0;
    const never = checked.map(({ layers }) => layers[0]?.channels.filter((c) => c.state !== 'awake').length ?? 0);
    return [
      figureCell(name, 'never awake on clean images', never, { n: channels, range: [0, channels] }),
      figureCell(
        name,
        'flagged',
        checked.map((c) => c.beyond.length),
        { n: channels, range: [0, channels] },
      ),
    ];
  });
  return { name: 'dead-channel check', unit: 'count', cells, notes: deadNotes(seeds) };
}

function byClass(seeds: Seeds): Table {
  const { classes } = seeds[0].parts.train;
  const rates: [string, (s: CaseSeed) => readonly { value: number; n: number; low: number; high: number }[]][] = [
    ['honest network', (s) => s.clean.judgement.clean.perClass],
    ['BadNet', (s) => s.badnet.judgement.clean.perClass],
    ['BadNet, triggered: true class', (s) => s.badnet.judgement.attack?.robustPerClass ?? []],
    ["BadNet, triggered: attacker's class", (s) => s.badnet.judgement.attack?.successPerClass ?? []],
  ];
  const cells = classes.flatMap((name, c) =>
    rates.map(([column, read]) =>
      rateCell(
        name,
        column,
        seeds.flatMap((s) => read(s)[c] ?? []),
      ),
    ),
  );
  return { name: 'accuracy by class', unit: 'rate', cells: present(cells) };
}
