/**
 * Batch normalisation in inference mode costs nothing behind a convolution: y = a (w * x + b - m) + B is the convolution of the weights
 * a w with the bias a (b - m) + B, one number a = scale / sqrt(v + epsilon) per output channel. Written so, the step passes over the
 * large activations once less on the way there and twice less on the way back, and what it multiplies are weights. The gradients of
 * weights, scale and shift come out of the rules for Mul, Div and Sub: the same numbers in another order of summation.
 */
import { GraphBuilder } from '../onnx/builder.ts';
import { attrFloat, attrInt, consumers, producers, topologicalOrder } from '../onnx/edit.ts';
import type { Node } from '../onnx/model.ts';
import type { ValueType } from '../onnx/value-types.ts';
import type { Forward } from './backward-graph.ts';
import { Emit } from './emit.ts';
import { labelOf } from './freeze.ts';
import { influenced } from './walk.ts';

/**
 * Folds every BatchNormalization that runs on its running statistics, follows a convolution that nothing else reads, and through which
 * a gradient with respect to `wrt` may come. Values in `wrt` stay. Changes graph and types of `forward` in place.
 */
export function foldBatchNorms(forward: Forward, wrt: readonly string[]): void {
  const { model, graph, types } = forward;
  const [made, read] = [producers(graph), consumers(graph)];
  const moved = influenced(topologicalOrder(graph), wrt, types);
  const asked = new Set(wrt);
  const pairs: { conv: Node; norm: Node }[] = [];
  for (const norm of graph.nodes) {
    if (norm.opType !== 'BatchNormalization' || norm.domain !== '' || attrInt(norm, 'training_mode', 0) === 1) continue;
    const between = norm.inputs[0];
    const conv = made.get(between);
    const alone = read.get(between)?.length === 1 && between !== forward.logits && !asked.has(between);
    if (conv === undefined || !alone || channelAxis(conv) === undefined) continue;
    if (moved.has(norm.outputs[0]) && types.get(conv.inputs[1])?.dtype === 'float32') pairs.push({ conv, norm });
  }
  if (pairs.length === 0) return;
  const b = new GraphBuilder({ prefix: 'step' }, model);
  for (const { conv, norm } of pairs) fold(b, types, conv, norm);
  const folded = new Set(pairs.map(({ norm }) => norm));
  graph.nodes = graph.nodes.filter((node) => !folded.has(node));
  graph.nodes = topologicalOrder(graph);
}

/** Axis of the weight that counts output channels; undefined where the node is no convolution, or its weight is split over groups. */
function channelAxis(node: Node): 0 | 1 | undefined {
  if (node.domain !== '') return undefined;
  if (node.opType === 'Conv') return 0;
  return node.opType === 'ConvTranspose' && attrInt(node, 'group', 1) === 1 ? 1 : undefined;
}

function fold(b: GraphBuilder, types: Map<string, ValueType>, conv: Node, norm: Node): void {
  const e = new Emit(b, labelOf(norm));
  const [, scale, shift, mean, variance] = norm.inputs;
  const [x, weight, bias] = conv.inputs;
  const weightDims = types.get(weight)!.dims;
  const axis = channelAxis(conv)!;
  const channels = weightDims[axis];
  const typed = (name: string, dims: readonly number[] = [channels]): string => {
    types.set(name, { dtype: 'float32', dims });
    return name;
  };
  const epsilon = typed(e.scalar(attrFloat(norm, 'epsilon', 1e-5)), []);
  const deviation = typed(e.op('Sqrt', typed(e.add(variance, epsilon))));
  const a = typed(e.div(scale, deviation));
  const perWeight = weightDims.map((_, i) => (i === axis ? channels : 1));
  const weights = typed(e.mul(weight, typed(e.reshape(a, perWeight), perWeight)), weightDims);
  const offset = bias ? typed(e.sub(bias, mean)) : typed(e.neg(mean));
  const biases = typed(e.add(typed(e.mul(offset, a)), shift));
  conv.inputs = [x, weights, biases];
  conv.outputs = [norm.outputs[0]];
}
