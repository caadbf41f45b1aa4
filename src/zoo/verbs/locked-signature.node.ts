/** The signature of a model that is in the lock, checked again: the word "signed" in a lock is only text. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail } from '../../core/errors.ts';
import { modelFolder, type Project } from '../project.node.ts';
import { digestOfBundle, type Verification } from '../signing/verify.node.ts';
import type { LockedFile, LockedModel } from '../types.ts';
import { checkSigners, requireCovered, type SignedFile } from './signers.node.ts';

/**
 * Verifies the stored bundle against the digests in the lock and the signers in models.json; files are read only
 * where the signature is over other hashes. Undefined where the lock has
 * no signature (whether one is wanted is the policy's question).
 * @param where files that are not installed yet, for signatures over other hashes than SHA-256
 * @throws SecateurError E_INTEGRITY, E_POLICY or E_SIG_... (exit code 3); E_SIG_HASH where such a signature's files are not here
 */
export async function verifyLockedSignature(
  { root, manifest }: Pick<Project, 'root' | 'manifest'>,
  name: string,
  { signature, files }: LockedModel,
  onNote?: (text: string) => void,
  where?: (file: LockedFile) => string | undefined,
): Promise<Verification | undefined> {
  if (signature === undefined) return undefined;
  const bundle = await readBundle(root, name, signature.bundle);
  const got = digestOfBundle(bundle);
  if (got !== signature.bundleDigest) {
    fail({
      code: 'E_INTEGRITY',
      where: `${name}: ${signature.bundle}`,
      what: 'is not the signature in models.lock',
      expected: signature.bundleDigest,
      got,
      hint: 'the file as it was committed',
      exitCode: 3,
    });
  }
  const folder = modelFolder({ root, manifest }, name);
  const located = (file: LockedFile): SignedFile => {
    const at = where?.(file) ?? join(folder, file.path);
    return { ...file, at: existsSync(at) ? at : undefined };
  };
  const subset = manifest.models.get(name)?.include;
  const { verified, warned } = await checkSigners(root, manifest, name, bundle, files.map(located), subset);
  if (verified === undefined) {
    for (const text of warned) onNote?.(text);
    if (warned.length > 0) return undefined;
    fail({
      code: 'E_POLICY',
      where: name,
      what: 'is "signed" in models.lock, but no rule in models.json says by whom',
      hint: 'a rule with require "signature" and the key, authority or identity that counts',
      exitCode: 3,
    });
  }
  if (verified.signer !== signature.signer) {
    fail({
      code: 'E_SIG_SIGNER',
      where: `${name}: signature`,
      what: 'is by another signer than models.lock says',
      expected: signature.signer,
      got: verified.signer,
      exitCode: 3,
    });
  }
  const uncovered = requireCovered(manifest, name, verified, files);
  if (uncovered !== undefined) onNote?.(uncovered);
  return verified;
}

async function readBundle(root: string, name: string, path: string): Promise<Uint8Array> {
  try {
    return await readFile(join(root, path));
  } catch (cause) {
    const got = (cause as NodeJS.ErrnoException).code;
    const hint = `the file as it was committed, or \`secateur zoo update ${name}\``;
    return fail({ code: 'E_INTEGRITY', where: `${name}: ${path}`, what: 'the signature cannot be read', got, hint, exitCode: 3, cause });
  }
}
