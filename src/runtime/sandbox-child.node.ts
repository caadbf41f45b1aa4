/**
 * The child process of `sandbox.node.ts`: hands messages on between the pipe to its parent (file descriptor 3) and the same worker thread
 * that otherwise runs in the parent. While the worker is inside ONNX Runtime this thread stays awake, and ends the process when the
 * parent goes away.
 */
import { rmdirSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Worker } from 'node:worker_threads';
import { encodeFrame, FrameReader } from './frames.node.ts';
import { buffersOf, type WorkerSetup } from './messages.ts';
import { startWorker } from './start-worker.node.ts';

const pipe = new Socket({ fd: 3, readable: true, writable: true });
const folder = process.cwd();

function end(): never {
  try {
    process.chdir('/');
    rmdirSync(folder);
  } catch {
    // Not empty or gone: the parent sees to it where it still can.
  }
  process.kill(process.pid, 'SIGKILL');
  process.exit();
}
for (const event of ['end', 'close', 'error']) pipe.on(event, end);
// Ctrl-C in a terminal goes to all of its processes; the parent decides what becomes of this one.
process.on('SIGINT', () => {});

let worker: Worker | undefined;
const reader = new FrameReader(Number.POSITIVE_INFINITY, (message) => {
  if (worker !== undefined) {
    worker.postMessage(message, buffersIn(message));
    return;
  }
  worker = startWorker(message as WorkerSetup);
  worker.on('message', (reply) => {
    for (const piece of encodeFrame(reply)) pipe.write(piece);
  });
  worker.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 70;
  });
  worker.on('exit', () => process.exit());
});
pipe.on('data', (chunk) => reader.take(chunk));

/** The arrays of a frame have their memory to themselves: they move into the thread without a copy. */
function buffersIn(message: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const visit = (value: unknown): void => {
    if (ArrayBuffer.isView(value))
      for (const buffer of buffersOf({ t: { dtype: 'uint8', dims: [], data: value as Uint8Array } })) found.add(buffer);
    else if (Array.isArray(value)) value.forEach(visit);
    else if (value !== null && typeof value === 'object') Object.values(value).forEach(visit);
  };
  visit(message);
  return [...found];
}
