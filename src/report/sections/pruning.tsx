/** The pruning curve: what clean accuracy and the attack do as channels are cut, and where the defender stopped. */
import type { JSX } from 'preact';
import type { Result } from '../../evaluate/result.ts';
import { LineChart } from '../charts/line-chart.tsx';
import { cellFormat, fixed, integer, list, percentSign } from '../format.ts';
import type { PruningStop, ReportMedia } from '../media.ts';
import { NumbersTable } from '../numbers-table.tsx';
import { Figure, KeyWord, NumbersAndNotes, Panels, Section } from '../parts.tsx';
import { attackTitle, cellAt, columnParts, columnsOf, findTable, rowNumber, rowsOf, subjectsOf } from '../tables.ts';
import { toneOf } from '../theme.ts';
import type { SectionProps } from './context.ts';

export function PruningSection({ result, media }: SectionProps): JSX.Element | null {
  const table = findTable(result, 'pruning curve');
  if (!table) return null;
  const attacked = columnsOf(table).some((c) => columnParts(c).metric === 'attack success');
  const numeric = rowsOf(table).every((row) => Number.isFinite(rowNumber(row)));
  return (
    <Section
      id="pruning"
      title="Pruning, channel by channel"
      captions={media.captions?.pruning}
      lead={
        <>
          Channels are cut in the order of their mean activation on the defender's clean images, quietest first. The defender watches clean
          validation accuracy alone and stops when it has fallen too far.{' '}
          {attacked && (
            <>
              <KeyWord tone="triggered">Attack success</KeyWord> is measured by the judge, afterwards.
            </>
          )}
        </>
      }
    >
      {numeric && (
        <Panels>
          {[...subjectsOf(table).keys()].map((subject, i) => (
            <Curve key={subject} result={result} media={media} subject={subject} id={`pruning-${i}`} />
          ))}
        </Panels>
      )}
      <NumbersAndNotes summary={`Numbers of the pruning curve, ${integer(rowsOf(table).length)} steps`} notes={table.notes}>
        <NumbersTable table={table} rowTitle="channels cut" caption="Accuracy and attack success after each cut." />
      </NumbersAndNotes>
    </Section>
  );
}

function Curve(props: { result: Result; media: ReportMedia; subject: string; id: string }): JSX.Element | null {
  const { result, media, subject, id } = props;
  const table = findTable(result, 'pruning curve');
  if (!table) return null;
  const columns = subjectsOf(table).get(subject) ?? [];
  // The defender's curve runs so close to the judge's that it only blurs it; it stays in the table and in the words below.
  const drawn = columns.some((c) => c.metric === 'clean accuracy') ? columns.filter((c) => c.metric !== 'validation accuracy') : columns;
  const stop = media.stops?.find((s) => s.attack === subject) ?? (subject === '' ? media.stops?.[0] : undefined);
  const format = cellFormat(table.unit, table.cells);
  const rows = rowsOf(table);
  const atStop = stop
    ? columns.flatMap(({ column, metric }) => {
        const row = rows.find((r) => rowNumber(r) === stop.cut);
        const cell = row === undefined ? undefined : cellAt(table, row, column);
        return cell ? [`${metric} ${format.value(cell.value)} %`] : [];
      })
    : [];
  return (
    <Figure title={attackTitle(subject)} caption={stop && <StopWords stop={stop} values={atStop} />}>
      <LineChart
        id={id}
        title={`Pruning curve: ${attackTitle(subject)}`}
        description={`${drawn.map((c) => c.metric).join(' and ')} against channels cut.${
          stop ? ` Pruning stopped at ${stop.cut} of ${stop.of}${atStop.length > 0 ? `: ${atStop.join(', ')}` : ''}.` : ''
        } The numbers are in the table below.`}
        series={drawn.map(({ column, metric }, k) => ({
          label: metric,
          tone: toneOf(metric, k),
          points: rows.flatMap((row) => {
            const c = cellAt(table, row, column);
            return c ? [{ x: rowNumber(row), y: c.value, low: c.low, high: c.high, paper: c.paper }] : [];
          }),
        }))}
        stops={stop ? [{ x: stop.cut, label: `stop: ${stop.cut} of ${stop.of} cut` }] : []}
        xTitle={`channels cut${stop?.layer ? ` in ${stop.layer}` : ''}`}
        yTitle="rate, %"
        yFormat={(v) => fixed(v * 100, 0)}
        yDomain={[0, 1]}
      />
    </Figure>
  );
}

function StopWords({ stop, values }: { stop: PruningStop; values: readonly string[] }): JSX.Element {
  const { cut, of, threshold, backdoorCut, backdoorTotal } = stop;
  return (
    <>
      Stopped at {cut} of {of} channels
      {threshold !== undefined && `, the last cut that keeps validation accuracy within ${percentPoints(threshold)}`}
      {values.length > 0 && <>: {list(values)}</>}.
      {backdoorCut !== undefined &&
        backdoorTotal !== undefined &&
        ` ${backdoorCut} of ${backdoorTotal} backdoor neurons were among those cut.`}
    </>
  );
}

function percentPoints(rate: number): string {
  const points = percentSign(rate, 1).replace(/\.0(?=\D)/, '');
  return `${points.replace(/\s*%$/, '')} points`;
}
