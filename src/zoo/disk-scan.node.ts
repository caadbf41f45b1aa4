/**
 * Finds files of models below a folder, by what they hold. Names alone would miss a pickle that is called `data.bin`, and would
 * make one of every picture that somebody called `model`.
 */
import { isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { lstat, open, readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { SecateurError } from '../core/errors.ts';
import { compareNames } from './digest.ts';
import { lintFile } from './lint/lint.node.ts';
import { isTelling, packedModel } from './packed-models.node.ts';
import { codeOf } from './store/disk.node.ts';
import type { FormatKind, LintVerdict } from './types.ts';

export interface FoundFile {
  /** Relative to the folder that was searched, `/` between parts. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly kind: FormatKind;
  readonly verdict: LintVerdict;
  /** The worst thing about it, one sentence without full stop. */
  readonly says?: string;
  /** It is compressed or an archive, and this is what in it tells a model: `net.onnx`. */
  readonly packed?: string;
  /** It is a link, and this is where it leads. */
  readonly target?: string;
}

export interface DiskScan {
  /** In order of path. */
  readonly models: readonly FoundFile[];
  /** Arrays (npy, npz) that hold numbers only: weights or data, which their bytes do not tell. */
  readonly arrays: { readonly count: number; readonly bytes: number; readonly paths: readonly string[] };
  /** Files that were looked at. */
  readonly looked: number;
  /** Folders and files that could not be read. */
  readonly unreadable: readonly string[];
  /** False where there was more than {@link MOST_ENTRIES}. */
  readonly complete: boolean;
}

export interface ScanOptions {
  /** Files that are known, as paths relative to the root. */
  readonly known?: ReadonlySet<string>;
  /** Folders that are not searched, absolute. */
  readonly skip?: readonly string[];
  readonly signal?: AbortSignal;
  /** Files looked at so far, and the one at hand. */
  onFile?(looked: number, path: string): void;
}

/** Files and folders; a search that runs into a whole home directory ends. */
export const MOST_ENTRIES = 200_000;
const MOST_DEPTH = 64;
/** Never searched: what others installed, what version control keeps, and what this program keeps for itself. */
const SKIPPED = new Set(['node_modules', '.git', '.hg', '.svn', '.secateur', '__pycache__']);
/** Marks a folder of installed Python packages. */
const PYTHON = 'pyvenv.cfg';
const HEAD = 1024;

/** Beginnings of files that are no models: pictures, sound, archives, programs, documents. */
const OTHERS: readonly string[] = [
  '89504e470d0a1a0a', // PNG
  'ffd8ff', // JPEG
  '474946383', // GIF
  '52494646', // RIFF: WebP, WAV
  '494433', // MP3
  '4f676753', // Ogg
  '664c6143', // FLAC
  '1f8b', // gzip
  '425a68', // bzip2
  'fd377a585a00', // xz
  '28b52ffd', // zstd
  '377abcaf271c', // 7z
  '7f454c46', // ELF
  '4d5a', // PE
  'cffaedfe', // Mach-O
  'cafebabe', // Java, fat Mach-O
  '0061736d', // WebAssembly
  '25504446', // PDF
  '53514c69746520', // SQLite
  '774f4646', // WOFF
  '774f4632', // WOFF2
  '00010000', // TrueType
  '00000100', // ICO
];

/**
 * Searches a folder for files of models that are not known. Links to files outside of it are looked at, links to folders are not followed;
 * packages of Node and Python and folders of version control are passed over. Whatever a file holds, it can only be reported.
 */
export async function scanDisk(root: string, o: ScanOptions = {}): Promise<DiskScan> {
  const base = await realpath(root);
  const models: FoundFile[] = [];
  const unreadable: string[] = [];
  const skip = new Set((o.skip ?? []).map((path) => resolve(path)));
  const arrays: { size: number; path: string }[] = [];
  let [looked, entries, complete] = [0, 0, true];
  const todo: { folder: string; depth: number }[] = [{ folder: base, depth: 0 }];
  for (let next = todo.pop(); next !== undefined && complete; next = todo.pop()) {
    const { folder, depth } = next;
    const list = await entriesOf(folder);
    if (list === undefined) {
      unreadable.push(`${pathFrom(base, folder)}/`);
      continue;
    }
    if (depth > 0 && list.some((entry) => entry.name.toString() === PYTHON)) continue;
    for (const entry of list) {
      o.signal?.throwIfAborted();
      if (++entries > MOST_ENTRIES) {
        complete = false;
        break;
      }
      const name = entry.name.toString();
      const path = join(folder, name);
      const shown = pathFrom(base, path);
      if (!isUtf8(entry.name)) unreadable.push(`${shown} (its name is no UTF-8)`);
      else if (entry.isDirectory()) {
        if (!SKIPPED.has(name) && !skip.has(path) && depth < MOST_DEPTH) todo.push({ folder: path, depth: depth + 1 });
      } else if (!o.known?.has(shown) && (entry.isFile() || entry.isSymbolicLink())) {
        const target = entry.isSymbolicLink() ? await outside(base, path) : undefined;
        if (entry.isSymbolicLink() && target === undefined) continue;
        o.onFile?.(++looked, shown);
        const found = await lookAt(path, shown, target);
        if (found === 'unreadable') unreadable.push(shown);
        else if (found?.kind === 'npy' || found?.kind === 'npz') {
          if (found.verdict === 'ok') arrays.push(found);
          else models.push(found);
        } else if (found !== undefined) models.push(found);
      }
    }
  }
  models.sort((a, b) => compareNames(a.path, b.path));
  arrays.sort((a, b) => compareNames(a.path, b.path));
  const bytes = arrays.reduce((sum, { size }) => sum + size, 0);
  return { models, arrays: { count: arrays.length, bytes, paths: arrays.map(({ path }) => path) }, looked, unreadable, complete };
}

const pathFrom = (base: string, path: string): string => relative(base, path).split(sep).join('/');

/** Undefined where the folder cannot be read. */
async function entriesOf(folder: string): Promise<Dirent<Buffer>[] | undefined> {
  try {
    return await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
  } catch (cause) {
    if (codeOf(cause) === undefined) throw cause;
    return undefined;
  }
}

/** Where a link leads, if that is a regular file outside of the folder; inside it will be met itself. */
async function outside(base: string, link: string): Promise<string | undefined> {
  const target = await realpath(link).catch(() => undefined);
  if (target === undefined || target.startsWith(`${base}${sep}`)) return undefined;
  const found = await stat(target).catch(() => undefined);
  return found?.isFile() ? target : undefined;
}

async function lookAt(path: string, shown: string, target: string | undefined): Promise<FoundFile | 'unreadable' | undefined> {
  const file = target ?? path;
  try {
    const { size } = await lstat(file);
    if (size === 0) return undefined;
    const telling = isTelling(shown);
    const { head, inner } = await beginning(file, shown, size);
    if (!telling && inner === undefined && !mayBeModel(head)) return undefined;
    const { kind, verdict, findings } = await lintFile(file);
    const worst = findings.find((f) => f.verdict === verdict);
    const about = { path: shown, size, kind, verdict, ...(target !== undefined && { target }) };
    if (inner !== undefined && (kind === 'unknown' || kind === 'other')) {
      const held = `packed, with ${inner} in it`;
      return {
        ...about,
        packed: inner,
        verdict: verdict === 'ok' ? 'flagged' : verdict,
        says: verdict === 'refused' && worst ? `${held}: ${worst.says}` : held,
      };
    }
    const plain = kind === 'other' || kind === 'prototxt' || kind === 'unknown';
    // A page of a server or a pointer of Git LFS under the name of a model is worth a line too.
    if (plain && !(telling && (kind === 'unknown' || verdict !== 'ok'))) return undefined;
    return { ...about, ...(worst && { says: worst.says }) };
  } catch (error) {
    if (error instanceof SecateurError || codeOf(error) !== undefined) return 'unreadable';
    throw error;
  }
}

/** Of a file: its first bytes, and the model that it holds where it is packed. */
async function beginning(
  path: string,
  shown: string,
  size: number,
): Promise<{ readonly head: Buffer; readonly inner: string | undefined }> {
  const handle = await open(path, 'r');
  try {
    const head = Buffer.alloc(HEAD);
    const { bytesRead } = await handle.read(head, 0, HEAD, 0);
    return { head: head.subarray(0, bytesRead), inner: await packedModel(shown, handle, size) };
  } finally {
    await handle.close();
  }
}

/** Text begins no model but a pickle of protocol 0, whose first lines show; of binary files, all that is not plainly something else. */
function mayBeModel(head: Buffer): boolean {
  if (isText(head)) return /^(?:[(\]}ldt]{0,4}p\d+\r?\n|[(]?[ci][\w.]+\r?\n[\w.]+\r?\n)/.test(head.toString('latin1'));
  const hex = head.subarray(0, 8).toString('hex');
  return !OTHERS.some((magic) => hex.startsWith(magic)) && head.toString('latin1', 257, 262) !== 'ustar';
}

/** Without bytes that no text has. The last character may be cut, so that UTF-8 is not asked for. */
function isText(head: Buffer): boolean {
  return !head.some((byte) => byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d && byte !== 0x0c);
}
