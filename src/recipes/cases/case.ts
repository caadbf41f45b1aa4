/** A case study: one network, its data, one attack and the scale of its training; the engine in `run.ts` is the same for all. */
import type { Dataset } from '../../data/dataset.ts';
import type { CurveStep, Judgement } from '../../evaluate/judge.ts';
import { dropRate } from '../../evaluate/rates.ts';
import type { Rate } from '../../evaluate/wilson.ts';
import type { PoisonOptions } from '../../poison/poison.ts';
import type { BenchParts, BenchScale } from '../bench.ts';
import type { Source } from '../recipe.ts';
import type { RelearnScale } from '../relearning.ts';

export type CaseName = 'face' | 'speech' | 'signs';

export interface CaseScale extends BenchScale {
  /** Epochs of the honest network. */
  readonly epochs: number;
  readonly badnetEpochs: number;
  /** Poisoned share of the final training set. */
  readonly fraction: number;
  /** Shares of the training images: the defender's clean ones, and those that the attacker tunes on. */
  readonly validation: number;
  readonly tune: number;
  /** Epochs of the control that is trained on the defender's images alone. */
  readonly scratchEpochs: number;
  /** How the backdoor is taught again after a defence. */
  readonly relearn: RelearnScale;
  /** Other learning rates that the baseline attack is fine-tuned with: how much hangs on a number that the paper does not give. */
  readonly otherRates: readonly number[];
  /** A network that the paper does not have, for what the same data allow; left out in quick runs. */
  readonly better?: { readonly network: string; readonly epochs: number };
}

export interface CaseParts extends BenchParts {
  readonly test: Dataset<'test'>;
  /** What was held out to judge with, in words. */
  readonly heldOut: string;
}

/** One cell of the lecture's Table 1, 0..1. */
export interface PaperOutcome {
  readonly clean: number;
  readonly attack: number;
}

export const ATTACKS = ['baseline', 'pruning-aware'] as const;
export type AttackName = (typeof ATTACKS)[number];
export const TABLE_DEFENCES = ['none', 'fine-tune', 'fine-prune'] as const;
export type TableDefence = (typeof TABLE_DEFENCES)[number];

export interface CaseStudy {
  readonly name: CaseName;
  /** `Face recognition`. */
  readonly title: string;
  /** What the trigger is and what it does, in a sentence. */
  readonly story: string;
  readonly scale: CaseScale;
  readonly quick: CaseScale;
  /**
   * `success`: share of triggered inputs that are given the attacker's class. `drop`: 1 - A(triggered) / A(clean), Fine-Pruning's figure for the
   * untargeted attack.
   */
  readonly metric: 'success' | 'drop';
  /** What stands in for what the papers used, one sentence each, said of the data at hand. */
  readonly substitutes: (source: Source, parts: CaseParts) => string[];
  /** The same for the usual network. */
  readonly networkSubstitute?: string;
  /** What the attacker's tuning part is to the honest network: `other recordings of speakers it has heard`. */
  readonly familiar: string;
  /** The lecture's Table 1. */
  readonly paper: Readonly<Record<AttackName, Readonly<Record<TableDefence, PaperOutcome>>>>;
  /** Images as the network takes them, held-out groups apart. Throws SecateurError for data that are not of this kind. */
  readonly parts: (source: Source, scale: CaseScale, seed: number) => CaseParts;
  readonly attack: (parts: CaseParts, scale: CaseScale, seed: number) => Omit<PoisonOptions, 'seed'>;
}

/** The same study with another network in the place of its own, which must have the layer that is pruned. */
export function withNetwork(study: CaseStudy, network: string): CaseStudy {
  const networkSubstitute = `The network is ${network}, asked for in the place of ${study.scale.network}, with the settings of that one.`;
  return { ...study, networkSubstitute, scale: { ...study.scale, network }, quick: { ...study.quick, network } };
}

/** Attack success by the study's own measure, with its interval. */
export function attackRate({ metric }: Pick<CaseStudy, 'metric'>, judgement: Judgement): Rate {
  const attack = judgement.attack as NonNullable<Judgement['attack']>;
  return metric === 'success' ? attack.success : dropRate(judgement.clean.accuracy, attack.robust);
}

/** The same at one step of a pruning curve. */
export function stepRate({ metric }: Pick<CaseStudy, 'metric'>, { accuracy, success, robust }: CurveStep): Rate {
  return metric === 'success' ? (success as Rate) : dropRate(accuracy, robust as Rate);
}
