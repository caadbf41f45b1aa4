/** Commands that take a MODEL take its name in models.lock: with the bytes of the lock, its policy, and a word on who vouches for it. */
import { generateKeyPairSync } from 'node:crypto';
import { copyFileSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { f32 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { loadModel, saveModel } from '../../src/onnx/file.node.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import { errorOf, type Printed, run, scratch } from '../cli/in-process.ts';
import { withExternal } from './external-onnx.ts';
import { digestOf, lockedModel, madeProject, put } from './locked.ts';

function onnx(scale: number): Uint8Array {
  const b = new GraphBuilder({ name: 'net' });
  b.input('x', 'float32', ['N', 4]);
  const w = b.initializer('w', f32(new Float32Array(8).fill(scale), [4, 2]));
  b.output(b.op('MatMul', ['x', w], {}, { name: 'y' }), 'float32', ['N', 2]);
  return writeModel(b.build());
}

const home = process.cwd();
afterAll(() => process.chdir(home));
/** Runs a command line in a folder, as a user there would. */
async function inside(folder: string, ...argv: string[]): Promise<Printed> {
  process.chdir(folder);
  try {
    return await run(...argv);
  } finally {
    process.chdir(home);
  }
}

const published = { from: 'hf-lfs-oid', algorithm: 'sha256', value: digestOf(onnx(2)).slice(7), matched: true } as const;
let project: string;
beforeAll(() => {
  scratch();
  project = madeProject({
    net: { files: { 'model.onnx': onnx(1), 'README.md': 'a net' } },
    'team/other': {
      files: { 'model.onnx': onnx(2) },
      entry: { integrity: 'matched-published-claim', file: { 'model.onnx': { claims: [published] } } },
    },
    variants: { files: { 'onnx/model.onnx': onnx(1), 'onnx/half.onnx': onnx(2) } },
    text: { files: { 'README.md': 'only words' } },
  });
});

describe('a name', () => {
  it('is opened with the bytes of the lock, from any folder of the project, and it is said who vouches for them', async () => {
    put(project, { 'deep/er/x': '' });
    const { code, out, err } = await inside(join(project, 'deep/er'), 'diff', 'net', 'team/other', '--json');
    expect(errorOf({ code, out, err })).toBe('');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ same: false, inputs: { A: digestOf(onnx(1)).slice(7), B: digestOf(onnx(2)).slice(7) } });
    expect(err).toContain('note: net: model.onnx has the bytes of models.lock; pinned on first use: nobody vouched for these bytes');
    expect(err).toContain(
      'note: team/other: model.onnx has the bytes of models.lock; matches a hash that its publisher shows; nobody signed it',
    );
  });

  it('with # and a file where there are several ONNX files', async () => {
    const which = await inside(project, 'diff', 'variants', 'net');
    expect(which.code).toBe(2);
    expect(errorOf(which)).toBe(
      'error: E_NAME variants: has 2 ONNX files, expected variants#FILE with one of onnx/half.onnx, onnx/model.onnx.',
    );
    const same = await inside(project, 'diff', 'variants#onnx/model.onnx', 'net');
    expect(same.out).toContain('the same file, byte for byte');
    const none = await inside(project, 'diff', 'variants#model.onnx', 'net');
    expect(errorOf(none)).toBe(
      'error: E_NAME variants: has no file "model.onnx", expected variants#FILE with one of onnx/half.onnx, onnx/model.onnx.',
    );
    const words = await inside(project, 'diff', 'net#README.md', 'net');
    expect(errorOf(words)).toBe(
      'error: E_NAME net: "README.md" is no ONNX file, expected net#FILE with one of model.onnx, got the format other.',
    );
    const text = await inside(project, 'diff', 'text', 'net');
    expect(errorOf(text)).toBe(
      'error: E_NAME text: has no ONNX file, which is what this command reads, expected a model with one, got other.',
    );
  });

  it('that is close to one is told so; a file of that path comes first; a folder does not', async () => {
    const near = await inside(project, 'diff', 'nets', 'net');
    expect(near.code).toBe(1);
    expect(errorOf(near)).toBe(
      `error: E_NAME nets: no such file, and no model of that name in ${join(project, 'models.lock')}. Try "net".`,
    );
    const far = await inside(project, 'diff', 'something/else.onnx', 'net');
    expect(errorOf(far)).toBe(
      `error: E_NAME something/else.onnx: no such file, and no model of that name in ${join(project, 'models.lock')}. Try the path of an .onnx file, or one of net, team/other, text, variants.`,
    );
    put(project, { 'files/net': onnx(7), 'folders/net/x': '' });
    const file = await inside(join(project, 'files'), 'diff', 'net', 'net#model.onnx', '--json');
    expect(JSON.parse(file.out)).toMatchObject({ inputs: { A: digestOf(onnx(7)).slice(7), B: digestOf(onnx(1)).slice(7) } });
    const told = 'note: net is a file here and is read as it is; the model of that name in models.lock is another (net#FILE)';
    expect(file.err).toContain(told);
    const folder = await inside(join(project, 'folders'), 'diff', 'net', 'net');
    expect([folder.code, folder.err.includes('is a file here')]).toEqual([0, false]);
  });

  it('outside of a project is a path like any other', async () => {
    const outside = await inside(scratch(), 'diff', 'net', 'net');
    expect(outside.code).toBe(1);
    expect(errorOf(outside)).toBe('error: net: no such file.');
  });

  it('is taken by doctor too, which runs it', async () => {
    const { code, out, err } = await inside(project, 'doctor', 'net', '--trusted', '--threads', '1');
    expect(errorOf({ code, out, err })).toBe('');
    expect(out).toContain('net: a classifier of 2 classes');
    expect(err).toContain('note: net: model.onnx has the bytes of models.lock');
  });
});

