/**
 * Walks every real ONNX file of ../shared/data through the commands and writes what came out to docs/real-models.md:
 *   npx tsx scripts/real-models.ts [--only TEXT] [--data DIR]
 * With --only the other rows of the table stay.
 * What is not to be had on a machine (the folder is not part of the project) is said and left out.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { main } from '../src/cli/run.node.ts';
import { sizeOf } from '../src/core/tensor.ts';
import { diffModels } from '../src/inspect/diff.ts';
import { whyNotClassifier } from '../src/onnx/classifier.ts';
import { summarize } from '../src/onnx/describe.ts';
import { loadModel } from '../src/onnx/file.node.ts';
import type { Model } from '../src/onnx/model.ts';
import { readTensor } from '../src/onnx/proto.ts';
import { trueInputs } from '../src/onnx/spec.ts';
import { nativeRuntime } from '../src/runtime/open.node.ts';
import { probe } from '../src/runtime/probe.ts';

const { values: args } = parseArgs({ options: { only: { type: 'string' }, data: { type: 'string', default: '../shared/data' } } });
const DATA = args.data;
const OUT = 'docs/real-models.md';
const folder = mkdtempSync(join(tmpdir(), 'secateur-real-'));
const runtime = nativeRuntime({ threads: 1 });

/** What the models' SOURCE.md names as data and preprocessing, and the accuracy that it states. */
interface Task {
  readonly data: string;
  readonly flags: readonly string[];
  readonly stated: string;
}
const cifar = (flags: string[], stated: string): Task => ({ data: 'cifar10', flags: ['--input-range', '0,1', ...flags], stated });
const TASKS: Readonly<Record<string, Task>> = {
  'cifar10_resnet_2b.onnx': cifar(['--mean', '.4914,.4822,.4465', '--std', '.2471,.2435,.2616'], '0.68 (600 images)'),
  'oval21_cifar_base_kw.onnx': cifar(['--mean', '.485,.456,.406', '--std', '.225'], '0.58'),
  'marabou_cifar10_small.onnx': cifar([], '0.61'),
  'vit_cifar10_pgd_2_3_16.onnx': cifar(['--mean', '.4914,.4822,.4465', '--std', '.2023,.1994,.2010'], '0.59'),
  'abl-wrn16-1-badnets-target0.onnx': cifar([], '0.749 (1,500 images)'),
  'mnistfc_256x2.onnx': {
    data: 'mnist',
    flags: ['--preprocess', 'channels: 1\nresize: [28, 28]\nrange: [0, 1]'],
    stated: '0.978 (first 1,000)',
  },
  'verivital_convnet_avgpool.onnx': { data: 'mnist', flags: ['--input-range', '0,1'], stated: '0.974 (first 1,000)' },
  'gtsrb_bnn_30x30.onnx': { data: 'gtsrb', flags: ['--preprocess', 'resize: [30, 30]\nrange: [0, 255]'], stated: '0.758' },
};

interface Row {
  readonly file: string;
  readonly made: string;
  readonly shape: string;
  readonly reference: string;
  readonly accuracy: string;
  readonly outcome: string;
}

/** Runs a command line; its result line, or the error. */
async function command(...argv: string[]): Promise<{ code: number; line: string; notes: string[] }> {
  let out = '';
  let err = '';
  const code = await main([...argv, '--threads', '1'], {
    out: (text) => {
      out += text;
    },
    err: {
      isTTY: false,
      color: false,
      columns: 100,
      write: (text) => {
        err += text;
      },
    },
    env: {},
  });
  const lines = err.split('\n');
  const at = lines.findIndex((line) => line.startsWith('error: '));
  const line = code === 0 ? out.split('\n')[0] : lines.slice(at).join(' ').trim();
  return { code, line, notes: lines.filter((l) => l.startsWith('note: ')).map((l) => l.slice(6)) };
}

/** The reference outputs were made from a linear congruential generator; see SOURCE.md. */
function reference(count: number): Float32Array {
  let state = 12345;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  });
}

interface Stated {
  readonly file: string;
  readonly reference?: { readonly outputs: readonly { readonly name: string; readonly file?: string }[] };
}

/** Largest difference from the reference outputs, relative to the largest value. */
async function againstReference(path: string, model: Model): Promise<string> {
  const [input] = trueInputs(model);
  const dims = (input.dims ?? []).map((d) => (typeof d === 'number' ? d : 1));
  const light = path.includes('/light/');
  const count = sizeOf(dims);
  const data = light ? Float32Array.from({ length: count }, (_, i) => i / count) : reference(count);
  const wanted = new Map<string, Float32Array>();
  if (light) wanted.set(model.graph.outputs[0].name, readTensor(readFileSync(path.replace('.onnx', '_output_0.pb'))).data as Float32Array);
  else if (path.includes('/onnx-zoo/')) {
    const list = JSON.parse(readFileSync(join(DATA, 'onnx-zoo/models.json'), 'utf8')) as Stated[];
    for (const { name, file } of list.find((m) => m.file === `models/${basename(path)}`)?.reference?.outputs ?? []) {
      if (file === undefined) continue;
      const bytes = readFileSync(join(DATA, 'onnx-zoo', file));
      wanted.set(name, new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)));
    }
  }
  if (wanted.size === 0) return 'none given';
  const session = await runtime.open(model, { label: 'reference' });
  try {
    const got = await session.run({ [input.name]: { dtype: 'float32', dims, data } });
    let worst = 0;
    for (const [name, list] of wanted) {
      const values = got[name].data as ArrayLike<number | bigint>;
      const scale = Math.max(1e-9, ...Array.from(list, Math.abs));
      for (let i = 0; i < list.length; i++) worst = Math.max(worst, Math.abs(Number(values[i]) - list[i]) / scale);
    }
    return worst === 0 ? 'equal' : worst.toExponential(0);
  } finally {
    await session.close();
  }
}

