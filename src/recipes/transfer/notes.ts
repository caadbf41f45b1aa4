/** The sentences under the tables of `transfer` and `strength`; every number in them is computed from the run. */
import { describeRule } from '../../inspect/backdoor-neurons.ts';
import { about, mean, percent, points } from '../cases/figures.ts';
import {
  atStrength,
  cleanRate,
  comparable,
  costs,
  harm,
  judgementOf,
  lost,
  over,
  picking,
  strengthsOf,
  tested,
  triggeredRate,
} from './figures.ts';
import { PAPER_BY_CLASS, PAPER_STRENGTH } from './paper.ts';
import type { StrengthSeed, TransferSeed } from './run.ts';
import { SEEN_SEED } from './scale.ts';

export function intervalNote(seeds: readonly unknown[]): string {
  return seeds.length === 1
    ? 'One seed: n counts images, of which several show one sign; the intervals take each for a sign of its own, so they are too narrow, and say nothing of other seeds.'
    : `Means over ${seeds.length} seeds with Student's t interval; n counts the images of all seeds, of which several show one sign.`;
}

export function transferNotes(seeds: readonly TransferSeed[], task: number, known: boolean): string[] {
  const [{ ground, outcomes }] = seeds;
  const { task: its } = outcomes[task];
  const { user } = ground.scale;
  const at = (net: 'clean model' | 'BadNet' | 'from scratch', read: typeof harm): number =>
    over(seeds, (s) => read(judgementOf(s, task, net)));
  const clean = (net: 'clean model' | 'BadNet' | 'from scratch'): number => at(net, (j) => cleanRate(j).value);
  const notes = [
    `The user's signs: ${its.says}; ${its.train.count} images to train on, ${its.test.count} to test on, ${whole(its.train.groups?.by)}. He keeps the ` +
      `convolutions, puts a new last layer on and trains the fully connected layers for ${user.epochs} epochs at a rate of ${user.learningRate}; he knows ` +
      'of no trigger.',
    `The trigger ${costs(at('BadNet', harm))} of accuracy in the retrained BadNet, in the retrained clean network it ${costs(at('clean model', harm))}` +
      `${known ? ` (the paper: ${points(paperHarm('BadNet'))} and ${points(paperHarm('clean model'))})` : ''}. Without the trigger the BadNet's ` +
      `heir is right on ${percent(clean('BadNet'))} of the signs and the clean network's on ${percent(clean('clean model'))}.`,
    `A network of first weights, trained on the user's signs alone (${ground.scale.scratchEpochs} epochs, batches of ${ground.scale.home.batchSize}, a rate of ${ground.scale.home.learningRate}), reaches ${percent(clean('from scratch'))}: ` +
      `${clean('from scratch') < clean('clean model') ? "that is what the user takes a stranger's network for." : "here the stranger's network gives the user nothing."}`,
  ];
  if (known) {
    notes.push(
      'The paper classified with a detector (Faster R-CNN), from U.S. signs in three classes to Swedish ones; its accuracies are lower because a sign has ' +
        'to be found before it is named. Beside each other stand kinds of signs of the same name, not the same signs.',
    );
  }
  return [
    ...notes,
    ...rateNotes(
      seeds.flatMap((s) => [s.outcomes[task].clean, s.outcomes[task].badnet].map((u) => u.rate)),
      user.learningRate,
    ),
    intervalNote(seeds),
  ];
}

const paperHarm = (net: 'clean model' | 'BadNet'): number => PAPER_BY_CLASS.average[net].clean - PAPER_BY_CLASS.average[net].triggered;

const whole = (by: string | undefined): string =>
  by === undefined ? 'parted image by image' : `parted by ${by} so that no sign is on both sides`;

/** Whether he had to train more slowly than his settings say. */
function rateNotes(rates: readonly number[], asked: number): string[] {
  const slower = rates.filter((r) => r < asked);
  if (slower.length === 0) return [];
  return [
    `${slower.length} of ${rates.length} of the user's trainings diverged at a rate of ${asked}; he went on with a tenth of it until they did not, the ` +
      `lowest ${Math.min(...slower).toPrecision(1)}.`,
  ];
}

export function homeNotes(seeds: readonly Pick<TransferSeed, 'home' | 'ground'>[]): string[] {
  const bad = over(seeds, (s) => harm(s.home.badnet.judgement));
  const clean = over(seeds, (s) => harm(s.home.clean.judgement));
  const { parts } = seeds[0].ground;
  return [
    `The attacker's networks on ${parts.test.count} signs of his own country (${parts.heldOut}): the trigger ${costs(bad)} of accuracy in the BadNet and ` +
      `${costs(clean)} in the clean network. What is not learnt here cannot be carried abroad.`,
  ];
}

