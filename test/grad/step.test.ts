import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32, type Tensor } from '../../src/core/tensor.ts';
import { gradientGraph, type StepOptions, type TrainingStep, trainingStep, withWeights } from '../../src/grad/step.ts';
import { unshareStatistics } from '../../src/grad/unshare.ts';
import { float, type Model } from '../../src/onnx/model.ts';
import { lower } from '../../src/runtime/lowerings/lower.ts';
import { openStep } from '../../src/runtime/step.ts';
import { between, expectClose, forAll, smooth } from './differences.ts';
import { classes, linear, net, numberOf, scalar, typesOf } from './nets.ts';
import { inProcess, runOnce } from './runtime.ts';

const x = smooth(Rng.from(11), [4, 3]);
const labels = classes(1, 0, 2, 1);
const sgd: StepOptions = { input: 'x', logits: 'logits', loss: 'cross-entropy', optimizer: { kind: 'sgd' } };

const stepOf = async (model: Model, o: Partial<StepOptions> = {}): Promise<TrainingStep> =>
  trainingStep(model, await typesOf(model, 4), { ...sgd, ...o });

/** Runs some steps and gives losses and final state. */
async function train(step: TrainingStep, steps: number, rate = 0.1, o: { x?: Tensor; state?: Record<string, Tensor> } = {}) {
  const session = await openStep(inProcess, { ...step, state: o.state ?? step.state });
  const feeds = { [step.feeds.x]: o.x ?? x, [step.feeds.labels]: labels, [step.feeds.learningRate]: scalar(rate) };
  const losses: number[] = [];
  try {
    for (let i = 0; i < steps; i++) losses.push(numberOf((await session.run(feeds))[step.outputs.loss]));
    return { losses, state: await session.state() };
  } finally {
    await session.close();
  }
}

const numbers = (t: Tensor): number[] => [...(t.data as Float32Array)];

const mlp = net([3], (b, rng) => {
  const h = b.op('Tanh', [linear(b, rng, 'fc1', 'x', 3, 5)]);
  const z = linear(b, rng, 'fc2', h, 5, 3);
  return b.op('Identity', [z], {}, { outputs: ['logits'] });
});

