/** What tables, sentences, claims and charts of the transfer experiments all speak of: harm. */
import type { Judgement } from '../../evaluate/judge.ts';
import type { Rate } from '../../evaluate/wilson.ts';
import { mean, points } from '../cases/figures.ts';
import type { StrengthSeed, TransferSeed } from './run.ts';

export const cleanRate = (j: Judgement): Rate => j.clean.accuracy;
/** Accuracy with the trigger: the share of triggered signs that are still given their true class. */
export const triggeredRate = (j: Judgement): Rate => (j.attack as NonNullable<Judgement['attack']>).robust;

/** Points of accuracy that the trigger costs, -1..1. */
export const harm = (j: Judgement): number => cleanRate(j).value - triggeredRate(j).value;

/** Whether the sentences' one digit shows anything. */
const shows = (value: number): boolean => Math.abs(value) >= 0.0005;

/** `costs 3.2 points`, or that it costs nothing, with the number all the same. */
export const costs = (value: number): string =>
  !shows(value) ? 'costs nothing (0.0 points)' : value > 0 ? `costs ${points(value)}` : `costs nothing (${points(value)} gained)`;

/** The same as a noun: `3.2 points`, `-3.2 points`. */
export const lost = (value: number): string => (value < 0 && shows(value) ? `-${points(value)}` : points(value));

export const over = <S>(seeds: readonly S[], pick: (seed: S) => number): number => mean(seeds.map(pick));

/** The networks that the user retrained, as the tables call them. */
export const NETS = ['clean model', 'BadNet', 'from scratch'] as const;
export type NetName = (typeof NETS)[number];

export function judgementOf(seed: TransferSeed, task: number, net: NetName): Judgement {
  const { clean, badnet, scratch } = seed.outcomes[task];
  return (net === 'clean model' ? clean : net === 'BadNet' ? badnet : scratch).judgement;
}

export const strengthsOf = (seeds: readonly StrengthSeed[]): number[] => seeds[0].chosen.map((c) => c.k);

/** Seeds in which the rule picks something. */
export const tested = (seeds: readonly StrengthSeed[]): StrengthSeed[] => seeds.filter((s) => s.picked.length > 0);

/** Those of them in which as many other channels are left to be drawn. */
export const comparable = (seeds: readonly StrengthSeed[]): StrengthSeed[] =>
  tested(seeds).filter((s) => s.otherChannels.length === s.picked.length);

const orAll = <S>(some: readonly S[], all: readonly S[]): readonly S[] => (some.length > 0 ? some : all);

/** Seeds that sentences and means speak of: where something was strengthened, or all where nothing was in any. */
export const picking = (seeds: readonly StrengthSeed[]): readonly StrengthSeed[] => orAll(tested(seeds), seeds);

/** Judgements of one strength in the seeds in which it was tested; in all of them where it was in none, for there is nothing else to show. */
export const atStrength = (seeds: readonly StrengthSeed[], kind: 'chosen' | 'others' | 'otherUser', k: number): Judgement[] =>
  (kind === 'others' ? orAll(comparable(seeds), picking(seeds)) : picking(seeds)).flatMap(
    (s) => s[kind].find((c) => c.k === k)?.user.judgement ?? [],
  );
