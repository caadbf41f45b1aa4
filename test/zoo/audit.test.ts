import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { zipSync } from 'fflate';
import { beforeAll, describe, expect, it } from 'vitest';
import { appendAttestation } from '../../src/zoo/attest/attestations.node.ts';
import { testStatement } from '../../src/zoo/attest/statement.ts';
import { type AuditedModel, type AuditReport, audit, failing } from '../../src/zoo/audit.node.ts';
import { scanDisk } from '../../src/zoo/disk-scan.node.ts';
import { readProject } from '../../src/zoo/project.node.ts';
import { signModel } from '../../src/zoo/signing/sign.node.ts';
import type { LockedFile } from '../../src/zoo/types.ts';
import { errorOf, run } from '../cli/in-process.ts';
import { digestOf, madeProject, put } from './locked.ts';

const HONEST =
  'A verified signature says who published these bytes. It does not say that the model has no backdoor: look into it with `secateur inspect`.';
/** Python's own beginning of a pickle that runs a command. */
const PICKLE = 'cos\nsystem\n(S"id"\ntR.';
const SAFETENSORS = (() => {
  const header = '{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  ';
  const bytes = new Uint8Array(8 + header.length + 4);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(new TextEncoder().encode(header), 8);
  return bytes;
})();
const NPY = (() => {
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".padEnd(117);
  const head = Uint8Array.from([0x93, ...Buffer.from('NUMPY'), 1, 0, 118, 0]);
  return Buffer.concat([head, Buffer.from(`${header}\n`), Buffer.alloc(4)]);
})();

const claim = (matched: boolean, algorithm: 'sha1' | 'sha256' = 'sha1', value = '0'.repeat(40)): LockedFile['claims'][number] => ({
  from: 'caffe-readme',
  algorithm,
  value,
  matched,
});
const named = (report: AuditReport, name: string): AuditedModel => report.models.find((m) => m.name === name) as AuditedModel;
const told = (m: AuditedModel): string[] => m.problems.map((p) => `${p.rule}: ${p.says} [${p.concerns}]`);

/** A project with one model of each kind: signed, matched, only SHA-1, http, refused, flagged, gone, edited. */
async function project(): Promise<string> {
  const keys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const pem = keys.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const folder = mkdtempSync(join(tmpdir(), 'secateur-signed-'));
  const signedFiles = { 'net.safetensors': SAFETENSORS };
  put(folder, signedFiles);
  const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const { bundle } = await signModel(folder, { key, output: join(folder, 'model.sig') });
  const safe = digestOf(SAFETENSORS);
  const remote = { url: 'https://example.com/w.safetensors' };
  const root = madeProject(
    {
      signed: {
        files: signedFiles,
        entry: {
          integrity: 'signed',
          signature: { method: 'key', bundle: 'models.sigs/signed.sig', bundleDigest: digestOf(bundle), signer: digestOf(pem) },
        },
      },
      matched: {
        files: { 'w.safetensors': SAFETENSORS },
        entry: {
          source: 'hf:owner/name',
          resolved: `commit:${'0'.repeat(40)}`,
          integrity: 'matched-published-claim',
          file: { 'w.safetensors': { ...remote, claims: [{ ...claim(true, 'sha256', safe.slice(7)), from: 'hf-lfs-oid' }] } },
        },
      },
      'bvlc/weak': {
        files: { 'n.caffemodel': 'weights' },
        entry: {
          source: 'caffe:https://example.com/readme.md',
          integrity: 'matched-published-claim',
          file: { 'n.caffemodel': { url: 'http://dl.example.com/n.caffemodel', claims: [claim(true)] } },
        },
      },
      'bvlc/wrong': {
        files: { 'n.caffemodel': 'other weights' },
        entry: {
          source: 'https://example.com/n.caffemodel',
          file: { 'n.caffemodel': { url: 'https://example.com/n.caffemodel', claims: [claim(false)] } },
        },
      },
      face: { files: { 'vgg.pt': PICKLE }, entry: { file: { 'vgg.pt': { format: 'pickle', lint: 'refused' } } } },
      care: { files: { 'saved_model.pb': 'x' }, entry: { file: { 'saved_model.pb': { format: 'saved-model', lint: 'flagged' } } } },
    },
    [
      { match: 'signed', require: 'signature', keys: ['keys/team.pub'] },
      { match: 'care', require: 'claim', mode: 'warn' },
      { match: 'face', require: 'lock', formats: ['onnx'], lint: 'refused' },
    ],
  );
  put(root, { 'models.sigs/signed.sig': bundle, 'keys/team.pub': pem });
  return root;
}

