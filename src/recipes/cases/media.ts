/** Pictures and curves of case studies for the report; pictures are of the first seed, curves over all. */

import { imageAt } from '../../data/make.ts';
import type { CurveStep } from '../../evaluate/judge.ts';
import { describePhaseRule } from '../../inspect/phases.ts';
import { bindLabelMap, eligibleImages } from '../../poison/label-maps.ts';
import { type LineFigure, pictureOf, type ReportMedia } from '../../report/media.ts';
import { claimsOf } from '../claims.ts';
import { activationsOf, facts, historyOf, mapsOf, neuronCaption, pruningCaption, stopOf } from '../media.ts';
import { point, relearnChart } from '../relearning.ts';
import { suspect } from '../tables.ts';
import { stepRate } from './case.ts';
import type { Seeds } from './figures.ts';
import { AUTHORS, AWARE, BASELINE, type CaseSeed, CLEAN } from './run.ts';

const SAMPLES = 6;
/** In the place of a headline, where data or epochs are not those of a result. */
export const CHECK =
  'A check that everything runs, on generated data or with few epochs. What came out says nothing of the papers, so no claim is judged by it.';

/** Everything about one case study; `real` where the data are, and the run is whole. */
export function caseMedia(seeds: Seeds, title: string, real: boolean): ReportMedia {
  const [seed] = seeds;
  const baseline = suspect(seed, BASELINE);
  const clean = suspect(seed, CLEAN);
  const name: Readonly<Record<string, string>> = { [BASELINE]: 'BadNet', [AWARE]: 'pruning-aware BadNet', [CLEAN]: 'clean model' };
  return {
    title,
    ...(real ? { claims: claimsOf([seeds]) } : { headline: CHECK }),
    substitutes: substitutesOf(seeds),
    captions: {
      data: [seed.study.story],
      neurons: [neuronCaption(baseline)],
      pruning: [pruningCaption(baseline, (step) => stepRate(seed.study, step).value)],
    },
    data: dataFacts(seed),
    triggers: [samples(seed)],
    activations: seed.suspects.filter((s) => s.name !== AUTHORS).map((s) => activationsOf(s, name[s.name])),
    maps: [clean, baseline].flatMap((s) => mapsOf(s, name[s.name], baseline)),
    stops: seed.suspects.map(stopOf),
    phases: seed.suspects
      .filter((s) => s.phases.length > 0 && s.name !== CLEAN)
      .map((s) => ({ attack: s.name, phases: [...s.phases], rule: describePhaseRule() })),
    histories: [historyOf('clean model', seed.clean.history), historyOf('BadNet', seed.badnet.history)],
    charts: [...relearnCharts(seeds), ...marginCharts(seeds)],
  };
}

export function substitutesOf(seeds: Seeds): string[] {
  const { source, study, parts } = seeds[0];
  if (!source.synthetic)
    return [...study.substitutes(source, parts), ...(study.networkSubstitute === undefined ? [] : [study.networkSubstitute])];
  return [
    `${study.title}: the data (${source.uri}) are made by a program and look like nothing real. The run shows that everything works; its numbers say nothing of the papers.`,
  ];
}

export function dataFacts(seed: CaseSeed): NonNullable<ReportMedia['data']> {
  const { parts, triggeredTest, study } = seed;
  return [
    { role: `${study.name}: attacker's training data, before poisoning`, ...facts(parts.train) },
    { role: `${study.name}: attacker's tuning data`, ...facts(parts.tune) },
    { role: `${study.name}: defender's validation data (clean)`, ...facts(parts.validation) },
    { role: `${study.name}: test`, ...facts(parts.test) },
    { role: `${study.name}: test with the trigger`, ...facts(triggeredTest), poisoned: triggeredTest.count },
  ];
}

