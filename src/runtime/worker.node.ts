/** The worker thread: loads one build of ONNX Runtime and answers requests in the order in which they came. */
import { parentPort, workerData } from 'node:worker_threads';
import { Engine, type Ort } from './engine.ts';
import { buffersOf, type Reply, type Request, type WorkerSetup } from './messages.ts';
import { loadOrt } from './ort.node.ts';

const port = parentPort;
if (port === null) throw new Error('runtime worker was not started as a worker thread');
const setup = workerData as WorkerSetup;
const send = (reply: Reply, transfer: ArrayBuffer[] = []): void => port.postMessage(reply, transfer);

// From Node 24 on there is a Float16Array, and then ONNX Runtime gives and takes float16 in it. Everything here holds float16 as bits in
// a Uint16Array, on all versions alike; ONNX Runtime looks once, when it makes its first tensor.
Reflect.deleteProperty(globalThis, 'Float16Array');

let ort: Ort | undefined;
try {
  ort = await loadOrt(setup.backend, setup.threads);
} catch (error) {
  send({ kind: 'unloadable', message: error instanceof Error ? error.message : String(error) });
}
if (ort !== undefined) {
  const engine = new Engine(ort, setup.backend);
  let queue: Promise<void> = Promise.resolve();
  port.on('message', (request: Request) => {
    queue = queue.then(() => answer(engine, request));
  });
  send({ kind: 'ready' });
}

async function answer(engine: Engine, request: Request): Promise<void> {
  try {
    switch (request.kind) {
      case 'open':
        return send({ kind: 'done', call: request.call, value: await engine.open(request.request) });
      case 'run': {
        const value = await engine.run(request.id, request.feeds, request.outputs);
        return send({ kind: 'done', call: request.call, value }, buffersOf(value));
      }
      case 'types':
        return send({ kind: 'done', call: request.call, value: await engine.types(request.id, request.feeds, request.limit) });
      case 'state': {
        const value = engine.state(request.id);
        return send({ kind: 'done', call: request.call, value }, buffersOf(value));
      }
      case 'setState':
        return send({ kind: 'done', call: request.call, value: engine.setState(request.id, request.state) });
      case 'endProfile':
        return send({ kind: 'done', call: request.call, value: engine.endProfile(request.id) });
      case 'close':
        return send({ kind: 'done', call: request.call, value: await engine.close(request.id) });
    }
  } catch (error) {
    send({ kind: 'failed', call: request.call, message: error instanceof Error ? error.message : String(error) });
  }
}
