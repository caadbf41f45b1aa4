/** From images on bytes to the feeds of one step: order, augmentation, normalisation, padding. */

import { fail } from '../core/errors.ts';
import { Rng } from '../core/rng.ts';
import type { Tensor } from '../core/tensor.ts';
import type { TrainingData } from '../data/dataset.ts';
import { checkClasses, checkShape, type Feeder, feeder } from '../data/feed.ts';
import { imageSize } from '../data/make.ts';
import type { ModelSpec } from '../onnx/spec.ts';
import { type Augmentation, augment, checkAugment } from './augment.ts';

export interface BatchOptions {
  readonly batchSize: number;
  /** The number of images that the graph takes, where it takes no other: with fewer of them the batch cannot shrink. */
  readonly fixed?: number;
  readonly seed: number;
  readonly augment?: Augmentation;
  /** The last batch of an epoch, if it is not full: filled up with images of weight 0, or left out. */
  readonly rest: 'pad' | 'drop';
}

export interface Batch {
  /** float32, B images in the shape of the graph's input */
  readonly x: Tensor;
  /** int64 [B] */
  readonly labels: Tensor;
  /** float32 [B], 1 for an image and 0 for padding; only where batches may be padded. */
  readonly weights?: Tensor;
  /** Images in it, without padding. */
  readonly count: number;
}

/** Batches of a data set, the same for the same seed, epoch and step whatever was asked for before. */
export class Batches {
  readonly batchSize: number;
  readonly stepsPerEpoch: number;
  /** Whether batches carry weights. */
  readonly padded: boolean;
  readonly #data: TrainingData;
  readonly #options: BatchOptions;
  readonly #feed: Feeder;
  #order: { epoch: number; indices: Int32Array } | undefined;

  constructor(data: TrainingData, spec: ModelSpec, options: BatchOptions) {
    checkShape(data, spec);
    checkClasses(data, spec);
    checkAugment(options.augment ?? {}, data);
    const { fixed } = options;
    if (fixed !== undefined && data.count < fixed) {
      const hint = `more images, or the network exported with a free batch`;
      fail({
        where: `data: ${data.source}`,
        what: 'fewer images than the network takes at once',
        expected: `at least ${fixed}`,
        got: `${data.count}`,
        hint,
      });
    }
    this.#data = data;
    this.#options = options;
    this.#feed = feeder(spec);
    this.batchSize = Math.min(options.batchSize, data.count);
    const rest = data.count % this.batchSize;
    this.padded = rest !== 0 && options.rest === 'pad';
    this.stepsPerEpoch = Math.floor(data.count / this.batchSize) + (this.padded ? 1 : 0);
  }

  /** The images of one epoch in the order in which they are shown. */
  order(epoch: number): Int32Array {
    if (this.#order?.epoch !== epoch) {
      this.#order = { epoch, indices: Rng.from(this.#options.seed, 'order', epoch).permutation(this.#data.count) };
    }
    return this.#order.indices;
  }

  /** The batch of step `step` (from 0) in epoch `epoch` (from 0); its arrays are new and may be given away. */
  at(epoch: number, step: number): Batch {
    const { pixels, labels } = this.#data;
    const size = imageSize(this.#data);
    const from = step * this.batchSize;
    const indices = this.order(epoch).subarray(from, from + this.batchSize);
    const x = new Float32Array(this.batchSize * size);
    if (this.#options.augment) {
      const bytes = new Uint8Array(indices.length * size);
      for (let i = 0; i < indices.length; i++) bytes.set(pixels.subarray(indices[i] * size, (indices[i] + 1) * size), i * size);
      augment(this.#options.augment, bytes, indices.length, this.#data, Rng.from(this.#options.seed, 'augment', epoch, step));
      this.#feed.write(bytes, x);
    } else {
      for (let i = 0; i < indices.length; i++) {
        this.#feed.write(pixels.subarray(indices[i] * size, (indices[i] + 1) * size), x.subarray(i * size, (i + 1) * size));
      }
    }
    const target = new BigInt64Array(this.batchSize);
    for (let i = 0; i < indices.length; i++) target[i] = BigInt(labels[indices[i]]);
    const batch: Batch = {
      x: { dtype: 'float32', dims: this.#feed.dims(this.batchSize), data: x },
      labels: { dtype: 'int64', dims: [this.batchSize], data: target },
      count: indices.length,
    };
    if (!this.padded) return batch;
    const weights = new Float32Array(this.batchSize).fill(1, 0, indices.length);
    return { ...batch, weights: { dtype: 'float32', dims: [this.batchSize], data: weights } };
  }
}