describe('what it finds in a lock', () => {
  let report: AuditReport;
  beforeAll(async () => {
    const root = await project();
    // One more that only models.json has, and one that only the lock has.
    const text = JSON.parse(readFileSync(join(root, 'models.json'), 'utf8'));
    delete text.models.care;
    text.models.later = { source: 'hf:owner/later' };
    text.models.matched.source = 'hf:owner/name@v2';
    writeFileSync(join(root, 'models.json'), JSON.stringify(text));
    rmSync(join(root, 'models/bvlc/wrong'), { recursive: true });
    writeFileSync(join(root, 'models/bvlc/weak/n.caffemodel'), 'weightX');
    writeFileSync(join(root, 'models/matched/w.safetensors'), 'short');
    report = await audit(await readProject(root));
  });

  it('says who vouches for each model', () => {
    expect(report.models.map((m) => [m.name, m.integrity])).toEqual([
      // other bytes on this disk
      ['bvlc/weak', undefined],
      // not installed: what the lock says of it
      ['bvlc/wrong', 'pinned-on-first-use'],
      ['care', 'pinned-on-first-use'],
      ['face', 'pinned-on-first-use'],
      ['later', undefined],
      ['matched', undefined],
      ['signed', 'signed'],
    ]);
    expect(report.models.filter((m) => !m.asLocked).map((m) => m.name)).toEqual(['bvlc/weak', 'matched']);
    expect(named(report, 'signed')).toMatchObject({ disk: 'bytes-agree', files: 1, bytes: SAFETENSORS.length, problems: [] });
    expect(named(report, 'signed').signer).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(named(report, 'signed').signerFiles).toEqual(['keys/team.pub']);
  });

  it('tells what is wrong with the others, each with what it makes the model', () => {
    expect(told(named(report, 'bvlc/weak'))).toEqual([
      'weak-claim: the published hash is SHA-1 only, for which two files with one hash can be made (n.caffemodel) []',
      'http: fetched over http:, where anybody on the way can change it (n.caffemodel) [unpinned]',
      'unversioned: the address can give other bytes tomorrow: then an install on a new machine fails, and only the lock shows it [unpinned]',
      `changed: n.caffemodel has other bytes: ${digestOf('weightX')}, locked is ${digestOf('weights')} [unverified]`,
    ]);
    expect(told(named(report, 'bvlc/wrong'))).toEqual([
      'claim-mismatch: n.caffemodel does not have the sha1 that caffe-readme shows, and was taken all the same [unverified]',
      'unversioned: the address can give other bytes tomorrow: then an install on a new machine fails, and only the lock shows it [unpinned]',
      'not-installed: not on this disk []',
    ]);
    expect(told(named(report, 'matched'))).toEqual([
      'stale: models.json asks for hf:owner/name@v2, which is not what was locked [unpinned]',
      `changed: w.safetensors has 5 bytes, ${SAFETENSORS.length} are locked [unverified]`,
    ]);
    expect(told(named(report, 'face'))).toEqual([
      'pinned-on-first-use: no published hash or signature (vgg.pt) [unverified]',
      'refused-format: loading can run code, or the file is malformed: vgg.pt (pickle) [unsafe]',
      'policy: the rule for "face": formats may be onnx, and vgg.pt is pickle [unsafe]',
    ]);
    expect(told(named(report, 'care'))).toEqual([
      'pinned-on-first-use: no published hash or signature (saved_model.pb) [unverified]',
      'flagged-format: to be loaded with care: saved_model.pb (saved-model) []',
      'not-wanted: in models.lock but not in models.json []',
      'format-differs: saved_model.pb is other (ok), models.lock says saved-model (flagged) []',
      'policy: the rule for "care" warns: a published hash that matched is wanted, and the files have none []',
    ]);
    expect(told(named(report, 'later'))).toEqual([
      'not-locked: in models.json but not in models.lock: nothing says which bytes it should have [unverified,unpinned]',
    ]);
  });

  it('counts for --fail-on what its words speak of', () => {
    const counts = (...words: Parameters<typeof failing>[1]): number => failing(report, words);
    // pinned 2, mismatch 1, changed 2, not locked 1
    expect(counts('unverified')).toBe(6);
    expect(counts('unsafe')).toBe(2);
    // http 1, unversioned 2, stale 1, not locked 1
    expect(counts('unpinned')).toBe(5);
    // "not locked" is one finding for both words
    expect(counts('unverified', 'unpinned')).toBe(10);
    // all but "not installed"
    expect(counts('any')).toBe(report.models.flatMap((m) => m.problems).length - 1);
    expect(counts()).toBe(0);
  });
});

