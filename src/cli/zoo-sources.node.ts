/** Flags of the verbs that fetch, and paths as typed made into paths of the project. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { readAuthorities } from '../zoo/signing/certificates.node.ts';
import { readPublicKey } from '../zoo/signing/keys.node.ts';
import { readTrustedRoot } from '../zoo/signing/trusted-root-read.node.ts';
import type { PolicyRule } from '../zoo/types.ts';
import type { VerbOptions } from '../zoo/verbs/options.ts';
import type { Context } from './command.node.ts';
import { tellers } from './zoo-words.node.ts';

export const fetchFields = {
  offline: z.boolean().default(false).meta({ description: 'fetch nothing; what is neither here nor in the cache is an error' }),
  allowHttp: z.boolean().default(false).meta({ description: 'take addresses without TLS; the audit will say so' }),
  ca: z.string().optional().meta({ description: 'certificates (PEM) of servers to trust besides the usual ones', placeholder: 'FILE' }),
};

/** What the verbs that fetch are told by these flags, and how they tell what they do. */
export async function fetchOptions(
  { progress, signal }: Pick<Context, 'progress' | 'signal'>,
  { offline, allowHttp, ca }: z.output<z.ZodObject<typeof fetchFields>>,
): Promise<VerbOptions> {
  return { ...tellers(progress), signal, offline, allowHttp, ca: await readCa(ca) };
}

export const acceptFields = {
  acceptClaimMismatch: z
    .boolean()
    .default(false)
    .meta({ description: 'take files that do not have the hash their publisher shows; written down in the lock' }),
  allowRefused: z
    .boolean()
    .default(false)
    .meta({ description: 'take formats that can run code when loaded, where no rule in models.json speaks of the model' }),
};

export const signerFields = {
  key: z
    .array(z.string())
    .optional()
    .meta({ description: 'public key (PEM) that must have signed the model; becomes a rule in models.json', placeholder: 'FILE' }),
  authority: z
    .array(z.string())
    .optional()
    .meta({ description: 'certificate authority (PEM) under which the signer must stand; becomes a rule', placeholder: 'FILE' }),
  identity: z.string().optional().meta({ description: 'whom a keyless (sigstore) signature must name; with --issuer' }),
  issuer: z.string().optional().meta({ description: 'who must have vouched for that identity', placeholder: 'URL' }),
  trustedRoot: z.string().optional().meta({ description: 'trusted_root.json of a private sigstore', placeholder: 'FILE' }),
};

/** A path as typed (from the current folder) as models.json has it: relative to the project where it lies within or near it. */
export function projectPath(root: string, typed: string): string {
  const path = relative(root, resolve(typed));
  return path === '' ? '.' : isAbsolute(path) ? path : path.split(sep).join('/');
}

/** The same for a source: only paths depend on where one stands. */
export function projectSource(root: string, typed: string): string {
  const local = /^(path:|caffe:)?(.*)$/s.exec(typed);
  const [, scheme = '', rest = ''] = local ?? [];
  // what names no source, but a file that is there, is meant as such
  if (scheme === '' && !/^(\.\.?(\/|$)|\/)/.test(rest) && !existsSync(typed)) return typed;
  if (scheme === 'caffe:' && (/^https?:/i.test(rest) || rest.startsWith('gist/'))) return typed;
  if (rest === '') return typed;
  const path = projectPath(root, rest);
  // other machines have the project elsewhere, and what is absolute and outside of it nowhere
  const outside = path === '..' || path.startsWith('../');
  return `${scheme === '' ? 'path:' : scheme}${rest.startsWith('/') && outside ? rest : path}`;
}

interface Signers {
  readonly key?: readonly string[];
  readonly authority?: readonly string[];
  readonly identity?: string;
  readonly issuer?: string;
  readonly trustedRoot?: string;
}

/**
 * The rule's signers; undefined where no flag names one. Files outside of the project are copied into it, where they can be committed, so
 * each is read as what it should be first: a private key must not get there.
 * @param onCopy told of every copy that was made, absolute
 * @throws SecateurError (exit code 2) E_SIG_KEY, E_SIG_AUTHORITY, E_SIG_TRUSTED_ROOT, and where a file cannot be read
 */
export async function signerOf(
  root: string,
  o: Signers,
  onCopy: (path: string) => void,
): Promise<Pick<PolicyRule, 'keys' | 'authorities' | 'identities'> | undefined> {
  const { identity, issuer, trustedRoot } = o;
  if ((identity === undefined) !== (issuer === undefined)) {
    const expected = '--identity and --issuer together';
    fail({ where: '--identity', what: 'an identity counts only with who vouched for it', expected, exitCode: 2 });
  }
  if (trustedRoot !== undefined && identity === undefined) {
    fail({ where: '--trusted-root', what: 'has no effect without --identity and --issuer', exitCode: 2 });
  }
  if (o.key === undefined && o.authority === undefined && identity === undefined) return undefined;
  const [keys, authorities, roots] = await Promise.all([
    checkedFiles(o.key, readPublicKey),
    checkedFiles(o.authority, (text, where) => readAuthorities([text], () => where)),
    checkedFiles(trustedRoot === undefined ? undefined : [trustedRoot], readTrustedRoot),
  ]);
  const kept = (files: readonly Typed[]): Promise<string[]> => Promise.all(files.map((file) => keptInProject(root, file, onCopy)));
  return {
    ...(keys && { keys: await kept(keys) }),
    ...(authorities && { authorities: await kept(authorities) }),
    ...(identity !== undefined &&
      issuer !== undefined && { identities: [{ identity, issuer, ...(roots && { trustedRoot: (await kept(roots))[0] }) }] }),
  };
}

interface Typed {
  readonly typed: string;
  readonly content: string;
}

/** Files of signers as text, each of which `check` could read. */
async function checkedFiles(
  paths: readonly string[] | undefined,
  check: (text: string, where: string) => unknown,
): Promise<Typed[] | undefined> {
  return paths && Promise.all(paths.map((path) => checkedFile(path, check)));
}

async function checkedFile(typed: string, check: (text: string, where: string) => unknown): Promise<Typed> {
  const content = await readText(typed);
  check(content, typed);
  // beside certificates too, where `check` does not look
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(content)) {
    fail({
      code: 'E_SIG_KEY',
      where: typed,
      what: 'holds a private key, which others must not get',
      hint: 'a file without it',
      exitCode: 2,
    });
  }
  return { typed, content };
}

/** Where files of signers are copied to. */
const KEYS = 'models.keys';

/** The path of a signer's file within the project. Throws SecateurError where another file has that name there. */
async function keptInProject(root: string, { typed, content }: Typed, onCopy: (path: string) => void): Promise<string> {
  const path = projectPath(root, typed);
  if (!isAbsolute(path) && path !== '..' && !path.startsWith('../')) return path;
  const copy = `${KEYS}/${basename(typed)}`;
  await mkdir(join(root, KEYS), { recursive: true });
  try {
    await writeFile(join(root, copy), content, { flag: 'wx' });
    onCopy(join(root, copy));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    if ((await readFile(join(root, copy), 'utf8')) !== content) {
      fail({ where: copy, what: `is there already, and is not ${typed}`, hint: 'another file name', exitCode: 2, cause });
    }
  }
  return copy;
}

/** The text of a file of keys or certificates. */
async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const got = (cause as NodeJS.ErrnoException).code;
    return fail({ where: path, what: 'cannot be read', expected: 'a key or certificates in PEM', got, exitCode: 2, cause });
  }
}

/** The certificates that --ca names. */
const readCa = async (path: string | undefined): Promise<string | undefined> => (path === undefined ? undefined : readText(path));
