/**
 * The pruning-aware attack (Liu, Dolan-Gavitt, Garg 2018, section 4.1), which makes a backdoor that pruning does not reach:
 *   1. train on clean data (the caller's, or given);
 *   2. prune the channels that are dormant on clean data; how many is a parameter of the attack;
 *   3. train the pruned network on poisoned data, so that clean work and backdoor share the channels that are left; if it cannot hold both,
 *      put the strongest pruned channel back and try again;
 *   4. re-instate the pruned channels with their clean weights, their biases lowered so far that they stay silent on clean inputs.
 * To the defender the re-instated channels look dormant, are cut first, and cutting them does nothing.
 */
import { fail } from '../core/errors.ts';
import { channelStatistics } from '../data/channel-statistics.ts';
import type { Dataset } from '../data/dataset.ts';
import { type CutPoint, cutPoints } from '../onnx/cut-points.ts';
import type { Model } from '../onnx/model.ts';
import { cutChannels } from '../onnx/passes/cut-channels.ts';
import { type PoisonOptions, poison, triggered } from '../poison/poison.ts';
import type { PoisonRecord } from '../poison/record.ts';
import { probe } from '../runtime/probe.ts';
import type { Runtime } from '../runtime/session.ts';
import type { EpochRecord } from '../train/checkpoint.ts';
import { train } from '../train/loop.ts';
import type { TrainOptions } from '../train/options.ts';
import { type Holding, measure } from './measure.ts';
import { type BiasRule, reinstate } from './reinstate.ts';

export interface PruningAwareOptions {
  /** The layer to hide in. */
  readonly layer: string;
  readonly attack: PoisonOptions;
  /** Channels to prune in step 2, at least 1 and fewer than the layer has. */
  readonly prune: number;
  /** What step 3 has to hold on the attacker's tuning data, both 0..1. */
  readonly hold: Holding;
  /** Channels put back after a round that does not hold; default 1. */
  readonly putBack?: number;
  /** Rounds of step 3 at most; default 4. The last one is kept even if it does not hold, and says so. */
  readonly rounds?: number;
  readonly training: TrainOptions;
  readonly onRound?: (round: Round) => void;
}

/** One try of step 3. */
export interface Round {
  /** From 1. */
  readonly round: number;
  readonly pruned: number;
  readonly reached: Holding;
  readonly holds: boolean;
}

export interface PrunedBadnet {
  /** The result of step 3: backdoored, with `pruned` channels still cut. */
  readonly model: Model;
  readonly layer: string;
  /** Channels that are pruned in it, weakest first. */
  readonly pruned: readonly number[];
  readonly rounds: readonly Round[];
  readonly holds: boolean;
  readonly record: PoisonRecord;
  readonly history: readonly EpochRecord[];
}

export interface AttackerData {
  readonly train: Dataset<'train'>;
  readonly tune: Dataset<'tune'>;
}

/**
 * Steps 2 and 3: from a clean network to a backdoored one without its dormant channels. Each round begins at the clean weights.
 * Throws SecateurError for a layer that cannot be cut, or a number of channels that leaves none.
 */
export async function trainPruned(runtime: Runtime, clean: Model, data: AttackerData, options: PruningAwareOptions): Promise<PrunedBadnet> {
  const point = await findPoint(runtime, clean, options.layer);
  const { attack, hold, training } = options;
  const rounds = options.rounds ?? 4;
  let count = options.prune;
  if (!Number.isInteger(count) || count < 1 || count >= point.channels) {
    fail({
      where: `attack: layer ${point.layer}`,
      what: 'number of channels to prune',
      expected: `1 to ${point.channels - 1}`,
      got: String(count),
      exitCode: 2,
    });
  }
  const statistics = (
    await channelStatistics(runtime, clean, data.train, [{ name: point.value, axis: point.axis, rank: point.dims.length }])
  ).get(point.value)!;
  const strength = point.rankBy === 'mean' ? statistics.mean : statistics.magnitude;
  const weakest = Array.from(strength.keys()).sort((a, b) => strength[a] - strength[b] || a - b);

  const poisoned = poison(data.train, attack);
  const probes = triggered(data.tune, attack) as ReturnType<typeof triggered> & { role: 'tune' };
  const tried: Round[] = [];
  for (;;) {
    const pruned = weakest.slice(0, count);
    const cut = cutChannels(clean, point, pruned);
    const { model, history } = await train(runtime, cut.model, poisoned, { ...training, masks: cut.masks });
    const reached = await measure(runtime, model, data.tune, probes);
    const holds = reached.cleanAccuracy >= hold.cleanAccuracy && reached.attackSuccess >= hold.attackSuccess;
    const round: Round = { round: tried.length + 1, pruned: count, reached, holds };
    tried.push(round);
    options.onRound?.(round);
    const next = count - (options.putBack ?? 1);
    if (holds || tried.length >= rounds || next < 1) {
      return { model, layer: point.layer, pruned, rounds: tried, holds, record: poisoned.record, history };
    }
    count = next;
  }
}

export interface PruningAwareResult extends PrunedBadnet {
  readonly bias: BiasRule;
  /** How far the bias of each of `pruned` was lowered; 0 where the channel was silent enough already. */
  readonly lowered: readonly number[];
}

/** Step 4: the network that is handed over. `clean` is the network of step 1, whose weights the pruned channels get back. */
export async function deprune(
  runtime: Runtime,
  clean: Model,
  step3: PrunedBadnet,
  data: AttackerData,
  bias: BiasRule,
): Promise<PruningAwareResult> {
  const point = await findPoint(runtime, clean, step3.layer);
  const { model, lowered } = await reinstate(runtime, step3.model, clean, point, step3.pruned, data.train, bias);
  return { ...step3, model, bias, lowered };
}

/** Steps 2 to 4. */
export async function pruningAware(
  runtime: Runtime,
  clean: Model,
  data: AttackerData,
  options: PruningAwareOptions & { readonly bias: BiasRule },
): Promise<PruningAwareResult> {
  return deprune(runtime, clean, await trainPruned(runtime, clean, data, options), data, options.bias);
}

async function findPoint(runtime: Runtime, model: Model, layer: string): Promise<CutPoint> {
  const { layers, leftOut } = cutPoints(model, await probe(runtime, model, { batch: 2 }));
  const point = layers.find((l) => l.layer === layer);
  const where = `attack: layer "${layer}"`;
  if (point === undefined) {
    const why = leftOut.find((l) => l.layer === layer)?.why;
    const expected = `one of ${layers.map((l) => l.layer).join(', ')}`;
    return fail({ where, what: why === undefined ? 'is not in the model' : `its channels cannot be cut: ${why}`, expected });
  }
  if (!point.zeroable) fail({ where, what: `its channels cannot be pruned by weights: ${point.notZeroable}`, hint: 'another layer' });
  return point;
}
