/** `secateur diff`: what differs between two files of a network, and how far each weight moved. */
import { z } from 'zod';
import { formatDims } from '../core/shapes.ts';
import type { Result, Table } from '../evaluate/result.ts';
import { diffModels, type GraphChange, type ModelDiff, type TensorDiff } from '../inspect/diff.ts';
import { mostMoved } from '../inspect/tensor-diff.ts';
import { defineCommand } from './command.node.ts';
import { columns, oneLine } from './output.node.ts';
import { machineName } from './run-folder.node.ts';
import { openModel, versions } from './shared.node.ts';

/** Tensors and changes that are printed without `--all`. */
const SHOWN = 25;
/** Channels named in a line. */
const NAMED = 3;

export const diff = defineCommand({
  name: 'diff',
  description:
    'Graph changes first, then every weight that moved, the one that moved most first: |B - A| / |A|, the largest change of one number, the cosine, and which channels were zeroed or moved most. Tensors are matched by name, and where names differ by operator and shape in graph order. Nothing is run. Metadata and declared shapes are listed, but are no change of the network.',
  examples: [
    ['secateur diff suspect.onnx runs/fineprune-1/model.onnx', 'what the defence touched'],
    ['secateur diff delivered.onnx reviewed.onnx --fail-on-change', 'exit code 3 unless graph and weights are the same'],
    ['secateur diff a.onnx b.onnx --html diff.html', 'a page with a chart of the movement'],
  ],
  options: z.object({
    before: z.string().meta({ description: 'an ONNX file, or the name of a model in models.lock', positional: true, placeholder: 'A' }),
    after: z.string().meta({ description: 'the other one', positional: true, placeholder: 'B' }),
    all: z.boolean().default(false).meta({ description: 'every tensor and every change, not only the first 25' }),
    failOnChange: z.boolean().default(false).meta({ description: 'exit code 3 if the graph or a weight differs' }),
    html: z.string().optional().meta({ description: 'writes a page too', placeholder: 'FILE' }),
  }),
  async run(context, o) {
    const started = new Date().toISOString();
    const note = (text: string): void => context.progress.line(`note: ${text}`);
    const [a, b] = [await openModel(o.before, { note }), await openModel(o.after, { note })];
    const exit = (same: boolean) => ({ exitCode: o.failOnChange && !same ? 3 : 0 }) as const;
    const inputs = { A: a.sha256, B: b.sha256 };
    const found = diffModels(a.model, b.model);
    const line = a.sha256 === b.sha256 ? `the same file, byte for byte (sha-256 ${a.sha256.slice(0, 12)})` : lineOf(found);
    if (o.html !== undefined) {
      const result: Result = {
        recipe: 'diff',
        tables: tablesOf(found),
        provenance: { command: context.commandLine, seeds: [], versions: versions(), machine: machineName(), inputs, started, steps: [] },
      };
      const [{ renderReport }, { writeReport }] = await Promise.all([import('../report/render.tsx'), import('./report.node.ts')]);
      const facts = [line, ...found.notes.map((note) => note.replace(/\.$/, ''))].join('. ');
      await writeReport(o.html, renderReport(result, { title: 'What differs between two networks', headline: `${facts}.` }));
    }
    const limit = o.all ? Number.POSITIVE_INFINITY : SHOWN;
    return {
      line,
      tables: [changesText(found, limit), tensorsText(found, limit)].filter((text) => text !== ''),
      notes: found.notes,
      json: { ...found, inputs, identical: a.sha256 === b.sha256, tensors: found.tensors.map(brief) },
      written: o.html,
      ...exit(found.same),
    };
  },
});

function lineOf({ same, changes, tensors, onlyBefore, onlyAfter }: ModelDiff): string {
  const said = changes.filter((c) => !declares(c)).length;
  if (same)
    return `the same network: ${tensors.length} tensors equal, the graph too${changes.length > 0 ? '; metadata or declarations differ' : ''}`;
  const moved = tensors.filter((t) => !t.same);
  const words = [`${moved.length} of ${tensors.length} tensors moved`];
  if (moved.length > 0) words[0] += `, ${moved[0].name} most (${relative(moved[0].relative)})`;
  const zeroed = moved.reduce((n, t) => n + (t.dims.length > 1 ? t.zeroed.length : 0), 0);
  if (zeroed > 0) words.push(`${zeroed} channels zeroed`);
  if (onlyBefore.length + onlyAfter.length > 0) words.push(`${onlyBefore.length} tensors only in A, ${onlyAfter.length} only in B`);
  words.push(said === 0 ? 'the graph is the same' : `${said} graph changes`);
  return words.join('; ');
}

const declares = (c: GraphChange): boolean => c.kind === 'metadata' || c.kind === 'declaration';

