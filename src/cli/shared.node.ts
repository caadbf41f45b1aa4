/** Flags that several commands have, and what they mean. */
import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { z } from 'zod';
import { fail, SecateurError } from '../core/errors.ts';
import { type ClassMatching, matchClasses } from '../data/classes.ts';
import type { Dataset, Role } from '../data/dataset.ts';
import type { Fit } from '../data/fit.ts';
import { DATA_KINDS, type LoadedData, loadData } from '../data/load.node.ts';
import { subset } from '../data/make.ts';
import { split } from '../data/split.ts';
import { hashModel, loadModel } from '../onnx/file.node.ts';
import { type Limits, TRUSTED, UNTRUSTED } from '../onnx/limits.ts';
import type { Model } from '../onnx/model.ts';
import { preparedSize } from '../onnx/preprocess.ts';
import { readSpec } from '../onnx/spec.ts';
import { openRuntime } from '../runtime/open.node.ts';
import { SANDBOX_DEFAULTS, type SandboxLimits } from '../runtime/sandbox.node.ts';
import type { Runtime } from '../runtime/session.ts';
import type { Context } from './command.node.ts';
import { kebab } from './options.node.ts';
import { type SpecValues, specOverrides } from './preprocess.node.ts';
import { version } from './run.node.ts';
import { madeFromThese } from './seen.node.ts';

export const modelField = {
  model: z
    .string()
    .meta({ description: 'the network: an ONNX file, or the name of a model in models.lock', positional: true, placeholder: 'MODEL' }),
};

export { specFields, specOverrides } from './preprocess.node.ts';

