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
  // A tensor may hold channels of two layers: a convolution's own, and a residual Add's behind it.
  const points = cut.size === 0 ? [] : cutPoints(model, types).layers;
  const masks = points.reduce((all, point) => joinMasks(all, cutMasks(model, point)), new Map<string, Tensor>());
  return { masks, trainable: (name) => !isCutMask(name), cut };
}

/** Both sets of masks as one, which holds at zero what either of them does. */
export function joinMasks(a: ReadonlyMap<string, Tensor>, b: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const out = new Map(a);
  for (const [name, mask] of b) {
    const known = out.get(name);
    out.set(name, known === undefined ? mask : bothMasks(known, mask));
  }
  return out;
}
