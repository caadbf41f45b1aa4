/** What a raised model computes is what the old one did: both are run by ONNX Runtime. */
import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32, type Tensor } from '../../src/core/tensor.ts';
import { DIALECT, raiseOpset } from '../../src/grad/raise-opset.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { float } from '../../src/onnx/model.ts';
import { probe } from '../../src/runtime/probe.ts';
import { between, smooth } from './differences.ts';
import { inProcess, runOnce } from './runtime.ts';

type Case = { opset: number; dims: number[]; node: (b: GraphBuilder) => string | string[] };
const one =
  (op: string, attributes = {}) =>
  (b: GraphBuilder) =>
    b.op(op, ['x'], attributes);

const cases: Record<string, Case> = {
  Slice: { opset: 9, dims: [3, 4], node: one('Slice', { starts: [1, -3], ends: [100, -1], axes: [0, 1] }) },
  'Slice, axes left out': { opset: 9, dims: [3, 4], node: one('Slice', { starts: [1], ends: [2] }) },
  TopK: { opset: 9, dims: [3, 4], node: (b) => b.opN('TopK', ['x'], { k: 2, axis: 1 }, { outputs: 2 })[0] },
  'Upsample, nearest': {
    opset: 9,
    dims: [1, 2, 3, 3],
    node: (b) => b.op('Upsample', ['x', b.constant(f32([1, 1, 2, 3], [4]))], { mode: 'nearest' }),
  },
  'Upsample, linear': {
    opset: 9,
    dims: [1, 2, 3, 3],
    node: (b) => b.op('Upsample', ['x', b.constant(f32([1, 1, 2, 2], [4]))], { mode: 'linear' }),
  },
  'Resize 10': { opset: 10, dims: [1, 2, 4, 3], node: (b) => b.op('Resize', ['x', b.constant(f32([1, 1, 0.5, 2], [4]))]) },
  'Resize 10, to two fifths': { opset: 10, dims: [1, 2, 5, 5], node: (b) => b.op('Resize', ['x', b.constant(f32([1, 1, 0.4, 0.4], [4]))]) },
  Pad: { opset: 10, dims: [2, 3], node: one('Pad', { pads: [1, 0, 0, 2], value: float(2.5) }) },
  'Pad, reflected': { opset: 9, dims: [2, 3], node: one('Pad', { pads: [0, 2, 0, 1], mode: 'reflect' }) },
  Clip: { opset: 10, dims: [2, 3], node: one('Clip', { min: float(-0.5), max: float(0.25) }) },
  'Clip, above only': { opset: 9, dims: [2, 3], node: one('Clip', { max: float(0.25) }) },
  Scatter: {
    opset: 10,
    dims: [2, 3],
    node: (b) =>
      b.op('Scatter', ['x', b.constant({ dtype: 'int64', dims: [1, 2], data: BigInt64Array.of(1n, 0n) }), b.constant(f32([7, 8], [1, 2]))]),
  },
  Dropout: { opset: 11, dims: [2, 3], node: one('Dropout', { ratio: float(0.3) }) },
  Squeeze: { opset: 12, dims: [2, 1, 3, 1], node: one('Squeeze', { axes: [1] }) },
  Unsqueeze: { opset: 12, dims: [2, 3], node: one('Unsqueeze', { axes: [0, 2] }) },
  ReduceSum: { opset: 12, dims: [2, 3, 2], node: one('ReduceSum', { axes: [0, -1], keepdims: 0 }) },
  'ReduceSum of everything': { opset: 12, dims: [2, 3], node: one('ReduceSum') },
  Split: { opset: 12, dims: [2, 6], node: (b) => b.opN('Split', ['x'], { axis: 1, split: [1, 2, 3] }, { outputs: 3 }) },
  'Softmax over all axes after the first': { opset: 12, dims: [2, 3, 2], node: one('Softmax') },
  'LogSoftmax over everything': { opset: 9, dims: [2, 3, 2], node: one('LogSoftmax', { axis: 0 }) },
  'Hardmax over the last axis': { opset: 11, dims: [2, 3, 2], node: one('Hardmax', { axis: 2 }) },
  BatchNormalization: {
    opset: 9,
    dims: [2, 3, 2],
    node: (b) => {
      const rng = Rng.from(1);
      const inputs = [smooth(rng, [3]), smooth(rng, [3]), smooth(rng, [3]), between(rng, [3], 0.5, 2)].map((t) => b.constant(t));
      return b.op('BatchNormalization', ['x', ...inputs]);
    },
  },
  'Upsample, scales an attribute': {
    opset: 7,
    dims: [1, 2, 3, 3],
    node: (b) => b.op('Upsample', ['x'], { mode: 'nearest', scales: float([1, 1, 2, 3]) }),
  },
  'BatchNormalization of channels': {
    opset: 8,
    dims: [2, 3, 2],
    node: (b) => {
      const rng = Rng.from(1);
      const inputs = [smooth(rng, [3]), smooth(rng, [3]), smooth(rng, [3]), between(rng, [3], 0.5, 2)].map((t) => b.constant(t));
      return b.op('BatchNormalization', ['x', ...inputs], { spatial: 1 });
    },
  },
  RoiAlign: {
    opset: 10,
    dims: [1, 2, 6, 6],
    node: (b) =>
      b.op(
        'RoiAlign',
        ['x', b.constant(f32([0, 0, 3.5, 4], [1, 4])), b.constant({ dtype: 'int64', dims: [1], data: BigInt64Array.of(0n) })],
        {
          output_height: 2,
          output_width: 2,
        },
      ),
  },
};

describe('a raised model computes what the old one did', () => {
  for (const [title, { opset, dims, node }] of Object.entries(cases)) {
    it(`${title} (opset ${opset})`, async () => {
      const b = new GraphBuilder({ opset });
      b.input('x', 'float32', dims);
      const outputs = [node(b)].flat();
      for (const name of outputs) b.output(name);
      const model = b.build();
      const types = await probe(inProcess, model);
      const raised = raiseOpset(model, types);
      expect(raised.model.opsets.get('')).toBe(DIALECT);
      const x: Tensor = smooth(Rng.from(4), dims);
      const [old, now] = [await runOnce(model, { x }), await runOnce(raised.model, { x })];
      for (const name of outputs) expect(now[name], name).toEqual(old[name]);
      const again = await probe(inProcess, raised.model);
      for (const [name, { dtype, dims: shape }] of again) {
        const { dtype: givenType, dims: givenShape } = raised.types.get(name)!;
        expect([name, givenType, givenShape]).toEqual([name, dtype, shape]);
      }
    });
  }

  it('BatchNormalization with statistics of single elements is refused', () => {
    const b = new GraphBuilder({ opset: 8 });
    b.input('x', 'float32', [1, 2]);
    const one = b.constant(f32([1, 1], [2]));
    b.output(b.op('BatchNormalization', ['x', one, one, one, one], { spatial: 0 }, { name: 'norm' }));
    expect(() => raiseOpset(b.build(), new Map())).toThrow(
      'grad: operator "BatchNormalization" (node "norm"): statistics of every single element, expected of every channel (spatial = 1).',
    );
  });

  it('newer models are passed on as they are', () => {
    const b = new GraphBuilder({ opset: 18 });
    b.output(b.op('Relu', [b.input('x', 'float32', [1])]));
    const model = b.build();
    expect(raiseOpset(model, new Map()).model).toBe(model);
  });
});
