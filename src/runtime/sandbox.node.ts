/**
 * ONNX Runtime in a process of its own, for models from strangers: with a limit of memory and of time, an empty environment and an empty
 * folder, and no network where the system lets us take it away. Whatever it does to its process, this one goes on and says what happened.
 * What it can still reach is in SECURITY.md.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { fail, SecateurError } from '../core/errors.ts';
import { encodeFrame, FrameReader } from './frames.node.ts';
import type { Reply, WorkerSetup } from './messages.ts';
import type { Port } from './pool.node.ts';

export interface SandboxLimits {
  /** Of the whole process, in MB of 10^6 bytes. */
  readonly memoryMB: number;
  /** That one answer (opening a model, one run) may take. */
  readonly seconds: number;
}

export const SANDBOX_DEFAULTS: SandboxLimits = { memoryMB: 4000, seconds: 60 };

/** What Node and ONNX Runtime reserve without using it: stacks of threads, V8's own heaps. The limit of reserved memory lies this much higher. */
const RESERVED_MB = 512;
/** Loading Node and ONNX Runtime is no fault of the model's. */
const START_SECONDS = 60;
/** How often the memory in use is looked at. */
const POLL_MS = 50;
/** A longer time between two looks means that this process was busy, and could not take an answer. */
const BUSY_MS = 1000;
/** After the process has ended, how long its pipes may stay open: something that it started may hold them. */
const CLOSE_MS = 1000;
/** All that is handed down; none of these is a secret. */
const ENVIRONMENT = ['LANG', 'LC_ALL', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'SystemRoot'];
const UNSHARE = '/usr/bin/unshare';

/** A function that starts such a process for each runtime that asks; see `WorkerRuntime`. */
export function sandbox(limits: Partial<SandboxLimits> = {}): (setup: WorkerSetup) => Port {
  const { memoryMB = SANDBOX_DEFAULTS.memoryMB, seconds = SANDBOX_DEFAULTS.seconds } = limits;
  if (!(memoryMB >= 64)) fail({ where: '--memory-limit', what: 'too little', expected: 'at least 64 MB', got: String(memoryMB) });
  if (!(seconds > 0)) fail({ where: '--time-limit', what: 'too little', expected: 'more than 0 seconds', got: String(seconds) });
  return (setup) => new ChildPort(setup, { memoryMB, seconds });
}

/** Looks to `pool.node.ts` like a worker thread. */
class ChildPort extends EventEmitter implements Port {
  readonly #child: ChildProcess;
  readonly #pipe: Duplex & { ref?(): void; unref?(): void };
  readonly #limits: SandboxLimits;
  readonly #backend: string;
  readonly #folder: string;
  /** The last it wrote: a crashing library says why there. */
  #said = '';
  #waiting = 1;
  #started = false;
  #since = performance.now();
  #looked = performance.now();
  #killed: 'memory' | 'time' | 'closed' | SecateurError | undefined;
  readonly #watch: NodeJS.Timeout;
  readonly #ended: Promise<void>;

