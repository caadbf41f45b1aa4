/** The signed payload: an in-toto statement that lists the files of a model. Read only after its signature was checked. */
import { type JsonNode, parseJsonBytes } from '../strict-json.ts';
import type { Sha256 } from '../types.ts';
import { caseless, composed, twins, wrongName } from './names.ts';
import { inOrder, orderOfRoot, rootOf } from './resource-order.ts';
import { READING, type Steps } from './steps.ts';
import {
  LEGACY_PREDICATE_TYPE,
  type ModelStatement,
  PREDICATE_TYPE,
  RESOURCE_HASHES,
  type Resource,
  type ResourceHash,
  STATEMENT_TYPE,
} from './types.ts';

const counted = (n: number, thing: string): string => `${n} ${thing}${n === 1 ? '' : 's'}`;

const MAX_VALUES = 2_000_000;
const HEX_DIGITS: Readonly<Record<ResourceHash, number>> = { sha256: 64, blake2b: 128, blake3: 64 };
/** Python writes the size of its shards into the name of the algorithm. */
const SHARDED = /^(sha256|blake2b|blake3)-sharded-([0-9]{1,16})$/;

/**
 * The statement over a model, every field checked: types, one subject with a SHA-256, a list that is not empty, without doubles or names
 * that mean two files, algorithms that are the declared one, and the subject's digest computed again over the list.
 * Source: in-toto Statement v1; OMS v1.0 sections 4 to 7 and `statement.schema.json`, `predicate.schema.json`; for 0.2.0 its own source form.
 * @param legacy also the predicate of model-signing 0.2.0
 * @throws SecateurError `E_SIG_PAYLOAD`, `E_SIG_STATEMENT_TYPE`, `E_SIG_PREDICATE_TYPE`, `E_SIG_PREDICATE`, `E_SIG_SUBJECT`,
 * `E_SIG_RESOURCES`, `E_SIG_DUPLICATE`, `E_SIG_NAME`, `E_SIG_TWINS`, `E_SIG_ALGORITHM`, `E_SIG_ROOT`, `E_SIG_LEGACY`
 */
export function parseStatement(payload: Uint8Array, steps: Steps, legacy = false): ModelStatement {
  const where = `${steps.where} (payload)`;
  return steps.reading('E_SIG_PAYLOAD', () => {
    const root = parseJsonBytes(payload, where, { code: READING, maxValues: MAX_VALUES, exitCode: 3 });
    const type = root.field('_type').string();
    if (type !== STATEMENT_TYPE) {
      const what = 'the signed text is another kind of statement';
      steps.refuse({ code: 'E_SIG_STATEMENT_TYPE', where: root.field('_type').where, what, expected: STATEMENT_TYPE, got: type });
    }
    const predicateType = root.field('predicateType').string();
    if (predicateType === LEGACY_PREDICATE_TYPE) {
      if (!legacy) refuseLegacy(steps, 'the list of files is in the form of model-signing 0.2.0');
      return readLegacy(root, steps);
    }
    if (predicateType !== PREDICATE_TYPE) {
      const what = 'the signed statement is not one over the files of a model';
      const at = root.field('predicateType').where;
      steps.refuse({ code: 'E_SIG_PREDICATE_TYPE', where: at, what, expected: PREDICATE_TYPE, got: predicateType });
    }
    root.only('_type', 'subject', 'predicateType', 'predicate');
    return readStatement(root, steps);
  });
}

/** Old forms are read only where the user says so: each is one more way to be talked into a different reading of the same bytes. */
export function refuseLegacy(steps: Steps, what: string): never {
  const hint = '--legacy if you expect a signature made before model-signing 1.1';
  return steps.refuse({ code: 'E_SIG_LEGACY', what, expected: 'OMS v1.0', got: 'an older form', hint });
}

