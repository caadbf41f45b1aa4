/** Learning-rate schedules: pure functions of the step number, so that a resumed run sees the same rates. */
import { fail } from '../core/errors.ts';

export type Schedule =
  | { readonly kind: 'constant' }
  /** Multiplied by `factor` after every `epochs` epochs. */
  | { readonly kind: 'step'; readonly epochs: number; readonly factor: number }
  /** Half a cosine from the base rate down to `floor` (default 0) times it (Loshchilov & Hutter 2017, SGDR, without restarts). */
  | { readonly kind: 'cosine'; readonly floor?: number }
  /** Linear from base / 25 up to the base rate over the first `warmUp` share of the steps, then half a cosine down to 0 (after Smith 2018). */
  | { readonly kind: 'one-cycle'; readonly warmUp: number }
  /** base * (1 + gamma * step)^-power, the policy of the Fine-Pruning authors' speech network. */
  | { readonly kind: 'inv'; readonly gamma: number; readonly power: number };

export interface ScheduleLength {
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
}

/** One-cycle starts at this share of the base rate. */
const ONE_CYCLE_START = 1 / 25;

/**
 * The rate for one step. `step` counts from 0 over the whole run; the last one is `totalSteps - 1`.
 */
export function rateAt(schedule: Schedule, base: number, step: number, length: ScheduleLength): number {
  const { totalSteps, stepsPerEpoch } = length;
  switch (schedule.kind) {
    case 'constant':
      return base;
    case 'step':
      return base * schedule.factor ** Math.floor(step / (schedule.epochs * stepsPerEpoch));
    case 'cosine':
      return base * ((schedule.floor ?? 0) + (1 - (schedule.floor ?? 0)) * halfCosine(step / totalSteps));
    case 'one-cycle': {
      const warm = Math.max(1, Math.round(schedule.warmUp * totalSteps));
      if (step < warm) return base * (ONE_CYCLE_START + (1 - ONE_CYCLE_START) * ((step + 1) / warm));
      return base * halfCosine((step + 1 - warm) / (totalSteps - warm + 1));
    }
    case 'inv':
      return base * (1 + schedule.gamma * step) ** -schedule.power;
  }
}

/** 1 at 0, 0 at 1. */
const halfCosine = (t: number): number => (1 + Math.cos(Math.PI * t)) / 2;

export const SCHEDULE_FORMS = 'constant, step:EPOCHS[:FACTOR], cosine[:FLOOR], one-cycle[:WARMUP] or inv:GAMMA:POWER';

/**
 * Reads what stands after `--schedule`: `constant`, `step:30:0.1`, `cosine`, `cosine:0.01`, `one-cycle:0.2`, `inv:0.001:0.75`.
 * @throws SecateurError for another form or a number out of range.
 */
export function parseSchedule(text: string): Schedule {
  const [kind, ...rest] = text.split(':');
  const numbers = rest.map(Number);
  const bad = (expected: string): never => fail({ where: '--schedule', what: 'not a schedule', expected, got: `"${text}"`, exitCode: 2 });
  if (rest.some((part, i) => part.trim() === '' || !Number.isFinite(numbers[i]))) bad(SCHEDULE_FORMS);
  const count = (least: number, most: number): void => {
    if (numbers.length < least || numbers.length > most) bad(SCHEDULE_FORMS);
  };
  switch (kind) {
    case 'constant':
      count(0, 0);
      return { kind };
    case 'step': {
      count(1, 2);
      const [epochs, factor = 0.1] = numbers;
      if (!(Number.isInteger(epochs) && epochs >= 1)) bad('a whole number of epochs of at least 1 after step:');
      if (!(factor > 0 && factor <= 1)) bad('a factor above 0 and at most 1');
      return { kind, epochs, factor };
    }
    case 'cosine': {
      count(0, 1);
      const [floor = 0] = numbers;
      if (!(floor >= 0 && floor < 1)) bad('a floor from 0 to below 1 after cosine:');
      return { kind, floor };
    }
    case 'one-cycle': {
      count(0, 1);
      const [warmUp = 0.3] = numbers;
      if (!(warmUp > 0 && warmUp < 1)) bad('a warm-up share between 0 and 1 after one-cycle:');
      return { kind, warmUp };
    }
    case 'inv': {
      count(2, 2);
      const [gamma, power] = numbers;
      if (!(gamma >= 0 && power >= 0)) bad('gamma and power of at least 0');
      return { kind, gamma, power };
    }
    default:
      return bad(SCHEDULE_FORMS);
  }
}

/** The inverse of {@link parseSchedule}, for run.json and messages. */
export function formatSchedule(s: Schedule): string {
  switch (s.kind) {
    case 'constant':
      return 'constant';
    case 'step':
      return `step:${s.epochs}:${s.factor}`;
    case 'cosine':
      return (s.floor ?? 0) === 0 ? 'cosine' : `cosine:${s.floor}`;
    case 'one-cycle':
      return `one-cycle:${s.warmUp}`;
    case 'inv':
      return `inv:${s.gamma}:${s.power}`;
  }
}
