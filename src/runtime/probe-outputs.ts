/**
 * Which values of a graph a caller may ask ONNX Runtime for. onnxruntime-node (1.30) ends the whole process when an output is of a
 * four-bit type, and cannot hand over sequences and optionals.
 */
import { attrInt } from '../onnx/edit.ts';
import type { Graph, Node } from '../onnx/model.ts';

/** TensorProto's numbers of uint4, int4 and float4e2m1. */
const FOUR_BIT_CODES = new Set([21, 22, 23]);
/** Operators that hand on the element type of an input. */
const KEEPS_TYPE = new Set([
  ...['Identity', 'Reshape', 'Transpose', 'Slice', 'Squeeze', 'Unsqueeze', 'Flatten', 'Pad', 'Concat', 'Gather', 'GatherND', 'Split'],
  ...['Expand', 'Tile', 'Scan', 'Loop', 'If', 'ScatterND', 'ScatterElements', 'GatherElements', 'DepthToSpace', 'SpaceToDepth'],
]);
const NOT_TENSORS = new Set([
  ...['SequenceConstruct', 'SequenceEmpty', 'SequenceInsert', 'SequenceErase', 'SequenceMap', 'SplitToSequence'],
  ...['Optional', 'OptionalGetElement', 'ZipMap', 'DictVectorizer'],
]);

/** Names of the computed values, in the order of the nodes. */
export function visibleValues(graph: Graph): string[] {
  const hidden = new Set<string>();
  for (const [name, { dtype }] of graph.initializers) if (isFourBit(dtype)) hidden.add(name);
  for (const { name, dtype } of [...graph.inputs, ...graph.valueInfo]) if (dtype !== undefined && isFourBit(dtype)) hidden.add(name);
  const visible: string[] = [];
  for (const node of graph.nodes) {
    const hides = NOT_TENSORS.has(node.opType) || makesFourBit(node, hidden);
    for (const name of node.outputs) {
      if (name === '') continue;
      if (hides || hidden.has(name)) hidden.add(name);
      else visible.push(name);
    }
  }
  return visible;
}

const isFourBit = (dtype: string): boolean => dtype.endsWith('int4') || dtype.startsWith('float4');

function makesFourBit(node: Node, hidden: ReadonlySet<string>): boolean {
  switch (node.opType) {
    case 'Cast':
      return FOUR_BIT_CODES.has(attrInt(node, 'to', 0));
    case 'CastLike':
      return hidden.has(node.inputs[1]);
    case 'QuantizeLinear':
      return hidden.has(node.inputs[2]) || FOUR_BIT_CODES.has(attrInt(node, 'output_dtype', 0));
    case 'Constant': {
      const value = node.attributes.get('value');
      return value?.type === 'tensor' && isFourBit(value.value.dtype);
    }
    default:
      return KEEPS_TYPE.has(node.opType) && node.inputs.some((name) => hidden.has(name));
  }
}
