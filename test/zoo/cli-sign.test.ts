/** `zoo sign`, `zoo verify-sig` and `zoo explain` as typed: what is printed, and the exit codes. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { signEnvelope } from '../../src/zoo/signing/sign-envelope.node.ts';
import { errorOf, run, scratch } from '../cli/in-process.ts';
import { issue } from './chains.ts';
import { bundleOf, digests, MODELS, pair, statement } from './oms.ts';

const HONEST =
  'A verified signature says who published these bytes. It does not say that the model has no backdoor: look into it with `secateur inspect`.';
const folder = scratch();
const me = pair();
const at = (name: string): string => join(folder, name);
const model = at('model');
let signer = '';

beforeAll(() => {
  writeFileSync(at('k.pem'), me.pem);
  writeFileSync(at('k.pub'), me.publicPem);
});

/** A model with two files, signed. */
async function signedModel(...more: string[]) {
  rmSync(model, { recursive: true, force: true });
  mkdirSync(join(model, 'onnx'), { recursive: true });
  writeFileSync(join(model, 'onnx/model.onnx'), 'net');
  writeFileSync(join(model, 'readme.md'), 'text');
  const printed = await run('zoo', 'sign', model, '--key', at('k.pem'), ...more);
  signer = /with the key (sha256:[0-9a-f]{64})/.exec(printed.out)?.[1] ?? '';
  return printed;
}

describe('zoo sign', () => {
  afterEach(() => {
    delete process.env.SECATEUR_KEY_PASSPHRASE;
  });

  it('says what was signed with what, and how to check it', async () => {
    const { code, out, err } = await signedModel();
    expect(code).toBe(0);
    expect(err).not.toContain('error');
    expect(out).toBe(
      `signed 2 files (7 B) with the key ${signer}\n\ncheck it with: secateur zoo verify-sig ${model} --signature ${model}/model.sig --key PUBLIC_KEY\n\n${model}/model.sig\n`,
    );
  });

  it('--json, --output, --ignore', async () => {
    const output = at('elsewhere.sig');
    const { out } = await signedModel('--output', output, '--ignore', 'readme.md', '--json');
    expect(JSON.parse(out)).toMatchObject({
      output,
      resources: 1,
      bytes: 3,
      method: 'key',
      warnings: ['readme.md is not covered by the signature, and the bundle says so'],
    });
    expect(JSON.parse(readFileSync(output, 'utf8')).mediaType).toBe('application/vnd.dev.sigstore.bundle.v0.3+json');
  });

  it('an encrypted key takes its passphrase from the environment', async () => {
    writeFileSync(at('locked.pem'), me.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'sesame' }));
    await signedModel();
    const refused = await run('zoo', 'sign', model, '--key', at('locked.pem'));
    expect([refused.code, errorOf(refused)]).toEqual([
      2,
      'error: E_SIG_KEY private key: the private key is encrypted, expected a passphrase, got none. Try SECATEUR_KEY_PASSPHRASE=... in the environment.',
    ]);
    process.env.SECATEUR_KEY_PASSPHRASE = 'sesame';
    expect((await run('zoo', 'sign', model, '--key', at('locked.pem'))).code).toBe(0);
  });

  it('keys that openssl makes as the help says', async () => {
    await signedModel();
    execFileSync('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', at('new.pem')], {
      stdio: 'pipe',
    });
    execFileSync('openssl', ['pkey', '-in', at('new.pem'), '-pubout', '-out', at('new.pub')]);
    expect((await run('zoo', 'sign', model, '--key', at('new.pem'))).code).toBe(0);
    expect((await run('zoo', 'verify-sig', model, '--key', at('new.pub'))).code).toBe(0);
    expect((await run('zoo', 'verify-sig', model, '--key', at('k.pub'))).code).toBe(3);
  });

  it('files that are not there are wrong usage', async () => {
    const none = await run('zoo', 'sign', model, '--key', at('none.pem'));
    expect([none.code, errorOf(none)]).toEqual([2, `error: E_SIG_READ --key: ${at('none.pem')} cannot be read, got ENOENT.`]);
    const away = await run('zoo', 'sign', at('away'), '--key', at('k.pem'));
    const nothing = `error: E_SIG_READ ${at('away')}: no such file or folder, expected the path of a folder or file.`;
    expect([away.code, errorOf(away)]).toEqual([2, nothing]);
    const odd = await run('zoo', 'sign', model, '--key', model);
    expect(errorOf(odd)).toBe(
      `error: E_SIG_READ --key: ${model} is no such file, expected a file of at most 67108864 bytes, got something else.`,
    );
  });
});

