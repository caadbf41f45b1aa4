/** Line charts that a recipe brings along, a section a group, each group's numbers in tables below. */
import type { JSX } from 'preact';
import type { Result, Table } from '../../evaluate/result.ts';
import { LineChart } from '../charts/line-chart.tsx';
import { fixed, integer, list, percentSign, sentence, significant } from '../format.ts';
import type { ChartTone, LineFigure, ReportMedia } from '../media.ts';
import { NumbersTable } from '../numbers-table.tsx';
import { type Anchor, Figure, Numbers, NumbersAndNotes, Panels, Section } from '../parts.tsx';
import { rowNumber } from '../tables.ts';
import type { Tone } from '../theme.ts';
import type { SectionProps } from './context.ts';
import { ChartKey } from './errors.tsx';

const toneName = (tone: ChartTone): Tone => (tone === 'neutral' ? 'quiet' : tone);
const sameName = (a: string, b: string): boolean => a.trim().toLowerCase() === b.trim().toLowerCase();

/** Groups that belong to a section which the page has anyway, by that section. */
export const TOPICS = {
  pruning: ['pruning curve', 'pruning'],
  defences: ['defences'],
  variants: ['variants'],
  control: ['clean-model control', 'control'],
  're-learning': ['re-learning', 'relearning'],
  transfer: ['transfer by class', 'transfer'],
  strength: ['strength'],
} as const;
export type Topic = keyof typeof TOPICS;

const drawable = (media: ReportMedia): LineFigure[] => (media.charts ?? []).filter((c) => c.series.some((s) => s.points.length > 0));

/** The charts of a section that the page has anyway. */
export function chartsOf(media: ReportMedia, topic: Topic): LineFigure[] {
  return drawable(media).filter((c) => TOPICS[topic].some((name) => sameName(name, c.group)));
}

export interface ChartGroup {
  /** Anchor of its section. */
  readonly id: Anchor;
  readonly title: string;
  readonly charts: readonly LineFigure[];
  /** Tables of the group's name. */
  readonly tables: readonly Table[];
}

/** The groups that need a section of their own, in order of appearance. */
export function chartGroups({ result, media }: SectionProps): ChartGroup[] {
  const topics = Object.values(TOPICS).flat();
  const groups: { id: Anchor; title: string; charts: LineFigure[]; tables: Table[] }[] = [];
  for (const chart of drawable(media)) {
    if (topics.some((t) => sameName(t, chart.group))) continue;
    const group = groups.find((g) => sameName(g.title, chart.group));
    if (group) group.charts.push(chart);
    else groups.push({ id: `curves-${groups.length + 1}`, title: chart.group, charts: [chart], tables: tablesNamed(result, chart.group) });
  }
  return groups;
}

function tablesNamed(result: Result, name: string): Table[] {
  return result.tables.filter((t) => t.cells.length > 0 && sameName(t.name, name));
}

/** A section for each group of charts that no other section shows. */
export function ChartGroupSections(props: SectionProps): JSX.Element {
  return (
    <>
      {chartGroups(props).map((g) => (
        <Section key={g.id} id={g.id} title={sentence(g.title)}>
          <Charts charts={g.charts} beside={g.tables} />
          {g.tables.map((t) => (
            <NumbersAndNotes key={t.name} summary={`Table: ${t.name}`} notes={t.notes} open>
              <NumbersTable table={t} caption={`${sentence(t.name)}.`} />
            </NumbersAndNotes>
          ))}
        </Section>
      ))}
    </>
  );
}

/** Charts side by side and the table of their points; without it where the tables `beside` have them all. */
export function Charts({ charts, beside = [] }: { charts: readonly LineFigure[]; beside?: readonly Table[] }): JSX.Element | null {
  if (charts.length === 0) return null;
  const points = charts.flatMap((c) => c.series).flatMap((s) => s.points);
  const known = new Set(beside.flatMap((t) => t.cells).map((c) => c.value));
  const numbers = points.some((p) => !known.has(p.y));
  return (
    <>
      <Panels>
        {charts.map((c) => (
          <ChartFigure key={c.id} chart={c} />
        ))}
      </Panels>
      <ChartKey paper={points.some((p) => p.paper !== undefined)} intervals={intervalWords(charts)} />
      {numbers && (
        <Numbers summary={charts.length === 1 ? 'Numbers of the chart' : `Numbers of the ${charts.length} charts`}>
          {charts.map((c) => (
            <NumbersTable
              key={c.id}
              table={pointsTable(c)}
              rowTitle={c.xTitle}
              caption={`${c.title}.`}
              facts={c.series.some((s) => s.points.some((p) => p.low !== undefined)) ? '95 % intervals.' : ''}
            />
          ))}
        </Numbers>
      )}
    </>
  );
}

