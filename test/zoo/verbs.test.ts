/** The verbs from end to end: a real server, a cache and a project on disk; the text of every refusal. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SecateurError } from '../../src/core/errors.ts';
import { sha256 } from '../../src/core/hash.ts';
import { signModel } from '../../src/zoo/signing/sign.node.ts';
import { signEnvelope } from '../../src/zoo/signing/sign-envelope.node.ts';
import { type Cache, openCache } from '../../src/zoo/store/cache.node.ts';
import { addModel } from '../../src/zoo/verbs/add.node.ts';
import { installModels } from '../../src/zoo/verbs/install.node.ts';
import { removeModel } from '../../src/zoo/verbs/remove.node.ts';
import { diffModel, updateModels } from '../../src/zoo/verbs/update.node.ts';
import { verifyModels } from '../../src/zoo/verbs/verify.node.ts';
import { startServer, type TestServer } from './server.ts';
import { tinyNetwork } from './tiny.ts';

const GOOD = tinyNetwork(1);
const BAD = tinyNetwork(-1);

const scratch = mkdtempSync(join(tmpdir(), 'secateur-verbs-'));
afterAll(() => rmSync(scratch, { recursive: true }));

let root: string;
let cache: Cache;
let server: TestServer;
let notes: string[];
let count = 0;
beforeEach(async () => {
  root = join(scratch, `project-${++count}`);
  mkdirSync(root);
  cache = await openCache(join(scratch, `cache-${count}`));
  server = await startServer();
  notes = [];
});
afterEach(() => server.close());

const options = () => ({ cache, allowHttp: true, onNote: (text: string) => notes.push(text) });
const lockText = (): string => readFileSync(join(root, 'models.lock'), 'utf8');
const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath, e.name).slice(folder.length + 1))
    .sort();

/** All files of the project but those of the tool itself. */
const left = (): string[] => filesOf(root).filter((path) => !path.includes('.secateur/'));

async function refusal(work: Promise<unknown>): Promise<SecateurError> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(SecateurError);
  return error as SecateurError;
}

