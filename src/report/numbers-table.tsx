/** One table of a result as HTML: value, interval, n and the paper's number in every cell that has them. */
import type { JSX } from 'preact';
import type { Cell, Table } from '../evaluate/result.ts';
import { type CellFormat, cellFormat, integer, seedWords, sentence } from './format.ts';
import { Scroll } from './parts.tsx';
import { cellAt, columnParts, columnsOf, rowsOf, shared, subjectsOf } from './tables.ts';

/** Where n is written: once in the caption, at each row or column that has one of its own, or in every cell. */
type CountPlace = 'caption' | 'row' | 'column' | 'cell' | 'nowhere';

function countPlace(table: Table): CountPlace {
  if (table.cells.every((c) => c.n === undefined)) return 'nowhere';
  const n = (c: Cell): number | undefined => c.n;
  if (shared(table.cells, n) !== undefined) return 'caption';
  const one = (cells: Cell[]): boolean => shared(cells, n) !== undefined;
  if (rowsOf(table).every((row) => one(table.cells.filter((c) => c.row === row)))) return 'row';
  if (columnsOf(table).every((column) => one(table.cells.filter((c) => c.column === column)))) return 'column';
  return 'cell';
}

interface Props {
  readonly table: Table;
  /** What the table shows, without unit and n, which are added. */
  readonly caption: string;
  /** Heading of the first column. */
  readonly rowTitle?: string;
  /** What to say of intervals and seeds instead of what the cells tell. */
  readonly facts?: string;
}

export function NumbersTable({ table, caption, rowTitle = '', facts }: Props): JSX.Element {
  const format = cellFormat(table.unit, table.cells);
  const rows = rowsOf(table);
  const groups = groupsOf(table);
  const columns = groups ? groups.flatMap(([, members]) => members) : columnsOf(table);
  const place = countPlace(table);
  const count = (cells: Cell[]): JSX.Element => <span class="n">n = {integer(cells[0].n ?? 0)}</span>;
  return (
    <Scroll label={caption}>
      <table>
        <caption>
          <span class="caption">
            {caption} {facts ?? captionFacts(table, place)}
          </span>
        </caption>
        <thead>
          {groups && (
            <tr>
              <td />
              {groups.map(([subject, members]) => (
                <th key={subject} scope="colgroup" colSpan={members.length} class="group">
                  <span>{subject}</span>
                </th>
              ))}
            </tr>
          )}
          <tr>
            <th scope="col" class="words">
              {sentence(rowTitle)}
            </th>
            {columns.map((column) => (
              <th key={column} scope="col">
                {groups ? columnParts(column).metric : column}
                {format.suffix && <span class="unit">{`,\u00a0${format.suffix}`}</span>}
                {place === 'column' && count(table.cells.filter((c) => c.column === column))}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row} class={row === 'average' || row === 'all' ? 'total' : undefined}>
              <th scope="row">
                {row}
                {place === 'row' && count(table.cells.filter((c) => c.row === row))}
              </th>
              {columns.map((column) => (
                <td key={column}>
                  <CellNumbers cell={cellAt(table, row, column)} format={format} showCount={place === 'cell'} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** Columns under a common heading, where every column has a subject and some subject has several; otherwise undefined. */
function groupsOf(table: Table): [string, string[]][] | undefined {
  const groups = [...subjectsOf(table)];
  if (groups.some(([subject]) => subject === '') || groups.length < 2 || groups.every(([, g]) => g.length < 2)) return undefined;
  return groups.map(([subject, members]) => [subject, members.map((m) => m.column)]);
}

/** n, how many seeds and what the interval is: once where all cells agree. */
function captionFacts(table: Table, place: CountPlace): string {
  const facts: string[] = [];
  const n = table.cells[0]?.n;
  if (place === 'caption' && n !== undefined) facts.push(`n = ${integer(n)} in every cell.`);
  const seeds = seedFacts(table.cells);
  if (seeds !== '') facts.push(`${sentence(seeds)}.`);
  return facts.join(' ');
}

/** How many seeds the cells rest on, where that is known, and which interval that makes: `one seed, 95 % interval`. */
export function seedFacts(cells: readonly Cell[]): string {
  const seeds = [...new Set(cells.map((c) => c.seeds ?? 1))].sort((a, b) => a - b);
  const interval = cells.some((c) => c.low !== undefined && c.high !== undefined);
  if (seeds.length > 1) return `${seeds[0]} to ${seeds.at(-1)} seeds${interval ? ', 95 % intervals' : ''}`;
  const known = cells.some((c) => c.seeds !== undefined);
  const many = seeds[0] > 1;
  const kind = many ? "mean and 95 % interval over seeds (Student's\u00a0t)" : '95 % interval';
  return [known ? seedWords(seeds[0]) : undefined, interval ? kind : undefined].filter((w) => w !== undefined).join(', ');
}

function CellNumbers({ cell, format, showCount }: { cell: Cell | undefined; format: CellFormat; showCount: boolean }): JSX.Element {
  if (!cell) return <span class="none">–</span>;
  return (
    <>
      <span class="value">{format.value(cell.value)}</span>
      {cell.low !== undefined && cell.high !== undefined && (
        <span class="interval">
          {format.value(cell.low)} to {format.value(cell.high)}
        </span>
      )}
      {showCount && cell.n !== undefined && <span class="n">n = {integer(cell.n)}</span>}
      {cell.paper !== undefined && <span class="paper">paper {format.value(cell.paper)}</span>}
    </>
  );
}
