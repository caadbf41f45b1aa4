/** `secateur finetune`: trains on with clean data. */
import { z } from 'zod';
import { leftToTrain, finetune as runFinetuning } from '../defend/finetune.ts';
import { validationAccuracy } from './accuracy.node.ts';
import { checkClean } from './clean-check.node.ts';
import { defineCommand } from './command.node.ts';
import { change, commonFields, defenceFields, finetuneFields, finetuneOptions } from './defend.node.ts';
import { openClassifier } from './foreign.node.ts';
import { loadValidation, specOverrides } from './shared.node.ts';
import { historyPoints } from './training.node.ts';
import { inRunFolder } from './work.node.ts';

export const finetune = defineCommand({
  name: 'finetune',
  description: "Trains any ONNX classifier further on the defender's clean images. Channels that were cut stay cut.",
  examples: [['secateur finetune runs/prune-1/model.onnx --data mnist/ --epochs 5', 'after pruning, by hand what fineprune does at once']],
  options: z.object({ ...defenceFields, ...finetuneFields, ...commonFields }),
  run: (context, o) =>
    inRunFolder(context, { command: 'finetune', options: o, tune: true }, async (work) => {
      const spec = specOverrides(o);
      const { model, restore } = await openClassifier(context, work, o.model, spec);
      // A name that is wrong is told before anything is read.
      leftToTrain(model, o.freezeBefore);
      const validation = await work.step('reading data', () => loadValidation(o, { context, model }));
      work.inputs.validation = validation.sha256;
      await checkClean(context, work, { model, data: validation, spec }, !o.allowChance);
      const before = await work.step('evaluating', async () => validationAccuracy(await work.runtime(), model, validation, spec));
      const result = await work.step('fine-tuning', async () =>
        runFinetuning(await work.runtime(), model, validation, { ...finetuneOptions(o, context), spec }),
      );
      const after = await work.step('evaluating', async () => validationAccuracy(await work.runtime(), result.model, validation, spec));
      return {
        line: `fine-tuned ${o.epochs} epochs  validation ${change(before.value, after.value)}  seed ${o.seed}`,
        tables: [
          {
            name: 'fine-tuning',
            unit: 'rate',
            cells: [
              { row: 'before', column: 'validation accuracy', ...before },
              { row: 'after', column: 'validation accuracy', ...after },
            ],
            notes: ['On the images that it was fine-tuned on: what it is worth is for secateur evaluate to say.'],
          },
        ],
        model: result.model,
        restore,
        metrics: result.history,
        media: { title: 'Fine-tuning', histories: [historyPoints('fine-tuned', result.history)] },
      };
    }),
});
