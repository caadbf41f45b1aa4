/** `secateur attack strengthen`: the backdoor neurons of a network times k. */
import { z } from 'zod';
import { strengthen } from '../attack/strengthen.ts';
import { fail } from '../core/errors.ts';
import { rateCell } from '../evaluate/cells.ts';
import type { Cell, Table } from '../evaluate/result.ts';
import { compareActivations } from '../inspect/activations.ts';
import { backdoorNeurons, describeRule, type NeuronReport, NeuronRule } from '../inspect/backdoor-neurons.ts';
import { chooseLayer } from '../inspect/layers.ts';
import type { CutPoint } from '../onnx/cut-points.ts';
import { triggered } from '../poison/poison.ts';
import { probe } from '../runtime/probe.ts';
import { triggerPictures } from './attack.node.ts';
import { chanceField, checkClean } from './clean-check.node.ts';
import { type Context, defineCommand } from './command.node.ts';
import { openClassifier } from './foreign.node.ts';
import { judge, type Verdict } from './judge.node.ts';
import { kebab } from './options.node.ts';
import { RECORD_FILE } from './run-folder.node.ts';
import {
  dataField,
  loadAttackerParts,
  modelField,
  outFields,
  runtimeFields,
  specFields,
  specOverrides,
  splitFields,
} from './shared.node.ts';
import { attackField, inheritedRecord, readAttack, triggerFields } from './trigger.node.ts';
import { inRunFolder } from './work.node.ts';

const rule = NeuronRule.shape;

export const attackStrengthen = defineCommand({
  name: 'attack strengthen',
  description:
    "Gu, Dolan-Gavitt and Garg 2017, section 5.3: multiplies the input weights and biases of a BadNet's backdoor neurons by k, so that the trigger also reaches layers that somebody else trains anew behind them. Which neurons: those that a stated rule picks on the attacker's own images, or --channels.",
  examples: [
    ['secateur attack strengthen runs/badnet/model.onnx --data gtsrb/ --attack runs/badnet --k 10', 'ten times as loud'],
    [
      'secateur attack strengthen badnet.onnx --data gtsrb/ --attack runs/badnet --channels 3,17 --layer conv5',
      'channels of your own choice',
    ],
  ],
  options: z.object({
    ...modelField,
    ...dataField,
    ...attackField,
    ...triggerFields,
    k: z.number().positive().default(10).meta({ description: 'strength: what the input weights and biases are multiplied by' }),
    layer: z.string().optional().meta({
      description: "layer of the neurons; default: the last convolutional block's output, see inspect --layers",
      placeholder: 'NAME',
    }),
    channels: z
      .array(z.number().int().min(0))
      .min(1)
      .optional()
      .meta({ description: 'channel numbers, instead of those that the rule picks', placeholder: 'N,..' }),
    at: rule.at.meta({
      description: 'where a channel is looked at: where its mean map rises most, or on average over space',
      placeholder: 'WHERE',
    }),
    rise: rule.rise.meta({
      description:
        "a backdoor neuron rises by this much with the trigger, in units of the layer's mean clean peak (--at place) or activation (--at average)",
    }),
    quiet: rule.quiet.meta({ description: '... and is at most this on clean images, in the same units' }),
    alone: z.boolean().default(false).meta({
      description: 'only those that are quiet on clean images over all of the layer, not only where the trigger is',
    }),
    weightsOnly: z.boolean().default(false).meta({ description: 'leave the biases as they are' }),
    tune: z
      .number()
      .positive()
      .default(0.05)
      .meta({ description: 'share or number of the training images that the attacker looks at his network with', placeholder: 'SHARE' }),
    ...chanceField,
    ...splitFields,
    ...outFields,
    ...runtimeFields,
    ...specFields,
  }),
  run: (context, o) =>
    inRunFolder(context, { command: 'attack strengthen', options: o }, async (work) => {
      refuseIdle(context, o);
      const spec = specOverrides(o);
      const attack = await readAttack(o);
      if (attack === undefined) {
        return fail({
          where: '--attack',
          what: 'missing',
          expected: 'the run folder of an attack, or --trigger and --label-map',
          exitCode: 2,
        });
      }
      const record = await inheritedRecord(o.attack, attack);
      const { model, restore } = await openClassifier(context, work, o.model, spec);
      const parts = await work.step('reading data', () => loadAttackerParts(o, { context, model }));
      work.inputs.data = parts.train.sha256;
      await checkClean(context, work, { model, data: parts.tune, spec }, !o.allowChance);
      const runtime = await work.runtime();
      const { point } = chooseLayer(model, await probe(runtime, model, { batch: 2 }), o.layer);
      const picked =
        o.channels === undefined
          ? await work.step('looking for backdoor neurons', async () => {
              const probes = triggered(parts.tune, attack);
              const { clean, triggered: bad } = await compareActivations(runtime, model, point, parts.tune, probes, { spec });
              const report = backdoorNeurons(clean, bad, { at: o.at, rise: o.rise, quiet: o.quiet }, point.rankBy);
              const why = describeRule(report.rule, report.unit);
              if (!o.alone) return { channels: report.backdoor, why };
              return { channels: report.exclusive, why: `${why} ${aloneText(report)}` };
            })
          : { channels: [...new Set(o.channels)], why: 'The channels that were named.' };
      if (picked.channels.length === 0) {
        const hint = `${o.alone ? 'without --alone, ' : ''}a lower --rise, a higher --quiet, another --layer, or --channels`;
        fail({ where: `attack: layer ${point.layer}`, what: 'no backdoor neurons', expected: 'at least one that the rule picks', hint });
      }
      const strong = strengthen(model, point, picked.channels, o.k, { bias: !o.weightsOnly });
      const data = parts.test ?? parts.validation;
      const [before, verdict] = await work.step('evaluating', async () => [
        await judge(runtime, model, data, { spec, attack }),
        await judge(runtime, strong, data, { spec, attack }),
      ]);
      const numbers = [...picked.channels].sort((a, b) => a - b);
      return {
        line: `${verdict.line}  ${numbers.length} of ${point.channels} channels of ${point.layer} times ${o.k}`,
        tables: [beforeAndAfter(before, verdict, data.role), verdict.table],
        shown: [beforeAndAfter(before, verdict, data.role)],
        notes: [`channels of ${point.layer} times ${o.k}: ${numbers.join(' ')}`, picked.why, ...manyText(numbers.length, point)],
        model: strong,
        restore,
        ...(record && { files: { [RECORD_FILE]: `${JSON.stringify(record, null, 2)}\n` } }),
        media: { title: 'Strengthened backdoor', triggers: [triggerPictures(parts.validation, attack)] },
        json: { layer: point.layer, channels: numbers, k: o.k },
      };
    }),
});

