/** What every verb may be told, whatever it does. */
import type { Cache } from '../store/cache.node.ts';

export interface VerbOptions {
  readonly signal?: AbortSignal;
  /** Nothing is fetched over the network; what the cache lacks is an error. */
  readonly offline?: boolean;
  /** Addresses without TLS are taken. */
  readonly allowHttp?: boolean;
  /** Default: the user's own. */
  readonly cache?: Cache;
  /** Certificates (PEM) of servers that are trusted besides the system's. */
  readonly ca?: string;
  /** Bytes done and, where known, in all, of the file that is being fetched or hashed. */
  onProgress?(done: number, total: number | undefined, file: string): void;
  /** Things worth telling that are no errors, one sentence each. */
  onNote?(text: string): void;
}
