/**
 * An If whose condition is the same in every run (it asks for a rank, a type, or a flag of the exporter's) is replaced by the branch that it
 * takes, so that gradients can pass.
 */
import { cloneModel, topologicalOrder } from '../edit.ts';
import type { Graph, Model, Node } from '../model.ts';
import type { ValueTypes } from '../value-types.ts';
import { identity, Names, takeBack, transplant } from './inline.ts';
import type { Reversible } from './reversible.ts';

/** Whether there is an If at all, which is seldom: finding out what it does takes a run. */
export const hasBranches = (model: Model): boolean => model.graph.nodes.some((node) => node.opType === 'If' && node.domain === '');

/**
 * Replaces the Ifs of the main graph whose condition is a constant in all of the given types (found with batches of several sizes, so that a
 * condition on the batch is not taken for one); undefined where there are none. Branches may hold further ones: call it again with new types.
 */
export function inlineBranches(model: Model, ...seen: readonly ValueTypes[]): Reversible | undefined {
  const conditions = new Map<Node, boolean>();
  for (const node of model.graph.nodes) {
    if (node.opType !== 'If' || node.domain !== '') continue;
    const values = seen.map((types) => types.get(node.inputs[0])?.constant?.data[0]);
    if (values.every((value) => value !== undefined && Number(value) === Number(values[0]))) conditions.set(node, Number(values[0]) === 1);
  }
  if (conditions.size === 0) return undefined;

  const inlined = cloneModel(model);
  const names = new Names(inlined.graph);
  /** Initialisers of branches, by their new names: which node, which branch, what they were called there. */
  const moved = new Map<string, { node: Node; branch: string; name: string }>();
  inlined.graph.nodes = model.graph.nodes.flatMap((node, i): Node[] => {
    const taken = conditions.get(node);
    if (taken === undefined) return [inlined.graph.nodes[i]];
    const branch = taken ? 'then_branch' : 'else_branch';
    const a = node.attributes.get(branch);
    return a?.type === 'graph' ? takeBranch(node, branch, a.value, inlined, names, moved) : [inlined.graph.nodes[i]];
  });
  inlined.graph.nodes = topologicalOrder(inlined.graph);
  const undo = takeBack(model, inlined, (later) => {
    for (const [now, { node, branch, name }] of moved) {
      const tensor = later.graph.initializers.get(now);
      later.graph.initializers.delete(now);
      const back = later.graph.nodes.find((n) => n.outputs[0] === node.outputs[0])?.attributes.get(branch);
      if (tensor !== undefined && back?.type === 'graph') back.value.initializers.set(name, tensor);
    }
  });
  return { model: inlined, undo };
}

function takeBranch(
  node: Node,
  branch: string,
  graph: Graph,
  into: Model,
  names: Names,
  moved: Map<string, { node: Node; branch: string; name: string }>,
): Node[] {
  const place = node.name || node.outputs[0];
  const known = new Map<string, string>([['', '']]);
  const made = new Set(graph.nodes.flatMap((inner) => inner.outputs));
  const ends: Node[] = [];
  graph.outputs.forEach(({ name }, i) => {
    const wanted = node.outputs[i] ?? '';
    if (wanted !== '' && made.has(name) && !known.has(name)) known.set(name, wanted);
  });
  for (const [name, tensor] of graph.initializers) {
    const now = names.fresh(place, name);
    known.set(name, now);
    into.graph.initializers.set(now, tensor);
    moved.set(now, { node, branch, name });
  }
  const body = transplant(graph.nodes, known, names, place);
  graph.outputs.forEach(({ name }, i) => {
    const wanted = node.outputs[i] ?? '';
    if (wanted !== '' && known.get(name) !== wanted) ends.push(identity(known.get(name) ?? name, wanted));
  });
  return [...body, ...ends];
}
