/** Signed models in a project, and somebody who holds the server, the bundle or the lock, but neither the key nor models.json. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/core/hash.ts';
import { parseLock } from '../../src/zoo/lock.ts';
import { withModel, writeLock } from '../../src/zoo/lock-write.ts';
import { signEnvelope } from '../../src/zoo/signing/sign-envelope.node.ts';
import { type Cache, openCache } from '../../src/zoo/store/cache.node.ts';
import type { LockedModel } from '../../src/zoo/types.ts';
import { addModel } from '../../src/zoo/verbs/add.node.ts';
import { installModels } from '../../src/zoo/verbs/install.node.ts';
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
