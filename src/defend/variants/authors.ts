import { fail } from '../../core/errors.ts';
import { channelStatistics } from '../../data/channel-statistics.ts';
import { ascending, behindPools, layerOf, type Variant, zeroOwn } from './variant.ts';

/** Channels in the layer -> channels cut, in the authors' scripts for faces (conv3) and speech (conv5). */
const PUBLISHED: ReadonlyMap<number, number> = new Map([
  [60, 48],
  [256, 250],
]);

/**
 * The authors' own scripts (kangliucn/Fine-pruning-defense, `conv_output_prune.py` for face and speech). Rank by the mean over images and space
 * of the map behind the pooling that follows the layer, and zero a fixed number of channels with their biases: 48 of 60, 250 of 256. They look at
 * no accuracy, and rank on the test inputs; ours ranks on validation images. For other layers no number is published: we take the face's share.
 * Fine-tuning is not in that repository, so there is none here.
 */
export const authors: Variant = {
  name: 'authors',
  title: "the authors' scripts",
  how: 'mean behind the pooling; a fixed number of channels at once (48 of 60, 250 of 256, else 80 %); no accuracy is looked at, no fine-tuning',
  takes: ['layer', 'count'],
  tunes: false,
  async prune(job) {
    const { runtime, model, validation, spec, settings, types } = job;
    const point = layerOf(job);
    const count = settings.count ?? PUBLISHED.get(point.channels) ?? Math.round(0.8 * point.channels);
    if (!Number.isInteger(count) || count < 0 || count > point.channels) {
      const expected = `0 to ${point.channels}`;
      fail({ where: `layer ${point.layer}`, what: 'number of channels to cut', expected, got: String(count), exitCode: 2 });
    }
    const value = behindPools(model, point.value);
    const rank = types.get(value)?.dims.length ?? point.dims.length;
    const found = await channelStatistics(runtime, model, validation, [{ name: value, axis: point.axis, rank }], { spec });
    const cut = ascending((found.get(value) as { mean: Float64Array }).mean).slice(0, count);
    const start = await job.accuracy(model);
    return { ...zeroOwn(model, point, cut, true), of: `channels of ${point.layer}`, cut, count: point.channels, start };
  },
};
