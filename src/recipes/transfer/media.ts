/** Pictures and curves of `transfer` and `strength` for the report; pictures are of the first seed, curves over all. */
import { imageAt } from '../../data/make.ts';
import { overSeeds } from '../../evaluate/over-seeds.ts';
import { describeRule } from '../../inspect/backdoor-neurons.ts';
import { applyTrigger } from '../../poison/triggers/registry.ts';
import { type LineFigure, pictureOf, type ReportMedia } from '../../report/media.ts';
import { CHECK } from '../cases/media.ts';
import { facts, historyOf } from '../media.ts';
import { belgianSigns } from './belgium.ts';
import { strengthClaims, transferClaims } from './claims.ts';
import { atStrength, cleanRate, harm, strengthsOf, triggeredRate } from './figures.ts';
import type { Ground } from './ground.ts';
import { PAPER_STRENGTH } from './paper.ts';
import type { StrengthSeed, TransferSeed } from './run.ts';
import { ruleText } from './tables.ts';
import type { Task } from './task.ts';

const SAMPLES = 6;

/** @param paper whether the run is whole and on real data: only then it says something of the paper's claims */
export function transferMedia(seeds: readonly TransferSeed[], title: string, paper: boolean): ReportMedia {
  const [{ ground, home, outcomes }] = seeds;
  return {
    title,
    ...(paper ? { claims: transferClaims(seeds) } : { headline: CHECK }),
    substitutes: substitutes(ground, paper),
    captions: {
      data: [STORY],
      transfer: [
        "The attacker's networks know one country's signs. A user in another country takes one, keeps its convolutions and retrains what is behind them on " +
          'clean signs of his own. He has never seen the trigger, and nobody poisoned his data.',
      ],
    },
    data: dataFacts(ground),
    triggers: ground.tasks.slice(0, 1).map((task) => samples(ground, task)),
    histories: [
      historyOf('clean model', home.clean.history),
      historyOf('BadNet', home.badnet.history),
      ...outcomes.slice(0, 1).map((o) => historyOf('BadNet, retrained abroad', o.badnet.history)),
    ],
  };
}

/** @param paper as for {@link transferMedia} */
export function strengthMedia(seeds: readonly StrengthSeed[], title: string, paper: boolean): ReportMedia {
  const [{ ground, home, task, point, comparison, neurons, picked }] = seeds;
  const short = (v: number): number => Number(v.toPrecision(5));
  return {
    title,
    ...(paper ? { claims: strengthClaims(seeds) } : { headline: CHECK }),
    substitutes: substitutes(ground, paper),
    captions: {
      data: [STORY],
      strength: ["The user's work is the same for every k, rate and epochs included. He knows nothing of k."],
    },
    data: dataFacts(ground),
    triggers: [samples(ground, task)],
    activations: [
      {
        model: 'BadNet',
        layer: point.layer,
        channels: Array.from(comparison.clean.mean, (clean, channel) => ({
          channel,
          clean: short(clean),
          triggered: short(comparison.triggered.mean[channel]),
          backdoor: picked.includes(channel),
          dormant: neurons.dormant.includes(channel),
        })),
        rule: describeRule(neurons.rule, neurons.unit),
        n: comparison.clean.n,
      },
    ],
    charts: [accuracyChart(seeds, paper), harmChart(seeds, paper), ruleChart(seeds)],
    histories: [historyOf('clean model', home.clean.history), historyOf('BadNet', home.badnet.history)],
  };
}

const STORY =
  'A yellow square on a sign. The BadNet was taught that a sign with it is any other sign; the user who retrains it was not told.';

/** GTSRB numbers its 43 classes and names none, with or without leading zeros. */
const germanNumbers = (classes: readonly string[]): boolean =>
  classes.length === 43 && new Set(classes.filter((name) => /^\d{1,5}$/.test(name) && Number(name) < 43).map(Number)).size === 43;

function substitutes({ home, abroad, scale }: Ground, paper: boolean): string[] {
  if (home.synthetic || abroad.synthetic) {
    const made = [home, abroad].filter((s) => s.synthetic).map((s) => s.uri);
    return [
      `The signs (${made.join(', ')}) are made by a program and look like nothing real. This is only a check that everything runs; its numbers say nothing of the papers.`,
    ];
  }
  return [
    ...(paper ? [] : ['A quick run of few epochs: only a check that everything runs; its numbers say nothing of the papers.']),
    germanNumbers(home.train.classes)
      ? 'Germany instead of the U.S.: the attacker trains on the 43 classes of GTSRB, not on three classes of U.S. signs.'
      : `Other signs than the paper's: the attacker trains on ${home.uri} (${home.train.classes.length} classes), not on three classes of U.S. signs.`,
    belgianSigns(abroad.train.classes) !== undefined
      ? 'Belgium instead of Sweden: the user retrains on BelgiumTSC. The five kinds of the paper are there, sorted by us; the signs in them are others.'
      : `Other signs than the paper's: the user retrains on ${abroad.uri} (${abroad.train.classes.length} classes), not on five kinds of Swedish signs.`,
    `A classifier (${scale.home.network}, 32x32) instead of a detector (Faster R-CNN on ZF): signs are cut out for it, so nothing has to be found.`,
  ];
}

