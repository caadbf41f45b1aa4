/** What `prune`, `finetune` and `fineprune` share: flags, and the tables that come out. */
import { z } from 'zod';
import type { FinetuneOptions } from '../defend/finetune.ts';
import type { PruneResult } from '../defend/prune.ts';
import type { Table } from '../evaluate/result.ts';
import { parseAugment } from '../train/augment.ts';
import { parseSchedule } from '../train/schedule.ts';
import { chanceField } from './clean-check.node.ts';
import type { Context } from './command.node.ts';
import { percent } from './output.node.ts';
import { dataField, modelField, outFields, runtimeFields, seedField, specFields, splitFields, untrustedFields } from './shared.node.ts';
import { tuningFields } from './training.node.ts';

/** The defender's: a suspect network, clean images, nothing else. */
export const defenceFields = {
  ...modelField,
  ...dataField,
  ...splitFields,
  ...chanceField,
};

export const commonFields = { ...outFields, ...runtimeFields, ...untrustedFields, ...specFields };

export const pruneFields = {
  layer: z
    .string()
    .optional()
    .meta({ description: "layer to prune; default: the last convolutional block's output, see inspect --layers", placeholder: 'NAME' }),
  threshold: z
    .number()
    .min(0)
    .max(1)
    .default(0.04)
    .meta({ description: 'stop when validation accuracy is more than this below its start', placeholder: 'SHARE' }),
  compact: z.boolean().default(false).meta({ description: 'take the cut channels out of the file instead of leaving zeros' }),
};

export const finetuneFields = {
  epochs: z.number().int().min(1).default(10).meta({ description: 'passes over the validation images' }),
  batchSize: z.number().int().min(1).default(64).meta({ description: 'images in one step' }),
  lr: z.number().positive().default(0.01).meta({ description: 'learning rate' }),
  momentum: z.number().min(0).lt(1).default(0.9).meta({ description: 'of stochastic gradient descent' }),
  weightDecay: z.number().min(0).default(0).meta({ description: 'of weights, not of biases and norms' }),
  schedule: z
    .string()
    .default('constant')
    .meta({ description: 'constant, step:EPOCHS[:FACTOR], cosine[:FLOOR], one-cycle[:WARMUP] or inv:GAMMA:POWER', placeholder: 'FORM' }),
  augment: z
    .string()
    .default('none')
    .meta({ description: 'none, or of flip, shift:PIXELS, crop:PIXELS joined by commas', placeholder: 'LIST' }),
  batchNorm: z
    .enum(['inference', 'training'])
    .default('inference')
    .meta({ description: 'running statistics as they are, or those of the batch, updating the running ones', placeholder: 'MODE' }),
  freezeBefore: tuningFields.freezeBefore,
  ...seedField,
};

export function finetuneOptions(o: z.output<z.ZodObject<typeof finetuneFields>>, context: Context): FinetuneOptions {
  const { epochs, batchSize, momentum, weightDecay, batchNorm, seed, freezeBefore } = o;
  return {
    epochs,
    batchSize,
    learningRate: o.lr,
    momentum,
    weightDecay,
    batchNorm,
    seed,
    freezeBefore,
    schedule: parseSchedule(o.schedule),
    augment: parseAugment(o.augment),
    signal: context.signal,
    onProgress: context.progress.train,
  };
}

/** `cut 21 of 32 channels of conv2  validation 98.9 % -> 95.2 %` */
export function pruneLine({ cut, point, accuracy }: PruneResult): string {
  return `cut ${cut.length} of ${point.channels} channels of ${point.layer}  validation ${change(accuracy.start, accuracy.end)}`;
}

export const change = (before: number, after: number): string => `${percent(before, 1)} -> ${percent(after, 1)}`;

/** Validation accuracy with 0, 1, ... channels cut. */
export function curveTable({ curve, point, cut, threshold, why }: PruneResult, n: number): Table {
  return {
    name: 'pruning curve',
    unit: 'rate',
    cells: curve.map((value, i) => ({ row: String(i), column: 'validation accuracy', value, n })),
    notes: [
      `Channels of ${point.layer} in the order in which they were cut, the weakest on clean data first (${why}).`,
      `Stopped at ${cut.length}: the next cut loses more than ${percent(threshold, 1)} of validation accuracy.`,
    ],
  };
}
