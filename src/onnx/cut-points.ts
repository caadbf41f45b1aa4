/**
 * Where channels can be cut, found by following the graph and not by names: from each Conv, ConvTranspose, Gemm and MatMul with stored
 * weights through batch norm, activation and pooling to whatever mixes its channels with others.
 */
import type { Tensor } from '../core/tensor.ts';
import { type ChannelRole, channelRole } from './channelwise.ts';
import { consumers, topologicalOrder } from './edit.ts';
import type { Graph, Model, Node } from './model.ts';
import type { ValueTypes } from './value-types.ts';

/** A stored tensor with one slice for each channel of a layer. */
export interface ChannelParameter {
  readonly name: string;
  /** Axis of `name` that counts channels. */
  readonly axis: number;
  readonly kind: 'weight' | 'bias' | 'scale' | 'shift';
}

/** Where a channel stops being on its own. */
export interface ChannelEnd {
  /** `linear` mixes channels; `join` meets another value element by element; `output` leaves the graph; `other` is not known. */
  readonly kind: 'linear' | 'join' | 'output' | 'other';
  readonly value: string;
  /** Undefined for a graph output. */
  readonly node?: Node;
  /** Index of `value` among the node's inputs. */
  readonly input?: number;
  /** Neighbouring features of axis 1 that one channel has become (flattened maps); 1 before a Flatten. */
  readonly spread: number;
}

/** A channel-wise node on the way, and what it does. */
export interface PassedNode {
  readonly node: Node;
  readonly role: ChannelRole;
  /** Neighbouring features of axis 1 that one channel is where it comes in. */
  readonly spread: number;
}

export interface CutPoint {
  /** Node name, or the name of its output where the node has none. */
  readonly layer: string;
  readonly node: Node;
  readonly opType: string;
  readonly channels: number;
  /** The value whose mean ranks the channels: behind the activation, before pooling. Channels are axis 1. */
  readonly value: string;
  readonly dims: readonly number[];
  /** Operator of that activation; undefined where the channel goes on without one. */
  readonly activation: string | undefined;
  /** A value behind an activation is ranked by its mean, one without (it may be negative and strong) by its mean magnitude. */
  readonly rankBy: 'mean' | 'magnitude';
  /** Where a cut channel must be zero: `value`, or what a batch norm or bias behind it makes of it. */
  readonly cutValue: string;
  /** Everything that is zeroed to cut a channel by weights alone. */
  readonly parameters: readonly ChannelParameter[];
  /** Whether zeroing `parameters` makes `cutValue` zero; otherwise a Mul is inserted, for the reason in `notZeroable`. */
  readonly zeroable: boolean;
  readonly notZeroable?: string;
  /** Operators from the layer to where its channels are mixed, for people. */
  readonly path: readonly string[];
  /** Channel-wise nodes from the layer's output to `ends`. */
  readonly passed: readonly PassedNode[];
  readonly ends: readonly ChannelEnd[];
  /** Whether a residual Add (or gate) re-fills the channel from elsewhere after the cut. */
  readonly joined: boolean;
}

/** A layer with weights whose channels cannot be cut, and why. */
export interface LeftOut {
  readonly layer: string;
  readonly node: Node;
  readonly opType: string;
  readonly why: string;
}

const LAYERS = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

/** All layers with weights, in the order in which the graph computes them. `types` from {@link probe}, any batch size. */
export function cutPoints(model: Model, types: ValueTypes): { layers: CutPoint[]; leftOut: LeftOut[] } {
  const { graph } = model;
  const uses = consumers(graph);
  const layers: CutPoint[] = [];
  const leftOut: LeftOut[] = [];
  for (const node of topologicalOrder(graph)) {
    if (!LAYERS.has(node.opType) || (node.domain !== '' && node.domain !== 'ai.onnx')) continue;
    const found = cutPoint(graph, types, uses, node);
    if (typeof found === 'string') leftOut.push({ layer: layerName(node), node, opType: node.opType, why: found });
    else layers.push(found);
  }
  return { layers, leftOut };
}

/** How the user names a layer. */
export function layerName(node: Node): string {
  return node.name || node.outputs[0];
}

