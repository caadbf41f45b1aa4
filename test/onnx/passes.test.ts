import { describe, expect, it } from 'vitest';
import { f32, i64 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { float, type Model } from '../../src/onnx/model.ts';
import { bindBatch } from '../../src/onnx/passes/bind-batch.ts';
import { constantsToInitializers } from '../../src/onnx/passes/constants-to-initializers.ts';
import { type Pass, runPasses } from '../../src/onnx/passes/pass.ts';
import { removeDeadNodes } from '../../src/onnx/passes/remove-dead.ts';
import { removeIdentity } from '../../src/onnx/passes/remove-identity.ts';
import { writeModel } from '../../src/onnx/proto.ts';

const shape = (m: Model) => m.graph.nodes.map((n) => `${n.opType}(${n.inputs})->${n.outputs}`);

function build(fill: (b: GraphBuilder) => void): Model {
  const b = new GraphBuilder();
  b.input('x', 'float32', ['N', 4]);
  fill(b);
  return b.build();
}

/** Runs a pass, checks that the original is untouched, and that a second run finds nothing to do. */
function once(model: Model, pass: Pass): { model: Model; modified: boolean } {
  const before = writeModel(model);
  const result = runPasses(model, pass);
  expect(writeModel(model)).toEqual(before);
  expect(runPasses(result.model, pass).modified).toBe(false);
  return result;
}

const op = (b: GraphBuilder, type: string, input: string, output: string): string => b.op(type, [input], {}, { outputs: [output] });

describe('remove-identity', () => {
  it('case 1: readers read the input', () => {
    const model = build((b) => b.output(op(b, 'Relu', op(b, 'Identity', op(b, 'Identity', 'x', 'i'), 'j'), 'y')));
    const { model: after, modified } = once(model, removeIdentity);
    expect([modified, shape(after)]).toEqual([true, ['Relu(x)->y']]);
  });

  it('case 2: the producer makes the graph output, other readers follow', () => {
    const model = build((b) => {
      op(b, 'Relu', 'x', 'r');
      b.output(op(b, 'Identity', 'r', 'y'));
      b.output(op(b, 'Neg', 'r', 'z'));
    });
    expect(shape(once(model, removeIdentity).model)).toEqual(['Relu(x)->y', 'Neg(y)->z']);
  });

  it('case 3: what only renames an input, or one output as two, stays', () => {
    const model = build((b) => {
      b.output(op(b, 'Identity', 'x', 'y'));
      b.output(op(b, 'Relu', 'x', 'r'));
      b.output(op(b, 'Identity', 'r', 'r2'));
      b.op('Identity', ['x'], {}, { domain: 'com.example' });
    });
    const { modified, model: after } = once(model, removeIdentity);
    expect([modified, shape(after)]).toEqual([false, shape(model)]);
  });
});

describe('constants-to-initializers', () => {
  it('takes every kind of value over', () => {
    const t = f32([1, 2, 3, 4], [4]);
    const kinds = { value: t, value_float: float(0.5), value_floats: float([1, 2]), value_int: 3, value_ints: [4, 5] };
    const model = build((b) => {
      for (const [name, value] of Object.entries(kinds)) b.op('Constant', [], { [name]: value }, { outputs: [name] });
      b.op('Constant', [], { value_string: 'a' }, { outputs: ['s'] });
      b.output(b.op('Add', ['x', 'value'], {}, { outputs: ['y'] }));
    });
    const { graph } = once(model, constantsToInitializers).model;
    expect(graph.nodes.map((n) => n.opType)).toEqual(['Add']);
    expect([...graph.initializers]).toEqual([
      ['value', t],
      ['value_float', f32([0.5], [])],
      ['value_floats', f32([1, 2], [2])],
      ['value_int', i64([3], [])],
      ['value_ints', i64([4, 5])],
      ['s', { dtype: 'string', dims: [], data: ['a'] }],
    ]);
  });

  it('leaves graph outputs and integers it cannot hold exactly', () => {
    const model = build((b) => {
      b.output(b.op('Constant', [], { value_float: float(1) }, { outputs: ['y'] }));
      b.op('Constant', [], { value_ints: [2 ** 63] }, { outputs: ['z'] });
    });
    expect(once(model, constantsToInitializers).modified).toBe(false);
  });

  it('raises the IR version of a file that had to list initialisers as inputs', () => {
    const model = build((b) => b.output(b.op('Add', ['x', b.op('Constant', [], { value_float: float(1) })])));
    model.irVersion = 3;
    expect(once(model, constantsToInitializers).model.irVersion).toBe(4);
  });
});

describe('bind-batch', () => {
  const model = build((b) => b.output(op(b, 'Relu', 'x', 'y'), 'float32', ['N', 4]));
  model.graph.valueInfo.push({ name: 'y', dtype: 'float32', dims: ['N', 'M'] });

  it('replaces the symbol wherever it stands', () => {
    const { graph } = once(model, bindBatch(8)).model;
    expect([graph.inputs[0].dims, graph.outputs[0].dims, graph.valueInfo[0].dims]).toEqual([
      [8, 4],
      [8, 4],
      [8, 'M'],
    ]);
  });

  it('gives an unknown batch a size, and leaves a right one', () => {
    const unknown = build((b) => b.output(op(b, 'Relu', 'x', 'y')));
    unknown.graph.inputs[0].dims = [null, null];
    expect(once(unknown, bindBatch(3)).model.graph.inputs[0].dims).toEqual([3, null]);
    expect(runPasses(runPasses(model, bindBatch(2)).model, bindBatch(2)).modified).toBe(false);
  });

  it('refuses another fixed batch, and batches that are none', () => {
    const fixed = runPasses(model, bindBatch(1)).model;
    expect(() => runPasses(fixed, bindBatch(8))).toThrow('onnx: pass bind-batch: cannot run: input "x" has a fixed batch of 1, not 8.');
    expect(() => runPasses(model, bindBatch(0))).toThrow('onnx: pass bind-batch: cannot run: a batch of 0 is no whole number above 0.');
  });
});

describe('passes in general', () => {
  it('run in order, and say whether any changed something', () => {
    const model = build((b) => {
      b.output(op(b, 'Relu', op(b, 'Identity', 'x', 'i'), 'y'));
      b.op('Neg', [b.op('Constant', [], { value_float: float(1) })]);
    });
    const { model: after, modified } = runPasses(model, constantsToInitializers, removeIdentity, removeDeadNodes);
    expect([modified, shape(after), after.graph.initializers.size]).toEqual([true, ['Relu(x)->y'], 0]);
    expect(runPasses(model).modified).toBe(false);
  });

  it('a pass that breaks its promise or the graph is found out', () => {
    const model = build((b) => b.output(op(b, 'Relu', 'x', 'y')));
    const liar: Pass = { name: 'liar', run: () => true, ensures: () => 'nothing is new' };
    const breaker: Pass = { name: 'breaker', run: ({ graph }) => graph.nodes.splice(0).length > 0 };
    expect(() => runPasses(model, liar)).toThrow('onnx: pass liar broke its promise: nothing is new');
    expect(() => runPasses(model, breaker)).toThrow('onnx: pass breaker: the graph gives out "y", expected a value made before it is read');
  });
});
