import { linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import * as fsPromises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, StringStringEntryProtoSchema, TensorProto_DataType as T, TensorProto_DataLocation } from 'onnx-buf';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { f32 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { loadModel, saveModel } from '../../src/onnx/file.node.ts';
import type { Model } from '../../src/onnx/model.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';

vi.mock('node:fs/promises', { spy: true });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'secateur-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});
const at = (...names: string[]): string => join(folder, ...names);

function model(scale = 1): Model {
  const b = new GraphBuilder();
  const w = b.initializer('w', f32(new Float32Array(5000).fill(scale), [5000]));
  b.output(b.op('Mul', [b.input('x', 'float32', [5000]), w], {}, { name: 'y' }), 'float32', [5000]);
  return b.build();
}

describe('saving and loading', () => {
  it('gives the model back, makes folders, leaves nothing else behind', async () => {
    await saveModel(at('a', 'b', 'net.onnx'), model());
    expect(readdirSync(at('a', 'b'))).toEqual(['net.onnx']);
    expect(readFileSync(at('a', 'b', 'net.onnx'))).toEqual(Buffer.from(writeModel(model())));
    const { graph } = await loadModel(at('a', 'b', 'net.onnx'));
    expect(graph.initializers.get('w')).toEqual(model().graph.initializers.get('w'));
  });

  it('replaces a file as a whole, and may write over the file that was read', async () => {
    await saveModel(at('net.onnx'), model(1));
    await saveModel(at('net.onnx'), model(2));
    const read = await loadModel(at('net.onnx'));
    await saveModel(at('net.onnx'), read);
    expect((await loadModel(at('net.onnx'))).graph.initializers.get('w')?.data[0]).toBe(2);
    expect(readdirSync(folder)).toEqual(['net.onnx']);
  });

  it.each([
    ['ENOSPC', 'the disk is full. Try to free space, or another folder with --out.'],
    ['EDQUOT', 'the disk is full. Try to free space, or another folder with --out.'],
    ['EROFS', 'may not be written, got EROFS.'],
    ['EIO', 'cannot be written, got EIO.'],
  ])('after %s what was there is still there, and no temporary file', async (code, message) => {
    await saveModel(at('net.onnx'), model(1));
    const open = fsPromises.open;
    vi.spyOn(fsPromises, 'open').mockImplementationOnce(async (...args) => {
      vi.mocked(fsPromises.open).mockRestore();
      const file = await open(...args);
      let writes = 0;
      const write = file.writeFile.bind(file);
      file.writeFile = async (data) => {
        if (++writes === 3) throw Object.assign(new Error(`${code}: simulated`), { code });
        await write(data);
      };
      return file;
    });
    await expect(saveModel(at('net.onnx'), model(2))).rejects.toThrow(`${at('net.onnx')}: ${message}`);
    expect(readdirSync(folder)).toEqual(['net.onnx']);
    expect((await loadModel(at('net.onnx'))).graph.initializers.get('w')?.data[0]).toBe(1);
  });

  it('says what cannot be read or written', async () => {
    mkdirSync(at('folder'));
    writeFileSync(at('empty.onnx'), '');
    writeFileSync(at('page.onnx'), '<html>');
    writeFileSync(at('file'), '');
    await expect(loadModel(at('none.onnx'))).rejects.toThrow(`${at('none.onnx')}: no such file.`);
    await expect(loadModel(at('folder'))).rejects.toThrow(`${at('folder')}: is a folder. Try the path of an .onnx file.`);
    await expect(loadModel(at('empty.onnx'))).rejects.toThrow(
      `${at('empty.onnx')}: not an ONNX model, expected the protobuf of an ONNX file, got an empty file. Try to download or export it again.`,
    );
    await expect(loadModel(at('page.onnx'))).rejects.toThrow('got a web page (HTML or XML).');
    await expect(saveModel(at('folder'), model())).rejects.toThrow(`${at('folder')}: is a folder. Try the path of an .onnx file.`);
    await expect(saveModel(at('file', 'net.onnx'), model())).rejects.toThrow(`${at('file', 'net.onnx')}: its folder is a file.`);
    expect(readdirSync(folder).sort()).toEqual(['empty.onnx', 'file', 'folder', 'page.onnx']);
  });

  it('refuses a graph that breaks its own rules', async () => {
    const broken = model();
    broken.graph.nodes[0].inputs[1] = 'gone';
    writeFileSync(at('net.onnx'), writeModel(broken));
    await expect(loadModel(at('net.onnx'))).rejects.toThrow(
      `${at('net.onnx')}: operator "Mul" (node "y") reads "gone", expected a value made before it is read, got no value of that name.`,
    );
  });
});

/** A file whose initialiser `w`, float32 [4], lies where the entries say. */
function external(entries: Record<string, string>): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ version: 17n }],
      graph: {
        name: 'g',
        initializer: [
          {
            name: 'w',
            dims: [4n],
            dataType: T.FLOAT,
            dataLocation: TensorProto_DataLocation.EXTERNAL,
            externalData: Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
          },
        ],
      },
    }),
  );
}

