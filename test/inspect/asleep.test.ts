import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PrunedBadnet, trainPruned } from '../../src/attack/pruning-aware.ts';
import { f32, type Tensor } from '../../src/core/tensor.ts';
import { forward } from '../../src/data/forward.ts';
import { asleep, type SleepingChannel } from '../../src/inspect/asleep.ts';
import { marginSweep } from '../../src/inspect/margin-sweep.ts';
import { cloneModel } from '../../src/onnx/edit.ts';
import type { Model } from '../../src/onnx/model.ts';
import { parseTrigger } from '../../src/poison/triggers/registry.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { train } from '../../src/train/loop.ts';
import * as nets from '../defend/tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());
const images = nets.bars(60, 'validation');

function withValues(model: Model, name: string, change: (value: number, index: number) => number): Model {
  const out = cloneModel(model);
  const { data, dims } = out.graph.initializers.get(name) as Tensor;
  out.graph.initializers.set(name, f32(Float32Array.from(data as Float32Array, change), dims));
  return out;
}

const states = (channels: readonly SleepingChannel[]): string[] => channels.map((c) => c.state);

/** Root mean square and maximum of a value's channels, computed here from all its numbers. */
async function momentsOf(model: Model, value: string, channels: number): Promise<{ rms: number[]; max: number[] }> {
  const seen: number[][] = Array.from({ length: channels }, () => []);
  for await (const { count, values } of forward(runtime, model, images, { outputs: [value] })) {
    const data = values[value].data as Float32Array;
    const space = data.length / count / channels;
    for (let i = 0; i < data.length; i++) seen[Math.floor(i / space) % channels].push(data[i]);
  }
  return {
    rms: seen.map((v) => Math.sqrt(v.reduce((a, x) => a + x * x, 0) / v.length)),
    max: seen.map((v) => Math.max(...v)),
  };
}

describe('asleep', () => {
  it('measures how far the bias would have to rise, in units of what it is added to', async () => {
    const net = nets.cnn(1);
    const { rms, max } = await momentsOf(
      withValues(net, 'conv2.bias', () => 0),
      'conv2',
      5,
    );
    const gaps = [-1, 0.5, 1.9, 30, 1e19];
    // The median channel's scale, where a channel's own is less.
    const scale = rms.map((r) => Math.max(r, rms.toSorted((a, b) => a - b)[2]));
    const set = withValues(net, 'conv2.bias', (_, c) => -(gaps[c] * scale[c]) - max[c]);
    const { layers, beyond, threshold } = await asleep(runtime, set, images, { layer: 'conv2', threshold: 2 });
    const { channels, layer } = layers[0];
    expect(layer).toBe('conv2');
    expect(threshold).toBe(2);
    for (const [c, gap] of gaps.entries()) expect(channels[c].gap / gap).toBeCloseTo(1, 3);
    expect(states(channels)).toEqual(['awake', 'asleep', 'asleep', 'beyond', 'beyond']);
    expect(beyond.map((b) => [b.layer, b.channel])).toEqual([
      ['conv2', 4],
      ['conv2', 3],
    ]);
  });

  it('tells a network most of whose biases are -1e20, where an outlier among biases is none', async () => {
    const set = withValues(nets.cnn(1), 'conv2.bias', (v, c) => (c < 4 ? -1e20 : v));
    const { beyond } = await asleep(runtime, set, images, { layer: 'conv2' });
    expect(beyond.map((b) => `${b.layer} ${b.channel}`).sort()).toEqual(['conv2 0', 'conv2 1', 'conv2 2', 'conv2 3']);
    expect(Math.min(...beyond.map((b) => b.gap))).toBeGreaterThan(1e15);
    expect((await asleep(runtime, nets.cnn(1), images)).layers.map((l) => l.layer)).toEqual(['conv1', 'conv2', 'fc1']);
  });

  it('does not take a cut channel for a sleeping one', async () => {
    const zero = withValues(
      withValues(nets.cnn(1), 'conv2.weight', (v, i) => (i < 27 ? 0 : v)),
      'conv2.bias',
      (v, c) => (c === 0 ? 0 : v),
    );
    const { layers } = await asleep(runtime, zero, images, { layer: 'conv2' });
    expect(layers[0].channels[0]).toEqual({ channel: 0, gap: Number.NaN, state: 'empty' });
  });

  it('looks behind a batch norm, and says which layers it leaves out and why', async () => {
    const net = nets.residualNet();
    const { layers, leftOut } = await asleep(runtime, net, images);
    expect(layers.map((l) => l.layer)).toEqual(['stem', 'block.conv1']);
    expect(leftOut).toEqual([
      { layer: 'block.conv2', why: 'behind it comes no activation, not a ReLU' },
      { layer: 'block.add', why: 'its channels are those of several layers' },
    ]);
    const low = withValues(net, 'block.bn1.shift', (v, c) => (c === 1 ? -1e20 : v));
    expect((await asleep(runtime, low, images)).beyond.map((b) => `${b.layer} ${b.channel}`)).toEqual(['block.conv1 1']);
    await expect(asleep(runtime, nets.sigmoidNet(), images, { layer: 'conv1' })).rejects.toThrow(
      'layer "conv1": cannot be checked for dead channels: behind it comes Sigmoid, not a ReLU. Try another layer.',
    );
  });

  it('does not change what the network computes', async () => {
    const net = nets.cnn(2);
    const before = [...net.graph.initializers].map(([name, t]) => [name, [...(t.data as Float32Array)]]);
    await asleep(runtime, net, images);
    expect([...net.graph.initializers].map(([name, t]) => [name, [...(t.data as Float32Array)]])).toEqual(before);
  });
});

