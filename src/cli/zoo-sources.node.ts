/** Flags of the verbs that fetch, and paths as typed made into paths of the project. */
import { readFile } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import type { PolicyRule } from '../zoo/types.ts';

export const fetchFields = {
  offline: z.boolean().default(false).meta({ description: 'fetch nothing; what is neither here nor in the cache is an error' }),
  allowHttp: z.boolean().default(false).meta({ description: 'take addresses without TLS; the audit will say so' }),
  ca: z.string().optional().meta({ description: 'certificates (PEM) of servers to trust besides the usual ones', placeholder: 'FILE' }),
};

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
  if (scheme === '' && !/^(\.\.?(\/|$)|\/)/.test(rest)) return typed;
  if (scheme === 'caffe:' && (/^https?:/i.test(rest) || rest.startsWith('gist/'))) return typed;
  if (rest === '') return typed;
  return `${scheme === '' ? 'path:' : scheme}${rest.startsWith('/') ? rest : projectPath(root, rest)}`;
}

interface Signers {
  readonly key?: readonly string[];
  readonly authority?: readonly string[];
  readonly identity?: string;
  readonly issuer?: string;
  readonly trustedRoot?: string;
}

/** The rule's signers; undefined where no flag names one. */
export function signerOf(root: string, o: Signers): Pick<PolicyRule, 'keys' | 'authorities' | 'identities'> | undefined {
  const { identity, issuer, trustedRoot } = o;
  const keys = o.key?.map((path) => projectPath(root, path));
  const authorities = o.authority?.map((path) => projectPath(root, path));
  if (keys === undefined && authorities === undefined && identity === undefined) return undefined;
  return {
    ...(keys && { keys }),
    ...(authorities && { authorities }),
    ...(identity !== undefined &&
      issuer !== undefined && {
        identities: [{ identity, issuer, ...(trustedRoot !== undefined && { trustedRoot: projectPath(root, trustedRoot) }) }],
      }),
  };
}

/** The text of a file of certificates. */
export async function readCa(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const got = (cause as NodeJS.ErrnoException).code;
    return fail({ where: `--ca ${path}`, what: 'cannot be read', expected: 'certificates in PEM', got, exitCode: 2, cause });
  }
}
