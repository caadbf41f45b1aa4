/** CIFAR binaries, tables of paths, strips: whole and broken; groups that no split parts; classes of data and network. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { matchClasses } from '../../src/data/classes.ts';
import { parseCsv } from '../../src/data/csv.ts';
import { loadData } from '../../src/data/load.node.ts';
import { makeDataset } from '../../src/data/make.ts';
import { encodePng } from '../../src/data/png.ts';
import { split } from '../../src/data/split.ts';
import { messageOf, noise, tempFolder } from './helpers.ts';

const { dir, write } = tempFolder();
const at = (...parts: string[]): string => join(dir, ...parts);

/** Records of label bytes and an image of one value. */
const records = (...list: [labels: number[], value: number][]): Uint8Array =>
  Uint8Array.from(list.flatMap(([labels, value]) => [...labels, ...new Array<number>(3072).fill(value)]));

describe('CIFAR binaries', () => {
  test('CIFAR-10: batches one after the other, the test batch apart', async () => {
    write('c10/cifar-10-batches-bin/data_batch_1.bin', records([[6], 10], [[9], 20]));
    write('c10/cifar-10-batches-bin/data_batch_2.bin', records([[0], 30]));
    write('c10/cifar-10-batches-bin/test_batch.bin', records([[3], 40]));
    const { train, test: held } = await loadData(at('c10'));
    expect(train).toMatchObject({ count: 3, channels: 3, height: 32, width: 32 });
    expect([...train!.labels].map((label) => train!.classes[label])).toEqual(['frog', 'truck', 'airplane']);
    expect([0, 1, 2].map((i) => train!.pixels[i * 3072])).toEqual([10, 20, 30]);
    expect(held!.classes[held!.labels[0]]).toBe('cat');
    const one = await loadData(at('c10/cifar-10-batches-bin/test_batch.bin'));
    expect([one.train, one.test!.count]).toEqual([undefined, 1]);
  });

  test('CIFAR-100: fine labels, or coarse ones where asked', async () => {
    write('c100/train.bin', records([[3, 77], 1], [[19, 99], 2]));
    write('c100/coarse_label_names.txt', Array.from({ length: 20 }, (_, i) => `kind ${i}\n`).join(''));
    expect([...(await loadData(at('c100'))).train!.labels]).toEqual([77, 99]);
    const { train } = await loadData(`${at('c100')}?labels=coarse`);
    expect([...train!.labels]).toEqual([3, 19]);
    expect(train!.classes[19]).toBe('kind 19');
  });

  test('files that are wrong', async () => {
    const cut = write('short/data_batch_1.bin', records([[1], 1]).subarray(0, 3000));
    expect(await messageOf(() => loadData(at('short')))).toBe(
      `data: ${cut}: file is not a whole number of images, expected a multiple of 3073 bytes, got 3000. Try copying or downloading the file again.`,
    );
    const named = write('named/data_batch_1.bin', records([[1, 2], 1]));
    expect(await messageOf(() => loadData(at('named')))).toBe(
      `data: ${named}: file is not a whole number of images, expected a multiple of 3073 bytes, got 3074. Try the name of its kind: CIFAR-10 files are data_batch_N.bin, CIFAR-100 files train.bin and test.bin.`,
    );
    const high = write('high/data_batch_1.bin', records([[1], 1], [[10], 1]));
    expect(await messageOf(() => loadData(at('high')))).toBe(`data: ${high}: label of image 1 is out of range, expected 0 to 9, got 10.`);
    write('pickle/cifar-10-batches-py.txt', '');
    write('pickle/data_batch_1', '\x80\x04');
    expect(await messageOf(() => loadData(at('pickle')))).toBe(
      `data: ${at('pickle')}: the Python version of CIFAR is pickled, and a pickle runs code when it is read, expected data_batch_1.bin and its like. Try the binary version (cifar-10-binary.tar.gz).`,
    );
    expect(await messageOf(() => loadData(`${at('high')}?labels=all`))).toContain(
      'unknown setting "labels=all", expected roi=1 (tables) or labels=coarse (CIFAR-100).',
    );
  });
});

