/**
 * What people used before: a plain download, a script like that of the Caffe Model Zoo, a hub's client. Written anew from how they are described
 * (facts: BVLC/caffe scripts/download_model_binary.py; the JavaScript client of Hugging Face uses a file's hash as a name and does not compute it).
 */
import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { basename, join } from 'node:path';
import { parse } from 'yaml';

/** How a tool ended, as a shell would see it. */
export interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

/** One request over plain http without any check of the body. */
export function fetchPlain(url: string, method: 'GET' | 'HEAD' = 'GET', signal?: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, signal }, (response) => {
      const parts: Uint8Array[] = [];
      response.on('data', (part: Uint8Array) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: new Uint8Array(Buffer.concat(parts)) }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

const SAVED = (path: string, bytes: number): string => `saved ${path}, ${bytes} bytes\n`;
const failed = (err: string): Printed => ({ code: 1, out: '', err: `${err}\n` });

/** What `wget URL` does: takes what comes. The file lands in `dir`. */
export async function plainDownload(url: string, dir: string, signal?: AbortSignal): Promise<Printed> {
  const { status, body } = await fetchPlain(url, 'GET', signal);
  if (status !== 200) return failed(`the server answered ${status}`);
  await mkdir(dir, { recursive: true });
  const name = basename(new URL(url).pathname);
  await writeFile(join(dir, name), body);
  return { code: 0, out: SAVED(name, body.length), err: '' };
}

const KEYS = ['caffemodel', 'caffemodel_url', 'sha1'] as const;

/**
 * What Caffe's script did: reads the page, wants three keys, downloads, compares the SHA-1 with the page's. On a mismatch it takes the download for
 * broken, says to run it again, and leaves the file where it would be used.
 */
export async function caffeScript(page: string, dir: string, signal?: AbortSignal): Promise<Printed> {
  const answer = await fetchPlain(page, 'GET', signal);
  const text = new TextDecoder().decode(answer.body);
  const [, front = ''] = text.split(/^---$/m);
  const fields = (parse(front) ?? {}) as Record<string, unknown>;
  const missing = KEYS.filter((key) => fields[key] === undefined);
  if (missing.length > 0) return failed(`the front matter lacks: ${missing.join(', ')}`);
  const [name, url, sha1] = KEYS.map((key) => String(fields[key]));
  const { body } = await fetchPlain(url, 'GET', signal);
  await mkdir(dir, { recursive: true });
  // as the script does: the file is in its place before it is looked at
  await writeFile(join(dir, basename(name)), body);
  const got = createHash('sha1').update(body).digest('hex');
  if (got !== sha1) return { code: 1, out: '', err: 'the file was not downloaded correctly, run this again\n' };
  return { code: 0, out: `${SAVED(name, body.length)}its SHA-1 is the page's\n`, err: '' };
}

/**
 * What a hub's client does: asks for the file's hash, stores what comes under that hash as a name, and compares the size. The bytes are never hashed.
 * The file is then found as `dir/snapshot/NAME`.
 */
export async function hubClient(url: string, dir: string, signal?: AbortSignal): Promise<Printed> {
  const head = await fetchPlain(url, 'HEAD', signal);
  const etag = String(head.headers['x-linked-etag'] ?? head.headers.etag ?? '').replaceAll('"', '');
  const size = Number(head.headers['content-length']);
  const { status, body } = await fetchPlain(url, 'GET', signal);
  if (status !== 200) return failed(`the server answered ${status}`);
  if (body.length !== size) return failed(`expected ${size} bytes, got ${body.length}`);
  const name = basename(new URL(url).pathname);
  await mkdir(join(dir, 'blobs'), { recursive: true });
  await mkdir(join(dir, 'snapshot'), { recursive: true });
  await writeFile(join(dir, 'blobs', `${etag}.part`), body);
  await rename(join(dir, 'blobs', `${etag}.part`), join(dir, 'blobs', etag));
  await writeFile(join(dir, 'snapshot', name), body);
  return { code: 0, out: `downloaded ${name} as blobs/${etag}, ${body.length} bytes\n`, err: '' };
}
