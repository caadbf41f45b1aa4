/**
 * The in-toto statement that says "these bytes gave that result": Statement v1 over the files of a model and over all of them together, with the
 * vetted predicate Test Result v0.1.
 * Source: in-toto attestation specification, spec/v1/{statement,resource_descriptor,digest_set}.md and spec/predicates/test-result.md.
 */
import type { Result } from '../../evaluate/result.ts';
import { compareNames, hexOf, type NamedDigest, treeDigest } from '../digest.ts';
import { STATEMENT_TYPE } from '../signing/types.ts';
import type { Sha256 } from '../types.ts';
import { type Verdict, verdictOf } from './outcome.ts';

export const TEST_RESULT_TYPE = 'https://in-toto.io/attestation/test-result/v0.1';

/** A run's result.json, as it was read. */
export interface ReadResult {
  readonly result: Result;
  /** Of the file's bytes. */
  readonly digest: Sha256;
}

/** What part a model had in a run. */
export interface ModelRole {
  /** `input`: it was measured, or worked on. `output`: it is what the run made. */
  readonly role: 'input' | 'output';
  /** Path of the ONNX file within the model. */
  readonly path: string;
}

export interface Statement {
  readonly verdict: Verdict;
  /** What is signed. */
  readonly payload: Uint8Array;
}

/** Numbers that are repeated in the statement; a result with more is still bound by its digest. */
const MOST_CELLS = 500;

/**
 * The statement over a model's files. The same input gives the same bytes.
 * @param name of the model; the subject over all files is called `NAME/`
 * @param tree false where the model is one file that has no folder of its own
 */
export function testStatement(name: string, files: readonly NamedDigest[], tree: boolean, read: ReadResult, tested: ModelRole): Statement {
  const { result, digest } = read;
  const { command, seeds, versions, inputs, outputs = {}, started } = result.provenance;
  const verdict = verdictOf(result);
  const subject = [...files]
    .sort((a, b) => compareNames(a.path, b.path))
    .map((file): Json => ({ name: file.path, digest: { sha256: hexOf(file.digest) } }));
  // The lines that `treeDigest` hashes are those of in-toto's `dirHash`, so the standard name fits.
  if (tree) subject.push({ name: `${name}/`, digest: { dirHash: hexOf(treeDigest(files)) } });
  const cells = result.tables.flatMap(({ name: table, unit, cells: all }) =>
    all.map(({ row, column, value, n, low, high }) => ({ table, row, column, unit, value, n, low, high })),
  );
  const other = Object.entries(tested.role === 'input' ? inputs : { ...inputs, ...outputs }).filter(([key]) => key !== 'model');
  const made = tested.role === 'output' ? [['model', inputs.model]] : [];
  const predicate = {
    result: verdict.result,
    configuration: [
      {
        name: 'result.json',
        digest: { sha256: hexOf(digest) },
        mediaType: 'application/json',
        annotations: {
          secateur_command: command,
          secateur_recipe: result.recipe,
          secateur_seeds: seeds,
          secateur_started: started,
          secateur_versions: versions,
        },
      },
      ...[...other, ...made]
        .filter((entry): entry is [string, string] => entry[1] !== undefined)
        .map(([key, hex]) => ({ name: `input ${key}`, digest: { sha256: hex } })),
    ],
    passedTests: verdict.passed,
    warnedTests: verdict.warned,
    failedTests: verdict.failed,
    secateur_role: tested.role,
    secateur_tested: tested.path,
    ...(cells.length <= MOST_CELLS ? { secateur_measurements: cells } : { secateur_measurements_omitted: cells.length }),
  };
  const statement = { _type: STATEMENT_TYPE, subject, predicateType: TEST_RESULT_TYPE, predicate };
  return { verdict, payload: new TextEncoder().encode(JSON.stringify(statement)) };
}

type Json = Record<string, unknown>;
