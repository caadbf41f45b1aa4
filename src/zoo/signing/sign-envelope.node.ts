/** Signs an in-toto payload and puts it into a bundle that every OMS verifier reads. */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { fail } from '../../core/errors.ts';
import { toBase64 } from '../../data/base64.ts';
import type { SigningMethod } from '../types.ts';
import { certificateFields } from './certificate-fields.ts';
import { distinguished, fingerprint, leafProblem, nameOf, readPemChain } from './certificates.node.ts';
import { keyHint, keySigner, publicPem, readPrivateKey, signBytes } from './keys.node.ts';
import { pae } from './pae.ts';
import { BUNDLE_MEDIA_TYPE, PAYLOAD_TYPE } from './types.ts';

export interface SigningKey {
  /** PEM of the private key (EC P-256, P-384 or P-521). */
  readonly key: string;
  /** PEM of the certificate of that key and, in order, of those that issued it; the authority itself may be left out. */
  readonly certificates?: string;
  /** Of an encrypted key. */
  readonly passphrase?: string;
  /** Time at which the certificates must be valid; default now. */
  readonly now?: Date;
}

export interface SignedEnvelope {
  /** JSON text with a line end. */
  readonly bundle: string;
  readonly method: Exclude<SigningMethod, 'sigstore'>;
  /** As in the lock. */
  readonly signer: string;
}

/**
 * A bundle over `payload`, in the form that Python's, Go's and our verifier take: exact media type, `tlogEntries` empty, `keyid` empty.
 * Two calls differ in the signature, which is randomised, and in nothing else.
 * Source: DSSE v1, Sigstore bundle v0.3, OMS v1.0 section 4; facts 2.2 and 2.5.
 * @throws SecateurError `E_SIG_KEY`, `E_SIG_AUTHORITY`, `E_SIG_KEY_PAIR`, `E_SIG_USAGE`, `E_SIG_EXPIRED`, all with exit code 2
 */
export function signEnvelope(payload: Uint8Array, o: SigningKey): SignedEnvelope {
  const key = readPrivateKey(o.key, 'private key', o.passphrase);
  const chain =
    o.certificates === undefined ? undefined : usableChain(readPemChain(o.certificates, 'certificates'), key, o.now ?? new Date());
  const material =
    chain === undefined
      ? { publicKey: { hint: keyHint(key) } }
      : { x509CertificateChain: { certificates: chain.map(({ raw }) => ({ rawBytes: raw.toString('base64') })) } };
  const sig = signBytes(pae(PAYLOAD_TYPE, payload), key);
  const bundle = {
    mediaType: BUNDLE_MEDIA_TYPE,
    verificationMaterial: { ...material, tlogEntries: [] },
    dsseEnvelope: { payload: toBase64(payload), payloadType: PAYLOAD_TYPE, signatures: [{ sig: toBase64(sig), keyid: '' }] },
  };
  return {
    bundle: `${JSON.stringify(bundle)}\n`,
    method: chain === undefined ? 'key' : 'certificate',
    signer: chain === undefined ? keySigner(key) : fingerprint(chain[0]),
  };
}

/** Refuses to sign with a chain that no verifier would take: better here than at every user's. */
function usableChain(chain: X509Certificate[], key: KeyObject, now: Date): X509Certificate[] {
  const where = 'certificates';
  const [leaf] = chain;
  if (publicPem(key) !== leaf.publicKey.export({ type: 'spki', format: 'pem' }).toString()) {
    const hint = 'the certificate of this key first, then the one that issued it';
    const what = 'the first certificate is not for the private key';
    fail({ code: 'E_SIG_KEY_PAIR', where, what, expected: keySigner(key), got: nameOf(leaf), hint, exitCode: 2 });
  }
  const problem = leafProblem(leaf);
  if (problem !== undefined) fail({ code: 'E_SIG_USAGE', where, ...problem, exitCode: 2 });
  for (const [i, certificate] of chain.entries()) {
    const { notBefore, notAfter } = certificateFields(certificate.raw);
    if (!(notBefore <= now && now <= notAfter)) {
      const expected = `${notBefore.toISOString()} to ${notAfter.toISOString()}`;
      const what = `${nameOf(certificate)} is not valid at this time`;
      fail({ code: 'E_SIG_EXPIRED', where, what, expected, got: now.toISOString(), exitCode: 2 });
    }
    const issuer = chain[i + 1];
    if (issuer !== undefined && !(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey))) {
      const what = `certificate ${i + 2} did not issue certificate ${i + 1}`;
      const hint = 'the certificates in order, each followed by the one that issued it';
      fail({
        code: 'E_SIG_KEY_PAIR',
        where,
        what,
        expected: distinguished(certificate.issuer),
        got: nameOf(issuer),
        hint,
        exitCode: 2,
      });
    }
  }
  return chain;
}
