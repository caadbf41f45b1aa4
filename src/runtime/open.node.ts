/** Which runtime a command gets. */
import { SecateurError } from '../core/errors.ts';
import { WorkerRuntime } from './pool.node.ts';
import type { Backend, Runtime } from './session.ts';

export type BackendChoice = Backend | 'auto';
export type DisposableRuntime = Runtime & { dispose(): Promise<void> };

export const nativeRuntime = (options: { threads?: number } = {}): WorkerRuntime => new WorkerRuntime('native', options.threads);
export const wasmRuntime = (options: { threads?: number } = {}): WorkerRuntime => new WorkerRuntime('wasm', options.threads);

/**
 * `auto` takes the native build where it loads, else WASM, which is everywhere but several times slower; `onFallback` is told why.
 * @throws SecateurError if the backend asked for does not load.
 */
export async function openRuntime(
  options: { backend?: BackendChoice; threads?: number; onFallback?: (why: string) => void } = {},
): Promise<DisposableRuntime> {
  const choice = options.backend ?? 'auto';
  if (choice !== 'auto') {
    const runtime = new WorkerRuntime(choice, options.threads);
    await runtime.ready();
    return runtime;
  }
  const native = new WorkerRuntime('native', options.threads);
  try {
    await native.ready();
    return native;
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    options.onFallback?.(error.message);
    await native.dispose();
    const wasm = new WorkerRuntime('wasm', options.threads);
    await wasm.ready();
    return wasm;
  }
}
