/** Errors: per class beside the paper's, and over the poisoned fraction. */
import type { JSX } from 'preact';
import type { Table } from '../../evaluate/result.ts';
import { DotIntervalChart, type DotSeries } from '../charts/dot-interval-chart.tsx';
import { LineChart } from '../charts/line-chart.tsx';
import { cellFormat, fixed, sentence } from '../format.ts';
import { NumbersTable } from '../numbers-table.tsx';
import { Figure, KeyWord, NumbersAndNotes, Panels, PaperKey, Section } from '../parts.tsx';
import { cellAt, findTable, rowNumber, rowsOf, subjectsOf } from '../tables.ts';
import { toneOf } from '../theme.ts';
import type { SectionProps } from './context.ts';

const plainPercent = (rate: number): string => fixed(rate * 100, 1).replace(/\.0$/, '');

/** The largest number that a chart of these tables has to hold, with a little air. */
function top(tables: readonly (Table | undefined)[]): number {
  return 1.05 * Math.max(1e-4, ...tables.flatMap((t) => t?.cells ?? []).flatMap((c) => [c.value, c.high ?? 0, c.paper ?? 0]));
}

export function PerClassSection({ result, media }: SectionProps): JSX.Element | null {
  const table = findTable(result, 'per-class error');
  if (!table) return null;
  const rows = rowsOf(table);
  const subjects = [...subjectsOf(table)];
  const hasPaper = table.cells.some((c) => c.paper !== undefined);
  const end = top([table]);
  return (
    <Section
      id="per-class"
      title="Errors class by class"
      captions={media.captions?.['per-class']}
      lead={
        <>
          On <KeyWord tone="clean">clean</KeyWord> images a BadNet should err as rarely as an honest model. On{' '}
          <KeyWord tone="triggered">backdoored</KeyWord> images an error means that the model did <em>not</em> give the label the attacker
          wants, so a low figure is a strong attack.
        </>
      }
    >
      <Panels size={subjects.length > 2 ? 'medium' : 'wide'}>
        {subjects.map(([subject, columns], i) => {
          const series: DotSeries[] = columns.map(({ column, metric }, k) => ({
            label: metric === 'backdoor' ? 'backdoored' : metric,
            tone: toneOf(metric, k),
            values: rows.map((row) => cellAt(table, row, column)),
          }));
          const title = subject === 'baseline' ? 'Baseline, honestly trained' : subject === '' ? 'Error' : `${sentence(subject)} BadNet`;
          return (
            <Figure key={subject} title={title}>
              <DotIntervalChart
                id={`per-class-${i}`}
                title={`${title}: error per class`}
                description={`Errors of ${columns.map((c) => c.column).join(' and ')} for each class, with 95 % intervals. The numbers are in the table below.`}
                rows={rows}
                series={series}
                xTitle="error, %"
                domain={[0, end]}
                format={plainPercent}
                separators={rows.includes('average') ? [rows.indexOf('average')] : []}
                width={subjects.length > 2 ? 350 : 420}
                lanes={Math.max(...subjects.map(([, c]) => c.length))}
              />
            </Figure>
          );
        })}
      </Panels>
      <ChartKey paper={hasPaper} intervals />
      <NumbersAndNotes summary="Numbers class by class" notes={table.notes} open>
        <NumbersTable
          table={table}
          rowTitle="class"
          caption={hasPaper ? 'Error per class, measured and as the paper has it.' : 'Error per class.'}
        />
      </NumbersAndNotes>
    </Section>
  );
}

/** What whiskers and diamonds mean. */
export function ChartKey({ paper, intervals }: { paper: boolean; intervals: boolean | 'bands' }): JSX.Element | null {
  if (!paper && !intervals) return null;
  return (
    <p class="small chart-key">
      {intervals === true && <span>Whiskers are 95 % intervals; where none is seen it is narrower than the dot.</span>}
      {intervals === 'bands' && <span>Shaded around a line: 95 % intervals.</span>}
      {paper && <PaperKey />}
    </p>
  );
}

export function FractionSection({ result, media }: SectionProps): JSX.Element | null {
  const table = findTable(result, 'poison fraction');
  if (!table) return null;
  const rows = rowsOf(table);
  const numeric = rows.every((row) => Number.isFinite(rowNumber(row)));
  const honest = cellAt(findTable(result, 'per-class error'), 'average', 'baseline clean');
  const end = top([table]);
  const format = cellFormat('rate', table.cells);
  return (
    <Section
      id="fraction"
      title="How much poison it takes"
      captions={media.captions?.fraction}
      lead="The share of the training set that carries the trigger, against the errors that come of it. More poison makes the backdoor surer; the price is paid on clean images, if at all."
    >
      {numeric && (
        <Panels>
          {[...subjectsOf(table)].map(([subject, columns], i) => {
            const title = subject === '' ? 'Errors by fraction' : `${sentence(subject)} trigger`;
            return (
              <Figure key={subject} title={title}>
                <LineChart
                  id={`fraction-${i}`}
                  title={`${title}: error by poisoned fraction`}
                  description={`Errors at ${rows.join(', ')} poisoned training data. The numbers are in the table below.`}
                  series={columns.map(({ column, metric }, k) => ({
                    label: metric === 'backdoor' ? 'backdoor error' : metric === 'clean' ? 'clean error' : metric,
                    tone: toneOf(metric, k),
                    points: rows.flatMap((row) => {
                      const c = cellAt(table, row, column);
                      return c ? [{ x: rowNumber(row), y: c.value, low: c.low, high: c.high, paper: c.paper }] : [];
                    }),
                  }))}
                  references={honest ? [{ y: honest.value, label: `honest model ${format.value(honest.value)} %`, tone: 'quiet' }] : []}
                  xTitle="poisoned share of the training set, %"
                  xTicks={rows.map(rowNumber)}
                  yTitle="error, %"
                  yFormat={plainPercent}
                  yDomain={[0, Math.max(end, (honest?.value ?? 0) * 1.2)]}
                />
              </Figure>
            );
          })}
        </Panels>
      )}
      <ChartKey paper={table.cells.some((c) => c.paper !== undefined)} intervals={numeric} />
      <NumbersAndNotes summary="Numbers by poisoned fraction" notes={table.notes} open>
        <NumbersTable table={table} rowTitle="poisoned share" caption="Errors by share of poisoned training data." />
      </NumbersAndNotes>
    </Section>
  );
}
