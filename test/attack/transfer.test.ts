import { afterAll, describe, expect, it } from 'vitest';
import { fullyConnectedFrom, retarget } from '../../src/attack/transfer.ts';
import { f32 } from '../../src/core/tensor.ts';
import { predict } from '../../src/data/forward.ts';
import { trainableFrom } from '../../src/grad/freeze.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { checkModel } from '../../src/onnx/check.ts';
import type { Model } from '../../src/onnx/model.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';
import { readSpec, writeSpec } from '../../src/onnx/spec.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { train } from '../../src/train/loop.ts';
import { buildNetwork } from '../../src/train/networks/registry.ts';
import * as nets from '../defend/tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

const LABELS = ['stop', 'give way', 'no entry', 'parking', 'priority'];
const data = (model: Model, name: string): number[] => [...(model.graph.initializers.get(name)!.data as Float32Array)];
const dims = (model: Model, name: string): readonly number[] => model.graph.initializers.get(name)!.dims;

describe('a new last layer', () => {
  it('has the new classes; every other weight is the old one', async () => {
    const model = nets.cnn(1);
    const { model: out, head } = retarget(model, LABELS, 1);
    checkModel(out);
    expect(head).toBe('fc2');
    expect(dims(out, 'fc2.weight')).toEqual([5, 6]);
    expect(data(out, 'fc2.bias')).toEqual([0, 0, 0, 0, 0]);
    expect(new Set(data(out, 'fc2.weight')).size).toBe(30);
    for (const name of [...model.graph.initializers.keys()].filter((n) => !n.startsWith('fc2'))) {
      expect(data(out, name)).toEqual(data(model, name));
    }
    expect(dims(model, 'fc2.weight')).toEqual([3, 6]);
    // Written and read again, it is a network of five classes.
    const read = readModel(writeModel(out), 'again');
    expect(readSpec(read).labels).toEqual(LABELS);
    const images = { ...nets.images(7, 'tune'), classes: LABELS };
    expect((await predict(runtime, read, images)).classes).toBe(5);
  });

  it('is drawn by the seed', () => {
    const of = (seed: number): number[] => data(retarget(nets.cnn(1), LABELS, seed).model, 'fc2.weight');
    expect(of(1)).toEqual(of(1));
    expect(of(1)).not.toEqual(of(2));
  });

  it('replaces MatMul and Add, keeps the softmax behind the logits, and declares the new size', async () => {
    const { model } = retarget(nets.batchNormNet(1), LABELS, 1);
    expect(dims(model, 'fc.weight')).toEqual([20, 5]);
    expect(dims(model, 'fc.bias')).toEqual([5]);
    const b = GraphBuilder.from(nets.mlp(1), { prefix: 'end' });
    const soft = b.build();
    soft.graph.nodes.push({ name: 'probabilities', opType: 'Softmax', domain: '', inputs: ['fc2'], outputs: ['p'], attributes: new Map() });
    soft.graph.outputs = [{ name: 'p', dtype: 'float32', dims: ['batch', 3] }];
    const out = retarget(soft, LABELS, 1).model;
    expect(out.graph.outputs[0].dims).toEqual(['batch', 5]);
    expect((await predict(runtime, out, { ...nets.images(3, 'tune'), classes: LABELS })).classes).toBe(5);
  });

  it('leaves a weight alone that somebody else reads too', async () => {
    const b = new GraphBuilder({ name: 'tied' });
    b.input('x', 'float32', ['batch', 1, 2, 2]);
    const w = b.initializer('w', f32([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], [4, 4]));
    const flat = b.op('Flatten', ['x'], { axis: 1 }, { outputs: ['flat'] });
    const first = b.op('Gemm', [flat, w], { transB: 1 }, { name: 'first', outputs: ['first'] });
    b.op('Gemm', [first, w], { transB: 1 }, { name: 'last', outputs: ['logits'] });
    b.output('logits', 'float32', ['batch', 4]);
    const spec = { input: 'x', logits: 'logits', channels: 1, height: 2, width: 2, range: [0, 1] as [number, number], mean: [0], std: [1] };
    const tied = writeSpec(b.build(), { ...spec, labels: ['a', 'b', 'c', 'd'] });
    const { model } = retarget(tied, ['yes', 'no'], 1);
    checkModel(model);
    expect(data(model, 'w')).toEqual(data(tied, 'w'));
    expect(model.graph.nodes.find((n) => n.name === 'last')!.inputs).toEqual(['first', 'w/new']);
    expect(dims(model, 'w/new')).toEqual([2, 4]);
  });

  it('is refused where there is none to replace', () => {
    const convolutional = nets.cnn(1);
    const last = convolutional.graph.nodes.at(-1)!;
    const ended = {
      ...convolutional,
      graph: { ...convolutional.graph, nodes: [...convolutional.graph.nodes.slice(0, -1), { ...last, opType: 'Conv' }] },
    };
    expect(() => retarget(ended, LABELS, 1)).toThrow(
      'new last layer: the network has no last layer that can be replaced, expected a fully connected layer with stored weights (Gemm, or MatMul with or without Add) that makes the logits, got Conv',
    );
    expect(() => retarget(nets.cnn(1), ['one'], 1)).toThrow('new last layer: too few classes, expected at least 2, got 1');
  });
});

describe('where the fully connected layers begin', () => {
  it('is behind the last convolution', () => {
    expect(fullyConnectedFrom(nets.cnn(1))).toBe('fc1');
    expect(fullyConnectedFrom(nets.batchNormNet(1))).toBe('fc.mul');
    expect(fullyConnectedFrom(nets.residualNet(1))).toBe('fc');
    const shape = { channels: 3, height: 16, width: 16, classes: 4 };
    expect(fullyConnectedFrom(buildNetwork('zf-small', 1, shape))).toBe('fc6');
  });

  it('is the last layer where there is no convolution', () => {
    expect(fullyConnectedFrom(nets.mlp(1))).toBe('fc2');
  });

  it('trained from there on, the convolutions stay bit by bit and the rest learns', async () => {
    const { model } = retarget(nets.cnn(1), ['top', 'middle', 'bottom'], 1);
    const left = trainableFrom(model, fullyConnectedFrom(model));
    const bars = nets.bars(200, 'train');
    const options = { epochs: 6, batchSize: 32, learningRate: 0.05, optimizer: { kind: 'sgd', momentum: 0.9 }, seed: 1 } as const;
    const { model: out, history } = await train(runtime, model, bars, { ...options, trainable: (name) => left.has(name) });
    for (const name of ['conv1.weight', 'conv1.bias', 'conv2.weight', 'conv2.bias']) expect(data(out, name)).toEqual(data(model, name));
    expect(data(out, 'fc1.weight')).not.toEqual(data(model, 'fc1.weight'));
    expect(history.at(-1)!.loss).toBeLessThan(history[0].loss);
  });
});
