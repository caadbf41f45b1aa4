/**
 * Paths of files within a model, as they may stand in a lock, a signature or a listing from a server. One lock serves every machine, so
 * what one file system cannot hold, or would take for something else, is refused on all.
 */
import { fail } from '../core/errors.ts';

/** Bytes of UTF-8 in a name between slashes: the limit of ext4, APFS and NTFS (there in UTF-16 units). */
const MAX_PART = 255;
/** Bytes of UTF-8 in the whole path, well below what systems allow (Linux 4096, macOS 1024 with the folder in front). */
const MAX_PATH = 1024;
/** Names in a path; deeper trees of a model are somebody's trick. */
const MAX_DEPTH = 32;
/** What Windows takes for a device, with any extension (learn.microsoft.com, "Naming Files, Paths, and Namespaces"). */
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])$/i;
/** Characters that draw nothing; file systems and Git skip some of them when they compare names. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;

/**
 * The path itself, if it may name a file of a model: names joined by `/`, relative, without `.` and `..`, backslash, drive letter, control
 * characters, Windows devices, trailing dots or blanks, folders of Git; at most 255 bytes a name and 1024 in all.
 * @param where where the path was read, `models.lock:12:15`, or who offers it
 * @throws SecateurError E_PATH
 */
export function checkFilePath(path: string, where: Where): string {
  const wrong = wrongPath(path);
  return wrong === undefined ? path : fail({ code: 'E_PATH', where: placeOf(where), ...wrong, got: quote(path) });
}

/** A place as it stands in a message, or how to find it: a line has to be counted only for what is wrong. */
export type Where = string | (() => string);

export const placeOf = (where: Where): string => (typeof where === 'string' ? where : where());

export interface Wrong {
  readonly what: string;
  readonly expected?: string;
}

/** Why a path may not name a file of a model, or undefined; see {@link checkFilePath}. */
export function wrongPath(path: string): Wrong | undefined {
  if (path === '') return { what: 'a path is empty', expected: 'the name of a file' };
  if (/\p{Cs}/u.test(path)) return { what: 'a path is no valid Unicode', expected: 'whole characters' };
  if (/\p{Cc}/u.test(path)) return { what: 'a path holds a control character', expected: 'a name that can be printed' };
  if (/[\u202a-\u202e\u2066-\u2069]/.test(path)) {
    return { what: 'a path holds a mark that turns the direction of writing', expected: 'a name that reads as it is' };
  }
  if (path.includes('\\')) return { what: 'a path holds a backslash', expected: 'names joined by /' };
  if (path.startsWith('/')) return { what: 'a path is absolute', expected: 'a relative path' };
  if (utf8Length(path) > MAX_PATH) return { what: 'a path is too long', expected: `at most ${MAX_PATH} bytes` };
  const parts = path.split('/');
  if (parts.length > MAX_DEPTH) return { what: 'a path has too many folders', expected: `at most ${MAX_DEPTH} names` };
  for (const part of parts) {
    const wrong = wrongPart(part);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function wrongPart(part: string): Wrong | undefined {
  if (part === '') return { what: 'a path has an empty name in it', expected: 'single slashes, and none at the end' };
  if (part === '.' || part === '..') {
    return part === '.'
      ? { what: 'a path has the name . in it', expected: 'names of files and folders' }
      : { what: 'a path leads out of its folder', expected: 'a path without ..' };
  }
  if (part.includes(':')) return { what: 'a path holds a colon', expected: 'no drive and no stream of Windows' };
  if (part.endsWith('.') || part.endsWith(' ')) {
    return { what: 'a name ends in a dot or blank, which Windows drops', expected: 'another last character' };
  }
  if (utf8Length(part) > MAX_PART) return { what: 'a name is too long', expected: `at most ${MAX_PART} bytes between slashes` };
  const stem = (part.split('.')[0] ?? '').trimEnd();
  if (DEVICE.test(stem)) return { what: 'a name is a device of Windows', expected: `another name than ${stem.toUpperCase()}` };
  const bare = part.replace(INVISIBLE, '').toLowerCase();
  if (bare === '.git' || bare === 'git~1') {
    return { what: 'a path goes into a folder of Git, whose files can run commands', expected: 'the files of a model' };
  }
  return undefined;
}

const utf8Length = (text: string): number => (text.length > 2 * MAX_PATH ? text.length : new TextEncoder().encode(text).length);

const quote = (text: string): string => JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}...` : text);

/** Where the path at an index was read. */
export type Places = string | ((index: number) => string);

/**
 * Refuses paths that cannot all lie in one folder on every disk: the same twice, names that differ only in case, in Unicode normalisation
 * or in characters that draw nothing, and a file that another path takes for a folder. Time in proportion to the paths' total length.
 * @throws SecateurError E_PATH
 */
export function checkTwins(paths: readonly string[], where: Places): void {
  refuseTwins(paths, where, 'E_PATH', 'path');
}

/** {@link checkTwins} for names of another kind. */
export function refuseTwins(paths: readonly string[], where: Places, code: string, noun: string): void {
  const refuse = (index: number, what: string, other: string): never =>
    fail({
      code,
      where: typeof where === 'string' ? where : where(index),
      what,
      expected: `no ${quote(other)} beside it`,
      got: quote(paths[index]),
    });
  const root: Folder = new Map();
  for (const [index, path] of paths.entries()) {
    let folder = root;
    const parts = path.split('/');
    for (const [depth, part] of parts.entries()) {
      const isFile = depth === parts.length - 1;
      const key = folded(part);
      const known = folder.get(key);
      if (known === undefined) {
        const entry: Entry = { exact: part, path, ...(!isFile && { below: new Map() }) };
        folder.set(key, entry);
        if (entry.below !== undefined) folder = entry.below;
        continue;
      }
      const { exact, below } = known;
      if (isFile && below !== undefined) refuse(index, `a ${noun} is also the folder of another`, known.path);
      if (isFile && known.path === path) refuse(index, `a ${noun} stands twice in the list`, path);
      if (isFile) refuse(index, `two ${noun}s are the same to some disks, which ignore case or spelling of accents`, known.path);
      if (below === undefined) refuse(index, `a ${noun} takes another for a folder`, known.path);
      if (exact !== part) refuse(index, 'two folders are the same to some disks, which ignore case or spelling of accents', known.path);
      folder = below as Folder;
    }
  }
}

/** What would stand on the disk, by folded name. */
type Folder = Map<string, Entry>;
interface Entry {
  readonly exact: string;
  /** The first path of the list that leads here. */
  readonly path: string;
  /** Absent for files. */
  readonly below?: Folder;
}

/** Equal for names that a file system may take for the same. */
function folded(path: string): string {
  if (/^[ -~]*$/.test(path)) return path.toLowerCase();
  return path.replace(INVISIBLE, '').normalize('NFKD').toUpperCase().toLowerCase().normalize('NFC');
}
