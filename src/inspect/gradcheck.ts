/**
 * Are the gradients of a model right? Either they are compared with those of another framework (a golden file), or with the loss
 * itself: how much it changes where weights are moved a little.
 */
import { fail } from '../core/errors.ts';
import { formatDims, sameDims } from '../core/shapes.ts';
import { nearest } from '../core/suggest.ts';
import { i64, sizeOf, type Tensor } from '../core/tensor.ts';
import type { Model } from '../onnx/model.ts';
import type { Runtime } from '../runtime/session.ts';
import { fixInput, type GradcheckOptions, inputOf, prepare, runOnce, type Subject } from './gradcheck-subject.ts';

export const TOLERANCE = 1e-3;

/** One line of the result. */
export interface TensorCheck {
  /** `loss`, `logits`, or the name of the value that it is the gradient of. */
  readonly name: string;
  readonly dims: readonly number[];
  /** Largest difference over the largest expected value. */
  readonly error: number;
  /** Length of the difference over the length of what was expected. */
  readonly l2: number;
  /** Largest expected value. */
  readonly largest: number;
  readonly ok: boolean;
  /** Why `error` is not what is judged. */
  readonly note?: string;
}

export interface GoldenCheck {
  readonly tensors: readonly TensorCheck[];
  /** Names after `grad/` that the model has not. */
  readonly notInModel: readonly string[];
  /** Parameters of the model without a gradient in the golden file. */
  readonly notInGolden: readonly string[];
}

/**
 * Gradients below this share of the largest one are rounding of float32, in either framework: a convolution's bias before a batch norm
 * in training mode has the gradient 0, and what is computed is noise. They are judged by their distance in this unit.
 */
const NOISE = 1e-6;

/**
 * Runs the model on the golden file's input and compares logits, loss and gradients, worst first.
 * @param golden arrays `input`, `labels` (integers [N]), `logits` [N,C], `loss` (mean cross-entropy) and `grad/NAME`, NAME an
 * initialiser, another value, or the model's input (`grad/input` means that one too)
 * @throws SecateurError where an array is missing or has the wrong type or shape, or an operator on the way has no gradient rule
 */
export async function compareWithGolden(
  runtime: Runtime,
  model: Model,
  golden: ReadonlyMap<string, Tensor>,
  o: GradcheckOptions & { readonly where: string },
): Promise<GoldenCheck> {
  const tolerance = o.tolerance ?? TOLERANCE;
  const input = floats(golden, 'input', o.where);
  const subject = await prepare(runtime, withInput(model, input, o.where), o);
  const labels = checkedLabels(golden, input.dims[0], o.where);
  const wanted = [...golden.keys()].filter((key) => key.startsWith('grad/')).map((key) => key.slice('grad/'.length));
  const nameOf = (name: string): string | undefined => (subject.values.has(name) ? name : name === 'input' ? subject.input : undefined);
  const notInModel = wanted.filter((name) => nameOf(name) === undefined);
  const found = wanted.filter((name) => nameOf(name) !== undefined);
  const asked = new Map(found.map((name) => [nameOf(name)!, `grad/${name}`]));
  if (asked.size === 0) noCommonNames(o.where, wanted, subject);
  for (const name of asked.keys()) if (!subject.asks(name)) asked.delete(name);

  const graph = subject.gradients([...asked.keys()]);
  const values = await runOnce(runtime, graph, { [subject.input]: input, [graph.feeds.labels]: labels });
  const expected = [...asked].map(([name, key]) => {
    const tensor = floats(golden, key, o.where);
    const { dims } = subject.values.get(name)!;
    return sameDims(tensor.dims, dims) ? { name, tensor } : wrongShape(key, o.where, dims, tensor.dims);
  });
  const scale = expected.reduce((most, { tensor }) => Math.max(most, largestOf(tensor)), 0);
  const logits = floats(golden, 'logits', o.where);
  const outLogits = values[graph.outputs.logits];
  if (!sameDims(logits.dims, outLogits.dims)) wrongShape('logits', o.where, outLogits.dims, logits.dims);
  const loss = floats(golden, 'loss', o.where);
  if (sizeOf(loss.dims) !== 1) wrongShape('loss', o.where, [], loss.dims);
  checkClasses(labels, logits.dims[1], o.where);
  const tensors = [
    compare('logits', outLogits, logits, tolerance),
    compare('loss', values[graph.outputs.loss], { ...loss, dims: [] }, tolerance),
    ...expected.map(({ name, tensor }) => {
      const output = graph.gradients[name];
      // What the loss does not depend on has the gradient 0.
      const gradient = output === undefined ? zeros(tensor.dims) : values[output];
      return compare(name, gradient, tensor, tolerance, scale * NOISE);
    }),
  ];
  return {
    tensors: worstFirst(tensors),
    notInModel,
    notInGolden: subject.parameters.filter((name) => subject.asks(name) && !asked.has(name)),
  };
}

