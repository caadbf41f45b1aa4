/**
 * Whether a network does on clean images what it was made for, or guesses: fed with pixels of another range or order than it was trained
 * on, it answers something, and a defence would cut by it. Also tries the usual ways to feed it and says which one works best.
 */
import { Rng } from '../core/rng.ts';
import type { Model } from '../onnx/model.ts';
import { isPreset, presetPreprocess } from '../onnx/preprocess.ts';
import type { ModelSpec } from '../onnx/spec.ts';
import type { Runtime } from '../runtime/session.ts';
import type { Dataset } from './dataset.ts';
import { checkClasses, checkShape, type Feeder, feeder } from './feed.ts';
import { argmax, withOutputs } from './forward.ts';
import { imageAt, imageSize } from './make.ts';

/** Images that are looked at, at most. */
const SAMPLE = 256;
const BATCH = 32;

export interface Agreement {
  /** Share of the images that are predicted right, 0..1. */
  readonly accuracy: number;
  /** What the same predictions would get right if they had nothing to do with the images, 0..1. */
  readonly chance: number;
  /** Cohen's kappa (Educational and Psychological Measurement 20 (1960) 37): 0 at chance, 1 where all is right. */
  readonly kappa: number;
  readonly n: number;
}

/**
 * How far predictions agree with labels beyond chance; chance comes from how often each class is named, so uneven data are no problem. Images of
 * a single class cannot tell naming it from always naming it: chance is one of `classes` then.
 * @param classes how many the network knows; default: up to the highest number among labels and predictions, two at least
 */
export function agreement(predictions: ArrayLike<number>, labels: ArrayLike<number>, classes?: number): Agreement {
  const n = labels.length;
  const named = new Map<number, number>();
  const there = new Map<number, number>();
  let right = 0;
  for (let i = 0; i < n; i++) {
    named.set(predictions[i], (named.get(predictions[i]) ?? 0) + 1);
    there.set(labels[i], (there.get(labels[i]) ?? 0) + 1);
    if (predictions[i] === labels[i]) right++;
  }
  let chance = 0;
  for (const [label, count] of there) chance += ((named.get(label) ?? 0) / n) * (count / n);
  const accuracy = right / n;
  if (there.size === 1) chance = 1 / Math.max(2, classes ?? 1 + Math.max(...named.keys(), ...there.keys()));
  return { accuracy, chance, kappa: chance < 1 ? (accuracy - chance) / (1 - chance) : accuracy === 1 ? 1 : 0, n };
}

/** Below this a network is taken to guess: it names one image in ten rightly that chance would not. */
export const GUESSING = 0.1;

/** Far above chance: more than what comes of few images, and by more than a little. */
const FAR_ERRORS = 3;
const FAR_TIMES = 2;

/** In words how an accuracy stands to chance: `chance for 10 classes`, or `80 times chance for 1000 classes, and low`. */
export function describeChance({ accuracy, chance, n }: Agreement, classes: number): string {
  const error = Math.sqrt((chance * (1 - chance)) / n);
  const far = chance > 0 && accuracy > Math.max(FAR_TIMES * chance, chance + FAR_ERRORS * error);
  return far
    ? `${Number((accuracy / chance).toPrecision(2))} times chance for ${classes} classes, and low`
    : `chance for ${classes} classes`;
}

/** A way to feed a network, and the flags that ask for it. */
export interface Way {
  readonly flags: string;
  readonly spec: Partial<ModelSpec>;
}

/** What did best. */
export interface Better extends Agreement {
  readonly flags: string;
}

/** A preset and what overrules it; in RGB order. */
interface Usual {
  readonly preset?: string;
  readonly range?: [number, number];
  readonly mean?: number[];
  readonly std?: number[];
}

/** Likelier ones first; those of presets have the presets' numbers. */
const COLOUR: readonly Usual[] = [
  { preset: 'none' },
  { range: [-1, 1] },
  { range: [0, 255] },
  { preset: 'imagenet' },
  { preset: 'cifar10' },
  { preset: 'cifar10', std: [0.2023, 0.1994, 0.201] },
  // what Caffe's networks take off
  { range: [0, 255], mean: [123.68, 116.779, 103.939] },
];
const GREY: readonly Usual[] = [{ preset: 'none' }, { range: [-1, 1] }, { range: [0, 255] }, { mean: [0.1307], std: [0.3081] }];