it('looks at formats again, whatever the lock says of them', async () => {
  const root = madeProject({
    a: { files: { 'x.onnx': Buffer.from('\x80\x04cos\nsystem\n(S"true"\ntR.', 'latin1') } },
    b: { files: { 'b.md': 'text' } },
  });
  const report = await audit(await readProject(root));
  expect(told(named(report, 'a')).at(-1)).toBe('format-hidden: x.onnx is pickle (refused), models.lock says onnx (ok) [unsafe]');
  expect([named(report, 'a').asLocked, named(report, 'b').asLocked, failing(report, ['unsafe'])]).toEqual([false, true, 1]);
});

it('hashes every byte, believes stamps only where it is told to, and tells second names', async () => {
  const root = madeProject({ a: { files: { 'x.onnx': 'abc', 'sub/y.onnx': 'abc', 'z.onnx': 'abc' } } });
  const ofA = async (quick: boolean): Promise<[string, string[]]> => {
    const a = named(await audit(await readProject(root), { quick }), 'a');
    return [a.disk, told(a).filter((text) => !/^(pinned|format-differs)/.test(text))];
  };
  expect([await ofA(false), await ofA(true)]).toEqual([
    ['bytes-agree', []],
    ['bytes-agree', []],
  ]);
  // one byte, the size as before: found in both ways
  writeFileSync(join(root, 'models/a/x.onnx'), 'abX');
  linkSync(join(root, 'models/a/sub/y.onnx'), join(root, 'outside'));
  const linked = 'linked: a second name on this disk leads to the same bytes, through which they can be changed: sub/y.onnx []';
  const changed = `changed: x.onnx has other bytes: ${digestOf('abX')}, locked is ${digestOf('abc')} [unverified]`;
  expect([await ofA(false), await ofA(true)]).toEqual([
    ['differs', [changed, linked]],
    ['differs', [changed, linked]],
  ]);
  rmSync(join(root, 'models/a/z.onnx'));
  symlinkSync(join(root, 'outside'), join(root, 'models/a/z.onnx'));
  writeFileSync(join(root, 'models/a/x.onnx'), 'abcd');
  rmSync(join(root, 'models/a/sub'), { recursive: true });
  expect((await ofA(false))[1]).toEqual([
    'changed: x.onnx has 4 bytes, 3 are locked [unverified]',
    'changed: z.onnx is a symbolic link [unverified]',
    'missing: missing on disk: sub/y.onnx [unverified]',
  ]);
});

