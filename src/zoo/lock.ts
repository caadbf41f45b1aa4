/** models.lock, read: every field checked, and what can be computed from others computed again. */
import { compareNames, omsRoot, parseSha256, treeDigest } from './digest.ts';
import { integrityOf } from './integrity.ts';
import { checkModelName, checkNameTwins } from './names.ts';
import { checkFilePath, checkTwins } from './paths.ts';
import { formatSource, parseSource, type SourceSpec } from './sources/spec.ts';
import { type JsonNode, parseJson } from './strict-json.ts';
import {
  type CheckedClaim,
  CLAIM_ALGORITHMS,
  type ClaimAlgorithm,
  FORMATS,
  INTEGRITIES,
  type Lock,
  type LockedFile,
  type LockedModel,
  type LockedSignature,
  type Sha256,
  VERDICTS,
} from './types.ts';

export const LOCK_FILE = 'models.lock';
/** Models in a lock and files of a model; more is no list that a person could look at. */
const MAX_MODELS = 10_000;
export const MAX_FILES = 50_000;
const MAX_CLAIMS = 16;
const MAX_CHARS = 2 ** 26;
const LONG = 4096;
/** No command can write it anew: all of them read it first. */
const RESTORE = 'models.lock as it was committed';
const HEX_DIGITS: Readonly<Record<ClaimAlgorithm, number>> = { sha256: 64, sha1: 40, md5: 32, 'git-blob': 40 };

export const emptyLock = (): Lock => ({ lockfileVersion: 1, models: new Map() });

/**
 * The lock that a text holds; models and files in order of name, in whatever order the text has them, so that a merge by hand is no error.
 * Tree digest, OMS root and integrity level are computed from the files and must be those that the text states.
 * @param where the file's name in messages
 * @throws SecateurError E_LOCK with line and column (exit code 3 where a computed value differs), E_PATH, E_NAME or E_SOURCE
 */
export function parseLock(text: string, where: string = LOCK_FILE): Lock {
  const root = parseJson(text, where, { code: 'E_LOCK', maxDepth: 16, maxValues: 2_000_000, maxChars: MAX_CHARS });
  const version = root.field('lockfileVersion');
  if (version.integer() !== 1) {
    version.refuse('a lock file of a version that this program does not know', '1', version.raw, 'the newer secateur that wrote it');
  }
  root.only('lockfileVersion', 'models');
  const entries = [...root.field('models').object()];
  if (entries.length > MAX_MODELS) root.field('models').refuse('too many models', `at most ${MAX_MODELS}`, `${entries.length}`);
  for (const [name, node] of entries) checkModelName(name, () => node.whereKey);
  checkNameTwins(
    entries.map(([name]) => name),
    (i) => entries[i][1].whereKey,
  );
  const models = entries.map(([name, node]) => [name, readModel(node)] as const);
  return { lockfileVersion: 1, models: new Map(models.sort((a, b) => compareNames(a[0], b[0]))) };
}

function readModel(node: JsonNode): LockedModel {
  node.only('source', 'requested', 'resolved', 'include', 'files', 'treeDigest', 'omsRoot', 'integrity', 'signature', 'lintRules');
  const source = readSource(node.field('source'));
  const requested = node.optional('requested')?.string({ ...PRINTED, max: 256 });
  const resolved = node
    .field('resolved')
    .string({ pattern: /^(?:unversioned|commit:[0-9a-f]{40})$/, expected: '"unversioned", or "commit:" and 40 hex digits' });
  const include = node.optional('include')?.array({ min: 1, max: 1000 });
  const files = readFiles(node.field('files'));
  const signed = node.optional('signature');
  const model: LockedModel = {
    source,
    ...(requested !== undefined && { requested }),
    resolved,
    ...(include && { include: include.map((glob) => glob.string({ ...PRINTED, max: 1024 })) }),
    files,
    treeDigest: readDigest(node.field('treeDigest')),
    omsRoot: readDigest(node.field('omsRoot')),
    integrity: node.field('integrity').oneOf(INTEGRITIES),
    ...(signed && { signature: readSignature(signed) }),
    lintRules: node.field('lintRules').string({ ...PRINTED, max: 64 }),
  };
  agree(node, 'treeDigest', model.treeDigest, treeDigest(files));
  agree(node, 'omsRoot', model.omsRoot, omsRoot(files));
  agree(node, 'integrity', model.integrity, integrityOf(files, model.signature));
  return model;
}

