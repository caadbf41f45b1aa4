/**
 * One seed of the experiment behind both recipes: an honest network, BadNets, the pruning-aware attack, and every defence against each.
 * Everything that is drawn by chance (first weights, order, poisoned images, splits) comes from the seed.
 */
import type { Round } from '../attack/pruning-aware.ts';
import type { Dataset } from '../data/dataset.ts';
import { split } from '../data/split.ts';
import { Judge, type Judgement, type TriggeredTest } from '../evaluate/judge.ts';
import { type Comparison, compareActivations } from '../inspect/activations.ts';
import { cutPoints } from '../onnx/cut-points.ts';
import type { Model } from '../onnx/model.ts';
import { type PoisonOptions, triggered } from '../poison/poison.ts';
import { parseTrigger, type TriggerSpec } from '../poison/triggers/registry.ts';
import { probe } from '../runtime/probe.ts';
import type { EpochRecord } from '../train/checkpoint.ts';
import { Bench, DEFENCES, type Defence, type RateSweep, type Suspect } from './bench.ts';
import { type MadeModel, type RecipeDeps, Steps } from './recipe.ts';
import { type Relearnt, relearnAll } from './relearning.ts';
import type { Scale } from './scale.ts';

export type TriggerName = 'pattern' | 'pixel';
export const ALL_TO_ALL = { kind: 'all-to-all' } as const;
export { DEFENCES, type Defence, type Suspect };

export interface TrainedNet {
  readonly model: Model;
  readonly history: readonly EpochRecord[];
  readonly judgement: Judgement;
  /** Predicted classes of the clean and the triggered test inputs. */
  readonly predicted: { readonly clean: Int32Array; readonly attacked: Int32Array };
  /** First-layer activations on clean and on triggered test inputs. */
  readonly firstLayer: Comparison;
}

export interface SeedResult {
  readonly seed: number;
  /** Highest learning rate of the networks' training. */
  readonly peakRate: number;
  readonly parts: { readonly train: Dataset<'train'>; readonly validation: Dataset<'validation'>; readonly tune: Dataset<'tune'> };
  readonly test: Dataset<'test'>;
  readonly triggeredTest: Readonly<Record<TriggerName, TriggeredTest>>;
  readonly baseline: TrainedNet;
  /** What was done to the training data of the pattern BadNet. */
  readonly record: unknown;
  /** Of the largest fraction. */
  readonly badnets: { readonly pattern: TrainedNet; readonly pixel?: TrainedNet };
  /** Pattern trigger, by fraction, smallest first. */
  readonly fractions: readonly { readonly fraction: number; readonly net: TrainedNet }[];
  readonly suspects: readonly Suspect[];
  readonly scratch: Judgement;
  readonly relearnt: readonly Relearnt[];
  /** The baseline attack, fine-tuned and fine-pruned at several learning rates, smallest first. */
  readonly rates: RateSweep;
  readonly rounds: readonly Round[];
  readonly held: boolean;
}

export const TRIGGERS: Readonly<Record<TriggerName, TriggerSpec>> = {
  pattern: parseTrigger({ kind: 'pattern' }),
  pixel: parseTrigger({ kind: 'pixel' }),
};

/** Steps of one seed, for the progress line. */
export function stepsPerSeed(scale: Scale): number {
  const suspects = scale.pruningAware.bias.length + 2;
  // clean, perhaps pixel, a BadNet for each fraction, step 3, each bias rule, three defences and an examination for each suspect, scratch, re-learning, judging
  const rates = scale.otherRates.length * 2;
  return 1 + rates + (scale.pixel ? 1 : 0) + scale.fractions.length + 1 + scale.pruningAware.bias.length + suspects * 4 + 1 + 1 + 1;
}

/** All seeds, one after the other, on one list of steps. */
export async function runSeeds(deps: RecipeDeps, scale: Scale, seeds: readonly number[]): Promise<{ results: SeedResult[]; steps: Steps }> {
  const steps = new Steps(deps, stepsPerSeed(scale) * seeds.length);
  const results: SeedResult[] = [];
  for (const seed of seeds) results.push(await new SeedRun(deps, steps, scale, seed).run());
  return { results, steps };
}

class SeedRun {
  readonly #deps: RecipeDeps;
  readonly #steps: Steps;
  readonly #scale: Scale;
  readonly #seed: number;
  readonly #triggered: SeedResult['triggeredTest'];
  readonly #judges: Readonly<Record<TriggerName, Judge>>;
  readonly #bench: Bench;

