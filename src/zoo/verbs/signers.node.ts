/** Checks a model's signature against the signers that the policy names. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fail, SecateurError } from '../../core/errors.ts';
import { isLoaded } from '../integrity.ts';
import { type SignerSet, signersFor } from '../policy.ts';
import { type SigningTrust, trustMatching } from '../signing/trust.node.ts';
import { type Verification, verifyDigests } from '../signing/verify.node.ts';
import { type FileAt, verifyFilesAt } from '../signing/verify-model.node.ts';
import { hashFile } from '../store/hash.node.ts';
import type { LockedFile, Manifest } from '../types.ts';

/** `at`: where its bytes are, for signatures over other hashes than SHA-256; undefined where they are not on this machine. */
export interface SignedFile extends Pick<LockedFile, 'path' | 'digest' | 'size'> {
  readonly at: string | undefined;
}

export interface SignersCheck {
  /** Undefined where no rule names a signer (then nobody said whose signature would mean something), or only rules that warn were not met. */
  readonly verified?: Verification;
  /** Of rules that only warn: why they are not met. */
  readonly warned: readonly string[];
}

/**
 * Verifies the bundle once for every rule that wants a signature; all that are enforced must hold.
 * @param subset the globs in models.json, where only some files of what was signed are installed
 * @throws SecateurError (E_SIG_..., exit code 3) of the signer that came nearest
 */
export async function checkSigners(
  root: string,
  manifest: Manifest,
  name: string,
  bundle: Uint8Array,
  files: readonly SignedFile[],
  subset: readonly string[] | undefined,
): Promise<SignersCheck> {
  let verified: Verification | undefined;
  const warned: string[] = [];
  for (const set of signersFor(manifest, name)) {
    try {
      verified = await checkSet(root, set, name, bundle, files, subset);
    } catch (error) {
      if (set.mode !== 'warn' || !(error instanceof SecateurError)) throw error;
      warned.push(error.message);
    }
  }
  return { verified, warned };
}

async function checkSet(
  root: string,
  set: SignerSet,
  name: string,
  bundle: Uint8Array,
  files: readonly SignedFile[],
  subset: readonly string[] | undefined,
): Promise<Verification> {
  const where = `${name}: signature`;
  const candidates = trustMatching(bundle, await trustOf(root, set), where);
  let first: unknown;
  for (const trust of candidates) {
    try {
      return await verifyOne(bundle, trust, files, { subset, where });
    } catch (error) {
      if (!(error instanceof SecateurError)) throw error;
      first ??= error;
    }
  }
  if (first !== undefined && candidates.length === 1) throw first;
  return fail({
    code: 'E_SIG_SIGNER',
    where,
    what: `made by none of the signers that the rule for "${set.match}" in models.json names`,
    expected: namesOf(set),
    got: first instanceof SecateurError ? first.message : undefined,
    hint: 'to ask the publisher which key this is, before it is added to the rule',
    exitCode: 3,
  });
}

/** `models.keys/team.pub or ci@example.org (https://issuer.example.org)` */
const namesOf = ({ keys, authorities, identities }: SignerSet): string =>
  [...keys, ...authorities, ...identities.map((i) => `${i.identity} (${i.issuer})`)].join(' or ');

/**
 * By the digests that are known; where the signature is over other hashes (BLAKE2b, BLAKE3, ranges of files), by the files. Those must have
 * the known digests: else an older model that still lies here would vouch for what is fetched next.
 */
async function verifyOne(
  bundle: Uint8Array,
  trust: SigningTrust,
  files: readonly SignedFile[],
  o: { readonly subset: readonly string[] | undefined; readonly where: string },
): Promise<Verification> {
  try {
    const known = files.map(({ path, digest }) => ({ name: path, digest }));
    return verifyDigests(bundle, trust, known, o);
  } catch (error) {
    const other = error instanceof SecateurError && error.parts.code === 'E_SIG_HASH';
    if (!other) throw error;
    for (const { at, digest } of files) if (at === undefined || (await hashFile(at)).digest !== digest) throw error;
    const there = files.map(({ path, size, at }): FileAt => ({ name: path, size, path: at! }));
    return verifyFilesAt(bundle, trust, there, o);
  }
}

/**
 * A signature vouches for no file that its signer left out, and whoever holds the server may have put one there; so a model that a rule wants
 * signed has none but texts and pictures. Where the rules only warn: what is wrong.
 * @throws SecateurError E_SIG_UNCOVERED (exit code 3)
 */
export function requireCovered(
  manifest: Manifest,
  name: string,
  { uncovered }: Verification,
  files: readonly Pick<LockedFile, 'path' | 'format' | 'lint'>[],
): string | undefined {
  const loaded = files.filter((f) => isLoaded(f) && uncovered.includes(f.path)).map(({ path }) => path);
  if (loaded.length === 0) return undefined;
  const error = new SecateurError({
    code: 'E_SIG_UNCOVERED',
    where: `${name}: ${loaded[0]}`,
    what: 'the signer left it out, so that nobody vouches for it, and a rule wants the model signed',
    expected: 'a signature over every file that is loaded',
    got: `${loaded.length} of ${files.length} files without`,
    hint: '"include" in models.json that takes the signed files only, or to ask the publisher for a signature over all',
    exitCode: 3,
  });
  if (signersFor(manifest, name).some(({ mode }) => mode === 'enforce')) throw error;
  return error.message;
}

/** Reads the files that a rule names. Throws SecateurError where one is missing. */
export async function trustOf(root: string, set: Pick<SignerSet, 'keys' | 'authorities' | 'identities'>): Promise<SigningTrust[]> {
  const text = async (path: string): Promise<string> => {
    try {
      return await readFile(resolve(root, path), 'utf8');
    } catch (cause) {
      const got = (cause as NodeJS.ErrnoException).code;
      return fail({
        code: 'E_POLICY',
        where: `models.json: ${path}`,
        what: 'cannot be read',
        expected: 'a PEM file',
        got,
        hint: 'the file as it was committed with models.json',
        cause,
      });
    }
  };
  const trust: SigningTrust[] = [];
  for (const key of set.keys) trust.push({ method: 'key', publicKey: await text(key) });
  if (set.authorities.length > 0) trust.push({ method: 'certificate', authorities: await Promise.all(set.authorities.map(text)) });
  for (const { identity, issuer, trustedRoot } of set.identities) {
    trust.push({ method: 'sigstore', identity, issuer, ...(trustedRoot !== undefined && { trustedRoot: await text(trustedRoot) }) });
  }
  return trust;
}
