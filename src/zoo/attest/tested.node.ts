/** Which model an attestation is about: its files, where its attestations lie, and what part it had in a run. */
import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fail, SecateurError } from '../../core/errors.ts';
import { nearest } from '../../core/suggest.ts';
import { hashModel, loadModel } from '../../onnx/file.node.ts';
import { TRUSTED } from '../../onnx/limits.ts';
import { hexOf, type NamedDigest } from '../digest.ts';
import { type LockedPlace, lockedModelHash, outlineLockedOnnx } from '../locked-onnx.node.ts';
import { findProject, modelFolder, type Project, readProject } from '../project.node.ts';
import { MAX_BUNDLE, parseBundle } from '../signing/bundle.ts';
import { Steps } from '../signing/steps.ts';
import { GIT_PATHS } from '../signing/types.ts';
import { walkModel } from '../signing/walk.node.ts';
import { hashFile } from '../store/hash.node.ts';
import { verifyFiles } from '../store/verify-files.node.ts';
import type { ModelRole, ReadResult } from './statement.ts';

/** A model that something is said about. */
export interface AttestedModel {
  readonly name: string;
  readonly files: readonly NamedDigest[];
  /** False where it is one file without a folder of its own. */
  readonly tree: boolean;
  /** Where its attestations lie. */
  readonly path: string;
  /** Where it is a model of the lock. */
  readonly project?: Project;
  /**
   * Compares what lies here with `files`, which are the lock's for a model of the lock; false where nothing of it does.
   * @throws SecateurError E_INTEGRITY (exit code 3) where a file differs or is missing
   */
  here(signal?: AbortSignal): Promise<boolean>;
  /** `hashModel` of an ONNX file of it; undefined where that cannot be told (not installed, or no ONNX file after all). */
  onnxHash(path: string): Promise<string | undefined>;
}

/**
 * The model that `text` means: a file of that path, else a model of that name in the lock, else a folder. For a model of the lock the files
 * are those of the lock; the others are hashed.
 * @param root the project, where one was named
 * @throws SecateurError where there is none of the three; E_SIG_LINK, E_SIG_FILE for links and pipes in a folder; E_LOCK, E_MANIFEST
 */
export async function attestedModel(text: string, root: string | undefined, signal?: AbortSignal): Promise<AttestedModel> {
  const stat = ifThere(text);
  if (stat?.isFile()) return onDisk(text, false, signal);
  const found = root ?? findProject();
  const project = found === undefined ? undefined : await readProject(found);
  if (project?.lock.models.has(text)) return inLock(text, project);
  if (stat?.isDirectory()) return onDisk(text, true, signal);
  const names = [...(project?.lock.models.keys() ?? [])];
  const close = nearest(text, names);
  const what = project === undefined ? 'no such file or folder' : 'no such file or folder, and no model of that name in models.lock';
  const hint = close === undefined ? undefined : `"${close}"`;
  return fail({
    code: 'E_NAME',
    where: text,
    what,
    expected: 'a model by its name in models.lock, its folder or its file',
    hint,
    exitCode: 2,
  });
}

