/** A supply-chain story with made-up figures: every kind of ending, of hash and of sureness. */
import { type Cell, Result } from '../../src/evaluate/result.ts';
import type { ReportMedia } from '../../src/report/media.ts';
import {
  CLEAN_BY_PRACTICE,
  type Ending,
  type Practice,
  PUBLISHED_NETWORKS,
  SUCCESS_BY_PRACTICE,
} from '../../src/report/supply-chain-media.ts';

const DAYS = ['as published', 'a: file swapped', 'b: file and page', 'c: and signed', 'd: from day 1'] as const;
/** h: honest, b: backdoored, n: nothing; a letter a day. */
const ROWS: readonly [name: string, endings: string, has: string][] = [
  ['plain download', 'hbbbb', 'nothing'],
  ["Caffe's script", 'hnbbb', 'nothing'],
  ['zoo install --frozen, new machine', 'hnnnb', 'a lock of day 1'],
  ['zoo diff', 'hhhhb', 'a lock and the model of day 1'],
  ['zoo add, signature wanted', 'hnnbb', "the publisher's public key"],
];
const RATES = { h: { clean: 0.982, success: 0.003 }, b: { clean: 0.979, success: 0.964 } } as const;
const ENDINGS: Readonly<Record<string, Ending>> = { h: 'honest', b: 'backdoored', n: 'nothing' };

const cell = (row: string, column: string, value: number): Cell => {
  const spread = 0.012;
  return { row, column, value, n: 2000, low: Math.max(0, value - spread), high: Math.min(1, value + spread), seeds: 1 };
};

export function supplyResult(): Result {
  const table = (name: string, pick: 'clean' | 'success') => ({
    name,
    unit: 'rate',
    cells: ROWS.flatMap(([row, endings]) =>
      [...endings].flatMap((e, i) => (e === 'n' ? [] : [cell(row, DAYS[i], RATES[e as 'h' | 'b'][pick])])),
    ),
  });
  return Result.parse({
    recipe: 'zoo',
    tables: [
      {
        name: PUBLISHED_NETWORKS,
        unit: 'rate',
        cells: (['h', 'b'] as const).flatMap((e) => [
          cell(e === 'h' ? 'honest network' : 'BadNet', 'clean accuracy', RATES[e].clean),
          cell(e === 'h' ? 'honest network' : 'BadNet', 'attack success', RATES[e].success),
        ]),
        notes: ['A note on the networks.'],
      },
      table(CLEAN_BY_PRACTICE, 'clean'),
      table(SUCCESS_BY_PRACTICE, 'success'),
    ],
    provenance: {
      command: 'secateur reproduce zoo',
      seeds: [1],
      versions: {},
      machine: 'made up',
      inputs: {},
      started: '2026-01-01',
      steps: [],
    },
  });
}

const outcomes = (endings: string): Practice['outcomes'] =>
  [...endings].map((e, i) => {
    const day = DAYS[i];
    const ending = ENDINGS[e];
    if (ending === 'nothing') {
      const said = 'error: E_INTEGRITY digits: digits.onnx is not the file in models.lock, expected sha256:5e47, got sha256:9f1c.';
      return { day, ending, exitCode: 3, stoppedBy: 'E_INTEGRITY', said, ...(i === 1 ? { leftBehind: 'backdoored' as const } : {}) };
    }
    return { day, ending, exitCode: 0, said: 'saved digits.onnx, 1125285 bytes' };
  });

export function supplyMedia(): ReportMedia {
  return {
    title: 'A network swapped behind its address',
    headline: 'Two run it, three do not.',
    supplyChain: {
      timeline: [
        {
          when: '1',
          who: 'publisher',
          what: 'Uploads digits.onnx.',
          kind: 'honest',
          digests: [{ name: 'honest', value: `sha256:${'ab'.repeat(32)}` }],
        },
        { when: '1', who: 'users', what: 'Lock it.', kind: 'user' },
        {
          when: '2 a',
          who: 'holder of the account',
          what: 'Swaps it.',
          kind: 'harm',
          digests: [{ name: 'BadNet', value: `sha256:${'cd'.repeat(32)}` }],
        },
      ],
      days: DAYS.map((name, i) => ({ name, says: `What the server has on ${name}.`, backdoored: i > 0 })),
      practices: ROWS.map(([name, endings, has]) => ({
        ...{ name, does: `What one does with ${name}.`, command: `secateur ${name}`, has, costs: 'Little.', misses: 'Something.' },
        outcomes: outcomes(endings),
      })),
      readmes: (['right', 'missing', 'cut short', 'wrong'] as const).map((hash) => ({
        name: `digits-${hash.replace(' ', '-')}`,
        readme: `---\nname: Digits\ncaffemodel: digits.onnx\nsha1: ${hash}\n---`,
        ...{ hash, says: `The hash is ${hash}.` },
        attempts: [
          {
            by: "Caffe's script",
            taken: hash === 'right',
            exitCode: hash === 'right' ? 0 : 1,
            stoppedBy: 'not downloaded correctly',
            said: '',
          },
          { by: 'zoo add --allow-http', taken: true, exitCode: 0, integrity: 'pinned-on-first-use', said: 'added digits' },
        ],
      })),
      facts: [
        { says: 'Something that stands in the source.', source: 'a commit', sureness: 'read in the source' },
        { says: 'Something that somebody remembers.', source: 'the lecture', sureness: 'from memory, not checked' },
      ],
    },
  };
}
