/**
 * SIGKILL at random moments of real zoo commands, in child processes against a real server: what is left must be wholly before or wholly
 * after, model by model, and the next command must complete. Used by a test and by scripts/kill-install.ts.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { sha256 } from '../../src/core/hash.node.ts';
import { Rng } from '../../src/core/rng.ts';
import { parseLock } from '../../src/zoo/lock.ts';
import { openCache } from '../../src/zoo/store/cache.node.ts';
import { recover } from '../../src/zoo/store/place.node.ts';
import type { Lock } from '../../src/zoo/types.ts';
import { addModel } from '../../src/zoo/verbs/add.node.ts';
import { updateModels } from '../../src/zoo/verbs/update.node.ts';
import { putHub } from './hub.ts';
import { startServer, type TestServer } from './server.ts';

/** ms of work until one is known. */
const GUESS = 400;

/** A model's files, or undefined where it has none. */
type Tree = Readonly<Record<string, string>> | undefined;
type Version = 'before' | 'after';

const MINE = 'mine.txt';
const NAMES = ['a', 'b', 'c', 'fresh'] as const;

/** Command lines that are killed. `clone`: nothing is installed yet; `pull`: the lock is newer than the disk. */
export const SCENES = ['clone', 'pull', 'update', 'add'] as const;
export type Scene = (typeof SCENES)[number];

const COMMANDS: Readonly<Record<Scene, readonly string[]>> = {
  clone: ['install'],
  pull: ['install'],
  update: ['update'],
  add: ['add', 'hf:team/fresh', '--name', 'fresh'],
};

/** What was seen after one kill. */
export interface Round {
  readonly scene: Scene;
  /** The cache had the files already, so that the kill met the placing rather than the download. */
  readonly warm: boolean;
  /** ms after the first sign of work, or `switch` where it was aimed at the moment of switching over. */
  readonly aimed: string;
  /** False: the command was done before the kill. */
  readonly killed: boolean;
  /** By model before anything else looked: `missing` for a folder that was just being switched. */
  readonly found: Readonly<Record<string, Version | 'missing'>>;
  /** What the journal had to finish. */
  readonly recovered: number;
  /** Empty, or what was wrong. */
  readonly wrong: readonly string[];
}

export interface KillOptions {
  readonly rounds: number;
  readonly seed: number;
  /** The built program; default: one that is bundled from the sources for these rounds. */
  readonly cli?: string;
  onRound?(round: Round, count: number): void;
}

/** Runs until `rounds` kills have met a command at work. */
export async function killRounds(o: KillOptions): Promise<Round[]> {
  const bundled = o.cli === undefined ? await bundle() : undefined;
  const bench = await Bench.make(o.cli ?? join(bundled!, 'main.js'));
  try {
    const rng = Rng.from(o.seed, 'kill');
    const rounds: Round[] = [];
    for (let tries = 0, killed = 0; killed < o.rounds; tries++) {
      if (tries > 4 * o.rounds + 20) throw new Error(`only ${killed} of ${tries} kills met a command at work`);
      const round = await bench.round(SCENES[tries % SCENES.length], rng);
      rounds.push(round);
      if (round.killed) killed++;
      o.onRound?.(round, killed);
    }
    return rounds;
  } finally {
    await bench.close();
    if (bundled !== undefined) rmSync(bundled, { recursive: true });
  }
}

/**
 * The command line as JavaScript, which starts in a third of the time that tsx takes with the sources. It lies where its packages are found.
 * esbuild is tsx's own.
 */
async function bundle(): Promise<string> {
  const root = join(import.meta.dirname, '../..');
  const { build } = createRequire(createRequire(import.meta.url).resolve('tsx/package.json'))('esbuild') as Esbuild;
  const outdir = mkdtempSync(join(root, 'node_modules/.secateur-kill-'));
  const entryPoints = [join(root, 'src/cli/main.ts')];
  await build({
    entryPoints,
    outdir,
    bundle: true,
    platform: 'node',
    format: 'esm',
    splitting: true,
    packages: 'external',
    logLevel: 'error',
  });
  return outdir;
}

