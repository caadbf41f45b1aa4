/** `secateur inspect`: layers, what their channels do, which of them carry a backdoor, first-layer filters as a picture. */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { encodePng } from '../data/png.ts';
import type { Cell, Table } from '../evaluate/result.ts';
import { compareActivations, layerStatistics } from '../inspect/activations.ts';
import { asleep } from '../inspect/asleep.ts';
import { sleepSentence } from '../inspect/asleep-words.ts';
import { backdoorNeurons, describeRule, NeuronRule } from '../inspect/backdoor-neurons.ts';
import { type Filters, firstFilters } from '../inspect/filters.ts';
import { chooseLayer, describeLayers, type LayerLine } from '../inspect/layers.ts';
import { triggered } from '../poison/poison.ts';
import type { FilterPictures } from '../report/media.ts';
import { shortFloats } from '../report/media.ts';
import { probe } from '../runtime/probe.ts';
import { checkClean } from './clean-check.node.ts';
import { defineCommand } from './command.node.ts';
import { openNetwork } from './foreign.node.ts';
import { columns, oneLine, thinned } from './output.node.ts';
import {
  dataField,
  loadTest,
  loadValidation,
  modelField,
  outFields,
  runtimeFields,
  specFields,
  specOverrides,
  splitFields,
  trustedFields,
} from './shared.node.ts';
import { attackField, readAttack, triggerFields } from './trigger.node.ts';
import { inRunFolder } from './work.node.ts';

const rule = NeuronRule.shape;

export const inspect = defineCommand({
  name: 'inspect',
  description:
    "Without --data: the layers and the filters. With --data: mean and maximum of every channel of one layer on the defender's clean images, and the dormant ones. With a trigger too: the same on triggered test images, and the backdoor neurons, by a rule that is printed with them.",
  examples: [
    ['secateur inspect model.onnx --layers', 'which layers there are, and which one is pruned by default'],
    ['secateur inspect runs/badnet/model.onnx --data mnist/ --attack runs/badnet', 'its backdoor neurons'],
  ],
  options: z.object({
    ...modelField,
    layers: z.boolean().default(false).meta({ description: 'only the list of layers that can be cut, and which one is taken by default' }),
    data: dataField.data.optional(),
    layer: z
      .string()
      .optional()
      .meta({ description: "layer to look at; default: the last convolutional block's output, see --layers", placeholder: 'NAME' }),
    ...attackField,
    ...triggerFields,
    rise: rule.rise.meta({
      description:
        "a backdoor neuron rises by this much with the trigger, where its mean map rises most, in units of the layer's mean clean peak",
    }),
    quiet: rule.quiet.meta({ description: '... and is at most this there on clean images' }),
    dormant: rule.dormant.meta({ description: 'a dormant neuron is below this on clean images' }),
    ...splitFields,
    ...outFields,
    ...runtimeFields,
    ...trustedFields,
    ...specFields,
  }),
  run: (context, o) =>
    inRunFolder(context, { command: 'inspect', options: o }, async (work) => {
      const attack = await readAttack(o);
      if (attack && o.data === undefined) fail({ where: '--data', what: 'missing', expected: 'images to put the trigger on', exitCode: 2 });
      if (o.layers) refuseWithLayers(o);
      const { model } = await openNetwork(context, work, o.model, specOverrides(o));
      const types = await work.step('finding layers', async () => probe(await work.runtime(), model, { batch: 2 }));
      const layers = describeLayers(model, types);
      if (o.layers) {
        const cuttable = layers.filter((l) => l.notCuttable === undefined).length;
        const chosen = layers.find((l) => l.isDefault);
        const line = `${cuttable} layers can be cut${chosen === undefined ? '' : `, default ${chosen.layer}`}`;
        return { line, tables: [], shown: [layersText(layers)], json: { layers } };
      }
      const filters = filtersOf(model);
      const { point } = chooseLayer(model, types, o.layer);
      const media = { title: 'Inspection', ...(filters && { filters: [filterPictures(filters)] }) };
      const files = filters && { 'filters.png': filterSheet(filters) };
      const layerText = layersText(layers);
      const line = `${layers.filter((l) => l.notCuttable === undefined).length} layers, ${point.layer} has ${point.channels} channels`;
      if (o.data === undefined) return { line, tables: [], shown: [layerText], media, files, json: { layers } };

      const data = o.data;
      const spec = specOverrides(o);
      const { data: images, notes } = attack
        ? await loadTest({ ...o, data }, { context, model })
        : { data: await loadValidation({ ...o, data }, { context, model }), notes: [] };
      work.inputs[images.role] = images.sha256;
      await checkClean(context, work, { model, data: images, spec }, false);
      const withTrigger = attack && images.role === 'test' ? triggered(images, attack) : undefined;
      const { clean, bad } = await work.step('activations', async () => {
        if (!withTrigger) return { clean: await layerStatistics(await work.runtime(), model, point, images, { spec }), bad: undefined };
        const both = await compareActivations(await work.runtime(), model, point, images, withTrigger, { spec });
        return { clean: both.clean, bad: both.triggered };
      });
      const sleep = await work.step('dead channels', async () => asleep(await work.runtime(), model, images, { spec }));
      const { rise, quiet, dormant } = o;
      const report = backdoorNeurons(clean, bad ?? clean, { rise, quiet, dormant }, point.rankBy);
      const backdoor = bad ? report.backdoor : [];
      const words = bad
        ? describeRule(report.rule, report.unit)
        : `A dormant neuron: mean below ${dormant} on clean inputs, in units of the layer's mean clean activation (${report.unit.toPrecision(3)}).`;
      const cells = Array.from({ length: clean.channels }, (_, c): Cell[] => {
        const cell = (column: string, value: number): Cell => ({ row: String(c), column, value, n: images.count });
        const means = [cell('clean mean', clean[point.rankBy][c]), cell('clean maximum', clean.max[c])];
        return bad ? [...means, cell('triggered mean', bad[point.rankBy][c]), cell('triggered maximum', bad.max[c])] : means;
      }).flat();
      const table: Table = { name: `activations of ${point.layer}`, unit: 'activation', cells, notes: [words] };
      const listed = (name: string, channels: readonly number[]): string =>
        `${name} (${channels.length}): ${channels.length === 0 ? 'none' : channels.join(' ')}`;
      const sleeping: Table = {
        name: 'dead-channel check',
        unit: 'count',
        cells: sleep.layers.flatMap(({ layer, channels: all }): Cell[] => {
          const count = (...states: string[]): number => all.filter((c) => states.includes(c.state)).length;
          return [
            { row: layer, column: 'channels', value: all.length },
            { row: layer, column: 'silent', value: count('asleep', 'beyond') },
            { row: layer, column: 'silenced by their bias', value: count('beyond') },
          ];
        }),
        notes: [sleepSentence(sleep, 'clean images')],
      };
      const lists = [
        ...(bad ? [listed('backdoor neurons, strongest first', backdoor)] : []),
        listed('dormant, weakest first', report.dormant),
        listed('dead', report.dead),
      ];
      const channels = Array.from({ length: clean.channels }, (_, c) => ({
        channel: c,
        clean: clean[point.rankBy][c],
        triggered: (bad ?? clean)[point.rankBy][c],
        backdoor: backdoor.includes(c),
        dormant: report.dormant.includes(c),
      }));
      return {
        line: `${point.layer}: ${bad ? `${backdoor.length} backdoor neurons, ` : ''}${report.dormant.length} dormant of ${point.channels} channels${silenced(sleep.beyond.length)}`,
        tables: [{ ...table, notes: [words, ...notes] }, sleeping],
        shown: [layerText, thinned(table), sleeping],
        notes: [...lists, ...notes],
        files,
        media: bad ? { ...media, activations: [{ model: 'model', layer: point.layer, channels, rule: words, n: images.count }] } : media,
        json: { layers, layer: point.layer, backdoor: bad && backdoor, dormant: report.dormant, dead: report.dead, asleep: sleep, notes },
      };
    }),
});

