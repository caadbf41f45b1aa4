/** From a layer's output to the place where a cut channel has to be zero, and all that is stored on the way. */
import type { ChannelGraph } from './channel-graph.ts';
import { isPlain, type Layout, plainLayout } from './channel-layout.ts';
import type { PassedNode } from './channel-region.ts';
import { type ChannelStep, channelStep } from './channelwise.ts';
import type { Node } from './model.ts';
import type { Stored } from './stored.ts';

/** A stored tensor with slices for the channels of a cut point. */
export interface ChannelParameter {
  readonly name: string;
  /** Axis of `name` that counts them. */
  readonly axis: number;
  readonly kind: 'weight' | 'bias' | 'scale' | 'shift';
  /** Slice -> channel, -1 for none; undefined where slice c is channel c. */
  readonly map?: Int32Array;
}

export interface Chain {
  /** The value whose mean ranks the channels, and its channel axis. */
  value: string;
  axis: number;
  activation: string | undefined;
  /** Where a cut channel must be zero. */
  cutValue: string;
  cutAxis: number;
  parameters: ChannelParameter[];
  notZeroable?: string;
  /** Whether a normalisation is on the way: what it is zeroed by is enough, whatever came before. */
  normed: boolean;
  nodes: PassedNode[];
}

const FOLLOWED = new Set(['activation', 'pool', 'pass', 'reshape', 'batch-norm', 'scale', 'shift', 'depthwise']);

/**
 * From `output` along single readers: the activation behind it, and every norm, bias or depthwise convolution on the way, also behind pooling.
 * Stops where the value is read twice, mixed, or joined.
 */
export function followChain(g: ChannelGraph, output: string, axis: number, channels: number): Chain {
  const chain: Chain = {
    ...{ value: output, axis, activation: undefined, cutValue: output, cutAxis: axis },
    ...{ parameters: [], normed: false, nodes: [] },
  };
  let pending: PassedNode[] = [];
  let pooled = false;
  let filtered = false;
  let at: Layout = plainLayout(axis, channels);
  for (let value = output; !g.outputs.has(value); ) {
    const next = nextStep(g, value, at);
    if (next === undefined || !FOLLOWED.has(next.step.role.kind) || next.step.out.length !== 1) break;
    const { nodes, step, activation } = next;
    const [out] = step.out;
    if (out === undefined || !isPlain(out, channels)) break;
    const parameters = parametersOf(g, nodes[nodes.length - 1], step, out);
    if (parameters === undefined) break;
    pending.push(...nodes.map((node) => ({ node, role: step.role, input: node.inputs.indexOf(value), from: at, to: step.out })));
    value = nodes[nodes.length - 1].outputs[0];
    at = out;
    const { role } = step;
    if (role.kind === 'pool') pooled = true;
    if (role.kind === 'depthwise') filtered = true;
    if (role.kind === 'pool' || role.kind === 'pass' || role.kind === 'reshape') continue;
    // Whatever changes the number moves the point where the channel must be zero; what was only passed on the way belongs to the chain.
    chain.nodes.push(...pending);
    pending = [];
    chain.cutValue = value;
    chain.cutAxis = out.axis;
    chain.parameters.push(...parameters.list);
    if (role.kind === 'batch-norm' && parameters.why === undefined) {
      chain.normed = true;
      chain.notZeroable = undefined;
    }
    if (role.kind === 'activation' && !role.zero) chain.notZeroable ??= `${activation} makes something else than 0 of 0`;
    if (parameters.why !== undefined) chain.notZeroable ??= parameters.why;
    // A depthwise convolution makes another layer's values; behind pooling only a first activation is still "the" activation.
    if (filtered) continue;
    if (role.kind === 'activation') {
      if (chain.activation !== undefined && pooled) continue;
      chain.value = value;
      chain.activation = activation;
    } else if (chain.activation === undefined) chain.value = value;
    else continue;
    chain.axis = out.axis;
  }
  return chain;
}

interface Next {
  readonly nodes: readonly Node[];
  readonly step: ChannelStep;
  readonly activation?: string;
}

