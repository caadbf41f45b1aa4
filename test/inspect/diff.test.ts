import { describe, expect, it } from 'vitest';
import { f32, i64, type Tensor } from '../../src/core/tensor.ts';
import { inOrder } from '../../src/inspect/align.ts';
import { diffModels } from '../../src/inspect/diff.ts';
import { diffTensors, mostMoved } from '../../src/inspect/tensor-diff.ts';
import { cloneModel } from '../../src/onnx/edit.ts';
import { toHalf } from '../../src/onnx/half.ts';
import type { Model } from '../../src/onnx/model.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';
import { zeroSlices } from '../../src/onnx/slices.ts';
import { batchNormNet, cnn, mlp, residualNet } from '../defend/tiny-nets.ts';
import { exoticBytes } from '../onnx/exotic-model.ts';

const scaled = (t: Tensor, by: number): Tensor => ({ ...t, data: (t.data as Float32Array).map((v) => v * by) });

describe('diffModels', () => {
  it('finds a network equal to itself, also after a write and a read', () => {
    const model = residualNet();
    const { same, changes, tensors, matched, notes } = diffModels(model, readModel(writeModel(model)));
    expect({ same, changes, notes }).toEqual({ same: true, changes: [], notes: [] });
    expect(tensors.every((t) => t.same && t.relative === 0 && t.cosine === 1 && t.unchanged === t.channels)).toBe(true);
    expect(matched).toEqual({ byName: model.graph.initializers.size, inOrder: 0 });
  });

  it('tells how far each tensor and each channel moved, worst first', () => {
    const before = cnn();
    const after = cloneModel(before);
    const { initializers } = after.graph;
    initializers.set('conv2.weight', zeroSlices(initializers.get('conv2.weight')!, 0, [1, 3]));
    initializers.set('fc2.weight', scaled(initializers.get('fc2.weight')!, 1.1));
    const { same, tensors, changes } = diffModels(before, after);
    expect(same).toBe(false);
    expect(changes).toEqual([]);
    const moved = tensors.filter((t) => !t.same);
    expect(moved.map((t) => [t.name, t.use])).toEqual([
      ['conv2.weight', 'Conv conv2'],
      ['fc2.weight', 'Gemm fc2'],
    ]);
    expect(moved[0]).toMatchObject({ channels: 5, axis: 0, unchanged: 3, zeroed: [1, 3] });
    expect(moved[0].perChannel).toEqual([0, 1, 0, 1, 0]);
    expect(moved[1].relative).toBeCloseTo(0.1, 5);
    expect(moved[1].cosine).toBeCloseTo(1, 10);
    expect(mostMoved(moved[1], 2).length).toBe(2);
  });

  it('lists what was done to the graph', () => {
    const before = batchNormNet();
    const after = cloneModel(before);
    const { graph } = after;
    const relu = graph.nodes.find((n) => n.name === 'relu2')!;
    graph.nodes.splice(graph.nodes.indexOf(relu) + 1, 0, {
      ...{ name: 'mask', opType: 'Mul', domain: '', inputs: ['relu2', 'ones'], outputs: ['masked'], attributes: new Map() },
    });
    graph.initializers.set('ones', f32([1], [1]));
    graph.nodes.find((n) => n.name === 'pool2')!.inputs[0] = 'masked';
    graph.nodes.find((n) => n.name === 'bn1')!.attributes.set('epsilon', { type: 'float', value: 0.5 });
    const shape = graph.nodes.find((n) => n.name === 'flat')!.inputs[1];
    graph.initializers.set(shape, i64([0, 20]));
    graph.inputs[0].dims = [1, 1, 8, 8];
    after.metadata.set('by', 'somebody');
    after.opsets.set('', 18);
    const diff = diffModels(before, after);
    expect(diff.changes.map((c) => [c.kind, c.what, c.before, c.after])).toEqual([
      ['opset', 'opset of ai.onnx', '17', '18'],
      ['metadata', 'metadata "by"', undefined, 'somebody'],
      ['declaration', 'input "x"', 'float32 [batch,1,8,8]', 'float32 [1,1,8,8]'],
      ['node', 'added: operator "Mul" (node "mask")', undefined, undefined],
      ['attribute', 'operator "BatchNormalization" (node "bn1"): attribute "epsilon"', String(Math.fround(1e-5)), '0.5'],
      ['wiring', 'operator "MaxPool" (node "pool2") reads another value (input 0)', 'relu2', 'masked'],
      ['constant', `constant "${shape}"`, 'int64 [-1,20]', 'int64 [0,20]'],
    ]);
    expect(diff.onlyAfter).toEqual(['ones [1]']);
    expect(diff.same).toBe(false);
  });

  it('metadata and declared shapes are no change of the network', () => {
    const after = cloneModel(cnn());
    after.metadata.set('by', 'somebody');
    after.graph.outputs[0].dims = ['n', 3];
    expect(diffModels(cnn(), after).same).toBe(true);
    after.graph.outputs[0].dims = ['n', 4];
    expect(diffModels(cnn(), after).same).toBe(false);
  });

  it('sees other operators, other outputs and another order of the file', () => {
    const before = residualNet();
    const after = cloneModel(before);
    after.graph.nodes.find((n) => n.name === 'block.relu1')!.opType = 'Tanh';
    expect(diffModels(before, after).changes.map((c) => c.what)).toEqual([
      'removed: operator "Relu" (node "block.relu1")',
      'added: operator "Tanh" (node "block.relu1")',
    ]);
    const two = cloneModel(before);
    two.graph.nodes.push({ name: 'side', opType: 'Relu', domain: '', inputs: ['stem'], outputs: ['side'], attributes: new Map() });
    const moved = cloneModel(two);
    moved.graph.nodes.splice(2, 0, moved.graph.nodes.pop()!);
    expect(diffModels(two, moved).changes.map((c) => c.kind)).toEqual(['order']);
  });

  it('sees what is in the file beside graph and weights', () => {
    const model = readModel(exoticBytes());
    expect(diffModels(model, model).same).toBe(true);
    const source = model.source as { functions: unknown[]; docString: string };
    const without: Model = { ...model, source: { ...source, functions: [], docString: 'other' } };
    const { same, changes } = diffModels(model, without);
    expect(same).toBe(false);
    expect(changes.map((c) => [c.kind, c.what])).toEqual([
      ['metadata', 'doc_string differs'],
      ['other', 'functions differs'],
    ]);
  });

  it('matches the weights of a re-exported model by operator and shape, in order', () => {
    const before = residualNet();
    const after = renumbered(before);
    after.graph.initializers.set('t3', scaled(after.graph.initializers.get('t3')!, 2));
    const { changes, tensors, matched, notes } = diffModels(before, after);
    expect(changes.filter((c) => c.kind !== 'input' && c.kind !== 'output')).toEqual([]);
    expect(matched).toEqual({ byName: 0, inOrder: before.graph.initializers.size });
    expect(tensors[0]).toMatchObject({ name: [...before.graph.initializers.keys()][3], renamed: 't3', relative: 1 });
    expect(notes).toEqual([
      'Nodes have other names: they were matched by operator, in graph order, as between two exports of one network.',
      `${tensors.length} of ${tensors.length} tensors have other names: they were matched by operator and shape, in graph order.`,
    ]);
  });

  it('compares weights of another element type, and weights in Constant nodes', () => {
    const before = mlp();
    const after = cloneModel(before);
    const { graph } = after;
    const half = (t: Tensor): Tensor => ({ dtype: 'float16', dims: t.dims, data: Uint16Array.from(t.data as Float32Array, toHalf) });
    graph.initializers.set('fc1.weight', half(graph.initializers.get('fc1.weight')!));
    const value = graph.initializers.get('fc2.weight')!;
    graph.initializers.delete('fc2.weight');
    graph.nodes.unshift({
      name: 'c',
      opType: 'Constant',
      domain: '',
      inputs: [],
      outputs: ['fc2.weight'],
      attributes: new Map([['value', { type: 'tensor', value }]]),
    });
    const { tensors } = diffModels(before, after);
    const [first, ...rest] = tensors;
    expect(first).toMatchObject({ name: 'fc1.weight', dtype: 'float32', retyped: 'float16', same: false });
    expect(first.relative).toBeGreaterThan(0);
    expect(first.relative).toBeLessThan(1e-3);
    expect(rest.map((t) => t.same)).toEqual([true, true, true]);
  });

  it('a name that came to another layer of the same shape is not taken for the same tensor', () => {
    const before = residualNet();
    const swapped = cloneModel(before);
    const names = new Map([
      ['block.conv1.weight', 'block.conv2.weight'],
      ['block.conv2.weight', 'block.conv1.weight'],
    ]);
    const { graph } = swapped;
    graph.initializers = new Map([...graph.initializers].map(([name, t]) => [names.get(name) ?? name, t]));
    for (const node of graph.nodes) node.inputs = node.inputs.map((name) => names.get(name) ?? name);
    const { same, tensors, changes, matched } = diffModels(before, swapped);
    expect({ same, changes }).toEqual({ same: true, changes: [] });
    expect(matched).toEqual({ byName: tensors.length - 2, inOrder: 2 });
    expect(tensors.find((t) => t.name === 'block.conv1.weight')).toMatchObject({ renamed: 'block.conv2.weight', same: true });
  });

  it('a number that became none is another number', () => {
    const before = cnn();
    const after = cloneModel(before);
    const weight = after.graph.initializers.get('conv2.weight')!;
    after.graph.initializers.set('conv2.weight', { ...weight, data: (weight.data as Float32Array).with(7, Number.NaN) });
    for (const [x, y] of [
      [before, after],
      [after, before],
    ]) {
      const { same, tensors } = diffModels(x, y);
      expect(same).toBe(false);
      expect(tensors[0]).toMatchObject({ name: 'conv2.weight', same: false, maxAbs: Number.POSITIVE_INFINITY, unchanged: 4 });
    }
    expect(diffModels(after, cloneModel(after)).same).toBe(true);
  });

  it('floats of 8 bits belong to the graph', () => {
    const withFloat8 = (value: number): Model => {
      const model = cloneModel(cnn());
      model.graph.initializers.set('scale', { dtype: 'float8e4m3fn', dims: [2], data: Uint8Array.of(1, value) });
      return model;
    };
    expect(diffModels(withFloat8(2), withFloat8(2)).same).toBe(true);
    const { same, changes } = diffModels(withFloat8(2), withFloat8(3));
    expect([same, changes]).toEqual([
      false,
      [{ kind: 'constant', what: 'constant "scale"', before: 'float8e4m3fn [1,2]', after: 'float8e4m3fn [1,3]' }],
    ]);
  });

  it('says when one file has its batch norms folded', () => {
    expect(diffModels(batchNormNet(), cnn()).notes.at(-1)).toBe(
      'One file has its batch norms folded into the convolutions, the other has not: those weights are not the same numbers.',
    );
  });
});

