/**
 * What a node does to the channels of one of its inputs. Following a channel from the layer that makes it to the layer that mixes it with
 * others is how cut points are found; this file is the table behind it. An operator that is not here is `other`: the walk stops.
 */
import type { ChannelGraph } from './channel-graph.ts';
import { embedded, isPlain, type Layout, repeated, reshaped, sliced, transposed } from './channel-layout.ts';
import { attrInt, attrInts } from './edit.ts';
import type { Node } from './model.ts';

export type ChannelRole =
  /** Each channel on its own, element by element. `zero`: maps 0 to 0. */
  | { readonly kind: 'activation'; readonly zero: boolean }
  /** Each channel on its own, over space; of an all-zero channel comes an all-zero channel. */
  | { readonly kind: 'pool' }
  /** Identity, Dropout, Cast. */
  | { readonly kind: 'pass' }
  /** The same features in another shape or order: Flatten, Reshape, Transpose, Gather of channels. */
  | { readonly kind: 'reshape' }
  /** Part of the channels to each output. */
  | { readonly kind: 'split' }
  /** Beside the channels of other values. */
  | { readonly kind: 'concat' }
  /** A normalisation of each channel on its own, with factors and shifts that make 0 of it where they are 0. */
  | { readonly kind: 'batch-norm' }
  /** A convolution of each channel on its own. */
  | { readonly kind: 'depthwise' }
  /** Mul or Div by a constant: 0 stays 0. `axis` is the constant's channel axis, undefined where all channels share one number. */
  | { readonly kind: 'scale'; readonly constant: string; readonly axis: number | undefined }
  /** Add or Sub of a constant. */
  | { readonly kind: 'shift'; readonly constant: string; readonly axis: number | undefined }
  /** Product with a computed value (squeeze-and-excitation): 0 stays 0. */
  | { readonly kind: 'gate' }
  /** Conv, Gemm or MatMul with a weight that does not depend on the image: every output is a weighted sum of input channels (of its group's, for a grouped Conv). */
  | { readonly kind: 'linear' }
  /** Element by element with another computed value of the same shape: residual Add. */
  | { readonly kind: 'join' }
  | { readonly kind: 'other' };

export interface ChannelStep {
  readonly role: ChannelRole;
  /** Where the channels are in each output of the node; empty for `linear` and `other`. */
  readonly out: readonly (Layout | undefined)[];
}

const OTHER: ChannelStep = { role: { kind: 'other' }, out: [] };
const KEEP_ZERO = new Set(
  (
    'Relu LeakyRelu PRelu Elu Celu Selu Gelu ThresholdedRelu Tanh Softsign HardSwish Mish Swish Erf Abs Neg Sign Sqrt Floor Ceil Round ' +
    'Sin Sinh Asin Asinh Atan Atanh Tan QuickGelu'
  ).split(' '),
);
const LIFT_ZERO = new Set('Sigmoid HardSigmoid Softplus Exp Cos Cosh'.split(' '));
const POOLS = new Set('MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool'.split(' '));
const REDUCERS = new Set('ReduceMean ReduceMax ReduceMin ReduceSum ReduceL1 ReduceL2 ReduceSumSquare ReduceProd'.split(' '));
const PASSES = new Set(['Identity', 'Dropout', 'Cast']);
const RESHAPES = new Set(['Flatten', 'Reshape', 'Squeeze', 'Unsqueeze']);
const ARITHMETIC = new Set(['Add', 'Sub', 'Mul', 'Div', 'Sum']);
/** Operators of other domains that are known all the same. */
const FOREIGN = new Set(['com.microsoft:Gelu', 'com.microsoft:QuickGelu']);

/**
 * What `node` does to channels that come in at `input` (its index among the node's inputs), laid out as `layout` says. Other inputs are taken
 * to bring nothing of these channels.
 */
