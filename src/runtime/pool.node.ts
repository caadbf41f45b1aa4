/**
 * A runtime whose ONNX Runtime lives in a worker thread, because `session.run` blocks the thread that calls it. Requests are numbered
 * and answered in order. A worker that dies fails every request that waits for it, with the reason; the next `open` starts a new one.
 */
import { availableParallelism } from 'node:os';
import { fail, SecateurError } from '../core/errors.ts';
import type { Model } from '../onnx/model.ts';
import type { ValueType, ValueTypes } from '../onnx/value-types.ts';
import type { LowerOptions } from './lowerings/lower.ts';
import { buffersOf, type Reply, type Request, type Unnumbered, type WorkerSetup } from './messages.ts';
import { modelBytes } from './model-bytes.ts';
import { ortOptions } from './options.ts';
import type { Backend, Feeds, Fetches, Runtime, Session, SessionOptions } from './session.ts';
import { startWorker } from './start-worker.node.ts';
import type { Tuner } from './tuner.ts';

interface Waiting {
  resolve(value: never): void;
  reject(error: Error): void;
}

/** Where the model runs: a worker thread of this process, or the child process of `sandbox.node.ts`. */
export interface Port {
  postMessage(message: unknown, transfer: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (reply: Reply) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
  ref(): void;
  unref(): void;
  terminate(): Promise<unknown>;
}

/** One worker thread and the calls that wait for its answer. */
class Channel {
  readonly #worker: Port;
  readonly #waiting = new Map<number, Waiting>();
  readonly ready: Promise<void>;
  #calls = 0;
  /** Why no further call can be made. */
  #dead: SecateurError | undefined;
  readonly #backend: Backend;

  constructor(setup: WorkerSetup, start: (setup: WorkerSetup) => Port) {
    this.#backend = setup.backend;
    this.#worker = start(setup);
    let settle: { ready(): void; unloadable(error: Error): void };
    this.ready = new Promise((resolve, reject) => {
      settle = { ready: resolve, unloadable: reject };
    });
    // Whoever opens a session sees the failure; without this an unused runtime would end the process.
    this.ready.catch(() => {});
    this.#worker.on('message', (reply: Reply) => {
      if (reply.kind === 'ready') return settle.ready();
      if (reply.kind === 'unloadable') return this.#die(unloadable(setup.backend, reply.message), settle.unloadable);
      const waiting = this.#waiting.get(reply.call);
      this.#waiting.delete(reply.call);
      if (this.#waiting.size === 0 && !this.dead) this.#worker.unref();
      if (reply.kind === 'done') waiting?.resolve(reply.value as never);
      else waiting?.reject(new SecateurError({ where: `runtime (${setup.backend})`, what: reply.message.trim().replace(/\.$/, '') }));
    });
    this.#worker.on('error', (error: Error) => {
      // A sandbox knows better what happened.
      this.#die(error instanceof SecateurError ? error : died(setup.backend, error.message), settle.unloadable);
    });
    this.#worker.on('exit', (code) => this.#die(died(setup.backend, `it exited with code ${code}`), settle.unloadable));
  }

  get dead(): boolean {
    return this.#dead !== undefined;
  }

  /** For the test that kills it. */
  get worker(): Port {
    return this.#worker;
  }

  call<T>(request: Unnumbered, transfer: ArrayBuffer[] = []): Promise<T> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    const call = ++this.#calls;
    return new Promise<T>((resolve, reject) => {
      // Throws, which rejects, where it holds what cannot be sent: then no answer is due.
      this.#worker.postMessage({ ...request, call } as Request, transfer);
      this.#waiting.set(call, { resolve: resolve as Waiting['resolve'], reject });
      // A process must not end while an answer is due, and must not be kept alive by an idle worker.
      this.#worker.ref();
    });
  }

  async terminate(): Promise<void> {
    this.#die(closed(this.#backend), () => {});
    // Without it nothing would keep the process alive until the thread has ended.
    this.#worker.ref();
    await this.#worker.terminate();
  }

  #die(error: SecateurError, unloadable: (error: Error) => void): void {
    this.#dead ??= error;
    unloadable(this.#dead);
    for (const waiting of this.#waiting.values()) waiting.reject(this.#dead);
    this.#waiting.clear();
    this.#worker.unref();
  }
}

class WorkerSession implements Session {
  readonly backend: Backend;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly #channel: Channel;
  readonly #id: number;
  readonly #profile: string | undefined;

  constructor(backend: Backend, channel: Channel, opened: Opened, profile: string | undefined) {
    this.backend = backend;
    this.inputNames = opened.inputNames;
    this.outputNames = opened.outputNames;
    this.#channel = channel;
    this.#id = opened.id;
    this.#profile = profile;
  }

