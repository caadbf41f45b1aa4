/** What a certificate allows: when it is valid, whether it is an authority's, what its key may be used for. No signature is checked here. */
import { DerError, derList, derOid, derOnly, derTime } from './der.ts';

export interface CertificateFields {
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Object identifier of the algorithm its issuer signed with; for RSA-PSS that of the hash behind it, where it names one. */
  readonly signatureAlgorithm: string;
  readonly authority: boolean;
  /** Authorities that may stand between it and the leaf; undefined for any number. */
  readonly pathLength?: number;
  /** Absent where the certificate does not restrict it. */
  readonly usage?: { readonly digitalSignature: boolean; readonly keyCertSign: boolean };
  /** Object identifiers of extended usages; absent where not restricted. */
  readonly extended?: readonly string[];
  /** Extensions that must be understood and are not. */
  readonly unknownCritical: readonly string[];
}

const SEQUENCE = 0x30;
const KEY_USAGE = '2.5.29.15';
const BASIC_CONSTRAINTS = '2.5.29.19';
const EXTENDED_USAGE = '2.5.29.37';
/** Names of subjects bind nothing here: trust is in the authority. */
const SUBJECT_NAMES = '2.5.29.17';
/** Certificates carry it for this reason only; the standard wants it critical, and not everyone who issues some knows. */
const NAME_CONSTRAINTS = '2.5.29.30';
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
const ANY_USAGE = '2.5.29.37.0';
const RSA_PSS = '1.2.840.113549.1.1.10';

/** Whether a key is for code, where its certificate restricts what it is for (RFC 5280 section 4.2.1.12). */
export const forCode = (extended: readonly string[]): boolean => extended.includes(CODE_SIGNING) || extended.includes(ANY_USAGE);

/**
 * The fields of a DER certificate (RFC 5280 section 4).
 * @throws DerError where it is malformed
 */
export function certificateFields(der: Uint8Array): CertificateFields {
  const outer = derList(derOnly(der, SEQUENCE));
  const body = derList(outer[0]?.value ?? new Uint8Array());
  // Version is [0] and comes first; a certificate without it is version 1, which has no extensions and so can be no authority's.
  const at = body[0]?.tag === 0xa0 ? 1 : 0;
  const validity = derList(body[at + 3]?.value ?? new Uint8Array());
  if (validity.length !== 2 || outer.length !== 3) throw new DerError('not a certificate');
  const extensions = body.slice(at + 6).find((element) => element.tag === 0xa3);
  return {
    notBefore: derTime(validity[0]),
    notAfter: derTime(validity[1]),
    signatureAlgorithm: algorithmOf(outer[1].value),
    ...readExtensions(extensions === undefined ? new Uint8Array() : derOnly(extensions.value, SEQUENCE)),
  };
}

function algorithmOf(bytes: Uint8Array): string {
  const [id, parameters] = derList(bytes);
  if (id?.tag !== 6) throw new DerError('no algorithm of signature');
  const oid = derOid(id.value);
  if (oid !== RSA_PSS) return oid;
  // RFC 4055 section 3.1: without the first parameter the hash is SHA-1.
  const hash = derList(parameters?.value ?? new Uint8Array()).find(({ tag }) => tag === 0xa0);
  const named = hash && derList(derOnly(hash.value, SEQUENCE))[0];
  return named === undefined ? oid : `${oid} ${derOid(named.value)}`;
}

type Extensions = Omit<CertificateFields, 'notBefore' | 'notAfter' | 'signatureAlgorithm'>;
type Writable<T> = { -readonly [K in keyof T]: T[K] };

function readExtensions(bytes: Uint8Array): Extensions {
  const found: Writable<Extensions> = { authority: false, unknownCritical: [] };
  const unknown: string[] = [];
  const seen = new Set<string>();
  for (const extension of derList(bytes)) {
    const [id, ...others] = derList(extension.value);
    const oid = derOid(id?.value ?? new Uint8Array());
    if (seen.has(oid)) throw new DerError(`the extension ${oid} twice`);
    seen.add(oid);
    const critical = others.length === 2 && others[0].value[0] !== 0;
    const content = others.at(-1)?.value ?? new Uint8Array();
    if (oid === BASIC_CONSTRAINTS) {
      const parts = derList(derOnly(content, SEQUENCE));
      found.authority = parts[0]?.tag === 1 && parts[0].value[0] !== 0;
      const limit = parts.find((part) => part.tag === 2)?.value;
      if (limit !== undefined) {
        if (limit.length === 0 || limit.length > 4 || limit[0] > 127) throw new DerError('a path length that cannot be read');
        found.pathLength = limit.reduce((sum, byte) => sum * 256 + byte, 0);
      }
    } else if (oid === KEY_USAGE) {
      // Bits from the left: digitalSignature is bit 0, keyCertSign bit 5; the first byte counts unused bits at the end.
      const bits = derOnly(content, 3)[1] ?? 0;
      found.usage = { digitalSignature: (bits & 0x80) !== 0, keyCertSign: (bits & 0x04) !== 0 };
    } else if (oid === EXTENDED_USAGE) {
      found.extended = derList(derOnly(content, SEQUENCE)).map((part) => derOid(part.value));
    } else if ((critical && oid !== SUBJECT_NAMES) || oid === NAME_CONSTRAINTS) unknown.push(oid);
  }
  found.unknownCritical = unknown;
  return found;
}

/** Content of an extension as it stands in the certificate; undefined where there is none. Throws DerError where it is malformed. */
export function extensionOf(der: Uint8Array, wanted: string): Uint8Array | undefined {
  const body = derList(derList(derOnly(der, SEQUENCE))[0]?.value ?? new Uint8Array());
  const extensions = body.find((element) => element.tag === 0xa3);
  for (const extension of extensions === undefined ? [] : derList(derOnly(extensions.value, SEQUENCE))) {
    const [id, ...others] = derList(extension.value);
    if (id !== undefined && derOid(id.value) === wanted) return others.at(-1)?.value;
  }
  return undefined;
}

const FULCIO_ISSUER = '1.3.6.1.4.1.57264.1.8';
const FULCIO_ISSUER_OLD = '1.3.6.1.4.1.57264.1.1';

/** Who, according to a Fulcio certificate, vouched for its identity (Fulcio's OID list); undefined where it does not say. */
export function fulcioIssuer(der: Uint8Array): string | undefined {
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const issuer = extensionOf(der, FULCIO_ISSUER);
  if (issuer !== undefined) return text(derOnly(issuer, 0x0c));
  const old = extensionOf(der, FULCIO_ISSUER_OLD);
  return old === undefined ? undefined : text(old);
}
