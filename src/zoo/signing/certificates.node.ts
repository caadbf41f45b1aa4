/** Is the leaf of a chain of certificates one that an authority of the user's stands for? */
import { X509Certificate } from 'node:crypto';
import { fail } from '../../core/errors.ts';
import type { Sha256 } from '../types.ts';
import { type CertificateFields, certificateFields, forCode } from './certificate-fields.ts';
import { curveOf, kindOf } from './keys.node.ts';
import type { Steps } from './steps.ts';

interface Certificate {
  readonly x509: X509Certificate;
  readonly fields: CertificateFields;
}

/** Certificates in a path, the leaf and the authority included. */
const LONGEST_PATH = 8;
/** Signatures of certificates that are checked before giving up. */
const MOST_CHECKS = 64;
/** RSA, RSA-PSS and ECDSA with SHA-256, SHA-384, SHA-512, and EdDSA. What else there is can be forged, or is not known here to be sound. */
const SOUND = new Set([
  ...['1.2.840.113549.1.1.11', '1.2.840.113549.1.1.12', '1.2.840.113549.1.1.13'],
  ...['1', '2', '3'].map((hash) => `1.2.840.113549.1.1.10 2.16.840.1.101.3.4.2.${hash}`),
  ...['1.2.840.10045.4.3.2', '1.2.840.10045.4.3.3', '1.2.840.10045.4.3.4'],
  ...['1.3.101.112', '1.3.101.113'],
]);
/** Curves of authorities, in Node's names; shorter ones can be broken. */
const CURVES = /^(prime256v1|secp256k1|secp384r1|secp521r1|brainpoolP(256|320|384|512)[rt]1)$/;
const LEAST_RSA = 2048;

/** `sha256:` fingerprint of the certificate's DER, as the lock writes a signer. */
export const fingerprint = (certificate: X509Certificate): Sha256 =>
  `sha256:${certificate.fingerprint256.replaceAll(':', '').toLowerCase()}`;

/** A subject or issuer in one line; empty where there is none, for which Node has undefined in spite of its types. */
export const distinguished = (name: string | undefined): string => (name ?? '').replaceAll('\n', ', ');

/** `CN=release 2026 (sha256:ab12...)` */
export const nameOf = (certificate: X509Certificate): string =>
  `${distinguished(certificate.subject) || 'a certificate without a name'} (${fingerprint(certificate).slice(0, 19)}...)`;

/**
 * Authorities from PEM texts, each of which may hold several certificates.
 * @param where how a text is called in messages, by index
 * @throws SecateurError `E_SIG_AUTHORITY`, exit code 2, where a text holds no certificate, or one that is no authority's
 */
export function readAuthorities(texts: readonly string[], where: (index: number) => string): X509Certificate[] {
  return texts.flatMap((text, i) => readPemChain(text, where(i)).map((certificate) => authority(certificate, where(i))));
}

function authority(x509: X509Certificate, where: string): X509Certificate {
  if (fieldsOf(x509)?.authority) return x509;
  const hint = '--key with the public key, if you trust this one certificate only';
  const what = 'not the certificate of an authority';
  return fail({ code: 'E_SIG_AUTHORITY', where, what, expected: 'CA:TRUE', got: nameOf(x509), hint, exitCode: 2 });
}

/** All certificates of a PEM text, in its order; `E_SIG_AUTHORITY` (exit code 2) where there is none or one cannot be read. */
export function readPemChain(text: string, where: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
  const expected = 'PEM text with -----BEGIN CERTIFICATE-----';
  if (blocks.length === 0) {
    return fail({ code: 'E_SIG_AUTHORITY', where, what: 'no certificate can be read', expected, got: 'something else', exitCode: 2 });
  }
  return blocks.map((block, i) => {
    const x509 = parse(block);
    if (x509 !== undefined && fieldsOf(x509) !== undefined) return x509;
    const what = `certificate ${i + 1} cannot be read`;
    return fail({ code: 'E_SIG_AUTHORITY', where, what, expected: 'X.509 version 3', got: 'something else', exitCode: 2 });
  });
}