export const dataField = {
  data: z.string().meta({ description: DATA_KINDS, placeholder: 'URI' }),
  classes: z.enum(['auto', 'name', 'order']).default('auto').meta({
    description:
      "how the data's classes become the network's: by name where the names agree, else in order, unless a name stands at another place, which is said (auto); or always one of them",
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
  groupBy: z.string().optional().meta({
    description:
      "column of the data's table (track, person, ...) or several joined by commas, or prefix of the files' names: images that have it in common stay together; none parts them",
    placeholder: 'COLUMN',
  }),
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
export interface Trust {
  readonly trusted?: boolean;
  readonly untrusted?: boolean;
  readonly memoryLimit?: number;
  readonly timeLimit?: number;
  /** Told who vouches for a model that is named by its name in models.lock. */
  readonly note?: (text: string) => void;
}

const isUntrusted = (o: Trust): boolean => o.untrusted ?? o.trusted === false;

/**
 * Limits are kept by the process that an untrusted model runs in; where there is none they would do nothing.
 * @throws SecateurError (exit code 2) where one was asked for all the same
 */
export function refuseIdleLimits({ given }: Pick<Context, 'given'>, o: Trust): void {
  const idle = isUntrusted(o) ? undefined : (['memoryLimit', 'timeLimit'] as const).find((key) => given.has(key));
  if (idle === undefined) return;
  const hint = o.trusted === true ? 'the same without --trusted' : '--untrusted as well';
  fail({ where: `--${kebab(idle)}`, what: 'has no effect on a trusted model', hint, exitCode: 2 });
}

function sandboxOf(o: Trust): Partial<SandboxLimits> | undefined {
  return isUntrusted(o) ? { memoryMB: o.memoryLimit, seconds: o.timeLimit } : undefined;
}

/** What the file itself may ask of the reader. */
export const readingLimits = (o: Trust): Limits => (isUntrusted(o) ? UNTRUSTED : TRUSTED);

/**
 * Reads a model's file, or the model of that name in models.lock; it may ask as much of the reader as the flags allow.
 * @throws SecateurError as `loadModel` does; where the file is refused for having more parts than a stranger's may, with the flag that lifts this
 */
export async function readModelFile(path: string, o: Trust = {}): Promise<Model> {
  return (await readAny(path, o)).model;
}

async function readAny(path: string, o: Trust): Promise<{ model: Model; sha256?: string }> {
  try {
    const isFile = isPlainFile(path);
    if (isFile && /\.onnx$/i.test(path)) return { model: await loadModel(path, readingLimits(o)) };
    const { findNamed, isNamed, openNamed } = await import('./by-name.node.ts');
    if (isFile) {
      const told = `${path} is a file here and is read as it is; the model of that name in models.lock is another (${path}#FILE)`;
      if (await isNamed(path)) o.note?.(told);
      return { model: await loadModel(path, readingLimits(o)) };
    }
    const named = await findNamed(path);
    if (named === undefined) return { model: await loadModel(path, readingLimits(o)) };
    return await openNamed(named, readingLimits(o), o.note ?? (() => {}));
  } catch (error) {
    if (!isUntrusted(o) || !(error instanceof SecateurError && error.parts.what === 'too many parts')) throw error;
    const flag = o.untrusted === true ? 'the same without --untrusted' : '--trusted';
    throw new SecateurError({ ...error.parts, hint: `${flag}, if you know where the file is from` });
  }
}

export const seedField = {
  seed: z.number().int().min(0).default(1).meta({ description: 'all randomness comes from it: same seed, same machine, same result' }),
};

export const outFields = {
  out: z.string().optional().meta({ description: 'run folder to write; default: the next free one in runs/', placeholder: 'DIR' }),
  force: z.boolean().default(false).meta({ description: 'replace what is at --out' }),
};

type Values<F extends z.ZodRawShape> = z.output<z.ZodObject<F>>;

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
  refuseIdleLimits(context, o);
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

interface Loading extends SpecValues {
  readonly data: string;
  readonly classes?: ClassMatching;
  readonly validation?: number | 'all';
  readonly splitSeed?: number;
  readonly groupBy?: string;
}

/** Who loads: notes go to the progress lines, and images are made to fit the network where there is one. */
export interface Loader {
  readonly context: Pick<Context, 'progress'>;
  /** The network in memory, or its file. */
  readonly model?: Model | string;
  /** The network will be given the classes of the data, whatever it has now. */
  readonly newClasses?: boolean;
}

/** For those who train: what is left when the defender's images are held out. */
export async function loadParts(o: Loading, loader: Loader): Promise<Parts> {
  const { train, test } = await loadTraining(o, loader);
  return { ...split(train, { validation: heldOut(o) }, o.splitSeed ?? 0, teller(loader)), test };
}

/** For attackers who tune: the same, and images of the attacker's own taken out of what is left. */
export async function loadAttackerParts(
  o: Loading & { tune: number },
  loader: Loader,
): Promise<Parts & { readonly tune: Dataset<'tune'> }> {
  const { train, test } = await loadTraining(o, loader);
  return { ...split(train, { validation: heldOut(o), tune: o.tune }, o.splitSeed ?? 0, teller(loader)), test };
}

const teller =
  ({ context }: Loader) =>
  (text: string): void =>
    context.progress.line(`note: ${text}`);

/** The data as the network takes them: of its size, with its classes. */
async function load(o: Loading, loader: Loader): Promise<LoadedData> {
  const { model, newClasses } = loader;
  const note = teller(loader);
  const overrides = specOverrides(o);
  const network = typeof model === 'string' ? await readModelFile(model) : model;
  // labels named by flags are then those of the data
  const spec = network && readSpec(network, newClasses ? { ...overrides, labels: undefined } : overrides);
  const size = preparedSize(overrides.preprocess ?? undefined);
  const without: Fit | undefined = overrides.preprocess
    ? { preprocess: overrides.preprocess, ...(size && { height: size[0], width: size[1] }) }
    : undefined;
  const { groupBy } = o;
  const raw = await loadData(o.data, {
    classes: o.labels ?? (newClasses ? undefined : spec?.labels),
    fit: spec ?? without,
    note,
    ...(groupBy && { groupBy }),
  });
  if (spec === undefined || newClasses) return raw;
  const match = <R extends Role>(data: Dataset<R>, tell: (text: string) => void): Dataset<R> =>
    matchClasses(data, spec.labels, o.classes, tell);
  const out: LoadedData = { ...raw };
  if (raw.train) out.train = match(raw.train, note);
  if (raw.test) out.test = match(raw.test, raw.train ? () => {} : note);
  return out;
}

async function loadTraining(o: Loading, loader: Loader): Promise<{ train: Dataset<'train'>; test?: Dataset<'test'> }> {
  const { train, test } = await load(o, loader);
  return train ? { train, test } : missing(o.data, 'training');
}

function heldOut({ validation = 0.1 }: Loading): number {
  if (validation !== 'all') return validation;
  const what = 'nothing would be left to train on';
  return fail({ where: '--validation', what, expected: 'a share below 1 or a number', got: 'all', exitCode: 2 });
}

/** For those who defend: the clean validation images and nothing else. */
export async function loadValidation(o: Loading, loader: Loader): Promise<Dataset<'validation'>> {
  const { train } = await loadTraining(o, loader);
  if (o.validation !== 'all') return split(train, { validation: heldOut(o) }, o.splitSeed ?? 0, teller(loader)).validation;
  return subset(
    train,
    Int32Array.from({ length: train.count }, (_, i) => i),
    'validation',
  );
}

export interface TestImages {
  readonly data: Dataset<'test'>;
  /** What has to stand beside every number that is measured on them. */
  readonly notes: readonly string[];
}

/** For those who judge. Data that have no parts are all test images; that is said, because a defence may have seen them. */
export async function loadTest(o: Loading & { readonly model: string }, loader: Loader): Promise<TestImages> {
  const { train, test, undivided } = await load(o, loader);
  if (test !== undefined) return { data: test, notes: [] };
  if (train === undefined || !undivided) return missing(o.data, 'test');
  const all = Int32Array.from({ length: train.count }, (_, i) => i);
  const data = subset(train, all, 'test') as Dataset<'test'>;
  const note = `The data have no test part: all ${train.count} images are taken for test images.`;
  const seen = await madeFromThese(o.model, o.data, data);
  return { data, notes: seen === undefined ? [note] : [note, seen] };
}

function missing(uri: string, what: 'training' | 'test'): never {
  const expected =
    what === 'test'
      ? 't10k-images-idx3-ubyte and its labels, test_batch.bin, x_test and y_test, or a folder test/ with one sub-folder a class'
      : 'train-images-idx3-ubyte and its labels, data_batch_1.bin, x_train and y_train, or one sub-folder of pictures a class';
  return fail({ where: `data: ${uri}`, what: `no ${what} images`, expected });
}

/** Reads a model, by its path or by its name in models.lock, with what it is made of for run.json. */
export async function openModel(path: string, o: Trust = {}): Promise<{ model: Model; sha256: string }> {
  const { model, sha256 } = await readAny(path, o);
  return { model, sha256: sha256 ?? (await hashModel(path, model)) };
}

/** True also where the path cannot be looked at: the reader says why. */
function isPlainFile(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  } catch {
    return true;
  }
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
