/**
 * A change of a project that is prepared beside and then switched over: a model's folder, and files such as models.lock that belong to it.
 * The moment at which the journal gets its name decides. A process that dies before changed nothing; one that dies after has its change
 * finished by whoever comes next.
 */
import { lstat, mkdir, readdir, readFile, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fail, SecateurError } from '../../core/errors.ts';
import { sha256 } from '../../core/hash.node.ts';
import { checkFilePath } from '../paths.ts';
import type { Sha256 } from '../types.ts';
import { carry } from './carry.node.ts';
import { codeOf, diskFailure, ifThere, kindOf, syncFolder, writeWhole } from './disk.node.ts';
import { exclusively, ifIdle } from './exclusive.node.ts';
import { isEntry, writePlaced } from './placed.node.ts';
import { OURS, refuseLink, stateFolder } from './state.node.ts';

/** A small file that changes together with the model. */
export interface AlsoFile {
  /** `models.lock`, `models.json` or a path below `models.sigs/`. */
  readonly path: string;
  /** Absent: the file is removed. */
  readonly bytes?: Uint8Array | string;
}

/** All paths with `/` and relative to the project; those in `ours`, and `file`, to the model's folder. */
export interface Change {
  readonly folder: string;
  /**
   * `folder`: the staged folder takes the place of the old one. `file`: the one staged file takes the place of another. `remove`: the folder
   * goes. `none`: only the small files change.
   */
  readonly kind: 'folder' | 'file' | 'remove' | 'none';
  readonly file?: string;
  /** What of the old folder need not be carried over: replaced, or unchanged parts of the old version. */
  readonly ours: readonly string[];
  /** Files that are in the folder then, with their digests. */
  readonly placed: readonly (readonly [path: string, digest: Sha256])[];
  readonly also: readonly AlsoChange[];
}

interface AlsoChange {
  readonly path: string;
  readonly base64?: string;
  /** SHA-256 (hex) of what was there when the change was decided; absent where nothing was. Set by {@link switchOver}. */
  readonly was?: string;
}

/** Called after each step of a switch that lasts. Tests throw there, which is what a kill at that point leaves. */
export type OnStep = (step: string) => void;

const ID = /^[0-9a-f-]{36}$/;
const MAX_JOURNAL = 256 * 2 ** 20;

/** In a project. */
const CHANGES = `${OURS}/zoo/changes`;

const changesFolder = (root: string): string => join(root, CHANGES);
const journalPath = (root: string, id: string): string => join(changesFolder(root), `${id}.json`);
const stagingNote = (root: string, id: string): string => join(changesFolder(root), `${id}.staging`);

/** Where a change of this model is prepared: beside its folder, so on the same disk. Relative to the project. */
export const stagingOf = (folder: string, id: string): string => `${parentOf(folder)}${OURS}/${id}`;
const parentOf = (folder: string): string => folder.slice(0, folder.lastIndexOf('/') + 1);

/** Makes the staging folder, and notes where it is, so that it is found if we die. Throws E_LINK and E_DISK. */
export async function beginStaging(root: string, folder: string, id: string): Promise<string> {
  await refuseLinks(root, folder);
  await stateFolder(root);
  await refuseLinks(root, CHANGES);
  await writeWhole(stagingNote(root, id), JSON.stringify({ version: 1, folder }));
  const staging = join(root, stagingOf(folder, id));
  await refuseLinks(root, stagingOf(folder, id));
  await mkdir(join(staging, 'new'), { recursive: true }).catch((cause) => diskFailure(cause, staging, 'cannot be made'));
  return staging;
}

/** Throws staged files away. Nothing else was touched. */
export async function dropStaging(root: string, folder: string, id: string): Promise<void> {
  await clearStaging(root, folder, id);
  await rm(stagingNote(root, id), { force: true });
}

async function clearStaging(root: string, folder: string, id: string): Promise<void> {
  const staging = join(root, stagingOf(folder, id));
  await rm(staging, { recursive: true, force: true });
  // Folders that were made for it, or hold no model any more; one that is not empty stays.
  for (let at = dirname(staging); at !== root; at = dirname(at)) {
    if (
      !(await rmdir(at).then(
        () => true,
        () => false,
      ))
    )
      return;
  }
}

/**
 * Decides for the change, then makes it. Returns what of the user's was carried over. Where it throws before the decision nothing was changed
 * and the staged files are gone; after it, the journal stays.
 */
export async function switchOver(root: string, id: string, { also, ...rest }: Change, onStep?: OnStep): Promise<string[]> {
  let change: Change;
  try {
    change = { ...rest, also: await Promise.all(also.map((file) => withPresent(root, file))) };
    await writeWhole(journalPath(root, id), `${JSON.stringify({ version: 1, ...change })}\n`);
  } catch (cause) {
    await dropStaging(root, rest.folder, id);
    throw cause;
  }
  onStep?.('journal');
  return (await apply(root, id, change, onStep)).carried;
}