export function channelStep(g: ChannelGraph, node: Node, input: number, layout: Layout): ChannelStep {
  const { opType } = node;
  if (node.domain !== '' && node.domain !== 'ai.onnx' && !FOREIGN.has(`${node.domain}:${opType}`)) return OTHER;
  const from = g.dims(node.inputs[input]);
  const to = g.dims(node.outputs[0]);
  if (from === undefined || to === undefined || layout.axis + layout.span > from.length) return OTHER;
  const step = (role: ChannelRole, out: Layout | undefined): ChannelStep => (out === undefined ? OTHER : { role, out: [out] });
  if (ARITHMETIC.has(opType)) return arithmetic(g, node, input, layout);
  if (opType === 'Max' || opType === 'Min') return step({ kind: 'activation', zero: bounded(g, node, input) }, boundedBy(g, node, layout));
  if (opType === 'Concat') return concat(g, node, input, layout, from, to);
  if (input !== 0) return OTHER;
  if (opType === 'Pow')
    return g.isDynamic(node.inputs[1]) ? OTHER : step({ kind: 'activation', zero: positive(g, node.inputs[1]) }, layout);
  if (KEEP_ZERO.has(opType)) return step({ kind: 'activation', zero: true }, layout);
  if (LIFT_ZERO.has(opType)) return step({ kind: 'activation', zero: false }, layout);
  if (opType === 'Clip') return clip(g, node, layout);
  if (POOLS.has(opType)) return layout.axis === 1 && layout.span === 1 ? step({ kind: 'pool' }, layout) : OTHER;
  if (REDUCERS.has(opType)) return reduction(g, node, layout, from.length);
  if (PASSES.has(opType)) return step({ kind: 'pass' }, layout);
  if (RESHAPES.has(opType)) return step({ kind: 'reshape' }, reshaped(layout, from, to));
  if (opType === 'Transpose') return step({ kind: 'reshape' }, transposed(layout, from, permutation(node, from.length)));
  if (opType === 'BatchNormalization' || opType === 'InstanceNormalization') {
    const own = layout.axis === 1 && layout.span === 1 && node.inputs.slice(1).every((name) => !g.isDynamic(name));
    return own ? step({ kind: 'batch-norm' }, layout) : OTHER;
  }
  if (opType === 'Split') return split(g, node, layout, from.length);
  if (opType === 'Slice' || opType === 'Gather') return chosen(g, node, layout, from, to);
  if (opType === 'Pad') return padded(g, node, layout, from, to);
  if (opType === 'Resize' || opType === 'Upsample' || opType === 'Expand' || opType === 'Tile') {
    return from.length === to.length && keeps(layout, from, to) ? step({ kind: 'pool' }, layout) : OTHER;
  }
  return linear(g, node, layout, from.length);
}

/** Whether a node takes something of all its channels and mixes it. */
function linear(g: ChannelGraph, node: Node, { axis, span, map }: Layout, rank: number): ChannelStep {
  const weight = g.dims(node.inputs[1] ?? '');
  if (weight === undefined || g.isDynamic(node.inputs[1]) || span !== 1) return OTHER;
  const mixed: ChannelStep = { role: { kind: 'linear' }, out: [] };
  const { opType } = node;
  if (opType === 'Conv' || opType === 'ConvTranspose') {
    if (axis !== 1) return OTHER;
    const to = g.dims(node.outputs[0])?.[1] ?? 0;
    if (!isDepthwise(node, map.length, to)) return mixed;
    return { role: { kind: 'depthwise' }, out: [repeated({ axis, span, map }, to / map.length)] };
  }
  if (opType === 'Gemm') return axis === 1 && attrInt(node, 'transA', 0) === 0 ? mixed : OTHER;
  if (opType !== 'MatMul' || weight.length !== 2) return OTHER;
  // A MatMul works along the last axis: channels on another one each go through it by themselves.
  return axis === rank - 1 ? mixed : { role: { kind: 'pool' }, out: [{ axis, span, map }] };
}

