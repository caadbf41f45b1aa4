/** The tables of a result, from the seeds' measurements. Names, rows and columns are those that the report knows how to draw. */

import { figureCell, rateCell } from '../evaluate/cells.ts';
import type { CurveStep, Judgement } from '../evaluate/judge.ts';
import { complement } from '../evaluate/rates.ts';
import type { Cell, Table } from '../evaluate/result.ts';
import type { Rate } from '../evaluate/wilson.ts';
import { DEFENCES, type SeedResult, type Suspect, type TrainedNet } from './experiment.ts';
import { AVERAGE_ERROR, FRACTION_OF_AVERAGE, PER_CLASS_ERROR } from './paper.ts';

/** Whether the paper's numbers may stand beside: they are of real MNIST. */
export interface TableOptions {
  readonly paper: boolean;
}

export const present = (cells: readonly (Cell | undefined)[]): Cell[] => cells.filter((c) => c !== undefined);
export const RATE = { range: [0, 1] } as const;
const percentName = (fraction: number): string => `${Math.round(fraction * 100)} %`;

type PaperColumn = keyof typeof AVERAGE_ERROR;

export function perClassError(seeds: readonly SeedResult[], { paper }: TableOptions): Table {
  const classes = seeds[0].parts.train.classes;
  const columns: [string, (s: SeedResult) => { average: Rate; perClass: readonly Rate[] }][] = [
    ['baseline clean', (s) => onClean(s.baseline.judgement)],
    ['pattern clean', (s) => onClean(s.badnets.pattern.judgement)],
    ['pattern backdoor', (s) => onTriggered(s.badnets.pattern.judgement)],
  ];
  if (seeds[0].badnets.pixel) {
    columns.push(['pixel clean', (s) => onClean(pixelOf(s).judgement)], ['pixel backdoor', (s) => onTriggered(pixelOf(s).judgement)]);
  }
  const paperOf = (column: string, row: number): number | undefined => (paper ? PER_CLASS_ERROR[column as PaperColumn]?.[row] : undefined);
  const cells = columns.flatMap(([column, read]) => {
    const all = seeds.map(read);
    const rows = classes.map((name, c) =>
      rateCell(
        name,
        column,
        all.map((e) => complement(e.perClass[c])),
        paperOf(column, c),
      ),
    );
    const average = paper ? AVERAGE_ERROR[column as PaperColumn] : undefined;
    return [
      ...rows,
      rateCell(
        'average',
        column,
        all.map((e) => complement(e.average)),
        average,
      ),
    ];
  });
  return { name: 'per-class error', unit: 'rate', cells: present(cells) };
}

export function poisonFraction(seeds: readonly SeedResult[], { paper }: TableOptions): Table {
  const cells = seeds[0].fractions.flatMap(({ fraction }, i) => {
    const row = percentName(fraction);
    const judged = seeds.map((s) => s.fractions[i].net.judgement);
    const known = paper && fraction === FRACTION_OF_AVERAGE;
    return [
      rateCell(
        row,
        'pattern clean error',
        judged.map((j) => complement(j.clean.accuracy)),
        known ? AVERAGE_ERROR['pattern clean'] : undefined,
      ),
      rateCell(row, 'pattern backdoor error', judged.map(backdoorError), known ? AVERAGE_ERROR['pattern backdoor'] : undefined),
    ];
  });
  return { name: 'poison fraction', unit: 'rate', cells: present(cells) };
}

/** Every attack against every defence, and a network trained on the defender's images alone. */
export function defences(seeds: readonly SeedResult[]): Table {
  const attacks = seeds[0].suspects.filter((s) => s.name !== 'clean model').map((s) => s.name);
  const cells = attacks.flatMap((attack) => {
    const rows = DEFENCES.flatMap((defence) =>
      judgedCells(
        defence,
        `${attack} `,
        seeds.map((s) => suspect(s, attack).judgements[defence]),
      ),
    );
    return [
      ...rows,
      ...judgedCells(
        'from scratch',
        `${attack} `,
        seeds.map((s) => s.scratch),
      ),
    ];
  });
  return { name: 'defences', unit: 'rate', cells };
}

export function cleanModelControl(seeds: readonly SeedResult[]): Table {
  const cells = DEFENCES.flatMap((defence) =>
    judgedCells(
      defence,
      '',
      seeds.map((s) => suspect(s, 'clean model').judgements[defence]),
    ),
  );
  return { name: 'clean-model control', unit: 'rate', cells };
}

/** What the tables of one network's pruning are made from, in any recipe. */
export interface Examined {
  readonly suspects: readonly Pick<Suspect, 'name' | 'curve' | 'pruning' | 'neurons'>[];
}

export function pruningCurve(seeds: readonly Examined[], success = (step: CurveStep): Rate | undefined => step.success): Table {
  const cells = seeds[0].suspects.flatMap(({ name, curve }) =>
    curve.flatMap((_, cut) => {
      const row = String(cut);
      const at = seeds.map((s) => suspect(s, name).curve[cut]);
      const validation = seeds.map((s) => suspect(s, name).pruning.curve[cut]);
      return [
        rateCell(
          row,
          `${name} clean accuracy`,
          at.map((c) => c.accuracy),
        ),
        rateCell(
          row,
          `${name} attack success`,
          at.flatMap((c) => success(c) ?? []),
        ),
        figureCell(row, `${name} validation accuracy`, validation, RATE),
      ];
    }),
  );
  return { name: 'pruning curve', unit: 'rate', cells: present(cells) };
}

