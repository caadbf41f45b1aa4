import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { SecateurError } from '../../src/core/errors.ts';
import { omsRoot, treeDigest } from '../../src/zoo/digest.ts';
import { emptyLock } from '../../src/zoo/lock.ts';
import { withModel, writeLock } from '../../src/zoo/lock-write.ts';
import { findProject, lockText, modelFolder, readProject, writeFileAtomic, writeLockFile } from '../../src/zoo/project.node.ts';
import type { LockedFile, LockedModel } from '../../src/zoo/types.ts';

const scratch = (): string => mkdtempSync(join(tmpdir(), 'secateur-zoo-'));
const files: LockedFile[] = [{ path: 'm.onnx', size: 1, digest: `sha256:${'0'.repeat(64)}`, claims: [], format: 'onnx', lint: 'ok' }];
const model: LockedModel = {
  source: 'path:m.onnx',
  resolved: 'unversioned',
  files,
  treeDigest: treeDigest(files),
  omsRoot: omsRoot(files),
  integrity: 'pinned-on-first-use',
  lintRules: '2026-11',
};
const failure = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => 'no error',
    (e: unknown) => e,
  );
  return error instanceof SecateurError ? error.message : String(error);
};

it('is found upwards, by either of its files', () => {
  const root = scratch();
  mkdirSync(join(root, 'a/b/c'), { recursive: true });
  expect(findProject(join(root, 'a/b'))).toBeUndefined();
  writeFileSync(join(root, 'models.json'), '{}');
  writeFileSync(join(root, 'a/b/models.lock'), writeLock(emptyLock()));
  expect(findProject(join(root, 'a/b/c'))).toBe(join(root, 'a/b'));
  expect(findProject(join(root, 'a'))).toBe(root);
});

it('is read from whichever files are there', async () => {
  const root = scratch();
  expect(await readProject(root)).toEqual({
    root,
    manifest: { folder: 'models', models: new Map(), policy: [] },
    lock: emptyLock(),
    lockPresent: false,
  });
  writeFileSync(join(root, 'models.json'), '{"folder": "nets/all", "models": {"a/b": {"source": "./m.onnx"}}}');
  expect(await writeLockFile(root, withModel(emptyLock(), 'a/b', model))).toBe(true);
  const project = await readProject(root);
  expect(project.lock.models.get('a/b')).toEqual(model);
  expect([project.lockPresent, project.manifestText]).toEqual([true, '{"folder": "nets/all", "models": {"a/b": {"source": "./m.onnx"}}}']);
  expect(modelFolder(project, 'a/b')).toBe(join(root, 'nets/all/a/b'));
});

it('says what is wrong with a file that cannot be read', async () => {
  const root = scratch();
  mkdirSync(join(root, 'models.json'));
  expect(await failure(readProject(root))).toBe('E_MANIFEST models.json: is no file, expected a file of JSON, got a folder.');
  const second = scratch();
  execFileSync('mkfifo', [join(second, 'models.lock')]);
  expect(await failure(readProject(second))).toBe('E_LOCK models.lock: is no file, expected a file of JSON, got something else.');
  const third = scratch();
  symlinkSync('models.lock', join(third, 'models.lock'));
  expect(await failure(readProject(third))).toBe('E_LOCK models.lock: cannot be read, got ELOOP.');
  const fourth = scratch();
  writeFileSync(join(fourth, 'models.lock'), Uint8Array.of(0xff, 0xfe, 0x7b, 0));
  expect(await failure(readProject(fourth))).toBe(
    'E_LOCK models.lock: not a text, expected UTF-8, got bytes that are none (it begins with ff fe 7b 00).',
  );
});

it('leaves a lock alone that would be the same, and never writes one that could not be read', async () => {
  const root = scratch();
  const lock = withModel(emptyLock(), 'a', model);
  await writeLockFile(root, lock);
  const before = statSync(join(root, 'models.lock'));
  expect(await writeLockFile(root, lock)).toBe(false);
  expect(statSync(join(root, 'models.lock'))).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
  const broken = withModel(lock, '../a', model);
  expect(await failure(writeLockFile(root, broken))).toMatch(/^E_NAME models\.lock as it would be written:4:5: /);
  expect(readFileSync(join(root, 'models.lock'), 'utf8')).toBe(writeLock(lock));
  expect(readdirSync(root)).toEqual(['models.lock']);
});

it('leaves nothing behind where a file cannot be replaced', async () => {
  const root = scratch();
  mkdirSync(join(root, 'taken/full'), { recursive: true });
  await expect(writeFileAtomic(join(root, 'taken'), 'x')).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST|EPERM/);
  expect(readdirSync(root)).toEqual(['taken']);
  expect(await writeFileAtomic(join(root, 'deep/er/file'), Uint8Array.of(1, 2))).toBe(true);
  expect([...readFileSync(join(root, 'deep/er/file'))]).toEqual([1, 2]);
});

it('keeps the permissions of a file that it replaces', async () => {
  const root = scratch();
  writeFileSync(join(root, 'models.json'), '{}');
  chmodSync(join(root, 'models.json'), 0o600);
  await writeFileAtomic(join(root, 'models.json'), '{"models": {}}\n');
  expect(statSync(join(root, 'models.json')).mode & 0o777).toBe(0o600);
});

it('is not written with more files than can be read back', () => {
  const many = Array.from({ length: 50_001 }, (_, i) => ({ ...files[0], path: `f${i}` }));
  expect(() => lockText(withModel(emptyLock(), 'a', { ...model, files: many }))).toThrow(
    'E_LOCK models.lock as it would be written:7:16: "files" has too many entries, expected at most 50000, got 50001.',
  );
});