interface Esbuild {
  build(options: Readonly<Record<string, unknown>>): Promise<unknown>;
}

class Bench {
  readonly #folder: string;
  readonly #server: TestServer;
  readonly #cli: string;
  readonly #trees: Record<string, Record<Version, Tree>> = {};
  readonly #locks: Record<Version, Lock>;
  readonly #texts: Record<Version, string>;
  /** ms of work, by scene and warmth, of the last command that was done before its kill. */
  readonly #lasts = new Map<string, number>();

  private constructor(folder: string, server: TestServer, cli: string, texts: Record<Version, string>) {
    this.#folder = folder;
    this.#server = server;
    this.#cli = cli;
    this.#texts = texts;
    this.#locks = { before: parseLock(texts.before, 'before'), after: parseLock(texts.after, 'after') };
    for (const name of NAMES) {
      this.#trees[name] = { before: treeOf(join(folder, 'base/models', name)), after: treeOf(join(folder, 'next/models', name)) };
    }
  }

  /** A project at version one and the same at version two, made by the verbs themselves without a kill. */
  static async make(cli: string): Promise<Bench> {
    const folder = mkdtempSync(join(tmpdir(), 'secateur-kill-'));
    const server = await startServer();
    const before = process.env.HF_ENDPOINT;
    process.env.HF_ENDPOINT = server.url;
    try {
      const [base, next] = [join(folder, 'base'), join(folder, 'next')];
      const o = { cache: await openCache(join(folder, 'warm/zoo')), allowHttp: true };
      mkdirSync(base);
      for (const name of ['a', 'b', 'c']) {
        putHub(server, { repo: `team/${name}`, commit: '1'.repeat(40), files: filesOf(name, 1) });
        await addModel(base, `hf:team/${name}@main`, { ...o, name });
      }
      writeFileSync(join(base, 'models/a', MINE), 'mine');
      cpSync(base, next, { recursive: true });
      for (const name of NAMES) putHub(server, { repo: `team/${name}`, commit: '2'.repeat(40), files: filesOf(name, 2) });
      await addModel(next, 'hf:team/fresh', { ...o, name: 'fresh' });
      await updateModels(next, ['a', 'b', 'c'], o);
      const lock = (root: string): string => readFileSync(join(root, 'models.lock'), 'utf8');
      return new Bench(folder, server, cli, { before: lock(base), after: lock(next) });
    } finally {
      if (before === undefined) delete process.env.HF_ENDPOINT;
      else process.env.HF_ENDPOINT = before;
    }
  }