  constructor(setup: WorkerSetup, limits: SandboxLimits) {
    super();
    this.#limits = limits;
    this.#backend = setup.backend;
    this.#folder = mkdtempSync(join(tmpdir(), 'secateur-sandbox-'));
    const env = Object.fromEntries(ENVIRONMENT.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
    const [command, args] = limited([process.execPath, ...childArguments()], limits.memoryMB + RESERVED_MB);
    this.#child = spawn(command, args, {
      cwd: this.#folder,
      // From TypeScript sources the translations are kept in the usual place, else every start would take seconds.
      env: fromSources() ? { ...env, TMPDIR: tmpdir() } : { ...env, TMPDIR: this.#folder, HOME: this.#folder },
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      windowsHide: true,
    });
    this.#pipe = this.#child.stdio[3] as Duplex;
    const reader = new FrameReader(limits.memoryMB * 1e6, (message) => this.#receive(message as Reply));
    this.#pipe.on('data', (chunk: Uint8Array) => {
      try {
        reader.take(chunk);
      } catch (error) {
        this.#kill(error as SecateurError);
      }
    });
    // Writing to a process that has just died; its exit says why.
    this.#pipe.on('error', () => {});
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString('latin1')).slice(-4096);
    });
    this.#ended = new Promise((resolve) => {
      const ended = (code: number | null, signal: NodeJS.Signals | null, cause?: Error): void => {
        clearInterval(this.#watch);
        rmSync(this.#folder, { recursive: true, force: true });
        resolve();
        if (this.#killed !== 'closed')
          this.emit('error', cause ? this.#died(`it does not start: ${cause.message}`) : this.#why(code, signal));
        this.emit('exit', code ?? 1);
      };
      this.#child.once('error', (cause) => ended(null, null, cause));
      this.#child.once('close', (code, signal) => ended(code, signal));
    });
    closeAfterExit(this.#child, CLOSE_MS);
    this.#watch = setInterval(() => this.#look(), POLL_MS);
    for (const piece of encodeFrame(setup)) this.#pipe.write(piece);
  }

  postMessage(message: unknown, transfer: readonly ArrayBuffer[] = []): void {
    // Buffers that are given away are ours to write from; of others a copy is made, because the pipe takes its time.
    const own = new Set<ArrayBufferLike>(transfer.map((buffer) => buffer));
    const pieces = encodeFrame(message).map((piece) => (own.has(piece.buffer) ? detached(piece) : piece.slice()));
    // Not before the message is whole: what cannot be sent has no answer.
    if (this.#waiting++ === 0) this.#since = performance.now();
    for (const piece of pieces) this.#pipe.write(piece);
  }

  ref(): void {
    this.#child.ref();
    this.#pipe.ref?.();
    (this.#child.stderr as unknown as { ref(): void }).ref();
    this.#watch.ref();
  }

  unref(): void {
    this.#child.unref();
    this.#pipe.unref?.();
    (this.#child.stderr as unknown as { unref(): void }).unref();
    this.#watch.unref();
  }

  async terminate(): Promise<void> {
    this.ref();
    this.#kill('closed');
    await this.#ended;
  }

  /** Process id, for the test that kills it. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  #receive(reply: Reply): void {
    this.#started = true;
    this.#waiting = Math.max(0, this.#waiting - 1);
    this.#since = performance.now();
    if (reply.kind === 'failed' && OUT_OF_MEMORY.test(reply.message)) {
      const node = /running (\w+) node\. Name:'([^']*)'/.exec(reply.message);
      const at = node === null ? '' : `, at operator "${node[1]}" (node "${node[2]}")`;
      const message = `the model needs more memory than the ${this.#limits.memoryMB} MB it may have${at}. ${this.#moreMemory('Try')}`;
      this.emit('message', { ...reply, message } satisfies Reply);
      return;
    }
    this.emit('message', reply);
  }

  /** Second line of the memory limit, and the only one where the system has no limit of its own; and the limit of time. */
  #look(): void {
    if (this.#killed !== undefined || this.#child.pid === undefined) return;
    const seconds = this.#started ? this.#limits.seconds : Math.max(START_SECONDS, this.#limits.seconds);
    const now = performance.now();
    // Timers come before pipes: after a long computation on this side an answer may lie there that has not been looked at.
    if (now - this.#looked > BUSY_MS) this.#since = Math.min(now, this.#since + now - this.#looked);
    this.#looked = now;
    if (this.#waiting > 0 && now - this.#since > seconds * 1000) {
      this.#kill('time');
      return;
    }
    memoryInUse(this.#child.pid, (bytes) => {
      if (bytes > this.#limits.memoryMB * 1e6) this.#kill('memory');
    });
  }

  #kill(why: 'memory' | 'time' | 'closed' | SecateurError): void {
    this.#killed ??= why;
    this.#child.kill('SIGKILL');
  }

  #why(code: number | null, signal: NodeJS.Signals | null): SecateurError {
    const { memoryMB, seconds } = this.#limits;
    if (this.#killed instanceof SecateurError) return this.#killed;
    if (this.#killed === 'time') {
      const hint = `--time-limit ${Math.ceil(seconds * 4)} if the model is large or the machine slow`;
      return this.#error(`the model gave no answer within ${seconds} seconds and was stopped`, hint);
    }
    if (this.#killed === 'memory') {
      return this.#error(`the model needs more memory than the ${memoryMB} MB it may have, and was stopped`, this.#moreMemory());
    }
    if (OUT_OF_MEMORY.test(this.#said)) {
      // ONNX Runtime's binding ends so too where an output is of a type that JavaScript has no array for, such as int4.
      const what = `the process that runs the model died asking for more memory than the ${memoryMB} MB it may have, or for an array of an impossible type`;
      return this.#error(what, this.#moreMemory());
    }
    const line = this.#said.trim().split('\n').at(-1)?.slice(0, 300);
    const how = signal === null ? `it ended with code ${code}` : `it crashed with ${signal}`;
    return this.#died(`${how}${line ? ` (${line})` : ''}`);
  }

  #died(why: string): SecateurError {
    return this.#error(`the process that runs the model died: ${why.replace(/[.)]*$/, (end) => end.replace('.', ''))}`);
  }

  #error(what: string, hint?: string): SecateurError {
    return new SecateurError({ where: `runtime (${this.#backend})`, what, hint });
  }

  #moreMemory(start = ''): string {
    return `${start} --memory-limit ${this.#limits.memoryMB * 2} if you expect that of it`.trim();
  }
}

/**
 * Closes our ends of a process's pipes a while after it has ended, so that its `close` event comes even where a process that it started
 * holds the other ends. What it has written by then is read.
 */
export function closeAfterExit(child: ChildProcess, milliseconds: number): void {
  child.once('exit', () => {
    const timer = setTimeout(() => {
      for (const stream of child.stdio) stream?.destroy();
    }, milliseconds);
    timer.unref();
    child.once('close', () => clearTimeout(timer));
  });
}

const OUT_OF_MEMORY = /bad_alloc|failed to allocate memory|out of memory|array buffer allocation failed|cannot allocate memory|\bOOM\b/i;

/** The bytes in a buffer of our own, the caller's emptied, as `postMessage` of a worker does it. */
function detached(piece: Uint8Array): Uint8Array {
  if (piece.buffer.byteLength === 0) return piece;
  const { byteOffset, byteLength } = piece;
  return new Uint8Array(structuredClone(piece.buffer as ArrayBuffer, { transfer: [piece.buffer as ArrayBuffer] }), byteOffset, byteLength);
}

const fromSources = (): boolean => import.meta.url.endsWith('.ts');

function childArguments(): string[] {
  const file = fileURLToPath(new URL(fromSources() ? './sandbox-child.node.ts' : './sandbox-child.node.js', import.meta.url));
  return fromSources() ? ['--import', import.meta.resolve('tsx'), file] : [file];
}

/**
 * The command behind the limits that a shell can set: on Linux of memory that is reserved for data (V8's large reservations of addresses
 * do not count there), of files written (none), no core files, and no network where user namespaces are allowed.
 */
export function limited(command: readonly string[], megabytes: number): [string, string[]] {
  if (process.platform !== 'linux' || !existsSync('/bin/sh')) return [command[0], command.slice(1)];
  const kilobytes = Math.ceil((megabytes * 1e6) / 1024);
  const script = [
    // Where the system has set a lower one already it cannot be raised, and need not be.
    `ulimit -c 0; ulimit -d ${kilobytes} 2>/dev/null || [ "$(ulimit -d)" -le ${kilobytes} ] 2>/dev/null || exit 71`,
    fromSources() ? '' : 'ulimit -f 0',
    `if ${UNSHARE} -rn true 2>/dev/null; then exec ${UNSHARE} -rn "$@"; fi`,
    'exec "$@"',
  ];
  return ['/bin/sh', ['-c', script.join('\n'), 'sh', ...command]];
}

/** Resident bytes of a process; `give` is not called where the system does not say. */
function memoryInUse(pid: number, give: (bytes: number) => void): void {
  if (process.platform === 'linux') {
    try {
      const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      if (kilobytes !== undefined) give(Number(kilobytes) * 1024);
    } catch {
      // It has just ended.
    }
  } else if (process.platform !== 'win32') {
    execFile('ps', ['-o', 'rss=', '-p', String(pid)], (error, out) => {
      if (error === null && /^\s*\d+\s*$/.test(out)) give(Number(out) * 1024);
    });
  }
}
