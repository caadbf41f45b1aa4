/** Tiny models for tests of whole steps. */
import { Rng } from '../../src/core/rng.ts';
import { f32, i64, type Tensor } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import type { Model } from '../../src/onnx/model.ts';
import type { ValueTypes } from '../../src/onnx/value-types.ts';
import { probe } from '../../src/runtime/probe.ts';
import { smooth } from './differences.ts';
import { inProcess } from './runtime.ts';

/** `x` [batch, ...dims] -> what `body` returns; the output is called as `body` calls it. */
export function net(dims: readonly number[], body: (b: GraphBuilder, rng: Rng) => string, opset = 17): Model {
  const b = new GraphBuilder({ opset });
  b.input('x', 'float32', ['batch', ...dims]);
  const output = body(b, Rng.from(3, 'weights'));
  b.output(output, 'float32', ['batch', null]);
  return b.build();
}

/** A fully connected layer `name` with `name.weight` [to, from] and `name.bias`. */
export function linear(b: GraphBuilder, rng: Rng, name: string, x: string, from: number, to: number): string {
  const w = b.initializer(`${name}.weight`, smooth(rng, [to, from]));
  const bias = b.initializer(`${name}.bias`, smooth(rng, [to]));
  return b.op('Gemm', [x, w, bias], { transB: 1 }, { name, outputs: [`${name}.out`] });
}

export const typesOf = (model: Model, batch: number): Promise<ValueTypes> => probe(inProcess, model, { batch });

export const classes = (...values: number[]): Tensor => i64(values);
export const scalar = (value: number): Tensor => f32([value], []);
export const numberOf = (tensor: Tensor): number => Number(tensor.data[0]);
