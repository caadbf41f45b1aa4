/**
 * What the lecture and the papers say, and whether it holds on the data at hand. Each verdict follows a stated rule from numbers of the run; the
 * limits in the rules are ours, chosen before the runs, and no defence sees any of it.
 */
import type { Claim, ClaimVerdict } from '../report/media.ts';
import { about, attackOf, BOTH, cleanOf, over, overSome, percent, points, type Seeds } from './cases/figures.ts';
import { AUTHORS, AWARE, BASELINE, CLEAN } from './cases/run.ts';
import { suspect } from './tables.ts';

/** Attack success from which on a backdoor works, and up to which it counts as gone. */
const WORKS = 0.9;
const WEAK = 0.5;
const GONE = 0.1;
/** The largest attack success that Fine-Pruning's Table 1 leaves: traffic signs, pruning-aware. */
const PAPER_LEFT = 0.366;
/** Points of accuracy that count as none, and as few. */
const NONE = 0.01;
const FEW = 0.03;
/** The most that the paper's fine-pruning costs: speech, .990 to .986. */
const PAPER_COST = 0.004;

interface Finding {
  readonly verdict: ClaimVerdict;
  /** `success 98.1 %`. */
  readonly says: string;
}

interface Statement {
  readonly claim: string;
  readonly source: string;
  /** Undefined where the run has no numbers for it. */
  readonly test: (seeds: Seeds) => Finding | undefined;
}

const graded = (value: number, holds: boolean, part: boolean, says: string): Finding => ({
  verdict: Number.isNaN(value) ? 'not tested' : holds ? 'holds' : part ? 'holds in part' : 'does not hold',
  says,
});

