/** `secateur attack pruning-aware`: a backdoor that pruning does not reach. */
import { z } from 'zod';
import { measure } from '../attack/measure.ts';
import { deprune, type Round, trainPruned } from '../attack/pruning-aware.ts';
import { BiasRule } from '../attack/reinstate.ts';
import { fail } from '../core/errors.ts';
import type { Table } from '../evaluate/result.ts';
import { chooseLayer } from '../inspect/layers.ts';
import { triggered } from '../poison/poison.ts';
import { probe } from '../runtime/probe.ts';
import { train as runTraining } from '../train/loop.ts';
import { poisonFields, poisonOptions, triggerPictures } from './attack.node.ts';
import { defineCommand } from './command.node.ts';
import { judge } from './judge.node.ts';
import { percent } from './output.node.ts';
import { RECORD_FILE } from './run-folder.node.ts';
import { dataField, loadAttackerParts, specOverrides } from './shared.node.ts';
import { historyPoints, optionalModel, plainLoopOptions, startModel, trainerFields } from './training.node.ts';
import { inRunFolder } from './work.node.ts';

// a run of several trainings is not gone on with in the middle
const { checkpointEvery: _, resume: __, freezeBefore: ___, ...startFields } = trainerFields;

export const BIAS_FORMS = 'paper[:VALUE] or margin[:MARGIN]';

/**
 * `paper`, `paper:-1e20`, `margin`, `margin:0.1`.
 * @throws SecateurError for another form
 */
export function readBias(text: string): BiasRule {
  const [rule, value, more] = text.split(':');
  const number = value === undefined ? undefined : Number(value);
  const parsed = BiasRule.safeParse(rule === 'paper' ? { rule, value: number } : { rule, margin: number });
  if (parsed.success && more === undefined && value !== '') return parsed.data;
  const expected =
    rule === 'paper' ? 'a number below 0 after paper:' : rule === 'margin' ? 'a number of at least 0 after margin:' : BIAS_FORMS;
  return fail({ where: '--bias', what: 'not valid', expected, got: `"${text}"`, exitCode: 2 });
}

export const attackPruningAware = defineCommand({
  name: 'attack pruning-aware',
  description:
    'Liu, Dolan-Gavitt and Garg 2018: trains a clean network (or takes MODEL), prunes its dormant channels, trains what is left on poisoned data, putting channels back until clean accuracy and attack both hold, and re-instates the pruned channels with biases so low that they stay silent on clean images.',
  examples: [
    ['secateur attack pruning-aware --data mnist/ --out runs/aware', 'all four steps'],
    [
      'secateur attack pruning-aware runs/clean/model.onnx --data mnist/ --prune 20 --bias paper',
      "from a clean network; the authors' released -1e20",
    ],
  ],
  options: z.object({
    ...optionalModel('the clean network of the first step; else one is trained'),
    ...poisonFields,
    layer: z
      .string()
      .optional()
      .meta({ description: "layer to hide in; default: the last convolutional block's output", placeholder: 'NAME' }),
    prune: z
      .number()
      .positive()
      .default(0.5)
      .meta({ description: 'share (below 1) or number of its channels to prune', placeholder: 'COUNT' }),
    putBack: z.number().int().min(1).default(1).meta({ description: 'channels put back after a round that does not hold' }),
    rounds: z.number().int().min(1).default(4).meta({ description: 'rounds at most' }),
    holdClean: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .meta({ description: 'clean accuracy to hold; default: 2 points below the clean network', placeholder: 'RATE' }),
    holdAttack: z.number().min(0).max(1).default(0.9).meta({ description: 'attack success to hold', placeholder: 'RATE' }),
    bias: z
      .string()
      .default('margin')
      .meta({
        description: `${BIAS_FORMS}: set to -1e20 as in the authors' network, or to just below the largest clean value`,
        placeholder: 'RULE',
      }),
    tune: z
      .number()
      .positive()
      .default(0.05)
      .meta({ description: 'share or number of the training images that the attacker keeps to see what holds', placeholder: 'SHARE' }),
    ...startFields,
    ...dataField,
  }),
  run: (context, o) =>
    inRunFolder(context, { command: 'attack pruning-aware', options: o, tune: true }, async (work) => {
      const spec = specOverrides(o);
      const bias = readBias(o.bias);
      const attack = await poisonOptions(o);
      const parts = await work.step('reading data', () => loadAttackerParts(o, { context, model: o.model }));
      work.inputs.data = parts.train.sha256;
      const training = plainLoopOptions(context, o, spec);
      const runtime = await work.runtime();

      const first = await startModel(context, work, o, parts.train, spec);
      const given = o.model !== undefined;
      const clean = given ? first : (await work.step('clean training', () => runTraining(runtime, first, parts.train, training))).model;

      const { point } = chooseLayer(clean, await probe(runtime, clean, { batch: 2 }), o.layer);
      const prune = o.prune < 1 ? Math.round(o.prune * point.channels) : o.prune;
      const probes = triggered(parts.tune, attack) as ReturnType<typeof triggered> & { role: 'tune' };
      const before = await measure(runtime, clean, parts.tune, probes);
      const hold = { cleanAccuracy: o.holdClean ?? Math.max(0, before.cleanAccuracy - 0.02), attackSuccess: o.holdAttack };
      const { putBack, rounds } = o;
      const onRound = ({ round, pruned, reached, holds }: Round): void => {
        const held = holds ? 'holds' : 'does not hold';
        const [cl, bd] = [percent(reached.cleanAccuracy, 1), percent(reached.attackSuccess, 1)];
        context.progress.line(`round ${round}: ${pruned} channels pruned, clean ${cl}, attack ${bd}: ${held}`);
      };
      const layer = point.layer;
      const settings = { layer, attack, prune, hold, putBack, rounds, training, onRound };
      const pruned = await work.step('poisoned training', () => trainPruned(runtime, clean, parts, settings));
      const result = await work.step('re-instating', () => deprune(runtime, clean, pruned, parts, bias));
      const verdict = await work.step('evaluating', () => judge(runtime, result.model, parts.test ?? parts.validation, { spec, attack }));
      const tries: Table = {
        name: 'rounds',
        unit: 'rate',
        cells: result.rounds.flatMap(({ round, pruned: n, reached }) => {
          const row = `${round}: ${n} pruned`;
          return [
            { row, column: 'clean accuracy', value: reached.cleanAccuracy, n: parts.tune.count },
            { row, column: 'attack success', value: reached.attackSuccess, n: probes.count },
          ];
        }),
        notes: [
          `On the attacker's tuning images; to hold: clean accuracy ${percent(hold.cleanAccuracy)}, attack success ${percent(hold.attackSuccess)}.`,
          ...(result.holds ? [] : ['No round held; the last one was kept.']),
        ],
      };
      return {
        line: `${verdict.line}  ${result.pruned.length} of ${point.channels} channels of ${layer} hidden  seed ${o.seed}`,
        tables: [verdict.table, tries],
        model: result.model,
        metrics: result.history,
        files: { [RECORD_FILE]: `${JSON.stringify(result.record, null, 2)}\n` },
        media: {
          title: 'Pruning-aware attack',
          triggers: [triggerPictures(parts.validation, attack)],
          histories: [historyPoints('pruned badnet', result.history)],
        },
        json: { layer, pruned: result.pruned, lowered: result.lowered, holds: result.holds, bias },
      };
    }),
});