/** A convolution with a group for each input channel. */
export function isDepthwise(node: Node, from: number, to: number): boolean {
  return from > 1 && attrInt(node, 'group', 1) === from && to % from === 0;
}

function arithmetic(g: ChannelGraph, node: Node, input: number, layout: Layout): ChannelStep {
  const [a, b] = node.inputs;
  if (node.inputs.length !== 2) return several(g, node, input, layout);
  const other = input === 0 ? b : a;
  const dims = g.dims(node.inputs[input]) ?? [];
  const otherDims = g.dims(other);
  const out = g.dims(node.outputs[0]) ?? [];
  if (otherDims === undefined) return OTHER;
  const { opType } = node;
  const product = opType === 'Mul' || (opType === 'Div' && input === 0);
  if (!sameShape(out, dims)) {
    // The channel is spread over the other value: the gate's side of a squeeze-and-excitation.
    const grown = { ...layout, axis: layout.axis + out.length - dims.length };
    return product && g.isDynamic(other) && keeps(layout, dims, out, grown.axis) ? { role: { kind: 'gate' }, out: [grown] } : OTHER;
  }
  const kept = (role: ChannelRole): ChannelStep => ({ role, out: [layout] });
  if (g.isDynamic(other)) {
    if (a === b) return opType === 'Sub' || opType === 'Div' ? OTHER : kept({ kind: 'activation', zero: true });
    if (opType === 'Mul') return kept({ kind: 'gate' });
    return sameShape(otherDims, dims) && opType !== 'Div' ? kept({ kind: 'join' }) : OTHER;
  }
  // Constants align with the right end of the shape.
  const axis = layout.axis - (dims.length - otherDims.length);
  const size = dims[layout.axis];
  const channelAxis = layout.span === 1 && axis >= 0 && otherDims[axis] === size && size !== 1 ? axis : undefined;
  const mixed = layout.span > 1 && otherDims.slice(Math.max(0, axis), axis + layout.span).some((d) => d !== 1);
  if (product) return mixed ? OTHER : kept({ kind: 'scale', constant: other, axis: channelAxis });
  if (mixed || opType === 'Div') return OTHER;
  return kept({ kind: 'shift', constant: other, axis: channelAxis });
}

/** Sum of one or of more than two. */
function several(g: ChannelGraph, node: Node, input: number, layout: Layout): ChannelStep {
  if (node.inputs.length === 1) return { role: { kind: 'pass' }, out: [layout] };
  const dims = g.dims(node.inputs[input]) ?? [];
  const alike = [...node.inputs, node.outputs[0]].every((name) => sameShape(g.dims(name) ?? [], dims));
  return alike && node.inputs.every((name) => g.isDynamic(name)) ? { role: { kind: 'join' }, out: [layout] } : OTHER;
}

const sameShape = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

/** Whether the axes that count features have the same sizes, and the batch has. */
function keeps({ axis, span }: Layout, from: readonly number[], to: readonly number[], at = axis): boolean {
  for (let i = 0; i < span; i++) if (from[axis + i] !== to[at + i]) return false;
  return from[0] === to[0];
}

/** Clip keeps zero where its bounds (attributes before opset 11, constant inputs since) enclose it. */
function clip(g: ChannelGraph, node: Node, layout: Layout): ChannelStep {
  const bound = (index: number, name: string, none: number): number | undefined => {
    const attribute = node.attributes.get(name);
    if (attribute?.type === 'float') return attribute.value;
    const value = node.inputs[index];
    return value === undefined || value === '' ? none : g.constant(value)?.[0];
  };
  const low = bound(1, 'min', Number.NEGATIVE_INFINITY);
  const high = bound(2, 'max', Number.POSITIVE_INFINITY);
  if (low === undefined || high === undefined) return OTHER;
  return { role: { kind: 'activation', zero: low <= 0 && high >= 0 }, out: [layout] };
}

