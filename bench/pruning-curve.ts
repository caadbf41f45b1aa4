/**
 * (b) The whole pruning curve over 10,000 images, as `defend/curve.ts` computes it, beside the naive loop: cut, run everything, again. Both use
 * the same runtime, batches and images, and must predict the same classes.
 */
import { Rng } from '../src/core/rng.ts';
import type { Dataset } from '../src/data/dataset.ts';
import { predict } from '../src/data/forward.ts';
import { makeDataset } from '../src/data/make.ts';
import { cutPredictions } from '../src/defend/curve.ts';
import { chooseLayer } from '../src/inspect/layers.ts';
import { cutChannels } from '../src/onnx/passes/cut-channels.ts';
import { nativeRuntime } from '../src/runtime/open.node.ts';
import { probe } from '../src/runtime/probe.ts';
import { buildNetwork } from '../src/train/networks/registry.ts';

export interface CurveCase {
  readonly network: string;
  readonly channels: number;
  readonly side: number;
  /** Steps of the naive loop that are run; the others cost the same, so the loop's time is scaled up from these. */
  readonly naiveSteps: number | 'all';
  /** Times the curve is computed; the median counts. */
  readonly repeats: number;
}

export const CURVES: readonly CurveCase[] = [
  { network: 'badnets-cnn', channels: 1, side: 28, naiveSteps: 'all', repeats: 5 },
  { network: 'resnet18-cifar', channels: 3, side: 32, naiveSteps: 2, repeats: 1 },
];

export interface CurveTimes {
  readonly network: string;
  readonly layer: string;
  readonly channels: number;
  readonly images: number;
  readonly method: string;
  /** Seconds. */
  readonly curve: number;
  readonly naive: number;
  readonly naiveSteps: number;
  readonly ratio: number;
  /** Share of predictions that agree, over the steps that the naive loop ran. */
  readonly agree: number;
}

export async function benchCurve(c: CurveCase, threads: number, images = 10_000): Promise<CurveTimes> {
  const runtime = nativeRuntime({ threads });
  try {
    const data = noise(c, images);
    const model = buildNetwork(c.network, 1, { channels: c.channels, height: c.side, width: c.side, classes: 10 });
    const { point } = chooseLayer(model, await probe(runtime, model, { batch: 2 }));
    const order = [...Rng.from(1, 'order').permutation(point.channels)];
    await predict(runtime, model, data); // warm up

    const times: number[] = [];
    let labels: Int32Array = new Int32Array(0);
    let method = '';
    for (let i = 0; i < c.repeats; i++) {
      const began = performance.now();
      const found = await cutPredictions(runtime, model, point, order, data);
      times.push((performance.now() - began) / 1000);
      ({ labels, method } = found);
    }
    const steps = order.length + 1;
    const run = c.naiveSteps === 'all' ? steps : c.naiveSteps;
    // Spread over the curve, so that the comparison of predictions is too.
    const chosen = Array.from({ length: run }, (_, i) => (run === steps ? i : Math.round(((i + 0.5) * order.length) / run)));
    let agree = 0;
    const began = performance.now();
    for (const step of chosen) {
      const predicted = (await predict(runtime, cutChannels(model, point, order.slice(0, step)).model, data)).labels;
      for (let i = 0; i < images; i++) if (predicted[i] === labels[step * images + i]) agree++;
    }
    const naive = (((performance.now() - began) / 1000) * steps) / run;
    const curve = times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
    const { layer, channels } = point;
    return {
      network: c.network,
      layer,
      channels,
      images,
      method,
      curve,
      naive,
      naiveSteps: run,
      ratio: naive / curve,
      agree: agree / (run * images),
    };
  } finally {
    await runtime.dispose();
  }
}

function noise(c: CurveCase, count: number): Dataset<'test'> {
  const rng = Rng.from(1, 'bench');
  const pixels = Uint8Array.from({ length: count * c.channels * c.side * c.side }, () => rng.int(256));
  const labels = Int32Array.from({ length: count }, (_, i) => i % 10);
  const classes = Array.from({ length: 10 }, (_, i) => String(i));
  return makeDataset({ role: 'test', source: 'bench', channels: c.channels, height: c.side, width: c.side, pixels, labels, classes });
}
