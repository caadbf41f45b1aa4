/** ONNX Runtime in this process, one thread: rule tests open hundreds of tiny sessions. */

import * as native from 'onnxruntime-node';
import type { Model } from '../../src/onnx/model.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import { Engine, type Ort } from '../../src/runtime/engine.ts';
import { lower } from '../../src/runtime/lowerings/lower.ts';
import type { Feeds, Fetches, Runtime, Session } from '../../src/runtime/session.ts';

const engine = new Engine(native as unknown as Ort, 'native');

export const inProcess: Runtime = {
  backend: 'native',
  threads: 1,
  async open(model, options = {}): Promise<Session> {
    const bytes = model instanceof Uint8Array ? model : writeModel(model);
    const { id, inputNames, outputNames } = await engine.open({
      bytes,
      carry: options.carry ?? {},
      state: options.state ?? {},
      ortOptions: { intraOpNumThreads: 1, graphOptimizationLevel: 'all', logSeverityLevel: 3 },
    });
    return {
      backend: 'native',
      inputNames,
      outputNames,
      run: (feeds, o) => engine.run(id, feeds, o?.outputs),
      state: async () => engine.state(id),
      types: (feeds, limit) => engine.types(id, feeds, limit),
      setState: async (state) => engine.setState(id, state),
      close: () => engine.close(id),
      endProfile: async () => undefined,
    };
  },
};

/** Lowers a graph with gradients and runs it once. */
export async function runOnce(model: Model, feeds: Feeds): Promise<Fetches> {
  const session = await inProcess.open(lower(model));
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}
