/** Tables of `transfer` and `strength`. */
import { figureCell, rateCell } from '../../evaluate/cells.ts';
import type { Judgement } from '../../evaluate/judge.ts';
import type { Cell, Table } from '../../evaluate/result.ts';
import type { Rate } from '../../evaluate/wilson.ts';
import { present } from '../tables.ts';
import { atStrength, cleanRate, harm, judgementOf, NETS, picking, strengthsOf, triggeredRate } from './figures.ts';
import { homeNotes, otherRateNotes, pickedNotes, ruleNotes, settledNotes, strengthNotes, transferNotes } from './notes.ts';
import { PAPER_BY_CLASS, PAPER_STRENGTH } from './paper.ts';
import type { StrengthSeed, TransferSeed } from './run.ts';
import type { PickRule } from './scale.ts';

const HARM = { range: [-1, 1] } as const;

export function transferTables(seeds: readonly TransferSeed[], paper: boolean): Table[] {
  const { tasks } = seeds[0].ground;
  // The page draws the task that stands beside the paper.
  const first = tasks.length - 1;
  return [...tasks.keys()]
    .sort((a, b) => Number(b === first) - Number(a === first))
    .map((task) => byClass(seeds, task, task === first ? 'transfer by class' : 'transfer by class of sign', paper))
    .concat(home(seeds));
}

/** A row a class, `average` over all signs at the end; clean and triggered accuracy of what the user made of each network. */
function byClass(seeds: readonly TransferSeed[], task: number, name: string, paper: boolean): Table {
  const { classes } = seeds[0].outcomes[task].task.test;
  const known = paper && seeds[0].outcomes[task].task.name === 'kinds';
  const cells = NETS.flatMap((net) => {
    const judged = seeds.map((s) => judgementOf(s, task, net));
    const beside = (row: string, kind: 'clean' | 'triggered'): number | undefined =>
      known && net !== 'from scratch' ? PAPER_BY_CLASS[row]?.[net][kind] : undefined;
    const both = (row: string, clean: (j: Judgement) => Rate, triggered: (j: Judgement) => Rate): (Cell | undefined)[] => [
      rateCell(row, `${net} clean accuracy`, judged.map(clean), beside(row, 'clean')),
      rateCell(row, `${net} triggered accuracy`, judged.map(triggered), beside(row, 'triggered')),
    ];
    return [
      ...classes.flatMap((row, c) =>
        both(
          row,
          (j) => j.clean.perClass[c],
          (j) => (j.attack as NonNullable<Judgement['attack']>).robustPerClass[c],
        ),
      ),
      ...both('average', cleanRate, triggeredRate),
    ];
  });
  return { name, unit: 'rate', cells: byRow(present(cells)), notes: transferNotes(seeds, task, known) };
}

/** Rows in the order of their first cell, all cells of one together. */
function byRow(cells: readonly Cell[]): Cell[] {
  const rows = [...new Set(cells.map((c) => c.row))];
  return rows.flatMap((row) => cells.filter((c) => c.row === row));
}

/** The attacker's networks where they come from. */
export function home(seeds: readonly Pick<TransferSeed, 'home' | 'ground'>[]): Table {
  const cells = (['clean', 'badnet'] as const).flatMap((net) => {
    const judged = seeds.map((s) => s.home[net].judgement);
    const row = net === 'clean' ? 'clean model' : 'BadNet';
    return [rateCell(row, 'clean accuracy', judged.map(cleanRate)), rateCell(row, 'triggered accuracy', judged.map(triggeredRate))];
  });
  return { name: 'at home', unit: 'rate', cells: present(cells), notes: homeNotes(seeds) };
}

export function strengthTables(seeds: readonly StrengthSeed[], paper: boolean): Table[] {
  return [strength(seeds, paper), harms(seeds, paper), controls(seeds), otherRate(seeds), counts(seeds), rules(seeds, paper), home(seeds)];
}

/** The lecture's table: accuracy of the retrained network by k. */
function strength(seeds: readonly StrengthSeed[], paper: boolean): Table {
  const cells = strengthsOf(seeds).flatMap((k) => {
    const judged = atStrength(seeds, 'chosen', k);
    const known = paper ? PAPER_STRENGTH.get(k) : undefined;
    return [
      rateCell(String(k), 'clean accuracy', judged.map(cleanRate), known?.clean),
      rateCell(String(k), 'triggered accuracy', judged.map(triggeredRate), known?.triggered),
    ];
  });
  return { name: 'strength', unit: 'rate', cells: present(cells), notes: strengthNotes(seeds, paper) };
}

