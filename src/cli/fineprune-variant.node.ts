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
import { percent } from './output.node.ts';
import { historyPoints } from './training.node.ts';
import type { Findings, Work } from './work.node.ts';

const names = VARIANTS.map((v) => v.name) as [string, ...string[]];

/** `paper 0.04, backdoorbench 0.1`, of those that have a limit; or the names only of those whose limit is relative. */
const limitsOf = (relative = false): string =>
  VARIANTS.flatMap(({ name, limit }) =>
    limit === undefined || (relative && limit.of !== 'start') ? [] : `${name}${relative ? '' : ` ${limit.value}`}`,
  ).join(', ');

export const variantFields = {
  variant: z
    .enum(names)
    .default('paper')
    .meta({ description: 'whose fine-pruning, as its authors have it, but on the validation images', placeholder: 'NAME' }),
  // no default of its own in the schema: each variant has its limit
  threshold: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .meta({
      description: `stop when validation accuracy is more than this below its start (0.04: 4 points; with --variant ${limitsOf(true)} a share of the start); default by variant: ${limitsOf()}`,
      placeholder: 'SHARE',
    }),
  count: z.number().int().min(0).optional().meta({ description: 'channels to cut, with --variant authors' }),
  rate: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .meta({ description: 'share of the channels to cut, with --variant backdoorbox', placeholder: 'SHARE' }),
};

type Fields = typeof variantFields & Omit<typeof pruneFields, 'threshold'> & typeof finetuneFields;
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
  return { layer: o.layer, threshold: o.threshold, count: o.count, rate: o.rate };
}

/** The fall of validation accuracy that the variant accepts, 0..1; undefined for one that looks at none. */
export const limitUsed = (o: Pick<Options, 'variant' | 'threshold'>): number | undefined =>
  o.threshold ?? variantNamed(o.variant).limit?.value;

const limitSentence = (limit: number, relative: boolean): string =>
  `Limit of this run: validation accuracy falls by ${relative ? `${percent(limit, 1)} of its start` : `${(limit * 100).toFixed(1)} points`}.`;

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
  const limit = limitUsed(o);
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
      ...(limit === undefined ? [] : [limitSentence(limit, result.variant.limit?.of === 'start')]),
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
    json: { variant, ...(limit === undefined ? {} : { threshold: limit }), cut: result.cut, of: result.of, notes: result.notes },
  };
}