/** The only thing that happens to a value: one node, or the nodes of an activation that reads it twice. */
function nextStep(g: ChannelGraph, value: string, at: Layout): Next | undefined {
  const gate = selfGate(g, value, at);
  if (gate !== undefined)
    return { nodes: gate.nodes, step: { role: { kind: 'activation', zero: true }, out: [at] }, activation: gate.name };
  const readers = g.readersOf(value);
  if (readers.length !== 1) return undefined;
  const [node] = readers;
  return { nodes: [node], step: channelStep(g, node, node.inputs.indexOf(value), at), activation: node.opType };
}

/** What a node on the way has to have zeroed; undefined where the chain cannot go through it. */
function parametersOf(
  g: ChannelGraph,
  node: Node,
  { role }: ChannelStep,
  out: Layout,
): { list: ChannelParameter[]; why?: string } | undefined {
  if (role.kind === 'batch-norm') {
    const own = normParameters(g, node);
    return { list: own.parameters, why: own.notZeroable };
  }
  if (role.kind === 'depthwise') {
    const own = layerParameters(g, node);
    return typeof own === 'string' ? undefined : { list: own.parameters, why: own.notZeroable };
  }
  if (role.kind !== 'shift') return { list: [] };
  const stored = g.stored.get(role.constant);
  if (stored !== undefined && role.axis !== undefined && out.span === 1) {
    return { list: [{ name: stored.name, axis: stored.axes[role.axis], kind: 'shift' }] };
  }
  if (isZero(stored)) return { list: [] };
  const what = stored === undefined ? 'something that is computed' : 'one number';
  return { list: [], why: `${node.opType} adds ${what} to all channels` };
}

/** Stored slices of a layer or norm, and why zeros in them would not do. */
export interface OwnParameters {
  readonly parameters: ChannelParameter[];
  readonly notZeroable?: string;
}

/** Factor and shift of a BatchNormalization or InstanceNormalization. */
export function normParameters(g: ChannelGraph, node: Node): OwnParameters {
  const parameters = node.inputs.slice(1, 3).flatMap((name, i): ChannelParameter[] => {
    const stored = g.stored.get(name);
    return stored === undefined ? [] : [{ name: stored.name, axis: 0, kind: i === 0 ? 'scale' : 'shift' }];
  });
  return parameters.length === 2
    ? { parameters }
    : { parameters: [], notZeroable: `the factors of its ${node.opType} are computed in the graph` };
}

/** Axis of a layer's weight, as the node sees it, that counts its outputs. */
export function outputAxis(node: Node, rank: number): number {
  if (node.opType === 'Conv') return 0;
  if (node.opType === 'MatMul') return rank - 1;
  const transB = node.attributes.get('transB');
  return transB?.type === 'int' && transB.value === 1 ? 0 : 1;
}

/** Weight and bias of a layer, with their channel axes; or why it is none whose channels can be followed. */
export function layerParameters(g: ChannelGraph, node: Node): OwnParameters | string {
  const [, weight, bias] = node.inputs;
  const dims = g.dims(weight ?? '');
  if (dims === undefined || g.isDynamic(weight)) return 'its weight is computed from the image';
  const depthwise = isDepthwiseLayer(g, node);
  if (node.opType === 'ConvTranspose' && isGrouped(node) && !depthwise) return 'grouped ConvTranspose';
  if (node.opType === 'MatMul' && dims.length !== 2) return 'its weight is no matrix';
  const stored = g.stored.get(weight);
  if (stored === undefined) return { parameters: [], notZeroable: 'its weight is computed in the graph' };
  const seen = node.opType === 'ConvTranspose' && depthwise ? 0 : outputAxis(node, dims.length);
  const parameters: ChannelParameter[] = [{ name: stored.name, axis: stored.axes[seen], kind: 'weight' }];
  if (bias === undefined || bias === '') return { parameters };
  const added = g.stored.get(bias);
  if (added === undefined) return { parameters, notZeroable: `its bias "${bias}" is computed in the graph` };
  if (added.dims.at(-1) !== dims[seen]) {
    return isZero(added) ? { parameters } : { parameters, notZeroable: `all channels share the bias "${bias}"` };
  }
  parameters.push({ name: added.name, axis: added.axes[added.dims.length - 1], kind: 'bias' });
  return { parameters };
}

