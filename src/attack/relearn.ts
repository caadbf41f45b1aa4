/**
 * How fast a backdoor comes back. A defence may leave one behind that no longer answers to its trigger but is quickly woken (section 5.1 of
 * facts/papers.md: the Re-Activation Attack and Superficial Safety, 2024). So the network is trained on a handful of images, some of them
 * poisoned, and judged after every epoch, beside one that never had the backdoor.
 */
import { fail } from '../core/errors.ts';
import { Rng } from '../core/rng.ts';
import type { Dataset } from '../data/dataset.ts';
import { subset } from '../data/make.ts';
import { keptCuts } from '../onnx/kept-cuts.ts';
import type { Model } from '../onnx/model.ts';
import { type PoisonOptions, poison } from '../poison/poison.ts';
import { probe } from '../runtime/probe.ts';
import type { Runtime } from '../runtime/session.ts';
import { train } from '../train/loop.ts';
import type { TrainOptions } from '../train/options.ts';

export interface RelearnOptions extends Pick<TrainOptions, 'onProgress' | 'signal' | 'spec'> {
  /** Clean images, drawn by chance; default 100. */
  readonly images?: number;
  /** Poisoned copies of some of them besides; default 20. */
  readonly poisoned?: number;
  /** Default 10. */
  readonly epochs?: number;
  /** Default 0.01. */
  readonly learningRate?: number;
  /** Default 32. */
  readonly batchSize?: number;
  /** Default 0.9. */
  readonly momentum?: number;
  /** Which images, and their order. */
  readonly seed: number;
}

export interface RelearnStep<T> {
  /** 0: before the first step. */
  readonly epoch: number;
  /** Images trained on so far, each as often as it was. */
  readonly seen: number;
  readonly value: T;
}

/**
 * Trains on a few clean and poisoned images and evaluates before, and after every epoch. Channels recorded as cut stay cut, as the file's user
 * would train it. Batch norm keeps its running statistics. The given model stays as it is.
 * @param data the attacker's clean images; whatever the defender used must not be among them for the comparison to be fair
 * @throws SecateurError where there are fewer images than asked for, or `poison` or `train` refuse
 */
export async function relearn<T>(
  runtime: Runtime,
  model: Model,
  data: Dataset<'train'>,
  attack: Pick<PoisonOptions, 'trigger' | 'labelMap'>,
  options: RelearnOptions,
  evaluate: (model: Model) => Promise<T>,
): Promise<RelearnStep<T>[]> {
  const { images = 100, poisoned = 20, epochs = 10, learningRate = 0.01, batchSize = 32, momentum = 0.9, seed } = options;
  const { onProgress, signal, spec } = options;
  if (images > data.count) {
    fail({ where: 're-learning', what: 'not enough images', expected: `at most ${data.count}`, got: String(images), exitCode: 2 });
  }
  const few = subset(data, Rng.from(seed, 'relearn').permutation(data.count).slice(0, images), 'train');
  const set = poison(few, { ...attack, fraction: poisoned / (images + poisoned), seed });
  const { masks, trainable } = keptCuts(model, await probe(runtime, model, { batch: 2 }));
  const curve: RelearnStep<T>[] = [{ epoch: 0, seen: 0, value: await evaluate(model) }];
  await train(runtime, model, set, {
    epochs,
    batchSize,
    learningRate,
    optimizer: { kind: 'sgd', momentum, weightDecay: 0 },
    seed,
    masks,
    trainable,
    batchNorm: 'inference',
    spec,
    onProgress,
    signal,
    onEpoch: async ({ epoch }, present) => {
      curve.push({ epoch, seen: epoch * set.count, value: await evaluate(await present()) });
    },
  });
  return curve;
}

/** Images trained on until `reached` held for the first time; undefined where it never did. */
export function seenTo<T>(curve: readonly RelearnStep<T>[], reached: (value: T) => boolean): number | undefined {
  return curve.find((step) => reached(step.value))?.seen;
}
