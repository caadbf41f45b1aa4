/**
 * The workbench of one seed of one experiment: the networks of attacker and defender, each a step that a killed run finds done. Everything that is
 * drawn by chance (first weights, order, poisoned images, splits) comes from the seed.
 */
import { badnet } from '../attack/badnet.ts';
import { measure } from '../attack/measure.ts';
import { deprune, type PrunedBadnet, trainPruned } from '../attack/pruning-aware.ts';
import type { BiasRule } from '../attack/reinstate.ts';
import type { Dataset, TrainingData, TriggeredDataset } from '../data/dataset.ts';
import { finetune } from '../defend/finetune.ts';
import { type PruneResult, prune } from '../defend/prune.ts';
import type { CurveStep, Judge, Judgement, TriggeredTest } from '../evaluate/judge.ts';
import { type Comparison, compareActivations } from '../inspect/activations.ts';
import { backdoorNeurons, type NeuronReport } from '../inspect/backdoor-neurons.ts';
import { chooseLayer } from '../inspect/layers.ts';
import type { Model } from '../onnx/model.ts';
import { type PoisonOptions, triggered } from '../poison/poison.ts';
import { probe } from '../runtime/probe.ts';
import type { Augmentation } from '../train/augment.ts';
import { train } from '../train/loop.ts';
import { buildNetwork } from '../train/networks/registry.ts';
import type { TrainOptions } from '../train/options.ts';
import type { MadeModel, RunDeps, Steps } from './recipe.ts';
import type { Scale } from './scale.ts';

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
  readonly finepruned: Model;
}

/** Judgements by the learning rate of fine-tuning, smallest first. */
export type RateSweep = readonly {
  readonly rate: number;
  readonly judgements: Readonly<Record<'fine-tune' | 'fine-prune', Judgement>>;
}[];

/** What the networks are trained and defended with; the rest of a {@link Scale} is the experiment's own. */
export interface BenchScale
  extends Pick<
    Scale,
    'network' | 'batchSize' | 'learningRate' | 'momentum' | 'weightDecay' | 'prune' | 'finetune' | 'pruningAware' | 'relearn'
  > {
  readonly augment?: Augmentation;
  /** What the network is fed: bytes become 0..1, then these are taken out. Default: 0 and 1. */
  readonly normalize?: { readonly mean: readonly number[]; readonly std: readonly number[] };
}

export interface BenchParts {
  readonly train: Dataset<'train'>;
  readonly validation: Dataset<'validation'>;
  readonly tune: Dataset<'tune'>;
}

export interface BenchSetup {
  readonly scale: BenchScale;
  readonly seed: number;
  /** In front of the names of steps: `face-`; empty where an experiment has one network. */
  readonly prefix?: string;
  /** All that the networks are made of beside the seed, where other recipes make the same ones. */
  readonly shared?: string;
  readonly parts: BenchParts;
  readonly test: Dataset<'test'>;
  readonly triggeredTest: TriggeredTest;
  readonly judge: Judge;
  /** The attack that the defences meet, at its poison fraction. */
  readonly attack: Omit<PoisonOptions, 'seed'>;
}

export class Bench {
  readonly setup: BenchSetup;
  readonly #deps: RunDeps;
  readonly #steps: Steps;

  constructor(deps: RunDeps, steps: Steps, setup: BenchSetup) {
    this.#deps = deps;
    this.#steps = steps;
    this.setup = setup;
  }

  name(step: string): string {
    return `${this.setup.prefix ?? ''}seed${this.setup.seed}-${step}`;
  }

  /** A step that makes a network; `file` as {@link name} gives it. */
  step(file: string, work: () => Promise<MadeModel>): Promise<MadeModel> {
    const { prefix = '', shared } = this.setup;
    return this.#steps.model(file, work, shared === undefined ? undefined : `${shared} ${file.slice(prefix.length)}`);
  }

