/** `zoo update` and `zoo diff`: what the source offers now beside what is locked; update takes it, on purpose and never on the way. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fail, SecateurError } from '../../core/errors.ts';
import { diffModels } from '../../inspect/diff.ts';
import { loadModel } from '../../onnx/file.node.ts';
import { LINT_RULES } from '../lint/lint.ts';
import { modelFolder, type Project, readProject } from '../project.node.ts';
import { type Cache, openCache } from '../store/cache.node.ts';
import { hashFile } from '../store/hash.node.ts';
import type { CheckedClaim, LockedModel, Sha256, WantedModel } from '../types.ts';
import { begin, tellingBefore, withSoundCache } from './begin.node.ts';
import { enforce } from './enforce.ts';
import { chosen, isFor } from './install.node.ts';
import { type Acceptance, type Obtained, obtain, settle } from './obtain.node.ts';
import type { VerbOptions } from './options.ts';

/** One side of a changed file. */
export interface FileState {
  readonly digest: Sha256;
  readonly size: number;
}

export interface FileChange {
  readonly path: string;
  readonly before?: FileState;
  readonly after?: FileState;
  /** For networks of which both sides are at hand: what differs inside, in a sentence. */
  readonly inside?: string;
}

export interface ModelChange {
  readonly name: string;
  readonly files: readonly FileChange[];
  readonly resolved: readonly [before: string, after: string];
  readonly signer: readonly [before: string | undefined, after: string | undefined];
  /** True where files or revision differ. */
  readonly changed: boolean;
  /** The source has no version: the same address gave other bytes. */
  readonly silent: boolean;
}

export interface UpdateOptions extends VerbOptions, Acceptance {
  /** A model that was signed may become one that is not, or one that another signed. */
  readonly allowUnsigned?: boolean;
}

export interface UpdateOutcome {
  readonly changes: readonly ModelChange[];
}

/** What the source offers now, against the lock; nothing but the cache is written. */
export async function diffModel(root: string, name: string, o: UpdateOptions = {}): Promise<ModelChange> {
  const cache = o.cache ?? (await openCache());
  const project = await readProject(root);
  const entry = lockedEntry(project, name);
  const made = await obtain(project, project.manifest, name, wantedOf(project, name), cache, { ...o, only: 'look' });
  return compare(project, name, entry, made, cache);
}

/**
 * Brings models to what their sources offer now, after the same checks as `add`.
 * @throws SecateurError E_DOWNGRADE where a signed model would become an unsigned one or change its signer (exit code 3)
 */
export async function updateModels(root: string, names: readonly string[], o: UpdateOptions = {}): Promise<UpdateOutcome> {
  return begin(root, o, async (first, cache) => {
    let project = first;
    const changes: ModelChange[] = [];
    const one = async (name: string): Promise<void> => {
      o.signal?.throwIfAborted();
      const entry = lockedEntry(project, name);
      const made = await obtain(project, project.manifest, name, wantedOf(project, name), cache, o);
      const change = await compare(project, name, entry, made, cache);
      if (change.changed) refuseDowngrade(name, entry, made, o);
      const lost = entry.signature !== undefined && !existsSync(join(root, entry.signature.bundle));
      if (change.changed || lost || isStale(entry, made)) {
        const settled = await settle(project, project.manifest, name, made, cache, o);
        if (!change.changed) o.onNote?.(`${name}: the same files; what models.lock says of them was written anew`);
        project = { ...project, lock: settled.lock };
      } else enforce(project.manifest, name, entry, o);
      changes.push(change);
    };
    const done = (): string[] => changes.filter((c) => c.changed).map(doneText);
    await tellingBefore(o, done, async () => {
      for (const name of names.length > 0 ? chosen(project, names) : updatable(project, o)) await withSoundCache(o, () => one(name));
    });
    return { changes };
  });
}

/** What is in the lock now, although the command failed. */
function doneText({ name, files }: ModelChange): string {
  const texts = files.map(({ path, before, after }) => `${path}: ${before?.digest ?? 'not there'} -> ${after?.digest ?? 'not there'}`);
  return `${name}: was updated before this${texts.length === 0 ? '' : ` (${texts.join(', ')})`}`;
}

/** Without names: what is in both files; the rest is told. */
function updatable(project: Project, o: UpdateOptions): string[] {
  const { manifest, lock } = project;
  return chosen(project, undefined).filter((name) => {
    if (!lock.models.has(name)) o.onNote?.(`${name} is in models.json but not in models.lock (secateur zoo install)`);
    if (!manifest.models.has(name)) o.onNote?.(`${name} is in models.lock but not in models.json (secateur zoo remove ${name})`);
    return lock.models.has(name) && manifest.models.has(name);
  });
}

/** Whether the lock says of the same files what does not hold any more: of source, choice of files, published hashes, signature, rules. */
function isStale(entry: LockedModel, { wanted, claims, signature }: Obtained): boolean {
  const old = new Map(entry.files.map((f) => [f.path, JSON.stringify(f.claims.map(claimText))]));
  const differ = [...claims].some(([path, now]) => JSON.stringify(now.map(claimText)) !== old.get(path));
  const resigned = signature?.bundleDigest !== entry.signature?.bundleDigest;
  return differ || resigned || !isFor(entry, wanted) || entry.lintRules !== LINT_RULES;
}

