/** What `train` and `attack` share: flags of training, checkpoints, going on after a stop. */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import type { Dataset } from '../data/dataset.ts';
import { leftToTrain } from '../defend/finetune.ts';
import type { Model } from '../onnx/model.ts';
import { fixedBatch } from '../onnx/passes/free-batch.ts';
import type { SpecOverrides } from '../onnx/spec.ts';
import type { History } from '../report/media.ts';
import { workingModel } from '../runtime/working-model.ts';
import { parseAugment } from '../train/augment.ts';
import { fileCheckpoint } from '../train/checkpoint.node.ts';
import type { EpochRecord } from '../train/checkpoint.ts';
import { DivergedError } from '../train/loop.ts';
import { buildNetwork, networks } from '../train/networks/registry.ts';
import type { TrainOptions } from '../train/options.ts';
import { parseSchedule } from '../train/schedule.ts';
import { accuracyOf } from './accuracy.node.ts';
import type { Context } from './command.node.ts';
import { kebab } from './options.node.ts';
import { RunFolder } from './run-folder.node.ts';
import { dataField, modelField, openModel, outFields, runtimeFields, seedField, specFields, splitFields } from './shared.node.ts';
import type { Work } from './work.node.ts';

/** Flags of everything that trains from the start. */
export const trainingFields = {
  network: z
    .enum(networks.map((n) => n.name) as [string, ...string[]])
    .default('badnets-cnn')
    .meta({ description: 'architecture', placeholder: 'NAME' }),
  epochs: z.number().int().min(1).default(10).meta({ description: 'passes over the data' }),
  batchSize: z.number().int().min(1).default(128).meta({ description: 'images in one step' }),
  lr: z.number().positive().default(0.05).meta({ description: 'learning rate' }),
  optimizer: z.enum(['sgd', 'adam', 'adamw']).default('sgd').meta({ description: 'how gradients become steps', placeholder: 'NAME' }),
  momentum: z.number().min(0).lt(1).default(0.9).meta({ description: 'of sgd' }),
  nesterov: z.boolean().default(false).meta({ description: "sgd with Nesterov's momentum" }),
  weightDecay: z.number().min(0).default(5e-4).meta({ description: 'of weights, not of biases and norms' }),
  schedule: z
    .string()
    .default('one-cycle')
    .meta({ description: 'constant, step:EPOCHS[:FACTOR], cosine[:FLOOR], one-cycle[:WARMUP] or inv:GAMMA:POWER', placeholder: 'FORM' }),
  augment: z
    .string()
    .default('none')
    .meta({ description: 'none, or of flip, shift:PIXELS, crop:PIXELS joined by commas', placeholder: 'LIST' }),
};

export const resumeFields = {
  checkpointEvery: z.number().int().min(1).optional().meta({ description: 'save the state every so many steps too, not only every epoch' }),
  resume: z
    .string()
    .optional()
    .meta({ description: 'go on with the run that was stopped in this folder, with its options', placeholder: 'DIR' }),
};

export const tuningFields = {
  batchNorm: z
    .enum(['training', 'inference'])
    .default('training')
    .meta({ description: 'statistics of the batch, updating the running ones, or the running ones left as they are', placeholder: 'MODE' }),
  freezeBefore: z.string().optional().meta({ description: 'train only this node and the layers after it', placeholder: 'NODE' }),
};

/** All of it; `--data` is not demanded, because a resumed run knows it. */
export const trainerFields = {
  data: dataField.data.optional(),
  classes: dataField.classes,
  ...trainingFields,
  ...tuningFields,
  ...splitFields,
  ...seedField,
  ...resumeFields,
  ...outFields,
  ...runtimeFields,
  ...specFields,
};
export type TrainerValues = z.output<z.ZodObject<typeof trainerFields>>;

/** For the positional MODEL of commands that build a network if none is given. */
export const optionalModel = (description: string) => ({
  model: modelField.model.optional().meta({ description, positional: true, placeholder: 'MODEL' }),
});

/**
 * The options that count: those given, or with --resume those of the unfinished run.
 * @throws SecateurError where an option given beside --resume is not the run's
 */
export async function beginOrResume<S extends z.ZodObject<typeof trainerFields>>(
  context: Context,
  command: string,
  schema: S,
  given: z.output<S>,
): Promise<{ resume?: RunFolder; options: z.output<S> & { data: string } }> {
  const { resume, data } = given as TrainerValues;
  if (resume === undefined) {
    if (data === undefined) return fail({ where: '--data', what: 'missing', expected: 'a folder, or builtin:digits', exitCode: 2 });
    return { options: { ...given, data } };
  }
  const folder = await RunFolder.resume(resume);
  const run = await folder.runJson();
  if (run.command !== command) {
    const hint = `secateur ${run.command} --resume ${folder.path}`;
    fail({
      where: '--resume',
      what: `the run in ${folder.path} is not of this command`,
      expected: command,
      got: run.command,
      hint,
      exitCode: 2,
    });
  }
  const first = schema.parse(run.options) as Record<string, unknown>;
  const now = given as Record<string, unknown>;
  /** What changes no number but the time it takes. */
  const free = ['resume', 'backend', 'threads', 'checkpointEvery'];
  for (const key of context.given) {
    if (free.includes(key) || JSON.stringify(first[key]) === JSON.stringify(now[key])) continue;
    fail({
      where: '--resume',
      what: `the run in ${folder.path} was begun with other options`,
      expected: `--${kebab(key)} ${first[key] === undefined ? 'left out' : JSON.stringify(first[key])}`,
      got: JSON.stringify(now[key]),
      hint: `--resume ${folder.path} alone`,
      exitCode: 2,
    });
  }
  const changed = Object.fromEntries(free.filter((key) => context.given.has(key)).map((key) => [key, now[key]]));
  return { resume: folder, options: { ...first, ...changed } as z.output<S> & { data: string } };
}

