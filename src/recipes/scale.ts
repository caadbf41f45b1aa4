/** How large an experiment is: the one place where the MNIST recipe and the demo differ. */

import type { BiasRule } from '../attack/reinstate.ts';
import type { FinetuneOptions, FinetuneSettings } from '../defend/finetune.ts';
import type { PruneSettings } from '../defend/prune.ts';
import type { RelearnScale } from './relearning.ts';

export interface Scale {
  readonly network: string;
  /** Whether the single-pixel trigger is planted too, beside the pattern. */
  readonly pixel: boolean;
  /** Clean images that only the defender has. */
  readonly validation: number;
  /** Images that the attacker keeps to try his network on. */
  readonly tune: number;
  readonly batchSize: number;
  /** Highest learning rate of a one-cycle schedule. */
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** Epochs of the honest network. */
  readonly epochs: number;
  /** Poisoned share of the final training set -> epochs; a larger set needs fewer. The largest share is the attack that is looked into. */
  readonly fractions: readonly { readonly fraction: number; readonly epochs: number }[];
  readonly pruningAware: {
    readonly layer: string;
    /** Channels pruned in step 2. */
    readonly prune: number;
    readonly putBack: number;
    readonly rounds: number;
    readonly epochs: number;
    /** Highest rate of step 3, which begins at trained weights; default: that of the networks' training. */
    readonly learningRate?: number;
    /** Clean accuracy may be this much below the clean network's on the attacker's tuning data. */
    readonly cleanLoss: number;
    /** Attack success on tuning data at least. */
    readonly success: number;
    readonly bias: readonly BiasRule[];
  };
  readonly prune: Pick<PruneSettings, 'threshold'> & Partial<Pick<PruneSettings, 'layer'>>;
  readonly finetune: Pick<FinetuneSettings, 'epochs' | 'learningRate' | 'batchSize' | 'momentum'> &
    Partial<Pick<FinetuneSettings, 'weightDecay'>> &
    Pick<FinetuneOptions, 'schedule' | 'augment'>;
  /** Other learning rates that the baseline attack is fine-tuned with. */
  readonly otherRates: readonly number[];
  /** How the backdoor is taught again after a defence. */
  readonly relearn: RelearnScale;
  /** Epochs of the control that is trained on the defender's images alone. */
  readonly scratchEpochs: number;
}

/** What the MNIST recipe and the demo share. */
export const COMMON = {
  network: 'badnets-cnn',
  momentum: 0.9,
  weightDecay: 1e-4,
  prune: { threshold: 0.04 },
  relearn: { images: 100, poisoned: 20, epochs: 6, learningRate: 0.01 },
} as const;

const PRUNING_AWARE = {
  layer: 'conv2',
  prune: 16,
  putBack: 4,
  rounds: 3,
  cleanLoss: 0.01,
  success: 0.97,
  bias: [
    { rule: 'margin', margin: 0.1 },
    { rule: 'paper', value: -1e20 },
  ],
} as const satisfies Partial<Scale['pruningAware']>;

/** 54,000 training images: about 45 minutes for three seeds on two cores. */
export const MNIST: Scale = {
  ...COMMON,
  pixel: true,
  validation: 5000,
  tune: 1000,
  batchSize: 128,
  learningRate: 0.1,
  epochs: 6,
  fractions: [
    { fraction: 0.1, epochs: 6 },
    { fraction: 0.33, epochs: 5 },
    { fraction: 0.5, epochs: 5 },
  ],
  pruningAware: { ...PRUNING_AWARE, epochs: 5 },
  finetune: { epochs: 10, learningRate: 0.05, batchSize: 64, momentum: 0.9 },
  otherRates: [0.01, 0.1],
  scratchEpochs: 20,
};

/** A check that everything runs, not a reproduction: 6,000 images, 1,000 test images, one epoch or two. */
export const MNIST_QUICK: Scale = {
  ...COMMON,
  pixel: true,
  validation: 600,
  tune: 300,
  batchSize: 64,
  learningRate: 0.05,
  epochs: 2,
  fractions: [
    { fraction: 0.1, epochs: 1 },
    { fraction: 0.33, epochs: 1 },
    { fraction: 0.5, epochs: 2 },
  ],
  pruningAware: { ...PRUNING_AWARE, rounds: 1, epochs: 2 },
  finetune: { epochs: 2, learningRate: 0.05, batchSize: 64, momentum: 0.9 },
  otherRates: [],
  scratchEpochs: 4,
};
export const QUICK_IMAGES = { train: 6000, test: 1000 } as const;

/** 6,000 generated digits: about two minutes on two cores. */
export const DEMO: Scale = {
  ...COMMON,
  pixel: false,
  validation: 1000,
  tune: 500,
  batchSize: 64,
  learningRate: 0.05,
  epochs: 6,
  fractions: [{ fraction: 0.5, epochs: 6 }],
  pruningAware: { ...PRUNING_AWARE, rounds: 1, epochs: 6 },
  finetune: { epochs: 10, learningRate: 0.05, batchSize: 64, momentum: 0.9 },
  otherRates: [],
  scratchEpochs: 15,
};
