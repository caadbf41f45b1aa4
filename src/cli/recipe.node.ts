/** What `demo` and `reproduce` share: a folder that a killed run is taken up from, the report at the end. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fail, SecateurError } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { loadData } from '../data/load.node.ts';
import { saveModel } from '../onnx/file.node.ts';
import type { RecipeData, RecipeDeps, RecipeOutcome, RunDeps, StudyDeps } from '../recipes/recipe.ts';
import { RecipeFolder, type RunHead } from '../recipes/run-folder.node.ts';
import { SharedSteps } from '../recipes/shared-steps.node.ts';
import { renderReport } from '../report/render.tsx';
import type { Runtime } from '../runtime/session.ts';
import type { Context, Outcome } from './command.node.ts';
import { thinned } from './output.node.ts';
import { machineName, refuseForeign } from './run-folder.node.ts';
import { versions, withRuntime } from './shared.node.ts';
import { loadSources, type SourceName, type SourceOptions } from './sources.node.ts';

interface Setup {
  /** As typed. */
  readonly command: string;
  readonly seed: number;
  /** What the numbers depend on, beside the data. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Where steps are kept for other recipes. */
  readonly steps?: string;
  readonly out?: string;
  readonly force: boolean;
  readonly backend: 'auto' | 'native' | 'wasm';
  readonly threads?: number;
}

/** A recipe on one set of data. */
export interface RecipeSetup extends Setup {
  readonly data: string;
  readonly run: (deps: RecipeDeps) => Promise<RecipeOutcome>;
}

/** A recipe on several. */
export interface StudySetup extends Setup, SourceOptions {
  readonly sources: readonly SourceName[];
  /** Networks that are worked on at a time; threads are shared out among them. */
  readonly jobs: number;
  readonly run: (deps: StudyDeps) => Promise<RecipeOutcome>;
}

/** Tables that are long, or details: they are in the report and in result.json, not on the terminal. */
const SHOWN = new Set([
  'per-class error',
  'poison fraction',
  'table 1',
  'accuracy on held-out data',
  'defences',
  'clean-model control',
  'transfer by class',
  'strength',
  'variants',
]);

export async function performRecipe(context: Context, o: RecipeSetup): Promise<Outcome> {
  return perform(context, o, 1, async () => {
    const data = await recipeData(o.data);
    return { hashes: { train: data.train.sha256, test: data.test.sha256 }, run: (deps) => o.run({ ...deps, data }) };
  });
}

export async function performStudy(context: Context, o: StudySetup): Promise<Outcome> {
  const threads = o.threads ?? (o.jobs > 1 ? Math.max(1, Math.floor(availableParallelism() / o.jobs)) : undefined);
  return perform(context, { ...o, ...(threads === undefined ? {} : { threads }) }, o.jobs, async () => {
    const sources = await loadSources(o.sources, { ...o, note: (text) => context.progress.line(text) });
    const hashes: Record<string, string> = {};
    for (const [name, { train, test }] of Object.entries(sources)) {
      hashes[`${name} train`] = train.sha256;
      if (test !== undefined) hashes[`${name} test`] = test.sha256;
      // another grouping holds other images out
      if (train.groups !== undefined) hashes[`${name} groups`] = sha256(train.groups.ids.join(','));
    }
    return { hashes, run: (deps, lanes) => o.run({ ...deps, sources, lanes }) };
  });
}

/** Data read, by hash, and what is done with them. */
interface Ready {
  readonly hashes: Readonly<Record<string, string>>;
  readonly run: (deps: RunDeps, lanes: readonly Runtime[]) => Promise<RecipeOutcome>;
}

/** Opens so many runtimes, and closes them behind `work`. */
function withLanes<T>(context: Context, o: Setup, count: number, work: (lanes: readonly Runtime[]) => Promise<T>): Promise<T> {
  const more = (lanes: readonly Runtime[]): Promise<T> =>
    lanes.length === count ? work(lanes) : withRuntime(context, o, true, async (open) => more([...lanes, await open()]));
  return more([]);
}

