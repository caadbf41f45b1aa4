/** Files of some ten megabytes, each made to take long or much memory to look through. */
import { deflateSync, zipSync } from 'fflate';
import { joinBytes } from '../../src/core/bytes.ts';

const MB10 = 9_900_000;

const latin = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const repeated = (piece: Uint8Array, size = MB10): Uint8Array => {
  const out = new Uint8Array(Math.floor(size / piece.length) * piece.length);
  for (let at = 0; at < out.length; at += piece.length) out.set(piece, at);
  return out;
};
const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const u16 = (...values: number[]): Uint8Array => new Uint8Array(Uint16Array.from(values).buffer);
const u64 = (...values: number[]): Uint8Array => new Uint8Array(BigUint64Array.from(values, BigInt).buffer);
const pickle = (piece: string, before = '', after = ''): Uint8Array =>
  joinBytes([latin(`\u0080\u0004${before}`), repeated(latin(piece)), latin(after)]);

const safetensors = (header: string): Uint8Array => joinBytes([u64(header.length), latin(header)]);

/** Entries of which all say that they are the same bytes. */
function overlapping(count: number): Uint8Array {
  const data = deflateSync(new Uint8Array(1_500_000));
  const crc = 0;
  const local = joinBytes([u32(0x04034b50), u16(20, 0, 8, 0, 0), u32(crc, data.length, 1_500_000), u16(1, 0), latin('x'), data]);
  const central = Array.from({ length: count }, (_, i) => {
    const name = latin(`${i}.npy`);
    return joinBytes([
      u32(0x02014b50),
      u16(20, 20, 0, 8, 0, 0),
      u32(crc, data.length, 1_500_000),
      u16(name.length, 0, 0, 0, 0),
      u32(0, 0),
      name,
    ]);
  });
  const table = joinBytes(central);
  return joinBytes([local, table, u32(0x06054b50), u16(0, 0, count, count), u32(table.length, local.length), u16(0)]);
}

const zip = (files: Record<string, Uint8Array>, level: 0 | 9): Uint8Array => zipSync(files, { level, mtime: new Date(1980, 0, 1) });

function nested(depth: number): Uint8Array {
  let inner: Uint8Array = repeated(latin('.'), 1000);
  for (let i = 0; i < depth; i++) inner = zip({ 'data.pkl': latin('\u0080\u0004N.'), 'in.zip': inner }, 0);
  return inner;
}

/** An old object header that is full of empty messages, or of blocks that go on in each other. */
function hdf5(messages: Uint8Array): Uint8Array {
  const mark = Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a);
  const head = joinBytes([
    mark,
    Uint8Array.of(0, 0, 0, 0, 0, 8, 8, 0),
    u16(4, 16),
    u32(0),
    u64(0, 2 ** 53, MB10, 2 ** 53, 0, 96),
    new Uint8Array(24),
  ]);
  const header = joinBytes([head.subarray(0, 96), Uint8Array.of(1, 0), u16(1), u32(1, messages.length), u32(0), messages]);
  return header;
}

/** Attributes of which each is the last text of the same heap. */
function heapOfTexts(attributes: number, texts: number): Uint8Array {
  const length = attributes * 64;
  const heap = joinBytes([
    latin('GCOL'),
    u32(1),
    u64(16 + texts * 24),
    ...Array.from({ length: texts }, (_, i) => joinBytes([u16(i + 1, 0), u32(0), u64(1, 120)])),
  ]);
  const attribute = (i: number): Uint8Array =>
    joinBytes([
      ...[u16(0x0c, 56, 0, 0), u16(1, 8, 16, 8), latin(`${String(i).padStart(6, '0')}\0\0`)],
      ...[Uint8Array.of(0x19, 1, 0, 0), u32(16), Uint8Array.of(0x13, 0, 0, 0), u32(1), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)],
      ...[u32(1), u64(112 + length), u32(texts)],
    ]);
  return joinBytes([hdf5(joinBytes(Array.from({ length: attributes }, (_, i) => attribute(i)))), heap]);
}

