/**
 * Where channels can be cut, found by following the graph and not by names: behind each Conv, ConvTranspose, Gemm and MatMul with stored weights,
 * and where the outputs of several of them come together: a residual Add, a Concat, a batch norm over all that came before.
 */
import { ChannelGraph } from './channel-graph.ts';
import { featuresOf, plainLayout } from './channel-layout.ts';
import { type ChannelEnd, channelRegion, type PassedNode } from './channel-region.ts';
import { channelStep } from './channelwise.ts';
import {
  type Chain,
  type ChannelParameter,
  followChain,
  isGrouped,
  layerParameters,
  normParameters,
  type OwnParameters,
  outputAxis,
} from './cut-chain.ts';
import { feedsOf } from './cut-feeds.ts';
import type { Model, Node } from './model.ts';
import { planRemoval, type Removal } from './removal.ts';
import type { ValueTypes } from './value-types.ts';

export type { ChannelEnd, ChannelParameter, PassedNode };
export { channelRegion, featuresOf, isGrouped };

/** What makes the channels: one layer, a residual Add of several, a Concat of several, or a norm of what others read too. */
export type CutKind = 'layer' | 'join' | 'concat' | 'norm';

export interface CutPoint {
  /** Node name, or the name of its output where the node has none. */
  readonly layer: string;
  readonly kind: CutKind;
  readonly node: Node;
  readonly opType: string;
  readonly channels: number;
  /** The value whose mean ranks the channels: behind the activation, before pooling. */
  readonly value: string;
  /** The axis of `value` that counts channels: 1, or the last one in graphs that keep channels there. */
  readonly axis: number;
  readonly dims: readonly number[];
  /** Operator of that activation; undefined where the channel goes on without one. */
  readonly activation: string | undefined;
  /** A value behind an activation is ranked by its mean, one without (it may be negative and strong) by its mean magnitude. */
  readonly rankBy: 'mean' | 'magnitude';
  /** Where a cut channel must be zero: `value`, or what a batch norm or bias behind it makes of it. */
  readonly cutValue: string;
  readonly cutAxis: number;
  readonly cutDims: readonly number[];
  /** Everything that is zeroed to cut a channel by weights alone. */
  readonly parameters: readonly ChannelParameter[];
  /** Whether zeroing `parameters` makes `cutValue` zero and nothing else different; otherwise a Mul is inserted, for the reason in `notZeroable`. */
  readonly zeroable: boolean;
  readonly notZeroable?: string;
  /** Operators from the layer to where its channels are mixed, for people. */
  readonly path: readonly string[];
  /** Channel-wise nodes from the layer's output to `cutValue`. */
  readonly chain: readonly PassedNode[];
  /** Channel-wise nodes from the layer's output to `ends`: the chain and what follows. */
  readonly passed: readonly PassedNode[];
  readonly ends: readonly ChannelEnd[];
  /** Whether a residual Add (or gate) re-fills the channel from elsewhere after the cut. */
  readonly joined: boolean;
  /** What it takes to have channels out of the file altogether. */
  removal(): Removal;
}

/** A layer with weights whose channels cannot be cut, and why. */
export interface LeftOut {
  readonly layer: string;
  readonly node: Node;
  readonly opType: string;
  readonly why: string;
}

const LAYERS = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

/** All places where channels can be cut, in the order in which the graph computes them. `types` from {@link probe}, any batch size. */
export function cutPoints(model: Model, types: ValueTypes): { layers: CutPoint[]; leftOut: LeftOut[] } {
  const g = new ChannelGraph(model, types);
  const layers: CutPoint[] = [];
  const leftOut: LeftOut[] = [];
  const finder = new Finder(g);
  for (const node of g.order) {
    if (node.domain !== '' && node.domain !== 'ai.onnx') continue;
    const found = finder.find(node);
    if (typeof found === 'string') leftOut.push({ layer: finder.nameOf(node), node, opType: node.opType, why: found });
    else if (found !== undefined) layers.push(found);
  }
  return { layers, leftOut };
}

/** A place where channels come from, before it is known what becomes of them. */
interface Source {
  readonly kind: CutKind;
  readonly axis: number;
  readonly channels: number;
  /** What of it is stored; undefined where that is other layers' and has to be looked for. */
  readonly own?: OwnParameters;
}