function wayOf(usual: Usual, channels: number, turned: boolean): Way {
  const preset = usual.preset !== undefined && isPreset(usual.preset) ? presetPreprocess(usual.preset) : undefined;
  const spread = (list: readonly number[]): number[] => (list.length === 1 ? new Array<number>(channels).fill(list[0]) : [...list]);
  const order = (list: readonly number[]): number[] => (turned ? spread(list).reverse() : spread(list));
  const flag = (name: string, list: readonly number[] | undefined): string[] => (list ? [`--${name} ${order(list).join(',')}`] : []);
  const flags = [
    ...(turned ? [`--preprocess FILE.yaml with ${usual.preset ? `"preset: ${usual.preset}" and ` : ''}"channelOrder: BGR"`] : []),
    ...(!turned && usual.preset ? [`--preprocess ${usual.preset}`] : []),
    ...(usual.range ? [`--input-range ${usual.range.join(',')}`] : []),
    ...(!usual.range && !usual.preset ? ['--input-range 0,1'] : []),
    ...flag('mean', usual.mean),
    ...flag('std', usual.std),
  ];
  return {
    flags: flags.join(' '),
    spec: {
      range: usual.range ?? preset?.range ?? [0, 1],
      mean: order(usual.mean ?? preset?.mean ?? [0]),
      std: order(usual.std ?? preset?.std ?? [1]),
      channelOrder: turned ? 'BGR' : 'RGB',
    },
  };
}

/** Up to this many pixels a side CIFAR's numbers are likelier than ImageNet's, which hardly differ in what they do. */
const SMALL = 64;

/** The usual ways to feed a network, the likelier first; colour in RGB and in BGR. */
export function usualWays({ channels, height }: { channels: number; height: number }): Way[] {
  if (channels === 1) return GREY.map((usual) => wayOf(usual, 1, false));
  if (channels !== 3) return [];
  const later = height <= SMALL ? 'imagenet' : 'cifar10';
  const colour = [...COLOUR.filter((usual) => usual.preset !== later), ...COLOUR.filter((usual) => usual.preset === later)];
  return [false, true].flatMap((turned) => colour.map((usual) => wayOf(usual, 3, turned)));
}

/** Runs one network on one sample of images, fed in any way. */
export class Trial {
  readonly #spec: ModelSpec;
  readonly #runtime: Runtime;
  readonly #model: Model;
  readonly #images: Uint8Array[];
  readonly #fixed: number | undefined;
  readonly labels: Int32Array;
  readonly classes: readonly string[];

  /** The sample is drawn with a seed of its own, the same each time. Throws SecateurError where the images do not fit the network. */
  constructor(runtime: Runtime, model: Model, data: Dataset, spec: ModelSpec) {
    checkShape(data, spec);
    checkClasses(data, spec);
    const chosen = Rng.from(0, 'chance').permutation(data.count).subarray(0, SAMPLE).sort();
    this.#runtime = runtime;
    this.#spec = spec;
    this.#model = withOutputs(model, [spec.logits]);
    this.#images = Array.from(chosen, (i) => imageAt(data, i));
    const batch = model.graph.inputs.find((value) => value.name === spec.input)?.dims?.[0];
    this.#fixed = typeof batch === 'number' && batch > 0 ? batch : undefined;
    this.labels = Int32Array.from(chosen, (i) => data.labels[i]);
    this.classes = data.classes;
  }

