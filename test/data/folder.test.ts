/** Image folders, whole and broken. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { loadFolder } from '../../src/data/folder.node.ts';
import { DATA_KINDS, loadData } from '../../src/data/load.node.ts';
import { naturalOrder } from '../../src/data/natural-order.ts';
import { crc32, encodePng } from '../../src/data/png.ts';
import { messageOf, tempFolder } from './helpers.ts';

const { dir, write } = tempFolder();
const grey = (...pixels: number[]): Uint8Array => encodePng(Uint8Array.from(pixels), 2, pixels.length / 2, 1);
const rgb = (...pixels: number[]): Uint8Array => encodePng(Uint8Array.from(pixels), pixels.length / 3, 1, 3);
const rgba = (...pixels: number[]): Uint8Array => encodePng(Uint8Array.from(pixels), pixels.length / 4, 1, 4);

/** A PNG of one row, chunk by chunk: kinds that `encodePng` does not write. */
function rawPng(width: number, bits: number, colourType: number, extra: [string, number[]] | undefined, row: number[]): Uint8Array {
  const chunk = (type: string, body: Uint8Array): Buffer => {
    const named = Buffer.concat([Buffer.from(type), body]);
    const [length, crc] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(body.length);
    crc.writeUInt32BE(crc32(named));
    return Buffer.concat([length, named, crc]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(1, 4);
  header.set([bits, colourType], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    ...(extra === undefined ? [] : [chunk(extra[0], Uint8Array.from(extra[1]))]),
    chunk('IDAT', deflateSync(Uint8Array.of(0, ...row))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

describe('folders that are right', () => {
  test('one sub-folder a class, classes and files in natural order', async () => {
    write('plain/10/a.png', grey(1, 2, 3, 4));
    write('plain/2/b10.png', grey(9, 9, 9, 9));
    write('plain/2/b9.png', grey(5, 6, 7, 8));
    write('plain/2/notes.txt', 'not a picture');
    write('plain/.cache/x.png', 'hidden');
    const { train, test: none } = await loadData(join(dir, 'plain'));
    expect(none).toBeUndefined();
    expect(train).toMatchObject({ role: 'train', count: 3, channels: 1, height: 2, width: 2, classes: ['2', '10'] });
    expect([...train!.labels]).toEqual([0, 0, 1]);
    expect([...train!.pixels]).toEqual([5, 6, 7, 8, 9, 9, 9, 9, 1, 2, 3, 4]);
  });

  test('train and test; the test part may lack a class', async () => {
    for (const name of ['cat', 'dog', 'owl']) write(`parts/train/${name}/1.png`, grey(1, 1, 1, 1));
    write('parts/test/owl/1.png', grey(2, 2, 2, 2));
    const { train, test: held } = await loadData(join(dir, 'parts'));
    expect(train?.classes).toEqual(['cat', 'dog', 'owl']);
    expect(held).toMatchObject({ role: 'test', count: 1, classes: ['cat', 'dog', 'owl'] });
    expect([...held!.labels]).toEqual([2]);
  });

  test('colour: planes one after the other; one colour file makes all of them colour', async () => {
    write('colour/a/1.png', rgb(10, 20, 30, 40, 50, 60));
    write('colour/b/1.png', encodePng(Uint8Array.of(7, 8), 2, 1, 1));
    const { train } = await loadFolder(join(dir, 'colour'));
    expect(train?.channels).toBe(3);
    expect([...train!.pixels]).toEqual([10, 40, 20, 50, 30, 60, 7, 8, 7, 8, 7, 8]);
    const asGrey = (await loadFolder(join(dir, 'colour'), { channels: 1 })).train!;
    expect([...asGrey.pixels]).toEqual([
      Math.round(0.299 * 10 + 0.587 * 20 + 0.114 * 30),
      Math.round(0.299 * 40 + 0.587 * 50 + 0.114 * 60),
      7,
      8,
    ]);
  });

  test('transparency is flattened over the background', async () => {
    write('clear/a/1.png', rgba(100, 0, 50, 255, 100, 0, 50, 0, 0, 0, 0, 51));
    const white = (await loadFolder(join(dir, 'clear'))).train!;
    expect([...white.pixels]).toEqual([100, 255, 204, 0, 255, 204, 50, 255, 204]);
    const black = (await loadFolder(join(dir, 'clear'), { background: 0 })).train!;
    expect([...black.pixels]).toEqual([100, 0, 0, 0, 0, 0, 50, 0, 0]);
  });

  test('files with a palette or 16 bits', async () => {
    // One row of two pixels: colours 1 and 0 of a palette.
    const palette = rawPng(2, 8, 3, ['PLTE', [10, 20, 30, 40, 50, 60]], [1, 0]);
    write('palette/a/1.png', palette);
    expect([...(await loadFolder(join(dir, 'palette'))).train!.pixels]).toEqual([40, 10, 50, 20, 60, 30]);
    write('deep/a/1.png', rawPng(2, 16, 0, undefined, [0x80, 0x00, 0xff, 0xff]));
    const { train } = await loadFolder(join(dir, 'deep'));
    expect(train?.channels).toBe(1);
    expect([...train!.pixels]).toEqual([128, 255]);
  });
});

test('links are what they lead to', async () => {
  const picture = write('real/cats/1.png', grey(1, 2));
  write('linked/dog/1.png', grey(3, 4));
  symlinkSync(join(dir, 'real/cats'), join(dir, 'linked/cat'));
  symlinkSync(picture, join(dir, 'linked/dog/2.png'));
  symlinkSync(join(dir, 'nowhere'), join(dir, 'linked/gone'));
  const { train } = await loadData(join(dir, 'linked'));
  expect(train).toMatchObject({ count: 3, classes: ['cat', 'dog'] });
  expect([...train!.labels]).toEqual([0, 1, 1]);
});

test('groups by prefix: a name means the same in every class, digits are of their class', async () => {
  for (const path of ['glad/subject01_glad', 'sad/subject01_sad', 'glad/00001_1', 'sad/00001_1', 'sad/00001_2']) {
    write(`faces/${path}.png`, grey(1, 2));
  }
  const { train } = await loadFolder(join(dir, 'faces'), { groupBy: 'prefix' });
  // glad/00001_1, glad/subject01, sad/00001_1, sad/00001_2, sad/subject01
  expect([...train!.groups!.ids]).toEqual([0, 1, 2, 2, 1]);
});

describe('folders that are wrong', () => {
  test('sizes that differ, naming both files', async () => {
    const first = write('sizes/a/1.png', grey(1, 2, 3, 4));
    const second = write('sizes/b/7.png', grey(1, 2, 3, 4, 5, 6));
    expect(await messageOf(() => loadData(join(dir, 'sizes')))).toBe(
      `data: ${second}: images differ in size (width x height), expected 2x2 like ${first}, got 2x3. Try --preprocess imagenet, cifar10, mnist or FILE.yaml, which says how to resize them.`,
    );
    const train = write('sizes2/train/a/1.png', grey(1, 2, 3, 4));
    const held = write('sizes2/test/a/1.png', grey(1, 2));
    expect(await messageOf(() => loadData(join(dir, 'sizes2')))).toBe(
      `data: ${held}: test and training images differ in size (width x height), expected 2x2 like ${train}, got 2x1.`,
    );
  });

  test('files that are no PNG', async () => {
    const text = write('bad/a/1.png', 'PNG, honestly');
    expect(await messageOf(() => loadData(join(dir, 'bad')))).toBe(
      `data: ${text}: not a picture, expected PNG, JPEG, PPM or PGM, got a file that starts with 50 4e 47 2c.`,
    );
    const whole = grey(1, 2, 3, 4);
    const cut = write('cut/a/1.png', whole.subarray(0, whole.length - 20));
    expect(await messageOf(() => loadData(join(dir, 'cut')))).toMatch(
      new RegExp(`^data: ${cut}: PNG file is damaged, expected a whole PNG file, got .+\\.$`),
    );
    const gif = write('gif/a/photo.gif', 'x');
    expect(await messageOf(() => loadData(join(dir, 'gif')))).toBe(
      `data: ${gif}: picture is not read, expected PNG, JPEG, PPM or PGM, got photo.gif. Try converting it to PNG.`,
    );
    const webp = write('webp/a/photo.png', 'RIFF1234WEBPVP8 ');
    expect(await messageOf(() => loadData(join(dir, 'webp')))).toBe(
      `data: ${webp}: picture is not read, expected PNG, JPEG, PPM or PGM, got WebP. Try converting it to PNG.`,
    );
  });

  test('classes that are empty, or unknown to training', async () => {
    write('empty/a/1.png', grey(1, 2));
    write('empty/b/readme.txt', 'nothing here');
    expect(await messageOf(() => loadData(join(dir, 'empty')))).toBe(
      `data: ${join(dir, 'empty/b')}: class folder is empty, expected pictures in it.`,
    );
    write('stranger/train/a/1.png', grey(1, 2));
    write('stranger/test/z/1.png', grey(1, 2));
    expect(await messageOf(() => loadData(join(dir, 'stranger')))).toBe(
      `data: ${join(dir, 'stranger/test/z')}: class is not in the training part, expected a, got z.`,
    );
  });

  test('no data at all', async () => {
    write('nothing/readme.md', 'hello');
    expect(await messageOf(() => loadData(join(dir, 'nothing')))).toBe(
      `data: ${join(dir, 'nothing')}: no data found in this folder, ` +
        'expected one sub-folder of pictures (PNG, JPEG, PPM, PGM) or of WAV files for each class, WAV files called ' +
        '<label>_<speaker>_<index>.wav, IDX files (train-images-idx3-ubyte, plain or .gz), ' +
        'CIFAR binaries (data_batch_1.bin) or an index.csv.',
    );
    expect(await messageOf(() => loadData(join(dir, 'missing')))).toBe(
      `data: ${join(dir, 'missing')}: ${join(dir, 'missing')} cannot be read, got no such file or folder.`,
    );
    const file = join(dir, 'nothing/readme.md');
    expect(await messageOf(() => loadData(file))).toBe(
      `data: ${file}: not a kind of file that holds data, expected ${DATA_KINDS}, got a file that starts with 68 65 6c 6c.`,
    );
  });
});

test('natural order', () => {
  const names = ['img10', 'img9', 'img', '2', '10', '1', '01', 'b', 'a2', 'a10', 'a1'];
  expect(names.sort(naturalOrder)).toEqual(['01', '1', '2', '10', 'a1', 'a2', 'a10', 'b', 'img', 'img9', 'img10']);
});
