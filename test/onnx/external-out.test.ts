/** What was read with external data is written with external data; nothing but the changed tensors differs. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as fsPromises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, TensorProto_DataType as T, TensorProto_DataLocation } from 'onnx-buf';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { f32, type Tensor } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { cloneModel } from '../../src/onnx/edit.ts';
import { layOutExternal } from '../../src/onnx/external-layout.ts';
import { loadModel, saveModel } from '../../src/onnx/file.node.ts';
import type { Model } from '../../src/onnx/model.ts';
import { encodeWithExternal, readModel, writeModel } from '../../src/onnx/proto.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';

vi.mock('node:fs/promises', { spy: true });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'secateur-'));
  mkdirSync(at('in'));
});
afterEach(() => {
  vi.mocked(fsPromises.open).mockReset();
  rmSync(folder, { recursive: true, force: true });
});
const at = (...names: string[]): string => join(folder, ...names);

interface Outside {
  name: string;
  n: number;
  entries: Record<string, string>;
}

/** y = x + a + b + c with the tensors that are named stored outside, the rest inside. */
function file(tensors: Outside[]): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      producerName: 'somebody',
      docString: 'about the model',
      opsetImport: [{ domain: 'ai.onnx', version: 13n }],
      metadataProps: [
        { key: 'k', value: 'v' },
        { key: 'again', value: '1' },
      ],
      graph: {
        name: 'g',
        node: tensors.map(({ name }, i) => ({
          name: `add ${name}`,
          opType: 'Add',
          input: [i === 0 ? 'x' : `y${i}`, name],
          output: [`y${i + 1}`],
        })),
        input: [{ name: 'x', type: { value: { case: 'tensorType', value: { elemType: T.FLOAT, shape: { dim: [] } } } } }],
        output: [{ name: `y${tensors.length}` }],
        initializer: tensors.map(({ name, n, entries }) => ({
          name,
          docString: `about ${name}`,
          dims: [BigInt(n)],
          dataType: T.FLOAT,
          metadataProps: [{ key: 'of', value: name }],
          ...(Object.keys(entries).length === 0
            ? { floatData: Array.from({ length: n }, (_, i) => i) }
            : {
                dataLocation: TensorProto_DataLocation.EXTERNAL,
                externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
              }),
        })),
      },
    }),
  );
}

const numbers = (n: number, scale = 1): Buffer => Buffer.from(Float32Array.from({ length: n }, (_, i) => i * scale).buffer);
const parse = (path: string) => fromBinary(ModelProtoSchema, new Uint8Array(readFileSync(path)));

