/** `secateur evaluate`: the judge. Clean accuracy, and attack success where a trigger is named. */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import type { Check } from '../evaluate/result.ts';
import { checkClean } from './clean-check.node.ts';
import { defineCommand } from './command.node.ts';
import { openClassifier } from './foreign.node.ts';
import { judge } from './judge.node.ts';
import { percent } from './output.node.ts';
import { dataField, loadTest, modelField, outFields, runtimeFields, specFields, specOverrides, untrustedFields } from './shared.node.ts';
import { attackField, readAttack, triggerFields } from './trigger.node.ts';
import { inRunFolder } from './work.node.ts';

const limit = (description: string) => z.number().min(0).max(1).optional().meta({ description, placeholder: 'RATE' });

export const evaluate = defineCommand({
  name: 'evaluate',
  description:
    'On test images only, which no training, pruning or tuning has seen. Attack success counts triggered images that are not of the wanted class already; robust accuracy is the share of the same images that still get their true class. Intervals are 95 % (Wilson).',
  examples: [
    ['secateur evaluate model.onnx --data mnist/', 'clean accuracy, by class'],
    ['secateur evaluate runs/fineprune-1/model.onnx --data mnist/ --attack runs/badnet', 'and what is left of that attack'],
    ['secateur evaluate model.onnx --data mnist/ --trigger pattern --label-map target:7 --max-attack 0.05', 'exit code 3 if more is left'],
  ],
  options: z.object({
    ...modelField,
    ...dataField,
    ...attackField,
    ...triggerFields,
    minClean: limit('exit code 3 if clean accuracy is below this'),
    maxAttack: limit('exit code 3 if attack success is above this'),
    ...outFields,
    ...runtimeFields,
    ...untrustedFields,
    ...specFields,
  }),
  run: (context, o) =>
    inRunFolder(context, { command: 'evaluate', options: o }, async (work) => {
      const attack = await readAttack(o);
      if (o.maxAttack !== undefined && attack === undefined) {
        fail({ where: '--max-attack', what: 'no attack to judge', expected: '--attack RUN, or --trigger and --label-map', exitCode: 2 });
      }
      const spec = specOverrides(o);
      const { model } = await openClassifier(context, work, o.model, spec);
      const { data: test, notes } = await work.step('reading data', () => loadTest(o, { context, model }));
      work.inputs.test = test.sha256;
      await checkClean(context, work, { model, data: test, spec }, false);
      const {
        line,
        table,
        clean,
        attack: hit,
      } = await work.step('evaluating', async () => judge(await work.runtime(), model, test, { spec, attack }));
      const checks: Check[] = [];
      if (o.minClean !== undefined) {
        const [found, held] = [percent(clean.accuracy.value), clean.accuracy.value >= o.minClean];
        const says = `clean accuracy ${found} is ${held ? 'not ' : ''}below ${percent(o.minClean)}`;
        checks.push({ name: `clean accuracy at least ${percent(o.minClean)}`, held, says });
      }
      if (o.maxAttack !== undefined && hit) {
        const [found, held] = [percent(hit.success.value), hit.success.value <= o.maxAttack];
        const says = `attack success ${found} is ${held ? 'not ' : ''}above ${percent(o.maxAttack)}`;
        checks.push({ name: `attack success at most ${percent(o.maxAttack)}`, held, says });
      }
      const broken = checks.filter((check) => !check.held).map((check) => check.says);
      return {
        line: [line, ...broken].join('  '),
        // in result.json and the report they stand by the numbers, on the terminal below them
        tables: [{ ...table, notes: [...(table.notes ?? []), ...notes] }],
        shown: [table],
        notes,
        media: { title: 'Evaluation' },
        json: { broken, notes },
        checks: checks.length > 0 ? checks : undefined,
      };
    }),
});
