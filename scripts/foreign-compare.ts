/**
 * Fine-pruning of a BadNet from PyTorch, by `secateur fineprune` and by the same defence in PyTorch, in turn on the same threads:
 * attack success and clean accuracy before and after, and the time of each part. Prints the table of docs/foreign.md.
 *
 *     npx tsx scripts/foreign-compare.ts DIR [--epochs 5] [--seeds 1,2,3] [--lr 0.01] [--schedule cosine] [--threads 2] [--images N]
 *
 * DIR is what scripts/foreign-badnet.py wrote. `--layer` (ours) and `--at` (PyTorch: block or branch) name the place to cut;
 * by default both take the last block's output. `--images` is for a trial: only so many of the defender's images. Times mean something on a quiet machine only.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

interface Judged {
  readonly clean: number;
  readonly attack: number;
}

interface Row {
  readonly who: string;
  readonly seed: number;
  readonly before: Judged;
  readonly after: Judged;
  readonly cut: string;
  readonly validation: string;
  readonly prune: number;
  readonly finetune: number;
  /** Of the whole process: starting, reading, and what it looks at besides. */
  readonly process: number;
}

const { values: o, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: { type: 'string', default: '5' },
    seeds: { type: 'string', default: '1' },
    threads: { type: 'string', default: '2' },
    images: { type: 'string' },
    layer: { type: 'string' },
    at: { type: 'string', default: 'block' },
    lr: { type: 'string', default: '0.01' },
    schedule: { type: 'string', default: 'cosine' },
  },
});
const [dir] = positionals;
if (dir === undefined) throw new Error('npx tsx scripts/foreign-compare.ts DIR');
const python = process.env.SECATEUR_PYTHON ?? '/usr/bin/python3';
const badnet = JSON.parse(readFileSync(join(dir, 'badnet.json'), 'utf8')) as { mean: number[]; std: number[]; target: number };
const network = join(dir, 'badnet-opset17.onnx');

