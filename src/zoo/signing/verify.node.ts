/** Checks a signature against digests that are known already, as a lock file has them: nothing is read from disk. */
import { createHash } from 'node:crypto';
import { hexOf } from '../digest.ts';
import type { Sha256 } from '../types.ts';
import { compareFiles, resolveSingle, signedFiles } from './compare.ts';
import { parseStatement } from './statement.ts';
import type { ModelStatement, SigningTrust, Verification, VerifyOptions } from './types.ts';
import { type Signed, verifyEnvelope } from './verify-envelope.node.ts';

export type { SigningTrust, Verification, VerifyOptions } from './types.ts';

/** A file of a model and its SHA-256. */
export interface DigestOf {
  /** Relative to the model's folder, `/` between parts. */
  readonly name: string;
  readonly digest: Sha256;
}

/** `sha256:` of a bundle's bytes: a file of the model that has it is the signature itself, which no signature can cover. */
export const digestOfBundle = (bytes: Uint8Array): Sha256 => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/**
 * Verifies that `trust` signed exactly these files: who signed, what the statement says, and whether names and digests are the same.
 * A file that is the bundle itself is skipped, as are Git's own at the root unless they are signed.
 * Source: OMS v1.0 sections 7 and 8, in the order of facts 2.6.
 * @throws SecateurError with an `E_SIG_...` code for each cause, exit code 3 (2 where the user's key cannot be used);
 * `E_SIG_HASH` where the statement has other digests than SHA-256 of whole files: verify the folder then
 */
export function verifyDigests(
  bundleBytes: Uint8Array,
  trust: SigningTrust,
  files: readonly DigestOf[],
  o: VerifyOptions = {},
): Verification {
  const signed = verifyEnvelope(bundleBytes, trust, o);
  const { steps } = signed;
  const own = digestOfBundle(bundleBytes);
  const statement = resolveSingle(
    parseStatement(signed.payload, steps, o.legacy),
    files.filter((f) => f.digest !== own).map((f) => f.name),
    steps,
  );
  if (statement.hash !== 'sha256' || statement.method !== 'files') {
    const got = `${statement.hash} of ${statement.method === 'files' ? 'whole files' : 'byte ranges'}`;
    const hint = 'zoo verify-sig with the folder, which reads the files themselves';
    const what = 'the signature has other digests than those that are known here';
    steps.refuse({ code: 'E_SIG_HASH', what, expected: 'SHA-256 of whole files', got, hint });
  }
  const present = new Map(files.map((f) => [f.name, hexOf(f.digest)]));
  const ownNames = new Set(files.filter((f) => f.digest === own).map((f) => f.name));
  return conclude(signed, statement, present, o, (name) => ownNames.has(name));
}

/** The last step, shared with what reads files: compare, and put together what was found. */
export function conclude(
  signed: Signed,
  statement: ModelStatement,
  present: ReadonlyMap<string, string | undefined>,
  o: VerifyOptions,
  isBundle: (name: string) => boolean,
): Verification {
  const compared = compareFiles(statement, present, o, signed.steps, isBundle);
  return {
    method: signed.method,
    signer: signed.signer,
    root: statement.root,
    files: signedFiles(statement).size,
    resources: statement.resources.length,
    ignored: compared.ignored,
    extra: compared.extra,
    uncovered: compared.uncovered,
    notInstalled: compared.notInstalled,
    // What is not covered comes first: it is what a reader must not miss.
    warnings: [...compared.warnings, ...signed.warnings, ...statement.warnings],
  };
}
