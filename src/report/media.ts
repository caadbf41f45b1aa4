/**
 * What a recipe hands to the report beside `result.json`: pictures, activations, curves of training, words. JSON-able as it is: a run
 * folder holds it as `media.json`, so `secateur report RUN_FOLDER` can draw the page again. Every part may be missing; the page
 * leaves its section out.
 *
 * What the tables of `result.json` must look like to be drawn as charts and not only as tables (`docs/report.md` says it again):
 *   per-class error      rows: classes, then `average`;  columns: `baseline clean`, `pattern clean`, `pattern backdoor`, ...
 *   poison fraction      rows: `10 %`, `33 %`, `50 %`;   columns: `pattern clean error`, `pattern backdoor error`, ...
 *   pruning curve        rows: channels cut, `0`, `1`, ...; columns: `<attack> clean accuracy`, `<attack> attack success`
 *   pruning curve: face  the same for one of several networks, only shown as a table
 *   defences             rows: `none`, `fine-tune`, `prune`, `fine-prune`, `from scratch`; columns as in the pruning curve
 *   clean-model control  rows as in defences;            columns: `clean accuracy`, `attack success`
 *   table 1              rows: `face clean accuracy`, `face attack success`, ...;  columns: `baseline none`, `baseline fine-tune`,
 *                        `baseline fine-prune`, `pruning-aware none`, ...
 *   transfer by class    rows: classes, then `average`;  columns: `<network> clean accuracy`, `<network> triggered accuracy`
 *   strength             rows: `1`, `10`, ... (k);       columns: `clean accuracy`, `triggered accuracy`
 *   re-learning          rows: images trained on;        columns: `<network> attack success`, ...
 *   variants             rows: names of variants;        columns as in the pruning curve
 * `<attack>` is free text (`baseline`, `pruning-aware`); `robust accuracy` and `validation accuracy` are understood too. Where one table
 * holds several networks, the network stands first: `face baseline attack success`.
 * Tables with other names are drawn as plain tables.
 *
 * Curves that are no table go into `charts`. A section of the page is made of all charts with one `group`; a table of the same name
 * (`strength`, `re-learning`, `pruning curve`, or any other) is shown under them in the same section. In short:
 *   substitutes: ['Yale B instead of YouTube Faces: 28 people, not 1,283.']
 *   claims: [{ claim: 'Fine-tuning alone does not remove the backdoor.', source: 'Fine-Pruning, section 4', verdict: 'holds in part',
 *              says: 'Success stays at 61 % for speech and falls to 2 % for faces.', parts: [{ name: 'face', verdict: 'does not hold' }] }]
 *   phases: [{ attack: 'baseline', phases: [{ name: 'neither', from: 0, to: 21 }, { name: 'backdoor', from: 21, to: 38 }] }]
 *   charts: [{ id: 'strength', group: 'Strength', title: 'Accuracy by strength k', xTitle: 'k', xScale: 'log', yTitle: 'accuracy, %',
 *              yUnit: 'rate', series: [{ label: 'clean', tone: 'clean', points: [{ x: 1, y: 0.75, paper: 0.749 }] }] }]
 */
import { z } from 'zod';
import { toBase64 } from '../data/base64.ts';
import { SupplyChain } from './supply-chain-media.ts';

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

/** Where the phases of a pruning curve lie, drawn as bands behind it. */
export const PruningPhases = z.object({
  /** The `<attack>` of the columns of the `pruning curve`, as in a {@link PruningStop}. */
  attack: z.string(),
  /** `from` and `to` in channels cut, like the rows of the table. */
  phases: z.array(z.object({ name: z.string(), from: z.number().nonnegative(), to: z.number().nonnegative() })),
  /** The rule that tells the phases apart, in words and numbers. */
  rule: z.string().optional(),
});
export type PruningPhases = z.infer<typeof PruningPhases>;

/** Whether what a paper says holds on these data. */
export const ClaimVerdict = z.enum(['holds', 'holds in part', 'does not hold', 'not tested']);
export type ClaimVerdict = z.infer<typeof ClaimVerdict>;

/** One statement of a paper or of the lecture, and what this run says of it. */
export const Claim = z.object({
  /** The statement in one plain sentence. */
  claim: z.string(),
  /** Where it is made: `Fine-Pruning, Table 1`. */
  source: z.string(),
  verdict: ClaimVerdict,
  /** The measured numbers that the verdict rests on, in a sentence or two. */
  says: z.string(),
  /** The verdict for each network or data set, where they differ. */
  parts: z.array(z.object({ name: z.string(), verdict: ClaimVerdict })).optional(),
  /** A control of ours that no paper asks for: set apart on the page, and not counted among the claims. */
  own: z.boolean().optional(),
});
export type Claim = z.infer<typeof Claim>;

