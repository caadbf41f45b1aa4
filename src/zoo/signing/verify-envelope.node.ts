/** Who signed the bytes in a bundle: the one question before anything in them is read. */
import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';
import type { SigningMethod } from '../types.ts';
import { type ParsedBundle, parseBundle } from './bundle.ts';
import { fingerprint, nameOf, readAuthorities, verifyChain } from './certificates.node.ts';
import { curveOf, keyHint, keySigner, readPublicKey, verifyBytes } from './keys.node.ts';
import { legacyPae, pae } from './pae.ts';
import { verifyKeyless } from './sigstore.node.ts';
import { refuseLegacy } from './statement.ts';
import { Steps } from './steps.ts';
import type { SigningTrust } from './types.ts';

export interface Signed {
  readonly method: SigningMethod;
  /** As in `Verification.signer`. */
  readonly signer: string;
  readonly payloadType: string;
  readonly payload: Uint8Array;
  /** Sentences without full stop. */
  readonly warnings: readonly string[];
  readonly steps: Steps;
}

export interface EnvelopeOptions {
  /** How the bundle is called in messages; default `signature`. */
  readonly where?: string;
  readonly legacy?: boolean;
  /** Default now. */
  readonly now?: Date;
}

const METHOD_WORDS: Readonly<Record<SigningMethod, string>> = {
  key: 'a key (--key)',
  certificate: 'a certificate under an authority (--authority)',
  sigstore: 'an identity without a key (--identity and --issuer)',
};

/**
 * Checks that a bundle's payload is signed by someone the user trusts, whatever the payload is (a model's files, an attestation).
 * @throws SecateurError with an `E_SIG_...` code for each cause; exit code 3, or 2 where the user's key or authority cannot be used
 */
export function verifyEnvelope(bytes: Uint8Array, trust: SigningTrust, o: EnvelopeOptions = {}): Signed {
  const steps = new Steps(o.where ?? 'signature');
  const bundle = parseBundle(bytes, steps);
  if (bundle.method !== trust.method) {
    const [expected, got] = [METHOD_WORDS[trust.method], METHOD_WORDS[bundle.method]];
    const hint = 'zoo explain with this bundle to see what it says about its signer';
    steps.refuse({ code: 'E_SIG_METHOD', what: 'signed in another way than you ask for', expected, got, hint });
  }
  const { method, payloadType, payload } = bundle;
  const warnings: string[] = [];
  const done = (signer: string): Signed => ({ method, signer, payloadType, payload, warnings, steps });
  if (trust.method === 'sigstore') return done(verifyKeyless(bundle, trust, steps));
  if (bundle.logEntries + bundle.timestamps > 0) {
    warnings.push('it also holds entries of a transparency log or time stamps, which say nothing here and were not checked');
  }
  if (trust.method === 'key') {
    const key = readPublicKey(trust.publicKey, 'public key');
    warnings.push(...checkNamedKey(bundle, key, steps, o.legacy ?? false));
    verifySignature(bundle, key, `the key ${keySigner(key)}`, steps, o.legacy ?? false);
    return done(keySigner(key));
  }
  const authorities = readAuthorities(trust.authorities, (i) => (trust.authorities.length === 1 ? 'authority' : `authority ${i + 1}`));
  const leaf: X509Certificate = verifyChain(bundle.certificates, authorities, o.now ?? new Date(), steps);
  steps.done(`its certificates lead to an authority of yours`);
  verifySignature(bundle, leaf.publicKey, `the certificate ${nameOf(leaf)}`, steps, o.legacy ?? false);
  return done(fingerprint(leaf));
}

/** Compares what the bundle says about its key with the user's; the bundle's word never replaces the check of the signature. */
function checkNamedKey(bundle: ParsedBundle, key: KeyObject, steps: Steps, legacy: boolean): string[] {
  const { hint = '', pem } = bundle.key ?? {};
  const old = pem !== undefined && hint === '';
  if (old && !legacy) refuseLegacy(steps, 'the bundle carries the whole public key, as model-signing before 1.1 wrote it');
  if (pem !== undefined) {
    const own = hintOfPem(pem);
    if (own !== keyHint(key)) refuseOther(steps, key, own === undefined ? 'a key that cannot be read' : `sha256:${own}`);
  }
  if (old) return ['made by model-signing before 1.1: it carries the public key itself, which was compared with yours'];
  if (hint === '') return ['it does not say which key signed it; yours fits'];
  if (hint !== keyHint(key)) refuseOther(steps, key, /^[0-9a-f]{64}$/.test(hint) ? `sha256:${hint}` : JSON.stringify(hint));
  return [];
}

const refuseOther = (steps: Steps, key: KeyObject, got: string): never =>
  steps.refuse({ code: 'E_SIG_HINT', what: 'made with another key than yours, as it says itself', expected: keySigner(key), got });

/** Hint of a key that a bundle carries; undefined where it is none. */
export function hintOfPem(pem: string): string | undefined {
  try {
    return keyHint(createPublicKey(pem));
  } catch {
    return undefined;
  }
}

function verifySignature(bundle: ParsedBundle, key: KeyObject, who: string, steps: Steps, legacy: boolean): void {
  const { payloadType, payload, signature } = bundle;
  const message = pae(payloadType, payload);
  const { curve, hash } = curveOf(key)!;
  if (verifyBytes(message, signature, key)) {
    steps.done(`signed by ${who}`);
    return;
  }
  const old = (): boolean => verifyBytes(legacyPae(payloadType, payload), signature, key, 'sha256');
  if (legacy && old()) {
    steps.done(`signed by ${who} in the form of model-signing 0.2.0`);
    return;
  }
  for (const other of ['sha256', 'sha384', 'sha512'] as const) {
    if (other === hash || !verifyBytes(message, signature, key, other)) continue;
    const what = 'the key is right, but it signed with a hash that does not belong to its curve';
    steps.refuse({ code: 'E_SIG_CURVE', what, expected: `${hash} with ${curve}`, got: other });
  }
  if (old()) refuseLegacy(steps, 'signed in the form of model-signing 0.2.0');
  const what = `this signature over these bytes is not by ${who}`;
  steps.refuse({
    code: 'E_SIG_SIGNATURE',
    what,
    expected: `ECDSA ${curve} with ${hash}`,
    got: `${signature.length} bytes that do not fit`,
  });
}
