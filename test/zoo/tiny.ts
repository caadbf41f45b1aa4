/** A network of one layer in 109 bytes. */
import { f32 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { writeModel } from '../../src/onnx/proto.ts';

/** Other weights are another network of the same size. */
export function tinyNetwork(weight: number): Uint8Array {
  const b = new GraphBuilder();
  b.input('x', 'float32', ['batch', 2]);
  b.output(b.op('MatMul', ['x', b.initializer('w', f32([weight, 2, 3, 4], [2, 2]))], {}, { name: 'y' }));
  return writeModel(b.build());
}
