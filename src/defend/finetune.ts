/**
 * The fine-tuning defence: training goes on from the suspect weights, on the defender's clean data, at a smaller learning rate (Liu,
 * Dolan-Gavitt, Garg 2018, section 4.2; the paper gives no numbers, so the defaults are ours). Channels that were cut stay cut.
 */
import { z } from 'zod';
import type { Dataset } from '../data/dataset.ts';
import type { Model } from '../onnx/model.ts';
import type { SpecOverrides } from '../onnx/spec.ts';
import { probe } from '../runtime/probe.ts';
import type { Runtime } from '../runtime/session.ts';
import type { EpochRecord } from '../train/checkpoint.ts';
import { train } from '../train/loop.ts';
import type { TrainOptions } from '../train/options.ts';
import { keptCuts } from './mask.ts';

export const FinetuneSettings = z.object({
  epochs: z.number().int().positive().default(10),
  learningRate: z.number().positive().default(0.01),
  batchSize: z.number().int().positive().default(64),
  momentum: z.number().min(0).max(1).default(0.9),
  weightDecay: z.number().min(0).default(0),
  /** `inference` leaves the running statistics, which a small clean set would estimate badly, as they are. */
  batchNorm: z.enum(['inference', 'training']).default('inference'),
  seed: z.number().int().default(1),
});
export type FinetuneSettings = z.infer<typeof FinetuneSettings>;

export interface FinetuneOptions
  extends Partial<FinetuneSettings>,
    Pick<TrainOptions, 'schedule' | 'augment' | 'onProgress' | 'signal' | 'checkpoint' | 'onEpoch'> {
  readonly spec?: SpecOverrides;
}

export interface FinetuneResult {
  readonly model: Model;
  readonly history: readonly EpochRecord[];
}

/** Fine-tunes on clean validation data. Throws SecateurError as {@link train} does. */
export async function finetune(
  runtime: Runtime,
  model: Model,
  validation: Dataset<'validation'>,
  options: FinetuneOptions = {},
): Promise<FinetuneResult> {
  const { epochs, learningRate, batchSize, momentum, weightDecay, batchNorm, seed } = FinetuneSettings.parse(options);
  const { masks, trainable } = keptCuts(model, await probe(runtime, model, { batch: 2 }));
  const { schedule, augment, onProgress, signal, checkpoint, onEpoch, spec } = options;
  return train(runtime, model, validation, {
    epochs,
    batchSize,
    learningRate,
    optimizer: { kind: 'sgd', momentum, weightDecay },
    schedule,
    augment,
    seed,
    masks,
    trainable,
    batchNorm,
    onProgress,
    signal,
    checkpoint,
    onEpoch,
    spec,
  });
}
