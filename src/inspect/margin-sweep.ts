/** How small a margin the pruning-aware attack can take before the dead-channel check no longer sees it. */
import { type AttackerData, deprune, type PrunedBadnet } from '../attack/pruning-aware.ts';
import type { BiasRule } from '../attack/reinstate.ts';
import type { Dataset } from '../data/dataset.ts';
import type { Model } from '../onnx/model.ts';
import type { Runtime } from '../runtime/session.ts';
import { asleep, type SleepOptions } from './asleep.ts';

export interface SleepFigures {
  /** Channels of the layer that no clean image of the defender's wakes. */
  readonly asleep: number;
  /** Of them, those beyond the threshold: what the check tells. */
  readonly beyond: number;
  /** The largest gap of the layer's silent channels, on their own scale; 0 where all are awake. */
  readonly largest: number;
}

export interface MarginStep extends SleepFigures {
  /** In units of the pre-activation; undefined for the paper's rule. */
  readonly margin: number | undefined;
  /** Re-instated channels whose bias had to be lowered. */
  readonly lowered: number;
}

export interface MarginSweep {
  readonly layer: string;
  /** Channels of the layer. */
  readonly of: number;
  readonly threshold: number;
  /** The attacker's own clean network, for what is usual. */
  readonly clean: SleepFigures;
  readonly paper: MarginStep;
  /** In the order asked for. */
  readonly margins: readonly MarginStep[];
  /** The smallest of the margins from which on all are caught; undefined where the largest is not. */
  readonly smallestCaught: number | undefined;
}

/**
 * Step 4 of the attack for each of `margins` and for the paper's rule, and the check on each with the defender's clean images.
 * @param clean the network of step 1, `step3` what the attack made of it, `data` the attacker's
 * @throws SecateurError as `deprune` and `asleep` do
 */
export async function marginSweep(
  runtime: Runtime,
  clean: Model,
  step3: PrunedBadnet,
  data: AttackerData,
  defender: Dataset,
  margins: readonly number[],
  options: Omit<SleepOptions, 'layer'> = {},
): Promise<MarginSweep> {
  const { layer } = step3;
  const look = async (model: Model): Promise<SleepFigures & { of: number; threshold: number }> => {
    const report = await asleep(runtime, model, defender, { ...options, layer });
    const gaps = report.layers[0].channels.map((c) => c.gap).filter((gap) => gap > 0);
    return {
      asleep: report.asleep,
      beyond: report.beyond.length,
      largest: Math.max(0, ...gaps),
      of: report.channels,
      threshold: report.threshold,
    };
  };
  const step = async (bias: BiasRule): Promise<MarginStep> => {
    const { model, lowered } = await deprune(runtime, clean, step3, data, bias);
    const { asleep: silent, beyond, largest } = await look(model);
    return {
      margin: bias.rule === 'margin' ? bias.margin : undefined,
      lowered: lowered.filter((by) => by > 0).length,
      ...{ asleep: silent, beyond, largest },
    };
  };
  const { of, threshold, ...usual } = await look(clean);
  const paper = await step({ rule: 'paper', value: -1e20 });
  const tried: MarginStep[] = [];
  for (const margin of margins) tried.push(await step({ rule: 'margin', margin }));
  const rising = tried.toSorted((a, b) => (a.margin ?? 0) - (b.margin ?? 0));
  const missed = rising.findLastIndex((s) => s.beyond === 0);
  return { layer, of, threshold, clean: usual, paper, margins: tried, smallestCaught: rising[missed + 1]?.margin };
}
