import { fail } from '../../core/errors.ts';
import { featureMeans, fullyConnected, zeroColumns } from './columns.ts';
import { ascending, lastConvolution, type Variant } from './variant.ts';

/** Single steps after the cut that is made at once; its name for them is `finetune_epoch`. */
const SINGLE_STEPS = 10;
/** Fall of accuracy that it accepts. */
const LIMIT = 0.2;

/**
 * backdoor-toolbox (vtu81/backdoor-toolbox, `other_defenses_tool_box/fine_pruning.py`), which began as TrojanZoo's. Ranks the inputs of the first
 * fully connected layer by their mean magnitude on `valid` and masks that layer's columns; how many it takes from the last convolution, 95 % of
 * its channels, so that where a channel is several features it prunes far fewer. All but ten of them at once, then one at a time until accuracy on
 * the test set (ours: on the validation images) has fallen by more than 20 points; the step that broke the limit is kept. The loop length is named
 * `finetune_epoch`, but nothing is fine-tuned.
 */
export const backdoorToolbox: Variant = {
  name: 'backdoor-toolbox',
  title: 'backdoor-toolbox',
  how: "mean magnitude of the first fully connected layer's inputs; its columns, all but ten at once, then one by one; 20 points; no fine-tuning",
  takes: ['threshold'],
  limit: { value: LIMIT, of: 'points' },
  tunes: false,
  async prune(job) {
    const limit = job.settings.threshold ?? LIMIT;
    const convolution = lastConvolution(job);
    const wanted = Math.floor(0.95 * convolution.channels);
    if (wanted < SINGLE_STEPS) {
      fail({
        where: `layer ${convolution.layer}`,
        what: 'too few channels for this variant, which counts by them',
        expected: 'at least 11',
        got: String(convolution.channels),
        hint: '--variant paper',
      });
    }
    const columns = fullyConnected(job, 'first');
    const order = ascending(await featureMeans(job, columns, 'magnitude'));
    const start = await job.accuracy(job.model);
    let zeroed = Math.min(wanted - SINGLE_STEPS, order.length);
    for (let i = 0; i < Math.min(SINGLE_STEPS, order.length) && zeroed < order.length; i++) {
      zeroed++;
      if (start - (await job.accuracy(zeroColumns(job.model, columns, order.slice(0, zeroed)).model)) > limit) break;
    }
    const cut = order.slice(0, zeroed);
    return { ...zeroColumns(job.model, columns, cut), of: `columns of ${columns.layer}`, cut, count: columns.count, start, notes: [] };
  },
};
