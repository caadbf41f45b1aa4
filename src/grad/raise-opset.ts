/**
 * Brings a model of operator-set version 7 to 16 to version 17, so that there is one dialect for gradient rules to read and to write.
 * Only operators that read differently in 17 are touched: attributes that became inputs, meanings that changed. Value names stay, so
 * types found for the old model hold for the new one.
 */
import { fail } from '../core/errors.ts';
import { f32, i64, type Tensor } from '../core/tensor.ts';
import { allNames, attrFloat, attrFloats, attrInt, attrString, cloneModel, describeNode, subgraphs } from '../onnx/edit.ts';
import type { Attribute, Graph, Model, Node } from '../onnx/model.ts';
import type { ValueType, ValueTypes } from '../onnx/value-types.ts';

export const DIALECT = 17;
/** Versions before 7 broadcast by other rules. */
const OLDEST = 7;

interface Raise {
  readonly from: number;
  readonly types: Map<string, ValueType>;
  /** Gives a tensor a name among the initialisers. */
  constant(tensor: Tensor): string;
  fresh(hint: string): string;
}

/** Changes a node in place; gives the nodes that replace it where one is not enough. */
type Change = (node: Node, r: Raise) => Node[] | undefined;

/** Version in which an operator's reading changed -> what brings a node over it. */
const CHANGES: Readonly<Record<string, readonly (readonly [version: number, change: Change])[]>> = {
  Slice: [[10, (node, r) => attributesToInputs(node, r, ['starts', 'ends', 'axes'])]],
  TopK: [[10, (node, r) => attributesToInputs(node, r, ['k'])]],
  Upsample: [
    [9, scalesToInput],
    [10, resizeLikeTen],
  ],
  Resize: [[11, resizeLikeTen]],
  Pad: [[11, padValueToInput]],
  Clip: [[11, clipBoundsToInputs]],
  Scatter: [[11, (node) => rename(node, 'ScatterElements')]],
  Dropout: [[12, dropoutRatioToInput]],
  Squeeze: [[13, (node, r) => attributesToInputs(node, r, ['axes'])]],
  Unsqueeze: [[13, (node, r) => attributesToInputs(node, r, ['axes'])]],
  ReduceSum: [[13, (node, r) => attributesToInputs(node, r, ['axes'])]],
  Split: [[13, (node, r) => attributesToInputs(node, r, ['split'])]],
  Softmax: [[13, normaliseAllAxesAfter]],
  LogSoftmax: [[13, normaliseAllAxesAfter]],
  Hardmax: [[13, normaliseAllAxesAfter]],
  BatchNormalization: [[14, dropSavedStatistics]],
  RoiAlign: [[16, (node) => withDefault(node, 'coordinate_transformation_mode', { type: 'string', value: 'output_half_pixel' })]],
};

/**
 * A copy of the model in version 17 or newer, and the types with those of the added values; both as they were where the model is new
 * enough. Throws SecateurError below version 7.
 */
export function raiseOpset(model: Model, types: ValueTypes): { model: Model; types: ValueTypes } {
  const from = model.opsets.get('') ?? 0;
  if (from >= DIALECT) return { model, types };
  if (from < OLDEST) {
    fail({ where: 'grad', what: 'the model is too old to be trained', expected: `opset ${OLDEST} or newer`, got: `opset ${from}` });
  }
  const raised = cloneModel(model);
  const allTypes = new Map(types);
  const taken = allNames(model.graph);
  const fresh = (hint: string): string => {
    let name = `raised/${hint}`;
    for (let i = 1; taken.has(name); i++) name = `raised/${hint}_${i}`;
    taken.add(name);
    return name;
  };
  const constant = (tensor: Tensor): string => {
    const name = fresh('const');
    raised.graph.initializers.set(name, tensor);
    allTypes.set(name, { dtype: tensor.dtype, dims: tensor.dims, constant: tensor });
    return name;
  };
  raiseGraph(raised.graph, { from, types: allTypes, constant, fresh });
  raised.opsets.set('', DIALECT);
  raised.irVersion = Math.max(raised.irVersion, 8);
  return { model: raised, types: allTypes };
}

function raiseGraph(graph: Graph, r: Raise): void {
  graph.nodes = graph.nodes.flatMap((node) => {
    // Constants of a subgraph are stored with the main graph, whose values it sees.
    for (const inner of subgraphs(node)) raiseGraph(inner, r);
    if (node.domain !== '') return [node];
    const changes = CHANGES[node.opType] ?? [];
    return changes.reduce<Node[]>((nodes, [version, change]) => (r.from < version ? (change(node, r) ?? nodes) : nodes), [node]);
  });
}

function rename(node: Node, opType: string): undefined {
  node.opType = opType;
}

function withDefault(node: Node, name: string, value: Attribute): undefined {
  if (!node.attributes.has(name)) node.attributes.set(name, value);
}

