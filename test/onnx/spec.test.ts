import { describe, expect, it } from 'vitest';
import { f32 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { describe as describeModel, summarize } from '../../src/onnx/describe.ts';
import type { Dim, Model } from '../../src/onnx/model.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';
import { type ModelSpec, readSpec, writeSpec } from '../../src/onnx/spec.ts';

function net(o: { dims?: Dim[]; classes?: Dim; softmax?: boolean } = {}): Model {
  const b = new GraphBuilder();
  const x = b.input('image', 'float32', o.dims ?? ['N', 3, 8, 8]);
  const flat = b.op('Flatten', [x]);
  const logits = b.op('MatMul', [flat, b.initializer('w', f32(new Float32Array(384), [192, 2]))], {}, { name: 'logits' });
  b.output(o.softmax ? b.op('Softmax', [logits], {}, { name: 'probabilities' }) : logits, 'float32', ['N', o.classes ?? 2]);
  return b.build();
}

const full: ModelSpec = {
  input: 'image',
  layout: 'NCHW',
  dims: [3, 8, 8],
  channelOrder: 'RGB',
  logits: 'logits',
  channels: 3,
  height: 8,
  width: 8,
  range: [0, 1],
  mean: [0.5, 0.4, 0.3],
  std: [0.2, 0.2, 0.1],
  labels: ['cat', 'dog'],
  name: 'tiny',
};

describe('the spec of a model', () => {
  it('comes back from the file it was written into', () => {
    const model = writeSpec(net(), full);
    expect(readSpec(readModel(writeModel(model)))).toEqual(full);
    expect([...model.metadata]).toEqual([
      ['secateur.input', 'image'],
      ['secateur.logits', 'logits'],
      ['secateur.range', '[0,1]'],
      ['secateur.mean', '[0.5,0.4,0.3]'],
      ['secateur.std', '[0.2,0.2,0.1]'],
      ['secateur.labels', '["cat","dog"]'],
      ['secateur.name', 'tiny'],
    ]);
    const { name: _, ...nameless } = full;
    expect(readSpec(writeSpec(model, nameless))).toEqual(nameless);
  });

  it('flags overrule the file, and the graph gives the rest', () => {
    expect(readSpec(net(), { range: [-1, 1] })).toEqual({
      input: 'image',
      layout: 'NCHW',
      dims: [3, 8, 8],
      channelOrder: 'RGB',
      logits: 'logits',
      channels: 3,
      height: 8,
      width: 8,
      range: [-1, 1],
      mean: [0, 0, 0],
      std: [1, 1, 1],
      labels: ['0', '1'],
    });
    const model = writeSpec(net(), full);
    expect(readSpec(model, { mean: [0], std: [1, 1, 2], labels: ['a', 'b'] })).toEqual({
      ...full,
      mean: [0, 0, 0],
      std: [1, 1, 2],
      labels: ['a', 'b'],
    });
  });

  it('mean and std alone mean pixels from 0 to 1', () => {
    expect(readSpec(net(), { mean: [0.5], std: [0.5] }).range).toEqual([0, 1]);
  });

  it('logits are what goes into a final softmax', () => {
    expect(readSpec(net({ softmax: true }), { range: [0, 1] })).toMatchObject({ logits: 'logits', labels: ['0', '1'] });
  });

  const flags = { range: [0, 1] as [number, number] };
  it.each<[string, () => unknown, string]>([
    [
      'nothing about pixels',
      () => readSpec(net()),
      'model: nothing says how pixels become inputs of this network, expected secateur.range, secateur.mean and secateur.std in the metadata of the file, got none of them. Try --preprocess imagenet, cifar10, mnist, none (0..1) or FILE.yaml, or --input-range, --mean and --std.',
    ],
    [
      'no image input',
      () => readSpec(net({ dims: ['N', 784] }), flags),
      'model: nothing says which images input "image" takes, expected height and width of the images that make 784 numbers, got float32 [N,784]. Try --preprocess mnist, or --preprocess FILE.yaml with "resize: [HEIGHT, WIDTH]".',
    ],
    [
      'an input of another rank',
      () => readSpec(net({ dims: ['N', 3, 8, 8, 8] }), flags),
      'model: input "image" does not take images, expected float32 [N,C,H,W], [N,H,W,C] or flat [N,C*H*W], got float32 [N,3,8,8,8].',
    ],
    [
      'sizes that vary',
      () => readSpec(net({ dims: ['N', 3, 'h', null] }), flags),
      'model: nothing says images of which size input "image" takes, expected a fixed channel, height and width, got float32 [N,3,h,?]. Try --preprocess imagenet, or --preprocess FILE.yaml with "resize: [HEIGHT, WIDTH]".',
    ],
    [
      'classes unknown',
      () => readSpec(net({ classes: 'K' }), flags),
      'model: the number of classes is unknown, expected secateur.labels in the metadata or a fixed size of "logits". Try --labels with one name a class, in the order of the outputs.',
    ],
    [
      'labels that do not fit',
      () => readSpec(net(), { ...flags, labels: ['a'] }),
      '--labels: labels do not fit the network, expected 2, the size of "logits", got 1.',
    ],
    [
      'a bad mean',
      () => readSpec(net(), { ...flags, mean: [1, 2] }),
      '--mean: bad value, expected 1 or 3 numbers, one a channel, got 1,2.',
    ],
    [
      'a bad std',
      () => readSpec(net(), { ...flags, std: [0] }),
      '--std: bad value, expected 1 or 3 numbers above 0, one a channel, got 0.',
    ],
    [
      'a bad range',
      () => readSpec(net(), { range: [1, 0] }),
      '--input-range: bad value, expected two numbers, the lower one first, got 1,0.',
    ],
    ['an input that is not there', () => readSpec(net(), { ...flags, input: 'img' }), 'model: no input "img", expected one of "image".'],
    [
      'bad metadata',
      () => readSpec(withMetadata('secateur.range', 'zero to one')),
      'model metadata secateur.range: does not parse, expected a JSON array, got zero to one.',
    ],
    [
      'metadata of another kind',
      () => readSpec(withMetadata('secateur.range', '"0"')),
      'model metadata secateur.range: bad value, expected a JSON array of numbers, got "0".',
    ],
    [
      'labels of another kind',
      () => readSpec(withMetadata('secateur.labels', '[1,2]'), flags),
      'model metadata secateur.labels: bad value, expected a JSON array of strings, got [1,2].',
    ],
    [
      'a bad std in the file',
      () => readSpec(withMetadata('secateur.std', '[-1]')),
      'model metadata secateur.std: bad value, expected 1 or 3 numbers above 0, one a channel, got -1.',
    ],
    [
      'two inputs',
      () => readSpec(twoInputs(), flags),
      'model: not a classifier of single images, expected one graph input, or secateur.input in the metadata, got 2 ("a", "b").',
    ],
    [
      'two outputs',
      () => readSpec(twoOutputs(), flags),
      'model: cannot tell which output holds the class scores, expected one graph output, or secateur.logits in the metadata, got 2 ("logits", "flatten").',
    ],
  ])('an error for %s', (_, act, message) => expect(act).toThrow(message));
});

function withMetadata(key: string, value: string): Model {
  const model = net();
  model.metadata.set(key, value);
  return model;
}

function twoInputs(): Model {
  const b = new GraphBuilder();
  b.output(b.op('Add', [b.input('a', 'float32', [1, 1, 2, 2]), b.input('b', 'float32', [1, 1, 2, 2])]));
  return b.build();
}

function twoOutputs(): Model {
  const b = GraphBuilder.from(net());
  b.output('flatten');
  return b.build();
}

describe('a summary', () => {
  it('counts operators, parameters and bytes', () => {
    expect(summarize(net({ softmax: true }))).toEqual({
      producer: 'secateur',
      irVersion: 8,
      opsets: { 'ai.onnx': 17 },
      inputs: ['image float32[N,3,8,8]'],
      outputs: ['probabilities float32[N,2]'],
      operators: { Flatten: 1, MatMul: 1, Softmax: 1 },
      nodes: 3,
      parameters: 384,
      bytes: 1536,
    });
  });

  it('reads well', () => {
    const model = GraphBuilder.from(net());
    model.op('Odd', ['image', model.ints([1])], {}, { domain: 'com.example' });
    model.op('Flatten', ['image']);
    expect(describeModel(model.build())).toBe(
      [
        'producer    secateur, IR version 8, opset 17, com.example 1',
        'inputs      image float32[N,3,8,8]',
        'outputs     logits float32[N,2]',
        'operators   4: 2 Flatten, 1 MatMul, 1 com.example.Odd',
        'parameters  384 (1.5 kB)',
      ].join('\n'),
    );
  });
});
