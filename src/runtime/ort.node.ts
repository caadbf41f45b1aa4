/** Loads one of the two builds of ONNX Runtime in Node. The only place that imports them on this side. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
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
  // package.json is not among onnxruntime-web's exports, so it is looked for above the entry file.
  const entry = createRequire(import.meta.url).resolve(backend === 'native' ? 'onnxruntime-node' : 'onnxruntime-web');
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  }
  return 'unknown';
}
