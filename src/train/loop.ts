/**
 * The training loop. The weights stay where the step graph runs; this side only sends batches and reads loss and count of right answers.
 * One step of look-ahead: while step k runs, the batch of k+1 is put together and sent, and only then is k waited for, so the
 * runtime always has work.
 */
import { fail, SecateurError } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { Tensor } from '../core/tensor.ts';
import type { TrainingData } from '../data/dataset.ts';
import { type TrainingStep, trainingStep, withWeights } from '../grad/step.ts';
import type { Model } from '../onnx/model.ts';
import { fixedBatch } from '../onnx/passes/free-batch.ts';
import { writeModel, writeTensor } from '../onnx/proto.ts';
import { readSpec } from '../onnx/spec.ts';
import { type LowerOptions, lower } from '../runtime/lowerings/lower.ts';
import { probe } from '../runtime/probe.ts';
import type { Fetches, Runtime, Session } from '../runtime/session.ts';
import { openStep } from '../runtime/step.ts';
import { formatAugment } from './augment.ts';
import { Batches } from './batches.ts';
import { checkSettings, type EpochRecord, type Position, type Settings } from './checkpoint.ts';
import type { TrainOptions, TrainResult } from './options.ts';
import { formatSchedule, rateAt, type Schedule } from './schedule.ts';

/** The loss or the weights stopped being numbers. */
export class DivergedError extends SecateurError {}

const CONSTANT: Schedule = { kind: 'constant' };

/**
 * Trains `model` on `data` and returns it with new weights; the given model is not changed.
 * Same seed, backend, machine and thread count: the same weights bit by bit, also across a kill and a resume.
 * @throws SecateurError where data and model do not fit, the loss stops being a number, the checkpoint is another run's, or `signal` fires.
 */
export async function train(runtime: Runtime, model: Model, data: TrainingData, options: TrainOptions): Promise<TrainResult> {
  check(options);
  const spec = readSpec(model, options.spec);
  const batchNorm = model.graph.nodes.some((n) => n.opType === 'BatchNormalization') ? (options.batchNorm ?? 'training') : 'inference';
  const batches = new Batches(data, spec, {
    batchSize: options.batchSize,
    fixed: fixedBatch(model),
    seed: options.seed,
    augment: options.augment,
    // padding would count in the batch statistics
    rest: batchNorm === 'training' ? 'drop' : 'pad',
  });
  const types = await probe(runtime, model, { batch: batches.batchSize });
  const step = trainingStep(model, types, {
    input: spec.input,
    logits: spec.logits,
    loss: 'cross-entropy',
    labels: 'hard',
    sampleWeights: batches.padded,
    optimizer: options.optimizer,
    trainable: options.trainable,
    masks: options.masks,
    batchNorm,
    seed: options.seed,
  });
  const settings = options.checkpoint ? settingsOf(model, data, step, options, batchNorm) : {};
  const lowering = await runtime.lowering?.(step.model, step.types);
  const machine = `${runtime.backend}, ${runtime.threads} threads${options.checkpoint ? `, operators ${formOf(step.model, lowering)}` : ''}`;
  const run = new Run({ runtime, model, step, lowering, machine, batches, settings, options });
  return run.finish(await run.resumed());
}

interface RunParts {
  readonly runtime: Runtime;
  readonly model: Model;
  readonly step: TrainingStep;
  readonly lowering: LowerOptions | undefined;
  /** All that decides the last bits of a sum. */
  readonly machine: string;
  readonly batches: Batches;
  readonly settings: Settings;
  readonly options: TrainOptions;
}