describe('external data', () => {
  const three: Outside[] = [
    { name: 'a', n: 4, entries: { location: 'w.bin', offset: '64', length: '16', checksum: 'abc' } },
    { name: 'b', n: 4, entries: { location: 'w.bin' } },
    { name: 'c', n: 2, entries: { location: 'c.weight', length: '8', checksum: 'def' } },
    { name: 'd', n: 3, entries: {} },
  ];
  const load = async () => {
    writeFileSync(at('in', 'w.bin'), Buffer.concat([numbers(4), Buffer.alloc(48), numbers(4, 2)]));
    writeFileSync(at('in', 'c.weight'), numbers(2, 3));
    writeFileSync(at('in', 'net.onnx'), file(three));
    return loadModel(at('in', 'net.onnx'));
  };

  it('goes back to files of the same names, byte for byte where nothing was changed', async () => {
    await saveModel(at('out', 'net.onnx'), await load());
    expect(parse(at('out', 'net.onnx'))).toEqual(parse(at('in', 'net.onnx')));
    for (const name of ['w.bin', 'c.weight']) expect(readFileSync(at('out', name))).toEqual(readFileSync(at('in', name)));
    expect(readdirSync(at('out')).sort()).toEqual(['c.weight', 'net.onnx', 'w.bin']);
  });

  it('differs in the changed tensor alone, and in a checksum that is no longer true', async () => {
    const model = cloneModel(await load());
    model.graph.initializers.set('a', f32([9, 9, 9, 9], [4]));
    model.graph.initializers.set('d', f32([7, 7, 7], [3]));
    await saveModel(at('out', 'net.onnx'), model);
    const expected = parse(at('in', 'net.onnx'));
    const [a, , , d] = expected.graph!.initializer;
    a.externalData = a.externalData.filter((e) => e.key !== 'checksum');
    d.floatData = [];
    d.rawData = new Uint8Array(Float32Array.of(7, 7, 7).buffer);
    expect(parse(at('out', 'net.onnx'))).toEqual(expected);
    const bytes = readFileSync(at('in', 'w.bin'));
    bytes.set(new Uint8Array(Float32Array.of(9, 9, 9, 9).buffer), 64);
    expect(readFileSync(at('out', 'w.bin'))).toEqual(bytes);
    expect((await loadModel(at('out', 'net.onnx'))).graph.initializers.get('a')).toEqual(f32([9, 9, 9, 9], [4]));
  });

  it('is one file again where there are only bytes to write to', async () => {
    const bytes = writeModel(await load());
    const { graph } = readModel(bytes);
    expect(graph.initializers.get('a')).toEqual(f32([0, 2, 4, 6], [4]));
    expect(fromBinary(ModelProtoSchema, bytes).graph!.initializer.map((t) => [t.docString, t.externalData.length])).toEqual([
      ['about a', 0],
      ['about b', 0],
      ['about c', 0],
      ['about d', 0],
    ]);
  });

  it('of another size is laid out anew', async () => {
    const model = cloneModel(await load());
    model.graph.initializers.set('b', f32(new Float32Array(20).fill(5), [20]));
    await saveModel(at('out', 'net.onnx'), model);
    const entries = parse(at('out', 'net.onnx')).graph!.initializer.map((t) => t.externalData.map((e) => `${e.key}=${e.value}`).join(' '));
    expect(entries).toEqual(['location=w.bin offset=128 length=16', 'location=w.bin', 'location=c.weight length=8 checksum=def', '']);
    const { initializers } = (await loadModel(at('out', 'net.onnx'))).graph;
    expect(initializers.get('a')).toEqual(f32([0, 2, 4, 6], [4]));
    expect(initializers.get('b')?.data[19]).toBe(5);
  });

  it('leaves nothing behind when the disk is full half-way', async () => {
    const model = await load();
    await saveModel(at('out', 'net.onnx'), model);
    const before = readFileSync(at('out', 'w.bin'));
    const { open } = await vi.importActual<typeof fsPromises>('node:fs/promises');
    let opened = 0;
    vi.spyOn(fsPromises, 'open').mockImplementation(async (...args) => {
      if (++opened === 2) throw Object.assign(new Error('ENOSPC: simulated'), { code: 'ENOSPC' });
      return open(...args);
    });
    const changed = cloneModel(model);
    changed.graph.initializers.set('a', f32([9, 9, 9, 9], [4]));
    await expect(saveModel(at('out', 'net.onnx'), changed)).rejects.toThrow(
      `${at('out', 'net.onnx')}: the disk is full. Try to free space, or another folder with --out.`,
    );
    expect(readFileSync(at('out', 'w.bin'))).toEqual(before);
    expect(readdirSync(at('out')).sort()).toEqual(['c.weight', 'net.onnx', 'w.bin']);
  });

  it('never replaces a file because the model says its name', async () => {
    const model = await load();
    await saveModel(at('out', 'w.bin'), model);
    expect(readdirSync(at('out')).sort()).toEqual(['c.weight', 'w.bin', 'w.bin.data']);
    expect([...(await loadModel(at('out', 'w.bin'))).graph.initializers]).toEqual([...model.graph.initializers]);
    // over the file that was read: its old data stay, as the old model needs them until the new one is complete
    await saveModel(at('in', 'net.onnx'), model);
    expect(readdirSync(at('in')).sort()).toEqual(['c.weight', 'net.onnx', 'net.onnx.data', 'w.bin']);
    expect([...(await loadModel(at('in', 'net.onnx'))).graph.initializers]).toEqual([...model.graph.initializers]);
  });

  it.each(['run.json', '.bashrc', 'weights/w.bin', 'no-ending'])('a name like %s is not kept', async (location) => {
    mkdirSync(at('in', 'weights'));
    writeFileSync(at('in', location), numbers(4));
    writeFileSync(at('in', 'net.onnx'), file([{ name: 'a', n: 4, entries: { location } }]));
    await saveModel(at('out', 'model.onnx'), await loadModel(at('in', 'net.onnx')));
    expect(readdirSync(at('out')).sort()).toEqual(['model.onnx', 'model.onnx.data']);
    expect((await loadModel(at('out', 'model.onnx'))).graph.initializers.get('a')).toEqual(f32([0, 1, 2, 3], [4]));
  });

  it.skipIf(process.platform !== 'linux')('is one file where names differ in nothing but their case', async () => {
    const entries = (location: string) => ({ location, checksum: location });
    const names = ['A.data', 'a.data', 'MODEL.onnx.data', 'sub/w.bin'];
    mkdirSync(at('in', 'sub'));
    for (const [i, name] of names.entries()) writeFileSync(at('in', name), numbers(4, i + 1));
    const tensors = names.map((name, i): Outside => ({ name: `t${i}`, n: 4, entries: entries(name) }));
    writeFileSync(at('in', 'net.onnx'), file(tensors));
    const model = await loadModel(at('in', 'net.onnx'));
    await saveModel(at('out', 'model.onnx'), model);
    expect(readdirSync(at('out')).sort()).toEqual(['A.data', 'model.onnx', 'model.onnx.data']);
    const back = await loadModel(at('out', 'model.onnx'));
    for (const i of names.keys()) {
      expect(back.graph.initializers.get(`t${i}`)).toEqual(f32([0, i + 1, 2 * (i + 1), 3 * (i + 1)], [4]));
    }
    const keys = parse(at('out', 'model.onnx')).graph!.initializer.map((t) =>
      t.externalData
        .map((e) => e.key)
        .sort()
        .join(' '),
    );
    expect(keys).toEqual(['location', 'location offset', 'location', 'location offset']);
    // The model itself is such a name too.
    writeFileSync(at('in', 'net.onnx'), file([{ name: 't', n: 4, entries: { location: 'A.data' } }]));
    await saveModel(at('out2', 'a.DATA'), await loadModel(at('in', 'net.onnx')));
    expect(readdirSync(at('out2')).sort()).toEqual(['a.DATA', 'a.DATA.data']);
  });

  it('holds the large tensors of a model that is too large for one file', () => {
    const many = [1, 2, 3].map((i): Outside => ({ name: `t${i}`, n: 2000, entries: {} }));
    const model = readModel(file([...many, { name: 'small', n: 2, entries: {} }]));
    const changed = cloneModel(model);
    changed.graph.initializers.set('t2', f32(new Float32Array(2000).fill(4), [2000]));
    const encode = (limit: number) => encodeWithExternal(changed, { spill: 'net.data', nameOf: (name) => name, where: 'net', limit });
    expect(encode(1e6).files).toEqual([]);
    const { parts, files } = encode(20_000);
    expect(files.map((f) => [f.location, f.pieces.map((p) => [p.offset, p.bytes.byteLength])])).toEqual([
      ['net.data', [0, 1, 2].map((i) => [i * 8000, 8000])],
    ]);
    const back = readModel(Buffer.concat(parts), 'net', ({ offset }) => files[0].pieces.find((p) => p.offset === offset)!.bytes);
    expect([...back.graph.initializers.values()]).toEqual([...changed.graph.initializers.values()]);
    expect(() => encode(100)).toThrow(/^net: model too large to write, expected less than 2 GB/);
  });
});

