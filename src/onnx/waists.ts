/** Values through which everything goes that an image has to say about the logits: behind a residual Add, between two blocks, in a plain chain. */
import { isShapeOnly } from './channel-graph.ts';
import { producers, topologicalOrder, usedValues } from './edit.ts';
import type { Graph, Node } from './model.ts';

/** The values that every path from the graph's inputs to `logits` goes through, in computing order. */
export function waists(graph: Graph, logits: string): string[] {
  const made = producers(graph);
  const dynamic = new Set(graph.inputs.filter((i) => !graph.initializers.has(i.name)).map((i) => i.name));
  const order = topologicalOrder(graph).filter((node) => {
    if (isShapeOnly(node) || !usedValues(node).some((name) => dynamic.has(name))) return false;
    for (const out of node.outputs) dynamic.add(out);
    return true;
  });
  const needed = new Set<Node>();
  const queue = [logits];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const node = made.get(name);
    if (node === undefined || needed.has(node) || isShapeOnly(node)) continue;
    needed.add(node);
    queue.push(...usedValues(node).filter((value) => dynamic.has(value)));
  }
  const steps = order.filter((node) => needed.has(node));
  const lastUse = new Map<string, number>([[logits, steps.length]]);
  for (const [i, node] of steps.entries()) for (const name of usedValues(node)) if (name !== logits) lastUse.set(name, i);
  const found: string[] = [];
  const live = new Set([...dynamic].filter((name) => !made.has(name) && lastUse.has(name)));
  for (const [i, node] of steps.entries()) {
    for (const out of node.outputs) if ((lastUse.get(out) ?? -1) > i) live.add(out);
    for (const name of usedValues(node)) if (lastUse.get(name) === i) live.delete(name);
    if (live.size === 1) found.push(...live);
  }
  return [...new Set(found)];
}
