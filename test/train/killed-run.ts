/**
 * The process that killed.test.ts kills: trains a tiny network with a checkpoint every 3 steps, says on stdout what it is doing, and
 * writes the final weights. Arguments: checkpoint file, file for the weights, the line at which to wait for the kill.
 */
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { saveModel } from '../../src/onnx/file.node.ts';
import { openRuntime } from '../../src/runtime/open.node.ts';
import { fileCheckpoint } from '../../src/train/checkpoint.node.ts';
import { train } from '../../src/train/loop.ts';
import { quarters, tinyNet } from './tiny.ts';

const [checkpointPath, weightsPath, waitAt] = process.argv.slice(2);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
  // nothing more happens here until the kill comes
  if (line === waitAt) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
}

const runtime = await openRuntime({ threads: 1 });
const store = fileCheckpoint(checkpointPath);
const { model } = await train(runtime, tinyNet(1, true), quarters(100), {
  epochs: 5,
  batchSize: 16,
  learningRate: 0.01,
  optimizer: { kind: 'adam' },
  schedule: { kind: 'cosine', floor: 0 },
  augment: { shift: 1, flip: true },
  seed: 1,
  checkpointEvery: 3,
  checkpoint: {
    load: () => store.load(),
    save: async (checkpoint) => {
      let done = false;
      const saving = store.save(checkpoint).then(() => {
        done = true;
      });
      const half = (): boolean => readdirSync(dirname(checkpointPath)).some((name) => name.endsWith('.tmp'));
      while (!done && !half()) await setImmediate();
      say(`saving ${checkpoint.epoch} ${checkpoint.step}`);
      await saving;
    },
  },
  onProgress: (p) => {
    if (p.kind === 'start') say(`start ${p.doneSteps}`);
    if (p.kind === 'step') say(`step ${p.doneSteps}`);
  },
});
await saveModel(weightsPath, model);
await runtime.dispose();
