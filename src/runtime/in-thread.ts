/**
 * ONNX Runtime in the thread that calls it: for a browser page or a Web Worker of one, where the caller imports onnxruntime-web and
 * decides where it runs. In Node use `open.node.ts`, which keeps the event loop free.
 */
import { SecateurError } from '../core/errors.ts';
import type { Model } from '../onnx/model.ts';
import { Engine, type Ort } from './engine.ts';
import { modelBytes } from './model-bytes.ts';
import { ortOptions } from './options.ts';
import type { Backend, Feeds, Fetches, Runtime, Session, SessionOptions } from './session.ts';

/** @param ort what `import('onnxruntime-web')` gives, its environment (threads, paths) already set */
export function inThreadRuntime(ort: unknown, options: { backend?: Backend; threads?: number } = {}): Runtime {
  const backend = options.backend ?? 'wasm';
  const threads = options.threads ?? 1;
  const engine = new Engine(ort as Ort, backend);
  // One run at a time: the graph's state belongs to one, and ONNX Runtime Web refuses a second.
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T> | T, label?: string): Promise<T> => {
    const turn = queue.then(work).catch((error: unknown) => {
      const text = error instanceof Error ? error.message : String(error);
      const where = `runtime (${backend})${label === undefined ? '' : `: ${label}`}`;
      throw new SecateurError({ where, what: text.trim().replace(/\.$/, '') });
    });
    queue = turn.catch(() => {});
    return turn;
  };
  return {
    backend,
    threads,
    async open(model: Model | Uint8Array, o: SessionOptions = {}): Promise<Session> {
      const bytes = modelBytes(model, `runtime (${backend})${o.label === undefined ? '' : `: ${o.label}`}`);
      const request = { bytes, carry: o.carry ?? {}, state: o.state ?? {}, ortOptions: ortOptions(o.threads ?? threads, o) };
      const { id, inputNames, outputNames } = await inTurn(() => engine.open(request), o.label);
      return {
        backend,
        inputNames,
        outputNames,
        run: (feeds: Feeds, r: { outputs?: readonly string[] } = {}): Promise<Fetches> => inTurn(() => engine.run(id, feeds, r.outputs)),
        types: (feeds: Feeds, limit: number) => inTurn(() => engine.types(id, feeds, limit)),
        state: () => inTurn(() => engine.state(id)),
        setState: (state: Feeds) => inTurn(() => engine.setState(id, state)),
        close: () => inTurn(() => engine.close(id)),
        // ONNX Runtime Web has no profile file.
        endProfile: () => Promise.resolve(undefined),
      };
    },
  };
}
