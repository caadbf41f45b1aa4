/** A result.json read strictly: what an attestation rests on must not be read in two ways. */
import { z } from 'zod';
import { fail } from '../../core/errors.ts';
import { sha256 } from '../../core/hash.ts';
import { Result } from '../../evaluate/result.ts';
import { parseJsonBytes, toPlain } from '../strict-json.ts';
import type { ReadResult } from './statement.ts';

/** Bytes; the largest recipes write a few hundred kB. */
const MAX_BYTES = 2 ** 25;

const Hashes = z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/, 'no SHA-256'));

/**
 * @param where the file, as the user knows it
 * @throws SecateurError E_ATTEST_RESULT where it is not the result of a run, with the place in it
 */
export function readResult(bytes: Uint8Array, where: string): ReadResult {
  const node = parseJsonBytes(bytes, where, { code: 'E_ATTEST_RESULT', maxChars: MAX_BYTES });
  const parsed = Result.safeParse(toPlain(node));
  const problem = parsed.success
    ? (issueOf(Hashes.safeParse(parsed.data.provenance.inputs), 'provenance.inputs') ??
      issueOf(Hashes.safeParse(parsed.data.provenance.outputs ?? {}), 'provenance.outputs'))
    : issueOf(parsed, '');
  if (parsed.success && problem === undefined) return { result: parsed.data, digest: `sha256:${sha256(bytes)}` };
  return fail({
    code: 'E_ATTEST_RESULT',
    where,
    what: 'not the result of a run',
    expected: 'a result.json that secateur inspect, evaluate, prune, finetune or fineprune wrote',
    got: problem,
  });
}

function issueOf(parsed: z.ZodSafeParseResult<unknown>, below: string): string | undefined {
  const [issue] = parsed.success ? [] : parsed.error.issues;
  if (issue === undefined) return undefined;
  const path = [below, ...issue.path.map(String)].filter((part) => part !== '').join('.');
  return path === '' ? issue.message : `${issue.message} at ${path}`;
}
