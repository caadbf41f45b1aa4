import { expect, test } from 'vitest';
import { rules } from '../../src/grad/table.ts';
import { acceptedDomains, acceptedOperators, isAccepted, whyRefused } from '../../src/onnx/operators.ts';

test('the standard domain goes by two names', () => {
  for (const domain of ['', 'ai.onnx']) {
    expect(isAccepted(domain, 'Conv')).toBe(true);
    expect(acceptedOperators(domain)).toContain('Where');
  }
  expect(acceptedDomains).toEqual(['', 'ai.onnx.ml', 'com.microsoft']);
});

test('whatever has a gradient is accepted', () => {
  expect(Object.keys(rules).filter((name) => !isAccepted('', name))).toEqual([]);
});

test('what is refused, and why', () => {
  const cases: [domain: string, opType: string, why: string][] = [
    ['com.microsoft', 'EPContext', 'it hands bytes or a file of its author to a vendor library, which runs them as code'],
    ['', 'EPContext', 'it hands bytes or a file of its author to a vendor library, which runs them as code'],
    ['evil', 'Conv', 'the domain "evil" is not one of ai.onnx, ai.onnx.ml, com.microsoft'],
    ['ai.onnx.preview.training', 'Adam', 'operators of the domain "ai.onnx.preview.training" are drafts that ONNX Runtime does not run'],
    [
      'com.microsoft',
      'Tokenizer',
      `it is not among the ${acceptedOperators('com.microsoft').length} accepted operators of "com.microsoft"`,
    ],
    ['ai.onnx', 'constructor', `it is not among the ${acceptedOperators('').length} accepted operators of the ONNX standard`],
    // an operator of one domain is none of another
    ['ai.onnx.ml', 'Conv', `it is not among the ${acceptedOperators('ai.onnx.ml').length} accepted operators of "ai.onnx.ml"`],
  ];
  for (const [domain, opType, why] of cases) {
    expect(isAccepted(domain, opType)).toBe(false);
    expect(whyRefused(domain, opType)).toBe(why);
  }
  expect(whyRefused('', 'Conv')).toBeUndefined();
});
