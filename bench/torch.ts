/** Talks to the PyTorch process that runs beside the benchmark, so that both are measured in turn in one run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export class TorchPeer {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly version: string;

  private constructor(process: ChildProcess, lines: AsyncIterator<string>, version: string) {
    this.#process = process;
    this.#lines = lines;
    this.version = version;
  }

  /** undefined, with the reason on stderr, where there is no PyTorch. */
  static async start(threads: number): Promise<TorchPeer | undefined> {
    const script = fileURLToPath(new URL('./torch-step.py', import.meta.url));
    const child = spawn(process.env.SECATEUR_PYTHON ?? '/usr/bin/python3', [script, String(threads)], { stdio: ['pipe', 'pipe', 'pipe'] });
    let errors = '';
    child.stderr?.on('data', (chunk) => {
      errors += chunk;
    });
    child.on('error', (error) => {
      errors += error.message;
    });
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done) {
      const last = errors.trim().split('\n').at(-1);
      process.stderr.write(`no PyTorch to compare with (${last}); apt-get install python3-torch libopenblas0-pthread\n`);
      return undefined;
    }
    return new TorchPeer(child, lines, (JSON.parse(first.value) as { torch: string }).torch);
  }

  /** Milliseconds of each of `rounds` steps. */
  async steps(network: string, rounds: number): Promise<number[]> {
    this.#process.stdin?.write(`${network} ${rounds}\n`);
    const line = await this.#lines.next();
    return (JSON.parse(line.value as string) as { ms: number[] }).ms;
  }

  stop(): void {
    this.#process.stdin?.end();
  }
}

export const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
