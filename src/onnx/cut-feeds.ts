/**
 * What makes the channels of a value, followed backwards through everything that keeps them apart: for a residual Add or a Concat, the slices of
 * all the layers that would have to be zero, or taken out, for a channel to be gone.
 */
import type { ChannelGraph } from './channel-graph.ts';
import { type Layout, plainLayout } from './channel-layout.ts';
import { channelStep, staysPlain } from './channelwise.ts';
import { type ChannelParameter, isGrouped, layerParameters, normParameters, selfGate } from './cut-chain.ts';
import type { Node } from './model.ts';

export interface Feeds {
  readonly parameters: ChannelParameter[];
  /** Nodes that the channels go through, with the layers that make them; what removes channels has to mend them. */
  readonly nodes: { readonly node: Node; readonly layout: Layout }[];
  /** Why not all of it can be reached; nothing else counts then. */
  why?: string;
}

/**
 * The stored slices that make the channels of `value`, laid out as `layout` says.
 *   zero    what has to be zero for `value` to be: a norm's factor and shift are enough
 *   remove  what has to go for `value` to be without them: everything back to the layers that mix channels
 * `readers` are the nodes through which `value` was reached: anything else that reads it would be changed too.
 */
export function feedsOf(g: ChannelGraph, value: string, layout: Layout, readers: readonly Node[], mode: 'zero' | 'remove'): Feeds {
  const feeds: Feeds = { parameters: [], nodes: [] };
  const queue = [{ value, layout, readers }];
  const seen = new Set<string>();
  const gates = selfGates(g);
  for (let at = queue.pop(); at !== undefined && feeds.why === undefined; at = queue.pop()) {
    if (at.layout.map.every((c) => c < 0)) continue;
    if (seen.has(at.value)) {
      feeds.why = `"${at.value}" comes in by two ways`;
      break;
    }
    seen.add(at.value);
    feeds.why = step(at);
  }
  return feeds;

  function step(at: { value: string; layout: Layout; readers: readonly Node[] }): string | undefined {
    const { map } = at.layout;
    const node = g.made.get(at.value);
    if (node === undefined) return `"${at.value}" is an input of the model`;
    if (g.outputs.has(at.value)) return `"${at.value}" is an output of the model`;
    const elsewhere = g.readersOf(at.value).find((reader) => !at.readers.includes(reader));
    if (elsewhere !== undefined) return `${labelOf(elsewhere)} reads "${at.value}" too`;
    feeds.nodes.push({ node, layout: at.layout });
    const add = (list: readonly ChannelParameter[]): void => {
      feeds.parameters.push(...list.map((p) => ({ ...p, map })));
    };

    const gate = gates.get(node);
    if (gate !== undefined) {
      queue.push({ value: gate.value, layout: at.layout, readers: gate.nodes });
      return undefined;
    }
    if (node.opType === 'Conv' || g.isLayer(node)) {
      const own = layerParameters(g, node);
      if (typeof own === 'string') return `${labelOf(node)}: ${own}`;
      if ((mode === 'zero' || own.parameters.length === 0) && own.notZeroable !== undefined) return `${labelOf(node)}: ${own.notZeroable}`;
      add(own.parameters);
      return mode === 'zero' ? undefined : behindLayer(node, at.layout);
    }
    return passing(node, at.layout);
  }

  /** What comes in at a layer has to shrink too where each of its channels is one of the layer's. */
  function behindLayer(node: Node, layout: Layout): string | undefined {
    if (!isGrouped(node)) return undefined;
    const from = g.dims(node.inputs[0])?.[1] ?? 0;
    const { role, out } = channelStep(g, node, 0, plainLayout(1, from));
    if (role.kind !== 'depthwise') return `${labelOf(node)} is a grouped convolution`;
    if (!staysPlain({ role, out }, layout.map.length)) return `${labelOf(node)} makes several channels of one`;
    queue.push({ value: node.inputs[0], layout, readers: [node] });
    return undefined;
  }

  /** Goes on to what a node that is no layer reads. */
  function passing(node: Node, layout: Layout): string | undefined {
    const { map } = layout;
    const add = (list: readonly ChannelParameter[]): void => {
      feeds.parameters.push(...list.map((p) => ({ ...p, map })));
    };
    const inputs = node.inputs.flatMap((name, i) => (g.isDynamic(name) ? [i] : []));
    const axes = inputs.map((i) => g.axisOf(node.inputs[i]));
    const steps = inputs.map((i, k) => {
      const axis = axes[k];
      const size = axis === undefined ? undefined : g.dims(node.inputs[i])?.[axis];
      return axis === undefined || size === undefined ? undefined : { axis, size, ...channelStep(g, node, i, plainLayout(axis, size)) };
    });
    const [first] = steps;
    if (first === undefined) return `${labelOf(node)} is not understood`;
    const { role } = first;
    if (role.kind === 'concat' && inputs.length === node.inputs.length) {
      let offset = 0;
      for (const [k, i] of inputs.entries()) {
        const part = steps[k];
        if (part === undefined || part.role.kind !== 'concat') return `${labelOf(node)} is not understood`;
        const sub = { axis: part.axis, span: 1, map: map.slice(offset, offset + part.size) };
        offset += part.size;
        queue.push({ value: node.inputs[i], layout: sub, readers: [node] });
      }
      return undefined;
    }
    if (role.kind === 'join' && node.opType !== 'Concat') {
      if (steps.some((s) => s === undefined || s.size !== map.length)) return `${labelOf(node)} is not understood`;
      for (const [k, i] of inputs.entries())
        queue.push({ value: node.inputs[i], layout: { ...layout, axis: axes[k] ?? 1 }, readers: [node] });
      return undefined;
    }
    const onTheWay = ['activation', 'pool', 'pass', 'reshape', 'scale', 'shift', 'batch-norm'].includes(role.kind);
    if (inputs.length !== 1 || !onTheWay || !staysPlain(first, map.length)) return `${labelOf(node)} is on the way`;
    if (role.kind === 'batch-norm') {
      const own = normParameters(g, node);
      if (own.notZeroable !== undefined) return own.notZeroable;
      add(own.parameters);
      if (mode === 'zero') return undefined;
      // What it has measured goes too.
      for (const name of node.inputs.slice(3)) add([{ name: g.stored.get(name)?.name ?? name, axis: 0, kind: 'scale' }]);
    }
    if (mode === 'remove' && role.kind === 'scale' && role.axis !== undefined) {
      const stored = g.stored.get(role.constant);
      if (stored === undefined) return `${labelOf(node)} computes what it is given`;
      add([{ name: stored.name, axis: stored.axes[role.axis], kind: 'scale' }]);
    }
    if (mode === 'remove' && node.opType === 'PRelu') return `${labelOf(node)} is on the way`;
    if (mode === 'zero' && role.kind === 'activation' && !role.zero) return `${node.opType} makes something else than 0 of 0`;
    if (role.kind === 'shift') {
      const stored = g.stored.get(role.constant);
      if (stored !== undefined && role.axis !== undefined) add([{ name: stored.name, axis: stored.axes[role.axis], kind: 'shift' }]);
      else if (mode === 'zero') return `${labelOf(node)} adds to all channels`;
    }
    queue.push({ value: node.inputs[inputs[0]], layout: { ...layout, axis: first.axis }, readers: [node] });
    return undefined;
  }
}

/** Last node of each x * f(x) activation -> x and all its nodes. */
function selfGates(g: ChannelGraph): Map<Node, { value: string; nodes: readonly Node[] }> {
  const known = cache.get(g);
  if (known !== undefined) return known;
  const found = new Map<Node, { value: string; nodes: readonly Node[] }>();
  for (const [value, readers] of g.uses) {
    if (readers.length < 2 || !g.isDynamic(value)) continue;
    const axis = g.axisOf(value);
    const size = axis === undefined ? undefined : g.dims(value)?.[axis];
    const gate = axis === undefined || size === undefined ? undefined : selfGate(g, value, plainLayout(axis, size));
    if (gate !== undefined) found.set(gate.nodes[gate.nodes.length - 1], { value, nodes: gate.nodes });
  }
  cache.set(g, found);
  return found;
}

const cache = new WeakMap<ChannelGraph, Map<Node, { value: string; nodes: readonly Node[] }>>();

/** `node "add3" (Add)`, for messages. */
export function labelOf(node: Node): string {
  return `node "${node.name || node.outputs[0]}" (${node.opType})`;
}
