/** What a training step and a gradient graph have in common: the forward part, the loss, the backward part. */
import { fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';
import type { DType } from '../core/tensor.ts';
import { GraphBuilder } from '../onnx/builder.ts';
import { allNames, cloneModel, describeNode, producers, removeDead, topologicalOrder, usedValues } from '../onnx/edit.ts';
import type { Graph, Model, Node } from '../onnx/model.ts';
import { constantsToInitializers } from '../onnx/passes/constants-to-initializers.ts';
import type { ValueType, ValueTypes } from '../onnx/value-types.ts';
import { addLoss, checkLogits, type LossKind, type LossValues, logitsOf } from './losses.ts';
import { raiseOpset } from './raise-opset.ts';
import { slopedInputs, stops } from './table.ts';
import {
  addScratch,
  passThrough,
  type TrainedDropout,
  type TrainedNorm,
  trainDropout,
  trainNorm,
  useRunningStatistics,
} from './training-mode.ts';
import { backward, influenced } from './walk.ts';

export interface LossSpec {
  /** Name of the model's input. */
  readonly input: string;
  /** Name of the value that the loss is taken of; where a Softmax makes it, a cross-entropy is taken of that one's input. */
  readonly logits: string;
  readonly loss: LossKind;
  /** Default `hard`: int64 class numbers [N]. `soft`: float32 [N,C]. */
  readonly labels?: 'hard' | 'soft';
  /** Whether there is an input of float32 sample weights [N]. */
  readonly sampleWeights?: boolean;
  /** Default `inference`: running statistics, which stay as they are. `training`: the batch's own, and the running ones follow. */
  readonly batchNorm?: 'inference' | 'training';
  /**
   * Whether rounding (Floor, Ceil, Round, Sign, QuantizeLinear) passes gradients on as if it were the line that it approximates, though
   * its slope is zero (Bengio et al. 2013, section 3; Courbariaux et al. 2016, section 1.3). Default false: gradients end there.
   */
  readonly straightThrough?: boolean;
}

/** A copy of the model that may be changed, cut down to what the loss needs, and types of all its values. */
export interface Forward {
  readonly model: Model;
  readonly graph: Graph;
  readonly types: Map<string, ValueType>;
  readonly logits: string;
  /** A name nobody uses yet. */
  fresh(hint: string): string;
}

/** @throws SecateurError where the value named as logits or the input does not exist, or the loss does not fit the logits' shape */
export function prepareForward(model: Model, given: ValueTypes, o: LossSpec): Forward {
  const raised = raiseOpset(model, given);
  const copy = cloneModel(raised.model);
  constantsToInitializers.run(copy);
  const { graph } = copy;
  const types = new Map(raised.types);
  if (!types.has(o.logits)) noValue('logits', o.logits, types.keys());
  const logits = o.loss === 'cross-entropy' ? logitsOf(graph, o.logits, types) : o.logits;
  checkLogits(logits, types.get(logits)!.dims, o.loss, o.labels ?? 'hard');
  graph.outputs = [{ name: logits, dtype: undefined, dims: undefined }];
  removeDead(graph);
  // Whatever was declared has found its exact type; symbols in it would only contradict.
  graph.valueInfo = [];
  graph.inputs = graph.inputs.filter((input) => !graph.initializers.has(input.name));
  if (!graph.inputs.some((i) => i.name === o.input))
    noValue(
      'input',
      o.input,
      graph.inputs.map((i) => i.name),
    );
  const used = new Set(graph.nodes.flatMap(usedValues));
  graph.inputs = graph.inputs.filter((input) => used.has(input.name));
  const other = graph.inputs.find((input) => input.name !== o.input);
  if (other !== undefined) {
    fail({ where: 'grad', what: 'the loss depends on a second input', expected: `"${o.input}" alone`, got: `"${other.name}" too` });
  }
  for (const input of graph.inputs) input.dims = [...types.get(input.name)!.dims];
  const taken = allNames(graph);
  const fresh = (hint: string): string => {
    let name = hint;
    for (let i = 1; taken.has(name); i++) name = `${hint}_${i}`;
    taken.add(name);
    return name;
  };
  return { model: copy, graph, types, logits, fresh };
}

function noValue(what: string, name: string, known: Iterable<string>): never {
  const near = nearest(name, known);
  fail({ where: 'grad', what: `${what} "${name}" is no value of the model`, hint: near === undefined ? undefined : `"${near}"` });
}

/** Of the given values, those that the logits depend on by a path of floating-point values. */
export function differentiable(forward: Forward, candidates: readonly string[], o: { readonly straightThrough?: boolean } = {}): string[] {
  const order = topologicalOrder(forward.graph);
  const moved = influenced(order, candidates, forward.types, o);
  const reached = new Set([forward.logits]);
  for (const node of order.toReversed()) {
    if (!node.outputs.some((name) => reached.has(name))) continue;
    for (const name of slopedInputs(node, o.straightThrough)) if (moved.has(name)) reached.add(name);
  }
  return candidates.filter((name) => reached.has(name));
}

/** Where gradients ended, for the message that nothing can be trained; empty where the model has nothing that would end them. */
export function whyNone({ graph, logits }: Forward): string {
  const reached = new Set([logits]);
  for (const node of topologicalOrder(graph).toReversed()) {
    if (!node.outputs.some((name) => reached.has(name))) continue;
    if (stops(node)) return `: gradients end at ${describeNode(node)}, whose slope is zero`;
    const stored = node.opType === 'DequantizeLinear' && graph.initializers.has(node.inputs[0]);
    if (stored || /^QLinear|Integer$/.test(node.opType)) {
      return `: weights are stored as integers (${describeNode(node)}), which have no gradient`;
    }
    for (const name of usedValues(node)) reached.add(name);
  }
  const made = producers(graph);
  const maker = graph.nodes.filter((node) => node.opType === 'Conv' || node.opType === 'Gemm').map((node) => made.get(node.inputs[1]))[0];
  return maker === undefined ? '' : `: weights are not stored but made by ${describeNode(maker)}`;
}

/** Puts the operators that depend on the mode into it. Where nothing trained comes in, they stay as they are when the network is used. */
export function setModes(
  forward: Forward,
  trained: readonly string[],
  o: { readonly batchNorm: 'inference' | 'training'; readonly dropout: 'inference' | 'training'; readonly straightThrough?: boolean },
): { norms: TrainedNorm[]; dropouts: TrainedDropout[] } {
  const { graph, types, fresh } = forward;
  const norms: TrainedNorm[] = [];
  const dropouts: TrainedDropout[] = [];
  const moved = influenced(topologicalOrder(graph), trained, types, o);
  for (const node of graph.nodes) {
    if (node.domain !== '') continue;
    const trains = node.inputs.some((name) => moved.has(name));
    if (node.opType === 'BatchNormalization') {
      if (trains && o.batchNorm === 'training') norms.push(trainNorm(node, types, fresh));
      else useRunningStatistics(node);
    } else if (node.opType === 'Dropout') {
      const ratioOf = (name: string) => constantNumber(graph, name);
      if (trains && o.dropout === 'training') dropouts.push(trainDropout(node, types, fresh, ratioOf));
      else passThrough(node);
    }
  }
  return { norms, dropouts };
}

function constantNumber(graph: Graph, name: string): number | undefined {
  const tensor = graph.initializers.get(name);
  return tensor === undefined || tensor.data.length !== 1 ? undefined : Number(tensor.data[0]);
}

export interface Feeds {
  readonly x: string;
  /** int64 [N], or float32 of the logits' shape. */
  readonly labels: string;
  /** float32 [N]. */
  readonly weights?: string;
}

export interface BackwardGraph {
  readonly b: GraphBuilder;
  readonly feeds: Feeds;
  readonly loss: LossValues;
  readonly gradients: ReadonlyMap<string, string>;
}

/**
 * Starts the new graph: the forward part with `inputs` (trained parameters, running statistics) taken out of the initialisers, the
 * loss, and the gradients with respect to `wrt`. Names of what is added begin with `step/`.
 * @param complete adds what the forward part reads and does not have yet (dropout masks)
 */
export function buildBackward(
  forward: Forward,
  o: LossSpec,
  inputs: readonly string[],
  wrt: readonly string[],
  norms: readonly TrainedNorm[],
  complete?: (b: GraphBuilder) => void,
): BackwardGraph {
  const { model, graph, types, logits } = forward;
  const base = cloneModel(model);
  base.graph.outputs = [];
  base.producerName = 'secateur';
  base.irVersion = Math.max(base.irVersion, 8);
  for (const name of inputs) {
    const { dtype, dims } = graph.initializers.get(name)!;
    base.graph.initializers.delete(name);
    base.graph.inputs.push({ name, dtype, dims: [...dims] });
  }
  const b = GraphBuilder.from(base, { prefix: 'step' });
  complete?.(b);
  const dims = types.get(logits)!.dims;
  const kind = o.labels ?? 'hard';
  const feed = (name: string, dtype: DType, shape: readonly number[]): string => b.input(b.fresh(name), dtype, shape);
  const labels = kind === 'hard' ? feed('labels', 'int64', [dims[0]]) : feed('labels', 'float32', dims);
  addScratch(b, norms, labels, kind === 'hard' ? 1 : dims.length);
  const weights = o.sampleWeights ? feed('sample-weights', 'float32', [dims[0]]) : undefined;
  const loss = addLoss(b, { kind: o.loss, logits, dims, labels: kind, labelsInput: labels, weightsInput: weights });
  // `base` has the nodes in the places where the builder's copies are; the walk reads this one, with all initialisers still in it.
  const batchStatistics = new Map(norms.map((norm): [Node, TrainedNorm['batch']] => [norm.node, norm.batch]));
  const gradients = backward(b, graph, {
    seeds: new Map([[logits, loss.gradient]]),
    wrt,
    types,
    batchStatistics,
    straightThrough: o.straightThrough,
  });
  return { b, feeds: { x: o.input, labels, ...(weights === undefined ? {} : { weights }) }, loss, gradients };
}
