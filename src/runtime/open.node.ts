/** Which runtime a command gets. */
import { availableParallelism } from 'node:os';
import { SecateurError } from '../core/errors.ts';
import { ortVersion } from './ort.node.ts';
import { WorkerRuntime } from './pool.node.ts';
import { type SandboxLimits, sandbox } from './sandbox.node.ts';
import type { Backend, Runtime } from './session.ts';
import { Tuner } from './tuner.ts';
import { choiceFile } from './tuner-cache.node.ts';

export type BackendChoice = Backend | 'auto';
export type DisposableRuntime = Runtime & { dispose(): Promise<void> };

export const nativeRuntime = (options: { threads?: number } = {}): WorkerRuntime => new WorkerRuntime('native', options.threads);
export const wasmRuntime = (options: { threads?: number } = {}): WorkerRuntime => new WorkerRuntime('wasm', options.threads);

/** For models from strangers: {@link nativeRuntime} in a child process with limits of memory and of time, see SECURITY.md. */
export const sandboxedRuntime = (options: { backend?: Backend; threads?: number } & Partial<SandboxLimits> = {}): WorkerRuntime => {
  const { backend, threads, ...limits } = options;
  return new WorkerRuntime(backend ?? 'native', threads, undefined, sandbox(limits));
};

/**
 * `auto` takes the native build where it loads, else WASM, which is everywhere but several times slower; `onFallback` is told why.
 * @throws SecateurError if the backend asked for does not load.
 */
export async function openRuntime(
  options: {
    backend?: BackendChoice;
    threads?: number;
    /** Times the forms of a training step once per shape and keeps the choices in the cache folder (native only). */
    tune?: boolean;
    onTune?: (message: string) => void;
    onFallback?: (why: string) => void;
    /** For models from strangers: a child process with these limits instead of a worker thread. */
    sandbox?: Partial<SandboxLimits>;
  } = {},
): Promise<DisposableRuntime> {
  const choice = options.backend ?? 'auto';
  const start = options.sandbox && sandbox(options.sandbox);
  if (choice === 'wasm') {
    const runtime = new WorkerRuntime('wasm', options.threads, undefined, start);
    await runtime.ready();
    return runtime;
  }
  const threads = options.threads ?? availableParallelism();
  const tuner = options.tune
    ? new Tuner(choiceFile({ backend: 'native', threads, version: ortVersion('native') }), options.onTune)
    : undefined;
  const native = new WorkerRuntime('native', threads, tuner, start);
  if (choice === 'native') {
    await native.ready();
    return native;
  }
  try {
    await native.ready();
    return native;
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    options.onFallback?.(error.message);
    await native.dispose();
    const wasm = new WorkerRuntime('wasm', options.threads, undefined, start);
    await wasm.ready();
    return wasm;
  }
}
