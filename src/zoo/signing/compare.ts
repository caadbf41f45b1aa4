/** Are the files that are there the files that were signed? */
import { fail } from '../../core/errors.ts';
import { globMatches } from '../globs.ts';
import { ignoreEntry, isUnder } from './names.ts';
import type { Steps } from './steps.ts';
import { GIT_PATHS, type ModelStatement, type VerifyOptions } from './types.ts';

/**
 * Paths of what is there, each with its digest in hex; for byte ranges the digests of all of them ({@link rangesText}). Undefined where a
 * file was not hashed because nobody signed it.
 */
export type Present = ReadonlyMap<string, string | undefined>;

export interface Compared {
  readonly ignored: readonly string[];
  readonly extra: readonly string[];
  readonly uncovered: readonly string[];
  readonly notInstalled: readonly string[];
  readonly warnings: readonly string[];
}

/** Names that a message lists. */
const NAMED = 5;

/** What every path must hold according to the statement, in the form of {@link Present}. */
export function signedFiles(statement: ModelStatement): Map<string, string> {
  if (statement.method === 'files') return new Map(statement.resources.map((r) => [r.name, r.digest]));
  const ranges = new Map<string, { start: number; end: number; digest: string }[]>();
  for (const { range, digest } of statement.resources) {
    const { path, start, end } = range!;
    const list = ranges.get(path);
    if (list === undefined) ranges.set(path, [{ start, end, digest }]);
    else list.push({ start, end, digest });
  }
  return new Map([...ranges].map(([path, list]) => [path, rangesText(list.sort((a, b) => a.start - b.start))]));
}

/** Digests of a file's ranges as one text: another size, a gap or another digest gives another text. */
export const rangesText = (ranges: readonly { start: number; end: number; digest: string }[]): string =>
  ranges.map(({ start, end, digest }) => `${start}:${end}:${digest}`).join(' ');

/**
 * The name that the only file of a model goes by in old bundles is `.`; this gives the path that it stands for among those that are there.
 */
export function resolveSingle(statement: ModelStatement, names: readonly string[], steps: Steps): ModelStatement {
  const [only] = statement.resources;
  if ((only.range?.path ?? only.name) !== '.') return statement;
  const own = names.filter((name) => !GIT_PATHS.some((git) => isUnder(name, git)));
  const name = names.includes(statement.subjectName) ? statement.subjectName : own.length === 1 ? own[0] : undefined;
  if (name === undefined) {
    const what = 'one single file was signed, and which of yours it is does not follow';
    const hint = 'the path of that file instead of its folder';
    return steps.refuse({ code: 'E_SIG_NAME', what, expected: statement.subjectName, got: `${own.length} files`, hint });
  }
  const resources = statement.resources.map((r) => (r.range === undefined ? { ...r, name } : { ...r, range: { ...r.range, path: name } }));
  if (name === statement.subjectName) return { ...statement, resources };
  const renamed = `the name ${name} is not signed: one file was, which was called ${statement.subjectName} then`;
  return { ...statement, resources, warnings: [renamed, ...statement.warnings] };
}

/** Entries that apply; the others (`..`, absolute, `.`) can name nothing within a model. */
export function ignoreEntries(texts: readonly string[] | undefined): string[] {
  return [...new Set((texts ?? []).map(ignoreEntry).filter((entry) => entry !== undefined))];
}

/**
 * Paths that the user leaves out. A slip in one must not go unnoticed: what it names would be refused as unsigned, or worse, not be.
 * @throws SecateurError `E_SIG_IGNORE`, exit code 2
 */
export const userEntries = (texts: readonly string[] | undefined): string[] =>
  (texts ?? []).map((text) => ignoreEntry(text) ?? refuseIgnore(text));

const refuseIgnore = (text: string): never =>
  fail({
    code: 'E_SIG_IGNORE',
    where: '--ignore',
    what: 'not a path within the model',
    expected: 'a relative path without .., patterns are not read',
    got: JSON.stringify(text),
    exitCode: 2,
  });

/**
 * Compares, and refuses what differs: changed files first, then missing ones, then files that nobody signed; each message names the
 * others too.
 * @param isBundle whether a file that is there is the signature itself
 * @throws SecateurError `E_SIG_CHANGED`, `E_SIG_MISSING`, `E_SIG_EXTRA`
 */
