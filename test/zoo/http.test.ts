import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { credentialsFor, gitHubAddress, hubAddress, mirrored } from '../../src/zoo/fetch/agent.node.ts';
import { Arriving } from '../../src/zoo/fetch/arriving.node.ts';
import { type FileOptions, fetchFile } from '../../src/zoo/fetch/download.node.ts';
import { fetchBytes } from '../../src/zoo/fetch/http.node.ts';
import { Hiccup, networkError } from '../../src/zoo/fetch/trouble.node.ts';
import { openCache } from '../../src/zoo/store/cache.node.ts';
import { certificates, startServer, type TestServer } from './server.ts';
import { told } from './told.ts';

let folder: string;
let plain: TestServer;
let tls: TestServer;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'secateur-http-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  [plain, tls] = [await startServer(), await startServer({ tls: true })];
  for (const name of [
    'HF_ENDPOINT',
    'HF_TOKEN',
    'GITHUB_TOKEN',
    'GITHUB_API_URL',
    'SSL_CERT_FILE',
    'http_proxy',
    'https_proxy',
    'HTTP_PROXY',
    'HTTPS_PROXY',
  ]) {
    vi.stubEnv(name, undefined);
  }
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all([plain.close(), tls.close()]);
});

const text = async (url: string, o: Partial<Parameters<typeof fetchBytes>[1]> = {}): Promise<string> => {
  const { bytes } = await fetchBytes(url, { limit: 1e6, allowHttp: true, ca: certificates().ca, retries: 0, stallMs: 20_000, ...o });
  return new TextDecoder().decode(bytes);
};
const host = (server: TestServer): string => new URL(server.url).host;

describe('redirects', () => {
  it.each([301, 302, 303, 307, 308])('%i is followed, also to another host, relative or from http to https', async (status) => {
    tls.put('/there', 'found');
    plain.redirect('/a', 'b?c=d#e', { status });
    plain.redirect('/b', `${tls.url}/there`, { status });
    expect(await text(`${plain.url}/a`)).toBe('found');
    expect(plain.requests.map((r) => r.path)).toEqual(['/a', '/b?c=d']);
  });

  it('are followed ten times, not eleven', async () => {
    for (let i = 0; i < 11; i++) plain.redirect(`/${i}`, `/${i + 1}`);
    plain.put('/11', 'found');
    expect(await text(`${plain.url}/1`)).toBe('found');
    expect(await told(() => text(`${plain.url}/0`))).toBe(
      `1 E_REDIRECT ${host(plain)}: sent on too many times, expected at most 10 redirects, got ${plain.url}/11.`,
    );
  });

  const refused: [string, (plain: string) => string | undefined, (plain: string) => string][] = [
    ['to http', (url) => `${url}/x?sig=1`, (url) => `a redirect from https to http is not followed, got ${url}/x?....`],
    ['to a file', () => 'file:///etc/passwd', () => 'a redirect away from the web is not followed, got file:///etc/passwd.'],
    ['to data', () => 'data:text/plain,x', () => 'a redirect away from the web is not followed, got data:text/plain,x.'],
    [
      'with a password',
      () => 'https://a:b@example.com/x',
      () => 'a redirect with a password in it is not followed, got https://example.com/x.',
    ],
    ['to no address', () => 'https://[', () => 'a redirect to what is no address, got https://[.'],
  ];
  it.each(refused)('from https %s are refused, with --allow-http too', async (_, to, says) => {
    plain.put('/x', 'altered');
    tls.redirect('/a', to(plain.url)!);
    expect(await told(() => text(`${tls.url}/a`))).toBe(`1 E_REDIRECT ${host(tls)}: ${says(plain.url)}`);
    expect(plain.requests).toEqual([]);
  });

  it('to nowhere are refused', async () => {
    tls.always('/a', { status: 302 });
    expect(await told(() => text(`${tls.url}/a`))).toBe(
      `1 E_REDIRECT ${host(tls)}: a redirect to nowhere, got no Location from ${tls.url}/a.`,
    );
  });
});

