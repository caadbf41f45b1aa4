/** The defences: one table of attacks against cures, the same cures on a clean model. */
import type { JSX } from 'preact';
import type { Table } from '../../evaluate/result.ts';
import { DotIntervalChart } from '../charts/dot-interval-chart.tsx';
import { cellFormat, fixed } from '../format.ts';
import { NumbersTable } from '../numbers-table.tsx';
import { Figure, KeyWord, Notes, Numbers, Panels, Section } from '../parts.tsx';
import { attackTitle, cellAt, findTable, rowsOf, subjectsOf } from '../tables.ts';
import { toneOf } from '../theme.ts';
import type { SectionProps } from './context.ts';
import { ChartKey } from './errors.tsx';

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
      <DefencePanels table={table} id="defences" />
      <Numbers summary="Numbers of the defences" open>
        <NumbersTable table={table} rowTitle="defence" caption="Defences against attacks." />
      </Numbers>
      <Notes notes={table.notes} />
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
      <DefencePanels table={table} id="control" />
      <Numbers summary="Numbers of the control" open>
        <NumbersTable table={table} rowTitle="defence" caption="Defences on a model without a backdoor." />
      </Numbers>
      <Notes notes={table.notes} />
    </Section>
  );
}

function DefencePanels({ table, id }: { table: Table; id: string }): JSX.Element {
  const rows = rowsOf(table);
  const format = cellFormat(table.unit, table.cells);
  const rate = table.unit === 'rate';
  const end = rate ? 1 : Math.max(...table.cells.map((c) => c.high ?? c.value));
  return (
    <>
      <Panels>
        {[...subjectsOf(table)].map(([subject, columns], i) => {
          const title = subject === '' && id === 'control' ? 'Clean model' : attackTitle(subject);
          return (
            <Figure key={subject} title={title}>
              <DotIntervalChart
                id={`${id}-${i}`}
                title={`${title}: defences`}
                description={`${columns.map((c) => c.metric).join(' and ')} for ${rows.join(', ')}, with 95 % intervals. The numbers are in the table below.`}
                rows={rows}
                series={columns.map(({ column, metric }, k) => ({
                  label: metric,
                  tone: toneOf(metric, k),
                  values: rows.map((row) => cellAt(table, row, column)),
                }))}
                xTitle={rate ? '%' : table.unit}
                domain={[0, end]}
                format={(v) => (rate ? fixed(v * 100, 0) : format.value(v))}
                valueFormat={(v) => format.value(v)}
              />
            </Figure>
          );
        })}
      </Panels>
      <ChartKey paper={table.cells.some((c) => c.paper !== undefined)} intervals={table.cells.some((c) => c.low !== undefined)} />
    </>
  );
}