describe('add', () => {
  it('pins what nobody vouches for, and says what it is', async () => {
    server.put('/net.onnx', GOOD);
    const added = await addModel(root, `${server.url}/net.onnx`, options());
    expect(added.name).toBe('net');
    expect(added.entry).toMatchObject({
      source: `${server.url}/net.onnx`,
      resolved: 'unversioned',
      integrity: 'pinned-on-first-use',
      files: [{ path: 'net.onnx', size: GOOD.length, digest: `sha256:${sha256(GOOD)}`, format: 'onnx', lint: 'ok', claims: [] }],
    });
    expect(readFileSync(join(root, 'models/net/net.onnx'))).toEqual(Buffer.from(GOOD));
    expect(JSON.parse(readFileSync(join(root, 'models.json'), 'utf8')).models).toEqual({ net: { source: `${server.url}/net.onnx` } });
  });

  it('takes a hash from elsewhere, and nothing that differs from it', async () => {
    server.put('/net.onnx', GOOD);
    const wrong = new Map([['', sha256(BAD)]]);
    const error = await refusal(addModel(root, `${server.url}/net.onnx`, { ...options(), sha256: wrong }));
    expect(error.parts.code).toBe('E_CLAIM');
    expect(error.exitCode).toBe(3);
    expect(left()).toEqual([]);
    const added = await addModel(root, `${server.url}/net.onnx`, { ...options(), sha256: new Map([['', sha256(GOOD)]]) });
    expect(added.entry.integrity).toBe('matched-published-claim');
  });

  it('refuses what runs code when it is loaded, unless told otherwise; nothing is left of it', async () => {
    server.put('/net.onnx', '\x80\x04cos\nsystem\n(S"true"\ntR.');
    const error = await refusal(addModel(root, `${server.url}/net.onnx`, options()));
    expect(error.parts.code).toBe('E_FORMAT');
    expect(error.message).toContain('net: net.onnx');
    expect(error.message).toContain('Try the same model as ONNX or safetensors, or --allow-refused where you know who made it.');
    expect(left()).toEqual([]);
    const added = await addModel(root, `${server.url}/net.onnx`, { ...options(), allowRefused: true });
    expect(added.entry.files[0].lint).toBe('refused');
  });

  it('the same name twice', async () => {
    server.put('/net.onnx', GOOD);
    await addModel(root, `${server.url}/net.onnx`, options());
    const error = await refusal(addModel(root, `${server.url}/net.onnx`, options()));
    expect(error.message).toBe(
      'E_NAME net: is in models.json already. Try `secateur zoo update net` for its newest version, or --name for another name.',
    );
  });

  it('a name that is the folder of another, a pattern that matches nothing: not told as lines of a file that has none such', async () => {
    server.put('/net.onnx', GOOD);
    await addModel(root, `${server.url}/net.onnx`, { ...options(), name: 'a/b' });
    const twin = await refusal(addModel(root, `${server.url}/net.onnx`, { ...options(), name: 'a' }));
    expect([twin.message, twin.exitCode]).toEqual([
      'E_NAME zoo add a: a model name is also the folder of another, expected no "a/b" beside it, got "a".',
      2,
    ]);
    expect((await refusal(addModel(root, `${server.url}/net.onnx`, { ...options(), name: 'c', include: ['x//y'] }))).parts.where).toBe(
      'zoo add c',
    );
    expect((await refusal(addModel(root, `${server.url}/net.onnx`, { ...options(), name: 'c', include: ['*.txt'] }))).message).toBe(
      `E_SOURCE ${server.url}/net.onnx: no file matches *.txt, got net.onnx.`,
    );
  });

  it('a rule that the model breaks: nothing is installed', async () => {
    writeFileSync(join(root, 'models.json'), JSON.stringify({ models: {}, policy: [{ match: 'team/*', require: 'claim' }] }));
    server.put('/net.onnx', GOOD);
    const before = readFileSync(join(root, 'models.json'), 'utf8');
    const error = await refusal(addModel(root, `${server.url}/net.onnx`, { ...options(), name: 'team/net' }));
    expect(error.message).toBe(
      'E_POLICY team/net: a published hash that matched is wanted, and the files have none (rule for "team/*" in models.json). ' +
        'Try a model that keeps the rule, or to change the rule in models.json where you can answer for it.',
    );
    expect(readFileSync(join(root, 'models.json'), 'utf8')).toBe(before);
    expect(existsSync(join(root, 'models.lock'))).toBe(false);
    expect((await addModel(root, `${server.url}/net.onnx`, { ...options(), name: 'other' })).name).toBe('other');
  });

  it('a folder on this machine, as it is', async () => {
    mkdirSync(join(root, 'export/labels'), { recursive: true });
    writeFileSync(join(root, 'export/net.onnx'), GOOD);
    writeFileSync(join(root, 'export/labels/en.txt'), 'cat\ndog\n');
    const { entry } = await addModel(root, 'path:export', { ...options(), name: 'ours/net' });
    expect(entry.files.map((f) => [f.path, f.url, f.format])).toEqual([
      ['labels/en.txt', undefined, 'other'],
      ['net.onnx', undefined, 'onnx'],
    ]);
    expect(filesOf(join(root, 'models'))).toEqual(['ours/net/labels/en.txt', 'ours/net/net.onnx']);
    rmSync(join(root, 'models'), { recursive: true });
    await installModels(root, { ...options(), cache: await openCache(join(scratch, 'empty')), frozen: true, offline: true });
    expect(filesOf(join(root, 'models'))).toEqual(['ours/net/labels/en.txt', 'ours/net/net.onnx']);
  });
});

