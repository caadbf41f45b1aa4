/** One request with its redirects, followed by hand: what a redirect may lead to is a question of safety. */
import { request } from 'undici';
import { fail } from '../../core/errors.ts';
import { connections, credentialsFor, mirrored, tokenNameFor } from './agent.node.ts';
import { Arriving } from './arriving.node.ts';
import { type FetchOptions, STALL_MS } from './options.ts';
import { address, networkError, refuseStatus, withRetries } from './trouble.node.ts';

export interface Answer {
  /** 200, 206 or 416. */
  readonly status: number;
  /** Lower-case names; several of one name joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
  /** Where the redirects ended. */
  readonly url: URL;
  /** Raw bytes; whoever does not read it to the end discards it. */
  readonly body: Arriving;
}

const HOPS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const AGENT = 'secateur (zoo)';

/**
 * Asks for an address. Bytes come as they are: another Content-Encoding than identity is refused, since a hash is over the file and not
 * over what some server made of it.
 *
 * @param headers of one's own, sent at every hop; tokens are added here, for their own host only
 * @throws Hiccup where another attempt can help; SecateurError E_HTTP (exit code 2), E_REDIRECT, E_ENCODING, E_NOT_FOUND, E_FORBIDDEN,
 *   E_TLS, E_NETWORK
 */
export async function ask(from: string, headers: Readonly<Record<string, string>>, o: FetchOptions): Promise<Answer> {
  let url = mirrored(from);
  for (let hop = 0; ; hop++) {
    if (hop === 0) checkStart(url, o);
    const got = await send(url, headers, o);
    if (!REDIRECTS.has(got.status)) return accepted(got, o);
    got.body.discard();
    const next = target(url, got.headers.location);
    if (hop === HOPS) {
      fail({
        code: 'E_REDIRECT',
        where: url.host,
        what: 'sent on too many times',
        expected: `at most ${HOPS} redirects`,
        got: address(next),
      });
    }
    url = next;
  }
}

async function send(url: URL, headers: Readonly<Record<string, string>>, o: FetchOptions): Promise<Answer> {
  const stall = o.stallMs ?? STALL_MS;
  try {
    const got = await request(url, {
      dispatcher: connections(o.ca),
      headers: { 'accept-encoding': 'identity', 'user-agent': AGENT, accept: '*/*', ...headers, ...credentialsFor(url) },
      signal: o.signal,
      headersTimeout: stall,
      bodyTimeout: stall,
    });
    const body = new Arriving(got.body);
    const flat: Record<string, string> = {};
    for (const [name, value] of Object.entries(got.headers)) {
      if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value;
    }
    return { status: got.statusCode, headers: flat, url, body };
  } catch (error) {
    throw networkError(error, url, o);
  }
}

function checkStart(url: URL, o: FetchOptions): void {
  if (url.protocol === 'https:' || (url.protocol === 'http:' && o.allowHttp === true)) return;
  if (url.protocol !== 'http:') fail({ code: 'E_SOURCE', where: url.href, what: 'not an address of the web', expected: 'https://' });
  fail({
    code: 'E_HTTP',
    where: address(url),
    what: 'http:// is not fetched: whoever sits on the way can change the file',
    expected: 'https://',
    hint: 'the same address with https://, --sha256 with the hash of the file, or --allow-http if the bytes are checked by other means',
    exitCode: 2,
  });
}

/** Where a redirect leads, if it may lead there. */
function target(from: URL, location: string | undefined): URL {
  const refuse = (what: string, got: string): never => fail({ code: 'E_REDIRECT', where: from.host, what, got });
  if (location === undefined || location === '') return refuse('a redirect to nowhere', `no Location from ${address(from)}`);
  let to: URL;
  try {
    to = new URL(location, from);
  } catch {
    return refuse('a redirect to what is no address', location);
  }
  if (to.protocol !== 'https:' && to.protocol !== 'http:') return refuse('a redirect away from the web is not followed', to.href);
  if (from.protocol === 'https:' && to.protocol === 'http:') return refuse('a redirect from https to http is not followed', address(to));
  if (to.username !== '' || to.password !== '') return refuse('a redirect with a password in it is not followed', address(to));
  to.hash = '';
  return to;
}

function accepted(answer: Answer, o: FetchOptions): Answer {
  const { status, headers, url } = answer;
  try {
    if (status !== 200 && status !== 206 && status !== 416) refuseStatus(status, headers, url, tokenNameFor(url));
    const encoding = headers['content-encoding']?.trim().toLowerCase();
    if (encoding !== undefined && encoding !== '' && encoding !== 'identity') {
      const what = 'the server sends other bytes than the file, packed, although it was asked not to';
      fail({
        code: 'E_ENCODING',
        where: o.name ?? url.host,
        what,
        expected: 'Content-Encoding: identity',
        got: `${encoding} from ${address(url)}`,
      });
    }
  } catch (error) {
    answer.body.discard();
    throw error;
  }
  return answer;
}

/**
 * A small text of a server: an answer of an API, a readme. Tried again like a download.
 *
 * @param o.limit bytes; more is E_SIZE
 * @throws SecateurError as {@link ask}; E_OFFLINE where nothing may be asked
 */
export async function fetchBytes(
  from: string,
  o: FetchOptions & { limit: number; accept?: string },
): Promise<{ bytes: Uint8Array; url: URL; headers: Answer['headers'] }> {
  if (o.offline === true) offline(from);
  return withRetries(async () => {
    const { body, url, headers, status } = await ask(from, o.accept === undefined ? {} : { accept: o.accept }, o);
    const parts: Uint8Array[] = [];
    let size = 0;
    try {
      if (status !== 200) refuseStatus(status, headers, url, undefined);
      for await (const part of body.pieces()) {
        size += part.length;
        if (size > o.limit) {
          fail({
            code: 'E_SIZE',
            where: url.host,
            what: 'an answer that is too long',
            expected: `at most ${o.limit} bytes`,
            got: address(url),
          });
        }
        parts.push(part);
      }
    } catch (error) {
      throw networkError(error, url, o);
    } finally {
      body.discard();
    }
    return { bytes: Buffer.concat(parts), url, headers };
  }, o);
}

/** Throws E_OFFLINE for an address. */
export const offline = (from: string, name?: string): never =>
  fail({
    code: 'E_OFFLINE',
    where: name ?? 'offline',
    what: 'this has to be fetched, and nothing may be',
    got: address(new URL(from)),
    hint: 'without --offline once; then it is in the cache',
  });
