import { afterAll, describe, expect, it } from 'vitest';
import { measure } from '../../src/attack/measure.ts';
import { relearn, seenTo } from '../../src/attack/relearn.ts';
import type { TriggeredDataset } from '../../src/data/dataset.ts';
import { chooseLayer } from '../../src/inspect/layers.ts';
import { cutChannels } from '../../src/onnx/passes/cut-channels.ts';
import { triggered } from '../../src/poison/poison.ts';
import { parseTrigger } from '../../src/poison/triggers/registry.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import { train } from '../../src/train/loop.ts';
import * as nets from '../defend/tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

const attack = { trigger: parseTrigger({ kind: 'pattern' }), labelMap: { kind: 'target', target: 1 } } as const;
const data = nets.bars(200, 'train');
const tune = nets.bars(60, 'tune');
const probes = triggered(tune, attack) as TriggeredDataset & { role: 'tune' };
const success = async (model: Parameters<typeof measure>[1]): Promise<number> =>
  (await measure(runtime, model, tune, probes)).attackSuccess;
const training = {
  epochs: 10,
  batchSize: 32,
  learningRate: 0.05,
  optimizer: { kind: 'sgd', momentum: 0.9, weightDecay: 0 },
  seed: 1,
} as const;

describe('relearn', () => {
  it('is judged before and after every epoch, and teaches the backdoor', async () => {
    const { model } = await train(runtime, nets.cnn(1), data, training);
    const options = { images: 60, poisoned: 30, epochs: 12, learningRate: 0.05, seed: 3 };
    const curve = await relearn(runtime, model, data, attack, options, success);
    expect(curve.map((s) => s.epoch)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(curve.map((s) => s.seen)).toEqual(curve.map((s) => s.epoch * 90));
    expect(curve[0].value).toBe(await success(model));
    expect(curve[0].value).toBeLessThan(0.5);
    const at = seenTo(curve, (value) => value > 0.8);
    expect(at).toBeGreaterThan(0);
    expect(curve.find((s) => s.seen === at)?.value).toBeGreaterThan(0.8);
    expect(seenTo(curve, (value) => value > 1)).toBeUndefined();
    const again = await relearn(runtime, model, data, attack, { ...options, epochs: 2 }, success);
    expect(again).toEqual(curve.slice(0, 3));
  });

  it('keeps cut channels cut', async () => {
    const model = nets.cnn(1);
    const { point } = chooseLayer(model, await probe(runtime, model, { batch: 2 }), 'conv2');
    const cut = cutChannels(model, point, [0, 2]).model;
    const kernels = (m: typeof model): number[] => [...(m.graph.initializers.get('conv2.weight')!.data as Float32Array)];
    const [, after] = await relearn(runtime, cut, data, attack, { images: 40, poisoned: 10, epochs: 1, seed: 1 }, async (m) => kernels(m));
    expect(after.value.slice(0, 27)).toEqual(new Array(27).fill(0));
    expect(after.value.slice(54, 81)).toEqual(new Array(27).fill(0));
    expect(after.value.slice(27, 54)).not.toEqual(kernels(cut).slice(27, 54));
  });

  it('refuses more images than there are', async () => {
    await expect(relearn(runtime, nets.cnn(1), data, attack, { images: 201, seed: 1 }, success)).rejects.toThrow(
      're-learning: not enough images, expected at most 200, got 201.',
    );
  });
});