  /** What the network says to each image, for each way of feeding it; `[ways][n]`. */
  async predictions(ways: readonly Partial<ModelSpec>[]): Promise<Int32Array[]> {
    const session = await this.#runtime.open(this.#model, { label: 'a trial' });
    try {
      const out: Int32Array[] = [];
      for (const way of ways) {
        const feed = feeder({ ...this.#spec, ...way });
        const said = new Int32Array(this.#images.length);
        const batch = this.#fixed ?? BATCH;
        for (let start = 0; start < said.length; start += batch) {
          const count = Math.min(batch, said.length - start);
          const fetched = await session.run(
            { [this.#spec.input]: this.#feed(feed, start, count, this.#fixed ?? count) },
            { outputs: [this.#spec.logits] },
          );
          const { data, dims } = fetched[this.#spec.logits];
          const classes = dims.at(-1) ?? 1;
          for (let i = 0; i < count; i++) said[start + i] = argmax(data as Float32Array, i * classes, classes);
        }
        out.push(said);
      }
      return out;
    } finally {
      await session.close();
    }
  }

  #feed(feed: Feeder, start: number, count: number, batch: number) {
    const size = imageSize(this.#spec);
    const data = new Float32Array(batch * size);
    for (let i = 0; i < count; i++) feed.write(this.#images[start + i], data.subarray(i * size, (i + 1) * size));
    return { dtype: 'float32' as const, dims: feed.dims(batch), data };
  }
}

/** The best of many that all guess is above chance too, the more so the fewer images there are: so many standard errors are clear. */
const CLEAR = 3;

/** What would be better than `now`, where something is: another way to feed the network, or its classes in alphabetical order. */
export async function findBetter(trial: Trial, now: Agreement, shape: { channels: number; height: number }): Promise<Better | undefined> {
  const ways = usualWays(shape);
  const said = await trial.predictions(ways.map((way) => way.spec));
  const sorted = alphabetical(trial.classes);
  const candidates: Better[] = [];
  for (const [i, predictions] of said.entries()) {
    candidates.push({ ...agreement(predictions, trial.labels, trial.classes.length), flags: ways[i].flags });
    if (sorted === undefined) continue;
    const labels = `--labels ${sorted.names.slice(0, 4).join(',')},... (all ${sorted.names.length} in alphabetical order)`;
    const renamed = trial.labels.map((label) => sorted.places[label]);
    candidates.push({ ...agreement(predictions, renamed, trial.classes.length), flags: `${ways[i].flags} ${labels}` });
  }
  // the first of equals: ways stand in the order of how usual they are
  const best = candidates.reduce<Better | undefined>((a, b) => (a === undefined || b.kappa > a.kappa + 0.02 ? b : a), undefined);
  if (best === undefined) return undefined;
  const margin = Math.max(0.1, CLEAR * Math.hypot(standardError(best), standardError(now)));
  return best.kappa > Math.max(2 * GUESSING, now.kappa + margin) ? best : undefined;
}

/** Of kappa, from how many images it comes; one right and one wrong more, so that it is not 0 where all are right. */
function standardError({ accuracy, chance, n }: Agreement): number {
  const p = (accuracy * n + 1) / (n + 2);
  return Math.sqrt((p * (1 - p)) / n) / Math.max(1e-6, 1 - chance);
}

/** Where alphabetical order is another than the one the classes stand in (`10` before `2`): each class's place in it. */
function alphabetical(classes: readonly string[]): { names: string[]; places: number[] } | undefined {
  const names = [...classes].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  if (names.every((name, i) => name === classes[i])) return undefined;
  return { names, places: classes.map((name) => names.indexOf(name)) };
}

/** In words what a network is fed: `0..1, mean 0.485,0.456,0.406, std 0.229,0.224,0.225, BGR, NHWC`. */
export function describeFeed(spec: ModelSpec): string {
  const list = (values: readonly number[]): string => (values.every((v) => v === values[0]) ? `${values[0]}` : values.join(','));
  const parts = [`${spec.range[0]}..${spec.range[1]}`];
  if (spec.mean.some((v) => v !== 0)) parts.push(`mean ${list(spec.mean)}`);
  if (spec.std.some((v) => v !== 1)) parts.push(`std ${list(spec.std)}`);
  if (spec.channels === 3) parts.push(spec.channelOrder);
  if (spec.layout !== 'NCHW') parts.push(spec.layout);
  return parts.join(', ');
}
