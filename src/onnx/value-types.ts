/** Static types of every value of a graph for one batch size; `runtime/probe.ts` finds them by running the graph once. */
import type { DType, Tensor } from '../core/tensor.ts';

export interface ValueType {
  readonly dtype: DType;
  /** All sizes known. */
  readonly dims: readonly number[];
  /** Set for small integer values that do not depend on the graph's inputs: shapes, axes, indices. */
  readonly constant?: Tensor;
}

/** Value name -> type, for inputs, initialisers and every node's outputs. */
export type ValueTypes = ReadonlyMap<string, ValueType>;
