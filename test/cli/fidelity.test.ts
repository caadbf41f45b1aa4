/** What the defences write differs from what they read in what they changed, and in nothing else. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as A,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32, sizeOf } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import { run, scratch } from './in-process.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (...parts: string[]): string => join(folder, ...parts);
const DATA = ['--data', 'builtin:digits?train=60&test=20', '--validation', '40', '--threads', '1', '--input-range', '0,1'];
const TUNE = ['--epochs', '1', '--batch-size', '16', '--lr', '0.05'];

const parse = (path: string): ModelProto => fromBinary(ModelProtoSchema, new Uint8Array(readFileSync(path)));
const utf8 = (text: string) => create(StringStringEntryProtoSchema, { key: text, value: `about ${text}` });

/** conv 4 > relu > pool > Reshape [1,-1] > Gemm 10, for one image, with a word said about every part of it. */
function stranger(): ModelProto {
  const b = new GraphBuilder({ name: 'torch-jit-export', opset: 11 });
  const rng = Rng.from(1, 'stranger');
  const weight = (name: string, dims: number[]): string =>
    b.initializer(
      name,
      f32(
        Float32Array.from({ length: sizeOf(dims) }, () => rng.normal(0, 0.3)),
        dims,
      ),
    );
  const x = b.input('input.1', 'float32', [1, 1, 28, 28]);
  const conv = b.op(
    'Conv',
    [x, weight('conv.weight', [4, 1, 5, 5]), weight('conv.bias', [4])],
    { kernel_shape: [5, 5], strides: [3, 3] },
    { name: 'Conv_0' },
  );
  const pool = b.op(
    'MaxPool',
    [b.op('Relu', [conv], {}, { name: 'Relu_1' })],
    { kernel_shape: [2, 2], strides: [2, 2] },
    { name: 'MaxPool_2' },
  ); // [1,4,4,4]
  const flat = b.op('Reshape', [pool, b.ints([1, -1])], {}, { name: 'Reshape_3' });
  const scores = b.op('Gemm', [flat, weight('fc.weight', [10, 64]), weight('fc.bias', [10])], { transB: 1 }, { name: 'Gemm_4' });
  b.output(scores, 'float32', [1, 10]);
  const proto = fromBinary(ModelProtoSchema, writeModel(b.build()));
  const graph = proto.graph!;
  Object.assign(proto, {
    irVersion: 3n,
    producerName: 'pytorch',
    producerVersion: '1.8',
    domain: 'org.example',
    modelVersion: 4n,
    docString: 'a model',
  });
  proto.metadataProps = [utf8('first'), utf8('second')];
  proto.$unknown = [{ no: 900, wireType: 0, data: Uint8Array.of(42) }];
  graph.docString = 'a graph';
  for (const node of graph.node) Object.assign(node, { docString: `line of ${node.name}`, metadataProps: [utf8(node.name)] });
  for (const tensor of graph.initializer) {
    tensor.docString = `about ${tensor.name}`;
    // as IR version 3 wants it
    graph.input.push(create(ValueInfoProtoSchema, { name: tensor.name, docString: 'a weight', type: typeOf(tensor) }));
  }
  const info = {
    value: {
      case: 'tensorType' as const,
      value: { elemType: 1, shape: { dim: [1n, 4n, 8n, 8n].map((d) => ({ value: { case: 'dimValue' as const, value: d } })) } },
    },
  };
  graph.valueInfo = [create(ValueInfoProtoSchema, { name: 'Conv_0', docString: 'maps', type: info })];
  return proto;
}

const typeOf = (tensor: TensorProto) => ({
  value: {
    case: 'tensorType' as const,
    value: { elemType: tensor.dataType, shape: { dim: tensor.dims.map((d) => ({ value: { case: 'dimValue' as const, value: d } })) } },
  },
});

