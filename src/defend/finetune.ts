/**
 * The fine-tuning defence: training goes on from the suspect weights, on the defender's clean data, at a smaller learning rate (Liu,
 * Dolan-Gavitt, Garg 2018, section 4.2; the paper gives no numbers, so the defaults are ours). Channels that were cut stay cut.
 */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import type { Dataset } from '../data/dataset.ts';
import { labelOf, trainableFrom } from '../grad/freeze.ts';
import { layersOf, parametersOf } from '../grad/parameters.ts';
import { trainability } from '../grad/trainability.ts';
import { unshareStatistics } from '../grad/unshare.ts';
import { cloneModel, consumers } from '../onnx/edit.ts';
import { joinMasks, keptCuts } from '../onnx/kept-cuts.ts';
import type { Model } from '../onnx/model.ts';
import { constantsToInitializers } from '../onnx/passes/constants-to-initializers.ts';
import { fixedBatch } from '../onnx/passes/free-batch.ts';
import { readSpec, type SpecOverrides } from '../onnx/spec.ts';
import type { ValueTypes } from '../onnx/value-types.ts';
import { probe } from '../runtime/probe.ts';
import type { Runtime } from '../runtime/session.ts';
import { workingModel } from '../runtime/working-model.ts';
import type { EpochRecord } from '../train/checkpoint.ts';
import { train } from '../train/loop.ts';
import type { TrainOptions } from '../train/options.ts';

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
  /** Train only this node (its name, or a value it gives) and the layers after it: the way past operators that have no gradient. */
  readonly freezeBefore?: string;
  /** 0/1 per stored tensor, kept at zero besides the cuts that the file records. */
  readonly masks?: ReadonlyMap<string, Tensor>;
}

export interface FinetuneResult {
  readonly model: Model;
  readonly history: readonly EpochRecord[];
}

/** Batches from which on their own statistics are worth something; a notice is given below. */
const ENOUGH = 16;

/**
 * Fine-tunes on clean validation data. A network that takes a fixed number of images is given more where that can be done, else it is trained
 * by that many. Throws SecateurError as {@link train} and {@link leftToTrain} do, and where batch statistics are asked for that cannot be had.
 */
export async function finetune(
  runtime: Runtime,
  model: Model,
  validation: Dataset<'validation'>,
  options: FinetuneOptions = {},
): Promise<FinetuneResult> {
  const { epochs, learningRate, batchSize, momentum, weightDecay, batchNorm, seed } = FinetuneSettings.parse(options);
  const { schedule, augment, onProgress, signal, checkpoint, onEpoch, spec, freezeBefore } = options;
  const notice = (text: string): void => onProgress?.({ kind: 'notice', text });
  const working = fixedBatch(model) === undefined ? undefined : await workingModel(runtime, model);
  const open = working?.model ?? model;
  const size = working?.fixed?.batch ?? Math.min(batchSize, validation.count);
  if (working?.fixed && working.fixed.batch !== batchSize) {
    notice(`steps of ${working.fixed.batch} instead of ${batchSize} images: the network takes no other number (${working.fixed.why})`);
  }
  checkBatchNorm(open, batchNorm, size, notice);
  // Exporters store equal statistics once; in training they become different.
  const own = batchNorm === 'training' ? unshareStatistics(open) : open;
  const left = leftToTrain(own, freezeBefore);
  const types = await probe(runtime, own, { batch: 2 });
  tellFrozen(own, types, { logits: readSpec(own, spec).logits, left }, notice);
  tellShared(own, left, notice);
  const { masks: recorded, trainable } = keptCuts(own, types);
  const result = await train(runtime, own, validation, {
    epochs,
    batchSize: size,
    learningRate,
    optimizer: { kind: 'sgd', momentum, weightDecay },
    schedule,
    augment,
    seed,
    masks: options.masks === undefined ? recorded : joinMasks(recorded, options.masks),
    trainable: (name) => left(name) && trainable(name),
    batchNorm,
    onProgress,
    signal,
    checkpoint,
    onEpoch,
    spec,
  });
  return { ...result, model: working?.restore(result.model) ?? result.model };
}

/** Which weights `--freeze-before` leaves to train. */
export type Left = (name: string) => boolean;

/**
 * Which weights are trained where `freezeBefore` names a node; all of them where it is undefined.
 * @throws SecateurError where no node or value has that name, or no layer comes from there on
 */
export function leftToTrain(model: Model, freezeBefore: string | undefined): Left {
  if (freezeBefore === undefined) return () => true;
  // Exporters keep weights in Constant nodes too.
  const stored = cloneModel(model);
  constantsToInitializers.run(stored);
  const left = trainableFrom(stored, freezeBefore);
  if (left.size > 0) return (name) => left.has(name);
  const last = layersOf(stored.graph).at(-1);
  return fail({
    where: '--freeze-before',
    what: `no layer with weights of its own comes from "${freezeBefore}" on`,
    expected: 'the name of a node with something to train at it or after it',
    hint: last === undefined ? undefined : `--freeze-before ${labelOf(last.node)}`,
  });
}

/** Weights that will not move although nobody froze them. */
function tellFrozen(model: Model, types: ValueTypes, o: { logits: string; left: Left }, notice: (text: string) => void): void {
  const { parameters: all, trainable, freezeBefore } = trainability(model, types, [o.logits]);
  const parameters = all.filter(o.left);
  const frozen = parameters.filter((name) => !trainable.has(name));
  // Where an operator without a gradient stands in the way, or nothing is left, training itself says so.
  if (frozen.length === 0 || trainable.size === 0 || freezeBefore !== undefined) return;
  notice(`${frozen.length} of ${parameters.length} weights get no gradient and stay as they are, "${frozen[0]}" first: doctor says why`);
}

/** Weights that move together. In the program that made the file they may have been several: PyTorch's exporter stores equal values once. */
function tellShared(model: Model, left: Left, notice: (text: string) => void): void {
  const uses = consumers(model.graph);
  const shared = parametersOf(model).filter((name) => left(name) && (uses.get(name)?.length ?? 0) > 1);
  if (shared.length === 0) return;
  const [one] = shared;
  const which = shared.length === 1 ? `"${one}" is` : `${shared.length} weights are`;
  const first = shared.length === 1 ? '' : `, "${one}" first`;
  notice(`${which} read by several nodes and trained as one${first}: exporters store equal values once`);
}

function checkBatchNorm(model: Model, mode: 'inference' | 'training', batchSize: number, notice: (text: string) => void): void {
  if (mode === 'inference') return;
  if (!model.graph.nodes.some((node) => node.opType === 'BatchNormalization')) {
    notice('batch norm in training mode changes nothing: the network has none (exporters fold it into the convolutions before it)');
    return;
  }
  if (batchSize === 1) {
    fail({
      where: '--batch-norm',
      what: 'no statistics of a batch of one image',
      expected: 'inference',
      got: 'training',
      hint: '--batch-norm inference, which leaves the running statistics as they are',
    });
  }
  if (batchSize < ENOUGH) notice(`statistics of ${batchSize} images at a time are rough: a larger batch, or batch norm in inference mode`);
}
