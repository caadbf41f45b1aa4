import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecateurError } from '../../src/core/errors.ts';
import { f32 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';
import { exoticBytes } from './exotic-model.ts';

function tinyBytes(): Uint8Array {
  const b = new GraphBuilder();
  const x = b.input('x', 'float32', ['N', 3]);
  const w = b.initializer(
    'w',
    f32(
      Float32Array.from({ length: 3000 }, (_, i) => i),
      [3, 1000],
    ),
  );
  b.output(b.op('MatMul', [x, w], {}, { name: 'y' }), 'float32', ['N', 1000]);
  return writeModel(b.build());
}

const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const read = (bytes: Uint8Array) => () => readModel(bytes, 'net.onnx');
const head = 'net.onnx: not an ONNX model, expected the protobuf of an ONNX file, got';
const EXPORT = 'Try to export it as .onnx first (PyTorch: torch.onnx.export, Keras: tf2onnx).';

describe('files that are something else', () => {
  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'an empty file. Try to download or export it again.'],
    [
      'a web page',
      text('<!DOCTYPE html>\n<html><head><title>Sign in</title>'),
      'a web page (HTML or XML). Try to download the raw file rather than the page that shows it.',
    ],
    [
      'a Git LFS pointer',
      text('version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'),
      'a Git LFS pointer, not the file it stands for. Try git lfs pull in the repository it comes from.',
    ],
    ['a zip', Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0), `a zip archive, as PyTorch checkpoints and .npz files are. ${EXPORT}`],
    ['a gzip', Uint8Array.of(0x1f, 0x8b, 8, 0), 'a gzip archive. Try to unpack it with gunzip first.'],
    ['HDF5', Uint8Array.of(0x89, 0x48, 0x44, 0x46, 13, 10), `an HDF5 file, as Keras writes them. ${EXPORT}`],
    ['a pickle', Uint8Array.of(0x80, 2, 0x8a, 0x0a), `a Python pickle, as old PyTorch checkpoints are. ${EXPORT}`],
    ['TensorFlow Lite', text('\x1c\0\0\0TFL3'), `a TensorFlow Lite model. ${EXPORT}`],
    ['ORT format', text('\x1c\0\0\0ORTM'), "ONNX Runtime's own .ort format. Try the .onnx file that it was converted from."],
    ['PNG', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10), 'a PNG image. Try the path of an .onnx file.'],
    ['safetensors', Uint8Array.from([40, 0, 0, 0, 0, 0, 0, 0, ...text('{"weight":{}}')]), `a safetensors file. ${EXPORT}`],
    ['JSON', text(' { "recipe": "mnist" }'), 'JSON text. Try the path of an .onnx file.'],
    ['plain text', text('hello, this is no model'), 'other bytes.'],
    ['noise', Uint8Array.from({ length: 300 }, (_, i) => (i * 97 + 200) & 255), 'other bytes.'],
    ['zeros', new Uint8Array(1000), 'other bytes.'],
    ['another protobuf', Uint8Array.of(0x08, 0x08, 0x12, 0x01, 0x41), 'no graph in it.'],
  ])('%s', (_, bytes, message) => expect(read(bytes)).toThrow(`${head} ${message}`));
});

describe('files that are damaged', () => {
  it('a download that broke off says how much is missing', () => {
    const bytes = tinyBytes();
    expect(read(bytes.subarray(0, 5000))).toThrow(
      `net.onnx: the file is cut off, expected at least ${bytes.length} bytes, got 5000. Try to download or export it again.`,
    );
  });

  it('every cut of a file is refused with an error of ours', () => {
    for (const bytes of [exoticBytes(), tinyBytes().subarray(0, 400)]) {
      // The unknown fields at the end of the exotic file may be lost without harm to the rest: a cut between fields is a whole file.
      const tail = bytes.length > 1000 ? 12 : 0;
      for (let length = 0; length < bytes.length - tail; length++) {
        const cut = bytes.slice(0, length);
        try {
          readModel(cut, 'net.onnx');
          // Only between the outermost fields after the graph and the operator sets can a cut go unseen.
          expect(readModel(cut).opsets.size).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(SecateurError);
        }
      }
    }
  });

  it('without operator sets, as after a cut between fields', () => {
    const bytes = Uint8Array.of(0x08, 0x08, 0x3a, 0x03, 0x12, 0x01, 0x67); // ir_version 8, a graph named g
    expect(read(bytes)).toThrow(
      'net.onnx: no operator set, expected an opset_import as every ONNX model has, got none; the file may be cut off.',
    );
  });

  it('whatever bytes change, it is a model or an error of ours, quickly and without large allocations', () => {
    const original = exoticBytes();
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }), (changes) => {
        const bytes = original.slice();
        for (const [at, value] of changes) bytes[at] = value;
        try {
          writeModel(readModel(bytes, 'net.onnx'));
        } catch (error) {
          expect(error).toBeInstanceOf(SecateurError);
        }
      }),
      { numRuns: 3000, seed: 1 },
    );
  });

  it('graphs nested without end', () => {
    // field 7 (graph) { node { attribute { g { node … } } } }, each level in the next.
    let inner: number[] = [];
    for (let i = 0; i < 400; i++) {
      for (const tag of [0x32, 0x2a, 0x0a]) inner = [tag, ...varint(inner.length), ...inner];
    }
    const bytes = Uint8Array.from([0x08, 0x08, 0x3a, ...varint(inner.length), ...inner, 0x42, 0x02, 0x10, 0x11]);
    expect(read(bytes)).toThrow('net.onnx: messages nested too deeply, expected at most 64 levels, got more, the last a GraphProto.');
  });

  it('attributes given twice', () => {
    const attribute = [0x2a, 0x08, 0x0a, 0x01, 0x61, 0x18, 0x01, 0xa0, 0x01, 0x02];
    const node = [0x22, 0x04, ...text('Relu'), ...attribute, ...attribute];
    const graph = [0x0a, node.length, ...node];
    const bytes = Uint8Array.from([0x08, 0x08, 0x3a, graph.length, ...graph, 0x42, 0x02, 0x10, 0x11]);
    expect(read(bytes)).toThrow('net.onnx: node "Relu": attribute "a" is there twice, expected one value for each attribute.');
  });
});

function varint(n: number): number[] {
  return n < 128 ? [n] : [(n & 127) | 128, ...varint(n >> 7)];
}
