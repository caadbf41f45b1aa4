/**
 * What differs between two files of a network: the graph, and how far each weight moved. It lets anyone see what a defence, or somebody who
 * trained the network again, has touched. Nothing is run.
 */
import { formatDims } from '../core/shapes.ts';
import { sizeOf, type Tensor } from '../core/tensor.ts';
import { attrInt, topologicalOrder } from '../onnx/edit.ts';
import type { Graph, Model, Node } from '../onnx/model.ts';
import { liftConstants } from '../onnx/passes/lift-constants.ts';
import { type AlignedNodes, alignNodes, inOrder } from './align.ts';
import { type GraphChange, graphChanges } from './graph-diff.ts';
import { diffTensors, type TensorDiff, type TensorUse, WEIGHT_TYPES } from './tensor-diff.ts';

export type { GraphChange } from './graph-diff.ts';
export type { TensorDiff } from './tensor-diff.ts';

export interface ModelDiff {
  /** Whether graph and weights are the same; metadata and declarations may still differ. */
  readonly same: boolean;
  readonly changes: readonly GraphChange[];
  /** Every floating-point tensor that both files have, the one that moved most first. */
  readonly tensors: readonly TensorDiff[];
  /** How tensors were found in the second file. */
  readonly matched: { readonly byName: number; readonly inOrder: number };
  /** Tensors with no counterpart of the same shape: `name [dims]`. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** What the comparison cannot know, in sentences. */
  readonly notes: readonly string[];
}

interface Slot {
  readonly name: string;
  readonly tensor: Tensor;
  readonly use: TensorUse;
  /** Operator and input that read it, and its shape: what a re-export keeps. */
  readonly key: string;
  /** All nodes that read it, the first of them in `use`. */
  readonly readers: readonly Node[];
}

/** Compares two models. Weights in Constant nodes count as weights; constants of other types belong to the graph. */
export function diffModels(a: Model, b: Model): ModelDiff {
  const [before, after] = [liftConstants(a)?.model ?? a, liftConstants(b)?.model ?? b];
  const nodes = alignNodes(before.graph, after.graph);
  const [slotsA, slotsB] = [slotsOf(before.graph), slotsOf(after.graph)];
  const { pairs, byName } = pairSlots(slotsA, slotsB, nodes);
  const names = new Map(pairs.map(([x, y]) => [x.name, y.name]));
  const changes = graphChanges(a, b, before, after, nodes, names);
  const tensors = pairs
    .map(([x, y]) => diffTensors(x.name, x.tensor, y.tensor, x.use, y.name))
    .sort((x, y) => y.relative - x.relative || y.maxAbs - x.maxAbs || (x.name < y.name ? -1 : 1));
  const [left, right] = [new Set(pairs.map(([x]) => x)), new Set(pairs.map(([, y]) => y))];
  const show = ({ name, tensor }: Slot): string => `${name} ${formatDims(tensor.dims)}`;
  const onlyBefore = slotsA.filter((s) => !left.has(s)).map(show);
  const onlyAfter = slotsB.filter((s) => !right.has(s)).map(show);
  const structural = changes.some((c) => c.kind !== 'metadata' && c.kind !== 'declaration');
  return {
    same: !structural && tensors.every((t) => t.same) && onlyBefore.length === 0 && onlyAfter.length === 0,
    changes,
    tensors,
    matched: { byName, inOrder: pairs.length - byName },
    onlyBefore,
    onlyAfter,
    notes: notesOf(before, after, nodes.by, byName, pairs.length),
  };
}

function notesOf(before: Model, after: Model, by: 'names' | 'order', byName: number, paired: number): string[] {
  const notes: string[] = [];
  if (by === 'order')
    notes.push('Nodes have other names: they were matched by operator, in graph order, as between two exports of one network.');
  if (byName < paired) {
    const rest = paired - byName;
    notes.push(`${rest} of ${paired} tensors have other names: they were matched by operator and shape, in graph order.`);
  }
  const norms = [before, after].map((m) => m.graph.nodes.filter((n) => n.opType === 'BatchNormalization').length);
  if (norms[0] !== norms[1] && Math.min(...norms) === 0) {
    notes.push('One file has its batch norms folded into the convolutions, the other has not: those weights are not the same numbers.');
  }
  return notes;
}

