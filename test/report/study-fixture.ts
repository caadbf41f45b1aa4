/** A made-up run in the shape of `reproduce table1` with `transfer`, `strength` and `variants` beside it. Measured numbers are invented. */
import type { Cell, Result, Table } from '../../src/evaluate/result.ts';
import type { LineFigure, ReportMedia } from '../../src/report/media.ts';
import { fixtureMedia, fixtureResult } from './fixture.ts';

/** A smooth wobble between -1 and 1. */
const wobble = (i: number): number => Math.sin(i * 12.9898 + 4.1) * Math.cos(i * 4.137 + 1.3);
const logistic = (x: number): number => 1 / (1 + Math.exp(-x));
const clamp = (v: number): number => Math.min(1, Math.max(0, v));

function cell(row: string, column: string, value: number, half: number, n: number, paper?: number): Cell {
  const base = { row, column, value, n, low: clamp(value - half), high: clamp(value + half), seeds: 5 };
  return paper === undefined ? base : { ...base, paper };
}

export const NETWORKS = ['face', 'speech', 'signs'] as const;
const ATTACKS = ['baseline', 'pruning-aware'] as const;
const CURES = ['none', 'fine-tune', 'fine-prune'] as const;

/** The lecture's Table 1, clean accuracy and attack success of each network. */
const PAPER: Record<string, [number[], number[]]> = {
  face: [
    [0.978, 0.978, 0.978, 0.974, 0.978, 0.977],
    [1, 0, 0, 0.998, 0, 0],
  ],
  speech: [
    [0.99, 0.99, 0.988, 0.988, 0.988, 0.986],
    [0.77, 0.435, 0.02, 0.78, 0.52, 0],
  ],
  signs: [
    [0.849, 0.857, 0.873, 0.82, 0.872, 0.874],
    [0.991, 0.921, 0.288, 0.899, 0.419, 0.366],
  ],
};

function tableOne(): Table {
  const cells = NETWORKS.flatMap((network, k) =>
    ['clean accuracy', 'attack success'].flatMap((metric, m) =>
      ATTACKS.flatMap((attack, a) =>
        CURES.map((cure, c) => {
          const paper = PAPER[network][m][a * 3 + c];
          const value = clamp(paper - (m === 0 ? 0.04 * k : 0) + 0.06 * wobble(k * 20 + m * 10 + a * 3 + c));
          return cell(`${network} ${metric}`, `${attack} ${cure}`, value, 0.012 + 0.03 * m, [2525, 2500, 63_150][k], paper);
        }),
      ),
    ),
  );
  const notes = ['Attack success of the signs is 1 - accuracy with the trigger / accuracy without.', 'All of these numbers are invented.'];
  return { name: 'table 1', unit: 'rate', cells, notes };
}

function variants(): Table {
  const names = ['paper', "authors' scripts", 'BackdoorBench', 'TrojanZoo', 'BackdoorBox', 'backdoor-toolbox (no fine-tuning)'];
  const cells = NETWORKS.flatMap((network, k) =>
    names.flatMap((name, i) => [
      cell(name, `${network} clean accuracy`, 0.93 - 0.02 * i + 0.02 * wobble(i + k), 0.02, 500),
      cell(name, `${network} attack success`, clamp(0.12 * i + 0.1 * k + 0.1 * wobble(2 * i + k)), 0.05, 450),
    ]),
  );
  return { name: 'variants', unit: 'rate', cells, notes: ['The same five networks through each variant.'] };
}

/** The lecture's table of the retrained networks, averages last. */
const TRANSFER: Record<string, number[]> = {
  information: [69.5, 71.9, 74.0, 62.4],
  mandatory: [55.3, 50.5, 69.0, 46.7],
  prohibitory: [89.7, 85.4, 85.8, 77.5],
  warning: [68.1, 50.8, 63.5, 40.9],
  other: [59.3, 56.9, 61.4, 44.2],
  average: [72.7, 70.2, 74.9, 61.6],
};

function transfer(): Table {
  const columns = [
    'clean network clean accuracy',
    'clean network triggered accuracy',
    'BadNet clean accuracy',
    'BadNet triggered accuracy',
  ];
  const cells = Object.entries(TRANSFER).flatMap(([row, paper], r) =>
    columns.map((column, c) => cell(row, column, clamp(paper[c] / 100 + 0.06 + 0.03 * wobble(r * 4 + c)), 0.03, 400, paper[c] / 100)),
  );
  return { name: 'transfer by class', unit: 'rate', cells, notes: ['Classes are the super-classes of the lecture.'] };
}