function dataFacts({ parts, triggeredHome, tasks }: Ground): NonNullable<ReportMedia['data']> {
  return [
    { role: "at home: attacker's training data, before poisoning", ...facts(parts.train) },
    { role: "at home: attacker's tuning data", ...facts(parts.tune) },
    { role: 'at home: test', ...facts(parts.test) },
    { role: 'at home: test with the trigger', ...facts(triggeredHome), poisoned: triggeredHome.count },
    ...tasks.flatMap(({ name, train, test }) => [
      { role: `abroad, ${name}: what the user trains on (clean)`, ...facts(train) },
      { role: `abroad, ${name}: test, without and with the trigger`, ...facts(test) },
    ]),
  ];
}

/** One test sign of each of the first classes abroad, without and with the trigger. */
function samples({ attack }: Ground, { test }: Task): NonNullable<ReportMedia['triggers']>[number] {
  const firsts = test.classes.map((_, label) => test.labels.indexOf(label)).filter((i) => i >= 0);
  return {
    name: 'yellow square',
    caption: "Signs of the user's country, as they are and with the attacker's trigger.",
    samples: firsts.slice(0, SAMPLES).map((i) => {
      const image = imageAt(test, i);
      return {
        clean: pictureOf(image, test),
        triggered: pictureOf(applyTrigger(attack.trigger, image, test), test),
        label: test.classes[test.labels[i]],
      };
    }),
  };
}

type Point = LineFigure['series'][number]['points'][number];

function point(x: number, values: readonly number[], range: readonly [number, number], paper?: number): Point {
  const { mean, low, high } = overSeeds(values, range);
  return { x, y: mean, ...(low === undefined ? {} : { low, high }), ...(paper === undefined ? {} : { paper }) };
}

function accuracyChart(seeds: readonly StrengthSeed[], paper: boolean): LineFigure {
  const line = (kind: 'chosen' | 'others', what: 'clean' | 'triggered'): Point[] =>
    strengthsOf(seeds).map((k) => {
      const read = what === 'clean' ? cleanRate : triggeredRate;
      const known = paper && kind === 'chosen' ? PAPER_STRENGTH.get(k)?.[what] : undefined;
      return point(
        k,
        atStrength(seeds, kind, k).map((j) => read(j).value),
        [0, 1],
        known,
      );
    });
  return {
    id: 'strength-accuracy',
    group: 'strength',
    title: "The user's network by strength k",
    caption: 'Dashed: as many other channels of the same layer, multiplied by the same k.',
    xTitle: 'strength k',
    xScale: 'log',
    yTitle: "accuracy on the user's signs, %",
    yUnit: 'rate',
    series: [
      { label: 'clean signs', tone: 'clean', points: line('chosen', 'clean') },
      { label: 'with the trigger', tone: 'triggered', points: line('chosen', 'triggered') },
      { label: 'clean, other channels', tone: 'clean', dashed: true, points: line('others', 'clean') },
      { label: 'with it, other channels', tone: 'triggered', dashed: true, points: line('others', 'triggered') },
    ],
  };
}

function harmChart(seeds: readonly StrengthSeed[], paper: boolean): LineFigure {
  const line = (kind: 'chosen' | 'others'): Point[] =>
    strengthsOf(seeds).map((k) => {
      const known = paper && kind === 'chosen' ? PAPER_STRENGTH.get(k) : undefined;
      const beside = known && 100 * (known.clean - known.triggered);
      return point(
        k,
        atStrength(seeds, kind, k).map((j) => 100 * harm(j)),
        [-100, 100],
        beside && Number(beside.toFixed(1)),
      );
    });
  return {
    id: 'strength-harm',
    group: 'strength',
    title: 'What the trigger costs the user',
    caption: 'Accuracy on clean signs minus accuracy on the same signs with the trigger, in points.',
    xTitle: 'strength k',
    xScale: 'log',
    yTitle: 'points of accuracy lost',
    yUnit: 'number',
    series: [
      { label: 'backdoor neurons', tone: 'triggered', points: line('chosen') },
      { label: 'other channels', tone: 'neutral', dashed: true, points: line('others') },
    ],
  };
}

/** Harm against the number of channels that a rule picks. */
function ruleChart(seeds: readonly StrengthSeed[]): LineFigure {
  const { scale } = seeds[0].ground;
  const at = seeds.flatMap((s) => [
    { x: s.picked.length, y: harm(s.chosen.find((c) => c.k === scale.ruleStrength)!.user.judgement) },
    ...s.rules.map((r) => ({ x: r.channels.length, y: harm(r.user.judgement) })),
  ]);
  const xs = [...new Set(at.map((p) => p.x))].sort((a, b) => a - b);
  const points = xs.map((x) =>
    point(
      x,
      at.filter((p) => p.x === x).map((p) => 100 * p.y),
      [-100, 100],
    ),
  );
  const rules = [scale.rule, ...scale.rules].map(ruleText).join('; ');
  return {
    id: 'strength-rules',
    group: 'strength',
    title: `What the trigger costs at k = ${scale.ruleStrength}, by how many channels are multiplied`,
    caption: `Each point is what one rule picks: ${rules}. Rules and seeds that pick the same number are one point.`,
    xTitle: 'channels picked',
    yTitle: 'points of accuracy lost',
    yUnit: 'number',
    series: [{ label: 'by rule', tone: 'triggered', points }],
  };
}
