/** Traffic-sign benchmarks as their authors publish them: class folders with tables, test pictures with a table apart. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadData } from '../../src/data/load.node.ts';
import { encodePng } from '../../src/data/png.ts';
import { messageOf, tempFolder } from './helpers.ts';

const { dir, write } = tempFolder();
const at = (...parts: string[]): string => join(dir, ...parts);

/** A grey PPM of 4x4 pixels whose values count up from `first`. */
const ppm = (first: number): string => `P2 4 4 255 ${Array.from({ length: 16 }, (_, i) => first + i).join(' ')}`;
const HEADER = 'Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n';
const row = (file: string, label: number): string => `${file};4;4;1;1;3;3;${label}\n`;

/** Two classes of two tracks each, as GTSRB's training archive unpacks. */
function training(folder: string, base = 0): void {
  for (const label of [0, 1]) {
    const name = `0000${label}`;
    const files = ['00000_00000.ppm', '00000_00001.ppm', '00001_00000.ppm'];
    for (const [i, file] of files.entries()) write(`${folder}/${name}/${file}`, ppm(base + label * 30 + i * 10));
    write(`${folder}/${name}/GT-${name}.csv`, HEADER + files.map((file) => row(file, label)).join(''));
  }
}

describe('GTSRB', () => {
  training('gtsrb/GTSRB/Final_Training/Images');
  write('gtsrb/GTSRB/Final_Test/Images/00000.ppm', ppm(100));
  write('gtsrb/GTSRB/Final_Test/Images/00001.ppm', ppm(110));
  write('gtsrb/GTSRB/GT-final_test.csv', HEADER + row('00000.ppm', 1) + row('00001.ppm', 0));

  test('both parts, tracks that stay together, nothing of the test part by chance', async () => {
    const notes: string[] = [];
    const { train, test: held, undivided } = await loadData(at('gtsrb'), { note: (text) => notes.push(text) });
    expect(train).toMatchObject({ count: 6, channels: 1, height: 4, width: 4, classes: ['0', '1'], source: at('gtsrb', 'GTSRB') });
    expect([...train!.labels]).toEqual([0, 0, 0, 1, 1, 1]);
    expect([...train!.groups!.ids]).toEqual([0, 0, 1, 2, 2, 3]);
    expect([train!.groups!.by, train!.groups!.names!.at(-1)]).toEqual(['track', '00001 of 1']);
    expect([0, 16, 32, 48].map((i) => train!.pixels[i])).toEqual([0, 10, 20, 30]);
    expect([held!.count, held!.groups]).toEqual([2, undefined]);
    expect([[...held!.labels], held!.pixels[0], held!.pixels[16]]).toEqual([[1, 0], 100, 110]);
    expect(undivided).toBeUndefined();
    expect(notes).toEqual(['images with the same track stay together when images are held out (--group-by none parts them)']);
  });

  test('cut to the sign, classes of the network, one folder further down', async () => {
    const { train } = await loadData(`${at('gtsrb/GTSRB')}?roi=1`, { classes: ['one', 'two', 'three'] });
    expect(train).toMatchObject({ height: 2, width: 2, classes: ['one', 'two', 'three'] });
    expect([...train!.pixels.subarray(0, 4)]).toEqual([5, 6, 9, 10]);
    const only = await loadData(at('gtsrb/GTSRB/Final_Training/Images'));
    expect([only.undivided, only.train!.count, only.test]).toEqual([true, 6, undefined]);
  });

  test('what is missing or wrong', async () => {
    training('lacking/Final_Training/Images');
    write('lacking/Final_Training/Images/00002/00000_00000.ppm', ppm(0));
    expect(await messageOf(() => loadData(at('lacking')))).toBe(
      `data: ${at('lacking/Final_Training/Images/00002')}: class folder has no table, expected GT-00002.csv.`,
    );
    // the table that comes with the test pictures has no classes in it
    training('blind/Final_Training/Images');
    const blind = write(
      'blind/Final_Test/Images/GT-final_test.csv',
      'Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2\n0.ppm;4;4;1;1;3;3\n',
    );
    expect(await messageOf(() => loadData(at('blind')))).toBe(
      `data: ${blind}: no column class_id, expected Filename, Roi.X1, Roi.Y1, Roi.X2, Roi.Y2, ClassId, got Filename, Width, Height, Roi.X1, Roi.Y1, Roi.X2, Roi.Y2.`,
    );
    const odd = write('odd/00000/GT-00000.csv', `${HEADER}a.ppm;4;4;1;1;3;3;stop\n`);
    expect(await messageOf(() => loadData(at('odd')))).toBe(`data: ${odd} line 2: class is not valid, expected a number, got stop.`);
    write('gone/00000/GT-00000.csv', HEADER + row('a.ppm', 0));
    const gone = at('gone/00000/a.ppm');
    expect(await messageOf(() => loadData(at('gone')))).toBe(
      `data: ${at('gone')} line 2: ${gone}: ${gone} cannot be read, got no such file or folder.`,
    );
  });
});