const STRENGTH: [number, number, number][] = [
  [1, 74.9, 61.6],
  [10, 71.3, 49.7],
  [20, 68.3, 45.1],
  [30, 65.3, 40.5],
  [50, 62.4, 34.3],
  [70, 60.8, 32.8],
  [100, 59.4, 30.8],
];

function strength(): Table {
  const cells = STRENGTH.flatMap(([k, clean, triggered], i) => [
    cell(String(k), 'clean accuracy', clean / 100 + 0.1 - 0.004 * i, 0.025, 2000, clean / 100),
    cell(String(k), 'triggered accuracy', triggered / 100 + 0.12 - 0.015 * i, 0.035, 2000, triggered / 100),
  ]);
  return { name: 'strength', unit: 'rate', cells };
}

/** A curve by share of channels with its phases. */
function pruningChart(network: string, attack: string, of: number, from: number, to: number): LineFigure {
  const steps = Array.from({ length: of + 1 }, (_, cut) => cut / of);
  const stop = Math.round((to - 0.04) * of) / of;
  const line = (end: number, middle: number, steep: number) =>
    steps.map((x) => {
      const y = end + (0.97 - end) * logistic((middle - x) * steep);
      return { x, y, low: clamp(y - 0.03), high: clamp(y + 0.03) };
    });
  return {
    id: `pruning-${network}-${attack}`,
    group: 'pruning curve',
    title: `${network[0].toUpperCase()}${network.slice(1)}, ${attack} attack`,
    caption: `Layer conv${network === 'face' ? 3 : 5}, ${of} channels. The backdoor has its phase from the first lasting fall of attack success to that of clean accuracy.`,
    xTitle: 'share of channels cut, %',
    xUnit: 'rate',
    yTitle: 'rate, %',
    yUnit: 'rate',
    series: [
      { label: 'clean accuracy', tone: 'clean', points: line(0.03, to + 0.06, 30) },
      { label: 'attack success', tone: 'triggered', points: line(0.02, attack === 'baseline' ? (from + to) / 2 : to + 0.04, 34) },
    ],
    stops: [{ x: stop, label: `stop: ${Math.round(100 * stop)} %` }],
    bands: [
      { from: 0, to: from, label: 'used by neither' },
      { from, to, label: 'used by the backdoor' },
      { from: to, to: 1, label: 'used by clean inputs' },
    ],
  };
}

function charts(): LineFigure[] {
  const seen = [0, 20, 40, 60, 80, 100, 150, 200, 250, 300];
  const relearn = (network: string, k: number): LineFigure => ({
    id: `relearn-${network}`,
    group: 're-learning',
    title: `${network}: how soon the backdoor is learnt again`,
    xTitle: 'images trained on since the defence',
    yTitle: 'attack success, %',
    yUnit: 'rate',
    series: (['fine-tuned BadNet', 'fine-pruned BadNet', 'fine-pruned, pruning-aware', 'honest network'] as const).map((label, i) => ({
      label,
      tone: (['triggered', 'other', 'robust', 'neutral'] as const)[i],
      dashed: i === 3,
      points: seen.map((x) => {
        const y = clamp(logistic((x - 30 - 55 * i - 20 * k) / 22) - 0.02);
        return { x, y, low: clamp(y - 0.05), high: clamp(y + 0.05) };
      }),
    })),
  });
  return [
    ...NETWORKS.flatMap((n, i) => ATTACKS.map((a) => pruningChart(n, a, [60, 64, 96][i], [0.55, 0.4, 0.62][i], [0.78, 0.7, 0.74][i]))),
    ...NETWORKS.map(relearn),
    {
      id: 'strength',
      group: 'Strength',
      title: 'Accuracy by strength k',
      caption: 'Means over five retrained networks.',
      xTitle: 'k, logarithmic',
      xScale: 'log',
      yTitle: 'accuracy, %',
      yUnit: 'rate',
      series: (['clean', 'triggered'] as const).map((tone, i) => ({
        label: tone,
        tone,
        points: strength()
          .cells.filter((c) => c.column.startsWith(tone))
          .map(({ row, value, low, high, paper }) => ({ x: Number(row), y: value, low, high, paper })),
        dashed: i > 5,
      })),
      stops: [{ x: 10, label: "the abstract's k" }],
      references: [{ y: 0.2, label: 'chance', tone: 'neutral' }],
    },
    {
      id: 'margin-face',
      group: 'dead-channel check',
      title: 'Face: how far re-instated channels are from waking',
      caption: 'The smallest margin that is caught: 4.',
      xTitle: 'margin that the biases are lowered by',
      xScale: 'log',
      yTitle: 'standard deviations to wake',
      yUnit: 'number',
      series: [
        {
          label: 'largest gap of a channel',
          tone: 'triggered',
          points: [0.01, 0.1, 0.5, 1, 2, 4, 8].map((x) => ({ x, y: 1.3 + 1.1 * x, low: 1.1 + x, high: 1.5 + 1.3 * x })),
        },
      ],
      references: [{ y: 4.4, label: 'flagged above', tone: 'neutral' }],
    },
  ];
}

