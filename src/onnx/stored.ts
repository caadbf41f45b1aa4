/** Tensors that a file holds, wherever it keeps them: initialisers, Constant nodes, and both behind Identity and Transpose. */
import type { Tensor } from '../core/tensor.ts';
import { attrInts, producers, usedValues } from './edit.ts';
import type { Graph, Node } from './model.ts';
import { constantOf } from './passes/constants-to-initializers.ts';

/** A stored tensor as a node sees it. */
export interface Stored {
  /** Where it is kept: an initialiser, or the output of a Constant node. */
  readonly name: string;
  /** As it is kept. */
  readonly tensor: Tensor;
  /** Shape as the node sees it. */
  readonly dims: readonly number[];
  /** Axis of the kept tensor behind each axis that the node sees. */
  readonly axes: readonly number[];
}

export class StoredTensors {
  readonly #graph: Graph;
  readonly #made: Map<string, Node>;
  readonly #known = new Map<string, Stored | undefined>();
  readonly #uses = new Map<string, number>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#made = producers(graph);
    for (const node of graph.nodes) {
      // A view of a tensor is no use of its own; its readers are.
      if (this.#viewOf(node) !== undefined) continue;
      for (const name of new Set(usedValues(node))) {
        const stored = this.get(name);
        if (stored !== undefined) this.#uses.set(stored.name, (this.#uses.get(stored.name) ?? 0) + 1);
      }
    }
    for (const { name } of graph.outputs) {
      const stored = this.get(name);
      if (stored !== undefined) this.#uses.set(stored.name, (this.#uses.get(stored.name) ?? 0) + 1);
    }
  }

  /** The tensor behind a value; undefined where it is computed from something. */
  get(value: string): Stored | undefined {
    if (this.#known.has(value)) return this.#known.get(value);
    const found = this.#find(value);
    this.#known.set(value, found);
    return found;
  }

  /** Nodes that read a kept tensor, also by other names; a graph output counts as one. */
  uses(name: string): number {
    return this.#uses.get(name) ?? 0;
  }

  #find(value: string): Stored | undefined {
    const tensor = this.#graph.initializers.get(value);
    if (tensor !== undefined) return plain(value, tensor);
    const node = this.#made.get(value);
    if (node === undefined) return undefined;
    const constant = constantOf(node);
    if (constant !== undefined) return plain(value, constant);
    const perm = this.#viewOf(node);
    const under = perm === undefined ? undefined : this.get(node.inputs[0]);
    if (perm === undefined || under === undefined) return undefined;
    const order = perm.length === 0 ? under.dims.map((_, i) => i) : perm;
    if (order.length !== under.dims.length) return undefined;
    return { ...under, dims: order.map((i) => under.dims[i]), axes: order.map((i) => under.axes[i]) };
  }

  /** The order of axes of an Identity (none: as they are) or Transpose of a stored tensor; undefined for other nodes. */
  #viewOf(node: Node): readonly number[] | undefined {
    if (node.domain !== '' && node.domain !== 'ai.onnx') return undefined;
    if (node.opType !== 'Identity' && node.opType !== 'Transpose') return undefined;
    const under = this.get(node.inputs[0]);
    if (under === undefined) return undefined;
    if (node.opType === 'Identity') return [];
    return attrInts(
      node,
      'perm',
      under.dims.map((_, i) => under.dims.length - 1 - i),
    );
  }
}

function plain(name: string, tensor: Tensor): Stored {
  return { name, tensor, dims: tensor.dims, axes: tensor.dims.map((_, i) => i) };
}
