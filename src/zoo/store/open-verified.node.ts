/**
 * The face for programs: bytes of an installed model that are those of models.lock, with no time between check and use. A path that was
 * verified can be another file a moment later; what is handed out here cannot.
 */
import { randomUUID } from 'node:crypto';
import { access, constants, type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fail } from '../../core/errors.ts';
import { nearest } from '../../core/suggest.ts';
import { findProject, modelFolder, readProject } from '../project.node.ts';
import { readLockedFile } from '../read-locked.node.ts';
import type { LockedFile, LockedModel, Sha256 } from '../types.ts';
import { isSame, pour } from './copy.node.ts';
import { diskFailure, openRegular } from './disk.node.ts';
import { recover } from './place.node.ts';
import { stateFolder } from './state.node.ts';

export interface OpenOptions {
  /** The folder with models.lock; default: the nearest one upwards from here. */
  readonly project?: string;
  readonly signal?: AbortSignal;
}

export interface OpenedFile {
  /** For reading, at the file's start. It has no name on the disk, so nobody can open it for writing. The caller closes it. */
  readonly handle: FileHandle;
  /** The installed file that was copied: for messages, not for opening. */
  readonly path: string;
  readonly digest: Sha256;
}

/**
 * Opens a private copy of one file of a locked model, hashed as it was copied. Takes the file's size on the project's disk (where that cannot
 * be written to, on that of the system's temporary files) until it is closed.
 * Says that the bytes are those of the lock; who vouches for them, the lock's `integrity` says.
 * @param name as in models.lock
 * @throws E_INTEGRITY (exit code 3) where the installed file is not the locked one; E_NOT_INSTALLED; E_NAME (exit code 2); E_DISK
 */
export async function openVerified(name: string, o: OpenOptions & { readonly file?: string } = {}): Promise<OpenedFile> {
  const { root, folder, model } = await find(name, o.project);
  const file = chosen(name, model, o.file);
  const path = join(folder, file.path);
  const source = await openInstalled(name, file, path);
  try {
    const { size } = await source.stat();
    // Before gigabytes are copied in vain.
    if (size !== file.size) differs(name, file, `${size} bytes`);
    return { handle: await copyPrivately(root, source, name, file, path, o.signal), path, digest: file.digest };
  } finally {
    await source.close();
  }
}

/**
 * Reads files of a locked model into memory, each compared with the lock as it was read.
 * @param o.files paths as in the lock; default: all
 * @throws as {@link openVerified}; without a code for a file of more than 4 GiB
 */
export async function readVerified(
  name: string,
  o: OpenOptions & { readonly files?: readonly string[] } = {},
): Promise<{ bytes: Map<string, Uint8Array>; model: LockedModel }> {
  const { folder, model } = await find(name, o.project);
  const files = o.files === undefined ? model.files : o.files.map((path) => chosen(name, model, path));
  const bytes = new Map<string, Uint8Array>();
  for (const file of files) {
    o.signal?.throwIfAborted();
    bytes.set(file.path, readLockedFile(name, folder, file));
  }
  return { bytes, model };
}

async function find(name: string, start: string | undefined): Promise<{ root: string; folder: string; model: LockedModel }> {
  const root = findProject(start);
  if (root === undefined) {
    return fail({
      code: 'E_NAME',
      where: name,
      what: 'no models.json here or in a folder above',
      hint: 'the option `project`',
      exitCode: 2,
    });
  }
  await recover(root);
  const project = await readProject(root);
  const model = project.lock.models.get(name);
  if (model === undefined) {
    const near = nearest(name, project.lock.models.keys());
    const hint = near === undefined ? '`secateur zoo add`, or another name' : `"${near}"`;
    return fail({ code: 'E_NAME', where: name, what: `no model of that name in ${join(root, 'models.lock')}`, hint, exitCode: 2 });
  }
  return { root, folder: modelFolder(project, name), model };
}

function chosen(name: string, model: LockedModel, path: string | undefined): LockedFile {
  if (path === undefined && model.files.length === 1) return model.files[0];
  const file = model.files.find((f) => f.path === path);
  if (file !== undefined) return file;
  const names = model.files.map((f) => f.path);
  const expected = names.length > 8 ? `${names.slice(0, 8).join(', ')} or one of ${names.length - 8} others` : names.join(', ');
  const what = path === undefined ? 'has several files' : 'has no such file';
  return fail({ code: 'E_NAME', where: name, what, expected, got: path ?? 'no choice', exitCode: 2 });
}

async function openInstalled(name: string, file: LockedFile, path: string): Promise<FileHandle> {
  try {
    return await openRegular(path);
  } catch (cause) {
    const { code, got } = (cause as { parts?: { code?: string; got?: string } }).parts ?? {};
    if (code === 'E_NOT_A_FILE') return differs(name, file, got ?? 'no file');
    if (!/\((ENOENT|ENOTDIR)\)$/.test(got ?? '')) throw cause;
    return fail({
      code: 'E_NOT_INSTALLED',
      where: `${name}: ${file.path}`,
      what: 'is not there',
      expected: `the file ${path}`,
      hint: '`secateur zoo install`',
      cause,
    });
  }
}

/** The project's own state, on the same disk; the system's folder for such where the project cannot be written to. */
async function writable(root: string): Promise<string> {
  try {
    const folder = await stateFolder(root);
    await access(folder, constants.W_OK);
    return folder;
  } catch {
    return tmpdir();
  }
}

/** A reading handle of a file that has lost its name before the first byte was written into it. */
async function copyPrivately(
  root: string,
  source: FileHandle,
  name: string,
  file: LockedFile,
  path: string,
  signal?: AbortSignal,
): Promise<FileHandle> {
  const copy = join(await writable(root), `open-${randomUUID()}`);
  let writer: FileHandle | undefined;
  let reader: FileHandle | undefined;
  try {
    writer = await open(copy, 'wx', 0o600);
    reader = await open(copy, 'r');
    const [a, b] = [await writer.stat({ bigint: true }), await reader.stat({ bigint: true })];
    await unlink(copy);
    if (a.ino !== b.ino || a.dev !== b.dev) fail({ code: 'E_DISK', where: copy, what: 'was replaced while it was opened' });
    const copied = await pour(source, path, writer, copy, { size: file.size, signal });
    if (!isSame(copied, file)) differs(name, file, `${copied.digest}, ${copied.size} bytes`);
    return reader;
  } catch (cause) {
    await unlink(copy).catch(() => undefined);
    await reader?.close();
    return diskFailure(cause, copy, 'a private copy cannot be made');
  } finally {
    await writer?.close();
  }
}

function differs(name: string, file: LockedFile, got: string): never {
  return fail({
    code: 'E_INTEGRITY',
    where: `${name}: ${file.path}`,
    what: 'is not the file in models.lock',
    expected: `${file.digest}, ${file.size} bytes`,
    got,
    hint: `\`secateur zoo verify ${name}\` to see all that differs, and \`secateur zoo install\` to bring the locked files back`,
    exitCode: 3,
  });
}