export function compareFiles(
  statement: ModelStatement,
  present: Present,
  o: VerifyOptions,
  steps: Steps,
  isBundle: (name: string) => boolean,
): Compared {
  const signed = signedFiles(statement);
  const byUser = userEntries(o.ignore);
  const bySigner = ignoreEntries(statement.ignorePaths).filter(
    (entry) => !(GIT_PATHS as readonly string[]).includes(entry) && !isBundle(entry),
  );
  const [changed, missing, extra, left, empty, uncovered, notInstalled]: string[][] = [[], [], [], [], [], [], []];
  // Sources offer no files of Git's, so that no part has them.
  const optional = (name: string): boolean =>
    o.subset !== undefined && (GIT_PATHS.some((git) => isUnder(name, git)) || !o.subset.some((glob) => globMatches(glob, name)));
  for (const [name, digest] of signed) {
    if (!present.has(name)) (optional(name) ? notInstalled : missing).push(name);
    else if (present.get(name) !== digest) changed.push(name);
  }
  for (const [name, digest] of present) {
    if (signed.has(name) || isBundle(name)) continue;
    if (byUser.some((entry) => isUnder(name, entry))) continue;
    uncovered.push(name);
    if (GIT_PATHS.some((entry) => isUnder(name, entry))) continue;
    if (bySigner.some((entry) => isUnder(name, entry))) left.push(name);
    else if (statement.method === 'shards' && digest === '') empty.push(name);
    else extra.push(name);
  }
  // Where every signed file may be missing, one that is here is still wanted: else nothing at all was verified.
  if (notInstalled.length === signed.size) missing.push(...notInstalled.splice(0));
  const fatal = { changed, missing, extra: o.ignoreUnsigned ? [] : extra };
  if (fatal.changed.length > 0) refuseChanged(signed, present, fatal, steps);
  if (missing.length > 0) {
    const what = `${count(missing.length, 'signed file is', 'signed files are')} missing: ${some(missing)}${also(fatal, 'missing')}`;
    steps.refuse({
      code: 'E_SIG_MISSING',
      what,
      expected: `all ${signed.size - notInstalled.length} signed files${o.subset ? ' of this part' : ''}`,
      got: `${signed.size - notInstalled.length - missing.length} of them`,
    });
  }
  if (fatal.extra.length > 0) {
    const what = `${count(extra.length, 'file is', 'files are')} there that nobody signed: ${some(extra)}`;
    const hint = '--ignore PATH for what you put there yourself, or --ignore-unsigned';
    steps.refuse({ code: 'E_SIG_EXTRA', what, expected: 'signed files only', got: `${extra.length} more`, hint });
  }
  const ignored = bySigner.filter((entry) => left.some((name) => isUnder(name, entry)));
  return { ignored, extra, uncovered, notInstalled, warnings: warningsOf(statement, ignored, left, empty) };
}

function warningsOf(statement: ModelStatement, ignored: readonly string[], left: readonly string[], empty: readonly string[]): string[] {
  const warnings: string[] = [];
  if (left.length > 0) {
    const files = count(left.length, 'FILE HERE IS', 'FILES HERE ARE');
    warnings.push(`${files} NOT COVERED BY THE SIGNATURE, because the signer left out ${some(ignored)}: ${some(left)}`);
  }
  const useless = (statement.ignorePaths ?? []).filter((text) => ignoreEntries([text]).length === 0);
  if (useless.length > 0) warnings.push(`the signer left out paths that are not within the model, which is of no effect: ${some(useless)}`);
  if (empty.length > 0) warnings.push(`empty files have no byte ranges and so no signature: ${some(empty)}`);
  return warnings;
}

interface Differences {
  readonly changed: readonly string[];
  readonly missing: readonly string[];
  readonly extra: readonly string[];
}

function refuseChanged(signed: ReadonlyMap<string, string>, present: Present, fatal: Differences, steps: Steps): never {
  const [first] = fatal.changed;
  const short = (text: string): string =>
    text === '' ? 'an empty file' : text.includes(':') ? `${text.split(' ').length} byte ranges` : text;
  const [expected, got] = [short(signed.get(first)!), short(present.get(first) ?? '')];
  const files = count(fatal.changed.length, 'file has', 'files have');
  const what = `${files} other bytes than were signed: ${some(fatal.changed)}${also(fatal, 'changed')}`;
  return steps.refuse({ code: 'E_SIG_CHANGED', what, expected, got: expected === got ? 'others' : got });
}

function also(all: Differences, except: keyof Differences): string {
  const words = { changed: 'changed', missing: 'missing', extra: 'not signed' } as const;
  const others = (['missing', 'extra'] as const).filter((kind) => kind !== except && all[kind].length > 0);
  return others.map((kind) => `; also ${words[kind]}: ${some(all[kind])}`).join('');
}

const count = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`;

const some = (names: readonly string[]): string =>
  names.length <= NAMED ? names.join(', ') : `${names.slice(0, NAMED).join(', ')} and ${names.length - NAMED} more`;
