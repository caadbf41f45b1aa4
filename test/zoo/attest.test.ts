/** Attestations: what a run found out, bound to the bytes it was about, signed, and checked again. */
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Result } from '../../src/evaluate/result.ts';
import { hashModel, loadModel } from '../../src/onnx/file.node.ts';
import { appendAttestation } from '../../src/zoo/attest/attestations.node.ts';
import { coverageOf, readStatement } from '../../src/zoo/attest/covers.ts';
import { verdictOf } from '../../src/zoo/attest/outcome.ts';
import { testStatement } from '../../src/zoo/attest/statement.ts';
import { hexOf, treeDigest } from '../../src/zoo/digest.ts';
import { signModel } from '../../src/zoo/signing/sign.node.ts';
import { signEnvelope } from '../../src/zoo/signing/sign-envelope.node.ts';
import { errorOf, type Printed, run } from '../cli/in-process.ts';
import { withExternal } from './external-onnx.ts';
import { digestOf, madeProject, put } from './locked.ts';

const ONNX = 'the bytes of a network';
const files = { 'model.onnx': ONNX, 'README.md': 'about it' };
const project = (rules: readonly unknown[] = []): string => madeProject({ 'team/net': { files } }, rules);

const keys = (namedCurve = 'P-256') => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  return {
    private: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    public: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
};
const [me, other] = [keys(), keys('P-384')];
const folder = mkdtempSync(join(tmpdir(), 'secateur-attest-'));
const at = (name: string): string => join(folder, name);
put(folder, { 'me.pem': me.private, 'me.pub': me.public, 'other.pem': other.private, 'other.pub': other.public });

function resultOf(over: Partial<Result> = {}, provenance: Partial<Result['provenance']> = {}): Result {
  return {
    recipe: 'evaluate',
    tables: [
      { name: 'test images', unit: 'rate', cells: [{ row: 'all', column: 'clean accuracy', value: 0.98, n: 500, low: 0.96, high: 0.99 }] },
    ],
    checks: [{ name: 'clean accuracy at least 95.00 %', held: true, says: 'clean accuracy 98.00 % is not below 95.00 %' }],
    provenance: {
      command: 'secateur evaluate team/net --data digits --min-clean 0.95',
      seeds: [],
      versions: { secateur: '1' },
      machine: 'a machine with a name',
      inputs: { model: hexOf(digestOf(ONNX)), test: 'ab'.repeat(32) },
      started: '2026-11-23T12:00:00.000Z',
      steps: [],
      ...provenance,
    },
    ...over,
  };
}
let written = 0;
function resultFile(result: unknown): string {
  const run = at(`run-${++written}`);
  put(run, { 'result.json': JSON.stringify(result) });
  return run;
}
const attest = (root: string, ...argv: string[]): Promise<Printed> => run('zoo', 'attest', 'team/net', '--project', root, ...argv);
const verify = (root: string, ...argv: string[]): Promise<Printed> => attest(root, '--verify', ...argv);
const linesOf = (root: string): string[] =>
  readFileSync(join(root, 'models.sigs/team/net.attestations.jsonl'), 'utf8').trimEnd().split('\n');

describe('the verdict is that of the command', () => {
  const table = { name: 't', unit: 'rate' as const, cells: [] };
  const check = (name: string, held: boolean) => ({ name, held, says: `${name} is ${held ? '' : 'not '}so` });
  it.each<[string, Partial<Result>, unknown]>([
    ['all held', { checks: [check('a', true), check('b', true)] }, { result: 'PASSED', passed: ['a', 'b'], warned: [], failed: [] }],
    [
      'one did not',
      { checks: [check('a', true), check('b', false)] },
      { result: 'FAILED', passed: ['a'], failed: ['b'], why: 'b is not so' },
    ],
    [
      'nothing demanded',
      { checks: undefined },
      { result: 'WARNED', passed: [], failed: [], why: expect.stringContaining('nothing was demanded') },
    ],
    ['none in the list', { checks: [] }, { result: 'WARNED' }],
    [
      'held on images that the defence saw',
      { checks: [check('a', true)], tables: [{ ...table, notes: ['Intervals.', 'Warning: the defence saw these.'] }] },
      { result: 'WARNED', passed: ['a'], warned: ['Warning: the defence saw these.'], why: 'the defence saw these' },
    ],
  ])('%s', (_, over, expected) => {
    expect(verdictOf(resultOf(over))).toMatchObject(expected as object);
  });
});

