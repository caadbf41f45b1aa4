/** `secateur attack badnet`: honest training code, poisoned data. */
import { z } from 'zod';
import { badnet } from '../attack/badnet.ts';
import { poisonFields, poisonOptions, triggerPictures } from './attack.node.ts';
import { defineCommand } from './command.node.ts';
import { judge } from './judge.node.ts';
import { RECORD_FILE } from './run-folder.node.ts';
import { loadParts, specOverrides } from './shared.node.ts';
import { beginOrResume, historyPoints, loopOptions, optionalModel, orDiscard, startModel, trainerFields } from './training.node.ts';
import { inRunFolder } from './work.node.ts';

const NAME = 'attack badnet';
const options = z.object({ ...optionalModel('turn this network instead of training a new one'), ...poisonFields, ...trainerFields });

export const attackBadnet = defineCommand({
  name: NAME,
  description:
    "Gu, Dolan-Gavitt and Garg 2017: adds triggered, mislabelled copies to the training images and trains as usual. The defender's images are held out first. The run folder holds what was done to the data (poison.json), so that evaluate and inspect know the trigger: --attack RUN.",
  examples: [
    ['secateur attack badnet --data mnist/ --out runs/badnet', "the paper's pattern, all-to-all, half of the images poisoned"],
    ['secateur attack badnet --data mnist/ --trigger pixel --label-map target:7 --fraction 0.1', 'one pixel, everything becomes a 7'],
    ['secateur attack badnet --data signs/ --trigger patch:sticker.png --label-map source-target:0:3', 'a sticker on stop signs'],
  ],
  options,
  async run(context, given) {
    const { resume, options: o } = await beginOrResume(context, NAME, options, given);
    return inRunFolder(context, { command: NAME, options: o, tune: true, resume }, async (work) => {
      const spec = specOverrides(o);
      const attack = await poisonOptions(o);
      const parts = await work.step('reading data', () => loadParts(o, { context, model: o.model }));
      work.inputs.data = parts.train.sha256;
      const model = await startModel(context, work, o, parts.train, spec);
      const settings = loopOptions(context, work, o, { model, spec, validation: parts.validation });
      const result = await work.step('training', async () =>
        orDiscard(work, badnet(await work.runtime(), model, parts.train, attack, settings)),
      );
      const verdict = await work.step('evaluating', async () =>
        judge(await work.runtime(), result.model, parts.test ?? parts.validation, { spec, attack }),
      );
      const { counts } = result.record;
      return {
        line: `${verdict.line}  seed ${o.seed}`,
        tables: [verdict.table],
        notes: [`${counts.poisoned} of ${counts.total} training images poisoned`],
        model: result.model,
        metrics: result.history,
        files: { [RECORD_FILE]: `${JSON.stringify(result.record, null, 2)}\n` },
        media: {
          title: 'BadNet',
          triggers: [triggerPictures(parts.validation, attack)],
          histories: [historyPoints('badnet', result.history)],
        },
        json: { poison: counts },
      };
    });
  },
});
