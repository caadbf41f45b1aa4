/**
 * One interface over every way of running an ONNX graph. Implementations: `native.node.ts` (onnxruntime-node in a worker thread),
 * `wasm.ts` (onnxruntime-web). They share one conformance suite.
 */
import type { Tensor } from '../core/tensor.ts';
import type { Model } from '../onnx/model.ts';
import type { ValueType, ValueTypes } from '../onnx/value-types.ts';
import type { LowerOptions } from './lowerings/lower.ts';

export type Backend = 'native' | 'wasm';

export type Feeds = Readonly<Record<string, Tensor>>;
export type Fetches = Record<string, Tensor>;

export interface SessionOptions {
  readonly backend?: Backend;
  /** Intra-op threads; default: number of cores the process may use. */
  readonly threads?: number;
  /**
   * Loop-carried state, input name -> output name. These inputs are not fed: their values stay where the graph runs, start as given in
   * `state`, and after every run take the value of the named output (which is then not returned). This is how a training step keeps
   * its weights and momenta without copying them.
   */
  readonly carry?: Readonly<Record<string, string>>;
  /** First values of the carried inputs; inputs named here alone are held: never fed, never changed. */
  readonly state?: Feeds;
  /** Writes ONNX Runtime's profile to this path prefix (native only). */
  readonly profile?: string;
  /** For messages: what is being run. */
  readonly label?: string;
}

export interface Session {
  readonly backend: Backend;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * Runs the graph once. Calls may overlap; they are carried out in order. Returns the outputs asked for, or all that are not carried.
   * `transfer: true` gives the feeds' buffers away (they are unusable afterwards), which saves a copy.
   */
  run(feeds: Feeds, options?: { outputs?: readonly string[]; transfer?: boolean }): Promise<Fetches>;
  /**
   * Runs the graph once and says what came out: type and shape of every output, and the values themselves (as `constant`) where they
   * have at most `limit` elements. Large values never leave the place where the graph runs.
   */
  types(feeds: Feeds, limit: number): Promise<Record<string, ValueType>>;
  /** The carried inputs' present values (copies). */
  state(): Promise<Fetches>;
  setState(state: Feeds): Promise<void>;
  /** Frees the runtime's memory; pending runs are rejected. */
  close(): Promise<void>;
  /** Ends profiling and gives the prefix of the file's path, as `profile` was set; ONNX Runtime adds the time (native only). */
  endProfile(): Promise<string | undefined>;
}

export interface Runtime {
  readonly backend: Backend;
  readonly threads: number;
  /** `model` is an IR model or the bytes of an ONNX file. */
  open(model: Model | Uint8Array, options?: SessionOptions): Promise<Session>;
  /** Which forms of the heavy operators of a step graph are the fastest here; absent or undefined: the plain ones. */
  lowering?(step: Model, types: ValueTypes): Promise<LowerOptions | undefined>;
}
