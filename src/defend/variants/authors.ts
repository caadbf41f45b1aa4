import { fail } from '../../core/errors.ts';
import { channelStatistics } from '../../data/channel-statistics.ts';
import { ascending, behindPools, layerOf, type Variant, zeroOwn } from './variant.ts';

/** Channels cut in the authors' scripts, each in the layer of one network of theirs. */
const PUBLISHED = {
  face: { layer: 'conv3', channels: 60, cut: 48 },
  speech: { layer: 'conv5', channels: 256, cut: 250 },
} as const;

/** The same as shares, for networks of those cases that are of another width; for other cases there is none. */
export const AUTHORS_SHARES = {
  face: PUBLISHED.face.cut / PUBLISHED.face.channels,
  speech: PUBLISHED.speech.cut / PUBLISHED.speech.channels,
} as const;

const published = (layer: string, channels: number): number =>
  Object.values(PUBLISHED).find((p) => p.layer === layer && p.channels === channels)?.cut ?? Math.round(AUTHORS_SHARES.face * channels);

/**
 * The authors' own scripts (kangliucn/Fine-pruning-defense, `conv_output_prune.py` for face and speech). Rank by the mean over images and space
 * of the map behind the pooling that follows the layer, and zero a fixed number of channels with their biases: 48 of the 60 of the face network's
 * conv3 (80 %), 250 of the 256 of the speech network's conv5 (97.7 %). They look at no accuracy, and rank on the test inputs; ours ranks on validation
 * images. A layer of another name or width is in none of their scripts: without a count we borrow the face's share, and who knows the case gives
 * the count ({@link AUTHORS_SHARES}). Fine-tuning is not in that repository, so there is none here.
 */
export const authors: Variant = {
  name: 'authors',
  title: "the authors' scripts",
  how: 'mean behind the pooling; a fixed number of channels at once (48 of 60 in conv3 for faces, 250 of 256 in conv5 for speech, elsewhere 80 %); no accuracy is looked at, no fine-tuning',
  takes: ['layer', 'count'],
  tunes: false,
  async prune(job) {
    const { runtime, model, validation, spec, settings, types } = job;
    const point = layerOf(job);
    const count = settings.count ?? published(point.layer, point.channels);
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