describe('the statement', () => {
  const named = Object.entries(files).map(([path, content]) => ({ path, digest: digestOf(content) }));
  const read = { result: resultOf(), digest: digestOf('result.json') };
  const { payload } = testStatement('team/net', named, true, read, { role: 'input', path: 'model.onnx' });
  const statement = JSON.parse(new TextDecoder().decode(payload)) as Record<string, unknown>;

  it('has a subject for every file in order of name, and the tree as the standard dirHash that sha256sum gives', () => {
    const tree = mkdtempSync(join(tmpdir(), 'secateur-tree-'));
    put(tree, files);
    const command = "find . -type f | cut -c3- | LC_ALL=C sort | xargs -r sha256sum | sha256sum | cut -f1 -d' '";
    const dirHash = execFileSync('sh', ['-c', command], { cwd: tree, encoding: 'utf8' }).trim();
    expect(statement).toMatchObject({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [
        { name: 'README.md', digest: { sha256: hexOf(digestOf('about it')) } },
        { name: 'model.onnx', digest: { sha256: hexOf(digestOf(ONNX)) } },
        { name: 'team/net/', digest: { dirHash } },
      ],
      predicateType: 'https://in-toto.io/attestation/test-result/v0.1',
    });
  });

  it('says what was run on what, and keeps the name of the machine to itself', () => {
    expect(statement.predicate).toEqual({
      result: 'PASSED',
      configuration: [
        {
          name: 'result.json',
          digest: { sha256: hexOf(digestOf('result.json')) },
          mediaType: 'application/json',
          annotations: {
            secateur_command: 'secateur evaluate team/net --data digits --min-clean 0.95',
            secateur_recipe: 'evaluate',
            secateur_seeds: [],
            secateur_started: '2026-11-23T12:00:00.000Z',
            secateur_versions: { secateur: '1' },
          },
        },
        { name: 'input test', digest: { sha256: 'ab'.repeat(32) } },
      ],
      passedTests: ['clean accuracy at least 95.00 %'],
      warnedTests: [],
      failedTests: [],
      secateur_role: 'input',
      secateur_tested: 'model.onnx',
      secateur_measurements: [
        { table: 'test images', row: 'all', column: 'clean accuracy', unit: 'rate', value: 0.98, n: 500, low: 0.96, high: 0.99 },
      ],
    });
    expect(JSON.stringify(statement)).not.toContain('machine');
  });

  it('is the same bytes for the same input in any order of files', () => {
    const again = testStatement('team/net', [...named].reverse(), true, read, { role: 'input', path: 'model.onnx' });
    expect(again.payload).toEqual(payload);
  });

  it('of what a defence made names what it was made from', () => {
    const made = { ...read, result: resultOf({}, { inputs: { model: 'cd'.repeat(32) }, outputs: { model: hexOf(digestOf(ONNX)) } }) };
    const { payload: bytes } = testStatement('x', named, false, made, { role: 'output', path: 'model.onnx' });
    const { subject, predicate } = JSON.parse(new TextDecoder().decode(bytes)) as {
      subject: unknown[];
      predicate: { configuration: unknown[] };
    };
    expect(subject).toHaveLength(2);
    expect(predicate.configuration.slice(1)).toEqual([{ name: 'input model', digest: { sha256: 'cd'.repeat(32) } }]);
  });
});