/** Throws E_LINK while it still can be that nothing was changed. */
async function withPresent(root: string, file: AlsoChange): Promise<AlsoChange> {
  await refuseLinks(root, file.path, 'file');
  const there = await ifThere(readFile(join(root, file.path)));
  return there === undefined ? file : { ...file, was: sha256(there) };
}

interface Applied {
  readonly carried: string[];
  readonly undone: boolean;
  /** Small files that somebody changed since the change was decided, and which are left so. */
  readonly left: string[];
}

/** May be run again from any point at which it was cut off. */
async function apply(root: string, id: string, change: Change, onStep: OnStep = () => undefined): Promise<Applied> {
  const folder = join(root, change.folder);
  const staging = join(root, stagingOf(change.folder, id));
  const staged = join(staging, 'new');
  const carried: string[] = [];
  let left: string[] = [];
  let undone = false;
  try {
    if (change.kind === 'folder' || change.kind === 'remove') {
      const hasNew = change.kind === 'folder' && (await isThere(staged));
      // Without its staging a removal is over, and what is in the folder is the user's.
      const takesAway = hasNew || (change.kind === 'remove' && (await isThere(staging)));
      if (takesAway && (await isThere(folder))) {
        const old = await freeName(join(staging, 'old'));
        await rename(folder, old).catch((cause) => (old === join(staging, 'old') ? undo(root, id, change, cause) : Promise.reject(cause)));
        onStep('old away');
      }
      if (hasNew) {
        await rename(staged, folder);
        onStep('new in place');
      }
      const olds = (await ifThere(readdir(staging)))?.filter((name) => /^old(-\d+)?$/.test(name)) ?? [];
      if (change.kind === 'folder' && olds.length > 0 && !(await isThere(folder))) {
        // Somebody deleted what was staged: the old state is better than none.
        await rename(join(staging, olds[0]), folder);
        undone = true;
      } else {
        for (const old of olds) carried.push(...(await carry(join(staging, old), folder, new Set(change.ours), onStep)));
      }
      await syncFolder(dirname(folder)).catch(() => undefined);
    } else if (change.kind === 'file' && change.file !== undefined) {
      const from = join(staged, change.file);
      if (await isThere(from)) {
        const to = join(folder, change.file);
        await mkdir(dirname(to), { recursive: true });
        await rename(from, to).catch((cause) => undo(root, id, change, cause));
        await syncFolder(dirname(to));
        onStep('file in place');
      }
    }
    if (!undone) {
      await writePlaced(
        root,
        change.folder,
        change.placed.map(([path, digest]) => ({ path, digest })),
      );
      onStep('recorded');
      left = await writeAlso(root, change, onStep);
    }
    await clearStaging(root, change.folder, id);
    onStep('staging gone');
    await forget(root, id);
    return { carried, undone, left };
  } catch (cause) {
    return diskFailure(cause, folder, 'a change could not be finished; the next command goes on with it');
  }
}

async function forget(root: string, id: string): Promise<void> {
  await rm(stagingNote(root, id), { force: true });
  await unlink(journalPath(root, id));
  await syncFolder(changesFolder(root));
}

/** Takes the decision back where its very first step cannot be made: a disk is mounted there, or a program has a file of the folder open. */
async function undo(root: string, id: string, { folder }: Change, cause: unknown): Promise<never> {
  await clearStaging(root, folder, id);
  await forget(root, id);
  return diskFailure(cause, join(root, folder), 'cannot be replaced; nothing was changed');
}

/** Returns what is neither what the change found nor what it makes: days may lie between, and then that is the user's work. */
async function writeAlso(root: string, { also }: Change, onStep: OnStep): Promise<string[]> {
  const left: string[] = [];
  for (const { path, base64, was } of also) {
    await refuseLinks(root, path, 'file');
    const target = join(root, path);
    const there = await ifThere(readFile(target));
    const bytes = base64 === undefined ? undefined : Buffer.from(base64, 'base64');
    const isDone = bytes === undefined ? there === undefined : there?.equals(bytes) === true;
    if (!isDone && (there === undefined ? undefined : sha256(there)) !== was) left.push(path);
    else if (!isDone) await (bytes === undefined ? rm(target, { force: true }) : writeWhole(target, bytes));
    onStep(`written ${path}`);
  }
  return left;
}

/**
 * Finishes changes that were decided but cut off, and removes what was prepared for others. Called first by everything that reads a project;
 * costs a look into one folder where there is nothing to do.
 * @returns what was done, one sentence each without full stop
 * @throws E_JOURNAL where the record of a change is none of ours; E_DISK
 */
export async function recover(projectRoot: string): Promise<string[]> {
  const root = resolve(projectRoot);
  const names = await ifThere(readdir(changesFolder(root))).catch((cause) =>
    codeOf(cause) === 'ENOTDIR' ? undefined : diskFailure(cause, changesFolder(root), 'cannot be read'),
  );
  if (names === undefined || names.length === 0) return [];
  await refuseLinks(root, CHANGES);
  if (names.some((name) => name.endsWith('.json'))) return await exclusively(root, () => recoverAll(root));
  // Only staging: of somebody who is at work, or of one who died. Neither concerns a reader, nor one who may only read.
  try {
    return (await ifIdle(root, () => recoverAll(root))) ?? [];
  } catch (cause) {
    if (cause instanceof SecateurError && cause.parts.code === 'E_DISK') return [];
    throw cause;
  }
}

