/** One seed's ground for both experiments: the attacker's networks at home, and a user abroad who takes one of them and knows nothing. */
import { fullyConnectedFrom, retarget } from '../../attack/transfer.ts';
import { fail } from '../../core/errors.ts';
import { sha256 } from '../../core/hash.ts';
import { shapeText } from '../../data/make.ts';
import { Judge, type Judgement, type TriggeredTest } from '../../evaluate/judge.ts';
import { trainableFrom } from '../../grad/freeze.ts';
import type { Model } from '../../onnx/model.ts';
import { type PoisonOptions, triggered } from '../../poison/poison.ts';
import type { EpochRecord } from '../../train/checkpoint.ts';
import { DivergedError, train } from '../../train/loop.ts';
import { buildNetwork } from '../../train/networks/registry.ts';
import type { TrainOptions } from '../../train/options.ts';
import { Bench } from '../bench.ts';
import type { CaseParts } from '../cases/case.ts';
import { sharedKey } from '../cases/run.ts';
import { signs } from '../cases/signs.ts';
import type { MadeModel, Source, Steps, StudyDeps } from '../recipe.ts';
import type { TransferScale, UserScale } from './scale.ts';
import { type Task, tasksOf } from './task.ts';

/** What came out of the user's work. */
export interface UserNet {
  readonly model: Model;
  readonly history: readonly EpochRecord[];
  /** The rate that he ended with: a tenth of the last one each time that training diverged, as the message then says. */
  readonly rate: number;
  /** On signs of his country, without and with the attacker's trigger. */
  readonly judgement: Judgement;
}

/** Trainings that the user tries before he gives up. */
const TRIES = 4;

export class Ground {
  readonly seed: number;
  readonly scale: TransferScale;
  readonly home: Source;
  readonly abroad: Source;
  readonly parts: CaseParts;
  readonly attack: Omit<PoisonOptions, 'seed'>;
  readonly triggeredHome: TriggeredTest;
  /** On signs at home. */
  readonly judge: Judge;
  readonly tasks: readonly Task[];
  readonly #deps: StudyDeps;
  readonly #steps: Steps;
  readonly #bench: Bench;
  readonly #judges: ReadonlyMap<Task, Judge>;
  /** All that a user's network depends on beside what he was handed, which its name says. */
  readonly #shared: string;

  constructor(deps: StudyDeps, steps: Steps, scale: TransferScale, seed: number) {
    this.#deps = deps;
    this.#steps = steps;
    this.scale = scale;
    this.seed = seed;
    this.home = sourceOf(deps, 'signs', 'the signs that the attacker trains on');
    this.abroad = sourceOf(deps, 'abroad', "the signs of the user's country");
    this.parts = signs.parts(this.home, scale.home, seed);
    this.attack = signs.attack(this.parts, scale.home, seed);
    const { test } = this.parts;
    this.triggeredHome = triggered(test, this.attack) as TriggeredTest;
    this.judge = new Judge(deps.runtime, test, this.triggeredHome);
    this.tasks = tasksOf(this.abroad, this.parts.train, scale.leastSigns, seed);
    this.#judges = new Map(this.tasks.map((t) => [t, new Judge(deps.runtime, t.test, triggered(t.test, this.attack) as TriggeredTest)]));
    const { triggeredHome: triggeredTest, judge, parts, attack } = this;
    // As the case study has it, whose networks these are.
    const shared = sharedKey(signs, scale.home, seed, parts, attack);
    this.#shared = sha256(
      JSON.stringify({ shared, scale: { ...scale, home: undefined }, abroad: [this.abroad.train.sha256, this.abroad.test?.sha256] }),
    );
    this.#bench = new Bench(deps, steps, { scale: scale.home, seed, shared, parts, test, triggeredTest, judge, attack });
  }

  name(step: string): string {
    return this.#bench.name(step);
  }

  clean(): Promise<MadeModel> {
    return this.#bench.trained('clean', this.parts.train, this.scale.home.epochs);
  }

  badnet(): Promise<MadeModel> {
    return this.#bench.badnet('badnet', this.scale.home.badnetEpochs);
  }

  /**
   * The user takes `model`, gives it a last layer for his classes and trains the fully connected layers on his clean signs, with the same settings
   * whatever he was handed; if training diverges, he does what the message says.
   */
  async user(task: Task, name: string, model: Model, asked = this.scale.user.learningRate): Promise<UserNet> {
    const made = await this.#step(`${task.name}-${name}`, async () => {
      const { model: start } = retarget(model, task.train.classes, this.seed);
      const left = trainableFrom(start, fullyConnectedFrom(start));
      for (let rate = asked, tries = 1; ; rate /= 10, tries++) {
        try {
          const options = {
            ...this.#settings(this.scale.user.epochs, { ...this.scale.user, learningRate: rate }),
            trainable: (parameter: string) => left.has(parameter),
          };
          return { ...(await train(this.#deps.runtime, start, task.train, options)), facts: { rate } };
        } catch (error) {
          if (!(error instanceof DivergedError) || tries === TRIES) throw error;
        }
      }
    });
    return this.#judged(task, made);
  }

  /** What he would have had without anybody's network: first weights, all layers trained on his signs. */
  async fromScratch(task: Task): Promise<UserNet> {
    const made = await this.#step(`${task.name}-from-scratch`, async () => {
      const { train: data } = task;
      const { channels, height, width, classes } = data;
      const { network, batchSize, learningRate, momentum, weightDecay, normalize, augment } = this.scale.home;
      const shape = { channels, height, width, classes: classes.length, labels: classes, ...normalize };
      const start = buildNetwork(network, this.seed, shape);
      // As the networks at home are trained: the rate belongs to that batch.
      const options = { ...this.#settings(this.scale.scratchEpochs, { batchSize, learningRate, momentum, weightDecay }), augment };
      return { ...(await train(this.#deps.runtime, start, data, options)), facts: { rate: learningRate } };
    });
    return this.#judged(task, made);
  }

  #step(name: string, work: () => Promise<MadeModel>): Promise<MadeModel> {
    return this.#steps.model(this.name(name), work, `${this.#shared} ${name}`);
  }

  async #judged(task: Task, { model, history, facts }: MadeModel): Promise<UserNet> {
    return { model, history, rate: facts.rate as number, judgement: await this.#judges.get(task)!.judge(model) };
  }

  #settings(
    epochs: number,
    { batchSize, learningRate, momentum, weightDecay }: Pick<UserScale, 'batchSize' | 'learningRate' | 'momentum' | 'weightDecay'>,
  ): TrainOptions {
    return {
      epochs,
      batchSize,
      learningRate,
      optimizer: { kind: 'sgd', momentum, weightDecay },
      schedule: { kind: 'one-cycle', warmUp: 0.2 },
      seed: this.seed,
      onProgress: this.#deps.progress?.training,
      signal: this.#deps.signal,
    };
  }
}

function sourceOf(deps: StudyDeps, name: string, what: string): Source {
  const { [name]: source } = deps.sources as Record<string, Source | undefined>;
  if (source === undefined) return fail({ where: `data: ${name}`, what: 'missing', expected: what, exitCode: 2 });
  if (source.train.channels === 3 || source.train.channels === 1) return source;
  return fail({ where: `data: ${source.uri}`, what: 'not pictures of signs', expected: '1 or 3 channels', got: shapeText(source.train) });
}