const silenced = (count: number): string => (count === 0 ? '' : `, ${count} silenced by their bias`);

/** Flags that ask for more than the list. */
function refuseWithLayers(o: { data?: unknown; attack?: unknown; layer?: unknown }): void {
  const given = (['data', 'attack', 'layer'] as const).find((name) => o[name] !== undefined);
  if (given === undefined) return;
  fail({ where: '--layers', what: `gives the list only, not with --${given}`, hint: 'one of the two', exitCode: 2 });
}

function layersText(layers: readonly LayerLine[]): string {
  const lines = layers.map((l) =>
    l.notCuttable === undefined
      ? [l.isDefault ? '*' : ' ', l.layer, l.opType, `${l.channels} channels`, l.shape, l.byWeights ? 'weights' : 'Mul', l.follows]
      : [' ', l.layer, l.opType, '', '', '', `not cut: ${l.notCuttable}`],
  );
  if (lines.length === 0) return 'layers: none, there is no Conv, Gemm or MatMul with weights in it';
  const table = columns(lines).map((line) => `  ${line}`);
  const chosen = layers.find((l) => l.isDefault);
  const legend = [
    'weights: a channel is cut by zeros in what is stored; Mul: by a product with 0 and 1 that is put behind it.',
    chosen === undefined ? 'No channel of this network can be cut.' : `* pruned by default: ${chosen.why}.`,
    ...(chosen === undefined || chosen.byWeights ? [] : [`  It is cut by a Mul, as ${chosen.whyMul}.`]),
  ];
  return ['layers', ...table, ...legend.map((line) => oneLine(line))].join('\n');
}

/** undefined for a network without convolutions. */
function filtersOf(model: Parameters<typeof firstFilters>[0]): Filters | undefined {
  const some = model.graph.nodes.some((n) => n.opType === 'Conv' && model.graph.initializers.get(n.inputs[1])?.dims.length === 4);
  return some ? firstFilters(model) : undefined;
}

const filterPictures = ({ layer, count, height, width, weights }: Filters): FilterPictures => ({
  ...{ model: 'model', layer, count, height, width, dedicated: [] },
  weights: shortFloats(weights),
});

/** Grey: middle grey is 0, white and black are the largest weight of all, up or down. */
function filterSheet({ count, height, width, weights }: Filters): Uint8Array {
  const [zoom, gap, columns] = [8, 4, 8];
  const rows = Math.ceil(count / columns);
  const [stepX, stepY] = [width * zoom + gap, height * zoom + gap];
  const [sheetWidth, sheetHeight] = [Math.min(count, columns) * stepX + gap, rows * stepY + gap];
  const pixels = new Uint8Array(sheetWidth * sheetHeight).fill(255);
  const largest = weights.reduce((a, v) => Math.max(a, Math.abs(v)), 0) || 1;
  for (let f = 0; f < count; f++) {
    const [left, top] = [gap + (f % columns) * stepX, gap + Math.floor(f / columns) * stepY];
    for (let y = 0; y < height * zoom; y++) {
      for (let x = 0; x < width * zoom; x++) {
        const weight = weights[(f * height + Math.floor(y / zoom)) * width + Math.floor(x / zoom)];
        pixels[(top + y) * sheetWidth + left + x] = Math.round(127.5 + (127.5 * weight) / largest);
      }
    }
  }
  return encodePng(pixels, sheetWidth, sheetHeight, 1);
}