function cutPoint(graph: Graph, types: ValueTypes, uses: Map<string, Node[]>, node: Node): CutPoint | string {
  const own = ownParameters(graph, node);
  if (typeof own === 'string') return own;
  const output = node.outputs[0];
  const channels = types.get(output)?.dims[1];
  if (channels === undefined) return 'its shape is not known';
  if (!mixedLater(uses, output)) return "its channels are the model's outputs";

  const chain = followChain(graph, types, uses, output);
  const { ends, passed } = channelRegion(graph, types, chain.cutValue);
  const parameters = [...own.parameters, ...chain.parameters];
  const shared = parameters.find((p) => (uses.get(p.name)?.length ?? 0) > 1);
  const notZeroable = own.notZeroable ?? chain.notZeroable ?? (shared && `"${shared.name}" is used by several nodes`);
  const all = [...chain.nodes, ...passed];
  return {
    layer: layerName(node),
    node,
    opType: node.opType,
    channels,
    value: chain.value,
    dims: types.get(chain.value)?.dims ?? [],
    activation: chain.activation,
    rankBy: chain.activation === undefined ? 'magnitude' : 'mean',
    cutValue: chain.cutValue,
    parameters,
    zeroable: notZeroable === undefined,
    ...(notZeroable === undefined ? {} : { notZeroable }),
    path: [...all.map((p) => p.node.opType), ...new Set(ends.map((e) => e.node?.opType ?? 'output'))],
    passed: all,
    ends,
    joined: ends.some((e) => e.kind === 'join'),
  };
}

/** Weight and bias of the layer itself, with their channel axes; or why its weights cannot be read. */
function ownParameters(graph: Graph, node: Node): { parameters: ChannelParameter[]; notZeroable?: string } | string {
  const [, weight, bias] = node.inputs;
  const tensor = weight === undefined ? undefined : graph.initializers.get(weight);
  if (tensor === undefined) return node.opType === 'MatMul' ? 'it has no stored weight' : 'its weight is computed in the graph';
  if (node.opType === 'ConvTranspose' && isGrouped(node)) return 'grouped ConvTranspose';
  if (node.opType === 'MatMul' && tensor.dims.length !== 2) return 'its weight is no matrix';
  const transB = node.attributes.get('transB');
  const axis = node.opType === 'Conv' || (transB?.type === 'int' && transB.value === 1) ? 0 : 1;
  const parameters: ChannelParameter[] = [{ name: weight, axis, kind: 'weight' }];
  if (bias === undefined || bias === '') return { parameters };
  const stored = graph.initializers.get(bias);
  if (stored === undefined) return { parameters, notZeroable: `its bias "${bias}" is computed in the graph` };
  if (stored.dims.at(-1) !== tensor.dims[axis]) {
    return isZero(stored) ? { parameters } : { parameters, notZeroable: `all channels share the bias "${bias}"` };
  }
  parameters.push({ name: bias, axis: stored.dims.length - 1, kind: 'bias' });
  return { parameters };
}

interface Chain {
  value: string;
  activation: string | undefined;
  cutValue: string;
  parameters: ChannelParameter[];
  notZeroable?: string;
  nodes: PassedNode[];
}

/**
 * From the layer's output along single readers: the activation behind it, and every batch norm or bias on the way, also behind pooling.
 * Stops where the value is read twice, mixed, or joined.
 */
function followChain(graph: Graph, types: ValueTypes, uses: Map<string, Node[]>, output: string): Chain {
  const chain: Chain = { value: output, activation: undefined, cutValue: output, parameters: [], nodes: [] };
  const outputs = new Set(graph.outputs.map((o) => o.name));
  const pending: PassedNode[] = [];
  let pooled = false;
  for (let at = output; !outputs.has(at); ) {
    const gate = gatedActivation(uses, at);
    const readers = uses.get(at) ?? [];
    if (gate === undefined && readers.length !== 1) break;
    const node = gate?.at(-1) ?? readers[0];
    const input = node.inputs.indexOf(at);
    const role: ChannelRole = gate ? { kind: 'activation', zero: true } : channelRole(graph, types, node, input);
    if (!['activation', 'pool', 'pass', 'batch-norm', 'scale', 'shift'].includes(role.kind)) break;
    pending.push(...(gate ?? [node]).map((n) => ({ node: n, role, spread: 1 })));
    at = node.outputs[0];
    if (role.kind === 'pool') pooled = true;
    if (role.kind === 'pool' || role.kind === 'pass') continue;
    // Whatever changes the number moves the point where the channel must be zero; what was only passed on the way belongs to the chain.
    chain.nodes.push(...pending.splice(0));
    chain.cutValue = at;
    // Behind pooling only a first activation is still "the" activation; a batch norm there does not move the ranked value.
    if (role.kind === 'activation') {
      if (!role.zero) chain.notZeroable ??= `${node.opType} makes something else than 0 of 0`;
      if (chain.activation === undefined || !pooled) {
        chain.value = at;
        chain.activation = gate ? `${gate[0].opType}-gated` : node.opType;
      }
    } else if (chain.activation === undefined) chain.value = at;
    addParameters(graph, node, role, chain);
  }
  return chain;
}

