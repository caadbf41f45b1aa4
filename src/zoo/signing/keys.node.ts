/** Keys that may sign models: ECDSA over P-256, P-384 or P-521, each with its own hash. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { fail } from '../../core/errors.ts';
import type { Sha256 } from '../types.ts';

/** By Node's name of the curve (OMS v1.0 section 8.1; facts 2.3). */
const HASHES: Readonly<Record<string, { curve: string; hash: 'sha256' | 'sha384' | 'sha512' }>> = {
  prime256v1: { curve: 'P-256', hash: 'sha256' },
  secp384r1: { curve: 'P-384', hash: 'sha384' },
  secp521r1: { curve: 'P-521', hash: 'sha512' },
};

/** `P-384`, and the hash that is signed with it; undefined for all other kinds of keys. */
export function curveOf(key: KeyObject): { readonly curve: string; readonly hash: 'sha256' | 'sha384' | 'sha512' } | undefined {
  return key.asymmetricKeyType === 'ec' ? HASHES[key.asymmetricKeyDetails?.namedCurve ?? ''] : undefined;
}

/** `RSA`, `Ed25519`, `EC secp256k1`, for messages. */
export function kindOf(key: KeyObject): string {
  const type = key.asymmetricKeyType ?? key.type;
  return type === 'ec' ? `EC ${key.asymmetricKeyDetails?.namedCurve}` : type.toUpperCase();
}

/**
 * A public key from PEM text (SPKI; what stands around it, such as certtool's notes, is skipped).
 * @param where the option or file, as the user knows it
 * @throws SecateurError `E_SIG_KEY`, exit code 2, where it is a private key, a certificate, no key at all or of another kind
 */
export function readPublicKey(pem: string, where: string): KeyObject {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    const hint = 'openssl pkey -in KEY -pubout, and keep the private key to yourself';
    fail({ code: 'E_SIG_KEY', where, what: 'a private key', expected: 'the public key', hint, exitCode: 2 });
  }
  if (pem.includes('-----BEGIN CERTIFICATE-----')) {
    const hint = '--authority with the certificate of the authority that issued it';
    fail({ code: 'E_SIG_KEY', where, what: 'a certificate', expected: 'a public key', hint, exitCode: 2 });
  }
  return usable(where, 'PUBLIC', () => createPublicKey(pem));
}

/**
 * A private key from PEM text (PKCS#8 or SEC 1), with the passphrase where it is encrypted.
 * @throws SecateurError `E_SIG_KEY`, exit code 2
 */
export function readPrivateKey(pem: string, where: string, passphrase?: string): KeyObject {
  if (/-----BEGIN (ENCRYPTED PRIVATE KEY|[A-Z ]*PRIVATE KEY-----\s+Proc-Type: 4,ENCRYPTED)/.test(pem) && passphrase === undefined) {
    const hint = 'SECATEUR_KEY_PASSPHRASE=... in the environment';
    fail({ code: 'E_SIG_KEY', where, what: 'the private key is encrypted', expected: 'a passphrase', got: 'none', hint, exitCode: 2 });
  }
  return usable(where, 'PRIVATE', () => createPrivateKey({ key: pem, passphrase }));
}

function usable(where: string, kind: 'PUBLIC' | 'PRIVATE', read: () => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch (cause) {
    const expected = `PEM text with -----BEGIN ${kind === 'PUBLIC' ? 'PUBLIC' : 'PRIVATE'} KEY-----`;
    const got = /decrypt/i.test(String(cause)) ? 'a key that this passphrase does not open' : 'something else';
    return fail({ code: 'E_SIG_KEY', where, what: `no ${kind.toLowerCase()} key can be read`, expected, got, exitCode: 2, cause });
  }
  if (curveOf(key) !== undefined) return key;
  const hint = 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 for a new key';
  return fail({
    code: 'E_SIG_KEY',
    where,
    what: 'model signatures are not made with this kind of key',
    expected: 'EC P-256, P-384 or P-521',
    got: kindOf(key),
    hint,
    exitCode: 2,
  });
}

/** PEM text of the SubjectPublicKeyInfo as OpenSSL writes it, line end at the end. */
export const publicPem = (key: KeyObject): string =>
  (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'pem' }).toString();

/**
 * How bundles name a key: SHA-256 (hex) over the PEM TEXT of its SPKI, not over the DER and not over the file it came in (facts 2.2).
 */
export const keyHint = (key: KeyObject): string => createHash('sha256').update(publicPem(key)).digest('hex');

/** The hint as the lock writes a signer. */
export const keySigner = (key: KeyObject): Sha256 => `sha256:${keyHint(key)}`;

/** ASN.1 DER signature over `message` with the hash that belongs to the curve. Two calls give two signatures: ECDSA is randomised. */
export function signBytes(message: Uint8Array, key: KeyObject): Uint8Array {
  return sign(curveOf(key)!.hash, message, { key, dsaEncoding: 'der' });
}

/** Whether `signature` (DER) over `message` is by `key`; with `hash` for another than the curve's own. */
export function verifyBytes(message: Uint8Array, signature: Uint8Array, key: KeyObject, hash = curveOf(key)!.hash): boolean {
  try {
    return verify(hash, message, { key, dsaEncoding: 'der' }, signature);
  } catch {
    // Node throws for some malformed DER, OpenSSL says no to other: it is the same to us.
    return false;
  }
}
