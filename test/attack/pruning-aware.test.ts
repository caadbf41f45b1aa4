import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measure } from '../../src/attack/measure.ts';
import { deprune, type PrunedBadnet, trainPruned } from '../../src/attack/pruning-aware.ts';
import { channelStatistics } from '../../src/data/channel-statistics.ts';
import type { TriggeredDataset } from '../../src/data/dataset.ts';
import { predict } from '../../src/data/forward.ts';
import { cutPoints } from '../../src/onnx/cut-points.ts';
import type { Model } from '../../src/onnx/model.ts';
import { cutChannels, readCuts } from '../../src/onnx/passes/cut-channels.ts';
import { triggered } from '../../src/poison/poison.ts';
import { parseTrigger } from '../../src/poison/triggers/registry.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import { train } from '../../src/train/loop.ts';
import * as nets from '../defend/tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

const training = {
  epochs: 20,
  batchSize: 32,
  learningRate: 0.05,
  optimizer: { kind: 'sgd', momentum: 0.9, weightDecay: 1e-3 },
  seed: 1,
} as const;
const attack = { trigger: parseTrigger({ kind: 'pattern' }), labelMap: { kind: 'target', target: 1 }, fraction: 0.35, seed: 1 } as const;
const data = { train: nets.bars(300, 'train'), tune: nets.bars(100, 'tune') };
const probes = triggered(data.tune, attack) as TriggeredDataset & { role: 'tune' };
const settings = { layer: 'conv2', attack, prune: 3, hold: { cleanAccuracy: 0.8, attackSuccess: 0.7 }, training } as const;

let clean: Model;
let step3: PrunedBadnet;
beforeAll(async () => {
  clean = (await train(runtime, nets.cnn(1), data.train, training)).model;
  step3 = await trainPruned(runtime, clean, data, settings);
});

const slices = (model: Model, name: string, size: number, channel: number): number[] => [
  ...(model.graph.initializers.get(name)!.data as Float32Array).subarray(channel * size, (channel + 1) * size),
];

describe('steps 2 and 3', () => {
  it('prune the channels that are weakest on clean data and keep them pruned while the backdoor is learnt', async () => {
    const means = (await channelStatistics(runtime, clean, data.train, ['relu2'])).get('relu2')?.mean ?? [];
    const weakest = [0, 1, 2, 3, 4].sort((a, b) => means[a] - means[b]);
    expect(step3.pruned.length).toBeGreaterThan(0);
    expect(step3.pruned).toEqual(weakest.slice(0, step3.pruned.length));
    const after = (await channelStatistics(runtime, step3.model, data.train, ['relu2'])).get('relu2')?.magnitude ?? [];
    for (const c of step3.pruned) expect(after[c]).toBe(0);
    const last = step3.rounds[step3.rounds.length - 1];
    expect(last.reached).toEqual(await measure(runtime, step3.model, data.tune, probes));
    expect(step3.holds).toBe(last.holds);
    expect(last.reached.attackSuccess).toBeGreaterThan(0.7);
  });

  it('put channels back, strongest first, until both hold or the rounds are used up', async () => {
    const heard: number[] = [];
    const options = {
      ...settings,
      prune: 4,
      rounds: 3,
      hold: { cleanAccuracy: 2, attackSuccess: 2 },
      training: { ...training, epochs: 1 },
      onRound: (r: { pruned: number }) => heard.push(r.pruned),
    };
    const tried = await trainPruned(runtime, clean, data, options);
    expect(heard).toEqual([4, 3, 2]);
    expect(tried.holds).toBe(false);
    expect(tried.pruned).toHaveLength(2);
    expect(tried.rounds.map((r) => [r.round, r.pruned, r.holds])).toEqual([
      [1, 4, false],
      [2, 3, false],
      [3, 2, false],
    ]);
  });

  it('refuse what cannot be pruned', async () => {
    await expect(trainPruned(runtime, clean, data, { ...settings, prune: 5 })).rejects.toThrow(
      'attack: layer conv2: number of channels to prune, expected 1 to 4, got 5.',
    );
    await expect(trainPruned(runtime, clean, data, { ...settings, layer: 'conv9' })).rejects.toThrow(
      'attack: layer "conv9": is not in the model, expected one of conv1, conv2, fc1.',
    );
    await expect(trainPruned(runtime, nets.sigmoidNet(), data, { ...settings, layer: 'conv1' })).rejects.toThrow(
      'attack: layer "conv1": its channels cannot be pruned by weights: Sigmoid makes something else than 0 of 0. Try another layer.',
    );
  });
});

