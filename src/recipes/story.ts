/** What the seeds' measurements become: the list of tables with their notes, and the one line that is printed first. */
import type { Table } from '../evaluate/result.ts';
import type { SeedResult } from './experiment.ts';
import { controlNotes, curveNotes, defenceNotes, fractionNotes, movedNotes, neuronNotes, perClassNotes, rateNotes } from './notes.ts';
import { relearnTable } from './relearning.ts';
import { COMMON } from './scale.ts';
import {
  cleanModelControl,
  defences,
  fineTuningRate,
  neurons,
  perClassError,
  poisonFraction,
  pruningCurve,
  suspect,
  type TableOptions,
  trainingAccuracy,
  weightsMoved,
} from './tables.ts';

/** All tables, in the order of the story. */
export function tablesOf(seeds: readonly SeedResult[], options: TableOptions): Table[] {
  const tables: Table[] = [
    { ...perClassError(seeds, options), notes: perClassNotes(seeds, options.paper) },
    { ...poisonFraction(seeds, options), notes: fractionNotes(seeds, options.paper) },
    { ...neurons(seeds), notes: neuronNotes(seeds) },
    { ...pruningCurve(seeds), notes: curveNotes(seeds) },
    { ...defences(seeds), notes: defenceNotes(seeds) },
    { ...cleanModelControl(seeds), notes: controlNotes(seeds) },
    { ...fineTuningRate(seeds), notes: rateNotes(seeds) },
    { ...weightsMoved(seeds), notes: movedNotes() },
    relearnTable(
      seeds.map((s) => s.relearnt),
      COMMON.relearn,
    ),
    trainingAccuracy(seeds),
  ];
  // One share of poison is no curve, nor is one learning rate.
  const single = new Set([seeds[0].fractions.length > 1 ? '' : 'poison fraction', seeds[0].rates.length > 1 ? '' : 'fine-tuning rate']);
  return tables.filter((t) => !single.has(t.name));
}

/** `clean 99.2 %, attack success 99.3 %; after fine-pruning clean 98.9 %, attack success 15.6 %  (pattern BadNet, 3 seeds)`. */
export function headline(seeds: readonly SeedResult[]): string {
  const of = (defence: 'none' | 'fine-prune'): string => {
    const judged = seeds.map((s) => suspect(s, 'baseline').judgements[defence]);
    const mean = (values: number[]): string => `${((100 * values.reduce((a, v) => a + v, 0)) / values.length).toFixed(1)} %`;
    return `clean ${mean(judged.map((j) => j.clean.accuracy.value))}, attack success ${mean(judged.map((j) => j.attack?.success.value ?? 0))}`;
  };
  const count = seeds.length === 1 ? `seed ${seeds[0].seed}` : `${seeds.length} seeds`;
  return `${of('none')}; after fine-pruning ${of('fine-prune')}  (pattern BadNet, ${count})`;
}