/** Runs a program to its end; its output, and the seconds that it took. */
function run(program: string, args: readonly string[]): { out: string; seconds: number } {
  const start = performance.now();
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  const seconds = (performance.now() - start) / 1000;
  if (error || status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr.slice(-2000)}`);
  return { out: stdout, seconds };
}

const secateur = (args: readonly string[]) => run('npx', ['tsx', 'src/cli/main.ts', ...args, '--threads', o.threads, '--json', '--force']);
const pixels = ['--input-range', '0,1', '--mean', badnet.mean.join(','), '--std', badnet.std.join(',')];
const data = ['--data', join(dir, 'data')];

interface Result {
  readonly tables: readonly { readonly name: string; readonly cells: readonly { row: string; column: string; value: number }[] }[];
  readonly provenance: { readonly steps: readonly { name: string; seconds: number }[] };
  readonly layer?: string;
  readonly cut?: readonly number[];
  readonly order?: readonly number[];
}

function judge(model: string): Judged {
  const trigger = ['--trigger', `patch:${join(dir, 'trigger.png')}@-2,-2`, '--label-map', `target:${badnet.target}`];
  const { out } = secateur(['evaluate', model, ...data, ...trigger, ...pixels, '--out', join(dir, 'run-evaluate')]);
  const cells = (JSON.parse(out) as Result).tables.flatMap((table) => table.cells);
  const of = (column: string): number => {
    const cell = cells.find((c) => c.row === 'all' && c.column === column);
    if (cell === undefined) throw new Error(`no ${column} in ${cells.map((c) => `${c.row} ${c.column}`).join('; ')}`);
    return cell.value;
  };
  return { clean: of('clean accuracy'), attack: of('attack success') };
}

function torch(seed: number): Row {
  const file = join(dir, `torch-seed${seed}.json`);
  const some = o.images === undefined ? [] : ['--images', o.images];
  const { seconds } = run(python, [
    ...['scripts/foreign-finepruning.py', '--run', dir, '--out', file, '--at', o.at, '--epochs', o.epochs],
    ...['--seed', `${seed}`, '--threads', o.threads, '--lr', o.lr, '--schedule', o.schedule, ...some],
  ]);
  const r = JSON.parse(readFileSync(file, 'utf8'));
  return {
    ...{ who: 'PyTorch', seed, before: r.before, after: r.after, cut: `${r.cut} of ${r.of}`, process: seconds },
    ...{ validation: r.validation.map((v: number) => percent(v)).join(' -> '), prune: r.seconds.prune, finetune: r.seconds.finetune },
  };
}

function fineprune(seed: number, epochs: string, images: string): { result: Result; seconds: number; epochSeconds: number; model: string } {
  const folder = join(dir, `run-fineprune-seed${seed}`);
  const layer = o.layer === undefined ? [] : ['--layer', o.layer];
  const { out, seconds } = secateur([
    ...['fineprune', network, ...data, '--validation', images, '--epochs', epochs, '--seed', `${seed}`, ...pixels, ...layer],
    ...['--lr', o.lr, '--schedule', o.schedule, '--out', folder],
  ]);
  const lines = readFileSync(join(folder, 'metrics.jsonl'), 'utf8').trim().split('\n');
  const epochSeconds = lines.reduce((sum, line) => sum + (JSON.parse(line) as { seconds: number }).seconds, 0);
  return { result: JSON.parse(out) as Result, seconds, epochSeconds, model: join(folder, 'model.onnx') };
}

function ours(seed: number, before: Judged): Row {
  const { result, seconds, epochSeconds, model } = fineprune(seed, o.epochs, o.images ?? 'all');
  const step = result.provenance.steps.find((s) => s.name === 'fine-pruning')!.seconds;
  const cells = result.tables.find((t) => t.name === 'fine-pruning')!.cells;
  const [start, pruned] = ['before', 'pruned'].map((row) => percent(cells.find((c) => c.row === row)!.value));
  return {
    ...{ who: `Secateur (${result.layer})`, seed, before, after: judge(model), cut: `${result.cut!.length} of ${result.order!.length}` },
    ...{ validation: `${start} -> ${pruned}`, prune: step - epochSeconds, finetune: epochSeconds, process: seconds },
  };
}

const percent = (value: number): string => (100 * value).toFixed(1);

function print(r: Row): void {
  const rates = [r.before.attack, r.after.attack, r.before.clean, r.after.clean].map(percent);
  const times = [r.prune, r.finetune, r.prune + r.finetune, r.process].map((s) => s.toFixed(1));
  console.log(`| ${[r.who, r.seed, r.cut, r.validation, ...rates, ...times].join(' | ')} |`);
}

// The forms of the operators are timed once on a machine and remembered; that time is no part of a defence.
fineprune(0, '1', '128');
const before = judge(network);
const HEAD = ['', 'seed', 'channels cut', 'validation, pruned', 'attack before', 'after', 'clean before', 'after'];
console.log(`| ${[...HEAD, 'prune s', 'fine-tune s', 'both s', 'whole process s'].join(' | ')} |\n|${'---|'.repeat(12)}`);
const rows: Row[] = [];
for (const [i, seed] of o.seeds.split(',').map(Number).entries()) {
  // Which goes first changes from seed to seed, so that a machine that slows down favours neither.
  const order = [() => torch(seed), () => ours(seed, before)];
  for (const one of i % 2 === 0 ? order : order.reverse()) {
    const row = one();
    rows.push(row);
    print(row);
  }
}
const total = (who: string): number => rows.filter((r) => r.who.startsWith(who)).reduce((sum, r) => sum + r.prune + r.finetune, 0);
console.log(`\nPyTorch's time over ours, pruning and fine-tuning: ${(total('PyTorch') / total('Secateur')).toFixed(2)}`);
