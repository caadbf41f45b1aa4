/** Archives that readers disagree on, headers that lie, two formats in one file: each told by its own rule. */
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { joinBytes } from '../../src/core/bytes.ts';
import { bytesSource } from '../../src/data/zip.ts';
import { lintBytes } from '../../src/zoo/lint/lint.ts';
import { LINT_BOMBS } from './lint-bombs.ts';
import { goldenFile } from './lint-golden.ts';

const latin = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const said = (bytes: Uint8Array, name = 'file'): string[] => {
  const { kind, findings } = lintBytes(bytesSource(bytes), name);
  return [kind, ...findings.map((f) => `${f.verdict} ${f.rule}: ${f.says}`)];
};
/** Rules of the refusals alone. */
const refusals = (bytes: Uint8Array, name?: string): string[] => [
  ...new Set(said(bytes, name).flatMap((line) => /^refused ([\w-]+):/.exec(line)?.[1] ?? [])),
];
const EVIL = latin('\u0080\u0004cos\nsystem\n)R.');
const FINE = latin('\u0080\u0004N.');
const zip = (files: Record<string, Uint8Array>, level: 0 | 6 = 0): Uint8Array => zipSync(files, { level, mtime: new Date(1980, 0, 1) });

/** Offset of the n-th of a four-byte mark. */
function find(bytes: Uint8Array, mark: string, n = 0): number {
  const wanted = latin(mark);
  for (let at = 0, seen = 0; at + 4 <= bytes.length; at++) {
    if (wanted.every((b, i) => bytes[at + i] === b) && seen++ === n) return at;
  }
  throw new Error('not there');
}
const changed = (bytes: Uint8Array, at: number, ...values: number[]): Uint8Array => {
  const copy = bytes.slice();
  copy.set(values, at);
  return copy;
};

describe('zip archives', () => {
  const torch = zip({ 'a/data.pkl': FINE, 'a/version': latin('3\n') });
  const local = find(torch, 'PK\u0003\u0004');
  const central = find(torch, 'PK\u0001\u0002');
  const end = find(torch, 'PK\u0005\u0006');

  it('a plain one is ok', () => expect(said(torch, 'a.pt')).toEqual(['torch-zip']));

  it.each<[string, string, Uint8Array]>([
    ['the flag of encryption in both headers', 'zip-encrypted', changed(changed(torch, local + 6, 1), central + 8, 1)],
    ['the flag of encryption in one header', 'zip-headers', changed(torch, central + 8, 1)],
    ['another name in the first header', 'zip-headers', changed(torch, local + 30, 0x62)],
    ['another size in the first header', 'zip-headers', changed(torch, local + 22, 3)],
    ['another compression', 'zip-headers', changed(torch, central + 10, 8)],
    ['a compression that nobody looks into', 'zip-method', changed(changed(torch, local + 8, 99), central + 10, 99)],
    ['a wrong checksum in both headers', 'zip-checksum', changed(changed(torch, local + 14, 1, 2, 3, 4), central + 16, 1, 2, 3, 4)],
    ['a changed content', 'zip-checksum', changed(torch, local + 30 + 10, 0x81)],
    ['bytes behind its end', 'zip-trailing', joinBytes([torch, latin('x')])],
    ['one entry less in its directory', 'zip-hidden', changed(torch, end + 8, 1, 0, 1, 0)],
    ['a directory that is not there', 'zip-broken', torch.subarray(0, end)],
    ['a symbolic link', 'zip-link', changed(torch, central + 38, 0, 0, 0xff, 0xa1)],
    ['bytes before the first entry', 'zip-broken', joinBytes([latin('PK\u0003\u0004'), torch])],
    ['names that lead elsewhere', 'zip-name', zip({ '../data.pkl': FINE })],
    ['names with backslashes', 'zip-name', zip({ 'a\\data.pkl': FINE })],
    ['names that are one on other disks', 'zip-twice', zip({ 'a/data.pkl': FINE, 'A/data.pkl': FINE })],
    ['two checkpoints', 'torch-two-roots', zip({ 'a/data.pkl': FINE, 'b/data.pkl': FINE })],
    ['code beside', 'torchscript', zip({ 'a/data.pkl': FINE, 'a/code/x.py': latin('1\n') })],
    ['an evil pickle beside', 'pickle-global', zip({ 'a/data.pkl': FINE, 'a/other.pkl': EVIL })],
    ['an evil pickle of another name', 'pickle-global', zip({ 'a/data.pkl': FINE, 'a/extra': EVIL })],
    ['an evil pickle in an archive within', 'pickle-global', zip({ 'a/data.pkl': FINE, 'a/in.zip': zip({ 'b/data.pkl': EVIL }) })],
    ['an evil pickle, compressed', 'pickle-global', zip({ 'a/data.pkl': EVIL }, 6)],
    ['TorchServe', 'torch-archive', zip({ 'MAR-INF/MANIFEST.json': latin('{}'), 'model.pt': FINE })],
    ['a pickle in the place of an array', 'npy-objects', zip({ 'a.npy': EVIL })],
    ['text in the place of an array', 'npy', zip({ 'a.npy': latin('hello') })],
  ])('%s', (_, rule, bytes) => expect(refusals(bytes, 'a.pt')).toContain(rule));

  it('the memory that the pickle names must be there, whole', () => {
    const bytes = goldenFile('state.pt');
    const name = latin('state/data/0');
    const at = [0, 1].map((n) => {
      let seen = 0;
      for (let i = 0; i < bytes.length; i++)
        if (name.every((b, k) => bytes[i + k] === b) && bytes[i + 12] !== 0x30 && seen++ === n) return i;
      throw new Error('not there');
    });
    const renamed = changed(changed(bytes, at[0] + 11, 0x39), at[1] + 11, 0x39);
    expect(refusals(renamed, 'a.pt')).toEqual(['torch-storage']);
  });

  it('an archive that also is a pickle, and one behind an ONNX file', () => {
    expect(said(joinBytes([FINE, torch]))).toEqual([
      'pickle',
      'refused polyglot: is also a zip archive, read from its end',
      `flagged pickle-trailing: ${torch.length} bytes stand behind the end of the pickle, which loading it does not read`,
    ]);
    expect(refusals(joinBytes([new Uint8Array(512).fill(0x20), goldenFile('weights.h5')]), 'labels.txt')).toEqual([]);
    expect(
      refusals(joinBytes([goldenFile('data4.pkl'), new Uint8Array(4096 - goldenFile('data4.pkl').length), goldenFile('weights.h5')])),
    ).toEqual(['polyglot']);
  });
});