describe('a training step', () => {
  it('learns, tells its parameters, and gives them back as a model', async () => {
    const step = await stepOf(mlp);
    expect(step.parameters).toEqual(['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias']);
    expect(step.stored).toEqual(step.parameters);
    const { losses, state } = await train(step, 60, 0.3);
    expect(losses[59]).toBeLessThan(losses[0] / 4);
    const trained = withWeights(mlp, state);
    expect(trained.graph.initializers.get('fc1.weight')).toEqual(state['fc1.weight']);
    expect(mlp.graph.initializers.get('fc1.weight')).not.toEqual(state['fc1.weight']);
    // The trained model's own loss is the one that the next step would have seen.
    const { losses: next } = await train(step, 1, 0, { state });
    const { losses: own } = await train(await stepOf(trained), 1, 0);
    expect(own).toEqual(next);
  });

  it('is the same bit by bit when it is run again', async () => {
    const o: Partial<StepOptions> = { optimizer: { kind: 'adam' } };
    const [a, b] = [await train(await stepOf(mlp, o), 5), await train(await stepOf(mlp, o), 5)];
    expect(a).toEqual(b);
  });

  it('goes on from a saved state as if nothing had happened', async () => {
    const step = await stepOf(mlp, { optimizer: { kind: 'adamw', weightDecay: 0.1 } });
    const whole = await train(step, 6);
    const half = await train(step, 3);
    const rest = await train(step, 3, 0.1, { state: half.state });
    expect([...half.losses, ...rest.losses]).toEqual(whole.losses);
    expect(rest.state).toEqual(whole.state);
  });

  it('leaves frozen parameters out: they stay constants, and what comes before the first trained one has no backward part', async () => {
    const all = await stepOf(mlp);
    const last = await stepOf(mlp, { trainable: (name) => name.startsWith('fc2') });
    expect(last.parameters).toEqual(['fc2.weight', 'fc2.bias']);
    expect(last.model.graph.initializers.has('fc1.weight')).toBe(true);
    expect(last.model.graph.nodes.length).toBeLessThan(all.model.graph.nodes.length);
    expect(last.model.graph.nodes.some((n) => n.name.startsWith('step/fc1/'))).toBe(false);
    const [one, both] = [await train(last, 1), await train(all, 1)];
    expect(one.state['fc2.weight']).toEqual(both.state['fc2.weight']);
    expect(Object.keys(one.state)).not.toContain('fc1.weight');
  });

  it('keeps masked weights at zero, with momentum and decay too', async () => {
    const mask = f32([1, 0, 1, 1, 0], [5, 1]);
    const row = (t: Tensor, i: number): number[] => numbers(t).slice(3 * i, 3 * i + 3);
    const step = await stepOf(mlp, {
      masks: new Map([['fc1.weight', mask]]),
      optimizer: { kind: 'sgd', momentum: 0.9, weightDecay: 0.01 },
    });
    const { state } = await train(step, 4);
    for (const i of [1, 4]) expect(row(state['fc1.weight'], i).map(Math.abs)).toEqual([0, 0, 0]);
    for (const i of [0, 2, 3]) expect(row(state['fc1.weight'], i).every((v) => v !== 0)).toBe(true);
    const free = await train(await stepOf(mlp, { optimizer: { kind: 'sgd', momentum: 0.9, weightDecay: 0.01 } }), 1);
    const held = await train(step, 1);
    expect(row(held.state['fc1.weight'], 0)).toEqual(row(free.state['fc1.weight'], 0));
  });

  it('gives the gradient of its input too', async () => {
    const step = await stepOf(mlp, { inputGradient: true });
    const session = await openStep(inProcess, step);
    const at = async (value: Tensor) =>
      session.run({ [step.feeds.x]: value, [step.feeds.labels]: labels, [step.feeds.learningRate]: scalar(0) });
    const gradient = (await at(x))[step.outputs.inputGradient!];
    expect(gradient.dims).toEqual([4, 3]);
    const numeric: number[] = [];
    for (let i = 0; i < 12; i++) {
      const moved = (by: number): Tensor =>
        f32(
          numbers(x).map((v, k) => (k === i ? v + by : v)),
          [4, 3],
        );
      const [up, down] = [await at(moved(0.01)), await at(moved(-0.01))];
      numeric.push((numberOf(up[step.outputs.loss]) - numberOf(down[step.outputs.loss])) / 0.02);
    }
    await session.close();
    expectClose('input gradient', numbers(gradient), numeric, 1e-3);
  });

  it('adds up gradients where a value forks, and a weight that two layers share', async () => {
    const forked = net([3], (b, rng) => {
      const w = b.initializer('w', smooth(rng, [3, 3]));
      const a = b.op('Tanh', [b.op('MatMul', ['x', w])]);
      const c = b.op('Sigmoid', [b.op('MatMul', [a, w])]);
      return b.op('Add', [b.op('Add', [b.op('Mul', [a, c]), a]), b.op('Mul', [a, a])], {}, { outputs: ['logits'] });
    });
    const graph = gradientGraph(forked, await typesOf(forked, 4), { ...sgd, wrt: ['w'] });
    const lossAt = async (w: Tensor): Promise<{ loss: number; gradient: number[] }> => {
      const model = withWeights(graph.model, { w });
      const values = await runOnce(model, { x, [graph.feeds.labels]: labels });
      return { loss: numberOf(values[graph.outputs.loss]), gradient: numbers(values[graph.gradients.w]) };
    };
    const w = forked.graph.initializers.get('w')!;
    const { gradient } = await lossAt(w);
    const numeric: number[] = [];
    for (let i = 0; i < 9; i++) {
      const moved = (by: number): Tensor =>
        f32(
          numbers(w).map((v, k) => (k === i ? v + by : v)),
          [3, 3],
        );
      numeric.push(((await lossAt(moved(0.01))).loss - (await lossAt(moved(-0.01))).loss) / 0.02);
    }
    expectClose('gradient of w', gradient, numeric, 1e-3);
  });

  it('takes weights that the file holds as Constant nodes', async () => {
    const model = net([3], (b, rng) => {
      const w = b.op('Constant', [], { value: smooth(rng, [3, 3]) }, { outputs: ['weight'] });
      return b.op('MatMul', ['x', w], {}, { outputs: ['logits'] });
    });
    const step = await stepOf(model);
    expect(step.parameters).toEqual(['weight']);
    const { state } = await train(step, 1);
    expect(withWeights(model, state).graph.initializers.get('weight')).toEqual(state.weight);
  });

  it('leaves out a parameter that reaches the loss through integers only', async () => {
    const model = net([3], (b, rng) => {
      const z = linear(b, rng, 'fc1', 'x', 3, 3);
      const other = linear(b, rng, 'fc2', 'x', 3, 3);
      const winner = b.op('Cast', [b.op('ArgMax', [other], { axis: 1 })], { to: 1 });
      return b.op('Add', [z, winner], {}, { outputs: ['logits'] });
    });
    expect((await stepOf(model)).parameters).toEqual(['fc1.weight', 'fc1.bias']);
  });
});

