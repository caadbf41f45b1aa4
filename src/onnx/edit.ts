/**
 * Questions to a graph and changes in it. Functions that change a graph change it in place: take a {@link cloneModel} first where
 * the original is still needed. Values used inside subgraphs (If, Loop, Scan) count as uses.
 */
import { fail } from '../core/errors.ts';
import type { Attribute, Graph, Model, Node } from './model.ts';

// ------------------------------------------------------------------------------------------------------------ attributes

/** Integer attribute, or `otherwise` where the node has none; without `otherwise` a missing one is an error. */
export function attrInt(node: Node, name: string, otherwise?: number): number {
  const a = attribute(node, name, otherwise, 'int', 'bigint');
  return a === undefined ? (otherwise as number) : Number((a as { value: number | bigint }).value);
}

export function attrInts<T = readonly number[]>(node: Node, name: string, otherwise?: T): readonly number[] | T {
  const a = attribute(node, name, otherwise, 'ints');
  return a === undefined ? (otherwise as T) : (a as { value: readonly number[] }).value;
}

export function attrFloat(node: Node, name: string, otherwise?: number): number {
  const a = attribute(node, name, otherwise, 'float');
  return a === undefined ? (otherwise as number) : (a as { value: number }).value;
}

export function attrFloats<T = readonly number[]>(node: Node, name: string, otherwise?: T): readonly number[] | T {
  const a = attribute(node, name, otherwise, 'floats');
  return a === undefined ? (otherwise as T) : (a as { value: readonly number[] }).value;
}

export function attrString(node: Node, name: string, otherwise?: string): string {
  const a = attribute(node, name, otherwise, 'string');
  return a === undefined ? (otherwise as string) : (a as { value: string }).value;
}

function attribute(node: Node, name: string, otherwise: unknown, ...types: Attribute['type'][]): Attribute | undefined {
  const a = node.attributes.get(name);
  if (a === undefined && otherwise !== undefined) return undefined;
  if (a !== undefined && types.includes(a.type)) return a;
  return fail({
    where: `onnx: ${describeNode(node)}`,
    what: a === undefined ? `no attribute "${name}"` : `attribute "${name}" has the wrong type`,
    expected: types[0],
    got: a?.type,
  });
}

/** `operator "Conv" (node "conv1")`, for messages. */
export function describeNode(node: Node): string {
  const name = node.name || node.outputs.find((o) => o !== '');
  return `operator "${node.opType}"${name === undefined ? '' : ` (node "${name}")`}`;
}

// ------------------------------------------------------------------------------------------------------------- questions

/** The graphs inside a node's attributes. */
export function subgraphs(node: Node): Graph[] {
  return [...node.attributes.values()].flatMap((a) => (a.type === 'graph' ? [a.value] : a.type === 'graphs' ? [...a.value] : []));
}

/** Every value a node reads: its inputs (left-out ones skipped), and what its subgraphs take from outside. */
export function usedValues(node: Node): string[] {
  // Not push(...): a graph may read more values than a function takes arguments.
  return [...node.inputs.filter((name) => name !== ''), ...subgraphs(node).flatMap(outerValues)];
}

function outerValues(graph: Graph): string[] {
  const own = new Set([...graph.inputs.map((i) => i.name), ...graph.initializers.keys(), ...graph.nodes.flatMap((n) => n.outputs)]);
  return [...graph.nodes.flatMap(usedValues), ...graph.outputs.map((o) => o.name)].filter((name) => !own.has(name));
}

/** Value name -> the node that makes it. Graph inputs and initialisers are not in it. */
export function producers(graph: Graph): Map<string, Node> {
  return new Map(graph.nodes.flatMap((node) => node.outputs.filter((o) => o !== '').map((o): [string, Node] => [o, node])));
}

/** Value name -> the nodes that read it, in file order, each once. Uses as a graph output are not in it. */
export function consumers(graph: Graph): Map<string, Node[]> {
  const found = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const name of new Set(usedValues(node))) {
      const list = found.get(name);
      if (list) list.push(node);
      else found.set(name, [node]);
    }
  }
  return found;
}

/**
 * The nodes in an order in which each comes after what it reads; file order is kept where it can be. Throws SecateurError where
 * nodes read each other's outputs in a circle.
 */
export function topologicalOrder(graph: Graph): Node[] {
  const made = producers(graph);
  const order: Node[] = [];
  const state = new Map<Node, 'open' | 'done'>();
  for (const root of graph.nodes) {
    // Depth first with a stack of its own: networks are deeper than the call stack is.
    const stack: { node: Node; needs: string[]; next: number }[] = [];
    const enter = (node: Node): void => {
      state.set(node, 'open');
      stack.push({ node, needs: usedValues(node), next: 0 });
    };
    if (!state.has(root)) enter(root);
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      if (top.next === top.needs.length) {
        state.set(top.node, 'done');
        order.push(top.node);
        stack.pop();
        continue;
      }
      const producer = made.get(top.needs[top.next++]);
      if (producer === undefined || state.get(producer) === 'done') continue;
      if (state.get(producer) === 'open') {
        fail({ where: `onnx: ${describeNode(producer)}`, what: 'reads its own output', expected: 'a graph without circles' });
      }
      enter(producer);
    }
  }
  return order;
}

