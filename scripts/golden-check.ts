/**
 * Compares every network that scripts/golden-torchvision.py wrote with our gradients, as `secateur gradcheck --golden` does, and prints
 * the table of docs/foreign.md.
 *
 *     npx tsx scripts/golden-check.ts DIR [--only TEXT] [--new] [--time] [--threads 2]
 *     npx tsx scripts/golden-check.ts DIR --table             what was found last for each file, without running anything
 *     npx tsx scripts/golden-check.ts DIR --summary           the same, a line a network
 *
 * Results are kept in DIR/checked.jsonl, a line a file, the newest last. `--new` passes over what was right before, `--time` times a
 * second run of the gradient graph.
 */
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Tensor } from '../src/core/tensor.ts';
import { loadNpz } from '../src/data/npz.node.ts';
import { gradientGraph } from '../src/grad/step.ts';
import { compareWithGolden } from '../src/inspect/gradcheck.ts';
import { loadModel } from '../src/onnx/file.node.ts';
import type { Model } from '../src/onnx/model.ts';
import { lower } from '../src/runtime/lowerings/lower.ts';
import { nativeRuntime } from '../src/runtime/open.node.ts';
import { probe } from '../src/runtime/probe.ts';
import type { Runtime } from '../src/runtime/session.ts';

/** What the generator wrote beside a network. */
interface Meta {
  readonly net: string;
  readonly opset: number;
  readonly norms: 'folded' | 'kept';
  readonly size: number;
  readonly batch: number;
  readonly torchMs: number;
  readonly parameters: number;
  readonly mapped: number;
}

interface Checked extends Meta {
  readonly logits?: number;
  readonly loss?: number;
  readonly input?: number;
  /** The parameter with the largest error. */
  readonly worst?: { readonly name: string; readonly error: number };
  readonly wrong?: readonly string[];
  readonly openMs?: number;
  readonly runMs?: number;
  readonly failed?: string;
}

type Golden = ReadonlyMap<string, Tensor>;

async function check(runtime: Runtime, stem: string, meta: Meta, time: boolean): Promise<Checked> {
  try {
    const model = await loadModel(`${stem}.onnx`);
    const golden = await loadNpz(`${stem}.npz`);
    const { tensors } = await compareWithGolden(runtime, model, golden, { where: `${stem}.npz` });
    const errorOf = (name: string) => tensors.find((t) => t.name === name)?.error;
    const worst = tensors.find((t) => !['logits', 'loss', 'input'].includes(t.name));
    return {
      ...meta,
      logits: errorOf('logits'),
      loss: errorOf('loss'),
      input: errorOf('input'),
      worst: worst && { name: worst.name, error: worst.error },
      wrong: tensors.filter((t) => !t.ok).map((t) => t.name),
      ...(time ? await timed(runtime, model, golden) : {}),
    };
  } catch (error) {
    return { ...meta, failed: error instanceof Error ? error.message : String(error) };
  }
}

/** Milliseconds to write and open the gradient graph, and of its second run. */
async function timed(runtime: Runtime, model: Model, golden: Golden): Promise<{ openMs: number; runMs: number }> {
  const start = performance.now();
  const input = golden.get('input')!;
  const wrt = [...golden.keys()].filter((key) => key.startsWith('grad/')).map((key) => key.slice('grad/'.length));
  const types = await probe(runtime, model, { batch: input.dims[0] });
  const graph = gradientGraph(model, types, { input: 'input', logits: 'logits', loss: 'cross-entropy', wrt });
  const session = await runtime.open(lower(graph.model));
  const openMs = performance.now() - start;
  try {
    const feeds = { [graph.feeds.x]: input, [graph.feeds.labels]: golden.get('labels')! };
    await session.run(feeds);
    const again = performance.now();
    await session.run(feeds);
    return { openMs, runMs: performance.now() - again };
  } finally {
    await session.close();
  }
}

const short = (value: number | undefined): string => (value === undefined ? '' : value === 0 ? '0' : value.toExponential(1));

function row(c: Checked): string {
  const head = [c.net, c.size, c.opset, c.norms, `${c.mapped} of ${c.parameters}`];
  if (c.failed !== undefined) return `| ${head.join(' | ')} | ${c.failed.replaceAll('|', '/').split('\n')[0]} | | | | no | | |`;
  const errors = [c.logits, c.loss, c.input, c.worst?.error].map(short);
  const verdict = c.wrong?.length ? `${c.wrong.length} are not` : 'yes';
  return `| ${[...head, ...errors, verdict, c.runMs === undefined ? '' : Math.round(c.runMs), Math.round(c.torchMs)].join(' | ')} |`;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

/** A line a network: the worst of all its files. */
function summary(all: readonly Checked[]): void {
  console.log(`| net | pixels | files | parameters | logits | loss | input gradient | worst parameter |\n|${'---|'.repeat(8)}`);
  for (const [net, group] of groupBy(all, (c) => c.net)) {
    const files = [...groupBy(group, (c) => c.norms)].map(
      ([norms, some]) =>
        `${norms} ${some
          .map((c) => c.opset)
          .sort()
          .join(', ')}`,
    );
    const worst = (of: (c: Checked) => number | undefined): string => short(Math.max(...group.map((c) => of(c) ?? Number.NaN)));
    const lost = group.some((c) => c.mapped !== c.parameters) ? group.map((c) => `${c.mapped} of ${c.parameters}`).join(', ') : 'all';
    const errors = [worst((c) => c.logits), worst((c) => c.loss), worst((c) => c.input), worst((c) => c.worst?.error)];
    console.log(`| ${[net, group[0].size, files.join('; '), lost, ...errors].join(' | ')} |`);
  }
}

const { values: o, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    threads: { type: 'string', default: '2' },
    time: { type: 'boolean', default: false },
    new: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
    summary: { type: 'boolean', default: false },
  },
});
const [dir] = positionals;
if (dir === undefined) throw new Error('npx tsx scripts/golden-check.ts DIR');
const log = join(dir, 'checked.jsonl');
const key = (c: Meta): string => `${c.net} ${c.opset} ${c.norms}`;
const known = new Map<string, Checked>();
for (const line of existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []) {
  const checked = JSON.parse(line) as Checked;
  known.set(key(checked), checked);
}

const TITLE =
  '| net | pixels | opset | batch norm | parameters | logits | loss | input gradient | worst parameter | within 1e-3 | ms | PyTorch ms |';
if (!o.summary) console.log(`${TITLE}\n|${'---|'.repeat(12)}`);
if (o.table) {
  for (const checked of known.values()) console.log(row(checked));
} else if (o.summary) {
  summary([...known.values()]);
} else {
  const runtime = nativeRuntime({ threads: Number(o.threads) });
  try {
    const metas = readdirSync(dir).filter((name) => name.endsWith('.json') && name.includes(o.only));
    for (const name of metas.sort()) {
      const meta = JSON.parse(readFileSync(join(dir, name), 'utf8')) as Meta;
      const before = known.get(key(meta));
      // With --new what was right already is not done again.
      if (o.new && before?.failed === undefined && before?.wrong?.length === 0) continue;
      const checked = await check(runtime, join(dir, name.replace(/\.json$/, '')), meta, o.time);
      appendFileSync(log, `${JSON.stringify(checked)}\n`);
      console.log(row(checked));
    }
  } finally {
    await runtime.dispose();
  }
}
