import { expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { labelOf } from '../../src/grad/freeze.ts';
import { type Trainability, trainability } from '../../src/grad/trainability.ts';
import type { GraphBuilder } from '../../src/onnx/builder.ts';
import { linear, net, typesOf } from './nets.ts';

const rng = Rng.from(3);

async function check(body: (b: GraphBuilder) => string): Promise<Trainability> {
  const model = net([4], body);
  return trainability(model, await typesOf(model, 2), [model.graph.outputs[0].name]);
}

const states = (found: Trainability): Record<string, string> =>
  Object.fromEntries(found.nodes.map(({ node, state }) => [labelOf(node), state]));

it('all of it', async () => {
  const found = await check((b) => linear(b, rng, 'b', b.op('Relu', [linear(b, rng, 'a', 'x', 4, 3)], {}, { name: 'relu' }), 3, 2));
  expect(states(found)).toEqual({ a: 'trained', relu: 'passes', b: 'trained' });
  expect([...found.trainable]).toEqual(['a.weight', 'a.bias', 'b.weight', 'b.bias']);
  expect(found.freezeBefore).toBeUndefined();
});

it('from behind an operator without a gradient', async () => {
  const found = await check((b) => {
    const a = b.op('Relu', [linear(b, rng, 'a', 'x', 4, 3)], {}, { name: 'relu' });
    const odd = b.op('Normalizer', [a], { norm: 'L2' }, { name: 'odd', domain: 'ai.onnx.ml' });
    return linear(b, rng, 'c', b.op('Tanh', [linear(b, rng, 'b', odd, 3, 3)], {}, { name: 'tanh' }), 3, 2);
  });
  expect(states(found)).toEqual({ a: 'frozen', relu: 'frozen', odd: 'blocked', b: 'trained', tanh: 'passes', c: 'trained' });
  expect(found.nodes.flatMap(({ why }) => (why === undefined ? [] : [why]))).toEqual(['']);
  expect(found.freezeBefore).toBe('b');
});

it('not before a step, through which no slope comes', async () => {
  const found = await check((b) => {
    const sign = b.op('Sign', [linear(b, rng, 'a', 'x', 4, 3)], {}, { name: 'sign' });
    return linear(b, rng, 'b', sign, 3, 2);
  });
  expect(states(found)).toEqual({ a: 'stopped', sign: 'untouched', b: 'trained' });
  expect([...found.trainable]).toEqual(['b.weight', 'b.bias']);
});

it('nothing where a decision comes out', async () => {
  const model = net([4], (b) => b.op('ArgMax', [linear(b, rng, 'a', 'x', 4, 3)], { axis: 1 }, { name: 'choice' }));
  model.graph.outputs[0].dtype = 'int64';
  const found = trainability(model, await typesOf(model, 2), [model.graph.outputs[0].name]);
  expect(states(found)).toEqual({ a: 'stopped', choice: 'untouched' });
  expect(found.trainable.size).toBe(0);
});
