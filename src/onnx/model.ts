/**
 * The ONNX graph in memory: plain data with ONNX's own names. No protobuf here; `proto.ts` is the only door to the file format.
 * Entities may carry an opaque `source`, the message they were read from, so that fields this program knows nothing of survive
 * a read and a write.
 */
import type { DType, Tensor } from '../core/tensor.ts';

/** A dimension is a number, a symbol such as `batch`, or unknown. */
export type Dim = number | string | null;

export interface ValueInfo {
  name: string;
  /** undefined where the file gives no tensor type (sequence, map, optional, or nothing at all). */
  dtype: DType | undefined;
  /** undefined: rank unknown. */
  dims: Dim[] | undefined;
  source?: unknown;
}

export type Attribute =
  | { type: 'int'; value: number }
  /** An int64 outside the safe integer range. */
  | { type: 'bigint'; value: bigint }
  | { type: 'float'; value: number }
  | { type: 'string'; value: string }
  /** A STRING attribute whose bytes are not UTF-8. */
  | { type: 'bytes'; value: Uint8Array }
  | { type: 'tensor'; value: Tensor }
  | { type: 'graph'; value: Graph }
  | { type: 'ints'; value: readonly number[] }
  | { type: 'floats'; value: readonly number[] }
  | { type: 'strings'; value: readonly string[] }
  | { type: 'graphs'; value: readonly Graph[] }
  /** Anything else (sparse tensors, type protos, references): kept, not interpreted. */
  | { type: 'opaque'; value: unknown };

export interface Node {
  name: string;
  opType: string;
  /** '' is the standard ONNX domain. */
  domain: string;
  /** '' marks an optional input that is left out. */
  inputs: string[];
  outputs: string[];
  attributes: Map<string, Attribute>;
  source?: unknown;
}

export interface Graph {
  name: string;
  nodes: Node[];
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  valueInfo: ValueInfo[];
  /** By name, in file order. */
  initializers: Map<string, Tensor>;
  source?: unknown;
}

export interface Model {
  irVersion: number;
  producerName: string;
  producerVersion: string;
  /** Domain -> version; '' is the standard domain. */
  opsets: Map<string, number>;
  metadata: Map<string, string>;
  graph: Graph;
  source?: unknown;
}

/** A float attribute in the shorthand of {@link GraphBuilder.op}: plain numbers there are ints. */
export class Float {
  readonly value: number | readonly number[];
  constructor(value: number | readonly number[]) {
    this.value = value;
  }
}
export const float = (value: number | readonly number[]): Float => new Float(value);

export type AttributeShorthand = number | string | readonly number[] | readonly string[] | Float | Tensor;