describe('bytes that are not those of the lock', () => {
  it('in the file itself: E_INTEGRITY, and nothing is done with them', async () => {
    const own = madeProject({ net: { files: { 'model.onnx': onnx(1) } } });
    const at = join(own, 'models/net/model.onnx');
    writeFileSync(at, onnx(3));
    const changed = await inside(own, 'diff', 'net', 'net');
    expect(changed.code).toBe(3);
    const size = onnx(1).length;
    expect(errorOf(changed)).toBe(
      `error: E_INTEGRITY net: model.onnx: is not the file in models.lock, expected ${digestOf(onnx(1))}, ${size} bytes, got ${digestOf(onnx(3))}, ${size} bytes in ${at}. Try \`secateur zoo verify net\` to see all that differs, and \`secateur zoo install\` to bring the locked files back.`,
    );
    renameSync(at, join(own, 'aside.onnx'));
    const gone = await inside(own, 'diff', 'net', 'net');
    expect(gone.code).toBe(3);
    expect(errorOf(gone)).toBe(
      `error: E_INTEGRITY net: model.onnx: is in models.lock but not on disk, expected the file ${at}. Try \`secateur zoo install\`.`,
    );
    symlinkSync(join(own, 'aside.onnx'), at);
    expect(errorOf(await inside(own, 'diff', 'net', 'net'))).toContain(`got a symbolic link in ${at}.`);
  });

  it('in its external data, or data that the lock does not have', async () => {
    // a model of which the weights lie in a file beside it, made by the writer for large models
    const folder = scratch();
    const [path, data] = [join(folder, 'model.onnx'), new Uint8Array(4096).map((_, i) => i % 7)];
    writeFileSync(path, withExternal(data));
    writeFileSync(join(folder, 'w.data'), data);
    const model = await loadModel(path);
    await saveModel(join(folder, 'again/model.onnx'), model);
    const files = { 'sub/model.onnx': new Uint8Array(readFileSync(path)), 'sub/w.data': data };
    const own = madeProject({ big: { files } });
    const good = await inside(own, 'diff', 'big', join(own, 'models/big/sub/model.onnx'));
    expect(good.out).toContain('the same file, byte for byte');
    writeFileSync(
      join(own, 'models/big/sub/w.data'),
      data.map((v) => v ^ 1),
    );
    const changed = await inside(own, 'diff', 'big', 'big');
    expect(changed.code).toBe(3);
    expect(errorOf(changed)).toMatch(/^error: E_INTEGRITY big: sub\/w\.data: is not the file in models\.lock, expected sha256:/);
    const partial = madeProject({ big: { files: { 'model.onnx': files['sub/model.onnx'] } } });
    copyFileSync(join(folder, 'w.data'), join(partial, 'models/big/w.data'));
    expect(errorOf(await inside(partial, 'diff', 'big', 'big'))).toContain(
      'its external data "w.data" are not in models.lock, so nobody knows what they should be, expected a file w.data among the 1 of big. Try "include" in models.json that takes the data file too, then `secateur zoo update`.',
    );
  });
});

describe('the policy', () => {
  const rule = { match: 'net', require: 'claim' };
  it('is honoured: enforced rules stop, others are said', async () => {
    const strict = madeProject({ net: { files: { 'model.onnx': onnx(1) } } }, [rule]);
    const stopped = await inside(strict, 'diff', 'net', 'net');
    expect(stopped.code).toBe(3);
    expect(errorOf(stopped)).toMatch(/^error: E_POLICY net: .+ \(rule for "[^"]+" in models\.json\)\. Try a model that keeps the rule/);
    const lax = madeProject({ net: { files: { 'model.onnx': onnx(1) } } }, [{ ...rule, mode: 'warn' }]);
    const warned = await inside(lax, 'diff', 'net', 'net');
    expect(warned.code).toBe(0);
    expect(warned.err).toContain('note: net: ');
  });

  it('"signed" in the lock is only text: the signature is checked again', async () => {
    const forged = madeProject(
      {
        net: {
          files: { 'model.onnx': onnx(1) },
          entry: {
            integrity: 'signed',
            signature: { method: 'key', bundle: 'models.sigs/net.sig', bundleDigest: digestOf('{}'), signer: digestOf('key') },
          },
        },
      },
      [{ match: 'net', require: 'signature', keys: ['team.pub'] }],
    );
    put(forged, { 'models.sigs/net.sig': '{}', 'team.pub': 'no key' });
    const stopped = await inside(forged, 'diff', 'net', 'net');
    expect(stopped.code).not.toBe(0);
    expect(errorOf(stopped)).toMatch(/^error: E_SIG_/);
    const rules = { match: 'net', require: 'signature', mode: 'warn', keys: ['team.pub'] };
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    put(forged, {
      'models.json': JSON.stringify({ models: { net: { source: 'path:somewhere' } }, policy: [rules] }),
      'team.pub': publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    });
    const warned = await inside(forged, 'diff', 'net', 'net');
    expect(warned.err).toContain(
      'note: net: model.onnx has the bytes of models.lock; models.lock says signed, which nothing here confirms',
    );
  });
});

it('the helper of this file makes what it says', () => {
  expect(lockedModel({ 'a.onnx': 'x' }).files[0]).toMatchObject({ size: 1, format: 'onnx', digest: digestOf('x') });
});
