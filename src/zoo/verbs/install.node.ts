/** `zoo install`: makes the disk what models.lock says; models that are in models.json only are locked first, unless it is frozen. */
import { fail, SecateurError } from '../../core/errors.ts';
import { fetchFile } from '../fetch/download.node.ts';
import { modelFolder, type Project } from '../project.node.ts';
import type { Verification } from '../signing/verify.node.ts';
import { sourceFileOf } from '../sources/locate.node.ts';
import { formatSource, parseSource } from '../sources/spec.ts';
import type { Cache } from '../store/cache.node.ts';
import { placeModel } from '../store/place.node.ts';
import { openStamps, type Stamps } from '../store/stamps.node.ts';
import { verifyFiles } from '../store/verify-files.node.ts';
import type { LockedModel, WantedModel } from '../types.ts';
import { begin, tellingBefore, withSoundCache } from './begin.node.ts';
import { enforce, refuseFormats } from './enforce.ts';
import { lintAgain } from './lint-again.node.ts';
import { verifyLockedSignature } from './locked-signature.node.ts';
import { type Acceptance, goneFromCache, inLanes, obtain, settle } from './obtain.node.ts';
import type { VerbOptions } from './options.ts';
import { requireOwnAddresses } from './own-address.ts';

/** What is accepted counts for models that are not in the lock yet. */
export interface InstallOptions extends VerbOptions, Acceptance {
  /** The lock must cover models.json and is never written; what is on disk is hashed, stamps are not believed. */
  readonly frozen?: boolean;
  /** Only these. */
  readonly names?: readonly string[];
}

export interface InstalledModel {
  readonly name: string;
  /** `locked`: was in models.json only, and is in the lock now. */
  readonly state: 'unchanged' | 'placed' | 'locked';
  readonly entry: LockedModel;
  readonly folder: string;
  /** Whether a signature was verified now. */
  readonly confirmed: boolean;
}

export interface InstallOutcome {
  readonly models: readonly InstalledModel[];
  /** In the lock, but in models.json no more: left alone. */
  readonly orphans: readonly string[];
}

/**
 * Installs from the lock: what is missing or changed is taken from the cache or fetched, and put into place only with the digests of the lock.
 * @throws SecateurError E_FROZEN, E_INTEGRITY, E_POLICY, E_SIG_... (exit code 3); models before the one that failed stay installed
 */
export async function installModels(root: string, o: InstallOptions = {}): Promise<InstallOutcome> {
  return begin(root, o, async (first, cache) => {
    let project = first;
    const names = chosen(project, o.names);
    if (o.frozen) requireCovered(project, names);
    const stamps = await openStamps(root);
    const models: InstalledModel[] = [];
    const one = async (name: string): Promise<void> => {
      o.signal?.throwIfAborted();
      const wanted = project.manifest.models.get(name);
      const entry = project.lock.models.get(name);
      if (wanted === undefined) return;
      if (entry !== undefined && isFor(entry, wanted)) {
        models.push(await withSoundCache(o, () => installLocked(project, name, entry, cache, stamps, o)));
      } else {
        const made = await obtain(project, project.manifest, name, wanted, cache, o);
        const settled = await settle(project, project.manifest, name, made, cache, o);
        project = { ...project, lock: settled.lock };
        models.push({
          name,
          state: 'locked',
          entry: settled.entry,
          folder: settled.folder,
          confirmed: settled.entry.signature !== undefined,
        });
      }
    };
    const done = (): string[] => models.filter((m) => m.state !== 'unchanged').map((m) => `${m.name}: was installed before this`);
    try {
      await tellingBefore(o, done, async () => {
        for (const name of names) await one(name);
      });
    } finally {
      await stamps.save();
    }
    const orphans = [...project.lock.models.keys()].filter((name) => !project.manifest.models.has(name));
    return { models, orphans };
  });
}

/** Models to work on, in order of name. Throws SecateurError (exit code 2) for a name that is neither wanted nor locked. */
export function chosen({ manifest, lock }: Project, names: readonly string[] | undefined): readonly string[] {
  const all = [...new Set([...manifest.models.keys(), ...lock.models.keys()])].sort();
  if (names === undefined || names.length === 0) return all.filter((name) => manifest.models.has(name) || lock.models.has(name));
  for (const name of names) if (!all.includes(name)) unknownName(name, all);
  return names;
}

export function unknownName(name: string, known: readonly string[]): never {
  return fail({
    code: 'E_NAME',
    where: name,
    what: 'no model of that name',
    expected: known.length === 0 ? 'a model in models.json; there is none yet' : `one of ${known.join(', ')}`,
    exitCode: 2,
  });
}

/** Whether a lock's entry is for what models.json wants now; somebody may have edited the source there. */
export function isFor(entry: LockedModel, { source, include }: WantedModel): boolean {
  const spec = parseSource(source);
  const sameFiles = JSON.stringify(entry.include ?? null) === JSON.stringify(include ?? null);
  return sameFiles && entry.source === formatSource(spec, true) && entry.requested === ('revision' in spec ? spec.revision : undefined);
}

