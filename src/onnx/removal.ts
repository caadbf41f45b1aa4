/**
 * What has to be done to take channels of a cut point out of a file altogether: slices of the layers that make them, of everything stored on the
 * way, of the layers that read them; and sizes that are written into nodes. Or the reason why it cannot be done.
 */
import type { ChannelGraph } from './channel-graph.ts';
import { type Layout, plainLayout } from './channel-layout.ts';
import type { ChannelEnd, PassedNode } from './channel-region.ts';
import { isGrouped, layerParameters, outputAxis } from './cut-chain.ts';
import { feedsOf, labelOf } from './cut-feeds.ts';
import { attrInts } from './edit.ts';
import type { Node } from './model.ts';

/** Slices of a stored tensor that go where their channel goes. */
export interface Take {
  readonly name: string;
  readonly axis: number;
  readonly map: Int32Array;
}

/** A size that is written into the graph. */
export type Mend =
  /** Groups of a depthwise convolution. */
  | { readonly kind: 'group'; readonly node: Node; readonly map: Int32Array }
  /** A number in a stored target shape. */
  | { readonly kind: 'shape'; readonly name: string; readonly axis: number; readonly map: Int32Array }
  /** Sizes of a Split, in its attribute or stored. */
  | { readonly kind: 'split'; readonly node: Node; readonly maps: readonly (Int32Array | undefined)[] };

export interface Removal {
  /** Why the channels cannot be taken out. */
  why?: string;
  readonly takes: Take[];
  readonly mends: Mend[];
  /** Values whose declared shape is wrong afterwards. */
  readonly changed: Set<string>;
}

interface Point {
  readonly kind: string;
  readonly node: Node;
  readonly axis: number;
  readonly channels: number;
  readonly chain: readonly PassedNode[];
  readonly passed: readonly PassedNode[];
  readonly ends: readonly ChannelEnd[];
}

/** How to take channels out at a cut point; `why` says why not. `axis` is that of the source's output. */
export function planRemoval(g: ChannelGraph, point: Point): Removal {
  const removal: Removal = { takes: [], mends: [], changed: new Set() };
  const planner = new Planner(g, removal);
  removal.why = planner.source(point);
  const inChain = new Set(point.chain);
  for (const passed of point.passed) removal.why ??= planner.passed(passed, inChain.has(passed));
  for (const end of point.ends) removal.why ??= planner.end(end);
  const measured = [...removal.changed].find((value) => g.isMeasured(value));
  if (measured !== undefined) removal.why ??= `the shape of "${measured}" is computed with`;
  const computed = removal.takes.find(({ name }) => g.stored.get(name) === undefined);
  if (computed !== undefined) removal.why ??= `"${computed.name}" is computed in the graph`;
  const shared = removal.takes.find(({ name }) => g.stored.uses(name) > 1);
  if (shared !== undefined) removal.why ??= `"${shared.name}" is used by several nodes`;
  return removal;
}

/** Why it cannot be done. */
type Why = string | undefined;

/** Notes what has to be done, part by part. */
class Planner {
  readonly #g: ChannelGraph;
  readonly #removal: Removal;
  readonly #inside = new Set<string>();

  constructor(g: ChannelGraph, removal: Removal) {
    this.#g = g;
    this.#removal = removal;
  }

  source({ kind, node, axis, channels }: Point): Why {
    const [output] = node.outputs;
    const layout = plainLayout(axis, channels);
    this.#inside.add(output);
    this.#removal.changed.add(output);
    if (kind !== 'layer') return this.#fed(output, layout, this.#g.readersOf(output));
    const own = layerParameters(this.#g, node);
    if (typeof own === 'string') return own;
    if (own.parameters.length === 0) return own.notZeroable;
    const twice = this.#takeAll(own.parameters.map((p) => ({ ...p, map: layout.map })));
    if (twice !== undefined || !isGrouped(node)) return twice;
    const from = this.#g.dims(node.inputs[0])?.[1];
    if (from !== channels || !isDepthwise(node, channels)) return 'it is a grouped convolution';
    this.#removal.mends.push({ kind: 'group', node, map: layout.map });
    return this.#fed(node.inputs[0], layout, [node]);
  }

  /** Everything that makes `value`. */
  #fed(value: string, layout: Layout, readers: readonly Node[]): Why {
    const feeds = feedsOf(this.#g, value, layout, readers, 'remove');
    if (feeds.why !== undefined) return feeds.why;
    for (const { node, layout: at } of feeds.nodes) {
      for (const out of node.outputs) this.#removal.changed.add(out);
      if (node.opType.startsWith('Conv') && isDepthwise(node, at.map.length))
        this.#removal.mends.push({ kind: 'group', node, map: at.map });
      if (node.opType === 'Reshape') return `${labelOf(node)} is before it`;
      const sized = this.#sized(node, at.axis);
      if (sized !== undefined) return sized;
    }
    return this.#takeAll(feeds.parameters.map((p) => ({ ...p, map: p.map ?? layout.map })));
  }

  passed({ node, role, input, from, to }: PassedNode, inChain: boolean): Why {
    const g = this.#g;
    const [out] = to;
    for (const name of node.outputs) {
      this.#inside.add(name);
      this.#removal.changed.add(name);
    }
    if (out === undefined) return undefined;
    // In front of the cut it does not matter what becomes of zero; behind it, it does.
    const lifts =
      (role.kind === 'activation' && !role.zero) ||
      role.kind === 'shift' ||
      role.kind === 'batch-norm' ||
      (role.kind === 'depthwise' && hasBias(node));
    if (!inChain && lifts) return `${labelOf(node)} makes something else than 0 of a cut channel`;
    switch (role.kind) {
      case 'batch-norm':
        return this.#takeAll(node.inputs.slice(1).map((name) => ({ name: g.stored.get(name)?.name ?? name, axis: 0, map: out.map })));
      case 'scale':
      case 'shift': {
        const stored = g.stored.get(role.constant);
        if (role.axis === undefined) return undefined;
        if (stored === undefined) return `${labelOf(node)} computes what it is given`;
        return this.#takeAll([{ name: stored.name, axis: stored.axes[role.axis], map: out.map }]);
      }
      case 'activation':
        return node.opType === 'PRelu' ? this.#slope(node, from) : undefined;
      case 'depthwise':
        return this.#depthwise(node, from, out);
      case 'gate':
        return this.#gate(node, input, out);
      case 'split':
        if (node.opType !== 'Split') return `${labelOf(node)} picks channels by number`;
        this.#removal.mends.push({ kind: 'split', node, maps: to.map((layout) => layout?.map) });
        return undefined;
      case 'reshape':
        return this.#reshape(node, out);
      case 'pool':
        return this.#sized(node, out.axis);
      default:
        return undefined;
    }
  }

  #slope(node: Node, { axis, map }: Layout): Why {
    const slope = this.#g.stored.get(node.inputs[1]);
    const rank = this.#g.dims(node.inputs[0])?.length ?? 0;
    if (slope === undefined) return `${labelOf(node)} computes its slope`;
    const at = axis - (rank - slope.dims.length);
    const own = at >= 0 && slope.dims[at] === map.length && map.length > 1;
    return own ? this.#takeAll([{ name: slope.name, axis: slope.axes[at], map }]) : undefined;
  }

