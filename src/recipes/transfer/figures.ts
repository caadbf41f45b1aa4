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

/** `costs 3.2 points`, or that it costs nothing. */
export const costs = (value: number): string =>
  !shows(value) ? 'costs nothing' : value > 0 ? `costs ${points(value)}` : `costs nothing (${points(value)} gained)`;

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

/** Judgements of one strength in every seed. */
export const atStrength = (seeds: readonly StrengthSeed[], kind: 'chosen' | 'others' | 'otherUser', k: number): Judgement[] =>
  seeds.flatMap((s) => s[kind].find((c) => c.k === k)?.user.judgement ?? []);
