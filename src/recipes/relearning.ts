/** How soon a backdoor is back after a defence, beside networks that never had it: the control that tells a cure from a mute. */
import { relearn } from '../attack/relearn.ts';
import type { Dataset } from '../data/dataset.ts';
import { subset } from '../data/make.ts';
import { figureCell } from '../evaluate/cells.ts';
import { Judge, type Judgement, type TriggeredTest } from '../evaluate/judge.ts';
import { overSeeds } from '../evaluate/over-seeds.ts';
import type { Table } from '../evaluate/result.ts';
import type { Model } from '../onnx/model.ts';
import { triggered } from '../poison/poison.ts';
import type { LineFigure } from '../report/media.ts';
import type { BenchSetup, Suspect } from './bench.ts';
import type { RunDeps } from './recipe.ts';

/** Clean images, poisoned copies that come on top, and how long the network is shown both. */
export interface RelearnScale {
  readonly images: number;
  readonly poisoned: number;
  readonly epochs: number;
  readonly learningRate: number;
}

/** Of one network: attack success and clean accuracy, both 0..1, after every epoch; `seen` counts the images trained on. */
export interface Relearnt {
  readonly name: string;
  readonly curve: readonly {
    readonly epoch: number;
    readonly seen: number;
    readonly value: { readonly attack: number; readonly clean: number };
  }[];
}

/** Test images that are judged after every epoch. */
const TEST = 600;

/**
 * Fine-pruned suspects, and the honest network as it was, are all shown the same few images.
 * @param suspects by name; `clean model` is the honest one, and one that was not defended is left out
 */
export async function relearnAll(
  deps: RunDeps,
  setup: BenchSetup & { readonly scale: { readonly relearn: RelearnScale } },
  suspects: Readonly<Record<string, Pick<Suspect, 'model' | 'finepruned'> | undefined>>,
  success: (judgement: Judgement) => number,
): Promise<Relearnt[]> {
  const { parts, test, attack, seed, scale } = setup;
  const few = sample(test, TEST);
  const judge = new Judge(deps.runtime, few, triggered(few, attack) as TriggeredTest);
  const subjects: [string, Model | undefined][] = Object.entries(suspects).map(([name, s]) => [`${name}, fine-pruned`, s?.finepruned]);
  subjects.push(['clean model', suspects['clean model']?.model]);
  const out: Relearnt[] = [];
  for (const [name, model] of subjects) {
    if (model === undefined) continue;
    const evaluate = async (now: Model): Promise<{ attack: number; clean: number }> => {
      const judgement = await judge.judge(now);
      return { attack: success(judgement), clean: judgement.clean.accuracy.value };
    };
    const { signal } = deps;
    out.push({ name, curve: await relearn(deps.runtime, model, parts.train, attack, { ...scale.relearn, seed, signal }, evaluate) });
  }
  return out;
}

/** Every so-many-th image, so that all classes and groups are among them. */
function sample(data: Dataset<'test'>, count: number): Dataset<'test'> {
  if (data.count <= count) return data;
  return subset(
    data,
    Array.from({ length: count }, (_, i) => Math.floor((i * data.count) / count)),
  );
}

const at = (seeds: readonly (readonly Relearnt[])[], name: string, step: number): number[] =>
  seeds.flatMap((s) => s.find((r) => r.name === name)?.curve[step]?.value.attack ?? []);

/** Rows: images seen; a column for each network. */
export function relearnTable(seeds: readonly (readonly Relearnt[])[], { images, poisoned }: RelearnScale): Table {
  const cells = seeds[0].flatMap(({ name, curve }) =>
    curve.map(({ seen }, step) => figureCell(String(seen), `${name} attack success`, at(seeds, name, step), { range: [0, 1] })),
  );
  const notes = [
    `Rows: images trained on since the defence. Each network is shown the same ${images} clean images and ${poisoned} poisoned ones; a cured network ` +
      'that learns the backdoor sooner than the honest one still had it in its weights.',
  ];
  return { name: 're-learning', unit: 'rate', cells, notes };
}

const TONES = ['triggered', 'other', 'robust', 'clean', 'neutral'] as const;

/** @param what `Face recognition`: in front of the title; `id` unique on the page */
export function relearnChart(seeds: readonly (readonly Relearnt[])[], id: string, what: string): LineFigure {
  return {
    id: `relearn-${id}`,
    group: 're-learning',
    title: `${what}: how soon the backdoor is learnt again`,
    xTitle: 'images trained on since the defence',
    yTitle: 'attack success, %',
    yUnit: 'rate',
    series: seeds[0].map(({ name, curve }, i) => ({
      label: name,
      tone: TONES[i % TONES.length],
      dashed: name === 'clean model',
      points: curve.map(({ seen }, step) => point(seen, at(seeds, name, step), [0, 1])),
    })),
  };
}

/** Mean and interval over seeds at one x. */
export function point(
  x: number,
  values: readonly number[],
  range: readonly [number, number],
): LineFigure['series'][number]['points'][number] {
  const { mean, low, high } = overSeeds(values, range);
  return { x, y: mean, ...(low === undefined ? {} : { low, high }) };
}
