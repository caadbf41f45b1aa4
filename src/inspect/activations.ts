/**
 * What a layer does on clean and on triggered inputs. This is an analyst's view: it needs inputs that carry the trigger, which the judge
 * and the attacker have and a defender has not. No defence calls it.
 */
import { type ChannelStatistics, type ChannelValue, channelStatistics, type StatisticsOptions } from '../data/channel-statistics.ts';
import type { AnyImages, Dataset, TriggeredDataset } from '../data/dataset.ts';
import type { CutPoint } from '../onnx/cut-points.ts';
import type { Model } from '../onnx/model.ts';
import type { Runtime } from '../runtime/session.ts';

export interface Comparison {
  readonly layer: string;
  /** The value looked at: behind the activation, before pooling. */
  readonly value: string;
  readonly clean: ChannelStatistics;
  readonly triggered: ChannelStatistics;
}

/** Statistics of the layer at its cut point over `data`; with `maps`, mean feature maps `[C,H,W]` too. */
export async function layerStatistics(
  runtime: Runtime,
  model: Model,
  point: CutPoint,
  data: AnyImages,
  options: StatisticsOptions = {},
): Promise<ChannelStatistics> {
  const found = await channelStatistics(runtime, model, data, [rankedValue(point)], options);
  return found.get(point.value) as ChannelStatistics;
}

/** The value that ranks a layer's channels, as statistics are asked for it. */
export function rankedValue({ value, axis, dims }: Pick<CutPoint, 'value' | 'axis' | 'dims'>): ChannelValue {
  return { name: value, axis, rank: dims.length };
}

/** The layer's channels on clean inputs beside the same on triggered ones; with mean maps unless `maps` is false. */
export async function compareActivations(
  runtime: Runtime,
  model: Model,
  point: CutPoint,
  clean: Dataset,
  triggered: TriggeredDataset,
  options: StatisticsOptions = {},
): Promise<Comparison> {
  return {
    layer: point.layer,
    value: point.value,
    clean: await layerStatistics(runtime, model, point, clean, { maps: true, ...options }),
    triggered: await layerStatistics(runtime, model, point, triggered, { maps: true, ...options }),
  };
}

/** The number that a channel is ranked by: its mean behind an activation, its mean magnitude where there is none. `[C]` */
export function strength(point: Pick<CutPoint, 'rankBy'>, statistics: Pick<ChannelStatistics, 'mean' | 'magnitude'>): Float64Array {
  return point.rankBy === 'mean' ? statistics.mean : statistics.magnitude;
}

/** Channels from the weakest to the strongest; equal ones by number. */
export function weakestFirst(strengths: ArrayLike<number>): number[] {
  return Array.from(strengths, (_, c) => c).sort((a, b) => strengths[a] - strengths[b] || a - b);
}
