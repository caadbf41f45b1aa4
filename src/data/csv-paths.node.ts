/** A table of picture files: a column of paths, relative to the table, and one of classes. GTSRB's own tables are such. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fail } from '../core/errors.ts';
import { findColumn, LABEL_COLUMNS, PATH_COLUMNS, parseCsv, type Table } from './csv.ts';
import type { Dataset, Role } from './dataset.ts';
import { readError } from './files.node.ts';
import { checkSizes, joinPictures } from './fit.ts';
import { type Index, type IndexedRow, type IndexOptions, readIndex } from './indexed.ts';
import type { LoadedData } from './loaded.ts';
import { type PictureFile, type PictureOptions, readPictures } from './pictures.node.ts';

export interface CsvOptions extends PictureOptions, IndexOptions {
  /** Cuts the pictures to the box in the columns Roi.X1, Roi.Y1, Roi.X2, Roi.Y2. */
  readonly roi?: boolean;
}

const BOX = ['roi_x1', 'roi_y1', 'roi_x2', 'roi_y2'];

/** Reads a table from a file, as {@link parseCsv}; throws SecateurError where the file cannot be read, too. */
export async function readTable(path: string, options?: { bare?: boolean }): Promise<Table> {
  const where = `data: ${path}`;
  const text = await readFile(path, 'utf8').catch((error: unknown) => readError(error, where, path));
  return parseCsv(text, where, options);
}

/**
 * The pictures that the rows of `table` name.
 * Throws SecateurError naming the row where a file cannot be read or does not fit.
 */
export async function loadCsv(path: string, table: Table, options: CsvOptions): Promise<LoadedData> {
  const where = `data: ${path}`;
  const fileAt = findColumn(table, PATH_COLUMNS);
  if (fileAt === undefined) {
    const expected = `one of ${PATH_COLUMNS.join(', ')}, and a class in one of ${LABEL_COLUMNS.join(', ')}`;
    return fail({ where, what: 'no column holds the paths of pictures', expected, got: table.header.join(', ') });
  }
  const box = options.roi ? BOX.map((name) => findColumn(table, [name])) : undefined;
  if (box?.includes(undefined)) {
    fail({
      where,
      what: 'no box to cut the pictures to',
      expected: 'columns Roi.X1, Roi.Y1, Roi.X2, Roi.Y2',
      got: table.header.join(', '),
      exitCode: 2,
    });
  }
  const index = readIndex(table, where, fileAt, options);
  const files = (rows: readonly IndexedRow[]): PictureFile[] =>
    rows.map((row) => ({
      path: resolve(dirname(path), row.cells[fileAt]),
      where: `${where} line ${row.line}: ${row.cells[fileAt]}`,
      ...(box && { box: box.map((at) => boxNumber(row, at!, where)) as [number, number, number, number] }),
    }));
  return assembleIndexed(path, index, files, options);
}

function boxNumber(row: IndexedRow, at: number, where: string): number {
  const text = row.cells[at];
  return /^\d{1,5}$/.test(text)
    ? Number(text)
    : fail({ where: `${where} line ${row.line}`, what: 'box is not valid', expected: 'pixels', got: text || 'nothing' });
}

async function assembleIndexed(
  path: string,
  index: Index,
  files: (rows: readonly IndexedRow[]) => PictureFile[],
  options: CsvOptions,
): Promise<LoadedData> {
  const read = async (rows: readonly IndexedRow[]) => ({ rows, files: files(rows), pictures: await readPictures(files(rows), options) });
  const [train, test] = [await read(index.train), await read(index.test)];
  const all = [...train.pictures, ...test.pictures];
  const names = [...train.files, ...test.files];
  checkSizes(all, (i) => (names[i].where ?? names[i].path).replace(/^data: /, ''));
  const colour = all.some((p) => p.channels === 3);
  const part = <R extends Role>(role: R, { rows, pictures }: typeof train): Dataset<R> | undefined => {
    if (rows.length === 0) return undefined;
    const groups = index.groups(rows);
    const labels = Int32Array.from(rows, (row) => row.label);
    return joinPictures(pictures, {
      role,
      source: path,
      labels,
      classes: index.classes,
      where: `data: ${path}`,
      colour,
      ...(groups && { groups }),
    });
  };
  const result: LoadedData = {};
  const [trained, tested] = [part('train', train), part('test', test)];
  if (trained) result.train = trained;
  if (tested) result.test = tested;
  if (index.undivided) result.undivided = true;
  return result;
}
