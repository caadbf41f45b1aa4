/** What can be said about a training run. */
import type { Tensor } from '../core/tensor.ts';
import type { Optimizer } from '../grad/step.ts';
import type { Model } from '../onnx/model.ts';
import type { SpecOverrides } from '../onnx/spec.ts';
import type { Augmentation } from './augment.ts';
import type { CheckpointStore, EpochRecord } from './checkpoint.ts';
import type { Schedule } from './schedule.ts';

export interface TrainOptions {
  readonly epochs: number;
  /** Shrinks to the number of images where there are fewer. */
  readonly batchSize: number;
  /** Base learning rate; `schedule` says what becomes of it. */
  readonly learningRate: number;
  readonly optimizer: Optimizer;
  /** Default: constant. */
  readonly schedule?: Schedule;
  readonly augment?: Augmentation;
  /** Order of the images, augmentation and dropout; the first weights are the model's. */
  readonly seed: number;
  /** 0/1 per parameter: cut channels stay cut. */
  readonly masks?: ReadonlyMap<string, Tensor>;
  /** Which parameters are trained; default all. */
  readonly trainable?: (name: string) => boolean;
  /** Default: `training`, which updates running statistics; `inference` leaves them as they are. */
  readonly batchNorm?: 'inference' | 'training';
  /** For files that do not say themselves what they are fed. */
  readonly spec?: SpecOverrides;
  /** Called with the weights as they are after every epoch; what it returns goes into the epoch's record. */
  readonly evaluate?: (model: Model) => Promise<Record<string, number>>;
  /** Called after every epoch; `model()` bakes the present weights in, which costs a copy. */
  readonly onEpoch?: (record: EpochRecord, model: () => Promise<Model>) => void | Promise<void>;
  readonly onProgress?: (progress: TrainProgress) => void;
  /** Where to save the state; a checkpoint that is already there is gone on from. */
  readonly checkpoint?: CheckpointStore;
  /** Save every so many steps too, not only after every epoch. */
  readonly checkpointEvery?: number;
  /** Stops between two steps, saves a checkpoint if there is a store, and throws with exit code 130. */
  readonly signal?: AbortSignal;
}

export type TrainProgress =
  /** Before the first step; `history` holds the epochs of the run that is gone on from. */
  | { readonly kind: 'start'; readonly totalSteps: number; readonly doneSteps: number; readonly history: readonly EpochRecord[] }
  | {
      readonly kind: 'step';
      /** From 1. */
      readonly epoch: number;
      readonly epochs: number;
      /** Steps done in this epoch. */
      readonly step: number;
      readonly stepsPerEpoch: number;
      readonly doneSteps: number;
      readonly totalSteps: number;
      /** Means over the epoch so far. */
      readonly loss: number;
      readonly accuracy: number;
      readonly imagesPerSecond: number;
      readonly secondsLeft: number;
    }
  | { readonly kind: 'epoch'; readonly epochs: number; readonly record: EpochRecord }
  | { readonly kind: 'notice'; readonly text: string };

export interface TrainResult {
  /** The given model with new weights in it. */
  readonly model: Model;
  readonly history: EpochRecord[];
}
