/**
 * One seed of the experiment behind both recipes: an honest network, BadNets, the pruning-aware attack, and every defence against each.
 * Everything that is drawn by chance (first weights, order, poisoned images, splits) comes from the seed.
 */
import { badnet } from '../attack/badnet.ts';
import { measure } from '../attack/measure.ts';
import { deprune, type PrunedBadnet, type Round, trainPruned } from '../attack/pruning-aware.ts';
import type { BiasRule } from '../attack/reinstate.ts';
import type { Dataset, TrainingData, TriggeredDataset } from '../data/dataset.ts';
import { split } from '../data/split.ts';
import { finetune } from '../defend/finetune.ts';
import { type PruneResult, prune } from '../defend/prune.ts';
import { type CurveStep, Judge, type Judgement, type TriggeredTest } from '../evaluate/judge.ts';
import { type Comparison, compareActivations } from '../inspect/activations.ts';
import { backdoorNeurons, type NeuronReport } from '../inspect/backdoor-neurons.ts';
import { chooseLayer } from '../inspect/layers.ts';
import { cutPoints } from '../onnx/cut-points.ts';
import type { Model } from '../onnx/model.ts';
import { triggered } from '../poison/poison.ts';
import { parseTrigger, type TriggerSpec } from '../poison/triggers/registry.ts';
import { probe } from '../runtime/probe.ts';
import type { EpochRecord } from '../train/checkpoint.ts';
import { train } from '../train/loop.ts';
import { buildNetwork } from '../train/networks/registry.ts';
import type { TrainOptions } from '../train/options.ts';
import { type MadeModel, type RecipeDeps, Steps } from './recipe.ts';
import type { Scale } from './scale.ts';

export type TriggerName = 'pattern' | 'pixel';
export const ALL_TO_ALL = { kind: 'all-to-all' } as const;
export const DEFENCES = ['none', 'fine-tune', 'prune', 'fine-prune'] as const;
export type Defence = (typeof DEFENCES)[number];

