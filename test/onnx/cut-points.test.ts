import { afterAll, describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32 } from '../../src/core/tensor.ts';
import { type CutPoint, cutPoints } from '../../src/onnx/cut-points.ts';
import { cloneModel } from '../../src/onnx/edit.ts';
import type { Model } from '../../src/onnx/model.ts';
import { compactChannels, whyNotCompact } from '../../src/onnx/passes/compact-channels.ts';
import { CUT_KEY, cutChannels, cutMasks, readCuts } from '../../src/onnx/passes/cut-channels.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import * as nets from '../defend/tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

async function points(model: Model): Promise<Record<string, CutPoint>> {
  const { layers } = cutPoints(model, await probe(runtime, model, { batch: 2 }));
  return Object.fromEntries(layers.map((l) => [l.layer, l]));
}

/** Values of a model for fixed random images. */
async function values(model: Model, names: readonly string[]): Promise<Float32Array[]> {
  const wide = cloneModel(model);
  wide.graph.outputs = names.map((name) => ({ name, dtype: undefined, dims: undefined }));
  const rng = Rng.from(9, 'images');
  const x = f32(
    Float32Array.from({ length: 4 * nets.SIDE ** 2 }, () => rng.normal()),
    [4, 1, nets.SIDE, nets.SIDE],
  );
  const session = await runtime.open(wide);
  try {
    const out = await session.run({ x });
    return names.map((name) => out[name].data as Float32Array);
  } finally {
    await session.close();
  }
}

const logitsOf = (model: Model): string => model.graph.outputs[0].name;

function near(a: Float32Array, b: Float32Array): void {
  expect(a.length).toBe(b.length);
  for (let i = 0; i < a.length; i++) expect(a[i]).toBeCloseTo(b[i], 4);
}

describe('cut points', () => {
  it('follows a CNN through activation, pooling and flatten', async () => {
    const p = await points(nets.cnn());
    expect(Object.keys(p)).toEqual(['conv1', 'conv2', 'fc1']);
    expect(p.conv2).toMatchObject({
      value: 'relu2',
      cutValue: 'relu2',
      activation: 'Relu',
      rankBy: 'mean',
      channels: 5,
      zeroable: true,
      joined: false,
      path: ['Relu', 'AveragePool', 'Flatten', 'Gemm'],
      parameters: [
        { name: 'conv2.weight', axis: 0, kind: 'weight' },
        { name: 'conv2.bias', axis: 0, kind: 'bias' },
      ],
    });
    expect(p.conv2.dims).toEqual([2, 5, 4, 4]);
    expect(p.conv2.ends.map((e) => [e.kind, e.value])).toEqual([['linear', 'flatten']]);
    expect([...p.conv2.ends[0].layout.map]).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4]);
    expect(p.fc1).toMatchObject({ value: 'relu3', channels: 6 });
  });

  it('leaves the output layer out and says why', async () => {
    const model = nets.cnn();
    const { leftOut } = cutPoints(model, await probe(runtime, model, { batch: 2 }));
    expect(leftOut.map((l) => [l.layer, l.why])).toEqual([['fc2', "its channels are the model's outputs"]]);
  });

  it('takes batch norm before and behind the activation along', async () => {
    const p = await points(nets.batchNormNet());
    expect(p.conv1.parameters.map((q) => q.name)).toEqual(['conv1.weight', 'conv1.bias', 'bn1.scale', 'bn1.shift']);
    expect(p.conv1).toMatchObject({ value: 'relu1', cutValue: 'relu1' });
    // The ranked value is behind ReLU; the batch norm behind the pool would turn zero into something else, so it is zeroed too.
    expect(p.conv2).toMatchObject({ value: 'relu2', cutValue: 'bn2', zeroable: true, rankBy: 'mean' });
    expect(p.conv2.parameters.map((q) => q.name)).toEqual(['conv2.weight', 'conv2.bias', 'bn2.scale', 'bn2.shift']);
  });

  it('cuts a residual branch before the Add and ranks it by magnitude', async () => {
    const p = await points(nets.residualNet());
    expect(p['block.conv2']).toMatchObject({
      value: 'block.bn2',
      cutValue: 'block.bn2',
      rankBy: 'magnitude',
      joined: true,
      zeroable: true,
    });
    expect(p.stem).toMatchObject({ value: 'stem.relu', joined: true });
    expect(p['block.conv1'].joined).toBe(false);
  });

  it('sees where zero weights do not give zero, and SiLU as one activation', async () => {
    const p = await points(nets.sigmoidNet());
    expect(p.conv1).toMatchObject({ zeroable: false, notZeroable: 'Sigmoid makes something else than 0 of 0' });
    expect(p.conv2).toMatchObject({ zeroable: true, value: 'silu', activation: 'Sigmoid-gated' });
    expect(p.conv3.zeroable).toBe(false);
  });

  it('does not zero weights that another node reads', async () => {
    const model = nets.cnn();
    model.graph.initializers.set('conv2.bias', f32([1, 2, 3, 4, 5], [5]));
    model.graph.nodes.push({
      name: 'again',
      opType: 'Abs',
      domain: '',
      inputs: ['conv2.bias'],
      outputs: ['copy'],
      attributes: new Map(),
    });
    expect((await points(model)).conv2).toMatchObject({ zeroable: false, notZeroable: '"conv2.bias" is used by several nodes' });
  });
});