  async close(): Promise<void> {
    await this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async round(scene: Scene, rng: Rng): Promise<Round> {
    const warm = rng.int(2) === 0;
    const root = join(this.#folder, 'project');
    const cache = warm ? join(this.#folder, 'warm') : join(this.#folder, 'cold');
    this.#prepare(root, scene);
    rmSync(join(this.#folder, 'cold'), { recursive: true, force: true });
    const key = `${scene} ${warm}`;
    const atSwitch = rng.int(2) === 0;
    const delay = atSwitch ? rng.uniform(0, 12) : rng.uniform(0, this.#lasts.get(key) ?? GUESS);
    const nth = 1 + rng.int(scene === 'add' ? 1 : 3);
    const first = await this.#run(root, cache, COMMANDS[scene], { delay, nth: atSwitch ? nth : 0 });
    if (!first.killed) {
      if (first.code !== 0) throw new Error(`${scene} fails without a kill: ${first.err}`);
      this.#lasts.set(key, first.ms);
    }
    const found = Object.fromEntries(NAMES.map((name) => [name, this.#versionOf(root, name)]));
    const wrong: string[] = [];
    // Half of the time the next command finds it as it is, and half of the time what every command does first is looked at alone.
    let recovered = 0;
    this.#checkRaw(root, found, scene, wrong);
    if (rng.int(2) === 0) {
      recovered = (await recover(root)).length;
      this.#checkRecovered(root, scene, wrong);
    }
    const second = await this.#run(root, cache, COMMANDS[scene]);
    recovered += second.err.split('a change that was cut off has been finished').length - 1;
    // The journal made it complete first: then there is nothing to add.
    const isThere = scene === 'add' && second.err.includes('E_NAME fresh: is in models.json already');
    if (second.code !== 0 && !isThere) wrong.push(`the second run failed: ${second.err}`);
    this.#checkDone(root, cache, scene, wrong);
    return { scene, warm, aimed: atSwitch ? `switch ${nth}` : `${delay.toFixed(0)} ms`, killed: first.killed, found, recovered, wrong };
  }

  #prepare(root: string, scene: Scene): void {
    rmSync(root, { recursive: true, force: true });
    cpSync(join(this.#folder, 'base'), root, { recursive: true });
    if (scene === 'clone' || scene === 'pull') {
      for (const file of ['models.json', 'models.lock']) cpSync(join(this.#folder, 'next', file), join(root, file));
    }
    if (scene === 'clone') for (const name of NAMES) rmSync(join(root, 'models', name), { recursive: true, force: true });
  }

  /** Runs a command; with `kill` it is killed so many ms after its first request or write, or after the n-th journal. */
  async #run(
    root: string,
    cache: string,
    command: readonly string[],
    kill?: { readonly delay: number; readonly nth: number },
  ): Promise<{ ms: number; code: number | null; killed: boolean; err: string }> {
    const args = [this.#cli, 'zoo', ...command, '--project', root, '--allow-http'];
    const child = spawn(process.execPath, args, {
      env: { ...process.env, SECATEUR_CACHE: cache, HF_ENDPOINT: this.#server.url },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let err = '';
    child.stderr.on('data', (data: Buffer) => {
      err += data.toString();
    });
    let began: number | undefined;
    let journals = 0;
    const fire = (delay: number): void => void setTimeout(() => child.kill('SIGKILL'), delay);
    const begin = (): void => {
      if (began !== undefined) return;
      began = performance.now();
      if (kill !== undefined && kill.nth === 0) fire(kill.delay);
    };
    const state = watch(join(root, '.secateur/zoo'), begin);
    const changes = watch(join(root, '.secateur/zoo/changes'), (_, name) => {
      begin();
      if (
        kill !== undefined &&
        name?.endsWith('.json') &&
        existsSync(join(root, '.secateur/zoo/changes', name)) &&
        ++journals === kill.nth
      ) {
        fire(kill.delay);
      }
    });
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
      child.once('close', (...ended) => resolve(ended)),
    );
    state.close();
    changes.close();
    return { ms: performance.now() - (began ?? performance.now()), code, killed: signal === 'SIGKILL', err };
  }

  /** Which version a model's folder is, or what it is instead. */
  #versionOf(root: string, name: string): Version | 'missing' {
    const tree = treeOf(join(root, 'models', name));
    const { before, after } = this.#trees[name];
    if (same(tree, before) && tree !== undefined) return 'before';
    if (same(tree, after)) return 'after';
    return tree === undefined ? 'missing' : ('neither' as 'missing');
  }

  /** Without any help: no folder is a mixture, and the lock is one of those that were written. */
  #checkRaw(root: string, found: Round['found'], scene: Scene, wrong: string[]): void {
    for (const [name, version] of Object.entries(found)) {
      if (version !== 'before' && version !== 'after' && version !== 'missing') wrong.push(`${name} is a mixture`);
    }
    this.#checkLock(root, scene, wrong);
  }

  /** After what every command does first: nothing is missing, and lock and folder are of the same version where both change. */
  #checkRecovered(root: string, scene: Scene, wrong: string[]): void {
    const lock = this.#checkLock(root, scene, wrong);
    for (const name of NAMES) {
      const version = this.#versionOf(root, name);
      const absent = scene === 'clone' || name === 'fresh';
      if (version === 'missing' && !absent) wrong.push(`${name} is missing after recovery`);
      if (scene !== 'update' && scene !== 'add') continue;
      const locked = lock?.models.get(name)?.treeDigest;
      const is = locked === undefined ? 'missing' : locked === this.#locks.before.models.get(name)?.treeDigest ? 'before' : 'after';
      if (is !== version) wrong.push(`${name} is ${version}, but ${is} in the lock`);
    }
    if (scene !== 'clone' && readMine(root) !== 'mine') wrong.push('the file of the user is gone');
    if (existsSync(join(root, 'models/.secateur'))) wrong.push('staging is left');
  }

  #checkLock(root: string, scene: Scene, wrong: string[]): Lock | undefined {
    const text = readFileSync(join(root, 'models.lock'), 'utf8');
    try {
      const lock = parseLock(text, 'models.lock');
      if ((scene === 'clone' || scene === 'pull') && text !== this.#texts.after) wrong.push('install changed the lock');
      for (const [name, entry] of lock.models) {
        const versions = [this.#locks.before.models.get(name), this.#locks.after.models.get(name)].map((e) => JSON.stringify(e));
        if (!versions.includes(JSON.stringify(entry))) wrong.push(`the lock's entry of ${name} is of no version`);
      }
      return lock;
    } catch (error) {
      wrong.push(`the lock is damaged: ${(error as Error).message}`);
      return undefined;
    }
  }

  #checkDone(root: string, cache: string, scene: Scene, wrong: string[]): void {
    for (const name of NAMES) {
      const wanted = scene === 'add' && name !== 'fresh' ? 'before' : scene === 'update' && name === 'fresh' ? 'missing' : 'after';
      const is = this.#versionOf(root, name);
      if (is !== wanted) wrong.push(`${name} is ${is} in the end`);
    }
    this.#checkRecovered(root, scene, wrong);
    const left = readdirSync(join(root, '.secateur/zoo/changes'));
    if (left.length > 0) wrong.push(`left behind: ${left.join(' ')}`);
    const parts = readdirSync(join(cache, 'zoo/parts')).filter((name) => name.endsWith('.part'));
    if (parts.length > 0) wrong.push(`unfinished downloads: ${parts.join(' ')}`);
  }
}

const readMine = (root: string): string | undefined => {
  const path = join(root, 'models/a', MINE);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
};

const same = (a: Tree, b: Tree): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Hashes by path, without what the user put there; undefined for no folder, or one without a file of the model. */
function treeOf(folder: string): Tree {
  if (!existsSync(folder)) return undefined;
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile())
    .map((e) => relative(folder, join(e.parentPath, e.name)))
    .filter((path) => path !== MINE)
    .sort();
  return files.length === 0 ? undefined : Object.fromEntries(files.map((path) => [path, sha256(readFileSync(join(folder, path)))]));
}

/** Model `c` differs in one file between its versions; the others in most, with one gone and one new. */
function filesOf(name: string, version: number): Record<string, string | Uint8Array> {
  const common = {
    'config.json': JSON.stringify({ name }),
    'part/second.safetensors': tensors(name === 'c' ? 'c' : `${name} second ${version}`),
  };
  const own: Record<string, string> = name === 'c' ? {} : { [`notes-${version}.txt`]: `version ${version}` };
  return { ...common, ...own, 'first.safetensors': tensors(`${name} first ${version}`) };
}

const made = new Map<string, Uint8Array>();

/** A valid file of noise, large enough that a kill can meet it half written. */
function tensors(label: string): Uint8Array {
  const there = made.get(label);
  if (there !== undefined) return there;
  const length = 700_000;
  const header = Buffer.from(JSON.stringify({ w: { dtype: 'U8', shape: [length], data_offsets: [0, length] } }));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  const bytes = Buffer.concat([size, header, randomBytes(length)]);
  made.set(label, bytes);
  return bytes;
}
