/**
 * A real HTTP or HTTPS server on 127.0.0.1 with every vice that servers have: for tests of what is downloaded. Behaviours are queued per
 * path and used up one per request (`once`), or hold for good (`always`); without one, files are served as a good server does.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

export interface Seen {
  readonly method: string;
  /** With the query string, as sent. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** What goes wrong with one answer. */
export type Behaviour =
  /** The connection breaks after so many bytes of the body; 0: after the head. */
  | { readonly cut: number }
  /** Nothing more comes after so many bytes of the body. */
  | { readonly stall: number }
  /** No answer at all. */
  | { readonly silent: true }
  /** The connection is reset before an answer. */
  | { readonly reset: true }
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  /** Compressed, and says so. */
  | { readonly gzip: true }
  /** A Content-Encoding header over plain bytes. */
  | { readonly encoding: string }
  /** 206 for another range than was asked for. */
  | { readonly wrongRange: true }
  /** 206 without a word on which range it is. */
  | { readonly namelessRange: true }
  /** 206 to whoever asked for all. */
  | { readonly uncalledRange: true }
  /** 200 with all bytes, whatever range was asked for. */
  | { readonly ignoreRange: true }
  /** A Content-Length that is not the body's. */
  | { readonly length: number }
  /** No Content-Length and no chunks: the end of the connection is the end of the body. */
  | { readonly unsized: true }
  /** Chunks, no Content-Length. */
  | { readonly chunked: true }
  /** Bytes without end; with `length`, a Content-Length that is not kept to. */
  | { readonly endless: true };

export interface Served {
  /** With quotes, as sent: `"v1"`, `W/"v1"`; default: one made from the bytes. False: none. */
  readonly etag?: string | false;
  readonly lastModified?: string;
  readonly headers?: Record<string, string>;
}

export type Handler = (request: IncomingMessage, response: ServerResponse, path: string) => void;

export interface TestServer {
  /** `http://127.0.0.1:40123`, without slash at the end. */
  readonly url: string;
  /** PEM of the authority that signed the certificate; only with TLS. */
  readonly ca: string | undefined;
  /** Requests so far, oldest first. */
  readonly requests: readonly Seen[];
  put(path: string, body: Uint8Array | string, served?: Served): void;
  remove(path: string): void;
  redirect(path: string, to: string, o?: { status?: number; headers?: Record<string, string> }): void;
  /** An answer of one's own for a path, or for all below a path that ends in `/`. */
  on(path: string, handler: Handler): void;
  /** Queues behaviours for the next requests of a path, one each. */
  once(path: string, ...behaviours: Behaviour[]): void;
  always(path: string, behaviour: Behaviour): void;
  /** Requests of one path. */
  asked(path: string): Seen[];
  close(): Promise<void>;
}

interface File extends Served {
  readonly body: Buffer;
}

/** A certificate for 127.0.0.1 (not localhost) and the authority over it, made by openssl once a process. */
let made: { ca: string; key: string; cert: string } | undefined;

