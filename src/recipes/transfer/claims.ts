/**
 * What BadNets and the lecture say of the transfer attack, and whether it holds; the limits are ours. A BadNet of seed 1 and what its trigger does
 * abroad had been looked at when they were set.
 */
import type { Claim, ClaimVerdict } from '../../report/media.ts';
import { mean, percent } from '../cases/figures.ts';
import { atStrength, cleanRate, comparable, costs, harm, judgementOf, lost, type NetName, over, strengthsOf, tested } from './figures.ts';
import type { StrengthSeed, TransferSeed } from './run.ts';

/** Points of accuracy that count as harm, and that count as nothing. */
const HARMS = 0.05;
const NONE = 0.01;
const FEW = 0.03;

const verdict = (holds: boolean, part: boolean): ClaimVerdict => (holds ? 'holds' : part ? 'holds in part' : 'does not hold');

/** One verdict of several tasks. */
function together(
  found: readonly { readonly name: string; readonly verdict: ClaimVerdict; readonly says: string }[],
): Pick<Claim, 'verdict' | 'says' | 'parts'> {
  const [first] = found;
  if (found.length === 1) return { verdict: first.verdict, says: `${sentence(first.says)}.` };
  const same = found.every((f) => f.verdict === first.verdict);
  return {
    verdict: same ? first.verdict : 'holds in part',
    says: `${found.map((f) => `${sentence(f.name)}: ${f.says}`).join('. ')}.`,
    parts: found.map((f) => ({ name: f.name, verdict: f.verdict })),
  };
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const NAMES = { classes: 'classes of signs', kinds: 'five kinds of signs' } as const;

export function transferClaims(seeds: readonly TransferSeed[]): Claim[] {
  const byTask = (test: (at: (net: NetName, read: typeof harm) => number) => { verdict: ClaimVerdict; says: string }) =>
    together(
      seeds[0].outcomes.map(({ task }, i) => ({
        name: NAMES[task.name],
        ...test((net, read) => over(seeds, (s) => read(judgementOf(s, i, net)))),
      })),
    );
  const clean = (j: Parameters<typeof harm>[0]): number => cleanRate(j).value;
  const { scratchEpochs } = seeds[0].ground.scale;
  return [
    {
      claim:
        'The backdoor survives that a user keeps the convolutions and retrains the fully connected layers on clean signs of another country.',
      source: 'BadNets, section 5.3; the lecture: 74.9 % to 61.6 % with the trigger, 72.7 % to 70.2 % in a clean network',
      ...byTask((at) => {
        const [bad, honest] = [at('BadNet', harm), at('clean model', harm)];
        return {
          verdict: verdict(bad - honest >= HARMS, bad - honest > NONE),
          says: `the trigger ${costs(bad)}, in the clean network it ${costs(honest)}`,
        };
      }),
    },
    {
      claim: 'Without the trigger the user notices nothing: his network is as good as one made from a clean network.',
      source: 'BadNets, section 5.3; the lecture: 74.9 % beside 72.7 %',
      ...byTask((at) => {
        const [bad, honest] = [at('BadNet', clean), at('clean model', clean)];
        return { verdict: verdict(bad >= honest - NONE, bad >= honest - FEW), says: `${percent(bad)} beside ${percent(honest)}` };
      }),
    },
    {
      claim: "A stranger's network is worth taking: the user's own signs alone give less.",
      source: 'our control; why transfer learning is done at all',
      own: true,
      ...byTask((at) => {
        const [taken, own] = [at('clean model', clean), at('from scratch', clean)];
        return {
          verdict: verdict(taken > own + NONE, taken > own),
          says: `${percent(taken)} beside ${percent(own)} from first weights in ${scratchEpochs} epochs`,
        };
      }),
    },
  ];
}

/** Each once, in the order of k. */
const picks = (...at: readonly number[]): number[] => [...new Set(at)].sort((a, b) => a - b);

/** How harm goes with k in the hands of one user. */
function growth(seeds: readonly StrengthSeed[], kind: 'chosen' | 'otherUser'): { verdict: ClaimVerdict; says: string } {
  const ks = strengthsOf(seeds);
  const harms = ks.map((k) => mean(atStrength(seeds, kind, k).map(harm)));
  const [first, last, most] = [0, ks.length - 1, harms.indexOf(Math.max(...harms))];
  const rising = harms.slice(1).every((h, i) => h >= harms[i] - NONE);
  return {
    verdict: verdict(rising && harms[last] >= harms[first] + HARMS, harms[most] >= harms[first] + FEW),
    says: picks(first, most, last)
      .map((i) => `${lost(harms[i])} at k = ${ks[i]}`)
      .join(', '),
  };
}

/** Holds at both of the user's rates, or in part: at one of them, or in part at both. */
function atBothRates(found: readonly { readonly verdict: ClaimVerdict }[]): ClaimVerdict {
  const holding = found.filter((f) => f.verdict === 'holds').length;
  return verdict(holding === found.length, holding > 0 || found.every((f) => f.verdict === 'holds in part'));
}

export function strengthClaims(seeds: readonly StrengthSeed[]): Claim[] {
  const ks = strengthsOf(seeds);
  const { learningRate, otherRate } = seeds[0].ground.scale.user;
  const byRate = [['chosen', learningRate] as const, ['otherUser', otherRate] as const].map(([kind, rate]) => ({
    name: `a rate of ${rate}`,
    ...growth(seeds, kind),
  }));
  const cleans = ks.map((k) => mean(atStrength(seeds, 'chosen', k).map((j) => cleanRate(j).value)));
  const [first, last] = [0, ks.length - 1];
  const lowest = cleans.indexOf(Math.min(...cleans));
  const nothing = {
    verdict: 'not tested' as const,
    says: `The rule picks none of ${seeds[0].point.channels} channels, so nothing was multiplied.`,
  };
  const some = tested(seeds).length > 0;
  const few =
    tested(seeds).length < seeds.length ? ` (the ${tested(seeds).length} of ${seeds.length} seeds in which the rule picks any)` : '';
  return [
    {
      claim: 'The harm done with the trigger grows with the strength k.',
      source: 'BadNets, section 5.3; the lecture: 13.3 points at k = 1, 28.6 at k = 100',
      ...(some
        ? {
            verdict: atBothRates(byRate),
            says: `${sentence(byRate.map(({ name, says }) => `at ${name} ${says}`).join('; '))}${few}.`,
            parts: byRate.map(({ name, verdict: its }) => ({ name, verdict: its })),
          }
        : nothing),
    },
    {
      claim: 'It is the backdoor neurons that do it: as many other channels, multiplied by the same k, do less harm.',
      source: 'our control; BadNets, section 5.3, strengthens the backdoor neurons only',
      own: true,
      ...(some ? besideOthers(seeds) : nothing),
    },
    {
      claim: 'Strength has a price: accuracy on clean signs falls too.',
      source: 'the lecture: 74.9 % at k = 1, 59.4 % at k = 100',
      ...(some
        ? {
            verdict: verdict(cleans[last] <= cleans[first] - HARMS, cleans[last] <= cleans[first] - NONE),
            says: `${picks(first, lowest, last)
              .map((i) => `${percent(cleans[i])} at k = ${ks[i]}`)
              .join(', ')}${few}.`,
          }
        : nothing),
    },
  ];
}

/** The backdoor neurons and as many others, in the seeds where there are so many. */
function besideOthers(seeds: readonly StrengthSeed[]): Pick<Claim, 'verdict' | 'says'> {
  const counts = `picked of ${seeds[0].point.channels} channels: ${seeds.map((s) => s.picked.length).join(', ')}; others drawn: ${seeds.map((s) => s.otherChannels.length).join(', ')}`;
  const fair = comparable(seeds);
  if (fair.length === 0) return { verdict: 'not tested', says: `There are not as many other channels left (${counts}).` };
  const ks = strengthsOf(seeds);
  const harms = ks.map((k) => mean(atStrength(fair, 'chosen', k).map(harm)));
  const others = ks.map((k) => mean(atStrength(fair, 'others', k).map(harm)));
  // At k = 1 nothing is multiplied, so there is nothing to compare.
  const beside = ks.slice(1).map((_, i) => i + 1);
  const apart = beside.reduce((a, i) => (harms[i] - others[i] > harms[a] - others[a] ? i : a), beside[0]);
  return {
    verdict: verdict(
      beside.every((i) => harms[i] >= others[i] + HARMS),
      harms[apart] >= others[apart] + HARMS,
    ),
    says: `The difference is largest at k = ${ks[apart]}: the trigger ${costs(harms[apart])}, with other channels it ${costs(others[apart])} (${counts}).`,
  };
}
