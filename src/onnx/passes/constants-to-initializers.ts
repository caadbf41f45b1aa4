/**
 * Makes initialisers of Constant nodes, so that one place holds all stored tensors. Constants that are graph outputs, and sparse
 * ones, stay nodes.
 */
import { f32, i64, type Tensor } from '../../core/tensor.ts';
import { allowFreeInitializers } from '../edit.ts';
import type { Attribute, Node } from '../model.ts';
import type { Pass } from './pass.ts';

export const constantsToInitializers: Pass = {
  name: 'constants-to-initializers',
  run(model) {
    const { graph } = model;
    const outputs = new Set(graph.outputs.map((o) => o.name));
    const before = graph.nodes.length;
    graph.nodes = graph.nodes.filter((node) => {
      const tensor = outputs.has(node.outputs[0]) ? undefined : constantOf(node);
      if (tensor === undefined) return true;
      graph.initializers.set(node.outputs[0], tensor);
      return false;
    });
    allowFreeInitializers(model);
    return graph.nodes.length !== before;
  },
};

/** The value of a Constant node; undefined for other nodes and for sparse constants. */
export function constantOf(node: Node): Tensor | undefined {
  if (node.opType !== 'Constant' || node.domain !== '') return undefined;
  for (const [name, a] of node.attributes) {
    const tensor = name.startsWith('value') ? toTensor(a) : undefined;
    if (tensor !== undefined) return tensor;
  }
  return undefined;
}

function toTensor(a: Attribute): Tensor | undefined {
  switch (a.type) {
    case 'tensor':
      return a.value;
    case 'float':
      return f32([a.value], []);
    case 'floats':
      return f32(a.value, [a.value.length]);
    case 'int':
      return i64([a.value], []);
    case 'bigint':
      return i64(BigInt64Array.of(a.value), []);
    case 'ints':
      // Attributes hold integers as numbers; beyond 2^53 they are rounded there, so such a node stays as it is.
      return a.value.every(Number.isSafeInteger) ? i64(a.value) : undefined;
    case 'string':
      return { dtype: 'string', dims: [], data: [a.value] };
    case 'strings':
      return { dtype: 'string', dims: [a.value.length], data: a.value };
    default:
      return undefined;
  }
}
