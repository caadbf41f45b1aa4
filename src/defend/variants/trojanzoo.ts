import { channelStatistics } from '../../data/channel-statistics.ts';
import { chooseLayer } from '../../inspect/layers.ts';
import { ascending, behindPools, lastConvolution, type Variant, zeroOwn } from './variant.ts';

/** Single steps after the cut that is made at once. */
const SINGLE_STEPS = 10;
/** Fall of accuracy that it accepts. */
const LIMIT = 0.2;

/**
 * TrojanZoo (ain-soph/trojanzoo, `fine_pruning.py`). Takes the last convolution by module order, here by graph order, and ranks its channels by the
 * mean magnitude of the network's final feature map on the images of `valid`, which for some data sets are the test images; ours are validation
 * images. Masks the convolution's weights but not its bias (nor a batch norm). Zeroes 95 % of the channels less ten at once without looking, then
 * one at a time, ten at most, until accuracy has fallen by more than 20 points below its start; the step that broke the limit is kept. Then
 * fine-tunes with the mask in place. Where the final feature map has another number of channels than that convolution (DeepID, whose last
 * convolution is on a side branch; issue 71 of its repository) it fails; ours ranks by the convolution's own map and says so.
 */
export const trojanzoo: Variant = {
  name: 'trojanzoo',
  title: 'TrojanZoo',
  how: 'mean magnitude of the final feature map; weights of the last convolution without its bias, 95 % less ten at once, then at most ten; 20 points',
  takes: ['threshold'],
  limit: { value: LIMIT, of: 'points' },
  tunes: true,
  async prune(job) {
    const { runtime, model, types, validation, spec, settings } = job;
    const limit = settings.threshold ?? LIMIT;
    const point = lastConvolution(job);
    const final = chooseLayer(model, types).point;
    const fits = final.channels === point.channels;
    const { value: behind, axis, dims } = fits ? final : point;
    const value = behindPools(model, behind);
    const rank = types.get(value)?.dims.length ?? dims.length;
    const found = await channelStatistics(runtime, model, validation, [{ name: value, axis, rank }], { spec });
    const order = ascending((found.get(value) as { magnitude: Float64Array }).magnitude);
    const start = await job.accuracy(model);
    // Its loop zeroes one channel even where it is asked for none.
    let zeroed = Math.max(1, Math.floor(0.95 * order.length) - SINGLE_STEPS);
    const at = (count: number): ReturnType<typeof zeroOwn> => zeroOwn(model, point, order.slice(0, count), false);
    for (let i = 0; i < Math.min(SINGLE_STEPS, order.length) && zeroed < order.length; i++) {
      zeroed++;
      if (start - (await job.accuracy(at(zeroed).model)) > limit) break;
    }
    const { model: pruned, masks, notes } = at(zeroed);
    const other = fits
      ? []
      : [`the final feature map has ${final.channels} channels, ${point.layer} ${point.channels}: ranked by its own map`];
    const cut = order.slice(0, zeroed);
    return { model: pruned, masks, of: `channels of ${point.layer}`, cut, count: order.length, start, notes: [...notes, ...other] };
  },
};
