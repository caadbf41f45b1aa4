/**
 * Which channels carry the backdoor and which do nothing, by stated rules. BadNets (section 5.3.2) compares mean activations of
 * clean and backdoored inputs by eye and gives no number; the rules below put numbers to "fires with the trigger and not without".
 *
 * A small trigger makes a channel fire at one place, which a mean over space hides: of an 8x8 map it is 1 in 64. So channels are looked at
 * where they rise most, in their mean maps. Such a channel may still be busy elsewhere on clean inputs; those that are not are `exclusive`,
 * and only they can be cut without a loss.
 */
import { z } from 'zod';
import type { ChannelStatistics } from '../data/channel-statistics.ts';

/**
 * `rise` and `quiet` are in units of the layer's mean clean peak (at a place) or its mean clean activation (on average), `dormant` in units
 * of its mean clean activation, so that none depends on the scale of the layer.
 */
export const NeuronRule = z.object({
  /** `place`: where the channel's mean map rises most; `average`: the mean over space. Without maps it is the average. */
  at: z.enum(['place', 'average']).default('place'),
  /** A backdoor neuron's mean on triggered inputs is at least this much above its mean on clean ones. */
  rise: z.number().nonnegative().default(0.25),
  /** ... and its mean on clean inputs is at most this. */
  quiet: z.number().nonnegative().default(0.25),
  /** A dormant neuron's mean over space on clean inputs is below this. */
  dormant: z.number().nonnegative().default(0.05),
});
export type NeuronRule = z.infer<typeof NeuronRule>;

export interface NeuronReport {
  /** Channel numbers, strongest rise first. */
  readonly backdoor: readonly number[];
  /** Backdoor neurons that are quiet on clean inputs over all of the layer, not only where the trigger is. */
  readonly exclusive: readonly number[];
  /** Channel numbers, weakest first: nearly silent on clean inputs. A backdoor neuron may be one of them. */
  readonly dormant: readonly number[];
  /** Never above zero on any clean input. */
  readonly dead: readonly number[];
  /** What `rise` and `quiet` are measured in. */
  readonly unit: number;
  /** Mean triggered minus mean clean, where it is largest, in units. `[C]` */
  readonly rise: readonly number[];
  /** With the maps that were there; `at` says what was done. */
  readonly rule: NeuronRule;
}

/**
 * Sorts the channels of a layer by the rule. `clean` and `triggered` are statistics of the same value; over space its mean is looked at, or its
 * mean magnitude where `by` says so. Where the layer is silent on clean inputs every channel is dormant, and any rise counts.
 */
export function backdoorNeurons(
  clean: ChannelStatistics,
  triggered: ChannelStatistics,
  rule: Partial<NeuronRule> = {},
  by: 'mean' | 'magnitude' = 'mean',
): NeuronReport {
  const asked = NeuronRule.parse(rule);
  const maps = asked.at === 'place' && clean.map && triggered.map ? { clean: clean.map.mean, triggered: triggered.map.mean } : undefined;
  const settings: NeuronRule = { ...asked, at: maps ? 'place' : 'average' };
  const level = clean[by];
  const channels = Array.from(level.keys());
  const usual = level.reduce((a, v) => a + v, 0) / level.length;
  const unit = maps ? clean.peak.reduce((a, v) => a + v, 0) / level.length : usual;
  const seen = channels.map((c) => (maps ? atBestPlace(maps, level.length, c) : { before: level[c], after: triggered[by][c] }));
  const scale = unit > 0 ? unit : 1;
  const rise = seen.map(({ before, after }) => (after - before) / scale);
  const fires = (c: number): boolean => (unit > 0 ? rise[c] >= settings.rise : rise[c] > 0);
  const backdoor = channels.filter((c) => fires(c) && seen[c].before <= settings.quiet * scale).sort((a, b) => rise[b] - rise[a] || a - b);
  const below = (c: number, share: number): boolean => level[c] <= share * usual;
  return {
    backdoor,
    exclusive: backdoor.filter((c) => below(c, settings.quiet)),
    dormant: channels.filter((c) => usual === 0 || level[c] < settings.dormant * usual).sort((a, b) => level[a] - level[b] || a - b),
    dead: channels.filter((c) => clean.active[c] === 0),
    unit,
    rise,
    rule: settings,
  };
}

/** Mean clean and mean triggered value at the place where the channel rises most. */
function atBestPlace(
  maps: { clean: Float64Array; triggered: Float64Array },
  channels: number,
  c: number,
): { before: number; after: number } {
  const space = maps.clean.length / channels;
  let best = c * space;
  for (let i = c * space; i < (c + 1) * space; i++) {
    if (maps.triggered[i] - maps.clean[i] > maps.triggered[best] - maps.clean[best]) best = i;
  }
  return { before: maps.clean[best], after: maps.triggered[best] };
}

/** The rule in words and numbers, for the report. */
export function describeRule(rule: NeuronRule, unit: number): string {
  const [where, of] =
    rule.at === 'place'
      ? ['at the place where its mean map rises most', 'peak, the mean over images of the largest value in space']
      : ['on average over space', 'activation'];
  return (
    `A backdoor neuron: ${where}, its mean on triggered inputs is at least ${rule.rise} above its mean on clean ones, and that is at most ` +
    `${rule.quiet}, in units of the layer's mean clean ${of} (${unit.toPrecision(3)}). A dormant neuron: its mean over space on clean inputs is ` +
    `below ${rule.dormant} of the layer's.`
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