/** Activity of the picked channels on the user's signs, in units of the layer's mean activation on his clean ones. */
export function heard({ abroad, picked }: StrengthSeed): { clean: number; triggered: number } {
  const level = (values: Float64Array, channels: readonly number[]): number => mean(channels.map((c) => values[c]));
  const unit = level(abroad.clean.mean, [...abroad.clean.mean.keys()]);
  const scaled = (values: Float64Array): number => (unit > 0 && picked.length > 0 ? level(values, picked) / unit : 0);
  return { clean: scaled(abroad.clean.mean), triggered: scaled(abroad.triggered.mean) };
}

export function strengthNotes(all: readonly StrengthSeed[], paper: boolean): string[] {
  // A seed in which nothing is picked says nothing of strength.
  const seeds = picking(all);
  const [{ ground, neurons, point }] = seeds;
  const ks = strengthsOf(seeds);
  const last = ks[ks.length - 1];
  const at = (kind: 'chosen' | 'others', k: number, read: typeof harm): number => mean(atStrength(seeds, kind, k).map(read));
  const worst = ks.reduce((a, k) => (at('chosen', k, harm) > at('chosen', a, harm) ? k : a), ks[0]);
  const clean = (k: number): number => at('chosen', k, (j) => cleanRate(j).value);
  const fair = comparable(all);
  const besides = (kind: 'chosen' | 'others'): string => lost(mean(atStrength(fair, kind, last).map(harm)));
  const picked = over(seeds, (s) => s.picked.length);
  const busy = seeds.filter((s) => s.neurons.exclusive.length === 0 && s.picked.length > 0).length;
  const notes = [
    `Input weights and bias of the backdoor neurons of ${point.layer} (${about(picked)} of ${point.channels} channels) times k; then the user does as ` +
      `always. ${describeRule(neurons.rule, neurons.unit)} (The unit is seed ${ground.seed}'s.)${ground.scale.rule.alone ? ' Of these, the ones that are quiet on clean signs over all of the layer.' : ''}`,
    ...(ground.scale.rule.alone && busy > 0
      ? [
          `In ${busy} of ${seeds.length} seeds no channel is quiet everywhere else; there all are taken that are quiet where the trigger is.`,
        ]
      : []),
    `The trigger ${costs(at('chosen', ks[0], harm))} at k = ${ks[0]} and most at k = ${worst}: ${lost(at('chosen', worst, harm))}. Without the ` +
      `trigger the user has ${percent(clean(ks[0]))} at k = ${ks[0]} and ${percent(clean(last))} at k = ${last}.`,
    ...(fair.length === 0
      ? []
      : [
          `Multiplied by the same k, as many other channels let the trigger cost ${besides('others')} at k = ${last}, where the backdoor neurons give ${besides('chosen')}.`,
        ]),
  ];
  notes.push(...pickedNotes(all));
  if (picked > 0) notes.push(...whyNotes(seeds, worst));
  if (paper) {
    notes.push(...settledNotes(all));
    const [first, end] = [PAPER_STRENGTH.get(1)!, PAPER_STRENGTH.get(100)!];
    notes.push(
      `The paper's harm goes from ${points(first.clean - first.triggered)} at k = 1 to ${points(end.clean - end.triggered)} at k = 100, and its clean ` +
        `accuracy falls by ${points(first.clean - end.clean)}. The abstract's 25 % (72.7 % to below 49 %) is the early version's, with k = 10; the lecture's 13 points ` +
        'are those of k = 1.',
    );
  }
  const rates = seeds.flatMap((s) => [...s.chosen, ...s.others].map((c) => c.user.rate));
  return [...notes, ...rateNotes(rates, ground.scale.user.learningRate), intervalNote(seeds)];
}

/** How the settings were chosen, and what the seeds say that had no part in it. */
export function settledNotes(seeds: readonly StrengthSeed[]): string[] {
  const { learningRate } = seeds[0].ground.scale.user;
  const others = seeds.filter((s) => s.ground.seed !== SEEN_SEED);
  const seen =
    `Seed ${SEEN_SEED} was looked at (an interim BadNet, and the harm that its trigger does) when the rule for backdoor neurons and the user's rate of ` +
    `${learningRate} were chosen; the other seeds were not.`;
  if (others.length === 0) return [`${seen} This run has no other.`];
  if (others.length === seeds.length) return [`${seen} It is not in this run.`];
  if (tested(others).length === 0) return [`${seen} In the others the rule picks nothing.`];
  const ks = strengthsOf(seeds);
  const at = (k: number): string => `${lost(mean(atStrength(others, 'chosen', k).map(harm)))} at k = ${k}`;
  return [`${seen} Without seed ${SEEN_SEED} the harm is ${ks.map(at).join(', ')}.`];
}

