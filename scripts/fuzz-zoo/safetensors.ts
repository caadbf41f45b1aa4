/** The header of safetensors files. */
import { bytesSource } from '../../src/data/zip.ts';
import { Findings } from '../../src/zoo/lint/findings.ts';
import { lintSafetensors, looksSafetensors } from '../../src/zoo/lint/safetensors.ts';
import { lintGolden } from '../../test/zoo/lint-golden.ts';
import type { FuzzTarget } from './target.ts';

export const target: FuzzTarget = {
  name: 'safetensors',
  seeds: () => {
    return [...lintGolden()].filter(([name]) => name.endsWith('.safetensors')).map(([, bytes]) => bytes);
  },
  run: (bytes) => {
    const source = bytesSource(bytes);
    if (!looksSafetensors(source)) return 'not seen as safetensors';
    const findings = new Findings();
    lintSafetensors(source, findings);
    return findings.report('safetensors').verdict;
  },
  words: [
    '"F32"',
    '"dtype"',
    '"shape"',
    '"data_offsets"',
    '"__metadata__"',
    '[0,0]',
    '{}',
    '[]',
    '{"a":',
    'F64',
    'BOOL',
    '-1',
    '1e3',
    '18446744073709551615',
  ],
};