it('says what makes a signed model of one that nobody vouched for', async () => {
  const model = (source: string) => ({ files: { 'w.safetensors': SAFETENSORS }, entry: { source } });
  const root = madeProject(
    {
      far: model('https://example.com/w.safetensors'),
      file: model('path:w.safetensors'),
      folder: model('path:src'),
      ruled: model('path:src'),
      unsigned: model('path:bare'),
    },
    [{ match: 'ruled', require: 'signature', keys: ['k.pub'] }],
  );
  put(root, { 'w.safetensors': SAFETENSORS, 'w.safetensors.sig': '{}', 'src/model.sig': '{}', 'bare/w.safetensors': SAFETENSORS });
  const { models } = await audit(await readProject(root));
  const again = (name: string, source: string): string =>
    `secateur zoo remove ${name} && secateur zoo add ${source} --name ${name} --key MAKER.pub`;
  expect(models.map((m) => [m.name, m.problems.find((p) => p.rule === 'pinned-on-first-use')?.hint])).toEqual([
    [
      'far',
      `a signature by the publisher, then ${again('far', 'https://example.com/w.safetensors')}; or, with a hash from another channel: secateur zoo remove far && secateur zoo add https://example.com/w.safetensors --name far --sha256 HEX`,
    ],
    ['file', `./w.safetensors.sig is there and no rule says whose it must be: ${again('file', './w.safetensors')}`],
    ['folder', `./src/model.sig is there and no rule says whose it must be: ${again('folder', './src')}`],
    ['ruled', './src/model.sig is there and was not taken yet: secateur zoo update ruled'],
    ['unsigned', `whoever made it signs it: secateur zoo sign ./bare --key MAKER.key; then ${again('unsigned', './bare')}`],
  ]);
  // the same advice once
  expect(named({ models } as unknown as AuditReport, 'ruled').problems.filter((p) => p.hint?.includes('update ruled'))).toHaveLength(1);
});

it('says which sources other machines do not have', async () => {
  const from = (source: string) => ({ files: { 'x.onnx': 'abc' }, entry: { source } });
  const root = madeProject({
    near: from('path:nets/x.onnx'),
    up: from('path:../x.onnx'),
    far: from('path:/srv/x.onnx'),
    url: from('file:///srv/x.onnx'),
    placed: from('path:models/x.onnx'),
  });
  const { models } = await audit(await readProject(root));
  const says = (path: string): string =>
    `local-source: the source is on this machine only, outside of the project (${path}): another machine cannot install it []`;
  expect(models.map((m) => [m.name, told(m).filter((text) => text.startsWith('local'))])).toEqual([
    ['far', [says('/srv/x.onnx')]],
    ['near', []],
    ['placed', [says('models/x.onnx').replace('outside of the project', 'where models are installed, which is not committed')]],
    ['up', [says('../x.onnx')]],
    ['url', [says('file:///srv/x.onnx')]],
  ]);
});

describe('signatures', () => {
  it('vouch for nothing where they do not hold, whatever the lock says', async () => {
    const root = await project();
    const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey.export({ type: 'spki', format: 'pem' });
    writeFileSync(join(root, 'keys/team.pub'), other);
    const wrongKey = named(await audit(await readProject(root)), 'signed');
    expect([wrongKey.integrity, wrongKey.signer, wrongKey.asLocked]).toEqual([undefined, undefined, false]);
    expect(told(wrongKey)).toEqual([
      expect.stringMatching(/^signature: its signature does not hold: E_SIG_[A-Z_]+ signed: .* \[unverified\]$/),
    ]);

    put(root, { 'models.sigs/signed.sig': '{}' });
    const wrongBundle = named(await audit(await readProject(root)), 'signed');
    expect(told(wrongBundle)[0]).toMatch(
      /^signature: its signature does not hold: E_INTEGRITY signed: models\.sigs\/signed\.sig: is not the signature in models\.lock/,
    );
  });
});