describe('safetensors', () => {
  const file = (header: string, body = 0): Uint8Array => {
    const text = utf8(header);
    return joinBytes([new Uint8Array(BigUint64Array.of(BigInt(text.length)).buffer), text, new Uint8Array(body)]);
  };
  const tensor = (name: string, begin: number, end: number, shape = `[${end - begin}]`, dtype = 'U8'): string =>
    `"${name}":{"dtype":"${dtype}","shape":${shape},"data_offsets":[${begin},${end}]}`;
  it.each<[string, Uint8Array, string]>([
    [
      'a hole',
      file(`{${tensor('a', 0, 2)},${tensor('b', 3, 4)}}`, 4),
      'bytes that belong to no tensor before "b", expected it to begin at 2, got 3',
    ],
    [
      'an overlap',
      file(`{${tensor('a', 0, 2)},${tensor('b', 1, 4)}}`, 4),
      'tensor "b" shares bytes with another, expected it to begin at 2, got 1',
    ],
    [
      'bytes behind',
      file(`{${tensor('a', 0, 2)}}`, 4),
      'bytes behind the last tensor that belong to none, expected 2 bytes of tensors, got 4',
    ],
    [
      'a tensor beyond the end',
      file(`{${tensor('a', 0, 8)}}`, 4),
      'tensor "a" goes on after the end of the file, expected at most 4 bytes of tensors, got 8',
    ],
    ['a shape that does not fit', file(`{${tensor('a', 0, 4, '[2]')}}`, 4), 'tensor "a" does not fit its shape, expected 2 bytes, got 4'],
    [
      'an overflowing shape',
      file(`{${tensor('a', 0, 4, '[4294967296,4294967296,4294967296]')}}`, 4),
      'tensor "a" is too large, expected at most 2^57 bytes, got more',
    ],
    ['an unknown type', file(`{${tensor('a', 0, 4, '[4]', 'PICKLE')}}`, 4), 'tensor "a" has an unknown element type, expected BOOL, U8'],
    [
      'the same name twice',
      file(`{${tensor('a', 0, 2)},${tensor('a', 2, 4)}}`, 4),
      'the same key twice in one object, expected each key once, got a second "a"; the first is in line 1',
    ],
    [
      'an unknown field',
      file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"__class__":"x"}}'),
      'an unknown field, expected one of dtype, shape, data_offsets, got "__class__"',
    ],
    ['metadata that is no text', file('{"__metadata__":{"a":1}}'), '"a" is not right, expected a string, got 1'],
    ['a header beyond the end', changed(file('{}'), 0, 99), 'header goes on after the end of the file, expected at most 2 bytes, got 99'],
    [
      'a header of absurd length',
      changed(file('{}'), 0, 0xff, 0xff, 0xff, 0xff, 0xff),
      'header too long, expected at most 25000000 bytes, got 1099511627775',
    ],
    [
      'a negative size',
      file(`{${tensor('a', 0, 4, '[-4]')}}`, 4),
      'entry 1 of "shape" is not right, expected a whole number, 0 to 9007199254740991, got -4',
    ],
  ])('%s', (_, bytes, says) => {
    const [kind, first, ...more] = said(bytes, 'w.safetensors');
    expect([kind, more]).toEqual(['safetensors', []]);
    expect(first.startsWith(`refused safetensors: ${says}`)).toBe(true);
  });
});

