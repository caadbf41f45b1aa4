import { afterAll, describe, expect, it } from 'vitest';
import { type ChannelStatistics, channelStatistics } from '../../src/data/channel-statistics.ts';
import { forward } from '../../src/data/forward.ts';
import { compareActivations, layerStatistics, strength, weakestFirst } from '../../src/inspect/activations.ts';
import { backdoorNeurons, describeRule, NeuronRule, sweepRule } from '../../src/inspect/backdoor-neurons.ts';
import { dedicatedFilters, firstFilters } from '../../src/inspect/filters.ts';
import { chooseLayer, describeLayers } from '../../src/inspect/layers.ts';
import type { Model } from '../../src/onnx/model.ts';
import type { ValueTypes } from '../../src/onnx/value-types.ts';
import { triggered } from '../../src/poison/poison.ts';
import { parseTrigger } from '../../src/poison/triggers/registry.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import * as nets from '../defend/tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());
const typesOf = (model: Model): Promise<ValueTypes> => probe(runtime, model, { batch: 2 });

describe('layers', () => {
  it('lists all of them, cuttable or not, and marks the default', async () => {
    const model = nets.cnn();
    const lines = describeLayers(model, await typesOf(model));
    expect(lines.map((l) => [l.layer, l.channels, l.shape, l.isDefault, l.notCuttable])).toEqual([
      ['conv1', 3, '[3,8,8]', false, undefined],
      ['conv2', 5, '[5,4,4]', true, undefined],
      ['fc1', 6, '[6]', false, undefined],
      ['fc2', 0, '', false, "its channels are the model's outputs"],
    ]);
    expect(lines[1]).toMatchObject({ follows: 'Relu > AveragePool > Flatten > Gemm', how: 'zero weights', cutAt: 'relu2' });
    const sigmoid = nets.sigmoidNet();
    expect(describeLayers(sigmoid, await typesOf(sigmoid))[0].how).toBe('Mul after act1: Sigmoid makes something else than 0 of 0');
  });

  it('takes the last convolution, or the last hidden layer where there is none, and says so', async () => {
    const why = async (model: Model): Promise<string> => chooseLayer(model, await typesOf(model)).why;
    expect(await why(nets.cnn())).toBe('conv2: the last convolution in graph order');
    expect(await why(nets.residualNet())).toBe('block.add: the output of the last convolutional block, behind its residual Add and Relu');
    expect(await why(nets.mlp())).toBe('fc1: the last hidden layer in graph order, as there is no convolution');
  });

  it('finds a layer by any of its names', async () => {
    const model = nets.cnn();
    const types = await typesOf(model);
    for (const name of ['conv2', 'relu2', 'conv2.weight']) expect(chooseLayer(model, types, name).point.layer).toBe('conv2');
    expect(() => chooseLayer(model, types, 'covn2')).toThrow(
      'layer "covn2": is not in the model, expected one of conv1, conv2, fc1. Try "conv2".',
    );
  });
});

describe('channel statistics', () => {
  it('are means, magnitudes, maxima, shares and maps of the values themselves', async () => {
    const model = nets.residualNet(2);
    const data = nets.images(19, 'test');
    const value = 'block.bn2'; // below zero too
    const got = (await channelStatistics(runtime, model, data, [value, 'block.relu1'], { maps: true, batchSize: 8 })).get(value);
    if (got === undefined) throw new Error('nothing');
    const all: number[] = [];
    for await (const { values } of forward(runtime, model, data, { outputs: [value] })) all.push(...(values[value].data as Float32Array));
    expect(got.map?.dims).toEqual([6, 8, 8]);
    const space = 64;
    for (let c = 0; c < 6; c++) {
      const of = (i: number): number[] => all.slice((i * 6 + c) * space, (i * 6 + c + 1) * space);
      const images = Array.from({ length: 19 }, (_, i) => of(i));
      const flat = images.flat();
      expect(got.mean[c]).toBeCloseTo(flat.reduce((a, v) => a + v, 0) / flat.length, 5);
      expect(got.magnitude[c]).toBeCloseTo(flat.reduce((a, v) => a + Math.abs(v), 0) / flat.length, 5);
      expect(got.max[c]).toBe(Math.max(...flat));
      expect(got.peak[c]).toBeCloseTo(images.reduce((a, v) => a + Math.max(...v), 0) / 19, 5);
      expect(got.active[c]).toBe(images.filter((v) => Math.max(...v) > 0).length / 19);
      expect(got.map?.mean[c * space + 9]).toBeCloseTo(images.reduce((a, v) => a + v[9], 0) / 19, 5);
    }
  });

  it('rank channels by what the layer says', async () => {
    const model = nets.residualNet(2);
    const types = await typesOf(model);
    const { point } = chooseLayer(model, types, 'block.conv2');
    const statistics = await layerStatistics(runtime, model, point, nets.images(10, 'validation'));
    expect(strength(point, statistics)).toBe(statistics.magnitude);
    expect(strength(chooseLayer(model, types, 'stem').point, statistics)).toBe(statistics.mean);
    expect(weakestFirst([0.3, 0, 0.1, 0])).toEqual([1, 3, 2, 0]);
  });
});

const statistics = (mean: number[], active = mean.map(() => 1)): ChannelStatistics => {
  const values = Float64Array.from(mean);
  return { channels: mean.length, n: 10, mean: values, magnitude: values, max: values, peak: values, active: Float64Array.from(active) };
};