describe('cut channels', () => {
  it.each(Object.keys(nets.all))('%s: the cut value is zero for these channels and as before for others', async (name) => {
    const model = nets.all[name](3);
    for (const point of Object.values(await points(model))) {
      const cut = [1, 3].filter((c) => c < point.channels);
      const { model: after, modified, masks } = cutChannels(model, point, cut);
      expect(modified).toBe(true);
      expect(masks.size).toBe(point.zeroable ? point.parameters.length : 0);
      const seen = point.zeroable ? point.cutValue : `${point.cutValue}/cut`;
      const [before] = await values(model, [point.cutValue]);
      const [now] = await values(after, [seen]);
      const space = before.length / 4 / point.channels;
      for (let i = 0; i < before.length; i++) {
        const channel = Math.floor(i / space) % point.channels;
        if (cut.includes(channel)) expect(Math.abs(now[i])).toBe(0);
        else expect(now[i]).toBeCloseTo(before[i], 5);
      }
      expect(readCuts(readModel(writeModel(after))).get(point.layer)).toEqual(cut);
    }
  });

  it('adds up over several cuts, by weights and by Mul, and leaves the first model alone', async () => {
    for (const [model, layer] of [
      [nets.cnn(), 'conv2'],
      [nets.sigmoidNet(), 'conv1'],
    ] as const) {
      const bytes = writeModel(model);
      const point = (await points(model))[layer];
      const once = cutChannels(model, point, [0, 2]);
      const first = cutChannels(model, point, [0]);
      const twice = cutChannels(first.model, point, [2]);
      expect(readCuts(twice.model).get(layer)).toEqual([0, 2]);
      expect(twice.model.graph.nodes.length).toBe(once.model.graph.nodes.length);
      near((await values(twice.model, [logitsOf(model)]))[0], (await values(once.model, [logitsOf(model)]))[0]);
      expect(cutChannels(once.model, point, [0]).modified).toBe(false);
      expect(writeModel(model)).toEqual(bytes);
    }
  });

  it('finds the masks again from the file', async () => {
    const model = nets.batchNormNet();
    const point = (await points(model)).conv2;
    const { model: after, masks } = cutChannels(model, point, [4]);
    const read = readModel(writeModel(after));
    expect(cutMasks(read, (await points(read)).conv2)).toEqual(masks);
    expect(masks.get('conv2.weight')).toEqual(f32([1, 1, 1, 1, 0], [5, 1, 1, 1]));
  });

  it('says which channels there are, and refuses a record that is not ours', async () => {
    const model = nets.cnn();
    const point = (await points(model)).conv2;
    expect(() => cutChannels(model, point, [5])).toThrow('layer conv2: no such channel, expected 0 to 4, got 5.');
    model.metadata.set(CUT_KEY, '{"conv2": "all"}');
    expect(() => readCuts(model)).toThrow(
      'model metadata secateur.cut: unreadable record of cut channels, expected {"layer": [0, 3]}, got {"conv2": "all"}.',
    );
  });
});