function addParameters(graph: Graph, node: Node, role: ChannelRole, chain: Chain): void {
  if (role.kind === 'batch-norm') {
    chain.parameters.push({ name: node.inputs[1], axis: 0, kind: 'scale' }, { name: node.inputs[2], axis: 0, kind: 'shift' });
  }
  if (role.kind === 'shift') {
    if (role.axis !== undefined) chain.parameters.push({ name: role.constant, axis: role.axis, kind: 'shift' });
    else if (!isZero(graph.initializers.get(role.constant))) chain.notZeroable ??= `${node.opType} adds one number to all channels`;
  }
}

/** x * sigmoid(x) as exporters write SiLU (and hard swish): the two nodes, where nothing else reads x. */
function gatedActivation(uses: Map<string, Node[]>, value: string): Node[] | undefined {
  const readers = uses.get(value) ?? [];
  if (readers.length !== 2) return undefined;
  const gate = readers.find((n) => n.opType === 'Sigmoid' || n.opType === 'HardSigmoid');
  const product = readers.find((n) => n.opType === 'Mul');
  if (gate === undefined || product === undefined || !product.inputs.includes(gate.outputs[0])) return undefined;
  return uses.get(gate.outputs[0])?.length === 1 ? [gate, product] : undefined;
}

/**
 * Everything that happens to the channels of `start` before they are mixed: channel-wise nodes in computing order, and the places where it
 * ends. With `throughJoins` a residual Add is passed too, as it still works channel by channel.
 */
export function channelRegion(
  graph: Graph,
  types: ValueTypes,
  start: string,
  o: { throughJoins?: boolean } = {},
): { passed: PassedNode[]; ends: ChannelEnd[] } {
  const spread = new Map([[start, 1]]);
  const passed: PassedNode[] = [];
  const ends: ChannelEnd[] = [];
  const outputs = new Set(graph.outputs.map((output) => output.name));
  if (outputs.has(start)) ends.push({ kind: 'output', value: start, spread: 1 });
  for (const node of topologicalOrder(graph)) {
    const inputs = node.inputs.flatMap((name, i) => (spread.has(name) ? [i] : []));
    if (inputs.length === 0) continue;
    const input = inputs[0];
    const value = node.inputs[input];
    const role = channelRole(graph, types, node, input);
    const known = spread.get(value) ?? 1;
    const mixes = role.kind === 'linear' || role.kind === 'other';
    const alone = inputs.length === 1 && (role.kind !== 'join' || o.throughJoins === true);
    const meetsItself = inputs.length > 1 && role.kind === 'join' && spread.get(node.inputs[inputs[1]]) === known;
    if (!mixes && (alone || meetsItself)) {
      const out = node.outputs[0];
      spread.set(out, role.kind === 'reshape' ? known * role.spread : known);
      passed.push({ node, role, spread: known });
      if (outputs.has(out)) ends.push({ kind: 'output', value: out, spread: known });
      continue;
    }
    for (const i of inputs) {
      const at = channelRole(graph, types, node, i).kind;
      const kind = at === 'linear' || at === 'join' ? at : 'other';
      ends.push({ kind, value: node.inputs[i], node, input: i, spread: spread.get(node.inputs[i]) ?? 1 });
    }
  }
  return { passed, ends };
}

/** Whether a layer with weights comes after `value`; otherwise its channels are what the model gives out. */
function mixedLater(uses: Map<string, Node[]>, value: string): boolean {
  const queue = [value];
  const seen = new Set(queue);
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    for (const node of uses.get(at) ?? []) {
      if (LAYERS.has(node.opType)) return true;
      for (const out of node.outputs) {
        if (seen.has(out)) continue;
        seen.add(out);
        queue.push(out);
      }
    }
  }
  return false;
}

function isZero(tensor: Tensor | undefined): boolean {
  return tensor !== undefined && Array.from(tensor.data, Number).every((v) => v === 0);
}

/** Axis of a linear node's weight that counts its input features. */
export function inputAxis(node: Node): number {
  const transB = node.attributes.get('transB');
  return node.opType === 'Conv' || (transB?.type === 'int' && transB.value === 1) ? 1 : 0;
}

/** Feature numbers of `channels` where each channel is `spread` neighbouring features. */
export function featuresOf(channels: readonly number[], spread: number): number[] {
  return channels.flatMap((c) => Array.from({ length: spread }, (_, i) => c * spread + i));
}

/** Whether a convolution mixes only within groups of channels. */
export function isGrouped(node: Node): boolean {
  const group = node.attributes.get('group');
  return group?.type === 'int' && group.value !== 1;
}