describe('external data', () => {
  const weights = Buffer.from(Float32Array.of(0, 1, 2, 3, 4).buffer);
  const load = (entries: Record<string, string>): Promise<Model> => {
    mkdirSync(at('model', 'weights'), { recursive: true });
    writeFileSync(at('model', 'weights', 'w.bin'), weights);
    writeFileSync(at('secret'), weights);
    writeFileSync(at('model', 'net.onnx'), external(entries));
    return loadModel(at('model', 'net.onnx'));
  };
  const start = (name = 'net.onnx'): string => `${at('model', name)}: initializer "w": external data`;

  it('is read from beside the model, and written into the file from then on', async () => {
    const read = await load({ location: 'weights/w.bin', offset: '4', length: '16' });
    expect(read.graph.initializers.get('w')).toEqual(f32([1, 2, 3, 4], [4]));
    await saveModel(at('alone.onnx'), read);
    expect((await loadModel(at('alone.onnx'))).graph.initializers.get('w')).toEqual(f32([1, 2, 3, 4], [4]));
    expect((await load({ location: './weights/w.bin' })).graph.initializers.get('w')?.data[0]).toBe(0);
  });

  it('is never read from outside the folder of the model', async () => {
    const where = `lies outside the folder of the model, expected a file below ${at('model')}, got`;
    await expect(load({ location: '../secret' })).rejects.toThrow(`${start()} "../secret" ${where} a path that goes up.`);
    await expect(load({ location: at('secret') })).rejects.toThrow(`${start()} "${at('secret')}" ${where} an absolute path.`);
    await expect(load({})).rejects.toThrow(`${start()} "" ${where} no path.`);
    await load({ location: 'weights/w.bin' });
    // As the cache of Hugging Face has them.
    const copy = 'Try a copy of model and data in one folder (cp -L).';
    symlinkSync(at('secret'), at('model', 'link'));
    await expect(load({ location: 'link' })).rejects.toThrow(`${start()} "link" ${where} a link to ${at('secret')}. ${copy}`);
    symlinkSync(folder, at('model', 'up'));
    await expect(load({ location: 'up/secret' })).rejects.toThrow(`${start()} "up/secret" ${where} a link to ${at('secret')}. ${copy}`);
    linkSync(at('secret'), at('model', 'hard'));
    await expect(load({ location: 'hard' })).rejects.toThrow(
      `${start()} "hard", expected a plain file of its own, got a hard link. ${copy}`,
    );
    await expect(load({ location: 'weights' })).rejects.toThrow(
      `${start()} "weights", expected a plain file of its own, got something else.`,
    );
  });

  it('that is missing, cut off or mislabelled is refused', async () => {
    await expect(load({ location: 'w.bin' })).rejects.toThrow(`${start()} "w.bin" is missing, expected the file ${at('model', 'w.bin')}.`);
    await expect(load({ location: 'weights/w.bin', offset: '8' })).rejects.toThrow(
      `${start()} "weights/w.bin" is cut off, expected at least 24 bytes, got 20. Try to download or export the model again, with all its files.`,
    );
    await expect(load({ location: 'weights/w.bin', length: '8' })).rejects.toThrow(
      `${at('model', 'net.onnx')}: initializer "w": external data does not fit the shape [4], expected 16 bytes, got 8.`,
    );
    await expect(load({ location: 'weights/w.bin', offset: '-1' })).rejects.toThrow(
      `${start()} with a bad offset, expected a whole number of bytes, got "-1".`,
    );
  });

  it('cannot be read where there are only bytes', () => {
    expect(() => readModel(external({ location: 'w.bin' }), 'upload')).toThrow(
      'upload: initializer "w": its data lie in another file, "w.bin", expected a model in one file. Try to open the model by its path, with that file beside it.',
    );
  });
});
