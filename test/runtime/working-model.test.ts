/** Networks as strangers export them: fixed batch, Constant weights, other element types; made ready to work on, and given back as they were. */
import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32, i64, sizeOf, type Tensor } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { cloneModel } from '../../src/onnx/edit.ts';
import { fromBfloat16, fromHalf, toBfloat16, toHalf } from '../../src/onnx/half.ts';
import type { Dim, Model, Node } from '../../src/onnx/model.ts';
import { placeInReshaped } from '../../src/onnx/passes/batch-place.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';
import { probe } from '../../src/runtime/probe.ts';
import { workingModel } from '../../src/runtime/working-model.ts';
import { inProcess } from '../grad/runtime.ts';

const rng = Rng.from(3, 'working');
const random = (dims: number[]): Tensor =>
  f32(
    Float32Array.from({ length: sizeOf(dims) }, () => rng.uniform(-0.5, 0.5)),
    dims,
  );
const FREE = ['The file fixes the batch at 1; in memory it is free, and the answers are the same.'];

/** A network from `[batch,...dims]` to `[batch,3]`, written to bytes and read again as a file would be. */
function net(dims: number[], body: (b: GraphBuilder, x: string) => string, batch: Dim = 1, out: Dim[] = [1, 3]): Model {
  const b = new GraphBuilder({ name: 'stranger' });
  b.output(body(b, b.input('x', 'float32', [batch, ...dims])), 'float32', out);
  return readModel(writeModel(b.build()));
}

const weight = (b: GraphBuilder, name: string, dims: number[]): string => b.initializer(name, random(dims));
const sameBytes = (a: Model, b: Model): boolean => Buffer.compare(Buffer.from(writeModel(a)), Buffer.from(writeModel(b))) === 0;

/** Flatten written as a Reshape with a plain 1, then the scores. */
const head = (b: GraphBuilder, v: string, features: number): string => {
  const flat = b.op('Reshape', [v, b.ints([1, -1])], {}, { name: 'flat' });
  return b.op('MatMul', [flat, weight(b, 'fc.weight', [features, 3])], {}, { name: 'fc' });
};

