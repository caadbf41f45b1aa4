/** The linter over files and folders on disk. */
import { closeSync, constants, type Dirent, fstatSync, lstatSync, openSync, readdirSync, readSync, type Stats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fail } from '../../core/errors.ts';
import type { ByteSource } from '../../data/zip.ts';
import { externalReader } from '../../onnx/external.node.ts';
import { compareNames } from '../digest.ts';
import { type FormatKind, type LintReport, VERDICTS } from '../types.ts';
import { hasZipMark } from './archive.ts';
import { Findings } from './findings.ts';
import { type LintContext, lintBytes } from './lint.ts';
import { onnxExternalNames } from './onnx-external-names.ts';

export { LINT_RULES } from './lint.ts';

/** Files below one folder. */
const MAX_FILES = 100_000;
const MAX_DEPTH = 64;
/** ONNX files whose external data one file is looked for in. */
const MAX_NEIGHBOURS = 50;

export interface LintedFile {
  /** Relative to the folder, `/` between parts. */
  readonly path: string;
  readonly report: LintReport;
}

/** A file or folder that cannot be read, or should not be. */
const cannot = (path: string, what: string, parts: { expected?: string; got?: string; cause?: unknown } = {}): never =>
  fail({ code: 'E_LINT', where: path, what, ...parts });

/** Opens a plain file without waiting on it: a pipe would block for ever, a device may do something when it is opened. */
function openPlain(path: string, stats: Stats): number {
  if (!stats.isFile()) cannot(path, 'is no plain file', { expected: 'a file or a folder', got: oddKind(stats) });
  let handle: number;
  try {
    handle = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0));
  } catch (cause) {
    return cannot(path, 'cannot be read', { got: (cause as NodeJS.ErrnoException).code, cause });
  }
  if (fstatSync(handle).isFile()) return handle;
  closeSync(handle);
  return cannot(path, 'became another file while it was opened');
}

function oddKind(stats: Stats): string {
  if (stats.isSymbolicLink()) return 'a symbolic link';
  return stats.isFIFO() ? 'a pipe' : stats.isSocket() ? 'a socket' : 'a device';
}

/** Windows of the file are read again and again, mostly the same ones. */
function sourceOf(handle: number, path: string): ByteSource {
  const { size } = fstatSync(handle);
  const block = 1 << 14;
  let cached: { at: number; bytes: Uint8Array } | undefined;
  const read = (offset: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const got = readSync(handle, bytes, at, Math.min(length - at, 2 ** 30), offset + at);
      if (got === 0) cannot(path, 'became shorter while it was read', { expected: 'a file that stays as it is' });
      at += got;
    }
    return bytes;
  };
  return {
    size,
    read(offset, length) {
      if (length > block) return read(offset, length);
      if (cached === undefined || offset < cached.at || offset + length > cached.at + cached.bytes.length) {
        cached = { at: offset, bytes: read(offset, Math.min(block, size - offset)) };
      }
      return cached.bytes.subarray(offset - cached.at, offset - cached.at + length);
    },
  };
}

function withSource<T>(path: string, use: (source: ByteSource) => T): T {
  const handle = openPlain(path, statOf(path));
  try {
    return use(sourceOf(handle, path));
  } finally {
    closeSync(handle);
  }
}

function statOf(path: string): Stats {
  try {
    return lstatSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    return code === 'ENOENT' ? cannot(path, 'no such file or folder', { cause }) : cannot(path, 'cannot be read', { got: code, cause });
  }
}

/** Files that a model's main file in the folder above or beside explains: raw numbers of TensorFlow and of unpacked PyTorch checkpoints. */
function partOf(path: string, dataOf: ReadonlySet<string> | undefined): FormatKind | undefined {
  const name = basename(path);
  const folder = dirname(path);
  const isThere = (...parts: string[]): boolean => lstatSync(join(...parts), { throwIfNoEntry: false })?.isFile() ?? false;
  if (/^variables\.(index|data-\d{5}-of-\d{5})$/.test(name) && basename(folder) === 'variables' && isThere(folder, '..', 'saved_model.pb'))
    return 'saved-model';
  if (/^(fingerprint|keras_metadata)\.pb$/.test(name) && isThere(folder, 'saved_model.pb')) return 'saved-model';
  if (/^\d+$/.test(name) && basename(folder) === 'data' && isThere(folder, '..', 'data.pkl')) return 'torch-zip';
  if (/\.onnx$/i.test(name)) return undefined;
  if (dataOf !== undefined) return dataOf.has(path) ? 'onnx-data' : undefined;
  return namedByNeighbour(path) ? 'onnx-data' : undefined;
}

