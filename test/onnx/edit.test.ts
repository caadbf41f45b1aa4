import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { f32 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { checkModel } from '../../src/onnx/check.ts';
import {
  attrFloat,
  attrFloats,
  attrInt,
  attrInts,
  attrString,
  cloneModel,
  consumers,
  producers,
  removeDead,
  renameValue,
  replaceInput,
  topologicalOrder,
  usedValues,
} from '../../src/onnx/edit.ts';
import { float, type Graph, type Model, type Node } from '../../src/onnx/model.ts';
import { writeModel } from '../../src/onnx/proto.ts';

/** x -> a -> b -> y, with c (dead) and an If whose branch reads a and w from outside. */
function sample(): Model {
  const g = new GraphBuilder();
  const x = g.input('x', 'float32', [2]);
  g.initializer('w', f32([1, 2], [2]));
  g.initializer('unused', f32([1, 2], [2]));
  g.op('Relu', [x], {}, { outputs: ['a'], name: 'relu' });
  g.op('Neg', ['a'], {}, { outputs: ['c'] });
  g.op('Add', ['a', 'a'], {}, { outputs: ['b'] });
  g.input('cond', 'bool', []);
  g.output(g.op('If', ['cond'], {}, { outputs: ['y'] }), 'float32', [2]);
  const model = g.build();
  model.graph.nodes[3].attributes.set('then_branch', { type: 'graph', value: branch(['a', 'w']) });
  model.graph.nodes[3].attributes.set('else_branch', {
    type: 'graph',
    value: { ...branch([]), outputs: [{ name: 'b', dtype: 'float32', dims: [2] }] },
  });
  return model;
}

function branch(inputs: string[]): Graph {
  const nodes: Node[] =
    inputs.length === 0 ? [] : [{ name: '', opType: 'Mul', domain: '', inputs, outputs: ['inner'], attributes: new Map() }];
  return {
    name: 'branch',
    nodes,
    inputs: [],
    outputs: [{ name: 'inner', dtype: 'float32', dims: [2] }],
    valueInfo: [],
    initializers: new Map(),
  };
}

const ops = (nodes: readonly Node[]): string[] => nodes.map((n) => n.opType);

describe('questions', () => {
  const { graph } = sample();
  it('who makes a value, who reads it', () => {
    expect(producers(graph).get('a')?.opType).toBe('Relu');
    expect(producers(graph).has('x')).toBe(false);
    expect(ops(consumers(graph).get('a') ?? [])).toEqual(['Neg', 'Add', 'If']);
    expect(ops(consumers(graph).get('w') ?? [])).toEqual(['If']);
    expect(consumers(graph).has('y')).toBe(false);
    expect(new Set(usedValues(graph.nodes[3]))).toEqual(new Set(['cond', 'a', 'w', 'b']));
  });

  it('order: a shuffled graph comes back in one that works, and an ordered one stays', () => {
    expect(topologicalOrder(graph)).toEqual(graph.nodes);
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (order) => {
        const model = sample();
        model.graph.nodes = order.map((i) => model.graph.nodes[i]);
        model.graph.nodes = topologicalOrder(model.graph);
        expect(model.graph.nodes.length).toBe(4);
        checkModel(model);
      }),
    );
  });

  it('order: very deep graphs do not overflow the stack, circles are named', () => {
    const b = new GraphBuilder();
    let value = b.input('x', 'float32', [1]);
    for (let i = 0; i < 20_000; i++) value = b.op('Relu', [value]);
    b.output(value);
    const deep = b.build().graph;
    deep.nodes.reverse();
    expect(topologicalOrder(deep)[0].inputs).toEqual(['x']);
    const circle = sample().graph;
    circle.nodes[0].inputs = ['b'];
    expect(() => topologicalOrder(circle)).toThrow(
      'onnx: operator "Relu" (node "relu"): reads its own output, expected a graph without circles.',
    );
  });

  it('attributes, with their defaults and their errors', () => {
    const b = new GraphBuilder();
    b.op('T', [], { i: 3, is: [1, 2], f: float(0.5), fs: float([1]), s: 'NOTSET' }, { name: 't' });
    const [node] = b.build().graph.nodes;
    expect([attrInt(node, 'i'), attrInt(node, 'none', 7), attrInts(node, 'is'), attrInts(node, 'none', null)]).toEqual([
      3,
      7,
      [1, 2],
      null,
    ]);
    expect([attrFloat(node, 'f', 1), attrFloats(node, 'fs'), attrString(node, 's', 'x'), attrString(node, 'none', 'x')]).toEqual([
      0.5,
      [1],
      'NOTSET',
      'x',
    ]);
    expect(() => attrInts(node, 'kernel_shape')).toThrow('onnx: operator "T" (node "t"): no attribute "kernel_shape", expected ints.');
    expect(() => attrInt(node, 'f', 1)).toThrow(
      'onnx: operator "T" (node "t"): attribute "f" has the wrong type, expected int, got float.',
    );
  });
});

