/** 7.3 group 6: malicious ONNX files, by bytes and on disk with what lies beside them. */
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { field, model, number } from '../../scripts/bombs.ts';
import { joinBytes } from '../../src/core/bytes.ts';
import { f32, i64 } from '../../src/core/tensor.ts';
import { bytesSource } from '../../src/data/zip.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import type { Model } from '../../src/onnx/model.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import { lintFile, lintFolder } from '../../src/zoo/lint/lint.node.ts';
import { lintBytes } from '../../src/zoo/lint/lint.ts';
import type { LintReport } from '../../src/zoo/types.ts';
import { goldenFile } from './lint-golden.ts';

const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const lines = ({ kind, findings }: LintReport): string[] => [kind, ...findings.map((f) => `${f.verdict} ${f.rule}: ${f.says}`)];
const said = (bytes: Uint8Array, name = 'model.onnx'): string[] => lines(lintBytes(bytesSource(bytes), name));
const folder = (): string => realpathSync(mkdtempSync(join(tmpdir(), 'secateur-lint-')));

function network(change: (b: GraphBuilder, x: string) => string = (b, x) => b.op('Relu', [x]), edit?: (m: Model) => void): Uint8Array {
  const b = new GraphBuilder({ name: 'net' });
  const x = b.input('x', 'float32', ['N', 4]);
  b.output(change(b, x), 'float32', ['N', 4]);
  const built = b.build();
  edit?.(built);
  return writeModel(built);
}

/** One weight of four floats outside of the file, with entries as given. */
const external = (entries: readonly (readonly [string, string])[]): Uint8Array => {
  const tensor = [
    number(1, 4),
    number(2, 1),
    field(8, text('w')),
    ...entries.map(([k, v]) => field(13, field(1, text(k)), field(2, text(v)))),
    number(14, 1),
  ];
  return model(new Uint8Array([...field(5, ...tensor), ...field(12, field(1, text('w')))]));
};

describe('what an ONNX file holds', () => {
  it('a plain network is ok', () => expect(said(network())).toEqual(['onnx']));

  it('EPContext is refused, other foreign operators are flagged', () => {
    const foreign = (domain: string, op: string): Uint8Array =>
      network(
        (b, x) => b.op('Relu', [x]),
        (m) => {
          m.opsets.set(domain, 1);
          m.graph.nodes[0].domain = domain;
          m.graph.nodes[0].opType = op;
        },
      );
    const [kind, first] = said(foreign('com.microsoft', 'EPContext'));
    expect(kind).toBe('onnx');
    expect(first).toMatch(
      /^refused onnx-epcontext: .*EPContext.* hands bytes or a file of its author to a vendor library, which runs them as code$/,
    );
    expect(said(foreign('my.company', 'Evil'))).toEqual([
      'onnx',
      'flagged onnx-custom-domain: runs "Evil" of the domain "my.company": whoever loads it needs a library for that, which is native code',
    ]);
    expect(said(foreign('com.microsoft', 'SomethingNew'))).toEqual([
      'onnx',
      'flagged onnx-operator: has operators that Secateur does not run: "SomethingNew"',
    ]);
  });

  it('functions of its own and instructions for training are flagged', () => {
    const fn = field(
      25,
      field(1, text('f')),
      field(4, text('a')),
      field(5, text('b')),
      field(7, field(1, text('a')), field(2, text('b')), field(4, text('Relu'))),
      field(9, number(2, 18)),
      field(10, text('own')),
    );
    const training = field(20, field(2, field(2, text('t'))));
    expect(said(joinBytes([network(), Uint8Array.from(fn)]))).toEqual([
      'onnx',
      'flagged onnx-functions: defines 1 functions of its own: "f"',
    ]);
    expect(said(joinBytes([network(), Uint8Array.from(training)]))).toEqual([
      'onnx',
      'flagged onnx-training: carries instructions for training on, which inference never needs',
    ]);
  });

  it('an answer that a test on the raw input chooses is flagged, a mask computed by weights is not', () => {
    const trigger = (raw: boolean): Uint8Array =>
      network((b, x) => {
        const w = b.initializer('w', f32(new Float32Array(16).fill(0.1), [4, 4]));
        const y = b.op('MatMul', [x, w]);
        const corner = b.op('Slice', [
          raw ? x : y,
          b.initializer('s', i64([0])),
          b.initializer('e', i64([1])),
          b.initializer('a', i64([1])),
        ]);
        const hit = b.op('Equal', [corner, b.initializer('one', f32([1], []))]);
        return b.op('Where', [hit, b.initializer('target', f32([0, 0, 9, 0], [4])), y]);
      });
    expect(said(trigger(true))[1]).toMatch(
      /^flagged onnx-output-switch: .*Where.* chooses what the network answers by a test on the input that no weights are part of/,
    );
    expect(said(trigger(false))).toEqual(['onnx']);
  });

  it.each<[string, Uint8Array, RegExp]>([
    [
      'dimensions that overflow',
      model(
        Uint8Array.from([
          ...field(5, number(1, 2 ** 40), number(1, 2 ** 40), number(2, 1), field(8, text('w'))),
          ...field(12, field(1, text('w'))),
        ]),
      ),
      /^refused onnx: tensor too large, expected at most 2\^53 elements/,
    ],
    ['a file that is cut off', network().subarray(0, 60), /^refused onnx: the file is cut off, expected at least \d+ bytes, got 60$/],
    [
      'a small file that asks for gigabytes',
      network((b) =>
        b.op('Expand', [b.op('ConstantOfShape', [b.initializer('n', i64([60000, 60000]))]), b.initializer('m', i64([60000, 60000]))]),
      ),
      /^refused onnx: /,
    ],
    ['other bytes of that name', Uint8Array.of(1, 2, 3, 4), /^refused onnx: not an ONNX model, got other bytes$/],
  ])('%s', (_, bytes, says) => expect(said(bytes)[1]).toMatch(says));
});