/** Whether an ONNX file in the same folder keeps weights in this one. */
function namedByNeighbour(path: string): boolean {
  const folder = dirname(path);
  const neighbours = readdirSync(folder)
    .filter((name) => /\.onnx$/i.test(name))
    .slice(0, MAX_NEIGHBOURS);
  return neighbours.some((name) => externalFiles(join(folder, name)).has(path));
}

/** The paths of files in which an ONNX file keeps weights; none where it cannot be read. */
function externalFiles(path: string): Set<string> {
  if (!statOf(path).isFile()) return new Set();
  const names = withSource(path, onnxExternalNames);
  return new Set([...names].filter((name) => !name.split('/').includes('..')).map((name) => join(dirname(path), name)));
}

function lintOne(path: string, dataOf?: ReadonlySet<string>): LintReport {
  const part = partOf(path, dataOf);
  return withSource(path, (source) => {
    const external = hasZipMark(source) ? undefined : externalReader(path);
    try {
      return lintBytes(source, basename(path), { part, external: external?.read } satisfies LintContext);
    } finally {
      external?.close();
    }
  });
}

/**
 * What a file is, by its bytes, and what is to be said about loading it. A folder is one model in several files (a SavedModel, an unpacked
 * PyTorch checkpoint): the worst of its files. Throws SecateurError where the path cannot be read; never for what the bytes are.
 */
export async function lintFile(path: string): Promise<LintReport> {
  if (!statOf(path).isDirectory()) return lintOne(path);
  const files = await lintFolder(path);
  const findings = new Findings();
  for (const { path: name, report } of files) findings.within(name, report);
  return findings.report(kindOf(files));
}

/** The kind of a folder: that of the file that makes it a model. */
function kindOf(files: readonly LintedFile[]): FormatKind {
  const kinds = new Map(files.map(({ path, report }) => [path, report.kind]));
  if (kinds.get('saved_model.pb') === 'saved-model') return 'saved-model';
  if (kinds.has('data.pkl')) return 'torch-zip';
  const models = files.filter(({ report }) => report.kind !== 'other' && report.kind !== 'onnx-data');
  const worst = [...models].sort((a, b) => VERDICTS.indexOf(b.report.verdict) - VERDICTS.indexOf(a.report.verdict));
  return worst[0]?.report.kind ?? 'other';
}

/**
 * All plain files below a folder, in order of path, each with its report; what is no plain file is refused as such. Folders named .git are
 * left out.
 * @param only paths of the files to look at, where others do not matter
 */
export async function lintFolder(folder: string, only?: readonly string[]): Promise<LintedFile[]> {
  const names = only?.map((name) => ({ name, plain: statOf(join(folder, name)).isFile() })) ?? list(folder, '', 0, []);
  const data = new Set<string>();
  for (const { name, plain } of names)
    if (plain && /\.onnx$/i.test(name)) for (const file of externalFiles(join(folder, name))) data.add(file);
  const linted: LintedFile[] = [];
  for (const { name, plain } of names) {
    if (plain) linted.push({ path: name, report: lintOne(join(folder, name), data) });
    else linted.push({ path: name, report: { kind: 'unknown', verdict: 'refused', findings: [NOT_PLAIN] } });
  }
  return linted.sort((a, b) => compareNames(a.path, b.path));
}

const NOT_PLAIN = { rule: 'not-a-file', verdict: 'refused', says: 'a link, a pipe or a device and no file' } as const;

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    return cannot(folder, 'cannot be read', { got: (cause as NodeJS.ErrnoException).code, cause });
  }
}

function list(folder: string, below: string, depth: number, found: { name: string; plain: boolean }[]): { name: string; plain: boolean }[] {
  if (depth > MAX_DEPTH) cannot(folder, 'folders too deep within each other', { expected: `at most ${MAX_DEPTH}` });
  for (const entry of entriesOf(join(folder, below))) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) {
      if (entry.name !== '.git') list(folder, name, depth + 1, found);
    } else found.push({ name, plain: entry.isFile() });
    if (found.length > MAX_FILES) cannot(folder, 'too many files', { expected: `at most ${MAX_FILES}`, got: 'more' });
  }
  return found;
}
