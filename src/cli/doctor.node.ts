/** `secateur doctor`: what this machine can run, and what to type where it cannot. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { SecateurError } from '../core/errors.ts';
import { f32 } from '../core/tensor.ts';
import { GraphBuilder } from '../onnx/builder.ts';
import { openRuntime } from '../runtime/open.node.ts';
import type { Backend } from '../runtime/session.ts';
import { defineCommand } from './command.node.ts';
import { size } from './output.node.ts';
import { version } from './run.node.ts';
import { runtimeFields, specFields, specOverrides, trustedFields, withRuntime } from './shared.node.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** `false` where secateur works without it. */
  readonly needed: boolean;
  readonly detail: string;
  /** What to type; only where it is not ok. */
  readonly fix?: string;
}

export const doctor = defineCommand({
  name: 'doctor',
  description:
    'Without MODEL: the machine; exit code 1 if no backend works or something needed is missing. With MODEL: what that file is, how images go into it, and which of its nodes can be trained, or from where on; the file may come from anyone, a reader with limits sees it first and what runs it is kept apart.',
  examples: [
    ['secateur doctor', 'one line for each thing, and what to type where it fails'],
    ['secateur doctor model.onnx', 'what somebody sent me'],
  ],
  options: z.object({
    model: z
      .string()
      .optional()
      .meta({ description: 'a network: an ONNX file, or the name of a model in models.lock', positional: true, placeholder: 'MODEL' }),
    out: z.string().default('.').meta({ description: 'folder whose write access is checked, without MODEL', placeholder: 'DIR' }),
    ...specFields,
    ...runtimeFields,
    ...trustedFields,
  }),
  async run(context, { model, out, ...o }) {
    if (model !== undefined) {
      const { doctorModel } = await import('./doctor-model.node.ts');
      const trust = { ...o, note: (text: string) => context.progress.line(`note: ${text}`) };
      return withRuntime(context, o, false, (open) => doctorModel(model, specOverrides(o), trust, open));
    }
    const backends = [await backend('native'), await backend('wasm')];
    const works = backends.filter((b) => b.ok);
    const checks: Check[] = [nodeVersion(process.versions.node), machine(), ...backends, await writable(out), gpuLibraries()];
    const failed = checks.filter((c) => c.needed && !c.ok);
    const ok = works.length > 0 && failed.length === 0;
    const line = ok
      ? `secateur ${version()} works here (${works.map((b) => b.name).join(', ')})`
      : `secateur ${version()} does not work here: ${works.length === 0 ? 'no backend loads' : failed.map((c) => c.name).join(', ')}`;
    return { line, tables: [checks.map(checkLine).join('\n')], json: { version: version(), ok, checks }, exitCode: ok ? 0 : 1 };
  },
});

function checkLine({ name, ok, needed, detail, fix }: Check): string {
  const mark = ok ? 'ok  ' : needed ? 'FAIL' : 'no  ';
  return `  ${mark}  ${name.padEnd(14)}  ${detail}${ok || fix === undefined ? '' : `\n${' '.repeat(24)}Try ${fix}`}`;
}

/** @param version as in process.versions.node */
export function nodeVersion(version: string): Check {
  const [major, minor] = version.split('.').map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  return { name: 'node', ok, needed: true, detail: version, fix: 'Node 20.19 or later: https://nodejs.org' };
}

function machine(): Check {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const detail = `${process.platform}/${process.arch}, ${model}, ${availableParallelism()} threads, ${size(totalmem())} memory`;
  return { name: 'machine', ok: true, needed: false, detail };
}

const PACKAGES = { native: 'onnxruntime-node', wasm: 'onnxruntime-web' } as const;

/** Loads a backend and runs a graph on it. */
async function backend(name: Backend): Promise<Check> {
  const which = `${PACKAGES[name]} ${installed(PACKAGES[name])}`;
  try {
    const b = new GraphBuilder({ name: 'doctor' });
    b.input('x', 'float32', [3]);
    b.output(b.op('Relu', ['x'], {}, { name: 'y' }), 'float32', [3]);
    const runtime = await openRuntime({ backend: name });
    try {
      const session = await runtime.open(b.build(), { label: 'doctor' });
      const { y } = await session.run({ x: f32([-1, 0, 2], [3]) });
      await session.close();
      const right = [...(y.data as Float32Array)].join(',') === '0,0,2';
      const detail = right ? `${which}, ${runtime.threads} threads` : `${which} computes max(0, [-1, 0, 2]) as [${[...y.data].join(', ')}]`;
      return { name, ok: right, needed: false, detail, fix: `npm rebuild ${PACKAGES[name]}` };
    } finally {
      await runtime.dispose();
    }
  } catch (error) {
    const detail = error instanceof SecateurError ? `${error.parts.what}` : String(error);
    return { name, ok: false, needed: false, detail: `${which}: ${detail}`, fix: FIXES[name] };
  }
}

const FIXES: Record<Backend, string> = {
  native: 'ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node (until then --backend wasm does the same, several times slower)',
  wasm: 'npm install onnxruntime-web (needed only where the native backend does not load)',
};

/** Folder of an installed package; undefined where it is missing. */
function packageFolder(name: string): string | undefined {
  try {
    let folder = dirname(createRequire(import.meta.url).resolve(name));
    while (!existsSync(join(folder, 'package.json')) || nameIn(folder) !== name) {
      if (folder === dirname(folder)) return undefined;
      folder = dirname(folder);
    }
    return folder;
  } catch {
    return undefined;
  }
}

const manifest = (folder: string): { name?: string; version?: string } =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: string; version?: string };
const nameIn = (folder: string): string | undefined => manifest(folder).name;

function installed(name: string): string {
  const folder = packageFolder(name);
  return folder === undefined ? '(not installed)' : (manifest(folder).version ?? '(unknown version)');
}

async function writable(out: string): Promise<Check> {
  const folder = resolve(out);
  const fix = 'another folder: secateur doctor --out DIR, and the same --out for the other commands';
  try {
    const made = await mkdtemp(join(folder, '.secateur-doctor-'));
    try {
      await writeFile(join(made, 'file'), 'x');
    } finally {
      await rm(made, { recursive: true, force: true });
    }
    return { name: 'write access', ok: true, needed: true, detail: folder, fix };
  } catch (error) {
    return { name: 'write access', ok: false, needed: true, detail: `${folder}: ${(error as NodeJS.ErrnoException).code}`, fix };
  }
}

/** CUDA libraries are fetched by the package's install script, unless it is told not to; secateur uses none. */
function gpuLibraries(): Check {
  const folder = packageFolder('onnxruntime-node');
  const bin = folder && join(folder, 'bin');
  const fetched =
    bin === undefined || !existsSync(bin)
      ? []
      : readdirSync(bin, { recursive: true, encoding: 'utf8' }).filter((file) => /providers_(cuda|tensorrt)/.test(file));
  const detail =
    fetched.length === 0 ? 'none fetched; not needed, everything runs on the CPU' : `${fetched.length} files fetched by npm, not used`;
  return { name: 'gpu libraries', ok: true, needed: false, detail };
}
