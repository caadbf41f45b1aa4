/** Models of a Hugging Face hub: which commit a revision is now, and which files that commit has. */
import { fail } from '../../core/errors.ts';
import { hubAddress } from '../fetch/agent.node.ts';
import { fetchBytes } from '../fetch/http.node.ts';
import type { FetchOptions } from '../fetch/options.ts';
import type { SourceFile } from '../types.ts';
import { HUB, nextPage, parseListing, parseRevision } from './hub-listing.ts';

/** A page of the listing has at most 1000 entries. */
const PAGE_BYTES = 16 * 2 ** 20;
const MAX_PAGES = 200;
/** What so many pages have; a hub that does not heed the limit could fill the memory otherwise. */
const MAX_LISTED = 200_000;

/**
 * The files of a model at the commit that a branch, tag or commit is now, with the hashes that the hub shows.
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
  const { commit, id = repo } = parseRevision(info.bytes, info.where, revision);
  const notes = id.toLowerCase() === repo.toLowerCase() ? [] : [`the hub calls ${repo} by the name ${id} now`];
  if (hubAddress() !== HUB) notes.push(`files and their published hashes come from ${hubAddress()} (HF_ENDPOINT), not from ${HUB}`);
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
    for (const file of parseListing(page.bytes, page.where, repo, commit)) files.push(file);
    if (files.length > MAX_LISTED) {
      fail({ code: 'E_ANSWER', where: new URL(api).host, what: 'the model has too many files', expected: `at most ${MAX_LISTED}` });
    }
    next = nextPage(page.link, page.url);
  }
  return { commit, files, notes };
}

interface Page {
  readonly bytes: Uint8Array;
  readonly where: string;
  readonly url: URL;
  readonly link: string | undefined;
}

async function answerOf(from: string, o: FetchOptions): Promise<Page> {
  const { bytes, url, headers } = await fetchBytes(from, { ...o, limit: PAGE_BYTES, accept: 'application/json' });
  return { bytes, where: `${url.host}${url.pathname}`, url, link: headers.link };
}
