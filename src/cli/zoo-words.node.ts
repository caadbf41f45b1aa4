/** How the verbs of the zoo speak of models, files and those who vouch for them. */
import type { Integrity, LintReport, LockedFile, LockedModel } from '../zoo/types.ts';
import { columns, size } from './output.node.ts';
import type { Progress } from './progress.node.ts';

/** What has to stand beside every good result. */
export const SIGNATURE_HONESTY =
  'A verified signature says who published these bytes. It does not say that the model has no backdoor: look into it with `secateur inspect`.';

/** The same where nothing was signed: what a lock is worth. */
export const LOCK_HONESTY =
  'A lock and a hash say that the bytes are still the same. They do not say that a model has no backdoor: look into it with `secateur inspect`.';

/** And where nothing is locked: what looking at formats is worth. */
export const FILE_HONESTY =
  'The last column is about what loading a file can do. It does not say that a model has no backdoor: look into it with `secateur inspect`.';

/** `1 file`, `3 files`. */
export const counted = (n: number, thing: string): string => `${n} ${thing}${n === 1 ? '' : 's'}`;

/** `sha256:` and as many digits as a person compares. */
export const shortDigest = (digest: string): string => `${digest.slice(0, 'sha256:'.length + 16)}...`;

/**
 * Who vouches for a model, in a sentence without full stop.
 * @param confirmed whether a signature that the lock speaks of was verified now: the lock's word alone is not repeated as one
 */
export function vouched(entry: LockedModel, confirmed: boolean): string {
  if (entry.integrity === 'signed' && !confirmed) return 'models.lock says signed, which nothing here confirms';
  const words: Record<Integrity, () => string> = {
    'pinned-on-first-use': () => `pinned on first use: ${deniedBy(entry) ?? 'nobody vouched for these bytes'}`,
    'matched-published-claim': () => `matches ${claimWords(entry)}; nobody signed it`,
    signed: () => `signed by ${entry.signature?.signer}`,
  };
  return words[entry.integrity]();
}

/** Files that do not have the hash that somebody shows for them, and were taken all the same. */
function deniedBy({ files }: LockedModel): string | undefined {
  const denied = files.filter((f) => f.claims.some((c) => !c.matched));
  return denied.length === 0 ? undefined : `${denied[0].path} does NOT have the hash that its publisher shows`;
}

function claimWords({ files }: LockedModel): string {
  const claims = files.flatMap((f) => f.claims);
  if (claims.some((c) => c.from === 'user')) return 'the hash that you gave';
  const weak = claims.every((c) => c.algorithm === 'sha1' || c.algorithm === 'md5');
  return `a hash that its publisher shows${weak ? ` (only ${[...new Set(claims.map((c) => c.algorithm))].join(', ')})` : ''}`;
}

/** A model's files as aligned lines. */
export function filesText(files: readonly LockedFile[]): string {
  const rows = files.map((f) => [f.path, size(f.size), shortDigest(f.digest), f.format, f.lint, f.claims.map(claimText).join(', ')]);
  return columns([['file', 'size', 'digest', 'format', 'lint', 'published hashes'], ...rows], [1])
    .map((line) => `  ${line}`)
    .join('\n');
}

const claimText = (c: LockedFile['claims'][number]): string => `${c.from} ${c.algorithm} ${c.matched ? 'matches' : 'DIFFERS'}`;

/** What the linter has to say, a line for each finding. */
export function lintLines(name: string, lint: ReadonlyMap<string, LintReport>): string[] {
  return [...lint].flatMap(([path, { findings }]) => findings.map((f) => `${f.verdict}: ${name}: ${path}: ${f.says} (${f.rule})`));
}

/** Progress lines of downloads and hashing, and notes that stay. */
export function tellers(progress: Progress): {
  onProgress(done: number, total: number | undefined, file: string): void;
  onNote(text: string): void;
} {
  return {
    onProgress: (done, total, file) => {
      if (total === undefined) progress.passing(`${file}  ${size(done)}`);
      else progress.update(done, total, `${file}  ${size(done)} of ${size(total)}`);
    },
    onNote: (text) => progress.line(`note: ${text}`),
  };
}