/** Integer attributes become inputs after the first one, in this order. */
function attributesToInputs(node: Node, r: Raise, names: readonly string[]): undefined {
  for (const name of names) {
    const attribute = node.attributes.get(name);
    node.attributes.delete(name);
    if (attribute === undefined) continue;
    const values = attribute.type === 'ints' ? attribute.value : [Number(attribute.value)];
    // "To the end" is the largest int64 in many files, which a number cannot hold.
    const safe = values.map((v) => Math.max(-Number.MAX_SAFE_INTEGER, Math.min(v, Number.MAX_SAFE_INTEGER)));
    node.inputs.push(r.constant(i64(safe)));
  }
}

function padValueToInput(node: Node, r: Raise): undefined {
  const value = attrFloat(node, 'value', 0);
  attributesToInputs(node, r, ['pads']);
  node.attributes.delete('value');
  if (value !== 0) node.inputs.push(r.constant(f32([value], [])));
}

function clipBoundsToInputs(node: Node, r: Raise): undefined {
  for (const [i, name] of ['min', 'max'].entries()) {
    node.inputs[1 + i] = node.attributes.has(name) ? r.constant(f32([attrFloat(node, name)], [])) : '';
    node.attributes.delete(name);
  }
  while (node.inputs.at(-1) === '') node.inputs.pop();
}

function dropoutRatioToInput(node: Node, r: Raise): undefined {
  node.inputs.push(r.constant(f32([attrFloat(node, 'ratio', 0.5)], [])));
  node.attributes.delete('ratio');
}

/** Upsample 7 had its scales in an attribute. */
function scalesToInput(node: Node, r: Raise): undefined {
  const scales = attrFloats(node, 'scales');
  node.attributes.delete('scales');
  node.inputs.push(r.constant(f32(scales, [scales.length])));
}

/** Version 14 has at most three outputs, and only in training mode; before, up to four more could be named, and meant nothing. */
function dropSavedStatistics(node: Node): undefined {
  if (attrInt(node, 'spatial', 1) === 0) {
    fail({ where: `grad: ${describeNode(node)}`, what: 'statistics of every single element', expected: 'of every channel (spatial = 1)' });
  }
  node.outputs = node.outputs.slice(0, 1);
  node.attributes.delete('spatial');
}

/** Resize 10 and Upsample knew one way to find the source pixel, and ONNX Runtime rounds the other way where an axis shrinks. */
function resizeLikeTen(node: Node, r: Raise): undefined {
  const scales = Array.from((r.types.get(node.inputs[1])?.constant?.data ?? []) as ArrayLike<number>, Number);
  const nearest = attrString(node, 'mode', 'nearest') === 'nearest';
  // Every second, every third pixel: nothing is rounded.
  const shrinks = scales.some((s) => s < 1 && !Number.isInteger(Number((1 / s).toFixed(4))));
  if (nearest && shrinks && scales.some((s) => s > 1)) {
    const what = 'nearest neighbours where one axis grows and another shrinks';
    fail({
      where: `grad: ${describeNode(node)}`,
      what,
      expected: 'one or the other in this old version',
      hint: 'an export of opset 11 or newer',
    });
  }
  rename(node, 'Resize');
  node.inputs.splice(1, 0, '');
  const mode = attrString(node, 'mode', 'nearest');
  node.attributes.set('mode', { type: 'string', value: mode });
  node.attributes.set('coordinate_transformation_mode', { type: 'string', value: 'asymmetric' });
  if (mode === 'nearest') node.attributes.set('nearest_mode', { type: 'string', value: shrinks ? 'ceil' : 'floor' });
}

/** Up to version 12 a Softmax runs over the given axis and all axes after it, taken as one; from 13 on over the given axis. */
function normaliseAllAxesAfter(node: Node, r: Raise): Node[] | undefined {
  const dims = r.types.get(node.outputs[0])?.dims;
  if (dims === undefined) return fail({ where: 'grad', what: `no type for the output of ${describeNode(node)}`, hint: 'a newer opset' });
  const given = attrInt(node, 'axis', 1);
  const axis = given < 0 ? given + dims.length : given;
  if (axis === dims.length - 1) {
    node.attributes.set('axis', { type: 'int', value: -1 });
    return undefined;
  }
  const matrix = [dims.slice(0, axis).reduce((a, d) => a * d, 1), dims.slice(axis).reduce((a, d) => a * d, 1)];
  const flat = r.fresh('rows');
  const normalised = r.fresh('normalised');
  const dtype = r.types.get(node.outputs[0])!.dtype;
  for (const name of [flat, normalised]) r.types.set(name, { dtype, dims: matrix });
  const reshape = (from: string, to: string, shape: readonly number[]): Node => ({
    name: r.fresh('reshape'),
    opType: 'Reshape',
    domain: '',
    inputs: [from, r.constant(i64(shape))],
    outputs: [to],
    attributes: new Map(),
  });
  const inner: Node = { ...node, inputs: [flat], outputs: [normalised], attributes: new Map([['axis', { type: 'int', value: -1 }]]) };
  return [reshape(node.inputs[0], flat, matrix), inner, reshape(normalised, node.outputs[0], dims)];
}