/** One call of {@link train}, with all that its parts share. */
class Run {
  readonly #parts: RunParts;
  readonly #step: TrainingStep;
  readonly #batches: Batches;
  readonly #options: TrainOptions;
  readonly #history: EpochRecord[] = [];
  /** Seconds and steps of this process's own work, for the time left. */
  #spent = { seconds: 0, steps: 0 };

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#step = parts.step;
    this.#batches = parts.batches;
    this.#options = parts.options;
  }

  get #totalSteps(): number {
    return this.#options.epochs * this.#batches.stepsPerEpoch;
  }

  /** Where to begin: at the checkpoint's place if there is one. */
  async resumed(): Promise<Pick<Position, 'epoch' | 'step' | 'sums'> & { state: Readonly<Record<string, Tensor>> }> {
    const { onProgress, checkpoint } = this.#options;
    const saved = await checkpoint?.load();
    if (saved) {
      checkSettings(saved.settings, this.#parts.settings);
      this.#history.push(...saved.history);
      if (saved.machine !== this.#parts.machine) {
        const text = `the checkpoint was written with ${saved.machine}; with ${this.#parts.machine} the weights will not be the same bit by bit`;
        onProgress?.({ kind: 'notice', text });
      }
    }
    const start = saved ?? { epoch: 0, step: 0, sums: nothing(), state: this.#step.state };
    const doneSteps = start.epoch * this.#batches.stepsPerEpoch + start.step;
    onProgress?.({ kind: 'start', totalSteps: this.#totalSteps, doneSteps, history: [...this.#history] });
    return start;
  }

  async finish(start: Awaited<ReturnType<Run['resumed']>>): Promise<TrainResult> {
    const { runtime, lowering } = this.#parts;
    const session = await openStep(runtime, { ...this.#step, state: start.state }, { lowering });
    try {
      let { step, sums } = start;
      for (let epoch = start.epoch; epoch < this.#options.epochs; epoch++) {
        sums = await this.#epoch(session, epoch, step, sums);
        await this.#endEpoch(session, epoch, sums);
        step = 0;
        sums = nothing();
      }
      return { model: await this.#present(session), history: this.#history };
    } finally {
      await session.close();
    }
  }

  async #epoch(session: Session, epoch: number, from: number, sums: Position['sums']): Promise<Position['sums']> {
    const { signal, checkpoint, checkpointEvery, onProgress } = this.#options;
    const { stepsPerEpoch } = this.#batches;
    let total = sums;
    let pending: { values: Promise<Fetches>; step: number; count: number } | undefined;
    let began = performance.now();
    const settle = async (): Promise<void> => {
      if (!pending) return;
      const { values, step, count } = pending;
      pending = undefined;
      const got = await values;
      const now = performance.now();
      const seconds = (now - began) / 1000;
      began = now;
      const loss = this.#checked(number(got[this.#step.outputs.loss]), epoch, step);
      const correct = number(got[this.#step.outputs.correct]);
      total = {
        loss: total.loss + loss * count,
        correct: total.correct + correct,
        seen: total.seen + count,
        seconds: total.seconds + seconds,
      };
      this.#spent = { seconds: this.#spent.seconds + seconds, steps: this.#spent.steps + 1 };
      const doneSteps = epoch * stepsPerEpoch + step + 1;
      onProgress?.({
        kind: 'step',
        epoch: epoch + 1,
        epochs: this.#options.epochs,
        step: step + 1,
        stepsPerEpoch,
        doneSteps,
        totalSteps: this.#totalSteps,
        loss: total.loss / total.seen,
        accuracy: total.correct / total.seen,
        imagesPerSecond: total.seen / total.seconds,
        secondsLeft: (this.#totalSteps - doneSteps) * (this.#spent.seconds / this.#spent.steps),
      });
    };
    try {
      for (let step = from; step < stepsPerEpoch; step++) {
        if (signal?.aborted) {
          await settle();
          await this.#save(session, epoch, step, total);
          throw this.#interrupted(epoch, step);
        }
        const sent = this.#send(session, epoch, step);
        // a failure is met at settle(); until then nobody listens, and Node would end the process
        sent.values.catch(() => {});
        await settle();
        pending = { ...sent, step };
        if (checkpoint && checkpointEvery && (epoch * stepsPerEpoch + step + 1) % checkpointEvery === 0 && step + 1 < stepsPerEpoch) {
          await settle();
          await this.#save(session, epoch, step + 1, total);
          began = performance.now();
        }
      }
      await settle();
    } catch (error) {
      await pending?.values.catch(() => {});
      throw error;
    }
    return total;
  }

  #send(session: Session, epoch: number, step: number): { values: Promise<Fetches>; count: number } {
    const { feeds, outputs } = this.#step;
    const { count, x, labels, weights } = this.#batches.at(epoch, step);
    const rate = Float32Array.of(this.#rate(epoch, step));
    const values: Record<string, Tensor> = {
      [feeds.x]: x,
      [feeds.labels]: labels,
      [feeds.learningRate]: { dtype: 'float32', dims: [], data: rate },
    };
    if (weights && feeds.weights) values[feeds.weights] = weights;
    return { values: session.run(values, { outputs: [outputs.loss, outputs.correct], transfer: true }), count };
  }

  #rate(epoch: number, step: number): number {
    const { schedule = CONSTANT, learningRate } = this.#options;
    const { stepsPerEpoch } = this.#batches;
    return rateAt(schedule, learningRate, epoch * stepsPerEpoch + step, { stepsPerEpoch, totalSteps: this.#totalSteps });
  }

  async #endEpoch(session: Session, epoch: number, sums: Position['sums']): Promise<void> {
    const { evaluate, onEpoch, onProgress, epochs } = this.#options;
    const record: EpochRecord = {
      epoch: epoch + 1,
      loss: sums.loss / sums.seen,
      trainAccuracy: sums.correct / sums.seen,
      learningRate: this.#rate(epoch, this.#batches.stepsPerEpoch - 1),
      seconds: sums.seconds,
      imagesPerSecond: sums.seen / sums.seconds,
      evaluated: evaluate ? await evaluate(await this.#present(session)) : {},
    };
    this.#history.push(record);
    onProgress?.({ kind: 'epoch', epochs, record });
    await onEpoch?.(record, () => this.#present(session));
    await this.#save(session, epoch + 1, 0, nothing());
  }

  async #save(session: Session, epoch: number, step: number, sums: Position['sums']): Promise<void> {
    if (!this.#options.checkpoint) return;
    await this.#options.checkpoint.save({
      version: 1,
      settings: this.#parts.settings,
      machine: this.#parts.machine,
      epoch,
      step,
      sums,
      history: this.#history,
      state: await session.state(),
    });
  }

  /** The model with the weights of now. */
  async #present(session: Session): Promise<Model> {
    const state = await session.state();
    for (const name of this.#step.stored) {
      const { data } = state[name];
      if (data instanceof Float32Array && !data.every(Number.isFinite)) throw this.#diverged(`a value in "${name}" that is not finite`);
    }
    return withWeights(this.#parts.model, state);
  }

  #checked(loss: number, epoch: number, step: number): number {
    if (Number.isFinite(loss)) return loss;
    throw this.#diverged(`${loss} at epoch ${epoch + 1}, step ${step + 1} of ${this.#batches.stepsPerEpoch}`);
  }

  #diverged(got: string): DivergedError {
    const { learningRate } = this.#options;
    return new DivergedError({
      where: 'train',
      what: 'training diverged',
      expected: 'a finite loss and finite weights',
      got,
      hint: `--lr ${Number((learningRate / 10).toPrecision(3))} (it was ${learningRate}), or --schedule one-cycle, which begins slowly`,
    });
  }

  #interrupted(epoch: number, step: number): SecateurError {
    return new SecateurError({
      where: 'train',
      what: `interrupted at epoch ${epoch + 1}, step ${step + 1} of ${this.#batches.stepsPerEpoch}`,
      exitCode: 130,
    });
  }
}

const nothing = (): Position['sums'] => ({ loss: 0, correct: 0, seen: 0, seconds: 0 });

const number = (t: Tensor): number => Number(t.data[0]);

function check(o: TrainOptions): void {
  const whole = (value: number, where: string): void => {
    if (!(Number.isInteger(value) && value >= 1)) {
      fail({ where, what: 'not valid', expected: 'a whole number of at least 1', got: String(value), exitCode: 2 });
    }
  };
  whole(o.epochs, '--epochs');
  whole(o.batchSize, '--batch-size');
  if (o.checkpointEvery !== undefined) whole(o.checkpointEvery, '--checkpoint-every');
  if (!(o.learningRate > 0 && Number.isFinite(o.learningRate))) {
    fail({ where: '--lr', what: 'not valid', expected: 'a number above 0', got: String(o.learningRate), exitCode: 2 });
  }
}

/** Names the forms in which the operators of the step are computed; other forms add up in another order. */
const formOf = (step: Model, lowering: LowerOptions | undefined): string => sha256(writeModel(lower(step, lowering))).slice(0, 8);

/** What a run must share with a checkpoint to go on from it. */
function settingsOf(model: Model, data: TrainingData, step: TrainingStep, o: TrainOptions, batchNorm: string): Settings {
  const masks = [...(o.masks ?? [])].map(([name, mask]) => [name, sha256(writeTensor(mask))]);
  return {
    network: sha256(writeModel(model)),
    data: data.sha256,
    epochs: o.epochs,
    batchSize: o.batchSize,
    learningRate: o.learningRate,
    optimizer: JSON.stringify(o.optimizer),
    schedule: formatSchedule(o.schedule ?? CONSTANT),
    augment: formatAugment(o.augment ?? {}),
    seed: o.seed,
    batchNorm,
    masks: masks.length === 0 ? 'none' : sha256(JSON.stringify(masks)),
    trained: sha256(JSON.stringify(step.parameters)),
  };
}