export const worstFirst = <T extends TensorCheck>(tensors: readonly T[]): T[] =>
  tensors.toSorted((a, b) => Number(a.ok) - Number(b.ok) || (Number.isNaN(b.error) ? 1 : Number.isNaN(a.error) ? -1 : b.error - a.error));

function withInput(model: Model, input: Tensor, where: string): Model {
  const info = inputOf(model);
  const fits =
    info.dims === undefined ||
    (info.dims.length === input.dims.length && info.dims.every((d, i) => typeof d !== 'number' || d === input.dims[i]));
  if (!fits) {
    fail({
      where,
      what: 'shape of "input"',
      expected: `${formatDims(info.dims ?? [])}, as the model's "${info.name}"`,
      got: formatDims(input.dims),
    });
  }
  return fixInput(model, input.dims);
}

function noCommonNames(where: string, wanted: readonly string[], { parameters }: Subject): never {
  const some = (names: readonly string[]): string => `${names.slice(0, 4).join(', ')}${names.length > 4 ? ', ...' : ''}`;
  return fail({
    where,
    what: wanted.length === 0 ? 'no gradients' : 'no gradient of a value that the model has',
    expected: `arrays named grad/NAME, NAME as in the ONNX file: ${some(parameters)}`,
    got: wanted.length === 0 ? 'none' : some(wanted.map((name) => `grad/${name}`)),
  });
}

// ---------------------------------------------------------------------------------------------------------- arrays of a golden file

function array(golden: ReadonlyMap<string, Tensor>, key: string, where: string): Tensor {
  const tensor = golden.get(key);
  if (tensor !== undefined) return tensor;
  const near = nearest(key, golden.keys());
  return fail({
    where,
    what: `no array "${key}"`,
    expected: 'input, labels, logits, loss and grad/NAME for each gradient',
    got: [...golden.keys()].slice(0, 6).join(', ') + (golden.size > 6 ? ', ...' : '') || 'an empty archive',
    hint: near === undefined ? undefined : `to rename "${near}"`,
  });
}

function floats(golden: ReadonlyMap<string, Tensor>, key: string, where: string): Tensor {
  const tensor = array(golden, key, where);
  if (tensor.dtype === 'float32') return tensor;
  if (tensor.dtype === 'float64') return { ...tensor, dtype: 'float32', data: Float32Array.from(tensor.data as Float64Array) };
  return fail({ where, what: `elements of "${key}"`, expected: 'float32 or float64', got: tensor.dtype });
}

function checkedLabels(golden: ReadonlyMap<string, Tensor>, count: number, where: string): Tensor {
  const { dtype, dims, data } = array(golden, 'labels', where);
  if (!/^u?int/.test(dtype)) fail({ where, what: 'elements of "labels"', expected: 'integers, class numbers from 0', got: dtype });
  if (!sameDims(dims, [count])) wrongShape('labels', where, [count], dims);
  return i64(Array.from(data as ArrayLike<number | bigint>, Number), [count]);
}

function checkClasses(labels: Tensor, classes: number, where: string): void {
  const wrong = (labels.data as BigInt64Array).find((label) => label < 0n || label >= BigInt(classes));
  if (wrong !== undefined)
    fail({ where, what: 'class in "labels"', expected: `0 to ${classes - 1}, as there are ${classes} logits`, got: String(wrong) });
}

function wrongShape(key: string, where: string, expected: readonly number[], got: readonly number[]): never {
  return fail({ where, what: `shape of "${key}"`, expected: formatDims(expected), got: formatDims(got) });
}

// ------------------------------------------------------------------------------------------------------------------- comparing

const zeros = (dims: readonly number[]): Tensor => ({ dtype: 'float32', dims, data: new Float32Array(sizeOf(dims)) });

export function largestOf({ data }: Tensor): number {
  const values = data as Float32Array;
  let most = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]);
    if (size > most || Number.isNaN(size)) most = size;
  }
  return most;
}

/** @param floor expected values that are all below this are noise */
function compare(name: string, found: Tensor, expected: Tensor, tolerance: number, floor = 0): TensorCheck {
  const [a, b] = [found.data as Float32Array, expected.data as Float32Array];
  let [most, difference, length] = [0, 0, 0];
  let largest = 0;
  for (let i = 0; i < b.length; i++) {
    const d = Math.abs(a[i] - b[i]);
    // Not a number in either: the comparison is false, and the sum below says it.
    if (d > most) most = d;
    difference += d * d;
    length += b[i] * b[i];
    const size = Math.abs(b[i]);
    if (size > largest) largest = size;
  }
  const dims = expected.dims;
  if (Number.isNaN(difference)) return { name, dims, error: Number.NaN, l2: Number.NaN, largest, ok: false, note: 'not a number' };
  const ratio = (x: number, y: number): number => (x === 0 ? 0 : x / y);
  const [error, l2] = [ratio(most, largest), ratio(Math.sqrt(difference), Math.sqrt(length))];
  if (largest >= floor) return { name, dims, error, l2, largest, ok: error <= tolerance };
  return { name, dims, error, l2, largest, ok: most <= floor, note: 'below the noise of float32, too small to judge' };
}