/** As `npm ci`: what is wanted and what is locked must agree before anything is touched. */
function requireCovered({ manifest, lock, lockPresent }: Project, names: readonly string[]): void {
  const hint = '`secateur zoo install` without --frozen where you can look at what it locks, then commit models.lock';
  if (!lockPresent) fail({ code: 'E_FROZEN', where: 'models.lock', what: 'is not there', hint, exitCode: 3 });
  for (const name of names) {
    const wanted = manifest.models.get(name);
    const entry = lock.models.get(name);
    if (wanted === undefined) {
      fail({
        code: 'E_FROZEN',
        where: name,
        what: 'is in models.lock but not in models.json',
        hint: `\`secateur zoo remove ${name}\``,
        exitCode: 3,
      });
    }
    if (entry === undefined) fail({ code: 'E_FROZEN', where: name, what: 'is in models.json but not in models.lock', hint, exitCode: 3 });
    if (!isFor(entry, wanted)) {
      const got = `${entry.source}${entry.requested === undefined ? '' : `@${entry.requested}`} in models.lock`;
      fail({ code: 'E_FROZEN', where: name, what: 'has another source in models.json', expected: wanted.source, got, hint, exitCode: 3 });
    }
  }
}

async function installLocked(
  project: Project,
  name: string,
  entry: LockedModel,
  cache: Cache,
  stamps: Stamps,
  o: InstallOptions,
): Promise<InstalledModel> {
  // cheap, and no reason to fetch gigabytes first
  requireOwnAddresses(name, entry);
  const early = await signatureFirst(project, name, entry, o);
  enforce(project.manifest, name, entry, o);
  const folder = modelFolder(project, name);
  const found = await verifyFiles(folder, entry, { stamps, fresh: o.frozen, signal: o.signal, onBytes: onBytes(o, name) });
  for (const path of found.extra) o.onNote?.(`${name}: ${path} is not in models.lock and was left where it is`);
  const needed = new Set([...found.missing, ...found.changed.map((c) => c.path)]);
  const sources = new Map<string, string>();
  await inLanes(
    entry.files.filter((f) => needed.has(f.path)),
    async (file) => {
      const from = await cache.find(file.digest);
      if (from === undefined) {
        const source = await sourceFileOf(entry, file, project.root);
        if (o.offline && !source.url.startsWith('file:')) offline(name, file.path);
        const { digest, size } = file;
        // whoever sits on the way cannot change what has a known hash
        await fetchFile(source, cache, { ...o, allowHttp: true, name, expect: { digest, size } });
      }
      sources.set(file.path, from ?? (await cache.find(file.digest)) ?? goneFromCache(cache, file.digest));
    },
  );
  const verified =
    early === 'later' ? await verifyLockedSignature(project, name, entry, o.onNote, (file) => sources.get(file.path)) : early;
  const files = entry.files.map(({ path, size, digest }) => ({ path, size, digest, from: sources.get(path) }));
  // also where nothing differs: files of an older version may be left
  const check = needed.size > 0 || o.frozen ? (staged: string) => checkFormats(project, name, entry, staged, o) : undefined;
  const placed = await placeModel(project.root, folder, files, { cache, check, previous: entry.files, signal: o.signal });
  for (const { path, kept } of placed.kept) o.onNote?.(`${name}: ${path} had been changed here; a copy is kept at ${kept}`);
  // what was in a file's place, say a link, is carried under a new name; the others have been told
  for (const path of placed.carried) if (!found.extra.includes(path)) o.onNote?.(`${name}: ${path} is not part of the model and is kept`);
  for (const path of placed.removed) o.onNote?.(`${name}: ${path} was part of an older version and is gone`);
  return { name, state: placed.state, entry, folder, confirmed: verified !== undefined };
}

/** What the lock says of formats was true where it was written, which may have been in an editor. */
async function checkFormats(project: Project, name: string, entry: LockedModel, folder: string, o: VerbOptions): Promise<void> {
  const { entry: now, lint, differing } = await lintAgain(folder, entry);
  if (differing.length === 0) return;
  for (const { path, says } of differing) o.onNote?.(`${name}: ${path} ${says}`);
  const unknown = new Map(differing.filter((d) => d.refused).map(({ path }) => [path, lint.get(path)!]));
  const again = `\`secateur zoo remove ${name}\` and \`zoo add --allow-refused\` where you know who made it`;
  refuseFormats(project.manifest, name, unknown, `models.lock as it was committed, or ${again}`);
  enforce(project.manifest, name, now, o);
}

/** `later` where the signature is over hashes that the lock does not have, so that the files must be here first. */
async function signatureFirst(
  project: Project,
  name: string,
  entry: LockedModel,
  o: VerbOptions,
): Promise<Verification | undefined | 'later'> {
  try {
    return await verifyLockedSignature(project, name, entry, o.onNote);
  } catch (error) {
    if (error instanceof SecateurError && error.parts.code === 'E_SIG_HASH') return 'later';
    throw error;
  }
}

function offline(name: string, path: string): never {
  return fail({
    code: 'E_OFFLINE',
    where: `${name}: ${path}`,
    what: 'is neither installed nor in the cache, and --offline allows no fetching',
    hint: 'the same without --offline, or SECATEUR_CACHE at a cache that has it',
  });
}

/** Bytes of one file as progress of the model. */
export const onBytes =
  (o: VerbOptions, name: string) =>
  (done: number, total: number, path: string): void =>
    o.onProgress?.(done, total, `${name}: ${path}`);

/** For verbs that go on after a failure: what is not ours is thrown on. */
export function ours(error: unknown): SecateurError {
  if (error instanceof SecateurError) return error;
  throw error;
}