  /** First weights: the same for all networks of a seed, so that they differ by their data alone. */
  first(network = this.setup.scale.network): Model {
    const { channels, height, width, classes } = this.setup.parts.train;
    const { mean, std } = this.setup.scale.normalize ?? {};
    return buildNetwork(network, this.setup.seed, { channels, height, width, classes: classes.length, labels: classes, mean, std });
  }

  training(epochs: number): TrainOptions {
    const { batchSize, learningRate, momentum, weightDecay, augment } = this.setup.scale;
    return {
      epochs,
      batchSize,
      learningRate,
      optimizer: { kind: 'sgd', momentum, weightDecay },
      schedule: { kind: 'one-cycle', warmUp: 0.2 },
      augment,
      seed: this.setup.seed,
      onProgress: this.#deps.progress?.training,
      signal: this.#deps.signal,
    };
  }

  trained(name: string, data: TrainingData, epochs: number, network?: string): Promise<MadeModel> {
    return this.step(this.name(name), async () => {
      const { model, history } = await train(this.#deps.runtime, this.first(network), data, this.training(epochs));
      return { model, history, facts: {} };
    });
  }

  /** @param attack default: the bench's own */
  badnet(name: string, epochs: number, attack: Omit<PoisonOptions, 'seed'> = this.setup.attack): Promise<MadeModel> {
    const { seed, parts } = this.setup;
    return this.step(this.name(name), async () => {
      const options = { ...attack, seed };
      const { model, history, record } = await badnet(this.#deps.runtime, this.first(), parts.train, options, this.training(epochs));
      return { model, history, facts: { record } };
    });
  }

  /** Steps 2 and 3 of the pruning-aware attack. */
  async step3(clean: Model): Promise<PrunedBadnet> {
    const { scale, seed, parts } = this.setup;
    const { pruningAware: s } = scale;
    const { runtime } = this.#deps;
    const made = await this.step(this.name('pruning-aware-step3'), async () => {
      const attack = { ...this.setup.attack, seed };
      const probes = triggered(parts.tune, attack) as TriggeredDataset & { role: 'tune' };
      const before = await measure(runtime, clean, parts.tune, probes);
      const { model, history, ...facts } = await trainPruned(runtime, clean, parts, {
        layer: s.layer,
        attack,
        prune: s.prune,
        putBack: s.putBack,
        rounds: s.rounds,
        hold: { cleanAccuracy: before.cleanAccuracy - s.cleanLoss, attackSuccess: s.success },
        training: { ...this.training(s.epochs), ...(s.learningRate === undefined ? {} : { learningRate: s.learningRate }) },
      });
      return { model, history, facts };
    });
    return { ...(made.facts as unknown as Omit<PrunedBadnet, 'model' | 'history'>), model: made.model, history: made.history };
  }

  step4(clean: Model, step3: PrunedBadnet, bias: BiasRule): Promise<MadeModel> {
    return this.step(this.name(`pruning-aware-${bias.rule}`), async () => {
      const { model, lowered } = await deprune(this.#deps.runtime, clean, step3, this.setup.parts, bias);
      return { model, history: [], facts: { bias, lowered, pruned: step3.pruned } };
    });
  }

  /** What a defender does to a network he does not trust, on his clean images; then what the judge says. */
  async suspect(name: string, model: Model): Promise<Suspect> {
    const { judge, scale } = this.setup;
    const file = (what: string): string => this.name(`${fileName(name)}-${what}`);
    const { learningRate } = scale.finetune;
    const cutting = await this.pruned(file('pruned'), model);
    const tuned = await this.tuned(file('finetuned'), model, learningRate);
    const both = await this.tuned(file('finepruned'), cutting.model, learningRate);
    return this.#steps.measure(file('examined'), async () => ({
      name,
      model,
      judgements: {
        none: await judge.judge(model),
        'fine-tune': await judge.judge(tuned.model),
        prune: await judge.judge(cutting.model),
        'fine-prune': await judge.judge(both.model),
      },
      ...(await this.#examined(model, cutting)),
      tuned: tuned.model,
      finepruned: both.model,
    }));
  }

  /** How much the cure of a network depends on the rate of fine-tuning, which the papers do not give: the scale's own and `others`. */
  async rates({ model, pruned, judgements }: Suspect, others: readonly number[]): Promise<RateSweep> {
    const { judge, scale } = this.setup;
    const own = { 'fine-tune': judgements['fine-tune'], 'fine-prune': judgements['fine-prune'] };
    const rates = [{ rate: scale.finetune.learningRate, judgements: own }];
    for (const rate of others) {
      const tuned = await this.tuned(this.name(`baseline-finetuned-${rate}`), model, rate);
      const both = await this.tuned(this.name(`baseline-finepruned-${rate}`), pruned, rate);
      rates.push({ rate, judgements: { 'fine-tune': await judge.judge(tuned.model), 'fine-prune': await judge.judge(both.model) } });
    }
    return rates.sort((a, b) => a.rate - b.rate);
  }

  /** The defender's pruning, with the facts of {@link PruneResult} that are kept. */
  pruned(file: string, model: Model): Promise<MadeModel> {
    const { scale, parts } = this.setup;
    return this.step(file, async () => {
      const { model: pruned, order, cut, curve, threshold } = await prune(this.#deps.runtime, model, parts.validation, scale.prune);
      return { model: pruned, history: [], facts: { order, cut, curve, threshold } };
    });
  }

  /** Pruning alone, judged: no fine-tuning and no network that was fine-tuned. */
  async prunedOnly(name: string, model: Model): Promise<PrunedSuspect> {
    const { judge } = this.setup;
    const file = (what: string): string => this.name(`${fileName(name)}-${what}`);
    const cutting = await this.pruned(file('pruned'), model);
    return this.#steps.measure(file('examined'), async () => ({
      name,
      model,
      judgements: { none: await judge.judge(model), prune: await judge.judge(cutting.model) },
      ...(await this.#examined(model, cutting)),
    }));
  }

