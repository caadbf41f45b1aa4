/** Fine-tuning networks as strangers export them: a fixed batch, batch norms that are folded, shared, or asked for their batch's statistics. */
import { describe, expect, it, vi } from 'vitest';
import { fineprune } from '../../src/defend/fineprune.ts';
import { type FinetuneOptions, finetune } from '../../src/defend/finetune.ts';
import { prune } from '../../src/defend/prune.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { cloneModel } from '../../src/onnx/edit.ts';
import type { Model } from '../../src/onnx/model.ts';
import type { Runtime } from '../../src/runtime/session.ts';
import { inProcess } from '../grad/runtime.ts';
import { batchNormNet, cnn, images } from './tiny-nets.ts';

const validation = images(40, 'validation');
async function tuned(model: Model, options: FinetuneOptions = {}): Promise<{ model: Model; notices: string[] }> {
  const notices: string[] = [];
  const result = await finetune(inProcess, model, validation, {
    epochs: 1,
    batchSize: 20,
    ...options,
    onProgress: (p) => {
      if (p.kind === 'notice') notices.push(p.text);
    },
  });
  return { model: result.model, notices };
}
const changed = (before: Model, after: Model): string[] =>
  [...after.graph.initializers]
    .filter(([name, t]) => before.graph.initializers.get(name) !== t && !same(t, before.graph.initializers.get(name)))
    .map(([name]) => name);
const same = (a: { data: ArrayLike<unknown> }, b: { data: ArrayLike<unknown> } | undefined): boolean =>
  b !== undefined && a.data.length === b.data.length && Array.from(a.data).every((v, i) => Object.is(v, b.data[i]));

describe('batch norm while fine-tuning', () => {
  it('is in inference mode by default: running statistics stay', async () => {
    const { model, notices } = await tuned(batchNormNet());
    expect(notices).toEqual([]);
    expect(changed(batchNormNet(), model).filter((name) => /mean|var/.test(name))).toEqual([]);
    expect(changed(batchNormNet(), model)).toContain('bn1.scale');
  });

  it('follows the batches in training mode', async () => {
    const { model, notices } = await tuned(batchNormNet(), { batchNorm: 'training' });
    expect(notices).toEqual([]);
    expect(changed(batchNormNet(), model).filter((name) => /mean|var/.test(name))).toEqual(['bn1.mean', 'bn1.var', 'bn2.mean', 'bn2.var']);
  });

  it('says that small batches have rough statistics, and refuses those of one image', async () => {
    expect((await tuned(batchNormNet(), { batchNorm: 'training', batchSize: 4 })).notices).toEqual([
      'statistics of 4 images at a time are rough: a larger batch, or batch norm in inference mode',
    ]);
    await expect(tuned(batchNormNet(), { batchNorm: 'training', batchSize: 1 })).rejects.toThrow(
      '--batch-norm: no statistics of a batch of one image, expected inference, got training. Try --batch-norm inference, which leaves the running statistics as they are.',
    );
  });

  it('says that there is none where the exporter folded it', async () => {
    expect((await tuned(cnn(), { batchNorm: 'training' })).notices).toEqual([
      'batch norm in training mode changes nothing: the network has none (exporters fold it into the convolutions before it)',
    ]);
  });

  it('gives statistics that the exporter stored once to each norm', async () => {
    const shared = cloneModel(batchNormNet());
    const { graph } = shared;
    const first = graph.nodes.find((n) => n.name === 'bn1')!;
    const double = GraphBuilder.from(shared);
    const again = double.op('BatchNormalization', ['bn1', ...first.inputs.slice(1)], {}, { name: 'bn1again' });
    const model = double.build();
    model.graph.nodes.find((n) => n.name === 'relu1')!.inputs[0] = again;
    const order = model.graph.nodes;
    order.splice(
      order.findIndex((n) => n.name === 'relu1'),
      0,
      order.pop()!,
    );
    const result = await tuned(model, { batchNorm: 'training' });
    const after = result.model.graph;
    const [one, two] = ['bn1', 'bn1again'].map((name) => after.nodes.find((n) => n.name === name)!.inputs);
    expect(result.notices).toEqual([]);
    // Running statistics that stay as they are may be one, and so may what is trained: but that is told.
    expect((await tuned(model)).notices).toEqual([
      '2 weights are read by several nodes and trained as one, "bn1.scale" first: exporters store equal values once',
    ]);
    expect(one[3]).not.toBe(two[3]);
    expect(after.initializers.get(one[3])).not.toEqual(after.initializers.get(two[3]));
  });
});

describe('a fixed batch', () => {
  const fixed = (batch: number): Model => {
    const model = cloneModel(cnn());
    for (const info of [...model.graph.inputs, ...model.graph.outputs]) info.dims![0] = batch;
    return model;
  };

  it('is freed for training and fixed again in what comes out', async () => {
    const [one, free] = [await tuned(fixed(1)), await tuned(cnn())];
    expect(one.notices).toEqual([]);
    expect(one.model.graph.inputs[0].dims?.[0]).toBe(1);
    for (const [name, tensor] of free.model.graph.initializers) expect(one.model.graph.initializers.get(name)?.data).toEqual(tensor.data);
  });

  it('that cannot be freed is what the steps are made of', async () => {
    const stuck = fixed(8);
    const b = GraphBuilder.from(stuck);
    // centred over the batch: eight images know of each other
    const mean = b.op('ReduceMean', ['x'], { axes: [0], keepdims: 1 }, { name: 'mean' });
    const centred = b.op('Sub', ['x', mean], {}, { name: 'centred' });
    const model = b.build();
    model.graph.nodes.find((n) => n.name === 'conv1')!.inputs[0] = centred;
    model.graph.nodes.unshift(...model.graph.nodes.splice(-2));
    const result = await tuned(model);
    expect(result.notices).toEqual([
      'steps of 8 instead of 20 images: the network takes no other number (node "mean" (ReduceMean) mixes the images)',
    ]);
    expect(changed(model, result.model)).toContain('conv1.weight');
  });
});

