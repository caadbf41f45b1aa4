import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { TensorProtoSchema } from 'onnx-buf';
import { afterAll, describe, expect, it } from 'vitest';
import { field, LARGE_BOMBS, model, number, SMALL_BOMBS } from '../../scripts/bombs.ts';
import { makeCase, seedFiles, setTraps } from '../../scripts/fuzz-cases.ts';
import { runCase } from '../../scripts/fuzz-run.ts';
import { readingLimits } from '../../src/cli/shared.node.ts';
import { SecateurError } from '../../src/core/errors.ts';
import { f32, i64 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { checkModel } from '../../src/onnx/check.ts';
import { describe as describeModel } from '../../src/onnx/describe.ts';
import { usedValues } from '../../src/onnx/edit.ts';
import { badLocation } from '../../src/onnx/external.node.ts';
import { loadModel } from '../../src/onnx/file.node.ts';
import { TRUSTED, UNTRUSTED } from '../../src/onnx/limits.ts';
import { withHiddenRuns } from '../../src/onnx/packed.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';
import { checkSizes } from '../../src/onnx/static-sizes.ts';
import { vetModel } from '../../src/onnx/vet.ts';
import { walkWire } from '../../src/onnx/wire.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'secateur-untrusted-')));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As a file would be read, from bytes alone. */
function read(bytes: Uint8Array): void {
  const m = readModel(bytes, 'net.onnx');
  checkModel(m, 'net.onnx');
  vetModel(m, 'net.onnx');
}
const named = (name: string) => [...SMALL_BOMBS, ...LARGE_BOMBS].find((b) => b.name === name)!.bytes();

describe('bombs', () => {
  it.each<[string, string]>([
    [
      'a product that wraps to 0',
      'net.onnx: initializer "w": tensor too large, expected at most 2^53 elements, got dimensions [4294967296,4294967296].',
    ],
    [
      'an empty tensor of absurd sizes',
      'net.onnx: initializer "w": tensor too large, expected at most 2^53 elements, got dimensions [4611686018427387904,4611686018427387904,0].',
    ],
    ['a negative size', 'net.onnx: initializer "w": negative dimension, expected sizes of 0 or more, got [-1,-4].'],
    [
      'ConstantOfShape',
      'net.onnx: operator "ConstantOfShape" (node "y"): value too large, expected at most 1074 MB, got [1099511627776], 4398047 MB.',
    ],
    [
      'Expand',
      'net.onnx: operator "Expand" (node "y"): value too large, expected at most 4295 MB, got [100000,100000,100000], beyond all memory.',
    ],
    ['doubling', 'net.onnx: operator "Concat" (node "31"): value too large, expected at most 4295 MB, got [2147483648], 8590 MB.'],
    ['an input of a terabyte', 'net.onnx: model input "x": value too large, expected at most 268 MB, got [274877906944], 1099512 MB.'],
    ['a Loop that does not end', 'net.onnx: operator "Loop" (node "y"): loop of too many rounds, expected at most 1000000, got Infinity.'],
    ['functions that double', 'net.onnx: function "f9": functions nested too deeply, expected at most 32 levels, got more.'],
    ['a function that calls itself', 'net.onnx: function "f": function "f" calls itself, expected functions that end.'],
    [
      'a function in place of Relu',
      'net.onnx: function "Relu": is of the domain "ai.onnx", in which operators have a fixed meaning, expected functions in a domain of their own.',
    ],
    [
      'EPContext',
      'net.onnx: operator "EPContext" (node "y") is refused, expected an operator on the list, but it hands bytes or a file of its author to a vendor library, which runs them as code.',
    ],
    [
      'a domain of its own',
      'net.onnx: operator "Run" (node "y") is refused, expected an operator on the list, but the domain "evil" is not one of ai.onnx, ai.onnx.ml, com.microsoft.',
    ],
    [
      'a sparse initialiser',
      'net.onnx: initialiser "w" is stored as a sparse tensor, expected dense tensors: a sparse one of a few bytes can stand for any amount of memory. Try to export the model with dense weights.',
    ],
    [
      'a graph hidden in an integer',
      'net.onnx: node "Foo", attribute "a": holds more than its type says, expected a value of type INT and no other.',
    ],
    ['two opsets', 'net.onnx: operator set of "ai.onnx" imported twice, expected one version of each, got 17 and 7.'],
    ['a name for objects', 'net.onnx: a value of the name "__proto__", expected any other name.'],
    [
      'external data outside of initialisers',
      'net.onnx: external data where ONNX has none, expected external data in initialisers and tensor attributes, got some at byte',
    ],
    [
      'empty nodes',
      'net.onnx: too many parts, expected a graph that takes at most 16 MB in memory beside its weights, got more, in a file of 9.9 MB.',
    ],
    ['one name of 9.9 MB', 'net.onnx: a name of 9900000 bytes in a NodeProto, expected names of at most 4096 bytes, got 9900000.'],
    ['initialisers of one name', 'net.onnx: too many parts'],
    ['a tag in two bytes', 'its protobuf does not parse (TensorProto: a tag longer than it need be, at byte 8).'],
    ['a dimension that ends beyond its run', 'its protobuf does not parse (TensorProto: field 1 ends within a number, at byte 13).'],
    ['floats that end beyond their run', 'its protobuf does not parse (TensorProto: field 4 ends within a number, at byte 17).'],
    ['doubles that end beyond their run', 'its protobuf does not parse (TensorProto: field 10 ends within a number, at byte 25).'],
    ['a number that ends beyond its run', 'its protobuf does not parse (TensorProto: field 1 ends within a number, at byte 15).'],
  ])('%s', (name, message) => expect(() => read(named(name))).toThrow(message));

  it('are all answered by an error of ours or a description', () => {
    for (const { name, bytes } of SMALL_BOMBS) {
      let said = 'read';
      try {
        read(bytes());
      } catch (error) {
        expect(error, name).toBeInstanceOf(SecateurError);
        said = (error as Error).message;
      }
      expect(said, name).not.toMatch(/\p{Cc}/u);
      expect(said.length, name).toBeLessThan(1000);
    }
  });

  it('of many parts are read where their author is believed', () => {
    const bytes = named('nodes just beyond the budget');
    expect(() => read(bytes)).toThrow('net.onnx: too many parts, expected a graph that takes at most 16 MB');
    expect(readModel(bytes, 'net.onnx', undefined, TRUSTED).graph.nodes.length).toBe(14_000);
  });

  it('a thousand ways to say it', () => {
    const tensor = (dims: number[]) => field(5, ...dims.map((d) => number(1, d)), number(2, 1), field(8, new TextEncoder().encode('w')));
    expect(() => read(model(tensor(new Array<number>(65).fill(1))))).toThrow(
      'net.onnx: initializer "w": tensor of too many dimensions, expected at most 64, got 65.',
    );
    expect(() => read(model(new Uint8Array([...tensor([0]), ...tensor([0])])))).toThrow(
      'net.onnx: initializer "w": is there twice, expected one tensor for each name.',
    );
    // A graph in two pieces: some readers join them, some take the last.
    expect(() => read(model(tensor([0]), field(7, tensor([0]))))).toThrow(
      'its protobuf does not parse (ModelProto: field 7 is there twice)',
    );
    expect(() => read(model(Uint8Array.of(8, 1)))).toThrow('its protobuf does not parse (GraphProto: field 1 is a varint)');
    expect(() => read(model(Uint8Array.of(0x0b, 0x0c)))).toThrow('its protobuf does not parse (GraphProto: no field begins at byte 4)');
  });
});

/** What the walk counts and what the protobuf library makes are the same, else the budget is of no use. */
it('the library sees no more in a tensor than the walk over its bytes has counted', () => {
  /** What the walk counts: the smallest budget that is enough; undefined where the bytes are refused whatever the budget. */
  const counted = (bytes: Uint8Array): number | undefined => {
    const enough = (budget: number): boolean => {
      try {
        walkWire(bytes, 'TensorProto', 'w', budget);
        return true;
      } catch {
        return false;
      }
    };
    let [low, high] = [0, 2 ** 18];
    if (!enough(high)) return undefined;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (enough(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  const empty = (n: number): number[] => new Array<number[]>(n).fill([0x6a, 0]).flat();
  // Bytes that mean something at many places: tags, lengths, halves of numbers.
  const piece = fc.oneof(
    fc.constantFrom([0x0a, 1, 0x80], [0xa2, 0], [0x22, 5, 0, 0, 0, 0, 0], [0x3a, 2, 1, 0x80], [0x52, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    fc.array(fc.constantFrom(0, 1, 2, 4, 8, 0x0a, 0x22, 0x2a, 0x3a, 0x52, 0x6a, 0x7a, 0x80, 0x82, 0x84), { minLength: 1, maxLength: 4 }),
    fc.constantFrom([0x22, 0x84, 1, ...empty(66)], [0x22, 0x84, 0x81, 0x80, 0, 0, ...empty(65), 0], [0x3a, 0x82, 1, ...empty(65)]),
  );
  let taken = 0;
  const property = fc.property(fc.array(piece, { minLength: 1, maxLength: 5 }), (pieces) => {
    const bytes = Uint8Array.from(pieces.flat());
    const budget = counted(bytes);
    if (budget === undefined) return;
    let seen: ReturnType<typeof fromBinary<typeof TensorProtoSchema>>;
    try {
      seen = withHiddenRuns(bytes, walkWire(bytes, 'TensorProto', 'w', budget), () => fromBinary(TensorProtoSchema, bytes));
    } catch {
      return;
    }
    taken++;
    const numbers = [seen.dims, seen.int32Data, seen.int64Data, seen.uint64Data].reduce((n, list) => n + list.length, 0);
    const floats = seen.floatData.length + seen.doubleData.length;
    const made = 300 * (seen.externalData.length + seen.metadataProps.length) + 48 * numbers + 16 * floats + 220 * seen.stringData.length;
    expect(900 + made + 200 * (seen.$unknown?.length ?? 0)).toBeLessThanOrEqual(budget);
  });
  fc.assert(property, { numRuns: 3000 });
  expect(taken).toBeGreaterThan(200);
});

describe('sizes that can be told', () => {
  const sizes = (build: (b: GraphBuilder) => void): (() => void) => {
    const b = new GraphBuilder();
    build(b);
    return () => checkSizes(b.build(), 'net');
  };

  it.each<[string, (b: GraphBuilder) => void, string]>([
    [
      'through shape arithmetic',
      (b) => {
        const shape = b.op('Shape', [b.input('x', 'float32', [3, 40_000])]);
        const n = b.op('Gather', [shape, b.initializer('at', i64([1]))]);
        b.op('ConstantOfShape', [b.op('Concat', [n, b.op('Mul', [n, n])], { axis: 0 })], {}, { name: 'y' });
      },
      '[40000,1600000000]',
    ],
    [
      'behind convolution and pooling',
      (b) => {
        const w = b.initializer('w', f32(new Float32Array(64 * 3), [64, 3, 1, 1]));
        const conv = b.op('Conv', [b.input('x', 'float32', ['N', 3, 1024, 1024]), w], { strides: [2, 2] });
        const pool = b.op('MaxPool', [b.op('Relu', [conv])], { kernel_shape: [2, 2], strides: [2, 2] });
        b.op('Resize', [pool, '', b.initializer('s', f32([1, 1, 64, 64], [4]))], {}, { name: 'y' });
      },
      '[?,64,16384,16384]',
    ],
    [
      'by a product of matrices',
      (b) => {
        const column = b.op('Unsqueeze', [b.input('x', 'float32', [100_000]), b.initializer('one', i64([1]))]);
        b.op('MatMul', [column, b.op('Transpose', [column])], {}, { name: 'y' });
      },
      '[100000,100000]',
    ],
    [
      'by an Einsum',
      (b) => {
        b.op('Einsum', [b.input('x', 'float32', [70_000]), b.input('z', 'float32', [70_000])], { equation: 'i,j->ij' }, { name: 'y' });
      },
      '[70000,70000]',
    ],
  ])('%s', (_, build, dims) =>
    expect(sizes(build)).toThrow(
      new RegExp(`node "y"\\): value too large, expected at most [0-9]+ MB, got ${dims.replace(/[[\]?]/g, '\\$&')}`),
    ),
  );

  it('of operators with more inputs, and indices of more dimensions, than a function takes arguments', () => {
    const many = 200_000;
    expect(() => read(named('more inputs than a function takes arguments'))).not.toThrow();
    expect(
      sizes((b) => {
        const wide = b.input('wide', 'float32', [2 ** 24, 1]);
        b.op('Sum', [...new Array<string>(many).fill(wide), b.input('row', 'float32', [2 ** 10])], {}, { name: 'y' });
      }),
    ).toThrow('net: operator "Sum" (node "y"): value too large, expected at most 4295 MB, got [16777216,1024], 68719 MB.');
    expect(
      sizes((b) => void b.op('Gather', [b.input('x', 'float32', [4]), b.input('at', 'int64', new Array<number>(many).fill(1))])),
    ).not.toThrow();
    const branch = { ...new GraphBuilder().build().graph };
    branch.nodes = [
      { name: '', opType: 'Sum', domain: '', inputs: new Array<string>(many).fill('x'), outputs: ['y'], attributes: new Map() },
    ];
    const node = { name: '', opType: 'If', domain: '', inputs: ['c'], outputs: ['z'], attributes: new Map() };
    expect(usedValues({ ...node, attributes: new Map([['then_branch', { type: 'graph', value: branch }]]) }).length).toBe(many + 1);
  });

  it.each<[string, Record<string, number | bigint>, string]>([
    ['from its start', { end: 2 }, '[200000,300000]'],
    ['to its end', { start: -2 }, '[400000,500000]'],
    ['between', { start: 1, end: -1 }, '[300000,400000]'],
    ['from before its start to beyond its end', { start: -9, end: 2n ** 63n - 1n }, '[200000,300000,400000,500000]'],
  ])('of a part of a shape, %s', (_, positions, dims) => {
    const b = new GraphBuilder();
    const part = b.op('Shape', [b.input('x', 'float32', [20, 30, 40, 50])]);
    b.op('ConstantOfShape', [b.op('Mul', [part, b.initializer('k', i64([10_000]))])], {}, { name: 'y' });
    const net = b.build();
    for (const [name, at] of Object.entries(positions)) {
      net.graph.nodes[0].attributes.set(name, typeof at === 'number' ? { type: 'int', value: at } : { type: 'bigint', value: at });
    }
    expect(() => checkSizes(net, 'net')).toThrow(`(node "y"): value too large, expected at most 4295 MB, got ${dims}`);
  });

  it('and not of the rest of a shape, nor of an empty tensor', () => {
    // A class token for each picture of a fixed batch: the shape's first number alone, before two others.
    const token = sizes((b) => {
      const batch = b.op('Shape', [b.input('x', 'float32', [32, 3, 224, 224])], { end: 1 });
      const shape = b.op('Concat', [batch, b.initializer('rest', i64([1, 768]))], { axis: 0 });
      b.output(b.op('Expand', [b.initializer('token', f32(new Float32Array(768), [1, 1, 768])), shape]), 'float32', [32, 1, 768]);
    });
    expect(token).not.toThrow();
    const wide = (allowzero: number) =>
      sizes((b) => {
        const to = b.op('Reshape', [b.input('z', 'float32', [70_000, 0]), b.initializer('to', i64([0, 70_000]))], { allowzero });
        b.output(to, 'float32', [0, 70_000]);
      });
    expect(wide(1)).not.toThrow();
    expect(wide(0)).toThrow('value too large, expected at most 4295 MB, got [70000,70000]');
  });

  it('and nothing that a classifier does', () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', ['N', 3, 224, 224]);
    const w = b.initializer('w', f32(new Float32Array(64 * 3 * 49), [64, 3, 7, 7]));
    const conv = b.op('Conv', [x, w], { pads: [3, 3, 3, 3], strides: [2, 2] });
    const rows = b.op('Gather', [b.op('Shape', [conv]), b.initializer('zero', i64([0], []))]);
    const target = b.op('Concat', [b.op('Unsqueeze', [rows, b.initializer('axes', i64([0]))]), b.initializer('rest', i64([-1]))], {
      axis: 0,
    });
    const flat = b.op('Reshape', [b.op('GlobalAveragePool', [conv]), target]);
    b.output(b.op('Expand', [flat, b.op('ConstantOfShape', [b.initializer('r', i64([2]))])]), 'float32', ['N', 64]);
    expect(() => checkSizes(b.build(), 'net')).not.toThrow();
  });
});

describe('external data', () => {
  it.each([
    ['w.bin', undefined],
    ['./a/b.c/w.bin', undefined],
    ['weights 1.bin', undefined],
    ['', 'no path'],
    ['a\0b', 'a path with a NUL in it'],
    ['/etc/passwd', 'an absolute path'],
    ['\\\\server\\share', 'an absolute path'],
    ['C:w.bin', 'an absolute path'],
    ['a\\b', 'a path with backslashes'],
    ['a/../b', 'a path that goes up'],
    ['a/..', 'a path that goes up'],
    ['x'.repeat(1025), 'a path of 1025 characters'],
    ['a/NUL', 'a path that means something else on Windows'],
    ['con.bin', 'a path that means something else on Windows'],
    ['w.bin:s', 'a path that means something else on Windows'],
    ['w.bin.', 'a path that means something else on Windows'],
    ['sub /w.bin', 'a path that means something else on Windows'],
  ])('"%s" is %s', (location, why) => expect(badLocation(location)).toBe(why));

  const outside = (...entries: [string, string][]): Uint8Array => {
    const text = (s: string): Uint8Array => new TextEncoder().encode(s);
    const listed = entries.map(([key, v]) => field(13, field(1, text(key)), field(2, text(v))));
    return model(field(5, number(1, 4), number(2, 1), field(8, text('w')), ...listed, number(14, 1)));
  };
  const at = (...names: string[]): string => join(folder, ...names);
  const load = (...entries: [string, string][]): Promise<unknown> => {
    mkdirSync(at('model'), { recursive: true });
    writeFileSync(at('model', 'net.onnx'), outside(...entries));
    return loadModel(at('model', 'net.onnx'));
  };

  it('with a key that is unknown or there twice is refused', async () => {
    const start = `${at('model', 'net.onnx')}: initializer "w": external data with a bad entry, expected each at most once of`;
    await expect(load(['location', 'w.bin'], ['__class__', 'x'])).rejects.toThrow(
      `${start} location, offset, length, checksum, basepath, got "__class__".`,
    );
    await expect(load(['location', 'w.bin'], ['location', 'x'])).rejects.toThrow('got "location" twice.');
  });

  it.skipIf(process.platform === 'win32')('in a pipe, a device or a link to one is refused at once', async () => {
    mkdirSync(at('model'), { recursive: true });
    execFileSync('mkfifo', [at('model', 'fifo')]);
    symlinkSync('/dev/zero', at('model', 'zero'));
    await expect(load(['location', 'fifo'])).rejects.toThrow('external data "fifo", expected a plain file of its own, got something else.');
    await expect(load(['location', 'zero'])).rejects.toThrow('external data "zero" lies outside the folder of the model');
    execFileSync('mkfifo', [at('pipe.onnx')]);
    await expect(loadModel(at('pipe.onnx'))).rejects.toThrow(
      `${at('pipe.onnx')}: is no plain file, expected an .onnx file, got a pipe or a device.`,
    );
    await expect(loadModel('/dev/zero')).rejects.toThrow('/dev/zero: is no plain file, expected an .onnx file, got a pipe or a device.');
  });

  it('that many tensors share counts once, ranges of their own count each', async () => {
    mkdirSync(at('model'), { recursive: true });
    writeFileSync(at('model', 'big.bin'), new Uint8Array(64));
    const text = (s: string): Uint8Array => new TextEncoder().encode(s);
    const tensors = (offset: (i: number) => number) =>
      Array.from({ length: 10 }, (_, i) =>
        field(
          5,
          ...[number(1, 4), number(2, 1), field(8, text(`w${i}`))],
          ...[
            field(13, field(1, text('location')), field(2, text('big.bin'))),
            field(13, field(1, text('offset')), field(2, text(`${offset(i)}`))),
          ],
          number(14, 1),
        ),
      );
    const limits = { ...TRUSTED, externalBytes: 100 };
    const path = at('model', 'net.onnx');
    writeFileSync(path, model(new Uint8Array(tensors(() => 16).flatMap((t) => [...t]))));
    const { graph } = await loadModel(path, limits);
    expect((graph.initializers.get('w0')!.data as Float32Array).buffer).toBe((graph.initializers.get('w9')!.data as Float32Array).buffer);
    writeFileSync(path, model(new Uint8Array(tensors((i) => i).flatMap((t) => [...t]))));
    await expect(loadModel(path, limits)).rejects.toThrow(
      'too much external data, expected at most 100 bytes in one model, got 112 so far.',
    );
  });

  it('and models that are too large are refused before a byte is read', async () => {
    writeFileSync(at('huge.onnx'), '');
    truncateSync(at('huge.onnx'), 3e9);
    await expect(loadModel(at('huge.onnx'))).rejects.toThrow(
      'huge.onnx: too large to be an ONNX model, expected at most 2 GB, the bound of the file format, got 3000000000 bytes. Try a model with external data.',
    );
  });
});

it('commands that look at files from anywhere believe them little, others unless they are told to', () => {
  expect(readingLimits({ trusted: false })).toBe(UNTRUSTED);
  expect(readingLimits({ trusted: true })).toBe(TRUSTED);
  expect(readingLimits({ untrusted: false })).toBe(TRUSTED);
  expect(readingLimits({ untrusted: true })).toBe(UNTRUSTED);
  expect(readingLimits({})).toBe(TRUSTED);
});

it('names are shown without control characters, and clipped', () => {
  const clean = new GraphBuilder();
  clean.output(clean.op('Relu', [clean.input('x', 'float32', [1])]), 'float32', [1]);
  const hostile = clean.build();
  hostile.graph.nodes[0].inputs[0] = '\u001b[2Jgone\u202e';
  expect(() => read(writeModel(hostile))).toThrow('reads "\\u001b[2Jgone\\u202e", expected a value made before it is read');
  // Found by the fuzzer: a name with a tab or a line end in it would be laid out as a column or a line of the description's own.
  const laidOut = new GraphBuilder();
  laidOut.output(laidOut.op('Relu', [laidOut.input('a\tb\nparameters  0\r', 'float32', [1])]), 'float32', [1]);
  expect(describeModel(laidOut.build()).split('\n')[1]).toBe('inputs      a b parameters  0\\u000d float32[1]');
  const message = new SecateurError({ where: 'x', what: 'n'.repeat(1e6) }).message;
  expect(message.length).toBeLessThan(5000);
  expect(message).toContain('... (1000000 characters in all)');
});

it.skipIf(process.platform === 'win32')(
  'fuzz: 200 files out of the fuzzer’s cases are read or refused, and nothing outside the folder is touched',
  async () => {
    const root = join(folder, 'fuzz');
    mkdirSync(root);
    setTraps(root);
    // Without the shared test models, so that the cases are the same everywhere.
    const seeds = seedFiles(0);
    const outcomes = new Map<string, number>();
    for (let i = 0; i < 200; i++) {
      const c = makeCase(7, i, seeds, root);
      if (c.bytes.length > 1e6) continue;
      const { outcome, why } = await runCase(c, root);
      expect(outcome === 'bug' ? `case ${i} (${c.name}): ${why}` : 'fine').toBe('fine');
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect(outcomes.get('read')).toBeGreaterThan(10);
    expect(outcomes.get('refused')).toBeGreaterThan(80);
  },
);
