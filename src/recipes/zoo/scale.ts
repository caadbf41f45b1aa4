/** How large the networks of the zoo's story are. */

export interface ZooScale {
  readonly network: string;
  readonly batchSize: number;
  /** Highest learning rate of a one-cycle schedule. */
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** Of the honest network. */
  readonly epochs: number;
  /** Of the attacker, who begins with the honest network. */
  readonly attackEpochs: number;
  /** Poisoned share of the attacker's training set. */
  readonly fraction: number;
  /** Of the networks behind the other readmes, which nobody swaps. */
  readonly otherEpochs: number;
}

const COMMON = { network: 'badnets-cnn', learningRate: 0.05, momentum: 0.9, weightDecay: 1e-4, fraction: 0.5 } as const;

/** On the built-in 6,000 digits less than a minute on two cores. */
export const FULL: ZooScale = { ...COMMON, batchSize: 64, epochs: 6, attackEpochs: 6, otherEpochs: 2 };

/** Fewer images and epochs: small batches, because it is the number of steps that the backdoor needs. */
export const QUICK: ZooScale = { ...COMMON, batchSize: 32, epochs: 3, attackEpochs: 5, otherEpochs: 1 };
export const QUICK_IMAGES = { train: 3000, test: 500 } as const;