describe('zoo attest', () => {
  it('signs, appends beside the bundles, and --verify finds it', async () => {
    const root = project();
    const made = await attest(root, '--result', resultFile(resultOf()), '--key', at('me.pem'));
    expect(errorOf(made)).toBe('');
    expect(made.out).toMatch(
      /^PASSED: clean accuracy 98\.00 % is not below 95\.00 %\n\nattested for team\/net \(2 files\), model\.onnx as the input of evaluate, signed by sha256:[0-9a-f]{64}\n/,
    );
    expect(linesOf(root)).toHaveLength(1);
    const found = await verify(root, '--key', at('me.pub'), '--require-passed');
    expect(found.code).toBe(0);
    expect(found.out).toContain('team/net: 1 attestation verified on these bytes (1 PASSED, 0 WARNED, 0 FAILED)');
    // Of several networks in one folder only one was run.
    expect(found.out).toContain('clean accuracy at least 95.00 %; tested model.onnx; all 2 files');
    expect(found.out).toContain('An attestation says who claims that these bytes gave that result.');
  });

  it('makes a line that openssl verifies over the PAE', async () => {
    const root = project();
    await attest(root, '--result', resultFile(resultOf()), '--key', at('other.pem'));
    const { dsseEnvelope } = JSON.parse(linesOf(root)[0]) as {
      dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string }[] };
    };
    const payload = Buffer.from(dsseEnvelope.payload, 'base64');
    const { payloadType } = dsseEnvelope;
    const pae = Buffer.concat([Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `), payload]);
    writeFileSync(at('pae'), pae);
    writeFileSync(at('sig'), Buffer.from(dsseEnvelope.signatures[0].sig, 'base64'));
    const said = execFileSync('openssl', ['dgst', '-sha384', '-verify', at('other.pub'), '-signature', at('sig'), at('pae')], {
      encoding: 'utf8',
    });
    expect(said).toBe('Verified OK\n');
  });

  it('does not repeat itself; two signers are two lines; a line cut short harms no other', async () => {
    const root = project();
    const result = resultFile(resultOf());
    await attest(root, '--result', result, '--key', at('me.pem'));
    const again = await attest(root, '--result', result, '--key', at('me.pem'));
    expect(again.out).toContain('the same statement by the same signer was there before: nothing was added');
    appendFileSync(join(root, 'models.sigs/team/net.attestations.jsonl'), '{"mediaType":"cut sh');
    await attest(root, '--result', result, '--key', at('other.pem'));
    expect(linesOf(root)).toHaveLength(3);
    const found = await verify(root, '--key', at('me.pub'), '--key', at('other.pub'), '--json');
    expect(found.code).toBe(0);
    expect(JSON.parse(found.out)).toMatchObject({
      ok: true,
      attestations: [
        { line: 1, state: 'verified' },
        { line: 2, state: 'broken', code: 'E_SIG_JSON' },
        { line: 3, state: 'verified' },
      ],
    });
    const one = await verify(root, '--key', at('other.pub'));
    expect(one.out).toContain('other signer');
    expect(one.out).toContain('by nobody whom you named: not read');
  });

  it('a line with the same words and a signature that does not hold keeps the true one from nobody', async () => {
    const root = project();
    const result = resultFile(resultOf());
    await attest(root, '--result', result, '--key', at('me.pem'));
    const line = JSON.parse(linesOf(root)[0]) as { dsseEnvelope: { payload: string; signatures: { sig: string }[] } };
    const { payload } = line.dsseEnvelope;
    const forged = signEnvelope(Buffer.from(payload, 'base64'), { key: keys().private }).bundle;
    line.dsseEnvelope.signatures = (JSON.parse(forged) as typeof line).dsseEnvelope.signatures;
    put(root, { 'models.sigs/team/net.attestations.jsonl': `${JSON.stringify(line)}\n` });
    await attest(root, '--result', result, '--key', at('me.pem'));
    const { attestations } = JSON.parse((await verify(root, '--key', at('me.pub'), '--json')).out) as { attestations: { state: string }[] };
    expect(attestations.map((a) => a.state)).toEqual(['broken', 'verified']);
    await attest(root, '--result', result, '--key', at('me.pem'));
    expect(linesOf(root)).toHaveLength(2);
  });

  it('without a key prints the statement, to be signed elsewhere, and keeps nothing', async () => {
    const root = project();
    const { out, err, code } = await attest(root, '--result', resultFile(resultOf()));
    expect(code).toBe(0);
    expect(readStatement(new TextEncoder().encode(out), 'stdout').test?.result).toBe('PASSED');
    expect(err).toContain('note: not signed and not kept');
    expect(() => linesOf(root)).toThrow('ENOENT');
  });

  it('about a folder or a file lies beside it, and leaves its own signature out', async () => {
    const model = join(mkdtempSync(join(tmpdir(), 'secateur-dir-')), 'net');
    put(model, files);
    const sign = () => signModel(model, { key: other.private, output: join(model, 'model.sig') });
    await sign();
    const result = resultFile(resultOf());
    const made = await run('zoo', 'attest', model, '--result', result, '--key', at('me.pem'), '--json');
    expect(JSON.parse(made.out)).toMatchObject({
      path: `${model}.attestations.jsonl`,
      added: true,
      tested: { role: 'input', path: 'model.onnx' },
    });
    await sign();
    expect((await run('zoo', 'attest', model, '--verify', '--key', at('me.pub'))).code).toBe(0);
    // Only the name of a signature: a file like any other, also below a folder of that name.
    for (const hidden of ['model.sig', 'model.sig/model.onnx']) {
      rmSync(join(model, 'model.sig'), { recursive: true });
      put(model, { [hidden]: 'another network' });
      expect((await run('zoo', 'attest', model, '--verify', '--key', at('me.pub'))).code).toBe(3);
    }
    rmSync(join(model, 'model.sig'), { recursive: true });
    writeFileSync(join(model, 'README.md'), 'changed');
    const changed = await run('zoo', 'attest', model, '--verify', '--key', at('me.pub'));
    expect(changed.code).toBe(3);
    expect(changed.out).toContain('net: nobody whom you named attested anything about these bytes (1 attestation there)');
    expect(changed.out).toContain('other bytes: 1 of its 2 files are here');
    const file = join(model, 'model.onnx');
    await run('zoo', 'attest', file, '--result', result, '--key', at('me.pem'));
    const { dsseEnvelope } = JSON.parse(readFileSync(`${file}.attestations.jsonl`, 'utf8')) as { dsseEnvelope: { payload: string } };
    const { subject } = JSON.parse(Buffer.from(dsseEnvelope.payload, 'base64').toString()) as { subject: unknown };
    expect(subject).toEqual([{ name: 'model.onnx', digest: { sha256: hexOf(digestOf(ONNX)) } }]);
    symlinkSync(file, join(model, 'link.onnx'));
    expect(errorOf(await run('zoo', 'attest', model, '--result', result))).toMatch(/^error: E_SIG_LINK /);
  });
});

it('a network with its weights in another file is known by the digest over both, as runs record it', async () => {
  const data = new Uint8Array(64).fill(1);
  const own = { 'onnx/model.onnx': withExternal(data), 'onnx/w.data': data };
  const root = madeProject({ big: { files: own } });
  const path = join(root, 'models/big/onnx/model.onnx');
  const recorded = await hashModel(path, await loadModel(path));
  const result = resultFile(resultOf({}, { inputs: { model: recorded } }));
  const made = await run('zoo', 'attest', 'big', '--project', root, '--result', result, '--json');
  expect(JSON.parse(made.out)).toMatchObject({ tested: { role: 'input', path: 'onnx/model.onnx' } });
  const beside = await run('zoo', 'attest', join(root, 'models/big'), '--result', result, '--json');
  expect(JSON.parse(beside.out)).toMatchObject({ tested: { role: 'input', path: 'onnx/model.onnx' } });
});

it('many at once are all there and whole', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'secateur-many-')), 'net.attestations.jsonl');
  const statement = (i: number) => new TextEncoder().encode(JSON.stringify({ i, text: 'x'.repeat(20_000) }));
  const all = Array.from({ length: 30 }, (_, i) => i);
  await Promise.all(all.map((i) => appendAttestation(path, statement(i), { key: me.private })));
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  const found = lines.map((line) => {
    const { dsseEnvelope } = JSON.parse(line) as { dsseEnvelope: { payload: string } };
    return (JSON.parse(Buffer.from(dsseEnvelope.payload, 'base64').toString()) as { i: number }).i;
  });
  expect(found.sort((a, b) => a - b)).toEqual(all);
});

describe('a result that is not about these bytes is refused', () => {
  it('with what it is about', async () => {
    const root = project();
    const folder = resultFile(resultOf({}, { inputs: { model: 'ef'.repeat(32) } }));
    const refused = await attest(root, '--result', folder, '--key', at('me.pem'));
    expect(refused.code).toBe(3);
    expect(errorOf(refused)).toBe(
      `error: E_ATTEST_INPUT team/net: the result in ${folder}/result.json is about another model, expected sha256:${'ef'.repeat(32)} (input), got other digests for all 2 files. Try the result of a run on this model: secateur evaluate team/net.`,
    );
    expect(() => linesOf(root)).toThrow('ENOENT');
    const none = resultFile(resultOf({ recipe: 'train' }, { inputs: { data: 'ef'.repeat(32) } }));
    expect(errorOf(await attest(root, '--result', none))).toBe(
      `error: E_ATTEST_INPUT ${none}/result.json: does not say which model it is about, expected a run that was given a model, or made one, got train.`,
    );
  });

  it.each<[string, string | ((r: Result) => unknown), string]>([
    ['no JSON', '{"recipe": ', 'E_ATTEST_RESULT'],
    ['two equal keys', '{"recipe": "a", "recipe": "b"}', 'E_ATTEST_RESULT'],
    [
      'another file',
      '{"version": 1}',
      'not the result of a run, expected a result.json that secateur inspect, evaluate, prune, finetune or fineprune wrote, got',
    ],
    [
      'a hash that is none',
      (r) => ({ ...r, provenance: { ...r.provenance, inputs: { model: 'E3B0' } } }),
      'got no SHA-256 at provenance.inputs.model.',
    ],
  ])('%s', async (_, content, says) => {
    const path = at(`broken-${++written}.json`);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content(resultOf())));
    const refused = await attest(project(), '--result', path);
    expect(refused.code).toBe(1);
    expect(errorOf(refused)).toContain('error: E_ATTEST_RESULT ');
    expect(errorOf(refused)).toContain(says);
  });
});

describe('--verify', () => {
  const signed = async (result: Result): Promise<string> => {
    const root = project();
    await attest(root, '--result', resultFile(result), '--key', at('me.pem'));
    return root;
  };

  it('a failed or undemanding test is verified too, and is no pass', async () => {
    const bad = { name: 'attack success at most 5.00 %', held: false, says: 'attack success 97.00 % is above 5.00 %' };
    const failed = await signed(resultOf({ checks: [bad] }));
    expect((await verify(failed, '--key', at('me.pub'))).code).toBe(0);
    const strict = await verify(failed, '--key', at('me.pub'), '--require-passed');
    expect(strict.code).toBe(3);
    expect(strict.out).toContain('team/net: 1 attestation verified on these bytes (0 PASSED, 0 WARNED, 1 FAILED), which is not a pass');
    expect(strict.out).toContain('failed: attack success at most 5.00 %');
    await attest(failed, '--result', resultFile(resultOf()), '--key', at('me.pem'));
    expect((await verify(failed, '--key', at('me.pub'), '--require-passed')).code).toBe(3);
    // Of one of two files: the other one may be anything.
    const part = project();
    const alone = at('alone.onnx');
    writeFileSync(alone, ONNX);
    await run('zoo', 'attest', alone, '--result', resultFile(resultOf()), '--key', at('me.pem'));
    put(part, { 'models.sigs/team/net.attestations.jsonl': readFileSync(`${alone}.attestations.jsonl`) });
    const found = await verify(part, '--key', at('me.pub'), '--require-passed');
    expect(found.code).toBe(3);
    expect(found.out).toContain('team/net: 1 attestation verified on these bytes (1 PASSED, 0 WARNED, 0 FAILED), which is not a pass');
    expect(found.out).toContain('1 of 2 files');
    expect((await verify(part, '--key', at('me.pub'))).code).toBe(0);
    const warned = await signed(resultOf({ checks: undefined }));
    expect((await verify(warned, '--key', at('me.pub'), '--require-passed')).code).toBe(3);
  });

  it('is about the files that are here, not only about the words of the lock', async () => {
    const root = await signed(resultOf());
    const installed = join(root, 'models/team/net');
    expect((await verify(root, '--key', at('me.pub'))).code).toBe(0);
    writeFileSync(join(installed, 'model.onnx'), 'x'.repeat(ONNX.length));
    const changed = await verify(root, '--key', at('me.pub'));
    expect(changed.code).toBe(3);
    expect(errorOf(changed)).toMatch(
      /^error: E_INTEGRITY team\/net: is not here as models\.lock has it, got model\.onnx .*\. Try secateur zoo verify team\/net\.$/,
    );
    rmSync(join(installed, 'model.onnx'));
    expect(errorOf(await verify(root, '--key', at('me.pub')))).toContain('got model.onnx is missing.');
    rmSync(installed, { recursive: true });
    const absent = await verify(root, '--key', at('me.pub'));
    expect(absent.code).toBe(0);
    expect(absent.out).toContain('note: it is not installed: these are the bytes of models.lock, and nothing here was hashed');
  });

  it("a changed payload, another's key, nothing there: exit code 3", async () => {
    const root = await signed(resultOf());
    expect((await verify(root, '--key', at('other.pub'))).code).toBe(3);
    const path = join(root, 'models.sigs/team/net.attestations.jsonl');
    const line = JSON.parse(linesOf(root)[0]) as { dsseEnvelope: { payload: string } };
    const text = Buffer.from(line.dsseEnvelope.payload, 'base64').toString();
    line.dsseEnvelope.payload = Buffer.from(text.replace('"value":0.98', '"value":0.99')).toString('base64');
    writeFileSync(path, `${JSON.stringify(line)}\n`);
    const forged = await verify(root, '--key', at('me.pub'), '--json');
    expect(forged.code).toBe(3);
    expect(JSON.parse(forged.out)).toMatchObject({ ok: false, attestations: [{ line: 1, state: 'broken', code: 'E_SIG_SIGNATURE' }] });
    const none = await verify(project(), '--key', at('me.pub'));
    expect(none.code).toBe(3);
    expect(none.out).toContain('team/net: nobody whom you named attested anything about these bytes (0 attestations there)');
  });

  it('takes the signers of the rules where no flag names one', async () => {
    const root = project([{ match: 'team/*', require: 'signature', keys: ['me.pub'] }]);
    put(root, { 'me.pub': me.public });
    await attest(root, '--result', resultFile(resultOf()), '--key', at('me.pem'));
    expect((await verify(root)).code).toBe(0);
    const nobody = await verify(project());
    expect(nobody.code).toBe(2);
    expect(errorOf(nobody)).toBe(
      'error: --verify: nobody says whose word counts, expected --key with a public key, --authority, or --identity and --issuer. Try a rule with require "signature" in models.json, whose signers then count here too.',
    );
  });

  it('takes statements of other programs about some of the files, with other predicates, and refuses what is no statement', async () => {
    const root = project();
    const subject = [{ name: 'weights', digest: { sha256: hexOf(digestOf(ONNX)), sha512: 'x' } }];
    const lines = [
      { _type: 'https://in-toto.io/Statement/v1', subject, predicateType: 'https://slsa.dev/provenance/v1', predicate: { any: 1 } },
      { _type: 'https://in-toto.io/Statement/v1', subject: [{ digest: { sha1: 'ab' } }], predicateType: 'https://x/y', predicate: {} },
      { _type: 'https://in-toto.io/Statement/v0.1', subject, predicateType: 'https://x/y', predicate: {} },
      { _type: 'https://in-toto.io/Statement/v1', subject: [], predicateType: 'https://x/y', predicate: {} },
    ].map((statement) => signEnvelope(new TextEncoder().encode(JSON.stringify(statement)), { key: me.private }).bundle);
    put(root, { 'models.sigs/team/net.attestations.jsonl': `\n${lines.join('\r\n')}` });
    const found = await verify(root, '--key', at('me.pub'), '--json');
    expect(found.code).toBe(0);
    const path = join(root, 'models.sigs/team/net.attestations.jsonl');
    const { attestations } = JSON.parse(found.out) as { attestations: { state: string; coverage?: { says: string }; problem?: string }[] };
    expect(attestations.map((a) => a.state)).toEqual(['verified', 'elsewhere', 'broken', 'broken']);
    expect(attestations[0].coverage?.says).toBe('1 of 2 files');
    expect(attestations[1].coverage?.says).toBe('no subject has a SHA-256');
    expect(attestations[2].problem).toBe(
      `E_ATTEST_STATEMENT ${path}:6: payload:1:10: another kind of statement, expected https://in-toto.io/Statement/v1, got https://in-toto.io/Statement/v0.1.`,
    );
    expect(attestations[3].problem).toContain('E_ATTEST_STATEMENT');
  });

  it('does not follow a link', async () => {
    const root = project();
    mkdirSync(join(root, 'models.sigs/team'), { recursive: true });
    symlinkSync(at('me.pub'), join(root, 'models.sigs/team/net.attestations.jsonl'));
    const path = join(root, 'models.sigs/team/net.attestations.jsonl');
    const refused = await verify(root, '--key', at('me.pub'));
    expect(refused.code).toBe(1);
    expect(errorOf(refused)).toBe(`error: E_ATTEST_FILE ${path}: is a symbolic link.`);
  });
});

