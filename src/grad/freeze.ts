/** Where to freeze: which layers train when the ones before a node are left alone, and which node that has to be. */
import { fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';
import { consumers, topologicalOrder, usedValues } from '../onnx/edit.ts';
import type { Graph, Model, Node } from '../onnx/model.ts';
import { layersOf } from './parameters.ts';

/** What a user calls a node: its name, or its first output's where it has none. */
export const labelOf = (node: Node): string => node.name || node.outputs.find((name) => name !== '') || '';

/**
 * The parameters left to train with `--freeze-before NODE`: those of the node and of the layers after it in the order of execution.
 * For `StepOptions.trainable`: `const left = trainableFrom(model, 'fc1'); trainable: (name) => left.has(name)`.
 * @throws SecateurError where no node or value has that name
 */
export function trainableFrom(model: Model, node: string): Set<string> {
  const order = topologicalOrder(model.graph);
  const start = order.findIndex((n) => n.name === node || n.outputs.includes(node));
  if (start < 0 || node === '') {
    const near = nearest(node, order.map(labelOf));
    fail({
      where: '--freeze-before',
      what: `the model has no node "${node}"`,
      expected: 'the name of a node or of a value',
      hint: near === undefined ? undefined : `--freeze-before ${near}`,
    });
  }
  const frozen = new Set<string>();
  const left = new Set<string>();
  for (const layer of layersOf(model.graph)) {
    for (const name of layer.parameters) (order.indexOf(layer.node) < start ? frozen : left).add(name);
  }
  // Shared by a layer on either side: frozen, or the gradient would have to go to the layer before.
  for (const name of frozen) left.delete(name);
  return left;
}

/** In front of the names of nodes that a step adds. */
const OWN = 'step/';

export type FreezePoint = { kind: 'layer' | 'input'; name: string } | { kind: 'none'; name: '' };

/**
 * The way around operators that have no gradient (`stuck`): the first layer from which on none of them stands between a layer and the
 * loss. Freezing does not help where the gradient of an input is asked for (`input`), or where no layer comes after (`none`).
 */
export function freezePoint(graph: Graph, order: readonly Node[], stuck: ReadonlySet<Node>, wrt: readonly string[]): FreezePoint {
  const above = new Set<Node>(stuck);
  const needed = new Set<string>();
  for (const node of order.toReversed()) {
    if (!above.has(node) && !node.outputs.some((name) => needed.has(name))) continue;
    above.add(node);
    for (const name of usedValues(node)) needed.add(name);
  }
  const layers = layersOf(graph, new Set(wrt));
  const parameters = new Set(layers.flatMap((layer) => layer.parameters));
  const other = wrt.find((name) => needed.has(name) && !parameters.has(name));
  if (other !== undefined) return { kind: 'input', name: other };
  const last = layers.findLastIndex((layer) => above.has(layer.node));
  // Behind a folded BatchNormalization (nodes of the step's own) weights meet the data in the convolution, which keeps its name.
  const read = consumers(graph);
  let next: Node | undefined = layers[last + 1]?.node;
  while (next?.name.startsWith(OWN)) next = read.get(next.outputs[0])?.[0];
  return next === undefined ? { kind: 'none', name: '' } : { kind: 'layer', name: labelOf(next) };
}