describe('operators that go by steps', () => {
  it('leave what stands before them as it is, and that is told', async () => {
    const b = GraphBuilder.from(cnn());
    const sign = b.op('Sign', ['relu2'], {}, { name: 'sign' });
    const model = b.build();
    model.graph.nodes.find((n) => n.name === 'pool2')!.inputs[0] = sign;
    model.graph.nodes.splice(5, 0, model.graph.nodes.pop()!);
    const result = await tuned(model);
    expect(result.notices).toEqual(['4 of 8 weights get no gradient and stay as they are, "conv1.weight" first: doctor says why']);
    expect(changed(model, result.model).sort()).toEqual(['fc1.bias', 'fc1.weight', 'fc2.bias', 'fc2.weight']);
  });
});

describe('--freeze-before', () => {
  /** `cnn` with an operator between its convolutions and its fully connected layers for which there is no gradient. */
  function blockedNet(): Model {
    const b = GraphBuilder.from(cnn());
    const odd = b.op('Normalizer', ['flatten'], { norm: 'L2' }, { name: 'odd', domain: 'ai.onnx.ml' });
    const model = b.build();
    const { nodes } = model.graph;
    const next = nodes.findIndex((n) => n.name === 'fc1');
    nodes[next].inputs[0] = odd;
    nodes.splice(next, 0, nodes.pop()!);
    return model;
  }

  it('trains what comes behind an operator without a gradient', async () => {
    await expect(tuned(blockedNet())).rejects.toThrow(
      /^grad: no rule for operator "ai\.onnx\.ml\.Normalizer" \(node "odd"\)\. Try --freeze-before fc1 to train only the layers after it\.$/,
    );
    const result = await tuned(blockedNet(), { freezeBefore: 'fc1' });
    expect(result.notices).toEqual([]);
    expect(changed(blockedNet(), result.model).sort()).toEqual(['fc1.bias', 'fc1.weight', 'fc2.bias', 'fc2.weight']);
    expect(changed(blockedNet(), (await tuned(blockedNet(), { freezeBefore: 'fc2' })).model).sort()).toEqual(['fc2.bias', 'fc2.weight']);
  });

  it('says nothing of weights that were frozen on purpose', async () => {
    const b = GraphBuilder.from(cnn());
    const sign = b.op('Sign', ['relu2'], {}, { name: 'sign' });
    const model = b.build();
    model.graph.nodes.find((n) => n.name === 'pool2')!.inputs[0] = sign;
    model.graph.nodes.splice(5, 0, model.graph.nodes.pop()!);
    expect((await tuned(model, { freezeBefore: 'fc1' })).notices).toEqual([]);
    expect((await tuned(model, { freezeBefore: 'conv2' })).notices).toEqual([
      '2 of 6 weights get no gradient and stay as they are, "conv2.weight" first: doctor says why',
    ]);
  });

  it('goes together with channels that stay cut, and fine-pruning asks for the name before it prunes', async () => {
    const { model, pruned } = await fineprune(inProcess, blockedNet(), validation, {
      prune: { threshold: 1 },
      finetune: { epochs: 1, batchSize: 20, freezeBefore: 'fc1' },
    });
    expect(pruned.cut.length).toBeGreaterThan(0);
    expect(changed(pruned.model, model).every((name) => name.startsWith('fc'))).toBe(true);
    expect(changed(pruned.model, model)).toContain('fc2.bias');

    // cut first, then trained from the cut layer on: the weights that are zero stay zero
    const cut = await prune(inProcess, cnn(), validation, { threshold: 1 });
    const { model: later } = await tuned(cut.model, { freezeBefore: cut.point.layer });
    const weight = later.graph.initializers.get('conv2.weight')!.data as Float32Array;
    for (const c of cut.cut) expect(weight.slice(c * 27, (c + 1) * 27).every((v) => v === 0)).toBe(true);
    expect(changed(cut.model, later).filter((name) => name.startsWith('conv1'))).toEqual([]);

    const open = vi.fn(inProcess.open);
    const counting: Runtime = { ...inProcess, open };
    await expect(fineprune(counting, cnn(), validation, { finetune: { freezeBefore: 'fc3' } })).rejects.toThrow(
      '--freeze-before: the model has no node "fc3", expected the name of a node or of a value. Try --freeze-before fc1.',
    );
    await expect(fineprune(counting, withTail(), validation, { finetune: { freezeBefore: 'last' } })).rejects.toThrow(
      '--freeze-before: no layer with weights of its own comes from "last" on, expected the name of a node with something to train at it or after it. Try --freeze-before fc2.',
    );
    expect(open).not.toHaveBeenCalled();
  });
});

/** `cnn` with a Softmax behind it. */
function withTail(): Model {
  const b = GraphBuilder.from(cnn());
  const last = b.op('Softmax', ['fc2'], { axis: 1 }, { name: 'last' });
  const model = b.build();
  model.graph.outputs[0].name = last;
  return model;
}
