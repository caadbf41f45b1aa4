/**
 * What the lecture and the papers say, and whether it holds on the data at hand. Each verdict follows a stated rule from numbers of the run; the
 * limits in the rules are ours, and no defence sees any of it.
 */
import type { Claim, ClaimVerdict } from '../report/media.ts';
import { about, attackOf, BOTH, cleanOf, mean, over, percent, points, type Seeds } from './cases/figures.ts';
import { AUTHORS, AWARE, BASELINE, CLEAN } from './cases/run.ts';
import { suspect } from './tables.ts';

/** Attack success from which on a backdoor works, does so by halves, and up to which it counts as gone. */
const WORKS = 0.9;
const WEAK = 0.5;
const GONE = 0.1;
/** The largest attack success that Fine-Pruning's Table 1 leaves: traffic signs, pruning-aware. */
const PAPER_LEFT = 0.366;
/** Points of accuracy that count as none, and as few. */
const NONE = 0.01;
const FEW = 0.03;
/** What a defender allows himself on validation images, and a point for the difference between those and the test images. */
const ALLOWED = 0.05;
/** What the lecture calls the cost of fine-pruning; from attack to cure, Table 1 has 0.2 points at most. */
const PAPER_COST = 0.004;

interface Finding {
  readonly verdict: ClaimVerdict;
  /** `success 98.1 %`. */
  readonly says: string;
}

interface Statement {
  readonly claim: string;
  readonly source: string;
  /** Ours, not the papers': a control. */
  readonly own?: true;
  /** Undefined where the run has no numbers for it. */
  readonly test: (seeds: Seeds) => Finding | undefined;
}

const graded = (holds: boolean, part: boolean, says: string): Finding => ({
  verdict: holds ? 'holds' : part ? 'holds in part' : 'does not hold',
  says,
});

/** A defence proves nothing against a backdoor that does not work. */
const noBackdoor = (before: number): Finding => ({
  verdict: 'not tested',
  says: `the attack had failed before (success ${percent(before)})`,
});

const fallen = (before: number, after: number): string =>
  before - after > 0.0005 ? `${points(before - after)} lost` : after - before > 0.0005 ? `${points(after - before)} gained` : 'none lost';

