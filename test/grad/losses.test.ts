import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32, type Tensor } from '../../src/core/tensor.ts';
import { type GradientOptions, gradientGraph } from '../../src/grad/step.ts';
import type { Model } from '../../src/onnx/model.ts';
import { expectClose, smooth } from './differences.ts';
import { classes, linear, net, numberOf, typesOf } from './nets.ts';
import { runOnce } from './runtime.ts';

/** The logits are the input, so that the loss can be written down by hand. */
const bare = net([3], (b) => b.op('Identity', ['x'], {}, { outputs: ['logits'] }));

async function evaluate(model: Model, x: Tensor, labels: Tensor, o: Partial<GradientOptions> = {}, weights?: Tensor) {
  const graph = gradientGraph(model, await typesOf(model, x.dims[0]), {
    input: 'x',
    logits: 'logits',
    loss: 'cross-entropy',
    wrt: ['x'],
    sampleWeights: weights !== undefined,
    ...o,
  });
  const feeds = { [graph.feeds.x]: x, [graph.feeds.labels]: labels, ...(weights ? { [graph.feeds.weights!]: weights } : {}) };
  const values = await runOnce(graph.model, feeds);
  return {
    loss: numberOf(values[graph.outputs.loss]),
    correct: numberOf(values[graph.outputs.correct]),
    gradient: [...(values[graph.gradients.x].data as Float32Array)],
    logits: graph.outputs.logits,
  };
}

const x = f32([1, 2, 0.5, -1, 0, 3, 0.25, 0.5, -2, 1, 1.5, 0], [4, 3]);
const row = (i: number): number[] => [...(x.data as Float32Array).subarray(3 * i, 3 * i + 3)];
const softmax = (z: number[]): number[] => {
  const total = z.reduce((sum, v) => sum + Math.exp(v), 0);
  return z.map((v) => Math.exp(v) / total);
};

