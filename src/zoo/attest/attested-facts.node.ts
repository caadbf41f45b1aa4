/** What a bill of materials may repeat of a model's attestations: only what signers whom the user named say of all its files. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AttestedFacts, AttestedResult } from '../bom/facts.ts';
import type { SigningTrust } from '../signing/types.ts';
import { hashFile } from '../store/hash.node.ts';
import type { LockedModel } from '../types.ts';
import { checkAttestations } from './attestations.node.ts';
import { attestationsOf } from './tested.node.ts';

/**
 * The file of attestations with its digest, and the verified results in it; undefined where the model has no such file.
 * @param trust signers; without any, nothing in the file is repeated
 * @throws SecateurError E_DISK, E_ATTEST_FILE, E_NOT_A_FILE; E_SIG_KEY (exit code 2) for a key that cannot be used
 */
export async function attestedFacts(
  root: string,
  name: string,
  { files }: LockedModel,
  trust: readonly SigningTrust[],
): Promise<AttestedFacts | undefined> {
  const path = attestationsOf(name);
  const at = join(root, path);
  if (!existsSync(at)) return undefined;
  const results: AttestedResult[] = [];
  for (const { state, signer, statement, coverage } of trust.length === 0 ? [] : await checkAttestations(at, trust, files)) {
    if (state !== 'verified' || coverage?.whole !== true || signer === undefined || statement?.test === undefined) continue;
    const { result, command, measured } = statement.test;
    results.push({ signer, result, measured, ...(command !== undefined && { command }) });
  }
  return { path, digest: (await hashFile(at)).digest, results };
}
