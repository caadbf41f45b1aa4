import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { badnet } from '../../src/attack/badnet.ts';
import { channelStatistics } from '../../src/data/channel-statistics.ts';
import type { Dataset, TriggeredDataset } from '../../src/data/dataset.ts';
import { predict } from '../../src/data/forward.ts';
import { compact } from '../../src/defend/compact.ts';
import { fineprune } from '../../src/defend/fineprune.ts';
import { finetune } from '../../src/defend/finetune.ts';
import { lastThatHeld, prune } from '../../src/defend/prune.ts';
import { cutPoints } from '../../src/onnx/cut-points.ts';
import type { Model } from '../../src/onnx/model.ts';
import { cutChannels, readCuts } from '../../src/onnx/passes/cut-channels.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import { triggered } from '../../src/poison/poison.ts';
import { parseTrigger } from '../../src/poison/triggers/registry.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import * as nets from './tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

const training = { epochs: 20, batchSize: 32, learningRate: 0.05, optimizer: { kind: 'sgd', momentum: 0.9 }, seed: 1 } as const;
const attack = { trigger: parseTrigger({ kind: 'pattern' }), labelMap: { kind: 'all-to-all' }, fraction: 0.5, seed: 1 } as const;
const validation = nets.bars(120, 'validation');
const test = nets.bars(150, 'test');
let bad: Model;

beforeAll(async () => {
  bad = (await badnet(runtime, nets.cnn(1), nets.bars(300, 'train'), attack, training)).model;
});

async function accuracy(model: Model, data: Dataset | TriggeredDataset, wanted = data.labels): Promise<number> {
  const { labels } = await predict(runtime, model, data);
  return labels.filter((l, i) => l === wanted[i]).length / data.count;
}

/** Channels of the layer that are zero on all of the validation data. */
async function silent(model: Model, layer: string): Promise<number[]> {
  const { layers } = cutPoints(model, await probe(runtime, model, { batch: 2 }));
  const value = layers.find((l) => l.layer === layer)?.cutValue ?? '';
  const found = (await channelStatistics(runtime, model, validation, [value])).get(value);
  return [...(found?.magnitude ?? [])].flatMap((m, c) => (m === 0 ? [c] : []));
}

it('badnet: right on clean inputs, obeys the trigger, and says what was done', async () => {
  expect(await accuracy(bad, test)).toBeGreaterThan(0.95);
  const inputs = triggered(test, attack);
  expect(await accuracy(bad, inputs, inputs.targets)).toBeGreaterThan(0.9);
});

describe('prune', () => {
  it('stops before the first step that loses too much', () => {
    expect(lastThatHeld([0.9, 0.9, 0.87, 0.85, 0.9], 0.04)).toBe(2);
    expect(lastThatHeld([0.9, 0.86, 0.8], 0.04)).toBe(1);
    expect(lastThatHeld([0.9, 0.5], 0.04)).toBe(0);
    expect(lastThatHeld([0.9, 0.9, 0.91], 0)).toBe(2);
    expect(lastThatHeld([0.9, 0.89], 1)).toBe(1);
  });

  it('cuts the weakest channels of the last convolution first, and no more than validation accuracy allows', async () => {
    const before = writeModel(bad);
    const result = await prune(runtime, bad, validation, { threshold: 0.1 });
    expect(result.why).toBe('conv2: the last convolution in graph order');
    const found = await channelStatistics(runtime, bad, validation, ['relu2']);
    const means = found.get('relu2')?.mean ?? [];
    for (let i = 1; i < result.order.length; i++) expect(means[result.order[i]]).toBeGreaterThanOrEqual(means[result.order[i - 1]]);
    expect(result.cut).toEqual(result.order.slice(0, result.cut.length));
    expect(result.cut.length).toBeLessThan(5);
    expect(result.accuracy.start).toBe(await accuracy(bad, validation));
    expect(result.accuracy.end).toBe(await accuracy(result.model, validation));
    expect(result.accuracy.start - result.accuracy.end).toBeLessThanOrEqual(0.1);
    expect(result.curve[result.cut.length + 1]).toBeLessThan(result.accuracy.start - 0.1);
    expect(readCuts(result.model).get('conv2') ?? []).toEqual([...result.cut].sort((a, b) => a - b));
    expect(writeModel(bad)).toEqual(before);
  });

  it('takes a layer by name, and says what is wrong with one', async () => {
    const first = await prune(runtime, bad, validation, { layer: 'fc1', threshold: 1 });
    expect(first.cut.length).toBe(6);
    expect(await silent(first.model, 'fc1')).toEqual([0, 1, 2, 3, 4, 5]);
    await expect(prune(runtime, bad, validation, { layer: 'conv3' })).rejects.toThrow(
      'layer "conv3": is not in the model, expected one of conv1, conv2, fc1. Try "conv1".',
    );
    await expect(prune(runtime, bad, validation, { layer: 'fc2' })).rejects.toThrow(
      'layer "fc2": its channels cannot be cut: its channels are the model\'s outputs, expected one of conv1, conv2, fc1.',
    );
  });

  it('takes validation data only', () => {
    // @ts-expect-error a defence never sees test data
    const onTest = (): unknown => prune(runtime, bad, test);
    // @ts-expect-error nor triggered data
    const onTriggered = (): unknown => prune(runtime, bad, triggered(test, attack));
    // @ts-expect-error nor training data of the attacker
    const onTraining = (): unknown => finetune(runtime, bad, nets.bars(10, 'train'));
    expect([onTest, onTriggered, onTraining]).toHaveLength(3);
  });

  it('--compact makes a smaller file that predicts the same', async () => {
    const options = { threshold: 0.1, layer: 'fc1' };
    const large = await prune(runtime, bad, validation, options);
    const small = await prune(runtime, bad, validation, { ...options, compact: true });
    expect(large.cut.length).toBeGreaterThan(0);
    expect(writeModel(small.model).length).toBeLessThan(writeModel(large.model).length);
    expect((await predict(runtime, small.model, test)).labels).toEqual((await predict(runtime, large.model, test)).labels);
    const later = await compact(runtime, large.model);
    expect(later.layers).toEqual([{ layer: 'fc1', removed: large.cut.length }]);
    expect((await predict(runtime, later.model, test)).logits).toEqual((await predict(runtime, small.model, test)).logits);
  });
});

