/** Runs a network over a whole data set, batch by batch, for whatever comes out of it: predictions, activations, logits. */
import { fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';
import { sizeOf, type Tensor } from '../core/tensor.ts';
import type { Model, ValueInfo } from '../onnx/model.ts';
import { readSpec, type SpecOverrides } from '../onnx/spec.ts';
import type { Fetches, Runtime } from '../runtime/session.ts';
import type { AnyImages } from './dataset.ts';
import { checkClasses, checkShape, feeder, rangeFeed } from './feed.ts';
import { imageSize } from './make.ts';

export interface ForwardOptions {
  /** Values of the graph to fetch, by name; any value may be asked for, not only graph outputs. Default: the logits. */
  readonly outputs?: readonly string[];
  /** Images in one run; default 256, fewer where images are large. A model with a fixed batch size is run with that. */
  readonly batchSize?: number;
  /** What the model's metadata do not say, or say wrongly. */
  readonly spec?: SpecOverrides;
}

/** What came out for images `start` to `start + count - 1`; the first dimension of every value is `count`. */
export interface ForwardBatch {
  readonly start: number;
  readonly count: number;
  readonly values: Fetches;
}

const BATCH = 256;
/** Elements of one feed at most, by default: 64 MiB of float32. */
const MAX_ELEMENTS = 2 ** 24;
/** Runs under way at once: one is computed while the next is made ready. */
const DEPTH = 2;

/**
 * Runs `model` over all images of `data` in order. Weights stay initialisers, so that the runtime can lay them out as it likes.
 * Values that are not graph outputs become outputs of a copy in memory; the model given is not changed.
 * Fails where the images do not fit the model or it has no value of a name asked for.
 */
export async function* forward(
  runtime: Runtime,
  model: Model,
  data: AnyImages,
  options: ForwardOptions = {},
): AsyncGenerator<ForwardBatch, void, void> {
  const spec = readSpec(model, options.spec);
  checkShape(data, spec);
  const outputs = options.outputs ?? [spec.logits];
  const extended = withOutputs(model, outputs);
  const fixed = fixedBatch(model, spec.input);
  const batch = fixed ?? checkBatchSize(options.batchSize) ?? defaultBatch(data);
  const write = feeder(spec);
  const session = await runtime.open(extended, { label: 'forward' });
  try {
    const underWay: { start: number; count: number; run: Promise<Fetches> }[] = [];
    for (let next = 0; next < data.count || underWay.length > 0; ) {
      while (next < data.count && underWay.length < DEPTH) {
        const count = Math.min(batch, data.count - next);
        const feed = rangeFeed(data, next, count, write, fixed ?? count);
        const run = session.run({ [spec.input]: feed }, { outputs, transfer: true });
        // Whoever stops early closes the session, which rejects runs that nobody waits for any more.
        run.catch(() => undefined);
        underWay.push({ start: next, count, run });
        next += count;
      }
      const { start, count, run } = underWay.shift()!;
      const values = await run;
      yield { start, count, values: fixed === undefined || fixed === count ? values : trim(values, fixed, count) };
    }
  } finally {
    await session.close();
  }
}

export interface Predictions {
  /** Class with the highest logit, -1 where the logits are not numbers. `[N]` */
  readonly labels: Int32Array;
  /** `[N,K]` */
  readonly logits: Float32Array;
  /** K */
  readonly classes: number;
}

/**
 * The network's logits and labels for every image.
 * Fails where images or classes do not fit the model, or where its logits are not float32 `[N,K]`.
 */
export async function predict(
  runtime: Runtime,
  model: Model,
  data: AnyImages,
  options: Omit<ForwardOptions, 'outputs'> = {},
): Promise<Predictions> {
  const spec = readSpec(model, options.spec);
  checkClasses(data, spec);
  const labels = new Int32Array(data.count);
  let classes = spec.labels.length;
  let logits = new Float32Array(0);
  for await (const { start, count, values } of forward(runtime, model, data, { ...options, outputs: [spec.logits] })) {
    const value = values[spec.logits];
    if (start === 0) {
      classes = value.dims[1];
      logits = new Float32Array(data.count * classes);
    }
    if (!(value.data instanceof Float32Array) || value.dims.length !== 2 || value.dims[0] !== count || value.dims[1] !== classes) {
      const got = `${value.dtype} [${value.dims.join(',')}]`;
      fail({
        where: `model: ${spec.logits}`,
        what: 'not the logits of a classifier',
        expected: `float32 [${count},${spec.labels.length}]`,
        got,
      });
    }
    logits.set(value.data, start * classes);
    for (let i = 0; i < count; i++) labels[start + i] = argmax(value.data, i * classes, classes);
  }
  return { labels, logits, classes };
}

/** Place of the highest of `count` values from `start` on, the first of equals; -1 where one of them is not a number. */
export function argmax(values: Float32Array, start: number, count: number): number {
  let best = 0;
  for (let k = 0; k < count; k++) {
    if (Number.isNaN(values[start + k])) return -1;
    if (values[start + k] > values[start + best]) best = k;
  }
  return best;
}

/** The model with the values named as graph outputs, tensors and nodes shared; the model itself where it has them all. */
export function withOutputs(model: Model, names: readonly string[]): Model {
  const { graph } = model;
  const have = new Set(graph.outputs.map((output) => output.name));
  const wanted = [...new Set(names)].filter((name) => !have.has(name));
  if (wanted.length === 0) return model;
  const made = new Set(graph.nodes.flatMap((node) => node.outputs.filter((name) => name !== '')));
  const extra = wanted.map((name): ValueInfo => {
    if (made.has(name)) return graph.valueInfo.find((value) => value.name === name) ?? { name, dtype: undefined, dims: undefined };
    const hint = nearest(name, [...have, ...made]);
    return fail({ where: 'model', what: `no value "${name}" in the graph`, hint: hint === undefined ? undefined : `"${hint}"` });
  });
  return { ...model, graph: { ...graph, outputs: [...graph.outputs, ...extra] } };
}

/** The batch size that is written into the graph, where it is a number and not a symbol. */
function fixedBatch(model: Model, input: string): number | undefined {
  const batch = model.graph.inputs.find((value) => value.name === input)?.dims?.[0];
  return typeof batch === 'number' && batch > 0 ? batch : undefined;
}

function checkBatchSize(size: number | undefined): number | undefined {
  if (size === undefined || (Number.isInteger(size) && size > 0)) return size;
  return fail({ where: 'forward', what: 'batch size', expected: 'a whole number above 0', got: `${size}`, exitCode: 2 });
}

function defaultBatch(data: AnyImages): number {
  return Math.max(1, Math.min(BATCH, Math.floor(MAX_ELEMENTS / imageSize(data))));
}

/** Cuts the padding off values `[batch,...]`. */
function trim(values: Fetches, batch: number, count: number): Fetches {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, trimTensor(name, value, batch, count)]));
}

function trimTensor(name: string, value: Tensor, batch: number, count: number): Tensor {
  if (value.dims[0] !== batch) {
    const got = `[${value.dims.join(',')}]`;
    fail({ where: `model: ${name}`, what: 'value has no dimension for the images', expected: `[${batch},...]`, got });
  }
  const dims = [count, ...value.dims.slice(1)];
  return { ...value, dims, data: value.data.slice(0, sizeOf(dims)) };
}
