/**
 * Strips: one tall PNG a class with its images one below the other, and a table that says which row of which strip an image is
 * (`class`, `row`, perhaps `split` and what belongs together). Lossless and quick to read, where a file an image would be thousands.
 */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fail } from '../core/errors.ts';
import { findColumn, LABEL_COLUMNS, PATH_COLUMNS, SPLIT_COLUMNS, type Table } from './csv.ts';
import type { Dataset } from './dataset.ts';
import { decodePicture } from './decode.node.ts';
import { readError } from './files.node.ts';
import { checkRoom, fitPicture, joinPictures } from './fit.ts';
import { entries } from './folder.node.ts';
import { type IndexedRow, type IndexOptions, readIndex } from './indexed.ts';
import type { LoadedData } from './loaded.ts';
import { naturalOrder } from './natural-order.ts';
import type { PictureOptions } from './pictures.node.ts';
import type { Picture } from './resize.ts';

export type StripOptions = PictureOptions & IndexOptions;

interface Strip {
  readonly path: string;
  /** Folder it lies in, below the table's; empty for the same. */
  readonly folder: string;
  /** Without `.png`. */
  readonly name: string;
}

/** Whether the table is an index of strips: it has rows and classes, and strips lie beside it. */
export async function looksLikeStrips(path: string, table: Table): Promise<boolean> {
  const has = findColumn(table, ['row']) !== undefined && findColumn(table, LABEL_COLUMNS) !== undefined;
  return has && (await findStrips(path)).length > 0;
}

async function findStrips(path: string): Promise<Strip[]> {
  const dir = dirname(path);
  const { folders, files } = await entries(dir);
  const strips = (folder: string, names: readonly string[]): Strip[] =>
    names
      .filter((name) => /\.png$/i.test(name))
      .map((name) => ({ path: join(dir, folder, name), folder, name: name.replace(/\.png$/i, '') }));
  const own = strips('', files).filter((strip) => strip.name === basename(path).replace(/\.csv$/i, ''));
  if (own.length > 0) return own;
  const found = strips('', files);
  for (const folder of folders) found.push(...strips(folder, (await entries(join(dir, folder))).files));
  return found;
}

/** The strip of a class: in the folder of its part where there is one, named by the class, its number, or `number-class`. */
function stripOf(strips: readonly Strip[], part: string | undefined, label: string): Strip[] {
  if (strips.length === 1 && strips[0].folder === '') return [...strips];
  const inPart = strips.filter((strip) => strip.folder === part);
  const among = inPart.length > 0 ? inPart : strips;
  const number = /^\d+$/.test(label) ? Number(label) : undefined;
  const tests: ((name: string) => boolean)[] = [
    (name) => name === label,
    (name) => number !== undefined && /^\d+$/.test(name) && Number(name) === number,
    (name) => name.endsWith(`-${label}`) || name.endsWith(`_${label}`),
  ];
  for (const test of tests) {
    const hits = among.filter((strip) => test(strip.name));
    if (hits.length > 0) return hits;
  }
  return [];
}

/**
 * All images of the strips that `table` indexes.
 * Throws SecateurError naming the line where a strip or a row is missing, and the strip whose height is no whole number of images.
 */