/** Every name that is taken in a graph and its subgraphs: values, nodes, initialisers. */
export function allNames(graph: Graph): Set<string> {
  const names = new Set<string>(graph.initializers.keys());
  for (const info of [...graph.inputs, ...graph.outputs, ...graph.valueInfo]) names.add(info.name);
  for (const node of graph.nodes) {
    for (const name of [node.name, ...node.inputs, ...node.outputs]) names.add(name);
    for (const inner of subgraphs(node)) for (const name of allNames(inner)) names.add(name);
  }
  names.delete('');
  return names;
}

// --------------------------------------------------------------------------------------------------------------- changes

/** A model whose structure can be changed without touching the original. Tensors, which are immutable, are shared. */
export function cloneModel(model: Model): Model {
  return { ...model, opsets: new Map(model.opsets), metadata: new Map(model.metadata), graph: cloneGraph(model.graph) };
}

function cloneGraph(graph: Graph): Graph {
  const info = <T extends { dims: unknown[] | undefined }>(v: T): T => ({ ...v, dims: v.dims && [...v.dims] });
  return {
    ...graph,
    nodes: graph.nodes.map(cloneNode),
    inputs: graph.inputs.map(info),
    outputs: graph.outputs.map(info),
    valueInfo: graph.valueInfo.map(info),
    initializers: new Map(graph.initializers),
  };
}

export function cloneNode(node: Node): Node {
  const attributes = new Map([...node.attributes].map(([name, a]): [string, Attribute] => [name, cloneAttribute(a)]));
  return { ...node, inputs: [...node.inputs], outputs: [...node.outputs], attributes };
}

function cloneAttribute(a: Attribute): Attribute {
  if (a.type === 'graph') return { type: 'graph', value: cloneGraph(a.value) };
  if (a.type === 'graphs') return { type: 'graphs', value: a.value.map(cloneGraph) };
  return { ...a };
}

/**
 * Up to IR version 3 every initialiser had to be a graph input as well. Where one is not, raises the version to 4, which allows it;
 * nothing else changes its meaning by that.
 */
export function allowFreeInitializers(model: Model): void {
  if (model.irVersion >= 4) return;
  const inputs = new Set(model.graph.inputs.map((i) => i.name));
  if ([...model.graph.initializers.keys()].some((name) => !inputs.has(name))) model.irVersion = 4;
}

/** Makes every node (and subgraph) that reads `from` read `to` instead. Graph outputs stay. Returns the number of places changed. */
export function replaceInput(graph: Graph, from: string, to: string): number {
  let count = 0;
  for (const node of graph.nodes) {
    node.inputs.forEach((name, i) => {
      if (name !== from) return;
      node.inputs[i] = to;
      count++;
    });
    for (const inner of subgraphs(node)) {
      if (!outerValues(inner).includes(from)) continue;
      count += replaceInput(inner, from, to);
      for (const output of inner.outputs) {
        if (output.name !== from) continue;
        output.name = to;
        count++;
      }
    }
  }
  return count;
}

/** Gives a value another name wherever it occurs: producer, readers, graph inputs and outputs, initialisers, value infos. */
export function renameValue(graph: Graph, from: string, to: string): void {
  if (from === to) return;
  if (allNames(graph).has(to) && isValue(graph, to)) {
    fail({ where: 'onnx', what: `cannot rename "${from}"`, expected: 'a free name', got: `"${to}", which is taken` });
  }
  replaceInput(graph, from, to);
  for (const node of graph.nodes) node.outputs = node.outputs.map((o) => (o === from ? to : o));
  for (const info of [...graph.inputs, ...graph.outputs, ...graph.valueInfo]) if (info.name === from) info.name = to;
  if (graph.initializers.has(from)) {
    // Rebuilt, so that the order of the file is kept.
    graph.initializers = new Map([...graph.initializers].map(([name, t]) => [name === from ? to : name, t]));
  }
}

function isValue(graph: Graph, name: string): boolean {
  return graph.initializers.has(name) || graph.inputs.some((i) => i.name === name) || producers(graph).has(name);
}

/**
 * Removes nodes whose outputs reach no graph output, then initialisers and value infos that nobody reads. Graph inputs stay, except
 * those that only declare a removed initialiser. Returns the number of nodes and initialisers removed.
 */
export function removeDead(graph: Graph): number {
  const made = producers(graph);
  const live = new Set<Node>();
  const read = new Set(graph.outputs.map((o) => o.name));
  const queue = [...read];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const node = made.get(name);
    if (node === undefined || live.has(node)) continue;
    live.add(node);
    for (const used of usedValues(node)) {
      read.add(used);
      queue.push(used);
    }
  }
  const before = graph.nodes.length + graph.initializers.size;
  graph.nodes = graph.nodes.filter((n) => live.has(n));
  const dead = new Set([...graph.initializers.keys()].filter((name) => !read.has(name)));
  for (const name of dead) graph.initializers.delete(name);
  graph.inputs = graph.inputs.filter((i) => !dead.has(i.name));
  const known = new Set([...graph.inputs.map((i) => i.name), ...graph.initializers.keys(), ...graph.nodes.flatMap((n) => n.outputs)]);
  graph.valueInfo = graph.valueInfo.filter((v) => known.has(v.name));
  return before - graph.nodes.length - graph.initializers.size;
}