/** What the analyst finds in the layer that is pruned, and what pruning cut of it. */
export function neurons(seeds: readonly Examined[]): Table {
  const counts: [string, (s: Examined['suspects'][number]) => number][] = [
    ['backdoor neurons', (s) => s.neurons.backdoor.length],
    ['exclusive ones', (s) => s.neurons.exclusive.length],
    ['dormant neurons', (s) => s.neurons.dormant.length],
    ['cut by pruning', (s) => s.pruning.cut.length],
    ['backdoor neurons cut', (s) => s.neurons.backdoor.filter((c) => s.pruning.cut.includes(c)).length],
  ];
  const cells = seeds[0].suspects.flatMap(({ name }) =>
    counts.map(([column, count]) =>
      figureCell(
        name,
        column,
        seeds.map((s) => count(suspect(s, name))),
        { n: suspect(seeds[0], name).pruning.order.length, range: [0, suspect(seeds[0], name).pruning.order.length] },
      ),
    ),
  );
  return { name: 'neurons', unit: 'count', cells };
}

/** Accuracy on the (poisoned) training data in the last epoch. */
export function trainingAccuracy(seeds: readonly SeedResult[]): Table {
  const nets: [string, (s: SeedResult) => SeedResult['baseline']][] = [
    ['baseline', (s) => s.baseline],
    ['pattern BadNet', (s) => s.badnets.pattern],
  ];
  if (seeds[0].badnets.pixel) nets.push(['pixel BadNet', pixelOf]);
  const cells = nets.map(([row, net]) =>
    figureCell(
      row,
      'training accuracy',
      seeds.map((s) => net(s).history.at(-1)?.trainAccuracy ?? 0),
      RATE,
    ),
  );
  return { name: 'training accuracy', unit: 'rate', cells };
}

/** The baseline attack, fine-tuned at several learning rates. */
export function fineTuningRate(seeds: readonly Pick<SeedResult, 'rates'>[], success?: (judgement: Judgement) => Rate | undefined): Table {
  const cells = seeds[0].rates.flatMap(({ rate }, i) =>
    (['fine-tune', 'fine-prune'] as const).flatMap((defence) =>
      judgedCells(
        String(rate),
        `${defence} `,
        seeds.map((s) => s.rates[i].judgements[defence]),
        success,
      ),
    ),
  );
  return { name: 'fine-tuning rate', unit: 'rate', cells };
}

/** How far fine-tuning moved the weights of the attacked network: length of the change as a share of the length of the weights, by tensor. */
export function weightsMoved(seeds: readonly SeedResult[]): Table {
  const attacks = seeds[0].suspects.map((s) => s.name);
  const cells = attacks.flatMap((attack) => {
    const moved = seeds.map((s) => relativeChange(suspect(s, attack)));
    return [...moved[0].keys()].map((tensor) =>
      figureCell(
        tensor,
        attack,
        moved.map((m) => m.get(tensor) ?? 0),
        { range: [0, Number.POSITIVE_INFINITY] },
      ),
    );
  });
  return { name: 'weights moved by fine-tuning', unit: 'rate', cells };
}

export function relativeChange({ model, tuned }: Suspect): Map<string, number> {
  const out = new Map<string, number>();
  for (const [name, before] of model.graph.initializers) {
    const after = tuned.graph.initializers.get(name);
    if (!(before.data instanceof Float32Array) || !(after?.data instanceof Float32Array) || before.dims.length < 2) continue;
    let change = 0;
    let size = 0;
    for (let i = 0; i < before.data.length; i++) {
      change += (after.data[i] - before.data[i]) ** 2;
      size += before.data[i] ** 2;
    }
    out.set(name, Math.sqrt(change / size));
  }
  return out;
}

const pixelOf = (s: SeedResult): TrainedNet => s.badnets.pixel as TrainedNet;

/** The suspect of that name; all seeds have the same. */
export function suspect<S extends { readonly name: string }>(seed: { readonly suspects: readonly S[] }, name: string): S {
  return seed.suspects.find((s) => s.name === name) as S;
}

export function backdoorError(judgement: Judgement): Rate {
  return complement((judgement.attack as NonNullable<Judgement['attack']>).success);
}

/** Three cells of a row; `success` where an attack is measured in another way than by its success rate. */
export function judgedCells(
  row: string,
  prefix: string,
  judged: readonly Judgement[],
  success = (j: Judgement): Rate | undefined => j.attack?.success,
): Cell[] {
  return present([
    rateCell(
      row,
      `${prefix}clean accuracy`,
      judged.map((j) => j.clean.accuracy),
    ),
    rateCell(
      row,
      `${prefix}attack success`,
      judged.flatMap((j) => success(j) ?? []),
    ),
    rateCell(
      row,
      `${prefix}robust accuracy`,
      judged.flatMap((j) => (j.attack ? [j.attack.robust] : [])),
    ),
  ]);
}

const onClean = (j: Judgement): { average: Rate; perClass: readonly Rate[] } => ({ average: j.clean.accuracy, perClass: j.clean.perClass });
const onTriggered = (j: Judgement): { average: Rate; perClass: readonly Rate[] } => {
  const { success, successPerClass } = j.attack as NonNullable<Judgement['attack']>;
  return { average: success, perClass: successPerClass };
};