describe('external data', () => {
  it.each<[string, readonly (readonly [string, string])[], string]>([
    [
      'a path that goes up',
      [['location', 'sub/../../../etc/passwd']],
      'external data "sub/../../../etc/passwd" lies outside the folder of the model, got a path that goes up',
    ],
    [
      'an absolute path',
      [['location', '/etc/passwd']],
      'external data "/etc/passwd" lies outside the folder of the model, got an absolute path',
    ],
    ['a backslash', [['location', 'a\\b']], 'external data "a\\b" lies outside the folder of the model, got a path with backslashes'],
    [
      'a negative offset',
      [
        ['location', 'w.bin'],
        ['offset', '-1'],
      ],
      'external data with a bad offset, expected a whole number of bytes, got "-1"',
    ],
    [
      'an absurd length',
      [
        ['location', 'w.bin'],
        ['length', '1000000000000000000'],
      ],
      'external data with a bad length, expected a whole number of bytes, got "1000000000000000000"',
    ],
    [
      'an unknown key',
      [
        ['location', 'w.bin'],
        ['__class__', 'x'],
      ],
      'external data with a bad entry, expected each at most once of location, offset, length, checksum, basepath, got "__class__"',
    ],
  ])('%s', (_, entries, says) => {
    const [kind, ...findings] = said(external(entries));
    expect([kind, findings[0]]).toEqual(['onnx', `refused onnx: ${says}`]);
  });

  it('that was not looked at is told', () => {
    expect(said(external([['location', 'w.bin']]))).toEqual([
      'onnx',
      'flagged onnx-external: keeps 1 tensors in files beside it, which were not looked at',
    ]);
  });

  it('on disk: there, cut off, a link, a hard link, a pipe', async () => {
    const at = folder();
    const path = join(at, 'model.onnx');
    writeFileSync(join(at, 'w.bin'), new Uint8Array(16));
    writeFileSync(join(at, 'short.bin'), new Uint8Array(12));
    symlinkSync('/etc/passwd', join(at, 'link.bin'));
    writeFileSync(join(at, 'hard.bin'), new Uint8Array(16));
    linkSync(join(at, 'hard.bin'), join(at, 'other.bin'));
    execFileSync('mkfifo', [join(at, 'pipe.bin')]);
    const found = async (location: string): Promise<string[]> => {
      writeFileSync(path, external([['location', location]]));
      return lines(await lintFile(path));
    };
    expect(await found('w.bin')).toEqual(['onnx']);
    expect((await found('short.bin'))[1]).toBe('refused onnx: external data "short.bin" is cut off, expected at least 16 bytes, got 12');
    expect((await found('missing.bin'))[1]).toBe(
      `refused onnx: external data "missing.bin" is missing, expected the file ${join(at, 'missing.bin')}`,
    );
    expect((await found('link.bin'))[1]).toBe(
      `refused onnx: external data "link.bin" lies outside the folder of the model, expected a file below ${at}, got a link to /etc/passwd`,
    );
    expect((await found('hard.bin'))[1]).toBe('refused onnx: external data "hard.bin", expected a plain file of its own, got a hard link');
    expect((await found('pipe.bin'))[1]).toBe(
      'refused onnx: external data "pipe.bin", expected a plain file of its own, got something else',
    );
  });

  it('gigabytes of it take no memory, and raw numbers are what their model says', async () => {
    const at = folder();
    const dims = [2 ** 15, 2 ** 14];
    const tensor = [
      ...dims.map((d) => number(1, d)),
      number(2, 1),
      field(8, text('w')),
      field(13, field(1, text('location')), field(2, text('big.bin'))),
      number(14, 1),
    ];
    writeFileSync(join(at, 'model.onnx'), model(new Uint8Array([...field(5, ...tensor), ...field(12, field(1, text('w')))])));
    execFileSync('truncate', ['-s', String(4 * dims[0] * dims[1]), join(at, 'big.bin')]);
    expect(lines(await lintFile(join(at, 'model.onnx')))).toEqual(['onnx']);
    expect(lines(await lintFile(join(at, 'big.bin')))).toEqual(['onnx-data']);
    execFileSync('truncate', ['-s', '-1', join(at, 'big.bin')]);
    expect((await lintFile(join(at, 'model.onnx'))).verdict).toBe('refused');
  });

  it('weights that are an evil pickle are refused although a model names them', async () => {
    const at = folder();
    writeFileSync(join(at, 'model.onnx'), external([['location', 'w.bin']]));
    writeFileSync(join(at, 'w.bin'), goldenFile('evil2.pkl'));
    expect(lines(await lintFile(join(at, 'w.bin')))).toEqual([
      'pickle',
      'refused pickle-global: imports and calls "posix.system", which is not on the list of what data need',
    ]);
    writeFileSync(join(at, 'w.bin'), Uint8Array.of(0x80, 2, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    expect(lines(await lintFile(join(at, 'w.bin')))).toEqual(['onnx-data']);
  });
});

describe('folders', () => {
  it('a SavedModel, an unpacked checkpoint, a folder of several models', async () => {
    const at = folder();
    const put = (name: string, bytes: Uint8Array): void => {
      mkdirSync(dirname(join(at, name)), { recursive: true });
      writeFileSync(join(at, name), bytes);
    };
    put('tf/saved_model.pb', goldenFile('saved_model.pb'));
    put('tf/variables/variables.data-00000-of-00001', Uint8Array.of(1, 2, 3));
    put('tf/variables/variables.index', Uint8Array.of(1, 2, 3));
    put('pt/data.pkl', goldenFile('data2.pkl'));
    put('pt/data/0', Uint8Array.of(1, 2, 3));
    expect(lines(await lintFile(join(at, 'tf')))).toEqual([
      'saved-model',
      `flagged saved-model: "saved_model.pb": a TensorFlow graph, which is a program; TensorFlow itself says to run strangers' ones in a sandbox only`,
    ]);
    expect(lines(await lintFile(join(at, 'pt')))).toEqual(['torch-zip']);
    symlinkSync('/etc/passwd', join(at, 'link'));
    put('.git/config', text('x'));
    expect((await lintFolder(at)).map(({ path, report }) => `${path} ${report.kind} ${report.verdict}`)).toEqual([
      'link unknown refused',
      'pt/data.pkl pickle ok',
      'pt/data/0 torch-zip ok',
      'tf/saved_model.pb saved-model flagged',
      'tf/variables/variables.data-00000-of-00001 saved-model ok',
      'tf/variables/variables.index saved-model ok',
    ]);
  });

  it('paths that cannot be looked at', async () => {
    const at = folder();
    symlinkSync('/etc/passwd', join(at, 'link'));
    execFileSync('mkfifo', [join(at, 'pipe')]);
    await expect(lintFile(join(at, 'nothing'))).rejects.toThrow(`E_LINT ${join(at, 'nothing')}: no such file or folder.`);
    await expect(lintFile(join(at, 'link'))).rejects.toThrow(
      `E_LINT ${join(at, 'link')}: is no plain file, expected a file or a folder, got a symbolic link.`,
    );
    await expect(lintFile(join(at, 'pipe'))).rejects.toThrow(
      `E_LINT ${join(at, 'pipe')}: is no plain file, expected a file or a folder, got a pipe.`,
    );
  });
});
