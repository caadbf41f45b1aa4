import { expect, it } from 'vitest';
import type { SleepReport } from '../../src/inspect/asleep.ts';
import { sleepSentence } from '../../src/inspect/asleep-words.ts';

const report: SleepReport = { layers: [], beyond: [], asleep: 3, channels: 60, threshold: 2, n: 40, leftOut: [] };
const beyond = (count: number): SleepReport['beyond'] =>
  Array.from({ length: count }, (_, channel) => ({ layer: 'conv3', channel, gap: channel === 0 ? 5.98e19 : 2.345 }));

it('says how many channels are silent, and which a bias holds so', () => {
  expect(sleepSentence(report)).toBe(
    '3 of 60 channels before a ReLU are silent on 40 images, none by more than 2 times what its weights bring: nothing was silenced by its bias.',
  );
  expect(sleepSentence({ ...report, beyond: beyond(2) }, 'clean images')).toBe(
    '3 of 60 channels before a ReLU are silent on 40 clean images; 2 of them are held silent by a bias more than 2 times as large as what their ' +
      'weights bring: conv3 0 (6.0e+19), conv3 1 (2.35). Training that succeeded does not do that, training that collapsed can; the pruning-aware attack does (Fine-Pruning, section 4.1).',
  );
  expect(sleepSentence({ ...report, asleep: 20, beyond: beyond(20) })).toContain('conv3 7 (2.35) and 12 more. Training');
  expect(sleepSentence({ ...report, beyond: beyond(1) })).toContain('; 1 of them is held silent by ');
  expect(sleepSentence({ ...report, channels: 0 })).toBe('There is no layer before a ReLU that the dead-channel check could look at.');
});