/** The weights of the convolution in a Constant node, at the place where an exporter puts it. */
function withConstant(proto: ModelProto): ModelProto {
  const graph = proto.graph!;
  const t = graph.initializer.find((i) => i.name === 'conv.weight')!;
  graph.initializer = graph.initializer.filter((i) => i !== t);
  graph.input = graph.input.filter((i) => i.name !== t.name);
  const attribute = [{ name: 'value', type: A.TENSOR, t, docString: 'stored here' }];
  graph.node.unshift(
    create(NodeProtoSchema, { name: 'Constant_0', opType: 'Constant', output: [t.name], attribute, docString: 'a constant' }),
  );
  return proto;
}

/** All weights in one file beside the model. */
function withExternal(proto: ModelProto, path: string): ModelProto {
  let offset = 0;
  const pieces: Uint8Array[] = [];
  for (const tensor of proto.graph!.initializer.filter((t) => t.dataType === 1)) {
    const { byteLength } = tensor.rawData;
    const entries = { location: 'weights.bin', offset: String(offset), length: String(byteLength) };
    pieces.push(tensor.rawData);
    offset += byteLength;
    tensor.rawData = new Uint8Array();
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
    tensor.externalData = Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }));
  }
  writeFileSync(path, Buffer.concat(pieces));
  return proto;
}

beforeAll(() => {
  for (const name of ['plain', 'constant', 'external']) mkdirSync(at(name));
  writeFileSync(at('plain', 'net.onnx'), toBinary(ModelProtoSchema, stranger()));
  writeFileSync(at('constant', 'net.onnx'), toBinary(ModelProtoSchema, withConstant(stranger())));
  writeFileSync(at('external', 'net.onnx'), toBinary(ModelProtoSchema, withExternal(stranger(), at('external', 'weights.bin'))));
});

const tensors = (proto: ModelProto): TensorProto[] => [
  ...proto.graph!.initializer,
  ...proto.graph!.node.flatMap((n) => n.attribute.flatMap((a) => (a.t ? [a.t] : []))),
];

/** Compares a file with what it was made from, but for the values of weights and our metadata; gives the names of tensors that changed. */
function onlyWeightsDiffer(before: ModelProto, after: ModelProto): string[] {
  const own = after.metadataProps.filter((e) => e.key.startsWith('secateur.'));
  expect(own.length).toBeGreaterThan(3);
  after.metadataProps = after.metadataProps.filter((e) => !own.includes(e));
  const old = new Map(tensors(before).map((t) => [t.name, t.rawData]));
  const changed: string[] = [];
  for (const tensor of tensors(after)) {
    const bytes = old.get(tensor.name)!;
    expect(tensor.rawData.byteLength).toBe(bytes.byteLength);
    if (Buffer.compare(tensor.rawData, bytes) !== 0) changed.push(tensor.name);
    tensor.rawData = bytes;
  }
  expect(after).toEqual(before);
  return changed.sort();
}

