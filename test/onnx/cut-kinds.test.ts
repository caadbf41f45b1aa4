import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32, type Tensor } from '../../src/core/tensor.ts';
import { type CutPoint, cutPoints } from '../../src/onnx/cut-points.ts';
import { cloneModel, replaceInput, topologicalOrder, usedValues } from '../../src/onnx/edit.ts';
import type { Model } from '../../src/onnx/model.ts';
import { compactChannels, whyNotCompact } from '../../src/onnx/passes/compact-channels.ts';
import { cutChannels, cutMasks, maskDims } from '../../src/onnx/passes/cut-channels.ts';
import { sliceMask } from '../../src/onnx/slices.ts';
import type { ValueTypes } from '../../src/onnx/value-types.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import { blocks, constantWeights, flipped, heads, learnedSwish, resized, SIDE, stacked, transformer } from './cut-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

const IMAGES = 3;
const typesOf = (model: Model): Promise<ValueTypes> => probe(runtime, model, { batch: 2 });
const pointsOf = async (model: Model): Promise<CutPoint[]> => cutPoints(model, await typesOf(model)).layers;

/** Every float value of a model, for fixed random images. */
async function everything(model: Model): Promise<Record<string, Tensor>> {
  const wide = cloneModel(model);
  const names = wide.graph.nodes.flatMap((n) => n.outputs).filter((name) => name !== '');
  wide.graph.outputs = names.map((name) => ({ name, dtype: undefined, dims: undefined }));
  const rng = Rng.from(9, 'images');
  const x = Float32Array.from({ length: IMAGES * SIDE ** 2 }, () => rng.normal());
  const session = await runtime.open(wide);
  try {
    return await session.run({ x: f32(x, [IMAGES, 1, SIDE, SIDE]) });
  } finally {
    await session.close();
  }
}

/** The model with a Mul by zeros and ones at the cut value, whatever the weights could do: what cutting means. */
function masked(model: Model, point: CutPoint, cut: readonly number[]): Model {
  const copy = cloneModel(model);
  const { graph } = copy;
  graph.initializers.set('test/mask', sliceMask(maskDims(point), 0, cut));
  replaceInput(graph, point.cutValue, 'test/masked');
  const inputs = [point.cutValue, 'test/mask'];
  graph.nodes.push({ name: 'test/mul', opType: 'Mul', domain: '', inputs, outputs: ['test/masked'], attributes: new Map() });
  graph.nodes = topologicalOrder(graph);
  return copy;
}

/** Values from which `target` cannot be reached: nothing but the cut may change them. */
function elsewhere(model: Model, target: string): string[] {
  const before = new Set([target]);
  for (const node of topologicalOrder(model.graph).toReversed()) {
    if (node.outputs.some((name) => before.has(name))) for (const name of usedValues(node)) before.add(name);
  }
  return model.graph.nodes.flatMap((n) => n.outputs).filter((name) => name !== '' && !before.has(name));
}

function near(got: Tensor, wanted: Tensor, what: string): void {
  expect(got.dims, what).toEqual(wanted.dims);
  const [a, b] = [got.data as Float32Array, wanted.data as Float32Array];
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i] - b[i]));
  expect(worst, what).toBeLessThan(2e-4);
}

/** Which channel each element of the cut value belongs to. */
function channelAt(point: CutPoint, dims: readonly number[]): (i: number) => number {
  const space = dims.slice(point.cutAxis + 1).reduce((a, d) => a * d, 1);
  return (i) => Math.floor(i / space) % point.channels;
}

async function checkCut(model: Model, point: CutPoint, cut: readonly number[]): Promise<void> {
  const what = `${point.layer} (${point.kind}) without ${cut.join(' ')}`;
  const after = cutChannels(model, point, cut);
  const [before, wanted, got] = [await everything(model), await everything(masked(model, point, cut)), await everything(after.model)];
  const seen = got[point.zeroable ? point.cutValue : `${point.cutValue}/cut`];
  const channel = channelAt(point, seen.dims);
  const old = before[point.cutValue].data as Float32Array;
  let [loudest, moved] = [0, 0];
  for (const [i, v] of (seen.data as Float32Array).entries()) {
    if (cut.includes(channel(i))) loudest = Math.max(loudest, Math.abs(v));
    else moved = Math.max(moved, Math.abs(v - old[i]));
  }
  expect(loudest, what).toBe(0);
  expect(moved, what).toBeLessThan(1e-5);
  for (const name of elsewhere(model, point.cutValue)) {
    if (got[name] !== undefined && wanted[name]?.dtype === 'float32') near(got[name], wanted[name], `${what}: ${name}`);
  }
  const logits = model.graph.outputs[0].name;
  near(got[logits], wanted[logits], what);
  const masks = cutMasks(after.model, point);
  expect(masks.size > 0, what).toBe(point.zeroable);
  for (const [name, mask] of masks) expect(after.model.graph.initializers.has(name) && mask.dtype === 'float32', name).toBe(true);
  if (whyNotCompact(point, cut) !== undefined) return;
  // A smaller file, from the model as it was and from the one with zeros in it.
  for (const from of [model, after.model]) {
    const small = compactChannels(from, point, cut).model;
    near((await everything(small))[logits], wanted[logits], `${what}, taken out`);
  }
}

