/** Pictures and extra data of the report, all from the first seed. */

import { imageAt } from '../data/make.ts';
import type { CurveStep } from '../evaluate/judge.ts';
import type { Comparison } from '../inspect/activations.ts';
import { describeRule } from '../inspect/backdoor-neurons.ts';
import { dedicatedFilters, firstFilters } from '../inspect/filters.ts';
import { pictureOf, type ReportMedia, shortFloats } from '../report/media.ts';
import type { EpochRecord } from '../train/checkpoint.ts';
import type { SeedResult, Suspect, TrainedNet, TriggerName } from './experiment.ts';
import { relearnChart } from './relearning.ts';

const SAMPLES = 6;
const MAPS = 12;

export function mediaOf(seed: SeedResult, title: string): ReportMedia {
  const nets: [string, TriggerName, TrainedNet][] = [['pattern BadNet', 'pattern', seed.badnets.pattern]];
  if (seed.badnets.pixel) nets.push(['pixel BadNet', 'pixel', seed.badnets.pixel]);
  const baseline = named(seed, 'baseline');
  const clean = named(seed, 'clean model');
  return {
    title,
    captions: { neurons: [neuronCaption(baseline)], pruning: [pruningCaption(baseline)] },
    data: dataFacts(seed),
    triggers: nets.map(([, name, net]) => triggerPictures(seed, name, net)),
    filters: [filters('clean model', seed.baseline), ...nets.map(([model, , net]) => filters(model, net))],
    // The two bias rules of the pruning-aware attack look the same here.
    activations: seed.suspects.filter((s) => s.name !== 'pruning-aware (paper)').map((s) => activationsOf(s, modelName(s))),
    maps: [clean, baseline].flatMap((s) => mapsOf(s, modelName(s), baseline)),
    stops: seed.suspects.map(stopOf),
    charts: [relearnChart([seed.relearnt], 'pattern', 'Pattern trigger')],
    histories: [{ model: 'clean model', net: seed.baseline }, ...nets.map(([model, , net]) => ({ model, net }))].map(({ model, net }) =>
      historyOf(model, net.history),
    ),
  };
}

function dataFacts(seed: SeedResult): ReportMedia['data'] {
  const { train, validation, tune } = seed.parts;
  return [
    { role: "attacker's training data, before poisoning", ...facts(train) },
    { role: "attacker's tuning data", ...facts(tune) },
    { role: "defender's validation data (clean)", ...facts(validation) },
    { role: 'test', ...facts(seed.test) },
    { role: 'test with the pattern', ...facts(seed.triggeredTest.pattern), poisoned: seed.triggeredTest.pattern.count },
  ];
}

/** What the pictures of a suspect are drawn from, in any recipe. */
export type Drawn = Pick<Suspect, 'name' | 'comparison' | 'neurons' | 'pruning'>;

/** Mean activations of the layer that is pruned, channel by channel. */
export function activationsOf(s: Drawn, model: string): NonNullable<ReportMedia['activations']>[number] {
  return {
    model,
    layer: s.pruning.point.layer,
    channels: Array.from(s.comparison.clean.mean, (value, channel) => ({
      channel,
      clean: short(value),
      triggered: short(s.comparison.triggered.mean[channel]),
      backdoor: s.neurons.backdoor.includes(channel),
      dormant: s.neurons.dormant.includes(channel),
    })),
    rule: describeRule(s.neurons.rule, s.neurons.unit),
    n: s.comparison.clean.n,
  };
}

export function stopOf(s: Drawn): NonNullable<ReportMedia['stops']>[number] {
  return {
    attack: s.name,
    cut: s.pruning.cut.length,
    of: s.pruning.order.length,
    layer: s.pruning.point.layer,
    threshold: s.pruning.threshold,
    backdoorCut: s.neurons.backdoor.filter((c) => s.pruning.cut.includes(c)).length,
    backdoorTotal: s.neurons.backdoor.length,
  };
}

export function historyOf(model: string, history: readonly EpochRecord[]): NonNullable<ReportMedia['histories']>[number] {
  return {
    model,
    points: history.map((e) => ({ epoch: e.epoch, values: { loss: short(e.loss), 'training accuracy': short(e.trainAccuracy) } })),
  };
}

export function facts(data: { source: string; count: number; sha256: string }): { source: string; count: number; sha256: string } {
  return { source: data.source, count: data.count, sha256: data.sha256 };
}

