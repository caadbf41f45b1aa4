/** `secateur zoo remove`: a model leaves models.json, models.lock and the disk. */
import { z } from 'zod';
import { removeModel } from '../zoo/verbs/remove.node.ts';
import { defineCommand } from './command.node.ts';
import { projectFields, projectRoot } from './zoo-project.node.ts';
import { counted, tellers } from './zoo-words.node.ts';

export const zooRemove = defineCommand({
  name: 'zoo remove',
  description:
    'Takes a model out of models.json and models.lock and its files off the disk. Files that you added stay; of those that you changed a copy is kept in the cache. Rules in models.json stay.',
  examples: [['secateur zoo remove resnet50', 'the model is gone from the project, not from the cache']],
  options: z.object({
    name: z.string().meta({ description: 'the model', positional: true, placeholder: 'NAME' }),
    ...projectFields,
  }),
  async run(context, o) {
    context.progress.step(`removing ${o.name}`);
    const { removed, kept, left } = await removeModel(projectRoot(o), o.name, { ...tellers(context.progress), signal: context.signal });
    return {
      line: `removed ${o.name}: ${counted(removed.length, 'file')} deleted`,
      notes: [
        ...kept.map((k) => `${k.path} had been changed here; a copy is kept at ${k.kept}`),
        ...left.map((path) => `${path} is not part of the model and was left where it is`),
      ],
      json: { name: o.name, removed, kept, left },
    };
  },
});
