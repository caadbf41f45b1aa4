/** What a gradient rule sees of its node. */
import { fail } from '../core/errors.ts';
import type { DType } from '../core/tensor.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { attrFloat, attrInt, attrInts, attrString } from '../onnx/edit.ts';
import type { AttributeShorthand, Node } from '../onnx/model.ts';
import type { ValueType, ValueTypes } from '../onnx/value-types.ts';
import { Emit } from './emit.ts';
import { labelOf } from './freeze.ts';

/** Domain of the operators that `runtime/lowerings` turns into standard ones, choosing the fastest form for the shape. */
export const GRAD_DOMAIN = 'secateur.grad';

/** Batch statistics of a BatchNormalization that is being trained, both [C]; the variance is the biased one. */
export interface BatchStatistics {
  readonly mean: string;
  readonly variance: string;
}

/** Thrown by a rule that cannot do what its node's attributes ask for; `walk.ts` makes the message. */
export class Refusal extends Error {}

export class Context {
  readonly node: Node;
  readonly b: GraphBuilder;
  readonly e: Emit;
  /** Set where the node is a BatchNormalization in training mode. */
  readonly batch: BatchStatistics | undefined;
  /** Whether steps count as the lines they approximate: see `LossSpec.straightThrough`. */
  readonly straightThrough: boolean;
  readonly #types: ValueTypes;
  readonly #dy: readonly (string | undefined)[];
  readonly #asked = new Set<number>();

  constructor(o: {
    node: Node;
    b: GraphBuilder;
    types: ValueTypes;
    dy: readonly (string | undefined)[];
    batch?: BatchStatistics;
    straightThrough?: boolean;
  }) {
    this.node = o.node;
    this.b = o.b;
    this.batch = o.batch;
    this.straightThrough = o.straightThrough ?? false;
    this.#types = o.types;
    this.#dy = o.dy;
    this.e = new Emit(o.b, labelOf(o.node), this.dtype === 'float64' ? 'float64' : 'float32');
  }

  /** Version of the operator set that the node belongs to. */
  get opset(): number {
    return this.b.opset;
  }

  /** Gradient of the first output, which is the only one that gradients flow from in most operators. */
  get dy(): string {
    return this.dyOf(0) ?? this.refuse('the gradient of a second output');
  }

  /** Gradient of output `i`; undefined where the loss does not depend on it. */
  dyOf(i: number): string | undefined {
    this.#asked.add(i);
    return this.#dy[i];
  }

  /** An output whose gradient the rule never asked for, although there is one: what it computed is incomplete. */
  get forgotten(): string | undefined {
    return this.node.outputs.find((_, i) => this.#dy[i] !== undefined && !this.#asked.has(i));
  }

  /** Element type of the first output. */
  get dtype(): DType {
    return this.#type(this.node.outputs[0]).dtype;
  }

  in(i: number): string {
    return this.node.inputs[i];
  }

  out(i = 0): string {
    return this.node.outputs[i];
  }

  /** False where an optional input is left out. */
  has(i: number): boolean {
    return (this.node.inputs[i] ?? '') !== '';
  }

  shape(i: number): readonly number[] {
    return this.#type(this.in(i)).dims;
  }

  outShape(i = 0): readonly number[] {
    return this.#type(this.out(i)).dims;
  }

  inType(i: number): ValueType {
    return this.#type(this.in(i));
  }

  /** The numbers in an input that is the same in every run (axes, pads, an exponent); undefined where it is not. */
  constant(i: number): number[] | undefined {
    if (!this.has(i)) return undefined;
    const tensor = this.inType(i).constant ?? this.b.initializerOf(this.in(i));
    if (tensor === undefined || tensor.dtype === 'string') return undefined;
    return Array.from(tensor.data as ArrayLike<number | bigint>, Number);
  }

  /** As {@link constant}, for inputs that a rule cannot do without. */
  fixed(i: number, what: string): number[] {
    return this.constant(i) ?? this.refuse(`${what} that depend on the model's input`);
  }

  int(name: string, otherwise: number): number {
    return attrInt(this.node, name, otherwise);
  }

  ints(name: string): readonly number[] | undefined {
    return this.node.attributes.has(name) ? attrInts(this.node, name) : undefined;
  }

  float(name: string, otherwise: number): number {
    return attrFloat(this.node, name, otherwise);
  }

  string(name: string, otherwise: string): string {
    return attrString(this.node, name, otherwise);
  }

  /** A gradient in the shape of the node's output, summed to the shape of input `i`, which was broadcast to it. */
  fit(gradient: string, i: number): string {
    return this.e.sumTo(gradient, this.outShape(), this.shape(i));
  }

  /** A node that `runtime/lowerings` expands. */
  pseudo(opType: string, inputs: readonly string[], attributes: Record<string, AttributeShorthand> = {}): string {
    return this.e.with(opType, inputs, attributes, GRAD_DOMAIN);
  }

  /** There is no gradient for this node as it stands: `refuse('mode "wrap"')` reads `no rule for operator "Pad" with mode "wrap"`. */
  refuse(what: string): never {
    throw new Refusal(what);
  }

  #type(name: string): ValueType {
    return (
      this.#types.get(name) ??
      fail({ where: 'grad', what: `no type for value "${name}"`, expected: 'the types that probe() finds for this model', got: 'none' })
    );
  }
}

/** Makes something on first use and gives the same again after that: parts that several inputs' gradients share. */
export function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
