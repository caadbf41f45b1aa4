/**
 * Functions that a file defines for its own nodes to call (PyTorch's newer exporter writes one for each of its operators, and one for each
 * module where asked to) are written out where they are called: a gradient, or a cut, needs the operators inside.
 */
import { cloneModel, topologicalOrder } from '../edit.ts';
import type { Attribute, Model, Node } from '../model.ts';
import { besideGraph, type ModelFunction } from '../proto.ts';
import { identity, Names, takeBack, transplant } from './inline.ts';
import type { Reversible } from './reversible.ts';

/** undefined where nothing is called, or a function is written in another version of an operator set than the model. */
export function inlineFunctions(model: Model): Reversible | undefined {
  const functions = new Map(besideGraph(model).functions.map((f) => [callKey(f.domain, f.name, f.overload), f]));
  const functionOf = (node: Node): ModelFunction | undefined => functions.get(callKey(node.domain, node.opType, overloadOf(node)));
  if (!model.graph.nodes.some((node) => functionOf(node) !== undefined)) return undefined;
  const opsets = new Map(model.opsets);
  for (const f of functions.values()) {
    for (const [domain, version] of f.opsets) {
      if ((opsets.get(domain) ?? version) !== version) return undefined;
      opsets.set(domain, version);
    }
  }

  const inlined = cloneModel(model);
  inlined.opsets = opsets;
  const names = new Names(inlined.graph);
  const expand = (node: Node): Node[] => {
    const f = functionOf(node);
    return f === undefined ? [node] : call(node, f, names).flatMap(expand);
  };
  inlined.graph.nodes = inlined.graph.nodes.flatMap(expand);
  inlined.graph.nodes = topologicalOrder(inlined.graph);
  return { model: inlined, undo: takeBack(model, inlined) };
}

const callKey = (domain: string, name: string, overload: string): string => JSON.stringify([domain, name, overload]);
const overloadOf = (node: Node): string => (node.source as { overload?: string } | undefined)?.overload ?? '';

/** The body of a function as one call of it needs it. */
function call(node: Node, f: ModelFunction, names: Names): Node[] {
  const place = node.name || node.outputs.find((name) => name !== '') || f.name;
  const known = new Map<string, string>([['', '']]);
  f.inputs.forEach((name, i) => {
    known.set(name, node.inputs[i] ?? '');
  });
  const ends: Node[] = [];
  const made = new Set(f.nodes.flatMap((inner) => inner.outputs));
  f.outputs.forEach((name, i) => {
    const wanted = node.outputs[i] ?? '';
    if (wanted === '') return;
    if (made.has(name) && !known.has(name)) known.set(name, wanted);
    else ends.push(identity(known.get(name) ?? name, wanted));
  });
  const attribute = (a: Attribute): Attribute | undefined => {
    const refers = a.type === 'opaque' ? (a.value as { refAttrName?: string }).refAttrName : undefined;
    return refers ? (node.attributes.get(refers) ?? f.defaults.get(refers)) : a;
  };
  const overloads = f.nodes.map(overloadOf);
  const body = transplant(f.nodes, known, names, place, attribute);
  // The calls inside are looked up by it, and a copy has no source of its own.
  body.forEach((inner, i) => {
    if (overloads[i] !== '') inner.source = { overload: overloads[i] };
  });
  return [...body, ...ends];
}
