/** Loads one of the two builds of ONNX Runtime in Node. The only place that imports them on this side. */
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
