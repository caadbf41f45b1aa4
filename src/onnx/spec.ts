/**
 * What a classifier file says of itself: which value takes the images, which gives the logits, and how a pixel becomes an input.
 * It stands in `metadata_props` under `secateur.*`; flags fill in or overrule it; names and sizes come from the graph where neither speaks.
 */
import { fail } from '../core/errors.ts';
import { producers } from './edit.ts';
import { imageInput, ownShape } from './image-input.ts';
import type { Model, ValueInfo } from './model.ts';
import type { ChannelOrder, Layout, Preparation } from './preprocess.ts';

/**
 * How images go into a network and classes come out. The network is fed, for a pixel byte 0..255 of its channel c:
 * `((pixel / 255) * (range[1] - range[0]) + range[0] - mean[c]) / std[c]`.
 */
export interface ModelSpec {
  /** Name of the graph input, float32. */
  input: string;
  /** `[N,C,H,W]`, `[N,H,W,C]`, or the numbers of `[C,H,W]` in another shape. */
  layout: Layout;
  /** Sizes of the input after the batch, as it is fed: `[3,32,32]`, `[30,30,3]`, `[784,1]`. */
  dims: number[];
  /** Which colour the network's first channel is, where it has three; data sets are RGB. */
  channelOrder: ChannelOrder;
  /** How pictures of another size become what the network takes. */
  preprocess?: Preparation;
  /** Name of the value that holds the class scores before any softmax, `[N,K]`. It need not be a graph output. */
  logits: string;
  channels: number;
  height: number;
  width: number;
  /** What pixel bytes 0 and 255 become before mean and std. */
  range: [number, number];
  /** Per channel of the input, in units of `range`. */
  mean: number[];
  /** Per channel of the input, above 0. */
  std: number[];
  /** One name a class, in the order of the logits. */
  labels: string[];
  /** Which network it is, for reports. */
  name?: string;
}

/** What flags say about a model's input. */
export interface SpecOverrides extends Partial<Omit<ModelSpec, 'dims' | 'preprocess'>> {
  /** null: pictures are neither resized nor cropped, whatever the file says. */
  preprocess?: Preparation | null;
  /** The sizes of `preprocess` are a preset's: they follow a network that takes another size. */
  sizesFollow?: boolean;
  /** Which flag or file a value comes from, for errors, where it is not the flag of its name. */
  from?: Partial<Record<keyof ModelSpec, string>>;
}

/** A spec without what is `NCHW` and `RGB`, or in the graph anyway. */
export type WritableSpec = Omit<ModelSpec, 'dims' | 'layout' | 'channelOrder'> & Partial<Pick<ModelSpec, 'layout' | 'channelOrder'>>;

const PREFIX = 'secateur.';

/**
 * The spec of a model. `overrides` (from flags) come first, then the file's metadata, then the graph.
 * Throws SecateurError where something is missing or does not fit, naming the flag that would give it.
 */
export function readSpec(model: Model, overrides: SpecOverrides = {}): ModelSpec {
  const text = (key: keyof ModelSpec): string | undefined => model.metadata.get(PREFIX + key);
  const input = overrides.input ?? text('input') ?? onlyInput(model);
  const info = model.graph.inputs.find((i) => i.name === input);
  if (info === undefined) {
    fail({ where: 'model', what: `no input "${input}"`, expected: `one of ${quoted(trueInputs(model).map((i) => i.name))}` });
  }
  const { channels, height, width, layout, dims, preprocess } = imageInput(model, info, overrides);
  const logits = overrides.logits ?? text('logits') ?? defaultLogits(model);
  const perChannel = (key: 'mean' | 'std', otherwise: number): number[] => {
    const list = overrides[key] ?? parseNumbers(key, text(key)) ?? [otherwise];
    const spread = list.length === 1 ? new Array<number>(channels).fill(list[0]) : list;
    const good = spread.length === channels && spread.every((v) => Number.isFinite(v) && (key === 'mean' || v > 0));
    const count = channels === 1 ? '1 number' : `1 or ${channels} numbers`;
    if (!good) badValue(key, overrides, `${count}${key === 'std' ? ' above 0' : ''}, one a channel`, list.join(','));
    return spread;
  };
  if (['range', 'mean', 'std'].every((key) => overrides[key as 'mean'] === undefined && text(key as 'mean') === undefined)) {
    fail({
      where: 'model',
      what: 'nothing says how pixels become inputs of this network',
      expected: `${PREFIX}range, ${PREFIX}mean and ${PREFIX}std in the metadata of the file`,
      got: 'none of them',
      hint: '--preprocess imagenet, cifar10, mnist, none (0..1) or FILE.yaml, or --input-range, --mean and --std',
    });
  }
  const range = overrides.range ?? parseNumbers('range', text('range')) ?? [0, 1];
  if (range.length !== 2 || !range.every(Number.isFinite) || range[0] >= range[1]) {
    badValue('range', overrides, 'two numbers, the lower one first', range.join(','));
  }
  const order = overrides.channelOrder ?? text('channelOrder') ?? 'RGB';
  if (order !== 'RGB' && order !== 'BGR') {
    return fail({ where: `model metadata ${PREFIX}channelOrder`, what: 'bad value', expected: 'RGB or BGR', got: order.slice(0, 60) });
  }
  const name = overrides.name ?? text('name');
  return {
    input,
    layout,
    dims,
    channelOrder: order,
    ...(preprocess && { preprocess }),
    logits,
    channels,
    height,
    width,
    range: [range[0], range[1]],
    mean: perChannel('mean', 0),
    std: perChannel('std', 1),
    labels: readLabels(model, logits, overrides.labels ?? parseStrings(text('labels')), overrides.labels !== undefined),
    ...(name === undefined ? {} : { name }),
  };
}

