/** What both ways of computing a pruning curve are given, and what they know of a graph. */
import type { AnyImages } from '../data/dataset.ts';
import { isShapeOnly } from '../onnx/channel-graph.ts';
import type { CutPoint } from '../onnx/cut-points.ts';
import { producers, topologicalOrder, usedValues } from '../onnx/edit.ts';
import type { Graph, Model, Node } from '../onnx/model.ts';
import type { ModelSpec } from '../onnx/spec.ts';
import type { Runtime } from '../runtime/session.ts';

export interface CurveJob {
  readonly runtime: Runtime;
  readonly model: Model;
  readonly spec: ModelSpec;
  readonly point: CutPoint;
  readonly order: readonly number[];
  readonly images: AnyImages;
  /** Filled in by the job, `[order.length + 1, images.count]`. */
  readonly labels: Int32Array;
  readonly batchSize: number | undefined;
}

export interface Downstream {
  /** In computing order. */
  readonly nodes: readonly Node[];
  /** The start and everything computed from it. */
  readonly values: ReadonlySet<string>;
  /** Values from elsewhere that the nodes read and that depend on the images, the model's input among them. */
  readonly frontier: readonly string[];
}

/** Everything that depends on `start`, and what else it needs. Shape arithmetic is done again, from the values whose shapes it reads. */
export function downstream(graph: Graph, input: string, start: string): Downstream {
  const values = new Set([start]);
  const dynamic = new Set([input]);
  const nodes: Node[] = [];
  const made = producers(graph);
  const seen = new Set<Node>();
  const queue: Node[] = [];
  for (const node of topologicalOrder(graph)) {
    const used = usedValues(node);
    if (!isShapeOnly(node) && used.some((name) => dynamic.has(name))) for (const out of node.outputs) dynamic.add(out);
    if (!used.some((name) => values.has(name))) continue;
    nodes.push(node);
    queue.push(node);
    for (const out of node.outputs) values.add(out);
  }
  const frontier = new Set<string>();
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const name of usedValues(node)) {
      if (values.has(name)) continue;
      if (dynamic.has(name)) frontier.add(name);
      const maker = made.get(name);
      if (!dynamic.has(name) && maker !== undefined) queue.push(maker);
    }
  }
  return { nodes, values, frontier: [...frontier] };
}
