/** What goes wrong on the way to a server, told by cause, and whether the same again can help. */
import { setTimeout as pause } from 'node:timers/promises';
import { fail, SecateurError } from '../../core/errors.ts';
import { BACKOFF_MS, type FetchOptions, RETRIES } from './options.ts';

/** Thrown where another attempt may go better; carries what is told when none did. */
export class Hiccup extends Error {
  readonly told: SecateurError;
  /** Milliseconds that the server asked to be left alone. */
  readonly after: number | undefined;

  constructor(told: SecateurError, after?: number) {
    super(told.message);
    this.told = told;
    this.after = after;
  }
}

/** Longest wait that a server's Retry-After is followed for. */
const PATIENCE_MS = 60_000;

const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody answers there (connection refused)',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'no connection in time',
  ENETUNREACH: 'there is no way to that network',
  EHOSTUNREACH: 'there is no way to that host',
  EAI_AGAIN: 'the name of the host could not be looked up',
  UND_ERR_SOCKET: 'the connection was closed before the end',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer is not as long as it says',
};
const STALLED = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);
const CERTIFICATE = /CERT|^UNABLE_TO_|^ERR_SSL|^ERR_TLS|^EPROTO$/;

/**
 * An error of a request or of reading its body as what is thrown on: a {@link Hiccup} where trying again can help, else a SecateurError
 * (E_TLS for certificates, E_NETWORK, exit code 130 after an interruption).
 */
export function networkError(error: unknown, url: URL, o: FetchOptions): unknown {
  if (o.signal?.aborted === true) return interrupted(url.host, error);
  if (error instanceof SecateurError || error instanceof Hiccup) return error;
  const { code = '', message = String(error) } = error as { code?: string; message?: string };
  if (CERTIFICATE.test(code)) {
    const what = `the server's certificate is not accepted (${code}: ${message})`;
    const hint = 'SSL_CERT_FILE=ca.pem where an authority of your own signs for that host';
    return new SecateurError({ code: 'E_TLS', where: url.host, what, hint, cause: error });
  }
  const facts = { code: 'E_NETWORK', where: url.host, cause: error };
  if (code === 'ENOTFOUND') {
    return new SecateurError({
      ...facts,
      what: 'no host of that name',
      hint: 'the address in a browser, or --offline if all is in the cache',
    });
  }
  if (STALLED.has(code)) {
    return new Hiccup(new SecateurError({ ...facts, what: `nothing came for ${seconds(o.stallMs ?? 30_000)} s`, got: address(url) }));
  }
  if (code in NETWORK || code.startsWith('HPE_')) {
    const what = NETWORK[code] ?? `the answer is not HTTP (${code})`;
    return new Hiccup(new SecateurError({ ...facts, what, got: address(url) }));
  }
  if (code.startsWith('UND_ERR') || /^E[A-Z]+$/.test(code)) {
    return new SecateurError({ ...facts, what: `the request failed (${code}: ${message})`, got: address(url) });
  }
  return error;
}

/** A {@link Hiccup} of the connection to an address. */
export const hiccup = (url: URL, what: string): Hiccup =>
  new Hiccup(new SecateurError({ code: 'E_NETWORK', where: url.host, what, got: address(url) }));

/** What Ctrl-C leaves behind is for the next run to go on with. */
export const interrupted = (where: string, cause: unknown): SecateurError =>
  new SecateurError({ where, what: 'interrupted; what was downloaded is kept, and the next run goes on from there', exitCode: 130, cause });

/**
 * What a status that is no success means.
 *
 * @throws Hiccup for 408, 425, 429 and 5xx; SecateurError E_NOT_FOUND, E_FORBIDDEN or E_NETWORK
 */
export function refuseStatus(status: number, headers: Readonly<Record<string, string>>, url: URL, tokenName: string | undefined): never {
  const got = `${status} from ${address(url)}`;
  const where = url.host;
  if (status === 404 || status === 410) {
    return fail({ code: 'E_NOT_FOUND', where, what: 'there is no such file or model', got, hint: 'the address in a browser' });
  }
  const limited = status === 429 || headers['x-ratelimit-remaining'] === '0';
  if (limited && status !== 429) {
    const hint = tokenName === undefined ? 'again later' : `again later, or with ${tokenName} set, which raises the limit`;
    return fail({ code: 'E_NETWORK', where, what: 'the server answers no more requests from here for now', got, hint });
  }
  if (status === 401 || status === 403) {
    // The hub does not tell strangers whether a private model exists.
    const what =
      tokenName === undefined ? 'the server does not let everybody read this' : 'there is no such thing, or not everybody may read it';
    const hint = tokenName === undefined ? 'the address in a browser' : `${tokenName}=... of an account that may read it`;
    return fail({ code: 'E_FORBIDDEN', where, what, got, hint });
  }
  const told = new SecateurError({ code: 'E_NETWORK', where, what: limited ? 'too many requests' : 'the server cannot answer', got });
  if (limited || status === 408 || status === 425 || status >= 500) throw new Hiccup(told, retryAfter(headers['retry-after']));
  return fail({ code: 'E_NETWORK', where, what: 'the server answers with a status that brings no file', expected: '200', got });
}

/** Seconds (RFC 9110 section 10.2.3); a date would need a clock that agrees with the server's, so it is not followed. */
const retryAfter = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,6}$/.test(text) ? Math.min(Number(text) * 1000, PATIENCE_MS) : undefined;

/**
 * Runs `attempt` until it succeeds, throws something that trying again does not help, or failed `retries` times in a row without
 * progress. Waits between attempts double from `backoffMs`.
 *
 * @param progress bytes that are there and will be gone on from; an attempt that added to them starts the counting anew
 */
export async function withRetries<T>(attempt: () => Promise<T>, o: FetchOptions, progress?: () => number): Promise<T> {
  let failures = 0;
  // A server that hands out a byte at a time would otherwise be asked for ever.
  for (let attempts = 1; ; attempts++) {
    const before = progress?.() ?? 0;
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Hiccup)) throw error;
      failures = (progress?.() ?? 0) - before >= PROGRESS ? 1 : failures + 1;
      if (failures > (o.retries ?? RETRIES) || attempts >= MOST_ATTEMPTS) throw gaveUp(error.told, attempts, (progress?.() ?? 0) > 0);
      const wait = error.after ?? (o.backoffMs ?? BACKOFF_MS) * 2 ** (failures - 1);
      o.onNote?.(`${error.told.parts.where}: ${error.told.parts.what}; again in ${seconds(wait)} s`);
      try {
        await pause(wait, undefined, { signal: o.signal });
      } catch (cause) {
        throw interrupted(error.told.parts.where, cause);
      }
    }
  }
}

/** Bytes that count as progress. */
const PROGRESS = 65_536;
const MOST_ATTEMPTS = 1000;

/** The last failure, saying how often it was tried. */
const gaveUp = ({ parts }: SecateurError, attempts: number, keeps: boolean): SecateurError =>
  new SecateurError({
    ...parts,
    what: attempts === 1 ? parts.what : `${parts.what} (${attempts} attempts)`,
    hint: parts.hint ?? `again later${keeps ? '; what was downloaded is kept, and the next try goes on from there' : ''}`,
  });

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10}`;

/** An address fit for a message: without the query string, which can hold a signature that is as good as a password. */
export const address = (url: URL): string => `${url.origin}${url.pathname}${url.search === '' ? '' : '?...'}`;