const png = (value: number, width = 2, height = 2): Uint8Array => encodePng(new Uint8Array(width * height).fill(value), width, height, 1);

describe('tables', () => {
  test('quotes, semicolons, empty lines, a byte order mark', () => {
    const table = parseCsv('\ufeffName;Class Id\r\n"a;""b""";1\r\n\r\nc;2\r\n', 't.csv');
    expect(table.header).toEqual(['Name', 'Class Id']);
    expect(table.rows).toEqual([
      { line: 2, cells: ['a;"b"', '1'] },
      { line: 4, cells: ['c', '2'] },
    ]);
    expect(() => parseCsv('a,b\n1\n', 't.csv')).toThrow(
      't.csv line 2: row has another number of cells than the header, expected 2 (a, b), got 1.',
    );
    expect(() => parseCsv('a,b\n"1,2\n', 't.csv')).toThrow('t.csv line 2: quote is not closed, expected ", got the end of the file.');
    expect(() => parseCsv('a,b\n', 't.csv')).toThrow('t.csv: table is empty, expected a header and at least one row, got 1 lines.');
  });

  test('paths, classes by name, parts and groups', async () => {
    for (const [i, name] of ['a', 'b', 'c', 'd'].entries()) write(`csv/img/${name}.png`, png(i));
    const path = write(
      'csv/list.csv',
      'path,label,split,person\nimg/a.png,dog,train,x\nimg/b.png,cat,train,y\nimg/c.png,cat,test,w\nimg/d.png,dog,val,z\n',
    );
    const notes: string[] = [];
    const { train, test: held, undivided } = await loadData(path, { note: (text) => notes.push(text) });
    expect(train).toMatchObject({ count: 2, classes: ['cat', 'dog'], groups: { by: 'person' } });
    expect([...train!.labels, ...held!.labels]).toEqual([1, 0, 0]);
    expect([...train!.pixels.subarray(0, 8)]).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    expect(undivided).toBeUndefined();
    expect(notes).toEqual(
      [
        'images with the same person stay together when images are held out (--group-by none parts them)',
        '1 images of the part "val" are left out: the defender\'s own are taken from the training images',
      ].toReversed(),
    );
    expect((await loadData(path, { groupBy: 'none' })).train!.groups).toBeUndefined();
  });

  test('groups that stand on both sides are told; tracks begin anew in each part', async () => {
    write('sides/a.png', png(1));
    const rows = ['train,x', 'train,x', 'train,y', 'train,z', 'test,y', 'test,w', 'test,x', 'test,', 'train,'];
    const notesFor = async (column: string, split = rows, groupBy?: string): Promise<string[]> => {
      const path = write('sides/list.csv', `path,label,split,${column}\n${split.map((row) => `a.png,cat,${row}`).join('\n')}\n`);
      const notes: string[] = [];
      await loadData(path, { note: (text) => notes.push(text), ...(groupBy && { groupBy }) });
      return notes.filter((text) => text.includes('both'));
    };
    expect(await notesFor('pole')).toEqual([
      '2 groups by pole have images in both the training and the test part, 2 of them in the same class',
    ]);
    expect(await notesFor('light', rows.slice(0, 6), 'light')).toEqual([
      '1 group by light has images in both the training and the test part, 1 of them in the same class',
    ]);
    expect(await notesFor('pole', rows, 'none')).toEqual([]);
    expect(await notesFor('track')).toEqual([]);
    // a pole may carry two signs
    write('sides/two.csv', 'path,label,split,pole\na.png,cat,train,x\na.png,dog,test,x\n');
    const notes: string[] = [];
    await loadData(at('sides/two.csv'), { note: (text) => notes.push(text) });
    expect(notes).toContain('1 group by pole has images in both the training and the test part, none of them in the same class');
  });

  test('numbers that all are names of classes stand for those', async () => {
    write('named/a.png', png(1));
    const path = write('named/list.csv', 'path,label\na.png,2\na.png,10\n');
    const labelsFor = async (classes: string[]): Promise<[number[], string[]]> => {
      const notes: string[] = [];
      return [[...(await loadData(path, { classes, note: (text) => notes.push(text) })).train!.labels], notes];
    };
    const upTo = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
    expect(await labelsFor(upTo(1, 102))).toEqual([
      [1, 9],
      ["class numbers are taken as the names of classes: 2 is the network's class at place 1"],
    ]);
    expect((await labelsFor(upTo(0, 10).sort()))[0]).toEqual([3, 2]);
    expect(await labelsFor(upTo(0, 10))).toEqual([[2, 10], []]);
    // 2 is no name here, so both count from 0
    expect((await labelsFor(['x', '10', ...upTo(20, 30)]))[0]).toEqual([2, 10]);
  });

  test("GTSRB's own tables, whole and cut to the sign", async () => {
    const rows = Uint8Array.from({ length: 16 }, (_, i) => i);
    write('gtsrb/00000_00000.ppm', `P2 4 4 255 ${[...rows].join(' ')}`);
    const path = write('gtsrb/GT-00000.csv', 'Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n00000_00000.ppm;4;4;1;1;3;3;7\n');
    const whole = await loadData(path, { classes: Array.from({ length: 43 }, (_, i) => `sign ${i}`) });
    expect(whole).toMatchObject({ undivided: true, train: { height: 4, width: 4 } });
    expect(whole.train!.classes[whole.train!.labels[0]]).toBe('sign 7');
    const { train } = await loadData(`${path}?roi=1`, { groupBy: 'prefix' });
    expect([...train!.pixels]).toEqual([5, 6, 9, 10]);
    expect(train).toMatchObject({ classes: ['7'], groups: { by: 'prefix' } });
  });

  test.each<[string, string, string]>([
    [
      'no-path',
      'name,label\nx,1\n',
      ': no column holds the paths of pictures, expected one of path, file, filename, filepath, image, image_path, img, img_path, and a class in one of label, class, class_id, category, target, identity, type, class_name, y, got name, label.',
    ],
    [
      'no-label',
      'path,size\nx,1\n',
      ': no column holds the classes, expected one of label, class, class_id, category, target, identity, type, class_name, y, got path, size.',
    ],
    ['gone', 'path,label\nnowhere.png,1\n', ' line 2: nowhere.png: '],
    ['empty', 'path,label\nx.png,\n', ' line 2: no class, expected a value in column label.'],
    ['part', 'path,label,split\nx.png,1,extra\n', ' line 2: part is not known, expected train..., test... or val..., got extra.'],
    ['range', 'path,label\nx.png,9\n', ' line 2: class is out of range, expected 0 to 1 (2 classes), got 9.'],
  ])('%s is refused', async (name, text, message) => {
    const path = write(`bad/${name}.csv`, text);
    expect(await messageOf(() => loadData(path, { classes: ['a', 'b'] }))).toContain(`data: ${path}${message}`);
  });

  test('a column to group by that is not there', async () => {
    const path = write('bad/groups.csv', 'path,label\nx.png,1\n');
    expect(await messageOf(() => loadData(path, { groupBy: 'track' }))).toBe(
      `--group-by: no such column in data: ${path}, expected one of path, label, several joined by commas, prefix or none, got track.`,
    );
  });
});