describe('tokens', () => {
  it('go to their own host through TLS, and to nobody that it redirects to', async () => {
    const other = await startServer({ tls: true });
    vi.stubEnv('HF_ENDPOINT', `${tls.url}/`);
    vi.stubEnv('HF_TOKEN', 'hf_secret');
    tls.redirect('/a', `${other.url}/cdn`);
    other.put('/cdn', 'found');
    tls.redirect('/b', '/c');
    tls.put('/c', 'found');
    expect(await text(`${tls.url}/a`)).toBe('found');
    expect(await text(`${tls.url}/b`)).toBe('found');
    expect(tls.requests.map((r) => r.headers.authorization)).toEqual(Array(3).fill('Bearer hf_secret'));
    expect(other.requests.map((r) => r.headers.authorization)).toEqual([undefined]);
    await other.close();
  });

  it('do not go over http, to other ports, or to a host that begins alike', () => {
    vi.stubEnv('HF_TOKEN', 'hf_secret');
    vi.stubEnv('GITHUB_TOKEN', 'gh_secret');
    const seen = (url: string): string | undefined => credentialsFor(new URL(url)).authorization;
    expect(seen('https://huggingface.co/x')).toBe('Bearer hf_secret');
    expect(seen('https://api.github.com/x')).toBe('Bearer gh_secret');
    for (const url of [
      'https://huggingface.co.evil.example/x',
      'https://huggingface.co:8443/x',
      'http://huggingface.co/x',
      'https://github.com/x',
    ]) {
      expect(seen(url)).toBeUndefined();
    }
    vi.stubEnv('HF_ENDPOINT', 'https://mirror.example');
    expect(seen('https://huggingface.co/x')).toBeUndefined();
    expect(seen('https://mirror.example/x')).toBe('Bearer hf_secret');
  });

  it('that would split a header are refused', async () => {
    vi.stubEnv('HF_TOKEN', 'a\r\nx: y');
    expect(await told(() => credentialsFor(new URL('https://huggingface.co/')))).toBe(
      '2 E_SOURCE HF_TOKEN: the token holds blanks or odd characters.',
    );
  });

  it('are named where one would help', async () => {
    vi.stubEnv('HF_ENDPOINT', tls.url);
    vi.stubEnv('GITHUB_API_URL', plain.url);
    tls.always('/a', { status: 401 });
    expect(await told(() => text(`${tls.url}/a`))).toBe(
      `1 E_FORBIDDEN ${host(tls)}: there is no such thing, or not everybody may read it, got 401 from ${tls.url}/a. Try HF_TOKEN=... of an account that may read it.`,
    );
    plain.always('/a', { status: 403, headers: { 'x-ratelimit-remaining': '0' } });
    expect(await told(() => text(`${plain.url}/a`))).toBe(
      `1 E_NETWORK ${host(plain)}: the server answers no more requests from here for now, got 403 from ${plain.url}/a. Try again later, or with GITHUB_TOKEN set, which raises the limit.`,
    );
  });
});

describe('a mirror', () => {
  it('takes the place of the hub alone', () => {
    vi.stubEnv('HF_ENDPOINT', 'https://mirror.example/hub/');
    expect(hubAddress()).toBe('https://mirror.example/hub');
    expect(mirrored('https://huggingface.co/o/n/resolve/x/a').href).toBe('https://mirror.example/hub/o/n/resolve/x/a');
    expect(mirrored('https://huggingface.co.evil/o').href).toBe('https://huggingface.co.evil/o');
    vi.stubEnv('GITHUB_API_URL', '');
    expect(gitHubAddress()).toBe('https://api.github.com');
  });
  it.each(['nonsense', 'ftp://h', 'https://a:b@h', 'https://h?x'])('%s is refused', async (value) => {
    vi.stubEnv('HF_ENDPOINT', value);
    expect(await told(hubAddress)).toBe(`2 E_SOURCE HF_ENDPOINT: no address of a server, expected https://host, got ${value}.`);
  });
});

