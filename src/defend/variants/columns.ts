/** Fully connected layers pruned by their inputs: a column of nn.Linear's weight is what one feature contributes. */
import { fail } from '../../core/errors.ts';
import type { Tensor } from '../../core/tensor.ts';
import { channelStatistics } from '../../data/channel-statistics.ts';
import { type CutPoint, inputAxis } from '../../onnx/cut-points.ts';
import { allNames, cloneModel, topologicalOrder } from '../../onnx/edit.ts';
import type { Model, Node } from '../../onnx/model.ts';
import { sliceMask, zeroSlices } from '../../onnx/slices.ts';
import { accuracyBySteps, cutPredictions } from '../curve.ts';
import type { VariantJob, VariantPruning } from './variant.ts';

export interface Columns {
  /** Name of the layer, or of what it gives. */
  readonly layer: string;
  readonly node: Node;
  /** Features that it reads, `[n,count]`. */
  readonly value: string;
  readonly count: number;
}

/** The first or last fully connected layer in graph order. Throws SecateurError where there is none with stored weights that reads `[n,features]`. */
export function fullyConnected({ model, types }: VariantJob, which: 'first' | 'last'): Columns {
  const found = topologicalOrder(model.graph).flatMap((node): Columns[] => {
    const linear = node.opType === 'Gemm' || node.opType === 'MatMul';
    const dims = types.get(node.inputs[0])?.dims;
    if (!linear || dims?.length !== 2 || !model.graph.initializers.has(node.inputs[1])) return [];
    return [{ layer: node.name || node.outputs[0], node, value: node.inputs[0], count: dims[1] }];
  });
  const layer = which === 'first' ? found[0] : found.at(-1);
  if (layer !== undefined) return layer;
  return fail({ where: 'model', what: 'no fully connected layer with stored weights, which this variant prunes', hint: '--variant paper' });
}

/** Mean, or mean magnitude, of each feature over the validation images. */
export async function featureMeans(
  { runtime, model, validation, spec }: VariantJob,
  { value }: Columns,
  by: 'mean' | 'magnitude',
): Promise<Float64Array> {
  const found = await channelStatistics(runtime, model, validation, [{ name: value, axis: 1, rank: 2 }], { spec });
  return (found.get(value) as { mean: Float64Array; magnitude: Float64Array })[by];
}

/** Zeroes columns, and says what keeps them zero. */
export function zeroColumns(model: Model, { node }: Columns, columns: readonly number[]): Pick<VariantPruning, 'model' | 'masks'> {
  const out = cloneModel(model);
  const name = node.inputs[1];
  const tensor = out.graph.initializers.get(name) as Tensor;
  const axis = inputAxis(node);
  out.graph.initializers.set(name, zeroSlices(tensor, axis, columns));
  return { model: out, masks: columns.length === 0 ? new Map() : new Map([[name, sliceMask(tensor.dims, axis, columns)]]) };
}

/** Steps computed at a time, so that a long order is not computed to its end for a limit that is broken early. */
const BLOCK = 128;

/** Validation accuracy with 0, 1, ... columns of `order` zero; each is computed when it is first asked for, in blocks. */
export function columnCurve(job: VariantJob, columns: Columns, order: readonly number[]): (cut: number) => Promise<number> {
  const known: number[] = [];
  return async (cut) => {
    while (known.length <= cut) {
      const done = Math.max(0, known.length - 1);
      const block = order.slice(done, done + BLOCK);
      const { model, point } = ofItsOwn(zeroColumns(job.model, columns, order.slice(0, done)).model, columns);
      const { runtime, validation, spec } = job;
      const predicted = await cutPredictions(runtime, model, point, block, validation, { spec, method: 'tail' });
      const accuracy = accuracyBySteps(predicted, validation.labels);
      known.push(...accuracy.slice(known.length - done));
    }
    return known[cut];
  };
}

/** The same network with a value that this layer alone reads, and where in it a feature is cut. */
function ofItsOwn(model: Model, { layer, node, value, count }: Columns): { model: Model; point: CutPoint } {
  const out = cloneModel(model);
  const { nodes } = out.graph;
  const taken = allNames(out.graph);
  let own = `${value}/columns`;
  while (taken.has(own)) own += '_';
  const at = nodes.findIndex((n) => n.outputs[0] === node.outputs[0]);
  const reader = nodes[at];
  reader.inputs = [own, ...reader.inputs.slice(1)];
  const copy: Node = { name: own, opType: 'Identity', domain: '', inputs: [value], outputs: [own], attributes: new Map() };
  nodes.splice(at, 0, copy);
  const place = { value: own, axis: 1, dims: [2, count], cutValue: own, cutAxis: 1, cutDims: [2, count] };
  const point: CutPoint = {
    ...{ layer: `inputs of ${layer}`, kind: 'layer', node: copy, opType: copy.opType, channels: count, ...place },
    ...{ activation: undefined, rankBy: 'mean', parameters: [], zeroable: false, notZeroable: 'they are inputs' },
    ...{ path: [], chain: [], passed: [], ends: [], joined: false },
    removal: () => fail({ where: `layer ${layer}`, what: 'its inputs cannot be taken out of the file' }),
  };
  return { model: out, point };
}