describe('flags', () => {
  it.each([
    [['--verify', '--result', 'x'], '--result: makes no sense with --verify. Try one of the two.'],
    [['--require-passed', '--result', 'x'], '--require-passed: has no effect without --verify. Try with --verify.'],
    [
      [],
      '--result: missing, expected the folder of a run, or its result.json. Try secateur evaluate first, or --verify to check what is there.',
    ],
    [['--result', 'x', '--certificates', 'y'], '--certificates: has no effect without --key. Try --key with the private key.'],
    [['--result', 'x', '--key', 'a', '--key', 'b'], '--key: one private key signs, expected one file, got 2.'],
    [['--result', '/nowhere'], '/nowhere: cannot be read, expected the result.json of a run, got ENOENT.'],
    [
      ['--verify', '--issuer', 'x'],
      '--issuer: an identity counts only with who vouched for it, expected --identity and --issuer together.',
    ],
    [['--verify', '--trusted-root', 'x'], '--trusted-root: has no effect without --identity and --issuer.'],
  ])('%j', async (argv, says) => {
    const found = await attest(project(), ...argv);
    expect(found.code).toBe(2);
    expect(errorOf(found)).toBe(`error: ${says}`);
  });

  it('a model that is not there, with the nearest name', async () => {
    expect(errorOf(await run('zoo', 'attest', 'team/nets', '--project', project(), '--result', 'x'))).toBe(
      'error: E_NAME team/nets: no such file or folder, and no model of that name in models.lock, expected a model by its name in models.lock, its folder or its file. Try "team/net".',
    );
  });
});

it('coverage: a tree must be that tree, even where all its files are here', () => {
  const named = [
    { path: 'a', digest: digestOf('a') },
    { path: 'b', digest: digestOf('b') },
  ];
  const dirHash = hexOf(treeDigest([{ path: 'renamed', digest: digestOf('a') }, named[1]]));
  const subjects = [
    { name: 'renamed', sha256: hexOf(digestOf('a')) },
    { name: 'b', sha256: hexOf(digestOf('b')) },
  ];
  expect(coverageOf({ subjects: [...subjects, { name: 'x/', dirHash }] }, named)).toEqual({
    same: false,
    whole: false,
    says: 'other bytes: 2 of its 2 files are here',
  });
  expect(coverageOf({ subjects: [...subjects, { name: 'x/', dirHash: hexOf(treeDigest(named)) }] }, named).same).toBe(true);
  expect(
    createHash('sha256')
      .update(named.map((f) => `${hexOf(f.digest)}  ${f.path}\n`).join(''))
      .digest('hex'),
  ).toBe(hexOf(treeDigest(named)));
});
