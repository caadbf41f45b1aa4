/**
 * Which channels carry the backdoor and which do nothing, by stated rules. BadNets (section 5.3.2) compares mean activations of
 * clean and backdoored inputs by eye and gives no number; the rules below put numbers to "fires with the trigger and not without".
 */
import { z } from 'zod';
import type { ChannelStatistics } from '../data/channel-statistics.ts';

/** All three in units of the layer's mean clean activation (the mean over its channels), so that they do not depend on its scale. */
export const NeuronRule = z.object({
  /** A backdoor neuron's mean on triggered inputs is at least this much above its mean on clean ones. */
  rise: z.number().nonnegative().default(0.5),
  /** ... and its mean on clean inputs is at most this. */
  quiet: z.number().nonnegative().default(0.5),
  /** A dormant neuron's mean on clean inputs is below this. */
  dormant: z.number().nonnegative().default(0.05),
});
export type NeuronRule = z.infer<typeof NeuronRule>;

export interface NeuronReport {
  /** Channel numbers, strongest rise first. */
  readonly backdoor: readonly number[];
  /** Channel numbers, weakest first: nearly silent on clean inputs. A backdoor neuron may be one of them. */
  readonly dormant: readonly number[];
  /** Never above zero on any clean input. */
  readonly dead: readonly number[];
  /** Mean over channels of the mean clean activation: the unit of the rule. */
  readonly unit: number;
  /** Mean triggered minus mean clean, in units. `[C]` */
  readonly rise: readonly number[];
  readonly rule: NeuronRule;
}

/**
 * Sorts the channels of a layer by the rule. `clean` and `triggered` are statistics of the same value; its mean is looked at, or its mean
 * magnitude where `by` says so. Where the layer is silent on clean inputs (unit 0) every channel is dormant, and any rise counts.
 */
export function backdoorNeurons(
  clean: ChannelStatistics,
  triggered: ChannelStatistics,
  rule: Partial<NeuronRule> = {},
  by: 'mean' | 'magnitude' = 'mean',
): NeuronReport {
  const settings = NeuronRule.parse(rule);
  const before = clean[by];
  const after = triggered[by];
  const unit = before.reduce((a, v) => a + v, 0) / before.length;
  const scale = unit > 0 ? unit : 1;
  const rise = Array.from(after, (v, c) => (v - before[c]) / scale);
  const channels = rise.map((_, c) => c);
  const fires = (c: number): boolean => (unit > 0 ? rise[c] >= settings.rise : rise[c] > 0);
  return {
    backdoor: channels.filter((c) => fires(c) && before[c] <= settings.quiet * scale).sort((a, b) => rise[b] - rise[a] || a - b),
    dormant: channels.filter((c) => before[c] < settings.dormant * scale).sort((a, b) => before[a] - before[b] || a - b),
    dead: channels.filter((c) => clean.active[c] === 0),
    unit,
    rise,
    rule: settings,
  };
}

/** The rule in words and numbers, for the report. */
export function describeRule(rule: NeuronRule, unit: number): string {
  return (
    `A backdoor neuron: mean on triggered inputs at least ${rule.rise} above its mean on clean ones, and at most ${rule.quiet} on clean ones; ` +
    `a dormant one: below ${rule.dormant} on clean inputs; all in units of the layer's mean clean activation (${unit.toPrecision(3)}).`
  );
}

/** The number of backdoor neurons for every pair of the two thresholds: how much the answer depends on them. */
export function sweepRule(
  clean: ChannelStatistics,
  triggered: ChannelStatistics,
  rises: readonly number[],
  quiets: readonly number[],
  by: 'mean' | 'magnitude' = 'mean',
): { readonly rise: number; readonly quiet: number; readonly count: number }[] {
  return rises.flatMap((rise) =>
    quiets.map((quiet) => ({ rise, quiet, count: backdoorNeurons(clean, triggered, { rise, quiet }, by).backdoor.length })),
  );
}
