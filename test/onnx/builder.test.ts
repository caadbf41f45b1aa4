import { describe, expect, it } from 'vitest';
import { f32, i64 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { checkModel } from '../../src/onnx/check.ts';
import { float } from '../../src/onnx/model.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';

function mlp(): GraphBuilder {
  const b = new GraphBuilder({ name: 'tiny' });
  const x = b.input('x', 'float32', ['N', 2]);
  const w = b.initializer('w', f32([1, 2, 3, 4], [2, 2]));
  const fc = b.op('Gemm', [x, w], { transB: 1 }, { name: 'fc' });
  b.output(b.op('Relu', [fc], {}, { name: 'fc/relu' }), 'float32', ['N', 2]);
  return b;
}

describe('a built model', () => {
  it('is the same after writing and reading', () => {
    const { graph, opsets, irVersion, producerName } = readModel(writeModel(mlp().build()));
    expect([irVersion, producerName, graph.name, [...opsets]]).toEqual([8, 'secateur', 'tiny', [['', 17]]]);
    expect(graph.nodes.map((n) => [n.name, n.opType, n.inputs, n.outputs])).toEqual([
      ['fc', 'Gemm', ['x', 'w'], ['fc']],
      ['fc/relu', 'Relu', ['fc'], ['fc/relu']],
    ]);
    expect(graph.initializers.get('w')).toEqual(f32([1, 2, 3, 4], [2, 2]));
    expect(graph.inputs).toMatchObject([{ name: 'x', dtype: 'float32', dims: ['N', 2] }]);
    expect(graph.outputs).toMatchObject([{ name: 'fc/relu', dtype: 'float32', dims: ['N', 2] }]);
  });

  it('keeps every kind of attribute', () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', [1]);
    b.op('Any', [x], { i: -1, f: float(0.1), fs: float([1, 0.2]), s: 'text', is: [1, 2], ss: ['a', 'b'], t: f32([5], [1]), none: [] });
    const [node] = readModel(writeModel(b.build())).graph.nodes;
    expect([...node.attributes]).toEqual([
      ['i', { type: 'int', value: -1 }],
      ['f', { type: 'float', value: Math.fround(0.1) }],
      ['fs', { type: 'floats', value: [1, Math.fround(0.2)] }],
      ['s', { type: 'string', value: 'text' }],
      ['is', { type: 'ints', value: [1, 2] }],
      ['ss', { type: 'strings', value: ['a', 'b'] }],
      ['t', { type: 'tensor', value: f32([5], [1]) }],
      ['none', { type: 'ints', value: [] }],
    ]);
  });
});

describe('names', () => {
  it('are the wished ones, or those with a number', () => {
    const b = new GraphBuilder({ prefix: 'grad' });
    const x = b.input('x', 'float32', [1]);
    expect([b.op('Relu', [x]), b.op('Relu', [x]), b.op('Relu', [x], {}, { name: 'conv1/relu' })]).toEqual([
      'grad/relu',
      'grad/relu_1',
      'grad/conv1/relu',
    ]);
    expect(b.opN('Split', [x], {}, { outputs: 3 })).toEqual(['grad/split', 'grad/split.1', 'grad/split.2']);
    expect(b.opN('Dropout', [x], {}, { outputs: ['out', ''], name: 'drop' })).toEqual(['out', '']);
    expect(b.fresh('relu')).toBe('grad/relu_2');
    checkModel(b.build());
  });

  it('never clash with anything in a continued model, its subgraphs and node names included', () => {
    const inner = new GraphBuilder({ name: 'branch' });
    const model = mlp().build();
    model.graph.nodes.push({
      name: 'relu',
      opType: 'If',
      domain: '',
      inputs: ['x'],
      outputs: ['if_out'],
      attributes: new Map([['then_branch', { type: 'graph', value: { ...inner.build().graph, nodes: [inside()] } }]]),
    });
    const b = GraphBuilder.from(model);
    expect([b.op('Relu', ['x']), b.fresh('hidden'), b.fresh('w'), b.fresh('fc')]).toEqual(['relu_1', 'hidden_1', 'w_1', 'fc_1']);
  });

  const inside = () => ({ name: '', opType: 'Neg', domain: '', inputs: ['x'], outputs: ['hidden'], attributes: new Map() });
});

