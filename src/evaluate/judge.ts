/**
 * The judge: sees the model, the clean test data and the triggered test data, and nobody else sees the last two. Its numbers are reported and
 * never fed back: no threshold of an attack or a defence may look at them.
 */
import type { Dataset, TriggeredDataset } from '../data/dataset.ts';
import { type ForwardOptions, predict } from '../data/forward.ts';
import { cutPredictions } from '../defend/curve.ts';
import type { CutPoint } from '../onnx/cut-points.ts';
import type { Model } from '../onnx/model.ts';
import type { Runtime } from '../runtime/session.ts';
import { type AttackRates, attackRates, type CleanRates, cleanRates } from './rates.ts';
import type { Rate } from './wilson.ts';

/** What one model does; plain and JSON-able. */
export interface Judgement {
  readonly clean: CleanRates;
  /** Undefined where there is no attack to judge. */
  readonly attack?: AttackRates;
}

/** One step of a pruning curve. */
export interface CurveStep {
  /** Channels cut. */
  readonly cut: number;
  readonly accuracy: Rate;
  readonly success?: Rate;
  readonly robust?: Rate;
}

export type TriggeredTest = TriggeredDataset & { readonly role: 'test' };

export class Judge {
  readonly #runtime: Runtime;
  readonly #clean: Dataset<'test'>;
  readonly #triggered: TriggeredTest | undefined;
  readonly #options: Omit<ForwardOptions, 'outputs'>;
  /** Predictions are made once for each model and set; models are not changed once they are made. */
  readonly #known = new WeakMap<Model, { clean: Promise<Int32Array>; triggered?: Promise<Int32Array> }>();

  /** @param triggered of the attack to judge; undefined: clean accuracy only */
  constructor(runtime: Runtime, clean: Dataset<'test'>, triggered?: TriggeredTest, options: Omit<ForwardOptions, 'outputs'> = {}) {
    this.#runtime = runtime;
    this.#clean = clean;
    this.#triggered = triggered;
    this.#options = options;
  }

  /** Clean accuracy, attack success and robust accuracy, in all and by class. Throws SecateurError where model and data do not fit. */
  async judge(model: Model): Promise<Judgement> {
    const { clean, attacked } = await this.predictions(model);
    return this.#rates(clean, attacked);
  }

  /** Predicted classes of the clean and of the triggered test inputs. */
  async predictions(model: Model): Promise<{ clean: Int32Array; attacked: Int32Array | undefined }> {
    let known = this.#known.get(model);
    if (known === undefined) {
      const run = async (data: Dataset | TriggeredDataset): Promise<Int32Array> =>
        (await predict(this.#runtime, model, data, this.#options)).labels;
      known = { clean: run(this.#clean), ...(this.#triggered ? { triggered: run(this.#triggered) } : {}) };
      this.#known.set(model, known);
    }
    const [clean, attacked] = await Promise.all([known.clean, known.triggered]);
    return { clean, attacked };
  }

  /** The same at every step of cutting channels in `order`, which a defence has chosen without these data. */
  async curve(model: Model, point: CutPoint, order: readonly number[]): Promise<CurveStep[]> {
    const clean = await cutPredictions(this.#runtime, model, point, order, this.#clean, this.#options);
    const attacked = this.#triggered && (await cutPredictions(this.#runtime, model, point, order, this.#triggered, this.#options));
    const at = (p: { labels: Int32Array; count: number }, step: number): Int32Array =>
      p.labels.subarray(step * p.count, (step + 1) * p.count);
    return Array.from({ length: clean.steps }, (_, cut) => {
      const { clean: rates, attack } = this.#rates(at(clean, cut), attacked && at(attacked, cut));
      return { cut, accuracy: rates.accuracy, ...(attack ? { success: attack.success, robust: attack.robust } : {}) };
    });
  }

  #rates(clean: Int32Array, attacked: Int32Array | undefined): Judgement {
    const classes = this.#clean.classes.length;
    const rates = cleanRates(clean, this.#clean.labels, classes);
    if (attacked === undefined || this.#triggered === undefined) return { clean: rates };
    return { clean: rates, attack: attackRates(attacked, this.#triggered.labels, this.#triggered.targets, classes) };
  }
}
