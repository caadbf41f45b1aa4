/** The files of a gist at one of its revisions. */
import { fail } from '../../core/errors.ts';
import { gitHubAddress } from '../fetch/agent.node.ts';
import { fetchBytes } from '../fetch/http.node.ts';
import type { FetchOptions } from '../fetch/options.ts';
import type { SourceFile } from '../types.ts';
import { parseGist } from './hub-listing.ts';

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
  const gist = parseGist(bytes, `${url.host}${url.pathname}`);
  return { ...gist, commit: revision ?? gist.commit };
}
