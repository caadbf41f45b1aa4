import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { strengthen } from '../../src/attack/strengthen.ts';
import type { NumericArray } from '../../src/core/tensor.ts';
import { forward } from '../../src/data/forward.ts';
import { checkModel } from '../../src/onnx/check.ts';
import { type CutPoint, cutPoints } from '../../src/onnx/cut-points.ts';
import type { Model } from '../../src/onnx/model.ts';
import { multiplySlices } from '../../src/onnx/slices.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import * as nets from '../defend/tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());
const images = nets.images(12, 'tune');

async function pointOf(model: Model, layer: string): Promise<CutPoint> {
  return cutPoints(model, await probe(runtime, model, { batch: 2 })).layers.find((l) => l.layer === layer)!;
}

/** A value of the graph on all images, `[N,C,space]`, by channel. */
async function channelsOf(model: Model, value: string): Promise<number[][]> {
  for await (const { values } of forward(runtime, model, images, { outputs: [value] })) {
    const { dims, data } = values[value];
    const space = data.length / dims[0] / dims[1];
    return Array.from({ length: dims[1] }, (_, c) => [...(data as Float32Array)].filter((_, i) => Math.floor(i / space) % dims[1] === c));
  }
  throw new Error('no images');
}

const times = (values: number[], k: number): number[] => values.map((v) => v * k);
const near = (a: number[], b: number[]): void => {
  const most = Math.max(...b.map(Math.abs), 1e-6);
  expect(a).toHaveLength(b.length);
  for (const [i, v] of a.entries()) expect(Math.abs(v - b[i]) / most).toBeLessThan(1e-5);
};
const data = (model: Model, name: string): number[] => [...(model.graph.initializers.get(name)!.data as Float32Array)];

describe('a strengthened layer', () => {
  it.each([
    ['cnn', 'conv2', 'relu2'],
    ['mlp', 'fc1', 'relu1'],
    // The norm is behind the activation: what it stores does not belong to the channel's input.
    ['batchNormNet', 'conv2', 'relu2'],
    // The norm is before it: the weights are left alone, factor and shift of the norm are multiplied.
    ['batchNormNet', 'conv1', 'relu1'],
    ['groupedNet', 'grouped', 'relu2'],
    // No ReLU: what is multiplied is what goes into the activation.
    ['sigmoidNet', 'conv1', 'conv1'],
  ] as const)('%s, %s: chosen channels are k times as strong at %s, all others as before', async (net, layer, value) => {
    const model = nets.all[net](3);
    const before = await channelsOf(model, value);
    const strong = strengthen(model, await pointOf(model, layer), [2, 0, 2], 7.5);
    checkModel(strong);
    const after = await channelsOf(strong, value);
    // Something that is silent on every image would prove nothing.
    expect(before[0].some((v) => v !== 0) && before[2].some((v) => v !== 0)).toBe(true);
    for (const [c, values] of before.entries()) near(after[c], c === 0 || c === 2 ? times(values, 7.5) : values);
    expect(data(model, `${layer}.weight`)).toEqual(data(nets.all[net](3), `${layer}.weight`));
  });

  it('of weights without the bias: only the weights', async () => {
    const model = nets.cnn(1);
    const strong = strengthen(model, await pointOf(model, 'conv2'), [1], 10, { bias: false });
    const weights = data(model, 'conv2.weight');
    const own = weights.length / 5;
    expect(data(strong, 'conv2.weight')).toEqual(weights.map((v, i) => (Math.floor(i / own) === 1 ? Math.fround(v * 10) : v)));
    expect(data(strong, 'conv2.bias')).toEqual(data(model, 'conv2.bias'));
    for (const name of ['conv1.weight', 'fc1.weight', 'fc2.bias']) expect(data(strong, name)).toEqual(data(model, name));
  });

  it('with no channels, or k = 1, is the same network', async () => {
    const model = nets.cnn(1);
    const point = await pointOf(model, 'conv2');
    for (const same of [strengthen(model, point, [], 50), strengthen(model, point, [0, 4], 1)]) {
      for (const name of model.graph.initializers.keys()) expect(data(same, name)).toEqual(data(model, name));
    }
  });

  it('multiplies by k and then by 1/k back to what it was', async () => {
    const model = nets.cnn(2);
    const point = await pointOf(model, 'conv1');
    // Powers of two, which float32 multiplies without rounding.
    const property = fc.property(fc.integer({ min: 1, max: 12 }), fc.subarray([0, 1, 2]), (power, channels) => {
      const there = strengthen(model, point, channels, 2 ** power);
      const back = strengthen(there, point, channels, 2 ** -power);
      expect(data(back, 'conv1.weight')).toEqual(data(model, 'conv1.weight'));
      expect(data(back, 'conv1.bias')).toEqual(data(model, 'conv1.bias'));
    });
    fc.assert(property, { numRuns: 20 });
  });
});

describe('what cannot be strengthened', () => {
  it('is said, with the layer and the reason', async () => {
    const cnn = nets.cnn(1);
    const conv2 = await pointOf(cnn, 'conv2');
    for (const k of [0, -2, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => strengthen(cnn, conv2, [1], k)).toThrow(`strengthen: layer conv2: not a strength, expected a number above 0, got ${k}`);
    }
    expect(() => strengthen(cnn, conv2, [5], 2)).toThrow('layer conv2: no such channel, expected 0 to 4, got 5');
    expect(() => strengthen(cnn, conv2, [1], 1e39)).toThrow(
      'strengthen: layer conv2: weights too large, expected products that float32 can hold, got "conv2.weight" times 1e+39. Try a smaller strength.',
    );
    const residual = nets.residualNet(1);
    const join = await pointOf(residual, 'block.add');
    expect(() => strengthen(residual, join, [1], 2)).toThrow(
      'strengthen: layer block.add: has no input weights of its own, expected a layer with weights, got Add, where the channels of several layers come together. Try another layer.',
    );
  });

  it('weights that two nodes read', async () => {
    const model = nets.cnn(1);
    const point = await pointOf(model, 'conv2');
    const { graph } = model;
    const second = { ...graph.nodes.find((n) => n.name === 'conv2')!, name: 'twin', outputs: ['twin'] };
    const shared = { ...model, graph: { ...graph, nodes: [...graph.nodes, second] } };
    expect(() => strengthen(shared, point, [1], 2)).toThrow(
      'strengthen: layer conv2: its weights cannot be multiplied, expected stored weights of its own, got "conv2.weight" is used by several nodes. Try another layer.',
    );
  });
});

it('multiplySlices: the named slices of any axis, nothing else', () => {
  const tensor = { dtype: 'float32', dims: [2, 3, 2], data: Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) } as const;
  const of = (axis: number, index: number): number[] => [...(multiplySlices(tensor, axis, [index], 10).data as NumericArray)].map(Number);
  expect(of(0, 1)).toEqual([1, 2, 3, 4, 5, 6, 70, 80, 90, 100, 110, 120]);
  expect(of(1, 0)).toEqual([10, 20, 3, 4, 5, 6, 70, 80, 9, 10, 11, 12]);
  expect(of(2, 1)).toEqual([1, 20, 3, 40, 5, 60, 7, 80, 9, 100, 11, 120]);
  expect([...tensor.data]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
});