  constructor(deps: RecipeDeps, steps: Steps, scale: Scale, seed: number) {
    this.#deps = deps;
    this.#steps = steps;
    this.#scale = scale;
    this.#seed = seed;
    const { validation, tune, fractions } = scale;
    const test = deps.data.test;
    const withTrigger = (name: TriggerName): TriggeredTest =>
      triggered(test, { trigger: TRIGGERS[name], labelMap: ALL_TO_ALL }) as TriggeredTest;
    this.#triggered = { pattern: withTrigger('pattern'), pixel: withTrigger('pixel') };
    this.#judges = {
      pattern: new Judge(deps.runtime, test, this.#triggered.pattern),
      pixel: new Judge(deps.runtime, test, this.#triggered.pixel),
    };
    this.#bench = new Bench(deps, steps, {
      scale,
      seed,
      parts: split(deps.data.train, { validation, tune }, seed),
      test,
      triggeredTest: this.#triggered.pattern,
      judge: this.#judges.pattern,
      attack: attackOf('pattern', fractions[fractions.length - 1].fraction),
    });
  }

  async run(): Promise<SeedResult> {
    const { fractions } = this.#scale;
    const bench = this.#bench;
    const { parts } = bench.setup;
    const clean = await bench.trained('clean', parts.train, this.#scale.epochs);
    const largest = fractions[fractions.length - 1];
    const nets: { fraction: number; made: MadeModel }[] = [];
    for (const { fraction, epochs } of fractions) nets.push({ fraction, made: await this.#badnet('pattern', fraction, epochs) });
    const pixel = this.#scale.pixel ? await this.#badnet('pixel', largest.fraction, largest.epochs) : undefined;
    const step3 = await bench.step3(clean.model);
    const aware: [string, Model][] = [];
    for (const bias of this.#scale.pruningAware.bias) {
      aware.push([`pruning-aware (${bias.rule})`, (await bench.step4(clean.model, step3, bias)).model]);
    }
    const pattern = nets[nets.length - 1].made;
    const suspects: Suspect[] = [];
    for (const [name, model] of [['baseline', pattern.model], ...aware, ['clean model', clean.model]] as [string, Model][]) {
      suspects.push(await bench.suspect(name, model));
    }
    const rates = await bench.rates(suspects[0], this.#scale.otherRates);
    const scratch = await bench.trained('from-scratch', parts.validation, this.#scale.scratchEpochs);
    const relearnt = await this.#steps.measure(bench.name('re-learning'), () => {
      const find = (name: string): Suspect | undefined => suspects.find((s) => s.name.startsWith(name));
      const networks = { baseline: find('baseline'), 'pruning-aware': find('pruning-aware'), 'clean model': find('clean model') };
      return relearnAll(this.#deps, bench.setup, networks, (judgement) => judgement.attack?.success.value ?? 0);
    });
    return this.#steps.measure(bench.name('judging'), async () => {
      const byFraction: SeedResult['fractions'][number][] = [];
      for (const { fraction, made } of nets) byFraction.push({ fraction, net: await this.#judged(made, 'pattern') });
      return {
        seed: this.#seed,
        peakRate: this.#scale.learningRate,
        parts,
        test: this.#deps.data.test,
        triggeredTest: this.#triggered,
        baseline: await this.#judged(clean, 'pattern'),
        record: pattern.facts.record,
        badnets: {
          pattern: byFraction[byFraction.length - 1].net,
          ...(pixel ? { pixel: await this.#judged(pixel, 'pixel') } : {}),
        },
        fractions: byFraction,
        suspects,
        scratch: await this.#judges.pattern.judge(scratch.model),
        relearnt,
        rates,
        rounds: step3.rounds,
        held: step3.holds,
      };
    });
  }

  async #judged(made: MadeModel, trigger: TriggerName): Promise<TrainedNet> {
    const { runtime, data } = this.#deps;
    const { clean: onClean, attacked } = await this.#judges[trigger].predictions(made.model);
    const { layers } = cutPoints(made.model, await probe(runtime, made.model, { batch: 2 }));
    return {
      model: made.model,
      history: made.history,
      judgement: await this.#judges[trigger].judge(made.model),
      predicted: { clean: onClean, attacked: attacked as Int32Array },
      firstLayer: await compareActivations(runtime, made.model, layers[0], data.test, this.#triggered[trigger], { maps: false }),
    };
  }

  #badnet(trigger: TriggerName, fraction: number, epochs: number): Promise<MadeModel> {
    return this.#bench.badnet(`${trigger}-${Math.round(fraction * 100)}`, epochs, attackOf(trigger, fraction));
  }
}

const attackOf = (trigger: TriggerName, fraction: number): Omit<PoisonOptions, 'seed'> => ({
  trigger: TRIGGERS[trigger],
  labelMap: ALL_TO_ALL,
  fraction,
});
