/** models.json, which people write: read strictly, changed with care for how they wrote it. */
import { appendItem, removeField, setField, setValue } from './json-edit.ts';
import { sourceAt } from './lock.ts';
import { checkModelName, checkNameTwins } from './names.ts';
import { checkFilePath } from './paths.ts';
import { type JsonNode, parseJson } from './strict-json.ts';
import { FORMATS, type Manifest, type PolicyRule, type SigstoreIdentity, VERDICTS, type WantedModel } from './types.ts';

export const MANIFEST_FILE = 'models.json';
export const DEFAULT_FOLDER = 'models';
const MAX_MODELS = 10_000;
const MAX_RULES = 1000;
const MAX_SIGNERS = 100;
/** Folders that hold something else, whatever the case. */
const TAKEN = ['models.sigs', 'models.keys', MANIFEST_FILE, 'models.lock', '.secateur', 'node_modules'];

export const emptyManifest = (): Manifest => ({ folder: DEFAULT_FOLDER, models: new Map(), policy: [] });

/**
 * What models.json says. Missing fields have their defaults: folder `models`, no models, no policy.
 * @param where the file's name in messages
 * @throws SecateurError E_MANIFEST with line and column, E_NAME, E_PATH or E_SOURCE
 */
export function parseManifest(text: string, where: string = MANIFEST_FILE): Manifest {
  const root = readText(text, where);
  root.only('folder', 'models', 'policy');
  const folder = root.optional('folder');
  const entries = [...(root.optional('models')?.object() ?? [])];
  if (entries.length > MAX_MODELS) root.field('models').refuse('too many models', `at most ${MAX_MODELS}`, `${entries.length}`);
  for (const [name, node] of entries) checkModelName(name, () => node.whereKey);
  checkNameTwins(
    entries.map(([name]) => name),
    (i) => entries[i][1].whereKey,
  );
  return {
    folder: folder === undefined ? DEFAULT_FOLDER : readFolder(folder),
    models: new Map(entries.map(([name, node]) => [name, readWanted(node)])),
    policy: root.optional('policy')?.array({ max: MAX_RULES }).map(readRule) ?? [],
  };
}

const readText = (text: string, where: string): JsonNode => parseJson(text, where, { code: 'E_MANIFEST', maxDepth: 16, maxChars: 2 ** 24 });

function readFolder(node: JsonNode): string {
  const folder = checkFilePath(node.string(), () => node.where);
  const first = folder.split('/')[0].toLowerCase();
  if (TAKEN.includes(first)) node.refuse('"folder" holds something else', `another folder than ${first}`, JSON.stringify(folder));
  return folder;
}

function readWanted(node: JsonNode): WantedModel {
  node.only('source', 'include', 'signature');
  const source = node.field('source');
  sourceAt(source.string({ min: 1, max: 4096 }), source);
  const include = node.optional('include')?.array({ min: 1, max: 1000 }).map(readGlob);
  const signature = node.optional('signature')?.string(LINE);
  return { source: source.string(), ...(include && { include }), ...(signature !== undefined && { signature }) };
}

const LINE = { min: 1, max: 4096, pattern: /^[^\p{Cc}]*$/u, expected: 'a line of text' } as const;

/** A pattern that could match a path; one that never can is a mistake that would install nothing or check nothing. */
function readGlob(node: JsonNode): string {
  const expected = 'a pattern such as onnx/*.onnx, with * within a name and ** for any folders';
  const glob = node.string({ ...LINE, max: 1024, expected });
  const odd = glob.includes('\\') || glob.split('/').some((part) => part === '' || part === '.' || part === '..');
  return odd ? node.refuse(`${node.label} matches nothing`, expected, JSON.stringify(glob)) : glob;
}

