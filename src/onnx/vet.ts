/**
 * What a stranger's graph may ask of ONNX Runtime, checked before it sees a byte: operators from a list, functions that end, no sparse
 * weights, no values whose size alone would take the machine down. `check.ts` has the rules that every graph here keeps; these are
 * about trust.
 */
import { fail } from '../core/errors.ts';
import { describeNode, subgraphs } from './edit.ts';
import { MAX_EXPANDED_NODES } from './limits.ts';
import type { Model, Node } from './model.ts';
import { acceptedDomains, whyRefused } from './operators.ts';
import { besideGraph, type ModelFunction } from './proto.ts';
import { checkSizes } from './static-sizes.ts';

/** Functions that call functions that call functions ... */
const MAX_CALL_DEPTH = 32;

/**
 * Throws SecateurError naming the first thing in a model that is refused, and why.
 * @param unlisted what is done about an operator that is not on the list and no function of the model's own; refuses it unless given
 */
export function vetModel(model: Model, where = 'onnx', unlisted: (node: Node, where: string) => void = refuseOperator): void {
  const { functions, sparse } = besideGraph(model, where);
  if (sparse.length > 0) {
    fail({
      where,
      what: `initialiser "${sparse[0]}" is stored as a sparse tensor`,
      expected: 'dense tensors: a sparse one of a few bytes can stand for any amount of memory',
      hint: 'to export the model with dense weights',
    });
  }
  const known = new Map<string, ModelFunction>();
  for (const f of functions) {
    const key = callKey(f.domain, f.name, f.overload);
    const at = `${where}: function "${f.name}"`;
    if (known.has(key)) fail({ where: at, what: 'is there twice', expected: 'one function for each domain, name and overload' });
    if (acceptedDomains.includes(f.domain)) {
      // Whoever reads the graph would take it for the operator of that name.
      const what = `is of the domain "${f.domain || 'ai.onnx'}", in which operators have a fixed meaning`;
      fail({ where: at, what, expected: 'functions in a domain of their own' });
    }
    known.set(key, f);
  }
  const sizes = new Map<ModelFunction, number>();
  const calls: ModelFunction[] = [];
  /** Nodes that a function has once all its calls are written out. */
  const expanded = (f: ModelFunction, at: string): number => {
    const before = sizes.get(f);
    if (before !== undefined) return before;
    if (calls.includes(f)) fail({ where: at, what: `function "${f.name}" calls itself`, expected: 'functions that end' });
    if (calls.length >= MAX_CALL_DEPTH) {
      fail({ where: at, what: 'functions nested too deeply', expected: `at most ${MAX_CALL_DEPTH} levels`, got: 'more' });
    }
    calls.push(f);
    const size = count(f.nodes, `${where}: function "${f.name}"`);
    calls.pop();
    sizes.set(f, size);
    return size;
  };
  const count = (nodes: readonly Node[], at: string): number => {
    let total = 0;
    for (const node of nodes) {
      if (node.outputs.includes(RESERVED)) reserved(at);
      const f = known.get(callKey(node.domain, node.opType, overloadOf(node)));
      if (f === undefined && whyRefused(node.domain, node.opType) !== undefined) unlisted(node, at);
      total += f === undefined ? 1 : expanded(f, at);
      for (const inner of subgraphs(node)) total += count(inner.nodes, at);
      if (total > MAX_EXPANDED_NODES) {
        const what = 'its functions, written out where they are called, make too large a graph';
        fail({ where, what, expected: `at most ${MAX_EXPANDED_NODES} nodes`, got: 'more' });
      }
    }
    return total;
  };
  if (model.graph.inputs.some((i) => i.name === RESERVED) || model.graph.initializers.has(RESERVED)) reserved(where);
  count(model.graph.nodes, where);
  refuseReferences(model.graph.nodes, where);
  checkSizes(
    model,
    where,
    functions.map((f) => f.nodes),
  );
}

/** Feeds and results are JavaScript objects with a property for each name; this one would be lost. */
const RESERVED = '__proto__';

function reserved(where: string): never {
  return fail({ where, what: `a value of the name "${RESERVED}"`, expected: 'any other name' });
}

/** The functions that a model defines itself by domain and name; nodes that name one are no operators. */
const callKey = (domain: string, name: string, overload: string): string => JSON.stringify([domain, name, overload]);

const overloadOf = (node: Node): string => (node.source as { overload?: string } | undefined)?.overload ?? '';

/** An attribute that stands for one of the calling node makes sense within a function alone. */
function refuseReferences(nodes: readonly Node[], where: string): void {
  for (const node of nodes) {
    for (const [name, a] of node.attributes) {
      const refers = a.type === 'opaque' ? (a.value as { refAttrName?: string }).refAttrName : '';
      if (refers) {
        fail({
          where: `${where}: ${describeNode(node)}`,
          what: `attribute "${name}" refers to a function's "${refers}"`,
          expected: 'a value',
        });
      }
    }
    for (const inner of subgraphs(node)) refuseReferences(inner.nodes, where);
  }
}

function refuseOperator(node: Node, where: string): void {
  const why = whyRefused(node.domain, node.opType);
  fail({ where, what: `${describeNode(node)} is refused`, got: undefined, expected: `an operator on the list, but ${why}` });
}
