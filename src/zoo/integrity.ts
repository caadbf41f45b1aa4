/** How far a model is vouched for, from what is known of its files. */
import type { Integrity, LockedFile, LockedSignature } from './types.ts';

/** Whether a loader may take a file as part of the model: all but texts and pictures; programs and what names them (`flagged`) are no such. */
export const isLoaded = ({ format, lint }: Pick<LockedFile, 'format' | 'lint'>): boolean => format !== 'other' || lint !== 'ok';

/**
 * How far the files are vouched for together: as far as the least of them. Texts and pictures (`other`) need no claim of their own, because
 * nothing loads them as part of a model. `signature` only where it was verified against a signer that the user named.
 */
export function integrityOf(
  files: readonly Pick<LockedFile, 'claims' | 'format' | 'lint'>[],
  signature: LockedSignature | undefined,
): Integrity {
  if (signature !== undefined) return 'signed';
  const loaded = files.filter(isLoaded);
  const vouched = loaded.length > 0 && loaded.every((f) => f.claims.length > 0 && f.claims.every((c) => c.matched));
  return vouched ? 'matched-published-claim' : 'pinned-on-first-use';
}
