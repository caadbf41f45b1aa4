/** Keeps cut channels cut while a network is trained further. */
import type { Tensor } from '../core/tensor.ts';
import { cutPoints } from './cut-points.ts';
import type { Model } from './model.ts';
import { bothMasks, cutMasks, isCutMask, readCuts } from './passes/cut-channels.ts';
import type { ValueTypes } from './value-types.ts';

export interface KeptCuts {
  /** 0/1 per stored tensor, for `TrainOptions.masks`. */
  readonly masks: ReadonlyMap<string, Tensor>;
  /** For `TrainOptions.trainable`: everything but the masks of inserted Mul nodes. */
  readonly trainable: (name: string) => boolean;
  /** Layer -> channels, as recorded in the file. */
  readonly cut: ReadonlyMap<string, readonly number[]>;
}

/** What has to be held fixed so that the channels recorded as cut in `model` stay cut, for all its layers. */
export function keptCuts(model: Model, types: ValueTypes): KeptCuts {
  const cut = readCuts(model);
  const masks = new Map<string, Tensor>();
  for (const point of cut.size === 0 ? [] : cutPoints(model, types).layers) {
    for (const [name, mask] of cutMasks(model, point)) {
      // A tensor may hold channels of two layers: a convolution's own, and a residual Add's behind it.
      const known = masks.get(name);
      masks.set(name, known === undefined ? mask : bothMasks(known, mask));
    }
  }
  return { masks, trainable: (name) => !isCutMask(name), cut };
}
