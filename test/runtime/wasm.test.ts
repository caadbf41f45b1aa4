import { wasmRuntime } from '../../src/runtime/open.node.ts';
import { runtimeConformance } from './conformance.ts';

runtimeConformance('wasm', () => wasmRuntime({ threads: 1 }));
