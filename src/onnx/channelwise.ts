/**
 * What a node does to the channels (axis 1) of one of its inputs. Following a channel from the layer that makes it to the layer that mixes
 * it with others is how cut points are found; this file is the table behind it. An operator that is not here is `other`: the walk stops.
 */

import { sizeOf } from '../core/tensor.ts';
import type { Graph, Node } from './model.ts';
import type { ValueTypes } from './value-types.ts';

export type ChannelRole =
  /** Each channel on its own, element by element. `zero`: maps 0 to 0. */
  | { readonly kind: 'activation'; readonly zero: boolean }
  /** Each channel on its own, over space; of an all-zero channel comes an all-zero channel. */
  | { readonly kind: 'pool' }
  /** Identity, Dropout, Cast. */
  | { readonly kind: 'pass' }
  /** Same features in another shape; one channel becomes `spread` neighbouring features of axis 1 for each it was before. */
  | { readonly kind: 'reshape'; readonly spread: number }
  | { readonly kind: 'batch-norm' }
  /** Mul or Div by a constant: 0 stays 0. */
  | { readonly kind: 'scale'; readonly constant: string; readonly axis: number | undefined }
  /** Add or Sub of a constant; `axis` is the constant's channel axis, undefined where all channels share one number. */
  | { readonly kind: 'shift'; readonly constant: string; readonly axis: number | undefined }
  /** Conv, Gemm or MatMul: every output is a weighted sum of input channels (of its group's, for a grouped Conv). */
  | { readonly kind: 'linear'; readonly weight: string }
  /** Element by element with another computed value of the same shape: residual Add, gating Mul. */
  | { readonly kind: 'join' }
  | { readonly kind: 'other' };

const OTHER: ChannelRole = { kind: 'other' };
const KEEP_ZERO = new Set([
  'Relu',
  'LeakyRelu',
  'PRelu',
  'Elu',
  'Celu',
  'Selu',
  'Gelu',
  'ThresholdedRelu',
  'Tanh',
  'Softsign',
  'HardSwish',
  'Mish',
  'Erf',
  'Abs',
]);
const LIFT_ZERO = new Set(['Sigmoid', 'HardSigmoid', 'Softplus']);
const POOLS = new Set(['MaxPool', 'AveragePool', 'LpPool', 'GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool']);
const REDUCERS = new Set(['ReduceMean', 'ReduceMax', 'ReduceSum', 'ReduceL2']);
const PASSES = new Set(['Identity', 'Dropout', 'Cast']);
const RESHAPES = new Set(['Flatten', 'Reshape', 'Squeeze', 'Unsqueeze']);

/** Role of `node` for what comes in at `input` (its index among the node's inputs). `types` as {@link probe} gives them. */
export function channelRole(graph: Graph, types: ValueTypes, node: Node, input: number): ChannelRole {
  const { opType } = node;
  if (node.domain !== '' && node.domain !== 'ai.onnx') return OTHER;
  const from = types.get(node.inputs[input])?.dims;
  const to = types.get(node.outputs[0])?.dims;
  if (from === undefined || to === undefined || from.length < 2) return OTHER;
  if (opType === 'Add' || opType === 'Sub' || opType === 'Mul' || opType === 'Div') return arithmetic(graph, types, node, input);
  if (input !== 0) return OTHER;
  if (KEEP_ZERO.has(opType)) return { kind: 'activation', zero: true };
  if (LIFT_ZERO.has(opType)) return { kind: 'activation', zero: false };
  if (opType === 'Clip') return clip(types, node);
  if (POOLS.has(opType)) return { kind: 'pool' };
  if (REDUCERS.has(opType)) return spatial(types, node, from.length) ? { kind: 'pool' } : OTHER;
  if (PASSES.has(opType)) return { kind: 'pass' };
  if (RESHAPES.has(opType)) return reshape(from, to);
  if (opType === 'BatchNormalization') return node.inputs.slice(1).every((n) => graph.initializers.has(n)) ? { kind: 'batch-norm' } : OTHER;
  return linear(graph, node, from.length);
}

