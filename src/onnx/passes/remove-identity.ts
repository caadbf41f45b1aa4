/**
 * Takes out Identity nodes.
 * 1. The output is read by nodes only: they read the input instead.
 * 2. The output is a graph output and a node makes the input: that node makes the output under its name.
 * 3. Otherwise (input or initialiser straight to a graph output, or both names are graph outputs): the node stays.
 */
import { producers, replaceInput } from '../edit.ts';
import type { Graph, Node } from '../model.ts';
import type { Pass } from './pass.ts';

export const removeIdentity: Pass = {
  name: 'remove-identity',
  run({ graph }) {
    const identities = graph.nodes.filter((n) => n.opType === 'Identity' && n.domain === '');
    return identities.map((node) => removeOne(graph, node)).includes(true);
  },
};

function removeOne(graph: Graph, node: Node): boolean {
  const [from] = node.inputs;
  const [to] = node.outputs;
  const isOutput = (name: string): boolean => graph.outputs.some((o) => o.name === name);
  if (!isOutput(to)) {
    replaceInput(graph, to, from); // case 1
    return drop(graph, node, to);
  }
  const producer = producers(graph).get(from);
  if (producer === undefined || isOutput(from)) return false; // case 3
  drop(graph, node, from); // case 2
  replaceInput(graph, from, to);
  producer.outputs = producer.outputs.map((o) => (o === from ? to : o));
  return true;
}

function drop(graph: Graph, node: Node, gone: string): true {
  graph.nodes.splice(graph.nodes.indexOf(node), 1);
  graph.valueInfo = graph.valueInfo.filter((v) => v.name !== gone);
  return true;
}