/** A strip of grey 2x3 images; image i is filled with `first + i`. */
const strip = (count: number, first: number): Uint8Array =>
  encodePng(
    Uint8Array.from({ length: count * 6 }, (_, i) => first + Math.floor(i / 6)),
    2,
    count * 3,
    1,
  );

describe('strips', () => {
  const csv = 'split,class,row,track\ntrain,0,0,0\ntrain,0,1,0\ntrain,11,0,0\ntest,0,0,\n';

  test('a PNG a class, in a folder a part; rows in any order', async () => {
    write('strips/index.csv', csv);
    write('strips/train/00.png', strip(2, 10));
    write('strips/train/11.png', strip(1, 20));
    write('strips/test/00.png', strip(1, 30));
    const notes: string[] = [];
    const { train, test: held } = await loadData(at('strips'), { note: (text) => notes.push(text) });
    expect(notes).toEqual([
      'images with the same track stay together when images are held out (--group-by none parts them)',
      'the strips hold images of 2x3 (width x height)',
    ]);
    expect(train).toMatchObject({ count: 3, channels: 1, height: 3, width: 2, classes: ['0', '11'] });
    expect([0, 6, 12].map((i) => train!.pixels[i])).toEqual([10, 11, 20]);
    // tracks are numbered within their class
    expect([...train!.groups!.ids]).toEqual([0, 0, 1]);
    expect([held!.pixels[0], held!.groups]).toEqual([30, undefined]);
  });

  test('rows of a part that is left out count for the height of an image', async () => {
    write('val/index.csv', 'split,class,row\ntrain,0,0\nval,0,2\nval,0,1\ntrain,1,0\nval,1,1\n');
    write('val/s/0.png', strip(3, 10));
    write('val/s/1.png', strip(2, 20));
    const { train } = await loadData(at('val'));
    expect(train).toMatchObject({ count: 2, height: 3, width: 2 });
    expect([...train!.pixels]).toEqual([...new Array<number>(6).fill(10), ...new Array<number>(6).fill(20)]);
    // strips of its own, which are not there, say nothing of the others
    write('own/index.csv', 'split,class,row\ntrain,0,0\nval,0,2\n');
    write('own/train/0.png', strip(1, 10));
    expect((await loadData(at('own'))).train).toMatchObject({ count: 1, height: 3 });
  });

  test('rows without a group are groups of their own', async () => {
    write('some/index.csv', 'class,row,person\n0,0,x\n0,1,\n1,0,x\n1,1,\n');
    write('some/s/0.png', strip(2, 10));
    write('some/s/1.png', strip(2, 20));
    expect([...(await loadData(at('some'))).train!.groups!.ids]).toEqual([0, 1, 0, 2]);
  });

  test('names behind a number; one strip beside its table', async () => {
    write('named-strips/index.csv', 'class,row\nfrog,0\ncat,0\n');
    write('named-strips/x/0-cat.png', strip(1, 1));
    write('named-strips/x/1-frog.png', strip(1, 2));
    const { train, undivided } = await loadData(at('named-strips'));
    expect([[...train!.labels], train!.pixels[0], undivided]).toEqual([[1, 0], 2, true]);
    write('one/poisoned.csv', 'row,label\n1,0\n0,3\n');
    write('one/poisoned.png', strip(2, 5));
    const single = (await loadData(at('one/poisoned.csv'))).train!;
    expect([[...single.labels], single.pixels[0], single.pixels[6]]).toEqual([[0, 1], 6, 5]);
  });

  test('what does not fit', async () => {
    write('odd/index.csv', 'class,row\n0,0\n0,3\n');
    const odd = write('odd/s/0.png', strip(2, 1));
    expect(await messageOf(() => loadData(at('odd')))).toBe(
      `data: ${odd}: strip does not hold the images that the table says (width x height), expected 4 images, got 2x6.`,
    );
    write('uneven/index.csv', 'class,row\n0,1\n1,0\n');
    write('uneven/s/0.png', strip(2, 1));
    const uneven = write('uneven/s/1.png', strip(2, 1));
    expect(await messageOf(() => loadData(at('uneven')))).toBe(
      `data: ${uneven}: strip does not hold the images that the table says (width x height), expected 1 images (2x3 each, as in 0), got 2x6.`,
    );
    write('lost/index.csv', 'class,row\n5,0\n');
    write('lost/s/4.png', strip(1, 1));
    write('lost/s/6.png', strip(1, 1));
    expect(await messageOf(() => loadData(at('lost')))).toBe(
      `data: ${at('lost/index.csv')} line 2: strip of images not found, expected one PNG named by class 5, got none.`,
    );
  });
});