/** Puts the spec into the model's metadata, in place, and returns the model. Other metadata stay; what the graph says itself is left out. */
export function writeSpec(model: Model, spec: WritableSpec): Model {
  const set = (key: string, value: string | undefined): unknown =>
    value === undefined ? model.metadata.delete(PREFIX + key) : model.metadata.set(PREFIX + key, value);
  const info = model.graph.inputs.find((i) => i.name === spec.input);
  const own = info && ownShape(info);
  const sizes = [spec.channels, spec.height, spec.width];
  set('input', spec.input);
  set('layout', own === undefined || own.layout === spec.layout ? undefined : spec.layout);
  set('shape', own?.sizes.every((size, i) => size === sizes[i]) ? undefined : JSON.stringify(sizes));
  set('channelOrder', spec.channelOrder === 'BGR' ? 'BGR' : undefined);
  set('preprocess', spec.preprocess && JSON.stringify(spec.preprocess));
  set('logits', spec.logits);
  set('range', JSON.stringify(spec.range));
  set('mean', JSON.stringify(spec.mean));
  set('std', JSON.stringify(spec.std));
  set('labels', JSON.stringify(spec.labels));
  set('name', spec.name);
  return model;
}

/** Graph inputs that are fed: files of IR version 3 list the initialisers among the inputs too. */
export function trueInputs(model: Model): ValueInfo[] {
  return model.graph.inputs.filter((i) => !model.graph.initializers.has(i.name));
}

const quoted = (names: readonly string[]): string => names.map((n) => `"${n}"`).join(', ') || 'none';

function onlyInput(model: Model): string {
  const inputs = trueInputs(model);
  if (inputs.length === 1) return inputs[0].name;
  return fail({
    where: 'model',
    what: 'not a classifier of single images',
    expected: `one graph input, or ${PREFIX}input in the metadata`,
    got: `${inputs.length} (${quoted(inputs.map((i) => i.name))})`,
  });
}

/** The only output; where a softmax makes it, what goes into that softmax, because losses and margins are about logits. */
function defaultLogits(model: Model): string {
  const { outputs } = model.graph;
  if (outputs.length !== 1) {
    fail({
      where: 'model',
      what: 'cannot tell which output holds the class scores',
      expected: `one graph output, or ${PREFIX}logits in the metadata`,
      got: `${outputs.length} (${quoted(outputs.map((o) => o.name))})`,
    });
  }
  const producer = producers(model.graph).get(outputs[0].name);
  const isSoftmax = producer?.domain === '' && (producer.opType === 'Softmax' || producer.opType === 'LogSoftmax');
  return isSoftmax ? producer.inputs[0] : outputs[0].name;
}

/** Number of classes as far as the graph says it: the last size of the logits, or of the output behind them. */
function classCount(model: Model, logits: string): number | undefined {
  const { outputs, valueInfo } = model.graph;
  const known = [...outputs, ...valueInfo].find((v) => v.name === logits && v.dims?.length === 2);
  // A softmax keeps the shape of its input.
  const behind = outputs.length === 1 && producers(model.graph).get(outputs[0].name)?.inputs[0] === logits ? outputs[0] : undefined;
  const size = (known ?? behind)?.dims?.at(-1);
  return typeof size === 'number' ? size : undefined;
}

function readLabels(model: Model, logits: string, given: readonly string[] | undefined, fromFlag: boolean): string[] {
  const count = classCount(model, logits);
  if (given === undefined) {
    if (count !== undefined) return Array.from({ length: count }, (_, i) => String(i));
    return fail({
      where: 'model',
      what: 'the number of classes is unknown',
      expected: `${PREFIX}labels in the metadata or a fixed size of "${logits}"`,
      hint: '--labels with one name a class, in the order of the outputs',
    });
  }
  if (given.length === 0 || (count !== undefined && given.length !== count)) {
    fail({
      where: fromFlag ? '--labels' : `model metadata ${PREFIX}labels`,
      what: 'labels do not fit the network',
      expected: count === undefined ? 'at least one' : `${count}, the size of "${logits}"`,
      got: String(given.length),
      exitCode: fromFlag ? 2 : 1,
    });
  }
  return [...given];
}

function badValue(key: 'range' | 'mean' | 'std', overrides: SpecOverrides, expected: string, got: string): never {
  const fromFlag = overrides[key] !== undefined;
  const source = overrides.from?.[key];
  const flag = source === undefined ? (key === 'range' ? '--input-range' : `--${key}`) : `${source}: ${key}`;
  return fail({ where: fromFlag ? flag : `model metadata ${PREFIX}${key}`, what: 'bad value', expected, got, exitCode: fromFlag ? 2 : 1 });
}

function parseJson(key: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return fail({ where: `model metadata ${PREFIX}${key}`, what: 'does not parse', expected: 'a JSON array', got: text.slice(0, 60) });
  }
}

function parseNumbers(key: string, text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  const value = parseJson(key, text);
  if (Array.isArray(value) && value.every((v) => typeof v === 'number')) return value;
  return fail({ where: `model metadata ${PREFIX}${key}`, what: 'bad value', expected: 'a JSON array of numbers', got: text.slice(0, 60) });
}

function parseStrings(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const value = parseJson('labels', text);
  if (Array.isArray(value) && value.every((v) => typeof v === 'string')) return value;
  return fail({ where: `model metadata ${PREFIX}labels`, what: 'bad value', expected: 'a JSON array of strings', got: text.slice(0, 60) });
}