/** Max and Min with constants, as some exporters write Relu6. */
function bounded(g: ChannelGraph, node: Node, input: number): boolean {
  const bounds = node.inputs.filter((_, i) => i !== input).map((name) => g.constant(name) ?? [Number.NaN]);
  return bounds.every((list) => list.every((v) => (node.opType === 'Max' ? v <= 0 : v >= 0)));
}

function boundedBy(g: ChannelGraph, node: Node, layout: Layout): Layout | undefined {
  const others = node.inputs.filter((name) => !g.isDynamic(name));
  return others.length === node.inputs.length - 1 && others.every((name) => g.constant(name)?.length === 1) ? layout : undefined;
}

const positive = (g: ChannelGraph, value: string): boolean => g.constant(value)?.every((v) => v > 0) === true;

/** A reduction that leaves batch and channels alone. */
function reduction(g: ChannelGraph, node: Node, layout: Layout, rank: number): ChannelStep {
  const given = node.attributes.has('axes') ? attrInts(node, 'axes') : g.constant(node.inputs[1] ?? '');
  const axes = (given ?? []).map((a) => (a < 0 ? a + rank : a));
  const touched = axes.some((a) => a === 0 || (a >= layout.axis && a < layout.axis + layout.span));
  if (axes.length === 0 || touched) return OTHER;
  const gone = attrInt(node, 'keepdims', 1) === 0 ? axes.filter((a) => a < layout.axis).length : 0;
  return { role: { kind: 'pool' }, out: [{ ...layout, axis: layout.axis - gone }] };
}

function permutation(node: Node, rank: number): readonly number[] {
  return attrInts(
    node,
    'perm',
    Array.from({ length: rank }, (_, i) => rank - 1 - i),
  );
}

function axisOf(node: Node, rank: number, otherwise?: number): number {
  const axis = attrInt(node, 'axis', otherwise);
  return axis < 0 ? axis + rank : axis;
}

function concat(g: ChannelGraph, node: Node, input: number, layout: Layout, from: readonly number[], to: readonly number[]): ChannelStep {
  const axis = axisOf(node, from.length, 1);
  if (layout.span !== 1 || axis === 0) return OTHER;
  // Joined along space: the channel is then no longer zero where this part of it is.
  if (axis !== layout.axis) return { role: { kind: 'join' }, out: [layout] };
  const sizes = node.inputs.map((name) => g.dims(name)?.[axis] ?? 0);
  const offset = sizes.slice(0, input).reduce((a, d) => a + d, 0);
  return { role: { kind: 'concat' }, out: [embedded(layout, offset, to[axis])] };
}

function split(g: ChannelGraph, node: Node, layout: Layout, rank: number): ChannelStep {
  const axis = axisOf(node, rank, 0);
  if (axis < layout.axis || axis >= layout.axis + layout.span) return { role: { kind: 'pool' }, out: node.outputs.map(() => layout) };
  if (layout.span !== 1) return OTHER;
  let start = 0;
  const out = node.outputs.map((name) => {
    const end = start + (g.dims(name)?.[axis] ?? 0);
    const part = sliced(layout, start, end);
    start = end;
    return part;
  });
  return { role: { kind: 'split' }, out };
}

