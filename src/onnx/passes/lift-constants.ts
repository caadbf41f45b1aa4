/** Weights that stand in Constant nodes become initialisers, where every other part of the program looks for them, and go back. */
import { cloneModel, cloneNode } from '../edit.ts';
import type { Attribute, Model, Node } from '../model.ts';
import { constantsToInitializers } from './constants-to-initializers.ts';
import type { Reversible } from './reversible.ts';

/** undefined where there is nothing to lift. */
export function liftConstants(model: Model): Reversible | undefined {
  const lifted = cloneModel(model);
  if (!constantsToInitializers.run(lifted)) return undefined;
  const left = new Set(lifted.graph.nodes.map(key));
  const gone = model.graph.nodes.filter((node) => !left.has(key(node)));
  return {
    model: lifted,
    undo(later) {
      const { graph } = later;
      later.irVersion = model.irVersion;
      const back = new Map<string, Node>();
      for (const node of gone) {
        const name = node.outputs[0];
        const tensor = graph.initializers.get(name);
        if (tensor === undefined) continue;
        graph.initializers.delete(name);
        const copy = cloneNode(node);
        if (tensor !== lifted.graph.initializers.get(name)) copy.attributes = withValue(node, { type: 'tensor', value: tensor });
        back.set(name, copy);
      }
      graph.nodes = merged(model.graph.nodes, graph.nodes, back);
    },
  };
}

/** A node is found again by what it makes: names may be empty. */
const key = (node: Node): string => node.outputs.find((name) => name !== '') ?? '';

/** Attributes of a Constant whose value is a tensor now; one that was a number or a list changes its kind, the others stay in their order. */
function withValue(node: Node, value: Attribute): Map<string, Attribute> {
  return new Map([...node.attributes].map(([name, a]) => (name.startsWith('value') ? ['value', value] : [name, a])));
}

/** The nodes of now, with those that come back before the one that they stood before. */
function merged(before: readonly Node[], now: readonly Node[], back: ReadonlyMap<string, Node>): Node[] {
  const places = new Map<string, Node[]>();
  const end: Node[] = [];
  const there = new Set(now.map(key));
  let waiting: Node[] = [];
  for (const node of before) {
    const returning = back.get(key(node));
    if (returning !== undefined) waiting.push(returning);
    else if (there.has(key(node))) {
      if (waiting.length > 0) places.set(key(node), waiting);
      waiting = [];
    }
  }
  end.push(...waiting);
  // What a returning node makes may be read by a node that is new: such a node must not come first.
  const order = [...now.flatMap((node) => [...(places.get(key(node)) ?? []), node]), ...end];
  return isOrdered(order, back) ? order : [...back.values(), ...now];
}

function isOrdered(order: readonly Node[], back: ReadonlyMap<string, Node>): boolean {
  const made = new Set<string>();
  for (const node of order) {
    if (node.inputs.some((name) => back.has(name) && !made.has(name))) return false;
    for (const name of node.outputs) made.add(name);
  }
  return true;
}