describe('batch normalisation in training mode', () => {
  const normalised = (rank: number, momentum = 0.9) =>
    net([3, ...new Array(rank - 2).fill(2)], (b, rng) => {
      const c = [3];
      const given = [smooth(rng, c), smooth(rng, c), smooth(rng, c), between(rng, c, 0.5, 2)];
      const inputs = ['scale', 'shift', 'mean', 'variance'].map((name, i) => b.initializer(name, given[i]));
      const y = b.op('BatchNormalization', ['x', ...inputs], { momentum: float(momentum) }, { name: 'norm' });
      return linear(b, rng, 'fc', b.op('Flatten', [b.op('Tanh', [y])]), 3 * 2 ** (rank - 2), 3);
    });

  it('gradients of input, scale and shift are central differences of the loss', () =>
    forAll(
      fc.constantFrom(2, 3, 4),
      async (rank, rng) => {
        const model = normalised(rank);
        const graph = gradientGraph(model, await typesOf(model, 4), {
          ...sgd,
          logits: 'fc.out',
          batchNorm: 'training',
          wrt: ['x', 'scale', 'shift'],
        });
        const point: Record<string, Tensor> = {
          x: smooth(rng, [4, 3, ...new Array(rank - 2).fill(2)]),
          scale: model.graph.initializers.get('scale')!,
          shift: model.graph.initializers.get('shift')!,
        };
        const session = await inProcess.open(lower(graph.model));
        const at = async (p: Record<string, Tensor>) => {
          const feeds = { x: p.x, [graph.feeds.labels]: labels };
          // Scale and shift are constants of this graph.
          const same = p.scale === point.scale && p.shift === point.shift;
          const values = same ? await session.run(feeds) : await runOnce(withWeights(graph.model, p), feeds);
          return { loss: numberOf(values[graph.outputs.loss]), values };
        };
        const { values } = await at(point);
        for (const [name, tensor] of Object.entries(point)) {
          const numeric: number[] = [];
          for (let i = 0; i < tensor.data.length; i++) {
            const moved = (by: number) => ({
              ...point,
              [name]: f32(
                numbers(tensor).map((v, k) => (k === i ? v + by : v)),
                tensor.dims,
              ),
            });
            numeric.push(((await at(moved(0.01))).loss - (await at(moved(-0.01))).loss) / 0.02);
          }
          expectClose(`gradient of ${name}`, numbers(values[graph.gradients[name]]), numeric, 2e-3);
        }
        await session.close();
      },
      3,
    ));

  it('running statistics follow with ONNX momentum, the variance unbiased; the input is left alone', async () => {
    const model = normalised(2, 0.75);
    const step = await stepOf(model, { logits: 'fc.out', batchNorm: 'training' });
    expect(step.stored).toEqual(['scale', 'shift', 'fc.weight', 'fc.bias', 'mean', 'variance']);
    const { state } = await train(step, 1);
    for (let c = 0; c < 3; c++) {
      const column = [0, 1, 2, 3].map((n) => numbers(x)[3 * n + c]);
      const mean = column.reduce((a, v) => a + v, 0) / 4;
      const variance = column.reduce((a, v) => a + (v - mean) ** 2, 0) / 3;
      expect(numbers(state.mean)[c]).toBeCloseTo(0.75 * numbers(step.state.mean)[c] + 0.25 * mean, 5);
      expect(numbers(state.variance)[c]).toBeCloseTo(0.75 * numbers(step.state.variance)[c] + 0.25 * variance, 5);
    }
  });

  it('running statistics stay as they are in inference mode, and where everything up to the layer is frozen', async () => {
    const model = normalised(2);
    expect((await stepOf(model, { logits: 'fc.out' })).stored).toEqual(['scale', 'shift', 'fc.weight', 'fc.bias']);
    const frozen = await stepOf(model, { logits: 'fc.out', batchNorm: 'training', trainable: (name) => name.startsWith('fc') });
    expect(frozen.stored).toEqual(['fc.weight', 'fc.bias']);
    const norm = frozen.model.graph.nodes.find((n) => n.name === 'norm')!;
    expect(norm.attributes.has('training_mode')).toBe(false);
  });

  it('a file that was exported in training mode is used with running statistics all the same', async () => {
    const model = normalised(2);
    const exported = { ...model, graph: { ...model.graph, nodes: model.graph.nodes.map((n) => ({ ...n })) } };
    const norm = exported.graph.nodes.find((n) => n.name === 'norm')!;
    norm.attributes = new Map([...norm.attributes, ['training_mode', { type: 'int', value: 1 } as const]]);
    norm.outputs = [...norm.outputs, 'new mean', 'new variance'];
    const [a, b] = [
      await train(await stepOf(model, { logits: 'fc.out' }), 2),
      await train(await stepOf(exported, { logits: 'fc.out' }), 2),
    ];
    expect(a).toEqual(b);
  });

  it('a batch of one is an error', async () => {
    const model = normalised(2);
    const types = await typesOf(model, 1);
    expect(() => trainingStep(model, types, { ...sgd, logits: 'fc.out', batchNorm: 'training' })).toThrow(
      'grad: operator "BatchNormalization" (node "norm"): statistics of one value, expected a batch with more than one value per channel, ' +
        'got [1,3]. Try a larger batch, or --batch-norm inference.',
    );
  });

  it('layers that share their statistics are an error, and can be told apart', async () => {
    const twice = net([3], (b, rng) => {
      const c = [3];
      const inputs = ['scale', 'shift', 'mean', 'variance'].map((name) => b.initializer(name, between(rng, c, 0.5, 1)));
      const y = b.op('BatchNormalization', ['x', ...inputs], {}, { name: 'norm1' });
      const z = b.op('BatchNormalization', [b.op('Tanh', [y]), ...inputs], {}, { name: 'norm2' });
      return linear(b, rng, 'fc', z, 3, 3);
    });
    await expect(stepOf(twice, { logits: 'fc.out', batchNorm: 'training' })).rejects.toThrow(
      'grad: "norm1" and "norm2" share the running statistics "mean", expected statistics of its own for each BatchNormalization. ' +
        'Try --batch-norm inference, or unshareStatistics(model) first.',
    );
    const step = await stepOf(unshareStatistics(twice), { logits: 'fc.out', batchNorm: 'training' });
    expect(step.stored.filter((name) => /mean|variance/.test(name))).toEqual(['mean', 'variance', 'mean.norm2', 'variance.norm2']);
    const { state } = await train(step, 1);
    expect(state['mean.norm2']).not.toEqual(state.mean);
  });

  it('that an exporter made aliases of one another get their own back', async () => {
    const aliased = net([3], (b, rng) => {
      const [scale, shift, mean, variance] = ['scale', 'shift', 'mean', 'variance'].map((n) => b.initializer(n, between(rng, [3], 0.5, 1)));
      const first = b.op('BatchNormalization', [linear(b, rng, 'fc', 'x', 3, 3), scale, shift, mean, variance], {}, { name: 'norm1' });
      const alias = (of: string) => b.op('Identity', [of], {}, { outputs: [`${of}2`] });
      const own = [scale, shift, mean, variance].map(alias);
      return b.op('BatchNormalization', [first, ...own], {}, { name: 'norm2', outputs: ['logits'] });
    });
    const apart = unshareStatistics(aliased);
    expect(apart.graph.nodes.map((n) => n.opType)).toEqual(['Gemm', 'BatchNormalization', 'BatchNormalization']);
    const step = await stepOf(apart, { batchNorm: 'training' });
    expect(step.stored).toEqual(['fc.weight', 'fc.bias', 'scale', 'shift', 'scale2', 'shift2', 'mean', 'variance', 'mean2', 'variance2']);
    const { state } = await train(step, 1);
    expect(state.mean2).not.toEqual(state.mean);
  });
});