describe('constants', () => {
  it('are shared where type, shape and bytes are equal', () => {
    const b = new GraphBuilder();
    expect(b.ints([1, -1])).toBe(b.constant(i64([1, -1])));
    expect(b.scalar(0.5)).toBe(b.constant(f32([0.5], [])));
    const different = [b.scalar(1), b.constant(f32([1], [1])), b.scalar(1, 'int64'), b.scalar(1, 'float64'), b.scalar(-0), b.scalar(0)];
    expect(new Set(different).size).toBe(different.length);
    expect(b.build().graph.initializers.size).toBe(2 + different.length);
  });

  it('say what they are', () => {
    const b = new GraphBuilder();
    expect([b.ints([1, -1]), b.scalar(0.5), b.constant(f32(new Float32Array(12), [3, 4])), b.scalar(1, 'bool')]).toEqual([
      'const/i64_1_-1',
      'const/f32_0.5',
      'const/f32_3x4',
      'const/bool_1',
    ]);
  });

  it('take over equal ones of a continued model, but never a large one', () => {
    const first = new GraphBuilder();
    const two = first.ints([2]);
    const large = first.constant(f32(new Float32Array(1000), [1000]));
    const b = GraphBuilder.from(first.build());
    expect(b.ints([2])).toBe(two);
    expect(b.constant(f32(new Float32Array(1000), [1000]))).not.toBe(large);
  });
});

describe('continuing a model', () => {
  it('leaves it as it is', () => {
    const model = mlp().build();
    const before = writeModel(model);
    const b = GraphBuilder.from(model);
    b.output(b.op('Softmax', ['fc'], { axis: -1 }, { domain: 'com.example' }));
    b.build();
    expect(writeModel(model)).toEqual(before);
  });

  it('imports new domains, and lets old files have initialisers that are no inputs', () => {
    const model = mlp().build();
    model.irVersion = 3;
    const b = GraphBuilder.from(model);
    b.op('X', ['x', b.scalar(1)], {}, { domain: 'com.example' });
    const built = b.build();
    expect([...built.opsets]).toEqual([
      ['', 17],
      ['com.example', 1],
    ]);
    expect(built.irVersion).toBe(4);
  });

  it('puts nodes in order', () => {
    const model = mlp().build();
    model.graph.nodes.reverse();
    expect(
      GraphBuilder.from(model)
        .build()
        .graph.nodes.map((n) => n.opType),
    ).toEqual(['Gemm', 'Relu']);
  });
});

describe('mistakes', () => {
  const b = mlp();
  it.each<[string, () => unknown, string]>([
    [
      'an input that does not exist',
      () => b.op('Relu', ['nope'], {}, { name: 'r' }),
      'onnx: builder: node "r" (Relu) reads "nope", which is no value of the graph.',
    ],
    ['an output that does not exist', () => b.output('nope'), 'onnx: builder: output "nope" is no value of the graph.'],
    ['a name twice', () => b.initializer('x', f32([1], [1])), 'onnx: builder: the graph has a value "x" already.'],
    ['an output name twice', () => b.op('Relu', ['x'], {}, { outputs: ['fc'] }), 'onnx: builder: the graph has a value "fc" already.'],
    ['no name', () => b.input('', 'float32', []), 'onnx: builder: a value without a name.'],
    ['a float as an int', () => b.op('Elu', ['x'], { alpha: 0.5 }), 'onnx: builder: attribute is no integer, got 0.5. Try float(…).'],
  ])('%s', (_, act, message) => expect(act).toThrow(message));

  it('a value that is gone when the model is built', () => {
    const model = mlp().build();
    model.graph.initializers.delete('w');
    expect(() => GraphBuilder.from(model).build()).toThrow('onnx: operator "Gemm" (node "fc"): reads "w", which is no value of the graph.');
  });
});
