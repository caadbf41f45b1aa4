/** The sentences under the tables of a case study; every number in them is computed from the run. */
import { describeRule } from '../../inspect/backdoor-neurons.ts';
import { suspect } from '../tables.ts';
import { about, attackOf, BOTH, cleanOf, over, overSome, percent, points, type Seeds } from './figures.ts';
import { AUTHORS, AWARE, BASELINE, CLEAN } from './run.ts';

export function intervalNote(seeds: Seeds): string {
  return seeds.length === 1
    ? 'One seed: the intervals are those of chance in the test inputs and say nothing of other seeds.'
    : `Means over ${seeds.length} seeds with Student's t interval; n counts the inputs of all seeds.`;
}

export function tableOneNotes(cases: readonly Seeds[], paper: boolean): string[] {
  const notes = cases.flatMap((seeds) => {
    const { study, parts, triggeredTest } = seeds[0];
    const measure =
      study.metric === 'drop'
        ? '1 - accuracy with the trigger / accuracy without'
        : "share of triggered inputs that are given the attacker's class, those that have it already left out";
    return [
      `${study.title}: ${parts.train.count} training images, ${parts.validation.count} of the defender, judged on ${parts.test.count} clean and ` +
        `${triggeredTest.count} triggered ones (${heldOutOf(seeds)}). Attack success is ${measure}.`,
    ];
  });
  if (paper)
    notes.push("The paper's numbers are of other data (see what stands in for what); they show what is to be expected, not a target.");
  return [...notes, ...cases.flatMap(roundNotes), ...controlNotes(cases), ...(paper ? [SETTINGS] : []), intervalNote(cases[0])];
}

/** True of all seeds: each may hold something else out. */
export const heldOutOf = (seeds: Seeds): string => [...new Set(seeds.map((s) => s.parts.heldOut))].join('; ');

/** How the scales of the cases came about. */
export const SETTINGS =
  'Epochs, rates, poisoned share and trigger were settled on seed 1 of each network, looking at clean accuracy and attack success on its test part; the ' +
  'other seeds were not looked at (for signs the test part is the same in all). The rate of fine-tuning was chosen by what it costs an honest network ' +
  "on the attacker's tuning images; its effect on attacks was known for some rates by then, and other rates are tried in the page of each network.";

function roundNotes(seeds: Seeds): string[] {
  const failed = seeds.filter((s) => !s.held).length;
  if (failed === 0) return [];
  return [
    `${seeds[0].study.title}: in ${failed} of ${seeds.length} seeds the pruned network of the pruning-aware attack could not hold clean accuracy and attack ` +
      "on the attacker's tuning data within the rounds allowed; the last round was kept.",
  ];
}

function controlNotes(cases: readonly Seeds[]): string[] {
  const [seeds] = cases;
  const controlled = seeds.filter((s) => s.controls !== undefined).length;
  return controlled > 0 && controlled < seeds.length
    ? [`The controls (honest networks defended, from scratch, re-learning, margins) are of the first ${controlled} seeds.`]
    : [];
}

export function defenceNotes(seeds: Seeds): string[] {
  const { parts, scale } = seeds[0];
  const notes = [
    `A defence sees the defender's ${parts.validation.count} clean images and nothing else; from scratch is a network trained on them alone. Pruning ` +
      `stops before validation accuracy falls by more than ${points(scale.prune.threshold, 0)}; fine-tuning takes ${scale.finetune.epochs} epochs at ` +
      `a rate of ${scale.finetune.learningRate}.`,
  ];
  for (const attack of BOTH) {
    const cut = over(seeds, (s) => suspect(s, attack).pruning.cut.length);
    const of = suspect(seeds[0], attack).pruning.order.length;
    notes.push(
      `${attack}: pruning stops after ${about(cut)} of ${of} channels of ${suspect(seeds[0], attack).pruning.point.layer} and leaves attack success at ` +
        `${percent(attackOf(seeds, attack, 'prune') ?? 0)}.`,
    );
  }
  notes.push(...roundNotes(seeds));
  return [...notes, intervalNote(seeds)];
}

