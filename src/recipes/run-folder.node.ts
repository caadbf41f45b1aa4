/**
 * The folder of a recipe's run. Finished steps are kept in it, so the same command goes on where a killed one stopped. It is filled as
 * `OUT.partial` and renamed when it is complete: whatever stands at OUT is a finished run.
 *   run.json        what was asked, by what, from what data; its `settings` decide whether a run can be taken up
 *   metrics.jsonl   one line an epoch
 *   *.onnx, *.json  every network that was made, and what its step found
 *   result.json, media.json, report.html
 */
import { appendFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { Result } from '../evaluate/result.ts';
import { loadModel, saveModel } from '../onnx/file.node.ts';
import { TRUSTED } from '../onnx/limits.ts';
import type { ReportMedia } from '../report/media.ts';
import { EpochRecord } from '../train/checkpoint.ts';
import type { RecipeStore, StoredModel } from './recipe.ts';

/** Everything that the numbers depend on: recipe, options, hashes of the data, versions. */
export type RunSettings = Readonly<Record<string, unknown>>;

export interface RunHead {
  readonly command: string;
  readonly commandLine: string;
  readonly settings: RunSettings;
  readonly seed: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: string;
  readonly inputs: Readonly<Record<string, string>>;
}

const StepJson = z.object({
  settings: z.string(),
  history: z.array(EpochRecord),
  facts: z.record(z.string(), z.unknown()),
  seconds: z.number(),
  rssBytes: z.number(),
  model: z.string(),
});

export class RecipeFolder implements RecipeStore {
  /** Where the run stands when it is complete. */
  readonly path: string;
  /** When the first try of this run began, ISO 8601. */
  readonly started: string;
  readonly #work: string;
  readonly #key: string;
  readonly #head: RunHead;

  private constructor(path: string, head: RunHead, key: string, started: string) {
    this.path = path;
    this.#work = `${path}.partial`;
    this.#head = head;
    this.#key = key;
    this.started = started;
  }

  /**
   * Begins a run at `out`, or takes up the unfinished one that is there if it had the same settings.
   * Throws SecateurError where a finished run or an unfinished one with other settings is in the way and `force` is not set.
   */
  static async open(out: string, head: RunHead, force = false): Promise<{ folder: RecipeFolder; resumed: boolean }> {
    const path = out.replace(/(\.partial)?[/\\]*$/, '');
    const work = `${path}.partial`;
    const key = sha256(JSON.stringify(head.settings));
    if (!force && (await exists(path))) {
      fail({ where: '--out', what: `${path} exists already`, hint: 'another name, or --force to replace it', exitCode: 2 });
    }
    const before = await readHead(join(work, 'run.json'));
    if (before !== undefined && before.settingsHash === key && !force) {
      return { folder: new RecipeFolder(path, head, key, before.started), resumed: true };
    }
    if (!force && (await exists(work))) {
      const hint = '--force to replace it, another --out, or the settings it was begun with to go on with it';
      fail({ where: '--out', what: `an unfinished run with other settings is in ${work}`, hint, exitCode: 2 });
    }
    await rm(work, { recursive: true, force: true });
    await mkdir(work, { recursive: true });
    const folder = new RecipeFolder(path, head, key, new Date().toISOString());
    await folder.#writeHead();
    return { folder, resumed: false };
  }

  load(name: string): Promise<StoredModel | undefined> {
    return readStep(this.#work, name, this.#key);
  }

  save(name: string, made: StoredModel): Promise<void> {
    return writeStep(this.#work, name, this.#key, made);
  }

  metric(record: Readonly<Record<string, unknown>>): Promise<void> {
    return appendFile(this.file('metrics.jsonl'), `${JSON.stringify(record)}\n`);
  }

  /** Path of a file while the run is under way. */
  file(name: string): string {
    return join(this.#work, name);
  }

  json(name: string, value: unknown): Promise<void> {
    return this.write(name, `${JSON.stringify(value, null, 1)}\n`);
  }

  write(name: string, content: string | Uint8Array): Promise<void> {
    return writeWhole(this.file(name), content);
  }

  /** Writes result and report, and moves the complete folder to its place. Returns the path of the report. */
  async finish(result: Result, media: ReportMedia, html: string): Promise<string> {
    await this.json('result.json', result);
    await this.json('media.json', media);
    await this.write('report.html', html);
    await this.#writeHead(new Date().toISOString());
    await mkdir(dirname(this.path), { recursive: true });
    await rm(this.path, { recursive: true, force: true });
    await rename(this.#work, this.path);
    return join(this.path, 'report.html');
  }

  #writeHead(finished?: string): Promise<void> {
    const { settings, ...head } = this.#head;
    const hash = { settingsHash: this.#key, started: this.started };
    return this.json('run.json', { version: 1, ...head, options: settings, ...hash, ...(finished ? { finished } : {}) });
  }
}

/** A finished step `name` in `dir`; undefined where it is not there, or was made with other settings than `key` stands for. */
export async function readStep(dir: string, name: string, key: string): Promise<StoredModel | undefined> {
  const text = await readFile(join(dir, `${name}.json`), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const parsed = StepJson.safeParse(parseJson(text));
  if (!parsed.success || parsed.data.settings !== key) return undefined;
  const model = await loadModel(join(dir, `${name}.onnx`), TRUSTED).catch(() => undefined);
  if (model === undefined) return undefined;
  const { history, facts, seconds, rssBytes } = parsed.data;
  return { model, history, facts, seconds, rssBytes };
}

/** The model first, then what says that it is there. */
export async function writeStep(dir: string, name: string, key: string, { model, ...found }: StoredModel): Promise<void> {
  await saveModel(join(dir, `${name}.onnx`), model);
  const json = { settings: key, ...found, model: `${name}.onnx` };
  await writeWhole(join(dir, `${name}.json`), `${JSON.stringify(json, null, 1)}\n`);
}

/** Written beside, then renamed: never half a file. */
async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  await writeFile(`${path}.tmp`, content);
  await rename(`${path}.tmp`, path);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function readHead(path: string): Promise<{ settingsHash: string; started: string } | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  const head = z.object({ settingsHash: z.string(), started: z.string() }).safeParse(text === undefined ? undefined : parseJson(text));
  return head.success ? head.data : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