/** A random part of the channels, never all and never none. */
function some(point: CutPoint, rng: Rng): number[] {
  const order = [...rng.permutation(point.channels)];
  return order.slice(0, 1 + rng.int(Math.max(1, point.channels - 1))).sort((a, b) => a - b);
}

const kinds: Record<string, () => Model> = {
  ...Object.fromEntries(Object.keys(blocks).map((name) => [name, () => stacked([name, 'plain'], 'averaged', 3)])),
  ...Object.fromEntries(Object.keys(heads).map((name) => [`${name} head`, () => stacked(['plain'], name, 5)])),
  transformer: () => transformer(4),
  constantWeights: () => constantWeights(2),
  flipped,
  learnedSwish,
  'opset 9': () => stacked(['shuffle', 'inverted', 'paddedShortcut'], 'averaged', 6, 9),
  'opset 11': () => stacked(['shuffle', 'gated'], 'flattenedLast', 7, 11),
};

describe('a cut channel is zero at the cut value, and nothing changes but by that', () => {
  it.each(Object.keys(kinds))('%s, every point', async (name) => {
    const model = kinds[name]();
    const rng = Rng.from(name.length, name);
    const points = await pointsOf(model);
    expect(points.length).toBeGreaterThan(0);
    for (const [i, point] of points.entries()) {
      // All but one, or some of them.
      const all = Array.from({ length: point.channels }, (_, c) => c);
      await checkCut(model, point, i % 3 === 0 ? all.filter((c) => c !== rng.int(1) + (point.channels >> 1)) : some(point, rng));
    }
  });

  it('random stacks of blocks, a random point of each', async () => {
    const stack = fc.record({
      names: fc.array(fc.constantFrom(...Object.keys(blocks)), { minLength: 2, maxLength: 4 }),
      head: fc.constantFrom(...Object.keys(heads)),
      opset: fc.constantFrom(9, 11, 13, 17),
      seed: fc.integer({ min: 1, max: 1000 }),
    });
    await fc.assert(
      fc.asyncProperty(stack, async ({ names, head, opset, seed }) => {
        const model = stacked(names, head, seed, opset);
        const rng = Rng.from(seed, 'point');
        const points = await pointsOf(model);
        const point = points[rng.int(points.length)];
        await checkCut(model, point, some(point, rng));
      }),
      { numRuns: 12, seed: 11 },
    );
  });
});

describe('which points there are', () => {
  const table = async (model: Model): Promise<Record<string, string>> => {
    const points = await pointsOf(model);
    return Object.fromEntries(
      points.map((p) => [p.layer, `${p.kind} ${p.channels} ${p.zeroable ? 'weights' : `Mul (${p.notZeroable})`} at ${p.cutValue}`]),
    );
  };

  it('a residual Add by a Mul, or by weights where nobody else reads what comes in', async () => {
    expect((await table(kinds.residual()))['0.add']).toBe('join 4 Mul (node "0.conv1" (Conv) reads "stem.pool" too) at 0.relu2');
    expect((await table(kinds.projected()))['0.add']).toBe('join 6 weights at 0.relu2');
    const [add] = (await pointsOf(kinds.projected())).filter((p) => p.kind === 'join');
    expect(add.parameters.map((p) => p.name).sort()).toEqual(['0.conv2.bias', '0.conv2.weight', '0.skip.bn.scale', '0.skip.bn.shift']);
  });

  it('a Concat by the slices of its branches, or by the norm over it', async () => {
    const t = await table(kinds.branches());
    expect(t['0.concat']).toBe('concat 7 weights at 0.concat');
    expect((await table(kinds.dense()))['0.concat']).toBe('concat 7 weights at 0.relu');
    const [concat] = (await pointsOf(kinds.branches())).filter((p) => p.kind === 'concat');
    expect(concat.parameters.filter((p) => p.kind === 'weight').map((p) => [p.name, [...(p.map ?? [])]])).toEqual([
      ['0.c.weight', [5, 6]],
      ['0.b.weight', [2, 3, 4]],
      ['0.a.weight', [0, 1]],
    ]);
  });

  it('a norm of what others read too', async () => {
    const t = await table(kinds.preActivation());
    expect(t['0.bn1']).toBe('norm 4 weights at 0.relu1');
    expect(t['0.add']).toBe('join 4 weights at 0.relu2');
  });

  it('a depthwise convolution goes with the one before it', async () => {
    const t = await table(kinds.inverted());
    expect(t['0.wide']).toBe('layer 5 weights at 0.six2');
    expect(t['0.dw']).toBe('layer 5 weights at 0.six2');
    const [wide] = (await pointsOf(kinds.inverted())).filter((p) => p.layer === '0.wide');
    expect(wide.value).toBe('0.six1');
    expect(wide.parameters.map((p) => p.name)).toEqual(['0.wide.weight', '0.wide.bias', '0.dw.weight', '0.dw.bias']);
  });

  it('channels on the last axis, attention left alone', async () => {
    const model = transformer();
    const { layers, leftOut } = cutPoints(model, await typesOf(model));
    expect(leftOut.map((l) => l.layer)).toEqual(['q.product', 'k.product', 'v.product', 'head']);
    expect(leftOut[0].why).toBe('it makes the queries, keys or values of attention heads, which are left alone');
    const fc1 = layers.find((l) => l.layer === 'fc1.product');
    expect(fc1).toMatchObject({ channels: 6, axis: 2, dims: [2, 16, 6], activation: 'Gelu', value: 'gelu.product', zeroable: true });
    expect(layers.filter((l) => l.kind === 'join').map((l) => l.layer)).toEqual(['add1', 'add2']);
  });

  it('channels that are turned round are found again', async () => {
    const [conv] = await pointsOf(flipped());
    expect([...conv.ends[0].layout.map]).toEqual([4, 3, 2, 1, 0]);
    expect(whyNotCompact(conv, [0])).toBe('node "flip" (Slice) picks channels by number');
  });

  it('through a shuffle the channels are found again', async () => {
    const [concat] = (await pointsOf(kinds.shuffle())).filter((p) => p.kind === 'concat');
    expect(concat.path).toEqual(['Reshape', 'Transpose', 'Reshape', 'Conv']);
    expect([...concat.ends[0].layout.map]).toEqual([0, 3, 1, 4, 2, 5]);
  });
});

