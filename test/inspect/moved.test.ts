import { afterAll, describe, expect, it } from 'vitest';
import { f32, type Tensor } from '../../src/core/tensor.ts';
import { chooseLayer } from '../../src/inspect/layers.ts';
import { channelsMoved } from '../../src/inspect/moved.ts';
import { cloneModel } from '../../src/onnx/edit.ts';
import type { Model } from '../../src/onnx/model.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import { cnn } from '../defend/tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

function changed(model: Model, name: string, change: (value: number, index: number) => number): Model {
  const out = cloneModel(model);
  const { data, dims } = out.graph.initializers.get(name) as Tensor;
  out.graph.initializers.set(name, f32(Float32Array.from(data as Float32Array, change), dims));
  return out;
}

describe('channelsMoved', () => {
  const before = cnn();
  const point = async () => chooseLayer(before, await probe(runtime, before, { batch: 2 }), 'conv2').point;

  it('tells the chosen channels from the others, for the weights that make and that read them', async () => {
    const [kernel, spread] = [3 * 9, 4]; // conv2 [5,3,3,3]; fc1 reads 5 channels of 2x2
    const into = changed(before, 'conv2.weight', (v, i) => ([1, 3].includes(Math.floor(i / kernel)) ? v * 1.5 : v * 1.1));
    const both = changed(into, 'fc1.weight', (v, i) => (Math.floor((i % (5 * spread)) / spread) === 3 ? 3 * v : v));
    const { chosen, others, perChannel } = channelsMoved(before, both, await point(), [1, 3]);
    expect([chosen.channels, others.channels]).toEqual([2, 3]);
    expect(chosen.into).toBeCloseTo(0.5, 5);
    expect(others.into).toBeCloseTo(0.1, 5);
    expect(others.out).toBe(0);
    expect(perChannel.into.map((v) => Number(v.toFixed(4)))).toEqual([0.1, 0.5, 0.1, 0.5, 0.1]);
    expect(perChannel.out.map((v) => Number(v.toFixed(4)))).toEqual([0, 0, 0, 2, 0]);
  });

  it('does not look at biases, so that -1e20 hides nothing', async () => {
    const low = changed(before, 'conv2.bias', () => -1e20);
    expect(channelsMoved(before, low, await point(), [0]).chosen).toEqual({ channels: 1, into: 0, out: 0 });
  });

  it('has no figure for no channels, or for channels that were zero', async () => {
    const zero = changed(before, 'conv2.weight', (v, i) => (i < 27 ? 0 : v));
    expect(channelsMoved(before, before, await point(), []).chosen).toEqual({ channels: 0 });
    const { chosen, perChannel } = channelsMoved(zero, before, await point(), [0]);
    expect(chosen.into).toBeUndefined();
    expect(perChannel.into[0]).toBeNaN();
  });

  it('refuses models of another shape, and channels that are not there', async () => {
    const at = await point();
    const other = cloneModel(before);
    other.graph.initializers.set('conv2.weight', f32(new Float32Array(27), [1, 3, 3, 3]));
    expect(() => channelsMoved(before, other, at, [0])).toThrow(
      'weight "conv2.weight": the models are not of one shape, expected [5,3,3,3], got [1,3,3,3].',
    );
    expect(() => channelsMoved(before, before, at, [5])).toThrow('layer conv2: no such channel, expected 0 to 4, got 5.');
  });
});