describe('dropout', () => {
  const dropping = (ratio: number | undefined) =>
    net([3], (b, rng) => {
      const h = linear(b, rng, 'fc1', 'x', 3, 400);
      const d = b.op('Dropout', ratio === undefined ? [h] : [h, b.scalar(ratio)], {}, { name: 'drop', outputs: ['dropped'] });
      const w = b.initializer('fc2.weight', between(rng, [3, 400], 0.1, 1));
      return b.op('Gemm', [d, w], { transB: 1 }, { outputs: ['logits'] });
    });
  /** Which units reached the second weight's gradient, step by step: 0 or 1 for each. */
  async function kept(ratio: number, steps: number, seed = 1): Promise<string[]> {
    const model = dropping(ratio);
    const step = await stepOf(model, { seed, trainable: (name) => name.startsWith('fc') });
    const session = await openStep(inProcess, step);
    const patterns: string[] = [];
    let before = numbers(step.state['fc2.weight']);
    for (let s = 0; s < steps; s++) {
      await session.run({ [step.feeds.x]: x, [step.feeds.labels]: labels, [step.feeds.learningRate]: scalar(0.01) });
      const now = numbers((await session.state())['fc2.weight']);
      patterns.push(
        now
          .slice(0, 400)
          .map((v, i) => (v === before[i] ? '0' : '1'))
          .join(''),
      );
      before = now;
    }
    await session.close();
    return patterns;
  }

  it('masks differ from step to step and come again with the same seed', async () => {
    const [a, b, c] = [await kept(0.9, 3), await kept(0.9, 3), await kept(0.9, 3, 2)];
    expect(a).toEqual(b);
    expect(new Set([...a, ...c]).size).toBe(6);
  });

  it('makes an output 0 with the ratio, else larger by 1 / (1 - ratio)', async () => {
    const model = net([3], (b, rng) => {
      const h = linear(b, rng, 'fc', 'x', 3, 500);
      return b.op('Dropout', [h, b.scalar(0.3)], {}, { outputs: ['logits'] });
    });
    const logits = async (dropout: 'training' | 'inference'): Promise<number[]> => {
      const step = await stepOf(model, { dropout });
      const feeds = { ...step.state, [step.feeds.x]: x, [step.feeds.labels]: labels, [step.feeds.learningRate]: scalar(0) };
      return numbers((await runOnce(step.model, feeds))[step.outputs.logits]);
    };
    const [plain, dropped] = [await logits('inference'), await logits('training')];
    const zeros = dropped.filter((v) => v === 0).length / dropped.length;
    // 2000 outputs: five standard deviations on either side
    expect(zeros).toBeGreaterThan(0.25);
    expect(zeros).toBeLessThan(0.35);
    expectClose(
      'outputs that are kept',
      dropped,
      plain.map((v, i) => (dropped[i] === 0 ? 0 : v / 0.7)),
      1e-6,
    );
  });

  it('goes on with the same masks after a resume', async () => {
    const step = await stepOf(dropping(undefined));
    const whole = await train(step, 4);
    const half = await train(step, 2);
    const rest = await train(step, 2, 0.1, { state: half.state });
    expect(rest.state).toEqual(whole.state);
  });
});

describe('graphs', () => {
  it('a lowered step holds operators only that ONNX Runtime has, and passes our own graph check', async () => {
    const lowered = lower((await stepOf(mlp)).model);
    expect(lowered.graph.nodes.every((n) => n.domain === '')).toBe(true);
    expect(lowered.graph.outputs.every((o) => o.dtype !== undefined && o.dims !== undefined)).toBe(true);
  });

  it('name what they are for', async () => {
    const { model } = await stepOf(mlp);
    const prefixes = new Set(model.graph.nodes.filter((n) => n.name.startsWith('step/')).map((n) => n.name.split('/')[1]));
    expect([...prefixes].sort()).toEqual(['fc1', 'fc2', 'loss', 'tanh', 'update']);
  });
});