/** A network that a defender is handed, and what became of it. */
export interface Suspect {
  /** `baseline`, `pruning-aware (margin)`, `clean model`: the `<attack>` of the tables. */
  readonly name: string;
  readonly model: Model;
  readonly judgements: Readonly<Record<Defence, Judgement>>;
  readonly pruning: Pick<PruneResult, 'order' | 'cut' | 'curve' | 'threshold' | 'why' | 'point'>;
  /** The judge's view of the whole pruning curve. */
  readonly curve: readonly CurveStep[];
  readonly comparison: Comparison;
  readonly neurons: NeuronReport;
  readonly pruned: Model;
  /** Fine-tuned, without pruning. */
  readonly tuned: Model;
}

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
  /** The baseline attack, fine-tuned and fine-pruned at several learning rates, smallest first. */
  readonly rates: readonly { readonly rate: number; readonly judgements: Readonly<Record<'fine-tune' | 'fine-prune', Judgement>> }[];
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
  // clean, perhaps pixel, a BadNet for each fraction, step 3, each bias rule, three defences and an examination for each suspect, scratch, judging
  const rates = scale.otherRates.length * 2;
  return 1 + rates + (scale.pixel ? 1 : 0) + scale.fractions.length + 1 + scale.pruningAware.bias.length + suspects * 4 + 1 + 1;
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
  readonly #parts: SeedResult['parts'];
  readonly #triggered: SeedResult['triggeredTest'];
  readonly #judges: Readonly<Record<TriggerName, Judge>>;

  constructor(deps: RecipeDeps, steps: Steps, scale: Scale, seed: number) {
    this.#deps = deps;
    this.#steps = steps;
    this.#scale = scale;
    this.#seed = seed;
    const { validation, tune } = scale;
    this.#parts = split(deps.data.train, { validation, tune }, seed);
    const test = deps.data.test;
    const withTrigger = (name: TriggerName): TriggeredTest =>
      triggered(test, { trigger: TRIGGERS[name], labelMap: ALL_TO_ALL }) as TriggeredTest;
    this.#triggered = { pattern: withTrigger('pattern'), pixel: withTrigger('pixel') };
    this.#judges = {
      pattern: new Judge(deps.runtime, test, this.#triggered.pattern),
      pixel: new Judge(deps.runtime, test, this.#triggered.pixel),
    };
  }

  async run(): Promise<SeedResult> {
    const { fractions } = this.#scale;
    const clean = await this.#trained('clean', this.#parts.train, this.#scale.epochs);
    const largest = fractions[fractions.length - 1];
    const nets: { fraction: number; made: MadeModel }[] = [];
    for (const { fraction, epochs } of fractions) nets.push({ fraction, made: await this.#badnet('pattern', fraction, epochs) });
    const pixel = this.#scale.pixel ? await this.#badnet('pixel', largest.fraction, largest.epochs) : undefined;
    const step3 = await this.#step3(clean.model);
    const aware: [string, Model][] = [];
    for (const bias of this.#scale.pruningAware.bias) {
      aware.push([`pruning-aware (${bias.rule})`, (await this.#step4(clean.model, step3, bias)).model]);
    }
    const pattern = nets[nets.length - 1].made;
    const suspects: Suspect[] = [];
    for (const [name, model] of [['baseline', pattern.model], ...aware, ['clean model', clean.model]] as [string, Model][]) {
      suspects.push(await this.#suspect(name, model));
    }
    const rates = await this.#rates(suspects[0]);
    const scratch = await this.#trained('from-scratch', this.#parts.validation, this.#scale.scratchEpochs);
    return this.#steps.measure(this.#name('judging'), async () => {
      const judged = async (made: MadeModel, trigger: TriggerName): Promise<TrainedNet> => {
        const { clean: onClean, attacked } = await this.#judges[trigger].predictions(made.model);
        const { layers } = cutPoints(made.model, await probe(this.#deps.runtime, made.model, { batch: 2 }));
        const firstLayer = await compareActivations(
          this.#deps.runtime,
          made.model,
          layers[0],
          this.#deps.data.test,
          this.#triggered[trigger],
          {
            maps: false,
          },
        );
        return {
          model: made.model,
          history: made.history,
          judgement: await this.#judges[trigger].judge(made.model),
          predicted: { clean: onClean, attacked: attacked as Int32Array },
          firstLayer,
        };
      };
      const byFraction: SeedResult['fractions'][number][] = [];
      for (const { fraction, made } of nets) byFraction.push({ fraction, net: await judged(made, 'pattern') });
      return {
        seed: this.#seed,
        peakRate: this.#scale.learningRate,
        parts: this.#parts,
        test: this.#deps.data.test,
        triggeredTest: this.#triggered,
        baseline: await judged(clean, 'pattern'),
        record: pattern.facts.record,
        badnets: {
          pattern: byFraction[byFraction.length - 1].net,
          ...(pixel ? { pixel: await judged(pixel, 'pixel') } : {}),
        },
        fractions: byFraction,
        suspects,
        scratch: await this.#judges.pattern.judge(scratch.model),
        rates,
        rounds: step3.rounds,
        held: step3.holds,
      };
    });
  }

  #name(step: string): string {
    return `seed${this.#seed}-${step}`;
  }

  /** First weights: the same for all networks of a seed, so that they differ by their data alone. */
  #first(): Model {
    const { channels, height, width, classes } = this.#deps.data.train;
    return buildNetwork(this.#scale.network, this.#seed, { channels, height, width, classes: classes.length, labels: classes });
  }

  #training(epochs: number): TrainOptions {
    const { batchSize, learningRate, momentum, weightDecay } = this.#scale;
    return {
      epochs,
      batchSize,
      learningRate,
      optimizer: { kind: 'sgd', momentum, weightDecay },
      schedule: { kind: 'one-cycle', warmUp: 0.2 },
      seed: this.#seed,
      onProgress: this.#deps.progress?.training,
      signal: this.#deps.signal,
    };
  }

  #trained(name: string, data: TrainingData, epochs: number): Promise<MadeModel> {
    return this.#steps.model(this.#name(name), async () => {
      const { model, history } = await train(this.#deps.runtime, this.#first(), data, this.#training(epochs));
      return { model, history, facts: {} };
    });
  }

  #badnet(trigger: TriggerName, fraction: number, epochs: number): Promise<MadeModel> {
    return this.#steps.model(this.#name(`${trigger}-${Math.round(fraction * 100)}`), async () => {
      const attack = { trigger: TRIGGERS[trigger], labelMap: ALL_TO_ALL, fraction, seed: this.#seed };
      const { model, history, record } = await badnet(this.#deps.runtime, this.#first(), this.#parts.train, attack, this.#training(epochs));
      return { model, history, facts: { record } };
    });
  }

  /** Steps 2 and 3 of the pruning-aware attack, with the pattern trigger at the largest fraction. */
  async #step3(clean: Model): Promise<PrunedBadnet> {
    const { pruningAware: s, fractions } = this.#scale;
    const { runtime } = this.#deps;
    const made = await this.#steps.model(this.#name('pruning-aware-step3'), async () => {
      const attack = {
        trigger: TRIGGERS.pattern,
        labelMap: ALL_TO_ALL,
        fraction: fractions[fractions.length - 1].fraction,
        seed: this.#seed,
      };
      const probes = triggered(this.#parts.tune, attack) as TriggeredDataset & { role: 'tune' };
      const before = await measure(runtime, clean, this.#parts.tune, probes);
      const found = await trainPruned(runtime, clean, this.#parts, {
        layer: s.layer,
        attack,
        prune: s.prune,
        putBack: s.putBack,
        rounds: s.rounds,
        hold: { cleanAccuracy: before.cleanAccuracy - s.cleanLoss, attackSuccess: s.success },
        training: this.#training(s.epochs),
      });
      const { model, history, ...facts } = found;
      return { model, history, facts };
    });
    return { ...(made.facts as unknown as Omit<PrunedBadnet, 'model' | 'history'>), model: made.model, history: made.history };
  }

  #step4(clean: Model, step3: PrunedBadnet, bias: BiasRule): Promise<MadeModel> {
    return this.#steps.model(this.#name(`pruning-aware-${bias.rule}`), async () => {
      const { model, lowered } = await deprune(this.#deps.runtime, clean, step3, this.#parts, bias);
      return { model, history: [], facts: { bias, lowered, pruned: step3.pruned } };
    });
  }

  /** What a defender does to a network he does not trust, on his clean images; then what the judge says. */
  async #suspect(name: string, model: Model): Promise<Suspect> {
    const { runtime } = this.#deps;
    const { validation } = this.#parts;
    const judge = this.#judges.pattern;
    const file = (what: string): string => this.#name(`${name.replaceAll(/[ ()]+/g, '-').replace(/-$/, '')}-${what}`);
    const { point, why } = chooseLayer(model, await probe(runtime, model, { batch: 2 }));
    const cutting = await this.#steps.model(file('pruned'), async () => {
      const { model: pruned, order, cut, curve, threshold } = await prune(runtime, model, validation, this.#scale.prune);
      return { model: pruned, history: [], facts: { order, cut, curve, threshold } };
    });
    const { learningRate } = this.#scale.finetune;
    const tuned = await this.#tuned(file('finetuned'), model, learningRate);
    const both = await this.#tuned(file('finepruned'), cutting.model, learningRate);
    return this.#steps.measure(file('examined'), async () => {
      const pruning = { ...(cutting.facts as Pick<PruneResult, 'order' | 'cut' | 'curve' | 'threshold'>), point, why };
      const comparison = await compareActivations(runtime, model, point, this.#deps.data.test, this.#triggered.pattern, { maps: true });
      return {
        name,
        model,
        judgements: {
          none: await judge.judge(model),
          'fine-tune': await judge.judge(tuned.model),
          prune: await judge.judge(cutting.model),
          'fine-prune': await judge.judge(both.model),
        },
        pruning,
        curve: await judge.curve(model, point, pruning.order),
        comparison,
        neurons: backdoorNeurons(comparison.clean, comparison.triggered, {}, point.rankBy),
        pruned: cutting.model,
        tuned: tuned.model,
      };
    });
  }

  #tuned(name: string, model: Model, learningRate: number): Promise<MadeModel> {
    const { runtime, progress, signal } = this.#deps;
    const options = { ...this.#scale.finetune, learningRate, seed: this.#seed, onProgress: progress?.training, signal };
    return this.#steps.model(name, async () => ({ ...(await finetune(runtime, model, this.#parts.validation, options)), facts: {} }));
  }

  /** How much the cure depends on the learning rate, which the paper does not give. */
  async #rates({ model, pruned, judgements }: Suspect): Promise<SeedResult['rates']> {
    const judge = this.#judges.pattern;
    const { learningRate } = this.#scale.finetune;
    const rates = [{ rate: learningRate, judgements: { 'fine-tune': judgements['fine-tune'], 'fine-prune': judgements['fine-prune'] } }];
    for (const rate of this.#scale.otherRates) {
      const tuned = await this.#tuned(this.#name(`baseline-finetuned-${rate}`), model, rate);
      const both = await this.#tuned(this.#name(`baseline-finepruned-${rate}`), pruned, rate);
      rates.push({ rate, judgements: { 'fine-tune': await judge.judge(tuned.model), 'fine-prune': await judge.judge(both.model) } });
    }
    return rates.sort((a, b) => a.rate - b.rate);
  }
}
