/**
 * What a lowering is: one way to write a `secateur.grad` operator (or a forward Conv) in operators that ONNX Runtime has. An operator
 * has several, none is the fastest for every shape (DESIGN.md has the figures), so each says for which shapes it is right and what
 * it is called; `tuner.node.ts` times them, `lower.ts` puts the chosen one in.
 */

import { sizeOf } from '../../core/tensor.ts';
import type { GraphBuilder } from '../../onnx/builder.ts';
import { attrInt, attrInts } from '../../onnx/edit.ts';
import type { AttributeShorthand, Node } from '../../onnx/model.ts';

/** Domain of the operators that `grad/` emits and that no runtime knows. */
export const GRAD_DOMAIN = 'secateur.grad';

export interface EmitContext {
  readonly b: GraphBuilder;
  readonly node: Node;
  /** Adds a node named after the one that is being lowered. */
  op(opType: string, inputs: readonly string[], attributes?: Readonly<Record<string, AttributeShorthand>>, domain?: string): string;
  /** The node of the forward graph that made a value. */
  producer(value: string): Node | undefined;
  /** What the machine can do. */
  readonly machine: Machine;
}

/** Facts about the machine and the backend that a candidate may depend on. */
export interface Machine {
  /** Channels in a block of ONNX Runtime's internal NCHWc layout, 0 where the backend has none. */
  readonly nchwcBlock: number;
}

/** The standard operators only. */
export const PLAIN_MACHINE: Machine = { nchwcBlock: 0 };

export interface Candidate {
  readonly name: string;
  applies(g: Geometry, machine: Machine): boolean;
  /** Adds the nodes and returns the value that replaces the operator's output. */
  emit(c: EmitContext, g: Geometry): string;
}

/** A convolution's or pooling's sizes, from the attributes that `grad/` writes. */
export interface Geometry {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padsBegin: readonly number[];
  readonly padsEnd: readonly number[];
  readonly group: number;
  /** X's shape [N,C,...]. */
  readonly input: readonly number[];
  /** Y's shape [N,M,...]. */
  readonly output: readonly number[];
  readonly rank: number;
}

export function geometryOf(node: Node): Geometry {
  const kernel = attrInts(node, 'kernel_shape');
  const rank = kernel.length;
  const pads = attrInts(node, 'pads', new Array<number>(2 * rank).fill(0));
  const ones = new Array<number>(rank).fill(1);
  return {
    kernel,
    rank,
    strides: attrInts(node, 'strides', ones),
    dilations: attrInts(node, 'dilations', ones),
    padsBegin: pads.slice(0, rank),
    padsEnd: pads.slice(rank),
    group: attrInt(node, 'group', 1),
    input: attrInts(node, 'input_shape'),
    output: attrInts(node, 'output_shape'),
  };
}

export const spatial = (shape: readonly number[]): readonly number[] => shape.slice(2);
/** One filter a channel. */
export const isDepthwise = (g: Geometry): boolean => g.group > 1 && g.group === g.input[1] && g.group === g.output[1];
export const pixels = (shape: readonly number[]): number => sizeOf(spatial(shape));
export const allOnes = (values: readonly number[]): boolean => values.every((v) => v === 1);
export const allZeros = (values: readonly number[]): boolean => values.every((v) => v === 0);
/** Axes 2, 3, ... of a [N,C,...] tensor. */
export const spatialAxes = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i + 2);

/** Zero padding of a [N,C,...] tensor's spatial axes; the value itself where there is nothing to pad. */
export function padSpatial(c: EmitContext, value: string, begin: readonly number[], end: readonly number[]): string {
  if (allZeros(begin) && allZeros(end)) return value;
  return c.op('Pad', [value, c.b.ints([0, 0, ...begin, 0, 0, ...end])]);
}

/** For every kernel position, in row-major order, its index along each spatial axis. */
export function kernelPositions(kernel: readonly number[]): number[][] {
  let positions: number[][] = [[]];
  for (const k of kernel) positions = positions.flatMap((p) => Array.from({ length: k }, (_, i) => [...p, i]));
  return positions;
}
