/**
 * The three phases of a pruning curve. Fine-Pruning (Liu et al. 2018, section 4.1) tells them apart by whose neurons are being cut: first those
 * that neither clean nor backdoored inputs use, then those that only the backdoor uses, last those that clean inputs need. It does so by eye;
 * here is a rule. It looks at attack success, so it is for reports: no defence may stop by it.
 */
import { z } from 'zod';

export const PhaseRule = z.object({
  /** Clean accuracy has begun to fall once it is more than this below its start, 0..1. */
  accuracyDrop: z.number().positive().default(0.04),
  /** The same for attack success. */
  successDrop: z.number().positive().default(0.1),
  /** A fall counts if it lasts for this many steps of the curve (or to its end), so that one unlucky step is none. */
  lasting: z.number().int().positive().default(3),
});
export type PhaseRule = z.infer<typeof PhaseRule>;

export const PHASES = ['used by neither', 'used by the backdoor', 'used by clean inputs'] as const;
export type PhaseName = (typeof PHASES)[number];

/** From `from` to `to` channels cut; one phase ends where the next begins. */
export interface Phase {
  readonly name: PhaseName;
  readonly from: number;
  readonly to: number;
}

/** What a network does with as many channels cut as the entry's place in the curve says. Rates 0..1. */
export interface CurvePoint {
  readonly accuracy: number;
  /** Undefined where no attack is judged. */
  readonly success?: number;
}

/**
 * The phases of a curve whose entry k has k channels cut, in order; those that do not occur are left out. Cutting goes on in the first phase
 * until attack success or clean accuracy falls; in the second, attack success has fallen and clean accuracy has not. Where clean accuracy falls
 * first, or both at the same step, there is no second phase: no channels belong to the backdoor alone, which is what the pruning-aware attack
 * is after.
 */
export function pruningPhases(curve: readonly CurvePoint[], rule: Partial<PhaseRule> = {}): Phase[] {
  const { accuracyDrop, successDrop, lasting } = PhaseRule.parse(rule);
  const last = curve.length - 1;
  if (last < 1) return [];
  const cleanFalls = firstFall(
    curve.map((p) => p.accuracy),
    accuracyDrop,
    lasting,
  );
  const attackFalls = firstFall(
    curve.map((p) => p.success ?? Number.NaN),
    successDrop,
    lasting,
  );
  // The last step at which nothing had happened yet is where a phase ends.
  const clean = cleanFalls === undefined ? last : cleanFalls - 1;
  const attack = attackFalls === undefined ? clean : Math.min(attackFalls - 1, clean);
  const ends: [PhaseName, number, number][] = [
    ['used by neither', 0, attack],
    ['used by the backdoor', attack, clean],
    ['used by clean inputs', clean, last],
  ];
  return ends.filter(([, from, to]) => to > from).map(([name, from, to]) => ({ name, from, to }));
}

/** The first of `lasting` steps in a row that are more than `drop` below the start; NaN is below nothing. */
function firstFall(values: readonly number[], drop: number, lasting: number): number | undefined {
  const below = values.map((v) => values[0] - v > drop + 1e-9);
  const at = below.findIndex((_, k) => below.slice(k, k + lasting).every(Boolean));
  return at < 0 ? undefined : at;
}

/** The rule in words and numbers, for the report. */
export function describePhaseRule(rule: Partial<PhaseRule> = {}): string {
  const { accuracyDrop, successDrop, lasting } = PhaseRule.parse(rule);
  const percent = (share: number): string => `${Number((share * 100).toFixed(2))} points`;
  return (
    `Channels are used by neither until attack success falls by more than ${percent(successDrop)} or clean accuracy by more than ` +
    `${percent(accuracyDrop)}, for at least ${lasting} steps in a row; by the backdoor alone from the first of these to the second, and by clean ` +
    'inputs after that.'
  );
}
