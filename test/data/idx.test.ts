/** IDX files, whole and broken, and the words for what is wrong with them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { loadIdxPair } from '../../src/data/idx.node.ts';
import { parseIdx } from '../../src/data/idx.ts';
import { loadData, loadIdx } from '../../src/data/load.node.ts';
import { idx, messageOf, tempFolder } from './helpers.ts';

const { dir, write } = tempFolder();
const IMAGES = idx([3, 2, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]);
const LABELS = idx([3], [7, 0, 9]);

describe('files that are right', () => {
  test.each([
    ['plain, dashes', 'train-images-idx3-ubyte', 'train-labels-idx1-ubyte', (b: Uint8Array) => b],
    ['plain, dots', 'train-images.idx3-ubyte', 'train-labels.idx1-ubyte', (b: Uint8Array) => b],
    ['gzip', 'train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz', gzipSync],
    ['gzip under a plain name', 'train-images-idx3-ubyte', 'train-labels-idx1-ubyte', gzipSync],
    ['plain under a gzip name', 'train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz', (b: Uint8Array) => b],
  ])('%s', async (folder, images, labels, pack) => {
    write(join(folder, images), pack(IMAGES));
    write(join(folder, labels), pack(LABELS));
    const { train, test: none } = await loadData(join(dir, folder));
    expect(none).toBeUndefined();
    expect(train).toMatchObject({ kind: 'clean', role: 'train', count: 3, channels: 1, height: 2, width: 2 });
    expect(train!.source).toBe(join(dir, folder, images));
    expect([...train!.pixels]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]);
    expect([...train!.labels]).toEqual([7, 0, 9]);
    expect(train!.classes).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
  });

  test('both parts, in a sub-folder as torchvision leaves them', async () => {
    write('torch/MNIST/raw/train-images-idx3-ubyte', IMAGES);
    write('torch/MNIST/raw/train-labels-idx1-ubyte', LABELS);
    write('torch/MNIST/raw/t10k-images-idx3-ubyte', idx([1, 2, 2], [1, 2, 3, 4]));
    write('torch/MNIST/raw/t10k-labels-idx1-ubyte', idx([1], [5]));
    const data = await loadData(join(dir, 'torch'));
    expect(data.train?.count).toBe(3);
    expect(data.test).toMatchObject({ role: 'test', count: 1 });
  });

  test('a pair named file by file, with class names', async () => {
    const pair = { images: write('any/pictures.bin', IMAGES), labels: write('any/answers.bin', idx([3], [11, 0, 1])) };
    const classes = Array.from({ length: 12 }, (_, i) => `letter ${i}`);
    const { test: data } = await loadIdx({ test: pair }, classes);
    expect(data?.classes[data.labels[0]]).toBe('letter 11');
  });
});

test('labels that all are names of classes stand for those, in both parts or in none', async () => {
  const part = (name: string, labels: number[]) => ({
    images: write(`${name}.images`, idx([labels.length, 1, 1], labels)),
    labels: write(`${name}.labels`, idx([labels.length], labels)),
  });
  const ones = ['1', '2', '3', '4'];
  const notes: string[] = [];
  const load = async (train: number[], held: number[]): Promise<number[][]> => {
    const loaded = await loadIdx({ train: part('a', train), test: part('b', held) }, ones, (text) => notes.push(text));
    return [[...loaded.train!.labels], [...loaded.test!.labels]];
  };
  expect(await load([1, 4], [2, 3])).toEqual([
    [0, 3],
    [1, 2],
  ]);
  expect(notes).toEqual(["class numbers are taken as the names of classes: 1 is the network's class at place 0"]);
  expect(await load([0, 3], [2, 1])).toEqual([
    [0, 3],
    [2, 1],
  ]);
});

describe('files that are wrong', () => {
  const pair = (name: string, images: Uint8Array | string, labels: Uint8Array | string) => ({
    images: write(`${name}/train-images-idx3-ubyte`, images),
    labels: write(`${name}/train-labels-idx1-ubyte`, labels),
  });
  const load = (name: string, images: Uint8Array | string, labels: Uint8Array | string): Promise<string> =>
    messageOf(() => loadIdxPair(pair(name, images, labels), 'train'));

  test('truncated', async () => {
    expect(await load('short', IMAGES.subarray(0, 25), LABELS)).toBe(
      'data: train-images-idx3-ubyte: file is truncated, expected 28 bytes for 3x2x2, got 25. Try copying or downloading the file again.',
    );
    expect(await load('stub', IMAGES.subarray(0, 9), LABELS)).toBe(
      'data: train-images-idx3-ubyte: file ends inside its header, expected an IDX file of images, at least 16 bytes, got 9.',
    );
    expect(await load('void', '', LABELS)).toBe(
      'data: train-images-idx3-ubyte: file ends inside its header, expected an IDX file of images, at least 16 bytes, got 0.',
    );
  });

  test('too long, or holding nothing', async () => {
    expect(await load('long', Uint8Array.of(...IMAGES, 1), LABELS)).toBe(
      'data: train-images-idx3-ubyte: file goes on after its end, expected 28 bytes for 3x2x2, got 29.',
    );
    expect(await load('none', idx([0, 2, 2], []), idx([0], []))).toBe(
      'data: train-images-idx3-ubyte: file holds nothing, expected at least one of its images, got size 0x2x2.',
    );
  });

  test('images and labels swapped', async () => {
    const many = idx([12], new Uint8Array(12));
    expect(await load('swapped', many, IMAGES)).toBe(
      'data: train-images-idx3-ubyte: wrong magic number, expected 2051 (IDX file of images, unsigned bytes), got 2049, an IDX file of labels. ' +
        'Try swapping the images file and the labels file.',
    );
    expect(await load('both images', IMAGES, IMAGES)).toBe(
      'data: train-labels-idx1-ubyte: wrong magic number, expected 2049 (IDX file of labels, unsigned bytes), got 2051, an IDX file of images. ' +
        'Try swapping the images file and the labels file.',
    );
  });

  test('no IDX file, or one of floats', async () => {
    expect(await load('text', '<!doctype html><p>not found</p>', LABELS)).toBe(
      'data: train-images-idx3-ubyte: wrong magic number, expected 2051 (IDX file of images, unsigned bytes), got bytes 3c 21 64 6f, which is no IDX file.',
    );
    expect(await load('floats', idx([3, 2, 2], new Uint8Array(48), 0x0d), LABELS)).toBe(
      'data: train-images-idx3-ubyte: wrong magic number, expected 2051 (IDX file of images, unsigned bytes), got 3331 (element type 0x0d, 3 dimensions).',
    );
  });

  test('gzip: cut off, damaged, packed twice, or none under that name', async () => {
    const noisy = idx(
      [1, 40, 40],
      Uint8Array.from({ length: 1600 }, (_, i) => (i * i * 7 + (i >> 3)) % 251),
    );
    const packed = gzipSync(noisy);
    expect(await load('cut', packed.subarray(0, 100), LABELS)).toBe(
      'data: train-images-idx3-ubyte: gzip file is truncated, expected a whole gzip file, got 100 bytes and no end. ' +
        'Try copying or downloading the file again.',
    );
    const broken = Uint8Array.from(packed);
    broken[broken.length - 6] ^= 0xff;
    expect(await load('damaged', broken, LABELS)).toBe(
      'data: train-images-idx3-ubyte: gzip file is damaged, expected a whole gzip file, got incorrect data check. ' +
        'Try copying or downloading the file again.',
    );
    expect(await load('twice', gzipSync(gzipSync(IMAGES)), LABELS)).toBe(
      'data: train-images-idx3-ubyte: wrong magic number, expected 2051 (IDX file of images, unsigned bytes), ' +
        'got 1f 8b 08 00, a gzip file inside a gzip file. Try gunzip once more.',
    );
    const files = { images: write('html/images.gz', '<!doctype html>'), labels: write('html/labels.gz', gzipSync(LABELS)) };
    expect(await messageOf(() => loadIdxPair(files, 'train'))).toBe(
      'data: images.gz: not a gzip file, expected a file that starts with 1f 8b, got 3c 21. Try downloading the file again.',
    );
  });

  test('labels that do not fit', async () => {
    expect(await load('count', IMAGES, idx([2], [1, 2]))).toBe(
      'data: train-labels-idx1-ubyte: labels do not belong to the images, expected 3 labels, one for each image of train-images-idx3-ubyte, got 2.',
    );
    expect(await load('range', IMAGES, idx([3], [1, 10, 2]))).toBe(
      'data: train-labels-idx1-ubyte: label of image 1 is out of range, expected 0 to 9 (10 classes), got 10.',
    );
  });

  test('files that are not there', async () => {
    const { images } = pair('half', IMAGES, LABELS);
    expect(await messageOf(() => loadIdxPair({ images, labels: join(dir, 'half/nothing') }, 'train'))).toBe(
      `data: nothing: ${join(dir, 'half/nothing')} cannot be read, got no such file or folder.`,
    );
    write('lonely/t10k-images-idx3-ubyte.gz', gzipSync(IMAGES));
    expect(await messageOf(() => loadData(join(dir, 'lonely')))).toBe(
      `data: ${join(dir, 'lonely')}: no labels file beside t10k-images-idx3-ubyte.gz, ` +
        'expected t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz.',
    );
    expect(await messageOf(() => loadIdx(join(dir, 'any-other')))).toBe(
      `data: ${join(dir, 'any-other')}: no IDX files, ` +
        'expected train-images-idx3-ubyte and train-labels-idx1-ubyte, or t10k-..., plain or .gz.',
    );
  });

  test('training and test images of different size', async () => {
    const train = pair('sizes', IMAGES, LABELS);
    const other = {
      images: write('sizes/t10k-images-idx3-ubyte', idx([1, 3, 2], new Uint8Array(6))),
      labels: write('sizes/l', idx([1], [0])),
    };
    expect(await messageOf(() => loadIdx({ train, test: other }))).toBe(
      `data: ${other.images}: test and training images differ in size (height x width), expected 2x2 like ${train.images}, got 3x2.`,
    );
  });
});

test('parseIdx reads inside of a larger buffer', () => {
  const buffer = new Uint8Array(40).fill(99);
  buffer.set(IMAGES, 5);
  expect([...parseIdx(buffer.subarray(5, 5 + IMAGES.length), 'images', 'x').data]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]);
});

// The real files, where the machine has them.
const MNIST = join(import.meta.dirname, '../../../shared/data/mnist');
test.skipIf(!existsSync(MNIST))('MNIST itself (skipped where ../shared/data/mnist is not there)', async () => {
  const { train, test: held } = await loadData(MNIST);
  expect([train?.count, held?.count, held?.height, held?.width]).toEqual([60000, 10000, 28, 28]);
  expect([...held!.labels.subarray(0, 10)]).toEqual([7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
  expect(held?.sha256).toMatch(/^[0-9a-f]{64}$/);
});
