/** A publisher's web server on this machine: serves what was put there last, over plain http, as the pages of the Caffe Model Zoo did. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sha256 } from '../../core/hash.ts';

interface Stored {
  readonly bytes: Uint8Array;
  /** SHA-256 that the index of the site gives for it; whoever swaps the bytes alone leaves it as it was. */
  readonly listed?: string;
}

/** One answer, as the server saw it. */
export interface Served {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** SHA-256 of the body, hex; undefined where there was none. */
  readonly digest?: string;
}

export class Publisher {
  readonly #server: Server;
  readonly #files = new Map<string, Stored>();
  readonly served: Served[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => this.#answer(request, response));
  }

  /** Listens on a free port of 127.0.0.1. */
  static async open(): Promise<Publisher> {
    const server = createServer();
    const publisher = new Publisher(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return publisher;
  }

  /** `http://127.0.0.1:PORT`. */
  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** @param path from the root of the site, `/files/digits.onnx` */
  put(path: string, content: Uint8Array | string, listed?: string): void {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    this.#files.set(path, listed === undefined ? { bytes } : { bytes, listed });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { method = 'GET' } = request;
    const path = (request.url ?? '/').split('?', 1)[0];
    const stored = this.#files.get(path);
    if (stored === undefined || (method !== 'GET' && method !== 'HEAD')) {
      const status = stored === undefined ? 404 : 405;
      this.served.push({ method, path, status });
      response.writeHead(status, { 'content-type': 'text/plain' }).end(status === 404 ? 'not found\n' : 'only GET and HEAD\n');
      return;
    }
    const { bytes, listed } = stored;
    const digest = sha256(bytes);
    this.served.push({ method, path, status: 200, ...(method === 'GET' ? { digest } : {}) });
    response.writeHead(200, {
      'content-type': path.endsWith('.md') ? 'text/markdown; charset=utf-8' : 'application/octet-stream',
      'content-length': bytes.length,
      etag: `"${digest}"`,
      ...(listed === undefined ? {} : { 'x-linked-etag': `"${listed}"` }),
    });
    response.end(method === 'HEAD' ? undefined : bytes);
  }
}
