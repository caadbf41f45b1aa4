/** Signed models in a project, and somebody who holds the server, the bundle or the lock, but neither the key nor models.json. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/core/hash.ts';
import { parseLock } from '../../src/zoo/lock.ts';
import { withModel, writeLock } from '../../src/zoo/lock-write.ts';
import { signModel } from '../../src/zoo/signing/sign.node.ts';
import { signEnvelope } from '../../src/zoo/signing/sign-envelope.node.ts';
import { type Cache, openCache } from '../../src/zoo/store/cache.node.ts';
import type { LockedModel } from '../../src/zoo/types.ts';
import { addModel } from '../../src/zoo/verbs/add.node.ts';
import { installModels } from '../../src/zoo/verbs/install.node.ts';
import { verifyModels } from '../../src/zoo/verbs/verify.node.ts';
import { lockedModel } from './locked.ts';
import { refusal } from './oms.ts';
import { tinyNetwork } from './tiny.ts';

const GOOD = tinyNetwork(1);
const BAD = tinyNetwork(-1);
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;

const scratch = mkdtempSync(join(tmpdir(), 'secateur-signed-'));
afterAll(() => rmSync(scratch, { recursive: true }));

let root: string;
let cache: Cache;
let notes: string[];
let count = 0;
beforeEach(async () => {
  root = join(scratch, `project-${++count}`);
  mkdirSync(root);
  cache = await openCache(join(scratch, `cache-${count}`));
  notes = [];
  writeFileSync(join(root, 'team.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
});

const options = () => ({ cache, onNote: (text: string) => notes.push(text) });
const signer = { keys: ['team.pub'] };

/** A folder at the publisher's. */
function put(files: Readonly<Record<string, string | Uint8Array>>): string {
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(root, 'published', name)), { recursive: true });
    writeFileSync(join(root, 'published', name), bytes);
  }
  return join(root, 'published');
}
const add = (more = {}) => addModel(root, 'path:published', { ...options(), name: 'net', signer, ...more });

/** A signature over BLAKE2b, which no lock has. */
function signBlake(folder: string, name: string, bytes: Uint8Array): void {
  const digest = createHash('blake2b512').update(bytes).digest();
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'published', digest: { sha256: sha256(digest) } }],
    predicateType: 'https://model_signing/signature/v1.0',
    predicate: {
      resources: [{ name, digest: digest.toString('hex'), algorithm: 'blake2b' }],
      serialization: { method: 'files', hash_type: 'blake2b', allow_symlinks: false, ignore_paths: [] },
    },
  };
  writeFileSync(join(folder, 'model.sig'), signEnvelope(new TextEncoder().encode(JSON.stringify(statement)), { key: pem }).bundle);
}

describe('a lock with other digests, while the signed files still lie here', () => {
  it('is refused where the signature is over hashes that the lock does not have', async () => {
    signBlake(put({ 'net.onnx': GOOD }), 'net.onnx', GOOD);
    await add();
    const path = join(root, 'models.lock');
    const lock = parseLock(readFileSync(path, 'utf8'), 'models.lock');
    const entry = lock.models.get('net') as LockedModel;
    const { files, treeDigest, omsRoot } = lockedModel({ 'net.onnx': BAD });
    writeFileSync(path, writeLock(withModel(lock, 'net', { ...entry, files, treeDigest, omsRoot })));
    put({ 'net.onnx': BAD });
    const { code, exit } = await refusal(() => installModels(root, { ...options(), frozen: true }));
    expect([code, exit]).toEqual(['E_SIG_CHANGED', 3]);
    expect(readFileSync(join(root, 'models/net/net.onnx'))).toEqual(Buffer.from(GOOD));
  });
});

describe('files that the signer left out', () => {
  const sign = (folder: string, ignore: readonly string[]) => signModel(folder, { key: pem, output: join(folder, 'model.sig'), ignore });

  it('are refused where they can be loaded and a rule wants the model signed; texts are taken, and told', async () => {
    const folder = put({ 'net.onnx': GOOD, 'cache/note.md': '# Notes' });
    await sign(folder, ['cache']);
    await add();
    expect(notes).toContain(
      'net: signature: 1 FILE HERE IS NOT COVERED BY THE SIGNATURE, because the signer left out cache: cache/note.md',
    );
    expect((await verifyModels(root)).ok).toBe(true);
    // Whoever holds the server needs no key to put a network there.
    put({ 'cache/net.onnx': BAD });
    const { text, exit } = await refusal(() => add({ name: 'second' }));
    expect(exit).toBe(3);
    expect(text).toBe(
      'E_SIG_UNCOVERED second: cache/net.onnx: the signer left it out, so that nobody vouches for it, and a rule wants the model signed, ' +
        'expected a signature over every file that is loaded, got 1 of 3 files without. ' +
        'Try "include" in models.json that takes the signed files only, or to ask the publisher for a signature over all.',
    );
    expect((await add({ name: 'second', include: ['net.onnx'] })).entry.integrity).toBe('signed');
  });

  it('in a lock are refused too, and told where rules only warn', async () => {
    const folder = put({ 'net.onnx': GOOD, 'cache/net.onnx': BAD });
    await sign(folder, ['cache']);
    const rule = { match: 'net', require: 'signature', mode: 'warn', keys: ['team.pub'] };
    writeFileSync(join(root, 'models.json'), JSON.stringify({ models: {}, policy: [rule] }));
    await add({ signer: undefined });
    expect(notes.some((text) => text.startsWith('E_SIG_UNCOVERED net: cache/net.onnx: '))).toBe(true);
    expect((await verifyModels(root)).ok).toBe(true);
    const path = join(root, 'models.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"warn"', '"enforce"'));
    expect((await verifyModels(root)).models[0].signatureError?.parts.code).toBe('E_SIG_UNCOVERED');
    expect((await refusal(() => installModels(root, { ...options(), frozen: true }))).code).toBe('E_SIG_UNCOVERED');
  });
});

it('a server that withholds a file of the wanted part is refused', async () => {
  const folder = put({ 'net.onnx': GOOD, 'normalise.json': '{"mean": 0.5}', 'readme.md': '# Net' });
  await signModel(folder, { key: pem, output: join(folder, 'model.sig') });
  const include = ['net.onnx', '*.json'];
  expect((await add({ include })).entry.integrity).toBe('signed');
  rmSync(join(folder, 'normalise.json'));
  expect((await refusal(() => add({ name: 'second', include }))).code).toBe('E_SIG_MISSING');
});