class Finder {
  readonly #g: ChannelGraph;
  readonly #mixed: ReadonlySet<string>;
  /** Norms that belong to the chain of a point before them. */
  readonly #claimed = new Set<Node>();
  readonly #names = new Map<string, number>();

  constructor(g: ChannelGraph) {
    this.#g = g;
    this.#mixed = mixedLater(g);
    for (const { name } of g.order) if (name !== '') this.#names.set(name, (this.#names.get(name) ?? 0) + 1);
  }

  /** How the user names a layer. */
  nameOf(node: Node): string {
    return node.name !== '' && this.#names.get(node.name) === 1 ? node.name : node.outputs[0];
  }

  /** The cut point that begins at a node; the reason where a layer with weights has none; undefined where nothing begins. */
  find(node: Node): CutPoint | string | undefined {
    const layer = LAYERS.has(node.opType);
    // A product of two computed values is no layer.
    if (node.opType === 'MatMul' && this.#g.isDynamic(node.inputs[1])) return undefined;
    const source = layer ? this.#layer(node) : this.#meeting(node);
    if (source === undefined || typeof source === 'string') return source;
    const found = this.#point(node, source);
    return layer || typeof found !== 'string' ? found : undefined;
  }

  #layer(node: Node): Source | string {
    const g = this.#g;
    const own = layerParameters(g, node);
    if (typeof own === 'string') return own;
    const dims = g.dims(node.outputs[0]);
    if (dims === undefined) return 'its shape is not known';
    const axis = node.opType === 'MatMul' ? dims.length - 1 : 1;
    if (node.opType === 'MatMul' && !g.isDynamic(node.inputs[0])) return 'its weight comes second';
    if (feedsAttention(g, node)) return 'it makes the queries, keys or values of attention heads, which are left alone';
    return { kind: 'layer', axis, channels: dims[axis], own };
  }

  /** A residual Add, a Concat of channels, or a norm that belongs to no layer. */
  #meeting(node: Node): Source | undefined {
    const g = this.#g;
    const [output] = node.outputs;
    const axis = g.axisOf(output);
    const channels = axis === undefined ? undefined : g.dims(output)?.[axis];
    if (axis === undefined || channels === undefined) return undefined;
    if (node.opType === 'BatchNormalization') {
      const { role } = channelStep(g, node, 0, plainLayout(axis, channels));
      if (this.#claimed.has(node) || role.kind !== 'batch-norm') return undefined;
      return { kind: 'norm', axis, channels, own: normParameters(g, node) };
    }
    if (node.opType !== 'Add' && node.opType !== 'Sum' && node.opType !== 'Concat') return undefined;
    const computed = node.inputs.filter((name) => g.isDynamic(name));
    if (computed.length < 2 || new Set(computed).size < 2) return undefined;
    const roles = node.inputs.map((name, i) => {
      const at = g.axisOf(name);
      const size = at === undefined ? undefined : g.dims(name)?.[at];
      return at === undefined || size === undefined ? undefined : channelStep(g, node, i, plainLayout(at, size)).role.kind;
    });
    const kind = node.opType === 'Concat' ? 'concat' : 'join';
    // Somebody else's channels (the image's own) may be among them.
    if (!roles.includes(kind) || roles.some((role) => role !== undefined && role !== kind)) return undefined;
    return { kind, axis, channels };
  }