describe('changes', () => {
  it('cloneModel: no change of the clone reaches the original', () => {
    const model = sample();
    const before = writeModel(model);
    const clone = cloneModel(model);
    clone.metadata.set('a', 'b');
    clone.opsets.set('x', 1);
    clone.graph.inputs[0].dims![0] = 9;
    for (const node of clone.graph.nodes) node.attributes.set('new', { type: 'int', value: 1 });
    renameValue(clone.graph, 'a', 'other');
    removeDead(clone.graph);
    expect(writeModel(model)).toEqual(before);
    expect(clone.graph.initializers.get('w')).toBe(model.graph.initializers.get('w'));
  });

  it('replaceInput reaches every reader, subgraphs and what they give out included', () => {
    const model = sample();
    expect(replaceInput(model.graph, 'a', 'x')).toBe(4);
    expect(replaceInput(model.graph, 'b', 'x')).toBe(1);
    expect(consumers(model.graph).has('a')).toBe(false);
    expect(consumers(model.graph).has('b')).toBe(false);
    checkModel(model);
  });

  it('renameValue renames producer and readers, inputs, initialisers and outputs', () => {
    const model = sample();
    for (const name of ['x', 'a', 'w', 'y', 'b']) renameValue(model.graph, name, `${name}_new`);
    checkModel(model);
    expect(model.graph.inputs[0].name).toBe('x_new');
    expect([...model.graph.initializers.keys()]).toEqual(['w_new', 'unused']);
    expect(model.graph.outputs[0].name).toBe('y_new');
    expect(() => renameValue(model.graph, 'x_new', 'b_new')).toThrow(
      'onnx: cannot rename "x_new", expected a free name, got "b_new", which is taken.',
    );
  });

  it('removeDead takes what reaches no output and nothing else', () => {
    const model = sample();
    model.graph.valueInfo = ['a', 'c'].map((name) => ({ name, dtype: 'float32', dims: [2] }));
    model.graph.inputs.push({ name: 'unused', dtype: 'float32', dims: [2] });
    expect(removeDead(model.graph)).toBe(2);
    expect(ops(model.graph.nodes)).toEqual(['Relu', 'Add', 'If']);
    expect([...model.graph.initializers.keys()]).toEqual(['w']);
    expect(model.graph.inputs.map((i) => i.name)).toEqual(['x', 'cond']);
    expect(model.graph.valueInfo.map((v) => v.name)).toEqual(['a']);
    expect(removeDead(model.graph)).toBe(0);
    checkModel(model);
  });
});

describe('checkModel', () => {
  it.each<[string, (m: Model) => void, string]>([
    [
      'a value made twice',
      (m) => (m.graph.nodes[1].outputs = ['a']),
      'onnx: value "a" is made twice, the second time by operator "Neg" (node "neg"), expected one producer for each value.',
    ],
    [
      'a value that is not there',
      (m) => (m.graph.nodes[0].inputs = ['xx']),
      'onnx: operator "Relu" (node "relu") reads "xx", expected a value made before it is read, got no value of that name. Try "x".',
    ],
    [
      'the wrong order',
      (m) => m.graph.nodes.reverse(),
      'onnx: operator "If" (node "if"): operator "Mul" (node "inner") reads "a", expected a value made before it is read, got no value of that name.',
    ],
    [
      'the wrong order in one graph',
      (m) => m.graph.nodes.splice(0, 3, ...m.graph.nodes.slice(0, 3).reverse()),
      'onnx: operator "Add" (node "add") reads "a", expected a value made before it is read, got one that operator "Relu" (node "relu") makes later.',
    ],
    [
      'a domain that is not imported',
      (m) => (m.graph.nodes[0].domain = 'com.example'),
      'onnx: operator "Relu" (node "relu") is of the domain "com.example", expected a domain that the model imports, got ai.onnx.',
    ],
    [
      'an output that nobody makes',
      (m) => (m.graph.outputs[0].name = 'z'),
      'onnx: the graph gives out "z", expected a value made before it is read, got no value of that name. Try "x".',
    ],
  ])('finds %s', (_, spoil, message) => {
    const model = sample();
    checkModel(model);
    spoil(model);
    expect(() => checkModel(model)).toThrow(message);
  });
});
