/** What signing and checking hand each other: OpenSSF Model Signing (OMS) v1.0 over DSSE over in-toto, in a Sigstore bundle. */
import type { Sha256, SigningMethod } from '../types.ts';

/** Written, and the only one that is read: the reference implementation's key and certificate verifiers want it to the letter. */
export const BUNDLE_MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PREDICATE_TYPE = 'https://model_signing/signature/v1.0';
/** What model-signing 0.2.0 wrote; read only where legacy forms are allowed. */
export const LEGACY_PREDICATE_TYPE = 'https://model_signing/Digests/v0.1';

/** Left out at the root of every model by all implementations, unless they are told not to. */
export const GIT_PATHS = ['.git', '.gitattributes', '.github', '.gitignore'] as const;

/** Hashes that OMS names. `blake2b` is BLAKE2b-512; `blake3` has 256 bits. */
export const RESOURCE_HASHES = ['sha256', 'blake2b', 'blake3'] as const;
export type ResourceHash = (typeof RESOURCE_HASHES)[number];

/** Whom the user trusts to have signed. Always from the user or the policy, never from the bundle. */
export type SigningTrust =
  | { readonly method: 'key'; readonly publicKey: string }
  | { readonly method: 'certificate'; readonly authorities: readonly string[] }
  | { readonly method: 'sigstore'; readonly identity: string; readonly issuer: string; readonly trustedRoot?: string };

export interface Verification {
  readonly method: SigningMethod;
  /** As in the lock: the key's hint `sha256:...`, the leaf's fingerprint `sha256:...`, or `identity (issuer)`. */
  readonly signer: string;
  /** Root digest of the signed files. It does not bind names: two models with the same root can differ in file names. */
  readonly root: Sha256;
  /** Signed files. */
  readonly files: number;
  /** Entries of the statement: as many as files, or more where byte ranges are listed. */
  readonly resources: number;
  /** Paths that the SIGNER chose to leave out and at which something lies here, which is not covered then. */
  readonly ignored: readonly string[];
  /** Files that are there and not signed; only where the caller allowed such. */
  readonly extra: readonly string[];
  /** Files that were given and that nobody signed, whatever the reason, except the signature itself and what the user left out. */
  readonly uncovered: readonly string[];
  /** Signed files that were not given; only where the caller asked about a subset. */
  readonly notInstalled: readonly string[];
  /** One sentence each, without full stop. */
  readonly warnings: readonly string[];
}

export interface VerifyOptions {
  /** How the bundle is called in messages; default `signature`. */
  readonly where?: string;
  /** Paths relative to the model's root that the USER leaves out; each covers what lies below it. */
  readonly ignore?: readonly string[];
  /** Files that are not signed are listed instead of refused; changed and missing ones still fail. */
  readonly ignoreUnsigned?: boolean;
  /**
   * Globs of the parts of a model that were installed: signed files that fit none are listed where they are not there; all others must be,
   * and at least one.
   */
  readonly subset?: readonly string[];
  /** Bundles of model-signing 0.2.0 to 1.0.1: other predicate, other PAE, key in full, keyid null, no list of what was left out. */
  readonly legacy?: boolean;
  /** The time at which certificates must be valid; default now. */
  readonly now?: Date;
}

/** One entry of the statement's list. */
export interface Resource {
  readonly name: string;
  /** Lower-case hex. */
  readonly digest: string;
  readonly algorithm: ResourceHash;
  /** Where the entry stands for a range of bytes (`shards`): end exclusive. */
  readonly range?: { readonly path: string; readonly start: number; readonly end: number };
}

/** The payload after its checks. */
export interface ModelStatement {
  /** Which predicate: v1.0, or the legacy Digests/v0.1. */
  readonly version: '1.0' | '0.1';
  readonly subjectName: string;
  readonly root: Sha256;
  readonly hash: ResourceHash;
  readonly method: 'files' | 'shards';
  /** Bytes; for `shards` only. */
  readonly shardSize?: number;
  readonly allowSymlinks: boolean;
  readonly resources: readonly Resource[];
  /** As recorded; undefined where the bundle is older than such records. */
  readonly ignorePaths?: readonly string[];
  readonly warnings: readonly string[];
}