  #depthwise(node: Node, from: Layout, out: Layout): Why {
    const own = layerParameters(this.#g, node);
    if (typeof own === 'string') return own;
    if (own.parameters.length === 0) return `${labelOf(node)}: ${own.notZeroable}`;
    this.#removal.mends.push({ kind: 'group', node, map: from.map });
    return this.#takeAll(own.parameters.map((p) => ({ ...p, map: out.map })));
  }

  /** The other factor of a product has to lose the same channels, where it has any. */
  #gate(node: Node, input: number, { axis, map }: Layout): Why {
    const other = node.inputs[1 - input];
    if (this.#inside.has(other)) return undefined;
    const dims = this.#g.dims(other) ?? [];
    const at = axis - ((this.#g.dims(node.outputs[0])?.length ?? 0) - dims.length);
    const own = at >= 0 && dims[at] === map.length && map.length > 1;
    return own ? this.#fed(other, { axis: at, span: 1, map }, [node]) : undefined;
  }

  #reshape(node: Node, out: Layout): Why {
    if (node.opType !== 'Reshape') return undefined;
    if (out.span !== 1) return `${labelOf(node)} shuffles them`;
    const shape = this.#g.stored.get(node.inputs[1]);
    if (shape === undefined) return `${labelOf(node)} computes its shape`;
    // 0 copies the size and -1 finds it; a plain number has to shrink.
    if (Number(shape.tensor.data[out.axis]) <= 0) return undefined;
    if (this.#g.stored.uses(shape.name) > 1) return `"${shape.name}" is used by several nodes`;
    this.#removal.mends.push({ kind: 'shape', name: shape.name, axis: out.axis, map: out.map });
    return undefined;
  }

  /** Resize and Expand may say in numbers how many channels there are; scales, or a 1 to expand to, do not. */
  #sized(node: Node, axis: number): Why {
    const { opType } = node;
    const at = opType === 'Expand' ? 1 : opType === 'Resize' ? 3 : -1;
    const name = node.inputs[at] ?? '';
    if (name === '') return undefined;
    const rank = this.#g.dims(node.outputs[0])?.length ?? 0;
    const sizes = this.#g.constant(name);
    if (sizes === undefined) return `${labelOf(node)} computes its sizes`;
    // sizes of an Expand align with the right end of the shape, those of a Resize may be for some axes only
    const axes = node.attributes.has('axes') ? attrInts(node, 'axes') : sizes.map((_, i) => rank - sizes.length + i);
    const place = axes.findIndex((a) => (a < 0 ? a + rank : a) === axis);
    return place < 0 || (opType === 'Expand' && sizes[place] === 1) ? undefined : `${labelOf(node)} says how many there are`;
  }

  end({ kind, value, node, input, layout }: ChannelEnd): Why {
    if (kind === 'output' || node === undefined) return `"${value}" is an output of the model`;
    if (kind === 'join') return `${labelOf(node)} ${node.opType === 'Concat' ? 'puts' : 'adds'} them to another value`;
    if (kind === 'other' || input !== 0) return `${labelOf(node)} reads them`;
    if (isGrouped(node)) return `${labelOf(node)} is a grouped convolution`;
    const weight = this.#g.stored.get(node.inputs[1]);
    if (weight === undefined) return `${labelOf(node)} computes its weight`;
    const seen = node.opType === 'Conv' ? 1 : 1 - outputAxis(node, 2);
    return this.#takeAll([{ name: weight.name, axis: weight.axes[seen], map: layout.map }]);
  }

  /** Notes slices; what a tensor loses for two reasons has to be the same. */
  #takeAll(takes: readonly Take[]): Why {
    for (const { name, axis, map } of takes) {
      const known = this.#removal.takes.find((t) => t.name === name && t.axis === axis);
      if (known === undefined) this.#removal.takes.push({ name, axis, map });
      else if (known.map.length !== map.length || known.map.some((c, i) => c !== map[i])) return `"${name}" holds them twice`;
    }
    return undefined;
  }
}

const hasBias = (node: Node): boolean => (node.inputs[2] ?? '') !== '';

function isDepthwise(node: Node, channels: number): boolean {
  const group = node.attributes.get('group');
  return group?.type === 'int' && group.value === channels && channels > 1;
}
