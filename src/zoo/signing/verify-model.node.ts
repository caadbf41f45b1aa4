/** Checks a signature against the files of a model on disk, which are hashed as the statement asks. */
import { ignoreEntries, resolveSingle, signedFiles, userEntries } from './compare.ts';
import { hashAs, type ReadOptions } from './hash-resource.node.ts';
import { isUnder } from './names.ts';
import { parseStatement } from './statement.ts';
import { GIT_PATHS, type ModelStatement, type SigningTrust, type Verification, type VerifyOptions } from './types.ts';
import { conclude, digestOfBundle } from './verify.node.ts';
import { type Signed, verifyEnvelope } from './verify-envelope.node.ts';
import { type FoundFile, walkModel } from './walk.node.ts';

export interface VerifyModelOptions extends VerifyOptions, ReadOptions {
  /** Follows symbolic links wherever they lead, as in the cache folders of hub clients; otherwise they are refused. */
  readonly followLinks?: boolean;
}

/** A file of a model that lies somewhere else, under another name: in a cache. */
export interface FileAt {
  /** Relative to the model's root, `/` between parts. */
  readonly name: string;
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * Verifies that `trust` signed exactly the files at `path` (a folder, or the one file that is the model). The signature is checked before
 * anything of its statement is believed; then the folder is listed, and only signed files are read.
 * Links are refused, except within the model where the statement itself says that they were followed.
 * Source: OMS v1.0 sections 5 to 8; facts 2.6.
 * @throws SecateurError with an `E_SIG_...` code for each cause (exit code 3; 2 where the user's key cannot be used)
 */
export async function verifyModel(
  path: string,
  bundleBytes: Uint8Array,
  trust: SigningTrust,
  o: VerifyModelOptions = {},
): Promise<Verification> {
  const signed = verifyEnvelope(bundleBytes, trust, o);
  const statement = parseStatement(signed.payload, signed.steps, o.legacy);
  const needed = neededPaths(statement);
  const byUser = userEntries(o.ignore);
  const mayBeOdd = [...byUser, ...ignoreEntries(statement.ignorePaths)];
  const files = await walkModel(path, {
    // Git's own and what the user leaves out need not even be looked at, unless something there is signed.
    skip: [...GIT_PATHS, ...byUser].filter((entry) => !needed.has(entry)),
    links: o.followLinks ? 'anywhere' : statement.allowSymlinks ? 'inside' : 'refuse',
    lenient: (name) => !needed.has(name) && (o.ignoreUnsigned === true || mayBeOdd.some((entry) => isUnder(name, entry))),
    refuse: (parts) => signed.steps.refuse(parts),
    signal: o.signal,
  });
  return verifyFound(signed, statement, files, bundleBytes, o);
}

/**
 * The same for files that lie elsewhere under other names, such as a cache's; nothing is listed, so the caller says what the model has.
 * @throws SecateurError as {@link verifyModel}
 */
export async function verifyFilesAt(
  bundleBytes: Uint8Array,
  trust: SigningTrust,
  files: readonly FileAt[],
  o: VerifyOptions & ReadOptions = {},
): Promise<Verification> {
  const signed = verifyEnvelope(bundleBytes, trust, o);
  return verifyFound(signed, parseStatement(signed.payload, signed.steps, o.legacy), files, bundleBytes, o);
}

async function verifyFound(
  signed: Signed,
  read: ModelStatement,
  files: readonly FoundFile[],
  bundleBytes: Uint8Array,
  o: VerifyOptions & ReadOptions,
): Promise<Verification> {
  const own = await bundlesAmong(files, bundleBytes);
  const byUser = userEntries(o.ignore);
  const candidates = files.map(({ name }) => name).filter((name) => !own.has(name) && !byUser.some((entry) => isUnder(name, entry)));
  const statement = resolveSingle(read, candidates, signed.steps);
  const wanted = signedFiles(statement);
  const present = new Map<string, string | undefined>();
  for (const { name, path, size } of files) {
    if (wanted.has(name) && path !== undefined) present.set(name, await hashAs(path, statement, o));
    else present.set(name, path !== undefined && size === 0 ? '' : undefined);
  }
  return conclude(signed, statement, present, o, (name) => own.has(name));
}

/** Files that are the signature itself, known by their bytes: those of its size are hashed. */
async function bundlesAmong(files: readonly FoundFile[], bundleBytes: Uint8Array): Promise<Set<string>> {
  const digest = digestOfBundle(bundleBytes);
  const found = new Set<string>();
  for (const { name, path, size } of files) {
    if (path === undefined || size !== bundleBytes.length) continue;
    if (`sha256:${await hashAs(path, { hash: 'sha256', method: 'files' })}` === digest) found.add(name);
  }
  return found;
}

/** Every signed path and all folders above them. */
function neededPaths(statement: ModelStatement): Set<string> {
  const needed = new Set<string>();
  for (const name of signedFiles(statement).keys()) {
    for (let at = name.length; at > 0; at = name.lastIndexOf('/', at - 1)) {
      const path = name.slice(0, at);
      if (needed.has(path)) break;
      needed.add(path);
    }
  }
  return needed;
}
