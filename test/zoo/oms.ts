/** Makes bundles for tests: signed anew over any payload, so that a fault in the payload is met by the check that is meant for it. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SecateurError } from '../../src/core/errors.ts';
import { sha256 } from '../../src/core/hash.ts';
import { keyHint } from '../../src/zoo/signing/keys.node.ts';
import { pae } from '../../src/zoo/signing/pae.ts';
import { inOrder, rootOf } from '../../src/zoo/signing/resource-order.ts';
import { BUNDLE_MEDIA_TYPE, PAYLOAD_TYPE, PREDICATE_TYPE, type SigningTrust, STATEMENT_TYPE } from '../../src/zoo/signing/types.ts';
import type { DigestOf } from '../../src/zoo/signing/verify.node.ts';
import type { Sha256 } from '../../src/zoo/types.ts';

export const FIXTURES = join(import.meta.dirname, 'fixtures/oms');
export const MODELS = join(FIXTURES, 'model-transparency/scripts/tests');
export const VECTORS = join(FIXTURES, 'model-signing-spec/test-vectors/v1.0');

const foreign = (name: string): string => readFileSync(join(MODELS, 'keys/certificate', name), 'utf8');
/** Those who signed the models of other implementations. */
export const FOREIGN = {
  key: { method: 'key', publicKey: foreign('signing-key-pub.pem') },
  certificate: { method: 'certificate', authorities: [foreign('ca-cert.pem')] },
  sigstore: { method: 'sigstore', identity: 'stefanb@us.ibm.com', issuer: 'https://sigstore.verify.ibm.com/oauth2' },
} as const satisfies Record<string, SigningTrust>;

export interface Pair {
  readonly key: KeyObject;
  readonly pem: string;
  readonly publicPem: string;
  readonly trust: SigningTrust;
}

export function pair(namedCurve: 'P-256' | 'P-384' | 'P-521' = 'P-256'): Pair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { key: privateKey, pem, publicPem, trust: { method: 'key', publicKey: publicPem } };
}

/** Texts by file name, as digests. */
export const digests = (files: Readonly<Record<string, string | Uint8Array>>): DigestOf[] =>
  Object.entries(files).map(([name, content]) => ({ name, digest: `sha256:${sha256(content)}` satisfies Sha256 }));

/** All files of a folder without folders in it. */
export const digestsIn = (folder: string): DigestOf[] =>
  digests(Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))])));

type Fields = Record<string, unknown>;

/** A right statement over these files. */
export function statement(files: readonly DigestOf[], predicate: Fields = {}, rest: Fields = {}): Fields {
  const resources = inOrder(files).map(({ name, digest }) => ({ name, digest: digest.slice(7), algorithm: 'sha256' }));
  return {
    _type: STATEMENT_TYPE,
    subject: [{ name: 'model', digest: { sha256: rootOf(resources).slice(7) } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      resources,
      serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false, ignore_paths: ['.git'] },
      ...predicate,
    },
    ...rest,
  };
}

export interface Forge {
  /** Instead of the key's own. */
  readonly material?: Fields;
  readonly hash?: 'sha256' | 'sha384' | 'sha512';
  /** Instead of DSSE's. */
  readonly message?: Uint8Array;
  readonly envelope?: Fields;
  readonly top?: Fields;
}

const HASH = { prime256v1: 'sha256', secp384r1: 'sha384', secp521r1: 'sha512' } as const;

/** A bundle whose signature holds over whatever the payload is. */
export function bundleOf(key: KeyObject, payload: Fields | string | Uint8Array, o: Forge = {}): Uint8Array {
  const text =
    payload instanceof Uint8Array ? payload : new TextEncoder().encode(typeof payload === 'string' ? payload : JSON.stringify(payload));
  const own = HASH[key.asymmetricKeyDetails?.namedCurve as keyof typeof HASH];
  const sig = sign(o.hash ?? own, o.message ?? pae(PAYLOAD_TYPE, text), key).toString('base64');
  const bundle = {
    mediaType: BUNDLE_MEDIA_TYPE,
    verificationMaterial: o.material ?? { publicKey: { hint: keyHint(key) }, tlogEntries: [] },
    dsseEnvelope: {
      payload: Buffer.from(text).toString('base64'),
      payloadType: PAYLOAD_TYPE,
      signatures: [{ sig, keyid: '' }],
      ...o.envelope,
    },
    ...o.top,
  };
  return new TextEncoder().encode(JSON.stringify(bundle));
}

/** Code, exit code and message of the error that `work` throws; anything else that is thrown is a fault. */
export async function refusal(work: () => unknown): Promise<{ code?: string; exit: number; text: string }> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    return { code: error.parts.code, exit: error.exitCode, text: error.message };
  }
  throw new Error('nothing was refused');
}
