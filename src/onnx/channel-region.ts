/** What becomes of channels behind a value, up to the places where they are mixed with others. */
import { type ChannelGraph, isShapeOnly } from './channel-graph.ts';
import { type Layout, sameLayout } from './channel-layout.ts';
import { type ChannelRole, channelStep } from './channelwise.ts';
import type { Node } from './model.ts';

/** Where a channel stops being on its own. */
export interface ChannelEnd {
  /** `linear` mixes channels; `join` meets another value element by element; `output` leaves the graph; `other` is not known. */
  readonly kind: 'linear' | 'join' | 'output' | 'other';
  readonly value: string;
  /** Where the channels are in that value. */
  readonly layout: Layout;
  /** Undefined for a graph output. */
  readonly node?: Node;
  /** Index of `value` among the node's inputs. */
  readonly input?: number;
}

/** A channel-wise node on the way, and what it does. */
export interface PassedNode {
  readonly node: Node;
  readonly role: ChannelRole;
  /** Index among the node's inputs at which the channels come in (the first one, where there are several). */
  readonly input: number;
  /** Where the channels are where they come in, and in each output. */
  readonly from: Layout;
  readonly to: readonly (Layout | undefined)[];
}

/**
 * Everything that happens to the channels of `start` before they are mixed: channel-wise nodes in computing order, and the places where it
 * ends. With `throughJoins` a residual Add is passed too, as it still works channel by channel.
 */
export function channelRegion(
  g: ChannelGraph,
  start: string,
  layout: Layout,
  o: { throughJoins?: boolean } = {},
): { passed: PassedNode[]; ends: ChannelEnd[] } {
  const known = new Map([[start, layout]]);
  const passed: PassedNode[] = [];
  const ends: ChannelEnd[] = [];
  const leaves = (value: string, at: Layout): void => {
    if (g.outputs.has(value)) ends.push({ kind: 'output', value, layout: at });
  };
  leaves(start, layout);
  for (const node of g.order) {
    const inputs = node.inputs.flatMap((name, i) => (known.has(name) ? [i] : []));
    if (inputs.length === 0 || isShapeOnly(node)) continue;
    const found = passThrough(g, node, inputs, known, o.throughJoins === true);
    if (found === undefined) {
      for (const input of inputs) {
        const value = node.inputs[input];
        const at = known.get(value) as Layout;
        const { kind } = channelStep(g, node, input, at).role;
        ends.push({ kind: kind === 'linear' || kind === 'join' ? kind : 'other', value, layout: at, node, input });
      }
      continue;
    }
    passed.push(found);
    for (const [i, at] of found.to.entries()) {
      // Where none of them comes out there is nothing to follow.
      if (at === undefined || !node.outputs[i] || at.map.every((c) => c < 0)) continue;
      known.set(node.outputs[i], at);
      leaves(node.outputs[i], at);
    }
  }
  return { passed, ends };
}

function passThrough(
  g: ChannelGraph,
  node: Node,
  inputs: readonly number[],
  known: ReadonlyMap<string, Layout>,
  throughJoins: boolean,
): PassedNode | undefined {
  const [input] = inputs;
  const from = known.get(node.inputs[input]) as Layout;
  const { role, out } = channelStep(g, node, input, from);
  if (role.kind === 'linear' || role.kind === 'other') return undefined;
  if (inputs.length === 1) return role.kind === 'join' && !throughJoins ? undefined : { node, role, input, from, to: out };
  const rest = inputs.slice(1).map((i) => channelStep(g, node, i, known.get(node.inputs[i]) as Layout));
  if (role.kind === 'concat') {
    const map = out[0]?.map.slice();
    for (const { role: also, out: other } of rest) {
      if (also.kind !== 'concat' || map === undefined || other[0] === undefined) return undefined;
      for (const [f, c] of other[0].map.entries()) if (c >= 0) map[f] = c;
    }
    return map === undefined || out[0] === undefined ? undefined : { node, role, input, from, to: [{ ...out[0], map }] };
  }
  // The channel meets itself, element by element.
  const alike = rest.every(({ out: other }) => out[0] !== undefined && other[0] !== undefined && sameLayout(out[0], other[0]));
  if (!alike || (role.kind !== 'join' && role.kind !== 'gate')) return undefined;
  return { node, role, input, from, to: out };
}
