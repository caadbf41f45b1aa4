import { type PruneResult, prune } from '../prune.ts';
import type { Variant } from './variant.ts';

/**
 * The paper (Liu, Dolan-Gavitt, Garg 2018, section 4), which is our default. Ranks the channels of the last convolutional layer by their mean
 * activation on clean validation images, cuts them one by one, weakest first, and keeps the last network whose validation accuracy is at most the
 * threshold (4 points) below its start. Fine-tunes on the same images with the cut channels kept cut.
 */
export const paper: Variant = {
  name: 'paper',
  title: 'the paper',
  how: "mean activation behind the layer's ReLU; channels one by one; keeps the last network within 4 points of validation accuracy",
  takes: ['layer', 'threshold'],
  limit: { value: 0.04, of: 'points' },
  tunes: true,
  async prune({ runtime, model, validation, spec, settings: { layer, threshold } }) {
    const result: PruneResult = await prune(runtime, model, validation, {
      spec,
      ...(layer === undefined ? {} : { layer }),
      ...(threshold === undefined ? {} : { threshold }),
    });
    const { point, cut, order, accuracy } = result;
    return {
      model: result.model,
      of: `channels of ${point.layer}`,
      cut,
      count: order.length,
      start: accuracy.start,
      // The file records them.
      masks: new Map(),
      notes: [],
    };
  },
};