describe('zoo verify-sig', () => {
  it('says by whom, and what that does not mean', async () => {
    await signedModel();
    const { code, out } = await run('zoo', 'verify-sig', model, '--key', at('k.pub'));
    expect(code).toBe(0);
    expect(out).toBe(`2 files verified, signed by the key ${signer}\n\n${HONEST}\n`);
  });

  it('a changed, a missing and a new file: exit code 3, and nothing on stdout', async () => {
    await signedModel();
    appendFileSync(join(model, 'readme.md'), '!');
    const { code, out, err } = await run('zoo', 'verify-sig', model, '--key', at('k.pub'));
    expect([code, out]).toEqual([3, '']);
    const [was, is] = digests({ a: 'text', b: 'text!' }).map(({ digest }) => digest.slice(7));
    expect(err).toContain(
      `error: E_SIG_CHANGED ${model}/model.sig: 1 file has other bytes than were signed: readme.md (up to here: its form is right; signed by the key ${signer}; its statement lists 2 files, and their digest fits), expected ${was}, got ${is}.`,
    );
    await signedModel();
    writeFileSync(join(model, 'new.bin'), 'x');
    expect((await run('zoo', 'verify-sig', model, '--key', at('k.pub'))).code).toBe(3);
    const loose = await run('zoo', 'verify-sig', model, '--key', at('k.pub'), '--ignore-unsigned');
    expect(loose.out).toContain('here, but signed by nobody: new.bin');
    expect((await run('zoo', 'verify-sig', model, '--key', at('k.pub'), '--ignore', 'new.bin')).code).toBe(0);
  });

  it('what the signer left out is told before all else', async () => {
    await signedModel('--ignore', 'onnx');
    const { out } = await run('zoo', 'verify-sig', model, '--key', at('k.pub'));
    expect(out.split('\n')[2]).toBe(
      'warning: 1 FILE HERE IS NOT COVERED BY THE SIGNATURE, because the signer left out onnx: onnx/model.onnx',
    );
    expect(out).toContain('left out by the signer: onnx\n');
  });

  it('certificates, keyless, old forms, a single file', async () => {
    await signedModel();
    const root = issue({ name: 'root' });
    const leaf = issue({ name: 'leaf', issuer: root });
    writeFileSync(at('leaf.key'), leaf.keyPem);
    writeFileSync(at('leaf.pem'), leaf.pem);
    writeFileSync(at('root.pem'), root.pem);
    expect((await run('zoo', 'sign', model, '--key', at('leaf.key'), '--certificates', at('leaf.pem'))).out).toContain('--authority CA');
    expect((await run('zoo', 'verify-sig', model, '--authority', at('root.pem'))).out).toMatch(
      /^2 files verified, signed by the certificate sha256:[0-9a-f]{64} under your authority\n/,
    );
    const keyless = ['--identity', 'stefanb@us.ibm.com', '--issuer', 'https://sigstore.verify.ibm.com/oauth2', '--ignore', 'ignore-me'];
    expect((await run('zoo', 'verify-sig', join(MODELS, 'v1.1.0-sigstore'), ...keyless)).out).toContain(
      '2 files verified, signed by stefanb@us.ibm.com (https://sigstore.verify.ibm.com/oauth2)\n',
    );
    const config = join(MODELS, '../../tests/_signing/testdata/custom_trust_config.json');
    expect((await run('zoo', 'verify-sig', join(MODELS, 'v1.0.1-sigstore'), ...keyless, '--trusted-root', config)).code).toBe(0);
    const old = [
      'zoo',
      'verify-sig',
      join(MODELS, 'v0.3.1-elliptic-key/signme-1'),
      '--signature',
      join(MODELS, 'v0.3.1-elliptic-key/model.sig'),
    ];
    const key = ['--key', join(MODELS, 'keys/certificate/signing-key-pub.pem')];
    expect((await run(...old, ...key)).err).toContain('Try --legacy if you expect a signature made before model-signing 1.1.');
    expect((await run(...old, ...key, '--legacy')).out).toContain('1 file verified');
  });

  it.each([
    [
      [],
      'zoo verify-sig: whose signature would count is for you to say, expected one of --key, --authority, or --identity with --issuer, got none.',
    ],
    [
      ['--key', 'K', '--authority', 'A'],
      'zoo verify-sig: whose signature would count is for you to say, expected one of --key, --authority, or --identity with --issuer, got 2 of them.',
    ],
    [['--identity', 'me'], '--identity: an identity counts only with who vouched for it, expected --identity and --issuer together.'],
    [['--issuer', 'me'], '--identity: an identity counts only with who vouched for it, expected --identity and --issuer together.'],
    [['--key', 'K', '--trusted-root', 'R'], '--trusted-root: has no effect without --identity and --issuer.'],
  ])('%j is wrong usage', async (flags, text) => {
    const printed = await run('zoo', 'verify-sig', model, ...flags);
    expect([printed.code, errorOf(printed)]).toEqual([2, `error: ${text}`]);
  });
});

