/**
 * Small files that would cost a careless reader gigabytes, minutes or its life: what `fuzz-onnx.ts` mixes into its mutations, and what
 * `measure-bombs.ts` times. Written by hand on the wire, because no library would write them.
 */
import { joinBytes } from '../src/core/bytes.ts';

export interface Bomb {
  readonly name: string;
  bytes(): Uint8Array;
}

const text = (s: string): Uint8Array => new TextEncoder().encode(s);

function varint(n: number | bigint): number[] {
  const out: number[] = [];
  let v = BigInt.asUintN(64, BigInt(n));
  for (; v > 127n; v >>= 7n) out.push(Number(v & 127n) | 128);
  out.push(Number(v));
  return out;
}

/** Bytes one after the other. */
export const join = (...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array => joinBytes(parts);

/** A field with its length before it. */
export const field = (no: number, ...body: readonly (Uint8Array | readonly number[])[]): Uint8Array => {
  const bytes = join(...body);
  return join(varint((no << 3) | 2), varint(bytes.length), bytes);
};
export const number = (no: number, v: number | bigint): number[] => [...varint(no << 3), ...varint(v)];

/** A model around the fields of a graph, opset 17. */
export const model = (graph: Uint8Array, ...more: readonly Uint8Array[]): Uint8Array =>
  join(number(1, 8), field(7, graph), field(8, number(2, 17)), ...more);

function repeat(unit: Uint8Array, times: number): Uint8Array {
  const out = new Uint8Array(unit.length * times);
  for (let i = 0; i < times; i++) out.set(unit, i * unit.length);
  return out;
}

/** `open` around itself, from the inside out, in time linear in the result. */
function nested(tags: readonly number[], levels: number): Uint8Array {
  const parts: number[][] = [];
  let length = 0;
  for (let i = 0; i < levels; i++) {
    const head = [tags[i % tags.length], ...varint(length)];
    parts.push(head);
    length += head.length;
  }
  return joinBytes(parts.reverse());
}

const node = (op: string, inputs: readonly string[], outputs: readonly string[], ...attributes: readonly Uint8Array[]): Uint8Array =>
  field(
    1,
    ...inputs.map((i) => field(1, text(i))),
    ...outputs.map((o) => field(2, text(o))),
    field(4, text(op)),
    ...attributes.map((a) => field(5, a)),
  );
const intAttribute = (name: string, v: number | bigint): Uint8Array => join(field(1, text(name)), number(3, v), number(20, 2));
const intsAttribute = (name: string, v: readonly (number | bigint)[]): Uint8Array =>
  join(field(1, text(name)), ...v.map((i) => number(8, i)), number(20, 7));
const int64s = (name: string, v: readonly (number | bigint)[], dims: readonly number[] = [v.length]): Uint8Array =>
  field(5, ...dims.map((d) => number(1, d)), number(2, 7), field(7, ...v.map(varint)), field(8, text(name)));
const floats = (name: string, dims: readonly (number | bigint)[], bytes = 0): Uint8Array =>
  field(5, ...dims.map((d) => number(1, d)), number(2, 1), field(8, text(name)), field(9, new Uint8Array(bytes)));
const value = (no: 11 | 12, name: string, dims: readonly (number | bigint)[]): Uint8Array =>
  field(no, field(1, text(name)), field(2, field(1, number(1, 1), field(2, ...dims.map((d) => field(1, number(1, d)))))));
const numbered = (times: number, make: (i: number) => Uint8Array): Uint8Array =>
  joinBytes(Array.from({ length: times }, (_, i) => make(i)));

const bomb = (name: string, bytes: () => Uint8Array): Bomb => ({ name, bytes });
const TEN_MB = 9_900_000;

/**
 * A tensor in which a careless reader would see a run of floats after `start`, and one that takes `start` otherwise reads on within that
 * run, where there are 4 million empty messages.
 */
function misread(start: Uint8Array, messages: number): Uint8Array {
  const floats = join([0], repeat(Uint8Array.of(0x6a, 0), messages), [0x7a, 1, 0]);
  // The length in four bytes: its own bytes are a field of their own to who begins there.
  const length = [0, 7, 14, 21].map((shift) => ((floats.length >> shift) & 127) | (shift < 21 ? 128 : 0));
  return join(start, [0x22], length, floats);
}

/** Files just below 10 MB, each the worst of its kind. */
export const LARGE_BOMBS: readonly Bomb[] = [
  bomb('zeros', () => new Uint8Array(TEN_MB)),
  bomb('ones', () => new Uint8Array(TEN_MB).fill(0xff)),
  bomb('empty nodes', () => model(repeat(field(1), TEN_MB / 2))),
  bomb('small nodes in a row', () => model(numbered(400_000, (i) => node('Relu', [`${i}`], [`${i + 1}`])))),
  bomb('nodes just beyond the budget', () =>
    model(
      join(
        value(11, '0', [1]),
        numbered(14_000, (i) => node('Relu', [`${i}`], [`${i + 1}`])),
      ),
    ),
  ),
  bomb('nodes just within the budget', () =>
    model(
      join(
        value(11, '0', [1]),
        numbered(12_500, (i) => node('Relu', [`${i}`], [`${i + 1}`])),
      ),
    ),
  ),
  bomb('nodes and 8 MB of weights', () =>
    model(
      join(
        value(11, '0', [1]),
        numbered(12_500, (i) => node('Relu', [`${i}`], [`${i + 1}`])),
        floats('w', [2_000_000], 8_000_000),
      ),
    ),
  ),
  bomb('empty initialisers', () => model(repeat(field(5), TEN_MB / 2))),
  bomb('initialisers just within the budget', () => model(numbered(16_000, (i) => floats(`w${i}`, [1], 4)))),
  bomb('initialisers of one name', () => model(repeat(floats('w', [1], 4), 100_000))),
  bomb('one weight of 9.9 MB, unaligned', () => model(join(field(2, text('a')), floats('w', [2_475_000], 9_900_000)))),
  bomb('weights as packed int64', () =>
    model(field(5, number(1, TEN_MB), number(2, 7), field(7, new Uint8Array(TEN_MB)), field(8, text('w')))),
  ),
  bomb('weights as packed int32', () =>
    model(field(5, number(1, TEN_MB), number(2, 3), field(5, new Uint8Array(TEN_MB)), field(8, text('w')))),
  ),
  bomb('weights as unpacked int64', () => model(field(5, number(2, 7), repeat(Uint8Array.of(56, 1), TEN_MB / 2)))),
  bomb('packed pieces', () => model(field(5, number(2, 7), repeat(field(7, new Uint8Array(200)), 48_000)))),
  bomb('many small packed runs', () =>
    model(numbered(60_000, (i) => field(5, number(1, 130), number(2, 7), field(7, new Uint8Array(130)), field(8, text(`${i}`))))),
  ),
  bomb('a number that ends beyond its run', () => model(field(5, misread(Uint8Array.of(0x0a, 1, 0x80), 2 ** 22 - 2)))),
  bomb('a list of 10 million integers', () =>
    model(node('Foo', [], ['y'], join(field(1, text('a')), field(8, new Uint8Array(TEN_MB)), number(20, 7)))),
  ),
  bomb('a list of 2.5 million floats', () =>
    model(node('Foo', [], ['y'], join(field(1, text('a')), field(7, new Uint8Array(TEN_MB)), number(20, 6)))),
  ),
  bomb('a list of empty strings', () =>
    model(node('Foo', [], ['y'], join(field(1, text('a')), repeat(field(9), TEN_MB / 2), number(20, 8)))),
  ),
  bomb('empty attributes', () => model(field(1, field(4, text('Relu')), repeat(field(5), TEN_MB / 2)))),
  bomb('a node of many inputs', () => model(field(1, repeat(field(1, text('x')), TEN_MB / 3)))),
  bomb('dimensions without end', () => model(field(5, repeat(Uint8Array.of(8, 1), TEN_MB / 2), number(2, 1)))),
  bomb('large dimensions without end', () => model(field(5, repeat(join([8], varint(2n ** 62n)), 900_000), number(2, 1)))),
  bomb('names of 4096 bytes', () =>
    model(numbered(1200, (i) => node('Relu', [String(i).padStart(4096, 'n')], [String(i + 1).padStart(4096, 'n')]))),
  ),
  bomb('one name of 9.9 MB', () => model(join(value(11, 'x', [1]), node('Relu', ['n'.repeat(TEN_MB)], ['y'])))),
  bomb('a producer of 9.9 MB', () => model(value(11, 'x', [1]), field(2, new Uint8Array(TEN_MB).fill(97)))),
  bomb('metadata of 9.9 MB', () => model(value(11, 'x', [1]), field(14, field(1, text('k')), field(2, new Uint8Array(TEN_MB).fill(97))))),
  bomb('metadata of 9.9 MB in many parts', () =>
    model(
      value(11, 'x', [1]),
      numbered(500_000, (i) => field(14, field(1, text(`${i}`)), field(2, text('v')))),
    ),
  ),
  bomb('metadata in wide characters', () =>
    model(value(11, 'x', [1]), field(14, field(1, text('k')), field(2, text('語'.repeat(3_300_000))))),
  ),
  bomb('documentation of 9.9 MB', () => model(join(value(11, 'x', [1]), field(10, new Uint8Array(TEN_MB).fill(97))))),
  bomb('documentation that is no UTF-8', () => model(join(value(11, 'x', [1]), field(10, new Uint8Array(TEN_MB).fill(0xff))))),
  bomb('unknown fields', () => model(repeat(Uint8Array.of(0xf8, 0x3f, 1), TEN_MB / 3))),
  bomb('unknown fields of the model', () => model(value(11, 'x', [1]), repeat(Uint8Array.of(0xf8, 0x3f, 1), TEN_MB / 3))),
  bomb('nesting of a million graphs', () => model(nested([0x32, 0x2a, 0x0a], 1_899_999))),
  bomb('nesting of types', () => model(field(11, field(1, text('x')), field(2, nested([0x0a, 0x22], 2_000_000))))),
  bomb('groups without end', () => model(new Uint8Array(TEN_MB).fill(0x0b))),
  bomb('graphs side by side', () =>
    model(field(1, field(4, text('If')), field(5, field(1, text('b')), repeat(field(11), TEN_MB / 2), number(20, 10)))),
  ),
  bomb('subgraphs that see many names', () =>
    model(
      join(
        value(11, 'x', [1]),
        numbered(4_000, (i) => node('Relu', ['x'], [`r${i}`])),
        numbered(2_400, (i) =>
          node('If', ['x'], [`f${i}`], join(field(1, text('then_branch')), field(6, node('Relu', ['x'], ['y'])), number(20, 5))),
        ),
      ),
    ),
  ),
  bomb('a name that is missing among many', () =>
    model(
      join(
        numbered(12_000, (i) => node('Relu', [], [`a rather long name of a value, number ${i}`])),
        node('Relu', ['a rather long name of a value, number x'], ['y']),
      ),
    ),
  ),
  bomb('opsets', () => model(value(11, 'x', [1]), repeat(field(8, field(1, text('d')), number(2, 1)), TEN_MB / 8))),
  bomb('functions', () =>
    model(
      value(11, 'x', [1]),
      numbered(300_000, (i) => field(25, field(1, text(`f${i}`)), field(10, text('d')))),
    ),
  ),
  bomb('value types', () => model(numbered(400_000, (i) => field(13, field(1, text(`${i}`)))))),
  bomb('a zip of zeros', () => join(Uint8Array.of(0x50, 0x4b, 3, 4), new Uint8Array(TEN_MB))),
  bomb('a gzip of zeros', () => join(Uint8Array.of(0x1f, 0x8b, 8, 0), new Uint8Array(TEN_MB))),
  bomb('braces', () => text('{'.repeat(TEN_MB))),
  bomb('blanks, then a bracket', () => text(`${' '.repeat(TEN_MB)}<`)),
];

/** Tiny files that ask for much: by sizes in their graph, by calls, by what they call. */
export const SMALL_BOMBS: readonly Bomb[] = [
  bomb('nothing', () => new Uint8Array()),
  bomb('a length beyond all numbers', () => Uint8Array.of(8, 8, 0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)),
  bomb('a varint that does not end', () => Uint8Array.of(8, ...new Uint8Array(20).fill(0x80))),
  bomb('a tag in two bytes', () => model(field(5, [0xa2, 0], varint(256), new Uint8Array(256)))),
  bomb('a dimension that ends beyond its run', () => model(field(5, misread(Uint8Array.of(0x0a, 1, 0x80), 2 ** 16 - 2)))),
  bomb('floats that end beyond their run', () => model(field(5, [0x22, 5], new Uint8Array(5), misread(new Uint8Array(), 2 ** 16 - 2)))),
  bomb('doubles that end beyond their run', () => model(field(5, [0x52, 13], new Uint8Array(13), misread(new Uint8Array(), 2 ** 16 - 2)))),
  bomb('a product that wraps to 0', () => model(floats('w', [2n ** 32n, 2n ** 32n], 0))),
  bomb('a product that wraps to 4', () => model(floats('w', [2n ** 62n, 4n, 4n], 16))),
  bomb('an empty tensor of absurd sizes', () => model(floats('w', [2n ** 62n, 2n ** 62n, 0], 0))),
  bomb('a negative size', () => model(floats('w', [-1, -4], 16))),
  bomb('ConstantOfShape', () => model(join(int64s('s', [2 ** 40]), node('ConstantOfShape', ['s'], ['y']), value(12, 'y', [])))),
  bomb('Expand', () => model(join(value(11, 'x', [1]), int64s('s', [100_000, 100_000, 100_000]), node('Expand', ['x', 's'], ['y'])))),
  bomb('Tile', () => model(join(value(11, 'x', [1, 3]), int64s('s', [2 ** 30, 2 ** 30]), node('Tile', ['x', 's'], ['y'])))),
  bomb('Range', () =>
    model(join(int64s('a', [0], []), int64s('b', [2 ** 50], []), int64s('c', [1], []), node('Range', ['a', 'b', 'c'], ['y']))),
  ),
  bomb('Pad', () => model(join(value(11, 'x', [1, 1]), int64s('p', [0, 2 ** 40, 0, 2 ** 40]), node('Pad', ['x', 'p'], ['y'])))),
  bomb('OneHot', () =>
    model(join(int64s('i', [1, 2, 3]), int64s('d', [2 ** 45], []), int64s('v', [0, 1]), node('OneHot', ['i', 'd', 'v'], ['y']))),
  ),
  bomb('EyeLike', () => model(join(value(11, 'x', [2 ** 14, 2 ** 14]), node('EyeLike', ['x'], ['y']), node('MatMul', ['y', 'y'], ['z'])))),
  bomb('RandomNormal', () => model(node('RandomNormal', [], ['y'], intsAttribute('shape', [2 ** 20, 2 ** 20])))),
  bomb('Resize', () =>
    model(join(value(11, 'x', [1, 1, 64, 64]), int64s('s', [1, 1, 2 ** 30, 2 ** 30]), node('Resize', ['x', '', '', 's'], ['y']))),
  ),
  bomb('Conv with pads', () =>
    model(
      join(
        value(11, 'x', [1, 1, 8, 8]),
        floats('w', [1, 1, 1, 1], 4),
        node('Conv', ['x', 'w'], ['y'], intsAttribute('pads', [0, 0, 2 ** 30, 2 ** 30])),
      ),
    ),
  ),
  bomb('broadcast', () => model(join(value(11, 'x', [2 ** 20, 1]), value(11, 'z', [2 ** 20]), node('Add', ['x', 'z'], ['y'])))),
  bomb('more inputs than a function takes arguments', () =>
    model(join(value(11, 'x', [1]), field(1, repeat(field(1, text('x')), 200_000), field(2, text('y')), field(4, text('Max'))))),
  ),
  bomb('doubling', () =>
    model(
      join(
        value(11, '0', [1]),
        numbered(60, (i) => node('Concat', [`${i}`, `${i}`], [`${i + 1}`], intAttribute('axis', 0))),
      ),
    ),
  ),
  bomb('an input of a terabyte', () => model(join(value(11, 'x', [2 ** 38]), node('Relu', ['x'], ['y'])))),
  bomb('shapes that are computed', () =>
    model(join(int64s('s', [2 ** 20]), node('Mul', ['s', 's'], ['q']), node('ConstantOfShape', ['q'], ['y']))),
  ),
  bomb('a Loop that does not end', () =>
    model(
      join(
        value(11, 'x', [1]),
        node('Loop', ['', '', 'x'], ['y'], join(field(1, text('body')), field(6, field(2, text('b'))), number(20, 5))),
      ),
    ),
  ),
  bomb('functions that double', () =>
    model(
      join(value(11, 'x', [1]), callNode('f40')),
      field(8, field(1, text('d')), number(2, 1)),
      ...Array.from({ length: 40 }, (_, i) => fn(`f${i + 1}`, [`f${i}`, `f${i}`])),
      fn('f0', []),
    ),
  ),
  bomb('a function that calls itself', () =>
    model(join(value(11, 'x', [1]), callNode('f')), field(8, field(1, text('d')), number(2, 1)), fn('f', ['f'])),
  ),
  bomb('a function in place of Relu', () =>
    model(node('Relu', [], ['y']), field(25, field(1, text('Relu')), field(7, field(4, text('Exp'))))),
  ),
  bomb('EPContext', () => {
    const inner = field(1, field(2, text('y')), field(4, text('EPContext')), field(7, text('com.microsoft')));
    return model(inner, field(8, field(1, text('com.microsoft')), number(2, 1)));
  }),
  bomb('a domain of its own', () =>
    model(field(1, field(2, text('y')), field(4, text('Run')), field(7, text('evil'))), field(8, field(1, text('evil')), number(2, 1))),
  ),
  bomb('a sparse initialiser', () =>
    model(field(15, field(1, number(1, 1), number(2, 1), field(8, text('w')), field(9, new Uint8Array(4))), number(3, 2 ** 40))),
  ),
  bomb('a graph hidden in an integer', () =>
    model(node('Foo', [], ['y'], join(field(1, text('a')), number(3, 1), number(20, 2), field(6, node('EPContext', [], ['z']))))),
  ),
  bomb('two opsets', () => model(value(11, 'x', [1]), field(8, field(1, text('ai.onnx')), number(2, 7)))),
  bomb('a name for objects', () => model(join(value(11, '__proto__', [1]), node('Relu', ['__proto__'], ['constructor'])))),
  bomb('terminal escapes', () =>
    model(join(value(11, '\u001b[2J\u001b[1;31m', [1]), node('Relu\u001b]0;title\u0007', ['\u001b[2J\u001b[1;31m'], ['y']))),
  ),
  bomb('external data outside of initialisers', () =>
    model(
      node(
        'Foo',
        [],
        ['y'],
        join(
          field(1, text('a')),
          field(10, number(2, 1), field(13, field(1, text('location')), field(2, text('/etc/passwd'))), number(14, 1)),
          number(20, 9),
        ),
      ),
    ),
  ),
];

function callNode(name: string): Uint8Array {
  return field(1, field(1, text('x')), field(2, text('y')), field(4, text(name)), field(7, text('d')));
}

function fn(name: string, calls: readonly string[]): Uint8Array {
  const nodes = calls.map((f, i) => field(7, field(1, text('x')), field(2, text(`y${i}`)), field(4, text(f)), field(7, text('d'))));
  return field(
    25,
    field(1, text(name)),
    field(4, text('x')),
    field(5, text('y0')),
    ...nodes,
    field(10, text('d')),
    field(9, field(1, text('d')), number(2, 1)),
  );
}