/** The same network as another exporter would number it. */
function renumbered(model: Model): Model {
  const copy = cloneModel(model);
  const names = new Map([...copy.graph.initializers.keys()].map((name, i) => [name, `t${i}`]));
  const rename = (name: string): string => names.get(name) ?? `v_${name}`;
  copy.graph.initializers = new Map([...copy.graph.initializers].map(([name, t]) => [rename(name), t]));
  for (const info of [...copy.graph.inputs, ...copy.graph.outputs]) info.name = rename(info.name);
  for (const [i, node] of copy.graph.nodes.entries()) {
    node.name = `node_${i}`;
    node.inputs = node.inputs.map(rename);
    node.outputs = node.outputs.map(rename);
  }
  return copy;
}

describe('diffTensors', () => {
  const use = { text: 'Conv c', axis: 0 };
  it('counts zeroed channels, and movement from zero', () => {
    const diff = diffTensors('w', f32([3, 4, 0, 0, 1, 1], [3, 2]), f32([0, 0, 0, 5, 1, 1], [3, 2]), use);
    expect(diff).toMatchObject({ zeroed: [0], unchanged: 1, maxAbs: 5, same: false });
    expect(diff.relative).toBeCloseTo(Math.sqrt((25 + 25) / 27), 10);
    // the channel that was zero is measured by the mean channel
    expect(diff.perChannel[1]).toBeCloseTo(5 / Math.sqrt(27 / 3), 10);
  });
  it('takes scalars, and refuses other shapes', () => {
    expect(diffTensors('s', f32([2], []), f32([3], []), use)).toMatchObject({ channels: 0, relative: 0.5, perChannel: [], zeroed: [] });
    expect(() => diffTensors('s', f32([2], [1]), f32([3], []), use)).toThrow('diffTensors: [1] and []');
  });
});

describe('inOrder', () => {
  it('pairs a longest common subsequence', () => {
    expect(inOrder([...'abcd'], [...'axcyd'])).toEqual([
      [0, 0],
      [2, 2],
      [3, 4],
    ]);
    expect(inOrder([], ['a'])).toEqual([]);
  });
});
