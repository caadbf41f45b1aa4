/** The files of a gist at one of its revisions. */
import { fail } from '../../core/errors.ts';
import { gitHubAddress } from '../fetch/agent.node.ts';
import { fetchBytes } from '../fetch/http.node.ts';
import type { FetchOptions } from '../fetch/options.ts';
import { parseJsonBytes } from '../strict-json.ts';
import type { SourceFile } from '../types.ts';

/** The answer holds the content of small files too. */
const ANSWER_BYTES = 32 * 2 ** 20;

/**
 * `GET /gists/{id}` or `/gists/{id}/{revision}` of GitHub's API: the revision (the newest, if none is given) and each file's own address at
 * it, which holds a hash and so never brings other bytes.
 *
 * @param revision 40 hex digits; a gist has no branches
 * @throws SecateurError E_SOURCE (exit code 2), E_ANSWER, and what a download throws
 */
export async function listGist(
  id: string,
  revision: string | undefined,
  o: FetchOptions,
): Promise<{ commit: string; files: SourceFile[] }> {
  if (revision !== undefined && !/^[0-9a-f]{40}$/.test(revision)) {
    const expected = 'a commit of 40 hex digits, since a gist has no branches';
    fail({ code: 'E_SOURCE', where: `gist/${id}`, what: 'no revision of a gist', expected, got: revision, exitCode: 2 });
  }
  const from = `${gitHubAddress()}/gists/${id}${revision === undefined ? '' : `/${revision}`}`;
  const { bytes, url } = await fetchBytes(from, { ...o, limit: ANSWER_BYTES, accept: 'application/vnd.github+json' });
  const json = parseJsonBytes(bytes, `${url.host}${url.pathname}`, { code: 'E_ANSWER' });
  const newest = json.field('history').array({ min: 1 })[0].field('version');
  const commit = revision ?? newest.string({ pattern: /^[0-9a-f]{40}$/, expected: 'a commit of 40 hex digits' });
  const files: SourceFile[] = [];
  for (const [path, node] of json.field('files').object()) {
    const raw = node.field('raw_url');
    const address = raw.string({ pattern: /^https?:\/\/[^/@]+\//, expected: 'an address' });
    files.push({ path, size: node.field('size').integer({ min: 0 }), url: address, claims: [] });
  }
  return { commit, files };
}
