import { afterAll, describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { predict } from '../../src/data/forward.ts';
import { checkCompactable, compact } from '../../src/defend/compact.ts';
import { cutPredictions } from '../../src/defend/curve.ts';
import { fineprune } from '../../src/defend/fineprune.ts';
import { finetune } from '../../src/defend/finetune.ts';
import { prune } from '../../src/defend/prune.ts';
import { layerStatistics } from '../../src/inspect/activations.ts';
import { chooseLayer, describeLayers } from '../../src/inspect/layers.ts';
import { type CutPoint, cutPoints } from '../../src/onnx/cut-points.ts';
import { keptCuts } from '../../src/onnx/kept-cuts.ts';
import type { Model } from '../../src/onnx/model.ts';
import { whyNotCompact } from '../../src/onnx/passes/compact-channels.ts';
import { cutChannels, readCuts } from '../../src/onnx/passes/cut-channels.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import { sigmoidJoin, stacked, transformer } from '../onnx/cut-nets.ts';
import { images } from './tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

const validation = images(21, 'validation');

async function pointOf(model: Model, layer?: string): Promise<CutPoint> {
  return chooseLayer(model, await probe(runtime, model, { batch: 2 }), layer).point;
}

/** Largest magnitude of each channel at the ranked value of the layer. */
async function loudness(model: Model, layer: string): Promise<number[]> {
  const found = cutPoints(model, await probe(runtime, model, { batch: 2 })).layers.find((l) => l.layer === layer) as CutPoint;
  // What matters is where the channel must be zero; where a Mul cuts it, behind that.
  const at = { ...found, value: found.cutValue, axis: found.cutAxis, dims: found.cutDims };
  return [...(await layerStatistics(runtime, model, at, validation)).magnitude];
}

const nets: Record<string, [model: () => Model, layer: string, method: 'sums' | 'tail']> = {
  'a residual Add by a Mul': [() => stacked(['plain', 'residual'], 'averaged', 2), '1.add', 'sums'],
  'a residual Add by weights': [() => stacked(['projected'], 'averaged', 2), '0.add', 'sums'],
  'a Concat': [() => stacked(['branches'], 'averaged', 2), '0.concat', 'sums'],
  'a Concat before a convolution': [() => stacked(['branches'], 'convolutional', 2), '0.concat', 'tail'],
  'a norm over a Concat': [() => stacked(['dense'], 'reduced', 2), '0.concat', 'sums'],
  'a norm over a residual Add': [() => stacked(['preActivation'], 'averaged', 3), '0.add', 'sums'],
  'shuffled channels': [() => stacked(['shuffle'], 'reduced', 2), '0.concat', 'sums'],
  'a linear bottleneck': [() => stacked(['inverted'], 'averaged', 4), '0.add', 'sums'],
  'a gated block': [() => stacked(['gated'], 'averaged', 2), '0.narrow', 'sums'],
  'channels last, flattened': [() => stacked(['channelsLast'], 'flattenedLast', 2), '0.dense', 'sums'],
  'hidden units of a transformer': [() => transformer(2), 'fc1.product', 'tail'],
};

describe('the pruning curve of every kind is that of cutting and running again', () => {
  it.each(Object.keys(nets))('%s', async (name) => {
    const [make, layer, method] = nets[name];
    const model = make();
    const point = await pointOf(model, layer);
    const order = [...Rng.from(3, layer).permutation(point.channels)];
    const got = await cutPredictions(runtime, model, point, order, validation);
    expect(got.method).toBe(method);
    const tail = await cutPredictions(runtime, model, point, order, validation, { method: 'tail', batchSize: 8 });
    expect([...tail.labels]).toEqual([...got.labels]);
    for (const step of [0, 1, point.channels - 1, point.channels]) {
      const { labels } = await predict(runtime, cutChannels(model, point, order.slice(0, step)).model, validation);
      expect([...got.labels.subarray(step * 21, (step + 1) * 21)], `step ${step}`).toEqual([...labels]);
    }
  });
});

describe('fine-pruning of every kind', () => {
  const settings = { finetune: { epochs: 1, learningRate: 0.005, batchSize: 7, seed: 2 } };

  it.each(Object.keys(nets))('%s: cut channels stay cut, others move', async (name) => {
    const [make, layer] = nets[name];
    const model = make();
    const point = await pointOf(model, layer);
    const cut = [0, point.channels - 1];
    const { model: tuned } = await finetune(runtime, cutChannels(model, point, cut).model, validation, settings.finetune);
    const now = readCuts(tuned).get(layer) ?? [];
    expect(now).toEqual(cut);
    const loud = await loudness(tuned, layer);
    for (const [c, magnitude] of loud.entries()) expect(magnitude === 0, `channel ${c}`).toBe(cut.includes(c));
    const [first] = model.graph.initializers.keys();
    expect(tuned.graph.initializers.get(first)?.data).not.toEqual(model.graph.initializers.get(first)?.data);
  });

  it('two layers that share a weight both keep their channels', async () => {
    const model = stacked(['projected'], 'averaged', 2);
    const branch = cutChannels(model, await pointOf(model, '0.conv2'), [1]).model;
    const both = cutChannels(branch, await pointOf(branch, '0.add'), [4]).model;
    const { masks } = keptCuts(both, await probe(runtime, both, { batch: 2 }));
    expect([...(masks.get('0.conv2.weight')?.data ?? [])]).toEqual([1, 0, 1, 1, 0, 1]);
    expect([...(masks.get('0.skip.bn.scale')?.data ?? [])]).toEqual([1, 1, 1, 1, 0, 1]);
  });

  it('takes no channels out of the file that another layer counts too, and says so before the work', async () => {
    const model = stacked(['projected'], 'averaged', 2);
    const branch = cutChannels(model, await pointOf(model, '0.conv2'), [1]).model;
    const why =
      'layer 0.add: its channels cannot be taken out of the file: channels of "0.conv2" were cut, and some of them are the same. ' +
      'Try without --compact: the channels are zero then, and stay in the file.';
    await expect(prune(runtime, branch, validation, { layer: '0.add', compact: true })).rejects.toThrow(why);
    const both = cutChannels(branch, await pointOf(branch, '0.add'), [4]).model;
    expect((await compact(runtime, both)).layers).toEqual([
      { layer: '0.conv2', removed: 0, kept: 'node "0.add" (Add) adds them to another value' },
      { layer: '0.add', removed: 0, kept: 'channels of "0.conv2" were cut, and some of them are the same' },
    ]);
    // of a layer that is cut by a Mul the mask tells
    const masked = cutChannels(sigmoidJoin(), await pointOf(sigmoidJoin(), 'add'), [4]).model;
    const concat = await pointOf(masked, 'concat');
    expect(whyNotCompact(concat, [1])).toBeUndefined();
    const types = await probe(runtime, masked, { batch: 2 });
    expect(() => checkCompactable(masked, types, concat)).toThrow(
      'layer concat: its channels cannot be taken out of the file: channels of "add" were cut, and some of them are the same.',
    );
    const residual = stacked(['residual'], 'averaged', 2);
    await expect(fineprune(runtime, residual, validation, { prune: { compact: true } })).rejects.toThrow(
      'layer 0.add: its channels cannot be taken out of the file: node "0.conv1" (Conv) reads "stem.pool" too. ' +
        'Try without --compact: the channels are zero then, and stay in the file.',
    );
  });

  it('takes the channels out of the file at the end, where the graph allows it', async () => {
    for (const [blocks, layer] of [
      [['projected'], '0.add'],
      [['gated'], '0.dw'],
    ] as const) {
      const model = stacked(blocks, 'averaged', 2);
      const options = { prune: { layer, threshold: 0.05 }, finetune: settings.finetune };
      const large = await fineprune(runtime, model, validation, options);
      expect(large.pruned.cut.length).toBeGreaterThan(0);
      const small = await fineprune(runtime, model, validation, { ...options, prune: { ...options.prune, compact: true } });
      const a = (await predict(runtime, large.model, validation)).logits;
      const b = (await predict(runtime, small.model, validation)).logits;
      for (let i = 0; i < a.length; i++) expect(b[i]).toBeCloseTo(a[i], 3);
      expect(small.model.graph.initializers.get('fc.weight')?.dims[1] ?? 0).toBeLessThanOrEqual(6);
    }
  });
});

describe('the default layer', () => {
  const choice = async (model: Model): Promise<string> => chooseLayer(model, await probe(runtime, model, { batch: 2 })).why;

  it.each([
    ['plain', ['plain'], '0.conv: the last convolution in graph order'],
    ['residual', ['plain', 'residual'], '1.add: the output of the last convolutional block, behind its residual Add and Relu'],
    [
      'pre-activation',
      ['preActivation'],
      '0.add: the output of the last convolutional block, behind its residual Add, BatchNormalization and Relu',
    ],
    ['dense', ['dense'], '0.concat: the output of the last convolutional block, a Concat of 2 branches behind BatchNormalization and Relu'],
    ['branches', ['branches'], '0.concat: the output of the last convolutional block, a Concat of 3 branches'],
    ['gated', ['gated'], '0.narrow: the last convolution in graph order'],
    ['linear bottleneck', ['inverted', 'plain'], '1.conv: the last convolution in graph order'],
  ] as const)('of a %s network', async (_, blocks, why) => {
    expect(await choice(stacked(blocks, 'averaged'))).toBe(why);
  });

  it('of a network whose classifier is a convolution', async () => {
    expect(await choice(stacked(['plain'], 'convolutional'))).toBe("0.conv: the last convolution before the model's outputs");
  });

  it('of a transformer', async () => {
    expect(await choice(transformer())).toBe(
      'fc1.product: the hidden layer of the last feed-forward block: the convolutions all come before attention; attention heads are left alone',
    );
  });

  it('is marked in the list, which is in graph order and says how each layer is cut', async () => {
    const model = stacked(['residual'], 'averaged');
    const lines = describeLayers(model, await probe(runtime, model, { batch: 2 }));
    expect(lines.map((l) => [l.layer, l.byWeights, l.isDefault])).toEqual([
      ['stem', true, false],
      ['0.conv1', true, false],
      ['0.conv2', true, false],
      ['0.add', false, true],
      ['fc', false, false],
    ]);
    expect(lines[3]).toMatchObject({
      whyMul: 'node "0.conv1" (Conv) reads "stem.pool" too',
      shape: '[4,4,4]',
      follows: 'Relu > GlobalAveragePool > Flatten > Gemm',
    });
  });
});
