/**
 * Feeds the parsers of downloaded bytes with hostile inputs, each parser on its own:
 *
 *   npx tsx scripts/fuzz-zoo.ts [--target pickle] [--count 100000] [--seed 1] [--from 0]
 *
 * Targets are the files of scripts/fuzz-zoo/ (see target.ts there); without `--target`, all. Every input is a mutation of a seed, always the
 * same for its number. The work is done in a child process that notes the number of the input before each one, so that a hang or a crash
 * is found and the rest goes on. Prints accepted / refused / bugs as Markdown; exit code 1 if there was a bug: an error that is no
 * SecateurError, an input that takes more than a second of processor time, memory beyond the bound, a hang, a crash. Such inputs are
 * kept in fuzz-findings/. `--only N` does one input in this process and prints what came out.
 */
import { fork } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { printable, SecateurError } from '../src/core/errors.ts';
import { Rng } from '../src/core/rng.ts';
import { mutateBytes } from './fuzz-zoo/mutate.ts';
import type { FuzzTarget } from './fuzz-zoo/target.ts';

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true },
    count: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    only: { type: 'string' },
    child: { type: 'string' },
  },
});
const [count, seed, first] = [Number(values.count), Number(values.seed), Number(values.from)];

/** Without going on to the next input for so long, one counts as a hang. */
const HANG_MS = 20_000;
/** Processor time that one input may take. */
const MAX_MS = 1000;
/** Peak memory of the child, all of it, with tsx and the seeds. */
const MAX_RSS = 500e6;
/** Inputs after which the child reports. */
const REPORT = 500;

const FOLDER = join(import.meta.dirname, 'fuzz-zoo');
const NOT_TARGETS = new Set(['target.ts', 'mutate.ts']);
const names = (): string[] =>
  readdirSync(FOLDER)
    .filter((name) => name.endsWith('.ts') && !NOT_TARGETS.has(name))
    .map((name) => name.slice(0, -3))
    .sort();

async function load(name: string): Promise<{ target: FuzzTarget; seeds: readonly Uint8Array[] }> {
  const { target } = (await import(`./fuzz-zoo/${name}.ts`)) as { target: FuzzTarget };
  const seeds = await target.seeds();
  if (seeds.length === 0) throw new Error(`${name} has no seeds`);
  return { target, seeds };
}

function inputOf(i: number, { target, seeds }: { target: FuzzTarget; seeds: readonly Uint8Array[] }): Uint8Array {
  const rng = Rng.from(seed, 'fuzz-zoo', target.name, i);
  // The seeds themselves come first: they show that the target sees what it should.
  if (i < seeds.length) return seeds[i];
  return mutateBytes(seeds[rng.int(seeds.length)], seeds[rng.int(seeds.length)], target.words ?? [], rng);
}

interface Answer {
  readonly outcome: string;
  readonly why: string;
  readonly ms: number;
}

async function answer(target: FuzzTarget, bytes: Uint8Array): Promise<Answer> {
  const began = performance.now();
  const cpu = process.cpuUsage();
  let outcome = 'accepted';
  let why = '';
  try {
    outcome = (await target.run(bytes)) ?? outcome;
  } catch (error) {
    if (error instanceof SecateurError) {
      [outcome, why] = ['refused', kindOf(error)];
      if (/\p{Cc}/u.test(error.message.replace(/[\n\t]/g, '')) || error.message.length > 30_000) {
        [outcome, why] = ['bug', 'a message that is not fit for a terminal'];
      }
    } else [outcome, why] = ['bug', printable(String(error instanceof Error ? error.stack : error), 1000)];
  }
  const ms = performance.now() - began;
  if (ms > MAX_MS) {
    // The machine may have been busy with something else.
    const used = process.cpuUsage(cpu);
    const spent = (used.user + used.system) / 1000;
    if (spent > MAX_MS) return { outcome: 'bug', why: `took ${Math.round(spent)} ms of processor time`, ms: spent };
  }
  return { outcome, why, ms };
}

/** Code and first words of a message, without what depends on the input. */
function kindOf({ parts }: SecateurError): string {
  const words = parts.what.replace(/"[^"]*"/g, '"…"').replace(/\d+/g, 'N');
  return printable(`${parts.code ?? ''} ${words}`.trim().slice(0, 60)).replace(/\s+/g, ' ');
}

interface Told {
  readonly done: number;
  readonly tally: readonly (readonly [string, number])[];
  readonly bugs: readonly { readonly i: number; readonly why: string }[];
  readonly slowest: number;
  readonly rss: number;
}

async function work(name: string, note: string, tell: (told: Told) => Promise<void>): Promise<void> {
  const loaded = await load(name);
  const file = openSync(note, 'r+');
  const place = new Float64Array(1);
  let tally = new Map<string, number>();
  let bugs: { i: number; why: string }[] = [];
  let slowest = 0;
  const bump = (key: string): void => void tally.set(key, (tally.get(key) ?? 0) + 1);
  for (let i = first; i < first + count; i++) {
    place[0] = i;
    writeSync(file, place, 0, 8, 0);
    const { outcome, why, ms } = await answer(loaded.target, inputOf(i, loaded));
    bump(outcome);
    if (outcome === 'refused' && why !== '') bump(`refused: ${why}`);
    if (outcome === 'bug') bugs.push({ i, why });
    slowest = Math.max(slowest, ms);
    if ((i + 1 - first) % REPORT === 0 || i === first + count - 1 || outcome === 'bug') {
      await tell({ done: i + 1, tally: [...tally], bugs, slowest, rss: process.resourceUsage().maxRSS * 1024 });
      tally = new Map();
      bugs = [];
    }
  }
  closeSync(file);
}