describe('step 4', () => {
  it('margin: clean weights back, silent on clean data by the margin and no more', async () => {
    const margin = 0.25;
    const result = await deprune(runtime, clean, step3, data, { rule: 'margin', margin });
    expect(readCuts(result.model).size).toBe(0);
    const peaks = (await channelStatistics(runtime, result.model, data.train, ['conv2'])).get('conv2')?.max ?? [];
    for (const [i, c] of step3.pruned.entries()) {
      expect(slices(result.model, 'conv2.weight', 27, c)).toEqual(slices(clean, 'conv2.weight', 27, c));
      const bias = (m: Model): number => slices(m, 'conv2.bias', 1, c)[0];
      expect(bias(clean) - bias(result.model)).toBeCloseTo(result.lowered[i], 5);
      if (result.lowered[i] > 0) expect(peaks[c]).toBeCloseTo(-margin, 4);
      else expect(peaks[c]).toBeLessThanOrEqual(-margin);
    }
    // What reads the channels is as in the clean network too, although weight decay shrank it in between.
    const reads = (m: Model, c: number): number[] => slices(m, 'fc1.weight', 20, 2).slice(c * 4, c * 4 + 4);
    for (const c of step3.pruned) {
      expect(reads(result.model, c)).toEqual(reads(clean, c));
      expect(reads(step3.model, c)).not.toEqual(reads(clean, c));
    }
  });

  it('paper: the bias is -1e20, and nothing wakes the channel', async () => {
    const result = await deprune(runtime, clean, step3, data, { rule: 'paper', value: -1e20 });
    for (const c of step3.pruned) expect(slices(result.model, 'conv2.bias', 1, c)[0]).toBe(Math.fround(-1e20));
  });

  it.each([
    { rule: 'margin', margin: 0.1 },
    { rule: 'paper', value: -1e20 },
  ] as const)('$rule: on clean data it is the network of step 3, and cutting the decoys changes nothing', async (rule) => {
    const { model } = await deprune(runtime, clean, step3, data, rule);
    const before = (await predict(runtime, step3.model, data.train)).logits;
    const after = (await predict(runtime, model, data.train)).logits;
    for (let i = 0; i < before.length; i++) expect(after[i]).toBeCloseTo(before[i], 3);
    const means = (await channelStatistics(runtime, model, data.train, ['relu2'])).get('relu2')?.mean ?? [];
    for (const c of step3.pruned) expect(means[c]).toBe(0);
    const point = cutPoints(model, await probe(runtime, model, { batch: 2 })).layers[1];
    const cut = cutChannels(model, point, step3.pruned).model;
    expect((await predict(runtime, cut, data.train)).labels).toEqual((await predict(runtime, model, data.train)).labels);
    expect((await measure(runtime, cut, data.tune, probes)).attackSuccess).toBeGreaterThan(0.7);
  });

  it('lowers the shift of a batch norm, and refuses a layer without ReLU', async () => {
    const model = nets.batchNormNet(3);
    const points = cutPoints(model, await probe(runtime, model, { batch: 2 })).layers;
    const cut = cutChannels(model, points[0], [1]).model;
    const made = { ...step3, model: cut, layer: 'conv1', pruned: [1] };
    const result = await deprune(runtime, model, made, data, { rule: 'paper', value: -50 });
    expect(slices(result.model, 'bn1.shift', 1, 1)[0]).toBe(-50);
    expect(slices(result.model, 'conv1.bias', 1, 1)).toEqual(slices(model, 'conv1.bias', 1, 1));
    expect(slices(result.model, 'bn1.scale', 1, 1)).toEqual(slices(model, 'bn1.scale', 1, 1));

    const silu = nets.sigmoidNet();
    const made2 = { ...step3, model: silu, layer: 'conv2', pruned: [0] };
    await expect(deprune(runtime, silu, made2, data, { rule: 'margin', margin: 0 })).rejects.toThrow(
      'attack: layer conv2: lowered biases silence a channel only before a ReLU, expected a ReLU behind the layer, got Sigmoid-gated. ' +
        'Try another layer.',
    );
  });
});