/** Name -> how to make it. */
export const LINT_BOMBS: Readonly<Record<string, () => Uint8Array>> = {
  'pickle of lists that stay on the stack': () => pickle(']'),
  'pickle of marks': () => pickle('('),
  'pickle of values taken off again': () => pickle('N0', '', 'N.'),
  'pickle of memorised lists': () => pickle('\u0094', 'N', '.'),
  'pickle of memorised texts': () => pickle('\u008c\u0001a\u00940', '', 'N.'),
  'pickle of memorised imports': () => pickle('h\u00010', 'ccollections\nOrderedDict\nq\u0001', '.'),
  'pickle of memo gaps': () =>
    joinBytes([
      latin('\u0080\u0002N'),
      ...Array.from({ length: 1_900_000 }, (_, i) => joinBytes([latin('r'), u32(i * 7 + 3)])),
      latin('.'),
    ]),
  'pickle of imports': () =>
    joinBytes([latin('\u0080\u0002'), ...Array.from({ length: 600_000 }, (_, i) => latin(`cm${i}\nx${i}\n0`)), latin('N.')]),
  'pickle of calls': () => pickle(')R', 'ccollections\nOrderedDict\n', '.'),
  'pickle of numerals': () => pickle('I1\n0', '', 'N.'),
  'pickle of one numeral': () => joinBytes([latin('\u0080\u0002L'), repeated(latin('9')), latin('L\n.')]),
  'pickle of tuples in tuples': () => pickle('\u0085', 'N', '.'),
  'pickles one behind the other': () => repeated(latin('\u0080\u0004N.')),
  'pickle without a mark': () => joinBytes([latin('(lp0\n'), repeated(latin('I1\na')), latin('.')]),
  'safetensors of empty tensors': () =>
    safetensors(`{${Array.from({ length: 160_000 }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`).join(',')}}`),
  'safetensors of brackets': () => safetensors('[{"a":'.repeat(1_600_000)),
  'safetensors of sizes': () => safetensors(`{"a":{"dtype":"U8","shape":[${'1,'.repeat(4_900_000)}1],"data_offsets":[0,0]}}`),
  'safetensors of one name': () => safetensors(`{"${'a'.repeat(MB10)}":1}`),
  'zip of entries that share bytes': () => overlapping(9_999),
  'zip of 9,999 entries': () =>
    zip(Object.fromEntries(Array.from({ length: 9_999 }, (_, i) => [`${'x'.repeat(100)}${i}.npy`, new Uint8Array(600)])), 0),
  'zip of ten gigabytes of nothing': () => {
    const packed = deflateSync(new Uint8Array(4_000_000), { level: 9 });
    return zip({ 'a/data.pkl': new Uint8Array(200_000_000), b: packed }, 9);
  },
  'zip of pickles': () =>
    zip(Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`${i}/data.pkl`, pickle(']').subarray(0, 105_000)])), 0),
  'zip in zip': () => nested(9),
  'zip of zips of arrays': () =>
    zip(
      Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`${i}.pt`, zip({ 'data.pkl': pickle('N0').subarray(0, 150_000) }, 0)])),
      0,
    ),
  'zip of zips of zeros': () => {
    const inner = zip({ x: new Uint8Array(15_900_000) }, 9);
    return zip(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${i}.zip`, inner])), 0);
  },
  'hdf5 of attributes far behind in a heap': () => heapOfTexts(40_000, 60_000),
  'gguf of texts': () =>
    joinBytes([latin('GGUF'), u32(3), u64(0, 1, 1), latin('a'), u32(9, 8), u64(1_200_000), repeated(u64(0), 9_600_000)]),
  'gguf of lists': () =>
    joinBytes([latin('GGUF'), u32(3), u64(0, 1, 1), latin('a'), u32(9, 9), u64(700_000), repeated(joinBytes([u32(0), u64(0)]))]),
  'gguf of tensors': () =>
    joinBytes([
      latin('GGUF'),
      u32(3),
      u64(300_000, 0),
      ...Array.from({ length: 300_000 }, (_, i) => joinBytes([u64(7), latin(String(1_000_000 + i)), u32(0, 0), u64(0)])),
    ]),
  'protobuf of empty nodes': () =>
    joinBytes([Uint8Array.of(0x08, 8, 0x3a, 0xa0, 0x9b, 0xdc, 0x04), repeated(Uint8Array.of(0x0a, 0), 9_899_424)]),
  'protobuf of empty layers': () => joinBytes([Uint8Array.of(0x0a, 1, 0x61), repeated(Uint8Array.of(0xa2, 0x06, 0))]),
  'protobuf of one layer': () =>
    joinBytes([Uint8Array.of(0x0a, 1, 0x61, 0xa2, 0x06, 0xa0, 0x9b, 0xdc, 0x04), repeated(Uint8Array.of(0x0a, 0), 9_899_424)]),
  'SavedModel of nothing': () =>
    joinBytes([Uint8Array.of(0x08, 1, 0x12, 0xa0, 0x9b, 0xdc, 0x04), repeated(Uint8Array.of(0x12, 0), 9_899_424)]),
  'hdf5 of empty messages': () => hdf5(new Uint8Array(3_900_000)),
  'hdf5 of blocks that go on in each other': () => hdf5(repeated(joinBytes([u16(0x10, 16), u32(0), u64(96, 3_000_000)]), 3_900_000)),
  'Keras of layers': () =>
    zip({ 'metadata.json': latin('{}'), 'config.json': latin(`[${'{"class_name":"Dense"},'.repeat(400_000)}0]`) }, 0),
  'prototxt of layers': () => latin('layer { type: "Python" name: \'x\' }\n'.repeat(280_000)),
  'prototxt of one text': () => latin(`layer { type: ${'"a" '.repeat(2_400_000)} }`),
  'text of empty lines': () => repeated(latin('\n')),
  'prototxt of quotes that are not closed': () => joinBytes([latin('layer { type: '), repeated(latin('"\\'))]),
  'text of one line': () => repeated(latin('a')),
  zeros: () => new Uint8Array(MB10),
  'end records of zip archives': () => joinBytes([latin('x\0'), repeated(joinBytes([latin('PK\u0005\u0006'), new Uint8Array(18)]))]),
};
