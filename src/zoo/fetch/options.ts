/** What whoever fetches may be told. */

export interface FetchOptions {
  readonly signal?: AbortSignal;
  /** Addresses without TLS are taken; never as the target of a redirect from https. */
  readonly allowHttp?: boolean;
  /** Nothing is asked of a network. */
  readonly offline?: boolean;
  /** The longest file that is taken, in bytes; default 128 GiB. */
  readonly maxBytes?: number;
  /** Certificates (PEM) of authorities that are trusted besides Node's own, SSL_CERT_FILE and NODE_EXTRA_CA_CERTS. */
  readonly ca?: string;
  /** The model's name, which stands first in what is said about its files. */
  readonly name?: string;
  /** Milliseconds without a byte after which a connection is given up; default 30,000. */
  readonly stallMs?: number;
  /** Attempts in a row that brought nothing before it is given up, beyond the first; default 4. */
  readonly retries?: number;
  /** Milliseconds before the second attempt, doubled each time; default 500. */
  readonly backoffMs?: number;
  /** Bytes so far and, where known, in all. */
  onProgress?(done: number, total: number | undefined, file: string): void;
  /** Things worth telling that are no errors, one sentence each without full stop. */
  onNote?(text: string): void;
}

export const STALL_MS = 30_000;
export const RETRIES = 4;
export const BACKOFF_MS = 500;
/** Longer than any published model file at the time of writing, shorter than what fills a machine. */
export const MAX_BYTES = 128 * 2 ** 30;
