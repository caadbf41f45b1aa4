/** Pictures as PIL reads them (scripts/golden-pictures.py), and files that are damaged, too large or something else. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { fromBase64 } from '../../src/data/base64.ts';
import { matchClasses } from '../../src/data/classes.ts';
import { decodePicture, openJpegDecoder } from '../../src/data/decode.node.ts';
import { checkRoom, fitDataset, fitPicture } from '../../src/data/fit.ts';
import { loadData } from '../../src/data/load.node.ts';
import { crc32, encodePng } from '../../src/data/png.ts';
import type { Picture } from '../../src/data/resize.ts';
import { messageOf, noise, tempFolder } from './helpers.ts';

const { dir, write } = tempFolder();
const golden = JSON.parse(readFileSync(new URL('../golden/data/pictures.json', import.meta.url), 'utf8')) as {
  jpeg: Record<string, { file: string; height: number; width: number; pixels: string }>;
  png: Record<string, { file: string; channels: number; pixels: string }>;
};
beforeAll(openJpegDecoder);

describe('as PIL', () => {
  test.each(Object.keys(golden.png))('PNG: %s', (name) => {
    const { file, channels, pixels } = golden.png[name];
    const made = decodePicture(fromBase64(file), 'x');
    expect([made.channels, made.height, made.width]).toEqual([channels, 6, 9]);
    expect([...made.pixels]).toEqual([...fromBase64(pixels)]);
  });

  test.each(Object.keys(golden.jpeg).filter((name) => name !== 'CMYK'))('JPEG: %s', (name) => {
    const { file, pixels } = golden.jpeg[name];
    const made = decodePicture(fromBase64(file), 'x');
    expect([made.channels, made.height, made.width]).toEqual([name === 'grey' ? 1 : 3, 21, 35]);
    expect([...made.pixels]).toEqual([...fromBase64(pixels)]);
  });
});

test('PPM and PGM: plain and binary, comments, 16 bits, other maxima', () => {
  const text = (s: string, ...bytes: number[]): Uint8Array => Uint8Array.of(...new TextEncoder().encode(s), ...bytes);
  const read = (bytes: Uint8Array): unknown => {
    const { channels, height, width, pixels } = decodePicture(bytes, 'x');
    return [channels, height, width, [...pixels]];
  };
  expect(read(text('P5\n# a comment\n2 1\n255\n', 7, 8))).toEqual([1, 1, 2, [7, 8]]);
  expect(read(text('P6 1 2 255\n', 1, 2, 3, 4, 5, 6))).toEqual([3, 2, 1, [1, 4, 2, 5, 3, 6]]);
  expect(read(text('P2 3 1 15 0 15 # end\n 5'))).toEqual([1, 1, 3, [0, 255, 85]]);
  expect(read(text('P3\n1 1 255\n9 8 7\n'))).toEqual([3, 1, 1, [9, 8, 7]]);
  expect(read(text('P5 2 1 65535\n', 0x80, 0, 0xff, 0xff))).toEqual([1, 1, 2, [128, 255]]);
});

/** A PNG whose header says what it likes. */
function pngOf(width: number, height: number, interlaced: boolean, raw: Uint8Array): Uint8Array {
  const chunk = (type: string, body: Uint8Array): Buffer => {
    const named = Buffer.concat([Buffer.from(type), body]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(body.length);
    ends.writeUInt32BE(crc32(named), 4);
    return Buffer.concat([ends.subarray(0, 4), named, ends.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([8, 0, 0, 0, interlaced ? 1 : 0], 8);
  const start = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([start, chunk('IHDR', header), chunk('IDAT', deflateSync(raw)), chunk('IEND', Buffer.alloc(0))]);
}

describe('files that are wrong', () => {
  const bytes = (s: string): Uint8Array => new TextEncoder().encode(s);
  const huge = 'x: picture is of a size that is not read (width x height), expected at least 1x1 and at most 67108864 pixels, got';
  test.each<[string, () => Uint8Array, string | RegExp]>([
    ['too many pixels, PNG', () => pngOf(60000, 60000, false, new Uint8Array(9)), `${huge} 60000x60000.`],
    ['too many pixels, PPM', () => bytes('P6 99999 99999 255\n'), `${huge} 99999x99999.`],
    ['no pixels', () => bytes('P5 0 3 255\n'), `${huge} 0x3.`],
    [
      'an interlaced bomb',
      () => pngOf(4, 4, true, new Uint8Array(1e6)),
      'x: PNG file is damaged, expected a whole PNG file, got more than 220 bytes for 4x4.',
    ],
    [
      'a PNG of ten bytes',
      () => pngOf(4, 4, false, new Uint8Array(9)).subarray(0, 10),
      'x: PNG file is damaged, expected a whole PNG file, got 10 bytes.',
    ],
    [
      'a JPEG that ends early',
      () => fromBase64(golden.jpeg['4:2:0'].file).subarray(0, 700),
      'x: JPEG file is damaged, expected a whole JPEG file, got an end or a code where none belongs.',
    ],
    [
      'a JPEG without a frame',
      () => Uint8Array.of(0xff, 0xd8, 0xff, 0xd9, 0, 0, 0, 0, 0, 0, 0, 0),
      'x: JPEG file is damaged, expected a whole JPEG file, got no frame in it.',
    ],
    [
      'CMYK',
      () => fromBase64(golden.jpeg.CMYK.file),
      'x: JPEG file is not read, expected one or three colour components, got four (CMYK). Try converting it to RGB.',
    ],
    [
      'a PPM that ends early',
      () => bytes('P6 2 2 255\nabc'),
      'x: PPM or PGM file is damaged, expected a whole file, got 14 bytes for 2x2x3.',
    ],
    [
      'a PGM of words',
      () => bytes('P2 2 2 255\n1 2 three 4'),
      'x: PPM or PGM file is damaged, expected a whole file, got no number for the pixels.',
    ],
    [
      'a Git LFS pointer',
      () => bytes('version https://git-lfs.github.com/spec/v1'),
      'x: picture is not read, expected PNG, JPEG, PPM or PGM, got a Git LFS pointer.',
    ],
    ['nothing', () => new Uint8Array(0), 'x: not a picture, expected PNG, JPEG, PPM or PGM, got an empty file.'],
  ])('%s', async (_, make, message) => {
    expect(await messageOf(() => decodePicture(make(), 'x'))).toBe(message);
  });

  test('any change of a file gives a picture or one of our errors', () => {
    const files = [...Object.values(golden.png), ...Object.values(golden.jpeg)].map(({ file }) => fromBase64(file));
    fc.assert(
      fc.property(fc.nat(files.length - 1), fc.nat(3000), fc.nat(255), (which, place, value) => {
        const changed = files[which].slice();
        changed[place % changed.length] = value;
        try {
          decodePicture(changed, 'x');
        } catch (error) {
          expect((error as Error).name).toBe('SecateurError');
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('fitting', () => {
  const photo = (height: number, width: number, channels: 1 | 3 = 3): Picture => ({
    channels,
    height,
    width,
    pixels: Uint8Array.from({ length: channels * height * width }, (_, i) => (i * 31) % 256),
  });
  const how = { interpolation: 'bilinear', antialias: true } as const;

  test('sizes: as asked, cropped to the network, or left alone', () => {
    const net = { channels: 3, height: 8, width: 8 };
    const size = (p: Picture): number[] => [p.channels, p.height, p.width];
    expect(size(fitPicture(photo(20, 30), { ...net, preprocess: { ...how, resize: 10 } }, 'x'))).toEqual([3, 8, 8]);
    expect(size(fitPicture(photo(20, 30), { ...net, preprocess: { ...how, resize: [8, 8] } }, 'x'))).toEqual([3, 8, 8]);
    expect(size(fitPicture(photo(5, 6), { preprocess: { ...how, crop: [8, 4] } }, 'x'))).toEqual([3, 8, 4]);
    const there = photo(8, 8);
    expect(fitPicture(there, { ...net, preprocess: { ...how, resize: 10, crop: [8, 8] } }, 'x')).toBe(there);
    expect(fitPicture(photo(5, 6), net, 'x')).toMatchObject({ height: 5, width: 6 });
  });

  test('colour is lost only where asked', async () => {
    const net = { channels: 1, height: 4, width: 4 };
    expect(await messageOf(() => fitPicture(photo(4, 4), net, 'x'))).toBe(
      'x: picture is in colour, expected grey, as the network takes it, got RGB. Try --preprocess mnist, or FILE.yaml with "channels: 1", which makes them grey.',
    );
    expect(fitPicture(photo(4, 4), { ...net, preprocess: { ...how, channels: 1 } }, 'x').channels).toBe(1);
    const plane = photo(4, 4, 1).pixels;
    const inName = { ...photo(4, 4), pixels: Uint8Array.of(...plane, ...plane, ...plane) };
    expect([...fitPicture(inName, net, 'x').pixels]).toEqual([...plane]);
    expect(fitDataset(noise('test', 2), { channels: 3 })).toMatchObject({ channels: 3, height: 6, width: 5 });
  });

  test('what cannot come out', async () => {
    const net = { height: 8, width: 8, preprocess: { ...how, resize: 6 } };
    expect(await messageOf(() => fitPicture(photo(20, 30), net, 'x'))).toBe(
      'x: picture is too small after resizing (height x width), expected at least 8x8, what the network takes, got 6x9.',
    );
    expect(await messageOf(() => fitPicture(photo(1, 4000, 1), { preprocess: { ...how, resize: 100 } }, 'x'))).toBe(
      'x: picture is too long for its width to be resized by its shorter side, expected at most 65536, got 100x400000.',
    );
  });

  test('a folder of pictures of several kinds and sizes', async () => {
    write('mixed/cat/1.jpg', fromBase64(golden.jpeg['4:2:0'].file));
    write('mixed/cat/2.png', encodePng(new Uint8Array(300).fill(9), 10, 10, 3));
    write('mixed/dog/1.ppm', 'P3 2 1 255 1 2 3 4 5 6');
    write('mixed/dog/2.pgm', 'P2 1 1 255 77');
    const path = join(dir, 'mixed');
    expect(await messageOf(() => loadData(path))).toBe(
      `data: ${path}/cat/2.png: images differ in size (width x height), expected 35x21 like ${path}/cat/1.jpg, got 10x10. Try --preprocess imagenet, cifar10, mnist or FILE.yaml, which says how to resize them.`,
    );
    const { train } = await loadData(path, { fit: { channels: 3, height: 4, width: 4, preprocess: { ...how, resize: 5, crop: [4, 4] } } });
    expect(train).toMatchObject({ count: 4, channels: 3, height: 4, width: 4, classes: ['cat', 'dog'] });
    expect([...train!.pixels.subarray(48, 96)]).toEqual(new Array(48).fill(9));
    expect([...train!.pixels.subarray(144)]).toEqual(new Array(48).fill(77));
    const grey = { preprocess: { ...how, resize: [3, 2] as [number, number], channels: 1 as const } };
    expect((await loadData(path, { fit: grey })).train).toMatchObject({ channels: 1, height: 3, width: 2 });
  });
});

test('more bytes than an array holds are refused before the work is done', async () => {
  expect(await messageOf(() => checkRoom(50_000, { channels: 3, height: 224, width: 224 }, 'data: photos'))).toBe(
    'data: photos: too many images of this size for one data set, expected at most 4294967296 bytes, ' +
      'got 7526400000 (50000 images of 3x224x224). Try fewer images, or --preprocess with a smaller size.',
  );
  checkRoom(28_000, { channels: 3, height: 224, width: 224 }, 'data: photos');
  const preprocess = { resize: [1000, 1000] as [number, number], interpolation: 'nearest', antialias: false } as const;
  const many = noise('train', 5000, { height: 1, width: 1 });
  expect(await messageOf(() => fitDataset(many, { height: 1000, width: 1000, preprocess }))).toContain(
    'got 5000000000 (5000 images of 1x1000x1000)',
  );
});

test('a data set made to fit is not hashed', () => {
  const data = noise('test', 2);
  Object.defineProperty(data, 'sha256', { enumerable: true, get: () => expect.unreachable() });
  expect(fitDataset(data, { channels: 3 })).toMatchObject({ count: 2, channels: 3, labels: data.labels });
  expect(matchClasses(data, ['class 2', 'class 1', 'class 0']).classes).toEqual(['class 2', 'class 1', 'class 0']);
});