describe('the disk', () => {
  it('finds models by content, not by name, and says what a lock knows', async () => {
    const root = await project();
    put(root, {
      'data/notes.txt': PICKLE,
      'weights/tmp.bin': SAFETENSORS.map((b, i) => (i === SAFETENSORS.length - 1 ? 1 : b)),
      'weights/copy.bin': SAFETENSORS,
      'a.npy': NPY,
      'src/code.ts': 'export const model = 1;\n',
      'logo.png': Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0),
      'odd.pt': Uint8Array.of(1, 2, 3, 0),
      'node_modules/x/m.pkl': PICKLE,
      'sub/.git/m.pkl': PICKLE,
      'venv/pyvenv.cfg': '',
      'venv/lib/m.pkl': PICKLE,
      'models/face/extra.pkl': PICKLE,
    });
    const { unknown, copies } = await audit(await readProject(root));
    expect(unknown.models.map((f) => [f.path, f.kind, f.verdict])).toEqual([
      ['data/notes.txt', 'pickle', 'refused'],
      ['models/face/extra.pkl', 'pickle', 'refused'],
      ['odd.pt', 'unknown', expect.stringMatching(/flagged|refused/)],
      ['weights/tmp.bin', 'safetensors', expect.anything()],
    ]);
    expect(unknown.models[0].says).toContain('os.system');
    expect(unknown.arrays).toEqual({ count: 1, bytes: NPY.length, paths: ['a.npy'] });
    expect(copies).toEqual([{ path: 'weights/copy.bin', of: expect.stringMatching(/^(signed|matched): /) }]);
    expect(unknown.complete).toBe(true);
  });

  it('finds models that are packed, and no data that are', async () => {
    const root = mkdtempSync(join(tmpdir(), 'secateur-packed-'));
    const tar = (name: string, content: Uint8Array | string): Buffer => {
      const bytes = Buffer.from(content);
      const head = Buffer.alloc(512);
      head.write(name, 0);
      head.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
      head.write('ustar', 257);
      return Buffer.concat([head, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
    };
    const images = Buffer.concat([Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4), Buffer.alloc(32, 200)]);
    put(root, {
      'net.safetensors.gz': gzipSync(SAFETENSORS),
      'blob.bin': gzipSync(SAFETENSORS),
      'all.tar': Buffer.concat([tar('readme.md', 'text'), tar('w/net.onnx', 'x')]),
      'all.tgz': gzipSync(Buffer.concat([tar('readme.md', 'text'), tar('w/net.pt', 'x')])),
      'all.zip': zipSync({ 'readme.md': new Uint8Array(9), 'w/net.onnx': SAFETENSORS }),
      'evil.pkl.gz': gzipSync(Buffer.from('\x80\x04cos\nsystem\n(S"true"\ntR.', 'latin1')),
      // none of these holds a model
      'images-idx3-ubyte.gz': gzipSync(images),
      'notes.txt.gz': gzipSync('some words\n'),
      'docs.tar.gz': gzipSync(tar('readme.md', 'text')),
      'docs.zip': zipSync({ 'readme.md': new Uint8Array(9) }),
      'torn.gz': gzipSync(SAFETENSORS).subarray(0, 12),
    });
    const { models, unreadable } = await scanDisk(root);
    expect(models.map((f) => [f.path, f.packed, f.verdict])).toEqual([
      ['all.tar', 'w/net.onnx', 'flagged'],
      ['all.tgz', 'w/net.pt', 'flagged'],
      ['all.zip', 'w/net.onnx', 'flagged'],
      ['blob.bin', 'safetensors', 'flagged'],
      ['evil.pkl.gz', 'evil.pkl', 'refused'],
      ['net.safetensors.gz', 'net.safetensors', 'flagged'],
    ]);
    expect(models[0].says).toBe('packed, with w/net.onnx in it');
    expect(models[4].says).toBe('packed, with evil.pkl in it: a compressed pickle, which some loaders unpack and run');
    expect(unreadable).toEqual([]);
    put(root, { 'a.npy': NPY });
    const { out } = await run('zoo', 'audit', '--project', root, '--all');
    expect(out).toContain('  ./all.tar  ');
    expect(out).toMatch(/\.\/blob\.bin +\d+ B +packed +flagged: packed, with safetensors in it\n/);
    expect(out).toContain(`1 array (npy, npz; ${NPY.length} B) besides, weights or data\n  ./a.npy\n`);
  });

  it('looks at what links lead to, follows none to folders, and survives odd files', async () => {
    const [root, elsewhere] = [mkdtempSync(join(tmpdir(), 'secateur-scan-')), mkdtempSync(join(tmpdir(), 'secateur-else-'))];
    put(elsewhere, { 'far.bin': PICKLE, 'deep/far.pkl': PICKLE });
    put(root, { 'near.bin': PICKLE, 'empty.onnx': '', 'locked/x.pkl': PICKLE, 'closed.onnx': 'x' });
    symlinkSync(join(elsewhere, 'far.bin'), join(root, 'link.bin'));
    symlinkSync(join(elsewhere, 'deep'), join(root, 'linked'));
    symlinkSync('near.bin', join(root, 'second'));
    symlinkSync('loop', join(root, 'loop'));
    writeFileSync(Buffer.concat([Buffer.from(`${root}/bad-`), Buffer.of(0xff), Buffer.from('.pkl')]), PICKLE);
    mkdirSync(join(root, 'closed'));
    chmodSync(join(root, 'closed'), 0);
    const found = await scanDisk(root, { known: new Set(['near.bin']), skip: [join(root, 'locked')] });
    expect(found.models.map((f) => f.path)).toEqual(['closed.onnx', 'link.bin']);
    expect(found.models[1].target).toBe(join(elsewhere, 'far.bin'));
    const closed = process.getuid?.() === 0 ? [] : ['closed/'];
    expect(found.unreadable.toSorted()).toEqual(['bad-\ufffd.pkl (its name is no UTF-8)', ...closed]);
    chmodSync(join(root, 'closed'), 0o755);
  });
});