describe('backdoor neurons', () => {
  const clean = statistics([0.1, 0.1, 2, 1.8, 0], [1, 1, 1, 1, 0]);
  const bad = statistics([1.5, 0.3, 4, 1.8, 0.9]);

  it('fire with the trigger and are quiet without', () => {
    const report = backdoorNeurons(clean, bad, { rise: 0.5, dormant: 0.2 });
    expect(report.unit).toBeCloseTo(0.8, 12);
    expect(report.rule.at).toBe('average');
    // Channel 2 rises most, but is loud on clean inputs; channel 1 hardly rises.
    expect(report.backdoor).toEqual([0, 4]);
    expect(report.exclusive).toEqual([0, 4]);
    expect(report.dormant).toEqual([4, 0, 1]);
    expect(report.dead).toEqual([4]);
  });

  it('are looked at where they rise most, which a mean over space would hide', () => {
    // Two channels of 2x2: the first is loud everywhere but at place 3 and fires there with the trigger; the second does neither.
    const map = (mean: number[]): ChannelStatistics => ({
      ...statistics([0, 4].map((from) => mean.slice(from, from + 4).reduce((a, v) => a + v, 0) / 4)),
      peak: Float64Array.of(2, 2),
      map: { dims: [2, 2, 2], mean: Float64Array.from(mean) },
    });
    const before = map([2, 2, 2, 0.1, 1, 1, 1, 1]);
    const after = map([2, 2, 2, 1.1, 1.3, 1, 1, 1]);
    const report = backdoorNeurons(before, after);
    expect(report.unit).toBe(2);
    expect(report.rise[0]).toBeCloseTo(0.5, 12);
    expect(report.backdoor).toEqual([0]);
    expect(report.exclusive).toEqual([]);
    expect(report.rule.at).toBe('place');
    expect(backdoorNeurons(before, after, { at: 'average' }).backdoor).toEqual([]);
  });

  it('do not depend on the scale of the layer', () => {
    const times = (s: ChannelStatistics): ChannelStatistics =>
      statistics(
        [...s.mean].map((v) => v * 37),
        [...s.active],
      );
    expect(backdoorNeurons(times(clean), times(bad)).backdoor).toEqual(backdoorNeurons(clean, bad).backdoor);
  });

  it('the rule can be set, swept and read', () => {
    expect(backdoorNeurons(clean, bad, { rise: 0.2, quiet: 10 }).backdoor).toEqual([2, 0, 4, 1]);
    expect(sweepRule(clean, bad, [0.2, 1.5], [0.5, 10])).toEqual([
      { rise: 0.2, quiet: 0.5, count: 3 },
      { rise: 0.2, quiet: 10, count: 4 },
      { rise: 1.5, quiet: 0.5, count: 1 },
      { rise: 1.5, quiet: 10, count: 2 },
    ]);
    expect(describeRule(NeuronRule.parse({}), 0.8)).toBe(
      'A backdoor neuron: at the place where its mean map rises most, its mean on triggered inputs is at least 0.25 above its mean on clean ' +
        "ones, and that is at most 0.25, in units of the layer's mean clean peak, the mean over images of the largest value in space (0.800). " +
        "A dormant neuron: its mean over space on clean inputs is below 0.05 of the layer's.",
    );
    expect(describeRule(NeuronRule.parse({ at: 'average' }), 2)).toContain('on average over space, its mean on triggered inputs');
    expect(() => backdoorNeurons(clean, bad, { rise: -1 })).toThrow();
  });

  it('in a layer that is silent on clean inputs any rise counts', () => {
    const silent = statistics([0, 0], [0, 0]);
    expect(backdoorNeurons(silent, statistics([0.001, 0])).backdoor).toEqual([0]);
  });

  it('compares a layer on clean and on triggered inputs', async () => {
    const model = nets.cnn(3);
    const { point } = chooseLayer(model, await typesOf(model));
    const data = nets.images(20, 'test');
    const bad = triggered(data, { trigger: parseTrigger({ kind: 'pattern' }), labelMap: { kind: 'all-to-all' } });
    const found = await compareActivations(runtime, model, point, data, bad, { maps: true });
    expect(found.clean.n).toBe(20);
    expect(found.triggered.mean).not.toEqual(found.clean.mean);
    expect(found.clean.map?.dims).toEqual([5, 4, 4]);
  });
});

describe('first-layer filters', () => {
  it('are the first convolution of the graph', () => {
    const model = nets.cnn(5);
    const filters = firstFilters(model);
    expect(filters).toMatchObject({ layer: 'conv1', count: 3, height: 3, width: 3 });
    expect(filters.weights).toEqual(model.graph.initializers.get('conv1.weight')?.data);
  });

  it('are dedicated to the trigger where it makes them answer more than any clean image does', () => {
    // Peaks: the first rises by 1, the second by 0.1 of a mean of 1, the third falls.
    expect(dedicatedFilters(statistics([0.5, 1, 1.5]), statistics([1.5, 1.1, 1.4]))).toEqual([0]);
    expect(dedicatedFilters(statistics([0.5, 1, 1.5]), statistics([1.5, 1.1, 1.4]), 0.05)).toEqual([0, 1]);
    expect(dedicatedFilters(statistics([1, 1]), statistics([1, 1]), 0)).toEqual([]);
  });

  it('are averaged over input channels', () => {
    const model = nets.cnn(5);
    model.graph.nodes = model.graph.nodes.filter((n) => n.name !== 'conv1');
    const weights = model.graph.initializers.get('conv2.weight')?.data as Float32Array;
    const first = (weights[0] + weights[9] + weights[18]) / 3;
    expect(firstFilters(model).weights[0]).toBeCloseTo(first, 6);
  });

  it('are missing from a network without convolutions', () => {
    expect(() => firstFilters(nets.mlp())).toThrow(
      'model: has no filters to show, expected a 2-D convolution with stored float32 weights.',
    );
  });
});