describe('a model of more than', () => {
  // Tensors of 268 MB that are views of one array, which is hardly touched; they differ in their first number.
  const memory = new Float32Array(2 ** 26 + 64);
  memory.set(Float32Array.from({ length: 64 }, (_, i) => i));
  const view = (i: number): Tensor => f32(memory.subarray(i, i + 2 ** 26), [2 ** 26]);
  const of = (tensors: number, attributes = 0): Model => {
    const b = new GraphBuilder();
    for (let i = 0; i < tensors; i++) b.initializer(`w${i}`, view(i));
    for (let i = 0; i < attributes; i++) b.op('Constant', [], { value: view(i) });
    return b.build();
  };

  it('2 GB can be written with its weights in another file, not as bytes, and not be run', async () => {
    const { parts, files } = encodeWithExternal(of(9), { spill: 'net.data', nameOf: (name) => name });
    expect(parts.reduce((n, part) => n + part.byteLength, 0)).toBeLessThan(2000);
    expect(files.map((f) => f.pieces.length)).toEqual([9]);
    expect(() => writeModel(of(9))).toThrow(
      /^onnx: model too large to write, expected less than 2 GB, the bound of the file format, got 2415919\d{3} bytes\.$/,
    );
    const runtime = nativeRuntime({ threads: 1 });
    await expect(runtime.open(of(9), { label: 'net.onnx' })).rejects.toThrow(
      /^runtime \(native\): net\.onnx: models of more than 2 GB can be compared \(diff\) but not run, expected less than 2 GB, with the weights that lie in other files, got 2415919\d{3} bytes\. Try the same model with its weights in float16\.$/,
    );
    await runtime.dispose();
  });

  it('4 GB too, which no length on the wire can tell', () => {
    const { files } = encodeWithExternal(of(20), { spill: 'net.data', nameOf: (name) => name });
    expect(files.map((f) => f.pieces.length)).toEqual([20]);
    expect(() => writeModel(of(20))).toThrow(/^onnx: model too large to write, expected less than 2 GB.*, got 5368709\d{3} bytes\.$/);
    const inNodes = /model too large to write, expected less than 2 GB, the bound of the file format, got 5368709120 bytes\.$/;
    expect(() => writeModel(of(0, 20))).toThrow(inNodes);
    expect(() => encodeWithExternal(of(1, 20), { spill: 'net.data', nameOf: (name) => name })).toThrow(inNodes);
    const b = new GraphBuilder();
    const choice = b.op('If', [b.input('c', 'bool', [])]);
    b.output(choice, 'float32', []);
    const nested = b.build();
    for (const name of ['then_branch', 'else_branch']) {
      nested.graph.nodes[0].attributes.set(name, { type: 'graph', value: of(5, 5).graph });
    }
    expect(() => writeModel(nested)).toThrow(inNodes);
  });
});