/** Slice and Gather: parts of space, or some of the channels. */
function chosen(g: ChannelGraph, node: Node, layout: Layout, from: readonly number[], to: readonly number[]): ChannelStep {
  if (node.opType === 'Slice') {
    if (from[0] !== to[0]) return OTHER;
    if (keeps(layout, from, to) && !mayTurn(g, node, layout, from.length)) return { role: { kind: 'pool' }, out: [layout] };
    const [start, step] = sliceStart(g, node, layout.axis, from) ?? [];
    if (start === undefined || step === undefined || layout.span !== 1) return OTHER;
    const map = Int32Array.from({ length: to[layout.axis] }, (_, i) => layout.map[start + i * step]);
    return { role: { kind: 'split' }, out: [{ ...layout, map }] };
  }
  const axis = axisOf(node, from.length, 0);
  const indices = g.dims(node.inputs[1]);
  if (axis === 0 || indices === undefined || g.isDynamic(node.inputs[1])) return OTHER;
  if (axis < layout.axis) return { role: { kind: 'pool' }, out: [{ ...layout, axis: layout.axis + indices.length - 1 }] };
  if (axis >= layout.axis + layout.span) return { role: { kind: 'pool' }, out: [layout] };
  const list = g.constant(node.inputs[1]);
  if (list === undefined || layout.span !== 1 || indices.length !== 1) return OTHER;
  return { role: { kind: 'split' }, out: [{ ...layout, map: Int32Array.from(list, (i) => layout.map[i < 0 ? i + from[axis] : i]) }] };
}

/** Whether a Slice goes backwards along an axis that counts features, which keeps their number and turns them round; or cannot be known not to. */
function mayTurn(g: ChannelGraph, node: Node, { axis, span }: Layout, rank: number): boolean {
  if (!node.inputs[4]) return false;
  const steps = g.constant(node.inputs[4]);
  const axes = node.inputs[3] ? g.constant(node.inputs[3]) : steps?.map((_, i) => i);
  if (steps === undefined || axes === undefined) return true;
  return steps.some((step, i) => {
    const at = axes[i] < 0 ? axes[i] + rank : axes[i];
    return step < 0 && at >= axis && at < axis + span;
  });
}

/** Where a Slice begins on `axis` and by what it goes on; attributes before opset 10, constant inputs since. */
function sliceStart(g: ChannelGraph, node: Node, axis: number, from: readonly number[]): [number, number] | undefined {
  const list = (name: string, input: number): readonly number[] | undefined =>
    node.attributes.has(name) ? attrInts(node, name) : node.inputs[input] ? g.constant(node.inputs[input]) : undefined;
  const starts = list('starts', 1);
  if (starts === undefined) return undefined;
  const axes = (list('axes', 3) ?? starts.map((_, i) => i)).map((a) => (a < 0 ? a + from.length : a));
  const at = axes.indexOf(axis);
  if (at < 0 || (node.inputs[4] && list('steps', 4) === undefined)) return undefined;
  const step = list('steps', 4)?.[at] ?? 1;
  const size = from[axis];
  const start = starts[at] < 0 ? starts[at] + size : starts[at];
  return [Math.max(0, Math.min(step < 0 ? size - 1 : size, start)), step];
}

function padded(g: ChannelGraph, node: Node, layout: Layout, from: readonly number[], to: readonly number[]): ChannelStep {
  const attribute = node.attributes.get('mode');
  const constant = attribute?.type !== 'string' || attribute.value === 'constant';
  const value = node.attributes.get('value');
  const filled = value?.type === 'float' ? value.value : node.inputs[2] ? g.constant(node.inputs[2])?.[0] : 0;
  if ((constant && filled !== 0) || layout.span !== 1 || from[0] !== to[0]) return OTHER;
  if (from[layout.axis] === to[layout.axis]) return { role: { kind: 'pool' }, out: [layout] };
  const pads = node.attributes.has('pads') ? attrInts(node, 'pads') : g.constant(node.inputs[1] ?? '');
  if (!constant || pads === undefined || pads.length !== 2 * from.length || pads[layout.axis] < 0) return OTHER;
  return { role: { kind: 'concat' }, out: [embedded(layout, pads[layout.axis], to[layout.axis])] };
}

/** Whether a step leaves every channel where it was among its neighbours. */
export function staysPlain(step: ChannelStep, channels: number): boolean {
  const [out] = step.out;
  return step.out.length === 1 && out !== undefined && isPlain(out, channels);
}
