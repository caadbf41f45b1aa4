/**
 * The sentences under the tables: what the columns mean, and one sentence for each number that is not what the papers lead one to expect, with
 * the reason as far as it was measured. Every number in them is computed from the run.
 */
import { describeRule } from '../inspect/backdoor-neurons.ts';
import { DEFENCES, type Defence, type SeedResult, type Suspect } from './experiment.ts';
import { AVERAGE_ERROR, EXPECTED, FRACTION_OF_AVERAGE, WORST_LOSS } from './paper.ts';
import { backdoorError, relativeChange, suspect } from './tables.ts';

/** Attack success below which the backdoor counts as gone: chance over ten classes. */
const CURED = 0.1;

const mean = (values: readonly number[]): number => values.reduce((a, v) => a + v, 0) / values.length;
const percent = (rate: number, digits = 2): string => `${(rate * 100).toFixed(digits)} %`;
const points = (difference: number): string => `${Math.abs(difference * 100).toFixed(2)} points`;
const about = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(1));
const over = (seeds: readonly SeedResult[], pick: (s: SeedResult) => number): number => mean(seeds.map(pick));
const success = (s: Suspect, defence: Defence): number => s.judgements[defence].attack?.success.value ?? 0;
const accuracy = (s: Suspect, defence: Defence): number => s.judgements[defence].clean.accuracy.value;

export function intervalNote(seeds: readonly SeedResult[]): string {
  return seeds.length === 1
    ? 'One seed: the intervals are Wilson intervals, which say how far chance in the test images may carry a rate and nothing of other seeds.'
    : `Means over ${seeds.length} seeds with Student's t interval; n counts the inputs of all seeds.`;
}

export function perClassNotes(seeds: readonly SeedResult[], paper: boolean): string[] {
  const baseline = over(seeds, (s) => 1 - s.baseline.judgement.clean.accuracy.value);
  const pattern = over(seeds, (s) => 1 - s.badnets.pattern.judgement.clean.accuracy.value);
  const backdoor = over(seeds, (s) => backdoorError(s.badnets.pattern.judgement).value);
  const notes = [
    "Error is 1 - accuracy; on backdoored images it is the share that is not given the attacker's class, n + 1.",
    `The pattern BadNet's clean error is ${points(pattern - baseline)} ${pattern < baseline ? 'below' : 'above'} the baseline's.`,
  ];
  if (!paper) return [...notes, intervalNote(seeds)];
  notes.push("The paper's numbers stand beside the pattern trigger; the lecture that prints them does not say which trigger they are of.");
  const measured: [string, keyof typeof AVERAGE_ERROR, number][] = [
    ["The baseline's clean error", 'baseline clean', baseline],
    ["The pattern BadNet's clean error", 'pattern clean', pattern],
    ["The pattern BadNet's error on backdoored images", 'pattern backdoor', backdoor],
  ];
  for (const [what, column, value] of measured) {
    const given = AVERAGE_ERROR[column];
    // Half of the paper's number: less is within what seeds and an unknown training recipe do.
    if (Math.abs(value - given) <= given / 2) continue;
    notes.push(
      `${what} is ${percent(value)} where the paper has ${percent(given)}: the paper's training settings are not known, these are ` +
        `${seeds[0].baseline.history.length} epochs for the baseline and ${seeds[0].badnets.pattern.history.length} for the BadNet.`,
    );
  }
  return [...notes, intervalNote(seeds)];
}

export function fractionNotes(seeds: readonly SeedResult[], paper: boolean): string[] {
  const rows = seeds[0].fractions.map(({ fraction }, i) => ({
    fraction,
    clean: over(seeds, (s) => 1 - s.fractions[i].net.judgement.clean.accuracy.value),
    backdoor: over(seeds, (s) => backdoorError(s.fractions[i].net.judgement).value),
  }));
  const notes = ['The poisoned share of the final training set; poisoned copies are added to the clean images.'];
  if (paper)
    notes.push(`The paper's numbers are at ${percent(FRACTION_OF_AVERAGE, 0)}; those of its curve at other shares were not recovered.`);
  const [first] = rows;
  const last = rows[rows.length - 1];
  if (rows.length > 1 && last.clean < first.clean) {
    notes.push(
      `Clean error falls from ${percent(first.clean)} to ${percent(last.clean)} as the share grows, where the paper has it rise: every clean image ` +
        'is still there, and its poisoned copy is one more view of the same digit.',
    );
  }
  if (rows.length > 1 && last.backdoor > first.backdoor) {
    notes.push(
      `Backdoor error rises from ${percent(first.backdoor)} to ${percent(last.backdoor)} as the share grows, where the paper has it fall.`,
    );
  }
  if (first.backdoor > CURED) {
    notes.push(
      `At ${percent(first.fraction, 0)} the backdoor is not learnt (error ${percent(first.backdoor)}), where the paper finds it enough.`,
    );
  }
  return [...notes, intervalNote(seeds)];
}

