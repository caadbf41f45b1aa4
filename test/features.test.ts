import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { withOperators } from '../scripts/features.ts';

test('FEATURES.md lists the operators that have a gradient rule', () => {
  const text = readFileSync(new URL('../FEATURES.md', import.meta.url), 'utf8');
  expect(text).toContain('Conv, ');
  expect(withOperators(text), 'run npx tsx scripts/features.ts').toBe(text);
});
