/**
 * Feeds the reader (and, for a share of what it accepts, ONNX Runtime in its sandbox) with hostile files:
 *
 *   npx tsx scripts/fuzz-onnx.ts [--count 100000] [--seed 1] [--from 0] [--run-every 100]
 *
 * The work is done in a child process, so that a crash is seen and not suffered: the parent notes the case, keeps its file in
 * `fuzz-findings/`, and starts another from the next case on. Prints counts by outcome as Markdown; exit code 1 if there was a bug, a
 * crash, a case without an answer in 30 seconds, or memory beyond the bound. `--only N` does one case in this process and prints what came out.
 */
import { fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Runtime } from '../src/runtime/session.ts';
import { makeCase, seedFiles, setTraps } from './fuzz-cases.ts';
import { type Report, runCase, watchFiles } from './fuzz-run.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    'run-every': { type: 'string', default: '100' },
    only: { type: 'string' },
    child: { type: 'boolean', default: false },
  },
});
const [count, seed, first, runEvery] = [Number(values.count), Number(values.seed), Number(values.from), Number(values['run-every'])];

/** Without an answer for so long, a case counts as a hang. */
const HANG_MS = 30_000;
/** The child's memory, all of it, with tsx and the seeds. */
const MAX_RSS = 600e6;

type Told = { readonly begin: number } | { readonly end: number; readonly kind: string; readonly report: Report; readonly rss: number };

async function work(from: number, to: number, tell: (told: Told) => void): Promise<void> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'secateur-fuzz-')));
  setTraps(root);
  const seeds = seedFiles();
  let runtime: (Runtime & { dispose(): Promise<void> }) | undefined;
  if (runEvery > 0) {
    const { sandboxedRuntime } = await import('../src/runtime/open.node.ts');
    runtime = sandboxedRuntime({ threads: 1, memoryMB: 400, seconds: 10 });
    // Before the files are watched: it reads its own.
    await runtime.open(seeds[0]).then((session) => session.close());
  }
  watchFiles();
  for (let i = from; i < to; i++) {
    tell({ begin: i });
    const c = makeCase(seed, i, seeds, root);
    const report = await runCase(c, root, runEvery > 0 && i % runEvery === 0 ? runtime : undefined);
    tell({ end: i, kind: c.kind, report, rss: process.memoryUsage.rss() });
  }
  await runtime?.dispose();
  rmSync(root, { recursive: true, force: true });
}

const tally = new Map<string, number>();
const bump = (key: string): void => void tally.set(key, (tally.get(key) ?? 0) + 1);

async function host(): Promise<number> {
  const findings = join(import.meta.dirname, '..', 'fuzz-findings');
  const keep = (i: number, why: string): void => {
    mkdirSync(findings, { recursive: true });
    writeFileSync(join(findings, `${seed}-${i}.txt`), why);
    bump(`**finding** (case ${i}): ${why.split('\n')[0].slice(0, 100)}`);
  };
  const began = performance.now();
  let bad = 0;
  let slowest = 0;
  let largest = 0;
  for (let next = first; next < first + count; ) {
    let current = next;
    let done = next;
    let timer: NodeJS.Timeout | undefined;
    const args = ['--child', '--seed', `${seed}`, '--from', `${next}`, '--count', `${first + count - next}`, '--run-every', `${runEvery}`];
    const child = fork(fileURLToPath(import.meta.url), args, { execArgv: [...process.execArgv, '--max-old-space-size=256'] });
    const hang = (): void => void child.kill('SIGKILL');
    const why = await new Promise<string | undefined>((settle) => {
      timer = setTimeout(hang, 4 * HANG_MS);
      child.on('message', (told: Told) => {
        clearTimeout(timer);
        timer = setTimeout(hang, HANG_MS);
        if ('begin' in told) {
          current = told.begin;
          return;
        }
        done = told.end + 1;
        const { kind, report, rss } = told;
        bump(`${kind}: ${report.outcome}`);
        if (report.outcome === 'refused') bump(`refused: ${report.why}`);
        if (report.run !== undefined) bump(`ONNX Runtime in the sandbox: ${report.run}`);
        slowest = Math.max(slowest, report.ms);
        largest = Math.max(largest, rss);
        if (report.outcome === 'bug') {
          bad++;
          keep(told.end, report.why);
        }
        if (done % 10_000 === 0)
          console.error(`${done} cases, ${Math.round((performance.now() - began) / 1000)} s, rss ${Math.round(rss / 1e6)} MB`);
      });
      child.on('exit', (code, signal) => settle(code === 0 ? undefined : `the process ended with ${signal ?? `code ${code}`}`));
    });
    clearTimeout(timer);
    if (why === undefined) break;
    bad++;
    keep(current, why);
    next = Math.max(done, current + 1);
  }
  const rows = [...tally].sort(([a, n], [b, m]) => a.split(':')[0].localeCompare(b.split(':')[0]) || m - n);
  console.log(
    `${count} files, seed ${seed}, ${Math.round((performance.now() - began) / 1000)} s; slowest ${Math.round(slowest)} ms; largest memory of the reading process ${Math.round(largest / 1e6)} MB; findings ${bad}\n`,
  );
  console.log(`| outcome | files |\n|---|---|\n${rows.map(([key, n]) => `| ${key} | ${n} |`).join('\n')}`);
  return bad > 0 || largest > MAX_RSS ? 1 : 0;
}

if (values.only !== undefined) {
  await work(Number(values.only), Number(values.only) + 1, (told) => console.log(told));
} else if (values.child) {
  await work(first, first + count, (told) => process.send?.(told));
  process.disconnect?.();
} else {
  process.exitCode = await host();
}
