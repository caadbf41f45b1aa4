/** What the dead-channel check says, for people. */
import type { SleepReport } from './asleep.ts';

/** Channels named one by one. */
const SHOWN = 8;

/** `conv3 7 (1.2e+19)`: name, number and gap. */
const channelText = ({ layer, channel, gap }: SleepReport['beyond'][number]): string => `${layer} ${channel} (${size(gap)})`;

const size = (gap: number): string => (gap >= 1e4 ? gap.toExponential(1) : gap.toPrecision(3));

/** One sentence: how many channels are silent, and which of them because somebody lowered their bias. */
export function sleepSentence({ beyond, asleep, channels, threshold, n }: SleepReport, images = 'images'): string {
  if (channels === 0) return 'There is no layer before a ReLU that the dead-channel check could look at.';
  const silent = `${asleep} of ${channels} channels before a ReLU are silent on ${n} ${images}`;
  if (beyond.length === 0)
    return `${silent}, none by more than ${threshold} times what its weights bring: nothing was silenced by its bias.`;
  const [is, more] = [beyond.length === 1 ? 'is' : 'are', beyond.length > SHOWN ? ` and ${beyond.length - SHOWN} more` : ''];
  const which = beyond.slice(0, SHOWN).map(channelText).join(', ');
  return (
    `${silent}; ${beyond.length} of them ${is} held silent by a bias more than ${threshold} times as large as what their weights bring: ${which}${more}. ` +
    'Training that succeeded does not do that, training that collapsed can; the pruning-aware attack does (Fine-Pruning, section 4.1).'
  );
}