describe('install', () => {
  beforeEach(async () => {
    server.put('/net.onnx', GOOD);
    await addModel(root, `${server.url}/net.onnx`, options());
  });

  it('from the cache, without a network; the lock keeps its bytes', async () => {
    const lock = lockText();
    rmSync(join(root, 'models'), { recursive: true });
    const asked = server.requests.length;
    const { models } = await installModels(root, { ...options(), offline: true });
    expect(models.map((m) => [m.name, m.state])).toEqual([['net', 'placed']]);
    expect(server.requests.length).toBe(asked);
    expect((await installModels(root, options())).models[0].state).toBe('unchanged');
    expect(lockText()).toBe(lock);
  });

  it('a publisher who swaps the model behind the same address', async () => {
    server.put('/net.onnx', BAD);
    rmSync(join(root, 'models'), { recursive: true });
    const empty = await openCache(join(scratch, `other-${count}`));
    const error = await refusal(installModels(root, { ...options(), cache: empty, frozen: true }));
    expect(error.parts.code).toBe('E_INTEGRITY');
    expect(error.exitCode).toBe(3);
    expect(error.message).toContain(sha256(GOOD));
    expect(error.message).toContain(sha256(BAD));
    expect(error.message).not.toMatch(/again/);
    expect(existsSync(join(root, 'models/net/net.onnx'))).toBe(false);
    const change = await diffModel(root, 'net', options());
    expect(change).toMatchObject({
      changed: true,
      silent: true,
      files: [{ path: 'net.onnx', inside: '1 of 1 tensors moved, w most; the graph is the same' }],
    });
    expect(existsSync(join(root, 'models/net/net.onnx'))).toBe(false);
    const { changes } = await updateModels(root, ['net'], options());
    expect(changes[0].changed).toBe(true);
    expect(readFileSync(join(root, 'models/net/net.onnx'))).toEqual(Buffer.from(BAD));
  });

  it('what the user changed is replaced, and a copy is kept; what he added stays', async () => {
    writeFileSync(join(root, 'models/net/net.onnx'), 'mine');
    writeFileSync(join(root, 'models/net/notes.txt'), 'mine too');
    await installModels(root, options());
    expect(readFileSync(join(root, 'models/net/net.onnx'))).toEqual(Buffer.from(GOOD));
    expect(readFileSync(join(root, 'models/net/notes.txt'), 'utf8')).toBe('mine too');
    rmSync(join(root, 'models/net/net.onnx'));
    symlinkSync('notes.txt', join(root, 'models/net/net.onnx'));
    await installModels(root, options());
    expect(notes.at(-1)).toBe('net: net.onnx.kept-1 is not part of the model and is kept');
    const kept = notes.find((n) => n.includes('a copy is kept at'))?.split('kept at ')[1];
    expect(readFileSync(kept!, 'utf8')).toBe('mine');
  });

  it('frozen: models.json and models.lock must agree', async () => {
    const manifest = join(root, 'models.json');
    const text = readFileSync(manifest, 'utf8');
    writeFileSync(manifest, text.replace('/net.onnx', '/other.onnx'));
    const error = await refusal(installModels(root, { ...options(), frozen: true }));
    expect(error.message).toBe(
      `E_FROZEN net: has another source in models.json, expected ${server.url}/other.onnx, got ${server.url}/net.onnx in models.lock. ` +
        'Try `secateur zoo install` without --frozen where you can look at what it locks, then commit models.lock.',
    );
    writeFileSync(manifest, text);
    rmSync(join(root, 'models.lock'));
    expect((await refusal(installModels(root, { ...options(), frozen: true }))).message).toMatch(/^E_FROZEN models.lock: is not there/);
    server.put('/net.onnx', BAD);
    const { models } = await installModels(root, options());
    expect(models[0].state).toBe('locked');
  });

  it('http is no risk where the lock has the hash; a path of another machine is told', async () => {
    rmSync(join(root, 'models'), { recursive: true });
    const { allowHttp: _, ...rest } = options();
    await installModels(root, { ...rest, cache: await openCache(join(scratch, `http-${count}`)), frozen: true });
    expect(readFileSync(join(root, 'models/net/net.onnx'))).toEqual(Buffer.from(GOOD));
    writeFileSync(join(root, 'here.onnx'), BAD);
    await addModel(root, 'path:here.onnx', options());
    rmSync(join(root, 'here.onnx'));
    rmSync(join(root, 'models'), { recursive: true });
    const other = await openCache(join(scratch, `elsewhere-${count}`));
    expect((await refusal(installModels(root, { ...options(), cache: other, frozen: true }))).message).toBe(
      `E_SOURCE ${join(root, 'here.onnx')}: nothing is there, and models.lock has no other source of here.onnx, ` +
        'expected the path that was given to `zoo add`, which other machines may not have. ' +
        'Try the files at that path, or a source that all machines have (an address, a path within the repository).',
    );
  });

  it('nothing here, nothing in the cache, no network allowed', async () => {
    rmSync(join(root, 'models'), { recursive: true });
    const empty = await openCache(join(scratch, `none-${count}`));
    expect((await refusal(installModels(root, { ...options(), cache: empty, offline: true }))).message).toBe(
      'E_OFFLINE net: net.onnx: is neither installed nor in the cache, and --offline allows no fetching. ' +
        'Try the same without --offline, or SECATEUR_CACHE at a cache that has it.',
    );
  });

  it('a lock whose digest and address lead elsewhere than its source', async () => {
    const evil = await startServer();
    try {
      evil.put('/net.onnx', BAD);
      await addModel(root, `${evil.url}/net.onnx`, { ...options(), name: 'evil' });
      const lock = JSON.parse(lockText());
      const { evil: theirs, net: ours } = lock.models;
      lock.models = { net: { ...theirs, source: ours.source } };
      writeFileSync(join(root, 'models.json'), JSON.stringify({ models: { net: { source: ours.source } } }));
      writeFileSync(join(root, 'models.lock'), JSON.stringify(lock));
      const asked = evil.requests.length;
      const error = await refusal(installModels(root, { ...options(), frozen: true }));
      expect([error.message, error.exitCode]).toEqual([
        `E_LOCK models.lock: net: net.onnx: the address is not one of its source, ${server.url}/net.onnx; the file was edited or damaged, ` +
          `expected ${server.url}/net.onnx, got ${evil.url}/net.onnx. Try models.lock as it was committed.`,
        3,
      ]);
      expect(evil.requests.length).toBe(asked);
      expect(readFileSync(join(root, 'models/net/net.onnx'))).toEqual(Buffer.from(GOOD));
    } finally {
      await evil.close();
    }
  });

  it('a lock that calls a pickle an ONNX file: neither installed nor verified', async () => {
    const evil = '\x80\x04cos\nsystem\n(S"true"\ntR.';
    server.put('/net.onnx', Buffer.from(evil, 'latin1'));
    await updateModels(root, ['net'], { ...options(), allowRefused: true });
    const honest = lockText();
    writeFileSync(join(root, 'models.lock'), honest.replace('"pickle"', '"onnx"').replace('"refused"', '"ok"'));
    const seen = await verifyModels(root);
    expect(seen.models[0].formats.map((f) => f.says)).toEqual(['is pickle (refused), models.lock says onnx (ok)']);
    expect(seen.ok).toBe(false);
    const told = await refusal(installModels(root, { ...options(), frozen: true }));
    expect([told.parts.code, told.exitCode, told.parts.where]).toEqual(['E_FORMAT', 3, 'net: net.onnx']);
    expect(told.message).toMatch(
      /Try models.lock as it was committed, or `secateur zoo remove net` and `zoo add --allow-refused` where you know who made it\.$/,
    );
    expect(notes.at(-1)).toBe('net: net.onnx is pickle (refused), models.lock says onnx (ok)');
    const manifest = join(root, 'models.json');
    const rules = { ...JSON.parse(readFileSync(manifest, 'utf8')), policy: [{ match: '**', require: 'lock', formats: ['onnx'] }] };
    writeFileSync(manifest, JSON.stringify(rules));
    expect((await verifyModels(root)).models[0].policy[0].says).toBe('formats may be onnx, and net.onnx is pickle');
    rmSync(join(root, 'models'), { recursive: true });
    expect((await refusal(installModels(root, options()))).parts.code).toBe('E_POLICY');
    expect(existsSync(join(root, 'models/net'))).toBe(false);
    // who took it knowingly has it in the lock, where all can read it
    writeFileSync(manifest, JSON.stringify({ ...rules, policy: [] }));
    writeFileSync(join(root, 'models.lock'), honest);
    expect((await installModels(root, { ...options(), frozen: true })).models[0].state).toBe('placed');
    expect((await verifyModels(root)).ok).toBe(true);
  });

  it('a name that is not there', async () => {
    expect((await refusal(installModels(root, { ...options(), names: ['nett'] }))).message).toBe(
      'E_NAME nett: no model of that name, expected one of net.',
    );
  });

  it('verify finds what is changed, missing and beside; remove takes away what is the model', async () => {
    expect(await verifyModels(root)).toMatchObject({ ok: true, bytes: GOOD.length });
    writeFileSync(join(root, 'models/net/net.onnx'), BAD);
    writeFileSync(join(root, 'models/net/more.bin'), 'x');
    const found = await verifyModels(root);
    expect(found.ok).toBe(false);
    expect(found.models[0].files).toMatchObject({ changed: [{ path: 'net.onnx' }], missing: [], extra: ['more.bin'] });
    rmSync(join(root, 'models/net/net.onnx'));
    expect((await verifyModels(root)).models[0].files).toMatchObject({ changed: [], missing: ['net.onnx'] });
    await installModels(root, options());
    const removed = await removeModel(root, 'net', options());
    expect(removed).toMatchObject({ removed: ['net.onnx'], left: ['more.bin'] });
    expect(filesOf(join(root, 'models'))).toEqual(['net/more.bin']);
    expect(JSON.parse(lockText()).models).toEqual({});
  });
});

