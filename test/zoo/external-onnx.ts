/** ONNX files that keep a weight in a file beside them. */
import { f32 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { writeModel } from '../../src/onnx/proto.ts';

/** An ONNX file whose one weight lies in `w.data`, all of it. */
export function withExternal(data: Uint8Array): Uint8Array {
  const b = new GraphBuilder({ name: 'net' });
  b.input('x', 'float32', ['N', data.length / 8]);
  const weights = f32(new Float32Array(data.slice().buffer), [data.length / 8, 2]);
  b.output(b.op('MatMul', ['x', b.initializer('w', weights)], {}, { name: 'y' }), 'float32', ['N', 2]);
  return externalised(writeModel(b.build()), data.length);
}

/**
 * Rewrites the one raw_data field (number 9) of the initializer as external_data (13) and data_location (14), by hand, so that the test does
 * not lean on the code that it tests.
 */
function externalised(file: Uint8Array, length: number): Uint8Array {
  const entry = (key: string, value: string): number[] => {
    const [k, v] = [Buffer.from(key), Buffer.from(value)];
    const body = [0x0a, k.length, ...k, 0x12, v.length, ...v];
    return [0x6a, body.length, ...body];
  };
  const outside = [...entry('location', 'w.data'), ...entry('length', String(length)), 0x70, 1];
  const [graph, before, after] = field(file, 7);
  const [tensor, beforeTensor, afterTensor] = field(graph, 5);
  const [, beforeRaw, afterRaw] = field(tensor, 9);
  const newTensor = [...beforeRaw, ...afterRaw, ...outside];
  const newGraph = [...beforeTensor, 0x2a, ...varint(newTensor.length), ...newTensor, ...afterTensor];
  return Uint8Array.from([...before, 0x3a, ...varint(newGraph.length), ...newGraph, ...after]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];
}

/** The content of a length-delimited field of a message, and what stands before and after it. */
function field(message: Uint8Array, number: number): [content: Uint8Array, before: Uint8Array, after: Uint8Array] {
  let at = 0;
  const read = (): number => {
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = message[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
  };
  while (at < message.length) {
    const start = at;
    const tag = read();
    if (tag % 8 !== 2) {
      read();
      continue;
    }
    const size = read();
    if (Math.floor(tag / 8) === number) return [message.subarray(at, at + size), message.subarray(0, start), message.subarray(at + size)];
    at += size;
  }
  throw new Error(`no field ${number}`);
}