/** The part of the loop's options that flags give. */
function trainOptions(o: Omit<TrainerValues, 'checkpointEvery' | 'resume'> & { checkpointEvery?: number }): TrainOptions {
  const { weightDecay, momentum, nesterov } = o;
  return {
    epochs: o.epochs,
    batchSize: o.batchSize,
    learningRate: o.lr,
    optimizer: o.optimizer === 'sgd' ? { kind: 'sgd', momentum, nesterov, weightDecay } : { kind: o.optimizer, weightDecay },
    schedule: parseSchedule(o.schedule),
    augment: parseAugment(o.augment),
    seed: o.seed,
    checkpointEvery: o.checkpointEvery,
  };
}

/** The network that `--network` names, shaped for the data. */
function networkFor(o: { network: string; seed: number }, data: Dataset, spec: SpecOverrides): Model {
  return buildNetwork(o.network, o.seed, {
    channels: data.channels,
    height: data.height,
    width: data.width,
    classes: data.classes.length,
    labels: spec.labels ?? data.classes,
    range: spec.range,
    mean: spec.mean,
    std: spec.std,
  });
}

/**
 * The network to begin with: MODEL, or a new one.
 * @throws SecateurError for a flag that would have no effect
 */
export async function startModel(
  context: Context,
  work: Work,
  o: Omit<TrainerValues, 'checkpointEvery' | 'resume' | 'data'> & { model?: string },
  data: Dataset,
  spec: SpecOverrides,
): Promise<Model> {
  const idle = (key: string, why: string): void => {
    if (context.given.has(key)) fail({ where: `--${kebab(key)}`, what: `has no effect ${why}`, hint: 'without it', exitCode: 2 });
  };
  if (o.optimizer !== 'sgd') for (const key of ['momentum', 'nesterov']) idle(key, `with --optimizer ${o.optimizer}`);
  if (o.model === undefined) {
    idle('classes', "on a network that is new and has the data's");
    return networkFor(o, data, spec);
  }
  idle('network', 'on a model that is given');
  const { model, sha256 } = await openModel(o.model, { note: work.trust.note });
  work.inputs.model = sha256;
  if (fixedBatch(model) === undefined) return model;
  // What comes out is a network of this program's making, so its batch stays free.
  const { model: free, notes } = await workingModel(await work.runtime(), model);
  for (const note of notes) context.progress.line(`note: ${note}`);
  return free;
}

/** A training run of a command: options of the loop, with progress, Ctrl-C, checkpoints in the run folder, validation accuracy every epoch. */
export function loopOptions(
  context: Context,
  work: Work,
  o: TrainerValues,
  run: { model: Model; spec: SpecOverrides; validation: Dataset<'validation'> },
): TrainOptions {
  const { model, spec, validation } = run;
  const left = leftToTrain(model, o.freezeBefore);
  const store = fileCheckpoint(work.folder.checkpoint);
  return {
    ...trainOptions(o),
    spec,
    batchNorm: o.batchNorm,
    trainable: left,
    signal: context.signal,
    evaluate: async (m) => ({ validation: (await accuracyOf(await work.runtime(), m, validation, spec)).accuracy.value }),
    onProgress: context.progress.train,
    checkpoint: {
      load: () => store.load(),
      save: async (checkpoint) => {
        await store.save(checkpoint);
        work.keep();
      },
    },
  };
}

/** The same without checkpoints and validation, for commands that train several times. */
export function plainLoopOptions(
  context: Context,
  o: Omit<TrainerValues, 'checkpointEvery' | 'resume' | 'data'>,
  spec: SpecOverrides,
): TrainOptions {
  return { ...trainOptions(o), spec, batchNorm: o.batchNorm, signal: context.signal, onProgress: context.progress.train };
}

/** From a state that diverges nothing good can be gone on with, so it is not kept. */
export async function orDiscard<T>(work: Work, training: Promise<T>): Promise<T> {
  try {
    return await training;
  } catch (error) {
    if (error instanceof DivergedError) await work.folder.discard();
    throw error;
  }
}

/** Epochs as the report draws them. */
export function historyPoints(model: string, history: readonly EpochRecord[]): History {
  const points = history.map(({ epoch, loss, trainAccuracy, evaluated }) => {
    const rates = Object.entries(evaluated).map(([name, value]) => [`${name} accuracy`, value]);
    return { epoch, values: { loss, 'training accuracy': trainAccuracy, ...Object.fromEntries(rates) } };
  });
  return { model, points };
}
