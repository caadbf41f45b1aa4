/** The payload of an attestation, and whether it is about some files: what is read must name only digests of the right form. */
import { coverageOf, readStatement } from '../../src/zoo/attest/covers.ts';
import { testStatement } from '../../src/zoo/attest/statement.ts';
import type { FuzzTarget } from './target.ts';

const digest = (byte: string) => `sha256:${byte.repeat(32)}` as const;
const FILES = [
  { path: 'README.md', digest: digest('a1') },
  { path: 'model.onnx', digest: digest('b2') },
];
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

export const target: FuzzTarget = {
  name: 'statement',
  seeds: () => {
    const result = {
      recipe: 'evaluate',
      tables: [{ name: 'test images', unit: 'rate' as const, cells: [{ row: 'all', column: 'clean accuracy', value: 0.98, n: 500 }] }],
      checks: [{ name: 'attack success at most 5.00 %', held: false, says: 'attack success 97.00 % is above 5.00 %' }],
      provenance: {
        ...{ command: 'secateur evaluate net', seeds: [1], versions: {}, machine: '', started: '', steps: [] },
        inputs: { model: 'b2'.repeat(32) },
      },
    };
    const { payload } = testStatement('net', FILES, true, { result, digest: digest('c3') }, { role: 'input', path: 'model.onnx' });
    const subject = [{ name: 'x', digest: { sha256: 'b2'.repeat(32), sha512: 'x' } }];
    const other = { _type: 'https://in-toto.io/Statement/v1', subject, predicateType: 'https://slsa.dev/provenance/v1', predicate: null };
    return [payload, encode(other)];
  },
  run: (bytes) => {
    const statement = readStatement(bytes, 'payload');
    const { same } = coverageOf(statement, FILES);
    for (const { sha256, dirHash } of statement.subjects) {
      for (const hex of [sha256, dirHash])
        if (hex !== undefined && !/^[0-9a-f]{64}$/.test(hex)) throw new Error(`took ${hex} for a digest`);
    }
    return `${statement.test?.result ?? 'other predicate'}, ${same ? 'these bytes' : 'other bytes'}`;
  },
  words: [
    '"subject"',
    '"digest"',
    '"sha256"',
    '"dirHash"',
    '"predicate"',
    '"result"',
    '"PASSED"',
    '"configuration"',
    '[]',
    '{}',
    'null',
    '"_type"',
  ],
};
