/**
 * Puts a model's files into its folder. They are copied beside it and hashed as they are written, looked at there, and switched over at once:
 * whoever reads the folder finds the old model or the new one. What the user put there is carried over.
 */
import { randomUUID } from 'node:crypto';
import { lstat, mkdir, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { fail } from '../../core/errors.ts';
import { checkFilePath } from '../paths.ts';
import type { Sha256 } from '../types.ts';
import type { Cache } from './cache.node.ts';
import { copyHashed, isSame } from './copy.node.ts';
import { codeOf, diskFailure, ifThere, syncFolder } from './disk.node.ts';
import { exclusively } from './exclusive.node.ts';
import { hashFile } from './hash.node.ts';
import { type AlsoFile, beginStaging, type Change, checkAlso, dropStaging, type OnStep, refuseLinks, switchOver } from './journal.node.ts';
import { readPlaced, writePlaced } from './placed.node.ts';
import { OURS } from './state.node.ts';

export { type AlsoFile, recover } from './journal.node.ts';

/** In a project: what {@link readPlaced} reads. */
const RECORDS = `${OURS}/zoo/placed`;

export interface PlacedFile {
  /** Relative to the model's folder. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly digest: Sha256;
  /** Where the bytes are, mostly in the cache. Absent: the file in the folder is right already, as far as the caller knows. */
  readonly from?: string;
}

export interface PlaceOptions {
  /** Keeps what the user changed, and takes back what is not what its name says. */
  readonly cache: Cache;
  /**
   * Files of the version that the lock had before, beside those that were put here by this machine. Those that the new one lacks are deleted
   * if they are as locked, else left to the user.
   */
  readonly previous?: readonly Pick<PlacedFile, 'path' | 'digest'>[];
  /** Looks at all files of the model in one folder, before anything is changed; what it throws leaves everything as it was. */
  check?(folder: string): Promise<void>;
  /** Asked after `check`: small files that change with the model, all or none. */
  also?(): readonly AlsoFile[];
  readonly signal?: AbortSignal;
  /** Progress over what is copied, in bytes, and the file at work. */
  onBytes?(done: number, total: number, path: string): void;
  /** For tests: called after every step that lasts. */
  readonly onStep?: OnStep;
}

export interface Placed {
  readonly state: 'unchanged' | 'placed';
  /** Absolute. */
  readonly folder: string;
  /** Files that the user had changed, and where a copy of each is. */
  readonly kept: readonly { readonly path: string; readonly kept: string }[];
  /** What in the folder is not of the model and was left, as far as things had to be moved for it. */
  readonly carried: readonly string[];
  /** Files of the previous version that are gone. */
  readonly removed: readonly string[];
}

/**
 * Makes a model's folder hold these files with these hashes.
 * @param projectRoot an existing folder
 * @param folder absolute or relative to the project, and inside of it
 * @throws E_CACHE where a cached file is damaged (it is put aside, so that it is fetched anew); E_INTEGRITY (exit code 3) for any other `from`;
 *   E_LINK (exit code 3) where a link stands in the way; E_CHANGED where a file is written to meanwhile; E_PATH; E_DISK. Nothing was changed
 *   then, unless the message says so
 */
export async function placeModel(projectRoot: string, folder: string, files: readonly PlacedFile[], o: PlaceOptions): Promise<Placed> {
  const [root, inside] = await locate(projectRoot, folder);
  for (const { path } of files) checkFilePath(path, inside);
  return await exclusively(root, () => place(root, inside, files, o), o);
}

/**
 * Takes a model's files out of the project; what else is in its folder stays. `also` as for {@link placeModel}.
 * @param files as locked; a file that the user changed is kept in the cache
 */
export async function removeModelFiles(
  projectRoot: string,
  folder: string,
  files: readonly Pick<PlacedFile, 'path' | 'digest'>[],
  o: Omit<PlaceOptions, 'previous' | 'check'>,
): Promise<Placed> {
  const [root, inside] = await locate(projectRoot, folder);
  for (const { path } of files) checkFilePath(path, inside);
  return await exclusively(root, async () => {
    const target = join(root, inside);
    await refuseLinks(root, inside);
    const found = await lookAll(
      target,
      files.map((f) => f.path),
      o,
    );
    const there = files.filter((f) => found.get(f.path)?.digest !== undefined);
    const kept = await keepChanged(target, there, found, files, o.cache);
    await refuseWritten(target, found);
    const change = { folder: inside, kind: 'remove', ours: there.map((f) => f.path), placed: [], also: alsoOf(o) } as const;
    const id = randomUUID();
    await beginStaging(root, inside, id);
    const carried = await switchOver(root, id, change, o.onStep);
    return { state: 'placed', folder: target, kept, carried, removed: there.map((f) => f.path) };
  });
}

/** The project's real path, and the model's folder relative to it with `/`. */
async function locate(projectRoot: string, folder: string): Promise<readonly [string, string]> {
  const root = await realpath(projectRoot).catch((cause) => diskFailure(cause, projectRoot, 'cannot be used as a project'));
  const below = isAbsolute(folder) ? relative(resolve(projectRoot), folder) : folder;
  return [root, checkFilePath(below.split(sep).join('/'), folder)];
}

async function place(root: string, folder: string, files: readonly PlacedFile[], o: PlaceOptions): Promise<Placed> {
  const target = join(root, folder);
  await refuseLinks(root, folder);
  await refuseLinks(root, RECORDS);
  const previous = [...(o.previous ?? []), ...(await readPlaced(root, folder))];
  const wanted = new Map(files.map((f) => [f.path, f]));
  const dropped = previous.filter((f) => !wanted.has(f.path));
  const placed = files.map((f) => [f.path, f.digest] as const);
  const trusted = new Map(files.filter((f) => f.from === undefined).map((f) => [f.path, f.size]));
  const found = await lookAll(
    target,
    [...files, ...dropped].map((f) => f.path),
    o,
    trusted,
  );
  const differing = files.filter((f) => !isRight(f, found.get(f.path)));
  const removed = [...new Set(dropped.filter((f) => found.get(f.path)?.digest === f.digest).map((f) => f.path))];
  if (differing.length === 0 && removed.length === 0) {
    await o.check?.(target);
    await switchSmall(root, folder, placed, alsoOf(o), o.onStep);
    return { state: 'unchanged', folder: target, kept: [], carried: [], removed };
  }
  const id = randomUUID();
  // One file over another is a single step of the disk; whatever is in its way needs the folder to be switched.
  const single = differing.length === 1 && removed.length === 0 && isFree(found.get(differing[0].path)) && (await isFolder(target));
  const staging = await beginStaging(root, folder, id);
  let change: Change;
  let kept: Placed['kept'];
  try {
    await stage(join(staging, 'new'), target, single && o.check === undefined ? differing : files, o);
    await o.check?.(join(staging, 'new'));
    kept = await keepChanged(target, differing, found, previous, o.cache);
    const ours = [...wanted.keys(), ...removed];
    const kind = single ? ({ kind: 'file', file: differing[0].path } as const) : ({ kind: 'folder' } as const);
    change = { folder, ...kind, ours, placed, also: alsoOf(o) };
    o.signal?.throwIfAborted();
    await refuseWritten(target, found);
  } catch (cause) {
    await dropStaging(root, folder, id);
    throw cause;
  }
  const carried = await switchOver(root, id, change, o.onStep);
  return { state: 'placed', folder: target, kept, carried, removed };
}

async function switchSmall(
  root: string,
  folder: string,
  placed: Change['placed'],
  also: Change['also'],
  onStep: OnStep | undefined,
): Promise<void> {
  if (also.length === 0)
    return await writePlaced(
      root,
      folder,
      placed.map(([path, digest]) => ({ path, digest })),
    );
  const id = randomUUID();
  await beginStaging(root, folder, id);
  await switchOver(root, id, { folder, kind: 'none', ours: [], placed, also }, onStep);
}

function alsoOf(o: Pick<PlaceOptions, 'also'>): Change['also'] {
  return (o.also?.() ?? []).map(({ path, bytes }) => {
    checkAlso(path, 'files that change with a model');
    return { path, base64: bytes === undefined ? undefined : Buffer.from(bytes).toString('base64') };
  });
}

/** What stands at a file's path. */
interface Found {
  /** Bytes; absent where no regular file is there. */
  readonly size?: number;
  /** Absent where nothing is there, no regular file, or the caller knows it is right. */
  readonly digest?: Sha256;
  /** Something that is no regular file stands there, or in the place of a folder above. */
  readonly odd: boolean;
  /** Which file it was in which state. */
  readonly was?: string;
}

/**
 * Only regular files below real folders are hashed.
 * @param trusted sizes of files that the caller has hashed: one of that size is not hashed again
 */
async function lookAll(
  target: string,
  paths: readonly string[],
  { signal }: Pick<PlaceOptions, 'signal'>,
  trusted: ReadonlyMap<string, number> = new Map(),
): Promise<ReadonlyMap<string, Found>> {
  const found = new Map<string, Found>();
  for (const path of paths) {
    signal?.throwIfAborted();
    const { size, odd, was } = await look(target, path);
    const known = size === undefined || size === trusted.get(path);
    const digest = known ? undefined : (await hashFile(join(target, path), { signal })).digest;
    found.set(path, { size, digest, odd, was });
  }
  return found;
}

/** Hashing and copying can take minutes: throws E_CHANGED where somebody has written to a file since, which would be lost. */
async function refuseWritten(target: string, found: ReadonlyMap<string, Found>): Promise<void> {
  for (const [path, { was }] of found) {
    if ((await look(target, path)).was === was) continue;
    const hint = 'again when nothing else writes there; nothing was changed';
    fail({ code: 'E_CHANGED', where: join(target, path), what: 'was written to while the model was made ready', hint });
  }
}

async function look(target: string, path: string): Promise<Omit<Found, 'digest'>> {
  const parts = path.split('/');
  let at = target;
  for (const [i, part] of ['', ...parts].entries()) {
    at = join(at, part);
    const stat = await ifThere(lstat(at)).catch((cause) =>
      codeOf(cause) === 'ENOTDIR' ? undefined : diskFailure(cause, at, 'cannot be read'),
    );
    if (stat === undefined) return { odd: false };
    const was = `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
    if (i === parts.length) return stat.isFile() ? { size: stat.size, odd: false, was } : { odd: true };
    if (!stat.isDirectory()) return { odd: true };
  }
  return { odd: false };
}

const isRight = (file: PlacedFile, found: Found | undefined): boolean =>
  found !== undefined && !found.odd && found.size === file.size && (found.digest === undefined || found.digest === file.digest);

const isFolder = async (path: string): Promise<boolean> => (await ifThere(lstat(path)))?.isDirectory() === true;

const isFree = (found: Found | undefined): boolean => found === undefined || !found.odd;

/** Copies the files, hashed, and syncs them and their folders. */
async function stage(staged: string, target: string, files: readonly PlacedFile[], o: PlaceOptions): Promise<void> {
  const total = files.reduce((sum, f) => sum + f.size, 0);
  const folders = new Set([staged]);
  let done = 0;
  for (const { path, size, digest, from } of files) {
    o.signal?.throwIfAborted();
    const to = join(staged, path);
    for (let at = dirname(to); at !== staged; at = dirname(at)) folders.add(at);
    await mkdir(dirname(to), { recursive: true }).catch((cause) => diskFailure(cause, dirname(to), 'cannot be made'));
    const start = done;
    let count = 0;
    const onBytes = (n: number): void => {
      count += n;
      o.onBytes?.(start + Math.min(count, size), total, path);
    };
    const copied = await copyHashed(from ?? join(target, path), to, { size, signal: o.signal, onBytes });
    if (!isSame(copied, { size, digest })) await differs(path, { size, digest }, copied, from ?? join(target, path), o.cache);
    done += size;
  }
  for (const folder of folders) await syncFolder(folder);
}

async function differs(path: string, wanted: Expected, got: Expected, from: string, cache: Cache): Promise<never> {
  const told = { expected: textOf(wanted), got: textOf(got) };
  if (relative(cache.root, from).split(sep)[0] === 'sha256') {
    const kept = await cache.reject(from, got.digest);
    return fail({
      code: 'E_CACHE',
      where: path,
      what: `the cached file had been damaged and was moved to ${kept}`,
      ...told,
      hint: 'the same again: the file is then fetched anew',
    });
  }
  return fail({
    code: 'E_INTEGRITY',
    where: path,
    what: `${from} is not the file that is wanted; nothing was changed`,
    ...told,
    exitCode: 3,
  });
}

type Expected = Pick<PlacedFile, 'size' | 'digest'>;
const textOf = ({ digest, size }: Expected): string => `${digest}, ${size} bytes`;

/** Copies aside what has neither the new nor the previous bytes: somebody worked on it. */
async function keepChanged(
  target: string,
  files: readonly Pick<PlacedFile, 'path' | 'digest'>[],
  found: ReadonlyMap<string, Found>,
  previous: readonly Pick<PlacedFile, 'path' | 'digest'>[],
  cache: Cache,
): Promise<Placed['kept']> {
  const kept: { path: string; kept: string }[] = [];
  for (const { path, digest } of files) {
    const is = found.get(path)?.digest;
    if (is === undefined || is === digest || previous.some((f) => f.path === path && f.digest === is)) continue;
    kept.push({ path, kept: await cache.keep(join(target, path), is) });
  }
  return kept;
}
