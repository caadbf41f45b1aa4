import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { gunzipSync } from 'fflate';
import { type ModelProto, ModelProtoSchema, TensorProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { f32, i64 } from '../../src/core/tensor.ts';
import { cloneModel } from '../../src/onnx/edit.ts';
import type { Model } from '../../src/onnx/model.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';
import { exoticBytes } from './exotic-model.ts';

const parse = (bytes: Uint8Array): ModelProto => fromBinary(ModelProtoSchema, bytes);
/** One way of writing for equal messages: the library writes fields by number, then unknown ones. NaNs keep their bits. */
const canonical = (bytes: Uint8Array): Uint8Array => toBinary(ModelProtoSchema, parse(bytes));
const sameFields = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(canonical(a), canonical(b)) === 0;

describe('a model with something in every corner', () => {
  const bytes = exoticBytes();

  it('is equal field by field after reading and writing', () => {
    expect(parse(writeModel(readModel(bytes)))).toEqual(parse(bytes));
    expect(parse(writeModel(cloneModel(readModel(bytes))))).toEqual(parse(bytes));
  });

  it('is read as what it is', () => {
    const { graph, opsets, metadata } = readModel(bytes);
    expect([...opsets]).toEqual([
      ['com.example', 3],
      ['', 17],
    ]);
    expect([...metadata]).toEqual([
      ['b', '2'],
      ['a', '1'],
    ]);
    expect(graph.nodes.map((n) => [n.opType, n.domain])).toEqual([
      ['Relu', ''],
      ['Odd', 'com.example'],
    ]);
    expect(graph.inputs[0]).toMatchObject({ name: 'x', dtype: 'float32', dims: ['N', 3, null] });
    expect(graph.outputs[0]).toMatchObject({ name: 'y', dtype: undefined, dims: undefined });
    expect(graph.valueInfo.map((v) => [v.dtype, v.dims])).toEqual([
      ['float32', [null, 3, null]],
      [undefined, undefined],
      ['float64', undefined],
    ]);
    expect(graph.initializers.get('w')).toEqual(f32([1, Number.NaN], [2]));
    expect(graph.initializers.get('scalar')).toEqual(i64(BigInt64Array.of(-(2n ** 63n)), []));
    const attributes = graph.nodes[1].attributes;
    const value = (name: string): unknown => (attributes.get(name) as { value: unknown }).value;
    expect([...attributes.values()].map((a) => a.type).join(' ')).toBe(
      'float float float int bigint string string bytes tensor graph floats ints ints strings opaque graphs opaque opaque opaque int floats opaque',
    );
    expect(value('float')).toBe(Math.fround(0.1));
    expect(value('minus_zero')).toBe(-0);
    expect(value('int_max')).toBe(2n ** 63n - 1n);
    expect(value('string')).toBe('naïve ☃');
    expect(value('tensor')).toEqual(f32([1, Number.NaN], [2]));
    expect(value('ints')).toEqual([0, -1, 2 ** 63, -(2 ** 63)]);
    expect(value('strings')).toEqual(['a', '']);
  });

  const change = (edit: (model: Model) => void): ModelProto => {
    const model = readModel(bytes);
    edit(model);
    return parse(writeModel(model));
  };
  /** The file with the same change made on the message itself. */
  const expected = (edit: (proto: ModelProto) => void): ModelProto => {
    const proto = parse(bytes);
    edit(proto);
    return parse(toBinary(ModelProtoSchema, proto));
  };

  it.each<[string, (m: Model) => void, (p: ModelProto) => void]>([
    ['a renamed node', (m) => (m.graph.nodes[0].name = 'other'), (p) => (p.graph!.node[0].name = 'other')],
    ['another operator', (m) => (m.graph.nodes[0].opType = 'Tanh'), (p) => (p.graph!.node[0].opType = 'Tanh')],
    ['another input', (m) => (m.graph.nodes[1].inputs[0] = 'x'), (p) => (p.graph!.node[1].input[0] = 'x')],
    ['a removed node', (m) => m.graph.nodes.shift(), (p) => p.graph!.node.shift()],
    ['a graph input with a batch', (m) => (m.graph.inputs[0].dims![0] = 8), (p) => setDim(p, 8n)],
    ['a new version', (m) => m.opsets.set('', 18), (p) => (p.opsetImport[1].version = 18n)],
    ['a domain less', (m) => m.opsets.delete('com.example'), (p) => p.opsetImport.shift()],
    ['an initialiser less', (m) => m.graph.initializers.delete('w'), (p) => p.graph!.initializer.shift()],
    [
      'an attribute',
      (m) => m.graph.nodes[1].attributes.set('int', { type: 'int', value: 9 }),
      (p) => (p.graph!.node[1].attribute[3].i = 9n),
    ],
    ['an attribute less', (m) => m.graph.nodes[1].attributes.delete('float'), (p) => p.graph!.node[1].attribute.shift()],
    ['a producer', (m) => (m.producerName = 'me'), (p) => (p.producerName = 'me')],
    [
      'a node in a subgraph',
      (m) => ((m.graph.nodes[1].attributes.get('graph') as { value: Model['graph'] }).value.nodes[0].opType = 'Neg'),
      (p) => (p.graph!.node[1].attribute[9].g!.node[0].opType = 'Neg'),
    ],
  ])('%s is all that changes', (_, edit, same) => expect(change(edit)).toEqual(expected(same)));

  it('a renamed initialiser keeps its typed fields, doc string and metadata', () => {
    const proto = change(({ graph }) => {
      const tensor = graph.initializers.get('w')!;
      graph.initializers = new Map([['renamed', tensor], ...[...graph.initializers].slice(1)]);
    });
    expect(proto).toEqual(expected((p) => (p.graph!.initializer[0].name = 'renamed')));
  });

  it('a new tensor is written as raw_data, the others as they were', () => {
    const proto = change(({ graph }) => graph.initializers.set('w', f32([5, 6], [2])));
    expect(proto.graph!.initializer[0].floatData).toEqual([]);
    expect([...proto.graph!.initializer[0].rawData]).toEqual([0, 0, 160, 64, 0, 0, 192, 64]);
    expect(proto.graph!.initializer[1].int64Data).toEqual([-(2n ** 63n)]);
  });
});

it('long runs of float_data are read and written back wherever the format allows a tensor', () => {
  const floats = Array.from({ length: 20_000 }, (_, i) => i / 7);
  const long = (name: string) => create(TensorProtoSchema, { name, dims: [20_000n], dataType: 1, floatData: floats });
  const proto = parse(exoticBytes());
  const attribute = proto.graph!.node[1].attribute;
  proto.graph!.initializer.push(long('long'));
  proto.graph!.sparseInitializer[0].values = long('sparse');
  proto.trainingInfo[0].algorithm!.initializer.push(long('training'));
  for (const a of attribute) {
    if (a.name === 'tensor') a.t = long('inside');
    if (a.name === 'graph') a.g!.initializer.push(long('inner'));
    if (a.name === 'tensors') a.tensors.push(long('in a list'));
    // A field that its type does not name, and one of a function's parameters: kept, not looked at.
    if (a.name === 'int') a.t = long('stray');
    if (a.name === 'untyped_empty') Object.assign(a, { t: long('reference'), refAttrName: 'outer' });
  }
  const bytes = toBinary(ModelProtoSchema, proto);
  const model = readModel(bytes);
  expect(model.graph.initializers.get('long')).toEqual(f32(floats, [20_000]));
  model.graph.nodes[1].name = 'changed';
  proto.graph!.node[1].name = 'changed';
  expect(Buffer.compare(canonical(writeModel(model)), toBinary(ModelProtoSchema, proto))).toBe(0);
});

function setDim(p: ModelProto, size: bigint): void {
  const type = p.graph!.input[0].type!.value;
  if (type.case === 'tensorType') {
    type.value.shape!.dim[0].value = { case: 'dimValue', value: size };
  }
}

const SHARED = join(import.meta.dirname, '../../../shared/data');

describe.skipIf(!existsSync(SHARED))(
  "other people's files (skipped where ../shared is not there: they are not part of the repository)",
  () => {
    it.each(['onnx-zoo/models', 'onnx-backend-tests/light'])('%s are equal after reading and writing', (folder) => {
      const files = readdirSync(join(SHARED, folder)).filter((f) => f.endsWith('.onnx'));
      expect(files.length).toBeGreaterThan(8);
      const changed = files.filter((name) => {
        const bytes = readFileSync(join(SHARED, folder, name));
        return !sameFields(writeModel(cloneModel(readModel(bytes, name))), bytes);
      });
      expect(changed).toEqual([]);
    });

    it.each([
      ['node', 1802],
      ['pytorch-converted', 80],
      ['pytorch-operator', 35],
      ['simple', 23],
    ])("ONNX's own test models %s are equal after reading and writing", (name, count) => {
      const models = [...untar(gunzipSync(readFileSync(join(SHARED, 'onnx-backend-tests', `${name}.tar.gz`))))];
      expect(models.length).toBe(count);
      expect(models.filter(([path, bytes]) => !sameFields(writeModel(readModel(bytes, path)), bytes)).map(([path]) => path)).toEqual([]);
    });
  },
);

/** The .onnx files of a plain ustar archive. */
function* untar(archive: Uint8Array): Generator<[string, Uint8Array]> {
  const text = (at: number, length: number): string =>
    Buffer.from(archive.subarray(at, at + length))
      .toString('latin1')
      .replace(/\0.*$/s, '');
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const path = [text(at + 345, 155), text(at, 100)].filter((s) => s !== '').join('/');
    if (path.endsWith('.onnx')) yield [path, archive.subarray(at + 512, at + 512 + size)];
    at += 512 + Math.ceil(size / 512) * 512;
  }
}
