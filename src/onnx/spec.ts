/**
 * What a classifier file says of itself: which value takes the images, which gives the logits, and how a pixel becomes an input.
 * It stands in `metadata_props` under `secateur.*`; flags fill in or overrule it; names and sizes come from the graph where neither speaks.
 */
import { fail } from '../core/errors.ts';
import { formatDims } from '../core/shapes.ts';
import { producers } from './edit.ts';
import type { Model, ValueInfo } from './model.ts';

/**
 * How images go into a network and classes come out. The network is fed, for a pixel byte 0..255 of channel c:
 * `((pixel / 255) * (range[1] - range[0]) + range[0] - mean[c]) / std[c]`.
 */
export interface ModelSpec {
  /** Name of the graph input, float32 `[N,C,H,W]`. */
  input: string;
  /** Name of the value that holds the class scores before any softmax, `[N,K]`. It need not be a graph output. */
  logits: string;
  channels: number;
  height: number;
  width: number;
  /** What pixel bytes 0 and 255 become before mean and std. */
  range: [number, number];
  /** Per channel, in units of `range`. */
  mean: number[];
  /** Per channel, above 0. */
  std: number[];
  /** One name a class, in the order of the logits. */
  labels: string[];
  /** Which network it is, for reports. */
  name?: string;
}

const PREFIX = 'secateur.';

/**
 * The spec of a model. `overrides` (from flags) come first, then the file's metadata, then the graph.
 * Throws SecateurError where something is missing or does not fit, naming the flag that would give it.
 */
export function readSpec(model: Model, overrides: Partial<ModelSpec> = {}): ModelSpec {
  const text = (key: keyof ModelSpec): string | undefined => model.metadata.get(PREFIX + key);
  const input = overrides.input ?? text('input') ?? onlyInput(model);
  const info = model.graph.inputs.find((i) => i.name === input);
  if (info === undefined) {
    fail({ where: 'model', what: `no input "${input}"`, expected: `one of ${quoted(trueInputs(model).map((i) => i.name))}` });
  }
  const [channels, height, width] = imageShape(info, overrides);
  const logits = overrides.logits ?? text('logits') ?? defaultLogits(model);
  const perChannel = (key: 'mean' | 'std', otherwise: number): number[] => {
    const list = overrides[key] ?? parseNumbers(key, text(key)) ?? [otherwise];
    const spread = list.length === 1 ? new Array<number>(channels).fill(list[0]) : list;
    const good = spread.length === channels && spread.every((v) => Number.isFinite(v) && (key === 'mean' || v > 0));
    if (!good) badValue(key, overrides, `1 or ${channels} numbers${key === 'std' ? ' above 0' : ''}, one a channel`, list.join(','));
    return spread;
  };
  if (['range', 'mean', 'std'].every((key) => overrides[key as 'mean'] === undefined && text(key as 'mean') === undefined)) {
    fail({
      where: 'model',
      what: 'nothing says how pixels become inputs of this network',
      expected: `${PREFIX}range, ${PREFIX}mean and ${PREFIX}std in the metadata of the file`,
      got: 'none of them',
      hint: '--input-range 0,1 and, if it was trained on normalised images, --mean and --std',
    });
  }
  const range = overrides.range ?? parseNumbers('range', text('range')) ?? [0, 1];
  if (range.length !== 2 || !range.every(Number.isFinite) || range[0] >= range[1]) {
    badValue('range', overrides, 'two numbers, the lower one first', range.join(','));
  }
  const name = overrides.name ?? text('name');
  return {
    input,
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

/** Puts the spec into the model's metadata, in place, and returns the model. Other metadata stay. */
export function writeSpec(model: Model, spec: ModelSpec): Model {
  const set = (key: keyof ModelSpec, value: string): unknown => model.metadata.set(PREFIX + key, value);
  set('input', spec.input);
  set('logits', spec.logits);
  set('range', JSON.stringify(spec.range));
  set('mean', JSON.stringify(spec.mean));
  set('std', JSON.stringify(spec.std));
  set('labels', JSON.stringify(spec.labels));
  if (spec.name === undefined) model.metadata.delete(`${PREFIX}name`);
  else set('name', spec.name);
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

function imageShape(info: ValueInfo, overrides: Partial<ModelSpec>): [number, number, number] {
  const shape = ['channels', 'height', 'width'].map((key, i) => overrides[key as 'channels'] ?? info.dims?.[i + 1]);
  const rankFits = info.dims === undefined || info.dims.length === 4;
  const typeFits = info.dtype === undefined || info.dtype === 'float32';
  if (!rankFits || !typeFits || !shape.every((d): d is number => typeof d === 'number' && d > 0)) {
    fail({
      where: 'model',
      what: `input "${info.name}" does not take images`,
      expected: 'float32 [N,C,H,W] with fixed C, H and W',
      got: `${info.dtype ?? 'no type'} ${info.dims === undefined ? 'of unknown shape' : formatDims(info.dims)}`,
    });
  }
  return shape as [number, number, number];
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

function badValue(key: 'range' | 'mean' | 'std', overrides: Partial<ModelSpec>, expected: string, got: string): never {
  const fromFlag = overrides[key] !== undefined;
  const flag = key === 'range' ? '--input-range' : `--${key}`;
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