describe('secateur zoo audit', () => {
  it('shows one screen that ends in the honest line', async () => {
    const root = await project();
    put(root, { 'weights/tmp.onnx': PICKLE });
    const { code, out } = await run('zoo', 'audit', '--project', root);
    expect(code).toBe(0);
    const lines = out.trimEnd().split('\n');
    const sum = 2 * SAFETENSORS.length + 'weights'.length + 'other weights'.length + PICKLE.length + 1;
    expect(lines[0].replace(/in \S+ s$/, 'in T s')).toBe(
      `audited 6 models (6 files, ${sum} B), every byte hashed, 5 other files looked at in T s`,
    );
    expect(out.replace(/sha256:[0-9a-f]{16}/, 'sha256:KEY')).toContain(`
1 model does not have the hash that its publisher shows
  bvlc/wrong
1 model has a verified signature
  signed  keys/team.pub (sha256:KEY...)
2 models match a published hash (nobody signed them)
  bvlc/weak  a hash on its page
  matched    a hash in the hub's index
2 models were never verified by anyone but this lock file
  care, face
`);
    expect(out).toContain(`1 model file on disk is in no lock file
  file                size  format  loading it
  ./weights/tmp.onnx  21 B  pickle  refused: `);
    expect(out).toContain('    ask the publisher which of the two is right\n');
    expect(lines.at(-1)).toBe(HONEST);
    expect(lines.length).toBeLessThan(60);
  });

  it('puts first, and into no good group, what is not as the lock says', async () => {
    const root = await project();
    rmSync(join(root, 'models/bvlc'), { recursive: true });
    put(root, { 'models/signed/net.safetensors': SAFETENSORS.map((b, i) => (i === SAFETENSORS.length - 1 ? 1 : b)) });
    rmSync(join(root, 'models/care/saved_model.pb'));
    const { code, out } = await run('zoo', 'audit', '--project', root, '--fail-on', 'unverified');
    expect(code).toBe(3);
    expect(
      out.replace(/in \S+ s\n/, 'in T s\n').replace(/\(6 files, \d+ B\)/, '(6 files)'),
    ).toContain(`2 of 6 models NOT what models.lock says (6 files), every byte that is here hashed, 4 other files looked at in T s

2 models are NOT what the lock says
  care    files missing on this disk
  signed  other bytes on this disk
2 models are not installed here: nothing to check
  bvlc/weak   in the lock: a hash on its page
  bvlc/wrong  in the lock: nobody vouches for it
1 model matches a published hash (nobody signed it)
  matched  a hash in the hub's index
1 model was never verified by anyone but this lock file
  face
`);
    expect(out).toContain(`signed
  net.safetensors has other bytes: `);
  });

  it('does not fail for what is only not installed here', async () => {
    const digest = digestOf(SAFETENSORS).slice(7);
    const claims = [{ ...claim(true, 'sha256', digest), from: 'user' }];
    const root = madeProject({
      a: {
        files: { 'w.safetensors': SAFETENSORS },
        entry: { integrity: 'matched-published-claim', file: { 'w.safetensors': { claims } } },
      },
    });
    const there = await run('zoo', 'audit', '--project', root, '--fail-on', 'unverified');
    expect(there.out).toContain('1 model matches a hash that one of you gave (nobody signed it)\n  a  a hash given with --sha256\n');
    rmSync(join(root, 'models'), { recursive: true });
    const gone = await run('zoo', 'audit', '--project', root, '--fail-on', 'unverified');
    expect([there.code, gone.code]).toEqual([0, 0]);
    expect(gone.out).toContain('1 model is not installed here: nothing to check\n  a  in the lock: a hash given with --sha256\n');
    expect(gone.out.trimEnd().split('\n').at(-1)).toBe(
      'A lock and a hash say that the bytes are still the same. They do not say that a model has no backdoor: look into it with `secateur inspect`.',
    );
  });

  it('tells what signers of the rules attest of a model, and nothing by strangers', async () => {
    const [mine, theirs] = [0, 1].map(() => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }));
    const [pem, key, other] = [
      mine.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      mine.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      theirs.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ];
    const one = { files: { 'w.safetensors': SAFETENSORS } };
    const root = madeProject({ a: one, b: one, c: one }, [{ match: '*', require: 'signature', keys: ['k.pub'] }]);
    put(root, { 'k.pub': pem });
    const command = 'secateur evaluate a --min-clean 0.9';
    const inputs = { model: digestOf(SAFETENSORS).slice(7) };
    const provenance = { command, seeds: [], versions: {}, machine: 'm', inputs, started: '2026-11-23T12:00:00.000Z', steps: [] };
    const checks = [{ name: 'clean accuracy', held: true, says: 'clean accuracy is so' }];
    const read = { result: { recipe: 'evaluate', tables: [], checks, provenance }, digest: digestOf('r') };
    const files = [{ path: 'w.safetensors', digest: digestOf(SAFETENSORS) }];
    const statement = (name: string): Uint8Array =>
      testStatement(name, files, true, read, { role: 'input', path: 'w.safetensors' }).payload;
    await appendAttestation(join(root, 'models.sigs/a.attestations.jsonl'), statement('a'), { key });
    await appendAttestation(join(root, 'models.sigs/b.attestations.jsonl'), statement('b'), { key: other });
    put(root, { 'models.sigs/c.attestations.jsonl/x': '' });
    const { out } = await run('zoo', 'audit', '--project', root);
    expect(out).toContain(`
attested
  a  PASSED by ${digestOf(pem).slice(0, 23)}...: ${command}
  b  models.sigs/b.attestations.jsonl: nothing in it is by a signer of its rules and about all of these bytes
`);
    expect(out).toContain('\n  its attestations cannot be read: ');
  });

  it('fails where it is told to', async () => {
    const root = await project();
    expect((await run('zoo', 'audit', '--project', root, '--fail-on', 'unsafe')).code).toBe(3);
    const two = await run('zoo', 'audit', '--project', root, '--fail-on', 'unverified', '--fail-on', 'unpinned', '--json');
    expect(two.code).toBe(3);
    const json = JSON.parse(two.out);
    expect(json.failed).toBe(6);
    expect(json.models.find((m: { name: string }) => m.name === 'face').problems[0]).toEqual({
      rule: 'pinned-on-first-use',
      says: 'no published hash or signature (vgg.pt)',
      hint: 'whoever made it signs it: secateur zoo sign ./somewhere --key MAKER.key; then secateur zoo remove face && secateur zoo add ./somewhere --name face --key MAKER.pub',
      concerns: ['unverified'],
    });
    const slip = madeProject({ a: { files: { 'w.safetensors': SAFETENSORS } } }, [
      { match: 'A', require: 'claim' },
      { match: '*', require: 'lock' },
    ]);
    expect((await run('zoo', 'audit', '--project', slip)).out).toContain('\nthe rule for "A" in models.json fits no model\n');
    expect(failing(await audit(await readProject(slip)), ['any'])).toBe(2);
    const clean = madeProject({ a: { files: { 'w.safetensors': SAFETENSORS }, entry: { file: {} } } });
    expect((await run('zoo', 'audit', '--project', clean, '--fail-on', 'unsafe', '--fail-on', 'unpinned')).code).toBe(0);
    expect((await run('zoo', 'audit', '--project', clean, '--fail-on', 'unverified')).code).toBe(3);
  });

  it('works where there is no project: everything is unknown then', async () => {
    const root = mkdtempSync(join(tmpdir(), 'secateur-bare-'));
    put(root, { 'a/w.safetensors': SAFETENSORS, 'b.ckpt': PICKLE });
    const { code, out } = await run('zoo', 'audit', '--project', root, '--fail-on', 'unverified');
    expect(code).toBe(3);
    expect(
      out.replace(/in \S+ s\n/, 'in T s\n'),
    ).toBe(`no models.lock here: nobody vouches for any of the 2 model files below; 2 files looked at in T s

2 model files on disk are locked by nothing
  file               size  format       loading it
  ./b.ckpt           21 B  pickle       refused: imports and calls "os.system", which is not on the list of what data need
  ./a/w.safetensors  68 B  safetensors  ok
  secateur zoo add ./FILE --name NAME locks one

2 findings of --fail-on unverified
The last column is about what loading a file can do. It does not say that a model has no backdoor: look into it with \`secateur inspect\`.
`);
    const empty = await run('zoo', 'audit', '--project', mkdtempSync(join(tmpdir(), 'secateur-bare-')));
    expect(empty.out).toMatch(/^no models.lock here, and no model files among 0 files looked at in \S+ s\n$/);
  });

  it('refuses what is no folder, and a lock that is broken', async () => {
    const root = await project();
    const none = await run('zoo', 'audit', '--project', join(root, 'absent'));
    expect([none.code, errorOf(none)]).toEqual([2, `error: ${join(root, 'absent')}: is no folder. Try the folder of a project.`]);
    writeFileSync(join(root, 'models.lock'), '{"lockfileVersion": 2}');
    const broken = await run('zoo', 'audit', '--project', root);
    expect([broken.code, errorOf(broken)]).toEqual([
      1,
      'error: E_LOCK models.lock:1:21: a lock file of a version that this program does not know, expected 1, got 2. Try the newer secateur that wrote it.',
    ]);
  });
});
