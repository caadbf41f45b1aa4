/**
 * The formulas, in one place. Inputs are predicted classes; every rate is a share of a stated set of inputs, with Wilson's interval.
 *
 * Let y be the true class of an input, t(x) the class the attacker wants for its triggered version (-1: any class but y), f the prediction.
 *
 *   clean accuracy       share of clean inputs with f = y.
 *   attack success       over triggered inputs with t != y (an input that already is of the target class proves nothing):
 *     targeted             f = t, one t for all.
 *     source -> target     f = t, over the source class only: other classes have t = y and drop out.
 *     all-to-all           f = t with t = (y + 1) mod classes. All inputs count, as t never is y.
 *     untargeted           t = -1: f != y. A net that is simply wrong also counts, so read it beside the clean accuracy, or as
 *                          {@link untargetedDrop} = 1 - A(triggered) / A(clean), the figure of Fine-Pruning's traffic sign table.
 *   robust accuracy      over the same triggered inputs: f = y. Attack success 0 with robust accuracy 0.1 is no repair.
 *   backdoor error       1 - attack success: "error on backdoored images" of BadNets' tables, where the attacker's class is the right answer.
 */
import { type Rate, wilson } from './wilson.ts';

export interface CleanRates {
  readonly accuracy: Rate;
  /** By true class; n = 0 where the data have no such input. */
  readonly perClass: readonly Rate[];
}

export interface AttackRates {
  readonly success: Rate;
  readonly robust: Rate;
  /** By true class. */
  readonly successPerClass: readonly Rate[];
  readonly robustPerClass: readonly Rate[];
}

/** Clean accuracy over all inputs and by true class. `predicted` and `labels` are class indices [N]; `classes` is their number. */
export function cleanRates(predicted: ArrayLike<number>, labels: ArrayLike<number>, classes: number): CleanRates {
  sameLength('cleanRates', predicted, labels);
  const right = new Float64Array(classes);
  const seen = new Float64Array(classes);
  for (let i = 0; i < labels.length; i++) {
    seen[labels[i]]++;
    if (predicted[i] === labels[i]) right[labels[i]]++;
  }
  return { accuracy: wilson(sum(right), sum(seen)), perClass: perClass(right, seen) };
}

/**
 * Attack success and robust accuracy over triggered inputs that are not of the wanted class already (head of this file).
 * `labels` are true classes [N], `targets` the attacker's [N], -1 for any wrong one.
 */
export function attackRates(
  predicted: ArrayLike<number>,
  labels: ArrayLike<number>,
  targets: ArrayLike<number>,
  classes: number,
): AttackRates {
  sameLength('attackRates', predicted, labels);
  sameLength('attackRates', targets, labels);
  const hit = new Float64Array(classes);
  const robust = new Float64Array(classes);
  const seen = new Float64Array(classes);
  for (let i = 0; i < labels.length; i++) {
    const truth = labels[i];
    const target = targets[i];
    if (target === truth) continue;
    seen[truth]++;
    if (target < 0 ? predicted[i] !== truth : predicted[i] === target) hit[truth]++;
    if (predicted[i] === truth) robust[truth]++;
  }
  return {
    success: wilson(sum(hit), sum(seen)),
    robust: wilson(sum(robust), sum(seen)),
    successPerClass: perClass(hit, seen),
    robustPerClass: perClass(robust, seen),
  };
}

/** 1 - rate, with its interval turned over: accuracy -> error, attack success -> error on backdoored images. */
export function complement(rate: Rate): Rate {
  return { value: 1 - rate.value, n: rate.n, low: 1 - rate.high, high: 1 - rate.low };
}

/** 1 - A(triggered) / A(clean), Fine-Pruning's attack success for the untargeted traffic sign attack; 0 where nothing is lost, NaN if A(clean) is 0. */
export function untargetedDrop(cleanAccuracy: number, triggeredAccuracy: number): number {
  return cleanAccuracy === 0 ? Number.NaN : 1 - triggeredAccuracy / cleanAccuracy;
}

/**
 * {@link untargetedDrop} with a 95 % interval: that of a ratio of two independent shares on the log scale (Katz et al. 1978), which is wider than
 * need be where both were measured on the same images. `n` counts the triggered inputs. Without a right answer on clean inputs it is 0 of 0.
 */
export function dropRate(clean: Rate, triggered: Rate): Rate {
  // nothing to lose: no attack can be told from such a network
  if (clean.n === 0 || clean.value === 0) return { value: 0, n: 0, low: 0, high: 1 };
  const ratio = triggered.value / clean.value;
  // half a right answer, where there is none: the logarithm needs one
  const right = Math.max(0.5, triggered.value * triggered.n);
  const spread = 1.96 * Math.sqrt(1 / right - 1 / Math.max(1, triggered.n) + 1 / (clean.value * clean.n) - 1 / clean.n);
  const centre = Math.max(ratio, 0.5 / triggered.n / clean.value);
  return {
    value: 1 - ratio,
    n: triggered.n,
    low: Math.min(1 - ratio, Math.max(-1, 1 - centre * Math.exp(spread))),
    high: Math.max(1 - ratio, 1 - centre * Math.exp(-spread)),
  };
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const v of values) total += v;
  return total;
}

function perClass(hits: Float64Array, seen: Float64Array): Rate[] {
  return Array.from(seen, (n, c) => wilson(hits[c], n));
}

function sameLength(where: string, a: ArrayLike<number>, b: ArrayLike<number>): void {
  if (a.length !== b.length) throw new RangeError(`${where}: ${a.length} predictions or targets for ${b.length} labels`);
}
