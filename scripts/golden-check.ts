/**
 * Compares every network that scripts/golden-torchvision.py wrote with our gradients, and prints the table of docs/foreign.md.
 *
 *     npx tsx scripts/golden-check.ts DIR [--only TEXT] [--threads 2]
 *
 * The error of a tensor is max|a - b| / max|b|. Results are kept in DIR/checked.jsonl, a line a file, the newest last.
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sizeOf, type Tensor } from '../src/core/tensor.ts';
import { loadNpz } from '../src/data/npz.node.ts';
import { gradientGraph } from '../src/grad/step.ts';
import { loadModel } from '../src/onnx/file.node.ts';
import { lower } from '../src/runtime/lowerings/lower.ts';
import { nativeRuntime } from '../src/runtime/open.node.ts';
import { probe } from '../src/runtime/probe.ts';
import type { Runtime } from '../src/runtime/session.ts';

const TOLERANCE = 1e-3;

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
  readonly worst?: { readonly name: string; readonly error: number };
  readonly over?: readonly string[];
  readonly openMs?: number;
  readonly runMs?: number;
  readonly failed?: string;
}

function relative(a: Tensor, b: Tensor): number {
  if (sizeOf(a.dims) !== sizeOf(b.dims)) return Number.NaN;
  const [x, y] = [a.data as Float32Array, b.data as Float32Array];
  let [difference, scale] = [0, 0];
  for (let i = 0; i < y.length; i++) {
    const d = Math.abs(x[i] - y[i]);
    if (!(d <= difference)) difference = d;
    scale = Math.max(scale, Math.abs(y[i]));
  }
  return difference === 0 ? 0 : difference / scale;
}

async function check(runtime: Runtime, stem: string, meta: Meta): Promise<Checked> {
  try {
    const model = await loadModel(`${stem}.onnx`);
    const golden = await loadNpz(`${stem}.npz`);
    const names = [...golden.keys()].filter((key) => key.startsWith('grad/')).map((key) => key.slice('grad/'.length));
    const start = performance.now();
    const types = await probe(runtime, model, { batch: meta.batch });
    const graph = gradientGraph(model, types, { input: 'input', logits: 'logits', loss: 'cross-entropy', wrt: names });
    const session = await runtime.open(lower(graph.model));
    const openMs = performance.now() - start;
    try {
      const feeds = { [graph.feeds.x]: golden.get('input')!, [graph.feeds.labels]: golden.get('labels')! };
      let values = await session.run(feeds);
      const again = performance.now();
      values = await session.run(feeds);
      const runMs = performance.now() - again;
      const errors = names.map((name) => {
        const output = graph.gradients[name];
        return { name, error: output === undefined ? Number.NaN : relative(values[output], golden.get(`grad/${name}`)!) };
      });
      const rank = (e: number) => (Number.isNaN(e) ? Number.POSITIVE_INFINITY : e);
      const [worst] = errors.filter((e) => e.name !== 'input').sort((a, b) => rank(b.error) - rank(a.error));
      return {
        ...meta,
        logits: relative(values[graph.outputs.logits], golden.get('logits')!),
        loss: relative(values[graph.outputs.loss], golden.get('loss')!),
        input: errors.find((e) => e.name === 'input')!.error,
        worst,
        over: errors.filter((e) => !(e.error <= TOLERANCE)).map((e) => e.name),
        openMs,
        runMs,
      };
    } finally {
      await session.close();
    }
  } catch (error) {
    return { ...meta, failed: error instanceof Error ? error.message : String(error) };
  }
}

const short = (value: number | undefined): string => (value === undefined ? '' : value.toExponential(1));

function row(c: Checked): string {
  const head = [c.net, c.size, c.opset, c.norms, `${c.mapped} of ${c.parameters}`];
  if (c.failed !== undefined) return `| ${head.join(' | ')} | ${c.failed.replaceAll('|', '/').split('\n')[0]} |`;
  const errors = [c.logits, c.loss, c.input, c.worst?.error].map(short);
  const verdict = c.over?.length ? `${c.over.length} over 1e-3` : 'yes';
  return `| ${[...head, ...errors, verdict, Math.round(c.runMs!), Math.round(c.torchMs)].join(' | ')} |`;
}

const { values: o, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string', default: '' }, threads: { type: 'string', default: '2' }, table: { type: 'boolean', default: false } },
});
const [dir] = positionals;
if (dir === undefined) throw new Error('npx tsx scripts/golden-check.ts DIR');
const log = join(dir, 'checked.jsonl');

const TITLE =
  '| net | pixels | opset | batch norm | parameters | logits | loss | input gradient | worst parameter | within 1e-3 | ms | PyTorch ms |';
console.log(`${TITLE}\n|${'---|'.repeat(12)}`);
if (o.table) {
  const newest = new Map<string, Checked>();
  for (const line of readFileSync(log, 'utf8').trim().split('\n')) {
    const checked = JSON.parse(line) as Checked;
    newest.set(`${checked.net} ${checked.opset} ${checked.norms}`, checked);
  }
  for (const checked of newest.values()) console.log(row(checked));
} else {
  const runtime = nativeRuntime({ threads: Number(o.threads) });
  try {
    const stems = readdirSync(dir).filter((name) => name.endsWith('.json') && name.includes(o.only));
    for (const name of stems.sort()) {
      const meta = JSON.parse(readFileSync(join(dir, name), 'utf8')) as Meta;
      const checked = await check(runtime, join(dir, name.replace(/\.json$/, '')), meta);
      appendFileSync(log, `${JSON.stringify(checked)}\n`);
      console.log(row(checked));
    }
  } finally {
    await runtime.dispose();
  }
}
