/**
 * From a wanted model to checked files: resolve, fetch, compare published hashes, verify the signature, put the files into place, and look
 * into them before anything of it is visible. What all of `add`, `install` and `update` do with a model that is not in the lock yet.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { fail, SecateurError } from '../../core/errors.ts';
import { checkClaims, requireClaims } from '../fetch/claims.node.ts';
import { fetchFile } from '../fetch/download.node.ts';
import { lintFile, lintFolder } from '../lint/lint.node.ts';
import { withModel } from '../lock-write.ts';
import { signersFor } from '../policy.ts';
import { lockText, modelFolder, type Project } from '../project.node.ts';
import { MAX_BUNDLE } from '../signing/bundle.ts';
import { digestOfBundle, type Verification } from '../signing/verify.node.ts';
import { resolveSource } from '../sources/resolve.node.ts';
import { parseSource } from '../sources/spec.ts';
import type { Cache } from '../store/cache.node.ts';
import { type Placed, placeModel } from '../store/place.node.ts';
import type {
  CheckedClaim,
  Claim,
  FetchedFile,
  LintReport,
  Lock,
  LockedFile,
  LockedModel,
  LockedSignature,
  Manifest,
  SourceFile,
  WantedModel,
} from '../types.ts';
import { INTEGRITIES } from '../types.ts';
import { enforce, refuseFormats } from './enforce.ts';
import { lockEntry } from './lock-entry.ts';
import type { VerbOptions } from './options.ts';
import { checkSigners, requireCovered, type SignersCheck } from './signers.node.ts';

/** Name that a bundle has by custom, at the top of the signed folder. */
const BUNDLE_NAME = 'model.sig';
/** Files that are fetched at the same time. */
const LANES = 4;

/** What is accepted although it does not look right. */
export interface Acceptance {
  readonly acceptClaimMismatch?: boolean;
  readonly allowRefused?: boolean;
  /** Nothing will be installed: what does not fit is told, not refused. */
  readonly only?: 'look';
}

export interface Obtained {
  readonly wanted: WantedModel;
  readonly source: Omit<SourceState, 'files'>;
  readonly files: readonly FetchedFile[];
  readonly claims: ReadonlyMap<string, readonly CheckedClaim[]>;
  readonly bundle?: Uint8Array;
  readonly verification?: Verification;
  readonly signature?: LockedSignature;
}
type SourceState = Awaited<ReturnType<typeof resolveSource>>;

/** Where a model's bundle is kept, relative to the project. */
export const bundlePath = (name: string): string => `models.sigs/${name}.sig`;

/**
 * Fetches a model into the cache and checks all that can be checked without looking into the files: published hashes, the signature.
 * @param manifest with the rules that will hold for it
 * @param userClaims hashes that the user gave, by path; under `''` the one for a model of a single file
 * @throws SecateurError E_CLAIM, E_SIG_... (exit code 3), and what sources and downloads throw
 */
export async function obtain(
  project: Pick<Project, 'root' | 'lock'>,
  manifest: Manifest,
  name: string,
  wanted: WantedModel,
  cache: Cache,
  o: VerbOptions & Acceptance & { readonly userClaims?: ReadonlyMap<string, string> },
): Promise<Obtained> {
  const spec = parseSource(wanted.source);
  const { include } = wanted;
  const found = await resolveSource(spec, { ...o, base: project.root, ...(include && { include }), also: BUNDLE_NAME });
  for (const note of found.notes) o.onNote?.(`${name}: ${note}`);
  const beside = found.files.find((f) => f.path === BUNDLE_NAME);
  const listed = withUserClaims(
    name,
    found.files.filter((f) => f !== beside),
    o.userClaims,
  );
  if (listed.length === 0) {
    fail({ code: 'E_SOURCE', where: name, what: 'no files', expected: 'at least one besides the signature', got: wanted.source });
  }
  const signatureFile = await bundleOf(project.root, wanted, beside ?? besideFile(spec.kind, listed));
  // a hash that the user has makes the way by which the bytes come of no account
  const given = (file: SourceFile): boolean => file.claims.some((c) => c.from === 'user');
  const files = await inLanes(listed, (file) => fetchFile(file, cache, { ...o, name, allowHttp: o.allowHttp === true || given(file) }));
  const before = new Map(project.lock.models.get(name)?.files.map((f) => [f.path, f]));
  const claims = new Map(files.map((file) => [file.path, claimsOf(name, file, before.get(file.path), o)]));
  const { files: _, ...source } = found;
  if (signatureFile === undefined) return { wanted, source, files, claims };
  const bundle = await readBundle(await fetchFile(signatureFile, cache, { ...o, name, maxBytes: MAX_BUNDLE }), cache);
  const located = await Promise.all(files.map(async (file) => ({ ...file, at: await cache.find(file.digest) })));
  const checking = checkSigners(project.root, manifest, name, bundle, located, wanted.include);
  const { verified, warned } = await (o.only === 'look' ? checking.catch(toldOnly) : checking);
  for (const text of warned) o.onNote?.(text);
  if (verified === undefined) {
    const why = 'no rule in models.json says whose would count: not checked';
    if (warned.length === 0) o.onNote?.(`${name}: has a signature, but ${why}`);
    return { wanted, source, files, claims };
  }
  for (const warning of verified.warnings) o.onNote?.(`${name}: signature: ${warning}`);
  const { method, signer } = verified;
  const signature = { method, signer, bundle: bundlePath(name), bundleDigest: digestOfBundle(bundle) };
  return { wanted, source, files, claims, bundle, verification: verified, signature };
}

