/**
 * Traffic-sign benchmarks as their authors publish them: a folder a class, each with a table `GT-00012.csv` (semicolons) beside its
 * pictures, and the test pictures in one folder with a table of their own. GTSRB (`Final_Training`, `Final_Test`), BelgiumTSC (`Training`,
 * `Testing`) and the copy of GTSRB with `Train.csv` and `Test.csv` are made one table of pictures, parts, classes and tracks.
 */
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fail } from '../core/errors.ts';
import { findColumn, PATH_COLUMNS, type Table } from './csv.ts';
import { readTable } from './csv-paths.node.ts';
import { entries } from './folder.node.ts';
import { byPrefix } from './groups.ts';
import { OTHER_NAMES, READ_NAMES } from './pictures.node.ts';

interface Part {
  readonly part: 'train' | 'test';
  readonly table: string;
  /** What its file names are relative to. */
  readonly folder: string;
}

export interface SignTables {
  /** Names them all. */
  readonly root: string;
  readonly parts: readonly Part[];
  /** One part is all there is and nothing says which. */
  readonly undivided: boolean;
}

const CLASS = ['class_id', 'class'];
const BOX = ['roi_x1', 'roi_y1', 'roi_x2', 'roi_y2'];

const exists = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined)) !== undefined;
const listed = async (dir: string) => ((await exists(dir)) ? entries(dir) : { folders: [], files: [] });

/** Tables of the class folders in `dir`, but for folders with nothing in them; none where the first folder of pictures has none. */
async function classTables(dir: string, part: Part['part']): Promise<Part[]> {
  const found: Part[] = [];
  for (const name of (await listed(dir)).folders) {
    const folder = join(dir, name);
    const { folders, files } = await listed(folder);
    const table = files.find((file) => /^GT-\d+\.csv$/i.test(file));
    // a class that this part has no picture of, as nine of BelgiumTSC's test part
    if (table === undefined && folders.length === 0 && !files.some((file) => READ_NAMES.test(file) || OTHER_NAMES.test(file))) continue;
    if (table === undefined && found.length === 0) return [];
    if (table === undefined) fail({ where: `data: ${folder}`, what: 'class folder has no table', expected: `GT-${name}.csv` });
    found.push({ part, table: join(folder, table), folder });
  }
  return found;
}

/** GTSRB's test pictures; their classes are published apart, and people put that table in one of three places. */
async function finalTest(dir: string): Promise<Part[]> {
  const folder = join(dir, 'Final_Test', 'Images');
  for (const place of [folder, dirname(folder), dir]) {
    const table = join(place, 'GT-final_test.csv');
    if (await exists(table)) return [{ part: 'test', table, folder }];
  }
  return [];
}

/** Many folders hold a train.csv; one of signs says where in the picture the sign is. */
async function hasBoxes(path: string): Promise<boolean> {
  const table = await readTable(path).catch(() => undefined);
  return table !== undefined && BOX.every((name) => findColumn(table, [name]) !== undefined);
}

/** The tables of a benchmark in `dir` or in `dir/GTSRB`; undefined where there is none. Throws SecateurError where a class folder lacks its table. */
export async function findSignTables(dir: string): Promise<SignTables | undefined> {
  for (const root of [dir, join(dir, 'GTSRB')]) {
    const { files } = await listed(root);
    const pair = (['train', 'test'] as const).flatMap((part) =>
      files.filter((name) => name.toLowerCase() === `${part}.csv`).map((name) => ({ part, table: join(root, name), folder: root })),
    );
    if (pair.length === 2 && (await hasBoxes(pair[0].table))) return { root, parts: pair, undivided: false };
    const train = [
      ...(await classTables(join(root, 'Final_Training', 'Images'), 'train')),
      ...(await classTables(join(root, 'Training'), 'train')),
    ];
    const test = [...(await finalTest(root)), ...(await classTables(join(root, 'Testing'), 'test'))];
    if (train.length + test.length > 0) return { root, parts: [...train, ...test], undivided: false };
    const alone = await classTables(root, 'train');
    if (alone.length > 0) return { root, parts: alone, undivided: true };
  }
  return undefined;
}

/**
 * One table of all their rows: `path` (absolute), `split`, `class`, `track` (the file's name without the number of the frame) and the box
 * of the sign. A class may have no rows. Throws SecateurError naming the table where a column is missing or a class is no number, and where
 * no table has a row.
 */
export async function joinSignTables({ root, parts, undivided }: SignTables): Promise<Table> {
  const rows: { line: number; cells: string[] }[] = [];
  for (const { part, table: path, folder } of parts) {
    const table = await readTable(path, { bare: true });
    const where = `data: ${path}`;
    const column = (names: readonly string[]): number =>
      findColumn(table, names) ??
      fail({
        where,
        what: `no column ${names[0]}`,
        expected: 'Filename, Roi.X1, Roi.Y1, Roi.X2, Roi.Y2, ClassId',
        got: table.header.join(', '),
      });
    const [file, label, ...box] = [column(['filename', ...PATH_COLUMNS]), column(CLASS), ...BOX.map((name) => column([name]))];
    for (const { line, cells } of table.rows) {
      if (!/^\d{1,5}$/.test(cells[label])) {
        fail({ where: `${where} line ${line}`, what: 'class is not valid', expected: 'a number', got: cells[label] || 'nothing' });
      }
      const name = cells[file].replace(/^.*[/\\]/, '');
      const track = /[_-]/.test(name) ? byPrefix(name) : '';
      const found = [resolve(folder, cells[file]), String(Number(cells[label])), track, ...box.map((at) => cells[at])];
      rows.push({ line, cells: undivided ? found : [...found, part] });
    }
  }
  if (rows.length === 0) {
    const got = `${parts.length} tables without rows`;
    fail({ where: `data: ${root}`, what: 'all tables are empty', expected: 'at least one row', got });
  }
  return { header: ['path', 'class', 'track', ...BOX, ...(undivided ? [] : ['split'])], rows };
}
