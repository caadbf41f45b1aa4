/** `zoo audit`: do the users of these models check hashes? How far each model is vouched for, and what on this disk nobody vouched for. */
import { lstat, readFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { SecateurError } from '../core/errors.ts';
import { attestedFacts } from './attest/attested-facts.node.ts';
import { type AuditProblem, type Concern, claims, formats, nobodyVouched, policy, some, source } from './audit-problems.node.ts';
import type { AttestedFacts } from './bom/facts.ts';
import { type DiskScan, scanDisk } from './disk-scan.node.ts';
import { isLoaded } from './integrity.ts';
import { checkPolicy, globMatches, signersFor } from './policy.ts';
import { modelFolder, type Project } from './project.node.ts';
import { keySigner, readPublicKey } from './signing/keys.node.ts';
import type { SigningTrust } from './signing/trust.node.ts';
import { cacheRoot } from './store/cache.node.ts';
import { hashFile } from './store/hash.node.ts';
import { openStamps, type Stamps } from './store/stamps.node.ts';
import { verifyFiles } from './store/verify-files.node.ts';
import type { Integrity, Lock, LockedModel } from './types.ts';
import { isFor } from './verbs/install.node.ts';
import { lintAgain } from './verbs/lint-again.node.ts';
import { verifyLockedSignature } from './verbs/locked-signature.node.ts';
import { trustOf } from './verbs/signers.node.ts';

export { type AuditProblem, CONCERNS, type Concern } from './audit-problems.node.ts';

/** Problems after which the lock's word on a model counts for nothing: other bytes, or a signature that it tells of and that does not hold. */
const NOT_AS_LOCKED = new Set(['changed', 'missing', 'signature', 'format-hidden']);

export interface AuditedModel {
  readonly name: string;
  readonly wanted: boolean;
  readonly locked: boolean;
  /**
   * Who vouches for the locked bytes, as it holds now. Absent where the model is not locked, or is not what the lock says: other bytes here,
   * or a signature that does not verify. Where it is not installed, nothing on this disk was compared.
   */
  readonly integrity?: Integrity;
  /** False where bytes, signature or format are not what the lock says. */
  readonly asLocked: boolean;
  /** Who signed, where the signature was verified in this audit. */
  readonly signer?: string;
  /** Files of the rules that this signer is known by: `models.keys/team.pub`. */
  readonly signerFiles?: readonly string[];
  /** Who shows the hashes that matched: `hf-lfs-oid`, `caffe-readme`, `user`; of models that have no more than those. */
  readonly hashesFrom?: readonly string[];
  /** What signers of the model's rules attest of these very files, where there is a file of attestations. */
  readonly attested?: AttestedFacts;
  readonly files: number;
  /** Bytes, as locked. */
  readonly bytes: number;
  readonly disk: 'not-installed' | 'bytes-agree' | 'differs';
  readonly problems: readonly AuditProblem[];
}

export interface AuditReport {
  readonly root: string;
  /** Whether there was a models.lock. */
  readonly lockPresent: boolean;
  /** Whether files that look untouched since they were last hashed were believed. */
  readonly quick: boolean;
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
  /** Believes files whose size and times are as when `verify` or `install` hashed them; otherwise every byte is hashed. */
  readonly quick?: boolean;
  readonly signal?: AbortSignal;
  /** Bytes of a model that were hashed. */
  onProgress?(done: number, total: number, file: string): void;
  /** Files besides that were looked at so far, and the one at hand. */
  onFile?(looked: number, path: string): void;
}

/**
 * Looks at every model of the lock and of models.json, and at the disk below the project; fetches nothing and changes nothing.
 * @throws SecateurError where something cannot be read; what is wrong with a model is in the report
 */
export async function audit(project: Project, o: AuditOptions = {}): Promise<AuditReport> {
  const { root, manifest, lock, lockPresent } = project;
  const models: AuditedModel[] = [];
  const known = new Set<string>();
  const stamps = o.quick === true ? await openStamps(root) : undefined;
  for (const name of [...new Set([...manifest.models.keys(), ...lock.models.keys()])].sort()) {
    o.signal?.throwIfAborted();
    const entry = lock.models.get(name);
    models.push(entry === undefined ? notLocked(name) : await auditModel(project, name, entry, o, stamps));
    const folder = modelFolder(project, name);
    for (const file of entry?.files ?? []) known.add(relative(root, join(folder, file.path)).split(sep).join('/'));
  }
  const scan = await scanDisk(root, {
    known,
    skip: [cacheRoot()],
    signal: o.signal,
    onFile: o.onFile,
  });
  const copies = await copiesIn(root, scan, lock, o.signal);
  const unknown = { ...scan, models: scan.models.filter((f) => !copies.some((copy) => copy.path === f.path)) };
  // where there is nothing yet, no rule can fit
  const idle = manifest.policy.filter(({ match }) => models.length > 0 && !models.some(({ name }) => globMatches(match, name)));
  return { root, lockPresent, quick: o.quick === true, models, idleRules: idle.map((rule) => rule.match), unknown, copies };
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
  return { name, wanted: true, locked: false, asLocked: true, files: 0, bytes: 0, disk: 'not-installed', problems };
}

async function auditModel(
  project: Project,
  name: string,
  entry: LockedModel,
  o: AuditOptions,
  stamps: Stamps | undefined,
): Promise<AuditedModel> {
  const { manifest } = project;
  const wanted = manifest.models.get(name);
  const problems: AuditProblem[] = [];
  const signer = await signature(project, name, entry, problems);
  const denied = entry.files.some((f) => f.claims.some((c) => !c.matched));
  if (entry.integrity === 'pinned-on-first-use' && !denied) problems.push(nobodyVouched(name, entry, project));
  claims(entry, problems);
  source(manifest, name, entry, problems);
  formats(entry, problems);
  if (wanted === undefined) {
    const hint = `secateur zoo remove ${name}, or an entry in models.json`;
    problems.push({ rule: 'not-wanted', says: 'in models.lock but not in models.json', hint, concerns: [] });
  } else if (!isFor(entry, wanted)) {
    const says = `models.json asks for ${wanted.source}, which is not what was locked`;
    problems.push({ rule: 'stale', says, hint: `secateur zoo install ${name}`, concerns: ['unpinned'] });
  }
  const { disk, seen } = await onDisk(project, name, entry, o, stamps, problems);
  for (const finding of checkPolicy(manifest, name, seen)) {
    const { hint, ...problem } = policy(name, entry, finding, project);
    // said once is enough
    problems.push(problems.some((p) => p.hint === hint) ? problem : { ...problem, hint });
  }
  const asLocked = !problems.some((p) => NOT_AS_LOCKED.has(p.rule));
  const froms = [...new Set(entry.files.filter(isLoaded).flatMap((f) => f.claims.map((c) => c.from)))].sort();
  const attested = await attestations(project, name, entry, problems);
  return {
    name,
    wanted: wanted !== undefined,
    locked: true,
    ...(asLocked && { integrity: entry.integrity }),
    asLocked,
    ...(signer !== undefined && { signer, signerFiles: await signerFiles(project, name, signer) }),
    ...(entry.integrity === 'matched-published-claim' && { hashesFrom: froms }),
    ...(attested && { attested }),
    files: entry.files.length,
    bytes: entry.files.reduce((sum, f) => sum + f.size, 0),
    disk,
    problems,
  };
}

/** The files by which the rules know a signer; a key has its own, and under several authorities it is not told which one it was. */
async function signerFiles({ root, manifest }: Project, name: string, signer: string): Promise<string[]> {
  const sets = signersFor(manifest, name);
  const found: string[] = [];
  for (const path of new Set(sets.flatMap((set) => set.keys))) {
    const text = await readFile(resolve(root, path), 'utf8').catch(() => undefined);
    if (text !== undefined && isKeyOf(text, path, signer)) found.push(path);
  }
  const authorities = new Set(sets.flatMap((set) => set.authorities));
  return found.length === 0 && authorities.size === 1 ? [...authorities] : found;
}

function isKeyOf(pem: string, path: string, signer: string): boolean {
  try {
    return keySigner(readPublicKey(pem, path)) === signer;
  } catch (error) {
    if (error instanceof SecateurError) return false;
    throw error;
  }
}

/** What was attested of the model by the signers of its rules. */
async function attestations(
  project: Project,
  name: string,
  entry: LockedModel,
  problems: AuditProblem[],
): Promise<AttestedFacts | undefined> {
  try {
    const trust: SigningTrust[] = [];
    for (const set of signersFor(project.manifest, name)) trust.push(...(await trustOf(project.root, set)));
    return await attestedFacts(project.root, name, entry, trust);
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    problems.push({ rule: 'attestations', says: `its attestations cannot be read: ${error.message.replace(/\.$/, '')}`, concerns: [] });
    return undefined;
  }
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
    if (error.parts.code === 'E_SIG_HASH' && (await isAbsent(modelFolder(project, name)))) {
      const says = 'its signature is over other hashes than those of the lock, and the files are not here: not checked';
      problems.push({ rule: 'signature-unchecked', says, hint: `secateur zoo install ${name}`, concerns: ['unverified'] });
      return undefined;
    }
    refused.push(error.message);
  }
  const says = `its signature does not hold: ${refused.join('; ').replace(/\.$/, '')}`;
  problems.push({ rule: 'signature', says, hint: `secateur zoo verify ${name}`, concerns: ['unverified'] });
  return undefined;
}

