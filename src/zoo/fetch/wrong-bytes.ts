/** How it is told that bytes are not those that were wanted: never as a glitch, never with the advice to do the same again. */
import { fail } from '../../core/errors.ts';
import type { SourceFile } from '../types.ts';

/**
 * Throws E_INTEGRITY (exit code 3) for a file that differs from the lock.
 *
 * @param name the model's, where it is known
 * @param got what came instead, from where, and where it is kept
 */
export function refuseBytes(file: SourceFile, expect: { digest: string; size: number }, name: string | undefined, got: string): never {
  const see = name === undefined ? 'secateur zoo diff' : `secateur zoo diff ${name}`;
  return fail({
    code: 'E_INTEGRITY',
    where: name ?? 'zoo',
    what: `${file.path} is not the file in models.lock`,
    expected: `${expect.digest} (${expect.size} bytes)`,
    got,
    hint: `'${see}' to see what changed: the publisher may have replaced the file, or the download was altered; nothing was installed`,
    exitCode: 3,
  });
}

/** Throws E_SIZE (exit code 3) for a file that is not as long as its source says. */
export function refuseSize(where: string, size: number | undefined, got: string): never {
  return fail({ code: 'E_SIZE', where, what: 'not as long as the source says it is', expected: `${size} bytes`, got, exitCode: 3 });
}

/** Throws E_SIZE for a file beyond what is taken at all. */
export function refuseLength(where: string, most: number, got: string): never {
  return fail({ code: 'E_SIZE', where, what: 'longer than is taken', expected: `at most ${most} bytes`, got });
}
