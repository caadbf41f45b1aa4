/** Fine-Pruning's Table 1: networks x {baseline, pruning-aware} x {none, fine-tuning, fine-pruning}, the lecture's numbers beside. */
import { rateCell } from '../../evaluate/cells.ts';
import type { Judgement } from '../../evaluate/judge.ts';
import type { Table } from '../../evaluate/result.ts';
import { present, suspect } from '../tables.ts';
import { ATTACKS, attackRate, TABLE_DEFENCES } from './case.ts';
import { tableOneNotes } from './notes.ts';
import { AWARE, BASELINE, type CaseSeed } from './run.ts';

/** @param cases the seeds of each network; paper numbers only where the data are real */
export function tableOne(cases: readonly (readonly CaseSeed[])[], paper: boolean): Table {
  const cells = cases.flatMap((seeds) => {
    const { study } = seeds[0];
    return ATTACKS.flatMap((attack) =>
      TABLE_DEFENCES.flatMap((defence) => {
        const judged: Judgement[] = seeds.flatMap(
          (s) => suspect(s, attack === 'baseline' ? BASELINE : AWARE).defended?.judgements[defence] ?? [],
        );
        const given = paper ? study.paper[attack][defence] : undefined;
        const column = `${attack} ${defence}`;
        return present([
          rateCell(
            `${study.name} clean accuracy`,
            column,
            judged.map((j) => j.clean.accuracy),
            given?.clean,
          ),
          rateCell(
            `${study.name} attack success`,
            column,
            judged.map((j) => attackRate(study, j)),
            given?.attack,
          ),
        ]);
      }),
    );
  });
  // rows of one network stay together, clean accuracy first
  const order = cases.flatMap(([{ study }]) => [`${study.name} clean accuracy`, `${study.name} attack success`]);
  return {
    name: 'table 1',
    unit: 'rate',
    cells: [...cells].sort((a, b) => order.indexOf(a.row) - order.indexOf(b.row)),
    notes: tableOneNotes(cases, paper),
  };
}
