/** What a zip archive is by its entries, and what of it would be loaded: PyTorch, TorchScript, TorchServe, NumPy, Keras. */
import type { ByteSource } from '../../data/zip.ts';
import type { FormatKind, LintReport } from '../types.ts';
import { type ArchiveEntry, type Budget, readArchive } from './archive.ts';
import { Findings, quoted } from './findings.ts';
import { lintKerasConfig } from './keras.ts';
import { hasNpyMark, lintNpy } from './npy.ts';
import { beginsPickle, lintPickle } from './pickle.ts';
import type { StorageReference } from './pickle-walk.ts';

/** Archives within archives within the file. */
export const MAX_NESTING = 3;
/** Unpacked bytes of an entry that is looked into, where the file is small; see {@link largest}. */
const LARGEST = 16_000_000;
/** Bytes of an array's header, and of one of records. */
const NPY_START = 1024;
const NPY_LONG = 12_000;

/** Lints what stands in an archive; `lint` is the linter itself, for archives and files within. */
export type LintWithin = (source: ByteSource, name: string, nesting: number) => LintReport;

/** An entry may be as large as memory for it is to be had: in proportion to the file. */
const largest = (source: ByteSource): number => Math.max(LARGEST, 2 * source.size);

export function lintZip(source: ByteSource, findings: Findings, nesting: number, budget: Budget, lint: LintWithin): FormatKind {
  if (nesting > MAX_NESTING) {
    findings.refuse('zip-nesting', `archives within archives, more than ${MAX_NESTING} deep`);
    return 'unknown';
  }
  const archive = readArchive(source, findings, budget);
  if (archive === undefined) return 'unknown';
  const entries = archive.readable ? archive.entries : [];
  const names = archive.entries.map((e) => e.name);
  const has = (pattern: RegExp): boolean => names.some((name) => pattern.test(name));
  const limit = largest(source);
  // before all others: Keras opens any archive that has it, whatever else is in there
  const config = entries.find((e) => e.name === 'config.json');
  if (config !== undefined) lintConfig(config, findings, limit);
  if (has(/^MAR-INF\/MANIFEST\.json$/i)) {
    findings.refuse('torch-archive', 'a TorchServe archive, whose handler is a program that the server runs');
    for (const entry of entries) within(entry, findings, nesting, lint, limit);
    return 'torchscript';
  }
  if (has(/(^|\/)data\.pkl$/)) return lintTorch(entries, findings, nesting, lint, limit);
  if (config !== undefined) {
    for (const entry of entries) if (entry !== config) within(entry, findings, nesting, lint, limit);
    return 'keras-zip';
  }
  if (names.length > 0 && names.every((name) => name.endsWith('.npy'))) {
    for (const entry of entries) lintArray(entry, findings, limit);
    return 'npz';
  }
  for (const entry of entries) within(entry, findings, nesting, lint, limit);
  findings.flag('unknown-format', 'a zip archive of no kind of model that is known here');
  return 'unknown';
}

/** Lints an entry for what it is; texts and raw numbers are nothing to tell. */
function within(entry: ArchiveEntry, findings: Findings, nesting: number, lint: LintWithin, limit: number): void {
  const content = entry.open(limit);
  if (content === undefined) {
    tooLarge(entry, findings, limit);
    return;
  }
  const report = lint(content, entry.name, nesting + 1);
  if (report.kind !== 'unknown' || report.verdict === 'refused') findings.within(entry.name, report);
}

function lintConfig(entry: ArchiveEntry, findings: Findings, limit: number): void {
  const content = entry.open(limit);
  if (content === undefined) tooLarge(entry, findings, limit);
  else lintKerasConfig(new TextDecoder('utf-8').decode(content.read(0, content.size)), entry.name, findings);
}

function tooLarge(entry: ArchiveEntry, findings: Findings, limit: number): void {
  if (entry.size > limit) findings.refuse('zip-bomb', `entry ${quoted(entry.name)} unpacks to ${entry.size} bytes, too many to look into`);
}