/** For those who only look: why a signature does not hold is worth as much as what changed. */
function toldOnly(error: unknown): SignersCheck {
  if (error instanceof SecateurError && /^E_SIG_/.test(error.parts.code ?? '')) return { warned: [error.message] };
  throw error;
}

export interface Settled {
  readonly entry: LockedModel;
  readonly lint: ReadonlyMap<string, LintReport>;
  readonly placed: Placed;
  readonly folder: string;
  /** As it was written. */
  readonly lock: Lock;
}

/**
 * Puts an obtained model into its folder, after looking into its files and asking the policy; when this throws, nothing was changed.
 * @param o `manifestText`: models.json as it becomes, where it changes
 * @throws SecateurError E_FORMAT, E_POLICY (exit code 3), and what placing throws
 */
export async function settle(
  project: Project,
  manifest: Manifest,
  name: string,
  obtained: Obtained,
  cache: Cache,
  o: VerbOptions & Acceptance & { readonly manifestText?: string },
): Promise<Settled> {
  const { source, files, claims, signature, bundle } = obtained;
  if (bundle === undefined) requireBundle(manifest, name, source.source);
  let entry: LockedModel | undefined;
  const lint = new Map<string, LintReport>();
  const paths = new Map<string, string>();
  for (const { digest } of files) {
    const path = await cache.find(digest);
    paths.set(digest, path ?? goneFromCache(cache, digest));
  }
  const check = async (staged: string): Promise<void> => {
    const reports = new Map((await lintFolder(staged)).map(({ path, report }) => [path, report]));
    for (const { path } of files) lint.set(path, reports.get(path) ?? (await lintFile(join(staged, path))));
    entry = lockEntry(
      source,
      obtained.wanted.include,
      files.map((file) => ({ file, claims: claims.get(file.path) ?? [], lint: lint.get(file.path)! })),
      signature,
    );
    const fresh = new Map(files.filter((f) => !accepted(f.path, f.digest)).map((f) => [f.path, lint.get(f.path)!]));
    if (o.allowRefused !== true) refuseFormats(manifest, name, fresh, ALLOW_HINT);
    for (const [path, { findings }] of lint) {
      for (const f of findings) if (f.verdict === 'refused') o.onNote?.(`${name}: ${path}: ${f.says} (${f.rule})`);
    }
    enforce(manifest, name, entry, o);
    const uncovered = obtained.verification && requireCovered(manifest, name, obtained.verification, entry.files);
    if (uncovered !== undefined) o.onNote?.(uncovered);
  };
  const folder = modelFolder({ ...project, manifest }, name);
  const before = project.lock.models.get(name);
  const accepted = (path: string, digest: string): boolean =>
    before?.files.some((f) => f.path === path && f.digest === digest && f.lint === 'refused') === true;
  const wanted = files.map(({ path, size, digest }) => ({ path, size, digest, from: paths.get(digest)! }));
  let lock = project.lock;
  // the folder, both files and the signature change together or not at all, whenever the process is killed
  const also = () => {
    lock = withModel(project.lock, name, entry!);
    return [
      ...(bundle !== undefined ? [{ path: bundlePath(name), bytes: bundle }] : []),
      // else a signature of what was here before would lie beside a model that nobody signed
      ...(bundle === undefined && before?.signature !== undefined ? [{ path: bundlePath(name) }] : []),
      ...(o.manifestText === undefined ? [] : [{ path: 'models.json', bytes: o.manifestText }]),
      { path: 'models.lock', bytes: lockText(lock) },
    ];
  };
  const placed = await placeModel(project.root, folder, wanted, { check, also, cache, previous: before?.files, signal: o.signal });
  for (const { path, kept } of placed.kept) o.onNote?.(`${name}: ${path} had been changed here; a copy is kept at ${kept}`);
  for (const path of placed.carried) o.onNote?.(`${name}: ${path} is not part of the model and was left where it is`);
  if (before !== undefined && before.signature === undefined && rank(entry!) < rank(before)) {
    o.onNote?.(`${name}: had a published hash that matched (${before.integrity}), and has none now (${entry!.integrity})`);
  }
  return { entry: entry!, lint, placed, folder, lock };
}

