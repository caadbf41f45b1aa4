/** The pruning curve: what clean accuracy and the attack do as channels are cut, and where the defender stopped. */
import type { JSX } from 'preact';
import type { Result, Table } from '../../evaluate/result.ts';
import { LineChart } from '../charts/line-chart.tsx';
import { cellFormat, fixed, integer, list, percentSign, sentence } from '../format.ts';
import type { PruningPhases, PruningStop, ReportMedia } from '../media.ts';
import { NumbersTable } from '../numbers-table.tsx';
import { Figure, KeyWord, NumbersAndNotes, Panels, Section } from '../parts.tsx';
import { attackTitle, cellAt, columnParts, columnsOf, findTable, rowNumber, rowsOf, subjectsOf } from '../tables.ts';
import { toneOf } from '../theme.ts';
import type { SectionProps } from './context.ts';
import { Charts, chartsOf, rateFloor } from './line-figures.tsx';

/** The `pruning curve`, and those of several networks: `pruning curve: face`. */
export function pruningTables(result: Result): Table[] {
  return result.tables.filter((t) => t.cells.length > 0 && /^pruning curve(:|$)/.test(t.name));
}

export function PruningSection({ result, media }: SectionProps): JSX.Element | null {
  const table = findTable(result, 'pruning curve');
  const tables = pruningTables(result);
  const charts = chartsOf(media, 'pruning');
  if (tables.length === 0 && charts.length === 0) return null;
  const attacked =
    charts.some((c) => c.series.some((s) => s.tone === 'triggered')) ||
    tables.some((t) => columnsOf(t).some((c) => columnParts(c).metric === 'attack success'));
  const drawn = table !== undefined && charts.length === 0 && rowsOf(table).every((row) => Number.isFinite(rowNumber(row)));
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
      <Charts charts={charts} beside={tables} />
      {drawn && (
        <Panels>
          {[...subjectsOf(table).keys()].map((subject, i) => (
            <Curve key={subject} result={result} media={media} subject={subject} id={`pruning-${i}`} />
          ))}
        </Panels>
      )}
      {tables.map((t) => (
        <NumbersAndNotes key={t.name} summary={`Numbers of the ${t.name}, ${integer(rowsOf(t).length)} steps`} notes={t.notes}>
          <NumbersTable table={t} rowTitle="channels cut" caption="Accuracy and attack success after each cut." />
        </NumbersAndNotes>
      ))}
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
  const phases = media.phases?.find((p) => p.attack === subject) ?? (subject === '' ? media.phases?.[0] : undefined);
  const format = cellFormat(table.unit, table.cells);
  // the same for every attack: the panels stand beside each other
  const floor = rateFloor(table.cells.flatMap((c) => [c.value, c.low ?? c.value]));
  const rows = rowsOf(table).filter((row) => columns.some((c) => cellAt(table, row, c.column) !== undefined));
  const atStop = stop
    ? columns.flatMap(({ column, metric }) => {
        const row = rows.find((r) => rowNumber(r) === stop.cut);
        const cell = row === undefined ? undefined : cellAt(table, row, column);
        return cell ? [`${metric} ${format.value(cell.value)} %`] : [];
      })
    : [];
  return (
    <Figure title={attackTitle(subject)} caption={(stop || phases) && <CurveWords stop={stop} values={atStop} phases={phases} />}>
      <LineChart
        id={id}
        title={`Pruning curve: ${attackTitle(subject)}`}
        description={`${drawn.map((c) => c.metric).join(' and ')} against channels cut.${
          stop ? ` Pruning stopped at ${stop.cut} of ${stop.of}${atStop.length > 0 ? `: ${atStop.join(', ')}` : ''}.` : ''
        }${phases ? ` ${phaseWords(phases)}` : ''} The numbers are in the table below.`}
        series={drawn.map(({ column, metric }, k) => ({
          label: metric,
          tone: toneOf(metric, k),
          points: rows.flatMap((row) => {
            const c = cellAt(table, row, column);
            return c ? [{ x: rowNumber(row), y: c.value, low: c.low, high: c.high, paper: c.paper }] : [];
          }),
        }))}
        stops={stop ? [{ x: stop.cut, label: `stop: ${stop.cut} of ${stop.of} cut` }] : []}
        bands={phases?.phases.map(({ name, from, to }) => ({ label: name, from, to }))}
        xTitle={`channels cut${stop?.layer ? ` in ${stop.layer}` : ''}`}
        yTitle="rate, %"
        yFormat={(v) => fixed(v * 100, 0)}
        yDomain={[floor, 1]}
      />
    </Figure>
  );
}

function CurveWords(props: { stop?: PruningStop; values: readonly string[]; phases?: PruningPhases }): JSX.Element {
  const { stop, values, phases } = props;
  return (
    <>
      {stop && <StopWords stop={stop} values={values} />}
      {phases && ` ${phaseWords(phases)}`}
    </>
  );
}

/** `Phases: neither 0 to 21, backdoor 21 to 38, clean 38 to 60. Told apart by ...`. */
function phaseWords({ phases, rule }: PruningPhases): string {
  const spans = phases.map(({ name, from, to }) => (to > from ? `${name} ${integer(from)} to ${integer(to)}` : `${name} nowhere`));
  const ruled = rule === undefined || rule === '' ? '' : ` ${sentence(rule).replace(/\.?$/, '.')}`;
  return `Phases, in channels cut: ${list(spans)}.${ruled}`;
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