const shapes: [string, number[], (b: GraphBuilder, x: string) => string][] = [
  ['[1,-1]', [1, 4, 4], (b, x) => head(b, x, 16)],
  [
    'one constant for two Reshapes that want different things',
    [2, 2],
    (b, x) => {
      const target = b.initializer('target', i64([1, 2, 2]));
      const w = b.op('Reshape', [weight(b, 'w', [2, 2]), target], {}, { name: 'weights' });
      return head(b, b.op('MatMul', [b.op('Reshape', [x, target], {}, { name: 'images' }), w]), 4);
    },
  ],
  [
    'attention with heads, and a class token that was folded to a constant',
    [4, 6],
    (b, x) => {
      const seen = b.op('Concat', [weight(b, 'token', [1, 1, 6]), x], { axis: 1 }, { name: 'tokens' }); // [1,5,6]
      const heads = b.op('Transpose', [b.op('Reshape', [seen, b.ints([1, 5, 2, 3])])], { perm: [0, 2, 1, 3] });
      const scores = b.op('Softmax', [b.op('MatMul', [heads, b.op('Transpose', [heads], { perm: [0, 1, 3, 2] })])], { axis: -1 });
      const mixed = b.op('Transpose', [b.op('MatMul', [scores, heads])], { perm: [0, 2, 1, 3] });
      const first = b.op('Gather', [b.op('Reshape', [mixed, b.ints([1, 5, 6])]), b.scalar(0, 'int64')], { axis: 1 });
      return head(b, first, 6);
    },
  ],
  [
    'sequence first, batch and heads merged',
    [4, 6],
    (b, x) => {
      const sequence = b.op('Transpose', [x], { perm: [1, 0, 2] }); // [4,1,6]
      const heads = b.op('Transpose', [b.op('Reshape', [sequence, b.ints([4, 2, 3])])], { perm: [1, 0, 2] }); // [2,4,3]
      const scores = b.op('Softmax', [b.op('MatMul', [heads, b.op('Transpose', [heads], { perm: [0, 2, 1] })])], { axis: -1 });
      const mixed = b.op('Transpose', [b.op('MatMul', [scores, heads])], { perm: [1, 0, 2] }); // [4,2,3]
      const back = b.op('Transpose', [b.op('Reshape', [mixed, b.ints([4, 1, 6])])], { perm: [1, 0, 2] });
      return head(b, back, 24);
    },
  ],
  [
    'tokens of all images in one matrix',
    [4, 6],
    (b, x) => {
      const rows = b.op('Reshape', [b.op('Transpose', [x], { perm: [1, 0, 2] }), b.ints([4, -1])]); // [4,6]
      const mixed = b.op('Gemm', [rows, weight(b, 'mix', [6, 6])]);
      return head(b, b.op('Transpose', [b.op('Reshape', [mixed, b.ints([4, 1, 6])])], { perm: [1, 0, 2] }), 24);
    },
  ],
  [
    'a target that is put together from a plain 1 and the sizes of the input',
    [4, 6],
    (b, x) => {
      const tokens = b.op('Gather', [b.op('Shape', [x]), b.ints([1])]);
      const target = b.op('Concat', [b.ints([1]), tokens, b.ints([2]), b.ints([3])], { axis: 0 });
      return head(b, b.op('ReduceMean', [b.op('Reshape', [x, target])], { axes: [2] }), 12);
    },
  ],
  [
    'sizes of Resize, a grid by Expand, squeezed places',
    [2, 2, 2],
    (b, x) => {
      const large = b.op('Resize', [x, '', '', b.ints([1, 2, 4, 4])], { mode: 'nearest' });
      const wide = b.op('Expand', [b.op('ReduceMean', [large], { axes: [2, 3] }), b.ints([1, 2, 3, 1])]);
      return head(b, b.op('Squeeze', [wide, b.ints([3])]), 6);
    },
  ],
];

