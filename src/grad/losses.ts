/** Losses, each with its gradient already worked out, for that is shorter and safer than walking through the formula. */
import { fail } from '../core/errors.ts';
import { formatDims } from '../core/shapes.ts';
import { f32, sizeOf } from '../core/tensor.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { attrInt, producers } from '../onnx/edit.ts';
import type { Graph } from '../onnx/model.ts';
import type { ValueTypes } from '../onnx/value-types.ts';
import { Emit } from './emit.ts';

export type LossKind = 'cross-entropy' | 'mse';

export interface LossOptions {
  readonly kind: LossKind;
  /** The network's output that the loss is taken of, [N,C] (for `mse` with soft labels any shape with N first). */
  readonly logits: string;
  readonly dims: readonly number[];
  /** `hard`: int64 [N], class numbers. `soft`: float32 of the logits' shape, probabilities (or the targets of `mse`). */
  readonly labels: 'hard' | 'soft';
  readonly labelsInput: string;
  /** Float32 [N]: how much each sample counts; the loss is the mean over their sum. */
  readonly weightsInput?: string;
}

export interface LossValues {
  /** Scalar. */
  readonly loss: string;
  /** Scalar float32: how many samples of weight above 0 have their largest output where the label is. */
  readonly correct: string;
  /** Gradient of the loss with respect to the logits. */
  readonly gradient: string;
}

/** A batch whose weights are all 0 has loss 0, not 0/0. */
const TINY = 1e-12;

/**
 * Adds the loss to the graph.
 * `cross-entropy`: -sum_i w_i sum_c t_ic log softmax(z_i)_c / sum w; its gradient is (softmax(z_i) sum_c t_ic - t_i) w_i / sum w.
 * `mse`: mean over the elements of (z - t)^2, samples weighted likewise; hard labels stand for one-hot targets.
 */
export function addLoss(b: GraphBuilder, o: LossOptions): LossValues {
  const e = new Emit(b, 'loss');
  const [n] = o.dims;
  const classes = o.dims[o.dims.length - 1];
  const targets = o.labels === 'soft' ? o.labelsInput : oneHot(e, o.labelsInput, classes);
  // [N,1,...]: each sample's share in the mean
  const perSample = [n, ...o.dims.slice(1).map(() => 1)];
  const shares = o.weightsInput === undefined ? undefined : e.reshape(normalised(e, o.weightsInput), perSample);
  const average = (x: string): string => (shares === undefined ? e.scale(x, 1 / n) : e.mul(x, shares));
  const total = (x: string): string =>
    e.reduceSum(
      x,
      o.dims.map((_, axis) => axis),
    );

  const correct = countCorrect(e, o);
  if (o.kind === 'mse') {
    const difference = e.sub(o.logits, targets);
    const perElement = n / sizeOf(o.dims);
    const averaged = e.scale(average(difference), perElement);
    return { loss: total(e.mul(averaged, difference)), correct, gradient: e.scale(averaged, 2) };
  }
  const log = e.with('LogSoftmax', [o.logits], { axis: 1 });
  const loss = e.neg(total(average(e.mul(log, targets))));
  const softmax = e.op('Exp', log);
  const expected = o.labels === 'hard' ? softmax : e.mul(softmax, e.reduceSum(targets, [1], true));
  return { loss, correct, gradient: average(e.sub(expected, targets)) };
}

/**
 * The value that a cross-entropy is to be taken of: the input of the model's last Softmax or LogSoftmax where the named value is its
 * output (possibly through Identity), because log(softmax(x)) of the finished probabilities loses the small ones. Otherwise the
 * value itself.
 */
export function logitsOf(graph: Graph, output: string, types: ValueTypes): string {
  const made = producers(graph);
  let node = made.get(output);
  while (node?.opType === 'Identity') node = made.get(node.inputs[0]);
  if (node === undefined || node.domain !== '' || (node.opType !== 'Softmax' && node.opType !== 'LogSoftmax')) return output;
  const rank = types.get(output)?.dims.length ?? 0;
  const axis = attrInt(node, 'axis', -1);
  return rank === 2 && (axis === 1 || axis === -1) ? node.inputs[0] : output;
}

/** Checks that a loss can be taken of the value. */
export function checkLogits(name: string, dims: readonly number[] | undefined, kind: LossKind, labels: 'hard' | 'soft'): readonly number[] {
  if (dims === undefined) {
    return fail({ where: 'grad', what: `the model has no value "${name}"`, expected: 'the name of its output before the loss' });
  }
  const matrix = kind === 'cross-entropy' || labels === 'hard';
  if (matrix && dims.length !== 2) {
    fail({ where: 'grad', what: `loss of "${name}"`, expected: 'one row of class scores a sample, [N,classes]', got: formatDims(dims) });
  }
  return dims;
}

function oneHot(e: Emit, labels: string, classes: number): string {
  const depth = e.b.ints([classes]);
  return e.with('OneHot', [labels, depth, e.b.constant(f32([0, 1], [2]))], { axis: -1 }); // [N,C]
}

function normalised(e: Emit, weights: string): string {
  return e.div(weights, e.op('Max', e.reduceSum(weights, [0], true), e.scalar(TINY)));
}

function countCorrect(e: Emit, o: LossOptions): string {
  if (o.dims.length !== 2) return e.constant([0], []);
  const argMax = (x: string): string => e.with('ArgMax', [x], { axis: 1, keepdims: 0 });
  const right = e.cast(e.op('Equal', argMax(o.logits), o.labels === 'hard' ? o.labelsInput : argMax(o.labelsInput)), 'float32'); // [N]
  const counted = o.weightsInput === undefined ? right : e.mul(right, e.cast(e.op('Greater', o.weightsInput, e.scalar(0)), 'float32'));
  return e.reduceSum(counted, [0]);
}
