/** (a) One SGD step of two networks beside PyTorch, in turn, on the same threads. */
import { f32, type Tensor } from '../src/core/tensor.ts';
import { trainingStep } from '../src/grad/step.ts';
import { readSpec } from '../src/onnx/spec.ts';
import { openRuntime } from '../src/runtime/open.node.ts';
import { probe } from '../src/runtime/probe.ts';
import type { Runtime, Session } from '../src/runtime/session.ts';
import { openStep } from '../src/runtime/step.ts';
import { buildNetwork } from '../src/train/networks/registry.ts';
import { median, type TorchPeer } from './torch.ts';

export const NETS = [
  { name: 'badnets-cnn', batch: 128, shape: { channels: 1, height: 28, width: 28 }, steps: 20, rounds: 7, atLeast: 1.0, goal: 1.5 },
  { name: 'resnet18-cifar', batch: 64, shape: { channels: 3, height: 32, width: 32 }, steps: 2, rounds: 5, atLeast: 0.8, goal: 1.2 },
] as const;
export type Net = (typeof NETS)[number];

export interface OpenStep {
  readonly session: Session;
  run(): Promise<void>;
}

export async function openNet(runtime: Runtime, net: Net, profile?: string): Promise<OpenStep> {
  const model = buildNetwork(net.name, 1, { ...net.shape, classes: 10 });
  const spec = readSpec(model);
  const types = await probe(runtime, model, { batch: net.batch });
  const step = trainingStep(model, types, {
    input: spec.input,
    logits: spec.logits,
    loss: 'cross-entropy',
    optimizer: { kind: 'sgd', momentum: 0.9, weightDecay: 5e-4 },
    batchNorm: 'training',
  });
  const session = await openStep(runtime, step, profile === undefined ? {} : { profile });
  const { channels, height, width } = net.shape;
  const x = f32(
    Float32Array.from({ length: net.batch * channels * height * width }, (_, i) => ((i * 7919) % 1009) / 1009),
    [net.batch, channels, height, width],
  );
  const labels: Tensor = { dtype: 'int64', dims: [net.batch], data: BigInt64Array.from({ length: net.batch }, (_, i) => BigInt(i % 10)) };
  const feeds = { [step.feeds.x]: x, [step.feeds.labels]: labels, [step.feeds.learningRate]: f32([0.01], []) };
  return {
    session,
    run: async () => {
      await session.run(feeds, { outputs: [step.outputs.loss] });
    },
  };
}

export interface StepResult {
  readonly net: string;
  readonly ours: number;
  readonly torch: number | undefined;
  /** PyTorch's time over ours, round by round: min, median, max. */
  readonly ratio: readonly [number, number, number] | undefined;
}

export async function benchStep(net: Net, threads: number, torch: TorchPeer | undefined): Promise<StepResult> {
  const runtime = await openRuntime({ backend: 'native', threads, tune: true, onTune: (m) => process.stderr.write(`${m}\n`) });
  const { session, run } = await openNet(runtime, net);
  for (let i = 0; i < 3; i++) await run();
  const [ours, theirs, ratios]: number[][] = [[], [], []];
  for (let round = 0; round < net.rounds; round++) {
    const times: number[] = [];
    for (let i = 0; i < net.steps; i++) {
      const start = performance.now();
      await run();
      times.push(performance.now() - start);
    }
    ours.push(median(times));
    if (torch === undefined) continue;
    theirs.push(median(await torch.steps(net.name, net.steps)));
    ratios.push(theirs.at(-1)! / ours.at(-1)!);
  }
  await session.close();
  await runtime.dispose();
  ratios.sort((a, b) => a - b);
  return {
    net: `${net.name}, batch ${net.batch}`,
    ours: median(ours),
    torch: torch === undefined ? undefined : median(theirs),
    ratio: torch === undefined ? undefined : [ratios[0], median(ratios), ratios.at(-1)!],
  };
}
