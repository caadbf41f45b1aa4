import { afterAll, describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { predict } from '../../src/data/forward.ts';
import { accuracyBySteps, type CurveOptions, cutPredictions } from '../../src/defend/curve.ts';
import { runSize } from '../../src/defend/kept-sums.ts';
import { chooseLayer } from '../../src/inspect/layers.ts';
import { type CutPoint, cutPoints } from '../../src/onnx/cut-points.ts';
import type { Model } from '../../src/onnx/model.ts';
import { cutChannels } from '../../src/onnx/passes/cut-channels.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import * as nets from './tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

const data = nets.images(37, 'validation');

/** Cut, run everything, again. */
async function naive(model: Model, point: CutPoint, order: readonly number[]): Promise<Int32Array> {
  const labels = new Int32Array((order.length + 1) * data.count);
  for (let k = 0; k <= order.length; k++) {
    const cut = cutChannels(model, point, order.slice(0, k)).model;
    labels.set((await predict(runtime, cut, data)).labels, k * data.count);
  }
  return labels;
}

async function layersOf(model: Model): Promise<CutPoint[]> {
  return cutPoints(model, await probe(runtime, model, { batch: 2 })).layers;
}

describe('the pruning curve is that of the naive loop', () => {
  it.each(Object.keys(nets.all))('%s, every layer, every way', async (name) => {
    const seen = new Set<number>();
    for (const seed of [1, 2, 3]) {
      const model = nets.all[name](seed);
      for (const point of await layersOf(model)) {
        const order = [...Rng.from(seed, point.layer).permutation(point.channels)];
        const expected = await naive(model, point, order);
        const automatic = await cutPredictions(runtime, model, point, order, data);
        expect([...automatic.labels], `${point.layer} ${automatic.method}`).toEqual([...expected]);
        const small = await cutPredictions(runtime, model, point, order, data, { method: 'tail', batchSize: 16 });
        expect([...small.labels], `${point.layer} tail`).toEqual([...expected]);
        for (const label of expected) seen.add(label);
      }
    }
    // Otherwise the comparison would say little.
    expect(seen.size).toBeGreaterThan(1);
  });

  it('takes running sums where a layer goes by pool and flatten into a Gemm, through a residual Add too', async () => {
    const methods: Record<string, string> = {};
    for (const make of [nets.cnn, nets.residualNet, nets.batchNormNet, nets.sigmoidNet, nets.mlp]) {
      const model = make();
      const { point } = chooseLayer(model, await probe(runtime, model, { batch: 2 }));
      methods[`${make.name} ${point.layer}`] = (await cutPredictions(runtime, model, point, [0, 1], data)).method;
    }
    expect(methods).toEqual({
      'cnn conv2': 'sums',
      'residualNet block.add': 'sums',
      'batchNormNet conv2': 'sums',
      'sigmoidNet conv3': 'sums',
      'mlp fc1': 'sums',
    });
  });

  it('with many channels, some never cut, and several chunks in a run', async () => {
    const model = nets.residualNet(4, 132);
    const point = (await layersOf(model)).find((l) => l.layer === 'block.conv2') as CutPoint;
    const order = [...Rng.from(3).permutation(132)].slice(0, 130);
    for (const batchSize of [8, undefined]) {
      const got = await cutPredictions(runtime, model, point, order, data, { batchSize, method: 'sums' });
      for (const step of [0, 1, 65, 129, 130]) {
        const { labels } = await predict(runtime, cutChannels(model, point, order.slice(0, step)).model, data);
        expect([...got.labels.subarray(step * data.count, (step + 1) * data.count)], `step ${step}`).toEqual([...labels]);
      }
    }
  });

  it('in a graph of an opset that has no CumSum', async () => {
    const model = nets.cnn();
    const point = (await layersOf(model))[1];
    const expected = await naive(model, point, [4, 1]);
    model.opsets.set('', 10);
    const got = await cutPredictions(runtime, model, point, [4, 1], data);
    expect(got.method).toBe('tail');
    expect([...got.labels]).toEqual([...expected]);
  });

  it('with a batch size that is fixed in the graph', async () => {
    const model = nets.cnn();
    const point = (await layersOf(model))[1];
    const order = [2, 0, 4];
    const expected = await naive(model, point, order);
    model.graph.inputs[0].dims = [5, 1, nets.SIDE, nets.SIDE];
    model.graph.outputs[0].dims = [5, nets.CLASSES];
    const got = await cutPredictions(runtime, model, point, order, data);
    expect(got.method).toBe('tail');
    expect([...got.labels]).toEqual([...expected]);
  });
});

describe('what it refuses', () => {
  const attempt = async (order: number[], options?: CurveOptions): Promise<unknown> => {
    const model = nets.cnn();
    const [conv1] = await layersOf(model);
    return cutPredictions(runtime, model, conv1, order, data, options);
  };

  it('an order that is none', async () => {
    await expect(attempt([0, 0])).rejects.toThrow(
      'layer conv1: not an order of its channels, expected each of 0 to 2 at most once, got 0, 0.',
    );
    await expect(attempt([3])).rejects.toThrow('expected each of 0 to 2 at most once, got 3.');
  });

  it('running sums through a convolution', async () => {
    await expect(attempt([0], { method: 'sums' })).rejects.toThrow(
      'layer conv1: no running sums: the next layer is a Conv, expected a layer whose channels go by pooling and flattening into a Gemm or ' +
        'MatMul. Try method "tail".',
    );
  });
});

it('large images go through the running sums in smaller runs', () => {
  const of = (side: number, channels = 3): number => {
    const { chunk, chunks } = runSize(1000, { count: 5000, channels, height: side, width: side });
    return chunk * chunks;
  };
  expect([of(28, 1), of(32), of(224), of(512), of(4096)]).toEqual([256, 256, 111, 21, 1]);
});

it('accuracy by steps counts right answers', () => {
  const predictions = { order: [0], steps: 2, count: 4, labels: Int32Array.of(0, 1, 2, 0, 1, 1, 1, 1), method: 'sums' as const };
  expect(accuracyBySteps(predictions, [0, 1, 1, 1])).toEqual([0.5, 0.75]);
});
