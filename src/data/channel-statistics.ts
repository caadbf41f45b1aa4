/** What the channels of any value of a network do over a data set: means, maxima, how often they fire, mean maps. */
import { fail } from '../core/errors.ts';
import { GraphBuilder } from '../onnx/builder.ts';
import type { Model } from '../onnx/model.ts';
import type { Runtime } from '../runtime/session.ts';
import type { AnyImages } from './dataset.ts';
import { type ForwardOptions, forward } from './forward.ts';

export interface ChannelStatistics {
  readonly channels: number;
  /** Images. */
  readonly n: number;
  /** Per channel, over images and space. `[C]` */
  readonly mean: Float64Array;
  /** Mean of the absolute value, over images and space. `[C]` */
  readonly magnitude: Float64Array;
  /** Largest value anywhere. `[C]` */
  readonly max: Float64Array;
  /** Mean over images of the largest value in space: does not dilute what fires at one place only, as a trigger makes it. `[C]` */
  readonly peak: Float64Array;
  /** Share of the images on which the channel is above zero somewhere, 0..1. `[C]` */
  readonly active: Float64Array;
  /** Mean over images at every place; where asked for. `[C,...space]` */
  readonly map?: { readonly dims: readonly number[]; readonly mean: Float64Array };
}

export interface StatisticsOptions extends Omit<ForwardOptions, 'outputs'> {
  /** Mean maps too; they fetch the whole value for every image. */
  readonly maps?: boolean;
}

/** A value of the graph and which of its axes counts channels; a name alone means axis 1. The first axis counts images. */
export type ChannelValue = string | { readonly name: string; readonly axis: number; readonly rank: number };

/**
 * Statistics of `values` over all of `data`, in one pass. Sums are kept in double precision.
 * Space is reduced inside the graph, so that only a few numbers for each image and channel leave the runtime.
 * Throws SecateurError for a value that is not there or has no channels.
 */
export async function channelStatistics(
  runtime: Runtime,
  model: Model,
  data: AnyImages,
  values: readonly ChannelValue[],
  options: StatisticsOptions = {},
): Promise<Map<string, ChannelStatistics>> {
  const { maps, ...rest } = options;
  const b = GraphBuilder.from(model, { prefix: 'statistics' });
  const sums = values.map((value) => new Sums(b, value, maps === true));
  const outputs = sums.flatMap((s) => s.outputs);
  for await (const { count, values: got } of forward(runtime, b.build(), data, { ...rest, outputs })) {
    for (const s of sums)
      s.add(
        s.outputs.map((name) => got[name]),
        count,
      );
  }
  return new Map(sums.map((s) => [s.name, s.result()]));
}

/** The reductions of one value, as nodes in the graph and as sums over batches. */
class Sums {
  readonly name: string;
  /** Mean, magnitude, maximum per image and channel, `[n,C,1]`; then the value itself where maps are wanted. */
  readonly outputs: readonly string[];
  #sums:
    | { n: number; mean: Float64Array; magnitude: Float64Array; max: Float64Array; peak: Float64Array; active: Float64Array }
    | undefined;
  #map: { dims: readonly number[]; mean: Float64Array } | undefined;

  constructor(b: GraphBuilder, value: ChannelValue, maps: boolean) {
    const { name, axis, rank } = typeof value === 'string' ? { name: value, axis: 1, rank: 0 } : value;
    this.name = name;
    const space = Array.from({ length: rank }, (_, i) => i).slice(1);
    const perm = [0, axis, ...space.filter((i) => i !== axis)];
    const first = axis === 1 ? name : b.op('Transpose', [name], { perm }); // [n,C,...space]
    const flat = b.op('Reshape', [first, b.ints([0, 0, -1])]); // [n,C,space]
    const pooled = (opType: string, x: string): string => b.op(opType, [x]);
    const reduced = [pooled('GlobalAveragePool', flat), pooled('GlobalAveragePool', b.op('Abs', [flat])), pooled('GlobalMaxPool', flat)];
    this.outputs = maps ? [...reduced, first] : reduced;
  }

  add(tensors: readonly { dims: readonly number[]; data: unknown }[], count: number): void {
    const [mean, magnitude, max, whole] = tensors.map((t) => t.data as Float32Array);
    const channels = tensors[0].dims[1];
    this.#sums ??= {
      n: 0,
      mean: new Float64Array(channels),
      magnitude: new Float64Array(channels),
      max: new Float64Array(channels).fill(Number.NEGATIVE_INFINITY),
      peak: new Float64Array(channels),
      active: new Float64Array(channels),
    };
    const sums = this.#sums;
    for (let i = 0; i < count * channels; i++) {
      const c = i % channels;
      sums.mean[c] += mean[i];
      sums.magnitude[c] += magnitude[i];
      sums.max[c] = Math.max(sums.max[c], max[i]);
      sums.peak[c] += max[i];
      if (max[i] > 0) sums.active[c]++;
    }
    sums.n += count;
    if (whole === undefined) return;
    const dims = tensors[3].dims.slice(1);
    const size = whole.length / count;
    this.#map ??= { dims, mean: new Float64Array(size) };
    for (let i = 0; i < whole.length; i++) this.#map.mean[i % size] += whole[i];
  }

  result(): ChannelStatistics {
    if (this.#sums === undefined) return fail({ where: `statistics of "${this.name}"`, what: 'no images' });
    const { n, mean, magnitude, max, peak, active } = this.#sums;
    const share = (sum: Float64Array): Float64Array => sum.map((v) => v / n);
    return {
      channels: mean.length,
      n,
      mean: share(mean),
      magnitude: share(magnitude),
      max,
      peak: share(peak),
      active: share(active),
      ...(this.#map ? { map: { dims: this.#map.dims, mean: share(this.#map.mean) } } : {}),
    };
  }
}
