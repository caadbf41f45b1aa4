/** Flags that several commands have, and what they mean. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import type { Dataset } from '../data/dataset.ts';
import { loadData } from '../data/load.node.ts';
import { subset } from '../data/make.ts';
import { split } from '../data/split.ts';
import { loadModel } from '../onnx/file.node.ts';
import type { Model } from '../onnx/model.ts';
import type { ModelSpec } from '../onnx/spec.ts';
import { openRuntime } from '../runtime/open.node.ts';
import { SANDBOX_DEFAULTS, type SandboxLimits } from '../runtime/sandbox.node.ts';
import type { Runtime } from '../runtime/session.ts';
import type { Context } from './command.node.ts';
import { version } from './run.node.ts';

export const modelField = {
  model: z.string().meta({ description: 'the network, an ONNX file', positional: true, placeholder: 'MODEL' }),
};

export const specFields = {
  inputRange: z
    .array(z.number())
    .length(2)
    .optional()
    .meta({ description: 'what pixel 0 and pixel 255 become, for files that do not say: 0,1 or -1,1', placeholder: 'LOW,HIGH' }),
  mean: z.array(z.number()).optional().meta({ description: 'taken off each channel, in units of the input range', placeholder: 'M,..' }),
  std: z.array(z.number()).optional().meta({ description: 'each channel is divided by', placeholder: 'S,..' }),
  labels: z.array(z.string()).optional().meta({ description: 'names of the classes, in the order of the outputs', placeholder: 'A,B,..' }),
};

export const dataField = {
  data: z.string().meta({
    description: 'a folder of IDX files, a folder with one sub-folder of PNG files a class, or builtin:digits',
    placeholder: 'URI',
  }),
};

/** How the defender's clean validation images are taken out of the training data, for the attacker and the defender alike. */
export const splitFields = {
  validation: z
    .union([z.number().positive(), z.literal('all')])
    .default(0.1)
    .meta({
      description:
        "the defender's share (below 1) or number of the training images; nobody trains on them; all: the data is the defender's own",
      placeholder: 'SHARE',
    }),
  splitSeed: z.number().int().min(0).default(0).meta({ description: 'which images those are; attacker and defender must say the same' }),
};

export const runtimeFields = {
  backend: z.enum(['auto', 'native', 'wasm']).default('auto').meta({ description: 'which build of ONNX Runtime', placeholder: 'NAME' }),
  threads: z.number().int().min(1).optional().meta({ description: 'threads of one step; default: all cores' }),
};

const limitFields = {
  memoryLimit: z.number().int().min(64).default(SANDBOX_DEFAULTS.memoryMB).meta({ description: 'MB that an untrusted model may take' }),
  timeLimit: z
    .number()
    .positive()
    .default(SANDBOX_DEFAULTS.seconds)
    .meta({ description: 'seconds that an untrusted model may take to open, and for each run', placeholder: 'SECONDS' }),
};

/** For commands that work on models of whose origin the user can be expected to know. */
export const untrustedFields = {
  untrusted: z.boolean().default(false).meta({ description: 'run the model in a process of its own, with limits: it may be hostile' }),
  ...limitFields,
};

/** For commands that look at files from anywhere. */
export const trustedFields = {
  trusted: z.boolean().default(false).meta({ description: 'run the model in this process, without limits: its author means no harm' }),
  ...limitFields,
};

/** What {@link withRuntime} goes by; commands that have neither flag run models of their own making. */
interface Trust {
  readonly trusted?: boolean;
  readonly untrusted?: boolean;
  readonly memoryLimit?: number;
  readonly timeLimit?: number;
}

function sandboxOf(o: Trust): Partial<SandboxLimits> | undefined {
  if (!(o.untrusted ?? (o.trusted === undefined ? false : !o.trusted))) return undefined;
  return { memoryMB: o.memoryLimit, seconds: o.timeLimit };
}

export const seedField = {
  seed: z.number().int().min(0).default(1).meta({ description: 'all randomness comes from it: same seed, same machine, same result' }),
};

export const outFields = {
  out: z.string().optional().meta({ description: 'run folder to write; default: the next free one in runs/', placeholder: 'DIR' }),
  force: z.boolean().default(false).meta({ description: 'replace what is at --out' }),
};

type Values<F extends z.ZodRawShape> = z.output<z.ZodObject<F>>;

/** What the flags say about a model's input; flags win over the file. */
export function specOverrides(o: Values<typeof specFields>): Partial<ModelSpec> {
  const out: Partial<ModelSpec> = {};
  if (o.inputRange) out.range = [o.inputRange[0], o.inputRange[1]];
  if (o.mean) out.mean = o.mean;
  if (o.std) out.std = o.std;
  if (o.labels) out.labels = o.labels;
  return out;
}

