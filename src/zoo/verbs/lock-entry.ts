/** From files that were fetched and looked at to the entry in the lock. */
import { compareNames, omsRoot, treeDigest } from '../digest.ts';
import { integrityOf } from '../integrity.ts';
import { LINT_RULES } from '../lint/lint.ts';
import type { CheckedClaim, FetchedFile, LintReport, LockedFile, LockedModel, LockedSignature, ResolvedSource } from '../types.ts';

export interface SeenFile {
  readonly file: FetchedFile;
  readonly claims: readonly CheckedClaim[];
  readonly lint: LintReport;
}

/** The entry for a model whose bytes are known. `signature` only where it was verified against a signer that the user named. */
export function lockEntry(
  { source, requested, resolved }: Omit<ResolvedSource, 'files'>,
  include: readonly string[] | undefined,
  seen: readonly SeenFile[],
  signature: LockedSignature | undefined,
): LockedModel {
  const local = source.startsWith('path:');
  const files = seen
    .map(({ file, claims, lint }): LockedFile => {
      const { path, size, digest, url } = file;
      return { path, size, digest, ...(!local && { url }), claims, format: lint.kind, lint: lint.verdict };
    })
    .sort((a, b) => compareNames(a.path, b.path));
  return {
    source,
    ...(requested !== undefined && { requested }),
    resolved,
    ...(include && { include }),
    files,
    treeDigest: treeDigest(files),
    omsRoot: omsRoot(files),
    integrity: integrityOf(files, signature),
    ...(signature && { signature }),
    lintRules: LINT_RULES,
  };
}