/** The first test image of each of the first classes. */
function triggerPictures(seed: SeedResult, name: TriggerName, net: TrainedNet): NonNullable<ReportMedia['triggers']>[number] {
  const { test } = seed;
  const bad = seed.triggeredTest[name];
  const label = (c: number): string => test.classes[c] ?? 'any other';
  // With an all-to-all map every test image is triggered, in the same order.
  const places = test.classes.slice(0, SAMPLES).flatMap((_, c) => {
    const at = test.labels.indexOf(c);
    return at < 0 ? [] : [at];
  });
  return {
    name,
    samples: places.map((i) => ({
      clean: pictureOf(imageAt(test, i), test),
      triggered: pictureOf(imageAt(bad, i), bad),
      label: label(test.labels[i]),
      target: label(bad.targets[i]),
      cleanPrediction: label(net.predicted.clean[i]),
      triggeredPrediction: label(net.predicted.attacked[i]),
    })),
  };
}

function filters(model: string, net: TrainedNet): NonNullable<ReportMedia['filters']>[number] {
  const { layer, count, height, width, weights } = firstFilters(net.model);
  const dedicated = model === 'clean model' ? [] : dedicatedFilters(net.firstLayer.clean, net.firstLayer.triggered);
  return { model, layer, count, height, width, weights: shortFloats(weights, 4), dedicated };
}

/** Mean maps of the channels that rise most in the backdoored network `by`, the same channels for all. */
export function mapsOf(s: Drawn, model: string, by: Drawn): NonNullable<ReportMedia['maps']> {
  const { clean, triggered }: Comparison = s.comparison;
  const { rise } = by.neurons;
  if (clean.map === undefined || triggered.map === undefined || clean.map.dims.length !== 3) return [];
  const [, height, width] = clean.map.dims;
  const channels = [...rise.keys()].sort((a, b) => rise[b] - rise[a] || a - b).slice(0, MAPS);
  const pick = (map: Float64Array): number[] =>
    channels.flatMap((c) => shortFloats(map.subarray(c * height * width, (c + 1) * height * width), 4));
  return [
    {
      model,
      layer: s.pruning.point.layer,
      height,
      width,
      channels,
      clean: pick(clean.map.mean),
      triggered: pick(triggered.map.mean),
      backdoor: s.name === 'clean model' ? [] : channels.filter((c) => s.neurons.backdoor.includes(c)),
      n: clean.n,
      caption: 'The channels that rise most with the trigger in the BadNet.',
    },
  ];
}

/** Whether pruning by clean activation can reach the backdoor neurons at all. */
export function neuronCaption(s: Drawn): string {
  const { backdoor, exclusive } = s.neurons;
  const { layer } = s.pruning.point;
  if (backdoor.length === 0)
    return `In this BadNet no channel of ${layer} fires with the trigger alone: the channels that see it see clean images too.`;
  const places = [...backdoor].map((c) => s.pruning.order.indexOf(c) + 1).sort((a, b) => a - b);
  return (
    `In this BadNet ${exclusive.length === 0 ? 'none' : exclusive.length} of the ${backdoor.length} backdoor neurons of ${layer} ` +
    `${exclusive.length === 1 ? 'is' : 'are'} silent on clean images; ` +
    `${exclusive.length === backdoor.length ? 'pruning can reach them' : 'the others fire elsewhere on clean images, and pruning ranks them by that'}: ` +
    `in the order of cutting they stand at ${places.join(', ')} of ${s.pruning.order.length}.`
  );
}

export function pruningCaption(
  s: Pick<Suspect, 'pruning' | 'curve'>,
  rate = (step: CurveStep): number | undefined => step.success?.value,
): string {
  const { cut, order, threshold } = s.pruning;
  const at = s.curve[cut.length];
  const rest = rate(at);
  const success = rest === undefined ? '' : `, with attack success at ${(rest * 100).toFixed(1)} %`;
  return (
    `Against the BadNet the defender stops after ${cut.length} of ${order.length} channels, the last step that keeps validation accuracy within ` +
    `${(threshold * 100).toFixed(0)} points${success}.`
  );
}

const modelName = (s: Suspect): string =>
  s.name === 'baseline' ? 'pattern BadNet' : s.name === 'clean model' ? s.name : `${s.name} BadNet`;
const named = (seed: SeedResult, name: string): Suspect => seed.suspects.find((s) => s.name === name) as Suspect;
const short = (value: number): number => Number(value.toPrecision(5));