describe('zoo explain', () => {
  it('what is covered and what is not, and that nothing was verified', async () => {
    await signedModel('--ignore', 'readme.md');
    const { code, out } = await run('zoo', 'explain', join(model, 'model.sig'));
    const [{ digest }] = digests({ net: 'net' });
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^a bundle signed by the key ${signer}; this is what it says of itself, nothing was verified\n`));
    expect(out).toContain(`covered (1)\n  onnx/model.onnx  ${digest.slice(7)}\n`);
    expect(out).toContain(
      'not covered\n  LEFT OUT BY THE SIGNER: readme.md and all below it; a model there would not be covered\n  the signature itself: model.sig\n' +
        "  Git's own at the root: .git, .gitattributes, .github, .gitignore\n  the name of the model, and when it was signed\n" +
        '  whether the model has a backdoor: no signature says that\n',
    );
  });

  it('certificates, identities, old forms, hostile names', async () => {
    const keyless = await run('zoo', 'explain', join(MODELS, 'v1.1.0-sigstore/model.sig'));
    expect(keyless.out).toContain('signed by stefanb@us.ibm.com, for whom https://sigstore.verify.ibm.com/oauth2 vouched');
    expect(keyless.out).toContain('1 entry, 1 time stamp');
    const chain = await run('zoo', 'explain', join(MODELS, 'v0.2.0-certificate/model.sig'));
    expect(chain.code).toBe(0);
    expect(chain.out).toContain('issuer 1     CN=intermediate-ca, valid 2025-05-02 to 2035-04-30, issued by CN=root-ca');
    expect(chain.out).toContain('which paths were left out was not recorded');
    const hostile = statement(digests({ a: 'x' }), {}, { predicateType: '\u001b[2Jevil', subject: [{ name: '\u202enet' }] });
    writeFileSync(at('hostile.sig'), bundleOf(me.key, hostile));
    const { out } = await run('zoo', 'explain', at('hostile.sig'));
    expect(out).not.toContain('\u001b');
    expect(out).not.toContain('\u202e');
  });

  it('a statement that every verifier refuses: exit code 3, and why', async () => {
    const wrong = statement(digests({ a: 'x' }), {}, { subject: [{ name: 'm', digest: { sha256: '0'.repeat(64) } }] });
    writeFileSync(at('wrong.sig'), bundleOf(me.key, wrong));
    const { code, out } = await run('zoo', 'explain', at('wrong.sig'));
    expect(code).toBe(3);
    expect(out).toContain('REFUSED\n  E_SIG_ROOT ');
    expect(out).toContain('it is refused whoever signed, see above');
    writeFileSync(at('page.sig'), '<html>');
    expect((await run('zoo', 'explain', at('page.sig'))).code).toBe(3);
  });

  it('a path with a line end in it is no line of ours, here and in verify-sig', async () => {
    const files = { 'net.onnx': 'net' };
    const sly = statement(digests(files), {
      serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false, ignore_paths: ['x\ncovered (9)'] },
    });
    const other = at('sly');
    mkdirSync(other);
    writeFileSync(join(other, 'net.onnx'), 'net');
    writeFileSync(join(other, 'model.sig'), bundleOf(me.key, sly));
    const explained = await run('zoo', 'explain', join(other, 'model.sig'));
    expect(explained.out).toContain('  LEFT OUT BY THE SIGNER: x covered (9) and all below it');
    writeFileSync(join(other, 'y\n9 files verified'), '');
    const verified = await run('zoo', 'verify-sig', other, '--key', at('k.pub'), '--ignore-unsigned');
    expect(verified.code).toBe(0);
    expect(verified.out).toContain('here, but signed by nobody: y 9 files verified\n');
    expect(verified.out).toContain('which is of no effect: x covered (9)\n');
  });

  it('a file of attestations, line by line', async () => {
    const line = (result: string): string =>
      signEnvelope(
        new TextEncoder().encode(
          JSON.stringify({
            _type: 'https://in-toto.io/Statement/v1',
            subject: [{ name: 'net.onnx', digest: { sha256: 'a'.repeat(64) } }],
            predicateType: 'https://in-toto.io/attestation/test-result/v0.1',
            predicate: { result, configuration: [], secateur_tested: 'net.onnx', failedTests: ['attack success at most 5 %'] },
          }),
        ),
        { key: me.pem },
      ).bundle;
    writeFileSync(at('net.attestations.jsonl'), `${line('PASSED')}${line('FAILED')}`);
    const { code, out } = await run('zoo', 'explain', at('net.attestations.jsonl'));
    expect(code).toBe(0);
    expect(out).toMatch(/^2 bundles; this is what it says of itself/);
    expect(out).toContain('line 2: signed\n');
    expect(out).toContain('https://in-toto.io/attestation/test-result/v0.1 over net.onnx');
    expect(out).toMatch(/result +FAILED\n +failed +attack success at most 5 %\n +tested +net\.onnx\n/);
    const json = await run('zoo', 'explain', at('net.attestations.jsonl'), '--json');
    expect(JSON.parse(json.out)).toHaveLength(2);
    // A line that somebody added hides no other.
    writeFileSync(at('net.attestations.jsonl'), `${line('PASSED')}{"x":\u001b\n\n${line('FAILED')}`);
    const spoilt = await run('zoo', 'explain', at('net.attestations.jsonl'));
    expect(spoilt.code).toBe(3);
    expect(spoilt.out).toContain('line 4: signed\n');
    expect(spoilt.out).toContain(`line 2: no bundle\n  E_SIG_JSON ${at('net.attestations.jsonl')}:2:1:6: not valid JSON`);
    expect(spoilt.out).toContain('refused whoever signed: 1 of 3, see above');
  });
});
