import { columnCurve, featureMeans, fullyConnected, zeroColumns } from './columns.ts';
import type { Variant } from './variant.ts';
import { ascending } from './variant.ts';

/** Its `acc_ratio`. */
const LIMIT = 0.1;

/**
 * BackdoorBench (SCLBD/BackdoorBench, `defense/fp.py`). Ranks the inputs of the last fully connected layer by their mean on clean training images
 * (5 % of them; ours: the validation images) and zeroes that layer's columns, not channels of a convolution. Goes on while accuracy differs from
 * its start by less than a tenth of it (`acc_ratio` 0.1, relative, in either direction), which it reads off the test set; ours reads it off the
 * validation images. Round k zeroes `[0:k-1]`, one column fewer than it counts; and since `net_pruned = (netC)` copies nothing, the network that
 * is kept is the one that broke the limit. One column a round; later versions take a share at a time. Then fine-tunes all weights, the columns
 * kept zero by the mask (its own settings: 100 epochs at 0.01 with a cosine schedule).
 */
export const backdoorbench: Variant = {
  name: 'backdoorbench',
  title: 'BackdoorBench',
  how: "mean of the last fully connected layer's inputs; its columns one by one; stops at a relative fall of 10 % and keeps the network that broke it",
  takes: ['threshold'],
  limit: { value: LIMIT, of: 'start' },
  tunes: true,
  async prune(job) {
    const limit = job.settings.threshold ?? LIMIT;
    const columns = fullyConnected(job, 'last');
    const order = ascending(await featureMeans(job, columns, 'mean'));
    const accuracyAt = columnCurve(job, columns, order);
    const start = await accuracyAt(0);
    let zeroed = 0;
    let broke = false;
    for (let round = 0; round < order.length && !broke; round++) {
      zeroed = Math.max(0, round - 1);
      broke = !(Math.abs((await accuracyAt(zeroed)) - start) / start < limit);
    }
    const cut = order.slice(0, zeroed);
    const notes = broke ? ['the network that is kept is the first one that broke the limit'] : ['the limit was never broken'];
    return { ...zeroColumns(job.model, columns, cut), of: `columns of ${columns.layer}`, cut, count: columns.count, start, notes };
  },
};
