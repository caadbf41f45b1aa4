/** Writes the nodes of another graph (a function's body, a branch) into a graph, under names that nobody uses there. */
import { allNames, cloneNode, subgraphs } from '../edit.ts';
import type { Attribute, Graph, Model, Node } from '../model.ts';
import type { Reversible } from './reversible.ts';

/** Gives out names that are free in a graph, made of a place and what the value was called there. */
export class Names {
  readonly #taken: Set<string>;

  constructor(graph: Graph) {
    this.#taken = allNames(graph);
  }

  fresh(place: string, name: string): string {
    const wished = place === '' ? name : `${place}/${name}`;
    let free = wished;
    for (let i = 1; this.#taken.has(free); i++) free = `${wished}_${i}`;
    this.#taken.add(free);
    return free;
  }
}

/**
 * Copies of nodes with other names for their values. Names that `known` does not have and that the nodes (or graphs inside them) define get
 * fresh ones, all others stay.
 * @param known the new names of values; the fresh ones are added
 * @param attribute what takes the place of an attribute; undefined leaves it out
 */
export function transplant(
  nodes: readonly Node[],
  known: Map<string, string>,
  names: Names,
  place: string,
  attribute: (a: Attribute) => Attribute | undefined = (a) => a,
): Node[] {
  const define = (graph: Pick<Graph, 'nodes'> & Partial<Graph>): void => {
    const inside = [...(graph.initializers?.keys() ?? []), ...(graph.inputs ?? []).map((i) => i.name)];
    for (const name of [...inside, ...graph.nodes.flatMap((n) => n.outputs)]) {
      if (name !== '' && !known.has(name)) known.set(name, names.fresh(place, name));
    }
    for (const node of graph.nodes) for (const inner of subgraphs(node)) define(inner);
  };
  define({ nodes: [...nodes] });
  const rename = (name: string): string => known.get(name) ?? name;
  const renamed = (node: Node): Node => {
    const copy = cloneNode(node);
    copy.source = undefined;
    copy.name = node.name === '' ? '' : names.fresh(place, node.name);
    copy.inputs = node.inputs.map(rename);
    copy.outputs = node.outputs.map(rename);
    copy.attributes = new Map();
    for (const [key, a] of node.attributes) {
      const now = attribute(a);
      if (now?.type === 'graph') copy.attributes.set(key, { type: 'graph', value: graphOf(now.value) });
      else if (now?.type === 'graphs') copy.attributes.set(key, { type: 'graphs', value: now.value.map(graphOf) });
      else if (now !== undefined) copy.attributes.set(key, now);
    }
    return copy;
  };
  const graphOf = (graph: Graph): Graph => ({
    name: graph.name,
    nodes: graph.nodes.map(renamed),
    inputs: graph.inputs.map((v) => ({ ...v, name: rename(v.name), source: undefined })),
    outputs: graph.outputs.map((v) => ({ ...v, name: rename(v.name), source: undefined })),
    valueInfo: [],
    initializers: new Map([...graph.initializers].map(([name, t]) => [rename(name), t])),
  });
  return nodes.map(renamed);
}

export function identity(from: string, to: string): Node {
  return { name: '', opType: 'Identity', domain: '', inputs: [from], outputs: [to], attributes: new Map() };
}

/**
 * Taking an inlining back: the file's own nodes and operator sets, where the nodes are still those that the inlining left. Where something
 * was put in or taken out, the inlined form stays.
 * @param before the model as it was
 * @param after the model that the inlining made
 * @param put called with the restored model, for initialisers that go elsewhere
 */
export function takeBack(before: Model, after: Model, put: (later: Model) => void = () => {}): Reversible['undo'] {
  // Tensors are compared by identity: what nobody changed is handed on as it is.
  const ids = new Map<unknown, number>();
  const idOf = (value: unknown): number => {
    if (!ids.has(value)) ids.set(value, ids.size);
    return ids.get(value)!;
  };
  const plain = (a: Attribute): unknown => {
    if (a.type === 'tensor' || a.type === 'bytes' || a.type === 'opaque') return idOf(a.value);
    if (a.type === 'bigint') return String(a.value);
    // Graphs are copied with their node; what is inside of one cannot be trained or cut.
    return a.type === 'graph' || a.type === 'graphs' ? null : a.value;
  };
  const attributes = (n: Node): unknown => [...n.attributes].map(([key, a]) => [key, a.type, plain(a)]).sort();
  // Other changes that were taken back in between may have left the nodes in another order.
  const shape = (graph: Graph): string =>
    graph.nodes
      .map((n) => JSON.stringify([n.opType, n.domain, n.inputs, n.outputs, attributes(n)]))
      .sort()
      .join();
  const left = shape(after.graph);
  return (later) => {
    if (shape(later.graph) !== left) return;
    later.graph.nodes = before.graph.nodes.map(cloneNode);
    // Declarations that a defence took out as no longer true stay out.
    const kept = new Set(later.graph.valueInfo.map((v) => v.name));
    const inlined = new Set(after.graph.valueInfo.map((v) => v.name));
    later.graph.valueInfo = before.graph.valueInfo
      .filter((v) => kept.has(v.name) || !inlined.has(v.name))
      .map((v) => ({ ...v, dims: v.dims && [...v.dims] }));
    later.opsets = new Map(before.opsets);
    later.irVersion = before.irVersion;
    put(later);
  };
}
