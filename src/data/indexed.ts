/** What tables of images have in common: parts, classes and groups from their columns. */
import { fail } from '../core/errors.ts';
import { placesOfNumbers } from './classes.ts';
import { findColumn, LABEL_COLUMNS, SPLIT_COLUMNS, type Table } from './csv.ts';
import type { Groups } from './dataset.ts';
import { GROUP_COLUMNS, groupsOf, prefixKey, prefixName } from './groups.ts';
import { naturalOrder } from './natural-order.ts';

export interface IndexOptions {
  /** Names of the classes that numbers in the table stand for. */
  readonly classes?: readonly string[];
  /** Column that says which images belong together, several joined by commas, `prefix` (of the file's name) or `none`; default: a usual name. */
  readonly groupBy?: string;
  /** Told what was decided. */
  readonly note?: (text: string) => void;
}

export interface IndexedRow {
  readonly line: number;
  readonly cells: readonly string[];
  readonly label: number;
}

export interface Index {
  readonly classes: readonly string[];
  readonly train: readonly IndexedRow[];
  readonly test: readonly IndexedRow[];
  /** Of parts that are left out. */
  readonly left: readonly IndexedRow[];
  /** No column says which part a row is of. */
  readonly undivided: boolean;
  /** Groups of some rows, where there are any. */
  readonly groups: (rows: readonly IndexedRow[]) => Groups | undefined;
}

/**
 * Sorts the rows into parts and numbers their classes. Labels that are all whole numbers stand for `classes`, where those are given: by name
 * where all of them are names of classes, else counted from 0; other labels are names, in natural order.
 * Throws SecateurError where there is no label column, a label is empty or out of range, or a part is none.
 */
export function readIndex(table: Table, where: string, file: number | undefined, options: IndexOptions): Index {
  const labelAt = findColumn(table, LABEL_COLUMNS);
  const columns = table.header.join(', ');
  if (labelAt === undefined) {
    return fail({ where, what: 'no column holds the classes', expected: `one of ${LABEL_COLUMNS.join(', ')}`, got: columns });
  }
  const { classes, labels } = readLabels(table, labelAt, where, options);
  const splitAt = findColumn(table, SPLIT_COLUMNS);
  const parts: { train: IndexedRow[]; test: IndexedRow[]; left: IndexedRow[] } = { train: [], test: [], left: [] };
  const left = new Map<string, number>();
  for (const [i, row] of table.rows.entries()) {
    const part = splitAt === undefined ? 'train' : row.cells[splitAt].toLowerCase();
    const entry = { ...row, label: labels[i] };
    if (part.startsWith('train')) parts.train.push(entry);
    else if (part.startsWith('test')) parts.test.push(entry);
    else if (/^(val|dev|valid)/.test(part)) {
      parts.left.push(entry);
      left.set(part, (left.get(part) ?? 0) + 1);
    } else
      fail({
        where: `${where} line ${row.line}`,
        what: 'part is not known',
        expected: 'train..., test... or val...',
        got: row.cells[splitAt!] || 'nothing',
      });
  }
  for (const [part, n] of left)
    options.note?.(`${n} images of the part "${part}" are left out: the defender's own are taken from the training images`);
  return { classes, ...parts, undivided: splitAt === undefined, groups: grouper(table, where, file, classes, parts, options) };
}

function readLabels(
  table: Table,
  at: number,
  where: string,
  { classes, note }: IndexOptions,
): { classes: readonly string[]; labels: Int32Array } {
  const written = table.rows.map((row) => row.cells[at]);
  const empty = written.indexOf('');
  if (empty >= 0)
    fail({ where: `${where} line ${table.rows[empty].line}`, what: 'no class', expected: `a value in column ${table.header[at]}` });
  const distinct = [...new Set(written)].sort(naturalOrder);
  const numbers = distinct.every((text) => /^\d{1,9}$/.test(text));
  if (numbers && classes !== undefined) {
    const places = placesOfNumbers(written.map(Number), classes, note);
    if (places !== undefined) return { classes, labels: Int32Array.from(written, (text) => places.get(Number(text))!) };
    const high = written.findIndex((text) => Number(text) >= classes.length);
    if (high >= 0) {
      const expected = `0 to ${classes.length - 1} (${classes.length} classes)`;
      fail({ where: `${where} line ${table.rows[high].line}`, what: 'class is out of range', expected, got: written[high] });
    }
    return { classes, labels: Int32Array.from(written, Number) };
  }
  const place = new Map(distinct.map((text, i) => [text, i]));
  return { classes: distinct, labels: Int32Array.from(written, (text) => place.get(text)!) };
}