describe('layOutExternal', () => {
  const bytes = (n: number): Uint8Array => new Uint8Array(n).fill(n % 251);
  it('writes a range that two tensors share once, and parts them when one changes', () => {
    const shared = [
      { name: 'a', bytes: bytes(8), at: { location: 'w', offset: 0 } },
      { name: 'b', bytes: bytes(8), at: { location: 'w', offset: 0 } },
    ];
    expect(layOutExternal(shared).files[0].pieces.length).toBe(1);
    shared[1].bytes = new Uint8Array(8);
    expect([...layOutExternal(shared).places.values()].map((p) => p.offset)).toEqual([0, 64]);
  });
  it('closes holes that are larger than what is in the file', () => {
    const sparse = [0, 10, 2 ** 40].map((offset, i) => ({ name: String(i), bytes: bytes(8), at: { location: 'w', offset } }));
    expect([...layOutExternal(sparse).places.values()].map((p) => p.offset)).toEqual([0, 64, 128]);
  });
  it('begins large tensors at pages', () => {
    const list = [100, 2 ** 20, 3].map((n, i) => ({ name: String(i), bytes: bytes(n), at: { location: 'w', offset: 0 } }));
    expect([...layOutExternal(list).places.values()].map((p) => p.offset)).toEqual([0, 4096, 4096 + 2 ** 20]);
  });
});
