/**
 * The pruning defence (Liu, Dolan-Gavitt, Garg 2018, section 4.1): channels that are weakest on the defender's clean data are cut first, as long
 * as validation accuracy holds. It is given clean validation data and nothing else: the types let no test or triggered input in.
 */
import { z } from 'zod';
import type { Tensor } from '../core/tensor.ts';
import type { Dataset } from '../data/dataset.ts';
import { layerStatistics, strength, weakestFirst } from '../inspect/activations.ts';
import { chooseLayer } from '../inspect/layers.ts';
import type { CutPoint } from '../onnx/cut-points.ts';
import type { Model } from '../onnx/model.ts';
import { compactChannels } from '../onnx/passes/compact-channels.ts';
import { cutChannels } from '../onnx/passes/cut-channels.ts';
import type { SpecOverrides } from '../onnx/spec.ts';
import { probe } from '../runtime/probe.ts';
import type { Runtime } from '../runtime/session.ts';
import { checkCompactable } from './compact.ts';
import { validationCurve } from './curve.ts';

export const PruneSettings = z.object({
  /** Default: the output of the last convolutional block, see inspect/default-layer.ts. */
  layer: z.string().optional(),
  /** Largest fall of validation accuracy below its start that is accepted, 0..1. The papers' 4 points. */
  threshold: z.number().min(0).max(1).default(0.04),
  /** Takes the cut channels out of the file instead of leaving them there as zeros. */
  compact: z.boolean().default(false),
});
export type PruneSettings = z.infer<typeof PruneSettings>;

export interface PruneOptions extends Partial<PruneSettings> {
  readonly spec?: SpecOverrides;
}

export interface PruneResult {
  readonly model: Model;
  readonly point: CutPoint;
  /** Which layer, and why that one. */
  readonly why: string;
  /** Channels from the weakest to the strongest on validation data. */
  readonly order: readonly number[];
  /** The first of `order`: those that were cut. */
  readonly cut: readonly number[];
  /** Validation accuracy with 0, 1, ... all channels cut, 0..1. */
  readonly curve: readonly number[];
  /** Validation accuracy before, and of the model returned. */
  readonly accuracy: { readonly start: number; readonly end: number };
  readonly threshold: number;
  /** Keep the channels cut in further training; empty after `compact`. */
  readonly masks: ReadonlyMap<string, Tensor>;
}

/**
 * Prunes one layer and returns the last model that held. The given model stays as it is.
 * Throws SecateurError for a layer that is not there or cannot be cut, and where data and model do not fit.
 */
export async function prune(
  runtime: Runtime,
  model: Model,
  validation: Dataset<'validation'>,
  options: PruneOptions = {},
): Promise<PruneResult> {
  const { layer, threshold, compact } = PruneSettings.parse(options);
  const types = await probe(runtime, model, { batch: 2 });
  const { point, why } = chooseLayer(model, types, layer);
  // Said before the work is done, not after.
  if (compact) checkCompactable(model, types, point);
  const statistics = await layerStatistics(runtime, model, point, validation, { spec: options.spec });
  const order = weakestFirst(strength(point, statistics));
  const curve = await validationCurve(runtime, model, point, order, validation, { spec: options.spec });
  const cut = order.slice(0, lastThatHeld(curve, threshold));
  const pruned = cutChannels(model, point, cut);
  // A file cannot lose all channels of a layer; then they stay in it as zeros.
  const small = compact && cut.length > 0 && cut.length < point.channels;
  return {
    model: small ? compactChannels(model, point, cut).model : pruned.model,
    point,
    why,
    order,
    cut,
    curve,
    accuracy: { start: curve[0], end: curve[cut.length] },
    threshold,
    masks: small ? new Map() : pruned.masks,
  };
}

/**
 * Number of channels to cut: pruning goes on until the first step whose accuracy is more than `threshold` below the start, and the step before it
 * is kept. That a later step may hold again does not count. Differences below one in a million are rounding, not accuracy.
 */
export function lastThatHeld(curve: readonly number[], threshold: number): number {
  const broken = curve.findIndex((accuracy) => curve[0] - accuracy > threshold + 1e-6);
  return broken < 0 ? curve.length - 1 : broken - 1;
}
