/** The bill of materials: valid by the schema whatever the lock and the files hold, complete, and the same for the same input. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecateurError } from '../../src/core/errors.ts';
import { f32 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import { collectFacts } from '../../src/zoo/bom/collect.node.ts';
import { bomText, mlBom } from '../../src/zoo/bom/ml-bom.ts';
import { statedFacts } from '../../src/zoo/bom/stated.ts';
import { validateBom } from '../../src/zoo/bom/validate.node.ts';
import { hexOf } from '../../src/zoo/digest.ts';
import { CLAIM_ALGORITHMS, FORMATS, INTEGRITIES, type LockedModel, VERDICTS } from '../../src/zoo/types.ts';
import { withExternal } from './external-onnx.ts';
import { digestOf, lockedModel, put } from './locked.ts';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const README = `---
license: apache-2.0
pipeline_tag: image-classification
datasets:
- mnist
base_model: someone/lenet
---
# A model`;

function onnx(): Uint8Array {
  const b = new GraphBuilder({ name: 'net' });
  b.input('x', 'float32', ['N', 4]);
  b.output(b.op('MatMul', ['x', b.initializer('w', f32(new Float32Array(8), [4, 2]))], {}, { name: 'y' }), 'float32', ['N', 2]);
  return writeModel(b.build());
}

const files = { 'README.md': README, 'onnx/model.onnx': onnx() };
const hub: LockedModel = lockedModel(files, {
  source: 'hf:Acme/digits',
  requested: 'main',
  resolved: `commit:${COMMIT}`,
  integrity: 'signed',
  signature: { method: 'key', bundle: 'models.sigs/acme/digits.sig', bundleDigest: digestOf('bundle'), signer: digestOf('key') },
  file: {
    'onnx/model.onnx': {
      url: `https://huggingface.co/Acme/digits/resolve/${COMMIT}/onnx/model.onnx`,
      claims: [
        { from: 'hf-lfs-oid', algorithm: 'sha256', value: hexOf(digestOf(onnx())), matched: true },
        { from: 'somebody', algorithm: 'sha1', value: 'ab'.repeat(20), matched: true },
        { from: 'caffe-readme', algorithm: 'md5', value: 'cd'.repeat(16), matched: false },
      ],
    },
  },
});

interface Bom {
  serialNumber: string;
  metadata: { timestamp?: string; component?: unknown; tools: unknown };
  components: Component[];
  dependencies: { ref: string; dependsOn?: string[] }[];
}
interface Component {
  [key: string]: unknown;
  name: string;
  properties: { name: string; value: string }[];
  components: Component[];
}
const bill = (models: Record<string, LockedModel>, o: Partial<Parameters<typeof mlBom>[1]> = {}): Bom =>
  mlBom(new Map(Object.entries(models)), { tool: '1.2.3', ...o }) as unknown as Bom;
const properties = (c: Component): Record<string, string> => Object.fromEntries(c.properties.map((p) => [p.name, p.value]));

function installed(model: Readonly<Record<string, Uint8Array | string>> = files): string {
  const folder = mkdtempSync(join(tmpdir(), 'secateur-bom-'));
  put(folder, model);
  return folder;
}
const said = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof SecateurError) return `${error.exitCode} ${error.message}`;
    throw error;
  }
  return 'nothing was thrown';
};

describe('a model from the hub', () => {
  const facts = new Map([['acme/digits', collectFacts({ name: 'acme/digits', folder: installed(), model: hub }).facts]]);
  const bom = bill({ 'acme/digits': hub }, { facts, subject: { name: 'scanner', version: '2.0.0' } });
  const [component] = bom.components;

  it('is a component with its identity, its licence, where it comes from and who vouches for it', async () => {
    await validateBom(bomText(bom as never));
    expect(component).toMatchObject({
      type: 'machine-learning-model',
      'bom-ref': 'model/acme/digits',
      group: 'acme',
      name: 'digits',
      version: COMMIT,
      publisher: 'Acme',
      purl: `pkg:huggingface/Acme/digits@${COMMIT}`,
      licenses: [{ license: { id: 'Apache-2.0', acknowledgement: 'declared' } }],
      pedigree: { ancestors: [{ type: 'machine-learning-model', name: 'someone/lenet' }], notes: 'as README.md says' },
    });
    expect(component.hashes).toBeUndefined();
    expect(properties(component)).toMatchObject({
      'secateur:integrity': 'signed',
      'secateur:integrity:means': 'a key or identity that the project names signed them',
      'secateur:signer': digestOf('key'),
      'secateur:signature:method': 'key',
      'secateur:tree-digest': hub.treeDigest,
      'secateur:oms-root': hub.omsRoot,
      'secateur:source': 'hf:Acme/digits',
      'secateur:requested': 'main',
      'secateur:resolved': `commit:${COMMIT}`,
    });
    expect(component.externalReferences).toEqual([
      {
        url: 'models.sigs/acme/digits.sig',
        type: 'digital-signature',
        hashes: [{ alg: 'SHA-256', content: hexOf(digestOf('bundle')) }],
        comment: 'OpenSSF Model Signing bundle, path within the project',
      },
      {
        url: `https://huggingface.co/Acme/digits/resolve/${COMMIT}/onnx/model.onnx`,
        type: 'distribution',
        hashes: [{ alg: 'SHA-256', content: hexOf(digestOf(onnx())) }],
        comment: 'onnx/model.onnx',
      },
      { url: 'https://huggingface.co/Acme/digits', type: 'website', comment: 'the model on Hugging Face' },
    ]);
    expect(bom.dependencies).toContainEqual({ ref: 'subject', dependsOn: ['model/acme/digits'] });
  });

  it('has its files with every hash that was computed, and the claims that were not met as such', () => {
    const file = component.components.find((c) => c.name === 'onnx/model.onnx')!;
    expect(file.hashes).toEqual([
      { alg: 'SHA-1', content: 'ab'.repeat(20) },
      { alg: 'SHA-256', content: hexOf(digestOf(onnx())) },
    ]);
    expect(file.properties.filter((p) => p.name === 'secateur:claim').map((p) => p.value)).toEqual([
      `caffe-readme md5:${'cd'.repeat(16)} DID NOT MATCH, taken in spite of it`,
      `hf-lfs-oid sha256:${hexOf(digestOf(onnx()))} matched`,
      `somebody sha1:${'ab'.repeat(20)} matched`,
    ]);
    expect(properties(file)).toMatchObject({
      'secateur:format': 'onnx',
      'secateur:size': String(onnx().length),
      'secateur:onnx:operators': 'MatMul 1',
      'secateur:onnx:parameters': '8',
    });
  });

  it('has a model card of what the ONNX file holds and the readme states', () => {
    expect(component.modelCard).toEqual({
      modelParameters: {
        task: 'image-classification',
        datasets: [{ type: 'dataset', name: 'mnist' }],
        inputs: [{ format: 'x float32[N,4]' }],
        outputs: [{ format: 'y float32[N,2]' }],
      },
      properties: [
        { name: 'secateur:inputs-and-outputs', value: 'from the ONNX files' },
        { name: 'secateur:stated-by', value: 'README.md' },
      ],
    });
  });
});

describe('the same bytes', () => {
  it('for the same input in any order; another serial number where anything differs, but not for the time', () => {
    const other = lockedModel({ 'a.safetensors': 'x' });
    const text = (b: Bom): string => bomText(b as never);
    const one = bill({ a: hub, b: other });
    expect(text(bill({ b: other, a: hub }))).toBe(text(one));
    expect(one.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(one.metadata.timestamp).toBeUndefined();
    const later = bill({ a: hub, b: other }, { epoch: 1_700_000_000 });
    expect(later.metadata.timestamp).toBe('2023-11-14T22:13:20.000Z');
    expect(later.serialNumber).toBe(one.serialNumber);
    expect(bill({ a: hub, b: lockedModel({ 'a.safetensors': 'y' }) }).serialNumber).not.toBe(one.serialNumber);
    expect(bill({ a: hub, b: { ...other, integrity: 'signed' } }).serialNumber).not.toBe(one.serialNumber);
  });
});

describe('models that are not from the hub', () => {
  it('a single file has its hash at the component and a generic package address', () => {
    const url = 'http://dl.example.org/net.caffemodel?a=b&c';
    const model = lockedModel(
      { 'net.caffemodel': 'weights' },
      { source: 'caffe:https://example.org/readme.md', file: { 'net.caffemodel': { url } } },
    );
    const [component] = bill({ 'bvlc/net': model }).components;
    const hex = hexOf(digestOf('weights'));
    expect(component).toMatchObject({
      version: model.treeDigest,
      hashes: [{ alg: 'SHA-256', content: hex }],
      purl: `pkg:generic/bvlc/net@${encodeURIComponent(model.treeDigest)}?checksum=sha256:${hex}&download_url=${encodeURIComponent(url)}`,
      modelCard: { properties: [{ name: 'secateur:model-card', value: 'the files state nothing' }] },
    });
    expect(component.publisher).toBeUndefined();
  });

  it('one that is not installed says so', () => {
    const { facts, notes } = collectFacts({ name: 'net', folder: '/nowhere/at/all', model: hub });
    expect(notes).toEqual(['net is not installed, so the bill has what models.lock says of it: secateur zoo install for the rest']);
    expect(properties(bill({ net: hub }, { facts: new Map([['net', facts]]) }).components[0])['secateur:files-not-read']).toBe(
      'not installed',
    );
  });

  it('weights in a file of their own are counted without being read', () => {
    const data = new Uint8Array(4096);
    const model = lockedModel({ 'model.onnx': withExternal(data), 'w.data': data });
    const { facts } = collectFacts({ name: 'net', folder: installed({ 'model.onnx': withExternal(data) }), model });
    expect(facts.refused).toEqual([]);
    expect(facts.onnx[0].properties).toMatchObject({ parameters: '1024', 'weight-bytes': '4096' });
  });

  it('an ONNX file that the reader refuses is named with the reason', async () => {
    const broken = { 'model.onnx': onnx().subarray(0, 40) };
    const model = lockedModel(broken);
    const { facts, notes } = collectFacts({ name: 'net', folder: installed(broken), model });
    expect(notes).toEqual(['net: model.onnx is not described: the file is cut off']);
    const bom = bill({ net: model }, { facts: new Map([['net', facts]]) });
    expect(properties(bom.components[0].components[0])['secateur:onnx:not-read']).toBe('the file is cut off');
    await validateBom(bomText(bom as never));
  });
});

describe('files that are not those of the lock', () => {
  const place = (folder: string) => ({ name: 'acme/digits', folder, model: hub });
  const hint = 'Try `secateur zoo verify acme/digits` to see all that differs, and `secateur zoo install` to bring the locked files back.';

  it('other bytes of the same size', () => {
    const folder = installed();
    const changed = onnx().slice();
    changed[changed.length - 1] ^= 1;
    writeFileSync(join(folder, 'onnx/model.onnx'), changed);
    const size = changed.length;
    expect(said(() => collectFacts(place(folder)))).toBe(
      `3 E_INTEGRITY acme/digits: onnx/model.onnx: is not the file in models.lock, expected ${digestOf(onnx())}, ${size} bytes, got ${digestOf(changed)}, ${size} bytes in ${folder}/onnx/model.onnx. ${hint}`,
    );
  });

  it('another size, no file, a link, a folder', () => {
    const folder = installed();
    writeFileSync(join(folder, 'README.md'), 'x');
    expect(said(() => collectFacts(place(folder)))).toBe(
      `3 E_INTEGRITY acme/digits: README.md: is not the file in models.lock, expected ${digestOf(README)}, ${README.length} bytes, got 1 bytes in ${folder}/README.md. ${hint}`,
    );
    const at = join(folder, 'onnx/model.onnx');
    renameSync(at, join(folder, 'moved.onnx'));
    expect(said(() => collectFacts(place(folder)))).toBe(
      `3 E_INTEGRITY acme/digits: onnx/model.onnx: is in models.lock but not on disk, expected the file ${at}. Try \`secateur zoo install\`.`,
    );
    rmSync(folder, { recursive: true });
  });
});

describe('front matter', () => {
  const front = (text: string) => statedFacts('README.md', `---\n${text}\n---\n`);

  it('of Caffe and of Hugging Face', () => {
    expect(front('name: X\nlicense: unrestricted\nsha1: abc')).toMatchObject({ licences: ['unrestricted'], datasets: [], baseModels: [] });
    expect(front('license: other\nlicense_name: my-licence\nlicense_link: https://example.org/l')).toMatchObject({
      licences: ['my-licence'],
      licenceUrl: 'https://example.org/l',
    });
    expect(
      front('license: [mit, "apache-2.0"]  # two\nbase_model:\n  - a/b # one\n\n  - "c/d"\n  - 3\n  - x: y\nlicense: gpl-3.0'),
    ).toMatchObject({
      licences: ['mit', 'apache-2.0'],
      baseModels: ['a/b', 'c/d'],
    });
  });

  it.each([
    ['model-index:\n- name: x\n  license: gpl\n  datasets:\n  - y', []],
    ['license: &a mit', []],
    ['license: {name: mit}', []],
    ['license: |\n  mit', []],
    ['license: ~', []],
    ['license: 2.0', []],
    ['license: [mit, [gpl]]', []],
    ['license: "mit\\n"', []],
    ['license: mit: gpl', []],
    ["license: 'BSD 3 # clause'", ['BSD 3 # clause']],
    ['license:\n# none\nother: x', []],
  ])('what is no text is left out: %j', (yaml, licences) => {
    expect(front(yaml)).toMatchObject({ licences });
  });

  it.each([
    ['# no matter', 'no front matter'],
    ['---\nlicense: mit', 'its front matter has no end'],
    [`---\na: ${'x'.repeat(70_000)}\n---\n`, 'its front matter does not end within 65536 characters'],
  ])('%j states nothing', (text, why) => {
    expect(statedFacts('README.md', text)).toEqual({ why });
  });

  it('of any text: an answer, never another error', () => {
    const text = fc.string({ unit: 'binary', maxLength: 200 });
    fc.assert(
      fc.property(text, (yaml) => 'why' in front(yaml) || 'licences' in front(yaml)),
      { numRuns: 300 },
    );
  });
});

describe('any lock', () => {
  const hex = (n: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${n}}$`));
  const digest = hex(64).map((h) => `sha256:${h}` as const);
  const text = fc.string({ unit: 'binary', maxLength: 30 });
  const file = fc.record(
    {
      path: fc.string({ minLength: 1, maxLength: 30 }),
      size: fc.nat(),
      digest,
      url: fc.oneof(
        fc.webUrl({ withQueryParameters: true }),
        text.map((t) => `https://x/${t}`),
      ),
      claims: fc.array(
        fc.record({ from: text, algorithm: fc.constantFrom(...CLAIM_ALGORITHMS), value: hex(32), matched: fc.boolean() }).map((c) => ({
          ...c,
          value: c.algorithm === 'sha256' ? c.value.repeat(2) : c.algorithm === 'md5' ? c.value : `${c.value}00000000`,
        })),
        { maxLength: 3 },
      ),
      format: fc.constantFrom(...FORMATS),
      lint: fc.constantFrom(...VERDICTS),
    },
    { requiredKeys: ['path', 'size', 'digest', 'claims', 'format', 'lint'] },
  );
  const model = fc.record(
    {
      source: fc.oneof(text, fc.constant('hf:a b/c%')),
      requested: text,
      resolved: fc.oneof(
        text,
        hex(40).map((h) => `commit:${h}`),
      ),
      files: fc.uniqueArray(file, { selector: (f) => f.path, minLength: 1, maxLength: 4 }),
      treeDigest: digest,
      omsRoot: digest,
      integrity: fc.constantFrom(...INTEGRITIES),
      signature: fc.record({
        method: fc.constantFrom('key' as const, 'sigstore' as const),
        bundle: text,
        bundleDigest: digest,
        signer: text,
      }),
      lintRules: text,
    },
    { requiredKeys: ['source', 'resolved', 'files', 'treeDigest', 'omsRoot', 'integrity', 'lintRules'] },
  );

  it('gives a bill that the schema takes, with texts from readmes too', async () => {
    const stated = fc.record({
      path: text,
      licences: fc.array(text, { maxLength: 3 }),
      licenceUrl: text,
      task: text,
      datasets: fc.array(text),
      baseModels: fc.array(text),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.stringMatching(/^[a-z]{1,5}(\/[a-z]{1,5})?$/), model, { minKeys: 4, maxKeys: 12 }),
        stated,
        async (models, s) => {
          const names = Object.keys(models);
          const facts = new Map(names.map((name) => [name, { onnx: [], refused: [], stated: s }]));
          const made = mlBom(new Map(Object.entries(models)), { tool: '1', facts, subject: { name: 'x' } });
          expect(((made.components ?? []) as unknown[]).length).toBe(names.length);
          await validateBom(bomText(made));
        },
      ),
      { numRuns: 4 },
    );
  });

  it('and one that is not valid would be refused', async () => {
    const made = bill({ a: hub });
    await expect(validateBom(bomText({ ...made, bogus: 1 } as never))).rejects.toThrow(
      'E_BOM bill of materials: not valid CycloneDX 1.6: must NOT have additional properties. Try to report this with models.lock: it is a fault of secateur, not of yours.',
    );
  });
});