function readStatement(root: JsonNode, steps: Steps): ModelStatement {
  const { subjectName, root: signed } = readSubject(root, steps);
  const predicate = root.optional('predicate');
  if (predicate === undefined) {
    const expected = 'a predicate with resources and serialization';
    return steps.refuse({ code: 'E_SIG_PREDICATE', what: 'the statement lists no files at all', expected, got: 'no predicate' });
  }
  predicate.only('resources', 'serialization');
  const serialization = predicate.field('serialization');
  serialization.only('method', 'hash_type', 'allow_symlinks', 'shard_size', 'ignore_paths');
  const hash = serialization.field('hash_type').oneOf(RESOURCE_HASHES);
  const method = serialization.field('method').oneOf(['files', 'shards']);
  const size = serialization.optional('shard_size');
  if (method === 'files' && size !== undefined) size.refuse('files are hashed whole, yet a size of shards is given', 'no shard_size');
  // Python writes whole numbers as 1000000000.0 here.
  const shardSize = method === 'shards' ? serialization.field('shard_size').integer({ min: 1, fraction: true }) : undefined;
  const allowSymlinks = serialization.field('allow_symlinks').boolean();
  const list = serialization.optional('ignore_paths')?.array({ max: 10_000 });
  const ignorePaths = list?.map((node) => node.string({ min: 1, max: 4096 }));
  const read = (node: JsonNode): Resource => readResource(node, hash, shardSize, steps);
  const resources = (predicate.optional('resources')?.array() ?? []).map(read);
  if (resources.length === 0) {
    steps.refuse({ code: 'E_SIG_RESOURCES', what: 'the statement covers no file', expected: 'at least one resource', got: 'none' });
  }
  const warnings = [...checkNames(resources, steps)];
  const order = orderOfRoot(resources, signed);
  if (order === undefined) {
    const what = 'the signed digest over all files is not that of the signed list of files';
    const hint = 'to ask whoever signed: the tool that made this signature has a fault';
    steps.refuse({ code: 'E_SIG_ROOT', what, expected: `the digest over ${resources.length} resources`, got: signed, hint });
  }
  if (order === 'listed') {
    warnings.push('the list of files is not sorted by code points, as Python implementations write it; stricter verifiers refuse that');
  } else if (order === 'python') warnings.push('the digest over all files is computed in an order that is neither specified nor listed');
  if (ignorePaths === undefined) {
    warnings.push('made by an older implementation: it does not record which paths were left out');
  }
  if (allowSymlinks) warnings.push('symbolic links were followed when this was signed, which the specification advises against');
  steps.done(`its statement lists ${counted(resources.length, method === 'files' ? 'file' : 'byte range')}, and their digest fits`);
  return { version: '1.0', subjectName, root: signed, hash, method, shardSize, allowSymlinks, resources, ignorePaths, warnings };
}

function readSubject(root: JsonNode, steps: Steps): { subjectName: string; root: Sha256 } {
  const all = root.optional('subject')?.array() ?? [];
  if (all.length !== 1) {
    const what = 'it must say of exactly one model that these are its files';
    return steps.refuse({ code: 'E_SIG_SUBJECT', what, expected: 'one subject', got: `${all.length}` });
  }
  const subjectName = all[0].field('name').string({ min: 1, max: 4096 });
  const digest = all[0].field('digest');
  const sha256 = digest.optional('sha256');
  if (sha256 === undefined) {
    const got = [...digest.object().keys()].join(', ') || 'none';
    return steps.refuse({ code: 'E_SIG_SUBJECT', what: 'the model has no SHA-256', where: digest.where, expected: 'sha256', got });
  }
  return { subjectName, root: `sha256:${sha256.string({ pattern: /^[0-9a-f]{64}$/, expected: '64 lower-case hex digits' })}` };
}

function readResource(node: JsonNode, hash: ResourceHash, shardSize: number | undefined, steps: Steps): Resource {
  const name = node.field('name').string({ min: 1, max: 8192 });
  const algorithm = node.field('algorithm').string();
  const sharded = SHARDED.exec(algorithm);
  if (algorithm !== hash && !(shardSize !== undefined && sharded?.[1] === hash && Number(sharded[2]) === shardSize)) {
    const what = `${JSON.stringify(name)} is hashed otherwise than the statement declares`;
    steps.refuse({ code: 'E_SIG_ALGORITHM', where: node.where, what, expected: hash, got: algorithm });
  }
  const digits = HEX_DIGITS[hash];
  const pattern = digits === 128 ? /^[0-9a-f]{128}$/ : /^[0-9a-f]{64}$/;
  const digest = node.field('digest').string({ pattern, expected: `${digits} lower-case hex digits` });
  if (shardSize === undefined) return { name, digest, algorithm: hash };
  return { name, digest, algorithm: hash, range: readRange(node, name, shardSize) };
}