const rank = ({ integrity }: LockedModel): number => INTEGRITIES.indexOf(integrity);

/** Before the policy says that the lock has none, which is no news to somebody who adds a model. */
function requireBundle(manifest: Manifest, name: string, source: string): void {
  const set = signersFor(manifest, name).find(({ mode }) => mode === 'enforce');
  if (set === undefined) return;
  fail({
    code: 'E_POLICY',
    where: name,
    what: `a signature is wanted (rule for "${set.match}"), and the source has none`,
    expected: `${BUNDLE_NAME} at the top of ${source}`,
    hint: 'the path or address of the signature where it lies elsewhere: `zoo add --signature`, "signature" in models.json',
    exitCode: 3,
  });
}

const ALLOW_HINT = 'the same model as ONNX or safetensors, or --allow-refused where you know who made it';

/**
 * What is published about a file's hash against what it has; a mismatch is an error unless the user takes it, which is then written down.
 * What he said of these very bytes before still holds: a mismatch that he took, a hash that he gave.
 * @param before the file of that path as it is locked
 */
function claimsOf(name: string, file: FetchedFile, before: LockedFile | undefined, o: VerbOptions & Acceptance): CheckedClaim[] {
  const checked = checkClaims(file);
  const known = before?.digest === file.digest ? before.claims : [];
  const same = (a: Claim) => (b: Claim) => a.from === b.from && a.algorithm === b.algorithm && a.value === b.value;
  const { only } = o;
  const wrong = checked.filter((c) => !c.matched && !known.some(same(c)));
  if (only === 'look') {
    for (const c of wrong) o.onNote?.(`${name}: ${file.path} does not have the ${c.algorithm} that ${c.from} gives`);
  } else requireClaims(`${name}: ${file.path}`, file, wrong, { accept: o.acceptClaimMismatch, onNote: o.onNote });
  return [...checked, ...known.filter((c) => c.from === 'user' && !checked.some(same(c)))];
}

function withUserClaims(name: string, files: readonly SourceFile[], given: ReadonlyMap<string, string> | undefined): readonly SourceFile[] {
  if (given === undefined || given.size === 0) return files;
  for (const path of given.keys()) {
    if (path === '' && files.length === 1) continue;
    if (path !== '' && files.some((f) => f.path === path)) continue;
    const expected = files.length === 1 ? `HEX or ${files[0].path}=HEX` : 'PATH=HEX with the path of one of the files';
    fail({ where: '--sha256', what: `names no file of ${name}`, expected, got: path === '' ? 'a hash alone' : path, exitCode: 2 });
  }
  return files.map((file) => {
    const value = given.get(file.path) ?? (files.length === 1 ? given.get('') : undefined);
    const claim: Claim[] = value === undefined ? [] : [{ from: 'user', algorithm: 'sha256', value }];
    return { ...file, claims: [...file.claims, ...claim] };
  });
}

/** `net.onnx.sig` beside the one file of a source on this machine, which is where `zoo sign net.onnx` puts it. */
function besideFile(kind: string, files: readonly SourceFile[]): SourceFile | undefined {
  if (files.length !== 1 || (kind !== 'path' && kind !== 'file')) return undefined;
  const url = `${files[0].url}.sig`;
  return existsSync(fileURLToPath(url)) ? { path: BUNDLE_NAME, url, claims: [] } : undefined;
}

/** The bundle: where models.json says, else the file of that name in the source. */
async function bundleOf(root: string, wanted: WantedModel, beside: SourceFile | undefined): Promise<SourceFile | undefined> {
  const { signature } = wanted;
  if (signature === undefined) return beside;
  const url = /^(https?|file):/i.test(signature) ? signature : pathToFileURL(resolve(root, signature)).href;
  return { path: BUNDLE_NAME, url, claims: [] };
}

async function readBundle(file: FetchedFile, cache: Cache): Promise<Uint8Array> {
  const path = await cache.find(file.digest);
  const bytes = path === undefined ? undefined : await readFile(path);
  // the cache is shared: what is read is what was fetched, or it is not used
  if (bytes === undefined || digestOfBundle(bytes) !== file.digest) {
    return goneFromCache(cache, file.digest);
  }
  return bytes;
}

/** Somebody emptied the cache meanwhile: E_CACHE, upon which `withSoundCache` fetches anew. */
export const goneFromCache = (cache: Cache, digest: string): never =>
  fail({ code: 'E_CACHE', where: cache.root, what: 'a file that was fetched is gone from the cache', got: digest, hint: 'the same again' });

/** `work` on all, some at a time, results in order; the first error stops it. */
export async function inLanes<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      try {
        results[at] = await work(items[at]);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  const done = await Promise.allSettled(Array.from({ length: Math.min(LANES, items.length) }, lane));
  const failed = done.find((d) => d.status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
  return results;
}
