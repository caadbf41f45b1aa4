/** Loads one of the two builds of ONNX Runtime in Node. The only place that imports them on this side. */
import { createRequire } from 'node:module';
import type { Ort } from './engine.ts';
import type { Backend } from './session.ts';

/** @throws whatever the package's own loading throws (a missing or foreign binary); `worker.node.ts` turns it into a message. */
export async function loadOrt(backend: Backend, threads: number): Promise<Ort> {
  if (backend === 'native') {
    const ort = await import('onnxruntime-node');
    return ort as unknown as Ort;
  }
  const ort = await import('onnxruntime-web');
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'error';
  return ort as unknown as Ort;
}

/** The installed version of the package behind a backend, without loading it. */
export function ortVersion(backend: Backend): string {
  const name = backend === 'native' ? 'onnxruntime-node' : 'onnxruntime-web';
  const found = createRequire(import.meta.url)(`${name}/package.json`) as { version: string };
  return found.version;
}