function parse(source: string | Uint8Array): X509Certificate | undefined {
  try {
    const x509 = new X509Certificate(source);
    // Node reads the key only when it is asked for, and throws then.
    return x509.publicKey === undefined ? undefined : x509;
  } catch {
    return undefined;
  }
}

function fieldsOf(x509: X509Certificate): CertificateFields | undefined {
  try {
    return certificateFields(x509.raw);
  } catch {
    return undefined;
  }
}

/**
 * The leaf, once a path from it to one of the authorities holds: each certificate is signed by the next, all but the leaf are authorities
 * that may sign certificates (for code, where that is restricted), path lengths are kept, nothing critical is left unread, every one is valid at `now`, and the leaf's key is one
 * of those that may sign models and is meant for signatures or code.
 * Source: RFC 5280 section 6 (without names and policies, which bind nothing here); OMS v1.0 section 8.2, read as "valid now".
 * @param chain DER, leaf first, as in the bundle
 * @throws SecateurError `E_SIG_CERTIFICATE`, `E_SIG_USAGE`, `E_SIG_CHAIN`, `E_SIG_EXPIRED`
 */
export function verifyChain(
  chain: readonly Uint8Array[],
  authorities: readonly X509Certificate[],
  now: Date,
  steps: Steps,
): X509Certificate {
  const read = chain.map((der, i): Certificate => {
    const x509 = parse(der);
    const fields = x509 === undefined ? undefined : fieldsOf(x509);
    if (x509 !== undefined && fields !== undefined && x509.raw.length === der.length) return { x509, fields };
    const what = `certificate ${i + 1} of the chain cannot be read`;
    return steps.refuse({ code: 'E_SIG_CERTIFICATE', what, expected: 'one X.509 certificate', got: `${der.length} other bytes` });
  });
  checkLeaf(read[0], steps);
  const anchors = authorities.map((x509): Certificate => ({ x509, fields: certificateFields(x509.raw) }));
  const search = { anchors, others: read.slice(1), checks: 0, reasons: new Set<string>(), found: [] as Certificate[][] };
  extend([read[0]], search);
  if (search.found.length === 0) {
    const why = search.reasons.size === 0 ? '' : `: ${[...search.reasons].join('; ')}`;
    steps.refuse({
      code: 'E_SIG_CHAIN',
      what: `no path leads from the signing certificate to an authority of yours${why}`,
      expected: anchors.map(({ x509 }) => nameOf(x509)).join(' or '),
      got: `${nameOf(read[0].x509)}, issued by ${distinguished(read[0].x509.issuer) || 'nobody'}`,
    });
  }
  const late = search.found.map((path) => path.find(({ fields }) => !(fields.notBefore <= now && now <= fields.notAfter)));
  if (!late.includes(undefined)) {
    const { x509, fields } = late[0]!;
    const day = (date: Date): string => date.toISOString().slice(0, 10);
    steps.refuse({
      code: 'E_SIG_EXPIRED',
      what: `a certificate of the chain is not valid ${now < fields.notBefore ? 'yet' : 'any more'}: ${nameOf(x509)}`,
      expected: `${day(fields.notBefore)} to ${day(fields.notAfter)}`,
      got: day(now),
      hint: 'to ask whoever signed for a new signature; nothing in this one proves when it was made',
    });
  }
  return read[0].x509;
}

function checkLeaf({ x509, fields }: Certificate, steps: Steps): void {
  const problem = leafProblem(x509);
  if (problem !== undefined) steps.refuse({ code: 'E_SIG_USAGE', ...problem });
  unread({ x509, fields }, (reason) => steps.refuse({ code: 'E_SIG_CERTIFICATE', what: reason }));
}