describe('what a defence writes', () => {
  const ALL = ['conv.bias', 'conv.weight', 'fc.bias', 'fc.weight'];

  test.each([
    ['finetune', TUNE, ALL],
    ['prune', ['--threshold', '0.5'], ['conv.bias', 'conv.weight']],
    // an untrained network may lose all its channels, and then the layer behind them learns nothing
    ['fineprune', [...TUNE, '--threshold', '0'], ['conv.weight', 'fc.bias']],
  ])('%s: names, order, doc strings, IR 3, fixed batch and metadata are those of the file', async (command, flags, changed) => {
    const ran = await run(command, at('plain', 'net.onnx'), ...DATA, '--allow-chance', ...flags, '--out', at(`plain-${command}`));
    expect(ran.err).toContain('note: The file fixes the batch at 1; in memory it is free, and the answers are the same.');
    expect(ran.code).toBe(0);
    const moved = onlyWeightsDiffer(parse(at('plain', 'net.onnx')), parse(at(`plain-${command}`, 'model.onnx')));
    expect(moved).toEqual(expect.arrayContaining(changed));
    if (command === 'prune') expect(moved).toEqual(changed);
  });

  test('weights in a Constant node stay there', async () => {
    const ran = await run('finetune', at('constant', 'net.onnx'), ...DATA, '--allow-chance', ...TUNE, '--out', at('constant-out'));
    expect(ran.code).toBe(0);
    expect(onlyWeightsDiffer(parse(at('constant', 'net.onnx')), parse(at('constant-out', 'model.onnx')))).toEqual(ALL);
  });

  test('external data stay external', async () => {
    const ran = await run('finetune', at('external', 'net.onnx'), ...DATA, '--allow-chance', ...TUNE, '--out', at('external-out'));
    expect(ran.code).toBe(0);
    expect(readdirSync(at('external-out')).filter((f) => f.startsWith('model') || f.startsWith('weights'))).toEqual([
      'model.onnx',
      'weights.bin',
    ]);
    onlyWeightsDiffer(parse(at('external', 'net.onnx')), parse(at('external-out', 'model.onnx')));
    const [before, after] = [at('external'), at('external-out')].map((f) => readFileSync(join(f, 'weights.bin')));
    expect(after.byteLength).toBe(before.byteLength);
    expect(after.equals(before)).toBe(false);
  });

  test('train goes on from it with batches of any size', async () => {
    const ran = await run('train', at('plain', 'net.onnx'), ...DATA, '--epochs', '1', '--batch-size', '16', '--out', at('trained'));
    expect(ran.err).toContain('note: The file fixes the batch at 1; in memory it is free, and the answers are the same.');
    expect(ran.code).toBe(0);
    expect(parse(at('trained', 'model.onnx')).graph!.initializer.length).toBe(5);
  });

  test('diff names what was cut, and tells a file from itself by its bytes', async () => {
    const [before, after] = [at('plain', 'net.onnx'), at('plain-prune', 'model.onnx')];
    const cut = await run('diff', before, after);
    expect(cut.code).toBe(0);
    expect(cut.out).toMatch(/^2 of 4 tensors moved, conv\.(weight|bias) most \(.* %\); \d channels zeroed; the graph is the same\n/);
    expect(cut.out).toMatch(/conv\.weight +Conv Conv_0 +\[4,1,5,5\].* \d of 4 zeroed \(/);
    expect(cut.out).toContain('2 tensors are the same');
    expect((await run('diff', before, after, '--fail-on-change')).code).toBe(3);
    const same = await run('diff', before, before, '--fail-on-change', '--json', '--html', at('diff.html'));
    expect(same.code).toBe(0);
    expect(JSON.parse(same.out)).toMatchObject({ same: true, identical: true, changes: [] });
    await run('diff', before, after, '--html', at('diff.html'));
    const page = readFileSync(at('diff.html'), 'utf8');
    expect(page).toContain('How far the weights moved');
    expect(page).toContain('conv.weight');
  });
});

describe('a network that is no classifier', () => {
  test('is refused in one sentence', async () => {
    const proto = stranger();
    proto.graph!.output[0].name = 'MaxPool_2';
    proto.graph!.output[0].type = undefined;
    const info = proto.graph!.valueInfo[0].type;
    proto.graph!.output[0].type = info;
    writeFileSync(at('maps.onnx'), toBinary(ModelProtoSchema, proto));
    const ran = await run('finetune', at('maps.onnx'), ...DATA, '--out', at('maps-out'));
    expect(ran.code).toBe(1);
    expect(ran.err.slice(ran.err.indexOf('error: ')).trimEnd().replace(`${folder}/`, '')).toBe(
      'error: maps.onnx: not a classifier of images: its output "MaxPool_2" float32[1,4,8,8] is a map, as of a detector or a segmentation, expected one output with a row of class scores for each image, [N,classes].',
    );
  });
});
