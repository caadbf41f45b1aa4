/** What the API of a Hugging Face hub answers, read with care: it decides which files are fetched and what they are compared with. */
import { type JsonNode, parseJsonBytes } from '../strict-json.ts';
import type { Claim, SourceFile } from '../types.ts';

/** Where models of `hf:` are; the lock always has this address, whatever mirror they came through. */
export const HUB = 'https://huggingface.co';
/** At the top of a model: what belongs to Git and not to the model. OMS signatures leave out the same (OMS v1.0, default ignored paths). */
export const GIT_NAMES: readonly string[] = ['.git', '.gitignore', '.gitattributes', '.github'];

const COMMIT = { pattern: /^[0-9a-f]{40}$/, expected: 'a commit of 40 hex digits' };

/**
 * Answer to `GET /api/models/{repo}/revision/{revision}`: the commit that a revision is, and the model's name now.
 *
 * @param where host and path of the answer
 * @throws SecateurError E_ANSWER
 */
export function parseRevision(bytes: Uint8Array, where: string, revision: string): { commit: string; id: string | undefined } {
  const json = parseJsonBytes(bytes, where, { code: 'E_ANSWER' });
  const sha = json.field('sha');
  const commit = sha.string(COMMIT);
  if (/^[0-9a-f]{40}$/.test(revision) && commit !== revision) sha.refuse('the hub answers for another commit', revision, commit);
  return { commit, id: json.optional('id')?.string() };
}

/**
 * A page of `GET /api/models/{repo}/tree/{commit}?recursive=true`: large files with the SHA-256 of their content (`lfs.oid`), small ones
 * with Git's name of it (`oid`). Paths are as the hub has them, unchecked.
 *
 * @throws SecateurError E_ANSWER
 */
export function parseListing(bytes: Uint8Array, where: string, repo: string, commit: string): SourceFile[] {
  const json = parseJsonBytes(bytes, where, { code: 'E_ANSWER' });
  return json.array().flatMap((entry) => fileOf(entry, repo, commit) ?? []);
}

/** Where a file of a commit is, whichever mirror it is fetched from. */
export const hubFileAddress = (repo: string, commit: string, path: string): string =>
  `${HUB}/${repo}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;

function fileOf(entry: JsonNode, repo: string, commit: string): SourceFile | undefined {
  if (entry.field('type').string() !== 'file') return undefined;
  const path = entry.field('path').string();
  if (GIT_NAMES.includes(path.split('/')[0])) return undefined;
  const size = entry.field('size').integer({ min: 0 });
  const lfs = entry.optional('lfs');
  // The lfs entry's own size is that of the content; the outer one is the same today, and was that of the pointer once.
  const large = lfs !== undefined && lfs.kind === 'object';
  const claim: Claim = large
    ? { from: 'hf-lfs-oid', algorithm: 'sha256', value: lfs.field('oid').string({ pattern: /^[0-9a-f]{64}$/, expected: '64 hex digits' }) }
    : {
        from: 'hf-git-oid',
        algorithm: 'git-blob',
        value: entry.field('oid').string({ pattern: /^[0-9a-f]{40}$/, expected: '40 hex digits' }),
      };
  return {
    path,
    size: large ? lfs.field('size').integer({ min: 0 }) : size,
    url: hubFileAddress(repo, commit, path),
    claims: [claim],
  };
}

/** `Link: <address>; rel="next"` (RFC 8288); only its path and query count, so that no answer can send us, and a token, elsewhere. */
export function nextPage(link: string | undefined, from: URL): string | undefined {
  const target = /<([^<>]{1,4096})>\s*;\s*rel="?next"?/i.exec(link ?? '')?.[1];
  if (target === undefined || !URL.canParse(target, from)) return undefined;
  const { protocol, pathname, search } = new URL(target, from);
  // The path of another kind of address need not begin with a slash, and would then become part of the host's name.
  return /^https?:$/.test(protocol) ? `${from.origin}${pathname}${search}` : undefined;
}

/**
 * Answer to `GET /gists/{id}` of GitHub's API: its newest commit and each file's own address.
 *
 * @throws SecateurError E_ANSWER
 */
export function parseGist(bytes: Uint8Array, where: string): { commit: string; files: SourceFile[] } {
  const json = parseJsonBytes(bytes, where, { code: 'E_ANSWER' });
  const commit = json.field('history').array({ min: 1 })[0].field('version').string(COMMIT);
  const files = [...json.field('files').object()].map(([path, node]): SourceFile => {
    const raw = node.field('raw_url');
    const url = raw.string({ pattern: /^https?:\/\/[^/@]+\//, expected: 'an address' });
    if (!URL.canParse(url)) raw.refuse('"raw_url" is not right', 'an address', url);
    return { path, size: node.field('size').integer({ min: 0 }), url: new URL(url).href, claims: [] };
  });
  return { commit, files };
}
