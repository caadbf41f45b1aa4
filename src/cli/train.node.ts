/** `secateur train`: an honest network, from one of ours or from any ONNX classifier. */
import { z } from 'zod';
import { retarget } from '../attack/transfer.ts';
import { fail } from '../core/errors.ts';
import { train as runTraining } from '../train/loop.ts';
import { defineCommand } from './command.node.ts';
import { judge } from './judge.node.ts';
import { loadParts, specOverrides } from './shared.node.ts';
import { beginOrResume, historyPoints, loopOptions, optionalModel, orDiscard, startModel, trainerFields } from './training.node.ts';
import { inRunFolder } from './work.node.ts';

const options = z.object({
  ...optionalModel('train this network further instead of a new one'),
  newHead: z
    .boolean()
    .default(false)
    .meta({ description: 'give MODEL a new last layer for the classes of the data first; with --freeze-before that is transfer learning' }),
  ...trainerFields,
});

export const train = defineCommand({
  name: 'train',
  description:
    "Trains on the training images without the defender's, and measures clean accuracy on the test images where there are any. Ctrl-C keeps the state; --resume goes on and ends with the same weights.",
  examples: [
    ['secateur train --data builtin:digits --epochs 3', "the paper's CNN on built-in digits"],
    ['secateur train --data mnist/ --out runs/clean --checkpoint-every 100', 'may be killed at any time'],
    ['secateur train --resume runs/clean', 'goes on with it'],
    ['secateur train mine.onnx --data images/ --lr 0.001 --input-range -1,1', 'any ONNX classifier, further'],
    ['secateur train signs.onnx --data btsc/ --new-head --freeze-before fc6 --lr 0.01', 'for other classes, its convolutions kept'],
  ],
  options,
  async run(context, given) {
    const { resume, options: o } = await beginOrResume(context, 'train', options, given);
    return inRunFolder(context, { command: 'train', options: o, tune: true, resume }, async (work) => {
      const spec = specOverrides(o);
      if (o.newHead && o.model === undefined) {
        fail({ where: '--new-head', what: 'has no effect on a network that is new', expected: 'MODEL', exitCode: 2 });
      }
      if (o.newHead && context.given.has('classes')) {
        const what = "has no effect beside --new-head, which gives the network the data's classes";
        fail({ where: '--classes', what, hint: 'one of the two', exitCode: 2 });
      }
      const parts = await work.step('reading data', () => loadParts(o, { context, model: o.model, newClasses: o.newHead }));
      work.inputs.data = parts.train.sha256;
      const given = await startModel(context, work, o, parts.train, spec);
      const model = o.newHead ? retarget(given, spec.labels ?? parts.train.classes, o.seed, { ...spec, labels: undefined }).model : given;
      const settings = loopOptions(context, work, o, { model, spec, validation: parts.validation });
      const trained = await work.step('training', async () =>
        orDiscard(work, runTraining(await work.runtime(), model, parts.train, settings)),
      );
      const verdict = await work.step('evaluating', async () =>
        judge(await work.runtime(), trained.model, parts.test ?? parts.validation, { spec }),
      );
      return {
        line: `${verdict.line}  seed ${o.seed}`,
        tables: [verdict.table],
        model: trained.model,
        metrics: trained.history,
        media: { title: 'Training', histories: [historyPoints('model', trained.history)] },
      };
    });
  },
});
