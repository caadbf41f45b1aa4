/** `secateur fineprune --variant NAME`: another implementation's fine-pruning, as its authors have it. */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import type { Dataset } from '../data/dataset.ts';
import { finepruneVariant, VARIANTS, type VariantSettings, variantNamed } from '../defend/variants/registry.ts';
import type { Table } from '../evaluate/result.ts';
import type { Model } from '../onnx/model.ts';
import type { SpecOverrides } from '../onnx/spec.ts';
import type { Context } from './command.node.ts';
import { change, finetuneFields, finetuneOptions, type pruneFields } from './defend.node.ts';
import { kebab } from './options.node.ts';
import { historyPoints } from './training.node.ts';
import type { Findings, Work } from './work.node.ts';

const names = VARIANTS.map((v) => v.name) as [string, ...string[]];

export const variantFields = {
  variant: z
    .enum(names)
    .default('paper')
    .meta({ description: 'whose fine-pruning, as its authors have it, but on the validation images', placeholder: 'NAME' }),
  count: z.number().int().min(0).optional().meta({ description: 'channels to cut, with --variant authors' }),
  rate: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .meta({ description: 'share of the channels to cut, with --variant backdoorbox', placeholder: 'SHARE' }),
};

type Fields = typeof variantFields & typeof pruneFields & typeof finetuneFields;
type Options = z.output<z.ZodObject<Fields>>;

/**
 * What of the flags is for the variant; undefined for the paper's, which `fineprune` itself does.
 * @throws SecateurError (exit code 2) for a flag that would have no effect
 */
export function variantSettings({ given }: Pick<Context, 'given'>, o: Options): VariantSettings | undefined {
  const variant = variantNamed(o.variant);
  const idle = (key: string, hint: string): never =>
    fail({ where: `--${kebab(key)}`, what: `has no effect on --variant ${variant.name}`, hint, exitCode: 2 });
  for (const key of ['layer', 'threshold', 'count', 'rate'] as const) {
    const others = VARIANTS.filter((v) => v.takes.includes(key)).map((v) => v.name);
    if (given.has(key) && !variant.takes.includes(key)) idle(key, `--variant ${others.join(' or ')}`);
  }
  if (variant.name === 'paper') return undefined;
  if (o.compact) idle('compact', '--variant paper, which cuts whole channels');
  const training = variant.tunes ? undefined : Object.keys(finetuneFields).find((key) => given.has(key));
  if (training !== undefined) idle(training, 'a variant that fine-tunes; this one prunes only');
  return { layer: o.layer, threshold: given.has('threshold') ? o.threshold : undefined, count: o.count, rate: o.rate };
}

/** Prunes and fine-tunes, and says how it went on the validation images. */
export async function runVariant(
  context: Context,
  work: Work,
  {
    model,
    restore,
    validation,
    spec,
  }: Pick<Findings, 'restore'> & { model: Model; validation: Dataset<'validation'>; spec: SpecOverrides },
  o: Options,
  settings: VariantSettings,
): Promise<Findings> {
  const { variant } = o;
  const result = await work.step('fine-pruning', async () =>
    finepruneVariant(await work.runtime(), model, validation, { ...settings, variant, spec, finetune: finetuneOptions(o, context) }),
  );
  const { start, pruned, end } = result.validation;
  const n = validation.count;
  const { tunes, title, how } = result.variant;
  const stages: Table = {
    name: 'fine-pruning',
    unit: 'rate',
    cells: [
      { row: 'before', column: 'validation accuracy', value: start, n },
      { row: 'pruned', column: 'validation accuracy', value: pruned, n },
      ...(tunes ? [{ row: 'fine-tuned', column: 'validation accuracy', value: end, n }] : []),
    ],
    notes: [
      `${title}: ${how}.`,
      ...result.notes.map((note) => `Note: ${note}.`),
      `On the images that it was pruned ${tunes ? 'and fine-tuned ' : ''}on: what it is worth is for secateur evaluate to say.`,
    ],
  };
  return {
    line: `${result.what}${tunes ? ', fine-tuned' : ''} (${title})  validation ${change(start, end)}  seed ${o.seed}`,
    tables: [stages],
    model: result.model,
    restore,
    metrics: result.history,
    media: { title: 'Fine-pruning', histories: tunes ? [historyPoints('fine-tuned', result.history)] : [] },
    json: { variant, cut: result.cut, of: result.of, notes: result.notes },
  };
}
