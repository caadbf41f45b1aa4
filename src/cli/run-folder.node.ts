/**
 * The folder that a command leaves behind: run.json (what was asked, by what, from what), metrics.jsonl, model.onnx, result.json.
 * It is filled as `OUT.partial` and renamed when it is complete, so whatever stands at OUT is a finished run.
 */
import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { arch, cpus, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { fail } from '../core/errors.ts';

export const RunJson = z.object({
  /** Of this file's shape. */
  version: z.literal(1),
  command: z.string(),
  commandLine: z.string(),
  options: z.record(z.string(), z.unknown()),
  seed: z.number().int(),
  versions: z.record(z.string(), z.string()),
  machine: z.string(),
  /** name -> sha-256 */
  inputs: z.record(z.string(), z.string()),
  started: z.string(),
  finished: z.string().optional(),
});
export type RunJson = z.infer<typeof RunJson>;

const exists = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

export class RunFolder {
  /** Where the run stands when it is complete. */
  readonly path: string;
  readonly #work: string;

  private constructor(path: string) {
    this.path = path;
    this.#work = `${path}.partial`;
  }

  /**
   * Begins a new one.
   * @param out undefined: the next free `runs/NAME-1`, `runs/NAME-2`, ...
   * @param force replace a finished or unfinished run of that name; else that is an error
   * @throws SecateurError where something is in the way, and with `force` where that is no run
   */
  static async create(out: string | undefined, name: string, force: boolean): Promise<RunFolder> {
    if (out === undefined) {
      await mkdir('runs', { recursive: true });
      for (let n = 1; ; n++) {
        const folder = new RunFolder(join('runs', `${name}-${n}`));
        if (await exists(folder.path)) continue;
        // mkdir decides between two commands that start at the same time
        const mine = await mkdir(folder.#work).then(
          () => true,
          (error: NodeJS.ErrnoException) => (error.code === 'EEXIST' ? false : Promise.reject(error)),
        );
        if (mine) return folder;
      }
    }
    const folder = new RunFolder(out.replace(/[/\\]+$/, ''));
    if (!force && (await exists(folder.path))) {
      fail({ where: '--out', what: `${folder.path} exists already`, hint: 'another name, or --force to replace it', exitCode: 2 });
    }
    if (force) await refuseForeign(folder.path);
    if (!force && (await exists(folder.#work))) {
      const hint = `--force to replace it${(await exists(join(folder.#work, CHECKPOINT))) ? `, or --resume ${folder.path} to go on with it` : ''}`;
      fail({ where: '--out', what: `an unfinished run is in ${folder.#work}`, hint, exitCode: 2 });
    }
    await rm(folder.#work, { recursive: true, force: true });
    await mkdir(folder.#work, { recursive: true });
    return folder;
  }

  /** Takes up an unfinished one. */
  static async resume(out: string): Promise<RunFolder> {
    const folder = new RunFolder(out.replace(/(\.partial)?[/\\]*$/, ''));
    if (!(await exists(folder.#work))) {
      const complete = await exists(folder.path);
      fail({
        where: '--resume',
        what: complete ? `the run in ${folder.path} is complete` : `no unfinished run in ${folder.#work}`,
        hint: complete ? 'a new run without --resume' : 'the path that was given with --out',
      });
    }
    // what a killed write may have left
    for (const name of await readdir(folder.#work)) if (name.endsWith('.tmp')) await rm(join(folder.#work, name), { force: true });
    return folder;
  }

  /** Path of a file while the run is under way. */
  file(name: string): string {
    return join(this.#work, name);
  }

  get checkpoint(): string {
    return this.file(CHECKPOINT);
  }

  /** Written beside, then renamed: never half a file. */
  async write(name: string, content: string | Uint8Array): Promise<void> {
    const beside = `${this.file(name)}.tmp`;
    await writeFile(beside, content);
    await rename(beside, this.file(name));
  }

  json(name: string, value: unknown): Promise<void> {
    return this.write(name, `${JSON.stringify(value, null, 2)}\n`);
  }

  /** One line more in metrics.jsonl. */
  metric(record: unknown): Promise<void> {
    return appendFile(this.file('metrics.jsonl'), `${JSON.stringify(record)}\n`);
  }

  /** @throws SecateurError where run.json is missing or is no such file */
  async runJson(): Promise<RunJson> {
    return readRunJson(this.#work);
  }

  /** Moves the complete folder to its place; `inputs` go into run.json. */
  async finish(inputs: Readonly<Record<string, string>> = {}): Promise<string> {
    await rm(this.checkpoint, { force: true });
    const run = await this.runJson();
    await this.json('run.json', { ...run, inputs: { ...run.inputs, ...inputs }, finished: new Date().toISOString() });
    // A name that nobody has: a rename onto a folder with something in it fails, and that would cost the finished run.
    const old = `${this.path}.old-${randomBytes(6).toString('hex')}`;
    const replaced = await exists(this.path);
    if (replaced) await rename(this.path, old);
    await mkdir(dirname(this.path), { recursive: true });
    try {
      await rename(this.#work, this.path);
    } catch (error) {
      if (replaced) await rename(old, this.path);
      throw error;
    }
    if (replaced) await rm(old, { recursive: true, force: true });
    await flush(dirname(this.path));
    return this.path;
  }

  /** Takes away what is half-done. */
  discard(): Promise<void> {
    return rm(this.#work, { recursive: true, force: true });
  }
}

const CHECKPOINT = 'checkpoint.onnx';
/** What an attack did to the data; see poison/record.ts. */
export const RECORD_FILE = 'poison.json';

/**
 * For `--force`, which takes away what stands at `path`: that may be a run folder or an empty one, and nothing else.
 * @throws SecateurError (exit code 2) for a file, and for a folder with something in it but no run.json
 */
export async function refuseForeign(path: string): Promise<void> {
  const there = await stat(path).catch(() => undefined);
  if (there === undefined) return;
  const names = there.isDirectory() ? await readdir(path) : undefined;
  if (names !== undefined && (names.length === 0 || names.includes('run.json'))) return;
  fail({
    where: '--force',
    what: `${path} is no run folder, so it is left as it is`,
    expected: 'a folder with a run.json in it, or an empty one',
    got: names === undefined ? 'a file' : `a folder of ${names.length} ${names.length === 1 ? 'entry' : 'entries'} without one`,
    hint: 'another --out',
    exitCode: 2,
  });
}

/** Makes a rename survive a power cut; some file systems refuse, which changes nothing. */
async function flush(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** @throws SecateurError where the folder holds no run */
export async function readRunJson(folder: string): Promise<RunJson> {
  const path = join(folder, 'run.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
    return fail({ where: folder, what: 'not a run folder', expected: 'a run.json in it' });
  }
  const parsed = RunJson.safeParse(parseJson(text));
  if (!parsed.success) return fail({ where: path, what: 'not the description of a run', expected: 'one written by secateur' });
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `linux/x64, AMD EPYC, 2 x` */
export const machineName = (): string => `${platform()}/${arch()}, ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${cpus().length} x`;
