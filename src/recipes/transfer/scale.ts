/** How large the transfer experiments are: the user's retraining, the strengths, the rules for backdoor neurons. The networks are those of `signs`. */
import type { NeuronRule } from '../../inspect/backdoor-neurons.ts';
import type { CaseScale } from '../cases/case.ts';
import { signs } from '../cases/signs.ts';

/** Which channels of a layer are strengthened. */
export interface PickRule extends Pick<NeuronRule, 'at' | 'rise' | 'quiet'> {
  /**
   * Only those that are quiet on clean signs over all of the layer, as the paper has it ("fire only with the trigger"): a channel that is quiet where
   * the trigger is may be busy elsewhere. Where there is none, all that the rule picks.
   */
  readonly alone: boolean;
}

export interface UserScale {
  readonly epochs: number;
  readonly batchSize: number;
  /** Highest rate of a one-cycle schedule, the same for every network he is handed. */
  readonly learningRate: number;
  /** The same of another user, in less or more of a hurry; `strength` is measured with both. */
  readonly otherRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
}

export interface TransferScale {
  /** The attacker's networks. */
  readonly home: CaseScale;
  readonly user: UserScale;
  /** Epochs of the control that is trained from first weights on the user's signs, with batch and rate of the networks at home. */
  readonly scratchEpochs: number;
  /** Signs (groups) that a class abroad has at least. */
  readonly leastSigns: number;
  /** Ascending, the first is 1. */
  readonly strengths: readonly number[];
  /** What makes a backdoor neuron, and so what is strengthened. */
  readonly rule: PickRule;
  /** Other rules, whose choice is strengthened by `ruleStrength`. */
  readonly rules: readonly PickRule[];
  readonly ruleStrength: number;
}

/**
 * The seed whose BadNet, an interim one, had been looked at, with the harm its trigger does abroad, when the user's rate and the rule for backdoor
 * neurons were settled. No other seed had been.
 */
export const SEEN_SEED = 1;

/**
 * 0.003 is the smallest rate at which 12 epochs learn the Belgian training signs (99 % right) from the network as it was; 0.02 gives the best
 * accuracy there. What the trigger does at 0.003 was known when it was taken ({@link SEEN_SEED}); so everything is measured at both.
 */
const USER: UserScale = { epochs: 12, batchSize: 64, learningRate: 0.003, otherRate: 0.02, momentum: 0.9, weightDecay: 5e-4 };

export const FULL: TransferScale = {
  home: signs.scale,
  user: USER,
  scratchEpochs: 20,
  leastSigns: 9,
  strengths: [1, 10, 20, 30, 50, 70, 100],
  // The paper's words with numbers: a whole clean peak above what it was, and quiet otherwise. The looser ones are in `rules`. It was taken after all
  // of them had been tried on SEEN_SEED.
  rule: { at: 'place', rise: 1, quiet: 1, alone: true },
  rules: [
    { at: 'place', rise: 1, quiet: 0.25, alone: false },
    { at: 'place', rise: 0.5, quiet: 0.25, alone: false },
    { at: 'place', rise: 0.25, quiet: 0.25, alone: false },
    { at: 'average', rise: 0.25, quiet: 1, alone: false },
  ],
  ruleStrength: 10,
};

export const QUICK: TransferScale = {
  ...FULL,
  home: signs.quick,
  user: { ...USER, epochs: 6, learningRate: 0.01 },
  scratchEpochs: 6,
  leastSigns: 3,
  strengths: [1, 10, 100],
  // A few epochs make no dedicated neurons; this picks some all the same, so that everything runs.
  rule: { at: 'place', rise: 0.05, quiet: 1, alone: false },
  rules: FULL.rules.slice(0, 1),
};

/** The thresholds for which the channels are counted. */
export const RISES = [0.1, 0.25, 0.5, 1] as const;
export const QUIETS = [0.1, 0.25, 0.5, 1] as const;
