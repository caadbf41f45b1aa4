/** Variants of fine-pruning by name, each as its authors have it (read in their public source), but never on test data. */
import { fail } from '../../core/errors.ts';
import { nearest } from '../../core/suggest.ts';
import type { Dataset } from '../../data/dataset.ts';
import { predict } from '../../data/forward.ts';
import { cloneModel } from '../../onnx/edit.ts';
import type { Model } from '../../onnx/model.ts';
import { constantsToInitializers } from '../../onnx/passes/constants-to-initializers.ts';
import type { SpecOverrides } from '../../onnx/spec.ts';
import { probe } from '../../runtime/probe.ts';
import type { Runtime } from '../../runtime/session.ts';
import { type FinetuneOptions, type FinetuneResult, finetune, leftToTrain } from '../finetune.ts';
import { authors } from './authors.ts';
import { backdoorToolbox } from './backdoor-toolbox.ts';
import { backdoorbench } from './backdoorbench.ts';
import { backdoorbox } from './backdoorbox.ts';
import { paper } from './paper.ts';
import { trojanzoo } from './trojanzoo.ts';
import type { Variant, VariantSettings } from './variant.ts';

export type { Variant, VariantSetting, VariantSettings } from './variant.ts';

export const VARIANTS: readonly Variant[] = [paper, authors, backdoorbench, trojanzoo, backdoorbox, backdoorToolbox];

/** Throws SecateurError (exit code 2) for a name that is not there. */
export function variantNamed(name: string): Variant {
  const found = VARIANTS.find((v) => v.name === name);
  if (found !== undefined) return found;
  const names = VARIANTS.map((v) => v.name);
  const close = nearest(name, names);
  return fail({
    where: '--variant',
    what: `no variant "${name}"`,
    expected: `one of ${names.join(', ')}`,
    hint: close === undefined ? undefined : `--variant ${close}`,
    exitCode: 2,
  });
}

export interface VariantOptions extends VariantSettings {
  /** Default `paper`. */
  readonly variant?: string;
  /** The same for all that fine-tune, so that they can be compared; their own settings are in their descriptions. */
  readonly finetune?: FinetuneOptions;
  readonly spec?: SpecOverrides;
}

export interface VariantResult {
  readonly variant: Variant;
  readonly model: Model;
  /** Before fine-tuning; `model` itself where there is none. */
  readonly pruned: Model;
  /** `cut 48 of 60 channels of conv3`. */
  readonly what: string;
  /** Numbers of the channels or columns, weakest first. */
  readonly cut: readonly number[];
  readonly of: number;
  /** Accuracy on the validation images, 0..1: of the network given, pruned, and at the end. */
  readonly validation: { readonly start: number; readonly pruned: number; readonly end: number };
  readonly history: FinetuneResult['history'];
  readonly notes: readonly string[];
}

/**
 * Prunes as the variant has it, and fine-tunes if it does. The given model stays as it is.
 * @throws SecateurError (exit code 2) for a variant that is not there or a setting that it does not take; where the network lacks what it prunes
 */
export async function finepruneVariant(
  runtime: Runtime,
  model: Model,
  validation: Dataset<'validation'>,
  options: VariantOptions = {},
): Promise<VariantResult> {
  const { variant: name = 'paper', finetune: tuning, spec, layer, threshold, count, rate } = options;
  const variant = variantNamed(name);
  const settings: VariantSettings = { layer, threshold, count, rate };
  for (const key of ['layer', 'threshold', 'count', 'rate'] as const) {
    if (settings[key] === undefined || variant.takes.includes(key)) continue;
    const takes = variant.takes.join(', ');
    fail({
      where: `variant ${name}`,
      what: `takes no ${key}`,
      expected: `at most ${takes}`,
      hint: `--variant ${name} without it`,
      exitCode: 2,
    });
  }
  // Said before the work is done, not after.
  if (variant.tunes) leftToTrain(model, tuning?.freezeBefore);
  const stored = cloneModel(model);
  constantsToInitializers.run(stored);
  const types = await probe(runtime, stored, { batch: 2 });
  const accuracy = async (m: Model): Promise<number> => {
    const { labels } = await predict(runtime, m, validation, { spec });
    return labels.reduce((right, label, i) => right + (label === validation.labels[i] ? 1 : 0), 0) / validation.count;
  };
  const found = await variant.prune({ runtime, model: stored, types, validation, spec, settings, accuracy });
  const pruned = await accuracy(found.model);
  const tuned = variant.tunes ? await finetune(runtime, found.model, validation, { spec, ...tuning, masks: found.masks }) : undefined;
  const end = tuned === undefined ? found.model : tuned.model;
  return {
    variant,
    model: end,
    pruned: found.model,
    what: `cut ${found.cut.length} of ${found.count} ${found.of}`,
    cut: found.cut,
    of: found.count,
    validation: { start: found.start, pruned, end: tuned === undefined ? pruned : await accuracy(end) },
    history: tuned?.history ?? [],
    notes: found.notes,
  };
}
