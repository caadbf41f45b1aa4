/** Is an in-toto statement about these bytes? */
import { hexOf, type NamedDigest, treeDigest } from '../digest.ts';
import { STATEMENT_TYPE } from '../signing/types.ts';
import { type JsonNode, parseJsonBytes } from '../strict-json.ts';
import { OUTCOMES, type TestOutcome } from './outcome.ts';
import { TEST_RESULT_TYPE } from './statement.ts';

/** Of a statement, after its signature was checked. */
export interface StatementFacts {
  readonly predicateType: string;
  /** Subjects with a SHA-256 or a dirHash; other digests say nothing here. */
  readonly subjects: readonly { readonly name: string; readonly sha256?: string; readonly dirHash?: string }[];
  /** Absent where the predicate is another than Test Result. */
  readonly test?: {
    readonly result: TestOutcome;
    readonly passed: readonly string[];
    readonly warned: readonly string[];
    readonly failed: readonly string[];
    readonly command?: string;
    /** Path of the file that was tested, where a statement of this program says so: the others were only beside it. */
    readonly tested?: string;
    /** Numbers that a statement of this program repeats. */
    readonly measured: readonly Measured[];
  };
}

/** One number of a result, with its interval where it has one. */
export interface Measured {
  readonly table: string;
  readonly row: string;
  readonly column: string;
  /** `rate` is 0..1; see evaluate/result.ts. */
  readonly unit: string;
  readonly value: number;
  readonly n?: number;
  readonly low?: number;
  readonly high?: number;
}

const MOST_SUBJECTS = 200_000;
const MOST_TESTS = 100_000;

/**
 * Reads a statement. Unknown fields are passed over, as its specification wants.
 * @throws SecateurError E_ATTEST_STATEMENT with line and column
 */
export function readStatement(payload: Uint8Array, where: string): StatementFacts {
  const root = parseJsonBytes(payload, where, { code: 'E_ATTEST_STATEMENT', maxValues: 2_000_000, exitCode: 3 });
  const type = root.field('_type');
  if (type.string() !== STATEMENT_TYPE) type.refuse('another kind of statement', STATEMENT_TYPE, type.string());
  const subjects = root.field('subject').array({ min: 1, max: MOST_SUBJECTS }).map(readSubject);
  const predicateType = root.field('predicateType').string({ min: 1, max: 2000 });
  if (predicateType !== TEST_RESULT_TYPE) return { predicateType, subjects };
  const predicate = root.field('predicate');
  const tests = (name: string): string[] =>
    predicate
      .optional(name)
      ?.array({ max: MOST_TESTS })
      .map((t) => t.string()) ?? [];
  const configuration = predicate.field('configuration').array({ max: MOST_TESTS });
  const command = configuration[0]?.optional('annotations')?.optional('secateur_command')?.string();
  const tested = predicate.optional('secateur_tested')?.string();
  return {
    predicateType,
    subjects,
    test: {
      result: predicate.field('result').oneOf(OUTCOMES),
      passed: tests('passedTests'),
      warned: tests('warnedTests'),
      failed: tests('failedTests'),
      measured: predicate.optional('secateur_measurements')?.array({ max: MOST_TESTS }).map(readMeasured) ?? [],
      ...(command !== undefined && { command }),
      ...(tested !== undefined && { tested }),
    },
  };
}

function readMeasured(node: JsonNode): Measured {
  const text = (name: string): string => node.field(name).string({ max: 1000 });
  const number = (name: string): number | undefined => node.optional(name)?.number();
  const [n, low, high] = [number('n'), number('low'), number('high')];
  return {
    ...{ table: text('table'), row: text('row'), column: text('column'), unit: text('unit'), value: node.field('value').number() },
    ...(n !== undefined && { n }),
    ...(low !== undefined && { low }),
    ...(high !== undefined && { high }),
  };
}

function readSubject(node: JsonNode): StatementFacts['subjects'][number] {
  const digest = node.field('digest');
  const hex = (name: string): string | undefined =>
    digest.optional(name)?.string({ pattern: /^[0-9a-f]{64}$/, expected: '64 lower-case hex digits' });
  const [sha256, dirHash] = [hex('sha256'), hex('dirHash')];
  return {
    name: node.optional('name')?.string() ?? '',
    ...(sha256 !== undefined && { sha256 }),
    ...(dirHash !== undefined && { dirHash }),
  };
}

/** How far the subjects are the files that are here. */
export interface Coverage {
  readonly same: boolean;
  /** It is about every file that is here; else a file that it does not name may be anything. */
  readonly whole: boolean;
  /** One sentence without full stop, about what differs or what it is about. */
  readonly says: string;
}

/**
 * Compares a statement's subjects with a model's files. A digest over the whole tree must be that of the tree; else every subject must be one
 * of the files by its SHA-256 (a statement of another program may be about some of them only).
 */
export function coverageOf({ subjects }: Pick<StatementFacts, 'subjects'>, files: readonly NamedDigest[]): Coverage {
  const here = new Set(files.map((file) => hexOf(file.digest)));
  const singles = subjects.filter((subject) => subject.sha256 !== undefined);
  const common = singles.filter((subject) => here.has(subject.sha256 as string)).length;
  const trees = subjects.filter((subject) => subject.dirHash !== undefined);
  if (trees.length > 0) {
    const tree = hexOf(treeDigest(files));
    const whole = trees.some((subject) => subject.dirHash === tree) && common === singles.length;
    if (whole) return { same: true, whole, says: all(files.length) };
    return { same: false, whole: false, says: `other bytes: ${common} of its ${singles.length} files are here` };
  }
  if (singles.length === 0) return { same: false, whole: false, says: 'no subject has a SHA-256' };
  if (common < singles.length) return { same: false, whole: false, says: `other bytes: ${common} of its ${singles.length} files are here` };
  const distinct = new Set(singles.map((subject) => subject.sha256));
  const whole = distinct.size === here.size;
  return { same: true, whole, says: whole ? all(files.length) : `${distinct.size} of ${here.size} files` };
}

const all = (files: number): string => (files === 1 ? 'its one file' : `all ${files} files`);
