/**
 * A stranger's network made ready to work on: weights as float32 initialisers, and a batch that is free where the file fixes it. Each change
 * of form is tried by running both networks on the same random inputs, and taken back from what comes out at the end.
 */
import { Rng } from '../core/rng.ts';
import { type NumericArray, sizeOf, type Tensor } from '../core/tensor.ts';
import { cloneModel, producers } from '../onnx/edit.ts';
import { fromBfloat16, fromHalf, toBfloat16, toHalf } from '../onnx/half.ts';
import type { Model, Node } from '../onnx/model.ts';
import { bindSizes } from '../onnx/passes/bind-sizes.ts';
import { flattenScores } from '../onnx/passes/flatten-scores.ts';
import { fixedBatch, freeBatch, mayBeFixedInside } from '../onnx/passes/free-batch.ts';
import { hasBranches, inlineBranches } from '../onnx/passes/inline-branches.ts';
import { inlineFunctions } from '../onnx/passes/inline-functions.ts';
import { liftConstants } from '../onnx/passes/lift-constants.ts';
import type { Reversible } from '../onnx/passes/reversible.ts';
import { toFloat32, weightType } from '../onnx/passes/to-float32.ts';
import { trueInputs } from '../onnx/spec.ts';
import { probe } from './probe.ts';
import type { Runtime } from './session.ts';

export interface WorkingModel {
  readonly model: Model;
  /** What was changed in memory, and what could not be, in sentences for people. */
  readonly notes: readonly string[];
  /** Set where the network takes a fixed number of images and no other: that number, and why. */
  readonly fixed?: { readonly batch: number; readonly why: string };
  /** Layers whose weights are made by nodes, so that there is nothing to train in them. */
  readonly unstored: number;
  /** What a defence made of {@link model}, in the form of the file that was read: only what the defence changed differs. */
  restore(later: Model): Model;
}

/** Largest difference, relative to the largest value, at which two ways of computing the same network are the same. */
const TOLERANCE: Readonly<Record<string, number>> = { float64: 1e-4, float16: 2e-2, bfloat16: 1e-1 };
const BATCH_TOLERANCE = 1e-4;
/** Batches that are run one after the other and at once; a number that few networks have as a size. */
const TRIED = 3;

/**
 * @param options.dims sizes of the input after the batch, for files that leave them open
 * Throws SecateurError where the network does not run. The given model stays as it is.
 */
export async function workingModel(runtime: Runtime, model: Model, options: { dims?: readonly number[] } = {}): Promise<WorkingModel> {
  const steps: Reversible[] = [];
  const notes: string[] = [];
  let now = model;
  const take = (step: Reversible): void => {
    steps.push(step);
    now = step.model;
  };
  const inputs = trueInputs(now);
  const forms = [
    inlineFunctions,
    liftConstants,
    flattenScores,
    (m: Model) => (options.dims && inputs.length === 1 ? bindSizes(m, inputs[0].name, options.dims) : undefined),
  ];
  for (const form of forms) {
    const step = form(now);
    if (step) take(step);
  }
  for (let step = await takenBranches(runtime, now); step !== undefined; step = await takenBranches(runtime, now)) {
    take(step);
    const lifted = liftConstants(now);
    if (lifted) take(lifted);
  }

  const unstored = unstoredLayers(now);
  if (unstored.length > 0) {
    notes.push(
      `${unstored.length} layers have weights that are not stored but made by ${unstored[0].opType} nodes: they stay as they are.`,
    );
  }
  const dtype = weightType(now);
  const wide = toFloat32(now);
  if (typeof wide === 'string') notes.push(`The network cannot be worked on as float32: ${wide}.`);
  else if (wide !== undefined && dtype !== undefined) {
    const difference = await compare(runtime, now, wide.model, 1);
    if (difference <= TOLERANCE[dtype]) {
      take(wide);
      notes.push(`The weights are ${dtype}; they are worked on as float32 and written as ${dtype} again.`);
    } else
      notes.push(
        `The weights are ${dtype}; as float32 the network gives other answers (by ${difference.toPrecision(2)}), so it is left as it is.`,
      );
  }

  let fixed: WorkingModel['fixed'];
  const was = fixedBatch(now) ?? (mayBeFixedInside(now) && !(await takesTwo(runtime, now)) ? 1 : undefined);
  if (was !== undefined) {
    const freed = await tryFree(runtime, now, was);
    if (typeof freed === 'string') {
      fixed = { batch: was, why: freed };
      notes.push(`The network takes ${was === 1 ? 'one image' : `${was} images`} at a time and cannot be given more: ${freed}.`);
    } else {
      take(freed);
      notes.push(`The file fixes the batch at ${was}; in memory it is free, and the answers are the same.`);
    }
  }
  return {
    model: now,
    notes,
    ...(fixed && { fixed }),
    unstored: unstored.length,
    restore(later) {
      const copy = cloneModel(later);
      for (const step of steps.toReversed()) step.undo(copy);
      declareInitializers(copy, model);
      return copy;
    },
  };
}

/** Ifs that go the same way with every batch, without their Ifs. */
async function takenBranches(runtime: Runtime, model: Model): Promise<Reversible | undefined> {
  if (!hasBranches(model)) return undefined;
  return inlineBranches(model, await probe(runtime, model, { batch: 2 }), await probe(runtime, model, { batch: TRIED }));
}

