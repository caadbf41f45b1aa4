/** Connections: whose certificates are trusted, which proxy is taken, and which host may see which token. */
import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates } from 'node:tls';
import { type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { fail } from '../../core/errors.ts';
import { HUB } from '../sources/hub-listing.ts';

const GITHUB_API = 'https://api.github.com';

const agents = new Map<string, Dispatcher>();

/**
 * Connections that trust Node's authorities, those of SSL_CERT_FILE and NODE_EXTRA_CA_CERTS, and `ca`; through the proxy that
 * HTTP_PROXY, HTTPS_PROXY and NO_PROXY name. One per setting, kept for the life of the process.
 *
 * @throws SecateurError E_TLS where a file of certificates cannot be read
 */
export function connections(ca: string | undefined): Dispatcher {
  const { env } = process;
  const names = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY', 'SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS'];
  const key = JSON.stringify([ca, ...names.map((name) => env[name])]);
  const known = agents.get(key);
  if (known !== undefined) return known;
  const own = [certificatesOf('SSL_CERT_FILE'), certificatesOf('NODE_EXTRA_CA_CERTS'), ca].filter((pem) => pem !== undefined);
  // A list of one's own takes the place of Node's, so Node's is part of it; read once and not at every connection.
  const tls = own.length === 0 ? {} : { secureContext: createSecureContext({ ca: [...rootCertificates, ...own] }) };
  const connect = { ...tls, timeout: 15_000 };
  let agent: Dispatcher;
  try {
    agent = new EnvHttpProxyAgent({ connect, requestTls: connect, proxyTls: connect, keepAliveTimeout: 4000, maxRedirections: 0 } as never);
  } catch (cause) {
    // Without what may be a password.
    const got = names.slice(0, 4).flatMap((name) => env[name]?.replace(/^.*@/, '...@') ?? []);
    return fail({
      code: 'E_NETWORK',
      where: 'HTTPS_PROXY',
      what: 'the proxy cannot be used',
      expected: 'http://host:port',
      got: got.join(' '),
      cause,
    });
  }
  agents.set(key, agent);
  return agent;
}

function certificatesOf(variable: string): string | undefined {
  const path = process.env[variable];
  if (path === undefined || path === '') return undefined;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    return fail({ code: 'E_TLS', where: variable, what: 'the file of certificates cannot be read', got: path, cause });
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    return fail({ code: 'E_TLS', where: variable, what: 'no certificate in that file', expected: 'PEM', got: path });
  }
  return text;
}

/**
 * Address of the hub without slash at the end: HF_ENDPOINT or the public one.
 *
 * @throws SecateurError E_SOURCE (exit code 2) where HF_ENDPOINT is no address
 */
export const hubAddress = (): string => endpoint('HF_ENDPOINT', HUB);

/** Address of GitHub's API without slash at the end: GITHUB_API_URL, as in GitHub's own runners, or its public one. */
export const gitHubAddress = (): string => endpoint('GITHUB_API_URL', GITHUB_API);

function endpoint(variable: string, usual: string): string {
  const text = process.env[variable];
  if (text === undefined || text === '') return usual;
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // told below
  }
  const fits = url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '' && url.hash === '';
  if (!fits) fail({ code: 'E_SOURCE', where: variable, what: 'no address of a server', expected: 'https://host', got: text, exitCode: 2 });
  return url!.href.replace(/\/+$/, '');
}

/** The address that is asked instead where HF_ENDPOINT names another host for what lies on the hub. */
export function mirrored(address: string): URL {
  const moved = address.startsWith(`${HUB}/`) ? hubAddress() + address.slice(HUB.length) : address;
  return new URL(moved);
}

/** Name of the variable whose token a host wants, if it is one of the two that have any. */
export function tokenNameFor(url: URL): 'HF_TOKEN' | 'GITHUB_TOKEN' | undefined {
  if (url.origin === new URL(hubAddress()).origin) return 'HF_TOKEN';
  if (url.origin === new URL(gitHubAddress()).origin) return 'GITHUB_TOKEN';
  return undefined;
}

/** The header that a host may see: a token goes to the origin it is meant for and nowhere else, and only through TLS. */
export function credentialsFor(url: URL): Record<string, string> {
  const name = tokenNameFor(url);
  const token = name === undefined ? undefined : process.env[name]?.trim();
  if (token === undefined || token === '' || url.protocol !== 'https:') return {};
  if (!/^[\x21-\x7e]+$/.test(token))
    fail({ code: 'E_SOURCE', where: name!, what: 'the token holds blanks or odd characters', exitCode: 2 });
  return { authorization: `Bearer ${token}` };
}
