/** `secateur fineprune`: prunes, then fine-tunes what is left. */
import { z } from 'zod';
import { fineprune as runFinepruning } from '../defend/fineprune.ts';
import { leftToTrain } from '../defend/finetune.ts';
import type { Table } from '../evaluate/result.ts';
import { validationAccuracy } from './accuracy.node.ts';
import { checkClean } from './clean-check.node.ts';
import { defineCommand } from './command.node.ts';
import { change, commonFields, curveTable, defenceFields, finetuneFields, finetuneOptions, pruneFields } from './defend.node.ts';
import { limitUsed, runVariant, variantFields, variantSettings } from './fineprune-variant.node.ts';
import { openClassifier } from './foreign.node.ts';
import { thinned } from './output.node.ts';
import { loadValidation, specOverrides } from './shared.node.ts';
import { historyPoints } from './training.node.ts';
import { inRunFolder } from './work.node.ts';

export const fineprune = defineCommand({
  name: 'fineprune',
  description: "The defence of Liu et al. 2018: prune, then fine-tune on the defender's clean images, with the cut channels kept cut.",
  examples: [
    ['secateur fineprune runs/badnet/model.onnx --data mnist/', 'then: secateur evaluate ... --attack runs/badnet'],
    ['secateur fineprune runs/badnet/model.onnx --data mnist/ --variant backdoorbench', "another implementation's, deviations included"],
  ],
  options: z.object({ ...defenceFields, ...pruneFields, ...variantFields, ...finetuneFields, ...commonFields }),
  run: (context, o) => {
    const variant = variantSettings(context, o);
    return inRunFolder(context, { command: 'fineprune', options: { ...o, threshold: limitUsed(o) }, tune: true }, async (work) => {
      const spec = specOverrides(o);
      const { model, restore } = await openClassifier(context, work, o.model, spec);
      // A name that is wrong is told before anything is read.
      leftToTrain(model, o.freezeBefore);
      const validation = await work.step('reading data', () => loadValidation(o, { context, model }));
      work.inputs.validation = validation.sha256;
      await checkClean(context, work, { model, data: validation, spec }, !o.allowChance);
      if (variant !== undefined) return runVariant(context, work, { model, restore, validation, spec }, o, variant);
      const { layer, compact } = o;
      const threshold = limitUsed(o);
      const result = await work.step('fine-pruning', async () =>
        runFinepruning(await work.runtime(), model, validation, {
          spec,
          prune: { layer, threshold, compact },
          finetune: finetuneOptions(o, context),
        }),
      );
      const { cut, point, accuracy } = result.pruned;
      const after = await work.step('evaluating', async () => validationAccuracy(await work.runtime(), result.model, validation, spec));
      const curve = curveTable(result.pruned, validation.count);
      const stages: Table = {
        name: 'fine-pruning',
        unit: 'rate',
        cells: [
          { row: 'before', column: 'validation accuracy', value: accuracy.start, n: validation.count },
          { row: 'pruned', column: 'validation accuracy', value: accuracy.end, n: validation.count },
          { row: 'fine-tuned', column: 'validation accuracy', ...after },
        ],
        notes: ['On the images that it was pruned and fine-tuned on: what it is worth is for secateur evaluate to say.'],
      };
      return {
        line: `cut ${cut.length} of ${point.channels} channels of ${point.layer}, fine-tuned  validation ${change(accuracy.start, after.value)}  seed ${o.seed}`,
        tables: [curve, stages],
        shown: [thinned(curve), stages],
        model: result.model,
        restore,
        metrics: result.history,
        media: {
          title: 'Fine-pruning',
          stops: [{ attack: 'validation', cut: cut.length, of: point.channels, layer: point.layer, threshold }],
          histories: [historyPoints('fine-tuned', result.history)],
        },
        json: { layer: point.layer, cut, order: result.pruned.order },
      };
    });
  },
});