describe('softmax cross-entropy', () => {
  const labels = [1, 0, 2, 1];

  it('hard labels: mean of -log p, gradient (p - onehot) / N, right answers counted', async () => {
    const { loss, correct, gradient } = await evaluate(bare, x, classes(...labels));
    const expected = labels.map((label, i) => -Math.log(softmax(row(i))[label]));
    expect(loss).toBeCloseTo(expected.reduce((a, v) => a + v, 0) / 4, 5);
    expectClose(
      'gradient',
      gradient,
      labels.flatMap((label, i) => softmax(row(i)).map((p, c) => (p - (c === label ? 1 : 0)) / 4)),
      1e-6,
    );
    expect(correct).toBe(2);
  });

  it('sample weights: mean over the sum of weights; weight 0 counts nowhere', async () => {
    const w = [1, 0.5, 0, 2];
    const { loss, correct, gradient } = await evaluate(bare, x, classes(...labels), {}, f32(w, [4]));
    const each = labels.map((label, i) => -Math.log(softmax(row(i))[label]));
    expect(loss).toBeCloseTo(each.reduce((a, v, i) => a + v * w[i], 0) / 3.5, 5);
    expectClose(
      'gradient',
      gradient,
      labels.flatMap((label, i) => softmax(row(i)).map((p, c) => ((p - (c === label ? 1 : 0)) * w[i]) / 3.5)),
      1e-6,
    );
    expect(correct).toBe(2);
    const none = await evaluate(bare, x, classes(...labels), {}, f32([0, 0, 0, 0], [4]));
    expect([none.loss, none.correct, ...none.gradient].map(Math.abs)).toEqual(new Array(14).fill(0));
  });

  it('a batch padded with weight 0 gives what the smaller batch gives', async () => {
    const padded = await evaluate(bare, x, classes(...labels), {}, f32([1, 1, 1, 0], [4]));
    const small = await evaluate(bare, f32((x.data as Float32Array).slice(0, 9), [3, 3]), classes(1, 0, 2));
    expect(padded.loss).toBeCloseTo(small.loss, 6);
    expectClose('gradient', padded.gradient.slice(0, 9), small.gradient, 1e-6);
    expect(padded.gradient.slice(9).map(Math.abs)).toEqual([0, 0, 0]);
    expect(padded.correct).toBe(small.correct);
  });

  it('soft labels, also such that do not add up to 1', async () => {
    const targets = [0.2, 0.5, 0.3, 1, 0, 0, 0.5, 0.25, 0, 0.1, 0.1, 1];
    const { loss, gradient, correct } = await evaluate(bare, x, f32(targets, [4, 3]), { labels: 'soft' });
    const t = (i: number): number[] => targets.slice(3 * i, 3 * i + 3);
    const each = [0, 1, 2, 3].map((i) => t(i).reduce((sum, v, c) => sum - v * Math.log(softmax(row(i))[c]), 0));
    expect(loss).toBeCloseTo(each.reduce((a, v) => a + v, 0) / 4, 5);
    const total = (i: number): number => t(i).reduce((a, v) => a + v, 0);
    expectClose(
      'gradient',
      gradient,
      [0, 1, 2, 3].flatMap((i) => softmax(row(i)).map((p, c) => (p * total(i) - t(i)[c]) / 4)),
      1e-6,
    );
    expect(correct).toBe(1);
  });

  it('logits of thousands: no overflow, no loss of the small probabilities', async () => {
    const { loss, gradient } = await evaluate(bare, f32([5000, -5000, 0], [1, 3]), classes(1));
    expect(loss).toBe(10_000);
    expect(gradient).toEqual([1, -1, 0]);
  });

  for (const last of ['Softmax', 'LogSoftmax']) {
    for (const opset of [11, 17]) {
      it(`of a model that ends in ${last} (opset ${opset}) is taken of that one's input`, async () => {
        const body = (end: boolean) => (b: Parameters<Parameters<typeof net>[1]>[0], rng: Rng) => {
          const z = linear(b, rng, 'fc', 'x', 3, 4);
          const p = end ? b.op(last, [z], { axis: 1 }) : z;
          return b.op('Identity', [p], {}, { outputs: ['logits'] });
        };
        const ends = await evaluate(net([3], body(true), opset), x, classes(...labels));
        const plain = await evaluate(net([3], body(false), opset), x, classes(...labels));
        expect(ends.logits).toBe('fc.out');
        expect(ends.loss).toBe(plain.loss);
        expect(ends.gradient).toEqual(plain.gradient);
      });
    }
  }

  it('of logits that are no matrix is an error', async () => {
    const cube = net([3, 2], (b) => b.op('Identity', ['x'], {}, { outputs: ['logits'] }));
    await expect(evaluate(cube, smooth(Rng.from(1), [4, 3, 2]), classes(...labels))).rejects.toThrow(
      'grad: loss of "logits", expected one row of class scores a sample, [N,classes], got [4,3,2].',
    );
  });
});

describe('mean squared error', () => {
  it('over all elements of any shape', async () => {
    const cube = net([3, 2], (b) => b.op('Identity', ['x'], {}, { outputs: ['logits'] }));
    const [z, t] = [smooth(Rng.from(1), [2, 3, 2]), smooth(Rng.from(2), [2, 3, 2])];
    const { loss, gradient } = await evaluate(cube, z, t, { loss: 'mse', labels: 'soft' });
    const differences = Array.from(z.data as Float32Array, (v, i) => v - (t.data as Float32Array)[i]);
    expect(loss).toBeCloseTo(differences.reduce((a, d) => a + d * d, 0) / 12, 5);
    expectClose(
      'gradient',
      gradient,
      differences.map((d) => d / 6),
      1e-6,
    );
  });

  it('hard labels are one-hot targets; weights; through a Softmax, which stays part of the model', async () => {
    const model = net([3], (b) => b.op('Softmax', ['x'], { axis: 1 }, { outputs: ['logits'] }));
    const w = [1, 3, 0, 1];
    const { loss, correct } = await evaluate(model, x, classes(1, 0, 2, 1), { loss: 'mse' }, f32(w, [4]));
    const each = [1, 0, 2, 1].map((label, i) => softmax(row(i)).reduce((sum, p, c) => sum + (p - (c === label ? 1 : 0)) ** 2, 0) / 3);
    expect(loss).toBeCloseTo(each.reduce((a, v, i) => a + v * w[i], 0) / 5, 5);
    expect(correct).toBe(2);
  });
});
