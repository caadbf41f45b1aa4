/**
 * Steps that several recipes have in common: `reproduce face` and `reproduce table1` train the same networks. Each finished step is kept in a folder of
 * its own too, under a name made of all that it depends on, and the next recipe finds it there. How long it took when it was made stays with it.
 */
import { mkdir } from 'node:fs/promises';
import { sha256 } from '../core/hash.ts';
import type { RecipeStore, StoredModel } from './recipe.ts';
import { readStep, writeStep } from './run-folder.node.ts';

export class SharedSteps implements RecipeStore {
  readonly #own: RecipeStore;
  readonly #dir: string;
  /** Versions, backend and threads: other ones make other weights. */
  readonly #made: string;

  /** @param own the run's folder, which gets a copy of whatever is found in `dir` */
  constructor(own: RecipeStore, dir: string, made: unknown) {
    this.#own = own;
    this.#dir = dir;
    this.#made = JSON.stringify(made);
  }

  async load(name: string, shared?: string): Promise<StoredModel | undefined> {
    const own = await this.#own.load(name);
    if (own !== undefined || shared === undefined) return own;
    const key = this.#key(shared);
    const found = await readStep(this.#dir, key, key);
    if (found !== undefined) await this.#own.save(name, found);
    return found;
  }

  async save(name: string, made: StoredModel, shared?: string): Promise<void> {
    await this.#own.save(name, made);
    if (shared === undefined) return;
    await mkdir(this.#dir, { recursive: true });
    const key = this.#key(shared);
    await writeStep(this.#dir, key, key, made);
  }

  metric(record: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#own.metric(record);
  }

  json(name: string, value: unknown): Promise<void> {
    return this.#own.json(name, value);
  }

  #key(shared: string): string {
    return sha256(`${this.#made}\n${shared}`).slice(0, 32);
  }
}