/**
 * Gives `work` a runtime, which is opened when it is first asked for and closed at the end.
 * @param tune for what trains: the forms of the heavy operators are timed once on this machine and remembered
 */
export async function withRuntime<T>(
  context: Context,
  o: Values<typeof runtimeFields> & Trust,
  tune: boolean,
  work: (runtime: () => Promise<Runtime>) => Promise<T>,
): Promise<T> {
  const { progress } = context;
  let measured = false;
  const open = () =>
    openRuntime({
      backend: o.backend,
      threads: o.threads,
      sandbox: sandboxOf(o),
      tune,
      onTune: (message) => {
        if (!measured) progress.line('measuring which forms of the operators are the fastest on this machine (once, then remembered)');
        measured = true;
        progress.passing(message);
      },
      onFallback: (why) => progress.line(`note: ${why} Going on with wasm, which is several times slower.`),
    });
  let opened: ReturnType<typeof open> | undefined;
  try {
    return await work(() => {
      opened ??= open();
      return opened;
    });
  } finally {
    await opened?.then((runtime) => runtime.dispose()).catch(() => {});
  }
}

export interface Parts {
  /** Without the defender's images. */
  readonly train: Dataset<'train'>;
  /** The defender's. */
  readonly validation: Dataset<'validation'>;
  readonly test?: Dataset<'test'>;
}

type Loading = Values<typeof dataField & typeof splitFields> & { labels?: string[] };

/** For those who train: what is left when the defender's images are held out. */
export async function loadParts(o: Loading): Promise<Parts> {
  const { train, test } = await loadTraining(o);
  return { ...split(train, { validation: heldOut(o) }, o.splitSeed), test };
}

/** For attackers who tune: the same, and images of the attacker's own taken out of what is left. */
export async function loadAttackerParts(o: Loading & { tune: number }): Promise<Parts & { readonly tune: Dataset<'tune'> }> {
  const { train, test } = await loadTraining(o);
  return { ...split(train, { validation: heldOut(o), tune: o.tune }, o.splitSeed), test };
}

async function loadTraining(o: Loading): Promise<{ train: Dataset<'train'>; test?: Dataset<'test'> }> {
  const { train, test } = await loadData(o.data, { classes: o.labels });
  return train ? { train, test } : missing(o.data, 'training');
}

function heldOut({ validation }: Loading): number {
  if (validation !== 'all') return validation;
  const what = 'nothing would be left to train on';
  return fail({ where: '--validation', what, expected: 'a share below 1 or a number', got: 'all', exitCode: 2 });
}

/** For those who defend: the clean validation images and nothing else. */
export async function loadValidation(o: Loading): Promise<Dataset<'validation'>> {
  const { train } = await loadTraining(o);
  if (o.validation !== 'all') return split(train, { validation: o.validation }, o.splitSeed).validation;
  return subset(
    train,
    Int32Array.from({ length: train.count }, (_, i) => i),
    'validation',
  );
}

/** For those who judge. */
export async function loadTest(o: Values<typeof dataField> & { labels?: string[] }): Promise<Dataset<'test'>> {
  const { test } = await loadData(o.data, { classes: o.labels });
  return test ?? missing(o.data, 'test');
}

function missing(uri: string, what: 'training' | 'test'): never {
  const expected =
    what === 'test'
      ? 't10k-images-idx3-ubyte and its labels, or a folder test/ with one sub-folder a class'
      : 'train-images-idx3-ubyte and its labels, or one sub-folder of PNG files a class';
  return fail({ where: `data: ${uri}`, what: `no ${what} images`, expected });
}

/** Reads a model, with what it is made of for run.json. */
export async function openModel(path: string): Promise<{ model: Model; sha256: string }> {
  const { sha256File } = await import('../core/hash.node.ts');
  return { model: await loadModel(path), sha256: await sha256File(path) };
}

/** Versions of all that has a part in the numbers. */
export function versions(): Record<string, string> {
  const require = createRequire(import.meta.url);
  const of = (name: string): string => {
    try {
      // the packages export no package.json, so it is looked for above the entry point
      const folder = require.resolve(name).replace(/([/\\]node_modules[/\\](?:@[^/\\]+[/\\])?[^/\\]+)[/\\].*$/, '$1');
      return (JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as { version: string }).version;
    } catch {
      return 'not installed';
    }
  };
  return {
    secateur: version(),
    node: process.versions.node,
    'onnxruntime-node': of('onnxruntime-node'),
    'onnxruntime-web': of('onnxruntime-web'),
  };
}