export function heldOutNotes(seeds: Seeds, paper: boolean): string[] {
  const { parts, study, better } = seeds[0];
  const honest = over(seeds, (s) => s.clean.judgement.clean.accuracy.value);
  const notes = [`Judged on ${heldOutOf(seeds)}: ${parts.test.count} images of ${parts.train.classes.length} classes in each seed.`];
  if (paper) {
    const given = study.paper.baseline.none.clean;
    if (honest < given - 0.02) {
      const training = over(seeds, (s) => s.clean.history.at(-1)?.trainAccuracy ?? 0);
      const other = overSome(seeds, (s) => s.better?.judgement.clean.accuracy.value);
      const learnt =
        training >= 0.97
          ? `it has learnt its ${parts.train.count} training images (${percent(training)} right) and would need others like the new ones`
          : `it has learnt its ${parts.train.count} training images by ${percent(training)} only, which more epochs would change`;
      notes.push(
        `The honest network is right on ${percent(honest)} of them, where the paper's BadNet is on ${percent(given)} of its own: ${learnt}` +
          (other === undefined ? '.' : `. With the same images ${better?.network} reaches ${percent(other)}.`),
      );
    }
  }
  return [...notes, ...(paper ? [SETTINGS] : []), intervalNote(seeds)];
}

export function neuronNotes(seeds: Seeds): string[] {
  const baseline = suspect(seeds[0], BASELINE);
  const found = over(seeds, (s) => suspect(s, BASELINE).neurons.backdoor.length);
  const clean = over(seeds, (s) => suspect(s, CLEAN).neurons.backdoor.length);
  return [
    describeRule(baseline.neurons.rule, baseline.neurons.unit),
    `The rule finds ${about(found)} backdoor neurons in the BadNet and ${about(clean)} in the honest network, which has no backdoor: what the trigger ` +
      'stirs there is what the rule takes for one by mistake.',
  ];
}

export function movedNotes(seeds: Seeds): string[] {
  const notes = [
    'Length of the change as a share of the length before, over the weights that make the channels (in) and that read them (out). Fine-pruned is ' +
      'compared with pruned.',
  ];
  const chosen = overSome(seeds, (s) => suspect(s, BASELINE).moved?.tuned.chosen.into);
  const others = overSome(seeds, (s) => suspect(s, BASELINE).moved?.tuned.others.into);
  if (chosen === undefined) notes.push('No channel of the BadNet is a backdoor neuron by the rule, so there is nothing to compare.');
  else if (others !== undefined) {
    notes.push(
      `Fine-tuning moves the weights into the BadNet's backdoor neurons by ${percent(chosen)}, those into the others by ${percent(others)}: ` +
        (chosen < others / 2
          ? 'hardly at all, as the paper has it.'
          : 'as much as the others or nearly so; the paper expects that they hardly move.'),
    );
  }
  return [...notes, intervalNote(seeds)];
}

export function deadNotes(seeds: Seeds): string[] {
  const { threshold } = suspect(seeds[0], CLEAN).asleep;
  const wrong = seeds.filter((s) => suspect(s, CLEAN).asleep.beyond.length > 0).length;
  const flagged = (name: string): number => seeds.filter((s) => suspect(s, name).asleep.beyond.length > 0).length;
  const notes = [
    `A channel is flagged if its bias would have to rise by more than ${about(threshold)} times what its weights bring (root mean square) before the first ` +
      `clean image woke it. Honest networks flagged: ${wrong} of ${seeds.length}. Pruning-aware with biases of -1e20, as the authors released: ` +
      `${flagged(AUTHORS)} of ${seeds.length}; with the margin rule: ${flagged(AWARE)} of ${seeds.length}.`,
  ];
  const sweeps = seeds.flatMap((s) => s.controls?.margins ?? []);
  const caught = sweeps.flatMap((sweep) => sweep.smallestCaught ?? []);
  if (caught.length > 0) {
    const each = [...new Set(caught)].sort((x, y) => x - y).join(', ');
    notes.push(`The smallest margin of the sweep that is still caught: ${each} (${caught.length} of ${sweeps.length} seeds).`);
  } else if (sweeps.length > 0) notes.push(`No margin up to ${Math.max(...sweeps[0].margins.map((m) => m.margin ?? 0))} is caught.`);
  return notes;
}

/** `clean 97.1 %, attack success 99.0 %; after fine-pruning clean 96.8 %, attack success 3.1 %`. */
export function outcome(seeds: Seeds, name: string): string {
  const at = (defence: 'none' | 'fine-prune'): string | undefined => {
    const [clean, attack] = [cleanOf(seeds, name, defence), attackOf(seeds, name, defence)];
    return clean === undefined || attack === undefined ? undefined : `clean ${percent(clean)}, attack success ${percent(attack)}`;
  };
  const after = at('fine-prune');
  return `${at('none')}${after === undefined ? '' : `; after fine-pruning ${after}`}`;
}