  #point(node: Node, source: Source): CutPoint | string {
    const g = this.#g;
    const { axis, channels, kind } = source;
    const [output] = node.outputs;
    if (!this.#mixed.has(output)) return "its channels are the model's outputs";
    const chain = followChain(g, output, axis, channels);
    for (const { node: passed, role } of chain.nodes) if (role.kind === 'batch-norm') this.#claimed.add(passed);
    const { parameters, notZeroable } = zeroing(g, output, source, chain);
    const [dims, cutDims] = [g.dims(chain.value) ?? [], g.dims(chain.cutValue) ?? []];
    if (!this.#byImage(dims) || !this.#byImage(cutDims)) return 'the first axis of its value does not count images';
    const { ends, passed } = channelRegion(g, chain.cutValue, plainLayout(chain.cutAxis, channels));
    const all = [...chain.nodes, ...passed];
    let removal: Removal | undefined;
    return {
      layer: this.nameOf(node),
      kind,
      node,
      opType: node.opType,
      channels,
      value: chain.value,
      axis: chain.axis,
      dims,
      activation: chain.activation,
      rankBy: chain.activation === undefined ? 'magnitude' : 'mean',
      cutValue: chain.cutValue,
      cutAxis: chain.cutAxis,
      cutDims,
      parameters,
      zeroable: notZeroable === undefined,
      ...(notZeroable === undefined ? {} : { notZeroable }),
      path: [...all.map((p) => p.node.opType), ...new Set(ends.map((e) => e.node?.opType ?? 'output'))],
      chain: chain.nodes,
      passed: all,
      ends,
      joined: ends.some((e) => e.kind === 'join'),
      removal: () => {
        removal ??= planRemoval(g, { kind, node, axis, channels, chain: chain.nodes, passed: all, ends });
        return removal;
      },
    };
  }

  #byImage(dims: readonly number[]): boolean {
    const input = this.#g.graph.inputs.find((i) => this.#g.isDynamic(i.name));
    return dims[0] === this.#g.dims(input?.name ?? '')?.[0];
  }
}

/** All that has to be zero, and why that is not enough or too much. */
function zeroing(g: ChannelGraph, output: string, source: Source, chain: Chain): { parameters: ChannelParameter[]; notZeroable?: string } {
  const shared = ({ name }: ChannelParameter): boolean => g.stored.uses(name) > 1;
  const { own, axis, channels } = source;
  // Behind a norm that is zeroed it does not matter what comes in.
  const fed = own ?? (chain.normed ? { parameters: [] } : feedsAsOwn(g, output, axis, channels));
  const needed = chain.normed ? fed.parameters.filter((p) => !shared(p)) : fed.parameters;
  const parameters = [...needed, ...chain.parameters];
  const twice = parameters.find(shared);
  const before = chain.normed ? undefined : fed.notZeroable;
  const notZeroable = before ?? chain.notZeroable ?? (twice && `"${twice.name}" is used by several nodes`);
  return { parameters, notZeroable };
}

function feedsAsOwn(g: ChannelGraph, output: string, axis: number, channels: number): OwnParameters {
  const { parameters, why } = feedsOf(g, output, plainLayout(axis, channels), g.readersOf(output), 'zero');
  return why === undefined ? { parameters } : { parameters: [], notZeroable: why };
}

/** Values after which a layer with weights comes; the channels of the others are what the model gives out. */
function mixedLater(g: ChannelGraph): Set<string> {
  const mixed = new Set<string>();
  for (const node of g.order.toReversed()) {
    if (LAYERS.has(node.opType) || node.outputs.some((name) => mixed.has(name))) for (const name of node.inputs) mixed.add(name);
  }
  return mixed;
}

/** Whether a layer's output, before any other layer, norm or residual Add, goes into a product of computed values: attention. */
function feedsAttention(g: ChannelGraph, layer: Node): boolean {
  const queue = [layer.outputs[0]];
  const seen = new Set(queue);
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    for (const node of g.readersOf(at)) {
      const computed = node.inputs.filter((name) => g.isDynamic(name));
      if ((node.opType === 'MatMul' || node.opType === 'Einsum') && computed.length > 1) return true;
      if (node.domain === 'com.microsoft' && node.opType.endsWith('Attention')) return true;
      if (g.isLayer(node) || node.opType === 'LayerNormalization' || node.opType === 'ReduceMean') continue;
      if ((node.opType === 'Add' || node.opType === 'Concat') && computed.length > 1) continue;
      for (const out of node.outputs) {
        if (seen.has(out)) continue;
        seen.add(out);
        queue.push(out);
      }
    }
  }
  return false;
}

/** Axis of a linear node's weight, as the node sees it, that counts its input features. */
export function inputAxis(node: Node): number {
  return node.opType === 'Conv' ? 1 : 1 - outputAxis(node, 2);
}