/** What was picked in each seed, and in how many there is something to compare. */
export function pickedNotes(seeds: readonly StrengthSeed[]): string[] {
  const [some, fair] = [tested(seeds).length, comparable(seeds).length];
  const list = (of: (s: StrengthSeed) => readonly number[]): string => seeds.map((s) => of(s).length).join(', ');
  const notes = [
    `Of ${seeds[0].point.channels} channels the rule picks ${list((s) => s.picked)} (by seed); beside them ${list((s) => s.otherChannels)} others were drawn.`,
  ];
  if (some < seeds.length) {
    notes.push(
      some === 0
        ? 'Nothing was strengthened: every k is the same network.'
        : `Means over the ${some} of ${seeds.length} seeds in which it picks any.`,
    );
  }
  if (fair < some) {
    notes.push(
      `In ${some - fair} of ${some} seeds fewer others are left than were picked: ${fair === 0 ? 'that is no fair comparison' : 'those stand not beside them'}.`,
    );
  }
  return notes;
}

/** Why harm grows with k, or does not: what there was to gain, whom the channels listen to, whether the user learnt anything at all. */
function whyNotes(seeds: readonly StrengthSeed[], worst: number): string[] {
  const ks = strengthsOf(seeds);
  const [first, last] = [ks[0], ks[ks.length - 1]];
  const at = (k: number, read: typeof harm): number => mean(atStrength(seeds, 'chosen', k).map(read));
  const athome = over(seeds, (s) => harm(s.home.badnet.judgement));
  const loud = { clean: over(seeds, (s) => heard(s).clean), triggered: over(seeds, (s) => heard(s).triggered) };
  const notes = [
    `At home the trigger ${costs(athome)}, abroad ${lost(at(first, harm))} at k = 1 already` +
      `${athome > 0 && at(first, harm) >= 0.5 * athome ? ', which leaves k little to add' : ''}.`,
    `On the user's clean signs the picked channels fire at ${loud.clean.toFixed(2)} of the layer's mean activation, with the trigger at ` +
      `${loud.triggered.toFixed(2)}.`,
  ];
  if (worst !== last) {
    const learnt = mean(seeds.map((s) => s.chosen[s.chosen.length - 1].user.history.at(-1)?.trainAccuracy ?? Number.NaN));
    if (!Number.isNaN(learnt)) {
      const before = mean(seeds.map((s) => s.chosen[0].user.history.at(-1)?.trainAccuracy ?? Number.NaN));
      notes.push(
        `Beyond k = ${worst} the harm does not grow: at k = ${last} the user's network gets ${percent(learnt)} of its own training signs right (k = 1: ` +
          `${percent(before)})${learnt < before - 0.05 ? '; with features that large, steps of his rate no longer learn, and a network that is wrong anyway has less to lose' : ''}.`,
      );
    }
  }
  return notes;
}

export function otherRateNotes(seeds: readonly StrengthSeed[], rate: number, usual: number): string[] {
  const ks = strengthsOf(seeds);
  const last = ks[ks.length - 1];
  const at = (kind: 'chosen' | 'otherUser', k: number): string => percent(mean(atStrength(seeds, kind, k).map((j) => cleanRate(j).value)));
  return [
    `The same networks in the hands of a user who trains at a rate of ${rate} instead of ${usual}. At k = ${last} his clean accuracy is ${at('otherUser', last)} ` +
      `(${at('otherUser', ks[0])} at k = ${ks[0]}); at ${usual} it is ${at('chosen', last)} (${at('chosen', ks[0])}). k times larger features want steps k squared times ` +
      'smaller, and he does not know.',
    ...rateNotes(
      seeds.flatMap((s) => s.otherUser.map((c) => c.user.rate)),
      rate,
    ),
  ];
}

export function ruleNotes(seeds: readonly StrengthSeed[]): string[] {
  const { parts } = seeds[0].ground;
  return [
    `BadNets compares mean activations by eye and gives neither thresholds nor a count. Here a channel is picked if, on the attacker's own ${parts.tune.count} images, ` +
      "its mean rises by at least `rise` with the trigger and is at most `quiet` without; place: where its mean map rises most, in units of the layer's mean " +
      "clean peak; average: over all of space, in units of the layer's mean clean activation.",
    `Of ${seeds[0].point.channels} channels; the same trained network, so only the rule differs.`,
  ];
}

/** The line that is printed first. */
export function transferLine(seeds: readonly TransferSeed[]): string {
  const last = seeds[0].outcomes.length - 1;
  const says = (task: number): string => {
    const of = (net: 'clean model' | 'BadNet', read: (j: ReturnType<typeof judgementOf>) => number): string =>
      percent(over(seeds, (s) => read(judgementOf(s, task, net))));
    const both = (net: 'clean model' | 'BadNet'): string =>
      `${of(net, (j) => cleanRate(j).value)} clean, ${of(net, (j) => triggeredRate(j).value)} triggered`;
    return `BadNet ${both('BadNet')}; clean network ${both('clean model')}`;
  };
  return `retrained abroad: ${says(0)}${last > 0 ? `  (five kinds: ${says(last)})` : ''}`;
}

export function strengthLine(seeds: readonly StrengthSeed[]): string {
  const ks = strengthsOf(seeds);
  const at = (k: number): string => `k = ${k} ${lost(mean(atStrength(seeds, 'chosen', k).map(harm)))}`;
  return `accuracy that the trigger costs the user: ${ks.map(at).join(', ')}`;
}
