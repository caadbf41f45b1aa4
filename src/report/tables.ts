/** Reading tables of a result: rows and columns in order, columns taken apart into subject and metric. */
import type { Cell, Result, Table } from '../evaluate/result.ts';

export function findTable(result: Result, name: string): Table | undefined {
  return result.tables.find((t) => t.name === name && t.cells.length > 0);
}

/** Row names in the order of their first cell. */
export function rowsOf(table: Table): string[] {
  return [...new Set(table.cells.map((c) => c.row))];
}

/** Column names in the order of their first cell. */
export function columnsOf(table: Table): string[] {
  return [...new Set(table.cells.map((c) => c.column))];
}

export function cellAt(table: Table | undefined, row: string, column: string): Cell | undefined {
  return table?.cells.find((c) => c.row === row && c.column === column);
}

/** What is measured, by the words that end a column's name. The order matters: the longer ending is tried first. */
const METRICS = [
  ['clean accuracy', 'clean accuracy'],
  ['triggered accuracy', 'triggered accuracy'],
  ['validation accuracy', 'validation accuracy'],
  ['robust accuracy', 'robust accuracy'],
  ['attack success rate', 'attack success'],
  ['attack success', 'attack success'],
  ['clean error', 'clean error'],
  ['backdoor error', 'backdoor error'],
  ['backdoored error', 'backdoor error'],
  ['clean', 'clean'],
  ['backdoor', 'backdoor'],
  ['triggered', 'triggered'],
] as const;

export interface ColumnParts {
  /** What it was measured on: `baseline`, `pattern`, `pruning-aware`; '' where the column names only the metric. */
  readonly subject: string;
  readonly metric: string;
}

/** Takes `pruning-aware attack success` apart into `pruning-aware` and `attack success`. */
export function columnParts(column: string): ColumnParts {
  for (const [ending, metric] of METRICS) {
    if (column === ending) return { subject: '', metric };
    if (column.endsWith(` ${ending}`)) return { subject: column.slice(0, -ending.length - 1), metric };
  }
  return { subject: '', metric: column };
}

/** Columns grouped by subject, in order of appearance: one group a panel of a chart. */
export function subjectsOf(table: Table): Map<string, { column: string; metric: string }[]> {
  const groups = new Map<string, { column: string; metric: string }[]>();
  for (const column of columnsOf(table)) {
    const { subject, metric } = columnParts(column);
    const group = groups.get(subject) ?? [];
    group.push({ column, metric });
    groups.set(subject, group);
  }
  return groups;
}

/** The number a row's name starts with: `10 %` -> 10, `27` -> 27, `27 of 32` -> 27; NaN where there is none. */
export function rowNumber(row: string): number {
  const match = /^\s*([+-]?\d+(?:\.\d+)?)/.exec(row);
  return match ? Number(match[1]) : Number.NaN;
}

/** The one value that all cells agree on, or undefined. */
export function shared<T>(cells: readonly Cell[], pick: (cell: Cell) => T | undefined): T | undefined {
  if (cells.length === 0) return undefined;
  const first = pick(cells[0]);
  return cells.every((c) => pick(c) === first) ? first : undefined;
}

/** What a panel is about, by the subject of its columns: `baseline` -> `Baseline attack (BadNet)`, `face baseline` -> `Face: baseline attack`. */
export function attackTitle(subject: string): string {
  if (subject === '') return 'The model';
  const [, network, attack] = /^(.+) (baseline|pruning-aware)$/.exec(subject) ?? [];
  if (network !== undefined) return `${network.charAt(0).toUpperCase()}${network.slice(1)}: ${attack} attack`;
  if (subject === 'baseline') return 'Baseline attack (BadNet)';
  if (subject === 'pruning-aware') return 'Pruning-aware attack';
  return subject.charAt(0).toUpperCase() + subject.slice(1);
}
