/**
 * The whole pruning curve at once: what a network predicts with 0, 1, ... all channels of a layer cut, in a given order. What comes before
 * the cut is computed once. Two ways over what follows:
 *   sums   the next layer is linear in the channels (pool, flatten, Gemm; also through a residual Add): its pre-activations for every step are
 *          running sums over channels in cut order, and one graph makes all steps' predictions at once (`kept-sums.ts`);
 *   tail   anything else: the rest of the network is run from the cached activations, once a step (`tail.ts`).
 * Both give the predictions of the naive loop (cut, run everything, again), up to rounding where two logits tie.
 */
import { fail } from '../core/errors.ts';
import type { AnyImages, Dataset } from '../data/dataset.ts';
import { checkClasses, checkShape } from '../data/feed.ts';
import type { ForwardOptions } from '../data/forward.ts';
import type { CutPoint } from '../onnx/cut-points.ts';
import { cloneModel, removeDead } from '../onnx/edit.ts';
import type { Model } from '../onnx/model.ts';
import { readSpec } from '../onnx/spec.ts';
import { probe } from '../runtime/probe.ts';
import type { Runtime } from '../runtime/session.ts';
import { planSums, runSums } from './kept-sums.ts';
import { runTail } from './tail.ts';

export interface CurveOptions extends Omit<ForwardOptions, 'outputs'> {
  /** Default: `sums` where the graph allows it. */
  readonly method?: 'sums' | 'tail';
}

export interface CutPredictions {
  /** Channels in the order in which they are cut; step k has the first k of them cut. */
  readonly order: readonly number[];
  /** `order.length + 1` */
  readonly steps: number;
  readonly count: number;
  /** Predicted class by step and image, `[steps,count]`. */
  readonly labels: Int32Array;
  readonly method: 'sums' | 'tail';
}

/**
 * Predictions for all of `images` at every step of cutting `order` (each channel at most once) at `point`.
 * It is given whatever images the caller may see: a defence its validation data, the judge everything.
 * Throws SecateurError where images do not fit the model or `method: 'sums'` is asked of a graph that does not allow it.
 */
export async function cutPredictions(
  runtime: Runtime,
  model: Model,
  point: CutPoint,
  order: readonly number[],
  images: AnyImages,
  options: CurveOptions = {},
): Promise<CutPredictions> {
  checkOrder(point, order);
  const spec = readSpec(model, options.spec);
  checkShape(images, spec);
  checkClasses(images, spec);
  const net = onlyLogits(model, spec.logits);
  const types = await probe(runtime, net, { batch: 2 });
  const plan = options.method === 'tail' ? 'tail is asked for' : planSums(net, types, point, spec);
  const steps = order.length + 1;
  const labels = new Int32Array(steps * images.count);
  const job = { runtime, model: net, spec, point, order, images, labels, batchSize: options.batchSize };
  if (typeof plan !== 'string') {
    await runSums(job, plan);
    return { order, steps, count: images.count, labels, method: 'sums' };
  }
  if (options.method === 'sums') {
    const expected = 'a layer whose channels go by pooling and flattening into a Gemm or MatMul';
    fail({ where: `layer ${point.layer}`, what: `no running sums: ${plan}`, expected, hint: 'method "tail"' });
  }
  await runTail(job);
  return { order, steps, count: images.count, labels, method: 'tail' };
}

/** The part of a model that makes the logits: what else reads a channel does not matter here. */
function onlyLogits(model: Model, logits: string): Model {
  const out = cloneModel(model);
  out.graph.outputs = [model.graph.outputs.find((o) => o.name === logits) ?? { name: logits, dtype: 'float32', dims: undefined }];
  removeDead(out.graph);
  return out;
}

/** Share of `labels` predicted right at each step, 0..1. */
export function accuracyBySteps(predictions: CutPredictions, labels: ArrayLike<number>): number[] {
  const { steps, count } = predictions;
  return Array.from({ length: steps }, (_, step) => {
    let right = 0;
    for (let i = 0; i < count; i++) if (predictions.labels[step * count + i] === labels[i]) right++;
    return right / count;
  });
}

/** Validation accuracy with 0, 1, ... channels cut. */
export async function validationCurve(
  runtime: Runtime,
  model: Model,
  point: CutPoint,
  order: readonly number[],
  validation: Dataset<'validation'>,
  options: CurveOptions = {},
): Promise<number[]> {
  return accuracyBySteps(await cutPredictions(runtime, model, point, order, validation, options), validation.labels);
}

function checkOrder(point: CutPoint, order: readonly number[]): void {
  const seen = new Set(order);
  if (seen.size === order.length && order.every((c) => Number.isInteger(c) && c >= 0 && c < point.channels)) return;
  const expected = `each of 0 to ${point.channels - 1} at most once`;
  fail({ where: `layer ${point.layer}`, what: 'not an order of its channels', expected, got: order.slice(0, 12).join(', ') });
}
