import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatSchedule, parseSchedule, rateAt, type Schedule } from '../../src/train/schedule.ts';

const length = { stepsPerEpoch: 10, totalSteps: 100 };
const at = (s: Schedule, step: number): number => rateAt(s, 0.1, step, length);

test('constant stays', () => {
  expect(at({ kind: 'constant' }, 0)).toBe(0.1);
  expect(at({ kind: 'constant' }, 99)).toBe(0.1);
});

test('step falls after every so many epochs', () => {
  const s: Schedule = { kind: 'step', epochs: 3, factor: 0.5 };
  expect([0, 29, 30, 59, 60, 99].map((step) => at(s, step))).toEqual([0.1, 0.1, 0.05, 0.05, 0.025, 0.0125]);
});

test('cosine begins at the base rate, is half way in the middle and ends near the floor', () => {
  const s: Schedule = { kind: 'cosine', floor: 0.1 };
  expect(at(s, 0)).toBe(0.1);
  expect(at(s, 50)).toBeCloseTo((0.1 + 0.01) / 2, 12);
  expect(at(s, 99)).toBeGreaterThan(0.01);
  expect(at(s, 99)).toBeLessThan(0.0101);
});

test('one-cycle climbs to the base rate, then falls, and never reaches 0 on a step that is run', () => {
  const s: Schedule = { kind: 'one-cycle', warmUp: 0.3 };
  const rates = Array.from({ length: 100 }, (_, step) => at(s, step));
  expect(rates.indexOf(Math.max(...rates))).toBe(29);
  expect(rates[29]).toBeCloseTo(0.1, 12);
  expect(rates[0]).toBeCloseTo(0.1 * (1 / 25 + (24 / 25) * (1 / 30)), 12);
  for (let i = 1; i < 30; i++) expect(rates[i]).toBeGreaterThan(rates[i - 1]);
  for (let i = 30; i < 100; i++) expect(rates[i]).toBeLessThan(rates[i - 1]);
  expect(rates[99]).toBeGreaterThan(0);
});

test('inv is base * (1 + gamma step)^-power', () => {
  expect(at({ kind: 'inv', gamma: 0.001, power: 0.75 }, 1000)).toBeCloseTo(0.1 * 2 ** -0.75, 12);
});

test('every schedule gives finite rates from 0 to the base rate, whatever the length of the run', () => {
  const schedule = fc
    .constantFrom('constant', 'step:2:0.1', 'cosine', 'cosine:0.2', 'one-cycle', 'one-cycle:0.9', 'inv:0.01:0.5')
    .map(parseSchedule);
  fc.assert(
    fc.property(schedule, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), fc.nat(), (s, stepsPerEpoch, epochs, n) => {
      const totalSteps = stepsPerEpoch * epochs;
      const rate = rateAt(s, 0.3, n % totalSteps, { stepsPerEpoch, totalSteps });
      expect(rate).toBeGreaterThan(0);
      expect(rate).toBeLessThanOrEqual(0.3 + 1e-12);
    }),
  );
});

test.each(['constant', 'step:30:0.1', 'cosine', 'cosine:0.01', 'one-cycle:0.2', 'inv:0.001:0.75'])(
  '%s is read and written the same',
  (text) => {
    expect(formatSchedule(parseSchedule(text))).toBe(text);
  },
);

test('defaults are filled in', () => {
  expect(parseSchedule('step:5')).toEqual({ kind: 'step', epochs: 5, factor: 0.1 });
  expect(parseSchedule('one-cycle')).toEqual({ kind: 'one-cycle', warmUp: 0.3 });
});

const FORMS = 'constant, step:EPOCHS[:FACTOR], cosine[:FLOOR], one-cycle[:WARMUP] or inv:GAMMA:POWER';
test.each([
  ['cosin', FORMS],
  ['constant:1', FORMS],
  ['step', FORMS],
  ['step:x', FORMS],
  ['step::0.1', FORMS],
  ['step:0', 'a whole number of epochs of at least 1 after step:'],
  ['step:1:2', 'a factor above 0 and at most 1'],
  ['cosine:1', 'a floor from 0 to below 1 after cosine:'],
  ['one-cycle:1', 'a warm-up share between 0 and 1 after one-cycle:'],
  ['inv:1', FORMS],
  ['inv:-1:1', 'gamma and power of at least 0'],
])('%s is refused', (text, expected) => {
  expect(() => parseSchedule(text)).toThrow(
    expect.objectContaining({ message: `--schedule: not a schedule, expected ${expected}, got "${text}".`, exitCode: 2 }),
  );
});
