/** The outsourced-training attack of BadNets (Gu, Dolan-Gavitt, Garg 2017, section 3): honest training code, poisoned training data. */
import type { Dataset } from '../data/dataset.ts';
import type { Model } from '../onnx/model.ts';
import { type PoisonOptions, poison } from '../poison/poison.ts';
import type { PoisonRecord } from '../poison/record.ts';
import type { Runtime } from '../runtime/session.ts';
import type { EpochRecord } from '../train/checkpoint.ts';
import { train } from '../train/loop.ts';
import type { TrainOptions } from '../train/options.ts';

export interface BadnetResult {
  readonly model: Model;
  readonly history: readonly EpochRecord[];
  /** What was done to the data; enough to judge the attack. */
  readonly record: PoisonRecord;
}

/**
 * Poisons `clean` and trains `start` on it: a network with first weights, as the paper's attacker does, or a clean one to be turned.
 * Throws SecateurError as {@link poison} and {@link train} do.
 */
export async function badnet(
  runtime: Runtime,
  start: Model,
  clean: Dataset<'train'>,
  attack: PoisonOptions,
  training: TrainOptions,
): Promise<BadnetResult> {
  const data = poison(clean, attack);
  const { model, history } = await train(runtime, start, data, training);
  return { model, history, record: data.record };
}