describe('a fixed batch', () => {
  it.each(shapes)('%s is freed, and comes back as it was', async (_, dims, body) => {
    const model = net(dims, body);
    const working = await workingModel(inProcess, model);
    expect(working.notes).toEqual(FREE);
    expect(working.model.graph.inputs[0].dims).toEqual(['batch', ...dims]);
    expect(working.model.graph.outputs[0].dims).toEqual(['batch', 3]);
    expect((await probe(inProcess, working.model, { batch: 7 })).get(working.model.graph.outputs[0].name)?.dims).toEqual([7, 3]);
    expect(sameBytes(working.restore(working.model), model)).toBe(true);
  });

  it('stays where the network mixes images, and is told', async () => {
    const mean = net([4], (b, x) => head(b, b.op('Sub', [x, b.op('ReduceMean', [x], { axes: [0] })]), 4));
    const { fixed, model, notes } = await workingModel(inProcess, mean);
    expect(fixed).toEqual({ batch: 1, why: 'node "reducemean" (ReduceMean) mixes the images' });
    expect(model.graph.inputs[0].dims).toEqual([1, 4]);
    expect(notes).toEqual([`The network takes one image at a time and cannot be given more: ${fixed?.why}.`]);
    // an operator that looks as if it kept them apart is found out by running it
    const norm = await workingModel(
      inProcess,
      net([4], (b, x) => head(b, b.op('Softmax', [x], { axis: 0 }), 4)),
    );
    expect(norm.fixed?.why).toMatch(/^its answers to 3 images at once are not those to each alone \(they differ by /);
    const scalar = await workingModel(
      inProcess,
      net([4], (b, x) => b.op('ReduceSum', [x, b.ints([1])], { keepdims: 0 }), 1, [1]),
    );
    expect(scalar.fixed).toBeUndefined();
  });

  it('of more than one image is freed too', async () => {
    const model = net([4], (b, x) => b.op('MatMul', [b.op('Reshape', [x, b.ints([2, 4])]), weight(b, 'w', [4, 3])]), 2, [2, 3]);
    const { notes, model: free } = await workingModel(inProcess, model);
    expect(notes[0]).toMatch(/^The file fixes the batch at 2; in memory it is free/);
    expect((await probe(inProcess, free, { batch: 5 })).get(free.graph.outputs[0].name)?.dims).toEqual([5, 3]);
  });

  it('inside of a network that declares a free one is freed, and a Reshape that is none of it left alone', async () => {
    const lie = net([1, 4, 4], (b, x) => head(b, x, 16), 'N', ['N', 3]);
    const working = await workingModel(inProcess, lie);
    expect(working.notes).toEqual(FREE);
    expect((await probe(inProcess, working.model, { batch: 3 })).get('fc')?.dims).toEqual([3, 3]);
    expect(sameBytes(working.restore(working.model), lie)).toBe(true);
    const honest = net(
      [4],
      (b, x) => {
        const scale = b.op('Reshape', [b.op('Relu', [weight(b, 's', [4])]), b.ints([1, 4])]);
        return b.op('MatMul', [b.op('Mul', [x, scale]), weight(b, 'w', [4, 3])]);
      },
      'N',
      ['N', 3],
    );
    expect((await workingModel(inProcess, honest)).notes).toEqual([]);
  });

  it('what a defence did to the freed network is all that differs afterwards', async () => {
    const model = net([1, 4, 4], (b, x) => head(b, b.op('Relu', [x], {}, { name: 'relu' }), 16));
    const working = await workingModel(inProcess, model);
    const later = cloneModel(working.model);
    const w = later.graph.initializers.get('fc.weight')!;
    later.graph.initializers.set(
      'fc.weight',
      f32(
        (w.data as Float32Array).map((v) => 2 * v),
        w.dims,
      ),
    );
    later.graph.nodes.splice(1, 0, node('Mul', 'cut', ['relu', 'mask'], ['masked']));
    later.graph.initializers.set('mask', f32([1], [1]));
    later.graph.nodes.find((n) => n.name === 'flat')!.inputs[0] = 'masked';
    const back = working.restore(later);
    expect(back.graph.nodes.map((n) => `${n.opType}(${n.inputs})`)).toEqual([
      'Relu(x)',
      'Mul(relu,mask)',
      `Reshape(masked,${model.graph.nodes[1].inputs[1]})`,
      'MatMul(flat,fc.weight)',
    ]);
    expect(back.graph.inputs[0].dims).toEqual([1, 1, 4, 4]);
    expect([...back.graph.initializers.keys()]).toEqual([...model.graph.initializers.keys(), 'mask']);
    expect(back.graph.initializers.get('fc.weight')?.data[0]).toBe(2 * (w.data[0] as number));
  });
});

const node = (opType: string, name: string, inputs: string[], outputs: string[]): Node => ({
  name,
  opType,
  domain: '',
  inputs,
  outputs,
  attributes: new Map(),
});

describe('a target that a defence made smaller', () => {
  it.each([
    ['stored', (b: GraphBuilder) => b.initializer('target', i64([1, 6]))],
    ['computed', (b: GraphBuilder) => b.op('Concat', [b.ints([1]), b.ints([6])], { axis: 0 }, { name: 'target' })],
  ])('%s, keeps its new size and gets its batch back', async (kind, target) => {
    const model = net([6], (b, x) => head(b, b.op('Reshape', [b.op('Relu', [x]), target(b)], {}, { name: 'row' }), 6));
    const { model: free, restore } = await workingModel(inProcess, model);
    const later = cloneModel(free);
    const row = later.graph.nodes.find((n) => n.name === 'row')!;
    const shape = Array.from(later.graph.initializers.get(row.inputs[1])!.data, Number);
    later.graph.initializers.set(row.inputs[1], i64(shape.map((d) => (d === 6 ? 4 : d))));
    later.graph.inputs[0].dims![1] = 4;
    later.graph.initializers.set('fc.weight', random([4, 3]));
    const back = restore(later);
    const name = back.graph.nodes.find((n) => n.name === 'row')!.inputs[1];
    expect(Array.from(back.graph.initializers.get(name)!.data, Number)).toEqual(kind === 'stored' ? [1, 4] : [-1, 4]);
    expect((await probe(inProcess, back)).get('fc')?.dims).toEqual([1, 3]);
  });
});

describe('placeInReshaped', () => {
  it('finds the batch where as many elements stand before it', () => {
    const at = (dims: number[], axis: number, before: number, to: number[]) => placeInReshaped({ axis, before }, dims, to, 1);
    expect(at([1, 5, 6], 0, 1, [1, 5, 2, 3])).toEqual({ axis: 0, before: 1 });
    expect(at([4, 1, 6], 1, 1, [4, 2, 3])).toEqual({ axis: 1, before: 1 });
    // on the border of two axes: behind it, unless that is the last, which holds features
    expect(at([4, 1, 6], 1, 1, [4, 3, 2])).toEqual({ axis: 1, before: 1 });
    expect(at([4, 1, 6], 1, 1, [2, 2, 6])).toEqual({ axis: 1, before: 2 });
    expect(at([4, 2, 3], 1, 1, [4, 6])).toEqual({ axis: 0, before: 4 });
    expect(at([4, 1, 6], 1, 1, [24])).toEqual({ axis: 0, before: 4 });
    expect(at([24], 0, 4, [4, 1, 6])).toEqual({ axis: 1, before: 1 });
  });
});

describe('weights in Constant nodes', () => {
  const constants = (): Model => {
    const model = net([4], (b, x) => b.op('Add', [b.op('MatMul', [x, weight(b, 'w', [4, 3])]), weight(b, 'bias', [3])]), 'N', ['N', 3]);
    const { graph } = model;
    for (const name of ['bias', 'w']) {
      const value = graph.initializers.get(name)!;
      graph.initializers.delete(name);
      graph.nodes.splice(name === 'w' ? 0 : 1, 0, {
        ...node('Constant', `c_${name}`, [], [name]),
        attributes: new Map([['value', { type: 'tensor', value }]]),
      });
    }
    graph.nodes = [graph.nodes[0], graph.nodes[2], graph.nodes[1], graph.nodes[3]].sort(
      (a, b) => order.indexOf(a.name) - order.indexOf(b.name),
    );
    return readModel(writeModel(model));
  };
  const order = ['c_w', 'matmul', 'c_bias', 'add'];

  it('are initialisers to work on, and Constant nodes again, in their places', async () => {
    const model = constants();
    expect(model.graph.nodes.map((n) => n.name)).toEqual(order);
    const working = await workingModel(inProcess, model);
    expect([...working.model.graph.initializers.keys()]).toEqual(['w', 'bias']);
    expect(sameBytes(working.restore(working.model), model)).toBe(true);
    const later = cloneModel(working.model);
    later.graph.initializers.set('bias', f32([7, 8, 9], [3]));
    const back = working.restore(later);
    expect(back.graph.nodes.map((n) => n.name)).toEqual(order);
    expect(back.graph.initializers.size).toBe(0);
    expect(back.graph.nodes[2].attributes.get('value')).toEqual({ type: 'tensor', value: f32([7, 8, 9], [3]) });
    expect(back.graph.nodes[0].attributes.get('value')?.value).toBe(model.graph.nodes[0].attributes.get('value')?.value);
  });
});

describe('scores [N,K,1,1]', () => {
  it('are rows to work on, before a softmax too', async () => {
    const maps = (softmax: boolean): Model =>
      net(
        [2, 4, 4],
        (b, x) => {
          const v = b.op('GlobalAveragePool', [b.op('Conv', [x, weight(b, 'w', [3, 2, 1, 1])])], {}, { name: 'gap' });
          return softmax ? b.op('Softmax', [v], { axis: 1 }) : v;
        },
        'N',
        ['N', 3, 1, 1],
      );
    for (const softmax of [false, true]) {
      const model = maps(softmax);
      const working = await workingModel(inProcess, model);
      expect(working.model.graph.outputs[0].dims).toEqual(['N', 3]);
      expect((await probe(inProcess, working.model, { batch: 2 })).get('gap')?.dims).toEqual([2, 3]);
      expect(sameBytes(working.restore(working.model), model)).toBe(true);
    }
  });
});

describe('open sizes', () => {
  it('are bound to what will be fed, and open again', async () => {
    const model = net([2, 4, 4], (b, x) => head(b, b.op('GlobalAveragePool', [x]), 2), 'N', ['N', 3]);
    model.graph.inputs[0].dims = ['N', 2, 'H', 'W'];
    const working = await workingModel(inProcess, model, { dims: [2, 4, 4] });
    expect(working.model.graph.inputs[0].dims?.slice(1)).toEqual([2, 4, 4]);
    expect(sameBytes(working.restore(working.model), model)).toBe(true);
  });
});

describe('other element types', () => {
  const typed = (dtype: 'float16' | 'float64' | 'bfloat16'): Model => {
    const model = net([4], (b, x) => b.op('Relu', [b.op('MatMul', [x, weight(b, 'w', [4, 3])])]), 'N', ['N', 3]);
    const { graph } = model;
    const values = graph.initializers.get('w')!.data as Float32Array;
    const data =
      dtype === 'float64' ? Float64Array.from(values, (v) => v / 3) : Uint16Array.from(values, dtype === 'float16' ? toHalf : toBfloat16);
    graph.initializers.set('w', { dtype, dims: [4, 3], data });
    for (const info of [...graph.inputs, ...graph.outputs]) info.dtype = dtype;
    return readModel(writeModel(model));
  };
  it.each(['float16', 'float64'] as const)('%s weights are float32 to work on; only what was changed differs afterwards', async (dtype) => {
    const model = typed(dtype);
    const working = await workingModel(inProcess, model);
    expect(working.notes).toEqual([`The weights are ${dtype}; they are worked on as float32 and written as ${dtype} again.`]);
    expect(working.model.graph.inputs[0].dtype).toBe('float32');
    expect(sameBytes(working.restore(working.model), model)).toBe(true);
    const later = cloneModel(working.model);
    const w = later.graph.initializers.get('w')!;
    const changed = (w.data as Float32Array).slice();
    changed[1] += 0.25;
    changed[2] = 0;
    later.graph.initializers.set('w', f32(changed, w.dims));
    const [before, after] = [model, working.restore(later)].map((m) => m.graph.initializers.get('w')!.data as Float64Array);
    expect([...after.keys()].filter((i) => after[i] !== before[i])).toEqual([1, 2]);
    const decode = (v: number) => (dtype === 'float16' ? fromHalf(v) : v);
    expect(decode(after[1]) - decode(before[1])).toBeCloseTo(0.25, dtype === 'float16' ? 3 : 7);
    expect(decode(after[2])).toBe(0);
  });
});

describe('16-bit floats', () => {
  it('every half comes back as it was', () => {
    const all = Array.from({ length: 0x10000 }, (_, bits) => bits).filter((bits) => !Number.isNaN(fromHalf(bits)));
    expect(all.filter((bits) => toHalf(fromHalf(bits)) !== bits)).toEqual([]);
    expect([65504, 65519, 65520, 2 ** -24, 2 ** -25, 1 + 2 ** -11, 1 + 3 * 2 ** -11].map(toHalf)).toEqual([
      0x7bff, 0x7bff, 0x7c00, 1, 0, 0x3c00, 0x3c02,
    ]);
  });
  it('bfloat16 is the upper half of a float32, rounded to even', () => {
    expect([1, -2.5, 0, 1 + 2 ** -8, 1 + 3 * 2 ** -8].map(toBfloat16)).toEqual([0x3f80, 0xc020, 0, 0x3f80, 0x3f82]);
    expect(fromBfloat16(0x3f81)).toBe(1 + 2 ** -7);
  });
});
