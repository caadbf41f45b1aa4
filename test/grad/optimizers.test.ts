import { describe, expect, it } from 'vitest';
import { f32, type Tensor } from '../../src/core/tensor.ts';
import { addStepCounter, addUpdates, type Optimizer } from '../../src/grad/optimizers.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { expectClose } from './differences.ts';
import { optimizerGoldens } from './golden.ts';
import { scalar } from './nets.ts';
import { inProcess } from './runtime.ts';

type Values = Readonly<Record<string, readonly number[]>>;

/** Runs the update alone on given gradients; returns the parameters after each step. */
async function run(
  optimizer: Optimizer,
  dims: Readonly<Record<string, number[]>>,
  start: Values,
  gradients: readonly Values[],
  rates: readonly number[],
): Promise<Record<string, number[]>[]> {
  const b = new GraphBuilder();
  const parameters = Object.keys(start).map((name) => {
    b.input(name, 'float32', dims[name]);
    return { name, dims: dims[name], gradient: b.input(`gradient of ${name}`, 'float32', dims[name]) };
  });
  const rate = b.input('rate', 'float32', []);
  const counter = addStepCounter(b);
  const { next, carry, state } = addUpdates(b, optimizer, parameters, rate, counter);
  const all: Record<string, string> = { ...carry, ...Object.fromEntries(next), [counter.input]: counter.output };
  for (const output of Object.values(all)) b.output(output);
  const first: Record<string, Tensor> = { ...state, [counter.input]: counter.first };
  for (const [name, values] of Object.entries(start)) first[name] = f32(values, dims[name]);
  const session = await inProcess.open(b.build(), { carry: all, state: first });
  const results: Record<string, number[]>[] = [];
  for (const [i, gradient] of gradients.entries()) {
    const feeds: Record<string, Tensor> = { rate: scalar(rates[i]) };
    for (const [name, values] of Object.entries(gradient)) feeds[`gradient of ${name}`] = f32(values, dims[name]);
    await session.run(feeds);
    const now = await session.state();
    results.push(Object.fromEntries(Object.keys(start).map((name) => [name, [...(now[name].data as Float32Array)]])));
  }
  await session.close();
  return results;
}

const golden = optimizerGoldens();

describe('optimisers move as PyTorch does, three steps with changing rates', () => {
  for (const { options, steps } of golden.cases) {
    it(JSON.stringify(options), async () => {
      const optimizer: Optimizer = { ...(options as Optimizer), decay: 'all' };
      const found = await run(optimizer, golden.dims, golden.start, golden.gradients, golden.rates);
      for (const [i, step] of steps.entries()) {
        for (const [name, values] of Object.entries(step)) expectClose(`${name} after step ${i + 1}`, found[i][name], values, 2e-6);
      }
    });
  }
});

describe('by hand', () => {
  const dims = { w: [1, 2], b: [2] };
  const start = { w: [1, -2], b: [0.5, 0] };
  const gradients = [
    { w: [0.5, 1], b: [1, -1] },
    { w: [-1, 0.25], b: [0, 2] },
    { w: [0.5, 0.5], b: [1, 1] },
  ];

  it('SGD with momentum and decay; the bias, of rank 1, does not decay', async () => {
    const found = await run({ kind: 'sgd', momentum: 0.5, weightDecay: 0.1 }, dims, start, gradients, [0.1, 0.1, 0.1]);
    const w = [...start.w];
    const b = [...start.b];
    const [vw, vb] = [
      [0, 0],
      [0, 0],
    ];
    for (const [step, g] of gradients.entries()) {
      for (const i of [0, 1]) {
        vw[i] = 0.5 * vw[i] + g.w[i] + 0.1 * w[i];
        w[i] -= 0.1 * vw[i];
        vb[i] = 0.5 * vb[i] + g.b[i];
        b[i] -= 0.1 * vb[i];
      }
      expectClose('w', found[step].w, w, 1e-6);
      expectClose('b', found[step].b, b, 1e-6);
    }
  });

  it('Adam, from the formulas of the paper', async () => {
    const found = await run({ kind: 'adam' }, dims, start, gradients, [0.1, 0.1, 0.1]);
    const w = [...start.w];
    const [m, v] = [
      [0, 0],
      [0, 0],
    ];
    for (const [step, g] of gradients.entries()) {
      for (const i of [0, 1]) {
        m[i] = 0.9 * m[i] + 0.1 * g.w[i];
        v[i] = 0.999 * v[i] + 0.001 * g.w[i] ** 2;
        w[i] -= (0.1 * (m[i] / (1 - 0.9 ** (step + 1)))) / (Math.sqrt(v[i] / (1 - 0.999 ** (step + 1))) + 1e-8);
      }
      expectClose('w', found[step].w, w, 1e-6);
    }
  });

  it('AdamW takes the decay off the weights, before the step', async () => {
    const [plain] = await run({ kind: 'adamw', weightDecay: 0 }, dims, start, gradients.slice(0, 1), [0.1]);
    const [decayed] = await run({ kind: 'adamw', weightDecay: 0.2 }, dims, start, gradients.slice(0, 1), [0.1]);
    expectClose(
      'w',
      decayed.w,
      plain.w.map((v, i) => v - 0.1 * 0.2 * start.w[i]),
      1e-6,
    );
    expect(decayed.b).toEqual(plain.b);
  });
});

describe('options that make no sense', () => {
  const build = (o: Optimizer): void => {
    const b = new GraphBuilder();
    addUpdates(b, o, [], b.input('rate', 'float32', []), addStepCounter(b));
  };
  it('are errors', () => {
    expect(() => build({ kind: 'sgd', momentum: 1 })).toThrow('grad: sgd: momentum, expected 0 or more and below 1, got 1.');
    expect(() => build({ kind: 'sgd', nesterov: true })).toThrow('grad: sgd: nesterov needs momentum, expected a momentum above 0, got 0.');
    expect(() => build({ kind: 'adam', beta2: 1.5 })).toThrow('grad: adam: beta2, expected 0 or more and below 1, got 1.5.');
    expect(() => build({ kind: 'adamw', weightDecay: -1 })).toThrow(
      'grad: adamw: weight decay, expected 0 or more and below Infinity, got -1.',
    );
  });
});
