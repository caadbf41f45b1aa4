/** Models of a Hugging Face hub: which commit a revision is now, and which files that commit has, with the hashes that the hub shows. */
import { fail } from '../../core/errors.ts';
import { HUB, hubAddress } from '../fetch/agent.node.ts';
import { fetchBytes } from '../fetch/http.node.ts';
import type { FetchOptions } from '../fetch/options.ts';
import { type JsonNode, parseJsonBytes } from '../strict-json.ts';
import type { Claim, SourceFile } from '../types.ts';
import { GIT_NAMES } from './local.node.ts';

/** A page of the listing has at most 1000 entries. */
const PAGE_BYTES = 16 * 2 ** 20;
const MAX_PAGES = 200;

/**
 * The files of a model at the commit that a branch, tag or commit is now (`GET /api/models/{repo}/revision/{revision}`, then
 * `GET /api/models/{repo}/tree/{commit}?recursive=true`, page by page). Large files come with the SHA-256 of their content (`lfs.oid`),
 * small ones with Git's name of it (`oid`).
 *
 * @throws SecateurError E_ANSWER where the hub's answer cannot be used, and what a download throws
 */
export async function listHub(
  repo: string,
  revision: string,
  o: FetchOptions,
): Promise<{ commit: string; files: SourceFile[]; notes: string[] }> {
  const api = `${hubAddress()}/api/models/${repo}`;
  const info = await answerOf(`${api}/revision/${encodeURIComponent(revision)}`, o);
  const commit = info.json.field('sha').string({ pattern: /^[0-9a-f]{40}$/, expected: 'a commit of 40 hex digits' });
  if (/^[0-9a-f]{40}$/.test(revision) && commit !== revision) {
    info.json.field('sha').refuse('the hub answers for another commit', revision, commit);
  }
  const notes: string[] = [];
  const id = info.json.optional('id');
  const called = id?.string() ?? repo;
  if (called.toLowerCase() !== repo.toLowerCase()) notes.push(`the hub calls ${repo} by the name ${called} now`);
  const files: SourceFile[] = [];
  const seen = new Set<string>();
  let next: string | undefined = `${api}/tree/${commit}?recursive=true&limit=1000`;
  while (next !== undefined) {
    if (seen.has(next) || seen.size >= MAX_PAGES) {
      fail({
        code: 'E_ANSWER',
        where: new URL(api).host,
        what: 'the listing does not end',
        expected: `at most ${MAX_PAGES} pages, none twice`,
      });
    }
    seen.add(next);
    const page: Page = await answerOf(next, o);
    for (const entry of page.json.array()) {
      const file = fileOf(entry, repo, commit);
      if (file !== undefined) files.push(file);
    }
    next = page.next;
  }
  return { commit, files, notes };
}

interface Page {
  readonly json: JsonNode;
  readonly next: string | undefined;
}

async function answerOf(from: string, o: FetchOptions): Promise<Page> {
  const { bytes, url, headers } = await fetchBytes(from, { ...o, limit: PAGE_BYTES, accept: 'application/json' });
  return { json: parseJsonBytes(bytes, `${url.host}${url.pathname}`, { code: 'E_ANSWER' }), next: nextPage(headers.link, url) };
}

/** `Link: <address>; rel="next"` (RFC 8288); only its path and query count, so that no answer can send us, and a token, elsewhere. */
function nextPage(link: string | undefined, from: URL): string | undefined {
  const target = /<([^<>]{1,4096})>\s*;\s*rel="?next"?/i.exec(link ?? '')?.[1];
  if (target === undefined || !URL.canParse(target, from)) return undefined;
  const { pathname, search } = new URL(target, from);
  return `${from.origin}${pathname}${search}`;
}

function fileOf(entry: JsonNode, repo: string, commit: string): SourceFile | undefined {
  if (entry.field('type').string() !== 'file') return undefined;
  const path = entry.field('path').string();
  if (GIT_NAMES.includes(path.split('/')[0])) return undefined;
  const size = entry.field('size').integer({ min: 0 });
  const lfs = entry.optional('lfs');
  const hex = (node: JsonNode, digits: number): string =>
    node.string({ pattern: new RegExp(`^[0-9a-f]{${digits}}$`), expected: `${digits} hex digits` });
  // The lfs entry's own size is that of the content; the outer one is the same today, and was that of the pointer once.
  const large = lfs !== undefined && lfs.kind === 'object';
  const claim: Claim = large
    ? { from: 'hf-lfs-oid', algorithm: 'sha256', value: hex(lfs.field('oid'), 64) }
    : { from: 'hf-git-oid', algorithm: 'git-blob', value: hex(entry.field('oid'), 40) };
  return {
    path,
    size: large ? lfs.field('size').integer({ min: 0 }) : size,
    url: `${HUB}/${repo}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`,
    claims: [claim],
  };
}
