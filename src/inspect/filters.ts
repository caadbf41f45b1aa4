/** First-layer filters as data for pictures. BadNets (figure 5) shows one that is dedicated to the trigger. */
import { fail } from '../core/errors.ts';
import type { ChannelStatistics } from '../data/channel-statistics.ts';
import { topologicalOrder } from '../onnx/edit.ts';
import type { Model } from '../onnx/model.ts';

export interface Filters {
  readonly layer: string;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** Averaged over input channels where there are several. `[count,height,width]` */
  readonly weights: Float32Array;
}

/** The kernels of the first 2-D convolution in graph order. Throws SecateurError where there is none with stored float32 weights. */
export function firstFilters(model: Model): Filters {
  for (const node of topologicalOrder(model.graph)) {
    const tensor = node.opType === 'Conv' ? model.graph.initializers.get(node.inputs[1]) : undefined;
    if (tensor === undefined || tensor.dims.length !== 4 || !(tensor.data instanceof Float32Array)) continue;
    const [count, depth, height, width] = tensor.dims;
    const weights = new Float32Array(count * height * width);
    for (let i = 0; i < tensor.data.length; i++) {
      const filter = Math.floor(i / (depth * height * width));
      weights[filter * height * width + (i % (height * width))] += tensor.data[i] / depth;
    }
    return { layer: node.name || node.outputs[0], count, height, width, weights };
  }
  return fail({ where: 'model', what: 'has no filters to show', expected: 'a 2-D convolution with stored float32 weights' });
}

/**
 * Filters that answer to the trigger more than to anything in a clean image: their peak (mean over images of the largest value in space) rises
 * with the trigger by at least `rise`, in units of the layer's mean clean peak. Strongest first. Both statistics are of the first layer's
 * cut point.
 */
export function dedicatedFilters(clean: ChannelStatistics, triggered: ChannelStatistics, rise = 0.25): number[] {
  const unit = clean.peak.reduce((a, v) => a + v, 0) / clean.channels;
  const rises = Array.from(triggered.peak, (v, c) => v - clean.peak[c]);
  return [...rises.keys()].filter((c) => rises[c] > 0 && rises[c] >= rise * unit).sort((a, b) => rises[b] - rises[a] || a - b);
}