describe('NumPy arrays', () => {
  const npy = (header: string, body = 0): Uint8Array =>
    joinBytes([
      latin('\u0093NUMPY\u0001\u0000'),
      new Uint8Array(Uint16Array.of(header.length).buffer),
      latin(header),
      new Uint8Array(body),
    ]);
  const of = (descr: string, shape = '(2,)'): string => `{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }\n`;
  it.each<[string, Uint8Array, readonly string[]]>([
    ['an array', npy(of("'<f4'"), 8), []],
    ['elements that are missing', npy(of("'<f4'"), 7), ['refused npy: ends early, expected 8 bytes of elements, got 7']],
    ['elements too many', npy(of("'<f4'"), 9), ['flagged npy-trailing: 1 bytes stand behind the last element']],
    [
      'objects in a record',
      npy(of("[('a', '<f4'), ('b', [('c', '|O')])]"), 0),
      ['refused npy-objects: an array of objects, which are a pickle behind the header and run code when they are read'],
    ],
    [
      'a header that computes',
      npy(of("__import__('os').system('id')")),
      ["refused npy: header that is no plain Python value, got \"__import__('os').system('id'), 'fortran_\""],
    ],
    [
      'sizes that overflow',
      npy(of("'<f4'", '(4294967296, 4294967296)')),
      ['refused npy: array too large, expected at most 2^60 elements, got more'],
    ],
    ['a negative size', npy(of("'<f4'", '(-1,)')), ['refused npy: shape is no tuple of sizes']],
    [
      'a key too many',
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0,), 'x': 1}"),
      ['refused npy: header of other keys, expected descr, fortran_order, shape, got "descr fortran_order shape x"'],
    ],
  ])('%s', (_, bytes, says) => expect(said(bytes, 'a.npy')).toEqual(['npy', ...says]));
});

describe('texts, programs and names', () => {
  it.each<[string, string, Uint8Array, readonly string[]]>([
    ['a readme', 'README.md', utf8('# Model\n'), ['other']],
    [
      'nothing',
      'a.onnx',
      new Uint8Array(),
      ['unknown', 'flagged empty: an empty file', 'flagged extension: named .onnx, but is something unknown'],
    ],
    [
      'a Git LFS pointer',
      'a.onnx',
      utf8('version https://git-lfs.github.com/spec/v1\noid sha256:1\n'),
      [
        'other',
        'flagged lfs-pointer: a Git LFS pointer and not the file that it stands for',
        'flagged extension: named .onnx, but is a text or picture',
      ],
    ],
    [
      'a login page',
      'a.safetensors',
      utf8('<!DOCTYPE html><html></html>'),
      [
        'other',
        'flagged web-page: a web page, as servers send in place of a file that they do not give out',
        'flagged extension: named .safetensors, but is a text or picture',
      ],
    ],
    [
      'a library',
      'op.so',
      joinBytes([latin('\u007fELF'), new Uint8Array(60)]),
      ['unknown', 'refused native-code: a program or library for the machine'],
    ],
    [
      'code of a repository',
      'modeling.py',
      utf8('import os\n'),
      ['other', 'flagged source-code: a program, which some loaders run (trust_remote_code)'],
    ],
    [
      'a configuration that names code',
      'config.json',
      utf8('{"auto_map": {"AutoModel": "x.Y"}}'),
      ['other', 'flagged remote-code: names Python files to be run by the loader ("auto_map")'],
    ],
    [
      'a compressed pickle',
      'a.pkl',
      Uint8Array.of(0x1f, 0x8b, 8, 0),
      [
        'unknown',
        'refused extension: named .pkl, which is compressed; its loader unpacks it and runs the pickle inside',
        'flagged packed: compressed as a whole, and not looked into',
      ],
    ],
    [
      'a layer of Python in pieces and escapes',
      'net.prototxt',
      utf8('layer {\n  type: "Py" \'\\164hon\'\n  python_param { module: "evil" }\n}\n'),
      ['prototxt', 'flagged caffe-python: has a layer of type "Python", which imports a module by name and runs it: "evil"'],
    ],
    [
      'a layer of Python far behind',
      'net.prototxt',
      utf8(`layer {}\n${'# comment\n'.repeat(120_000)}layer { type: "Python" }\n`),
      ['prototxt', 'flagged caffe-python: has a layer of type "Python", which imports a module by name and runs it'],
    ],
    ['a comment that speaks of one', 'net.prototxt', utf8('layer {\n # type: "Python"\n type: "ReLU"\n}\n'), ['prototxt']],
    [
      'a name that would move the cursor',
      'a.txt',
      zip({ '\u001b[31mdata.pkl': EVIL }),
      [
        'unknown',
        'refused pickle-global: "\\u001b[31mdata.pkl": imports and calls "os.system", which is not on the list of what data need',
        'flagged unknown-format: a zip archive of no kind of model that is known here',
        'flagged extension: named .txt, but is something unknown',
      ],
    ],
  ])('%s', (_, name, bytes, expected) => expect(said(bytes, name)).toEqual(expected));
});

describe('files made to take long', () => {
  it.each(Object.keys(LINT_BOMBS).filter((name) => /zip of entries|in zip|tuples in tuples|hdf5|not closed/.test(name)))('%s', (name) => {
    const { kind, findings } = lintBytes(bytesSource(LINT_BOMBS[name]()), 'file');
    expect(kind === 'pickle' || kind === 'hdf5' || findings.length > 0).toBe(true);
  });
});