function isDepthwiseLayer(g: ChannelGraph, node: Node): boolean {
  const group = node.attributes.get('group');
  return (
    group?.type === 'int' && group.value > 1 && g.dims(node.inputs[0])?.[1] === group.value && g.dims(node.outputs[0])?.[1] === group.value
  );
}

/** Whether a convolution mixes only within groups of channels. */
export function isGrouped(node: Node): boolean {
  const group = node.attributes.get('group');
  return group?.type === 'int' && group.value !== 1;
}

function isZero(stored: Stored | undefined): boolean {
  return stored !== undefined && Array.from(stored.tensor.data as ArrayLike<number>, Number).every((v) => v === 0);
}

/** Activations that exporters write as x * f(x), by the operator that tells them apart. */
const GATED: readonly [string, string][] = [
  ['Erf', 'Gelu'],
  ['Softplus', 'Mish'],
  ['Tanh', 'Gelu'],
  ['Clip', 'HardSwish'],
];
/** Nodes that such an activation has at most: Gelu by Tanh has 8. */
const MAX_GATE = 12;

/** x * f(x) as exporters write SiLU, Gelu, Mish and hard swish: the nodes, where nothing else reads x. */
export function selfGate(g: ChannelGraph, value: string, at: Layout): { nodes: Node[]; name: string } | undefined {
  const readers = g.readersOf(value);
  if (readers.length < 2 || readers.length > 4) return undefined;
  const inside = new Set([value]);
  const nodes: Node[] = [];
  const waiting = new Set(readers);
  while (nodes.length < MAX_GATE) {
    const node = [...waiting].find((n) => n.inputs.every((name) => inside.has(name) || !g.isDynamic(name)));
    if (node === undefined || g.outputs.has(node.outputs[0])) return undefined;
    const input = node.inputs.findIndex((name) => inside.has(name));
    const { role } = channelStep(g, node, input, at);
    if (!['activation', 'scale', 'shift', 'gate', 'pass', 'join'].includes(role.kind)) return undefined;
    // what is stored for each channel would have to be cut, or taken out, with it
    if (((role.kind === 'scale' || role.kind === 'shift') && role.axis !== undefined) || node.opType === 'PRelu') return undefined;
    waiting.delete(node);
    nodes.push(node);
    inside.add(node.outputs[0]);
    if (waiting.size === 0 && node.opType === 'Mul' && isClosed(g, value, nodes, inside)) return { nodes, name: gateName(nodes) };
    for (const reader of g.readersOf(node.outputs[0])) waiting.add(reader);
  }
  return undefined;
}

/** Whether all that is inside is read inside only, but for the last value, and x is a factor of that. */
function isClosed(g: ChannelGraph, value: string, nodes: readonly Node[], inside: ReadonlySet<string>): boolean {
  const last = nodes[nodes.length - 1];
  const readInside = [...inside].every((name) => name === last.outputs[0] || g.readersOf(name).every((n) => nodes.includes(n)));
  return readInside && hasFactor(g, nodes, last, value);
}

/** Whether x itself, or x times numbers, is a factor of what a product gives: 0 then stays 0. */
function hasFactor(g: ChannelGraph, nodes: readonly Node[], product: Node, value: string): boolean {
  return product.inputs.some((name) => {
    if (name === value) return true;
    const maker = nodes.find((n) => n.outputs[0] === name);
    return maker?.opType === 'Mul' ? hasFactor(g, nodes, maker, value) : maker?.opType === 'Div' && maker.inputs[0] === value;
  });
}

function gateName(nodes: readonly Node[]): string {
  const known = GATED.find(([opType]) => nodes.some((n) => n.opType === opType));
  return known?.[1] ?? `${nodes.find((n) => n.opType !== 'Mul')?.opType ?? nodes[0].opType}-gated`;
}
