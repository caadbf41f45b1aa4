import { WorkerRuntime } from '../../src/runtime/pool.node.ts';
import { sandbox } from '../../src/runtime/sandbox.node.ts';
import { runtimeConformance } from './conformance.ts';

runtimeConformance('sandboxed native', () => new WorkerRuntime('native', 1, undefined, sandbox({ memoryMB: 1000, seconds: 60 })));