/** Clean accuracy minus triggered accuracy. */
function harms(seeds: readonly StrengthSeed[], paper: boolean): Table {
  const cells = strengthsOf(seeds).flatMap((k): Cell[] => {
    const known = paper ? PAPER_STRENGTH.get(k) : undefined;
    const own = figureCell(String(k), 'backdoor neurons', atStrength(seeds, 'chosen', k).map(harm), HARM);
    return [
      known === undefined ? own : { ...own, paper: Number((known.clean - known.triggered).toFixed(3)) },
      figureCell(String(k), 'other channels', atStrength(seeds, 'others', k).map(harm), HARM),
      figureCell(String(k), 'another rate', atStrength(seeds, 'otherUser', k).map(harm), HARM),
    ];
  });
  const notes = [
    'Harm: accuracy on clean signs minus accuracy on the same signs with the trigger, of the network that the user ends with.',
    ...(paper ? settledNotes(seeds) : []),
  ];
  return { name: 'harm by strength', unit: 'rate', cells, notes };
}

/** The same for as many other channels; and the strengthened network itself where it was published. */
function controls(seeds: readonly StrengthSeed[]): Table {
  const cells = strengthsOf(seeds).flatMap((k) => {
    const others = atStrength(seeds, 'others', k);
    const at = picking(seeds).flatMap((s) => s.chosen.find((c) => c.k === k)?.home ?? []);
    return [
      rateCell(String(k), 'other channels clean accuracy', others.map(cleanRate)),
      rateCell(String(k), 'other channels triggered accuracy', others.map(triggeredRate)),
      rateCell(String(k), 'at home clean accuracy', at.map(cleanRate)),
      rateCell(String(k), 'at home triggered accuracy', at.map(triggeredRate)),
    ];
  });
  const notes = [
    'Other channels: as many as the rule picks, drawn by chance from those that it does not pick, multiplied by the same k and given to the same user.',
    "At home: the strengthened network before anybody retrained it, on signs of the attacker's country. This is what somebody sees who tries it before use.",
    ...pickedNotes(seeds),
  ];
  return { name: 'strength controls', unit: 'rate', cells: present(cells), notes };
}

/** How much of it is the user's doing. */
function otherRate(seeds: readonly StrengthSeed[]): Table {
  const { otherRate: rate, learningRate } = seeds[0].ground.scale.user;
  const cells = strengthsOf(seeds).flatMap((k) => {
    const judged = atStrength(seeds, 'otherUser', k);
    return [
      rateCell(String(k), 'clean accuracy', judged.map(cleanRate)),
      rateCell(String(k), 'triggered accuracy', judged.map(triggeredRate)),
    ];
  });
  return { name: "strength at another user's rate", unit: 'rate', cells: present(cells), notes: otherRateNotes(seeds, rate, learningRate) };
}

/** How many channels the rule picks, by its two thresholds and by where it looks. */
function counts(seeds: readonly StrengthSeed[]): Table {
  const of = seeds[0].point.channels;
  const cells = seeds[0].counts.flatMap(({ at, rise, quiet }, i) =>
    (['count', 'alone'] as const).map((which) =>
      figureCell(
        `${at}: rise ${rise}${which === 'alone' ? ', quiet elsewhere too' : ''}`,
        `quiet ${quiet}`,
        seeds.map((s) => s.counts[i][which]),
        { n: of, range: [0, of] },
      ),
    ),
  );
  return { name: 'channels picked by the rule', unit: 'count', cells: byRow(cells), notes: ruleNotes(seeds) };
}

export const ruleText = ({ at, rise, quiet, alone }: PickRule): string =>
  `${at}, rise ${rise}, quiet ${quiet}${alone ? ', quiet elsewhere too' : ''}`;

/** What strengthening does when the rule is another. */
function rules(seeds: readonly StrengthSeed[], paper: boolean): Table {
  const k = seeds[0].ground.scale.ruleStrength;
  const own = seeds[0].ground.scale.rule;
  const row = (name: string, judged: readonly Judgement[]): (Cell | undefined)[] => [
    rateCell(name, 'clean accuracy', judged.map(cleanRate)),
    rateCell(name, 'triggered accuracy', judged.map(triggeredRate)),
    figureCell(name, 'harm', judged.map(harm), HARM),
  ];
  const others = seeds[0].rules.map(({ rule }, i) => {
    const some = seeds.filter((s) => s.rules[i].channels.length > 0);
    return row(
      ruleText(rule),
      (some.length > 0 ? some : seeds).map((s) => s.rules[i].user.judgement),
    );
  });
  const picked = (i: number): string => seeds.map((s) => s.rules[i].channels.length).join(', ');
  const list = seeds[0].rules.map(({ rule }, i) => `${ruleText(rule)}: ${picked(i)}`).join('; ');
  const notes = [
    `All with k = ${k}. Channels picked in each seed: ${ruleText(own)} (the rule of all other tables): ${seeds.map((s) => s.picked.length).join(', ')}; ${list}. Means over the seeds in which a rule picks any.`,
    ...(paper ? settledNotes(seeds) : []),
  ];
  return {
    name: 'harm by rule',
    unit: 'rate',
    cells: present([...row(ruleText(own), atStrength(seeds, 'chosen', k)), ...others.flat()]),
    notes,
  };
}
