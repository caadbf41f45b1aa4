/** What goes over the port between a runtime and the worker thread in which ONNX Runtime blocks. */
import type { Tensor } from '../core/tensor.ts';
import type { OpenRequest } from './engine.ts';
import type { Backend, Feeds } from './session.ts';

export interface WorkerSetup {
  readonly backend: Backend;
  readonly threads: number;
}

export type Request = { readonly call: number } & (
  | { readonly kind: 'open'; readonly request: OpenRequest }
  | { readonly kind: 'run'; readonly id: number; readonly feeds: Feeds; readonly outputs: readonly string[] | undefined }
  | { readonly kind: 'types'; readonly id: number; readonly feeds: Feeds; readonly limit: number }
  | { readonly kind: 'state'; readonly id: number }
  | { readonly kind: 'setState'; readonly id: number; readonly state: Feeds }
  | { readonly kind: 'endProfile'; readonly id: number }
  | { readonly kind: 'close'; readonly id: number }
);

export type Reply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unloadable'; readonly message: string }
  | { readonly kind: 'done'; readonly call: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly call: number; readonly message: string };

/** Distributes Omit over the union, so that a request can be written without its call number. */
export type Unnumbered = Request extends infer R ? (R extends Request ? Omit<R, 'call'> : never) : never;

/** The buffers of tensors that may be moved instead of copied; several views of one buffer would fight over it, so each is named once. */
export function buffersOf(tensors: Readonly<Record<string, Tensor>>): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of Object.values(tensors)) {
    if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength)
      buffers.add(data.buffer);
  }
  return [...buffers];
}