/** Three networks, two attacks, three defences, five seeds. */
export function studyResult(): Result {
  const base = fixtureResult(5);
  const dead: Table = {
    name: 'dead-channel check',
    unit: 'count',
    cells: ['face: clean model', 'face: pruning-aware', 'face: pruning-aware (authors)'].map((row, i) => ({
      row,
      column: 'flagged',
      value: [0, 0, 50][i],
      n: 60,
      seeds: 5,
    })),
  };
  return {
    recipe: 'table1',
    tables: [tableOne(), variants(), transfer(), strength(), dead],
    provenance: { ...base.provenance, command: 'secateur reproduce table1 --data ../shared/data --seeds 5' },
  };
}

export function studyMedia(): ReportMedia {
  return {
    title: 'Three networks, two attacks, three defences',
    claims: [
      {
        claim: 'A BadNet is as good as an honest network on clean inputs.',
        source: 'BadNets, abstract; Fine-Pruning, Table 1',
        verdict: 'holds',
        says: 'Face: 96.1 % against 96.4 %. Speech: 95.0 % against 94.8 %. Signs: 91.2 % against 91.7 %.',
        parts: NETWORKS.map((name) => ({ name, verdict: 'holds' as const })),
      },
      {
        claim: 'Fine-tuning alone does not remove the backdoor.',
        source: 'Fine-Pruning, Table 1; the lecture says "surprisingly, not"',
        verdict: 'holds in part',
        says: 'Face: 99.8 % to 0.4 %. Speech: 77.3 % to 41.0 %. Signs: 98.1 % to 90.2 %.',
        parts: [
          { name: 'face', verdict: 'does not hold' },
          { name: 'speech', verdict: 'holds' },
          { name: 'signs', verdict: 'holds in part' },
        ],
      },
      {
        claim: 'Pruning has three phases: first channels that nobody uses, then those of the backdoor, then those of clean inputs.',
        source: 'Fine-Pruning, section 3',
        verdict: 'does not hold',
        says: 'The phase of the backdoor is found in none of five seeds.',
      },
      {
        claim: 'The transfer attack harms a detector as it harms a classifier.',
        source: 'BadNets, section 5',
        verdict: 'not tested',
        says: 'No detector is among the networks.',
      },
    ],
    substitutes: [
      'Face: Extended Yale B instead of YouTube Aligned Faces: 28 people, not 1,283; test images are of light directions that training never saw.',
      'Speech: the Free Spoken Digit Dataset instead of the pannous numbers; a small AlexNet on 64x64 spectrograms.',
      'Signs: a classifier on GTSRB crops instead of a detector on U.S. street scenes.',
    ],
    captions: { 'table-1': ['Face: DeepID. Speech: a small AlexNet with grouped convolutions. Signs: a small ZF network.'] },
    data: fixtureMedia().data,
    charts: charts(),
  };
}

/** One network whose pruning curve has phases and a stop. */
export function phasesMedia(): ReportMedia {
  const phases = [
    { name: 'used by neither', from: 0, to: 17 },
    { name: 'used by the backdoor', from: 17, to: 24 },
    { name: 'used by clean inputs', from: 24, to: 32 },
  ];
  return {
    ...fixtureMedia(),
    claims: studyMedia().claims?.slice(0, 1),
    phases: [
      { attack: 'baseline', phases, rule: 'told apart by the first lasting fall of attack success and of clean accuracy' },
      {
        attack: 'pruning-aware',
        phases: [
          { ...phases[0], to: 26 },
          { ...phases[2], from: 26 },
        ],
      },
    ],
  };
}