interface Totals {
  readonly tally: Map<string, number>;
  bugs: number;
  slowest: number;
  rss: number;
  seconds: number;
}

async function host(name: string): Promise<Totals> {
  const totals: Totals = { tally: new Map(), bugs: 0, slowest: 0, rss: 0, seconds: 0 };
  const began = performance.now();
  const scratch = mkdtempSync(join(tmpdir(), 'secateur-fuzz-'));
  const note = join(scratch, 'at');
  const loaded = await load(name);
  const keep = (i: number, why: string): void => {
    totals.bugs++;
    const folder = join(import.meta.dirname, '..', 'fuzz-findings');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${name}-${seed}-${i}.txt`), `${why}\n`);
    writeFileSync(join(folder, `${name}-${seed}-${i}.bin`), inputOf(i, loaded));
    console.error(`${name}: input ${i}: ${why.split('\n').slice(0, 4).join(' | ')}`);
  };
  const last = first + count;
  for (let next = first; next < last; ) {
    let done = next;
    writeFileSync(note, new Float64Array([next]));
    const args = ['--child', note, '--target', name, '--seed', `${seed}`, '--from', `${next}`, '--count', `${last - next}`];
    const child = fork(fileURLToPath(import.meta.url), args, { execArgv: [...process.execArgv, '--max-old-space-size=256'] });
    let seen = -1;
    let since = performance.now();
    const at = (): number => new Float64Array(new Uint8Array(readFileSync(note)).buffer)[0];
    const watch = setInterval(() => {
      const now = at();
      if (now !== seen) [seen, since] = [now, performance.now()];
      else if (performance.now() - since > HANG_MS) child.kill('SIGKILL');
    }, 500);
    child.on('message', (told: Told) => {
      done = told.done;
      for (const [key, n] of told.tally) totals.tally.set(key, (totals.tally.get(key) ?? 0) + n);
      for (const { i, why } of told.bugs) keep(i, why);
      totals.slowest = Math.max(totals.slowest, told.slowest);
      totals.rss = Math.max(totals.rss, told.rss);
      if (done % 20_000 === 0) console.error(`${name}: ${done} inputs, ${Math.round((performance.now() - began) / 1000)} s`);
    });
    const why = await new Promise<string | undefined>((settle) => {
      child.on('exit', (code, signal) => settle(code === 0 ? undefined : `the process ended with ${signal ?? `code ${code}`}`));
    });
    clearInterval(watch);
    if (why === undefined) break;
    // Inputs since the last report are done again, but for the one that it ended with.
    keep(at(), why);
    next = Math.max(done, at() + 1);
  }
  rmSync(scratch, { recursive: true, force: true });
  totals.seconds = (performance.now() - began) / 1000;
  return totals;
}

async function main(): Promise<number> {
  const known = names();
  const wanted = values.target ?? known;
  for (const name of wanted) if (!known.includes(name)) throw new Error(`no target "${name}": ${known.join(', ')}`);
  if (!(count > 0) || !Number.isFinite(seed) || !(first >= 0)) throw new Error('--count, --seed and --from want numbers');
  if (values.child !== undefined) {
    await work(wanted[0], values.child, (told) => new Promise((sent) => process.send!(told, () => sent())));
    process.disconnect?.();
    return 0;
  }
  if (values.only !== undefined) {
    const loaded = await load(wanted[0]);
    const bytes = inputOf(Number(values.only), loaded);
    console.log(await answer(loaded.target, bytes));
    return 0;
  }
  let bad = 0;
  const rows: string[] = [];
  const details: string[] = [];
  for (const name of wanted) {
    const t = await host(name);
    const of = (key: string): number => t.tally.get(key) ?? 0;
    const others = [...t.tally].filter(([key]) => !key.startsWith('refused') && key !== 'accepted' && key !== 'bug');
    const taken = [`${of('accepted')} accepted`, ...others.map(([key, n]) => `${n} ${key}`)].join(', ');
    rows.push(
      `| ${name} | ${count} | ${taken} | ${of('refused')} | ${t.bugs} | ${Math.round(t.slowest)} | ${Math.round(t.rss / 1e6)} | ${Math.round(t.seconds)} |`,
    );
    const reasons = [...t.tally].filter(([key]) => key.startsWith('refused: ')).sort(([, n], [, m]) => m - n);
    details.push(...reasons.slice(0, 12).map(([key, n]) => `| ${name} | ${key.slice(9).replaceAll('|', '\\|')} | ${n} |`));
    if (t.bugs > 0 || t.rss > MAX_RSS) bad++;
  }
  console.log('| target | inputs | taken | refused | bugs | slowest ms | peak MB | seconds |\n|---|---|---|---|---|---|---|---|');
  console.log(rows.join('\n'));
  if (details.length > 0) console.log(`\n| target | most frequent reasons | inputs |\n|---|---|---|\n${details.join('\n')}`);
  return bad > 0 ? 1 : 0;
}

process.exitCode = await main();