/** One triggered test image of each of the first classes that have one. */
export function samples(seed: CaseSeed): NonNullable<ReportMedia['triggers']>[number] {
  const { parts, triggeredTest, badnet, study, scale } = seed;
  const { test } = parts;
  const { labelMap } = study.attack(parts, scale, seed.seed);
  // the triggered images are those that the label map lets take part, in order
  const places = eligibleImages(test.labels, bindLabelMap(labelMap, test.classes));
  const label = (c: number): string => test.classes[c] ?? 'any other';
  const seen = new Set<number>();
  const chosen = [...places.keys()].filter((i) => {
    const fresh = !seen.has(test.labels[places[i]]) && seen.size < SAMPLES;
    if (fresh) seen.add(test.labels[places[i]]);
    return fresh;
  });
  return {
    name: study.name,
    caption: study.story,
    samples: chosen.map((i) => ({
      clean: pictureOf(imageAt(test, places[i]), test),
      triggered: pictureOf(imageAt(triggeredTest, i), triggeredTest),
      label: label(test.labels[places[i]]),
      target: label(triggeredTest.targets[i]),
      cleanPrediction: label(badnet.predicted.clean[places[i]]),
      triggeredPrediction: label(badnet.predicted.attacked[i]),
    })),
  };
}

/** How soon the backdoor is back. */
export function relearnCharts(seeds: Seeds): LineFigure[] {
  const { study } = seeds[0];
  const curves = seeds.flatMap((s) => (s.controls ? [s.controls.relearnt] : []));
  return curves.length === 0 ? [] : [relearnChart(curves, study.name, study.title)];
}

/** How low the biases may be before the dead-channel check sees it. */
export function marginCharts(seeds: Seeds): LineFigure[] {
  const { study, controls } = seeds[0];
  if (controls === undefined) return [];
  const at = (margin: number): number[] =>
    seeds.flatMap((s) => s.controls?.margins.margins.find((m) => m.margin === margin)?.largest ?? []);
  const tried = controls.margins.margins.flatMap(({ margin }) => (margin !== undefined && margin > 0 ? [margin] : []));
  const caught = controls.margins.smallestCaught;
  const { threshold } = controls.margins;
  return [
    {
      id: `margin-${study.name}`,
      group: 'dead-channel check',
      title: `${study.title}: how far re-instated channels are from waking`,
      caption:
        caught === undefined
          ? 'No margin of the sweep is caught in the first seed.'
          : `The smallest margin that is caught in the first seed: ${caught}.`,
      xTitle: 'margin that the biases are lowered by',
      xScale: 'log',
      yTitle: 'bias to wake it, in units of what its weights bring',
      yUnit: 'number',
      series: [
        {
          label: 'largest gap of a channel',
          tone: 'triggered',
          points: tried.map((margin) => point(margin, at(margin), [0, Number.POSITIVE_INFINITY])),
        },
      ],
      references: [{ y: threshold, label: 'flagged above', tone: 'neutral' }],
    },
  ];
}

/** Clean accuracy and attack success against the share of channels cut, for each attack. */
export function pruningCharts(seeds: Seeds): LineFigure[] {
  const [seed] = seeds;
  const { study } = seed;
  return [BASELINE, AWARE].map((name) => {
    const first = suspect(seed, name);
    const of = first.pruning.order.length;
    const at = (cut: number, read: (step: CurveStep) => number): number[] =>
      seeds.flatMap((s) => {
        const step = suspect(s, name).curve[cut];
        return step === undefined ? [] : [read(step)];
      });
    const steps = first.curve.map((c) => c.cut);
    const stop = first.pruning.cut.length;
    return {
      id: `pruning-${study.name}-${name.replace(/[^a-z]/g, '')}`,
      group: 'pruning curve',
      title: `${study.title}, ${name} attack`,
      caption: `Layer ${first.pruning.point.layer}, ${of} channels. ${describePhaseRule()}${seeds.length > 1 ? ' Stop and phases are those of the first seed.' : ''}`,
      xTitle: 'share of channels cut, %',
      xUnit: 'rate' as const,
      yTitle: 'rate, %',
      yUnit: 'rate' as const,
      series: [
        {
          label: 'clean accuracy',
          tone: 'clean' as const,
          points: steps.map((cut) =>
            point(
              cut / of,
              at(cut, (step) => step.accuracy.value),
              [0, 1],
            ),
          ),
        },
        {
          label: 'attack success',
          tone: 'triggered' as const,
          points: steps.map((cut) =>
            point(
              cut / of,
              at(cut, (step) => stepRate(study, step).value),
              [0, 1],
            ),
          ),
        },
      ],
      stops: [{ x: stop / of, label: `stop: ${Math.round((100 * stop) / of)} %` }],
      bands: first.phases.map(({ name: label, from, to }) => ({ from: from / of, to: to / of, label })),
    };
  });
}