/** Blue is clean and orange triggered, on the whole page; the others have no meaning of their own. */
export const ChartTone = z.enum(['clean', 'triggered', 'robust', 'validation', 'other', 'neutral']);
export type ChartTone = z.infer<typeof ChartTone>;

/** One curve of a {@link LineFigure}. */
export const ChartSeries = z.object({
  /** Written beside the curve: two or three words. Unique in the chart. */
  label: z.string(),
  tone: ChartTone,
  dashed: z.boolean().optional(),
  points: z.array(
    z.object({
      x: z.number(),
      y: z.number(),
      /** 95 % interval. */
      low: z.number().optional(),
      high: z.number().optional(),
      /** The paper's number at this x: a diamond. */
      paper: z.number().optional(),
    }),
  ),
});
export type ChartSeries = z.infer<typeof ChartSeries>;

/** A line chart of any content; its numbers are put in a table below it by the page. Two to four curves can be read. */
export const LineFigure = z
  .object({
    /** Unique among the charts of the page. */
    id: z.string().regex(/^[a-z][a-z0-9-]*$/, 'small letters, digits and hyphens'),
    title: z.string(),
    /** The section that it stands in: all charts with one `group` make one section of that title. */
    group: z.string(),
    /** What is seen, in a sentence or two below the chart. */
    caption: z.string().optional(),
    /** With its unit: `share of channels cut, %`. */
    xTitle: z.string(),
    /** `log` only where every x is above 0. */
    xScale: z.enum(['linear', 'log']).optional(),
    /** `rate`: x is 0..1 and written in percent. */
    xUnit: z.enum(['rate', 'number']).optional(),
    yTitle: z.string(),
    /** `rate`: y is 0..1 (a difference of rates may be below 0), written in percent, and the axis goes up to 100 %. */
    yUnit: z.enum(['rate', 'number']),
    series: z.array(ChartSeries),
    /** Upright lines with a text: where something stopped. */
    stops: z.array(z.object({ x: z.number(), label: z.string() })).optional(),
    /** Stretches of the x axis with a name: phases. */
    bands: z.array(z.object({ from: z.number(), to: z.number(), label: z.string() })).optional(),
    /** Level lines with a text: a threshold, chance, another network. */
    references: z.array(z.object({ y: z.number(), label: z.string(), tone: ChartTone })).optional(),
  })
  .refine((c) => c.xScale !== 'log' || c.series.every((s) => s.points.every((p) => p.x > 0)), {
    message: 'every x above 0 where xScale is log',
    path: ['series'],
  });
export type LineFigure = z.infer<typeof LineFigure>;

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
  'claims',
  'substitutes',
  'table-1',
  'data',
  'per-class',
  'fraction',
  'filters',
  'neurons',
  'pruning',
  'defences',
  'variants',
  'control',
  're-learning',
  'transfer',
  'strength',
  'movement',
  'supply-chain',
  'supply-readmes',
  'supply-practices',
  'supply-facts',
  'training',
  'provenance',
]);
export type SectionId = z.infer<typeof SectionId>;

export const ReportMedia = z.object({
  title: z.string().optional(),
  /** What was done and what came out, in one line. */
  headline: z.string().optional(),
  verdicts: z.array(Verdict).optional(),
  /** What a paper says and whether it holds here: a section of its own at the top of the page. */
  claims: z.array(Claim).optional(),
  /** What stands in for what the papers used, one sentence each: a loud box near the top of the page. */
  substitutes: z.array(z.string()).optional(),
  /** Paragraphs that open a section, in plain text. */
  captions: z.partialRecord(SectionId, z.array(z.string())).optional(),
  data: z.array(DataSetFacts).optional(),
  triggers: z.array(TriggerPictures).optional(),
  /** Clean model first, so that the eye compares from left to right. */
  filters: z.array(FilterPictures).optional(),
  activations: z.array(ChannelActivations).optional(),
  maps: z.array(ActivationMaps).optional(),
  stops: z.array(PruningStop).optional(),
  phases: z.array(PruningPhases).optional(),
  charts: z
    .array(LineFigure)
    .refine((charts) => new Set(charts.map((c) => c.id)).size === charts.length, { message: 'each chart with an id of its own' })
    .optional(),
  histories: z.array(History).optional(),
  /** Who ends up with which of several published networks: sections of their own at the top of the page. */
  supplyChain: SupplyChain.optional(),
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
