/** `secateur train`: an honest network, from one of ours or from any ONNX classifier. */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import type { Dataset } from '../data/dataset.ts';
import type { Cell, Table } from '../evaluate/result.ts';
import { trainableFrom } from '../grad/freeze.ts';
import type { Model } from '../onnx/model.ts';
import type { ModelSpec } from '../onnx/spec.ts';
import type { History } from '../report/media.ts';
import { parseAugment } from '../train/augment.ts';
import { fileCheckpoint } from '../train/checkpoint.node.ts';
import type { EpochRecord } from '../train/checkpoint.ts';
import { DivergedError, train as runTraining } from '../train/loop.ts';
import { buildNetwork, networks } from '../train/networks/registry.ts';
import type { TrainOptions } from '../train/options.ts';
import { parseSchedule } from '../train/schedule.ts';
import { accuracyOf } from './accuracy.node.ts';
import { type Context, defineCommand } from './command.node.ts';
import { percent } from './output.node.ts';
import { RunFolder } from './run-folder.node.ts';
import {
  dataField,
  loadParts,
  modelField,
  openModel,
  outFields,
  runtimeFields,
  seedField,
  specFields,
  specOverrides,
  splitFields,
} from './shared.node.ts';
import { type Findings, inRunFolder, type Work } from './work.node.ts';

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

type TrainingValues = z.output<z.ZodObject<typeof trainingFields>>;

/** The part of the loop's options that flags give. */
export function trainOptions(o: TrainingValues & { seed: number; checkpointEvery?: number }): TrainOptions {
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
export function networkFor(o: { network: string; seed: number }, data: Dataset, spec: Partial<ModelSpec>): Model {
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

const options = z.object({
  model: modelField.model
    .optional()
    .meta({ description: 'train this network further instead of a new one', positional: true, placeholder: 'MODEL' }),
  data: dataField.data.optional(),
  ...trainingFields,
  ...tuningFields,
  ...splitFields,
  ...seedField,
  ...resumeFields,
  ...outFields,
  ...runtimeFields,
  ...specFields,
});
type Options = z.output<typeof options>;

export const train = defineCommand({
  name: 'train',
  description:
    "Trains on the training images without the defender's, and measures clean accuracy on the test images where there are any. Ctrl-C keeps the state; --resume goes on and ends with the same weights.",
  examples: [
    ['secateur train --data builtin:digits --epochs 3', "the paper's CNN on built-in digits"],
    ['secateur train --data mnist/ --out runs/clean --checkpoint-every 100', 'may be killed at any time'],
    ['secateur train --resume runs/clean', 'goes on with it'],
    ['secateur train mine.onnx --data images/ --lr 0.001 --input-range -1,1', 'any ONNX classifier, further'],
  ],
  options,
  async run(context, given) {
    const { resume, options: o } = await begin(context, given);
    return inRunFolder(context, { command: 'train', options: o, tune: true, resume }, (work) => perform(context, work, o));
  },
});

/** The folder to go on with, if any, and the options that count. */
async function begin(context: Context, given: Options): Promise<{ resume?: RunFolder; options: Options & { data: string } }> {
  if (given.resume === undefined) {
    const { data } = given;
    if (data === undefined) return fail({ where: '--data', what: 'missing', expected: 'a folder, or builtin:digits', exitCode: 2 });
    return { options: { ...given, data } };
  }
  const folder = await RunFolder.resume(given.resume);
  const { options: saved } = await folder.runJson();
  const first = options.parse(saved) as Options & { data: string };
  /** What changes no number but the time it takes. */
  const free = ['resume', 'backend', 'threads', 'checkpointEvery'];
  for (const key of context.given) {
    const [was, now] = [first, given].map((o) => JSON.stringify(o[key as keyof Options]));
    if (free.includes(key) || was === now) continue;
    fail({
      where: '--resume',
      what: `the run in ${folder.path} was begun with other options`,
      expected: `${key} ${was}`,
      got: String(now),
      hint: `--resume ${folder.path} alone`,
      exitCode: 2,
    });
  }
  const changed = Object.fromEntries(free.filter((key) => context.given.has(key)).map((key) => [key, given[key as keyof Options]]));
  return { resume: folder, options: { ...first, ...changed } };
}

async function perform(context: Context, work: Work, o: Options & { data: string }): Promise<Findings> {
  const { runtime, folder, inputs } = work;
  const settings = trainOptions(o);
  const spec = specOverrides(o);
  const parts = await work.step('reading data', () => loadParts(o));
  inputs.data = parts.train.sha256;
  const source = o.model === undefined ? undefined : await openModel(o.model);
  if (source) inputs.model = source.sha256;
  const model = source?.model ?? networkFor(o, parts.train, spec);
  const left = o.freezeBefore === undefined ? undefined : trainableFrom(model, o.freezeBefore);
  const store = fileCheckpoint(folder.checkpoint);
  const training = work.step('training', () =>
    runTraining(runtime, model, parts.train, {
      ...settings,
      spec,
      batchNorm: o.batchNorm,
      trainable: left && ((name) => left.has(name)),
      signal: context.signal,
      evaluate: async (m) => ({ validation: (await accuracyOf(runtime, m, parts.validation, spec)).accuracy.value }),
      onProgress: context.progress.train,
      checkpoint: {
        load: () => store.load(),
        save: async (checkpoint) => {
          await store.save(checkpoint);
          work.keep();
        },
      },
    }),
  );
  const { model: trained, history } = await training.catch(async (error: unknown) => {
    // from a state that diverges nothing good can be gone on with
    if (error instanceof DivergedError) await folder.discard();
    throw error;
  });
  const judged = parts.test ?? parts.validation;
  const { accuracy, perClass } = await work.step('evaluating', () => accuracyOf(runtime, trained, judged, spec));
  const byClass = perClass.map((rate, i): Cell => ({ row: judged.classes[i], column: 'clean accuracy', ...rate }));
  const table: Table = {
    name: `${judged.role} images`,
    unit: 'rate',
    cells: [...byClass.filter((cell) => cell.n !== 0), { row: 'all', column: 'clean accuracy', ...accuracy }],
  };
  return {
    line: `clean ${percent(accuracy.value, 1)}  seed ${o.seed}`,
    tables: [table],
    model: trained,
    metrics: history,
    media: { title: 'Training', histories: [historyPoints('model', history)] },
  };
}

/** Epochs as the report draws them. */
export function historyPoints(model: string, history: readonly EpochRecord[]): History {
  const points = history.map(({ epoch, loss, trainAccuracy, evaluated }) => {
    const rates = Object.entries(evaluated).map(([name, value]) => [`${name} accuracy`, value]);
    return { epoch, values: { loss, 'training accuracy': trainAccuracy, ...Object.fromEntries(rates) } };
  });
  return { model, points };
}
