/**
 * What a recipe hands to the report beside `result.json`: pictures, activations, curves of training, words. JSON-able as it is: a run
 * folder holds it as `media.json`, so `secateur report RUN_FOLDER` can draw the page again. Every part may be missing; the page
 * leaves its section out.
 *
 * What the tables of `result.json` must look like to be drawn as charts and not only as tables (`docs/report.md` says it again):
 *   per-class error      rows: classes, then `average`;  columns: `baseline clean`, `pattern clean`, `pattern backdoor`, ...
 *   poison fraction      rows: `10 %`, `33 %`, `50 %`;   columns: `pattern clean error`, `pattern backdoor error`, ...
 *   pruning curve        rows: channels cut, `0`, `1`, ...; columns: `<attack> clean accuracy`, `<attack> attack success`
 *   defences             rows: `none`, `fine-tune`, `prune`, `fine-prune`, `from scratch`; columns as in the pruning curve
 *   clean-model control  rows as in defences;            columns: `clean accuracy`, `attack success`
 * `<attack>` is free text (`baseline`, `pruning-aware`); `robust accuracy` and `validation accuracy` are understood too.
 * Tables with other names are drawn as plain tables.
 */
import { z } from 'zod';
import { toBase64 } from '../data/base64.ts';

/** A small picture: bytes 0..255, `[H,W,C]` row-major, base64. */
export const Picture = z.object({
  width: z.number().int().positive(),
  height: z.number().int().positive(),
  channels: z.union([z.literal(1), z.literal(3), z.literal(4)]),
  pixels: z.base64(),
});
export type Picture = z.infer<typeof Picture>;

/** Sample images of one trigger; the difference is computed by the page. Three to eight samples look best. */
export const TriggerPictures = z.object({
  /** As in the tables' columns: `pattern`, `pixel`. */
  name: z.string(),
  caption: z.string().optional(),
  samples: z.array(
    z.object({
      clean: Picture,
      triggered: Picture,
      /** True class. */
      label: z.string(),
      /** What the attacker wants it taken for. */
      target: z.string().optional(),
      /** What the backdoored model says of the clean and of the triggered image. */
      cleanPrediction: z.string().optional(),
      triggeredPrediction: z.string().optional(),
    }),
  ),
});
export type TriggerPictures = z.infer<typeof TriggerPictures>;

/** Kernels of a model's first layer, averaged or summed over input channels where there are several. */
export const FilterPictures = z.object({
  model: z.string(),
  layer: z.string(),
  count: z.number().int().positive(),
  height: z.number().int().positive(),
  width: z.number().int().positive(),
  /** `[K,kh,kw]` row-major. */
  weights: z.array(z.number()),
  /** Indices of filters dedicated to the trigger; empty for a clean model, and where nobody looked. */
  dedicated: z.array(z.number().int().nonnegative()),
  caption: z.string().optional(),
});
export type FilterPictures = z.infer<typeof FilterPictures>;

/** Mean feature maps of a layer over the clean and over the triggered inputs; the difference is computed by the page. */
export const ActivationMaps = z.object({
  model: z.string(),
  layer: z.string(),
  height: z.number().int().positive(),
  width: z.number().int().positive(),
  /** Channel numbers of the maps below, in their order; need not be all channels of the layer. */
  channels: z.array(z.number().int().nonnegative()),
  /** `[channels.length,h,w]` row-major. */
  clean: z.array(z.number()),
  triggered: z.array(z.number()),
  /** Channel numbers of the backdoor neurons among `channels`. */
  backdoor: z.array(z.number().int().nonnegative()),
  /** Inputs averaged over. */
  n: z.number().int().positive().optional(),
  caption: z.string().optional(),
});
export type ActivationMaps = z.infer<typeof ActivationMaps>;

/** Mean activation of every channel of a layer, clean against triggered. */
export const ChannelActivations = z.object({
  model: z.string(),
  layer: z.string(),
  channels: z.array(
    z.object({
      channel: z.number().int().nonnegative(),
      clean: z.number(),
      triggered: z.number(),
      backdoor: z.boolean(),
      dormant: z.boolean(),
    }),
  ),
  /** The rule that calls a neuron a backdoor neuron or a dormant one, in words and numbers. */
  rule: z.string(),
  /** Clean inputs averaged over (as many triggered ones). */
  n: z.number().int().positive().optional(),
  caption: z.string().optional(),
});
export type ChannelActivations = z.infer<typeof ChannelActivations>;