describe('marginSweep', () => {
  let clean: Model;
  let step3: PrunedBadnet;
  const data = { train: nets.bars(200, 'train'), tune: nets.bars(60, 'tune') };
  beforeAll(async () => {
    const training = {
      epochs: 4,
      batchSize: 32,
      learningRate: 0.05,
      optimizer: { kind: 'sgd', momentum: 0.9, weightDecay: 0 },
      seed: 1,
    } as const;
    const attack = { trigger: parseTrigger({ kind: 'pattern' }), labelMap: { kind: 'target', target: 1 }, fraction: 0.3, seed: 1 } as const;
    clean = (await train(runtime, nets.cnn(3), data.train, training)).model;
    const hold = { cleanAccuracy: 0, attackSuccess: 0 };
    step3 = await trainPruned(runtime, clean, data, { layer: 'conv2', attack, prune: 3, hold, training: { ...training, epochs: 1 } });
  });

  it('catches the paper rule and wide margins, and finds the smallest one caught', async () => {
    const margins = [0.1, 10000, 1000, 1];
    const sweep = await marginSweep(runtime, clean, step3, data, images, margins);
    expect(sweep.paper).toMatchObject({ margin: undefined, asleep: 3, beyond: 3, lowered: 3 });
    expect(sweep.margins.map((s) => s.margin)).toEqual(margins);
    const byMargin = sweep.margins.toSorted((a, b) => (a.margin ?? 0) - (b.margin ?? 0));
    expect(byMargin.map((s) => s.largest)).toEqual(byMargin.map((s) => s.largest).toSorted((a, b) => a - b));
    expect(byMargin[0].beyond).toBe(0);
    expect(byMargin[0].asleep).toBeGreaterThan(sweep.clean.asleep);
    expect(sweep.smallestCaught).toBe(byMargin.find((s) => s.beyond > 0)?.margin);
    expect(sweep.smallestCaught).toBeDefined();
    expect(await marginSweep(runtime, clean, step3, data, images, [0.1])).toMatchObject({
      smallestCaught: undefined,
      of: 5,
      layer: 'conv2',
    });
  });
});