/** A value that the files determine: another one means that somebody edited the lock. */
function agree(model: JsonNode, field: string, stated: string, computed: string): void {
  if (stated === computed) return;
  model
    .field(field)
    .refuse(`"${field}" is not what the entries of this model give; the file was edited or damaged`, computed, stated, RESTORE, 3);
}

function readFiles(node: JsonNode): LockedFile[] {
  const nodes = node.array({ min: 1, max: MAX_FILES });
  const files = nodes.map(readFile);
  checkTwins(
    files.map((f) => f.path),
    (i) => nodes[i].field('path').where,
  );
  return files.sort((a, b) => compareNames(a.path, b.path));
}

function readFile(node: JsonNode): LockedFile {
  node.only('path', 'size', 'digest', 'url', 'format', 'lint', 'claims');
  const path = node.field('path');
  const digest = readDigest(node.field('digest'));
  const url = node.optional('url');
  return {
    path: checkFilePath(path.string(), () => path.where),
    size: node.field('size').integer({ min: 0 }),
    digest,
    ...(url && { url: readUrl(url) }),
    claims: node
      .field('claims')
      .array({ max: MAX_CLAIMS })
      .map((claim) => readClaim(claim, digest)),
    format: node.field('format').oneOf(FORMATS),
    lint: node.field('lint').oneOf(VERDICTS),
  };
}

function readClaim(node: JsonNode, digest: Sha256): CheckedClaim {
  node.only('from', 'algorithm', 'value', 'matched');
  const algorithm = node.field('algorithm').oneOf(CLAIM_ALGORITHMS);
  const digits = HEX_DIGITS[algorithm];
  const value = node.field('value').string({ pattern: new RegExp(`^[0-9a-f]{${digits}}$`), expected: `${digits} lower-case hex digits` });
  const matched = node.field('matched').boolean();
  if (algorithm === 'sha256') agree(node, 'matched', `${matched}`, `${digest === `sha256:${value}`}`);
  const from = node.field('from').string({ pattern: /^[a-z0-9][a-z0-9._-]{0,63}$/, expected: 'a short word such as caffe-readme' });
  return { from, algorithm, value, matched };
}

function readSignature(node: JsonNode): LockedSignature {
  node.only('method', 'bundle', 'bundleDigest', 'signer');
  const bundle = node.field('bundle');
  return {
    method: node.field('method').oneOf(['key', 'certificate', 'sigstore']),
    bundle: checkFilePath(bundle.string(), () => bundle.where),
    bundleDigest: readDigest(node.field('bundleDigest')),
    signer: node.field('signer').string({ ...PRINTED, max: LONG }),
  };
}

/** One line without control characters. */
const PRINTED = { min: 1, pattern: /^[^\p{Cc}]*$/u, expected: 'a line of text' } as const;

function readDigest(node: JsonNode): Sha256 {
  const expected = '"sha256:" and 64 lower-case hex digits';
  return parseSha256(node.string({ expected })) ?? node.refuse(`${node.label} is no SHA-256`, expected, JSON.stringify(node.value));
}

/** In the one form in which sources are written, without revision. */
function readSource(node: JsonNode): string {
  const text = node.string({ min: 1, max: LONG });
  const form = formatSource(sourceAt(text, node), true);
  if (form !== text)
    node.refuse('"source" is not in the form in which sources are written', JSON.stringify(form), JSON.stringify(text), RESTORE);
  return text;
}

/** The source that a text names; its place is looked up only for a message. Throws SecateurError E_SOURCE with line and column. */
export function sourceAt(text: string, node: JsonNode): SourceSpec {
  try {
    return parseSource(text);
  } catch {
    return parseSource(text, node.where);
  }
}

function readUrl(node: JsonNode): string {
  const expected = 'an http:, https: or file: address without user name and password';
  const text = node.string({ min: 1, max: 2 * LONG, pattern: /^(?:https?|file):\/\/[^\s\p{Cc}\\]+$/u, expected });
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== '' || url.password !== '') {
    const host = url === undefined ? JSON.stringify(text) : `one with a password at ${url.host}`;
    return node.refuse(`${node.label} is not right`, expected, host);
  }
  return text;
}