test('BelgiumTSC: both parts by class folders, poles in both', async () => {
  training('belgium/Training');
  training('belgium/Testing', 100);
  const { train, test: held } = await loadData(at('belgium'));
  expect([train!.count, held!.count, held!.pixels[0]]).toEqual([6, 6, 100]);
  expect([...held!.groups!.ids]).toEqual([0, 0, 1, 2, 2, 3]);
});

test('classes without pictures in one part: a table with a header alone, or no table; not in all of them', async () => {
  training('thin/Training');
  training('thin/Testing', 100);
  write('thin/Training/00002/00000_00000.ppm', ppm(7));
  write('thin/Training/00002/GT-00002.csv', HEADER + row('00000_00000.ppm', 2));
  write('thin/Testing/00002/GT-00002.csv', HEADER);
  write('thin/Testing/00003/GT-00003.csv', HEADER.trimEnd());
  write('thin/Testing/00004/Readme.txt', 'no pictures');
  const { train, test: held } = await loadData(at('thin'));
  expect([train!.count, held!.count, held!.classes]).toEqual([7, 6, ['0', '1', '2']]);
  expect([...held!.labels]).toEqual([0, 0, 0, 1, 1, 1]);
  // the first class may be such a one
  write('first/00000/.keep', '');
  write('first/00001/GT-00001.csv', HEADER);
  write('first/00002/a.ppm', ppm(0));
  write('first/00002/GT-00002.csv', HEADER + row('a.ppm', 2));
  expect((await loadData(at('first'))).train).toMatchObject({ count: 1, classes: ['2'] });
  write('nothing/00000/GT-00000.csv', HEADER);
  write('nothing/00001/GT-00001.csv', HEADER);
  expect(await messageOf(() => loadData(at('nothing')))).toBe(
    `data: ${at('nothing')}: all tables are empty, expected at least one row, got 2 tables without rows.`,
  );
  const torn = write('torn/00000/GT-00000.csv', '');
  expect(await messageOf(() => loadData(at('torn')))).toBe(`data: ${torn}: table is empty, expected a header, got 0 lines.`);
});

test('the copy with Train.csv and Test.csv; other tables of that name are not taken for it', async () => {
  const png = (value: number): Uint8Array => encodePng(new Uint8Array(16).fill(value), 4, 4, 1);
  const header = 'Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path\n';
  for (const [i, path] of ['Train/7/00007_00000_00000.png', 'Train/7/00007_00000_00001.png', 'Test/00000.png'].entries())
    write(`copy/${path}`, png(i));
  write('copy/Train.csv', `${header}4,4,1,1,3,3,7,Train/7/00007_00000_00000.png\n4,4,1,1,3,3,7,Train/7/00007_00000_00001.png\n`);
  write('copy/Test.csv', `${header}4,4,1,1,3,3,7,Test/00000.png\n`);
  const { train, test: held } = await loadData(at('copy'));
  expect([[...train!.groups!.ids], train!.classes, train!.pixels[16], held!.pixels[0]]).toEqual([[0, 0], ['7'], 1, 2]);
  write('other/train.csv', 'a,b\n1,2\n');
  write('other/test.csv', 'a,b\n1,2\n');
  expect(await messageOf(() => loadData(at('other')))).toContain(`data: ${at('other')}: no data found in this folder`);
});