  run(feeds: Feeds, options: { outputs?: readonly string[]; transfer?: boolean } = {}): Promise<Fetches> {
    const transfer = options.transfer === true ? buffersOf(feeds) : [];
    return this.#channel.call({ kind: 'run', id: this.#id, feeds, outputs: options.outputs }, transfer);
  }

  types(feeds: Feeds, limit: number): Promise<Record<string, ValueType>> {
    return this.#channel.call({ kind: 'types', id: this.#id, feeds, limit });
  }

  state(): Promise<Fetches> {
    return this.#channel.call({ kind: 'state', id: this.#id });
  }

  setState(state: Feeds): Promise<void> {
    return this.#channel.call({ kind: 'setState', id: this.#id, state });
  }

  async close(): Promise<void> {
    if (!this.#channel.dead) await this.#channel.call({ kind: 'close', id: this.#id });
  }

  async endProfile(): Promise<string | undefined> {
    if (this.#profile === undefined) return undefined;
    await this.#channel.call({ kind: 'endProfile', id: this.#id });
    return this.#profile;
  }
}

interface Opened {
  readonly id: number;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
}

export class WorkerRuntime implements Runtime {
  readonly backend: Backend;
  readonly threads: number;
  readonly #tuner: Tuner | undefined;
  readonly #start: (setup: WorkerSetup) => Port;
  #channel: Channel | undefined;

  /**
   * With a tuner, training steps run in the forms that are the fastest on this machine; without one in the plain ones.
   * @param start where it runs; default: a worker thread of this process
   */
  constructor(
    backend: Backend,
    threads: number = availableParallelism(),
    tuner?: Tuner,
    start: (setup: WorkerSetup) => Port = startWorker,
  ) {
    if (!Number.isInteger(threads) || threads < 1) {
      fail({ where: '--threads', what: 'not a number of threads', expected: 'a whole number from 1', got: String(threads) });
    }
    this.backend = backend;
    this.threads = threads;
    this.#tuner = tuner;
    this.#start = start;
  }

  async lowering(step: Model, types: ValueTypes): Promise<LowerOptions | undefined> {
    return this.#tuner?.lowering(this, step, types);
  }

  async open(model: Parameters<Runtime['open']>[0], options: SessionOptions = {}): Promise<Session> {
    const bytes = modelBytes(model, `runtime (${this.backend})${options.label === undefined ? '' : `: ${options.label}`}`);
    const channel = await this.#live();
    const opened = await channel
      .call<Opened>({
        kind: 'open',
        request: {
          bytes,
          carry: options.carry ?? {},
          state: options.state ?? {},
          ortOptions: ortOptions(options.threads ?? this.threads, options),
        },
      })
      .catch((error: unknown) => {
        throw options.label === undefined || !(error instanceof SecateurError)
          ? error
          : new SecateurError({ ...error.parts, where: `${error.parts.where}: ${options.label}` });
      });
    return new WorkerSession(this.backend, channel, opened, options.profile);
  }

  /** Resolves once ONNX Runtime is loaded. @throws SecateurError if it cannot be. */
  async ready(): Promise<void> {
    await this.#live();
  }

  async #live(): Promise<Channel> {
    if (this.#channel === undefined || this.#channel.dead) {
      this.#channel = new Channel({ backend: this.backend, threads: this.threads }, this.#start);
    }
    await this.#channel.ready;
    return this.#channel;
  }

  /** The worker thread, once one runs. */
  get worker(): Port | undefined {
    return this.#channel?.worker;
  }

  async dispose(): Promise<void> {
    await this.#channel?.terminate();
  }
}

function died(backend: Backend, why: string): SecateurError {
  return new SecateurError({
    where: `runtime (${backend})`,
    what: `the worker thread that runs the model died: ${why.replace(/\.$/, '')}`,
    hint: 'again with --threads 1, or --backend wasm if it dies again',
  });
}

function closed(backend: Backend): SecateurError {
  return new SecateurError({ where: `runtime (${backend})`, what: 'the runtime was closed' });
}

function unloadable(backend: Backend, why: string): SecateurError {
  const first = why.split('\n')[0]?.replace(/\.$/, '') ?? why;
  return new SecateurError({
    where: `runtime (${backend})`,
    what: `ONNX Runtime does not load: ${first}`,
    hint:
      backend === 'native' ? '--backend wasm, or `npm rebuild onnxruntime-node` with ONNXRUNTIME_NODE_INSTALL=skip' : '--backend native',
  });
}
