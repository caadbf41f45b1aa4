/** Where the batch stands in the output of a node, when it is known where it stands in an input. */
import { resolveAxis } from '../../core/shapes.ts';
import { sizeOf } from '../../core/tensor.ts';
import { attrInt, attrInts, attrString } from '../edit.ts';
import type { Node } from '../model.ts';
import type { ValueTypes } from '../value-types.ts';

export interface Place {
  readonly axis: number;
  /** Elements of other features that come before the batch inside of that axis; 1 where the batch is the outermost of it. */
  readonly before: number;
}

/**
 * The place in an output of shape `to`, or undefined where the batch is summed over, or not told apart from other features.
 * @param input which input of the node brings the batch, of shape `dims`
 * @param was the size of the batch
 */
export function placeAfter(
  node: Node,
  input: number,
  from: Place,
  dims: readonly number[],
  to: readonly number[],
  types: ValueTypes,
  was: number,
): Place | undefined {
  const at = (axis: number | undefined): Place | undefined =>
    axis === undefined || axis < 0 || axis >= to.length || to[axis] % was !== 0 ? undefined : { axis, before: from.before };
  switch (node.opType) {
    case 'Transpose': {
      const perm = attrInts(node, 'perm', [...dims.keys()].reverse());
      return at(perm.indexOf(from.axis));
    }
    case 'Reshape':
    case 'Flatten':
      return placeInReshaped(from, dims, to, was);
    case 'Squeeze': {
      const axes = axesOf(node, types)?.map((a) => resolveAxis(a, dims.length));
      if (axes === undefined || axes.includes(from.axis)) return undefined;
      return at(from.axis - axes.filter((a) => a < from.axis).length);
    }
    case 'Unsqueeze': {
      const axes = new Set(axesOf(node, types)?.map((a) => resolveAxis(a, to.length)));
      return at([...to.keys()].filter((a) => !axes.has(a))[from.axis]);
    }
    case 'Gather': {
      if (input !== 0) return undefined;
      const axis = resolveAxis(attrInt(node, 'axis', 0), dims.length);
      if (axis === from.axis) return undefined;
      return at(from.axis < axis ? from.axis : from.axis + to.length - dims.length);
    }
    case 'MatMul':
      return at(from.axis + to.length - dims.length);
    case 'Einsum':
      return at(throughEinsum(attrString(node, 'equation'), input, from.axis));
    case 'ArgMax':
    case 'ArgMin':
      return reduced([attrInt(node, 'axis', 0)]);
    default:
  }
  if (node.opType.startsWith('Reduce')) {
    const axes = axesOf(node, types);
    return reduced(axes === undefined || axes.length === 0 ? [...dims.keys()] : axes);
  }
  // Element by element with broadcasting from the right, or axis by axis: convolutions, pooling, norms, softmax.
  return at(from.axis + to.length - dims.length);

  function reduced(list: readonly number[]): Place | undefined {
    const axes = list.map((a) => resolveAxis(a, dims.length));
    if (axes.includes(from.axis)) return undefined;
    const kept = attrInt(node, 'keepdims', 1) === 1;
    return at(kept ? from.axis : from.axis - axes.filter((a) => a < from.axis).length);
  }
}

/**
 * In row-major order as many elements stand before the batch after a Reshape as before it. Where that is the border of two axes it may be merged
 * into either: an axis of its own is taken first, then the axis behind, but for the last, which holds features for the layers to come.
 */
export function placeInReshaped(from: Place, dims: readonly number[], to: readonly number[], was: number): Place | undefined {
  const ahead = sizeOf(dims.slice(0, from.axis)) * from.before;
  const found: Place[] = [];
  let outer = 1;
  for (const [axis, size] of to.entries()) {
    const before = ahead / outer;
    if (Number.isInteger(before) && size % (before * was) === 0 && before > 0) found.push({ axis, before });
    outer *= size;
  }
  const behind = found.find((p) => p.before === 1 && (p.axis < to.length - 1 || found.length === 1));
  return found.find((p) => p.before === 1 && to[p.axis] === was) ?? behind ?? found[0];
}

function throughEinsum(equation: string, input: number, axis: number): number | undefined {
  const [left, right] = equation.replaceAll(' ', '').split('->');
  const letters = left.split(',')[input];
  if (right === undefined || letters === undefined || equation.includes('...')) return undefined;
  const at = right.indexOf(letters[axis]);
  return at < 0 ? undefined : at;
}

/** Axes of Squeeze, Unsqueeze and reductions, an attribute up to opset 12 or 17 and an input since. */
function axesOf(node: Node, types: ValueTypes): readonly number[] | undefined {
  const given = types.get(node.inputs[1] ?? '')?.constant;
  if (given !== undefined) return Array.from(given.data as ArrayLike<bigint>, Number);
  const a = node.attributes.get('axes');
  return a?.type === 'ints' ? a.value : undefined;
}
