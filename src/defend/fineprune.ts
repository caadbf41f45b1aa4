/** Fine-pruning (Liu, Dolan-Gavitt, Garg 2018, section 4.3): prune, then fine-tune what is left, with the cut channels kept cut. */
import type { Dataset } from '../data/dataset.ts';
import { chooseLayer } from '../inspect/layers.ts';
import type { Model } from '../onnx/model.ts';
import { compactChannels } from '../onnx/passes/compact-channels.ts';
import { probe } from '../runtime/probe.ts';
import type { Runtime } from '../runtime/session.ts';
import { checkCompactable } from './compact.ts';
import { type FinetuneOptions, type FinetuneResult, finetune, leftToTrain } from './finetune.ts';
import { type PruneOptions, type PruneResult, prune } from './prune.ts';

export interface FinepruneResult {
  readonly model: Model;
  /** The pruning step; its model is the one before fine-tuning. */
  readonly pruned: PruneResult;
  readonly history: FinetuneResult['history'];
}

/** Prunes and fine-tunes on the same clean validation data. Throws SecateurError as {@link prune} and {@link finetune} do. */
export async function fineprune(
  runtime: Runtime,
  model: Model,
  validation: Dataset<'validation'>,
  options: { readonly prune?: PruneOptions; readonly finetune?: FinetuneOptions; readonly spec?: PruneOptions['spec'] } = {},
): Promise<FinepruneResult> {
  const { spec } = options;
  // Said before the work is done, not after.
  leftToTrain(model, options.finetune?.freezeBefore);
  if (options.prune?.compact === true) {
    const types = await probe(runtime, model, { batch: 2 });
    checkCompactable(model, types, chooseLayer(model, types, options.prune.layer).point);
  }
  // The channels leave the file only at the end: a model whose file shrank in between would be harder to compare with the suspect one.
  const pruned = await prune(runtime, model, validation, { spec, ...options.prune, compact: false });
  const { model: tuned, history } = await finetune(runtime, pruned.model, validation, { spec, ...options.finetune });
  const { point, cut } = pruned;
  const small = options.prune?.compact === true && cut.length > 0 && cut.length < point.channels;
  return { model: small ? compactChannels(tuned, point, cut).model : tuned, pruned, history };
}