/** `path:start:end`, from the last two colons, because a path may hold some. */
function readRange(node: JsonNode, name: string, shardSize: number): { path: string; start: number; end: number } {
  const parts = /^(.+):([0-9]{1,16}):([0-9]{1,16})$/s.exec(name);
  const [start, end] = [Number(parts?.[2]), Number(parts?.[3])];
  if (parts === null || end <= start || end - start > shardSize || start % shardSize !== 0 || !Number.isSafeInteger(end)) {
    const expected = `path:start:end with start at a multiple of ${shardSize} and at most ${shardSize} bytes`;
    return node.field('name').refuse('not a range of bytes', expected, JSON.stringify(name));
  }
  return { path: parts[1], start, end };
}

/** Refuses names that mean no file, two files, or different files on different machines; gives warnings for the rest. */
function checkNames(resources: readonly Resource[], steps: Steps): string[] {
  const seen = new Set<string>();
  const paths = new Set<string>();
  for (const { name, range } of resources) {
    if (seen.has(name)) {
      const what = 'a file is listed twice, and readers differ in which entry counts';
      steps.refuse({ code: 'E_SIG_DUPLICATE', what, expected: 'every name once', got: `${JSON.stringify(name)} again` });
    }
    seen.add(name);
    paths.add(range?.path ?? name);
  }
  for (const path of paths) {
    // Old implementations call the only file of a model that is one file so.
    if (path === '.' && paths.size === 1) continue;
    const wrong = wrongName(path);
    if (wrong === undefined) continue;
    const what = `a listed name is no path within the model: ${wrong}`;
    steps.refuse({ code: 'E_SIG_NAME', what, expected: 'a relative path with /', got: JSON.stringify(path) });
  }
  const same = twins(paths, composed);
  if (same !== undefined) {
    const what = 'two listed names are written with the same characters, composed and decomposed: some disks hold only one of them';
    const got = same.map((name) => `${JSON.stringify(name)} (${[...name].length} code points)`).join(' and ');
    steps.refuse({ code: 'E_SIG_TWINS', what, expected: 'names that differ after Unicode normalisation', got });
  }
  const folded = twins(paths, caseless);
  return folded === undefined ? [] : [`${folded.join(' and ')} differ in case only: some disks hold only one of them`];
}

/** Model-signing 0.2.0: every file is a subject, and no digest over all of them was signed; ours is computed for reference. */
function readLegacy(root: JsonNode, steps: Steps): ModelStatement {
  const subjects = root.field('subject').array();
  const resources = subjects.map((node): Resource => {
    const digest = node
      .field('digest')
      .field('sha256')
      .string({ pattern: /^[0-9a-f]{64}$/, expected: '64 lower-case hex digits' });
    const as = node.optional('annotations')?.optional('actual_hash_algorithm');
    if (as !== undefined && as.string() !== 'file-sha256')
      as.refuse('only whole files are read from this old form', 'file-sha256', as.string());
    return { name: node.field('name').string({ min: 1, max: 8192 }), digest, algorithm: 'sha256' };
  });
  if (resources.length === 0) {
    steps.refuse({ code: 'E_SIG_RESOURCES', what: 'the statement covers no file', expected: 'at least one subject', got: 'none' });
  }
  const warnings = [
    ...checkNames(resources, steps),
    'made by model-signing 0.2.0: no digest over all files was signed, nor which paths were left out',
  ];
  const digest = rootOf(inOrder(resources));
  steps.done(`its statement lists ${counted(resources.length, 'file')}`);
  const fixed = { version: '0.1', hash: 'sha256', method: 'files', allowSymlinks: false } as const;
  return { ...fixed, subjectName: resources[0].name, root: digest, resources, warnings };
}
