import { inThreadRuntime } from '../../src/runtime/in-thread.ts';
import { loadOrt } from '../../src/runtime/ort.node.ts';
import { runtimeConformance } from './conformance.ts';

const reason = 'this runtime has no worker thread: who calls it gives it one';
runtimeConformance('in-thread WASM', async () => inThreadRuntime(await loadOrt('wasm', 1)), [
  { test: 'leaves the event loop free while it runs', reason },
  { test: 'reports a worker that dies, and starts another', reason },
]);
