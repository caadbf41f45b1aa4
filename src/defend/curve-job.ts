/** What both ways of computing a pruning curve are given, and what they know of a graph. */
import type { AnyImages } from '../data/dataset.ts';
import type { CutPoint } from '../onnx/cut-points.ts';
import { topologicalOrder, usedValues } from '../onnx/edit.ts';
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

/** Everything that depends on `start`, and what else it needs. */
export function downstream(graph: Graph, input: string, start: string): Downstream {
  const values = new Set([start]);
  const dynamic = new Set([input]);
  const nodes: Node[] = [];
  const frontier = new Set<string>();
  for (const node of topologicalOrder(graph)) {
    const used = usedValues(node);
    if (used.some((name) => dynamic.has(name))) for (const out of node.outputs) dynamic.add(out);
    if (!used.some((name) => values.has(name))) continue;
    nodes.push(node);
    for (const out of node.outputs) values.add(out);
    for (const name of used) if (dynamic.has(name) && !values.has(name)) frontier.add(name);
  }
  return { nodes, values, frontier: [...frontier] };
}
