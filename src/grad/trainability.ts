/** Which nodes of a network can be trained, and from where on if not all: what `secateur doctor MODEL` says. */
import { GraphBuilder } from '../onnx/builder.ts';
import { allNames, cloneModel, removeDead, topologicalOrder, usedValues } from '../onnx/edit.ts';
import type { Model, Node } from '../onnx/model.ts';
import { constantsToInitializers } from '../onnx/passes/constants-to-initializers.ts';
import type { ValueTypes } from '../onnx/value-types.ts';
import { setModes } from './backward-graph.ts';
import { trainableFrom } from './freeze.ts';
import { layersOf, parametersOf } from './parameters.ts';
import { raiseOpset } from './raise-opset.ts';
import { slopedInputs } from './table.ts';
import { BlockedError, backward, influenced } from './walk.ts';

/**
 * `trained`: has parameters that get a gradient; `passes`: hands a gradient on; `blocked`: has none; `frozen`: has parameters, or would hand
 * on a gradient, but stands before a blocked one; `stopped`: likewise, but all that follows goes by steps (Sign, ArgMax), whose gradient is
 * 0; `untouched`: no gradient is needed there.
 */
export type NodeState = 'trained' | 'passes' | 'blocked' | 'frozen' | 'stopped' | 'untouched';

export interface Trainability {
  /** Every node that the outputs depend on, in the order of execution; constants left out. */
  readonly nodes: readonly { readonly node: Node; readonly state: NodeState; readonly why?: string }[];
  /** Parameters of the network, and those of them that can be trained. */
  readonly parameters: readonly string[];
  readonly trainable: ReadonlySet<string>;
  /** What to give to `--freeze-before`; undefined where everything or nothing can be trained. */
  readonly freezeBefore?: string;
}

/**
 * @param outputs values that a loss would be made of; those that are no floating-point numbers are passed over
 * @throws SecateurError for operator sets that are too old
 */
export function trainability(model: Model, types: ValueTypes, outputs: readonly string[]): Trainability {
  const raised = raiseOpset(model, types);
  const copy = cloneModel(raised.model);
  constantsToInitializers.run(copy);
  const { graph } = copy;
  graph.outputs = outputs.map((name) => ({ name, dtype: undefined, dims: undefined }));
  removeDead(graph);
  const taken = allNames(graph);
  const fresh = (hint: string): string => {
    taken.add(hint);
    return hint;
  };
  setModes({ model: copy, graph, types: new Map(raised.types), logits: outputs[0], fresh }, [], {
    batchNorm: 'inference',
    dropout: 'inference',
  });
  const parameters = parametersOf(copy);

  const first = attempt(copy, raised.types, outputs, parameters);
  const blocked = new Map(first instanceof BlockedError ? first.blocked.map(({ node, why }) => [node, why]) : []);
  const freezeBefore = first instanceof BlockedError && first.way.kind === 'layer' ? first.way.name : undefined;
  const second = freezeBefore === undefined ? first : attempt(copy, raised.types, outputs, [...trainableFrom(copy, freezeBefore)]);
  const left = second instanceof BlockedError ? new Set<string>() : second;

  const order = topologicalOrder(graph);
  const all = influenced(order, parameters, raised.types);
  const now = influenced(order, [...left], raised.types);
  const leading = leadingTo(order, outputs, all);
  const layers = new Map(layersOf(graph).map((layer) => [layer.node, layer.parameters]));
  const touches = (node: Node, values: ReadonlySet<string>): boolean =>
    usedValues(node).some((name) => values.has(name)) && node.outputs.some((name) => values.has(name));
  const stateOf = (node: Node): NodeState => {
    if (layers.get(node)?.some((name) => left.has(name))) return 'trained';
    if (touches(node, now) && leading.has(node)) return 'passes';
    if (!touches(node, all) && !layers.has(node)) return 'untouched';
    return leading.has(node) ? 'frozen' : 'stopped';
  };
  const nodes = order.map((node) => {
    const why = blocked.get(node);
    return why === undefined ? { node, state: stateOf(node) } : { node, state: 'blocked' as const, why };
  });
  return { nodes, parameters, trainable: left, ...(freezeBefore === undefined ? {} : { freezeBefore }) };
}

/** Nodes from which slopes lead to an output. */
function leadingTo(order: readonly Node[], outputs: readonly string[], moved: ReadonlySet<string>): Set<Node> {
  const reached = new Set(outputs.filter((name) => moved.has(name)));
  const leading = new Set<Node>();
  for (const node of order.toReversed()) {
    if (!node.outputs.some((name) => reached.has(name) && moved.has(name))) continue;
    leading.add(node);
    for (const name of slopedInputs(node)) if (moved.has(name)) reached.add(name);
  }
  return leading;
}

/** The parameters that gradients reach, or the error that all gradients together meet. */
function attempt(model: Model, types: ValueTypes, outputs: readonly string[], wrt: readonly string[]): Set<string> | BlockedError {
  const base = cloneModel(model);
  base.graph.outputs = [];
  const b = GraphBuilder.from(base, { prefix: 'step' });
  const seeds = new Map<string, string>();
  for (const name of outputs) {
    const type = types.get(name);
    if (type?.dtype === 'float32') seeds.set(name, b.input(b.fresh(`gradient of ${name}`), type.dtype, type.dims));
  }
  try {
    return new Set(backward(b, model.graph, { seeds, wrt, types }).keys());
  } catch (error) {
    if (error instanceof BlockedError) return error;
    throw error;
  }
}
