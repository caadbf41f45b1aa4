/** The layers of a network whose channels can be cut, and which one a defence takes when it is not told. */
import { fail } from '../core/errors.ts';
import { formatDims } from '../core/shapes.ts';
import { nearest } from '../core/suggest.ts';
import { type CutPoint, cutPoints, type LeftOut } from '../onnx/cut-points.ts';
import { topologicalOrder } from '../onnx/edit.ts';
import type { Model, Node } from '../onnx/model.ts';
import type { ValueTypes } from '../onnx/value-types.ts';
import { defaultLayer, type LayerChoice } from './default-layer.ts';

export type { LayerChoice };

/** One line of `inspect --layers`. */
export interface LayerLine {
  readonly layer: string;
  readonly opType: string;
  readonly channels: number;
  /** Shape of one input's value at the cut point, `[C,H,W]`. */
  readonly shape: string;
  /** Value whose mean is ranked. */
  readonly cutAt: string;
  /** `Relu > AveragePool > Flatten > Gemm`: what happens to the channels until they are mixed. */
  readonly follows: string;
  /** How a channel is cut: `zero weights`, or `Mul after NAME` with the reason. */
  readonly how: string;
  /** Whether weights alone cut a channel; if not, why not. */
  readonly byWeights: boolean;
  readonly whyMul?: string;
  readonly isDefault: boolean;
  /** Of the default: why it is. */
  readonly why?: string;
  /** Set for a layer whose channels cannot be cut; the fields above are then empty or 0. */
  readonly notCuttable?: string;
}

/**
 * The layer of that name: a node, the value it makes, its weight, or the value at its cut point. Without a name {@link defaultLayer}'s.
 * Throws SecateurError for a name that is not there (with the nearest one), that cannot be cut, or where nothing can be.
 */
export function chooseLayer(model: Model, types: ValueTypes, name?: string): LayerChoice {
  const { layers, leftOut } = cutPoints(model, types);
  if (name !== undefined) return { point: named(layers, leftOut, name), why: `${name}: as asked` };
  const choice = defaultLayer(model, types, layers, leftOut);
  if (choice !== undefined) return choice;
  const why = leftOut.map((l) => `${l.layer}: ${l.why}`).join('; ') || 'no Conv, Gemm or MatMul in it';
  return fail({
    where: 'model',
    what: 'no layer whose channels can be cut',
    expected: 'a Conv, Gemm or MatMul before the last one',
    got: why,
  });
}

/** Every layer with weights and every place where several meet, in the order in which the graph computes them, for people. */
export function describeLayers(model: Model, types: ValueTypes): LayerLine[] {
  const { layers, leftOut } = cutPoints(model, types);
  const chosen = defaultLayer(model, types, layers, leftOut);
  const order = new Map(topologicalOrder(model.graph).map((node, i) => [node, i]));
  const lines = layers.map((p): { node: Node; line: LayerLine } => ({
    node: p.node,
    line: {
      layer: p.layer,
      opType: p.opType,
      channels: p.channels,
      shape: formatDims(p.dims.slice(1)),
      cutAt: p.value,
      follows: shortPath(p.path),
      how: p.zeroable ? 'zero weights' : `Mul after ${p.cutValue}: ${p.notZeroable}`,
      byWeights: p.zeroable,
      ...(p.notZeroable === undefined ? {} : { whyMul: p.notZeroable }),
      isDefault: p.layer === chosen?.point.layer,
      ...(p.layer === chosen?.point.layer ? { why: chosen.why } : {}),
    },
  }));
  const rest = leftOut.map(({ layer, node, opType, why }): { node: Node; line: LayerLine } => ({
    node,
    line: { layer, opType, channels: 0, shape: '', cutAt: '', follows: '', how: '', byWeights: false, isDefault: false, notCuttable: why },
  }));
  return [...lines, ...rest].sort((a, b) => (order.get(a.node) ?? 0) - (order.get(b.node) ?? 0)).map(({ line }) => line);
}

/** Operators to show of a path; in DenseNet a channel goes through hundreds. */
const SHOWN = 8;

function shortPath(path: readonly string[]): string {
  if (path.length <= SHOWN) return path.join(' > ');
  return `${path.slice(0, SHOWN - 2).join(' > ')} > (${path.length - SHOWN + 1} more) > ${path.at(-1)}`;
}

function named(layers: readonly CutPoint[], leftOut: readonly LeftOut[], name: string): CutPoint {
  const found = layers.find((l) => namesOf(l).includes(name));
  if (found !== undefined) return found;
  const out = leftOut.find((l) => l.layer === name || l.node.outputs.includes(name) || l.node.inputs[1] === name);
  const where = `layer "${name}"`;
  const names = layers.map((l) => l.layer);
  const expected =
    names.length > 8 ? `one of ${names.slice(0, 4).join(', ')}, ... ${names.slice(-3).join(', ')}` : `one of ${names.join(', ')}`;
  if (out !== undefined) return fail({ where, what: `its channels cannot be cut: ${out.why}`, expected });
  const close = nearest(name, [...new Set(layers.flatMap(namesOf))]);
  return fail({ where, what: 'is not in the model', expected, hint: close === undefined ? undefined : `"${close}"` });
}

function namesOf(point: CutPoint): string[] {
  const own = [point.layer, point.node.outputs[0], point.value, point.cutValue];
  const weight = point.kind === 'layer' ? [point.node.inputs[1]] : [];
  const onTheWay = point.chain.flatMap(({ node }) => [node.name, ...node.outputs]);
  return [...new Set([...own, ...weight, ...onTheWay])].filter((name) => name !== '');
}