function grouper(
  table: Table,
  where: string,
  file: number | undefined,
  classes: readonly string[],
  { train, test }: Pick<Index, 'train' | 'test'>,
  o: IndexOptions,
): Index['groups'] {
  const { groupBy, note } = o;
  if (groupBy === 'none') return () => undefined;
  if (groupBy === 'prefix') {
    if (file === undefined)
      return fail({ where: '--group-by', what: 'no column of file names', expected: 'a column', got: groupBy, exitCode: 2 });
    const name = (row: IndexedRow): string => row.cells[file].replace(/^.*[/\\]/, '');
    return (rows) =>
      groupsOf(
        'prefix',
        rows.map((row) => prefixKey(row.label, name(row))),
        (i) => prefixName(classes[rows[i].label], name(rows[i])),
      );
  }
  const places = groupColumns(table, where, groupBy);
  if (places.length === 0) return () => undefined;
  const columns = places.map((at) => table.header[at]);
  const by = columns.join(', ');
  if (groupBy === undefined) note?.(`images with the same ${by} stay together when images are held out (--group-by none parts them)`);
  // a track is numbered within its class; anything else means the same in every class
  const local = columns.some((column) => column.toLowerCase() === 'track');
  const lacks = ({ cells }: IndexedRow): boolean => places.some((at) => cells[at] === '');
  // a row that names no group is a group of its own
  const key = (row: IndexedRow): string => {
    if (lacks(row)) return `line ${row.line}`;
    const text = places.length === 1 ? row.cells[places[0]] : JSON.stringify(places.map((at) => row.cells[at]));
    return local ? `in ${row.label} ${text}` : `in ${text}`;
  };
  const trained = new Set(train.map(key));
  const both = new Set(test.map(key).filter((text) => trained.has(text)));
  // a number within a class may well begin anew in each part
  if (!local && both.size > 0) {
    const inClass = new Set(train.map((row) => `${row.label} ${key(row)}`));
    const close = new Set(test.filter((row) => inClass.has(`${row.label} ${key(row)}`)).map(key)).size;
    const words = both.size === 1 ? `1 group by ${by} has` : `${both.size} groups by ${by} have`;
    note?.(`${words} images in both the training and the test part, ${close || 'none'} of them in the same class`);
  }
  const name = (row: IndexedRow): string => {
    if (lacks(row)) return `of line ${row.line} alone`;
    const text = places.map((at) => row.cells[at]).join(', ');
    return local ? `${text} of ${classes[row.label]}` : text;
  };
  return (rows) => (rows.every(lacks) ? undefined : groupsOf(by, rows.map(key), (i) => name(rows[i])));
}

/** Columns that make a group together: the one of that name, or several joined by commas; none where nobody asked and no usual one is there. */
function groupColumns(table: Table, where: string, groupBy: string | undefined): number[] {
  const whole = findColumn(table, groupBy === undefined ? GROUP_COLUMNS : [groupBy]);
  if (whole !== undefined) return [whole];
  if (groupBy === undefined) return [];
  return groupBy.split(',').map((name) => {
    const at = findColumn(table, [name.trim()]);
    if (at !== undefined) return at;
    const expected = `one of ${table.header.join(', ')}, several joined by commas, prefix or none`;
    return fail({ where: '--group-by', what: `no such column in ${where}`, expected, got: name.trim() || 'nothing', exitCode: 2 });
  });
}