/** Layers whose weights a file does not store but makes, as files without their training do: there is nothing in them to train or to cut. */
function unstoredLayers({ graph }: Model): Node[] {
  const makers = producers(graph);
  return graph.nodes.flatMap((node) => {
    const maker = ['Conv', 'Gemm', 'MatMul'].includes(node.opType) ? makers.get(node.inputs[1]) : undefined;
    return maker !== undefined && MAKERS.has(maker.opType) ? [maker] : [];
  });
}

const MAKERS: ReadonlySet<string> = new Set(['ConstantOfShape', 'RandomNormal', 'RandomUniform']);

/** Up to IR version 3 initialisers are inputs too; what a defence put in follows the file's custom. */
function declareInitializers(later: Model, original: Model): void {
  const { graph } = later;
  if (later.irVersion >= 4) return;
  const declared = new Set(graph.inputs.map((i) => i.name));
  for (const [name, { dtype, dims }] of graph.initializers) {
    if (!declared.has(name) && !original.graph.initializers.has(name)) graph.inputs.push({ name, dtype, dims: [...dims] });
  }
}

/** Whether two images at once give two rows of answers. */
async function takesTwo(runtime: Runtime, model: Model): Promise<boolean> {
  try {
    const types = await probe(runtime, model, { batch: 2 });
    return model.graph.outputs.every((output) => types.get(output.name)?.dims[0] === 2);
  } catch {
    return false;
  }
}

async function tryFree(runtime: Runtime, model: Model, was: number): Promise<Reversible | string> {
  const freed = freeBatch(model, await probe(runtime, model, { batch: was }), was);
  if (typeof freed === 'string') return freed;
  try {
    const difference = await compare(runtime, model, freed.model, TRIED);
    if (difference <= BATCH_TOLERANCE) return freed;
    return `its answers to ${TRIED * was} images at once are not those to ${was === 1 ? 'each alone' : `${was} at a time`} (they differ by ${difference.toPrecision(2)})`;
  } catch {
    return `it does not run with ${TRIED * was} images at once`;
  }
}

/** Largest difference between the outputs of `a`, run `times` times, and of `b`, run once on all of it; relative to the largest output. */
async function compare(runtime: Runtime, a: Model, b: Model, times: number): Promise<number> {
  const feeds = trueInputs(a).map((info) => {
    const dims = (info.dims ?? []).map((d) => (typeof d === 'number' && d > 0 ? d : 1));
    return {
      name: info.name,
      to: trueInputs(b).find((i) => i.name === info.name)?.dtype ?? 'float32',
      from: info.dtype ?? 'float32',
      dims,
    };
  });
  const rng = Rng.from(1, 'working-model');
  const values = feeds.map(({ dims }) => Float64Array.from({ length: sizeOf(dims) * times }, () => rng.uniform(-1, 1)));
  const feed = (dtype: string, dims: readonly number[], data: Float64Array): Tensor => ({ ...typed(dtype, data), dims });
  const first = await runtime.open(a, { label: 'a trial run' });
  const parts: Record<string, Tensor>[] = [];
  try {
    for (let k = 0; k < times; k++) {
      const part = feeds.map(({ name, from, dims }, i) => {
        const size = sizeOf(dims);
        return [name, feed(from, dims, values[i].subarray(k * size, (k + 1) * size))] as const;
      });
      parts.push(await first.run(Object.fromEntries(part)));
    }
  } finally {
    await first.close();
  }
  const second = await runtime.open(b, { label: 'a trial run' });
  try {
    const whole = feeds.map(({ name, to, dims }, i) => [name, feed(to, [dims[0] * times, ...dims.slice(1)], values[i])] as const);
    const got = await second.run(Object.fromEntries(whole));
    return Math.max(
      0,
      ...Object.entries(got).map(([name, value]) =>
        difference(
          value,
          parts.map((p) => p[name]),
        ),
      ),
    );
  } finally {
    await second.close();
  }
}

function difference(whole: Tensor, parts: readonly Tensor[]): number {
  const a = numbers(whole);
  const b = parts.flatMap((part) => [...numbers(part)]);
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  let scale = 1e-6;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i] - b[i]);
    if (Number.isNaN(d) && !(Number.isNaN(a[i]) && Number.isNaN(b[i]))) return Number.POSITIVE_INFINITY;
    if (d > largest) largest = d;
    if (Math.abs(b[i]) > scale) scale = Math.abs(b[i]);
  }
  return largest / scale;
}

function typed(dtype: string, values: Float64Array): Pick<Tensor, 'dtype' | 'data'> {
  switch (dtype) {
    case 'float64':
      return { dtype, data: Float64Array.from(values) };
    case 'float16':
      return { dtype, data: Uint16Array.from(values, toHalf) };
    case 'bfloat16':
      return { dtype, data: Uint16Array.from(values, toBfloat16) };
    case 'int64':
      return { dtype, data: BigInt64Array.from(values, () => 0n) };
    case 'int32':
      return { dtype, data: new Int32Array(values.length) };
    case 'uint8':
      return { dtype, data: new Uint8Array(values.length) };
    default:
      return { dtype: 'float32', data: Float32Array.from(values) };
  }
}

function numbers({ dtype, data }: Tensor): Float64Array {
  const list = data as NumericArray;
  if (dtype === 'float16') return Float64Array.from(list as Uint16Array, fromHalf);
  if (dtype === 'bfloat16') return Float64Array.from(list as Uint16Array, fromBfloat16);
  return Float64Array.from(list as ArrayLike<number | bigint>, Number);
}