const first = (text: string): string =>
  text
    .replace(/^error: /, '')
    .replaceAll(`${DATA}/`, '')
    .replace(/^\S+\.onnx: /, '')
    .replaceAll('|', '/')
    .trim();

async function walk(path: string): Promise<Row> {
  const model = await loadModel(path);
  const s = summarize(model);
  const name = basename(path);
  const row = {
    file: name,
    made: `${s.producer.replace(/Deep Learning.*/, '')}, opset ${s.opsets['ai.onnx']}, ${s.nodes} nodes, ${s.parameters.toLocaleString('en')} parameters`,
    shape: `${s.inputs.join(', ')} -> ${s.outputs.join(', ')}`,
    reference: await againstReference(path, model),
  };
  const task = TASKS[name];
  if (task === undefined) {
    const why = whyNotClassifier(model) ?? whyNotClassifier(model, await probe(runtime, model, { batch: 1 }));
    if (why !== undefined) {
      const refused = await command(
        'finetune',
        path,
        '--data',
        'builtin:digits?train=60&test=10',
        '--input-range',
        '0,1',
        '--out',
        join(folder, name),
      );
      return { ...row, accuracy: 'no classifier', outcome: first(refused.line) };
    }
    const doctor = await command('doctor', path);
    return { ...row, accuracy: 'no data', outcome: first(doctor.line) };
  }
  const flags = task.flags.map((flag) => (flag.includes('\n') ? yamlFile(flag) : flag));
  const data = ['--data', join(DATA, task.data), ...flags];
  const evaluated = await command('evaluate', path, ...data, '--out', join(folder, `${name}-e`), '--force');
  const accuracy = `${first(evaluated.line).replace('clean ', '')} (stated ${task.stated})`;
  const out = join(folder, `${name}-f`);
  const tuned = await command('fineprune', path, ...data, '--validation', '500', '--epochs', '1', '--lr', '0.001', '--out', out, '--force');
  if (tuned.code !== 0) return { ...row, accuracy, outcome: first(tuned.line) };
  const { changes, tensors } = diffModels(model, await loadModel(join(out, 'model.onnx')));
  const graph = changes.filter((c) => c.kind !== 'metadata');
  const same = graph.length === 0 ? 'graph, names and declarations as in the file' : graph.map((c) => c.what).join(', ');
  const moved = tensors.filter((t) => !t.same).length;
  return {
    ...row,
    accuracy,
    outcome: `${first(tuned.line).replace(/ {2}seed.*/, '')}; ${moved} of ${tensors.length} tensors moved, ${same}`,
  };
}

function yamlFile(text: string): string {
  const path = join(folder, 'preprocess.yaml');
  writeFileSync(path, `${text}\n`);
  return path;
}

const listed = (sub: string): string[] =>
  existsSync(join(DATA, sub))
    ? readdirSync(join(DATA, sub))
        .filter((f) => f.endsWith('.onnx'))
        .map((f) => join(DATA, sub, f))
    : [];
const files = ['onnx-zoo/models', 'backdoored-models/onnx', 'onnx-backend-tests/light'].flatMap(listed);
if (files.length === 0) throw new Error(`no model files under ${DATA}`);
const rows: Row[] = [];
try {
  for (const path of files.filter((f) => f.includes(args.only ?? ''))) {
    const row = await walk(path).catch((error: Error): Row => {
      return { file: basename(path), made: '', shape: '', reference: '', accuracy: '', outcome: first(error.message) };
    });
    rows.push(row);
    process.stderr.write(`${row.file}: ${row.reference} | ${row.accuracy} | ${row.outcome}\n`);
  }
} finally {
  await runtime.dispose();
  rmSync(folder, { recursive: true, force: true });
}

const cells = (row: Row): string =>
  `| ${[`\`${row.file}\``, row.made, row.shape.replaceAll('|', '/'), row.reference, row.accuracy, row.outcome].join(' | ')} |`;
/** With --only the other rows stay as they were measured before. */
const before = existsSync(OUT)
  ? readFileSync(OUT, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| `'))
  : [];
const measured = new Map(rows.map((row) => [row.file, cells(row)]));
const known = new Map(before.map((line) => [line.split('`')[1], line]));
const lines = new Map(
  files
    .map((path) => basename(path))
    .flatMap((file) => {
      const line = measured.get(file) ?? known.get(file);
      return line === undefined ? [] : [[file, line] as const];
    }),
);
const text = [
  '# Real models, walked through every command',
  '',
  'Written by `npx tsx scripts/real-models.ts` from the files that the project was given (16 small ones from other exporters, nine classic graphs',
  'whose weights are made by nodes, one backdoored CIFAR-10 network). Reference: largest difference from outputs computed by others, relative to the',
  'largest value. Accuracy is on the test images that the data have (CIFAR-10: 1,000 decoded from JPEG). What happened: `fineprune` with 500',
  'clean images for one epoch and the comparison of its output with the file by `diff`, or the sentence that says why not.',
  '',
  '| file | made by | input -> output | reference | accuracy | what happened |',
  '| --- | --- | --- | --- | --- | --- |',
  ...lines.values(),
  '',
];
writeFileSync(OUT, text.join('\n'));
