/** Files of one format that another loader runs as a pickle: each was built and really ran its call in Python, or crashed it. */
import { gzipSync, zlibSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { joinBytes } from '../../src/core/bytes.ts';
import { bytesSource } from '../../src/data/zip.ts';
import { lintBytes } from '../../src/zoo/lint/lint.ts';

const latin = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const u64 = (...values: number[]): Uint8Array => new Uint8Array(BigUint64Array.from(values, BigInt).buffer);
const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const said = (bytes: string | Uint8Array, name = 'pytorch_model.bin'): string[] => {
  const { kind, findings } = lintBytes(bytesSource(typeof bytes === 'string' ? latin(bytes) : bytes), name);
  return [kind, ...findings.map((f) => `${f.verdict} ${f.rule}: ${f.says}`)];
};
const EVIL = "cos\nsystem\n(S'id'\ntR.";
const POLYGLOT = 'refused polyglot: is also a pickle from its first byte on, which programs that load pickles run';

describe('pickles with the mark of another format', () => {
  it('a picture', () => expect(said(`GIF89a\u0001\u0000\u00010${EVIL}`)).toEqual(['other', POLYGLOT]));

  it('a whole safetensors file: its length is the opcode of a text up to the end of the header', () => {
    const data = latin(`0${EVIL}`);
    const header = `{"a":{"dtype":"U8","shape":[${data.length}],"data_offsets":[0,${data.length}]}`;
    const padded = `${header.padEnd(256 + 0x56 - 2)}\n}`;
    expect(said(joinBytes([u64(padded.length), latin(padded), data]), 'a.safetensors')).toEqual(['safetensors', POLYGLOT]);
  });

  it('an ONNX model that begins with fields which are opcodes', () => {
    const field = (no: number, ...parts: Uint8Array[]): Uint8Array => {
      const body = joinBytes(parts);
      return joinBytes([Uint8Array.of(no * 8 + 2, body.length), body]);
    };
    const value = (name: string): Uint8Array =>
      joinBytes([field(1, latin(name)), field(2, field(1, Uint8Array.of(8, 1), field(2, field(1, Uint8Array.of(8, 1)))))]);
    const node = joinBytes([field(1, latin('x')), field(2, latin('y')), field(4, latin('Relu'))]);
    const graph = field(7, field(1, node), field(2, latin('g')), field(11, value('x')), field(12, value('y')));
    const model = joinBytes([Uint8Array.of(8, 8), field(8, Uint8Array.of(16, 13)), graph]);
    expect(said(model, 'a.onnx')).toEqual(['onnx']);
    const doc = `\u0001x0${EVIL}`.padEnd(0x55);
    expect(said(joinBytes([latin(`(N2U${doc}`), model]), 'a.onnx')).toEqual(['onnx', POLYGLOT]);
  });

  it('a GGUF file', () => {
    const tensors = 0x5600;
    const text = (t: string): Uint8Array => joinBytes([u64(t.length), latin(t)]);
    const parts = [latin('GGUF'), u32(3), u64(tensors, 1), text(`k\n0${EVIL}`), u32(8), text('v')];
    for (let i = 0; i < tensors; i++) parts.push(text(String(i)), u32(0, 0), u64(0));
    expect(said(joinBytes([...parts, new Uint8Array(64)]), 'a.gguf')).toEqual(['gguf', POLYGLOT]);
  });

  it.each([128, 384, 640, 896, 1152, 1408])('safetensors with a header of %i bytes is no pickle', (length) => {
    const header = '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'.padEnd(length);
    expect(said(joinBytes([u64(length), latin(header), Uint8Array.of(0)]), 'a.safetensors')).toEqual(['safetensors']);
  });
});

describe('pickles without mark that look like texts', () => {
  it.each<[string, string]>([
    ['an import that fails behind the call', `${EVIL.slice(0, -1)}0c bad mod\nx\n.`],
    ['a memo number with a sign', `S'x'\np+1\n${EVIL}`],
    ['a memo number with an underscore', `S'x'\np1_0\n${EVIL}`],
    ['a memo number with many zeros', `S'x'\np${'0'.repeat(40)}1\n${EVIL}`],
    ['a number that goes on behind a NUL', `I1\u0000zz\n0${EVIL}`],
    ['a fraction that goes on behind a NUL', `F1.5\u0000zz\n0${EVIL}`],
    ['a call behind a value', `I1\n.${EVIL}`],
    ['a call behind the number of old PyTorch checkpoints', `L119547037146038801333356L\n.${EVIL}`],
  ])('%s', (_, text) => {
    expect(said(text)[0]).toBe('pickle');
    expect(said(text).join('\n')).toContain('imports and calls "os.system"');
  });

  it.each(['N', '('])('more %j than this walk follows', (letter) => {
    const [kind, first] = said(`${letter.repeat(1_100_000)}${EVIL}`);
    expect(kind).toBe('pickle');
    expect(first).toMatch(/^refused pickle-broken: is no whole pickle at byte 1048\d{3}: more than 1048576/);
  });

  it('names with escapes, and bytes behind the end', () => {
    expect(said("S'\\x6fs'\nS'system'\n\u0093(S'id'\ntR.\u0000junk")).toEqual([
      'pickle',
      'refused pickle-unresolved: imports something whose name cannot be told from the file',
      'flagged pickle-trailing: 5 bytes stand behind the end of the pickle, which loading it does not read',
    ]);
  });

  it('texts stay texts', () => {
    for (const text of ['I1\n. and so on\n', 'N.\nmore', 'cat\ndog\nfish\n', 'p+1\n', 'Np+1\n'])
      expect(said(text, 'a.txt')[0]).toBe('other');
  });
});

describe('element types of NumPy', () => {
  const dtype = (name: string, flags: number, fields = 'NNN', size = '\u00ff\u00ff\u00ff\u00ff'): string =>
    `cnumpy\ndtype\nU\u0002${name}K\u0000K\u0001\u0087R(K\u0003U\u0001|${fields}J${size}J\u00ff\u00ff\u00ff\u00ffK${String.fromCharCode(flags)}tb`;
  const array = (type: string, data: string): string =>
    `cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\u0000\u0085C\u0001b\u0087R(K\u0001K\u0001\u0085${type}\u0089${data}tb`;
  const FORGED = 'refused pickle-numpy: gives a NumPy type a state by which bytes are taken for addresses of objects';
  const bytes = 'C\bAAAAAAAA';

  it('objects that say that they are none', () => {
    expect(said(`\u0080\u0002${array(dtype('O8', 0), bytes)}.`)).toEqual(['pickle', FORGED]);
    expect(said(`\u0080\u0002${array(dtype('O8', 63), ']Na')}.`)).toEqual(['pickle']);
  });

  it.each([
    ['a tuple', 'h\u0001K\u0000\u0086'],
    ['a tuple that a call makes', 'cbuiltins\ntuple\n](h\u0001K\u0000e\u0085R'],
  ])('a record with a field of objects that says that it has none, through %s', (_, field) => {
    const record = dtype('V8', 16, `NU\u0001a\u0085}U\u0001a${field}s`, '\b\u0000\u0000\u0000');
    expect(said(`\u0080\u0002${dtype('O8', 63)}q\u00010${array(record, bytes)}.`)).toEqual(['pickle', FORGED]);
  });

  it('records of numbers beside an array of objects are nothing', () => {
    const record = dtype(
      'V8',
      16,
      `NU\u0001a\u0085}U\u0001acnumpy\ndtype\nU\u0002f8K\u0000K\u0001\u0087RK\u0000\u0086s`,
      '\b\u0000\u0000\u0000',
    );
    expect(said(`\u0080\u0002(${array(dtype('O8', 63), ']Na')}${array(record, bytes)}t.`)).toEqual(['pickle']);
  });

  it('an array over bytes', () => {
    expect(said(`\u0080\u0002cnumpy\nndarray\nK\u0001\u0085U\u0001O${bytes}\u0087R.`)).toEqual([
      'pickle',
      'refused pickle-numpy: lays an array over bytes or memory, which NumPy itself never writes',
    ]);
  });

  it('a vocabulary of any size may stand before an array', () => {
    const words = Array.from({ length: 210_000 }, (_, i) => `\u008c\u0006${String(i).padStart(6, '0')}\u0094`).join('');
    const name = (text: string): string => `\u008c${String.fromCharCode(text.length)}${text}\u0094`;
    const again = `j${String.fromCharCode(...new Uint8Array(u32(210_000)))}`;
    const arrays = `${name('numpy')}${name('float64')}\u0093${again}\u008c\u0007float32\u0093`;
    expect(said(`\u0080\u0004(${words}${arrays}t.`)).toEqual(['pickle']);
  });
});

describe('archives of another kind', () => {
  const member = (name: string, data: string, ustar = true): Uint8Array => {
    const block = new Uint8Array(512 + Math.ceil(data.length / 512) * 512);
    block.set(latin(name), 0);
    block.set(latin(data.length.toString(8).padStart(11, '0')), 124);
    if (ustar) block.set(latin('ustar\u000000'), 257);
    block.set(latin(' '.repeat(8)), 148);
    const sum = block.subarray(0, 512).reduce((n, b) => n + b, 0);
    block.set(latin(`${sum.toString(8).padStart(6, '0')}\u0000 `), 148);
    block.set(latin(data), 512);
    return block;
  };
  const old = (ustar: boolean): Uint8Array[] =>
    ['sys_info', 'storages', 'tensors', 'pickle'].map((name) => member(name, name === 'pickle' ? EVIL : 'K\u0000.', ustar));
  const TORCH =
    'refused torch-tar: a PyTorch checkpoint of before 2017 in a tar archive, of several pickles that are no longer looked through';

  it('an old PyTorch checkpoint, by its mark and by its checksum alone', () => {
    for (const ustar of [true, false]) {
      const found = said(joinBytes([...old(ustar), new Uint8Array(1024)]));
      expect(found).toContain(TORCH);
      expect(found).toContain(
        `${'refused pickle-global: "pickle": imports and calls "os.system"'}, which is not on the list of what data need`,
      );
    }
  });

  it('one that begins like a picture, by the name of its first member', () => {
    const found = said(joinBytes([member('GIF89a', ''), ...old(true)]));
    expect(found[0]).toBe('other');
    expect(found).toContain('refused polyglot: is also a tar archive, which old PyTorch checkpoints are');
    expect(found).toContain(TORCH);
  });

  it('pickles in gzip and zlib, and names that say so for what is not looked into', () => {
    for (const packed of [gzipSync(latin(EVIL), { mtime: 0 }), zlibSync(latin(EVIL))])
      expect(said(packed)).toEqual([
        'unknown',
        'refused packed-pickle: a compressed pickle, which some loaders unpack and run',
        'flagged packed: compressed as a whole, and not looked into',
      ]);
    expect(said(gzipSync(latin('a text'), { mtime: 0 }))).toEqual([
      'unknown',
      'flagged packed: compressed as a whole, and not looked into',
    ]);
    expect(said('BZh91AY&SY', 'weights.pkl.bz2')[1]).toBe(
      'refused extension: named .pkl, which is compressed; its loader unpacks it and runs the pickle inside',
    );
  });
});

it('a tensor of few bits names how it is to be read', () => {
  expect(said('\u0080\u0002ctorch\nper_tensor_affine\n.')).toEqual(['pickle']);
  expect(said('\u0080\u0002ctorch\nload\n.')[1]).toBe(
    'refused pickle-global: imports "torch.load", which is not on the list of what data need',
  );
});
