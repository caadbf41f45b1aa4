/** What every command that leaves a run folder has in common: the folder, the runtime, the steps with their time and memory, the files. */
import { SecateurError } from '../core/errors.ts';
import type { Check, Result, Table } from '../evaluate/result.ts';
import { cloneModel } from '../onnx/edit.ts';
import { hashModel, saveModel } from '../onnx/file.node.ts';
import type { Model } from '../onnx/model.ts';
import { readSpec, writeSpec } from '../onnx/spec.ts';
import type { ReportMedia } from '../report/media.ts';
import type { Runtime } from '../runtime/session.ts';
import { DivergedError } from '../train/loop.ts';
import type { Context, Outcome } from './command.node.ts';
import { machineName, RunFolder } from './run-folder.node.ts';
import { refuseIdleLimits, specOverrides, type Trust, versions, withRuntime } from './shared.node.ts';

/** The flags that this needs. */
interface WorkOptions extends Trust {
  readonly seed?: number;
  readonly out?: string;
  readonly force: boolean;
  readonly backend: 'auto' | 'native' | 'wasm';
  readonly threads?: number;
  readonly preprocess?: string;
  readonly inputRange?: number[];
  readonly mean?: number[];
  readonly std?: number[];
  readonly labels?: string[];
}

export interface WorkSetup<O> {
  /** As typed. */
  readonly command: string;
  readonly options: O;
  /** For commands that train; see `withRuntime`. */
  readonly tune?: boolean;
  /** An unfinished folder to go on with. */
  readonly resume?: RunFolder;
}

export interface Work {
  /** Opened when it is first asked for: a flag that is wrong is told before ONNX Runtime is loaded. */
  runtime(): Promise<Runtime>;
  readonly folder: RunFolder;
  /** How much of a model's file is believed. */
  readonly trust: Trust;
  /** name -> sha-256 of what the run was made from. */
  readonly inputs: Record<string, string>;
  /** Does one part of the work, under its name on the progress line, and keeps its time and memory. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** From now on the unfinished folder is worth keeping: there is a checkpoint in it. */
  keep(): void;
}

export interface Findings {
  readonly line: string;
  readonly tables: readonly Table[];
  /** Tables for stdout, where they are not the same. */
  readonly shown?: readonly (Table | string)[];
  readonly notes?: readonly string[];
  /** Becomes model.onnx, in the form that `restore` gives it: that of the file it was made from. */
  readonly model?: Model;
  restore?(model: Model): Model;
  /** Becomes media.json, what `secateur report` draws beside the tables. */
  readonly media?: ReportMedia;
  /** More files, by name. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** One line each in metrics.jsonl. */
  readonly metrics?: readonly unknown[];
  /** Goes into what --json prints, beside the tables. */
  readonly json?: Readonly<Record<string, unknown>>;
  /** What was demanded of the numbers; one that does not hold makes the exit code 3. */
  readonly checks?: readonly Check[];
}

/** Runs `work` in a run folder: complete at its place if it succeeds, gone (or kept for --resume) if not. */
export async function inRunFolder<O extends WorkOptions>(
  context: Context,
  setup: WorkSetup<O>,
  work: (w: Work) => Promise<Findings>,
): Promise<Outcome> {
  const { command, options } = setup;
  refuseIdleLimits(context, options);
  const name = command.replaceAll(' ', '-');
  const folder = setup.resume ?? (await RunFolder.create(options.out, name, options.force));
  const keep = setup.resume ? () => {} : context.cleanUp(() => folder.discard());
  let kept = setup.resume !== undefined;
  if (!setup.resume) {
    const { out: _, force: __, ...said } = options;
    await folder.json('run.json', {
      version: 1,
      command,
      commandLine: context.commandLine,
      options: said,
      seed: options.seed ?? 0,
      versions: versions(),
      machine: machineName(),
      inputs: {},
      started: new Date().toISOString(),
    });
  }
  const steps: { name: string; seconds: number; rssBytes: number }[] = [];
  const inputs: Record<string, string> = {};
  try {
    return await withRuntime(context, options, setup.tune === true, async (runtime) => {
      const findings = await work({
        runtime,
        folder,
        trust: { ...options, note: (text) => context.progress.line(`note: ${text}`) },
        inputs,
        async step(title, part) {
          const began = performance.now();
          context.progress.step(title);
          const value = await part();
          context.progress.done();
          steps.push({ name: title, seconds: (performance.now() - began) / 1000, rssBytes: process.memoryUsage.rss() });
          return value;
        },
        keep() {
          kept = true;
          keep();
        },
      });
      const { started } = await folder.runJson();
      const { backend, threads } = await runtime();
      const result: Result = {
        recipe: name,
        tables: [...findings.tables],
        ...(findings.checks && { checks: [...findings.checks] }),
        provenance: {
          command: context.commandLine,
          seeds: options.seed === undefined ? [] : [options.seed],
          versions: versions(),
          machine: `${machineName()}; ${backend}, ${threads} threads`,
          inputs,
          started,
          steps,
        },
      };
      if (findings.model) {
        // what flags said about the input is known to the file from now on
        const spec = readSpec(findings.model, specOverrides(options));
        const described = writeSpec(findings.restore?.(findings.model) ?? cloneModel(findings.model), spec);
        const path = folder.file('model.onnx');
        await saveModel(path, described);
        result.provenance.outputs = { model: await hashModel(path, described) };
      }
      if (findings.metrics) await folder.write('metrics.jsonl', findings.metrics.map((m) => `${JSON.stringify(m)}\n`).join(''));
      for (const [file, content] of Object.entries(findings.files ?? {})) await folder.write(file, content);
      await folder.json('media.json', findings.media ?? {});
      await folder.json('result.json', result);
      const written = await folder.finish(inputs);
      const { line, tables, shown = tables, notes, json, checks = [] } = findings;
      const exitCode = checks.every((check) => check.held) ? 0 : 3;
      return { line, tables: shown, notes, json: { ...result, ...json, run: written }, written, exitCode };
    });
  } catch (error) {
    const goOn = `secateur ${command} --resume ${folder.path}`;
    if (!kept || error instanceof DivergedError) throw error;
    if (error instanceof SecateurError && error.exitCode === 130) {
      throw new SecateurError({ ...error.parts, hint: `${goOn} to go on from there` });
    }
    context.progress.line(`the last checkpoint is kept: ${goOn} goes on from there`);
    throw error;
  }
}
