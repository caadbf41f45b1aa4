/** `zoo audit`: do the users of these models check hashes? How far each model is vouched for, and what on this disk nobody vouched for. */
import { lstat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { SecateurError } from '../core/errors.ts';
import { type DiskScan, scanDisk } from './disk-scan.node.ts';
import { isLoaded } from './integrity.ts';
import { LINT_RULES } from './lint/lint.ts';
import { checkPolicy, globMatches } from './policy.ts';
import { modelFolder, type Project } from './project.node.ts';
import { commitIn } from './sources/commit-in.ts';
import { isLocal, parseSource } from './sources/spec.ts';
import { cacheRoot } from './store/cache.node.ts';
import { hashFile } from './store/hash.node.ts';
import { verifyFiles } from './store/verify-files.node.ts';
import type { Integrity, Lock, LockedModel } from './types.ts';
import { isFor } from './verbs/install.node.ts';
import { lintAgain } from './verbs/lint-again.node.ts';
import { onlyHere } from './verbs/local-source.ts';
import { verifyLockedSignature } from './verbs/locked-signature.node.ts';

/** What `--fail-on` can ask about. */
export const CONCERNS = ['unverified', 'unsafe', 'unpinned'] as const;
export type Concern = (typeof CONCERNS)[number];

export interface AuditProblem {
  /** Stable name: `pinned-on-first-use`, `http`, `changed`. */
  readonly rule: string;
  /** One sentence without full stop. */
  readonly says: string;
  /** What can be done, without full stop. */
  readonly hint?: string;
  /** What it makes the model; none: a thing to know that only `any` counts. */
  readonly concerns: readonly Concern[];
  /** True for what is no fault: not installed here. */
  readonly info?: boolean;
}

export interface AuditedModel {
  readonly name: string;
  readonly wanted: boolean;
  readonly locked: boolean;
  /** As it holds now: a signature that does not verify vouches for nothing. Absent where the model is not locked. */
  readonly integrity?: Integrity;
  /** Who signed, where the signature was verified in this audit. */
  readonly signer?: string;
  readonly files: number;
  /** Bytes, as locked. */
  readonly bytes: number;
  readonly disk: 'not-installed' | 'sizes-agree' | 'bytes-agree' | 'differs';
  readonly problems: readonly AuditProblem[];
}

export interface AuditReport {
  readonly root: string;
  /** Whether there was a models.lock. */
  readonly lockPresent: boolean;
  /** Whether every byte was hashed. */
  readonly full: boolean;
  /** In order of name. */
  readonly models: readonly AuditedModel[];
  /** Globs of rules in models.json that fit no model: a slip there is a check that never happens. */
  readonly idleRules: readonly string[];
  /** Files of models on this disk that no lock mentions. */
  readonly unknown: DiskScan;
  /** Files besides that hold the very bytes of a locked one. */
  readonly copies: readonly { readonly path: string; readonly of: string }[];
}

export interface AuditOptions {
  /** Hashes every installed file; otherwise sizes are compared. */
  readonly full?: boolean;
  readonly signal?: AbortSignal;
  onProgress?(done: number, total: number | undefined, file: string): void;
}

/**
 * Looks at every model of the lock and of models.json, and at the disk below the project; fetches nothing and changes nothing.
 * @throws SecateurError where something cannot be read; what is wrong with a model is in the report
 */
export async function audit(project: Project, o: AuditOptions = {}): Promise<AuditReport> {
  const { root, manifest, lock, lockPresent } = project;
  const models: AuditedModel[] = [];
  const known = new Set<string>();
  for (const name of [...new Set([...manifest.models.keys(), ...lock.models.keys()])].sort()) {
    o.signal?.throwIfAborted();
    const entry = lock.models.get(name);
    models.push(entry === undefined ? notLocked(name) : await auditModel(project, name, entry, o));
    const folder = modelFolder(project, name);
    for (const file of entry?.files ?? []) known.add(relative(root, join(folder, file.path)).split(sep).join('/'));
  }
  const scan = await scanDisk(root, {
    known,
    skip: [cacheRoot()],
    signal: o.signal,
    onFile: (looked, path) => o.onProgress?.(looked, undefined, path),
  });
  const copies = await copiesIn(root, scan, lock, o.signal);
  const unknown = { ...scan, models: scan.models.filter((f) => !copies.some((copy) => copy.path === f.path)) };
  // where there is nothing yet, no rule can fit
  const idle = manifest.policy.filter(({ match }) => models.length > 0 && !models.some(({ name }) => globMatches(match, name)));
  return { root, lockPresent, full: o.full === true, models, idleRules: idle.map((rule) => rule.match), unknown, copies };
}

/** Files that were found and have the digest of a locked one; only those of a locked size are hashed. */
async function copiesIn(root: string, scan: DiskScan, lock: Lock, signal?: AbortSignal): Promise<AuditReport['copies']> {
  const locked = new Map<string, string>();
  const sizes = new Set<number>();
  for (const [name, { files }] of lock.models) {
    for (const file of files) {
      locked.set(file.digest, `${name}: ${file.path}`);
      sizes.add(file.size);
    }
  }
  const copies: { path: string; of: string }[] = [];
  for (const { path, size, target, verdict } of scan.models) {
    // What must not be loaded is listed wherever it lies.
    if (!sizes.has(size) || verdict === 'refused') continue;
    const { digest } = await hashFile(target ?? join(root, path), { signal });
    const of = locked.get(digest);
    if (of !== undefined) copies.push({ path, of });
  }
  return copies;
}

/** Problems, of models and of files on disk, that one of the words of `--fail-on` speaks of. */
export function failing({ models, unknown, idleRules }: AuditReport, words: readonly (Concern | 'any')[]): number {
  const any = words.includes('any');
  const counts = (p: Pick<AuditProblem, 'concerns' | 'info'>): boolean =>
    (any && p.info !== true) || p.concerns.some((concern) => words.includes(concern));
  const files = unknown.models.filter((f) => any || words.includes('unverified') || (f.verdict === 'refused' && words.includes('unsafe')));
  return models.flatMap((m) => m.problems).filter(counts).length + files.length + (any ? idleRules.length : 0);
}

function notLocked(name: string): AuditedModel {
  const says = 'in models.json but not in models.lock: nothing says which bytes it should have';
  const hint = `secateur zoo install ${name}`;
  const problems: AuditProblem[] = [{ rule: 'not-locked', says, hint, concerns: ['unverified', 'unpinned'] }];
  return { name, wanted: true, locked: false, files: 0, bytes: 0, disk: 'not-installed', problems };
}

async function auditModel(project: Project, name: string, entry: LockedModel, o: AuditOptions): Promise<AuditedModel> {
  const wanted = project.manifest.models.get(name);
  const problems: AuditProblem[] = [];
  const signer = await signature(project, name, entry, problems);
  const integrity = entry.integrity === 'signed' && signer === undefined ? 'pinned-on-first-use' : entry.integrity;
  const denied = entry.files.some((f) => f.claims.some((c) => !c.matched));
  if (entry.integrity === 'pinned-on-first-use' && !denied) problems.push(nobodyVouched(name, entry));
  claims(entry, problems);
  source(project.manifest, name, entry, problems);
  formats(entry, problems);
  if (wanted === undefined) {
    const hint = `secateur zoo remove ${name}, or an entry in models.json`;
    problems.push({ rule: 'not-wanted', says: 'in models.lock but not in models.json', hint, concerns: [] });
  } else if (!isFor(entry, wanted)) {
    const says = `models.json asks for ${wanted.source}, which is not what was locked`;
    problems.push({ rule: 'stale', says, hint: `secateur zoo install ${name}`, concerns: ['unpinned'] });
  }
  const disk = await onDisk(project, name, entry, o, problems);
  for (const { about, mode, rule, says } of checkPolicy(project.manifest, name, entry)) {
    const concerns: Concern[] = mode === 'warn' ? [] : [about === 'vouched' ? 'unverified' : 'unsafe'];
    problems.push({ rule: 'policy', says: `the rule for "${rule.match}"${mode === 'warn' ? ' warns' : ''}: ${says}`, concerns });
  }
  return {
    name,
    wanted: wanted !== undefined,
    locked: true,
    integrity,
    ...(signer !== undefined && { signer }),
    files: entry.files.length,
    bytes: entry.files.reduce((sum, f) => sum + f.size, 0),
    disk,
    problems,
  };
}

/** Who signed, if the signature holds now. */
async function signature(project: Project, name: string, entry: LockedModel, problems: AuditProblem[]): Promise<string | undefined> {
  if (entry.signature === undefined) return undefined;
  const refused: string[] = [];
  // The signature itself may lie among the files; none can cover itself.
  const files = entry.files.filter((f) => f.digest !== entry.signature?.bundleDigest);
  try {
    const verified = await verifyLockedSignature(project, name, entry, (text) => refused.push(text));
    for (const path of verified?.ignored ?? []) {
      if (!files.some((f) => f.path === path || f.path.startsWith(`${path}/`))) continue;
      problems.push({ rule: 'signer-left-out', says: `the signer left ${path} out: nobody vouched for it`, concerns: ['unverified'] });
    }
    if (verified !== undefined) return verified.signer;
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    refused.push(error.message);
  }
  const says = `its signature does not hold: ${refused.join('; ').replace(/\.$/, '')}`;
  problems.push({ rule: 'signature', says, hint: `secateur zoo verify ${name}`, concerns: ['unverified'] });
  return undefined;
}

function nobodyVouched(name: string, { files, source }: LockedModel): AuditProblem {
  const bare = files.filter((f) => isLoaded(f) && f.claims.length === 0);
  const says = `no published hash or signature (${some((bare.length > 0 ? bare : files).map((f) => f.path))})`;
  const hint = isLocal(parseSource(source))
    ? 'a signature by whoever made it: secateur zoo sign'
    : `ask the author to sign; or, with a hash from another channel: secateur zoo remove ${name} && secateur zoo add ${source} --name ${name} --sha256 HEX`;
  return { rule: 'pinned-on-first-use', says, hint, concerns: ['unverified'] };
}

function claims({ files, integrity }: LockedModel, problems: AuditProblem[]): void {
  for (const { path, claims: all } of files) {
    for (const { from, algorithm } of all.filter((c) => !c.matched)) {
      const says = `${path} does not have the ${algorithm} that ${from} shows, and was taken all the same`;
      problems.push({ rule: 'claim-mismatch', says, hint: 'ask the publisher which of the two is right', concerns: ['unverified'] });
    }
  }
  if (integrity !== 'matched-published-claim') return;
  const weak = files.filter((f) => isLoaded(f) && f.claims.every((c) => c.algorithm !== 'sha256'));
  if (weak.length === 0) return;
  const kinds = [...new Set(weak.flatMap((f) => f.claims.map((c) => (c.algorithm === 'md5' ? 'MD5' : 'SHA-1'))))].join(' and ');
  const says = `the published hash is ${kinds} only, for which two files with one hash can be made (${some(weak.map((f) => f.path))})`;
  problems.push({ rule: 'weak-claim', says, hint: 'ask the publisher for a SHA-256 or a signature', concerns: [] });
}

function source(manifest: Project['manifest'], name: string, entry: LockedModel, problems: AuditProblem[]): void {
  const plain = entry.files.filter((f) => f.url?.startsWith('http:'));
  if (plain.length > 0) {
    const says = `fetched over http:, where anybody on the way can change it (${some(plain.map((f) => f.path))})`;
    problems.push({ rule: 'http', says, hint: 'an https: address', concerns: ['unpinned'] });
  }
  const spec = parseSource(entry.source);
  const lacking = onlyHere(spec, manifest);
  if (lacking !== undefined) {
    const hint = 'the file in a folder of the project that is committed, or an address';
    problems.push({ rule: 'local-source', says: lacking, hint, concerns: [] });
  }
  if (entry.resolved !== 'unversioned' || isLocal(spec)) return;
  if (entry.files.every((f) => f.url !== undefined && commitIn(f.url) !== undefined)) return;
  const says = 'the address can give other bytes tomorrow: then an install on a new machine fails, and only the lock shows it';
  problems.push({
    rule: 'unversioned',
    says,
    hint: `where the publisher has an address with a commit: that as "source" of ${name} in models.json, then secateur zoo install ${name}`,
    concerns: ['unpinned'],
  });
}

function formats({ files, lintRules }: LockedModel, problems: AuditProblem[]): void {
  const refused = files.filter((f) => f.lint === 'refused');
  const flagged = files.filter((f) => f.lint === 'flagged');
  if (refused.length > 0) {
    const says = `loading can run code, or the file is malformed: ${some(refused.map((f) => `${f.path} (${f.format})`))}`;
    problems.push({
      rule: 'refused-format',
      says,
      hint: 'secateur zoo lint says why; a copy as ONNX or safetensors',
      concerns: ['unsafe'],
    });
  }
  if (flagged.length > 0) {
    const says = `to be loaded with care: ${some(flagged.map((f) => `${f.path} (${f.format})`))}`;
    problems.push({ rule: 'flagged-format', says, hint: 'secateur zoo lint says why', concerns: [] });
  }
  if (lintRules !== LINT_RULES) {
    const says = `formats were judged by the rules of ${lintRules}, this program has those of ${LINT_RULES}`;
    problems.push({ rule: 'old-rules', says, hint: 'secateur zoo update', concerns: [], info: true });
  }
}

async function onDisk(
  project: Project,
  name: string,
  entry: LockedModel,
  o: AuditOptions,
  problems: AuditProblem[],
): Promise<AuditedModel['disk']> {
  const folder = modelFolder(project, name);
  const hint = `secateur zoo verify ${name}; \`secateur zoo install\` puts the locked files back and keeps yours aside`;
  const differs = (rule: string, says: string): void => void problems.push({ rule, says, hint, concerns: ['unverified'] });
  const there = await lstat(folder).catch(() => undefined);
  if (there === undefined) {
    problems.push({ rule: 'not-installed', says: 'not on this disk', hint: `secateur zoo install ${name}`, concerns: [], info: true });
    return 'not-installed';
  }
  const before = problems.length;
  if (o.full) {
    const onBytes = (done: number, total: number, path: string): void => o.onProgress?.(done, total, `${name}: ${path}`);
    const found = await verifyFiles(folder, entry, { fresh: true, signal: o.signal, onBytes });
    for (const { path, says } of found.changed) differs('changed', `${path} ${says}`);
    if (found.missing.length > 0) differs('missing', `missing on disk: ${some(found.missing)}`);
    const disk = problems.length > before ? 'differs' : 'bytes-agree';
    linkedTo(found.linked, problems);
    if (disk === 'bytes-agree' && found.linked.length === 0) await lintedAs(folder, entry, problems);
    return disk;
  }
  const missing: string[] = [];
  const linked: string[] = [];
  for (const file of entry.files) {
    const at = await lstat(join(folder, file.path)).catch(() => undefined);
    if (at === undefined) missing.push(file.path);
    else if (!at.isFile()) differs('changed', `${file.path} is no regular file on disk`);
    else if (at.size !== file.size) differs('changed', `${file.path} has ${at.size} bytes, ${file.size} are locked`);
    else if (at.nlink > 1) linked.push(file.path);
  }
  if (missing.length > 0) differs('missing', `missing on disk: ${some(missing)}`);
  const disk = problems.length > before ? 'differs' : 'sizes-agree';
  linkedTo(linked, problems);
  return disk;
}

/** What the lock says of formats is only text; whatever it says, the file is what it is. */
async function lintedAs(folder: string, entry: LockedModel, problems: AuditProblem[]): Promise<void> {
  for (const { path, says, refused } of (await lintAgain(folder, entry)).differing) {
    const hint = 'secateur zoo lint says why; models.lock as it was committed';
    problems.push({ rule: 'format-differs', says: `${path} ${says}`, hint, concerns: refused ? ['unsafe'] : [] });
  }
}

/** Hard links: the file can be changed under its other name, and ONNX refuses such external data. */
function linkedTo(paths: readonly string[], problems: AuditProblem[]): void {
  if (paths.length === 0) return;
  const says = `a second name on this disk leads to the same bytes, through which they can be changed: ${some(paths)}`;
  problems.push({ rule: 'linked', says, hint: 'a copy of the file in place of the link', concerns: [] });
}

/** Names that a sentence holds. */
const NAMED = 3;

function some(names: readonly string[]): string {
  return `${names.slice(0, NAMED).join(', ')}${names.length > NAMED ? ` and ${names.length - NAMED} more` : ''}`;
}
