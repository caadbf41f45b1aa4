/**
 * The executable rules of a graph: what every other file here may rely on, checked after every pass and when a file is opened.
 * 1. every value has one producer (graph input, initialiser or node output);
 * 2. every value that is read exists, and is made before it is read;
 * 3. every operator's domain is imported;
 * 4. every graph output exists.
 */
import { fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';
import { describeNode, subgraphs } from './edit.ts';
import type { Graph, Model } from './model.ts';

/** Throws SecateurError naming the node and the value of the first rule that is broken. */
export function checkModel(model: Model, where = 'onnx'): void {
  checkGraph(model.graph, undefined, model, where);
}

/** Names made so far in a graph and in those around it. A chain, because copying the outer names into every subgraph takes too long. */
class Names {
  readonly own = new Set<string>();
  readonly #outer: Names | undefined;

  constructor(outer: Names | undefined) {
    this.#outer = outer;
  }

  has(name: string): boolean {
    for (let names: Names | undefined = this; names !== undefined; names = names.#outer) if (names.own.has(name)) return true;
    return false;
  }

  *[Symbol.iterator](): Generator<string> {
    for (let names: Names | undefined = this; names !== undefined; names = names.#outer) yield* names.own;
  }
}

function checkGraph(graph: Graph, outer: Names | undefined, model: Model, where: string): void {
  const known = new Names(outer);
  const define = (name: string, by: () => string): void => {
    if (known.own.has(name)) {
      fail({ where, what: `value "${name}" is made twice, the second time by ${by()}`, expected: 'one producer for each value' });
    }
    known.own.add(name);
  };
  // An initialiser may be declared as an input too (IR version 3): that is one value.
  for (const input of graph.inputs) define(input.name, () => 'a graph input');
  for (const name of graph.initializers.keys()) if (!known.own.has(name)) define(name, () => 'an initialiser');
  for (const node of graph.nodes) {
    const by = (): string => describeNode(node);
    if (!model.opsets.has(node.domain)) {
      fail({
        where,
        what: `${by()} is of the domain "${node.domain || 'ai.onnx'}"`,
        expected: 'a domain that the model imports',
        got: [...model.opsets.keys()].map((d) => d || 'ai.onnx').join(', '),
      });
    }
    for (const name of node.inputs) if (name !== '' && !known.has(name)) missing(name, `${by()} reads`, graph, known, where);
    for (const inner of subgraphs(node)) checkGraph(inner, known, model, `${where}: ${by()}`);
    for (const name of node.outputs) if (name !== '') define(name, by);
  }
  for (const output of graph.outputs) if (!known.has(output.name)) missing(output.name, 'the graph gives out', graph, known, where);
}

function missing(name: string, who: string, graph: Graph, known: Names, where: string): never {
  const later = graph.nodes.find((n) => n.outputs.includes(name));
  const similar = nearest(name, known);
  return fail({
    where,
    what: `${who} "${name}"`,
    expected: 'a value made before it is read',
    got: later ? `one that ${describeNode(later)} makes later` : 'no value of that name',
    hint: later || similar === undefined ? undefined : `"${similar}"`,
  });
}
