/** NumPy's files, written by NumPy (scripts/golden-pictures.py), damaged on purpose, and written by us. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { f32, i64, type Tensor } from '../../src/core/tensor.ts';
import { fromBase64 } from '../../src/data/base64.ts';
import { loadData } from '../../src/data/load.node.ts';
import { loadNpz } from '../../src/data/npz.node.ts';
import { readNpy, readNpz, writeNpy, writeNpz } from '../../src/data/npz.ts';
import { bytesSource, readZip } from '../../src/data/zip.ts';
import { messageOf, tempFolder } from './helpers.ts';

const { dir, write } = tempFolder();
const golden = (
  JSON.parse(readFileSync(new URL('../golden/data/pictures.json', import.meta.url), 'utf8')) as {
    numpy: Record<'plain' | 'packed' | 'objects' | 'text' | 'record', string> & {
      values: Record<string, { dims: number[]; numbers: number[] }>;
    };
  }
).numpy;
const DTYPES: Record<string, string> = {
  ...{ f4: 'float32', f8: 'float64', f2: 'float16', i8: 'int64', big: 'int32', fortran: 'int16', bool: 'bool' },
  ...{ complex: 'complex64', empty: 'uint8', 'grad/conv1.weight': 'float32' },
};

function check(arrays: Map<string, Tensor>): void {
  expect([...arrays.keys()]).toEqual(Object.keys(golden.values));
  for (const [name, { dims, numbers }] of Object.entries(golden.values)) {
    const tensor = arrays.get(name)!;
    expect([name, tensor.dtype, tensor.dims]).toEqual([name, DTYPES[name], dims]);
    const values = [...(tensor.data as Float32Array)].map(Number);
    // 1.5 and -2 as bits of half precision
    expect(values).toEqual(name === 'f2' ? [0x3e00, 0xc000] : numbers);
  }
}

describe('archives of NumPy', () => {
  test('stored and deflated, from memory and from a file', async () => {
    for (const kind of ['plain', 'packed'] as const) {
      const bytes = fromBase64(golden[kind]);
      check(readNpz(bytes, 'a.npz'));
      check(await loadNpz(write(`${kind}.npz`, bytes)));
    }
  });

  test('what runs code or is no number is refused', async () => {
    expect(await messageOf(() => readNpz(fromBase64(golden.objects), 'o.npz'))).toBe(
      'o.npz: secret: elements cannot be read, expected one of f2, f4, f8, i1, i2, i4, i8, u1, u2, u4, u8, b1, c8, c16, got objects (|O), which are pickled and run code when they are read.',
    );
    expect(await messageOf(() => readNpy(fromBase64(golden.text), 't.npy'))).toMatch(
      /^t\.npy: elements cannot be read, .* got text \(<U3\)\.$/,
    );
    expect(await messageOf(() => readNpy(fromBase64(golden.record), 'r.npy'))).toMatch(
      /^r\.npy: array of records, expected numbers or booleans, got \{'descr': \[\('a', '<i4'\)/,
    );
    expect(await messageOf(() => readNpy(Uint8Array.of(0x80, 4, 0x95), 'p.npy'))).toBe(
      'p.npy: not a NumPy array, expected a .npy file of format version 1, 2 or 3, got a pickle, which runs code when it is read.',
    );
  });

  test('archives that are cut or lie', async () => {
    const whole = fromBase64(golden.packed);
    const again = 'Try copying or downloading the file again.';
    expect(await messageOf(() => readNpz(whole.subarray(0, 900), 'a.npz'))).toBe(
      `a.npz: zip archive is damaged, expected a whole zip archive, got no directory at its end. ${again}`,
    );
    const flipped = whole.slice();
    // in the packed bytes of the first array
    flipped[70] ^= 0xff;
    expect(await messageOf(() => readNpz(flipped, 'a.npz'))).toMatch(/^a\.npz: zip archive is damaged, .* got entry "f4\.npy"/);
    const bomb = whole.slice();
    const view = new DataView(bomb.buffer);
    let at = bomb.length - 4;
    while (view.getUint32(at, true) !== 0x02014b50) at--;
    view.setUint32(at + 24, 0x7fffffff, true);
    expect(await messageOf(() => readNpz(bomb, 'a.npz'))).toMatch(/that says 2147483647 bytes in \d+/);
    expect(() => readZip(bytesSource(whole), 'a.npz', { maxBytes: 300 })).toThrow('unpacks to too much, expected at most 300 bytes');
    expect(() => readZip(bytesSource(whole), 'a.npz', { maxEntries: 3 })).toThrow('too many entries, expected at most 3, got 10');
    const missing = join(dir, 'no.npz');
    expect(await messageOf(() => loadNpz(missing))).toBe(`npz: ${missing}: ${missing} cannot be read, got no such file or folder.`);
  });

  test('any bytes give an array or one of our errors', () => {
    const whole = fromBase64(golden.packed);
    const npy = writeNpy(f32([1, 2, 3], [3]));
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(npy.length - 1), (place, value, other) => {
        const changed = whole.slice();
        changed[place] = value;
        const header = npy.slice();
        header[other] = value;
        for (const read of [() => readNpz(changed, 'x'), () => readNpy(header, 'x')]) {
          try {
            read();
          } catch (error) {
            expect((error as Error).name).toBe('SecateurError');
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

test('what is written comes back', () => {
  const tensors = new Map<string, Tensor>([
    ['input', f32([1, -2, 3, 4], [2, 2])],
    ['labels', i64([7, -1])],
    ['loss', f32([0.5], [])],
    ['half', { dtype: 'float16', dims: [2], data: Uint16Array.of(0x3e00, 0xc000) }],
    ['grad/a/b', { dtype: 'uint8', dims: [0, 3], data: new Uint8Array(0) }],
  ]);
  expect(readNpz(writeNpz(tensors), 'x')).toEqual(tensors);
  expect(writeNpz(tensors)).toEqual(writeNpz(tensors));
  expect(() => writeNpy({ dtype: 'bfloat16', dims: [1], data: new Uint16Array(1) })).toThrow(
    /cannot be written as a NumPy array, .* got bfloat16/,
  );
});

const u8 = (dims: number[], from = 0): Tensor => ({
  dtype: 'uint8',
  dims,
  data: Uint8Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => (from + i) % 256),
});
const save = (name: string, arrays: Record<string, Tensor>): string => write(name, writeNpz(Object.entries(arrays)));

describe('images in arrays', () => {
  test("Keras' names, grey without a channel", async () => {
    const path = save('mnist.npz', { x_train: u8([3, 2, 2]), y_train: u8([3]), x_test: u8([1, 2, 2], 50), y_test: u8([1]) });
    const { train, test: held } = await loadData(path);
    expect(train).toMatchObject({ count: 3, channels: 1, height: 2, width: 2, classes: ['0', '1', '2'] });
    expect([...train!.labels]).toEqual([0, 1, 2]);
    expect([...held!.pixels]).toEqual([50, 51, 52, 53]);
  });

  test("MedMNIST's names, channels last, labels in a column", async () => {
    const notes: string[] = [];
    const path = save('med.npz', {
      ...{ train_images: u8([2, 1, 2, 3]), train_labels: u8([2, 1]) },
      ...{ val_images: u8([1, 1, 2, 3]), val_labels: u8([1, 1]), test_images: u8([1, 1, 2, 3]), test_labels: u8([1, 1]) },
    });
    const { train } = await loadData(path, { note: (text) => notes.push(text) });
    expect(train).toMatchObject({ channels: 3, height: 1, width: 2 });
    expect([...train!.pixels]).toEqual([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    expect(notes).toEqual(["val_images are left out: the defender's own are taken from the training images"]);
  });

  test('labels that all are names of classes stand for those; one-hot rows do not', async () => {
    const images = u8([2, 1, 1]);
    const labelsOf = async (name: string, labels: Tensor, classes: string[]): Promise<number[]> => [
      ...(await loadData(save(name, { images, labels }), { classes })).train!.labels,
    ];
    expect(await labelsOf('n1.npz', i64([1, 3]), ['1', '2', '3'])).toEqual([0, 2]);
    expect(await labelsOf('n2.npz', i64([0, 2]), ['1', '2', '3'])).toEqual([0, 2]);
    expect(await labelsOf('n3.npz', i64([1, 2]), ['a', '1', '2'])).toEqual([1, 2]);
    expect(await labelsOf('n4.npz', f32([0, 1, 0, 0, 0, 1], [2, 3]), ['1', '2', '3'])).toEqual([1, 2]);
  });

  test('channels first, numbers 0..1, one-hot labels, flat rows', async () => {
    const notes: string[] = [];
    const unit = f32([0, 1, 0.5, 0.2, 0.1, 0.9, 0, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1], [2, 3, 2, 2]);
    const path = save('x.npz', { images: unit, labels: f32([0, 1, 1, 0], [2, 2]) });
    const loaded = await loadData(path, { note: (text) => notes.push(text) });
    expect(loaded).toMatchObject({ undivided: true, train: { channels: 3, height: 2, width: 2 } });
    expect([...loaded.train!.pixels.subarray(0, 4)]).toEqual([0, 255, 128, 51]);
    expect([...loaded.train!.labels]).toEqual([1, 0]);
    expect(notes).toEqual([`${path}: images: numbers 0..1 were rounded to bytes`]);
    const flat = save('flat.npz', { x: u8([2, 16]), y: u8([2]) });
    expect((await loadData(flat)).train).toMatchObject({ channels: 1, height: 4, width: 4 });
    expect((await loadData(save('wide.npz', { x: u8([2, 18]), y: u8([2]) }), { fit: { height: 2, width: 3 } })).train).toMatchObject({
      channels: 3,
      width: 3,
    });
  });

  test.each<[string, Record<string, Tensor>, string]>([
    [
      'a',
      { a: u8([1]), b: u8([1]) },
      'no images and labels in it, expected x_train and y_train (x_test and y_test), train_images and train_labels, or images and labels, got a, b.',
    ],
    ['b', { x: u8([2, 2, 2]), y: u8([3]) }, ': y: labels do not belong to the images, expected 2, one for each of x, got 3.'],
    [
      'c',
      { x: u8([2, 5, 5, 7]), y: u8([2]) },
      ': x: not images, expected uint8 [N,H,W], [N,H,W,C] or [N,C,H,W] with 1 or 3 channels, got uint8 [2,5,5,7].',
    ],
    [
      'd',
      { x: f32([-1, 0, 0, 1.5], [1, 2, 2]), y: u8([1]) },
      ': x: values are not those of pictures, expected bytes 0..255, or numbers 0..1, got -1.000 to 1.500, not all whole. Try the images as they were before they were normalised; --preprocess does that here.',
    ],
    [
      'e',
      { x: u8([1, 2, 2]), y: f32([0.5], [1]) },
      ': y: not labels, expected whole numbers [N] or [N,1], or one-hot rows [N,K], got float32 [1].',
    ],
    [
      'f',
      { x: u8([1, 7]), y: u8([1]) },
      ': x: flat images of unknown size, expected uint8 [N,H,W], [N,H,W,C] or [N,C,H,W] with 1 or 3 channels, got uint8 [1,7]. Try --preprocess FILE.yaml with "resize: [HEIGHT, WIDTH]".',
    ],
  ])('%s is refused', async (name, arrays, message) => {
    const path = save(`bad-${name}.npz`, arrays);
    expect(await messageOf(() => loadData(path))).toContain(message);
  });

  test('a label beyond the classes', async () => {
    const path = save('high.npz', { x: u8([2, 2, 2]), y: i64([0, 9]) });
    expect(await messageOf(() => loadData(path, { classes: ['a', 'b'] }))).toBe(
      `data: ${path}: y: label of image 1 is out of range, expected 0 to 1 (2 classes), got 9.`,
    );
  });
});
