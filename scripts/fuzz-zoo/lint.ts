/** The whole linter: telling formats apart, archives, arrays, protobuf messages, HDF5, texts. */
import { bytesSource } from '../../src/data/zip.ts';
import { lintBytes } from '../../src/zoo/lint/lint.ts';
import { lintGolden } from '../../test/zoo/lint-golden.ts';
import { seedFiles } from '../fuzz-cases.ts';
import type { FuzzTarget } from './target.ts';

export const target: FuzzTarget = {
  name: 'lint',
  seeds: () => {
    return [...[...lintGolden().values()], ...seedFiles(4000).slice(0, 40)];
  },
  run: (bytes) => {
    const { kind, verdict } = lintBytes(bytesSource(bytes), 'model');
    return `${kind} ${verdict}`;
  },
  words: [
    'PK\u0003\u0004',
    'PK\u0001\u0002',
    'PK\u0005\u0006',
    'data.pkl',
    '.npy',
    "'descr'",
    "'|O'",
    '<f4',
    'GGUF',
    'Python',
    'type',
    'Lambda',
    'config.json',
  ],
};