async function recoverAll(root: string): Promise<string[]> {
  const said: string[] = [];
  const names = (await readdir(changesFolder(root))).sort();
  for (const name of names.filter((n) => n.endsWith('.json'))) {
    const id = name.slice(0, -'.json'.length);
    const change = await readChange(root, id);
    await refuseLinks(root, change.folder);
    await refuseLinks(root, stagingOf(change.folder, id));
    const { undone, left } = await apply(root, id, change);
    said.push(`${change.folder}: a change that was cut off has been ${undone ? 'undone' : 'finished'}`);
    for (const path of left) said.push(`${path} was changed since that was cut off and is left as it is`);
  }
  for (const name of names.filter((n) => n.endsWith('.staging'))) {
    const id = name.slice(0, -'.staging'.length);
    const note = await ifThere(readFile(join(changesFolder(root), name), 'utf8'));
    if (note === undefined) continue;
    const folder = ID.test(id) ? folderOf(note) : undefined;
    if (folder === undefined) return refuse(join(changesFolder(root), name));
    await refuseLinks(root, stagingOf(folder, id));
    await dropStaging(root, folder, id);
  }
  // Left by a write that was cut off.
  for (const name of names.filter((n) => n.endsWith('.tmp'))) await rm(join(changesFolder(root), name), { force: true });
  return said;
}

function folderOf(note: string): string | undefined {
  try {
    const { folder } = JSON.parse(note) as { folder?: unknown };
    return typeof folder === 'string' ? checkFilePath(folder, 'folder') : undefined;
  } catch {
    return undefined;
  }
}

/** A journal can come with a repository: every path in it is checked as if a stranger had written it. */
async function readChange(root: string, id: string): Promise<Change> {
  const path = journalPath(root, id);
  const stat = await lstat(path).catch((cause) => diskFailure(cause, path, 'cannot be read'));
  if (!stat.isFile() || stat.size > MAX_JOURNAL || !ID.test(id)) refuse(path);
  const text = await readFile(path, 'utf8');
  try {
    const { version, folder, kind, file, ours, placed, also } = JSON.parse(text) as Record<string, unknown>;
    const kinds = ['folder', 'file', 'remove', 'none'] as const;
    const known = kinds.find((k) => k === kind);
    if (version !== 1 || known === undefined || !Array.isArray(ours) || !Array.isArray(also) || !Array.isArray(placed)) return refuse(path);
    return {
      folder: checkFilePath(folder as string, path),
      kind: known,
      file: file === undefined ? undefined : checkFilePath(file as string, path),
      ours: ours.map((p) => checkFilePath(p as string, path)),
      placed: placed.map((entry) => (isEntry(entry) ? entry : refuse(path))),
      also: also.map((entry) => {
        const { path: at, base64, was } = entry as Record<string, unknown>;
        if (![base64, was].every((text) => text === undefined || typeof text === 'string')) return refuse(path);
        return { path: checkAlso(at as string, path), base64: base64 as string | undefined, was: was as string | undefined };
      }),
    };
  } catch {
    return refuse(path);
  }
}

const refuse = (where: string): never =>
  fail({ code: 'E_JOURNAL', where, what: 'is not the record of a change that secateur began', hint: 'again after deleting this file' });

/** Throws E_PATH for anything that is none of the files which change with a model. */
export function checkAlso(path: string, where: string): string {
  checkFilePath(path, where);
  if (path === 'models.lock' || path === 'models.json' || path.startsWith('models.sigs/')) return path;
  return fail({
    code: 'E_PATH',
    where,
    what: 'no file that changes with a model',
    expected: 'models.lock, models.json or models.sigs/...',
    got: path,
  });
}

/** Throws E_LINK (exit code 3) where a part of the path below the project is there but no real folder; a `file` is one in its last part. */
export async function refuseLinks(root: string, path: string, last: 'folder' | 'file' = 'folder'): Promise<void> {
  let at = root;
  const parts = path.split('/');
  for (const [i, part] of parts.entries()) {
    at = join(at, part);
    const stat = await ifThere(lstat(at)).catch((cause) => diskFailure(cause, at, 'cannot be read'));
    if (stat === undefined) return;
    const isFile = last === 'file' && i === parts.length - 1;
    if (isFile ? !stat.isFile() : !stat.isDirectory()) refuseLink(at, kindOf(stat), isFile ? 'a file' : 'a folder');
  }
}

const isThere = async (path: string): Promise<boolean> => (await ifThere(lstat(path))) !== undefined;

async function freeName(path: string): Promise<string> {
  for (let n = 1; ; n++) {
    const name = n === 1 ? path : `${path}-${n}`;
    if (!(await isThere(name))) return name;
  }
}
