/** How far a model is vouched for, from what is known of its files. */
import type { Integrity, LockedFile, LockedSignature } from './types.ts';

/**
 * How far the files are vouched for together: as far as the least of them. Texts and pictures (`other`) need no claim of their own, because
 * nothing loads them as part of a model. `signature` only where it was verified against a signer that the user named.
 */
export function integrityOf(files: readonly Pick<LockedFile, 'claims' | 'format'>[], signature: LockedSignature | undefined): Integrity {
  if (signature !== undefined) return 'signed';
  const loaded = files.filter((f) => f.format !== 'other');
  const vouched = loaded.length > 0 && loaded.every((f) => f.claims.length > 0 && f.claims.every((c) => c.matched));
  return vouched ? 'matched-published-claim' : 'pinned-on-first-use';
}
