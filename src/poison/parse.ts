/** Reads a spec that a person wrote, and says in words what is wrong with it. */
import type { z } from 'zod';
import { fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';

/**
 * `json` as the schema wants it, defaults filled in. `what` names it in errors ("trigger"), `kinds` are the values `kind` may have.
 * Fails at the first thing that is wrong.
 */
export function parseSpec<T>(schema: z.ZodType<T>, json: unknown, what: string, kinds: readonly string[]): T {
  const kind = typeof json === 'object' && json !== null && 'kind' in json ? json.kind : undefined;
  if (typeof kind !== 'string' || !kinds.includes(kind)) {
    const near = typeof kind === 'string' ? nearest(kind, kinds) : undefined;
    const got = kind === undefined ? 'none' : JSON.stringify(kind);
    fail({ where: 'poison', what: `kind of ${what}`, expected: kinds.join(', '), got, hint: near && `"${near}"`, exitCode: 2 });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue.path.join('.');
  const what2 = place === '' ? 'is wrong' : `${place} is wrong`;
  return fail({ where: `poison: ${what} "${kind}"`, what: what2, got: issue.message, exitCode: 2, cause: parsed.error });
}
