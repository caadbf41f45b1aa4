/** What the verbs print, and how they end: the words a person reads, the object a program reads, the exit code a job goes by. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/core/hash.ts';
import { errorOf, run } from '../cli/in-process.ts';
import { startServer, type TestServer } from './server.ts';
import { tinyNetwork } from './tiny.ts';

const GOOD = tinyNetwork(1);
const BAD = tinyNetwork(-1);

const scratch = mkdtempSync(join(tmpdir(), 'secateur-cli-zoo-'));
const cacheBefore = process.env.SECATEUR_CACHE;
afterAll(() => {
  if (cacheBefore === undefined) delete process.env.SECATEUR_CACHE;
  else process.env.SECATEUR_CACHE = cacheBefore;
  rmSync(scratch, { recursive: true });
});

let root: string;
let server: TestServer;
let count = 0;
beforeEach(async () => {
  root = join(scratch, `project-${++count}`);
  mkdirSync(root);
  process.env.SECATEUR_CACHE = join(scratch, `cache-${count}`);
  server = await startServer();
  server.put('/net.onnx', GOOD);
});
afterEach(() => server.close());

const zoo = (...argv: string[]) => run('zoo', ...argv, '--project', root);
const add = (...argv: string[]) => zoo('add', `${server.url}/net.onnx`, '--allow-http', ...argv);

describe('zoo add', () => {
  it('says what came and who vouches for it', async () => {
    const { code, out, err } = await add();
    expect(err).toContain(`note: no models.json yet: one is made in ${root}`);
    expect(out).toBe(
      [
        `added net: 1 file, ${GOOD.length} B, pinned on first use: nobody vouched for these bytes`,
        '',
        '  file       size  digest                      format  lint  published hashes',
        `  net.onnx  ${GOOD.length} B  sha256:${sha256(GOOD).slice(0, 16)}...  onnx    ok`,
        '',
        join(root, 'models/net'),
        '',
      ].join('\n'),
    );
    expect(code).toBe(0);
  });

  it('http is asked for', async () => {
    const printed = await zoo('add', `${server.url}/net.onnx`);
    expect(printed.code).not.toBe(0);
    expect(errorOf(printed)).toMatch(/^error: E_HTTP .*Try .*--sha256.*--allow-http/s);
    const known = await zoo('add', `${server.url}/net.onnx`, '--sha256', sha256(GOOD));
    expect(known.code).toBe(0);
  });

  it('a hash from elsewhere: matching, differing, malformed', async () => {
    expect((await add('--sha256', sha256(GOOD))).out).toContain('matches the hash that you gave; nobody signed it');
    const wrong = await add('--sha256', sha256(BAD), '--name', 'other');
    expect([wrong.code, errorOf(wrong).slice(0, 14)]).toEqual([3, 'error: E_CLAIM']);
    expect(errorOf(await add('--sha256', 'abc', '--name', 'other'))).toBe(
      'error: --sha256: not a SHA-256, expected 64 hex digits, as sha256sum prints them, got "abc".',
    );
    expect(errorOf(await add('--sha256', `x.onnx=${sha256(GOOD)}`, '--name', 'other'))).toBe(
      'error: --sha256: names no file of other, expected HEX or net.onnx=HEX, got x.onnx.',
    );
  });

  it('that fails leaves no copy of a key, and does not say that a project was made', async () => {
    const key = join(scratch, `k-${count}.pem`);
    execFileSync('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key], { stdio: 'pipe' });
    execFileSync('openssl', ['pkey', '-in', key, '-pubout', '-out', `${key}.pub`], { stdio: 'pipe' });
    const { code, err } = await add('--key', `${key}.pub`);
    expect([code, err.includes('E_POLICY net: a signature is wanted'), err.includes('one is made')]).toEqual([3, true, false]);
    expect(existsSync(join(root, `models.keys/k-${count}.pem.pub`))).toBe(false);
  });

  it('a file that is there, as it was typed', async () => {
    const before = process.cwd();
    mkdirSync(join(root, 'weights'));
    writeFileSync(join(root, 'weights/own.onnx'), GOOD);
    try {
      process.chdir(root);
      expect((await zoo('add', 'weights/own.onnx')).code).toBe(0);
    } finally {
      process.chdir(before);
    }
    expect(JSON.parse(readFileSync(join(root, 'models.json'), 'utf8')).models.own.source).toBe('path:weights/own.onnx');
  });

  it('two hashes of one file; a text that names no source', async () => {
    expect(errorOf(await add('--sha256', sha256(GOOD), '--sha256', sha256(BAD)))).toBe(
      'error: --sha256: given twice for one file. Try PATH=HEX.',
    );
    expect(errorOf(await zoo('add', 'net.onnx'))).toMatch(
      /^error: E_SOURCE zoo add: this names no source, .* got "net.onnx"\. Try \.\/net\.onnx/,
    );
  });

  it('a source that other machines lack is told', async () => {
    mkdirSync(join(root, 'models'), { recursive: true });
    writeFileSync(join(root, 'models/own.onnx'), GOOD);
    writeFileSync(join(scratch, `out-${count}.onnx`), GOOD);
    expect((await zoo('add', join(root, 'models/own.onnx'))).err).toContain(
      'note: own: the source is on this machine only, where models are installed, which is not committed (models/own.onnx): another',
    );
    expect((await zoo('add', join(scratch, `out-${count}.onnx`), '--name', 'out')).err).toContain(
      `note: out: the source is on this machine only, outside of the project (${join(scratch, `out-${count}.onnx`)}): another machine cannot`,
    );
  });

  it('a key from outside of the project is copied into it', async () => {
    const keys = join(scratch, `keys-${count}`);
    mkdirSync(keys);
    const key = join(keys, 'team.pem');
    execFileSync('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384', '-out', key], { stdio: 'pipe' });
    execFileSync('openssl', ['pkey', '-in', key, '-pubout', '-out', join(keys, 'team.pub')], { stdio: 'pipe' });
    const source = join(root, 'published');
    mkdirSync(source);
    writeFileSync(join(source, 'net.onnx'), GOOD);
    expect((await run('zoo', 'sign', source, '--key', key)).code).toBe(0);
    const { out, code, err } = await zoo('add', source, '--name', 'net', '--key', join(keys, 'team.pub'));
    expect([code, err.includes('error')]).toEqual([0, false]);
    expect(out).toMatch(/^added net: 1 file, \d+ B, signed by sha256:[0-9a-f]{64}\n/);
    expect(out).toContain('A verified signature says who published these bytes. It does not say that the model has no backdoor');
    const { policy } = JSON.parse(readFileSync(join(root, 'models.json'), 'utf8'));
    expect(policy).toEqual([{ match: 'net', require: 'signature', keys: ['models.keys/team.pub'] }]);
    expect((await zoo('verify')).code).toBe(0);
    expect(JSON.parse((await zoo('install', '--json')).out).models[0]).toMatchObject({ integrity: 'signed', confirmed: true });
    // whom the lock names is no answer where the signature does not hold
    rmSync(join(root, 'models.keys/team.pub'));
    expect((await zoo('verify')).out).toContain('net: NOT ok, models.lock says signed, which nothing here confirms\n');
    const manifest = join(root, 'models.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"keys"', '"mode": "warn", "keys"').replace('published', 'elsewhere'));
    execFileSync('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384', '-out', key], { stdio: 'pipe' });
    execFileSync('openssl', ['pkey', '-in', key, '-pubout', '-out', join(root, 'models.keys/team.pub')], { stdio: 'pipe' });
    expect((await zoo('verify')).out).toMatch(
      /\nnet: ok, models.lock says signed, which nothing here confirms\n {2}stale {4}models.json asks for path:elsewhere, which is not what was locked \(secateur zoo install\)\n/,
    );
  });

  it('a private key is not copied into the project', async () => {
    const key = join(scratch, `secret-${count}.pem`);
    execFileSync('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key], { stdio: 'pipe' });
    const refused = await add('--key', key);
    expect([refused.code, errorOf(refused)]).toEqual([
      2,
      `error: E_SIG_KEY ${key}: a private key, expected the public key. Try openssl pkey -in KEY -pubout, and keep the private key to yourself.`,
    ]);
    const chain = join(scratch, `chain-${count}.pem`);
    const subject = ['-subj', '/CN=test', '-days', '2', '-addext', 'basicConstraints=critical,CA:TRUE'];
    const certificate = execFileSync('openssl', ['req', '-x509', '-new', '-key', key, ...subject], { encoding: 'utf8', stdio: 'pipe' });
    writeFileSync(chain, `${certificate}${readFileSync(key, 'utf8')}`);
    expect(errorOf(await add('--authority', chain))).toBe(
      `error: E_SIG_KEY ${chain}: holds a private key, which others must not get. Try a file without it.`,
    );
    expect(readdirSync(root)).toEqual([]);
  });

  it('an identity without its issuer', async () => {
    expect(errorOf(await add('--identity', 'ann@example.org'))).toBe(
      'error: --identity: an identity counts only with who vouched for it, expected --identity and --issuer together.',
    );
  });
});

describe('zoo install, verify, diff, update, remove', () => {
  beforeEach(async () => {
    expect((await add()).code).toBe(0);
  });

  it('install says what it did', async () => {
    expect((await zoo('install', '--frozen')).out).toBe(
      '1 model as in models.lock, 0 of them installed now\n\n  net  as locked  pinned on first use: nobody vouched for these bytes\n',
    );
    rmSync(join(root, 'models'), { recursive: true });
    expect(JSON.parse((await zoo('install', '--offline', '--json')).out)).toEqual({
      models: [{ name: 'net', state: 'placed', folder: join(root, 'models/net'), integrity: 'pinned-on-first-use' }],
      orphans: [],
    });
  });

  it('install takes what it is told to take, unless it is frozen', async () => {
    server.put('/net.onnx', '\x80\x04cos\nsystem\n(S"true"\ntR.');
    writeFileSync(join(root, 'models.json'), JSON.stringify({ models: { odd: { source: `${server.url}/net.onnx` } } }));
    const refused = await zoo('install', '--allow-http');
    expect([refused.code, errorOf(refused).includes('--allow-refused where you know who made it')]).toEqual([3, true]);
    expect(errorOf(await zoo('install', '--frozen', '--allow-refused'))).toBe(
      'error: --allow-refused: has no effect with --frozen, which locks nothing.',
    );
    expect((await zoo('install', '--allow-http', '--allow-refused')).code).toBe(0);
  });

  it('verify says that the publisher shows another hash', async () => {
    const readme = `---\nname: n\ncaffemodel: net.onnx\ncaffemodel_url: ${server.url}/net.onnx\nsha1: ${'1'.repeat(40)}\n---\n`;
    mkdirSync(join(root, 'page'));
    writeFileSync(join(root, 'page/readme.md'), readme);
    const page = ['add', `caffe:${join(root, 'page/readme.md')}`, '--name', 'page', '--allow-http'];
    const says = 'pinned on first use: net.onnx does NOT have the hash that its publisher shows';
    expect((await zoo(...page, '--accept-claim-mismatch')).out).toContain(says);
    expect((await zoo('verify', 'page')).out).toContain(`page: ok, ${says}`);
  });

  it('verify ends with 3 where a byte differs', async () => {
    expect((await zoo('verify')).out).toBe(
      `1 model as in models.lock, ${GOOD.length} B read\n\nnet: ok, pinned on first use: nobody vouched for these bytes\n`,
    );
    writeFileSync(join(root, 'models/net/net.onnx'), BAD);
    const { code, out } = await zoo('verify');
    expect(code).toBe(3);
    expect(out).toBe(
      [
        `NOT ok: 1 of 1 model, ${BAD.length} B read`,
        '',
        'net: NOT ok, not what was locked (that: pinned on first use: nobody vouched for these bytes)',
        `  changed  net.onnx has other bytes: sha256:${sha256(BAD)}, locked is sha256:${sha256(GOOD)}`,
        '',
      ].join('\n'),
    );
    const json = JSON.parse((await zoo('verify', 'net', '--json')).out);
    expect(json).toMatchObject({ ok: false, models: [{ name: 'net', files: { changed: [{ path: 'net.onnx' }] } }] });
  });

  it('a swap behind the address: install refuses, diff explains, update takes it with a word', async () => {
    server.put('/net.onnx', BAD);
    rmSync(join(root, 'models'), { recursive: true });
    process.env.SECATEUR_CACHE = join(scratch, `fresh-${count}`);
    const refused = await zoo('install', '--frozen', '--allow-http');
    expect(refused.code).toBe(3);
    expect(errorOf(refused)).toMatch(/^error: E_INTEGRITY net: net.onnx/);
    const { code, out } = await zoo('diff', 'net', '--allow-http', '--fail-on-change');
    expect(code).toBe(3);
    expect(out).toContain('net: its source offers something else than models.lock has');
    expect(out).toContain('net: its address has no version, and the bytes behind it changed without a word');
    const updated = await zoo('update', '--allow-http');
    expect(updated.out).toContain('1 of 1 model updated');
    expect(updated.out).toContain('net: its address has no version, and the bytes behind it changed without a word');
    expect((await zoo('diff', 'net', '--allow-http')).out).toBe('net: its source offers what models.lock has\n');
    expect((await zoo('update', '--allow-http')).out).toBe('1 model looked at, none changed\n');
  });

  it('remove', async () => {
    expect((await zoo('remove', 'net')).out).toBe('removed net: 1 file deleted\n');
    expect(errorOf(await zoo('remove', 'net'))).toBe(
      'error: E_NAME net: no model of that name, expected a model in models.json; there is none yet.',
    );
  });

  it('--project is that folder and none above it', async () => {
    const empty = join(root, 'empty');
    mkdirSync(empty);
    const none = `error: ${empty}: no models.json or models.lock in it. Try \`secateur zoo init\` to make one, or another --project.`;
    expect(errorOf(await run('zoo', 'verify', '--project', empty))).toBe(none);
    expect((await run('zoo', 'add', `${server.url}/net.onnx`, '--allow-http', '--project', empty)).err).toContain(
      `note: no models.json yet: one is made in ${empty}`,
    );
    expect(existsSync(join(empty, 'models.lock'))).toBe(true);
    expect(errorOf(await run('zoo', 'add', `${server.url}/net.onnx`, '--allow-http', '--project', join(root, 'typo')))).toBe(
      `error: ${join(root, 'typo')}: is no folder. Try the folder of a project.`,
    );
    expect((await run('zoo', 'audit', '--project', join(root, 'empty/models'))).out).toContain('no models.lock here');
  });
});
