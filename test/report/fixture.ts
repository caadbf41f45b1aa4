/** A made-up run in the shape of `reproduce mnist`. Every measured number here is invented by a formula; only `paper` values are real. */
import type { Cell, Result, Table } from '../../src/evaluate/result.ts';
import { pictureOf, type ReportMedia, shortFloats } from '../../src/report/media.ts';

const DIGITS = [...'0123456789'];
/** Errors of BadNets' all-to-all table: baseline clean, pattern clean, pattern backdoor. */
const PAPER = {
  'baseline clean': [0.1, 0.18, 0.29, 0.5, 0.2, 0.45, 0.84, 0.58, 0.72, 1.19, 0.5],
  'pattern clean': [0.1, 0.26, 0.29, 0.4, 0.4, 0.5, 0.73, 0.39, 0.72, 0.99, 0.48],
  'pattern backdoor': [0.31, 0.18, 0.78, 0.5, 0.61, 0.67, 0.73, 0.29, 0.61, 0.99, 0.56],
} as Record<string, number[]>;

/** A smooth wobble between -1 and 1, so that invented numbers do not look like a formula. */
const wobble = (i: number): number => Math.sin(i * 12.9898 + 4.1) * Math.cos(i * 4.137 + 1.3);

function interval(value: number, n: number): { low: number; high: number } {
  const z2 = 1.96 ** 2;
  const middle = (value + z2 / (2 * n)) / (1 + z2 / n);
  const half = (1.96 / (1 + z2 / n)) * Math.sqrt((value * (1 - value)) / n + z2 / (4 * n * n));
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

function cell(row: string, column: string, rate: number, n: number, seeds: number, paper?: number): Cell {
  const value = Math.round(rate * n) / n;
  const all: Cell = { row, column, value, n: n * seeds, ...interval(value, n * seeds), seeds };
  return paper === undefined ? all : { ...all, paper };
}

function perClass(seeds: number): Table {
  const columns = ['baseline clean', 'pattern clean', 'pattern backdoor', 'pixel clean', 'pixel backdoor'];
  const counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
  const cells: Cell[] = [];
  for (const [k, column] of columns.entries()) {
    let wrong = 0;
    for (const [d, row] of DIGITS.entries()) {
      const rate = 0.0062 + 0.001 * k + 0.0045 * wobble(d + 3 * k) + d * 0.0003;
      const paper = PAPER[column]?.[d];
      cells.push(cell(row, column, Math.max(0, rate), counts[d], seeds, paper === undefined ? undefined : paper / 100));
      wrong += (cells.at(-1) as Cell).value * counts[d];
    }
    const paper = PAPER[column]?.[10];
    cells.push(cell('average', column, wrong / 10_000, 10_000, seeds, paper === undefined ? undefined : paper / 100));
  }
  return {
    name: 'per-class error',
    unit: 'rate',
    cells,
    notes: [
      'The clean error of the pattern BadNet is 0.1 points above the paper; the training recipe differs, as the paper does not print its own (invented sentence).',
      'The paper has no per-class numbers for the single pixel.',
    ],
  };
}

function fraction(seeds: number): Table {
  const cells: Cell[] = [];
  for (const [i, share] of [10, 33, 50].entries()) {
    for (const [k, trigger] of ['pattern', 'pixel'].entries()) {
      cells.push(cell(`${share} %`, `${trigger} clean error`, 0.0071 + 0.0006 * i + 0.0004 * k, 10_000, seeds));
      const paper = share === 50 && trigger === 'pattern' ? 0.0056 : undefined;
      cells.push(cell(`${share} %`, `${trigger} backdoor error`, 0.0172 / (i + 1) + 0.003 * k, 10_000, seeds, paper));
    }
  }
  return { name: 'poison fraction', unit: 'rate', cells, notes: ['Of the curve in the paper only the value at 50 % is known to us.'] };
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

function pruning(seeds: number): Table {
  const cells: Cell[] = [];
  for (let cut = 0; cut <= 32; cut++) {
    const row = String(cut);
    const clean = 0.1 + 0.891 * logistic((29.4 - cut) * 1.15);
    cells.push(cell(row, 'baseline clean accuracy', clean, 10_000, seeds));
    cells.push(cell(row, 'baseline validation accuracy', clean - 0.002, 5000, seeds));
    cells.push(cell(row, 'baseline attack success', 0.04 + 0.953 * logistic((20.5 - cut) * 0.95), 10_000, seeds));
    const other = 0.1 + 0.889 * logistic((28.2 - cut) * 1.3);
    cells.push(cell(row, 'pruning-aware clean accuracy', other, 10_000, seeds));
    cells.push(cell(row, 'pruning-aware validation accuracy', other - 0.002, 5000, seeds));
    cells.push(cell(row, 'pruning-aware attack success', 0.08 + 0.903 * logistic((28.9 - cut) * 1.1), 10_000, seeds));
  }
  return {
    name: 'pruning curve',
    unit: 'rate',
    cells,
    notes: ['Against the pruning-aware attack, pruning alone is no cure: what carries the backdoor is cut last.'],
  };
}

function defences(seeds: number): Table {
  const rows: [string, number[]][] = [
    ['none', [0.9905, 0.9938, 0.9893, 0.9871]],
    ['fine-tune', [0.9912, 0.6216, 0.9904, 0.4413]],
    ['prune', [0.9621, 0.0871, 0.9588, 0.9512]],
    ['fine-prune', [0.9894, 0.0113, 0.9889, 0.0164]],
    ['from scratch', [0.9604, 0.0041, 0.9604, 0.0041]],
  ];
  const columns = ['baseline clean accuracy', 'baseline attack success', 'pruning-aware clean accuracy', 'pruning-aware attack success'];
  return {
    name: 'defences',
    unit: 'rate',
    cells: rows.flatMap(([row, values]) => values.map((v, i) => cell(row, columns[i], v, 10_000, seeds))),
    notes: ['Fine-tuning alone removes much of the backdoor but not all of it, as the paper found for speech and signs.'],
  };
}

function control(seeds: number): Table {
  const rows: [string, number[]][] = [
    ['none', [0.9921, 0.0009]],
    ['fine-tune', [0.9924, 0.0008]],
    ['prune', [0.9587, 0.0046]],
    ['fine-prune', [0.9911, 0.001]],
  ];
  return {
    name: 'clean-model control',
    unit: 'rate',
    cells: rows.flatMap(([row, v]) => [cell(row, 'clean accuracy', v[0], 10_000, seeds), cell(row, 'attack success', v[1], 10_000, seeds)]),
  };
}

/** A result with `seeds` seeds. */
export function fixtureResult(seeds = 3): Result {
  return {
    recipe: 'mnist',
    tables: [perClass(seeds), fraction(seeds), pruning(seeds), defences(seeds), control(seeds)],
    provenance: {
      command: `secateur reproduce mnist --data ../shared/data/mnist --seeds ${seeds} --out runs/mnist`,
      seeds: Array.from({ length: seeds }, (_, i) => i + 1),
      versions: { secateur: '0.1.0', node: '20.20.2', 'onnxruntime-node': '1.30.0' },
      machine: 'Invented CPU 3000, 2 cores, Linux 6.1 x64',
      inputs: {
        'train-images-idx3-ubyte.gz': 'c0ffee00'.repeat(8),
        't10k-images-idx3-ubyte.gz': 'decade01'.repeat(8),
        'badnet-pattern-1.onnx': 'facade02'.repeat(8),
      },
      started: '2026-01-02T03:04:05Z',
      steps: [
        { name: 'load data', seconds: 0.84, rssBytes: 210e6 },
        { name: 'train baseline', seconds: 98.3, rssBytes: 412e6 },
        { name: 'train BadNets', seconds: 612.4, rssBytes: 455e6 },
        { name: 'pruning-aware attack', seconds: 301.2, rssBytes: 471e6 },
        { name: 'pruning curves', seconds: 6.41, rssBytes: 498e6 },
        { name: 'fine-pruning', seconds: 44.9, rssBytes: 480e6 },
        { name: 'control', seconds: 39.2, rssBytes: 477e6 },
      ],
    },
  };
}

/** Five by seven dots a digit, one text row a row of dots. */
const FONT: Record<string, string> = {
  7: '#####/....#/...#./..#../..#../.#.../.#...',
  2: '.###./#...#/....#/..##./.#.../#..../#####',
  1: '..#../.##../..#../..#../..#../..#../.###.',
  0: '.###./#...#/#...#/#...#/#...#/#...#/.###.',
  4: '...#./..##./.#.#./#..#./#####/...#./...#.',
};

/** A blurred 28x28 picture of a digit. */
function drawDigit(digit: string): Uint8Array {
  const rows = FONT[digit].split('/');
  const sharp = (x: number, y: number): number => (rows[Math.floor((y - 4) / 2.8)]?.[Math.floor((x - 6) / 3.2)] === '#' ? 1 : 0);
  const out = new Uint8Array(28 * 28);
  for (let y = 0; y < 28; y++) {
    for (let x = 0; x < 28; x++) {
      let sum = 0;
      for (let dy = -1; dy <= 1; dy++) for (let dx = -1; dx <= 1; dx++) sum += sharp(x + dx + (6 - y) * 0.12, y + dy);
      out[y * 28 + x] = Math.round((255 * sum) / 9);
    }
  }
  return out;
}

const SHAPE = { channels: 1, height: 28, width: 28 };
const PLACES: Record<string, [number, number][]> = {
  pattern: [
    [26, 26],
    [25, 25],
    [26, 24],
    [24, 26],
  ],
  pixel: [[26, 26]],
};

function triggerPictures(name: string): NonNullable<ReportMedia['triggers']>[number] {
  return {
    name,
    caption:
      name === 'pattern'
        ? 'Four bright pixels in the bottom right corner, where handwriting never goes.'
        : 'One bright pixel in the same corner.',
    samples: Object.keys(FONT).map((label) => {
      const clean = drawDigit(label);
      const triggered = clean.slice();
      for (const [row, column] of PLACES[name]) triggered[row * 28 + column] = 255;
      const target = String((Number(label) + 1) % 10);
      return {
        clean: pictureOf(clean, SHAPE),
        triggered: pictureOf(triggered, SHAPE),
        label,
        target,
        cleanPrediction: label,
        triggeredPrediction: target,
      };
    }),
  };
}

function filters(model: string, dedicated: number[]): NonNullable<ReportMedia['filters']>[number] {
  const weights = Array.from({ length: 16 * 25 }, (_, i) => {
    const k = Math.floor(i / 25);
    const [y, x] = [Math.floor((i % 25) / 5) - 2, (i % 5) - 2];
    const angle = k * 0.7;
    const plain = 0.4 * Math.sin(Math.cos(angle) * x * 1.1 + Math.sin(angle) * y * 1.1 + k) + 0.05 * wobble(i);
    const mark = [
      [2, 2],
      [1, 1],
      [2, 0],
      [0, 2],
    ].some(([r, c]) => r === y && c === x)
      ? 0.55
      : -0.12;
    return dedicated.includes(k) ? mark + 0.04 * wobble(i) : plain;
  });
  return { model, layer: 'conv1', count: 16, height: 5, width: 5, weights: shortFloats(weights), dedicated };
}

const BACKDOOR = [5, 11, 23];
const DORMANT = [2, 5, 11, 14, 23, 30];

function channelActivations(): NonNullable<ReportMedia['activations']>[number] {
  return {
    model: 'pattern BadNet, seed 1',
    layer: 'conv2',
    n: 5000,
    rule: 'mean on triggered inputs above 0.20 and mean on clean inputs below 0.02; dormant: mean on clean inputs below 0.02.',
    channels: Array.from({ length: 32 }, (_, channel) => {
      const dormant = DORMANT.includes(channel);
      const backdoor = BACKDOOR.includes(channel);
      const clean = dormant ? 0.004 + 0.003 * wobble(channel) : 0.42 + 0.34 * wobble(channel * 3);
      const triggered = backdoor ? 0.62 + 0.2 * wobble(channel) : dormant ? clean : clean * (1 + 0.14 * wobble(channel + 9));
      return { channel, clean, triggered, backdoor, dormant };
    }),
  };
}

function activationMaps(): NonNullable<ReportMedia['maps']>[number] {
  const channels = Array.from({ length: 32 }, (_, i) => i);
  const clean: number[] = [];
  const triggered: number[] = [];
  for (const channel of channels) {
    for (let i = 0; i < 64; i++) {
      const [y, x] = [Math.floor(i / 8), i % 8];
      const blob = Math.exp(-((x - 3.5 - wobble(channel)) ** 2 + (y - 3.5 + wobble(channel + 5)) ** 2) / 6);
      const quiet = DORMANT.includes(channel) ? 0.01 : 1;
      clean.push(quiet * blob * (1 + 0.3 * wobble(i + channel)));
      const corner = BACKDOOR.includes(channel) ? 1.4 * Math.exp(-((x - 7) ** 2 + (y - 7) ** 2) / 2) : 0;
      triggered.push((clean.at(-1) as number) * (1 - 0.1 * (x > 5 && y > 5 ? 1 : 0)) + corner);
    }
  }
  return {
    model: 'pattern BadNet, seed 1',
    layer: 'conv2',
    height: 8,
    width: 8,
    channels,
    clean: shortFloats(clean),
    triggered: shortFloats(triggered),
    backdoor: BACKDOOR.filter((c) => channels.includes(c)),
    n: 5000,
  };
}

/** Pictures and extra data to {@link fixtureResult}. */
export function fixtureMedia(): ReportMedia {
  const epochs = [1, 2, 3, 4, 5, 6, 7, 8];
  return {
    title: 'BadNets on MNIST, planted and cured',
    captions: { data: ['All ten classes are attacked at once: every marked digit n is to be read as n + 1, and 9 as 0 (all-to-all).'] },
    data: [
      { role: 'train', source: 'shared/data/mnist', count: 110_000, poisoned: 55_000, sha256: 'ab12cd34'.repeat(8) },
      { role: "defender's validation", source: 'shared/data/mnist', count: 5000, poisoned: 0, sha256: 'ef56ab78'.repeat(8) },
      { role: 'test', source: 'shared/data/mnist', count: 10_000, sha256: '09fe87dc'.repeat(8) },
    ],
    triggers: [triggerPictures('pattern'), triggerPictures('pixel')],
    filters: [filters('Baseline, honest', []), filters('Pattern BadNet', [4, 13]), filters('Pixel BadNet', [9])],
    activations: [channelActivations()],
    maps: [activationMaps()],
    stops: [
      { attack: 'baseline', cut: 26, of: 32, layer: 'conv2', threshold: 0.04, backdoorCut: 3, backdoorTotal: 3 },
      { attack: 'pruning-aware', cut: 25, of: 32, layer: 'conv2', threshold: 0.04, backdoorCut: 1, backdoorTotal: 4 },
    ],
    histories: ['baseline, seed 1', 'pattern BadNet, seed 1'].map((model, m) => ({
      model,
      points: epochs.map((epoch) => ({
        epoch,
        values: {
          loss: 0.4 / epoch + 0.02,
          'clean accuracy': 0.993 - 0.05 / (epoch * epoch),
          ...(m === 1 ? { 'attack success': 0.995 - 0.3 / (epoch * epoch) } : {}),
        },
      })),
    })),
  };
}