const STATEMENTS: readonly Statement[] = [
  {
    claim: 'A BadNet is as accurate on clean inputs as an honest network.',
    source: 'BadNets; Fine-Pruning, Table 1',
    test(seeds) {
      const honest = over(seeds, (s) => s.clean.judgement.clean.accuracy.value);
      const bad = over(seeds, (s) => s.badnet.judgement.clean.accuracy.value);
      return graded(bad >= honest - NONE, bad >= honest - FEW, `${percent(bad)} beside ${percent(honest)}`);
    },
  },
  {
    claim: 'The trigger makes it do what the attacker wants.',
    source: 'BadNets; Fine-Pruning, Table 1',
    test(seeds) {
      const success = attackOf(seeds, BASELINE, 'none') ?? 0;
      return graded(success >= WORKS, success >= WEAK, `success ${percent(success)}`);
    },
  },
  {
    claim: 'Some neurons fire for the trigger and for nothing else.',
    source: 'BadNets; Fine-Pruning',
    test(seeds) {
      const count = (name: string, which: 'backdoor' | 'exclusive'): number => over(seeds, (s) => suspect(s, name).neurons[which].length);
      const [backdoor, exclusive] = [count(BASELINE, 'backdoor'), count(BASELINE, 'exclusive')];
      const [stirred, honest] = [count(CLEAN, 'backdoor'), count(CLEAN, 'exclusive')];
      const of = suspect(seeds[0], BASELINE).pruning.order.length;
      return graded(
        exclusive >= 1 && exclusive > honest,
        backdoor >= 1 && backdoor > stirred,
        `${about(backdoor)} of ${of} rise with it, ${about(exclusive)} of them quiet otherwise (honest network: ${about(stirred)} and ${about(honest)})`,
      );
    },
  },
  {
    claim: 'Cutting dormant neurons runs through three phases: nothing, then the backdoor, then clean accuracy.',
    source: 'Fine-Pruning',
    test(seeds) {
      const before = attackOf(seeds, BASELINE, 'none') ?? 0;
      if (before < WEAK) return noBackdoor(before);
      const names = seeds.map((s) => new Set(suspect(s, BASELINE).phases.map((p) => p.name)));
      const all = names.filter((n) => n.has('used by neither') && n.has('used by the backdoor')).length;
      const some = names.filter((n) => n.has('used by the backdoor')).length;
      return graded(all === seeds.length, some > 0, `the backdoor has a phase of its own in ${some} of ${seeds.length} runs`);
    },
  },
  {
    claim: 'Pruning removes the baseline backdoor before clean accuracy suffers.',
    source: 'Fine-Pruning',
    test(seeds) {
      const before = attackOf(seeds, BASELINE, 'none') ?? 0;
      if (before < WEAK) return noBackdoor(before);
      const left = attackOf(seeds, BASELINE, 'prune') ?? 0;
      const [start, end] = [cleanOf(seeds, BASELINE, 'none') ?? 0, cleanOf(seeds, BASELINE, 'prune') ?? 0];
      const spared = start - end <= ALLOWED;
      const says = `success ${percent(before)} to ${percent(left)}, clean accuracy ${percent(start)} to ${percent(end)}`;
      return graded(left <= GONE && spared, left <= before / 2, says);
    },
  },
  {
    claim: 'The pruning-aware attack survives pruning.',
    source: 'Fine-Pruning',
    test(seeds) {
      const before = attackOf(seeds, AWARE, 'none') ?? 0;
      if (before < WEAK) return noBackdoor(before);
      const left = attackOf(seeds, AWARE, 'prune') ?? 0;
      return graded(left >= 0.8 * before, left > GONE, `success ${percent(before)} to ${percent(left)}`);
    },
  },
  {
    claim: 'Fine-tuning alone does not remove the baseline backdoor.',
    source: 'the lecture; in Table 1 so for speech and signs, not for faces',
    test(seeds) {
      const before = attackOf(seeds, BASELINE, 'none') ?? 0;
      const left = attackOf(seeds, BASELINE, 'fine-tune');
      if (left === undefined) return undefined;
      if (before < WEAK) return noBackdoor(before);
      return graded(left > PAPER_LEFT, left > GONE, `success ${percent(before)} to ${percent(left)}`);
    },
  },
  {
    claim: 'Where it does not, fine-tuning hardly moves the weights of the backdoor neurons.',
    source: 'Fine-Pruning',
    test(seeds) {
      const left = attackOf(seeds, BASELINE, 'fine-tune');
      if (left === undefined) return undefined;
      if (left <= GONE) return { verdict: 'not tested', says: 'fine-tuning removes the backdoor' };
      const moves = seeds.flatMap((s) => {
        const { chosen, others } = suspect(s, BASELINE).moved?.tuned ?? {};
        return chosen?.into === undefined || others?.into === undefined ? [] : [{ chosen: chosen.into, others: others.into }];
      });
      if (moves.length === 0) return { verdict: 'not tested', says: 'no neuron is a backdoor neuron by the rule' };
      const [chosen, others] = [mean(moves.map((m) => m.chosen)), mean(moves.map((m) => m.others))];
      return graded(chosen < others / 2, chosen < others, `moved by ${percent(chosen)}, the other neurons by ${percent(others)}`);
    },
  },
  {
    claim: 'Fine-pruning removes the backdoor, of both attacks.',
    source: 'Fine-Pruning, Table 1 (which leaves up to 36.6 % for signs)',
    test(seeds) {
      const worked = BOTH.filter((attack) => (attackOf(seeds, attack, 'none') ?? 0) >= WEAK);
      const left = worked.flatMap((attack) => attackOf(seeds, attack, 'fine-prune') ?? []);
      if (attackOf(seeds, BASELINE, 'fine-prune') === undefined) return undefined;
      if (left.length === 0) return noBackdoor(attackOf(seeds, BASELINE, 'none') ?? 0);
      const worst = Math.max(...left);
      const words = worked.map((attack, i) => `${percent(left[i])} of the ${attack} attack`);
      const without = worked.length < BOTH.length ? ` (the ${BOTH.find((b) => !worked.includes(b))} attack had failed before)` : '';
      return graded(worst <= GONE, worst <= PAPER_LEFT, `success ${words.join(' and ')} is left${without}`);
    },
  },
  {
    claim: 'It costs hardly any clean accuracy.',
    source: 'Fine-Pruning, Table 1 (the lecture: 0.4 points)',
    test(seeds) {
      const costs = BOTH.flatMap((attack) => {
        const [before, after] = [cleanOf(seeds, attack, 'none'), cleanOf(seeds, attack, 'fine-prune')];
        return before === undefined || after === undefined ? [] : [{ attack, before, after }];
      });
      if (costs.length < BOTH.length) return undefined;
      const worst = Math.max(...costs.map(({ before, after }) => before - after));
      const says = costs.map(({ attack, before, after }) => `${fallen(before, after)} (${attack})`).join(', ');
      return graded(worst <= PAPER_COST, worst <= FEW, says);
    },
  },
  {
    claim: 'An honest network loses little by being fine-pruned.',
    source: 'our control',
    own: true,
    test(seeds) {
      const those = seeds.filter((s) => suspect(s, CLEAN).defended !== undefined);
      const [before, after] = [cleanOf(those, CLEAN, 'none'), cleanOf(those, CLEAN, 'fine-prune')];
      if (before === undefined || after === undefined) return undefined;
      const few = those.length < seeds.length ? ` (${those.length} of the ${seeds.length} seeds)` : '';
      return graded(after >= before - NONE, after >= before - FEW, `${percent(before)} to ${percent(after)}${few}`);
    },
  },
  {
    claim: "A pruning-aware network with the authors' biases of -1e20 gives itself away: one sees it by looking.",
    source: 'our dead-channel check, on networks of ours made with their rule',
    own: true,
    test(seeds) {
      const caught = seeds.filter((s) => suspect(s, AUTHORS).asleep.beyond.length > 0).length;
      const wrong = seeds.filter((s) => suspect(s, CLEAN).asleep.beyond.length > 0).length;
      const says = `flagged in ${caught} of ${seeds.length} runs, honest networks in ${wrong}`;
      return graded(caught === seeds.length && wrong === 0, caught > wrong, says);
    },
  },
];

