/** Signs a model: lists and hashes its files, writes the bundle beside them. */
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fail, SecateurError } from '../../core/errors.ts';
import { writeFileAtomic } from '../project.node.ts';
import type { Sha256, SigningMethod } from '../types.ts';
import { parseBundle } from './bundle.ts';
import { canonicalJson } from './canonical-json.ts';
import { userEntries } from './compare.ts';
import { hashAs, type ReadOptions } from './hash-resource.node.ts';
import { caseless, composed, twins, wrongName } from './names.ts';
import { inOrder, rootOf } from './resource-order.ts';
import { type SigningKey, signEnvelope } from './sign-envelope.node.ts';
import { Steps } from './steps.ts';
import { GIT_PATHS, PREDICATE_TYPE, STATEMENT_TYPE } from './types.ts';
import { walkModel } from './walk.node.ts';

export interface SignOptions extends SigningKey, ReadOptions {
  /** Where the bundle is written; where that is within the model, it is left out of what is signed. */
  readonly output: string;
  /** Paths relative to the model's root that are left out, each with all below it; the bundle records them. */
  readonly ignore?: readonly string[];
}

export interface SignedModel {
  /** The bundle's text, as written. */
  readonly bundle: string;
  readonly root: Sha256;
  /** Signed files. */
  readonly resources: number;
  readonly method: Exclude<SigningMethod, 'sigstore'>;
  /** As in the lock. */
  readonly signer: string;
  /** One sentence each, without full stop. */
  readonly warnings: readonly string[];
}

/**
 * Signs all files of a model by OMS v1.0: files whole with SHA-256, no links, order of code points. The payload of two signings of the same
 * files is the same; the signature is not, because ECDSA is randomised.
 * Source: OMS v1.0 sections 4 to 6; facts 2.5.
 * @param path a folder, or the one file that is the model
 * @throws SecateurError `E_SIG_KEY`, `E_SIG_KEY_PAIR`, `E_SIG_IGNORE`, `E_SIG_OUTPUT` (exit code 2); `E_SIG_LINK`, `E_SIG_FILE`, `E_SIG_NAME`,
 * `E_SIG_TWINS`, `E_SIG_NO_FILES` (exit code 1)
 */
export async function signModel(path: string, o: SignOptions): Promise<SignedModel> {
  const no: Parameters<typeof walkModel>[1]['refuse'] = (parts) => fail({ exitCode: 1, ...parts, where: path });
  const ignore = userEntries(o.ignore);
  await checkOutput(o.output);
  const info = await stat(path).catch((cause: NodeJS.ErrnoException) =>
    no({ code: 'E_SIG_FILE', what: 'cannot be read', expected: 'a folder or a file', got: cause.code, cause }),
  );
  const single = info.isFile();
  const own = single ? undefined : insideOf(path, o.output);
  const left = single ? [] : [...new Set([...GIT_PATHS, ...ignore, ...(own === undefined ? [] : [own])])];
  const files = await walkModel(path, { skip: left, links: 'refuse', lenient: () => false, refuse: no, signal: o.signal });
  if (files.length === 0) no({ code: 'E_SIG_NO_FILES', what: 'there is nothing to sign', expected: 'at least one file', got: 'none' });
  checkNames(
    files.map(({ name }) => name),
    no,
  );
  const listed: { name: string; digest: string }[] = [];
  for (const file of files) {
    listed.push({ name: file.name, digest: await hashAs(file.path!, { hash: 'sha256', method: 'files' }, o) });
  }
  const resources = inOrder(listed);
  const root = rootOf(resources);
  const payload = canonicalJson({
    _type: STATEMENT_TYPE,
    predicateType: PREDICATE_TYPE,
    subject: [{ name: basename(resolve(path)) || 'model', digest: { sha256: root.slice('sha256:'.length) } }],
    predicate: {
      resources: resources.map(({ name, digest }) => ({ name, digest, algorithm: 'sha256' })),
      serialization: {
        method: 'files',
        hash_type: 'sha256',
        allow_symlinks: false,
        ignore_paths: inOrder(left.map((name) => ({ name }))).map(({ name }) => name),
      },
    },
  });
  const { bundle, method, signer } = signEnvelope(new TextEncoder().encode(payload), o);
  await write(o.output, bundle);
  const warnings: string[] = [];
  for (const entry of single ? [] : ignore) warnings.push(await toldOfIgnored(path, entry));
  if (single) {
    warnings.push(
      'a single file is signed under its own name, which older Python verifiers call "." and refuse; a folder has no such trouble',
    );
  }
  const folded = twins(
    resources.map(({ name }) => name),
    caseless,
  );
  if (folded !== undefined) warnings.push(`${folded.join(' and ')} differ in case only: some disks hold only one of them`);
  return { bundle, root, resources: resources.length, method, signer, warnings };
}

async function toldOfIgnored(path: string, entry: string): Promise<string> {
  const there = await stat(join(path, entry)).catch(() => undefined);
  if (there === undefined) return `nothing is called ${entry}, which is to be left out; the bundle records it all the same`;
  return `${entry} is not covered by the signature, and the bundle says so`;
}

/** The output's path within the folder, if it is there. */
function insideOf(path: string, output: string): string | undefined {
  const name = relative(resolve(path), resolve(output)).split(sep).join('/');
  return wrongName(name) === undefined ? name : undefined;
}

function checkNames(names: readonly string[], no: Parameters<typeof walkModel>[1]['refuse']): void {
  for (const name of names) {
    const wrong = wrongName(name);
    if (wrong === undefined) continue;
    const what = `a file cannot be signed under its name: ${wrong}`;
    no({
      code: 'E_SIG_NAME',
      what,
      expected: 'a name that means the same everywhere',
      got: JSON.stringify(name),
      hint: 'another name for it',
    });
  }
  const same = twins(names, composed);
  if (same === undefined) return;
  const what = 'two names are written with the same characters, composed and decomposed: some disks hold only one of them';
  no({
    code: 'E_SIG_TWINS',
    what,
    expected: 'names that differ after Unicode normalisation',
    got: same.map((n) => JSON.stringify(n)).join(' and '),
  });
}

/** A slip of the hand must not write a signature over a model: only an older signature is replaced. */
async function checkOutput(output: string): Promise<void> {
  const where = '--output';
  const bytes = await readFile(output).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    return fail({
      code: 'E_SIG_OUTPUT',
      where,
      what: `${output} cannot be written`,
      expected: 'a file name',
      got: error.code,
      exitCode: 2,
    });
  });
  if (bytes === undefined) return;
  try {
    parseBundle(bytes, new Steps(output));
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    const hint = 'another name, or remove it first';
    fail({
      code: 'E_SIG_OUTPUT',
      where,
      what: `${output} is there and is no signature`,
      expected: 'a new file',
      got: 'other content',
      hint,
      exitCode: 2,
    });
  }
}

/** Whole or not at all; the folder must be there, so that a slip in its name does not make one. */
async function write(output: string, text: string): Promise<void> {
  try {
    await stat(dirname(resolve(output)));
    await writeFileAtomic(output, text);
  } catch (cause) {
    const got = (cause as NodeJS.ErrnoException).code;
    fail({ code: 'E_SIG_OUTPUT', where: '--output', what: `${output} cannot be written`, expected: 'a folder that is there', got, cause });
  }
}