/** Undefined also for what cannot be a path, such as a text with a NUL. */
function ifThere(text: string): ReturnType<typeof statSync> | undefined {
  try {
    return statSync(text, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Where the attestations on a model of the lock lie, relative to the project: beside its signature, to be committed with it. */
export const attestationsOf = (name: string): string => `models.sigs/${name}.attestations.jsonl`;

function inLock(name: string, project: Project): AttestedModel {
  const model = project.lock.models.get(name)!;
  const place = { name, folder: modelFolder(project, name), model };
  return {
    name,
    files: model.files,
    tree: true,
    path: join(project.root, attestationsOf(name)),
    project,
    here: (signal) => compareHere(place, signal),
    onnxHash: async (path) => {
      const file = model.files.find((f) => f.path === path);
      if (file?.format !== 'onnx' || !existsSync(place.folder)) return undefined;
      return orUndefined(async () => lockedModelHash(place, file, outlineLockedOnnx(place, file)));
    },
  };
}

async function onDisk(path: string, tree: boolean, signal?: AbortSignal): Promise<AttestedModel> {
  const found = await walkModel(path, {
    skip: GIT_PATHS,
    links: 'refuse',
    lenient: () => false,
    refuse: (parts) => fail({ exitCode: 1, ...parts, where: path }),
    signal,
  });
  if (found.length === 0) fail({ where: path, what: 'no files', expected: 'the files of a model', exitCode: 2 });
  const files: NamedDigest[] = [];
  for (const file of found) {
    const at = file.path ?? join(path, file.name);
    if (tree && file.name === 'model.sig' && file.size <= MAX_BUNDLE && isBundle(await readFile(at))) continue;
    files.push({ path: file.name, digest: (await hashFile(at, { signal })).digest });
  }
  const whole = resolve(path);
  return {
    name: basename(whole),
    files,
    tree,
    path: `${whole}.attestations.jsonl`,
    here: async () => true,
    onnxHash: async (name) => {
      if (!/\.onnx$/i.test(name)) return undefined;
      const at = tree ? join(whole, name) : whole;
      return orUndefined(async () => hashModel(at, await loadModel(at, TRUSTED)));
    },
  };
}

/** What the lock says of a model is no statement about the bytes that lie in its folder. */
async function compareHere({ name, folder, model }: LockedPlace, signal?: AbortSignal): Promise<boolean> {
  const { changed, missing } = await verifyFiles(folder, model, { fresh: true, signal });
  if (missing.length === model.files.length) return false;
  const wrong = [...changed.map(({ path, says }) => `${path} ${says}`), ...missing.map((path) => `${path} is missing`)];
  if (wrong.length === 0) return true;
  const hint = `secateur zoo verify ${name}`;
  return fail({
    code: 'E_INTEGRITY',
    where: name,
    what: 'is not here as models.lock has it',
    got: wrong.slice(0, 5).join('; '),
    hint,
    exitCode: 3,
  });
}

/** Whether a file is a signature by its content: signing a model anew makes no other model of it, and what only has the name is a file of it. */
function isBundle(bytes: Uint8Array): boolean {
  try {
    return parseBundle(bytes, new Steps('model.sig')) !== undefined;
  } catch (error) {
    if (error instanceof SecateurError) return false;
    throw error;
  }
}

/** A file that is no network after all was no part of a run. */
async function orUndefined(work: () => Promise<string>): Promise<string | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SecateurError && error.parts.code !== 'E_INTEGRITY') return undefined;
    throw error;
  }
}

/**
 * What part a model had in a run, by the hashes that the run recorded: made by it, or given to it. A file is compared by its own digest; one
 * that keeps data in other files, by the digest over all of them.
 * @throws SecateurError E_ATTEST_INPUT (exit code 3) where the run was about other bytes
 */
export async function roleIn(model: AttestedModel, { result }: ReadResult, where: string): Promise<ModelRole> {
  const { inputs, outputs = {} } = result.provenance;
  const recorded: (readonly [ModelRole['role'], string | undefined])[] = [
    ['output', outputs.model],
    ['input', inputs.model],
  ];
  if (recorded.every(([, hash]) => hash === undefined)) {
    const what = 'does not say which model it is about';
    const expected = 'a run that was given a model, or made one';
    fail({ code: 'E_ATTEST_INPUT', where, what, expected, got: result.recipe, exitCode: 3 });
  }
  for (const hashes of [async (f: NamedDigest) => hexOf(f.digest), (f: NamedDigest) => model.onnxHash(f.path)]) {
    for (const file of model.files) {
      const hash = await hashes(file);
      const [role] = recorded.find(([, wanted]) => wanted !== undefined && wanted === hash) ?? [];
      if (role !== undefined) return { role, path: file.path };
    }
  }
  const said = recorded.flatMap(([role, hash]) => (hash === undefined ? [] : [`sha256:${hash} (${role})`])).join(' or ');
  const own = model.files.length === 1 ? model.files[0].digest : `other digests for all ${model.files.length} files`;
  return fail({
    code: 'E_ATTEST_INPUT',
    where: model.name,
    what: `the result in ${where} is about another model`,
    expected: said,
    got: own,
    hint: `the result of a run on this model: secateur evaluate ${model.project === undefined ? 'with its path' : model.name}`,
    exitCode: 3,
  });
}