/** A verdict for each statement that the run has numbers for; for several networks the verdict of each stands beside. */
export function claimsOf(cases: readonly Seeds[]): Claim[] {
  return STATEMENTS.flatMap(({ claim, source, own, test }) => {
    const found = cases.flatMap((seeds) => {
      const finding = test(seeds);
      return finding === undefined ? [] : [{ name: seeds[0].study.name, finding }];
    });
    if (found.length === 0) return [];
    const [first] = found;
    const single = cases.length === 1;
    return [
      {
        claim,
        source,
        ...(own && { own }),
        verdict: together(found.map((f) => f.finding.verdict)),
        says: single
          ? `${sentence(first.finding.says)}.`
          : `${found.map(({ name, finding }) => `${sentence(name)}: ${finding.says}`).join('. ')}.`,
        ...(single ? {} : { parts: found.map(({ name, finding }) => ({ name, verdict: finding.verdict })) }),
      },
    ];
  });
}

/** Networks on which a statement was not tested have no say in it. */
function together(verdicts: readonly ClaimVerdict[]): ClaimVerdict {
  const tested = new Set(verdicts.filter((v) => v !== 'not tested'));
  if (tested.size === 0) return 'not tested';
  return tested.size === 1 ? [...tested][0] : 'holds in part';
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