export async function loadStrips(path: string, table: Table, options: StripOptions): Promise<LoadedData> {
  const where = `data: ${path}`;
  const strips = await findStrips(path);
  const rowAt = findColumn(table, ['row'])!;
  const labelAt = findColumn(table, LABEL_COLUMNS)!;
  const splitAt = findColumn(table, SPLIT_COLUMNS);
  const index = readIndex(table, where, findColumn(table, PATH_COLUMNS), options);
  const chosen = new Map<string, Strip>();
  const partOf = (row: IndexedRow): string | undefined => (splitAt === undefined ? undefined : row.cells[splitAt]);
  const stripFor = (row: IndexedRow): Strip => {
    const part = partOf(row);
    const key = `${part ?? ''} ${row.cells[labelAt]}`;
    const known = chosen.get(key);
    if (known) return known;
    const hits = stripOf(strips, part, row.cells[labelAt]);
    if (hits.length !== 1) {
      const expected = `one PNG named by class ${row.cells[labelAt]}${part === undefined ? '' : `, in a folder ${part} or beside the others`}`;
      const got = hits.length === 0 ? 'none' : hits.map((strip) => join(strip.folder, strip.name)).join(', ');
      fail({ where: `${where} line ${row.line}`, what: 'strip of images not found', expected, got });
    }
    chosen.set(key, hits[0]);
    return hits[0];
  };
  const all = [...index.train, ...index.test].map((row) => ({ row, strip: stripFor(row), place: place(row, rowAt, where) }));
  const most = new Map<Strip, number>();
  for (const { strip, place: at } of all) most.set(strip, Math.max(most.get(strip) ?? 0, at + 1));
  // Images of a part that is left out lie in the same strips, unless they have strips of their own.
  const parts = new Set(table.rows.map((row) => row.cells[splitAt ?? -1]));
  for (const row of index.left) {
    const [strip, ...others] = stripOf(strips, partOf(row), row.cells[labelAt]);
    if (strip === undefined || others.length > 0 || (strip.folder !== partOf(row) && parts.has(strip.folder))) continue;
    const high = most.get(strip);
    if (high !== undefined) most.set(strip, Math.max(high, place(row, rowAt, where) + 1));
  }
  const sheets = await readSheets(most, options);
  const cut = (rows: readonly IndexedRow[]): Picture[] =>
    rows.map((row, i) => {
      const strip = stripFor(row);
      const tile = tileOf(sheets.get(strip)!, Number(row.cells[rowAt]));
      const picture = options.fit ? fitPicture(tile, options.fit, `${where} line ${row.line}`) : tile;
      if (i === 0) checkRoom(rows.length, picture, where);
      return picture;
    });
  const pictures = { train: cut(index.train), test: cut(index.test) };
  const colour = [...pictures.train, ...pictures.test].some((picture) => picture.channels === 3);
  const part = <R extends 'train' | 'test'>(role: R): Dataset<R> | undefined => {
    const rows = index[role];
    if (rows.length === 0) return undefined;
    const groups = index.groups(rows);
    const labels = Int32Array.from(rows, (row) => row.label);
    const o = { role, source: path, labels, classes: index.classes, where, colour };
    return joinPictures(pictures[role], { ...o, ...(groups && { groups }) });
  };
  const result: LoadedData = {};
  const [train, test] = [part('train'), part('test')];
  if (train) result.train = train;
  if (test) result.test = test;
  if (index.undivided) result.undivided = true;
  return result;
}

function place(row: IndexedRow, at: number, where: string): number {
  const text = row.cells[at];
  if (/^\d{1,7}$/.test(text)) return Number(text);
  return fail({
    where: `${where} line ${row.line}`,
    what: 'row in the strip is not valid',
    expected: 'a whole number',
    got: text || 'nothing',
  });
}

interface Sheet {
  readonly picture: Picture;
  /** Height of one image. */
  readonly tile: number;
}

async function readSheets(most: ReadonlyMap<Strip, number>, options: StripOptions): Promise<Map<Strip, Sheet>> {
  const sheets = new Map<Strip, Sheet>();
  let first: { strip: Strip; tile: number; width: number } | undefined;
  for (const [strip, images] of [...most].sort(([a], [b]) => naturalOrder(a.path, b.path))) {
    const where = `data: ${strip.path}`;
    const bytes = await readFile(strip.path).catch((error: unknown) => readError(error, where, strip.path));
    const picture = decodePicture(bytes, where, options.background);
    const tile = picture.height / images;
    first ??= { strip, tile, width: picture.width };
    if (!Number.isInteger(tile) || tile !== first.tile || picture.width !== first.width) {
      const like = Number.isInteger(first.tile) ? ` (${first.width}x${first.tile} each, as in ${first.strip.name})` : '';
      fail({
        where,
        what: 'strip does not hold the images that the table says (width x height)',
        expected: `${images} images${like}`,
        got: `${picture.width}x${picture.height}`,
      });
    }
    sheets.set(strip, { picture, tile });
  }
  // no file says it: where a table lacks the last rows, this is where it shows
  if (first) options.note?.(`the strips hold images of ${first.width}x${first.tile} (width x height)`);
  return sheets;
}

function tileOf({ picture, tile }: Sheet, at: number): Picture {
  const { channels, width, height, pixels } = picture;
  const size = tile * width;
  const out = new Uint8Array(channels * size);
  for (let c = 0; c < channels; c++)
    out.set(pixels.subarray((c * height + at * tile) * width, (c * height + (at + 1) * tile) * width), c * size);
  return { channels, height: tile, width, pixels: out };
}
