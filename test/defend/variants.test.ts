import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { f32, type Tensor } from '../../src/core/tensor.ts';
import { channelStatistics } from '../../src/data/channel-statistics.ts';
import { predict } from '../../src/data/forward.ts';
import { AUTHORS_SHARES } from '../../src/defend/variants/authors.ts';
import { finepruneVariant, VARIANTS, type VariantOptions, type VariantResult } from '../../src/defend/variants/registry.ts';
import { chooseLayer } from '../../src/inspect/layers.ts';
import { cloneModel } from '../../src/onnx/edit.ts';
import type { Model } from '../../src/onnx/model.ts';
import { cutChannels } from '../../src/onnx/passes/cut-channels.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import { train } from '../../src/train/loop.ts';
import * as nets from './tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

const validation = nets.bars(80, 'validation');
const tuning = { epochs: 1, batchSize: 20, learningRate: 0.01, seed: 1 };
let model: Model;
beforeAll(async () => {
  const optimizer = { kind: 'sgd', momentum: 0.9, weightDecay: 0 } as const;
  model = (await train(runtime, nets.cnn(3), nets.bars(200, 'train'), { epochs: 5, batchSize: 32, learningRate: 0.05, optimizer, seed: 1 }))
    .model;
});

const run = (variant: string, o: VariantOptions = {}, net: Model = model): Promise<VariantResult> =>
  finepruneVariant(runtime, net, validation, { variant, finetune: tuning, ...o });
const floats = (m: Model, name: string): Float32Array => m.graph.initializers.get(name)?.data as Float32Array;
const weakest = (values: ArrayLike<number>): number[] => Array.from(values, (_, i) => i).sort((a, b) => values[a] - values[b] || a - b);
const means = async (net: Model, value: string, by: 'mean' | 'magnitude' = 'mean', rank = 4): Promise<Float64Array> =>
  (await channelStatistics(runtime, net, validation, [{ name: value, axis: 1, rank }])).get(value)![by];
const accuracy = async (net: Model): Promise<number> => {
  const { labels } = await predict(runtime, net, validation);
  return labels.filter((l, i) => l === validation.labels[i]).length / validation.count;
};
/** fc weights are stored [out, in]: columns are inputs. */
function withoutColumns(net: Model, name: string, columns: readonly number[]): Model {
  const out = cloneModel(net);
  const { data, dims } = net.graph.initializers.get(name) as Tensor;
  const values = Float32Array.from(data as Float32Array, (v, i) => (columns.includes(i % dims[1]) ? 0 : v));
  out.graph.initializers.set(name, f32(values, dims));
  return out;
}

