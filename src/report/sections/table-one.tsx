/** Table 1: networks down, attacks and defences across, in every cell a rate, its bar and the paper's number. */
import type { JSX } from 'preact';
import type { Cell, Table } from '../../evaluate/result.ts';
import { fixed, integer, percent, percentSign, sentence } from '../format.ts';
import { seedFacts } from '../numbers-table.tsx';
import { Figure, KeyWord, Notes, Panels, PaperKey, Scroll, Section } from '../parts.tsx';
import { attackTitle, cellAt, columnParts, columnsOf, findTable, rowsOf, shared } from '../tables.ts';
import { toneOf } from '../theme.ts';
import type { SectionProps } from './context.ts';

export const TABLE_ONE = 'table 1';

const DEFENCES = ['none', 'fine-tune', 'prune', 'fine-prune', 'from scratch'];

export interface DefenceColumn {
  readonly column: string;
  readonly attack: string;
  readonly defence: string;
}

/** Takes `pruning-aware fine-prune` apart into attack and defence; of other names the last word is the defence. */
export function defenceColumn(column: string): DefenceColumn {
  // The longest name that fits: `fine-prune` ends neither in ` prune` nor is it `prune`, but `from scratch` has a space in it.
  const defence = DEFENCES.find((d) => column === d || column.endsWith(` ${d}`)) ?? column.slice(column.lastIndexOf(' ') + 1);
  return { column, attack: column.slice(0, -defence.length).trim(), defence };
}

interface MetricRow {
  readonly row: string;
  readonly metric: string;
}

/** Networks in order with their rows: `face` -> `face clean accuracy`, `face attack success`. */
export function networksOf(table: Table): Map<string, MetricRow[]> {
  const networks = new Map<string, MetricRow[]>();
  for (const row of rowsOf(table)) {
    const { subject, metric } = columnParts(row);
    networks.set(subject, [...(networks.get(subject) ?? []), { row, metric }]);
  }
  return networks;
}

export function TableOneSection({ result, media }: SectionProps): JSX.Element | null {
  const table = findTable(result, TABLE_ONE);
  if (!table) return null;
  const columns = columnsOf(table).map(defenceColumn);
  const attacks = [...new Set(columns.map((c) => c.attack))];
  const paper = table.cells.some((c) => c.paper !== undefined);
  return (
    <Section
      id="table-1"
      title="Table 1: attacks against defences"
      captions={media.captions?.['table-1']}
      lead={
        <>
          A defence that works keeps <KeyWord tone="clean">clean accuracy</KeyWord> and takes away{' '}
          <KeyWord tone="triggered">attack success</KeyWord>: long blue bars over short orange ones.
        </>
      }
    >
      <Panels>
        {attacks.map((attack) => (
          <Figure key={attack} title={attackTitle(attack)}>
            <Matrix table={table} columns={columns.filter((c) => c.attack === attack)} title={attackTitle(attack)} />
          </Figure>
        ))}
      </Panels>
      <p class="small chart-key">
        <span>{factsOf(table)}</span>
        {paper && <PaperKey />}
      </p>
      <Notes notes={table.notes} />
    </Section>
  );
}

function factsOf(table: Table): string {
  const n = shared(table.cells, (c) => c.n);
  const seeds = seedFacts(table.cells);
  return [
    'All numbers in %.',
    seeds === '' ? undefined : `${sentence(seeds)}.`,
    n === undefined ? undefined : `n = ${integer(n)} in every cell.`,
  ]
    .filter((w) => w !== undefined)
    .join(' ');
}

function Matrix({ table, columns, title }: { table: Table; columns: readonly DefenceColumn[]; title: string }): JSX.Element {
  return (
    <Scroll label={`Table 1, ${title}`} fill>
      <table class="table-one">
        <thead>
          <tr>
            <th scope="col" class="words">
              {table.unit === 'rate' ? '%' : table.unit}
            </th>
            {columns.map((c) => (
              <th key={c.column} scope="col">
                {c.defence}
              </th>
            ))}
          </tr>
        </thead>
        {[...networksOf(table)].map(([network, rows]) => (
          <tbody key={network}>
            {network !== '' && (
              <tr class="network">
                <th scope="rowgroup" colSpan={columns.length + 1}>
                  {sentence(network)}
                  <Counts rows={rows} columns={columns} table={table} />
                </th>
              </tr>
            )}
            {rows.map(({ row, metric }, k) => (
              <tr key={row} class={`tone-${toneOf(metric, k)}`}>
                <th scope="row">{metric}</th>
                {columns.map((c) => (
                  <td key={c.column}>
                    <Value cell={cellAt(table, row, c.column)} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        ))}
      </table>
    </Scroll>
  );
}

/** n of a network where not all networks have the same; metric by metric where it has several: not every clean input can carry a trigger. */
function Counts({
  rows,
  columns,
  table,
}: {
  rows: readonly MetricRow[];
  columns: readonly DefenceColumn[];
  table: Table;
}): JSX.Element | null {
  if (shared(table.cells, (c) => c.n) !== undefined) return null;
  const counted = rows.flatMap(({ row, metric }) => {
    const n = columns.flatMap((c) => cellAt(table, row, c.column)?.n ?? []);
    return n.length === 0 ? [] : [{ metric, least: Math.min(...n), most: Math.max(...n) }];
  });
  if (counted.length === 0) return null;
  const text = ({ least, most }: (typeof counted)[number]): string =>
    least === most ? integer(least) : `${integer(least)} to ${integer(most)}`;
  const texts = new Set(counted.map(text));
  const words = texts.size === 1 ? [...texts][0] : counted.map((c) => `${text(c)} (${c.metric})`).join(', ');
  return <span class="n">n = {words}</span>;
}

/** One decimal, as the paper has it. */
const DECIMALS = 1;

function Value({ cell }: { cell: Cell | undefined }): JSX.Element {
  if (!cell) return <span class="none">–</span>;
  const share = (rate: number): string => `${fixed(Math.min(1, Math.max(0, rate)) * 100, 1)}%`;
  return (
    <>
      <span class="value">{percent(cell.value, DECIMALS)}</span>
      <span class="rate-bar" style={`--share:${share(cell.value)}`}>
        {cell.paper !== undefined && <span class="rate-paper" style={`--at:${share(cell.paper)}`} />}
      </span>
      {cell.low !== undefined && cell.high !== undefined && (
        <span class="interval">
          {percent(cell.low, DECIMALS)} to {percent(cell.high, DECIMALS)}
        </span>
      )}
      {cell.paper !== undefined && <span class="paper">paper {percent(cell.paper, DECIMALS)}</span>}
    </>
  );
}

/** `97.8 %`, as in the table. */
export const tableOneRate = (rate: number): string => percentSign(rate, DECIMALS);