const isAbsent = async (path: string): Promise<boolean> => (await lstat(path).catch(() => undefined)) === undefined;

interface Seen {
  readonly disk: AuditedModel['disk'];
  /** The entry with formats as the files are, where all of them are as locked. */
  readonly seen: LockedModel;
}

async function onDisk(
  project: Project,
  name: string,
  entry: LockedModel,
  o: AuditOptions,
  stamps: Stamps | undefined,
  problems: AuditProblem[],
): Promise<Seen> {
  const folder = modelFolder(project, name);
  const hint = `secateur zoo verify ${name}; \`secateur zoo install\` puts the locked files back and keeps yours aside`;
  const differs = (rule: string, says: string): void => void problems.push({ rule, says, hint, concerns: ['unverified'] });
  if (await isAbsent(folder)) {
    problems.push({ rule: 'not-installed', says: 'not on this disk', hint: `secateur zoo install ${name}`, concerns: [], info: true });
    return { disk: 'not-installed', seen: entry };
  }
  const onBytes = (done: number, total: number, path: string): void => o.onProgress?.(done, total, `${name}: ${path}`);
  const found = await verifyFiles(folder, entry, { stamps, fresh: stamps === undefined, signal: o.signal, onBytes });
  for (const { path, says } of found.changed) differs('changed', `${path} ${says}`);
  if (found.missing.length > 0) differs('missing', `missing on disk: ${some(found.missing)}`);
  const disk = found.changed.length + found.missing.length > 0 ? 'differs' : 'bytes-agree';
  linkedTo(found.linked, problems);
  const seen = disk === 'bytes-agree' && found.linked.length === 0 ? await lintedAs(folder, entry, problems) : entry;
  return { disk, seen };
}

/** What the lock says of formats is only text; whatever it says, the file is what it is. */
async function lintedAs(folder: string, entry: LockedModel, problems: AuditProblem[]): Promise<LockedModel> {
  const { differing, entry: seen } = await lintAgain(folder, entry);
  for (const { path, says, refused } of differing) {
    const hint = 'secateur zoo lint says why; models.lock as it was committed';
    problems.push({
      rule: refused ? 'format-hidden' : 'format-differs',
      says: `${path} ${says}`,
      hint,
      concerns: refused ? ['unsafe'] : [],
    });
  }
  return seen;
}

/** Hard links: the file can be changed under its other name, and ONNX refuses such external data. */
function linkedTo(paths: readonly string[], problems: AuditProblem[]): void {
  if (paths.length === 0) return;
  const says = `a second name on this disk leads to the same bytes, through which they can be changed: ${some(paths)}`;
  problems.push({ rule: 'linked', says, hint: 'a copy of the file in place of the link', concerns: [] });
}