function readRule(node: JsonNode): PolicyRule {
  node.only('match', 'require', 'keys', 'authorities', 'identities', 'formats', 'lint', 'mode');
  const least = node.field('require').oneOf(['lock', 'claim', 'signature']);
  const [keys, authorities] = (['keys', 'authorities'] as const).map((name) =>
    node.optional(name)?.array({ min: 1, max: MAX_SIGNERS }).map(readPem),
  );
  const identities = node.optional('identities')?.array({ min: 1, max: MAX_SIGNERS }).map(readIdentity);
  const signers = ['keys', 'authorities', 'identities'].find((name) => node.optional(name) !== undefined);
  if (least === 'signature' && signers === undefined) {
    node.refuse('a rule wants a signature but does not say whose', '"keys", "authorities" or "identities"', 'none of them');
  }
  if (least !== 'signature' && signers !== undefined) {
    const got = JSON.stringify(least);
    node
      .field('require')
      .refuse(`a rule has "${signers}" but wants no signature`, '"signature"', got, `"require": "signature", or no "${signers}"`);
  }
  const formats = node
    .optional('formats')
    ?.array({ max: FORMATS.length })
    .map((format) => format.oneOf(FORMATS));
  const lint = node.optional('lint')?.oneOf(VERDICTS);
  const mode = node.optional('mode')?.oneOf(['enforce', 'warn']);
  return {
    match: readGlob(node.field('match')),
    require: least,
    ...(keys && { keys }),
    ...(authorities && { authorities }),
    ...(identities && { identities }),
    ...(formats && { formats }),
    ...(lint && { lint }),
    ...(mode && { mode }),
  };
}

/** Path of a file with a key or a certificate, within the project: it has to be committed with it. */
function readPem(node: JsonNode): string {
  return checkFilePath(node.string({ expected: 'the path of a PEM file within the project' }), () => node.where);
}

function readIdentity(node: JsonNode): SigstoreIdentity {
  node.only('identity', 'issuer', 'trustedRoot');
  const trustedRoot = node.optional('trustedRoot');
  return {
    identity: node.field('identity').string({ ...LINE, expected: 'an e-mail address or a URI, whole' }),
    issuer: node
      .field('issuer')
      .string({ ...LINE, expected: 'the address of who vouches for the identity, such as https://accounts.google.com' }),
    ...(trustedRoot && { trustedRoot: readPem(trustedRoot) }),
  };
}

/**
 * The text of models.json with a model added, or its entry replaced; all else as it was written. The result is read again before it is
 * handed back.
 * @param text undefined: there is no file yet
 * @throws SecateurError as {@link parseManifest}
 */
export function addToManifest(text: string | undefined, name: string, wanted: WantedModel): string {
  const { source, include, signature } = wanted;
  const entry = { source, include, signature };
  checkModelName(name, MANIFEST_FILE);
  const before = text ?? '{\n  "models": {}\n}\n';
  const root = readText(before, MANIFEST_FILE);
  const models = root.optional('models');
  return checked(models === undefined ? setField(before, root, 'models', { [name]: entry }) : setField(before, models, name, entry));
}

/**
 * The text of models.json without a model; the same text where it has none of that name. Rules of the policy stay, also those that matched
 * only this model.
 * @throws SecateurError as {@link parseManifest}
 */
export function removeFromManifest(text: string, name: string): string {
  const models = readText(text, MANIFEST_FILE).optional('models');
  return models?.optional(name) === undefined ? text : checked(removeField(text, models, name));
}

/**
 * The text of models.json with a rule at the end of the policy. A rule with the same `match` that also wants a signature is replaced
 * instead, keeping its formats and lint where the new rule has none: two such rules would both have to hold, and one signature rarely
 * satisfies two keys. Not its mode: who names a signer now wants more than a warning.
 * @throws SecateurError as {@link parseManifest}
 */
export function addRule(text: string, rule: PolicyRule): string {
  const { policy } = parseManifest(text);
  const root = readText(text, MANIFEST_FILE);
  const node = root.optional('policy');
  if (node === undefined) return checked(setField(text, root, 'policy', [inOrder(rule)]));
  if (policy.some((old) => JSON.stringify(inOrder(old)) === JSON.stringify(inOrder(rule)))) return text;
  const same = (old: PolicyRule): boolean => old.match === rule.match && old.require === 'signature' && rule.require === 'signature';
  const index = policy.findIndex(same);
  if (index < 0) return checked(appendItem(text, node, inOrder(rule)));
  const { formats, lint } = policy[index];
  return checked(setValue(text, node.array()[index], inOrder({ formats, lint, ...rule })));
}

const inOrder = (rule: PolicyRule): PolicyRule => ({
  match: rule.match,
  require: rule.require,
  keys: rule.keys,
  authorities: rule.authorities,
  identities: rule.identities,
  formats: rule.formats,
  lint: rule.lint,
  mode: rule.mode,
});

function checked(text: string): string {
  parseManifest(text);
  return text;
}

/** The `models.json` that `zoo init` writes. */
export function newManifest(folder: string, rules: readonly PolicyRule[]): string {
  const value = { ...(folder !== DEFAULT_FOLDER && { folder }), models: {}, policy: rules.map(inOrder) };
  return checked(`${JSON.stringify(value, null, 2)}\n`);
}
