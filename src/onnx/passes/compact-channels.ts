/** Takes channels out of a file altogether: rows of the layer's weights, columns of the next layer's, and all that goes with them. */
import { fail } from '../../core/errors.ts';
import { i64 } from '../../core/tensor.ts';
import { type ChannelEnd, type CutPoint, featuresOf, inputAxis, isGrouped, type PassedNode } from '../cut-points.ts';
import { consumers, removeDead } from '../edit.ts';
import type { Graph, Model, Node } from '../model.ts';
import { takeSlices } from '../slices.ts';
import { checkChannels, forgetCut } from './cut-channels.ts';
import { type Pass, type PassResult, runPasses } from './pass.ts';

/**
 * The model without `channels` of the layer at `point`. Its logits are those of the model with these channels cut, but for rounding.
 * Throws SecateurError where that cannot be done (see {@link whyNotCompact}) and where no channel would be left.
 */
export function compactChannels(model: Model, point: CutPoint, channels: readonly number[]): PassResult {
  checkChannels(point, channels);
  const gone = new Set(channels);
  const where = `layer ${point.layer}`;
  const why = whyNotCompact(model, point);
  if (why !== undefined) {
    const hint = 'without --compact: the channels are zero then, and stay in the file';
    fail({ where, what: `its channels cannot be taken out of the file: ${why}`, hint });
  }
  if (gone.size >= point.channels) {
    fail({
      where,
      what: 'no channel would be left',
      expected: `at most ${point.channels - 1} channels to take out`,
      got: String(gone.size),
    });
  }
  const keep = Array.from({ length: point.channels }, (_, c) => c).filter((c) => !gone.has(c));
  return runPasses(model, compactPass(point, keep));
}

function compactPass(point: CutPoint, keep: readonly number[]): Pass {
  return {
    name: 'compact-channels',
    run(model) {
      if (keep.length === point.channels) return false;
      const { graph } = model;
      const done = new Set<string>();
      const take: Take = (name, axis, indices) => {
        const tensor = graph.initializers.get(name);
        if (tensor === undefined || done.has(name)) return;
        done.add(name);
        graph.initializers.set(name, takeSlices(tensor, axis, indices));
      };
      for (const { name, axis } of point.parameters) take(name, axis, keep);
      for (const passed of point.passed) shrinkNode(graph, passed, point, keep, take);
      for (const { node, spread } of point.ends) if (node) take(node.inputs[1], inputAxis(node), featuresOf(keep, spread));
      // Declared shapes of what was on the way are wrong now; ONNX infers them again.
      const stale = new Set([point.node, ...point.passed.map((p) => p.node)].flatMap((n) => n.outputs));
      graph.valueInfo = graph.valueInfo.filter((v) => !stale.has(v.name));
      forgetCut(model, point.layer);
      removeDead(graph);
      return true;
    },
  };
}

/** Keeps the slices `indices` of `axis` of a stored tensor, once. */
type Take = (name: string, axis: number, indices: readonly number[]) => void;

/** Why the channels at `point` cannot be taken out of the file; undefined where they can. */
export function whyNotCompact(model: Model, point: CutPoint): string | undefined {
  const { graph } = model;
  if (isGrouped(point.node)) return 'it is a grouped convolution';
  const uses = consumers(graph);
  const shared = point.parameters.find((p) => (uses.get(p.name)?.length ?? 0) > 1);
  if (shared !== undefined) return `"${shared.name}" is used by several nodes`;
  for (const end of point.ends) {
    const why = whyNotEnd(graph, uses, end);
    if (why !== undefined) return why;
  }
  for (const { node } of point.passed) {
    if (node.opType !== 'Reshape') continue;
    const shape = graph.initializers.get(node.inputs[1]);
    if (shape === undefined) return `node "${node.name}" computes its shape`;
    if (uses.get(node.inputs[1])?.length !== 1) return `"${node.inputs[1]}" is used by several nodes`;
  }
  return undefined;
}

function whyNotEnd(graph: Graph, uses: Map<string, Node[]>, end: ChannelEnd): string | undefined {
  const reader = end.node === undefined ? '' : `node "${end.node.name || end.node.outputs[0]}" (${end.node.opType})`;
  if (end.kind === 'output') return `"${end.value}" is an output of the model`;
  if (end.kind === 'join') return `${reader} adds them to another value`;
  if (end.kind === 'other') return `${reader} reads them`;
  const node = end.node as Node;
  if (isGrouped(node)) return `${reader} is a grouped convolution`;
  if (!graph.initializers.has(node.inputs[1])) return `${reader} computes its weight`;
  return (uses.get(node.inputs[1])?.length ?? 0) > 1 ? `"${node.inputs[1]}" is used by several nodes` : undefined;
}

/** Per-channel constants and target shapes of a node between the layer and the next. */
function shrinkNode(graph: Graph, { node, role, spread }: PassedNode, point: CutPoint, keep: readonly number[], take: Take): void {
  const indices = featuresOf(keep, spread);
  if (role.kind === 'batch-norm') for (const name of node.inputs.slice(1)) take(name, 0, indices);
  if ((role.kind === 'scale' || role.kind === 'shift') && role.axis !== undefined) take(role.constant, role.axis, indices);
  if (node.opType === 'PRelu') {
    const axis = graph.initializers.get(node.inputs[1])?.dims.indexOf(point.channels * spread) ?? -1;
    if (axis >= 0) take(node.inputs[1], axis, indices);
  }
  const shape = node.opType === 'Reshape' ? graph.initializers.get(node.inputs[1]) : undefined;
  if (shape === undefined || role.kind !== 'reshape') return;
  // 0 copies the size and -1 finds it; a plain number has to shrink.
  const dims = Array.from(shape.data, Number);
  if (dims[1] > 0) dims[1] = keep.length * spread * role.spread;
  graph.initializers.set(node.inputs[1], i64(dims));
}
