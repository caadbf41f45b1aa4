/** (c) Where the time of a step goes, from ONNX Runtime's own profile, and what share of the machine's peak it reaches. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { f32 } from '../src/core/tensor.ts';
import { GraphBuilder } from '../src/onnx/builder.ts';
import { openRuntime } from '../src/runtime/open.node.ts';
import { type Net, openNet } from './step.ts';

const STEPS = 5;

interface Event {
  readonly cat: string;
  readonly name: string;
  readonly dur: number;
  readonly args?: { op_name?: string };
}

export interface ProfileRow {
  readonly operator: string;
  readonly ms: number;
  readonly share: number;
}

/** Milliseconds a step by operator, longest first, and the longest single nodes. */
export async function profileStep(net: Net, threads: number): Promise<{ operators: ProfileRow[]; nodes: ProfileRow[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'secateur-profile-'));
  const runtime = await openRuntime({ backend: 'native', threads, tune: true });
  const { session, run } = await openNet(runtime, net, join(folder, 'p'));
  for (let i = 0; i < STEPS; i++) await run();
  await session.endProfile();
  await session.close();
  await runtime.dispose();
  const [file] = readdirSync(folder);
  const events = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Event[];
  rmSync(folder, { recursive: true });
  const kernels = events.filter((e) => e.cat === 'Node' && e.name.endsWith('_kernel_time'));
  const by = (key: (e: Event) => string): ProfileRow[] => {
    const sums = new Map<string, number>();
    for (const e of kernels) sums.set(key(e), (sums.get(key(e)) ?? 0) + e.dur / 1000 / STEPS);
    const total = [...sums.values()].reduce((a, b) => a + b, 0);
    return [...sums].map(([operator, ms]) => ({ operator, ms, share: ms / total })).sort((a, b) => b.ms - a.ms);
  };
  return {
    operators: by((e) => e.args?.op_name ?? '?'),
    nodes: by((e) => `${e.args?.op_name} ${e.name.replace(/_kernel_time$/, '')}`),
  };
}

/** Products in a row, so that sending the matrices over the port does not count. */
const PRODUCTS = 12;

/** GFLOP/s of 1024x1024x1024 matrix products: what ONNX Runtime reaches on this machine at its best. */
export async function peak(threads: number): Promise<number> {
  const n = 1024;
  const b = new GraphBuilder();
  let value = b.input('a', 'float32', [n, n]);
  for (let i = 0; i < PRODUCTS; i++) value = b.op('MatMul', [value, 'a']);
  b.output(b.op('ReduceMax', [value], { keepdims: 0 }), 'float32', []);
  const runtime = await openRuntime({ backend: 'native', threads });
  const session = await runtime.open(b.build());
  const a = f32(new Float32Array(n * n).fill(1 / n), [n, n]);
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 6; i++) {
    const start = performance.now();
    await session.run({ a });
    best = Math.min(best, performance.now() - start);
  }
  await runtime.dispose();
  return (PRODUCTS * 2 * n ** 3) / best / 1e6;
}

/** Floating-point operations of forward, input gradient and weight gradient of one step (multiply and add count two). */
export const STEP_GFLOP: Readonly<Record<Net['name'], number>> = {
  // conv1 24²·25·16, conv2 8²·400·32, fc 512², 5120; times 2, times 3 (conv1 has no input gradient: times 2), times 128.
  'badnets-cnn': (128 * 2 * (2 * 24 * 24 * 25 * 16 + 3 * (8 * 8 * 400 * 32 + 512 * 512 + 512 * 10))) / 1e9,
  // 555.4 million multiply-adds forward at 32x32.
  'resnet18-cifar': (64 * 2 * 3 * 555.4e6) / 1e9,
};
