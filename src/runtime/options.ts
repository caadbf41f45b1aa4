/** ONNX Runtime's session options, the same for every backend. */
import type { SessionOptions } from './session.ts';

export function ortOptions(threads: number, options: SessionOptions): Record<string, unknown> {
  return {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Errors come back as exceptions and are told to the user by us.
    logSeverityLevel: 4,
    // Threads spin between the operators of a run, where the wait is short, but not between runs.
    // Late in training many gradients are denormal numbers, on which the processor is some hundred times slower.
    extra: { session: { set_denormal_as_zero: '1', force_spinning_stop: '1' } },
    ...(options.profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: options.profile }),
  };
}