/** What --alone left. */
const aloneText = ({ backdoor, exclusive }: NeuronReport): string =>
  `Of the ${backdoor.length} that the rule picks, ${exclusive.length} are quiet on clean images over all of the layer.`;

/** Backdoor neurons are few; a rule that picks most of a layer has told nothing apart. */
function manyText(count: number, { channels, layer }: CutPoint): string[] {
  if (count <= channels / 2) return [];
  return [
    `Warning: ${count} of ${channels} channels are more than half of ${layer}: that makes the layer louder, clean images included, and not the backdoor. ` +
      'Fewer: a higher --rise, a lower --quiet, --alone, or --channels.',
  ];
}

/** Before anybody retrains it: what somebody sees who only tries the network. */
function beforeAndAfter(before: Verdict, after: Verdict, role: string): Table {
  const cells = [before, after].flatMap(({ clean, attack }, i): Cell[] => {
    const row = i === 0 ? 'as it was' : 'strengthened';
    const found = [
      rateCell(row, 'clean accuracy', [clean.accuracy]),
      attack && rateCell(row, 'attack success', [attack.success]),
      attack && rateCell(row, 'robust accuracy', [attack.robust]),
    ];
    return found.filter((cell) => cell !== undefined);
  });
  return { name: 'strengthened', unit: 'rate', cells, notes: [`On the ${role} images, with the layers behind as they were.`] };
}

/** Flags of the rule beside channels that are named. */
function refuseIdle({ given }: Pick<Context, 'given'>, o: { channels?: unknown }): void {
  if (o.channels === undefined) return;
  const idle = ['at', 'rise', 'quiet', 'alone', 'tune'].find((key) => given.has(key));
  if (idle === undefined) return;
  fail({ where: `--${kebab(idle)}`, what: 'has no effect beside --channels', hint: 'one of the two', exitCode: 2 });
}
