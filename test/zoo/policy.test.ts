import { expect, it } from 'vitest';
import { integrityOf } from '../../src/zoo/integrity.ts';
import { parseManifest } from '../../src/zoo/manifest.ts';
import { checkPolicy, rulesFor, signersFor } from '../../src/zoo/policy.ts';
import type { FormatKind, LintVerdict, LockedModel } from '../../src/zoo/types.ts';

const file = (path: string, format: FormatKind, lint: LintVerdict = 'ok'): LockedModel['files'][number] => ({
  path,
  size: 1,
  digest: `sha256:${'0'.repeat(64)}`,
  claims: [],
  format,
  lint,
});
const model = (over: Partial<LockedModel> = {}): LockedModel => ({
  source: './x',
  resolved: 'unversioned',
  files: [file('m.onnx', 'onnx'), file('m.onnx_data', 'onnx-data'), file('readme.md', 'other')],
  treeDigest: `sha256:${'0'.repeat(64)}`,
  omsRoot: `sha256:${'0'.repeat(64)}`,
  integrity: 'pinned-on-first-use',
  lintRules: '2026-11',
  ...over,
});
const signed = (method: 'key' | 'certificate' | 'sigstore', signer: string): Partial<LockedModel> => ({
  integrity: 'signed',
  signature: { method, signer, bundle: 'models.sigs/x.sig', bundleDigest: `sha256:${'0'.repeat(64)}` },
});
const says = (rule: object, m: LockedModel): string[] =>
  checkPolicy(parseManifest(JSON.stringify({ policy: [{ match: '**', ...rule }] })), 'x', m).map((f) => `${f.mode}: ${f.says}`);

it('asks for what a rule asks for', () => {
  expect(says({ require: 'lock' }, model())).toEqual([]);
  expect(says({ require: 'claim' }, model())).toEqual(['enforce: a published hash that matched is wanted, and the files have none']);
  expect(says({ require: 'claim', mode: 'warn' }, model())).toEqual([
    'warn: a published hash that matched is wanted, and the files have none',
  ]);
  expect(says({ require: 'claim' }, model({ integrity: 'matched-published-claim' }))).toEqual([]);
  expect(says({ require: 'claim' }, model(signed('key', 'sha256:1')))).toEqual([]);
  const keys = { require: 'signature', keys: ['k.pub'] };
  expect(says(keys, model({ integrity: 'matched-published-claim' }))).toEqual(['enforce: a signature is wanted, and the lock has none']);
  expect(says(keys, model(signed('key', 'sha256:1')))).toEqual([]);
  expect(says(keys, model(signed('certificate', 'sha256:1')))).toEqual([
    'enforce: a signature by another signer is wanted, and the lock has one by sha256:1',
  ]);
});

it('compares identities as whole strings', () => {
  const rule = { require: 'signature', identities: [{ identity: 'a.b@x.com', issuer: 'https://i' }] };
  expect(says(rule, model(signed('sigstore', 'a.b@x.com (https://i)')))).toEqual([]);
  for (const other of ['aXb@x.com (https://i)', 'a.b@x.com.evil (https://i)', 'a.b@x.com (https://j)']) {
    expect(says(rule, model(signed('sigstore', other)))).toEqual([
      `enforce: a signature by another signer is wanted, and the lock has one by ${other}`,
    ]);
  }
});

it('allows formats by content, texts always, weights with their ONNX file', () => {
  expect(says({ require: 'lock', formats: ['onnx'] }, model())).toEqual([]);
  expect(says({ require: 'lock', formats: ['safetensors'] }, model())).toEqual([
    'enforce: formats may be safetensors, and m.onnx is onnx, m.onnx_data is onnx-data',
  ]);
  // a program is a text too, but one that some loaders run
  const program = model({ files: [file('m.onnx', 'onnx'), file('modeling.py', 'other', 'flagged')] });
  expect(says({ require: 'lock', formats: ['onnx'] }, program)).toEqual(['enforce: formats may be onnx, and modeling.py is other']);
  expect(says({ require: 'lock', formats: ['onnx', 'other'] }, program)).toEqual([]);
  const many = model({ files: ['a', 'b', 'c', 'd', 'e'].map((p) => file(p, 'pickle')) });
  expect(says({ require: 'lock', formats: [] }, many)).toEqual([
    'enforce: formats may be none, and a is pickle, b is pickle, c is pickle and 2 more',
  ]);
});

it('a program without a published hash leaves the model without one; a readme does not', () => {
  const claims = [{ from: 'user', algorithm: 'sha256', value: '0'.repeat(64), matched: true }] as const;
  const net = { ...file('m.onnx', 'onnx'), claims };
  expect(integrityOf([net, file('readme.md', 'other')], undefined)).toBe('matched-published-claim');
  expect(integrityOf([net, file('modeling.py', 'other', 'flagged')], undefined)).toBe('pinned-on-first-use');
});

it('takes flagged files unless told otherwise, and refused ones only if told so', () => {
  const flagged = model({ files: [file('m.pb', 'saved-model', 'flagged')] });
  const refused = model({ files: [file('m.pkl', 'pickle', 'refused')] });
  expect(says({ require: 'lock' }, flagged)).toEqual([]);
  expect(says({ require: 'lock', lint: 'ok' }, flagged)).toEqual(['enforce: files must be ok, and m.pb is flagged']);
  expect(says({ require: 'lock' }, refused)).toEqual(['enforce: files must be flagged at worst, and m.pkl is refused']);
  expect(says({ require: 'lock', lint: 'refused' }, refused)).toEqual([]);
});

it('holds all rules that match, and each wants its own signer', () => {
  const manifest = parseManifest(
    JSON.stringify({
      policy: [
        { match: 'team/*', require: 'signature', keys: ['a.pub', 'b.pub'] },
        { match: '**', require: 'signature', authorities: ['ca.pem'], mode: 'warn' },
        { match: 'other', require: 'claim' },
      ],
    }),
  );
  expect(rulesFor(manifest, 'team/net').map((r) => r.match)).toEqual(['team/*', '**']);
  expect(signersFor(manifest, 'team/net')).toEqual([
    { match: 'team/*', mode: 'enforce', keys: ['a.pub', 'b.pub'], authorities: [], identities: [] },
    { match: '**', mode: 'warn', keys: [], authorities: ['ca.pem'], identities: [] },
  ]);
  expect(checkPolicy(manifest, 'other', model()).map((f) => [f.rule.match, f.mode])).toEqual([
    ['**', 'warn'],
    ['other', 'enforce'],
  ]);
});
