/** `secateur prune`: cuts the channels that clean data does not use, as long as accuracy holds. */
import { z } from 'zod';
import { prune as runPruning } from '../defend/prune.ts';
import { checkClean } from './clean-check.node.ts';
import { defineCommand } from './command.node.ts';
import { commonFields, curveTable, defenceFields, pruneFields, pruneLine } from './defend.node.ts';
import { openClassifier } from './foreign.node.ts';
import { thinned } from './output.node.ts';
import { loadValidation, specOverrides } from './shared.node.ts';
import { inRunFolder } from './work.node.ts';

export const prune = defineCommand({
  name: 'prune',
  description:
    "Ranks the channels of one layer by their mean activation on the defender's clean images and cuts them in that order, stopping before validation accuracy falls by more than the threshold (Liu et al. 2018).",
  examples: [
    ['secateur prune runs/badnet/model.onnx --data mnist/', "the last convolutional block's output, at most 4 points of accuracy"],
    ['secateur prune suspect.onnx --data clean-images/ --validation all --layer conv5 --compact', 'with images of your own, smaller file'],
  ],
  options: z.object({ ...defenceFields, ...pruneFields, ...commonFields }),
  run: (context, o) =>
    inRunFolder(context, { command: 'prune', options: o }, async (work) => {
      const spec = specOverrides(o);
      const { model, restore } = await openClassifier(context, work, o.model, spec);
      const validation = await work.step('reading data', () => loadValidation(o, { context, model }));
      work.inputs.validation = validation.sha256;
      await checkClean(context, work, { model, data: validation, spec }, !o.allowChance);
      const { layer, threshold, compact } = o;
      const result = await work.step('pruning', async () =>
        runPruning(await work.runtime(), model, validation, { layer, threshold, compact, spec }),
      );
      const { cut, point } = result;
      const curve = curveTable(result, validation.count);
      return {
        line: pruneLine(result),
        tables: [curve],
        shown: [thinned(curve)],
        model: result.model,
        restore,
        media: { title: 'Pruning', stops: [{ attack: 'validation', cut: cut.length, of: point.channels, layer: point.layer, threshold }] },
        json: { layer: point.layer, cut, order: result.order },
      };
    }),
});
