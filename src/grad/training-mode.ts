/**
 * Operators that behave differently while a network is trained. An ONNX file holds the network as it is used, so the step graph
 * gives BatchNormalization the batch's own statistics and makes Dropout drop.
 */
import { fail } from '../core/errors.ts';
import { Rng } from '../core/rng.ts';
import { formatDims } from '../core/shapes.ts';
import { f32, sizeOf, type Tensor } from '../core/tensor.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { attrFloat } from '../onnx/edit.ts';
import type { Graph, Node } from '../onnx/model.ts';
import type { ValueType, ValueTypes } from '../onnx/value-types.ts';
import type { BatchStatistics } from './context.ts';
import { Emit } from './emit.ts';
import { labelOf } from './freeze.ts';
import type { StepCounter } from './optimizers.ts';

export interface TrainedNorm {
  readonly node: Node;
  /** The initialisers that hold the running statistics. */
  readonly running: { readonly mean: string; readonly variance: string };
  readonly batch: BatchStatistics;
  /** What the node reads in place of the running statistics: see {@link addScratch}. */
  readonly scratch: readonly [mean: string, variance: string];
  /** Share of the old running statistics that is kept, ONNX's `momentum`. */
  readonly momentum: number;
  /** Values behind one channel's statistics. */
  readonly count: number;
}

export interface TrainedDropout {
  readonly node: Node;
  /** The value that the node multiplies by: not made yet. */
  readonly mask: string;
  readonly dims: readonly number[];
  readonly ratio: number;
}

/**
 * Lets BatchNormalization use the statistics of the batch, which it then also gives out. Operator and kernel are ONNX's own training
 * mode; its running averages are switched off (momentum 0), so that the outputs are the batch's mean and biased variance, which the
 * gradient needs. {@link addRunningStatistics} makes the averages. Changes the node in place.
 */
export function trainNorm(node: Node, types: ValueTypes, fresh: (hint: string) => string): TrainedNorm {
  const dims = types.get(node.inputs[0])?.dims ?? [];
  const count = sizeOf(dims) / dims[1];
  if (!(count > 1)) {
    fail({
      where: `grad: operator "BatchNormalization" (node "${labelOf(node)}")`,
      what: 'statistics of one value',
      expected: 'a batch with more than one value per channel',
      got: formatDims(dims),
      hint: 'a larger batch, or --batch-norm inference',
    });
  }
  const name = node.outputs[0];
  const batch = { mean: fresh(`${name}.batch-mean`), variance: fresh(`${name}.batch-variance`) };
  const running = { mean: node.inputs[3], variance: node.inputs[4] };
  const scratch = [fresh(`${name}.scratch-mean`), fresh(`${name}.scratch-variance`)] as const;
  const momentum = attrFloat(node, 'momentum', 0.9);
  node.attributes.set('training_mode', { type: 'int', value: 1 });
  node.attributes.set('momentum', { type: 'float', value: 0 });
  node.inputs.splice(3, 2, ...scratch);
  node.outputs = [name, batch.mean, batch.variance];
  return { node, running, batch, scratch, momentum, count };
}

/**
 * In training mode ONNX Runtime writes the new statistics over the old ones, even where those are a graph's input or a constant that
 * others read too (1.30). So the node gets copies, made in a way that cannot be folded into constants: by adding a zero that is
 * computed from a label.
 */
export function addScratch(b: GraphBuilder, norms: readonly TrainedNorm[], labels: string, rank: number): void {
  if (norms.length === 0) return;
  const e = new Emit(b, 'batch-norm');
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  const one = e.reshape(
    e.slice(
      labels,
      axes,
      axes.map(() => 0),
      axes.map(() => 1),
    ),
    [],
  );
  const zero = e.mul(e.cast(one, 'float32'), e.scalar(0));
  for (const { running, scratch } of norms) {
    b.op('Add', [running.mean, zero], {}, { outputs: [scratch[0]] });
    b.op('Add', [running.variance, zero], {}, { outputs: [scratch[1]] });
  }
}

/** A BatchNormalization that somebody exported in training mode, as it is when the network is used. */
export function useRunningStatistics(node: Node): void {
  node.attributes.delete('training_mode');
  node.outputs = node.outputs.slice(0, 1);
}

/**
 * running <- momentum running + (1 - momentum) batch, the variance unbiased as PyTorch has it (ONNX's own would take the biased one).
 * Returns carry and first values.
 */