function linear(graph: Graph, node: Node, rank: number): ChannelRole {
  const weight = node.inputs[1];
  if (weight === undefined || !graph.initializers.has(weight)) return OTHER;
  if (node.opType === 'Conv') return { kind: 'linear', weight };
  if (node.opType === 'Gemm' && int(node, 'transA') === 0) return { kind: 'linear', weight };
  if (node.opType === 'MatMul' && rank === 2 && graph.initializers.get(weight)?.dims.length === 2) return { kind: 'linear', weight };
  return OTHER;
}

function arithmetic(graph: Graph, types: ValueTypes, node: Node, input: number): ChannelRole {
  const [a, b] = node.inputs;
  const other = input === 0 ? b : a;
  const dims = types.get(node.inputs[input])?.dims ?? [];
  const otherDims = types.get(other)?.dims ?? [];
  const out = types.get(node.outputs[0])?.dims ?? [];
  if (out.length !== dims.length || out.some((d, i) => d !== dims[i])) return OTHER;
  if (!graph.initializers.has(other)) {
    // x * x or x + x is element by element too, but then both inputs are the channel: leave those to a reader of the whole graph.
    const same = otherDims.length === dims.length && otherDims.every((d, i) => d === dims[i]);
    return same && a !== b && (node.opType === 'Add' || node.opType === 'Mul' || node.opType === 'Sub') ? { kind: 'join' } : OTHER;
  }
  // Constants align with the right end of the shape.
  const axis = 1 - (dims.length - otherDims.length);
  const channelAxis = axis >= 0 && otherDims[axis] === dims[1] && dims[1] !== 1 ? axis : undefined;
  if (node.opType === 'Add') return { kind: 'shift', constant: other, axis: channelAxis };
  if (node.opType === 'Sub') return input === 0 ? { kind: 'shift', constant: other, axis: channelAxis } : OTHER;
  if (node.opType === 'Mul') return { kind: 'scale', constant: other, axis: channelAxis };
  return input === 0 ? { kind: 'scale', constant: other, axis: channelAxis } : OTHER;
}

/** Clip keeps zero where its bounds (attributes before opset 11, constant inputs since) enclose it. */
function clip(types: ValueTypes, node: Node): ChannelRole {
  const bound = (index: number, name: string, none: number): number | undefined => {
    const attribute = node.attributes.get(name);
    if (attribute?.type === 'float') return attribute.value;
    const value = node.inputs[index];
    if (value === undefined || value === '') return none;
    const constant = types.get(value)?.constant;
    return constant === undefined ? undefined : Number(constant.data[0]);
  };
  const low = bound(1, 'min', Number.NEGATIVE_INFINITY);
  const high = bound(2, 'max', Number.POSITIVE_INFINITY);
  if (low === undefined || high === undefined) return OTHER;
  return { kind: 'activation', zero: low <= 0 && high >= 0 };
}

/** Whether a reduction leaves batch and channels alone. */
function spatial(types: ValueTypes, node: Node, rank: number): boolean {
  const attribute = node.attributes.get('axes');
  const constant = node.inputs[1] === undefined ? undefined : types.get(node.inputs[1])?.constant;
  const axes = attribute?.type === 'ints' ? [...attribute.value] : constant === undefined ? [] : Array.from(constant.data, Number);
  return axes.length > 0 && axes.every((a) => (a < 0 ? a + rank : a) >= 2);
}

function reshape(from: readonly number[], to: readonly number[]): ChannelRole {
  if (to.length < 2 || from[0] !== to[0] || sizeOf(from) !== sizeOf(to)) return OTHER;
  if (from[1] === to[1]) return { kind: 'reshape', spread: 1 };
  return to.length === 2 && to[1] === sizeOf(from.slice(1)) ? { kind: 'reshape', spread: to[1] / from[1] } : OTHER;
}

function int(node: Node, name: string): number {
  const attribute = node.attributes.get(name);
  return attribute?.type === 'int' ? attribute.value : 0;
}
