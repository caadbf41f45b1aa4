/** A Hugging Face hub and GitHub's gists, as far as listings and files go, on a test server. */
import { createHash } from 'node:crypto';
import type { TestServer } from './server.ts';

export interface HubModel {
  readonly repo: string;
  /** 40 hex digits. */
  readonly commit: string;
  /** Branches and tags that are at this commit; default main. */
  readonly revisions?: readonly string[];
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  /** Files of this many bytes and more are shown with their SHA-256; default 100. */
  readonly lfsFrom?: number;
  /** Entries on a page; default all. */
  readonly page?: number;
  /** What the model is called now. */
  readonly id?: string;
}

const hex = (algorithm: string, ...parts: (string | Uint8Array)[]): string => {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** SHA-1 over `blob SIZE\0` and the content. */
export const gitBlob = (body: Uint8Array): string => hex('sha1', `blob ${body.length}\0`, body);

/** Puts a model's listing and files on the server; a second call for the same repo and revision moves the branch. */
export function putHub(server: TestServer, model: HubModel): void {
  const { repo, commit, files, lfsFrom = 100, revisions = ['main'] } = model;
  const api = `/api/models/${repo}`;
  for (const revision of [...revisions, commit]) {
    server.put(`${api}/revision/${encodeURIComponent(revision)}`, JSON.stringify({ id: model.id ?? repo, sha: commit }));
  }
  const folders = new Set(Object.keys(files).flatMap((path) => (path.includes('/') ? [path.slice(0, path.lastIndexOf('/'))] : [])));
  const entries: unknown[] = [...folders].map((path) => ({ type: 'directory', oid: '0'.repeat(40), size: 0, path }));
  for (const [path, content] of Object.entries(files)) {
    const body = Buffer.from(content);
    const large = body.length >= lfsFrom;
    const lfs = large ? { lfs: { oid: hex('sha256', body), size: body.length, pointerSize: 130 }, xetHash: 'f'.repeat(64) } : {};
    entries.push({ type: 'file', oid: large ? '1'.repeat(40) : gitBlob(body), size: body.length, path, ...lfs });
    server.put(`/${repo}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`, body);
  }
  const page = model.page ?? Number.POSITIVE_INFINITY;
  server.on(`${api}/tree/${commit}`, (request, response) => {
    const at = Number(new URL(request.url ?? '', server.url).searchParams.get('cursor') ?? 0);
    const more = at + page < entries.length;
    const link = `<${server.url}${api}/tree/${commit}?recursive=true&limit=1000&cursor=${at + page}>; rel="next"`;
    response.writeHead(200, { 'content-type': 'application/json', ...(more ? { link } : {}) });
    response.end(JSON.stringify(entries.slice(at, at + page)));
  });
}

/** Puts a gist at one of its commits; it becomes the newest. */
export function putGist(server: TestServer, id: string, commit: string, files: Readonly<Record<string, string>>): void {
  const listing = (version: string): string =>
    JSON.stringify({
      id,
      files: Object.fromEntries(
        Object.entries(files).map(([name, content]) => [
          name,
          { filename: name, size: Buffer.byteLength(content), raw_url: `${server.url}/someone/${id}/raw/${version}/${name}`, content },
        ]),
      ),
      history: [{ version }],
    });
  server.put(`/gists/${id}`, listing(commit));
  server.put(`/gists/${id}/${commit}`, listing(commit));
  for (const [name, content] of Object.entries(files)) server.put(`/someone/${id}/raw/${commit}/${name}`, content);
}