async function perform(context: Context, o: Setup, jobs: number, read: () => Promise<Ready>): Promise<Outcome> {
  const { progress, signal } = context;
  if (o.force && o.out !== undefined) await refuseForeign(o.out.replace(/(\.partial)?[/\\]*$/, ''));
  progress.step('reading data');
  const { hashes, run } = await read();
  return withLanes(context, o, jobs, async (lanes) => {
    const [runtime] = lanes;
    const head: RunHead = {
      command: o.command,
      commandLine: context.commandLine,
      settings: {
        command: o.command,
        ...o.options,
        ...hashes,
        backend: runtime.backend,
        threads: runtime.threads,
        versions: versions(),
      },
      seed: o.seed,
      versions: versions(),
      machine: `${machineName()}; ${runtime.backend}, ${runtime.threads} threads${jobs > 1 ? `, ${jobs} networks at a time` : ''}`,
      inputs: hashes,
    };
    const { folder, resumed } = await openFolder(o, head);
    progress.line(`${resumed ? 'going on with' : 'run folder'} ${folder.path}.partial`);
    const deps: RunDeps = {
      runtime,
      store: o.steps === undefined ? folder : new SharedSteps(folder, o.steps, [versions(), runtime.backend, runtime.threads]),
      signal,
      progress: {
        step: (name, { index, of, reused }) => progress.step(`[${index}/${of}] ${name}${reused ? ' (done before)' : ''}`),
        // a line for every epoch of a hundred would bury the steps; they are in metrics.jsonl
        training: (p) => {
          if (p.kind !== 'epoch') progress.train(p);
        },
      },
      rssBytes: () => process.memoryUsage.rss(),
      provenance: { command: context.commandLine, versions: head.versions, machine: head.machine, started: folder.started },
    };
    const { result, media, line, models } = await run(deps, lanes).catch((error: unknown) => {
      throw withGoOn(error, folder);
    });
    for (const [name, model] of Object.entries(models)) await saveModel(folder.file(`${name}.onnx`), model);
    const written = await folder.finish(result, media, renderReport(result, media));
    return {
      line,
      tables: result.tables.filter((table) => SHOWN.has(table.name)).map((table) => thinned(table)),
      json: { ...result, run: folder.path, report: written },
      written,
    };
  });
}

async function recipeData(uri: string): Promise<RecipeData> {
  const { train, test } = await loadData(uri);
  if (train && test) return { train, test };
  return fail({ where: `data: ${uri}`, what: `no ${train ? 'test' : 'training'} images`, expected: 'both training and test images' });
}

/** --out, or the first of `runs/NAME-1`, `runs/NAME-2`, ... that is free or an unfinished run of just this kind. */
async function openFolder(o: Setup, head: RunHead): Promise<{ folder: RecipeFolder; resumed: boolean }> {
  if (o.out !== undefined) return RecipeFolder.open(o.out, head, o.force);
  for (let n = 1; ; n++) {
    const out = join('runs', `${o.command.replaceAll(' ', '-')}-${n}`);
    if (existsSync(out)) continue;
    try {
      return await RecipeFolder.open(out, head);
    } catch (error) {
      // an unfinished run with other settings is left alone
      if (!(error instanceof SecateurError && existsSync(`${out}.partial`))) throw error;
    }
  }
}

/** The steps that are finished are kept, whatever stopped the run. */
function withGoOn(error: unknown, folder: RecipeFolder): unknown {
  if (!(error instanceof SecateurError)) return error;
  const goOn = `the same command again, which goes on from the steps that are finished (in ${folder.path}.partial)`;
  const hint = error.exitCode === 130 || error.parts.hint === undefined ? goOn : `${error.parts.hint}; then ${goOn}`;
  return new SecateurError({ ...error.parts, hint });
}