describe('fine-tuning', () => {
  const options = { epochs: 2, learningRate: 0.02, batchSize: 32, seed: 3 };

  it('is the same twice for one seed and different for another', async () => {
    const once = await finetune(runtime, bad, validation, options);
    const again = await finetune(runtime, bad, validation, options);
    const other = await finetune(runtime, bad, validation, { ...options, seed: 4 });
    expect(writeModel(again.model)).toEqual(writeModel(once.model));
    expect(writeModel(other.model)).not.toEqual(writeModel(once.model));
    expect(once.history).toHaveLength(2);
  });

  it.each([
    ['by weights', 'cnn', 'conv2'],
    ['by weights with batch norm', 'batchNormNet', 'conv2'],
    ['by an inserted Mul', 'sigmoidNet', 'conv1'],
  ] as const)('keeps channels cut that were cut %s', async (_, net, layer) => {
    const model = nets.all[net](2);
    const { layers } = cutPoints(model, await probe(runtime, model, { batch: 2 }));
    const point = layers.find((l) => l.layer === layer);
    if (point === undefined) throw new Error(`no ${layer}`);
    const cut = cutChannels(model, point, [1, 3]).model;
    const { model: tuned } = await finetune(runtime, cut, validation, options);
    expect(readCuts(tuned).get(layer)).toEqual([1, 3]);
    if (point.zeroable) expect(await silent(tuned, layer)).toEqual([1, 3]);
    else expect(tuned.graph.initializers.get('conv1/cut-mask')).toEqual(cut.graph.initializers.get('conv1/cut-mask'));
    const moved = tuned.graph.initializers.get(`${layer}.weight`)?.data;
    expect(moved).not.toEqual(cut.graph.initializers.get(`${layer}.weight`)?.data);
  });

  it('leaves running statistics alone unless told otherwise', async () => {
    const model = nets.batchNormNet(2);
    const mean = (m: Model): unknown => m.graph.initializers.get('bn1.mean')?.data;
    expect(mean((await finetune(runtime, model, validation, options)).model)).toEqual(mean(model));
    expect(mean((await finetune(runtime, model, validation, { ...options, batchNorm: 'training' })).model)).not.toEqual(mean(model));
  });
});

it('fine-pruning prunes, then tunes with the cut channels kept cut, and can shrink the file at the end', async () => {
  const settings = { prune: { threshold: 0.15, layer: 'fc1' }, finetune: { epochs: 3, learningRate: 0.02, batchSize: 32 } };
  const { model, pruned, history } = await fineprune(runtime, bad, validation, settings);
  expect(pruned.cut.length).toBeGreaterThan(0);
  expect(await silent(model, 'fc1')).toEqual([...pruned.cut].sort((a, b) => a - b));
  expect(await accuracy(model, validation)).toBeGreaterThanOrEqual(pruned.accuracy.end);
  expect(history).toHaveLength(3);
  const small = await fineprune(runtime, bad, validation, { ...settings, prune: { ...settings.prune, compact: true } });
  expect(small.model.graph.initializers.get('fc1.bias')?.dims).toEqual([6 - pruned.cut.length]);
  expect((await predict(runtime, small.model, test)).labels).toEqual((await predict(runtime, model, test)).labels);
});