export function addRunningStatistics(b: GraphBuilder, norms: readonly TrainedNorm[]): Record<string, string> {
  const carry: Record<string, string> = {};
  for (const { node, running, batch, momentum, count } of norms) {
    const e = new Emit(b, labelOf(node));
    const average = (old: string, now: string, factor: number): string =>
      e.add(e.scale(old, momentum), e.scale(now, (1 - momentum) * factor));
    carry[running.mean] = average(running.mean, batch.mean, 1);
    carry[running.variance] = average(running.variance, batch.variance, count / (count - 1));
  }
  return carry;
}

/** @throws SecateurError where two layers share their running statistics: each needs its own, and a file that dedupes has one */
export function checkOwnStatistics(norms: readonly TrainedNorm[], graph: Graph): void {
  const owners = new Map<string, Node>();
  for (const { node, running } of norms) {
    for (const name of [running.mean, running.variance]) {
      const other = owners.get(name);
      if (other !== undefined) {
        fail({
          where: 'grad',
          what: `"${labelOf(other)}" and "${labelOf(node)}" share the running statistics "${name}"`,
          expected: 'statistics of its own for each BatchNormalization',
          hint: '--batch-norm inference, or unshareStatistics(model) first',
        });
      }
      owners.set(name, node);
      if (!graph.initializers.has(name)) {
        fail({
          where: `grad: operator "BatchNormalization" (node "${labelOf(node)}")`,
          what: `the running statistics "${name}" are computed by the graph`,
          expected: 'an initialiser',
          hint: '--batch-norm inference',
        });
      }
    }
  }
}

// --------------------------------------------------------------------------------------------------------------- dropout

/** Number of places a mask can start at in the pool; prime, so that every stride visits all of them before one comes again. */
const PLACES = 65_537;
/** Near PLACES times the golden section: places of successive steps lie far apart. */
const STRIDE = 40_507;

/** Turns a Dropout into a product with a mask that {@link addMask} makes. Changes node and types in place. */
export function trainDropout(
  node: Node,
  types: Map<string, ValueType>,
  fresh: (hint: string) => string,
  ratioOf: (name: string) => number | undefined,
): TrainedDropout {
  const where = `grad: operator "Dropout" (node "${labelOf(node)}")`;
  const ratio = node.inputs[1] ? ratioOf(node.inputs[1]) : 0.5;
  if (ratio === undefined) return fail({ where, what: 'the ratio is computed by the graph', expected: 'a constant' });
  if (!(ratio >= 0 && ratio < 1)) return fail({ where, what: 'ratio', expected: '0 or more and below 1', got: String(ratio) });
  const { dims, dtype } = types.get(node.outputs[0])!;
  const mask = fresh(`${node.outputs[0]}.mask`);
  types.set(mask, { dtype, dims });
  node.opType = 'Mul';
  node.inputs = [node.inputs[0], mask];
  node.outputs = [node.outputs[0]];
  node.attributes = new Map();
  return { node, mask, dims, ratio };
}

/** A Dropout as it is when the network is used. */
export function passThrough(node: Node): void {
  node.opType = 'Identity';
  node.inputs = [node.inputs[0]];
  node.outputs = [node.outputs[0]];
  node.attributes = new Map();
}

/**
 * Adds the mask of one Dropout: 0 with the ratio's probability, else 1 / (1 - ratio). ONNX's own Dropout and random operators keep
 * their state inside the session, so that a resumed run would go on with other numbers. Here a pool of numbers from the seed is made
 * once, and the step counter says at which of 65 537 places a mask starts in it: one Slice a step, the same on every backend.
 */
export function addMask(b: GraphBuilder, dropout: TrainedDropout, counter: StepCounter, seed: number): void {
  const e = new Emit(b, labelOf(dropout.node));
  const size = sizeOf(dropout.dims);
  const rng = Rng.from(seed, 'dropout', dropout.node.outputs[0]);
  const kept = 1 / (1 - dropout.ratio);
  const pool = b.constant(maskPool(size + PLACES - 1, rng, dropout.ratio, kept));
  const int = (value: number): string => b.scalar(value, 'int64');
  const place = e.op('Mod', e.add(e.mul(counter.input, int(STRIDE)), int(rng.int(PLACES))), int(PLACES));
  const start = e.reshape(place, [1]);
  const mask = e.op('Slice', pool, start, e.add(start, int(size)), b.ints([0]));
  b.op('Reshape', [mask, b.ints(dropout.dims)], {}, { outputs: [dropout.mask] });
}

function maskPool(size: number, rng: Rng, ratio: number, kept: number): Tensor {
  const pool = new Float32Array(size);
  for (let i = 0; i < size; i++) pool[i] = rng.next() < ratio ? 0 : kept;
  return f32(pool, [size]);
}
