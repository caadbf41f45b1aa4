import { expect, test } from 'vitest';
import { Progress } from '../../src/cli/progress.node.ts';

function screen(o: { isTTY: boolean; color?: boolean; columns?: number }): {
  progress: Progress;
  text: () => string;
  at: (ms: number) => void;
} {
  let text = '';
  let now = 0;
  const write = (t: string): void => {
    text += t;
  };
  const at = (ms: number): void => {
    now = ms;
  };
  const sink = { isTTY: o.isTTY, color: o.color ?? false, columns: o.columns ?? 200, write };
  return { progress: new Progress(sink, () => now), text: () => text, at };
}

const step = (doneSteps: number) => ({
  kind: 'step' as const,
  epoch: 1,
  epochs: 2,
  step: doneSteps,
  stepsPerEpoch: 10,
  doneSteps,
  totalSteps: 20,
  loss: 0.51234,
  accuracy: 0.875,
  imagesPerSecond: 12_345.6,
  secondsLeft: 75,
});
const record = { epoch: 1, loss: 0.5, trainAccuracy: 0.9, learningRate: 0.1, seconds: 1, imagesPerSecond: 1000, evaluated: { clean: 0.8 } };

test('not on a terminal: plain lines, one an epoch, no control characters', () => {
  const s = screen({ isTTY: false });
  s.progress.step('badnet');
  s.progress.train({ kind: 'start', totalSteps: 20, doneSteps: 0, history: [] });
  for (let i = 1; i <= 10; i++) {
    s.at(i * 100);
    s.progress.train(step(i));
  }
  s.progress.train({ kind: 'epoch', epochs: 2, record });
  s.progress.train({ kind: 'notice', text: 'hm' });
  s.progress.done();
  expect(s.text()).toBe('badnet\nbadnet  epoch 1/2  loss 0.5000  accuracy 90.00 %  clean 80.00 %  1000 images/s\nnote: hm\n');
});

test('not on a terminal: within a long epoch a line every half minute', () => {
  const s = screen({ isTTY: false });
  s.progress.train({ kind: 'start', totalSteps: 20, doneSteps: 0, history: [] });
  for (let i = 1; i <= 8; i++) {
    s.at(i * 10_000);
    s.progress.train(step(i));
  }
  const line = (percent: number): string => `${percent} %  epoch 1/2  loss 0.5123  accuracy 87.50 %  12346 images/s  1 m 15 s left\n`;
  expect(s.text()).toBe(line(15) + line(30));
});

test('on a terminal: one line that is redrawn and at last taken away', () => {
  const s = screen({ isTTY: true });
  s.at(1000);
  s.progress.train(step(10));
  s.at(1050);
  s.progress.train(step(11)); // too soon
  s.at(1200);
  s.progress.train(step(20));
  s.progress.done();
  const words = '  epoch 1/2  loss 0.5123  accuracy 87.50 %  12346 images/s  1 m 15 s left';
  const bar = '━'.repeat(24);
  expect(s.text()).toBe(`${bar}  50 %${words}\r\u001b[2K${bar} 100 %${words}\r\u001b[2K`);
});

test('colour only where it is wanted, and never wider than the terminal', () => {
  const coloured = screen({ isTTY: true, color: true });
  coloured.at(1000);
  coloured.progress.train(step(10));
  expect(coloured.text()).toContain('\u001b[36m━━━━━━━━━━━━\u001b[0m\u001b[2m━━━━━━━━━━━━\u001b[0m');
  const narrow = screen({ isTTY: true, columns: 40 });
  narrow.at(1000);
  narrow.progress.train(step(10));
  expect(narrow.text()).toHaveLength(39);
});

test('a resumed run says where it goes on', () => {
  const s = screen({ isTTY: false });
  s.progress.train({ kind: 'start', totalSteps: 20, doneSteps: 12, history: [] });
  expect(s.text()).toBe('going on at step 13 of 20\n');
});

test('on a terminal a finished step stays as a line with its time, elsewhere it was printed when it began', () => {
  const steps = (isTTY: boolean): string => {
    const s = screen({ isTTY });
    s.progress.step('one');
    s.progress.passing('on the way');
    s.at(12_000);
    s.progress.step('two');
    s.at(13_000);
    s.progress.done();
    return s.text();
  };
  expect(steps(true)).toBe('one\r\u001b[2Kone  on the way\r\u001b[2Kone  12 s\ntwo\r\u001b[2Ktwo  1 s\n');
  expect(steps(false)).toBe('one\ntwo\n');
});

test.each([true, false])('what names hold is shown and not obeyed (terminal: %s)', (isTTY) => {
  const s = screen({ isTTY, color: true });
  const name = 'a\x1b[2J\r\nerror: \u202eb\x9b';
  s.progress.step(name);
  s.at(40_000);
  s.progress.passing(name);
  s.at(80_000);
  s.progress.update(1, 2, name);
  s.progress.line(name);
  s.progress.train({ kind: 'notice', text: name });
  s.progress.done();
  const shown = 'a\\u001b[2J\\u000d error: \\u202eb\\u009b';
  // the colours and the erased line are this program's own
  const left = ['\r\x1b[2K', '\x1b[36m', '\x1b[2m', '\x1b[0m'].reduce((text, code) => text.replaceAll(code, ''), s.text());
  expect(left.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202a-\u202e]/u);
  // the title again before what follows it; what is passing only on a terminal
  expect(left.split(shown)).toHaveLength(isTTY ? 9 : 6);
  expect(left).not.toMatch(/^error/m);
});
