/** What we sign: other verifiers' schemas and openssl take it, ours reads it back, and what must not be signed is not. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareNames } from '../../src/zoo/digest.ts';
import { canonicalJson } from '../../src/zoo/signing/canonical-json.ts';
import { pae } from '../../src/zoo/signing/pae.ts';
import { signModel } from '../../src/zoo/signing/sign.node.ts';
import { PAYLOAD_TYPE } from '../../src/zoo/signing/types.ts';
import { verifyDigests } from '../../src/zoo/signing/verify.node.ts';
import { verifyModel } from '../../src/zoo/signing/verify-model.node.ts';
import { issue } from './chains.ts';
import { digests, FIXTURES, pair, refusal } from './oms.ts';

const scratch = mkdtempSync(join(tmpdir(), 'secateur-sign-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const me = pair('P-384');

function model(files: Readonly<Record<string, string>>): string {
  const root = join(mkdtempSync(join(scratch, 'm-')), 'my-model');
  mkdirSync(root);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

const FILES = {
  'model.onnx': 'net',
  'onnx/model.onnx': 'other',
  'onnx-config.json': '{}',
  '.gitattributes': 'lfs',
  '.git/HEAD': 'ref',
  'sub/.git': 'not at the root',
};
const sign = (root: string, o = {}) => signModel(root, { key: me.pem, output: join(root, 'model.sig'), ...o });
const read = (path: string): Uint8Array => readFileSync(path);

interface Bundle {
  dsseEnvelope: { payload: string; signatures: { sig: string; keyid: string }[] };
}
const payloadOf = (text: string): Buffer => Buffer.from((JSON.parse(text) as Bundle).dsseEnvelope.payload, 'base64');

describe('what is signed', () => {
  const ajv = new Ajv2020({ strict: false });
  beforeAll(() => {
    for (const name of ['envelope', 'predicate', 'statement', 'bundle']) {
      ajv.addSchema(JSON.parse(readFileSync(join(FIXTURES, `model-signing-spec/schemas/v1.0/${name}.schema.json`), 'utf8')));
    }
  });
  const valid = (name: string, value: unknown): unknown => {
    const check = ajv.getSchema(`https://model_signing/${name}/v1.0/schema`)!;
    return check(value) ? [] : check.errors;
  };

  it("satisfies the specification's schemas, with a key and with certificates", async () => {
    const root = issue({ name: 'root' });
    const leaf = issue({ name: 'leaf', issuer: root });
    for (const o of [{}, { key: leaf.keyPem, certificates: leaf.pem + root.pem }]) {
      const { bundle } = await sign(model(FILES), o);
      expect(valid('bundle', JSON.parse(bundle))).toEqual([]);
      expect(valid('statement', JSON.parse(payloadOf(bundle).toString()))).toEqual([]);
    }
    expect(valid('bundle', { mediaType: 'x' })).not.toEqual([]);
  });

  it('has exactly this statement: order of code points, Git and the signature left out', async () => {
    const root = model(FILES);
    const { bundle, resources, root: digest, warnings, signer } = await sign(root, { ignore: ['./sub/'] });
    const hex = (text: string): string => digests({ x: text })[0].digest.slice(7);
    const listed = (name: string, text: string): string => `{"algorithm":"sha256","digest":"${hex(text)}","name":"${name}"}`;
    expect(payloadOf(bundle).toString()).toBe(
      `{"_type":"https://in-toto.io/Statement/v1","predicate":{"resources":[${listed('model.onnx', 'net')},${listed('onnx-config.json', '{}')},${listed('onnx/model.onnx', 'other')}],` +
        '"serialization":{"allow_symlinks":false,"hash_type":"sha256","ignore_paths":[".git",".gitattributes",".github",".gitignore","model.sig","sub"],"method":"files"}},' +
        `"predicateType":"https://model_signing/signature/v1.0","subject":[{"digest":{"sha256":"${digest.slice(7)}"},"name":"my-model"}]}`,
    );
    expect(resources).toBe(3);
    expect(warnings).toEqual(['sub is not covered by the signature, and the bundle says so']);
    expect(JSON.parse(bundle)).toMatchObject({
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: { publicKey: { hint: signer.slice(7) }, tlogEntries: [] },
      dsseEnvelope: { signatures: [{ keyid: '' }] },
    });
    expect(readFileSync(join(root, 'model.sig'), 'utf8')).toBe(bundle);
  });

  it('is the same payload every time, and never the same signature', async () => {
    const root = model(FILES);
    const [a, b] = [await sign(root), await sign(root)];
    expect(payloadOf(a.bundle)).toEqual(payloadOf(b.bundle));
    expect(a.bundle).not.toBe(b.bundle);
  });

  it.each([
    ['P-256', 'sha256'],
    ['P-384', 'sha384'],
    ['P-521', 'sha512'],
  ] as const)('%s: openssl verifies the signature over the encoding with %s', async (curve, hash) => {
    const other = pair(curve);
    const root = model(FILES);
    const { bundle } = await sign(root, { key: other.pem });
    const file = (name: string, content: string | Uint8Array): string => {
      writeFileSync(join(root, '..', name), content);
      return join(root, '..', name);
    };
    const sig = file('sig', Buffer.from((JSON.parse(bundle) as Bundle).dsseEnvelope.signatures[0].sig, 'base64'));
    const message = file('message', pae(PAYLOAD_TYPE, payloadOf(bundle)));
    const args = ['dgst', `-${hash}`, '-verify', file('pub', other.publicPem), '-signature', sig];
    expect(execFileSync('openssl', [...args, message], { encoding: 'utf8' })).toBe('Verified OK\n');
    expect(() => execFileSync('openssl', [...args, file('payload', payloadOf(bundle))], { stdio: 'pipe' })).toThrow();
    expect((await verifyModel(root, new TextEncoder().encode(bundle), other.trust)).files).toBe(4);
  });

  it('keys in both PEM forms, and encrypted ones with their passphrase', async () => {
    const root = model(FILES);
    const sec1 = me.key.export({ type: 'sec1', format: 'pem' }).toString();
    const locked = me.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'sesame' }).toString();
    const { signer } = await sign(root);
    expect((await sign(root, { key: sec1 })).signer).toBe(signer);
    expect((await sign(root, { key: locked, passphrase: 'sesame' })).signer).toBe(signer);
    expect((await refusal(() => sign(root, { key: locked }))).code).toBe('E_SIG_KEY');
  });

  it('any model: signed and verified on disk and from digests; any other digest is refused', async () => {
    const name = fc.stringMatching(/^[a-z\u00e9\uff5e\u{1f600}][a-z0-9-]{0,4}$/u);
    const files = fc.dictionary(
      fc.tuple(name, name).map((parts) => parts.join('/')),
      fc.string({ maxLength: 8 }),
      { minKeys: 1, maxKeys: 6 },
    );
    await fc.assert(
      fc.asyncProperty(files, fc.nat(), async (content, pick) => {
        const root = model(content);
        const { bundle } = await sign(root);
        const bytes = new TextEncoder().encode(bundle);
        const found = await verifyModel(root, bytes, me.trust);
        const known = digests(content);
        expect(verifyDigests(bytes, me.trust, known)).toEqual(found);
        expect(found).toMatchObject({ files: known.length, extra: [], warnings: [] });
        const names = JSON.parse(payloadOf(bundle).toString()).predicate.resources.map((r: { name: string }) => r.name);
        expect(names).toEqual([...names].sort(compareNames));
        const victim = pick % known.length;
        const spoilt = known.map((file, i) => (i === victim ? { ...file, digest: digests({ x: 'evil evil evil' })[0].digest } : file));
        expect((await refusal(() => verifyDigests(bytes, me.trust, spoilt))).code).toBe('E_SIG_CHANGED');
        const renamed = known.map((file, i) => (i === victim ? { ...file, name: `${file.name}x` } : file));
        expect(['E_SIG_MISSING', 'E_SIG_CHANGED']).toContain((await refusal(() => verifyDigests(bytes, me.trust, renamed))).code);
      }),
      { numRuns: 15 },
    );
  });

  it('one file: under its own name, the signature beside it', async () => {
    const root = model({ 'net.onnx': 'net', 'other.onnx': 'x' });
    const path = join(root, 'net.onnx');
    const { resources, warnings } = await signModel(path, { key: me.pem, output: `${path}.sig` });
    expect(resources).toBe(1);
    expect(warnings).toEqual([
      'a single file is signed under its own name, which older Python verifiers call "." and refuse; a folder has no such trouble',
    ]);
    expect((await verifyModel(path, read(`${path}.sig`), me.trust)).files).toBe(1);
    expect((await refusal(() => verifyModel(root, read(`${path}.sig`), me.trust))).text).toMatch(
      /^E_SIG_EXTRA signature: 1 file is there that nobody signed: other\.onnx/,
    );
    expect((await refusal(() => verifyModel(join(root, 'other.onnx'), read(`${path}.sig`), me.trust))).code).toBe('E_SIG_MISSING');
  });
});

describe('what is not', () => {
  it('links, pipes, names that are no text', async () => {
    const linked = model(FILES);
    symlinkSync('model.onnx', join(linked, 'link.onnx'));
    expect((await refusal(() => sign(linked))).text).toBe(
      `E_SIG_LINK ${linked}: link.onnx is a symbolic link: what it points to can change without the model, expected files and folders, got a link. Try a copy with the links followed (cp -rL FROM TO), or --ignore for it.`,
    );
    expect((await sign(linked, { ignore: ['link.onnx'] })).resources).toBe(4);
    const piped = model(FILES);
    execFileSync('mkfifo', [join(piped, 'pipe')]);
    expect((await refusal(() => sign(piped))).text).toBe(
      `E_SIG_FILE ${piped}: pipe is no regular file, expected files and folders, got a named pipe.`,
    );
    const odd = model(FILES);
    writeFileSync(Buffer.concat([Buffer.from(`${odd}/`), Buffer.from([0x6d, 0xff, 0xfe])]), 'x');
    expect((await refusal(() => sign(odd))).text).toBe(
      `E_SIG_FILE ${odd}: a name in the folder is not UTF-8, expected names in UTF-8, got "m\u00ff\u00fe". Try another name for it.`,
    );
  });

  it('names that mean something else elsewhere', async () => {
    const back = model({ 'a\\b': 'x' });
    expect((await refusal(() => sign(back))).text).toBe(
      `E_SIG_NAME ${back}: a file cannot be signed under its name: it holds a backslash, expected a name that means the same everywhere, got "a\\\\b". Try another name for it.`,
    );
    const twins = model({ 'caf\u00e9': 'a', 'cafe\u0301': 'b' });
    expect((await refusal(() => sign(twins))).code).toBe('E_SIG_TWINS');
    expect((await sign(model({ 'A.bin': 'a', 'a.bin': 'b' }))).warnings).toEqual([
      'A.bin and a.bin differ in case only: some disks hold only one of them',
    ]);
  });

  it('nothing', async () => {
    const empty = model({ '.git/HEAD': 'x' });
    expect((await refusal(() => sign(empty))).text).toBe(
      `E_SIG_NO_FILES ${empty}: there is nothing to sign, expected at least one file, got none.`,
    );
    expect((await refusal(() => sign(join(empty, 'gone')))).text).toBe(
      `E_SIG_FILE ${join(empty, 'gone')}: cannot be read, expected a folder or a file, got ENOENT.`,
    );
  });

  it.each(['..', '../up', '/abs', 'a\\b', '.', ''])('the path %j cannot be left out', async (path) => {
    expect((await refusal(() => sign(model(FILES), { ignore: [path] }))).text).toBe(
      `E_SIG_IGNORE --ignore: not a path within the model, expected a relative path without .., patterns are not read, got ${JSON.stringify(path)}.`,
    );
  });

  it('a model is never overwritten by its signature', async () => {
    const root = model(FILES);
    const output = join(root, 'model.onnx');
    expect(await refusal(() => sign(root, { output }))).toEqual({
      code: 'E_SIG_OUTPUT',
      exit: 2,
      text: `E_SIG_OUTPUT --output: ${output} is there and is no signature, expected a new file, got other content. Try another name, or remove it first.`,
    });
    expect(readFileSync(output, 'utf8')).toBe('net');
    expect((await refusal(() => sign(root, { output: join(root, 'no/such/folder.sig') }))).text).toMatch(
      /^E_SIG_OUTPUT --output: .* cannot be written, expected a folder that is there, got ENOENT\.$/,
    );
    expect((await refusal(() => sign(root, { output: root }))).code).toBe('E_SIG_OUTPUT');
  });
});

describe('folders with more in them', () => {
  it('a link or a pipe that nobody signed: refused, listed where that is allowed, never read', async () => {
    const root = model(FILES);
    await sign(root);
    symlinkSync('/etc/passwd', join(root, 'link'));
    const bundle = read(join(root, 'model.sig'));
    expect((await refusal(() => verifyModel(root, bundle, me.trust))).code).toBe('E_SIG_LINK');
    expect((await verifyModel(root, bundle, me.trust, { ignoreUnsigned: true })).extra).toEqual(['link']);
    expect((await verifyModel(root, bundle, me.trust, { ignore: ['link'] })).extra).toEqual([]);
    expect((await refusal(() => verifyModel(root, bundle, me.trust, { followLinks: true }))).code).toBe('E_SIG_EXTRA');
  });

  it('a signed file that was replaced by a link is refused, even to the same bytes', async () => {
    const root = model(FILES);
    await sign(root);
    const bundle = read(join(root, 'model.sig'));
    rmSync(join(root, 'model.onnx'));
    writeFileSync(join(root, '../elsewhere'), 'net');
    symlinkSync('../elsewhere', join(root, 'model.onnx'));
    expect((await refusal(() => verifyModel(root, bundle, me.trust, { ignoreUnsigned: true, ignore: ['model.onnx'] }))).code).toBe(
      'E_SIG_LINK',
    );
    expect((await verifyModel(root, bundle, me.trust, { followLinks: true })).files).toBe(4);
  });

  it('a loop of links ends', async () => {
    const root = model(FILES);
    await sign(root);
    symlinkSync('..', join(root, 'sub/up'));
    const bundle = read(join(root, 'model.sig'));
    expect((await refusal(() => verifyModel(root, bundle, me.trust, { followLinks: true }))).text).toContain(
      'sub/up is a symbolic link back to a folder that it lies in',
    );
  });

  it('a folder that is not there', async () => {
    const root = model(FILES);
    await sign(root);
    const bundle = read(join(root, 'model.sig'));
    expect(await refusal(() => verifyModel(join(root, 'gone'), bundle, me.trust))).toMatchObject({ code: 'E_SIG_FILE', exit: 1 });
  });
});

describe('JSON that is the same for the same value', () => {
  it('is what JSON.parse reads back, with sorted keys', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const text = canonicalJson(value as never);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 40 },
    );
    expect(canonicalJson({ b: 1, a: [null, true, 'x'], '\uff5e': 2, '\u{1f600}': 3, z: undefined })).toBe(
      '{"a":[null,true,"x"],"b":1,"\u{1f600}":3,"\uff5e":2}',
    );
  });
});