const STATEMENTS: readonly Statement[] = [
  {
    claim: 'A BadNet is as accurate on clean inputs as an honest network.',
    source: 'BadNets, sections 4 and 5; Fine-Pruning, Table 1',
    test(seeds) {
      const honest = over(seeds, (s) => s.clean.judgement.clean.accuracy.value);
      const bad = over(seeds, (s) => s.badnet.judgement.clean.accuracy.value);
      return graded(bad, bad >= honest - NONE, bad >= honest - FEW, `${percent(bad)} beside ${percent(honest)}`);
    },
  },
  {
    claim: 'The trigger makes it do what the attacker wants.',
    source: 'BadNets; Fine-Pruning, Table 1',
    test(seeds) {
      const success = attackOf(seeds, BASELINE, 'none') ?? Number.NaN;
      return graded(success, success >= WORKS, success >= WEAK, `success ${percent(success)}`);
    },
  },
  {
    claim: 'Some neurons fire for the trigger and for nothing else.',
    source: 'BadNets, sections 4.2 and 5.3; Fine-Pruning, section 3',
    test(seeds) {
      const backdoor = over(seeds, (s) => suspect(s, BASELINE).neurons.backdoor.length);
      const exclusive = over(seeds, (s) => suspect(s, BASELINE).neurons.exclusive.length);
      const honest = over(seeds, (s) => suspect(s, CLEAN).neurons.exclusive.length);
      const of = suspect(seeds[0], BASELINE).pruning.order.length;
      const more = exclusive >= 1 && exclusive > honest;
      return graded(
        backdoor,
        more,
        backdoor >= 1,
        `${about(backdoor)} of ${of} rise with it, ${about(exclusive)} of them silent otherwise (honest network: ${about(honest)})`,
      );
    },
  },
  {
    claim: 'Cutting dormant neurons runs through three phases: nothing, then the backdoor, then clean accuracy.',
    source: 'Fine-Pruning, section 4.1',
    test(seeds) {
      const names = seeds.map((s) => new Set(suspect(s, BASELINE).phases.map((p) => p.name)));
      const all = names.filter((n) => n.has('used by neither') && n.has('used by the backdoor')).length;
      const some = names.filter((n) => n.has('used by the backdoor')).length;
      return graded(all, all === seeds.length, some > 0, `the backdoor has a phase of its own in ${some} of ${seeds.length} runs`);
    },
  },
  {
    claim: 'Pruning removes the baseline backdoor before clean accuracy suffers.',
    source: 'Fine-Pruning, section 4.1',
    test(seeds) {
      const before = attackOf(seeds, BASELINE, 'none') ?? Number.NaN;
      const left = attackOf(seeds, BASELINE, 'prune') ?? Number.NaN;
      return graded(left, left <= GONE, left <= before / 2, `success ${percent(before)} to ${percent(left)}`);
    },
  },
  {
    claim: 'The pruning-aware attack survives pruning.',
    source: 'Fine-Pruning, section 4.2',
    test(seeds) {
      const before = attackOf(seeds, AWARE, 'none') ?? Number.NaN;
      const left = attackOf(seeds, AWARE, 'prune') ?? Number.NaN;
      return graded(left, before >= WEAK && left >= 0.8 * before, left > GONE, `success ${percent(before)} to ${percent(left)}`);
    },
  },
  {
    claim: 'Fine-tuning alone does not remove the baseline backdoor.',
    source: 'the lecture; in Table 1 so for speech and signs, not for faces',
    test(seeds) {
      const left = attackOf(seeds, BASELINE, 'fine-tune');
      return left === undefined ? undefined : graded(left, left > PAPER_LEFT, left > GONE, `success ${percent(left)} is left`);
    },
  },
  {
    claim: 'That is because fine-tuning hardly moves the weights of the backdoor neurons.',
    source: 'Fine-Pruning, section 4.3',
    test(seeds) {
      const chosen = overSome(seeds, (s) => suspect(s, BASELINE).moved?.tuned.chosen.into);
      const others = overSome(seeds, (s) => suspect(s, BASELINE).moved?.tuned.others.into);
      if (chosen === undefined || others === undefined) return undefined;
      return graded(chosen, chosen < others / 2, chosen < others, `moved by ${percent(chosen)}, the other neurons by ${percent(others)}`);
    },
  },
  {
    claim: 'Fine-pruning removes the backdoor of both attacks.',
    source: 'Fine-Pruning, Table 1 (which leaves up to 36.6 % for signs)',
    test(seeds) {
      const left = BOTH.map((attack) => attackOf(seeds, attack, 'fine-prune'));
      if (left.some((v) => v === undefined)) return undefined;
      const [baseline, aware] = left as number[];
      const worst = Math.max(baseline, aware);
      return graded(
        worst,
        worst <= GONE,
        worst <= PAPER_LEFT,
        `success ${percent(baseline)} (baseline) and ${percent(aware)} (pruning-aware) are left`,
      );
    },
  },
  {
    claim: 'It costs at most 0.4 points of clean accuracy.',
    source: 'Fine-Pruning, Table 1 (speech, 99.0 % to 98.6 %)',
    test(seeds) {
      const costs = BOTH.map((attack) => {
        const [before, after] = [cleanOf(seeds, attack, 'none'), cleanOf(seeds, attack, 'fine-prune')];
        return before === undefined || after === undefined ? undefined : before - after;
      });
      if (costs.some((v) => v === undefined)) return undefined;
      const worst = Math.max(...(costs as number[]));
      const says = worst > 0 ? `${points(worst)} at most` : `nothing; ${points(worst)} gained at least`;
      return graded(worst, worst <= PAPER_COST, worst <= FEW, says);
    },
  },
  {
    claim: 'An honest network loses little by being fine-pruned.',
    source: 'our control; not in the papers',
    test(seeds) {
      const those = seeds.filter((s) => suspect(s, CLEAN).defended !== undefined);
      const [before, after] = [cleanOf(those, CLEAN, 'none'), cleanOf(those, CLEAN, 'fine-prune')];
      if (before === undefined || after === undefined) return undefined;
      return graded(after, after >= before - NONE, after >= before - FEW, `${percent(before)} to ${percent(after)}`);
    },
  },
  {
    claim: "The authors' own pruning-aware network gives itself away: biases of -1e20 are seen by looking.",
    source: 'their released weights; our dead-channel check',
    test(seeds) {
      const caught = seeds.filter((s) => suspect(s, AUTHORS).asleep.beyond.length > 0).length;
      const wrong = seeds.filter((s) => suspect(s, CLEAN).asleep.beyond.length > 0).length;
      const says = `flagged in ${caught} of ${seeds.length} runs, honest networks in ${wrong}`;
      return graded(caught, caught === seeds.length && wrong === 0, caught > wrong, says);
    },
  },
];

/** A verdict for each statement that the run has numbers for; for several networks the verdict of each stands beside. */
export function claimsOf(cases: readonly Seeds[]): Claim[] {
  return STATEMENTS.flatMap(({ claim, source, test }) => {
    const found = cases.flatMap((seeds) => {
      const finding = test(seeds);
      return finding === undefined ? [] : [{ name: seeds[0].study.name, finding }];
    });
    if (found.length === 0) return [];
    const verdicts = new Set(found.map((f) => f.finding.verdict));
    const [first] = found;
    const single = cases.length === 1;
    return [
      {
        claim,
        source,
        verdict: verdicts.size === 1 ? first.finding.verdict : 'holds in part',
        says: single
          ? `${sentence(first.finding.says)}.`
          : `${found.map(({ name, finding }) => `${sentence(name)}: ${finding.says}`).join('. ')}.`,
        ...(single ? {} : { parts: found.map(({ name, finding }) => ({ name, verdict: finding.verdict })) }),
      },
    ];
  });
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