/** Where pruning stopped, to be marked on the `pruning curve`. */
export const PruningStop = z.object({
  /** The `<attack>` of the table's columns: `baseline`, `pruning-aware`, `clean model`. */
  attack: z.string(),
  /** Channels cut when it stopped: a row of the table. */
  cut: z.number().int().nonnegative(),
  of: z.number().int().positive(),
  layer: z.string().optional(),
  /** Largest fall of validation accuracy allowed, 0..1. */
  threshold: z.number().optional(),
  /** Backdoor neurons cut, and how many there were. */
  backdoorCut: z.number().int().nonnegative().optional(),
  backdoorTotal: z.number().int().nonnegative().optional(),
});
export type PruningStop = z.infer<typeof PruningStop>;

/** How a model was trained: one point an epoch. */
export const History = z.object({
  model: z.string(),
  points: z.array(
    z.object({
      epoch: z.number(),
      /** `loss`, `clean accuracy`, `attack success`, ...: names with `accuracy`, `success` or `error` are rates 0..1. */
      values: z.record(z.string(), z.number()),
    }),
  ),
});
export type History = z.infer<typeof History>;

/** One set of images that took part. */
export const DataSetFacts = z.object({
  /** `train`, `defender's validation`, `test`, ... */
  role: z.string(),
  source: z.string(),
  count: z.number().int().nonnegative(),
  /** Of `count`, images that carry the trigger. */
  poisoned: z.number().int().nonnegative().optional(),
  sha256: z.string().optional(),
});
export type DataSetFacts = z.infer<typeof DataSetFacts>;

/** A tile at the top of the page. Where a recipe gives none, the page makes its own from the tables. */
export const Verdict = z.object({
  /** `Attack success after fine-pruning`. */
  label: z.string(),
  value: z.number(),
  unit: z.enum(['rate', 'count']),
  low: z.number().optional(),
  high: z.number().optional(),
  n: z.number().int().optional(),
  seeds: z.number().int().optional(),
  paper: z.number().optional(),
  /** Seen from the side of the model's user. */
  tone: z.enum(['good', 'bad', 'neutral']),
  /** A few words: `the backdoor is gone`. */
  says: z.string().optional(),
});
export type Verdict = z.infer<typeof Verdict>;

/** Where a caption goes. */
export const SectionId = z.enum([
  'data',
  'per-class',
  'fraction',
  'filters',
  'neurons',
  'pruning',
  'defences',
  'control',
  'movement',
  'training',
  'provenance',
]);
export type SectionId = z.infer<typeof SectionId>;

export const ReportMedia = z.object({
  title: z.string().optional(),
  /** What was done and what came out, in one line. */
  headline: z.string().optional(),
  verdicts: z.array(Verdict).optional(),
  /** Paragraphs that open a section, in plain text. */
  captions: z.partialRecord(SectionId, z.array(z.string())).optional(),
  data: z.array(DataSetFacts).optional(),
  triggers: z.array(TriggerPictures).optional(),
  /** Clean model first, so that the eye compares from left to right. */
  filters: z.array(FilterPictures).optional(),
  activations: z.array(ChannelActivations).optional(),
  maps: z.array(ActivationMaps).optional(),
  stops: z.array(PruningStop).optional(),
  histories: z.array(History).optional(),
});
export type ReportMedia = z.infer<typeof ReportMedia>;

/**
 * Packs one image for the page.
 * @param pixels bytes `[C,H,W]`, as a `Dataset` holds them: pass a `subarray` of `C*H*W` bytes.
 */
export function pictureOf(pixels: Uint8Array, shape: { channels: number; height: number; width: number }): Picture {
  const { channels, height, width } = shape;
  const area = height * width;
  const kept = channels === 1 || channels === 3 || channels === 4 ? channels : 1;
  const out = new Uint8Array(area * kept); // [H,W,C]
  for (let c = 0; c < kept; c++) for (let i = 0; i < area; i++) out[i * kept + c] = pixels[c * area + i];
  return { width, height, channels: kept, pixels: toBase64(out) };
}

/** Floats as short numbers for `media.json`: `digits` significant digits, which is more than a picture shows. */
export function shortFloats(values: ArrayLike<number>, digits = 5): number[] {
  return Array.from(values, (v) => Number(v.toPrecision(digits)));
}
