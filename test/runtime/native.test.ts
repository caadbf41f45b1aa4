import { expect, test } from 'vitest';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { runtimeConformance } from './conformance.ts';

runtimeConformance('native', () => nativeRuntime({ threads: 1 }));

test('a number of threads must be a whole number', () => {
  expect(() => nativeRuntime({ threads: 0 })).toThrow('--threads: not a number of threads, expected a whole number from 1, got 0.');
});