/** An array's header stands in its first bytes; a checksum of the numbers protects nobody from anything. */
function lintArray(entry: ArchiveEntry, findings: Findings, limit: number): void {
  let start = entry.start(NPY_START);
  // version 1 has 2 bytes for the header's length, later ones 4
  if (start.length >= 12 && (start[6] > 1 || start[8] + start[9] * 256 > NPY_START - 10)) start = entry.start(NPY_LONG);
  const head: ByteSource = { size: start.length, read: (offset, length) => start.subarray(offset, offset + length) };
  if (!hasNpyMark(head)) {
    if (beginsPickle(head))
      findings.refuse('npy-objects', `${quoted(entry.name)}: a pickle in place of an array, which NumPy loads as one`);
    else findings.refuse('npy', `${quoted(entry.name)}: is no NumPy array`);
    return;
  }
  const inner = new Findings();
  lintNpy(head, inner, entry.size);
  if (inner.report('npy').findings.some((f) => f.rule === 'npy-objects')) {
    const whole = entry.open(limit);
    if (whole === undefined) tooLarge(entry, findings, limit);
    else lintNpy(whole, inner);
  }
  findings.within(entry.name, inner.report('npy'));
}

/** Bytes of an element by the name of a PyTorch storage. */
const STORAGE_BYTES: Readonly<Record<string, number>> = {
  ...{
    FloatStorage: 4,
    DoubleStorage: 8,
    HalfStorage: 2,
    BFloat16Storage: 2,
    LongStorage: 8,
    IntStorage: 4,
    ShortStorage: 2,
    CharStorage: 1,
  },
  ...{
    ByteStorage: 1,
    BoolStorage: 1,
    ComplexFloatStorage: 8,
    ComplexDoubleStorage: 16,
    UntypedStorage: 1,
    QInt8Storage: 1,
    QUInt8Storage: 1,
  },
  QInt32Storage: 4,
};

function lintTorch(entries: readonly ArchiveEntry[], findings: Findings, nesting: number, lint: LintWithin, limit: number): FormatKind {
  let script = false;
  const roots = new Set<string>();
  const sizes = new Map(entries.map((e) => [e.name, e.size]));
  for (const entry of entries) {
    const parts = entry.name.split('/');
    const last = parts[parts.length - 1];
    const root = entry.name.slice(0, entry.name.length - last.length);
    if (parts.includes('code') || last === 'constants.pkl' || last.endsWith('.py') || last.endsWith('.so')) script = true;
    if (!/\.pkl$/i.test(last)) {
      // PyTorch reads tensors' memory as it is; anything else is looked at as a file of its own
      if (!/(^|\/)data\/\d+$/.test(entry.name)) within(entry, findings, nesting, lint, limit);
      continue;
    }
    const content = entry.open(limit);
    if (content === undefined) {
      tooLarge(entry, findings, limit);
      continue;
    }
    const inner = new Findings();
    const { storages } = lintPickle(content, inner);
    if (last === 'data.pkl') {
      roots.add(root);
      checkStorages(storages, root, sizes, inner);
    }
    findings.within(entry.name, inner.report('pickle'));
  }
  if (roots.size > 1) findings.refuse('torch-two-roots', 'holds two PyTorch checkpoints, and programs differ in which they load');
  if (script) findings.refuse('torchscript', 'holds code (TorchScript), which runs when the model is loaded or called');
  return script ? 'torchscript' : 'torch-zip';
}

/** Each piece of memory that the pickle names must be in the archive, of the size that it says: PyTorch versions crashed on others. */
function checkStorages(storages: readonly StorageReference[], root: string, sizes: ReadonlyMap<string, number>, findings: Findings): void {
  for (const { type, key, elements } of storages) {
    const size = sizes.get(`${root}data/${key}`);
    const bytes = STORAGE_BYTES[type];
    if (size === undefined) findings.refuse('torch-storage', `the memory ${quoted(key)} of a tensor is not in the archive`);
    else if (bytes !== undefined && elements * bytes !== size) {
      findings.refuse('torch-storage', `the memory ${quoted(key)} of a tensor has ${size} bytes, its pickle says ${elements * bytes}`);
    }
  }
}
