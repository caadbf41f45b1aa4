/** The defences: one table of attacks against cures, the same cures on a clean model. */
import type { JSX } from 'preact';
import type { Table } from '../../evaluate/result.ts';
import { DotIntervalChart } from '../charts/dot-interval-chart.tsx';
import { cellFormat, fixed } from '../format.ts';
import { NumbersTable } from '../numbers-table.tsx';
import { Figure, KeyWord, Notes, NumbersAndNotes, Panels, Section } from '../parts.tsx';
import { attackTitle, cellAt, findTable, rowsOf, subjectsOf } from '../tables.ts';
import { toneOf } from '../theme.ts';
import type { SectionProps } from './context.ts';
import { ChartKey } from './errors.tsx';
import { Charts, chartsOf } from './line-figures.tsx';

export function DefencesSection({ result, media }: SectionProps): JSX.Element | null {
  const table = findTable(result, 'defences');
  if (!table) return null;
  return (
    <Section
      id="defences"
      title="What each defence achieves"
      captions={media.captions?.defences}
      lead={
        <>
          A cure keeps <KeyWord tone="clean">clean accuracy</KeyWord> to the right and drives{' '}
          <KeyWord tone="triggered">attack success</KeyWord> to the left. The pruning-aware attacker hides the backdoor in channels that
          pruning would not touch; fine-pruning is the answer to both.
        </>
      }
    >
      <Charts charts={chartsOf(media, 'defences')} beside={[table]} />
      <DotPanels
        table={table}
        id="defences"
        numbers="Numbers of the defences"
        caption="Defences against attacks."
        rowTitle="defence"
        what="defences"
      />
    </Section>
  );
}

export function ControlSection({ result, media }: SectionProps): JSX.Element | null {
  const table = findTable(result, 'clean-model control');
  if (!table) return null;
  return (
    <Section
      id="control"
      title="The same defences on a clean model"
      captions={media.captions?.control}
      lead="The control: a model that nobody attacked goes through the same treatment. What it loses is the price of the cure; what the trigger does to it is chance."
    >
      <Charts charts={chartsOf(media, 'control')} beside={[table]} />
      <DotPanels
        table={table}
        id="control"
        numbers="Numbers of the control"
        caption="Defences on a model without a backdoor."
        rowTitle="defence"
        what="defences"
      />
    </Section>
  );
}

interface PanelsProps {
  readonly table: Table;
  readonly id: 'defences' | 'control' | 'variants' | 'transfer';
  readonly numbers: string;
  readonly caption: string;
  readonly rowTitle: string;
  /** What the rows are, for the title of each chart. */
  readonly what: string;
}

/** Longer names than this stand above their dots, so that the dots have room. */
const LONG_NAME = 16;

/** Dots with intervals, a panel a subject; one panel alone has its numbers beside it, more have them below. */
export function DotPanels({ table, id, numbers, caption, rowTitle, what }: PanelsProps): JSX.Element {
  const rows = rowsOf(table);
  const format = cellFormat(table.unit, table.cells);
  const rate = table.unit === 'rate';
  // the share of accuracy that a trigger takes is below 0 where the triggered images are told apart better
  const start = Math.min(0, ...table.cells.flatMap((c) => [c.value, c.low ?? c.value]));
  const end = rate ? 1 : Math.max(...table.cells.map((c) => c.high ?? c.value));
  const subjects = [...subjectsOf(table)];
  // six are two attacks of three networks: pairs
  const three = subjects.length % 3 === 0 && subjects.length % 2 === 1;
  const tableBelow = (
    <NumbersAndNotes summary={numbers} notes={subjects.length > 1 ? table.notes : undefined} open>
      <NumbersTable table={table} rowTitle={rowTitle} caption={caption} />
    </NumbersAndNotes>
  );
  return (
    <>
      <Panels size={three ? 'medium' : 'wide'}>
        {subjects.map(([subject, columns], i) => {
          const title = subject === '' && id === 'control' ? 'Honest model' : attackTitle(subject);
          return (
            <Figure key={subject} title={title}>
              <DotIntervalChart
                id={`${id}-${i}`}
                title={`${title}: ${what}`}
                description={`${columns.map((c) => c.metric).join(' and ')} for ${rows.join(', ')}, with 95 % intervals. The numbers are in the table below.`}
                rows={rows}
                series={columns.map(({ column, metric }, k) => ({
                  label: metric,
                  tone: toneOf(metric, k),
                  values: rows.map((row) => cellAt(table, row, column)),
                }))}
                xTitle={rate ? 'rate, %' : table.unit}
                domain={[start, end]}
                format={(v) => (rate ? fixed(v * 100, 0) : format.value(v))}
                valueFormat={(v) => format.value(v)}
                width={three ? 300 : 420}
                lanes={Math.max(...subjects.map(([, c]) => c.length))}
                separators={rows.includes('average') ? [rows.indexOf('average')] : []}
                namesAbove={rows.some((row) => row.length > LONG_NAME)}
              />
            </Figure>
          );
        })}
        {subjects.length === 1 && tableBelow}
      </Panels>
      <ChartKey paper={table.cells.some((c) => c.paper !== undefined)} intervals={table.cells.some((c) => c.low !== undefined)} />
      {subjects.length > 1 ? tableBelow : <Notes notes={table.notes} />}
    </>
  );
}
