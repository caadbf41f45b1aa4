/**
 * Whole networks, exported by PyTorch, against PyTorch's own loss and gradients (scripts/golden-grad.py), on both backends.
 * Every element of every gradient takes part: the measure is ||a - b|| / ||b|| per tensor.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { parametersOf } from '../../src/grad/parameters.ts';
import { type GradientOptions, gradientGraph, trainingStep } from '../../src/grad/step.ts';
import { lower } from '../../src/runtime/lowerings/lower.ts';
import { nativeRuntime, wasmRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import type { Feeds, Fetches, Runtime } from '../../src/runtime/session.ts';
import { openStep } from '../../src/runtime/step.ts';
import { type Golden, goldenModel, goldenTensors, relativeError } from './golden.ts';

const TOLERANCE = 1e-4;
const BATCH = 4;

const runtimes = { native: nativeRuntime({ threads: 1 }), wasm: wasmRuntime({ threads: 1 }) };
afterAll(async () => {
  for (const runtime of Object.values(runtimes)) await runtime.dispose();
});

interface Network {
  readonly golden: string;
  readonly model: string;
  readonly options: Partial<GradientOptions>;
  /** Parameters that PyTorch has a gradient for. */
  readonly parameters: number;
}
const networks: Record<string, Network> = {
  'the CNN of BadNets for MNIST (opset 12)': { golden: 'mnist-cnn', model: 'mnist-cnn', options: {}, parameters: 8 },
  'a residual net, running statistics, soft labels (opset 17)': {
    golden: 'resnet-inference',
    model: 'resnet',
    options: { labels: 'soft' },
    parameters: 20,
  },
  'a residual net, statistics of the batch (opset 17)': {
    golden: 'resnet-training',
    model: 'resnet',
    options: { batchNorm: 'training' },
    parameters: 20,
  },
  'a depthwise net, weighted samples (opset 9)': {
    golden: 'depthwise',
    model: 'depthwise',
    options: { sampleWeights: true },
    parameters: 16,
  },
};

async function gradients(
  runtime: Runtime,
  network: Network,
  golden: Golden,
): Promise<{ loss: Fetches[string]; logits: Fetches[string]; grads: Fetches }> {
  const model = goldenModel(network.model);
  const graph = gradientGraph(model, await probe(runtime, model, { batch: BATCH }), {
    input: 'x',
    logits: 'logits',
    loss: 'cross-entropy',
    wrt: [...parametersOf(model), 'x'],
    ...network.options,
  });
  const feeds: Feeds = {
    [graph.feeds.x]: golden.get('x')!,
    [graph.feeds.labels]: golden.get('labels')!,
    ...(graph.feeds.weights ? { [graph.feeds.weights]: golden.get('weights')! } : {}),
  };
  const session = await runtime.open(lower(graph.model));
  try {
    const values = await session.run(feeds);
    const grads = Object.fromEntries(Object.entries(graph.gradients).map(([name, output]) => [name, values[output]]));
    return { loss: values[graph.outputs.loss], logits: values[graph.outputs.logits], grads };
  } finally {
    await session.close();
  }
}

for (const [title, network] of Object.entries(networks)) {
  describe(title, () => {
    const golden = goldenTensors(network.golden);
    const expected = [...golden].filter(([key]) => key.startsWith('grad:'));
    const found = new Map<string, Awaited<ReturnType<typeof gradients>>>();

    for (const [backend, runtime] of Object.entries(runtimes)) {
      it(`loss, logits and every gradient are PyTorch's, on ${backend}`, async () => {
        const { loss, logits, grads } = await gradients(runtime, network, golden);
        found.set(backend, { loss, logits, grads });
        expect(expected.length).toBe(network.parameters + 1);
        const errors = {
          loss: relativeError(loss, golden.get('loss')!),
          logits: relativeError(logits, golden.get('logits')!),
          ...Object.fromEntries(expected.map(([key, tensor]) => [key, relativeError(grads[key.slice('grad:'.length)], tensor)])),
        };
        const tooFar = Object.entries(errors).filter(([, error]) => !(error <= TOLERANCE));
        expect(tooFar, 'values further off than 1e-4').toEqual([]);
      });
    }

    it('native and WASM agree', () => {
      const [native, wasm] = [found.get('native')!, found.get('wasm')!];
      for (const name of Object.keys(native.grads)) expect(relativeError(wasm.grads[name], native.grads[name]), name).toBeLessThan(1e-5);
      expect(relativeError(wasm.loss, native.loss)).toBeLessThan(1e-6);
    });
  });
}

describe('a training step of the residual net', () => {
  for (const [backend, runtime] of Object.entries(runtimes)) {
    it(`moves weights and running statistics as PyTorch does, on ${backend}`, async () => {
      const golden = goldenTensors('resnet-training');
      const model = goldenModel('resnet');
      const step = trainingStep(model, await probe(runtime, model, { batch: BATCH }), {
        input: 'x',
        logits: 'logits',
        loss: 'cross-entropy',
        batchNorm: 'training',
        optimizer: { kind: 'sgd' },
      });
      const session = await openStep(runtime, step);
      const rate = 0.5;
      const feeds = {
        [step.feeds.x]: golden.get('x')!,
        [step.feeds.labels]: golden.get('labels')!,
        [step.feeds.learningRate]: { dtype: 'float32', dims: [], data: Float32Array.of(rate) },
      } satisfies Feeds;
      try {
        await session.run(feeds);
        const after = await session.state();
        const running = [...golden].filter(([key]) => key.startsWith('running:'));
        expect(running.length).toBe(12);
        for (const [key, tensor] of running)
          expect(relativeError(after[key.slice('running:'.length)], tensor), key).toBeLessThan(TOLERANCE);
        for (const name of step.parameters) {
          const gradient = golden.get(`grad:${name}`)!.data as Float32Array;
          const first = step.state[name].data as Float32Array;
          const moved = Float32Array.from(first, (w, i) => w - rate * gradient[i]);
          expect(relativeError(after[name], { ...step.state[name], data: moved }), name).toBeLessThan(TOLERANCE);
        }
        expect([...step.stored].sort()).toEqual([...step.parameters, ...running.map(([key]) => key.slice('running:'.length))].sort());
      } finally {
        await session.close();
      }
    });
  }
});
