/**
 * Digests and statements that Python's implementation made: its models are built again (their contents follow from the digests), hashed by
 * ours, and its statements, signed with a key of ours, must verify over them: whole files, shards of 8 and 1,000,000,000 bytes, links.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { blake3 } from '@noble/hashes/blake3.js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashAs } from '../../src/zoo/signing/hash-resource.node.ts';
import { inOrder, rootOf } from '../../src/zoo/signing/resource-order.ts';
import { verifyDigests } from '../../src/zoo/signing/verify.node.ts';
import { verifyModel } from '../../src/zoo/signing/verify-model.node.ts';
import { bundleOf, digests, FIXTURES, pair, refusal, statement } from './oms.ts';

const me = pair('P-384');
const TESTS = join(FIXTURES, 'model-transparency/tests');
const scratch = mkdtempSync(join(tmpdir(), 'secateur-golden-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const MODEL = 'This is a simple model';
const built: Record<string, Readonly<Record<string, string>> | string> = {
  sample_model_file: MODEL,
  empty_model_file: '',
  sample_model_folder: {
    ...Object.fromEntries([0, 1, 2, 3].map((i) => [`f${i}`, `This is file f${i} in root.`])),
    ...Object.fromEntries([0, 1].flatMap((d) => [0, 1, 2].map((i) => [`d${d}/f${d}${i}`, `This is file f${d}${i} in d${d}.`]))),
  },
  deep_model_folder: Object.fromEntries([0, 1, 2, 3].map((i) => [`d0/d1/d2/d3/d4/f${i}`, `This is file f${i}.`])),
  model_folder_with_empty_file: { empty_file: '' },
  empty_model_folder: {},
};

function build(root: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(root, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
}

beforeAll(() => {
  for (const [model, content] of Object.entries(built)) {
    if (typeof content === 'string') writeFileSync(join(scratch, model), content);
    else build(join(scratch, model), content);
  }
  mkdirSync(join(scratch, 'symlink_model_folder'));
  symlinkSync(join(scratch, 'sample_model_file'), join(scratch, 'symlink_model_folder/symlink_file'));
});

const modelOf = (file: string): string => file.replace(/(_small_shards|_shard)$/, '');
const payloads = join(TESTS, '_signing/testdata/signing/TestPayload');

describe("Python's statements over its own models", () => {
  const all = readdirSync(payloads);
  // Shards do not exist for empty files, and a statement about nothing is no statement to us.
  const nothing = new Set(['empty_model_folder', 'empty_model_folder_shard', 'empty_model_folder_small_shards']);
  for (const model of ['empty_model_file', 'model_folder_with_empty_file'])
    for (const form of ['_shard', '_small_shards']) nothing.add(model + form);

  it('are 21', () => expect(all).toHaveLength(21));

  it.each(all.filter((name) => !nothing.has(name)))('%s', async (name) => {
    const bundle = bundleOf(me.key, readFileSync(join(payloads, name)));
    const path = join(scratch, modelOf(name));
    const o = { followLinks: true };
    const found = await verifyModel(path, bundle, me.trust, o);
    const { subject, predicate } = JSON.parse(readFileSync(join(payloads, name), 'utf8'));
    expect(found.root).toBe(`sha256:${subject[0].digest.sha256}`);
    expect(found.resources).toBe(predicate.resources.length);
    expect(found.warnings).toContain('symbolic links were followed when this was signed, which the specification advises against');
    // Python lists and hashes shards in the order of numbers, the specification in that of names: 8 comes behind 16.
    const odd = found.warnings.some((text) => text.includes('not sorted by code points'));
    expect(odd).toBe(unsorted(predicate.resources));
  });

  const unsorted = (resources: { name: string }[]): boolean => JSON.stringify(resources) !== JSON.stringify(inOrder(resources));

  it.each([...nothing])('%s covers no file and is refused', async (name) => {
    const bundle = bundleOf(me.key, readFileSync(join(payloads, name)));
    expect((await refusal(() => verifyModel(join(scratch, modelOf(name)), bundle, me.trust))).code).toBe('E_SIG_RESOURCES');
  });

  it('a link out of the model is followed only where the user says so', async () => {
    const bundle = bundleOf(me.key, readFileSync(join(payloads, 'symlink_model_folder')));
    expect((await refusal(() => verifyModel(join(scratch, 'symlink_model_folder'), bundle, me.trust))).text).toMatch(
      /^E_SIG_LINK signature: symlink_file is a symbolic link that leads out of the model \(up to here: .*\), expected files and folders, got a link to another folder\. Try a copy with the links followed \(cp -rL FROM TO\), or --ignore for it\.$/,
    );
  });

  it.each(['sample_model_folder_small_shards', 'sample_model_folder_shard'])(
    '%s: a byte, a longer and a shorter file are changed files',
    async (name) => {
      const bundle = bundleOf(me.key, readFileSync(join(payloads, name)));
      const copy = mkdtempSync(join(scratch, 'copy-'));
      const files = built.sample_model_folder as Record<string, string>;
      for (const text of ['This is file f0 in roof.', 'This is file f0 in root..', 'This is file f0 in roo', '']) {
        build(copy, { ...files, f0: text });
        expect(await refusal(() => verifyModel(copy, bundle, me.trust))).toMatchObject({ code: 'E_SIG_CHANGED', exit: 3 });
      }
      build(copy, files);
      expect((await verifyModel(copy, bundle, me.trust)).files).toBe(10);
      build(copy, { empty: '' });
      expect((await verifyModel(copy, bundle, me.trust)).warnings).toContain('empty files have no byte ranges and so no signature: empty');
      build(copy, { other: 'x' });
      expect((await refusal(() => verifyModel(copy, bundle, me.trust))).code).toBe('E_SIG_EXTRA');
    },
  );
});

describe("Python's digests of files", () => {
  const folder = (form: string): string => join(TESTS, `_serialization/testdata/${form}/TestSerializer`);
  const cases = ['file', 'file_shard'].flatMap((form) => readdirSync(folder(form)).map((name) => [form, name] as const));

  it.each(cases)('%s %s', async (form, name) => {
    const lines = readFileSync(join(folder(form), name), 'utf8')
      .split('\n')
      .filter(Boolean);
    const size = name.endsWith('_small_shards') ? 8 : 1_000_000_000;
    const own = built[modelOf(name)] ?? { symlink_file: MODEL };
    const names = typeof own === 'string' ? ['.'] : Object.keys(own);
    const got: string[] = [];
    for (const file of names) {
      const path = name.startsWith('symlink') ? join(scratch, 'sample_model_file') : join(scratch, modelOf(name), file === '.' ? '' : file);
      const method = form === 'file' ? 'files' : 'shards';
      const digest = await hashAs(path.replace(/\/$/, ''), { hash: 'sha256', method, shardSize: size });
      if (method === 'files') got.push(`${file}:${digest}`);
      else for (const range of digest.split(' ').filter(Boolean)) got.push(`${file}:${range}`);
    }
    expect(got.sort()).toEqual(lines.sort());
  });
});

describe('other hashes', () => {
  const content: Record<string, string> = { 'a.onnx': 'x'.repeat(3000), 'sub/b.bin': '' };
  const model = join(scratch, 'blake');
  beforeAll(() => build(model, content));
  const hashes = {
    blake2b: (text: string) => createHash('blake2b512').update(text).digest('hex'),
    blake3: (text: string) => Buffer.from(blake3(new TextEncoder().encode(text))).toString('hex'),
  };
  /** A statement with these hashes; the root is SHA-256 all the same. */
  function stated(hash: keyof typeof hashes): Record<string, unknown> {
    const resources = inOrder(Object.entries(content).map(([name, text]) => ({ name, digest: hashes[hash](text), algorithm: hash })));
    const serialization = { method: 'files', hash_type: hash, allow_symlinks: false, ignore_paths: [] };
    return statement([], { resources, serialization }, { subject: [{ name: 'm', digest: { sha256: rootOf(resources).slice(7) } }] });
  }

  it.each(['blake2b', 'blake3'] as const)('%s', async (hash) => {
    const bundle = bundleOf(me.key, stated(hash));
    expect((await verifyModel(model, bundle, me.trust)).files).toBe(2);
    const spoilt = mkdtempSync(join(scratch, 'spoilt-'));
    build(spoilt, { ...content, 'sub/b.bin': 'x' });
    expect((await refusal(() => verifyModel(spoilt, bundle, me.trust))).code).toBe('E_SIG_CHANGED');
    expect((await refusal(() => verifyDigests(bundle, me.trust, digests(content)))).text).toMatch(
      /^E_SIG_HASH signature: the signature has other digests than those that are known here \(up to here: .*\), expected SHA-256 of whole files, got blake[23]b? of whole files\. Try zoo verify-sig with the folder, which reads the files themselves\.$/,
    );
  });

  it('BLAKE2b with 512 bits, BLAKE3 of nothing: the published values', async () => {
    const empty = join(model, 'sub/b.bin');
    expect(await hashAs(empty, { hash: 'blake2b', method: 'files' })).toMatch(
      /^786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419/,
    );
    expect(await hashAs(empty, { hash: 'blake3', method: 'files' })).toBe(
      'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
    );
  });

  it('ranges of any size over any file: the digests of its slices', async () => {
    const path = join(scratch, 'any');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 50 }), fc.integer({ min: 1, max: 60 }), async (bytes, size) => {
        writeFileSync(path, bytes);
        const expected: string[] = [];
        for (let at = 0; at < bytes.length; at += size) {
          const slice = bytes.subarray(at, at + size);
          expected.push(`${at}:${at + slice.length}:${createHash('sha256').update(slice).digest('hex')}`);
        }
        expect(await hashAs(path, { hash: 'sha256', method: 'shards', shardSize: size })).toBe(expected.join(' '));
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ['gaps', ['f:0:8', 'f:16:24'], 'E_SIG_CHANGED'],
    ['a range across the grid', ['f:4:12'], 'E_SIG_PAYLOAD'],
    ['an empty range', ['f:8:8'], 'E_SIG_PAYLOAD'],
    ['a range longer than declared', ['f:0:24'], 'E_SIG_PAYLOAD'],
    ['a range without a file', [':0:8'], 'E_SIG_PAYLOAD'],
    ['numbers beyond all files', ['f:0:9007199254740993'], 'E_SIG_PAYLOAD'],
    ['a path out of the model', ['../f:0:8'], 'E_SIG_NAME'],
    ['the same range twice', ['f:0:8', 'f:0:8'], 'E_SIG_DUPLICATE'],
  ])('shards with %s', async (_what, names, code) => {
    const model = mkdtempSync(join(scratch, 'gaps-'));
    const text = 'abcdefghijklmnopqrstuvwx';
    build(model, { f: text });
    const resources = names.map((name) => {
      const [start, end] = name.split(':').slice(-2).map(Number);
      return { name, algorithm: 'sha256', digest: createHash('sha256').update(text.slice(start, end)).digest('hex') };
    });
    const serialization = { method: 'shards', hash_type: 'sha256', allow_symlinks: false, shard_size: 8, ignore_paths: [] };
    const payload = statement(
      [],
      { resources, serialization },
      { subject: [{ name: 'm', digest: { sha256: rootOf(resources).slice(7) } }] },
    );
    expect((await refusal(() => verifyModel(model, bundleOf(me.key, payload), me.trust))).code).toBe(code);
  });
});
