/** From a signed model in the lock to a signed word on what a run found: the commands one after another, as a user types them. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeModel } from '../../src/onnx/proto.ts';
import { buildNetwork } from '../../src/train/networks/registry.ts';
import { parseLock } from '../../src/zoo/lock.ts';
import { writeLock } from '../../src/zoo/lock-write.ts';
import { keySigner } from '../../src/zoo/signing/keys.node.ts';
import { signModel } from '../../src/zoo/signing/sign.node.ts';
import { errorOf, type Printed, run, scratch } from '../cli/in-process.ts';
import { digestOf, madeProject, put } from './locked.ts';

const DATA = ['--data', 'builtin:digits?train=60&test=20', '--threads', '1'];
const labels = Array.from({ length: 10 }, (_, i) => String(i));
const network = writeModel(
  buildNetwork('badnets-cnn', 1, { channels: 1, height: 28, width: 28, classes: 10, labels, range: [0, 1], mean: [0], std: [1] }),
);
const home = process.cwd();
const runs = mkdtempSync(join(tmpdir(), 'secateur-runs-'));
const out = (name: string): string[] => ['--out', join(runs, name)];
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
let project: string;
const at = (...parts: string[]): string => join(project, ...parts);

beforeAll(async () => {
  scratch();
  project = madeProject({ 'team/net': { files: { 'model.onnx': network } } }, [
    { match: 'team/*', require: 'signature', keys: ['team.pub'] },
  ]);
  put(project, {
    'team.pub': pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    'team.pem': pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  });
  const key = readFileSync(at('team.pem'), 'utf8');
  const { bundle } = await signModel(at('models/team/net'), { key, output: at('net.sig') });
  put(project, { 'models.sigs/team/net.sig': bundle });
  const { models } = parseLock(readFileSync(at('models.lock'), 'utf8'), 'models.lock');
  const signature = {
    method: 'key',
    bundle: 'models.sigs/team/net.sig',
    bundleDigest: digestOf(bundle),
    signer: keySigner(pair.publicKey),
  } as const;
  const signed = { ...models.get('team/net')!, integrity: 'signed', signature } as const;
  writeFileSync(at('models.lock'), writeLock({ lockfileVersion: 1, models: new Map([['team/net', signed]]) }));
  process.chdir(project);
});
afterAll(() => process.chdir(home));
const good = (printed: Printed): Printed => {
  expect(errorOf(printed)).toBe('');
  expect(printed.code).toBe(0);
  return printed;
};

interface Component {
  externalReferences: { type: string }[];
  properties: unknown[];
  modelCard: { quantitativeAnalysis?: { performanceMetrics: unknown[] } };
}

it('evaluate takes the signed model by name, says who vouches, and its verdict can be attested and required', async () => {
  const found = good(await run('evaluate', 'team/net', ...DATA, '--min-clean', '0.01', ...out('judged')));
  expect(found.err).toContain(`note: team/net: model.onnx has the bytes of models.lock; signed by ${keySigner(pair.publicKey)}`);
  const result = JSON.parse(readFileSync(join(runs, 'judged/result.json'), 'utf8')) as { checks: unknown; provenance: { inputs: object } };
  expect(result.checks).toEqual([
    {
      name: 'clean accuracy at least 1.00 %',
      held: true,
      says: expect.stringMatching(/^clean accuracy \d+\.\d\d % is not below 1\.00 %$/),
    },
  ]);
  expect(result.provenance.inputs).toMatchObject({ model: digestOf(network).slice(7) });
  good(await run('zoo', 'attest', 'team/net', '--result', join(runs, 'judged'), '--key', 'team.pem'));
  good(await run('zoo', 'attest', 'team/net', '--verify', '--require-passed'));
  const explained = good(await run('zoo', 'explain', 'models.sigs/team/net.attestations.jsonl'));
  expect(explained.out).toContain('https://in-toto.io/attestation/test-result/v0.1');
  const bom = JSON.parse(good(await run('zoo', 'sbom', '--attested-by', 'team.pub')).out) as { components: Component[] };
  const [component] = bom.components;
  expect(component.externalReferences.map((r) => r.type)).toEqual(['attestation', 'digital-signature']);
  expect(component.properties).toContainEqual({
    name: 'secateur:attested',
    value: expect.stringMatching(new RegExp(`^PASSED by ${keySigner(pair.publicKey)}: secateur evaluate team/net `)),
  });
  expect(component.modelCard.quantitativeAnalysis?.performanceMetrics).toContainEqual({
    type: 'clean accuracy',
    value: expect.stringMatching(/^0(\.\d+)?$/),
    slice: 'test images: all (n = 20)',
    confidenceInterval: { lowerBound: expect.any(String), upperBound: expect.any(String) },
  });
  const without = JSON.parse(good(await run('zoo', 'sbom')).out) as { components: Component[] };
  expect(without.components[0].modelCard.quantitativeAnalysis).toBeUndefined();
});

it('a check that does not hold is exit code 3 there and FAILED here', async () => {
  const found = await run('evaluate', 'team/net', ...DATA, '--min-clean', '1', ...out('failed'));
  expect(found.code).toBe(3);
  const made = good(await run('zoo', 'attest', 'team/net', '--result', join(runs, 'failed'), '--key', 'team.pem'));
  expect(made.out).toMatch(/^FAILED: clean accuracy \d+\.\d\d % is below 100\.00 %\n/);
  expect((await run('zoo', 'attest', 'team/net', '--verify', '--require-passed')).code).toBe(3);
});

it('what a defence made is attested as its output, and the network it was made from by its hash', async () => {
  good(await run('finetune', 'team/net', ...DATA, '--epochs', '1', '--allow-chance', ...out('tuned')));
  const model = join(runs, 'tuned/model.onnx');
  const made = good(await run('zoo', 'attest', model, '--result', join(runs, 'tuned'), '--json'));
  const { result, tested, statement } = JSON.parse(made.out) as {
    result: string;
    tested: unknown;
    statement: { predicate: { configuration: { name: string; digest: unknown }[] } };
  };
  expect(result).toBe('WARNED');
  expect(tested).toEqual({ role: 'output', path: 'model.onnx' });
  expect(statement.predicate.configuration).toContainEqual({ name: 'input model', digest: { sha256: digestOf(network).slice(7) } });
});

it('a forged lock does not help: bytes and digests changed together are not what was signed', async () => {
  const other = network.slice();
  other[other.length - 1] ^= 1;
  const forged = madeProject({ 'team/net': { files: { 'model.onnx': other } } }, [
    { match: 'team/*', require: 'signature', keys: ['team.pub'] },
  ]);
  put(forged, { 'team.pub': readFileSync(at('team.pub')), 'models.sigs/team/net.sig': readFileSync(at('models.sigs/team/net.sig')) });
  const { models } = parseLock(readFileSync(join(forged, 'models.lock'), 'utf8'), 'models.lock');
  const { signature } = parseLock(readFileSync(at('models.lock'), 'utf8'), 'models.lock').models.get('team/net')!;
  const entry = { ...models.get('team/net')!, integrity: 'signed', signature } as const;
  writeFileSync(join(forged, 'models.lock'), writeLock({ lockfileVersion: 1, models: new Map([['team/net', entry]]) }));
  process.chdir(forged);
  try {
    const refused = await run('diff', 'team/net', 'team/net');
    expect(refused.code).toBe(3);
    expect(errorOf(refused)).toMatch(/^error: E_SIG_CHANGED /);
  } finally {
    process.chdir(project);
  }
});
