/** What a run's result.json says in the words of a test: passed, passed with a warning, or failed. Never more than the command said itself. */
import type { Result } from '../../evaluate/result.ts';

export const OUTCOMES = ['PASSED', 'WARNED', 'FAILED'] as const;
export type TestOutcome = (typeof OUTCOMES)[number];

export interface Verdict {
  readonly result: TestOutcome;
  readonly passed: readonly string[];
  readonly warned: readonly string[];
  readonly failed: readonly string[];
  /** One sentence without full stop on why it is no more than that. */
  readonly why: string;
}

/**
 * FAILED where something that the user demanded did not hold; WARNED where nothing was demanded, so that nobody takes a measurement for a
 * passed test, or where the command itself warned of its numbers; else PASSED.
 */
export function verdictOf({ recipe, tables, checks = [] }: Result): Verdict {
  const passed = checks.filter((check) => check.held).map((check) => check.name);
  const failed = checks.filter((check) => !check.held).map((check) => check.name);
  const warned = tables.flatMap((table) => (table.notes ?? []).filter((note) => note.startsWith('Warning: ')));
  if (failed.length > 0) {
    const why = checks.filter((check) => !check.held).map((check) => check.says);
    return { result: 'FAILED', passed, warned, failed, why: why.join('; ') };
  }
  if (checks.length === 0) {
    const none = `${recipe} measured, and nothing was demanded of the numbers (such as --max-attack of secateur evaluate)`;
    return { result: 'WARNED', passed, warned: [none, ...warned], failed, why: none };
  }
  if (warned.length > 0) return { result: 'WARNED', passed, warned, failed, why: warned[0].replace(/^Warning: /, '').replace(/\.$/, '') };
  return { result: 'PASSED', passed, warned, failed, why: checks.map((check) => check.says).join('; ') };
}
