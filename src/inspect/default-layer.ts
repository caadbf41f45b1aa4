/** Which layer a defence takes when it is not told: the last convolutional block's output, as far as the graph shows one. */
import type { CutPoint, LeftOut } from '../onnx/cut-points.ts';
import { producers, topologicalOrder } from '../onnx/edit.ts';
import type { Graph, Model } from '../onnx/model.ts';
import type { ValueTypes } from '../onnx/value-types.ts';
import { waists } from '../onnx/waists.ts';

export interface LayerChoice {
  readonly point: CutPoint;
  /** Why this one, as the report says it: `conv2: the last convolution in graph order`. */
  readonly why: string;
}

const CONVOLUTIONS = new Set(['Conv', 'ConvTranspose']);
const GLOBAL = new Set(['GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool']);

/**
 * In a network of convolutions, the last place before the head where channels can be cut and through which everything goes: the last
 * convolution of a plain network (which is what Fine-Pruning, section 4.1, prunes), the output of the last block behind its residual Add, its
 * Concat or its batch norm in others. Where attention comes after the convolutions, or there are none, the last hidden layer.
 */
export function defaultLayer(
  model: Model,
  types: ValueTypes,
  layers: readonly CutPoint[],
  leftOut: readonly LeftOut[],
): LayerChoice | undefined {
  const order = new Map(topologicalOrder(model.graph).map((node, i) => [node, i]));
  const placeOf = ({ node }: { node: CutPoint['node'] }): number => order.get(node) ?? 0;
  const convolutions = [...layers, ...leftOut].filter((l) => CONVOLUTIONS.has(l.opType));
  const lastConvolution = Math.max(-1, ...convolutions.map(placeOf));
  const attention = Math.max(-1, ...leftOut.filter((l) => l.why.includes('attention')).map(placeOf));
  if (attention > lastConvolution) {
    const hidden = layers.findLast((l) => l.kind === 'layer' && l.activation !== undefined && !l.joined && l.cutDims.length > 2);
    if (hidden !== undefined) {
      const before = convolutions.length > 0 ? ': the convolutions all come before attention' : '';
      const why = `the hidden layer of the last feed-forward block${before}; attention heads are left alone`;
      return { point: hidden, why: `${hidden.layer}: ${why}` };
    }
  }
  const through = waists(model.graph, logitsOf(model));
  const head = headStart(model.graph, types, through);
  const rank = new Map(through.map((value, i) => [value, i]));
  const blocks = layers.filter((l) => {
    const at = rank.get(l.cutValue);
    const convolutional = l.kind === 'layer' ? CONVOLUTIONS.has(l.opType) : convolutions.some((c) => placeOf(c) < placeOf(l));
    return convolutional && l.cutDims.length > 2 && at !== undefined && at < head;
  });
  const block = blocks.at(-1);
  const convolution = layers.findLast((l) => CONVOLUTIONS.has(l.opType));
  if (block !== undefined) {
    const inOrder =
      placeOf(block) === lastConvolution ? 'the last convolution in graph order' : "the last convolution before the model's outputs";
    const why = reason(block, block === convolution ? inOrder : 'the last convolution that everything goes through');
    return { point: block, why: `${block.layer}: ${why}` };
  }
  if (convolution !== undefined) {
    const joined = convolution.joined ? ', cut before the residual Add' : '';
    return { point: convolution, why: `${convolution.layer}: the last convolution in graph order${joined}` };
  }
  const hidden = layers.findLast((l) => l.kind === 'layer') ?? layers.at(-1);
  return hidden && { point: hidden, why: `${hidden.layer}: the last hidden layer in graph order, as there is no convolution` };
}

/** `last`: what to say of a plain convolution. */
function reason(point: CutPoint, last: string): string {
  const norm = point.chain.some((p) => p.role.kind === 'batch-norm') ? ['BatchNormalization'] : [];
  const behind = [...norm, ...(point.activation === undefined ? [] : [point.activation])];
  const block = 'the output of the last convolutional block';
  switch (point.kind) {
    case 'layer':
      return last;
    case 'join':
      return `${block}, behind its residual ${listed([point.opType, ...behind])}`;
    case 'concat': {
      const branches = `${block}, a Concat of ${point.node.inputs.length} branches`;
      return behind.length === 0 ? branches : `${branches} behind ${listed(behind)}`;
    }
    default:
      return `${block}, behind its last ${listed(['BatchNormalization', ...behind])}`;
  }
}

/** `A`, `A and B`, `A, B and C`. */
function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names[names.length - 1]}`;
}

/** What the metadata say, or the first output. */
function logitsOf(model: Model): string {
  return model.metadata.get('secateur.logits') ?? model.graph.outputs[0]?.name ?? '';
}

/** The first of `through` where space is gone: averaged away or flattened. What comes after is the head. */
function headStart(graph: Graph, types: ValueTypes, through: readonly string[]): number {
  const made = producers(graph);
  const start = through.findIndex((value) => {
    const node = made.get(value);
    const dims = types.get(value)?.dims;
    const from = types.get(node?.inputs[0] ?? '')?.dims;
    if (node === undefined || dims === undefined || from === undefined || CONVOLUTIONS.has(node.opType)) return false;
    if (GLOBAL.has(node.opType)) return true;
    if (dims.length === 2 && from.length > 2) return true;
    const empty = (shape: readonly number[]): boolean => shape.length > 2 && shape.filter((d) => d > 1).length <= 2;
    return /^(Reduce|AveragePool|MaxPool)/.test(node.opType) && empty(dims) && !empty(from);
  });
  return start < 0 ? through.length : start;
}