/** 0.0123 -> `1.23 %`, 12 -> `1200 %` */
function relative(value: number): string {
  const percent = value * 100;
  if (percent === 0) return '0';
  return `${percent >= 1000 ? percent.toPrecision(3) : percent >= 0.01 ? Number(percent.toPrecision(3)) : percent.toExponential(1)} %`;
}

function changesText({ changes, onlyBefore, onlyAfter }: ModelDiff, limit: number): string {
  const lines = [
    ...changes.map((c) => {
      const values = c.before === undefined && c.after === undefined ? '' : `: ${c.before ?? 'none'} -> ${c.after ?? 'none'}`;
      return `${c.kind.padEnd(11)}  ${c.what}${values}`;
    }),
    ...onlyBefore.map((t) => `tensor       only in A: ${t}`),
    ...onlyAfter.map((t) => `tensor       only in B: ${t}`),
  ];
  return lines.length === 0 ? '' : ['graph and declarations', ...cut(lines, limit)].join('\n');
}

function tensorsText({ tensors }: ModelDiff, limit: number): string {
  const moved = tensors.filter((t) => !t.same);
  if (moved.length === 0) return '';
  const head = ['tensor', 'read by', 'shape', 'moved', 'largest', 'cosine', 'channels'];
  const rows = moved.map((t) => [
    t.renamed === undefined ? t.name : `${t.name} = ${t.renamed}`,
    t.use,
    `${formatDims(t.dims)}${t.retyped === undefined ? '' : ` ${t.dtype} -> ${t.retyped}`}`,
    relative(t.relative),
    t.maxAbs.toPrecision(3),
    t.cosine.toFixed(4),
    channelsText(t),
  ]);
  const lines = columns([head, ...rows.slice(0, limit)], [3, 4, 5]);
  const left = tensors.length - moved.length;
  const more = rows.length > limit ? [`... ${rows.length - limit} more that moved less: --all, or --json`] : [];
  if (left > 0) more.push(`${left} tensors are the same`);
  return ['weights, the one that moved most first', ...[...lines, ...more].map((line) => `  ${line}`)].join('\n');
}

/** `12 of 64 zeroed; 3 unchanged; most 5 (120 %), 7 (80 %)` */
function channelsText(t: TensorDiff): string {
  if (t.channels <= 1) return '';
  const words: string[] = [];
  if (t.zeroed.length > 0) words.push(`${t.zeroed.length} of ${t.channels} zeroed (${listed(t.zeroed)})`);
  if (t.unchanged > 0) words.push(`${t.unchanged} of ${t.channels} the same`);
  const zeroed = new Set(t.zeroed);
  const most = mostMoved(t, NAMED + t.zeroed.length)
    .filter((c) => !zeroed.has(c.channel))
    .slice(0, NAMED);
  if (most.length > 0) words.push(`most ${most.map((c) => `${c.channel} (${relative(c.relative)})`).join(', ')}`);
  return words.join('; ');
}

const listed = (channels: readonly number[]): string =>
  channels.length <= 2 * NAMED ? channels.join(' ') : `${channels.slice(0, 2 * NAMED).join(' ')} ...`;

const cut = (lines: readonly string[], limit: number): string[] => [
  ...lines.slice(0, limit).map((line) => `  ${oneLine(line)}`),
  ...(lines.length > limit ? [`  ... ${lines.length - limit} more: --all, or --json`] : []),
];

/** A tensor for --json: numbers with four digits, which is what they are good for. */
function brief({ perChannel, ...t }: TensorDiff): unknown {
  const four = (v: number): number => Number(v.toPrecision(4));
  return { ...t, relative: four(t.relative), maxAbs: four(t.maxAbs), cosine: four(t.cosine), perChannel: perChannel.map(four) };
}

/** The tables of the page: movement by tensor in the order of the graph would hide the worst, so the worst is first. */
function tablesOf(found: ModelDiff): Table[] {
  const moved = found.tensors.filter((t) => !t.same);
  if (moved.length === 0) return [];
  const rates = moved.flatMap((t) => [
    { row: t.name, column: 'moved', value: t.relative },
    { row: t.name, column: 'channels zeroed', value: t.channels > 0 ? t.zeroed.length / t.channels : 0 },
    { row: t.name, column: 'channels the same', value: t.channels > 0 ? t.unchanged / t.channels : 0 },
  ]);
  const notes = [
    'Moved: the length of the change beside the length of what was there, |B - A| / |A|. Channels: their share in the tensor.',
    ...found.changes.filter((c) => !declares(c)).map((c) => `Graph: ${c.what}.`),
    ...found.notes,
  ];
  return [{ name: 'weight movement', unit: 'rate', cells: rates, notes }];
}
