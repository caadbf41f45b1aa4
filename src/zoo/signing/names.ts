/** Names of files in a statement: relative POSIX paths that mean the same file everywhere. */

/** UTF-8 bytes of a name; longer ones no file system takes. */
const LONGEST = 4096;

/**
 * What is wrong with a name, in words; undefined where nothing is. A name has parts between single `/`, none of them `.` or `..`, no
 * leading or trailing `/`, no backslash, control character, lone surrogate or drive letter. Backslashes are legal on Linux and in OMS, but
 * they are a separator on Windows: a signature must not mean two things (OMS v1.0 section 5; facts 2.5 nr 3, 7.3 nr 5).
 */
export function wrongName(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (name.length > LONGEST) return `it is longer than ${LONGEST} characters`;
  if (name.startsWith('/')) return 'it is absolute';
  if (name.includes('\\')) return 'it holds a backslash';
  if (/^[A-Za-z]:/.test(name)) return 'it starts with a drive letter';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'it holds a control character';
  if (/\p{Cs}/u.test(name)) return 'it is not Unicode text';
  for (const part of name.split('/')) {
    if (part === '') return 'it has an empty part (//, or / at the end)';
    if (part === '.' || part === '..') return `it has the part ${part}`;
  }
  return undefined;
}

/** Whether a path is an entry itself or lies below it. */
export const isUnder = (path: string, entry: string): boolean => path === entry || path.startsWith(`${entry}/`);

/** An entry of a list of what is left out as a path of ours: without `./` before and `/` behind; undefined where it is no such path. */
export function ignoreEntry(text: string): string | undefined {
  const path = text.replace(/^(\.\/)+/, '').replace(/\/+$/, '');
  return wrongName(path) === undefined ? path : undefined;
}

/** First two names that are one on a disk which folds case or composes characters; undefined where there are none. */
export function twins(names: Iterable<string>, fold: (name: string) => string): [string, string] | undefined {
  const seen = new Map<string, string>();
  for (const name of names) {
    const key = fold(name);
    const other = seen.get(key);
    if (other !== undefined && other !== name) return [other, name];
    seen.set(key, name);
  }
  return undefined;
}

export const composed = (name: string): string => name.normalize('NFC');
export const caseless = (name: string): string => name.normalize('NFC').toLowerCase();