export function certificates(): { ca: string; key: string; cert: string } {
  if (made !== undefined) return made;
  const folder = mkdtempSync(join(tmpdir(), 'secateur-ca-'));
  const at = (name: string): string => join(folder, name);
  const openssl = (...argv: string[]): void => {
    execFileSync('openssl', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  try {
    const ca = ['req', '-x509', ...newKey, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '7', '-subj', '/CN=Secateur test'];
    openssl(...ca, '-addext', 'basicConstraints=critical,CA:TRUE');
    openssl('req', '-new', ...newKey, '-keyout', at('leaf.key'), '-out', at('leaf.csr'), '-subj', '/CN=a test server');
    writeFileSync(at('leaf.ext'), 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n');
    const signed = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '7', '-extfile', at('leaf.ext')];
    openssl('x509', '-req', '-in', at('leaf.csr'), '-out', at('leaf.pem'), ...signed);
    const read = (name: string): string => readFileSync(at(name), 'utf8');
    made = { ca: read('ca.pem'), key: read('leaf.key'), cert: read('leaf.pem') };
    return made;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Starts a server on a free port. */
export async function startServer(o: { tls?: boolean } = {}): Promise<TestServer> {
  const files = new Map<string, File>();
  const handlers = new Map<string, Handler>();
  const queued = new Map<string, Behaviour[]>();
  const standing = new Map<string, Behaviour>();
  const requests: Seen[] = [];
  const sockets = new Set<Socket>();
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const target = request.url ?? '/';
    const path = target.split('?')[0];
    requests.push({ method: request.method ?? '', path: target, headers: request.headers });
    const behaviour = queued.get(path)?.shift() ?? standing.get(path);
    const handler = handlers.get(path) ?? [...handlers].find(([prefix]) => prefix.endsWith('/') && path.startsWith(prefix))?.[1];
    const file = files.get(path);
    if (behaviour !== undefined && 'status' in behaviour) {
      response.writeHead(behaviour.status, behaviour.headers).end(behaviour.body ?? '');
    } else if (behaviour !== undefined && 'reset' in behaviour) {
      request.socket.resetAndDestroy();
    } else if (behaviour !== undefined && 'silent' in behaviour) {
      // The socket stays open until the other side or close() ends it.
    } else if (handler !== undefined && behaviour === undefined) handler(request, response, path);
    else if (file === undefined) response.writeHead(404, { 'content-type': 'text/plain' }).end('no such file');
    else serve(request, response, file, behaviour);
  };
  const tls = o.tls === true ? certificates() : undefined;
  const server: Server = tls === undefined ? createHttp(answer) : createHttps({ key: tls.key, cert: tls.cert }, answer);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ca: tls?.ca,
    requests,
    put: (path, body, served = {}) => {
      files.set(path, { ...served, body: Buffer.from(body) });
    },
    remove: (path) => {
      files.delete(path);
      handlers.delete(path);
    },
    redirect: (path, to, { status = 302, headers = {} } = {}) => {
      handlers.set(path, (_request, response) => response.writeHead(status, { ...headers, location: to }).end('moved'));
    },
    on: (path, handler) => {
      handlers.set(path, handler);
    },
    once: (path, ...behaviours) => {
      queued.set(path, [...(queued.get(path) ?? []), ...behaviours]);
    },
    always: (path, behaviour) => {
      standing.set(path, behaviour);
    },
    asked: (path) => requests.filter((r) => r.path.split('?')[0] === path),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

/** `"` and the first digits of the SHA-1 of the bytes, as many servers make them. */
export const etagOf = (body: Uint8Array): string => `"${createHash('sha1').update(body).digest('hex').slice(0, 16)}"`;

/** Names of all behaviours. */
type Vice = Behaviour extends infer B ? (B extends unknown ? keyof B : never) : never;

function serve(request: IncomingMessage, response: ServerResponse, file: File, behaviour: Behaviour | undefined): void {
  const vice = <K extends Vice>(name: K): Extract<Behaviour, Record<K, unknown>>[K] | undefined =>
    behaviour !== undefined && name in behaviour ? (behaviour as unknown as Record<K, never>)[name] : undefined;
  const has = (name: Vice): boolean => vice(name) !== undefined;
  const etag = file.etag === false ? undefined : (file.etag ?? etagOf(file.body));
  const headers: Record<string, string> = { 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream', ...file.headers };
  if (etag !== undefined) headers.etag = etag;
  if (file.lastModified !== undefined) headers['last-modified'] = file.lastModified;
  if (has('gzip')) {
    const packed = gzipSync(file.body);
    response.writeHead(200, { ...headers, 'content-encoding': 'gzip', 'content-length': `${packed.length}` }).end(packed);
    return;
  }
  const encoding = vice('encoding');
  if (encoding !== undefined) headers['content-encoding'] = encoding;
  if (has('endless')) {
    response.writeHead(200, headers);
    pour(response);
    return;
  }
  const total = file.body.length;
  const range = has('ignoreRange') ? undefined : wantedRange(request, file, etag);
  if (range === 'beyond') {
    response.writeHead(416, { 'content-range': `bytes */${total}` }).end();
    return;
  }
  let [start, end] = range ?? [0, total];
  let status = range === undefined ? 200 : 206;
  if (has('wrongRange')) [start, end, status] = [Math.max(0, start - 7), end, 206];
  if (has('uncalledRange')) status = 206;
  const body = file.body.subarray(start, end);
  if (status === 206 && !has('namelessRange')) headers['content-range'] = `bytes ${start}-${end - 1}/${total}`;
  if (has('unsized')) {
    // Written by hand, since node:http would send chunks.
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    request.socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 ${status} OK\r\n${head.join('')}connection: close\r\n\r\n`), body]));
    return;
  }
  if (!has('chunked')) headers['content-length'] = `${vice('length') ?? body.length}`;
  response.writeHead(status, headers);
  if (request.method === 'HEAD') response.end();
  else if (has('cut') || has('stall')) {
    const sent = body.subarray(0, vice('cut') ?? vice('stall'));
    response.flushHeaders();
    const then = (): void => {
      if (has('cut')) setTimeout(() => request.socket.destroy(), 5);
    };
    if (sent.length === 0) then();
    else response.write(sent, then);
  } else response.end(body);
}

/** The range that was asked for, if the file is still the one that If-Range names (RFC 9110 sections 13.1.5 and 14.2). */
function wantedRange(request: IncomingMessage, file: File, etag: string | undefined): [number, number] | 'beyond' | undefined {
  const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  if (asked === null) return undefined;
  const condition = request.headers['if-range'];
  if (condition !== undefined && condition !== etag && condition !== file.lastModified) return undefined;
  if (condition?.startsWith('W/') === true) return undefined;
  const start = Number(asked[1]);
  if (start >= file.body.length) return 'beyond';
  return [start, asked[2] === '' ? file.body.length : Math.min(file.body.length, Number(asked[2]) + 1)];
}

/** Writes until the other side has had enough. */
function pour(response: ServerResponse): void {
  const block = Buffer.alloc(65_536, 7);
  const more = (): void => {
    while (!response.destroyed && response.write(block)) {
      // The socket takes more.
    }
    if (!response.destroyed) response.once('drain', more);
  };
  more();
}