describe('variants of fine-pruning', () => {
  it('tell what they are', () => {
    expect(VARIANTS.map((v) => [v.name, v.tunes, v.takes.join()])).toEqual([
      ['paper', true, 'layer,threshold'],
      ['authors', false, 'layer,count'],
      ['backdoorbench', true, 'threshold'],
      ['trojanzoo', true, 'threshold'],
      ['backdoorbox', true, 'layer,rate'],
      ['backdoor-toolbox', false, 'threshold'],
    ]);
    for (const v of VARIANTS) expect(v.how.length).toBeGreaterThan(40);
  });

  it('paper: the defence that is there without a variant', async () => {
    const [named, unnamed] = [
      await run('paper', { threshold: 0.1 }),
      await finepruneVariant(runtime, model, validation, { threshold: 0.1, finetune: tuning }),
    ];
    expect(named.what).toBe(`cut ${named.cut.length} of 5 channels of conv2`);
    expect(named.validation.start - named.validation.pruned).toBeLessThanOrEqual(0.1);
    expect([...floats(named.model, 'conv2.weight')]).toEqual([...floats(unnamed.model, 'conv2.weight')]);
    expect(named.validation.end).toBe(await accuracy(named.model));
  });

  it('authors: 80 % of the channels by the mean behind the pool, whatever it costs, and nothing is tuned', async () => {
    const result = await run('authors');
    expect(result.cut).toEqual(weakest(await means(model, 'pool2')).slice(0, 4));
    const { point } = chooseLayer(model, await probe(runtime, model, { batch: 2 }), 'conv2');
    const cut = cutChannels(model, point, result.cut).model;
    for (const name of ['conv2.weight', 'conv2.bias', 'fc1.weight'])
      expect([...floats(result.model, name)]).toEqual([...floats(cut, name)]);
    expect([result.model, result.history, result.validation.end]).toEqual([result.pruned, [], result.validation.pruned]);
    expect((await run('authors', { count: 2 })).cut).toEqual(result.cut.slice(0, 2));
    await expect(run('authors', { count: 6 })).rejects.toThrow('layer conv2: number of channels to cut, expected 0 to 5, got 6.');
  });

  it('authors: 48 and 250 in the layers of their scripts, by name and width; elsewhere the share of the face', async () => {
    expect(AUTHORS_SHARES).toEqual({ face: 0.8, speech: 250 / 256 });
    const cuts = async (layer: string, channels: number): Promise<number> =>
      (await run('authors', { layer }, nets.oneConv(layer, channels))).cut.length;
    expect(await cuts('conv3', 60)).toBe(48);
    expect(await cuts('conv5', 256)).toBe(250);
    expect(await cuts('conv5', 60)).toBe(48);
    expect(await cuts('conv3', 256)).toBe(205);
  });

  it('backdoorbench: keeps the first network that broke the relative limit, one column behind its count', async () => {
    const result = await run('backdoorbench', { threshold: 0.05 });
    const order = weakest(await means(model, 'relu3', 'mean', 2));
    const start = await accuracy(model);
    const curve: number[] = [];
    for (let k = 0; k < order.length; k++) curve.push(await accuracy(withoutColumns(model, 'fc2.weight', order.slice(0, k))));
    const broken = curve.findIndex((a) => Math.abs(a - start) / start >= 0.05);
    expect(broken).toBeGreaterThan(0);
    expect(result.cut).toEqual(order.slice(0, broken));
    expect(result.what).toBe(`cut ${broken} of 6 columns of fc2`);
    expect(result.validation.pruned).toBe(curve[broken]);
    expect(result.notes).toEqual(['the network that is kept is the first one that broke the limit']);
    const tuned = floats(result.model, 'fc2.weight');
    for (const [i, v] of tuned.entries()) if (result.cut.includes(i % 6)) expect(Math.abs(v)).toBe(0);
    expect(floats(result.model, 'conv1.weight')).not.toEqual(floats(model, 'conv1.weight'));
    // Rounds go up to one fewer than there are columns, and zero one fewer again.
    const never = await run('backdoorbench', { threshold: 10 });
    expect(never.cut).toEqual(order.slice(0, 4));
    expect(never.notes).toEqual(['the limit was never broken']);
  });

  it('trojanzoo: weights of the last convolution but not its bias, and the step that broke the limit', async () => {
    const result = await run('trojanzoo', { threshold: 0 });
    const order = weakest(await means(model, 'pool2', 'magnitude'));
    // 95 % of five channels less ten is none, of which its loop makes one; then single steps.
    expect(result.cut).toEqual(order.slice(0, result.cut.length));
    expect(result.cut.length).toBeGreaterThanOrEqual(2);
    const weights = floats(result.pruned, 'conv2.weight');
    for (const c of result.cut) expect([...weights.subarray(c * 27, (c + 1) * 27)]).toEqual(new Array(27).fill(0));
    expect([...floats(result.pruned, 'conv2.bias')]).toEqual([...floats(model, 'conv2.bias')]);
    const tuned = floats(result.model, 'conv2.weight');
    for (const c of result.cut) expect(tuned.subarray(c * 27, (c + 1) * 27).every((v) => v === 0)).toBe(true);
    expect((await run('trojanzoo', { threshold: 1 })).cut).toHaveLength(5);
  });

  it('backdoorbox: a share of the channels by the mean before the ReLU', async () => {
    const result = await run('backdoorbox', { rate: 0.5 });
    expect(result.cut).toEqual(weakest(await means(model, 'conv2')).slice(0, 2));
    expect((await run('backdoorbox', { layer: 'conv1', rate: 0.34 })).what).toBe('cut 1 of 3 channels of conv1');
    expect((await run('backdoorbox')).cut).toHaveLength(1);
    await expect(run('backdoorbox', { rate: 1.5 })).rejects.toThrow('pruning rate: not a share, expected 0 to 1, got 1.5.');
  });

  it('backdoor-toolbox: columns of the first fully connected layer, as many as the last convolution has channels', async () => {
    await expect(run('backdoor-toolbox')).rejects.toThrow(
      'layer conv2: too few channels for this variant, which counts by them, expected at least 11, got 5. Try --variant paper.',
    );
    const wide = nets.residualNet(1, 12);
    const result = await run('backdoor-toolbox', { threshold: 1 }, wide);
    const order = weakest(await means(wide, 'flatten', 'magnitude', 2));
    expect(result.cut).toEqual(order.slice(0, 11));
    expect(result.what).toBe('cut 11 of 12 columns of fc');
    expect([...floats(result.model, 'fc.weight')]).toEqual([...floats(withoutColumns(wide, 'fc.weight', result.cut), 'fc.weight')]);
    expect(result.history).toEqual([]);
    // The first single step already breaks a limit that nothing can hold.
    expect((await run('backdoor-toolbox', { threshold: -1 }, wide)).cut).toHaveLength(2);
  });

  it('behind a batch norm a zeroed convolution leaves a constant, and it is said', async () => {
    const net = nets.residualNet();
    const result = await run('backdoorbox', { layer: 'block.conv1' }, net);
    expect(result.notes).toEqual(['behind the zeroed channels a batch norm leaves constants, not zeros']);
    const [c] = result.cut;
    expect((await means(result.pruned, 'block.bn1'))[c]).not.toBe(0);
  });

  it('refuse names and settings that they do not have', async () => {
    await expect(run('papre')).rejects.toThrow(
      '--variant: no variant "papre", expected one of paper, authors, backdoorbench, trojanzoo, backdoorbox, backdoor-toolbox. Try --variant paper.',
    );
    await expect(run('trojanzoo', { layer: 'conv1' })).rejects.toThrow(
      'variant trojanzoo: takes no layer, expected at most threshold. Try --variant trojanzoo without it.',
    );
    await expect(run('trojanzoo', {}, nets.mlp())).rejects.toThrow(
      'model: no convolution whose channels can be cut, which this variant prunes by. Try --variant paper.',
    );
  });
});