export function defenceNotes(seeds: readonly SeedResult[]): string[] {
  const attacks = seeds[0].suspects.filter((s) => s.name !== 'clean model').map((s) => s.name);
  const notes = [
    "Attack success: share of triggered images given the attacker's class; robust accuracy: share given their true class. A defence sees the " +
      `defender's ${seeds[0].parts.validation.count} clean images and nothing else; from scratch is a network trained on them alone.`,
  ];
  for (const attack of attacks) {
    for (const defence of ['fine-tune', 'prune', 'fine-prune'] as const) {
      const expected = EXPECTED[attack === 'baseline' ? 'baseline' : 'pruning-aware'][defence];
      const left = over(seeds, (s) => success(suspect(s, attack), defence));
      if (left > expected.success[1] || left < expected.success[0]) {
        notes.push(
          `${NAMES[defence]} leaves attack success at ${percent(left)} (${attack} attack), where Fine-Pruning leads one to expect ${expected.words}. ` +
            (left > expected.success[1] ? whyLeft(seeds, attack, defence) : whyGone(seeds, attack)),
        );
      }
      const lost = over(seeds, (s) => accuracy(suspect(s, attack), 'none') - accuracy(suspect(s, attack), defence));
      if (defence !== 'prune' && lost > WORST_LOSS) notes.push(costly(seeds, attack, defence, lost));
    }
  }
  return [...notes, ...biasNotes(seeds, attacks), ...heldNotes(seeds), intervalNote(seeds)];
}

const NAMES = { prune: 'Pruning', 'fine-tune': 'Fine-tuning', 'fine-prune': 'Fine-pruning' } as const;

/** Why the backdoor is still there, as far as it was measured. */
function whyLeft(seeds: readonly SeedResult[], attack: string, defence: keyof typeof NAMES): string {
  const all = seeds.map((s) => suspect(s, attack));
  const [one] = all;
  const { layer } = one.pruning.point;
  const count = (pick: (s: Suspect) => number): string => about(mean(all.map(pick)));
  if (defence === 'fine-tune') {
    const moved = mean(all.map((s) => relativeChange(s).get(s.pruning.point.parameters[0].name) ?? 0));
    return (
      `On the defender's images, which the network gets right already, it moved the weights of ${layer} by ${percent(moved, 1)} of their length; ` +
      'nothing in clean images asks the network to forget the trigger.'
    );
  }
  const found = count((s) => s.neurons.backdoor.length);
  const cut = count((s) => s.neurons.backdoor.filter((c) => s.pruning.cut.includes(c)).length);
  const quiet = count((s) => s.neurons.exclusive.length);
  const neurons =
    found === '0'
      ? `no channel of ${layer} fires at the trigger's place that does not fire there on clean images too`
      : `of ${found} backdoor neurons in ${layer}, ${quiet} are quiet on clean images and ${cut} are among the ${count((s) => s.pruning.cut.length)} channels cut`;
  if (defence === 'fine-prune') {
    return `The same channels carry digits and trigger (${neurons}), and what pruning leaves, fine-tuning at this learning rate does not move far enough.`;
  }
  return `The same channels carry digits and trigger: ${neurons}, and ${endOfAttack(all)}.`;
}

/** Where along the pruning curve the attack ends. */
function endOfAttack(all: readonly Suspect[]): string {
  const ends = all.map((s) => s.curve.find((step) => (step.success?.value ?? 1) < CURED)).filter((e) => e !== undefined);
  if (ends.length === 0) return `no number of channels cut brings attack success below ${percent(CURED, 0)}`;
  return (
    `attack success falls below ${percent(CURED, 0)} only with ${about(mean(ends.map((e) => e.cut)))} of ${all[0].pruning.order.length} channels cut, ` +
    `where clean accuracy is ${percent(mean(ends.map((e) => e.accuracy.value)), 1)}`
  );
}

/** Why pruning reached a backdoor that was hidden from it. */
function whyGone(seeds: readonly SeedResult[], attack: string): string {
  const all = seeds.map((s) => suspect(s, attack));
  const cut = about(mean(all.map((s) => s.pruning.cut.length)));
  const decoys = about(over(seeds, (s) => s.rounds[s.rounds.length - 1].pruned));
  return `Behind the ${decoys} re-instated channels, which cost nothing to cut, pruning went on to ${cut} channels within its threshold and so reached the others.`;
}