describe('compact', () => {
  it.each(['cnn', 'batchNormNet', 'sigmoidNet', 'mlp'])('%s: a smaller file with the logits of the cut one', async (name) => {
    const model = nets.all[name](5);
    for (const point of Object.values(await points(model))) {
      const cut = [0, point.channels - 1];
      const zeroed = cutChannels(model, point, cut).model;
      const again = (await points(zeroed))[point.layer];
      const { model: small, modified } = compactChannels(zeroed, again, cut);
      expect(modified).toBe(true);
      expect(writeModel(small).length).toBeLessThan(writeModel(zeroed).length);
      expect((await points(small))[point.layer].channels).toBe(point.channels - 2);
      expect(readCuts(small).size).toBe(0);
      near((await values(small, [logitsOf(model)]))[0], (await values(zeroed, [logitsOf(model)]))[0]);
    }
  });

  it('remembers what was cut before and stays in the file, by its new number', async () => {
    for (const name of ['cnn', 'sigmoidNet'] as const) {
      const model = nets.all[name](5);
      const { conv2 } = await points(model);
      const zeroed = cutChannels(model, conv2, [0, 3]).model;
      const small = compactChannels(zeroed, (await points(zeroed)).conv2, [1, 2]).model;
      expect(readCuts(small)).toEqual(new Map([['conv2', [0, 1]]]));
      const again = (await points(small)).conv2;
      expect(cutChannels(small, again, [1]).modified).toBe(false);
      for (const [weight, mask] of cutMasks(small, again)) {
        const { dims, data } = small.graph.initializers.get(weight)!;
        const each = data.length / dims[0];
        for (const c of [0, 1]) expect([...(data as Float32Array).subarray(c * each, (c + 1) * each)].every((v) => v === 0)).toBe(true);
        expect([...(mask.data as Float32Array)]).toEqual([0, 0, 1]);
      }
    }
  });

  it('shrinks every layer of a network one after the other', async () => {
    let model = nets.cnn(7);
    let zeroed = model;
    for (const layer of ['conv1', 'conv2', 'fc1']) {
      zeroed = cutChannels(zeroed, (await points(zeroed))[layer], [1]).model;
      model = compactChannels(model, (await points(model))[layer], [1]).model;
    }
    expect(model.graph.initializers.get('conv2.weight')?.dims).toEqual([4, 2, 3, 3]);
    expect(model.graph.initializers.get('fc1.weight')?.dims).toEqual([5, 16]);
    near((await values(model, ['fc2']))[0], (await values(zeroed, ['fc2']))[0]);
  });

  it('says why it cannot', async () => {
    const residual = nets.residualNet();
    const p = await points(residual);
    expect(() => compactChannels(residual, p['block.conv2'], [0])).toThrow(
      'layer block.conv2: its channels cannot be taken out of the file: node "block.add" (Add) adds them to another value. ' +
        'Try without --compact: the channels are zero then, and stay in the file.',
    );
    const grouped = nets.groupedNet();
    const q = await points(grouped);
    expect(whyNotCompact(q.conv1)).toBe('node "grouped" (Conv) is a grouped convolution');
    expect(whyNotCompact(q.grouped)).toBe('it is a grouped convolution');
    const model = nets.cnn();
    const { conv2 } = await points(model);
    expect(() => compactChannels(model, conv2, [0, 1, 2, 3, 4])).toThrow(
      'layer conv2: no channel would be left, expected at most 4 channels to take out, got 5.',
    );
  });
});