describe('taking channels out of the file', () => {
  it('not where a size in the graph counts them', async () => {
    const why: Record<string, string | undefined> = {};
    for (const by of ['sizes', 'space', 'scales', 'expand', 'ones'] as const) {
      const model = resized(by);
      const [point] = await pointsOf(model);
      why[by] = whyNotCompact(point, [1]) ?? 'yes';
      if (why[by] !== 'yes') continue;
      const [small, cut] = [compactChannels(model, point, [1, 3]).model, cutChannels(model, point, [1, 3]).model];
      near((await everything(small)).fc, (await everything(cut)).fc, by);
    }
    expect(why).toEqual({
      sizes: 'node "up" (Resize) says how many there are',
      space: 'yes',
      scales: 'yes',
      expand: 'node "up" (Expand) says how many there are',
      ones: 'yes',
    });
  });

  it('where it can be done, and why not where it cannot', async () => {
    const found: Record<string, string> = {};
    for (const name of [
      'projected',
      'branches',
      'inverted',
      'gated',
      'shuffle',
      'residual',
      'dense',
      'grouped',
      'channelsLast',
      'transformer',
    ]) {
      for (const point of await pointsOf(kinds[name]())) {
        if (point.layer.startsWith('stem') || point.layer.startsWith('1.')) continue;
        found[`${name} ${point.layer}`] = whyNotCompact(point, [0]) ?? 'yes';
      }
    }
    expect(found).toMatchInlineSnapshot(`
      {
        "branches 0.a": "yes",
        "branches 0.b": "yes",
        "branches 0.c": "yes",
        "branches 0.concat": "yes",
        "branches 0.squeeze": "yes",
        "channelsLast 0.conv": "yes",
        "channelsLast 0.dense": "yes",
        "dense 0.concat": "node "0.conv1" (Conv) reads "stem.pool" too",
        "dense 0.conv1": "node "0.bn" (BatchNormalization) makes something else than 0 of a cut channel",
        "gated 0.dw": "yes",
        "gated 0.narrow": "yes",
        "gated 0.se1": "yes",
        "gated 0.se2": "node "0.mean" (GlobalAveragePool) reads "0.silu2" too",
        "gated 0.wide": "yes",
        "grouped 0.conv1": "node "0.grouped" (Conv) is a grouped convolution",
        "grouped 0.grouped": "it is a grouped convolution",
        "inverted 0.add": "node "0.wide" (Conv) reads "stem.pool" too",
        "inverted 0.dw": "yes",
        "inverted 0.narrow": "node "0.add" (Add) adds them to another value",
        "inverted 0.wide": "yes",
        "projected 0.add": "yes",
        "projected 0.conv1": "yes",
        "projected 0.conv2": "node "0.add" (Add) adds them to another value",
        "projected 0.skip": "node "0.add" (Add) adds them to another value",
        "residual 0.add": "node "0.conv1" (Conv) reads "stem.pool" too",
        "residual 0.conv1": "yes",
        "residual 0.conv2": "node "0.add" (Add) adds them to another value",
        "shuffle 0.concat": "node "0.split" (Split) is on the way",
        "shuffle 0.conv1": "yes",
        "shuffle 0.conv2": "node "0.apart" (Reshape) shuffles them",
        "shuffle 0.dw": "yes",
        "shuffle 0.in": "node "0.apart" (Reshape) shuffles them",
        "transformer add1": "node "ln1" (LayerNormalization) reads "placed" too",
        "transformer add2": "node "ln2" (LayerNormalization) reads "add1" too",
        "transformer fc1.product": "yes",
        "transformer fc2.product": "node "add2" (Add) adds them to another value",
        "transformer out.product": "node "add1" (Add) adds them to another value",
        "transformer patches": "node "ln1" (LayerNormalization) reads them",
      }
    `);
  });
});