describe('update', () => {
  it('of the same files: what the user said of them stays, what models.json says now comes in', async () => {
    server.put('/net.onnx', GOOD);
    await addModel(root, `${server.url}/net.onnx`, { ...options(), sha256: new Map([['', sha256(GOOD)]]) });
    const lock = lockText();
    expect((await updateModels(root, [], options())).changes[0].changed).toBe(false);
    expect([lockText(), notes]).toEqual([lock, []]);
    writeFileSync(join(root, 'models.lock'), lock.replace(/"lintRules": "[^"]*"/, '"lintRules": "2020-01"'));
    expect((await updateModels(root, [], options())).changes[0].changed).toBe(false);
    expect(lockText()).toBe(lock);
    expect(notes).toEqual(['net: the same files; what models.lock says of them was written anew']);
  });

  it('of a model that was taken in spite of what it is: not asked again about the same bytes, but about others', async () => {
    const zoo = join(root, 'zoo');
    mkdirSync(zoo);
    const readme = (sha1: string) => `---\nname: n\ncaffemodel: net.pkl\ncaffemodel_url: ${server.url}/net.pkl\nsha1: ${sha1}\n---\n`;
    server.put('/net.pkl', Buffer.from('\x80\x04cos\nsystem\n(S"true"\ntR.', 'latin1'));
    writeFileSync(join(zoo, 'readme.md'), readme('1'.repeat(40)));
    const took = { acceptClaimMismatch: true, allowRefused: true };
    await addModel(root, 'caffe:zoo/readme.md', { ...options(), ...took, name: 'net' });
    expect((await updateModels(root, [], options())).changes[0].changed).toBe(false);
    const lock = lockText();
    server.put('/net.pkl', Buffer.from('\x80\x04cos\nsystem\n(S"false"\ntR.', 'latin1'));
    expect((await refusal(updateModels(root, [], options()))).parts.code).toBe('E_CLAIM');
    expect((await refusal(updateModels(root, [], { ...options(), acceptClaimMismatch: true }))).parts.code).toBe('E_FORMAT');
    expect(lockText()).toBe(lock);
    await updateModels(root, [], { ...options(), ...took });
    expect(lockText()).not.toBe(lock);
  });

  it('does not drop the hash that the user gave without his word', async () => {
    server.put('/net.onnx', GOOD);
    await addModel(root, `${server.url}/net.onnx`, { ...options(), sha256: new Map([['', sha256(GOOD)]]) });
    server.put('/net.onnx', BAD);
    expect((await refusal(updateModels(root, [], options()))).message).toBe(
      `E_DOWNGRADE net: net.onnx: had the hash that you gave when it was added, and what its source offers now has another, ` +
        `expected sha256:${sha256(GOOD)}, got sha256:${sha256(BAD)}. Try \`secateur zoo remove net\` and \`zoo add --sha256\` with the new hash, ` +
        'or --allow-unsigned; nothing was changed.',
    );
    expect(readFileSync(join(root, 'models/net/net.onnx'))).toEqual(Buffer.from(GOOD));
    await updateModels(root, [], { ...options(), allowUnsigned: true });
    expect(notes.at(-1)).toBe('net: had a published hash that matched (matched-published-claim), and has none now (pinned-on-first-use)');
  });

  it('ends as the policy does where nothing changed', async () => {
    server.put('/net.onnx', GOOD);
    await addModel(root, `${server.url}/net.onnx`, options());
    const manifest = join(root, 'models.json');
    const { models } = JSON.parse(readFileSync(manifest, 'utf8'));
    writeFileSync(manifest, JSON.stringify({ models, policy: [{ match: 'net', require: 'claim' }] }));
    expect((await refusal(updateModels(root, ['net'], options()))).parts.code).toBe('E_POLICY');
  });

  it('and install: where one model fails, those before it are told', async () => {
    for (const name of ['a', 'b']) {
      server.put(`/${name}.onnx`, GOOD);
      await addModel(root, `${server.url}/${name}.onnx`, options());
      server.put(`/${name}.onnx`, name === 'a' ? BAD : '\x80\x04cos\nsystem\n(S"true"\ntR.');
    }
    expect((await refusal(updateModels(root, [], options()))).parts.where).toBe('b: b.onnx');
    expect(notes.at(-1)).toBe(`a: was updated before this (a.onnx: sha256:${sha256(GOOD)} -> sha256:${sha256(BAD)})`);
    rmSync(join(root, 'models'), { recursive: true });
    const fresh = await openCache(join(scratch, `fresh-${count}`));
    expect((await refusal(installModels(root, { ...options(), cache: fresh }))).parts.code).toBe('E_INTEGRITY');
    expect(notes.at(-1)).toBe('a: was installed before this');
  });

  it('of all: a model that is in one of the two files only does not stop the others', async () => {
    for (const name of ['a', 'b', 'c']) server.put(`/${name}.onnx`, GOOD);
    for (const name of ['a', 'b']) await addModel(root, `${server.url}/${name}.onnx`, options());
    const models = { b: { source: `${server.url}/b.onnx` }, c: { source: `${server.url}/c.onnx` } };
    writeFileSync(join(root, 'models.json'), JSON.stringify({ models }));
    expect((await updateModels(root, [], options())).changes.map((c) => c.name)).toEqual(['b']);
    expect(notes).toEqual([
      'a is in models.lock but not in models.json (secateur zoo remove a)',
      'c is in models.json but not in models.lock (secateur zoo install)',
    ]);
  });
});

describe('signatures', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

  /** A folder of the publisher, signed. */
  async function publish(name: string, bytes: Uint8Array, key = pem): Promise<string> {
    const folder = join(root, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'net.onnx'), bytes);
    rmSync(join(folder, 'model.sig'), { force: true });
    await signModel(folder, { key, output: join(folder, 'model.sig') });
    return folder;
  }
  const addSigned = () => addModel(root, 'path:published', { ...options(), name: 'net', signer: { keys: ['team.pub'] } });

  beforeEach(async () => {
    writeFileSync(join(root, 'team.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    await publish('published', GOOD);
  });

  it('is checked at add, install and verify, by the key in models.json', async () => {
    const { entry } = await addSigned();
    expect(entry.integrity).toBe('signed');
    expect(entry.signature).toMatchObject({ method: 'key', bundle: 'models.sigs/net.sig' });
    expect(entry.files.map((f) => f.path)).toEqual(['net.onnx']);
    expect(JSON.parse(readFileSync(join(root, 'models.json'), 'utf8')).policy).toEqual([
      { match: 'net', require: 'signature', keys: ['team.pub'] },
    ]);
    expect((await verifyModels(root)).ok).toBe(true);
    // somebody exchanges the key in the project
    writeFileSync(join(root, 'team.pub'), other.publicKey.export({ type: 'spki', format: 'pem' }));
    const found = await verifyModels(root);
    expect(found.ok).toBe(false);
    expect(found.models[0].signatureError?.parts.code).toMatch(/^E_SIG_/);
    expect((await refusal(installModels(root, options()))).parts.code).toMatch(/^E_SIG_/);
  });

  it('over other hashes than SHA-256: by the files themselves', async () => {
    const digest = createHash('blake2b512').update(GOOD).digest();
    const statement = {
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'published', digest: { sha256: sha256(digest) } }],
      predicateType: 'https://model_signing/signature/v1.0',
      predicate: {
        resources: [{ name: 'net.onnx', digest: digest.toString('hex'), algorithm: 'blake2b' }],
        serialization: { method: 'files', hash_type: 'blake2b', allow_symlinks: false, ignore_paths: [] },
      },
    };
    const { bundle } = signEnvelope(new TextEncoder().encode(JSON.stringify(statement)), { key: pem });
    writeFileSync(join(root, 'published/model.sig'), bundle);
    expect((await addSigned()).entry.integrity).toBe('signed');
    rmSync(join(root, 'models'), { recursive: true });
    const fresh = await openCache(join(scratch, `blake-${count}`));
    await installModels(root, { ...options(), cache: fresh, frozen: true });
    expect((await verifyModels(root)).ok).toBe(true);
    writeFileSync(join(root, 'models/net/net.onnx'), BAD);
    expect((await verifyModels(root)).models[0].signatureError?.parts.code).toMatch(/^E_SIG_/);
  });

  it('beside the one file of a source is found as zoo sign leaves it', async () => {
    const file = join(root, 'alone.onnx');
    writeFileSync(file, GOOD);
    await signModel(file, { key: pem, output: `${file}.sig` });
    const { entry } = await addModel(root, 'path:alone.onnx', { ...options(), signer: { keys: ['team.pub'] } });
    expect(entry.integrity).toBe('signed');
  });

  it('by another key, or missing, or over other bytes: not added', async () => {
    await publish('published', GOOD, other.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
    expect((await refusal(addSigned())).parts.code).toMatch(/^E_SIG_/);
    await publish('published', GOOD);
    writeFileSync(join(root, 'published/net.onnx'), BAD);
    expect((await refusal(addSigned())).parts.code).toMatch(/^E_SIG_/);
    rmSync(join(root, 'published/model.sig'));
    expect((await refusal(addSigned())).message).toBe(
      'E_POLICY net: a signature is wanted (rule for "net"), and the source has none, expected model.sig at the top of path:published. ' +
        'Try the path or address of the signature where it lies elsewhere: `zoo add --signature`, "signature" in models.json.',
    );
    expect(existsSync(join(root, 'models.lock'))).toBe(false);
  });

  it('a signed model does not quietly become an unsigned one, or somebody else\u2019s', async () => {
    await addSigned();
    const manifest = join(root, 'models.json');
    writeFileSync(
      manifest,
      readFileSync(manifest, 'utf8')
        .replace('"signature"', '"lock"')
        .replace(/,\s*"keys": \[[^\]]*\]/, ''),
    );
    writeFileSync(join(root, 'published/net.onnx'), BAD);
    rmSync(join(root, 'published/model.sig'));
    const error = await refusal(updateModels(root, ['net'], options()));
    expect(error.parts.code).toBe('E_DOWNGRADE');
    expect(error.message).toContain('was signed, and what its source offers now is not');
    expect(readFileSync(join(root, 'models/net/net.onnx'))).toEqual(Buffer.from(GOOD));
    await updateModels(root, ['net'], { ...options(), allowUnsigned: true });
    expect(readFileSync(join(root, 'models/net/net.onnx'))).toEqual(Buffer.from(BAD));
    expect(JSON.parse(lockText()).models.net.integrity).toBe('pinned-on-first-use');
    // a signature that belongs to no file any more
    expect(existsSync(join(root, 'models.sigs/net.sig'))).toBe(false);
  });

  it('a bundle that was lost comes back with update', async () => {
    await addSigned();
    const lock = lockText();
    rmSync(join(root, 'models.sigs'), { recursive: true });
    expect((await refusal(installModels(root, options()))).message).toContain(
      'Try the file as it was committed, or `secateur zoo update net`.',
    );
    await updateModels(root, ['net'], options());
    expect([(await verifyModels(root)).ok, lockText()]).toEqual([true, lock]);
  });

  it('diff shows what changed also where the signature does not hold', async () => {
    await addSigned();
    writeFileSync(join(root, 'published/net.onnx'), BAD);
    const change = await diffModel(root, 'net', options());
    expect(change).toMatchObject({ changed: true, files: [{ path: 'net.onnx' }] });
    expect(change.signer[1]).toBeUndefined();
    expect(notes.at(-1)).toMatch(/^E_SIG_CHANGED net: signature: 1 file has other bytes than were signed/);
    expect((await refusal(updateModels(root, ['net'], options()))).parts.code).toBe('E_SIG_CHANGED');
  });
});