const claimText = ({ from, algorithm, value, matched }: CheckedClaim): string => `${from} ${algorithm} ${value} ${matched}`;

function lockedEntry(project: Project, name: string): LockedModel {
  chosen(project, [name]);
  const entry = project.lock.models.get(name);
  return entry ?? fail({ code: 'E_LOCK', where: name, what: 'is in models.json but not in models.lock', hint: '`secateur zoo install`' });
}

function wantedOf(project: Project, name: string): WantedModel {
  const wanted = project.manifest.models.get(name);
  const what = 'is in models.lock but not in models.json, which says where it is from';
  return wanted ?? fail({ code: 'E_MANIFEST', where: name, what, hint: `\`secateur zoo remove ${name}\`, then \`zoo add\`` });
}

/**
 * Nobody who steals an account should get a signed model, or one whose hash the user had from elsewhere, replaced by one of his own with a
 * routine update.
 */
function refuseDowngrade(name: string, entry: LockedModel, made: Obtained, o: UpdateOptions): void {
  if (o.allowUnsigned !== true) refuseLostHash(name, entry, made);
  const before = entry.signature?.signer;
  const after = made.signature?.signer;
  if (before === after || o.allowUnsigned === true) {
    if (before !== after) o.onNote?.(`${name}: was signed by ${before}, now ${after === undefined ? 'by nobody' : `by ${after}`}`);
    return;
  }
  if (before === undefined) return;
  fail({
    code: 'E_DOWNGRADE',
    where: name,
    what:
      after === undefined ? 'was signed, and what its source offers now is not' : 'what its source offers now is signed by somebody else',
    expected: before,
    got: after ?? 'no signature',
    hint: '--allow-unsigned after asking the publisher over another channel; nothing was changed',
    exitCode: 3,
  });
}

function refuseLostHash(name: string, entry: LockedModel, made: Obtained): void {
  const given = entry.files.find((f) => f.claims.some((c) => c.from === 'user' && c.matched));
  const now = given && made.files.find((f) => f.path === given.path);
  if (given === undefined || now?.digest === given.digest) return;
  fail({
    code: 'E_DOWNGRADE',
    where: `${name}: ${given.path}`,
    what: 'had the hash that you gave when it was added, and what its source offers now has another',
    expected: given.digest,
    got: now?.digest ?? 'no such file',
    hint: `\`secateur zoo remove ${name}\` and \`zoo add --sha256\` with the new hash, or --allow-unsigned; nothing was changed`,
    exitCode: 3,
  });
}

async function compare(project: Project, name: string, entry: LockedModel, made: Obtained, cache: Cache): Promise<ModelChange> {
  const before = new Map(entry.files.map((f) => [f.path, f]));
  const after = new Map(made.files.map((f) => [f.path, f]));
  const files: FileChange[] = [];
  for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [old, now] = [before.get(path), after.get(path)];
    if (old?.digest === now?.digest) continue;
    const inside = old && now && (await insideChange(project, name, path, old.digest, now.digest, cache));
    const state = (f: FileState | undefined): FileState | undefined => f && { digest: f.digest, size: f.size };
    files.push({ path, before: state(old), after: state(now), ...(inside !== undefined && { inside }) });
  }
  const resolved = [entry.resolved, made.source.resolved] as const;
  const silent = files.length > 0 && entry.resolved === made.source.resolved;
  const signer = [entry.signature?.signer, made.signature?.signer] as const;
  return { name, files, resolved, signer, changed: files.length > 0 || resolved[0] !== resolved[1] || signer[0] !== signer[1], silent };
}

/** What moved between two ONNX files, where both are here and can be read; the old one from the cache or as it is installed. */
async function insideChange(
  project: Project,
  name: string,
  path: string,
  old: Sha256,
  now: Sha256,
  cache: Cache,
): Promise<string | undefined> {
  if (!path.endsWith('.onnx')) return undefined;
  const installed = join(modelFolder(project, name), path);
  const from = (await cache.find(old)) ?? ((await digestOf(installed)) === old ? installed : undefined);
  const to = await cache.find(now);
  if (from === undefined || to === undefined) return undefined;
  try {
    const { tensors, changes, onlyBefore, onlyAfter } = diffModels(await loadModel(from), await loadModel(to));
    const moved = tensors.filter((t) => !t.same);
    const graph = changes.filter((c) => c.kind !== 'metadata' && c.kind !== 'declaration').length;
    const words = [`${moved.length} of ${tensors.length} tensors moved${moved.length > 0 ? `, ${moved[0].name} most` : ''}`];
    if (onlyBefore.length + onlyAfter.length > 0) words.push(`${onlyBefore.length} tensors gone, ${onlyAfter.length} new`);
    words.push(graph === 0 ? 'the graph is the same' : `${graph} changes of the graph`);
    return words.join('; ');
  } catch (error) {
    // with external data, or refused: its hashes are shown all the same
    if (error instanceof SecateurError) return undefined;
    throw error;
  }
}

async function digestOf(path: string): Promise<Sha256 | undefined> {
  try {
    return (await hashFile(path)).digest;
  } catch {
    return undefined;
  }
}
