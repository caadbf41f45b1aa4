/** Means over seeds that notes, claims and tiles speak of, and how numbers are written in sentences. */
import type { Judgement } from '../../evaluate/judge.ts';
import type { Defence } from '../bench.ts';
import { suspect } from '../tables.ts';
import { attackRate } from './case.ts';
import { AWARE, BASELINE, type CaseSeed } from './run.ts';

export type Seeds = readonly CaseSeed[];

export const mean = (values: readonly number[]): number => values.reduce((a, v) => a + v, 0) / values.length;
export const over = (seeds: Seeds, pick: (s: CaseSeed) => number): number => mean(seeds.map(pick));
/** Mean over the seeds that have it; undefined where none has. */
export function overSome(seeds: Seeds, pick: (s: CaseSeed) => number | undefined): number | undefined {
  const values = seeds.flatMap((s) => pick(s) ?? []);
  return values.length === 0 ? undefined : mean(values);
}

export const percent = (rate: number, digits = 1): string => `${(rate * 100).toFixed(digits)} %`;
export const points = (difference: number, digits = 1): string => `${Math.abs(difference * 100).toFixed(digits)} points`;
export const about = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(1));

/** What the judge said of a suspect after a defence; undefined where the defence was not run. */
export function judged(seed: CaseSeed, name: string, defence: Defence): Judgement | undefined {
  const s = suspect(seed, name);
  if (defence === 'none' || defence === 'prune') return s.judgements[defence];
  return s.defended?.judgements[defence];
}

export const cleanOf = (seeds: Seeds, name: string, defence: Defence): number | undefined =>
  overSome(seeds, (s) => judged(s, name, defence)?.clean.accuracy.value);

export const attackOf = (seeds: Seeds, name: string, defence: Defence): number | undefined =>
  overSome(seeds, (s) => {
    const judgement = judged(s, name, defence);
    return judgement && attackRate(s.study, judgement).value;
  });

/** Both attacks, as the tables call them. */
export const BOTH = [BASELINE, AWARE] as const;
