/** From files that were fetched and looked at to the entry in the lock. */
import { compareNames, omsRoot, treeDigest } from '../digest.ts';
import { LINT_RULES } from '../lint/lint.ts';
import type {
  CheckedClaim,
  FetchedFile,
  Integrity,
  LintReport,
  LockedFile,
  LockedModel,
  LockedSignature,
  ResolvedSource,
} from '../types.ts';

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

/**
 * How far the files are vouched for together: as far as the least of them. Texts and pictures (`other`) need no claim of their own, because
 * nothing loads them as part of a model.
 */
export function integrityOf(files: readonly Pick<LockedFile, 'claims' | 'format'>[], signature: LockedSignature | undefined): Integrity {
  if (signature !== undefined) return 'signed';
  const loaded = files.filter((f) => f.format !== 'other');
  const vouched = loaded.length > 0 && loaded.every((f) => f.claims.length > 0 && f.claims.every((c) => c.matched));
  return vouched ? 'matched-published-claim' : 'pinned-on-first-use';
}