  async #examined(model: Model, cutting: MadeModel): Promise<Pick<Suspect, 'pruning' | 'curve' | 'comparison' | 'neurons' | 'pruned'>> {
    const { judge, scale, test, triggeredTest } = this.setup;
    const { runtime } = this.#deps;
    const { point, why } = chooseLayer(model, await probe(runtime, model, { batch: 2 }), scale.prune.layer);
    const pruning = { ...(cutting.facts as Pick<PruneResult, 'order' | 'cut' | 'curve' | 'threshold'>), point, why };
    const comparison = await compareActivations(runtime, model, point, test, triggeredTest, { maps: true });
    return {
      pruning,
      curve: await judge.curve(model, point, pruning.order),
      comparison,
      neurons: backdoorNeurons(comparison.clean, comparison.triggered, {}, point.rankBy),
      pruned: cutting.model,
    };
  }

  tuned(name: string, model: Model, learningRate: number): Promise<MadeModel> {
    const { runtime, progress, signal } = this.#deps;
    const { scale, seed, parts } = this.setup;
    const options = { ...scale.finetune, learningRate, seed, onProgress: progress?.training, signal };
    return this.step(name, async () => ({ ...(await finetune(runtime, model, parts.validation, options)), facts: {} }));
  }
}

/** A suspect that was pruned and not fine-tuned. */
export interface PrunedSuspect extends Pick<Suspect, 'name' | 'model' | 'pruning' | 'curve' | 'comparison' | 'neurons' | 'pruned'> {
  readonly judgements: Readonly<Record<'none' | 'prune', Judgement>>;
}

/** `pruning-aware (margin)` -> `pruning-aware-margin`. */
const fileName = (name: string): string => name.replaceAll(/[ ()]+/g, '-').replace(/-$/, '');
