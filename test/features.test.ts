import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readResults, withOperators } from '../scripts/features.ts';
import { differentiableOperators } from '../scripts/vectors/table.ts';

const results = readResults();

test('FEATURES.md has the operator table as the results and the rules make it', () => {
  const text = readFileSync(new URL('../FEATURES.md', import.meta.url), 'utf8');
  expect(text).toContain('| Conv | ');
  expect(withOperators(text, results), 'run npx tsx scripts/features.ts').toBe(text);
});

test('docs/operators.json knows every rule there is', () => {
  const ruled = new Set(differentiableOperators());
  // "no rule for operator "X"" without a "with ..." behind it was true of an older table.
  const stale = results.gradientNotPassed.filter(([, , why]) =>
    ruled.has(/^no rule for operator "([^"]+)"(?! with )/.exec(why)?.[1] ?? ''),
  );
  expect(stale, 'run npx tsx scripts/backend-vectors.ts, then npx tsx scripts/features.ts').toEqual([]);
});

test('every backend test is in exactly one class, nothing is lost in reading and writing, no gradient is wrong', () => {
  const counts = (set: string): number => Object.values(results.sets[set]).reduce((a, n) => a + n, 0);
  expect([counts('node'), counts('simple'), counts('pytorch-operator'), counts('pytorch-converted'), counts('light')]).toEqual([
    1802, 23, 35, 80, 9,
  ]);
  for (const set of Object.values(results.sets)) expect(set.differs).toBeUndefined();
  const passed = Object.values(results.sets).reduce((sum, set) => sum + (set.passed ?? 0), 0);
  expect(results.notPassed.length).toBe(1949 - passed);
  expect(results.gradients.wrong ?? 0).toBe(0);
});