describe('certificates', () => {
  it('of an authority that nobody trusts are refused', async () => {
    tls.put('/a', 'x');
    const says = await told(() => text(`${tls.url}/a`, { ca: undefined }));
    expect(says).toMatch(
      /^1 E_TLS 127\.0\.0\.1:\d+: the server's certificate is not accepted \([A-Z_]+: .*\)\. Try SSL_CERT_FILE=ca\.pem where an authority of your own signs for that host\.$/,
    );
    expect(tls.requests).toEqual([]);
  });

  it('for another name are refused', async () => {
    tls.put('/a', 'x');
    const says = await told(() => text(`${tls.url.replace('127.0.0.1', 'localhost')}/a`));
    expect(says).toMatch(/^1 E_TLS localhost:\d+: the server's certificate is not accepted \(ERR_TLS_CERT_ALTNAME_INVALID: /);
  });

  it.each(['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS'])('are trusted through %s', async (variable) => {
    tls.put('/a', 'found');
    const file = join(folder, `${variable}.pem`);
    writeFileSync(file, certificates().ca);
    vi.stubEnv(variable, file);
    expect(await text(`${tls.url}/a`, { ca: undefined })).toBe('found');
  });

  it('that cannot be read are told', async () => {
    vi.stubEnv('SSL_CERT_FILE', join(folder, 'none.pem'));
    expect(await told(() => text(`${tls.url}/a`))).toBe(
      `1 E_TLS SSL_CERT_FILE: the file of certificates cannot be read, got ${join(folder, 'none.pem')}.`,
    );
    writeFileSync(join(folder, 'empty.pem'), 'x');
    vi.stubEnv('SSL_CERT_FILE', join(folder, 'empty.pem'));
    expect(await told(() => text(`${tls.url}/a`))).toBe(
      `1 E_TLS SSL_CERT_FILE: no certificate in that file, expected PEM, got ${join(folder, 'empty.pem')}.`,
    );
  });
});

describe('a proxy', () => {
  /** A proxy that opens tunnels, and knows to where. */
  const startProxy = async (): Promise<{ server: Server; url: string; tunnels: string[] }> => {
    const tunnels: string[] = [];
    const server = createServer((_request, response) => response.writeHead(500).end());
    server.on('connect', (request, socket) => {
      tunnels.push(request.url ?? '');
      const [name, port] = (request.url ?? '').split(':');
      const to = connect(Number(port), name, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        to.pipe(socket).pipe(to);
      });
      to.on('error', () => socket.destroy());
      socket.on('error', () => to.destroy());
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, tunnels };
  };

  it('is used where HTTPS_PROXY says so, and not for NO_PROXY', async () => {
    const proxy = await startProxy();
    tls.put('/a', 'found');
    vi.stubEnv('HTTPS_PROXY', proxy.url);
    expect(await text(`${tls.url}/a`)).toBe('found');
    expect(proxy.tunnels).toEqual([host(tls)]);
    vi.stubEnv('NO_PROXY', '127.0.0.1');
    expect(await text(`${tls.url}/a`)).toBe('found');
    expect(proxy.tunnels).toEqual([host(tls)]);
    proxy.server.closeAllConnections();
    proxy.server.close();
  });

  it('that is no address is told', async () => {
    vi.stubEnv('HTTPS_PROXY', 'nonsense');
    expect(await told(() => text(`${tls.url}/a`))).toBe(
      '1 E_NETWORK HTTPS_PROXY: the proxy cannot be used, expected http://host:port, got nonsense.',
    );
    vi.stubEnv('HTTPS_PROXY', 'me:secret@nonsense');
    expect(await told(() => text(`${tls.url}/a`))).toMatch(/expected http:\/\/host:port, got \.\.\.@nonsense\.$/);
  });
});

describe('a small text', () => {
  it('is bounded, and never read in part', async () => {
    plain.put('/a', 'x'.repeat(1001));
    expect(await told(() => text(`${plain.url}/a`, { limit: 1000 }))).toBe(
      `1 E_SIZE ${host(plain)}: an answer that is too long, expected at most 1000 bytes, got ${plain.url}/a.`,
    );
    plain.always('/a', { endless: true });
    expect(await told(() => text(`${plain.url}/a`, { limit: 1000 }))).toContain('E_SIZE');
    plain.put('/b', 'whole');
    plain.once('/b', { cut: 2 }, { stall: 2 });
    expect(await text(`${plain.url}/b`, { retries: 2, backoffMs: 1, stallMs: 300 })).toBe('whole');
  });
  it('is not fetched offline', async () => {
    expect(await told(() => text(`${plain.url}/a`, { offline: true }))).toBe(
      `1 E_OFFLINE offline: this has to be fetched, and nothing may be, got ${plain.url}/a. Try without --offline once; then it is in the cache.`,
    );
  });
});

describe('a file through a mirror with TLS and redirects', () => {
  it('is fetched, gone on from at the CDN, and known by its hash', async () => {
    const body = Buffer.alloc(200_000, 'abc');
    const digest = createHash('sha256').update(body).digest('hex');
    vi.stubEnv('HF_ENDPOINT', tls.url);
    vi.stubEnv('HF_TOKEN', 'hf_secret');
    const cdn = await startServer({ tls: true });
    cdn.put('/blob', body);
    cdn.once('/blob', { cut: 50_000 });
    const path = `/o/n/resolve/${'a'.repeat(40)}/net.onnx`;
    tls.redirect(path, `${cdn.url}/blob?X-Sig=1`);
    const cache = await openCache(join(folder, 'cache'));
    const o: FileOptions = { ca: certificates().ca, backoffMs: 1 };
    const claims = [{ from: 'hf-lfs-oid', algorithm: 'sha256', value: digest }] as const;
    const got = await fetchFile({ path: 'net.onnx', url: `https://huggingface.co${path}`, size: body.length, claims }, cache, o);
    expect(got).toMatchObject({ digest: `sha256:${digest}`, url: `https://huggingface.co${path}` });
    expect(cdn.requests.map((r) => [r.headers.range, r.headers.authorization])).toEqual([
      [undefined, undefined],
      ['bytes=50000-', undefined],
    ]);
    await cdn.close();
  });
});

it('a body that ends without a word is a connection that broke, of which what came is kept', async () => {
  const body = new Readable({ read: () => undefined });
  const arriving = new Arriving(body);
  body.push('came');
  setImmediate(() => body.destroy());
  const came: string[] = [];
  const read = async (): Promise<void> => {
    for await (const piece of arriving.pieces()) came.push(Buffer.from(piece).toString());
  };
  const broke = await read().catch((error: unknown) => networkError(error, new URL('https://host/x'), {}));
  expect(broke).toBeInstanceOf(Hiccup);
  expect(came).toEqual(['came']);
});
