/** What every recipe is given and gives back, and the steps it is made of. Recipes run in a browser too: files come in through a store. */
import { fail } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { Dataset } from '../data/dataset.ts';
import type { Provenance, Result } from '../evaluate/result.ts';
import type { Model } from '../onnx/model.ts';
import { writeModel } from '../onnx/proto.ts';
import type { ReportMedia } from '../report/media.ts';
import type { Runtime } from '../runtime/session.ts';
import type { EpochRecord } from '../train/checkpoint.ts';
import type { TrainOptions } from '../train/options.ts';

/** What a step that makes a model leaves behind: enough to go on without doing it again. */
export interface MadeModel {
  readonly model: Model;
  /** Epochs of the training that made it; empty where nothing was trained. */
  readonly history: readonly EpochRecord[];
  /** Whatever else the step found, JSON-able: a poison record, an order of channels. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface StoredModel extends MadeModel {
  /** What it took when it was made. */
  readonly seconds: number;
  readonly rssBytes: number;
}

/** Where finished steps are kept, so that a killed run goes on; `run-folder.node.ts` has the one on disk. */
export interface RecipeStore {
  /** @param shared what the step is made of, where other recipes do the same step: data, scale, seed */
  load(name: string, shared?: string): Promise<StoredModel | undefined>;
  save(name: string, made: StoredModel, shared?: string): Promise<void>;
  /** One line more in metrics.jsonl. */
  metric(record: Readonly<Record<string, unknown>>): Promise<void>;
  /** A file beside the models, `poison.json`. */
  json(name: string, value: unknown): Promise<void>;
}

export interface RecipeProgress {
  /** A step begins; `reused` says that it was done before and is only read. */
  step(name: string, place: { readonly index: number; readonly of: number; readonly reused: boolean }): void;
  /** Training inside a step. */
  readonly training?: TrainOptions['onProgress'];
}

export interface RecipeData {
  readonly train: Dataset<'train'>;
  readonly test: Dataset<'test'>;
}

/** What a recipe is run with, whatever its data. */
export interface RunDeps {
  readonly runtime: Runtime;
  readonly store?: RecipeStore;
  readonly progress?: RecipeProgress;
  readonly signal?: AbortSignal;
  /** Resident memory of the process; 0 where the platform does not say. */
  readonly rssBytes?: () => number;
  /** What the caller knows about the run. */
  readonly provenance: Pick<Provenance, 'command' | 'versions' | 'machine' | 'started'>;
}

export interface RecipeDeps extends RunDeps {
  readonly data: RecipeData;
}

/** One of the data sets that a recipe works on. */
export interface Source {
  /** As typed, or `builtin:NAME`. */
  readonly uri: string;
  /** Made by a generator: what comes out says nothing of the real thing. */
  readonly synthetic: boolean;
  readonly train: Dataset<'train'>;
  /** Undefined where the source has no part for it; the recipe then holds groups out. */
  readonly test?: Dataset<'test'>;
}

/** For recipes on several data sets, by what they are to the recipe: `face`, `speech`, `signs`, `abroad`. */
export interface StudyDeps extends RunDeps {
  readonly sources: Readonly<Record<string, Source>>;
  /** One for each network that is worked on at a time, `runtime` among them; default: that one alone. */
  readonly lanes?: readonly Runtime[];
}

export interface RecipeOutcome {
  readonly result: Result;
  readonly media: ReportMedia;
  /** The one line that is printed first. */
  readonly line: string;
  /** Models worth keeping under a plain name, by file name without `.onnx`. */
  readonly models: Readonly<Record<string, Model>>;
}

/** Does steps in order, keeps their time and memory, and takes models from the store where they are there already. */
export class Steps {
  readonly done: Provenance['steps'] = [];
  /** Model name -> sha-256 of its file. */
  readonly hashes: Record<string, string> = {};
  readonly #deps: RunDeps;
  readonly #of: number;

  /** @param of number of steps there will be, for the progress line */
  constructor(deps: RunDeps, of: number) {
    this.#deps = deps;
    this.#of = of;
  }

  /** A step that makes no model; it is done again when a run is taken up. */
  async measure<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.#begin(name, false);
    const began = performance.now();
    const value = await work();
    this.#end(name, (performance.now() - began) / 1000, this.#rss());
    return value;
  }

  /** A step that makes a model, or finds it in the store. `shared` as in {@link RecipeStore}. */
  async model(name: string, work: () => Promise<MadeModel>, shared?: string): Promise<MadeModel> {
    const { store } = this.#deps;
    const stored = await store?.load(name, shared);
    this.#begin(name, stored !== undefined);
    if (stored !== undefined) {
      this.#end(name, stored.seconds, stored.rssBytes);
      this.#hash(name, stored.model);
      return stored;
    }
    const began = performance.now();
    const made = await work();
    const seconds = (performance.now() - began) / 1000;
    const rssBytes = this.#rss();
    await store?.save(name, { ...made, seconds, rssBytes }, shared);
    for (const epoch of made.history) await store?.metric({ step: name, ...epoch });
    this.#end(name, seconds, rssBytes);
    this.#hash(name, made.model);
    return made;
  }

  #begin(name: string, reused: boolean): void {
    if (this.#deps.signal?.aborted) {
      const hint = this.#deps.store === undefined ? undefined : 'the same command again, which goes on from there';
      fail({ where: 'recipe', what: `interrupted before ${name}`, hint, exitCode: 130 });
    }
    this.#deps.progress?.step(name, { index: this.done.length + 1, of: this.#of, reused });
  }

  #end(name: string, seconds: number, rssBytes: number): void {
    this.done.push({ name, seconds, rssBytes });
  }

  #rss(): number {
    return this.#deps.rssBytes?.() ?? 0;
  }

  #hash(name: string, model: Model): void {
    this.hashes[`${name}.onnx`] = sha256(writeModel(model));
  }
}
