/** Where recipes find their data, and what signs of any size become. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadSources } from '../../src/cli/sources.node.ts';
import { loadData } from '../../src/data/load.node.ts';
import { encodePng } from '../../src/data/png.ts';
import { messageOf, tempFolder } from '../data/helpers.ts';

const { dir, write } = tempFolder();
const at = (...parts: string[]): string => join(dir, ...parts);

/** An RGB PPM whose every pixel is `value`; with `spot`, its pixel at the top left is white. */
function ppm(width: number, height: number, value: number, spot = false): Uint8Array {
  const head = new TextEncoder().encode(`P6 ${width} ${height} 255\n`);
  const pixels = new Uint8Array(width * height * 3).fill(value);
  if (spot) pixels.fill(255, 0, 3);
  return Uint8Array.from([...head, ...pixels]);
}

const HEADER = 'Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n';
const SIZES = [
  [15, 20],
  [32, 32],
  [48, 40],
] as const;

/** Signs as GTSRB unpacks, each of another size. */
function originals(folder: string): void {
  for (const label of [0, 1]) {
    const name = `0000${label}`;
    const rows = SIZES.map(([width, height], i) => {
      write(`${folder}/Final_Training/Images/${name}/0000${i}_00000.ppm`, ppm(width, height, 40 * label + 10 * i, width === 32));
      return `0000${i}_00000.ppm;${width};${height};1;1;10;10;${label}\n`;
    });
    write(`${folder}/Final_Training/Images/${name}/GT-${name}.csv`, HEADER + rows.join(''));
  }
}

describe('signs', () => {
  originals('roads/signs');
  const load = (ownSize = false) => loadSources(['signs'], { data: at('roads'), ownSize });

  test('originals of any size become 3x32x32, those of that size stay as they are', async () => {
    const { train } = (await load()).signs;
    expect(train).toMatchObject({ count: 6, channels: 3, height: 32, width: 32 });
    const image = (i: number): number[] => [...train.pixels.subarray(i * 3072, (i + 1) * 3072)];
    for (const [i, value] of [0, 10, 20, 40, 50, 60].entries()) {
      const plane = Array.from({ length: 1024 }, (_, p) => (SIZES[i % 3][0] === 32 && p === 0 ? 255 : value));
      expect(image(i)).toEqual([...plane, ...plane, ...plane]);
    }
    expect(train.groups?.by).toBe('track');
  });

  test('another network has images as they are, and they have one size', async () => {
    expect(await messageOf(() => load(true))).toMatch(
      /images differ in size \(width x height\), expected 15x20 .*\. Try the same without --network, or pictures of one size\.$/,
    );
  });

  test('strips of 32x32 are the same bytes as without', async () => {
    const pixels = Uint8Array.from({ length: 3 * 32 * 96 }, (_, i) => (i * 7) % 251);
    write('strips/train/0.png', encodePng(pixels, 32, 96, 3));
    write('strips/index.csv', `split,class_id,row,track\n${[0, 1, 2].map((row) => `train,0,${row},${row}\n`).join('')}`);
    const { train } = (await loadSources(['signs'], { data: at('strips') })).signs;
    expect(train.sha256).toBe((await loadData(at('strips'))).train?.sha256);
  });
});

describe('one set and several', () => {
  const grey = (value: number): Uint8Array => encodePng(new Uint8Array(4 * 8).fill(value), 4, 8, 1);
  // strips in a folder that is called like a set
  write('people/faces/0.png', grey(3));
  write('people/faces/1.png', grey(5));
  const rows = [0, 1].flatMap((label) => [0, 1].map((row) => `${label},${row},${row * 10},0\n`));
  write('people/index.csv', `class_id,row,light_azimuth_deg,light_elevation_deg\n${rows.join('')}`);

  test('a folder with an index.csv is the set itself', async () => {
    const { train } = (await loadSources(['face'], { data: at('people') })).face;
    expect(train).toMatchObject({ count: 4, height: 4, width: 4 });
    expect(train.groups?.by).toMatch(/^light_azimuth_deg, ?light_elevation_deg$/);
    expect([...train.groups!.ids]).toEqual([0, 1, 0, 1]);
  });

  test('and no folder of several', async () => {
    expect(await messageOf(() => loadSources(['face', 'signs'], { data: at('people') }))).toBe(
      `data: ${at('people')}: no data for face, expected a folder face or faces or yaleb in it. Try --face URI.`,
    );
    write('all/yaleb/index.csv', `class_id,row,light_azimuth_deg,light_elevation_deg\n${rows.join('')}`);
    for (const label of [0, 1]) write(`all/yaleb/faces/${label}.png`, grey(label));
    originals('all/gtsrb');
    const both = await loadSources(['face', 'signs'], { data: at('all') });
    expect([both.face.uri, both.signs.uri]).toEqual([at('all', 'yaleb'), at('all', 'gtsrb')]);
  });
});
