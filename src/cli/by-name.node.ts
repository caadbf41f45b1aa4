/**
 * MODEL by its name in models.lock: `secateur inspect resnet50`, or `resnet50#onnx/model.onnx` where it has several ONNX files. The bytes
 * that a command works on are then the bytes that were hashed, the policy holds, and it is said who vouches for them.
 */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fail, SecateurError } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';
import type { Limits } from '../onnx/limits.ts';
import type { Model } from '../onnx/model.ts';
import { type LockedPlace, lockedModelHash, readLockedOnnx } from '../zoo/locked-onnx.node.ts';
import { findProject, modelFolder, type Project, readProject } from '../zoo/project.node.ts';
import type { LockedFile, LockedModel } from '../zoo/types.ts';
import { enforce } from '../zoo/verbs/enforce.ts';
import { verifyLockedSignature } from '../zoo/verbs/locked-signature.node.ts';
import { vouched } from './zoo-words.node.ts';

export interface NamedModel extends LockedPlace {
  /** The ONNX file of it that is meant. */
  readonly file: LockedFile;
  readonly project: Project;
  /** Of that file, absolute. */
  readonly path: string;
}

/** Behind the name, the file that is meant. */
const SEPARATOR = '#';

/** A command may name what is not there by several ways; only what can be a name of a model is looked up. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*){0,2}$/;

/**
 * The locked model that `text` names; undefined where a file has that path, where no project is here or above, or where the text cannot be a
 * name: then it is a path. Nothing of the model is read.
 * @param start folder to look from; default: the current one
 * @throws SecateurError where the project knows no such model, with the nearest name; E_NAME (exit code 2) where it is not clear which file
 *   is meant; E_LOCK, E_MANIFEST where the project's files are damaged
 */
export async function findNamed(text: string, start?: string): Promise<NamedModel | undefined> {
  const at = text.indexOf(SEPARATOR);
  const name = at < 0 ? text : text.slice(0, at);
  const root = NAME.test(name) && !text.includes('\0') ? findProject(start) : undefined;
  if (root === undefined || statSync(resolve(start ?? '.', text), { throwIfNoEntry: false })?.isFile()) return undefined;
  const project = await readProject(root);
  const model = project.lock.models.get(name);
  if (model === undefined) return unknownName(text, name, project);
  const file = chooseFile(name, model, at < 0 ? undefined : text.slice(at + 1));
  const folder = modelFolder(project, name);
  return { name, model, project, folder, file, path: join(folder, file.path) };
}

/** Whether a locked model has that name, as far as a lock can be read here. For a file of the same name, which comes first. */
export async function isNamed(text: string): Promise<boolean> {
  const root = NAME.test(text) ? findProject() : undefined;
  if (root === undefined) return false;
  return readProject(root).then(
    ({ lock }) => lock.models.has(text),
    () => false,
  );
}

function unknownName(text: string, name: string, { root, manifest, lock }: Project): never {
  const names = [...lock.models.keys()];
  const close = nearest(name, names);
  const listed = names.length > 8 ? `${names.slice(0, 8).join(', ')} and ${names.length - 8} more` : names.join(', ');
  const hint = manifest.models.has(name)
    ? 'secateur zoo install: it is in models.json but not in models.lock'
    : close !== undefined
      ? `"${close}"`
      : names.length === 0
        ? 'the path of an .onnx file, or secateur zoo add'
        : `the path of an .onnx file, or one of ${listed}`;
  return fail({ code: 'E_NAME', where: text, what: `no such file, and no model of that name in ${join(root, 'models.lock')}`, hint });
}

function chooseFile(name: string, { files }: LockedModel, path: string | undefined): LockedFile {
  const onnx = files.filter((f) => f.format === 'onnx');
  const expected = `${name}${SEPARATOR}FILE with one of ${onnx.map((f) => f.path).join(', ')}`;
  if (path !== undefined) {
    const found = files.find((f) => f.path === path);
    if (found?.format === 'onnx') return found;
    if (onnx.length > 0 || found !== undefined) {
      const what = found === undefined ? `has no file "${path}"` : `"${path}" is no ONNX file`;
      const got = found === undefined ? undefined : `the format ${found.format}`;
      fail({ code: 'E_NAME', where: name, what, expected: onnx.length > 0 ? expected : 'a model with an ONNX file', got, exitCode: 2 });
    }
  }
  if (onnx.length === 1) return onnx[0];
  if (onnx.length > 1) return fail({ code: 'E_NAME', where: name, what: `has ${onnx.length} ONNX files`, expected, exitCode: 2 });
  const got = [...new Set(files.map((f) => f.format))].join(', ');
  return fail({
    code: 'E_NAME',
    where: name,
    what: 'has no ONNX file, which is what this command reads',
    expected: 'a model with one',
    got,
    exitCode: 2,
  });
}

export interface OpenedNamed {
  readonly model: Model;
  /** As `hashModel` gives it for a file. */
  readonly sha256: string;
}

/**
 * Checks policy and signature, reads the network with its bytes compared with the lock, and says who vouches for them.
 * @throws SecateurError E_POLICY, E_SIG_..., E_INTEGRITY (exit code 3), and as `loadModel` does
 */
export async function openNamed(named: NamedModel, limits: Limits, note: (text: string) => void): Promise<OpenedNamed> {
  const { name, model: entry, file, project } = named;
  enforce(project.manifest, name, entry, { onNote: note });
  const verified = await verifyLockedSignature(project, name, entry, note);
  let model: Model;
  try {
    model = readLockedOnnx(named, file, limits);
  } catch (error) {
    // What is wrong with a file of the lock is told by its name there; the path helps to find it.
    if (error instanceof SecateurError && error.parts.code === undefined) {
      throw new SecateurError({ ...error.parts, where: error.parts.where.replace(`${name}: ${file.path}`, named.path) });
    }
    throw error;
  }
  // A rule that only warns lets a signature pass that was not confirmed.
  note(`${name}: ${file.path} has the bytes of models.lock; ${vouched(entry, verified !== undefined)}`);
  return { model, sha256: lockedModelHash(named, file, model) };
}