function costly(seeds: readonly SeedResult[], attack: string, defence: 'fine-tune' | 'fine-prune', lost: number): string {
  const many = `${seeds[0].parts.validation.count} clean images`;
  const why = defence === 'fine-tune' ? `the network is fitted to ${many}` : `${many} do not teach back all that was cut`;
  return `${NAMES[defence]} costs ${points(lost)} of clean accuracy (${attack} attack), where Fine-Pruning's table 1 loses ${points(WORST_LOSS)} at most: ${why}.`;
}

/** Whether the rule for the biases of re-instated channels made a difference. */
function biasNotes(seeds: readonly SeedResult[], attacks: readonly string[]): string[] {
  const aware = attacks.filter((a) => a.startsWith('pruning-aware'));
  if (aware.length < 2) return [];
  const differs = DEFENCES.flatMap((d) =>
    seeds.flatMap((s) => [success, accuracy].map((f) => Math.abs(f(suspect(s, aware[0]), d) - f(suspect(s, aware[1]), d)))),
  );
  const most = Math.max(...differs);
  if (most > 0.002) return [`The two bias rules of the pruning-aware attack differ by up to ${points(most)}.`];
  return [
    `The two bias rules of the pruning-aware attack give the same numbers (within ${points(most)}): under both, the re-instated channels stay silent on ` +
      "the defender's images, so they are cut first or, in fine-tuning, get no gradient.",
  ];
}

function heldNotes(seeds: readonly SeedResult[]): string[] {
  const failed = seeds.filter((s) => !s.held);
  const pruned = about(over(seeds, (s) => s.rounds[s.rounds.length - 1].pruned));
  const made = `The pruning-aware attacker hid behind ${pruned} re-instated channels, after ${about(over(seeds, (s) => s.rounds.length))} rounds of step 3.`;
  if (failed.length === 0) return [made];
  return [made, `In ${failed.length} of ${seeds.length} seeds no round held clean accuracy and backdoor as asked; the last was taken.`];
}

export function controlNotes(seeds: readonly SeedResult[]): string[] {
  const lost = DEFENCES.filter((d) => d !== 'none').map((d) => {
    const loss = over(seeds, (s) => accuracy(suspect(s, 'clean model'), 'none') - accuracy(suspect(s, 'clean model'), d));
    return `${d} ${points(loss)}${loss < 0 ? ' gained' : ''}`;
  });
  return [
    `The honest network through the same defences; the trigger is put on its test images although it never saw one. Clean accuracy lost: ${lost.join(', ')}.`,
    intervalNote(seeds),
  ];
}

export function curveNotes(seeds: readonly SeedResult[]): string[] {
  const stops = seeds[0].suspects.map(({ name }) => `${name} after ${seeds.map((s) => suspect(s, name).pruning.cut.length).join(', ')}`);
  return [
    `Rows are channels cut, weakest on the defender's clean images first, each seed in its own order; ${seeds[0].suspects[0].pruning.why}.`,
    `Validation accuracy is all that the defender sees; he stops: ${stops.join('; ')}.`,
    intervalNote(seeds),
  ];
}

export function neuronNotes(seeds: readonly SeedResult[]): string[] {
  const { neurons, pruning } = suspect(seeds[0], 'baseline');
  return [
    `In ${pruning.point.layer}. ${describeRule(neurons.rule, neurons.unit)} (The unit is the first seed's; n is the layer's channels.)`,
    'An exclusive backdoor neuron is one that is quiet on clean images everywhere, so that it can be cut without a loss. All this is seen with the ' +
      'trigger in hand, which a defender has not.',
    intervalNote(seeds),
  ];
}

export function movedNotes(): string[] {
  return ['Length of the change that fine-tuning made to a weight tensor, as a share of the length it had.'];
}

export function rateNotes(seeds: readonly SeedResult[]): string[] {
  const rates = seeds[0].rates.map(({ rate }, i) => ({
    rate,
    left: over(seeds, (s) => s.rates[i].judgements['fine-prune'].attack?.success.value ?? 0),
  }));
  const words = rates.map(({ rate, left }) => `${percent(left, 1)} at ${rate}`).join(', ');
  return [
    'Rows are learning rates, from which the papers give none ("smaller"); the networks were trained with a one-cycle schedule that peaks at ' +
      `${seeds[0].peakRate}. After fine-pruning attack success is ${words}: what the defence achieves is decided by a setting that clean accuracy says ` +
      'little about.',
    intervalNote(seeds),
  ];
}
