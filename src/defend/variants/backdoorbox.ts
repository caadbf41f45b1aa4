import { fail } from '../../core/errors.ts';
import { channelStatistics } from '../../data/channel-statistics.ts';
import { ascending, layerOf, type Variant, zeroOwn } from './variant.ts';

/**
 * BackdoorBox (THUYimingLi/BackdoorBox, `core/defenses/Pruning.py`). Ranks the channels of a layer that the user names by the mean of what that
 * module gives (for a convolution: before its ReLU) over one pass of the images given, all maps kept in memory, and multiplies the module's output
 * by a mask. There is no stop rule: the user gives the share to prune (0.2 in its own test script, our default), rounded down. Fine-tuning is a
 * class of its own that the user has to chain; here it is chained, as a user who follows the paper would.
 */
export const backdoorbox: Variant = {
  name: 'backdoorbox',
  title: 'BackdoorBox',
  how: "mean of the layer's own output, before its ReLU; a share of the channels at once, 20 % where nobody says; no accuracy is looked at",
  takes: ['layer', 'rate'],
  tunes: true,
  async prune(job) {
    const { runtime, model, types, validation, spec, settings } = job;
    const rate = settings.rate ?? 0.2;
    if (!(rate >= 0 && rate <= 1)) fail({ where: 'pruning rate', what: 'not a share', expected: '0 to 1', got: String(rate), exitCode: 2 });
    const point = layerOf(job);
    // A block's output where there is no single layer.
    const value = point.kind === 'layer' ? point.node.outputs[0] : point.value;
    const rank = types.get(value)?.dims.length ?? point.dims.length;
    const axis = point.opType === 'MatMul' ? rank - 1 : point.axis;
    const found = await channelStatistics(runtime, model, validation, [{ name: value, axis, rank }], { spec });
    const order = ascending((found.get(value) as { mean: Float64Array }).mean);
    const cut = order.slice(0, Math.floor(order.length * rate));
    const start = await job.accuracy(model);
    return { ...zeroOwn(model, point, cut, true), of: `channels of ${point.layer}`, cut, count: order.length, start };
  },
};
