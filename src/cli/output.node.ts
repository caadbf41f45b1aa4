/** Results in plain text: numbers and tables as they stand on stdout. */
import { printable } from '../core/errors.ts';
import type { Cell, Table } from '../evaluate/result.ts';
import { subjectsOf } from '../report/tables.ts';

/**
 * Text in which names out of a file may stand, as one line that a terminal shows and does not obey: without control characters, and without
 * line ends or tabs, by which a name could pass for a line of this program.
 * @param longest a name is shown that far; sentences and lists of this program's own are never cut
 */
export const oneLine = (text: string, longest?: number): string => printable(text, longest).replace(/[\n\t]/g, ' ');

/** A sentence or a list of any length. */
export const oneLong = (text: string): string => oneLine(text, Number.POSITIVE_INFINITY);

/** 0.9893 -> `98.93 %` */
export const percent = (rate: number, digits = 2): string => `${(rate * 100).toFixed(digits)} %`;

/** 12.3 -> `12 s`, 75 -> `1 m 15 s`, 4000 -> `1 h 07 m` */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${String(s % 60).padStart(2, '0')} s`;
  return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, '0')} m`;
}

/** 1234567 -> `1.2 MB` (powers of ten, as disks are sold) */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

function cellText(cell: Cell, unit: Table['unit']): string {
  switch (unit) {
    case 'rate': {
      const interval =
        cell.low !== undefined && cell.high !== undefined ? ` [${(cell.low * 100).toFixed(2)}, ${(cell.high * 100).toFixed(2)}]` : '';
      const paper = cell.paper === undefined ? '' : ` (paper ${(cell.paper * 100).toFixed(2)})`;
      return `${percent(cell.value)}${interval}${paper}`;
    }
    case 'seconds':
      return `${cell.value.toFixed(1)} s`;
    case 'bytes':
      return size(cell.value);
    case 'count':
      return Number.isInteger(cell.value) ? String(cell.value) : cell.value.toFixed(1);
    case 'activation':
      return cell.value.toPrecision(4);
  }
}

/** Wider tables are shown subject by subject. */
const WIDE = 130;

/** A table with its name above and its notes below; columns are aligned, nothing is coloured. */
export function tableText(table: Table): string {
  const whole = grid(table);
  const wide = whole.some((line) => line.length + 2 > WIDE);
  const subjects = [...subjectsOf(table)];
  const parts =
    wide && subjects.length > 1
      ? subjects.map(([subject, columns]) => {
          const names = new Map(columns.map(({ column, metric }) => [column, metric]));
          const cells = table.cells.filter((c) => names.has(c.column)).map((c) => ({ ...c, column: names.get(c.column) ?? c.column }));
          return [oneLine(`${table.name}: ${subject === '' ? 'all' : subject}`), ...grid({ ...table, cells }).map((line) => `  ${line}`)];
        })
      : [[oneLine(table.name), ...whole.map((line) => `  ${line}`)]];
  return [parts.map((lines) => lines.join('\n')).join('\n\n'), ...(table.notes ?? []).map((note) => `  ${oneLong(note)}`)].join('\n');
}

/** Lines of columns that are as wide as their longest text; those of `right` end at the right, the last one is not filled up. */
export function columns(cells: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const rows = cells.map((row) => row.map((text) => oneLine(text)));
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) =>
    row
      .map((text, i) => (right.includes(i) ? text.padStart(widths[i]) : text.padEnd(widths[i])))
      .join('  ')
      .trimEnd(),
  );
}

/** Lines of aligned columns, the first line their names. */
function grid(table: Table): string[] {
  const rows = [...new Set(table.cells.map((c) => c.row))];
  const columns = [...new Set(table.cells.map((c) => c.column))];
  const cells = new Map(table.cells.map((c) => [JSON.stringify([c.row, c.column]), cellText(c, table.unit)]));
  const lines = [
    ['', ...columns.map((column) => oneLine(column))],
    ...rows.map((row) => [oneLine(row), ...columns.map((column) => cells.get(JSON.stringify([row, column])) ?? '')]),
  ];
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  return lines.map((line) =>
    line
      .map((text, i) => (i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i])))
      .join('  ')
      .trimEnd(),
  );
}

/** A long table with about `keep` of its rows, evenly spread, the first and the last among them; all of it where it is short. */
export function thinned(table: Table, keep = 17): Table {
  const rows = [...new Set(table.cells.map((c) => c.row))];
  if (rows.length <= 2 * keep) return table;
  const shown = new Set(Array.from({ length: keep }, (_, i) => rows[Math.round((i * (rows.length - 1)) / (keep - 1))]));
  const note = `${shown.size} of ${rows.length} rows; the others are in result.json.`;
  return { ...table, cells: table.cells.filter((c) => shown.has(c.row)), notes: [...(table.notes ?? []), note] };
}
