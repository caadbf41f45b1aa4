/** What the fuzzer does with one file, and what it watches meanwhile: files that are opened, memory, time, errors that are no answers. */
import fs, { rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join, resolve, sep } from 'node:path';
import { printable, SecateurError } from '../src/core/errors.ts';
import type { Graph, Model } from '../src/onnx/model.ts';
import type { Runtime } from '../src/runtime/session.ts';
import { CANARY, type Case } from './fuzz-cases.ts';

/** `bug`: an error that is not ours, a file opened outside the folder, the canary in a tensor, more than a second or too much memory. */
export type Outcome = 'read' | 'refused' | 'bug';

export interface Report {
  readonly outcome: Outcome;
  /** First words of the message, without names and numbers, to count alike answers together. */
  readonly why: string;
  readonly ms: number;
  /** What ONNX Runtime made of it, where it was asked. */
  readonly run?: string;
}

/** Paths that were opened while a file was read. */
const opened: string[] = [];

/** From now on every way in which `node:fs` opens a file notes which file that was, with links followed. */
export function watchFiles(): void {
  const note = (path: unknown): void => {
    if (typeof path !== 'string' && !(path instanceof URL) && !Buffer.isBuffer(path)) return;
    const name = resolve(String(path));
    try {
      opened.push(fs.realpathSync(name));
    } catch {
      opened.push(name);
    }
  };
  for (const [holder, names] of [
    [fs, ['openSync', 'open', 'readFileSync', 'readFile', 'createReadStream', 'copyFileSync']],
    [fs.promises, ['open', 'readFile', 'copyFile']],
  ] as const) {
    for (const name of names) {
      const target = holder as unknown as Record<string, (...args: unknown[]) => unknown>;
      const original = target[name];
      target[name] = (...args: unknown[]) => {
        note(args[0]);
        return original.apply(holder, args);
      };
    }
  }
  syncBuiltinESMExports();
}

/** Whether any tensor holds what only the file outside of the folder holds. */
function holdsCanary(model: Model): boolean {
  const inGraph = (graph: Graph): boolean =>
    [
      ...graph.initializers.values(),
      ...graph.nodes.flatMap((n) => [...n.attributes.values()].flatMap((a) => (a.type === 'tensor' ? [a.value] : []))),
    ].some(({ data }) => {
      if (!ArrayBuffer.isView(data) || data.byteLength < 4) return false;
      const bytes = new DataView(data.buffer, data.byteOffset, data.byteLength);
      return bytes.getUint32(0, true) === CANARY;
    });
  return inGraph(model.graph);
}

/** Imported late, so that they see the watched functions; and once, because each import asks the loader again. */
let loaded: ReturnType<typeof load> | undefined;
async function load() {
  const [{ loadModel }, { describe }, { writeModel }, { probe }] = await Promise.all([
    import('../src/onnx/file.node.ts'),
    import('../src/onnx/describe.ts'),
    import('../src/onnx/proto.ts'),
    import('../src/runtime/probe.ts'),
  ]);
  return { loadModel, describe, writeModel, probe };
}

/**
 * Writes a case to `root`/model/net.onnx, reads it, describes it, writes it again.
 * @param runtime where given, what was read is opened and run there too
 */
export async function runCase(c: Case, root: string, runtime?: Runtime, again = false): Promise<Report> {
  loaded ??= load();
  const { loadModel, describe, writeModel, probe } = await loaded;
  const path = join(root, 'model', 'net.onnx');
  // A new file each time: a trick may have made a link of the old one.
  rmSync(path, { force: true });
  writeFileSync(path, c.bytes);
  opened.length = 0;
  const began = performance.now();
  let outcome: Outcome = 'read';
  let why = '';
  let model: Model | undefined;
  try {
    model = await loadModel(path);
    const text = describe(model);
    if (/\p{Cc}/u.test(text.replaceAll('\n', ''))) throw new Error('control characters in the description');
    writeModel(model);
  } catch (error) {
    outcome = error instanceof SecateurError ? 'refused' : 'bug';
    why = error instanceof SecateurError ? kindOf(error) : String(error instanceof Error ? error.stack : error).slice(0, 600);
    if (error instanceof SecateurError && (/\p{Cc}/u.test(error.message.replace(/[\n\t]/g, '')) || error.message.length > 30_000)) {
      [outcome, why] = ['bug', 'a message that is not fit for a terminal'];
    }
  }
  const ms = performance.now() - began;
  const folder = dirname(path) + sep;
  const outside = opened.find((name) => !name.startsWith(folder));
  if (outside !== undefined) [outcome, why] = ['bug', `opened ${outside}`];
  if (model !== undefined && holdsCanary(model)) [outcome, why] = ['bug', 'the canary was read'];
  // The machine may have been busy with something else: then it is done again, with an eye on the processor.
  if (ms > 1000 && !again) {
    const before = process.cpuUsage();
    const second = await runCase(c, root, undefined, true);
    const used = process.cpuUsage(before);
    const cpu = (used.user + used.system) / 1000;
    if (cpu > 1000) [outcome, why] = ['bug', `took ${Math.round(cpu)} ms of processor time`];
    return { ...second, outcome: outcome === 'bug' ? outcome : second.outcome, why: outcome === 'bug' ? why : second.why, ms: cpu };
  }
  if (model === undefined || runtime === undefined || outcome !== 'read') return { outcome, why, ms };
  try {
    await probe(runtime, model, { batch: 1 });
    return { outcome, why, ms, run: 'ran' };
  } catch (error) {
    if (!(error instanceof SecateurError)) return { outcome: 'bug', why: String(error instanceof Error ? error.stack : error), ms };
    return { outcome, why, ms, run: runKind(error.message) };
  }
}

/** What of a message does not depend on the file. */
function kindOf(error: SecateurError): string {
  const words = error.parts.what
    .replace(/"[^"]*"/g, '"…"')
    .replace(/\(.*\)/, '')
    .replace(/\d+/g, 'N')
    .replace(/\[.*\]/, '[…]');
  return printable(
    words
      .replace(/operator "…"/, 'operator')
      .slice(0, 70)
      .trim(),
  ).replace(/\s+/g, ' ');
}

function runKind(message: string): string {
  if (/more memory than/.test(message)) return 'stopped: memory';
  if (/gave no answer/.test(message)) return 'stopped: time';
  const crash = /crashed with (\w+)/.exec(message);
  if (crash) return `crashed: ${crash[1]}`;
  if (/process that runs the model/.test(message)) return `died: ${message.slice(0, 80)}`;
  return 'refused by ONNX Runtime';
}