/** Why models are not signed with this certificate: its kind of key, or what it is meant for. Undefined where nothing is in the way. */
export function leafProblem(x509: X509Certificate): { what: string; expected: string; got: string } | undefined {
  if (curveOf(x509.publicKey) === undefined) {
    const what = 'the signing certificate has a key that model signatures are not made with';
    return { what, expected: 'EC P-256, P-384 or P-521', got: kindOf(x509.publicKey) };
  }
  const { usage, extended } = certificateFields(x509.raw);
  // OMS takes either of the two; RFC 5280 lets nobody use a key for more than its extended usages, where there are some.
  const restricted = extended !== undefined && !forCode(extended);
  if (!restricted && (usage?.digitalSignature === true || extended !== undefined)) return undefined;
  const what = `the signing certificate is not meant for signatures: ${nameOf(x509)}`;
  const got = restricted ? `extended usages ${extended.join(', ') || 'none'}` : 'neither';
  return { what, expected: 'usage Digital Signature or Code Signing', got };
}

interface Search {
  readonly anchors: readonly Certificate[];
  readonly others: readonly Certificate[];
  checks: number;
  readonly reasons: Set<string>;
  readonly found: Certificate[][];
}

/** Depth first over all issuers that fit; bounded, because a stranger chooses the certificates. */
function extend(path: readonly Certificate[], search: Search): void {
  if (path.length >= LONGEST_PATH) return;
  const child = path[path.length - 1];
  for (const issuer of [...search.anchors, ...search.others]) {
    if (path.some((p) => p.x509.raw.equals(issuer.x509.raw)) || child.x509.issuer !== issuer.x509.subject) continue;
    if (++search.checks > MOST_CHECKS) return;
    const reason = whyNot(child, issuer, path.length - 1);
    if (reason !== undefined) search.reasons.add(reason);
    else if (search.anchors.includes(issuer)) search.found.push([...path, issuer]);
    else extend([...path, issuer], search);
  }
}

/** Why `issuer` cannot stand behind `child`, with `below` authorities between it and the leaf. */
function whyNot(child: Certificate, issuer: Certificate, below: number): string | undefined {
  const { x509, fields } = issuer;
  const name = nameOf(x509);
  if (!fields.authority) return `${name} is no authority`;
  if (fields.usage?.keyCertSign === false) return `${name} may not sign certificates`;
  if (fields.pathLength !== undefined && below > fields.pathLength)
    return `${name} allows ${fields.pathLength} authorities below it, not ${below}`;
  if (fields.extended !== undefined && !forCode(fields.extended)) return `${name} may not sign certificates for code`;
  const { signatureAlgorithm } = child.fields;
  if (!SOUND.has(signatureAlgorithm)) return `${nameOf(child.x509)} is signed with MD5, SHA-1 or something unknown (${signatureAlgorithm})`;
  const { modulusLength: bits, namedCurve } = x509.publicKey.asymmetricKeyDetails ?? {};
  if (x509.publicKey.asymmetricKeyType === 'ec' && !CURVES.test(namedCurve ?? '')) {
    return `${name} has a key on the curve ${namedCurve ?? 'of its own'}, which is too short or unknown`;
  }
  if (bits !== undefined && bits < LEAST_RSA) return `${name} has an RSA key of ${bits} bits, fewer than ${LEAST_RSA}`;
  let odd: string | undefined;
  unread(issuer, (reason) => {
    odd = reason;
  });
  if (odd !== undefined) return odd;
  // The first compares key identifiers too, so that of two authorities of one name the right one is found.
  return child.x509.checkIssued(x509) && child.x509.verify(x509.publicKey)
    ? undefined
    : `${nameOf(child.x509)} names ${name} as its issuer, which has not signed it`;
}

function unread({ x509, fields }: Certificate, say: (reason: string) => void): void {
  const [oid] = fields.unknownCritical;
  if (oid !== undefined) say(`${nameOf(x509)} has a critical extension that is not understood (${oid})`);
}
