/** The layers of a network whose channels can be cut, and which one a defence takes when it is not told. */
import { fail } from '../core/errors.ts';
import { formatDims } from '../core/shapes.ts';
import { nearest } from '../core/suggest.ts';
import { type CutPoint, cutPoints, type LeftOut } from '../onnx/cut-points.ts';
import type { Model } from '../onnx/model.ts';
import type { ValueTypes } from '../onnx/value-types.ts';

export interface LayerChoice {
  readonly point: CutPoint;
  /** Why this one, as the report says it: `conv2: the last convolution in graph order`. */
  readonly why: string;
}

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
  readonly isDefault: boolean;
  /** Set for a layer whose channels cannot be cut; the fields above are then empty or 0. */
  readonly notCuttable?: string;
}

/**
 * The layer of that name: a node, the value it makes, its weight, or the value at its cut point. Without a name the last convolution in
 * graph order, which is what Fine-Pruning (section 4.1) prunes; in a net without convolutions the last hidden layer.
 * Throws SecateurError for a name that is not there (with the nearest one), that cannot be cut, or where nothing can be.
 */
export function chooseLayer(model: Model, types: ValueTypes, name?: string): LayerChoice {
  const { layers, leftOut } = cutPoints(model, types);
  if (name !== undefined) return { point: named(layers, leftOut, name), why: `${name}: as asked` };
  const point = layers.findLast((l) => l.opType === 'Conv' || l.opType === 'ConvTranspose') ?? layers.at(-1);
  if (point === undefined) {
    const why = leftOut.map((l) => `${l.layer}: ${l.why}`).join('; ') || 'no Conv, Gemm or MatMul in it';
    return fail({
      where: 'model',
      what: 'no layer whose channels can be cut',
      expected: 'a Conv, Gemm or MatMul before the last one',
      got: why,
    });
  }
  const isConv = point.opType === 'Conv' || point.opType === 'ConvTranspose';
  const last = isConv ? 'the last convolution in graph order' : 'the last hidden layer in graph order, as there is no convolution';
  return { point, why: `${point.layer}: ${last}${point.joined ? ', cut before the residual Add' : ''}` };
}

/** Every layer with weights, for people. */
export function describeLayers(model: Model, types: ValueTypes): LayerLine[] {
  const { layers, leftOut } = cutPoints(model, types);
  const chosen = layers.length > 0 ? chooseLayer(model, types).point.layer : undefined;
  const lines = layers.map(
    (p): LayerLine => ({
      layer: p.layer,
      opType: p.opType,
      channels: p.channels,
      shape: formatDims(p.dims.slice(1)),
      cutAt: p.value,
      follows: p.path.join(' > '),
      how: p.zeroable ? 'zero weights' : `Mul after ${p.cutValue}: ${p.notZeroable}`,
      isDefault: p.layer === chosen,
    }),
  );
  const rest = leftOut.map(
    ({ layer, opType, why }): LayerLine => ({
      layer,
      opType,
      channels: 0,
      shape: '',
      cutAt: '',
      follows: '',
      how: '',
      isDefault: false,
      notCuttable: why,
    }),
  );
  return [...lines, ...rest];
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
  return [point.layer, point.node.outputs[0], point.value, point.cutValue, point.node.inputs[1]].filter(
    (n, i, all) => all.indexOf(n) === i,
  );
}