/** Bands where some line has many points, else whiskers; nothing where there are no intervals. */
function intervalWords(charts: readonly LineFigure[]): boolean | 'bands' {
  const series = charts.flatMap((c) => c.series).filter((s) => s.points.some((p) => p.low !== undefined));
  if (series.length === 0) return false;
  return series.every((s) => s.points.length > 12) ? 'bands' : true;
}

export function ChartFigure({ chart }: { chart: LineFigure }): JSX.Element {
  const { series, stops = [], bands = [], references = [] } = chart;
  const rate = chart.yUnit === 'rate';
  return (
    <Figure title={chart.title} caption={chart.caption}>
      <LineChart
        id={`chart-${chart.id}`}
        title={chart.title}
        description={describe(chart)}
        series={series.map((s) => ({ ...s, tone: toneName(s.tone) })).filter((s) => s.points.length > 0)}
        stops={stops}
        bands={bands}
        references={references.map((r) => ({ ...r, tone: toneName(r.tone) }))}
        xTitle={chart.xTitle}
        xScale={chart.xScale}
        xFormat={xFormatOf(chart)}
        yTitle={chart.yTitle}
        yFormat={rate ? (v) => fixed(v * 100, 0) : axisNumber}
        yDomain={
          rate ? [rateFloor(chart.series.flatMap((s) => s.points.flatMap((p) => [p.y, p.low ?? p.y, p.paper ?? p.y]))), 1] : undefined
        }
      />
    </Figure>
  );
}

/** Where an axis of rates begins: at 0, or for differences below it at the next 20 %. */
export function rateFloor(rates: readonly number[]): number {
  return Math.floor(Math.min(0, ...rates) * 5) / 5;
}

/** Short numbers for an axis: no zeros behind the point that say nothing. */
function axisNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return integer(value);
  return significant(value, 2)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '');
}

function xFormatOf(chart: LineFigure): (x: number) => string {
  return chart.xUnit === 'rate' ? (v) => fixed(v * 100, 1).replace(/\.0$/, '') : axisNumber;
}

/** Where each line starts and ends, the stretches and the stops, in words. */
function describe(chart: LineFigure): string {
  const x = xFormatOf(chart);
  const y = (v: number): string => (chart.yUnit === 'rate' ? percentSign(v, 1) : axisNumber(v));
  const ends = chart.series.flatMap(({ label, points }) => {
    const [first, last] = [points.at(0), points.at(-1)];
    if (!first || !last) return [];
    return [first === last ? `${label}: ${y(last.y)}.` : `${label}: from ${y(first.y)} at ${x(first.x)} to ${y(last.y)} at ${x(last.x)}.`];
  });
  const bands = (chart.bands ?? []).map((b) => `${b.label} from ${x(b.from)} to ${x(b.to)}`);
  const stops = (chart.stops ?? []).map((s) => `${s.label} at ${x(s.x)}`);
  const references = (chart.references ?? []).map((r) => `${r.label} ${y(r.y)}`);
  const marks = [...bands, ...stops, ...references];
  return [
    `${chart.yTitle} against ${chart.xTitle}.`,
    ...ends,
    ...(marks.length > 0 ? [`Marked: ${list(marks)}.`] : []),
    'The numbers are in the table below.',
  ].join(' ');
}

/** The points of a chart as a table: a row an x, a column a line. */
export function pointsTable(chart: LineFigure): Table {
  const x = xFormatOf(chart);
  const points = chart.series.flatMap((s) => s.points.map((p) => ({ ...p, column: s.label })));
  return {
    name: chart.title,
    unit: chart.yUnit === 'rate' ? 'rate' : 'activation',
    cells: [...points]
      .sort((a, b) => a.x - b.x)
      .map(({ x: at, y, low, high, paper, column }) => ({ row: x(at), column, value: y, low, high, paper })),
  };
}

/** A chart of a table whose rows are numbers: a line a column. Undefined where a row has no number. */
export function chartOfTable(
  table: Table,
  how: Pick<LineFigure, 'id' | 'group' | 'title' | 'xTitle' | 'xScale' | 'yTitle'>,
  toneFor: (column: string, i: number) => Tone,
): LineFigure | undefined {
  if (!table.cells.every((c) => Number.isFinite(rowNumber(c.row)))) return undefined;
  const columns = [...new Set(table.cells.map((c) => c.column))];
  const log = how.xScale === 'log' && table.cells.every((c) => rowNumber(c.row) > 0);
  return {
    ...how,
    xScale: log ? 'log' : 'linear',
    yUnit: table.unit === 'rate' ? 'rate' : 'number',
    series: columns.map((column, i) => {
      const tone = toneFor(column, i);
      const cells = table.cells.filter((c) => c.column === column);
      return {
        label: column,
        tone: tone === 'quiet' ? 'neutral' : tone,
        points: cells.map(({ row, value, low, high, paper }) => ({ x: rowNumber(row), y: value, low, high, paper })),
      };
    }),
  };
}
