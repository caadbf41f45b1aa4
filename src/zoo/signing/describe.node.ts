/** What a bundle says, in all its parts, without believing any of it. */
import { X509Certificate } from 'node:crypto';
import { SecateurError } from '../../core/errors.ts';
import { type JsonNode, parseJsonBytes } from '../strict-json.ts';
import type { SigningMethod } from '../types.ts';
import { type ParsedBundle, parseBundle } from './bundle.ts';
import { certificateFields, fulcioIssuer } from './certificate-fields.ts';
import { distinguished, fingerprint } from './certificates.node.ts';
import { ignoreEntry } from './names.ts';
import { parseStatement } from './statement.ts';
import { READING, Steps } from './steps.ts';
import { GIT_PATHS, LEGACY_PREDICATE_TYPE, type ModelStatement, PREDICATE_TYPE } from './types.ts';
import { hintOfPem } from './verify-envelope.node.ts';

export interface CertificateClaim {
  readonly subject: string;
  readonly issuer: string;
  readonly fingerprint: string;
  /** Days, `2025-05-02`. */
  readonly from: string;
  readonly to: string;
  /** Who the certificate is for and who vouched for that, where it was issued to an identity. */
  readonly identity?: string;
  readonly identityIssuer?: string;
}

export interface BundleDescription {
  readonly method: SigningMethod;
  /** `sha256:...`: the key that the bundle names. */
  readonly key?: string;
  /** Leaf first. */
  readonly certificates: readonly CertificateClaim[];
  readonly logEntries: number;
  readonly timestamps: number;
  /** Bytes. */
  readonly payloadSize: number;
  readonly predicateType: string;
  readonly subjects: readonly { readonly name: string; readonly sha256?: string }[];
  /** Present where it is about the files of a model and holds together. */
  readonly statement?: ModelStatement;
  /** Why every verifier of ours refuses it, whoever signed; undefined where nothing is in the way. */
  readonly refusal?: string;
  /** Paths that the signer chose to leave out: whatever lies there is not covered. */
  readonly leftOut: readonly string[];
  /** Those of Git that it left out too, as all implementations do. */
  readonly leftOutGit: readonly string[];
  /** Written by model-signing before 1.1. */
  readonly legacy: boolean;
}

/**
 * Takes a bundle apart. Nothing is verified: everything in the answer is what the bundle says of itself.
 * @throws SecateurError with an `E_SIG_...` code where it is no bundle at all
 */
export function describeBundle(bytes: Uint8Array, where = 'signature'): BundleDescription {
  const steps = new Steps(where);
  const bundle = parseBundle(bytes, steps);
  const open = steps.reading('E_SIG_PAYLOAD', () => readOpen(bundle, where));
  const about = open.predicateType === PREDICATE_TYPE || open.predicateType === LEGACY_PREDICATE_TYPE;
  const { statement, refusal } = about ? tryStatement(bundle, steps) : {};
  const recorded = statement?.ignorePaths ?? [];
  const isGit = (path: string): boolean => (GIT_PATHS as readonly string[]).includes(ignoreEntry(path) ?? '');
  const { hint, pem } = bundle.key ?? {};
  const key = hint !== undefined ? (/^[0-9a-f]{64}$/.test(hint) ? `sha256:${hint}` : hint) : pem === undefined ? undefined : namedBy(pem);
  return {
    method: bundle.method,
    key,
    certificates: bundle.certificates.map(claimOf),
    logEntries: bundle.logEntries,
    timestamps: bundle.timestamps,
    payloadSize: bundle.payload.length,
    ...open,
    statement,
    refusal,
    leftOut: recorded.filter((path) => !isGit(path)),
    leftOutGit: recorded.filter(isGit),
    legacy: open.predicateType === LEGACY_PREDICATE_TYPE || (pem !== undefined && hint === undefined),
  };
}

function namedBy(pem: string): string {
  const hint = hintOfPem(pem);
  return hint === undefined ? 'a key that cannot be read' : `sha256:${hint}`;
}

function readOpen(bundle: ParsedBundle, where: string): Pick<BundleDescription, 'predicateType' | 'subjects'> {
  const root = parseJsonBytes(bundle.payload, `${where} (payload)`, { code: READING, maxValues: 2_000_000, exitCode: 3 });
  const subjectOf = (node: JsonNode): { name: string; sha256?: string } => {
    const sha256 = node.optional('digest')?.optional('sha256')?.string();
    return { name: node.optional('name')?.string() ?? '', ...(sha256 !== undefined && { sha256 }) };
  };
  const subjects = root.optional('subject')?.array({ max: 1_000_000 }) ?? [];
  return { predicateType: root.field('predicateType').string(), subjects: subjects.map(subjectOf) };
}

function tryStatement(bundle: ParsedBundle, steps: Steps): Pick<BundleDescription, 'statement' | 'refusal'> {
  try {
    return { statement: parseStatement(bundle.payload, steps, true) };
  } catch (error) {
    if (error instanceof SecateurError) return { refusal: error.message };
    throw error;
  }
}

function claimOf(der: Uint8Array): CertificateClaim {
  try {
    const x509 = new X509Certificate(der);
    const { notBefore, notAfter } = certificateFields(der);
    const identityIssuer = fulcioIssuer(der);
    const identity = identityIssuer === undefined ? undefined : x509.subjectAltName?.replace(/^(email|URI):/, '');
    return {
      subject: distinguished(x509.subject),
      issuer: distinguished(x509.issuer),
      fingerprint: fingerprint(x509),
      from: notBefore.toISOString().slice(0, 10),
      to: notAfter.toISOString().slice(0, 10),
      ...(identity !== undefined && { identity, identityIssuer }),
    };
  } catch {
    // The certificate is a stranger's: that it cannot be read is what there is to say about it.
    return { subject: 'cannot be read', issuer: '', fingerprint: '', from: '', to: '' };
  }
}