/** The stored floating-point tensors in the order in which the graph reads them, then those that no node reads. */
function slotsOf(graph: Graph): Slot[] {
  const slots = new Map<string, Slot & { readonly readers: Node[] }>();
  for (const node of topologicalOrder(graph)) {
    for (const [input, name] of node.inputs.entries()) {
      const tensor = graph.initializers.get(name);
      slots.get(name)?.readers.push(node);
      if (tensor === undefined || slots.has(name) || !WEIGHT_TYPES.has(tensor.dtype)) continue;
      const text = `${node.opType} ${node.name || node.outputs[0]}`;
      const key = `${node.domain} ${node.opType} ${input} ${tensor.dims.join('x')}`;
      slots.set(name, { name, tensor, use: { text, axis: channelAxis(node, input, tensor) }, key, readers: [node] });
    }
  }
  for (const [name, tensor] of graph.initializers) {
    if (slots.has(name) || !WEIGHT_TYPES.has(tensor.dtype)) continue;
    slots.set(name, { name, tensor, use: { text: 'read by no node', axis: 0 }, key: `unread ${tensor.dims.join('x')}`, readers: [] });
  }
  return [...slots.values()];
}

/** The axis of a tensor that counts what the node gives out. */
function channelAxis(node: Node, input: number, { dims }: Tensor): number {
  const last = Math.max(0, dims.length - 1);
  if (dims.length < 2) return 0;
  if (node.opType === 'MatMul') return input === 1 ? last : Math.max(0, last - 1);
  if (node.opType === 'Gemm' && input === 1) return attrInt(node, 'transB', 0) === 1 ? 0 : 1;
  if (node.opType === 'ConvTranspose') return 1;
  // A constant added to, or multiplied with, [N,C,H,W]: the one axis that is longer than 1.
  const long = dims.findIndex((d) => d > 1);
  return node.opType === 'Conv' || long < 0 || sizeOf(dims) !== dims[long] ? 0 : long;
}

/**
 * By name and shape, the rest in graph order. Where nodes were matched by their names, a tensor's readers have to be partners: exporters number
 * weights anew (`onnx::Conv_196`), and a number can come to another layer of the same shape.
 */
function pairSlots(a: readonly Slot[], b: readonly Slot[], nodes: AlignedNodes): { pairs: (readonly [Slot, Slot])[]; byName: number } {
  const partners = nodes.by === 'names' ? nodes.pairs : [];
  const after = new Map(partners);
  const ids = new Map(partners.flatMap(([x, y], i) => [[x, i] as const, [y, i] as const]));
  const place = ({ readers }: Slot): number | string => ids.get(readers[0]) ?? '';
  const names = new Map(b.map((slot) => [slot.name, slot]));
  const fits = (x: Slot, y: Slot): boolean => formatDims(x.tensor.dims) === formatDims(y.tensor.dims) && partnersRead(x, y);
  const partnersRead = (x: Slot, y: Slot): boolean => {
    const expected = x.readers.flatMap((node) => after.get(node) ?? []);
    return expected.length === 0 ? !y.readers.some((node) => ids.has(node)) : expected.some((node) => y.readers.includes(node));
  };
  const named = a.flatMap((slot) => {
    const other = names.get(slot.name);
    return other !== undefined && fits(slot, other) ? [[slot, other] as const] : [];
  });
  const [left, right] = [new Set(named.map(([x]) => x)), new Set(named.map(([, y]) => y))];
  const [restA, restB] = [a.filter((s) => !left.has(s)), b.filter((s) => !right.has(s))];
  const ordered = inOrder(
    restA.map((s) => `${s.key} ${place(s)}`),
    restB.map((s) => `${s.key} ${place(s)}`),
  ).map(([i, j]) => [restA[i], restB[j]] as const);
  return { pairs: [...named, ...ordered], byName: named.length };
}
