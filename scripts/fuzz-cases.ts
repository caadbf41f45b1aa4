/**
 * The cases of the fuzzer: case number -> file, always the same for a seed. Most are mutations of valid files, the rest are bombs written
 * by hand and paths of external data that try to leave the model's folder.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '../src/core/rng.ts';
import { f32, i64 } from '../src/core/tensor.ts';
import { GraphBuilder } from '../src/onnx/builder.ts';
import { float } from '../src/onnx/model.ts';
import { writeModel } from '../src/onnx/proto.ts';
import { field, LARGE_BOMBS, model, number, SMALL_BOMBS } from './bombs.ts';
import { mutate } from './fuzz-mutate.ts';

/** What the file outside of the folder is full of; a tensor that holds it was read from there. */
export const CANARY = 0x5ec3a7ed;

export interface Case {
  readonly kind: 'mutation' | 'bomb' | 'path';
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A folder `model/` with the traps beside and within it that path tricks lead to. */
export function setTraps(root: string): void {
  const at = (...names: string[]): string => join(root, ...names);
  mkdirSync(at('model', 'sub'), { recursive: true });
  mkdirSync(at('outside'));
  const canary = new Uint32Array(1024).fill(CANARY);
  writeFileSync(at('outside', 'secret.bin'), canary);
  writeFileSync(at('secret.bin'), canary);
  const weights = new Float32Array(1024).fill(1);
  for (const name of ['w.bin', 'a b.bin', 'sub/w.bin', 'nul.bin', 'w.bin.']) writeFileSync(at('model', name), weights);
  symlinkSync('w.bin', at('model', 'inside-link'));
  symlinkSync('../secret.bin', at('model', 'link'));
  symlinkSync(at('secret.bin'), at('model', 'absolute-link'));
  symlinkSync('..', at('model', 'up'));
  symlinkSync('../outside', at('model', 'sub', 'out'));
  symlinkSync('loop', at('model', 'loop'));
  symlinkSync('nowhere', at('model', 'dangling'));
  symlinkSync('/dev/zero', at('model', 'zero'));
  symlinkSync('/proc/self/environ', at('model', 'environ'));
  symlinkSync('/proc/self/fd/0', at('model', 'stdin'));
  linkSync(at('secret.bin'), at('model', 'hard'));
  if (process.platform !== 'win32') execFileSync('mkfifo', [at('model', 'fifo')]);
}

const LOCATIONS = (root: string): string[] =>
  ['w.bin', './w.bin', 'sub/w.bin', 'sub//w.bin', 'inside-link', 'a b.bin', 'missing.bin', '', '.', '..', 'sub', '/', 'sub/']
    .concat([
      '../secret.bin',
      'sub/../../secret.bin',
      'sub/../w.bin',
      '..//secret.bin',
      './../secret.bin',
      'up/secret.bin',
      'up/model/w.bin',
    ])
    .concat(['link', 'absolute-link', 'sub/out/secret.bin', 'loop', 'loop/w.bin', 'dangling', 'zero', 'environ', 'stdin', 'hard', 'fifo'])
    .concat([join(root, 'secret.bin'), '/etc/passwd', '/dev/zero', '/proc/self/mem', `file://${root}/secret.bin`, '~/secret.bin'])
    .concat([
      '..\\secret.bin',
      'sub\\..\\..\\secret.bin',
      'C:\\secret.bin',
      'C:secret.bin',
      '\\\\server\\share\\x',
      '//server/share/x',
      '\\\\?\\C:\\x',
    ])
    .concat(['w.bin\0', '../secret.bin\0w.bin', 'w.bin.', 'w.bin ', 'NUL', 'nul.bin', 'con', 'sub/AUX.txt', 'w.bin::$DATA', 'w.bin:stream'])
    .concat(['*/_ORT_MEM_ADDR_/*', `${'x/'.repeat(600)}w`, 'x'.repeat(300), '%2e%2e/secret.bin', '..%2fsecret.bin', '\u2025/secret.bin'])
    .concat([
      '．．/secret.bin',
      '.. /secret.bin',
      '..../secret.bin',
      'w.bin/..',
      'w.bin/../../secret.bin',
      '\ud800',
      'net.onnx',
      '-',
      '$HOME/x',
    ]);
const NUMBERS = [
  '0',
  '4',
  '16',
  '4096',
  '4080',
  '4092',
  '-1',
  '-0',
  '+4',
  ' 4',
  '4 ',
  '0x10',
  '1e3',
  '1.5',
  'NaN',
  '',
  '９',
  '9007199254740993',
].concat(['18446744073709551615', '99999999999999999999', '1000000000000', '1'.repeat(400), '٤']);
const KEYS = ['location', 'offset', 'length', 'checksum', 'basepath', '__class__', 'path', 'prepacked_0', '__proto__', ''];

const text = (s: string): Uint8Array => new TextEncoder().encode(s);

/** A model whose weight lies where a trick says. */
function pathCase(root: string, rng: Rng): Case {
  const pick = <T>(items: readonly T[]): T => items[rng.int(items.length)];
  const location = pick(LOCATIONS(root));
  const entries: [string, string][] = [['location', location]];
  if (rng.int(3) > 0) entries.push(['offset', rng.int(2) === 0 ? '64' : pick(NUMBERS)]);
  if (rng.int(3) > 0) entries.push(['length', rng.int(2) === 0 ? '16' : pick(NUMBERS)]);
  if (rng.int(5) === 0) entries.push([pick(KEYS), pick([...NUMBERS, location])]);
  if (rng.int(20) === 0) entries.reverse();
  const dims = pick([[4], [4], [4], [1024], [0], [2 ** 40], [-4]]);
  const tensor = [
    ...dims.map((d) => number(1, d)),
    number(2, 1),
    field(8, text('w')),
    ...entries.map(([key, v]) => field(13, field(1, text(key)), field(2, text(v)))),
    number(14, 1),
  ];
  const outputs = field(12, field(1, text('w')));
  // As an initialiser, as a node's constant, or where no reader may look.
  const attribute = (no: number, type: number): Uint8Array =>
    field(1, field(2, text('w')), field(4, text('Constant')), field(5, field(1, text('value')), field(no, ...tensor), number(20, type)));
  const place = rng.int(6);
  const graph =
    place < 3 ? field(5, ...tensor) : place === 3 ? attribute(5, 4) : place === 4 ? attribute(10, 9) : field(15, field(1, ...tensor));
  return { kind: 'path', name: location, bytes: model(new Uint8Array([...graph, ...outputs])) };
}

/** The valid files that are changed: a network of each kind of part, and ONNX's own test models where they are at hand. */
export function seedFiles(limit = 20_000): Uint8Array[] {
  const files = [writeModel(convolutional()), writeModel(shapes()), writeModel(control())];
  const data = join(import.meta.dirname, '..', '..', 'shared', 'data', 'onnx-backend-tests');
  if (!existsSync(data)) return files;
  const unpacked = mkdtempSync(join(tmpdir(), 'secateur-fuzz-seeds-'));
  try {
    for (const archive of readdirSync(data)
      .filter((name) => name.endsWith('.tar.gz'))
      .sort()) {
      execFileSync('tar', ['-xzf', join(data, archive), '-C', unpacked, '--wildcards', '*.onnx']);
    }
    const names = readdirSync(unpacked, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.onnx'))
      .sort();
    for (const name of names)
      if (statSync(join(unpacked, name)).size < limit) files.push(new Uint8Array(readFileSync(join(unpacked, name))));
  } finally {
    rmSync(unpacked, { recursive: true, force: true });
  }
  return files;
}

function convolutional(): ReturnType<GraphBuilder['build']> {
  const b = new GraphBuilder({ name: 'cnn' });
  const x = b.input('x', 'float32', ['N', 3, 8, 8]);
  const w = b.initializer('w', f32(new Float32Array(4 * 3 * 9).fill(0.1), [4, 3, 3, 3]));
  const conv = b.op('Conv', [x, w], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
  const scale = b.initializer('s', f32([1, 1, 1, 1], [4]));
  const bn = b.op('BatchNormalization', [conv, scale, scale, scale, scale], { epsilon: float(1e-5) });
  const pool = b.op('MaxPool', [b.op('Relu', [bn])], { kernel_shape: [2, 2], strides: [2, 2] });
  const flat = b.op('Flatten', [pool]);
  const logits = b.op('Gemm', [flat, b.initializer('fc', f32(new Float32Array(64 * 5), [5, 64]))], { transB: 1 });
  b.output(b.op('Softmax', [logits], { axis: 1 }), 'float32', ['N', 5]);
  return b.build();
}

function shapes(): ReturnType<GraphBuilder['build']> {
  const b = new GraphBuilder({ name: 'shapes' });
  const x = b.input('x', 'float32', ['N', 4]);
  const rows = b.op('Gather', [b.op('Shape', [x]), b.initializer('first', i64([0]))]);
  const target = b.op('Concat', [rows, b.initializer('two', i64([2, 2]))], { axis: 0 });
  const zeros = b.op('ConstantOfShape', [target]);
  const wide = b.op('Tile', [b.op('Add', [b.op('Reshape', [x, target]), zeros]), b.initializer('r', i64([1, 2, 3]))]);
  const padded = b.op('Pad', [wide, b.initializer('p', i64([0, 1, 0, 0, 1, 0]))]);
  b.output(b.op('Expand', [padded, b.initializer('e', i64([1, 6, 6]))]), 'float32', ['N', 6, 6]);
  return b.build();
}

function control(): ReturnType<GraphBuilder['build']> {
  const branch = (op: string): ReturnType<GraphBuilder['build']>['graph'] => {
    const b = new GraphBuilder({ name: op });
    b.input('inner', 'float32', [2]);
    const { graph } = b.build();
    graph.inputs.length = 0;
    graph.nodes.push({ name: '', opType: op, domain: '', inputs: ['x'], outputs: [`${op}.out`], attributes: new Map() });
    graph.outputs.push({ name: `${op}.out`, dtype: 'float32', dims: [2] });
    return graph;
  };
  const b = new GraphBuilder({ name: 'control' });
  b.input('x', 'float32', [2]);
  const sum = b.op('ReduceSum', ['x'], { keepdims: 0 });
  const condition = b.op('Greater', [sum, b.initializer('zero', f32([0], []))]);
  const y = b.op('If', [condition], {}, { outputs: ['y'] });
  b.output(y, 'float32', [2]);
  const built = b.build();
  const node = built.graph.nodes.find((n) => n.opType === 'If');
  node?.attributes.set('then_branch', { type: 'graph', value: branch('Relu') });
  node?.attributes.set('else_branch', { type: 'graph', value: branch('Neg') });
  return built;
}

/** Case number `i` of a seed. */
export function makeCase(seed: number, i: number, seeds: readonly Uint8Array[], root: string): Case {
  const rng = Rng.from(seed, 'fuzz', i);
  const roll = rng.int(1000);
  if (roll < 150) return pathCase(root, rng);
  if (roll === 150 && rng.int(5) === 0) {
    const { name, bytes } = LARGE_BOMBS[rng.int(LARGE_BOMBS.length)];
    return { kind: 'bomb', name, bytes: bytes() };
  }
  if (roll < 250) {
    const { name, bytes } = SMALL_BOMBS[rng.int(SMALL_BOMBS.length)];
    const whole = bytes();
    return { kind: 'bomb', name, bytes: rng.int(4) === 0 ? whole : mutate(whole, seeds[rng.int(seeds.length)], rng) };
  }
  // The first three hold more in less than the rest, which is many.
  const one = rng.int(3) === 0 ? rng.int(3) : rng.int(seeds.length);
  return { kind: 'mutation', name: `of file ${one}`, bytes: mutate(seeds[one], seeds[rng.int(seeds.length)], rng) };
}
