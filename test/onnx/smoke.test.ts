import { describe, expect, it } from 'vitest';
import { f32 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';

describe('a model made by the builder', () => {
  it('is the same after writing and reading', () => {
    const b = new GraphBuilder({ name: 'tiny' });
    const x = b.input('x', 'float32', ['N', 2]);
    const y = b.op('Gemm', [x, b.initializer('w', f32([1, 2, 3, 4], [2, 2]))], { transB: 1 }, { name: 'fc' });
    b.output(b.op('Relu', [y], {}, { name: 'fc/relu' }), 'float32', ['N', 2]);
    const read = readModel(writeModel(b.build()));
    expect(read.graph.nodes.map((n) => [n.name, n.opType, n.inputs, n.outputs])).toEqual([
      ['fc', 'Gemm', ['x', 'w'], ['fc']],
      ['fc/relu', 'Relu', ['fc'], ['fc/relu']],
    ]);
    expect(read.graph.nodes[0].attributes.get('transB')).toEqual({ type: 'int', value: 1 });
    expect(read.graph.initializers.get('w')).toEqual(f32([1, 2, 3, 4], [2, 2]));
    expect(read.graph.inputs[0]).toMatchObject({ name: 'x', dtype: 'float32', dims: ['N', 2] });
    expect([...read.opsets]).toEqual([['', 17]]);
  });
});
