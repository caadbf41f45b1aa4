/** The walk over pickles: whatever the bytes are, a verdict and no exception. */
import { bytesSource } from '../../src/data/zip.ts';
import { Findings } from '../../src/zoo/lint/findings.ts';
import { lintPickle } from '../../src/zoo/lint/pickle.ts';
import { lintGolden } from '../../test/zoo/lint-golden.ts';
import type { FuzzTarget } from './target.ts';

export const target: FuzzTarget = {
  name: 'pickle',
  seeds: () => {
    return [...lintGolden()].filter(([name]) => /\.pkl$|-old\.pt$/.test(name)).map(([, bytes]) => bytes);
  },
  run: (bytes) => {
    const findings = new Findings();
    lintPickle(bytesSource(bytes), findings);
    return findings.report('pickle').verdict;
  },
  words: [
    ...[
      'cos\nsystem\n',
      'ccollections\nOrderedDict\n',
      'cposix\nsystem\n',
      '\u0093',
      'R',
      'b',
      '(',
      't',
      '.',
      '0',
      '1',
      '2',
      'h\0',
      'q\0',
      '\u0094',
    ],
    ...[
      '\u0080\u0004',
      '\u0095',
      '}',
      ']',
      ')',
      's',
      'u',
      'e',
      'a',
      'Q',
      'P\n',
      'N',
      'i',
      'o',
      '\u0081',
      '\u0092',
      '\u0082\u0001',
      'g0\n',
      'p0\n',
    ],
    ...[
      '\u008c\u0002os',
      '\u008c\u0006system',
      "S'os'\n",
      'X\u0002\0\0\0os',
      'Vos\n',
      'I1\n',
      'L1L\n',
      'F1.5\n',
      'builtins',
      'eval',
      'torch._utils',
    ],
  ],
};
