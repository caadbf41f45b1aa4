/** What the attacks share: what is poisoned and how, and the pictures of it. */
import { z } from 'zod';
import type { Dataset } from '../data/dataset.ts';
import { imageAt } from '../data/make.ts';
import { triggeredImage } from '../poison/apply.ts';
import type { PoisonOptions } from '../poison/poison.ts';
import { pictureOf, type TriggerPictures } from '../report/media.ts';
import { type Attack, readLabelMap, readTrigger, triggerFields } from './trigger.node.ts';

export const poisonFields = {
  trigger: triggerFields.trigger.default('pattern'),
  labelMap: triggerFields.labelMap.default('all-to-all'),
  fraction: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.5)
    .meta({ description: 'share of the training images that carry the trigger in the end', placeholder: 'SHARE' }),
  mode: z
    .enum(['add', 'replace'])
    .default('add')
    .meta({ description: 'add poisoned copies, as in the paper, or poison images in place', placeholder: 'MODE' }),
};

export async function poisonOptions(o: z.output<z.ZodObject<typeof poisonFields>> & { seed: number }): Promise<PoisonOptions> {
  const { fraction, mode, seed } = o;
  return { trigger: await readTrigger(o.trigger), labelMap: readLabelMap(o.labelMap), fraction, mode, seed };
}

/** Six images without and with the trigger, one of each of the first classes. */
export function triggerPictures(data: Dataset, { trigger }: Attack): TriggerPictures {
  const firsts = data.classes.map((_, label) => data.labels.indexOf(label)).filter((i) => i >= 0);
  const samples = firsts.slice(0, 6).map((i) => {
    const image = imageAt(data, i);
    return {
      clean: pictureOf(image, data),
      triggered: pictureOf(triggeredImage(data, i, trigger), data),
      label: data.classes[data.labels[i]],
    };
  });
  return { name: trigger.kind, samples };
}
