/** What the parts of the zoo hand each other: what is locked, what was found about a file, who vouches for it. */

/** `sha256:` and 64 lower-case hex digits. */
export type Sha256 = `sha256:${string}`;

/** Formats told apart by content. `other` is a file of text or pictures that nothing loads as a model (readme, labels, licence). */
export const FORMATS = [
  'onnx',
  'onnx-data',
  'safetensors',
  'npy',
  'npz',
  'pickle',
  'torch-zip',
  'torchscript',
  'keras-h5',
  'keras-zip',
  'hdf5',
  'saved-model',
  'gguf',
  'caffemodel',
  'prototxt',
  'other',
  'unknown',
] as const;
export type FormatKind = (typeof FORMATS)[number];

/** Best to worst. `flagged`: can be loaded with care; `refused`: loading it can run code or is malformed. */
export const VERDICTS = ['ok', 'flagged', 'refused'] as const;
export type LintVerdict = (typeof VERDICTS)[number];

export interface LintFinding {
  /** Stable name of the rule: `pickle-global`, `onnx-custom-domain`. */
  readonly rule: string;
  readonly verdict: Exclude<LintVerdict, 'ok'>;
  /** One sentence without full stop. */
  readonly says: string;
}

export interface LintReport {
  readonly kind: FormatKind;
  /** The worst of the findings'. */
  readonly verdict: LintVerdict;
  readonly findings: readonly LintFinding[];
}

/**
 * How far a model is vouched for, least first. `pinned-on-first-use`: nobody vouched for these bytes, they are only the same as at the first
 * download. `matched-published-claim`: they have a hash that somebody published, which nobody signed. `signed`: a key or identity that the
 * user named has signed them.
 */
export const INTEGRITIES = ['pinned-on-first-use', 'matched-published-claim', 'signed'] as const;
export type Integrity = (typeof INTEGRITIES)[number];

/** A hash that somebody says a file has. Never what is checked at install: that is the SHA-256 in the lock. */
export interface Claim {
  /** Who says so: `caffe-readme`, `hf-lfs-oid`, `hf-git-oid`, `user` (--sha256). */
  readonly from: string;
  readonly algorithm: ClaimAlgorithm;
  /** Lower-case hex. */
  readonly value: string;
}
/** `git-blob`: SHA-1 over `blob SIZE\0` and the content, as Git names files. */
export const CLAIM_ALGORITHMS = ['sha256', 'sha1', 'md5', 'git-blob'] as const;
export type ClaimAlgorithm = (typeof CLAIM_ALGORITHMS)[number];

export interface CheckedClaim extends Claim {
  /** False only where the user took the file in spite of it (--accept-claim-mismatch). */
  readonly matched: boolean;
}

export interface LockedFile {
  /** Relative to the model's folder, `/` between parts. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly digest: Sha256;
  /** Where the bytes come from, after resolving: an immutable address where the source has such. Absent for a path on this machine. */
  readonly url?: string;
  readonly claims: readonly CheckedClaim[];
  readonly format: FormatKind;
  readonly lint: LintVerdict;
}

/** Who signed, as it is written down in the lock; keys and bundles are committed beside it. */
export interface LockedSignature {
  readonly method: SigningMethod;
  /** Path of the bundle relative to the project: `models.sigs/resnet50.sig`. */
  readonly bundle: string;
  readonly bundleDigest: Sha256;
  /** The key's hint (`sha256:` of the PEM of its SPKI), the leaf's fingerprint, or `identity (issuer)`. */
  readonly signer: string;
}
export type SigningMethod = 'key' | 'certificate' | 'sigstore';

export interface LockedModel {
  /** Without revision, in the form of `sources/spec.ts`: `hf:owner/name`, `caffe:https://...`, `https://...`, `path:...`. */
  readonly source: string;
  /** Branch, tag or commit that was asked for; absent where the source has none. */
  readonly requested?: string;
  /** `commit:<40 hex>` where the source is versioned; `unversioned` where the same address can give other bytes tomorrow. */
  readonly resolved: string;
  /** Globs that models.json had when this was locked; absent: all files. */
  readonly include?: readonly string[];
  /** In order of path (code points). */
  readonly files: readonly LockedFile[];
  /** SHA-256 over lines `<64 hex>  path\n` in order of path, as sha256sum prints them: binds names, which the OMS root does not. */
  readonly treeDigest: Sha256;
  /** The subject digest that an OMS signature over the same files has. */
  readonly omsRoot: Sha256;
  readonly integrity: Integrity;
  readonly signature?: LockedSignature;
  /** Version of the lint rules that gave the verdicts. */
  readonly lintRules: string;
}

/** models.lock. */
export interface Lock {
  readonly lockfileVersion: 1;
  /** By model name, in order of name (code points). */
  readonly models: ReadonlyMap<string, LockedModel>;
}

/** models.json, which people write. */
export interface Manifest {
  /** Where models are put, relative to the project; default `models`. */
  readonly folder: string;
  readonly models: ReadonlyMap<string, WantedModel>;
  readonly policy: readonly PolicyRule[];
}

export interface WantedModel {
  /** As typed after `zoo add`: `hf:onnx-community/resnet-50@main`. */
  readonly source: string;
  /** Globs over paths of the source (`*` within a part, `**` across parts); absent: all. */
  readonly include?: readonly string[];
  /** Address or path of an OMS bundle, where it is not a file of the source. */
  readonly signature?: string;
}

/** What a model must satisfy. All rules whose glob matches its name hold at once. */
export interface PolicyRule {
  /** `*` within a part of a name, `**` across parts. */
  readonly match: string;
  /** The least that is wanted: in the lock, a published hash that matched, or a signature by one of the signers below. */
  readonly require: 'lock' | 'claim' | 'signature';
  /** Public keys (PEM) that may sign, paths relative to the project. */
  readonly keys?: readonly string[];
  /** Certificate authorities (PEM) under which a signing certificate must stand. */
  readonly authorities?: readonly string[];
  readonly identities?: readonly SigstoreIdentity[];
  /** Formats that model files may have; `other` (texts, pictures) needs no permission. */
  readonly formats?: readonly FormatKind[];
  /** The worst lint verdict that is taken; default flagged. */
  readonly lint?: LintVerdict;
  /** warn: say it and go on; default enforce. */
  readonly mode?: 'enforce' | 'warn';
}

/** Who may sign without a key of their own; both are compared as whole strings, never as patterns. */
export interface SigstoreIdentity {
  readonly identity: string;
  readonly issuer: string;
  /** trusted_root.json of a private instance, relative to the project; default: the public-good root that ships with the package. */
  readonly trustedRoot?: string;
}

/** A file that a source offers, before it is fetched. */
export interface SourceFile {
  readonly path: string;
  /** Bytes, where the source says. */
  readonly size?: number;
  /** `https:`, `http:` or `file:`. */
  readonly url: string;
  readonly claims: readonly Claim[];
}

/** What a source is at this moment. */
export interface ResolvedSource {
  readonly source: string;
  readonly requested?: string;
  readonly resolved: string;
  readonly files: readonly SourceFile[];
  /** Things worth telling, one sentence each without full stop: `the readme gives no sha1`. */
  readonly notes: readonly string[];
}

/** A file that was fetched and lies in the cache. */
export interface FetchedFile extends SourceFile {
  readonly size: number;
  readonly digest: Sha256;
  /** Lower-case hex by algorithm, of all that the claims ask for. */
  readonly hashes: Readonly<Partial<Record<ClaimAlgorithm, string>>>;
}