test('a split never parts a group, and comes near the sizes asked for', () => {
  const count = 300;
  const data = noise('train', count);
  const ids = Int32Array.from({ length: count }, (_, i) => (i % 3) * 100 + Math.floor(i / 30));
  const grouped = makeDataset({ ...data, groups: { by: 'track', ids } });
  for (const seed of [0, 1, 2]) {
    const parts = split(grouped, { validation: 0.2, tune: 30 }, seed);
    const sets = [parts.train, parts.validation, parts.tune].map((part) => new Set(part.groups!.ids));
    for (const id of ids) expect(sets.filter((set) => set.has(id))).toHaveLength(1);
    expect(parts.train.count + parts.validation.count + parts.tune.count).toBe(count);
    expect(Math.abs(parts.validation.count - 60)).toBeLessThanOrEqual(15);
    expect(Math.abs(parts.tune.count - 30)).toBeLessThanOrEqual(15);
    expect(new Set(parts.validation.labels).size).toBe(3);
  }
  expect(split(grouped, { validation: 0.2 }, 5).validation.sha256).toBe(split(grouped, { validation: 0.2 }, 5).validation.sha256);
});

describe('classes of the data and of the network', () => {
  const data = { ...noise('test', 6), classes: ['dog', '07', 'Cat'] };
  const of = (labels: string[], how?: 'auto' | 'name' | 'order'): { labels: number[]; classes: readonly string[]; notes: string[] } => {
    const notes: string[] = [];
    const made = matchClasses(data, labels, how, (text) => notes.push(text));
    return { labels: [...made.labels].slice(0, 3), classes: made.classes, notes };
  };

  test('by name, in another order or among more', () => {
    expect(of(['dog', '07', 'Cat'])).toMatchObject({ labels: [0, 1, 2], notes: [] });
    expect(of(['cat', 'dog', '7'])).toEqual({
      labels: [1, 2, 0],
      classes: ['cat', 'dog', '7'],
      notes: ["the classes of the data stand in another order than the network's: they are matched by name"],
    });
    expect(of(['ape', 'cat', 'dog', '7'])).toMatchObject({
      labels: [2, 3, 1],
      notes: ["the data have 3 of the network's 4 classes: dog, 07, Cat"],
    });
  });

  test('in order, which is said', () => {
    expect(of(['0', '1', '2'])).toMatchObject({
      labels: [0, 1, 2],
      notes: [
        "the classes of the data have other names than the network's, so they are taken in order: dog is 0, 07 is 1, Cat is 2 (--labels names the network's)",
      ],
    });
    expect(of(['cat', 'dog', '7'], 'order')).toMatchObject({ labels: [0, 1, 2], notes: [] });
  });

  test('not in order where a name stands at another place', () => {
    const message =
      'data: noise: classes do not have the names of the network, expected 3 (dog, Cat, fox), got 3 (dog, 07, Cat); unknown: 07. Try --classes order, if they stand in the same order.';
    expect(() => of(['dog', 'Cat', 'fox'])).toThrow(message);
    expect(of(['dog', 'Cat', 'fox'], 'order')).toMatchObject({ labels: [0, 1, 2], notes: [] });
    // a stranger alone is taken for the one class that is left
    expect(of(['dog', 'seven', 'cat']).labels).toEqual([0, 1, 2]);
  });

  test('not at all', () => {
    expect(() => of(['0', '1', '2'], 'name')).toThrow(
      'data: noise: classes do not have the names of the network, expected 3 (0, 1, 2), got 3 (dog, 07, Cat). Try --classes order, if they stand in the same order.',
    );
    expect(() => of(['cat', 'dog', 'ape', 'fox'])).toThrow(
      'data: noise: classes do not fit the network, expected 4 (cat, dog, ape, fox), got 3 (dog, 07, Cat); unknown: 07. Try --labels with the names of all its classes, in the order of the outputs.',
    );
  });
});
