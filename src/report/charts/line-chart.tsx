/** Lines over a number: curves of pruning, of the poisoned fraction, of training, of strength. Bands or whiskers for intervals. */
import { scaleLinear, scaleLog } from 'd3-scale';
import { area, line } from 'd3-shape';
import type { JSX } from 'preact';
import type { Tone } from '../theme.ts';
import { Chart, type ChartText, PaperMark, type Plot, px, textWidth, XAxis, YAxis } from './frame.tsx';
import { type ChartKeyEntry, KeyAbove, KeyBelow, keyBelow, keyFitsAbove } from './line-key.tsx';
import { Marker } from './marker.tsx';
import { placeLabels } from './place-labels.ts';
import { placeStretches, StretchAreas, StretchNames } from './stretches.tsx';

export interface LinePoint {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
  readonly paper?: number;
}

export interface LineSeries {
  readonly label: string;
  readonly tone: Tone;
  readonly points: readonly LinePoint[];
  readonly dashed?: boolean;
}

export interface LineChartProps extends ChartText {
  readonly series: readonly LineSeries[];
  readonly xTitle: string;
  readonly yTitle: string;
  readonly xFormat?: (value: number) => string;
  readonly yFormat: (value: number) => string;
  readonly xTicks?: readonly number[];
  /** `log` where every x is above 0; a chart with an x of 0 stays linear. */
  readonly xScale?: 'linear' | 'log';
  /** Default: 0 (or the smallest value, if that is below) to the largest value, rounded up. */
  readonly yDomain?: readonly [number, number];
  /** Upright lines with a text: where pruning stopped. */
  readonly stops?: readonly { readonly x: number; readonly label: string }[];
  /** Stretches of the x axis with a name: phases of a curve. */
  readonly bands?: readonly { readonly from: number; readonly to: number; readonly label: string }[];
  /** Level lines with a text: what another model has. */
  readonly references?: readonly { readonly y: number; readonly label: string; readonly tone: Tone }[];
}

const WIDTH = 420;
const HEIGHT = 288;
const TALL: Plot = { left: 46, right: WIDTH - 14, top: 32, bottom: HEIGHT - 44 };
/** What a line of texts of stops above the plot needs, clear of labels just above a curve at its top. */
const STOP_ROOM = 26;
/** Base line of the texts of stops, where no names of stretches are above it. */
const STOP_TEXT = 30;
/** More points than this are a curve; fewer are points that a line joins. */
const MANY = 12;

export function LineChart(props: LineChartProps): JSX.Element {
  const { series, stops = [], references = [], xFormat = String, yFormat } = props;
  const all = series.flatMap((s) => s.points);
  const bands = (props.bands ?? []).filter((b) => b.to > b.from);
  const xs = [...all.map((p) => p.x), ...bands.flatMap((b) => [b.from, b.to])];
  const ys = [...all.flatMap((p) => [p.y, p.low ?? p.y, p.high ?? p.y, p.paper ?? p.y]), ...references.map((r) => r.y)];
  const many = series.some((s) => s.points.length > MANY);
  const padX = many ? 0 : 22;
  const xRange = [TALL.left + padX, TALL.right - padX];
  const [fromX, toX] = spread(Math.min(...xs), Math.max(...xs));
  const log = props.xScale === 'log' && fromX > 0;
  const x = log ? scaleLog([fromX, toX], xRange) : scaleLinear([fromX, toX], xRange);
  const xTicks = props.xTicks ?? (log ? (measuredTicks(xs, x, xFormat) ?? logTicks(fromX, toX)) : undefined);

  const stretches = placeStretches(
    bands.map((b) => ({ label: b.label, from: x(b.from), to: x(b.to) })),
    TALL,
  );
  const height = HEIGHT + stretches.room;
  const PLOT: Plot = {
    ...TALL,
    top: TALL.top + (stops.length > 0 ? STOP_ROOM : 0) + stretches.room,
    bottom: TALL.bottom + stretches.room,
  };
  const stopText = STOP_TEXT + stretches.room;
  const y = props.yDomain
    ? scaleLinear([...props.yDomain], [PLOT.bottom, PLOT.top]).clamp(true)
    : scaleLinear(spread(Math.min(0, ...ys), Math.max(...ys)), [PLOT.bottom, PLOT.top]).nice(5);

  const stopMarks = stops.map((s) => ({ ...s, px: x(s.x), ...stopLabel(x(s.x), s.label) }));
  const lines = [
    ...series.map((s) => ({ text: s.label, points: s.points.map((p) => ({ x: x(p.x), y: y(p.y) })) })),
    ...references.map((r) => ({ text: r.label, points: [PLOT.left, PLOT.right].map((at) => ({ x: at, y: y(r.y) })) })),
  ];
  const papers = series.map((s) => s.points.flatMap((p) => (p.paper === undefined ? [] : [{ x: x(p.x), y: y(p.paper) }])));
  const labels = placeLabels(lines, PLOT, {
    texts: [
      { text: props.yTitle, x: textWidth(props.yTitle) / 2, y: 12 },
      ...stopMarks.map((s) => ({ text: s.label, x: s.middle, y: stopText })),
      ...stretches.names,
    ],
    strokes: [
      ...stopMarks.map((s) => [stopText + 5, PLOT.bottom].map((at) => ({ x: s.px, y: at }))),
      ...(many ? [] : all.flatMap((p) => dotStrokes(x(p.x), y(p.low ?? p.y), y(p.y), y(p.high ?? p.y)))),
      ...papers.filter((points) => points.length > 1),
    ],
  });
  const tones = [...series.map((s) => s.tone), ...references.map((r) => r.tone)];
  const shaped = series.length > 2;
  const keyed: ChartKeyEntry[] = lines
    .map((l, i) => ({
      text: l.text,
      tone: tones[i],
      dashed: i >= series.length || (series[i].dashed ?? false),
      shape: shaped && i < series.length ? i : undefined,
    }))
    .filter((_, i) => !labels[i]);
  const above = keyFitsAbove(keyed, props.yTitle, TALL);
  const below = keyBelow(above ? [] : keyed, TALL, height);
  const path = line<{ x: number; y: number }>(
    (p) => p.x,
    (p) => p.y,
  ).digits(2);
  const band = area<LinePoint>()
    .x((p) => x(p.x))
    .y0((p) => y(p.low ?? p.y))
    .y1((p) => y(p.high ?? p.y))
    .digits(2);

  return (
    <Chart {...props} width={WIDTH} height={height + below.room}>
      <StretchAreas stretches={stretches} plot={PLOT} />
      <YAxis plot={PLOT} scale={y} title={props.yTitle} format={yFormat} />
      <XAxis plot={PLOT} scale={x} title={props.xTitle} format={xFormat} ticks={xTicks} />
      {y.domain()[0] < 0 && <line class="axis" x1={PLOT.left} x2={PLOT.right} y1={px(y(0))} y2={px(y(0))} />}
      {series.map((s) => (
        <g key={s.label} class={`tone-${s.tone}`}>
          {many && s.points.some((p) => p.low !== undefined) && <path class="band" d={band(s.points) ?? ''} />}
        </g>
      ))}
      {stopMarks.map((s) => (
        <line key={s.label} class="stop" x1={px(s.px)} x2={px(s.px)} y1={stopText + 5} y2={PLOT.bottom} />
      ))}
      {references.map((r) => (
        <g key={r.label} class={`tone-${r.tone}`}>
          <line class="line line-dashed" x1={PLOT.left} x2={PLOT.right} y1={px(y(r.y))} y2={px(y(r.y))} />
        </g>
      ))}
      {series.map((s, i) => (
        <g key={s.label} class={`tone-${s.tone}`}>
          <path class={s.dashed ? 'line line-dashed' : 'line'} d={path(lines[i].points) ?? ''} />
          {!many && s.points.map((p) => <Whisker key={p.x} x={x(p.x)} low={y(p.low ?? p.y)} high={y(p.high ?? p.y)} />)}
          {marked(s.points, many, shaped).map((p) => (
            <Marker key={p.x} shape={shaped ? i : 0} x={x(p.x)} y={y(p.y)} />
          ))}
          <Papers points={papers[i]} d={path(papers[i]) ?? ''} />
          {many && stops.map((stop) => <AtStop key={stop.x} points={s.points} at={stop.x} x={x} y={y} />)}
        </g>
      ))}
      {stopMarks.map((s) => (
        <text key={s.label} class="note" x={px(s.middle)} y={stopText} text-anchor="middle">
          {s.label}
        </text>
      ))}
      <StretchNames stretches={stretches} />
      {labels.map(
        (l, i) =>
          l && (
            <g key={l.text} class={`tone-${tones[i]}`}>
              <text class="label" x={px(l.x)} y={px(l.y)} text-anchor="middle">
                {l.text}
              </text>
            </g>
          ),
      )}
      {above ? <KeyAbove entries={keyed} plot={TALL} /> : <KeyBelow places={below.places} />}
    </Chart>
  );
}

/** The points that get a marker: all where they are few; of a curve a handful, and only where shapes tell curves apart. */
function marked(points: readonly LinePoint[], many: boolean, shaped: boolean): readonly LinePoint[] {
  if (!many) return points;
  const every = Math.ceil(points.length / 6);
  return shaped ? points.filter((_, i) => i % every === Math.floor(every / 2)) : [];
}

/** The paper's numbers of one line: diamonds, from two on joined by dots in the colour of the line, so that one sees whose they are. */
function Papers({ points, d }: { points: readonly { x: number; y: number }[]; d: string }): JSX.Element | null {
  const marks = points.map((p) => <PaperMark key={p.x} x={p.x} y={p.y} />);
  if (points.length < 2) return <>{marks}</>;
  return (
    <g class="paper-line">
      <path class="line" d={d} />
      {marks}
    </g>
  );
}

/** Few measured places of a logarithmic axis as its ticks, the ends first, then each that has room for its label; undefined for many places. */
function measuredTicks(xs: readonly number[], x: (value: number) => number, format: (value: number) => string): number[] | undefined {
  const places = [...new Set(xs)].sort((a, b) => a - b);
  if (places.length > MANY) return undefined;
  const kept: number[] = [];
  const clear = (a: number, b: number): boolean => Math.abs(x(a) - x(b)) > (textWidth(format(a)) + textWidth(format(b))) / 2 + 4;
  for (const place of [places[0], places[places.length - 1], ...places]) if (kept.every((k) => clear(k, place))) kept.push(place);
  return kept;
}

/** Ticks of a logarithmic axis with room for their labels: 1, 2 and 5 times powers of ten, over more than three decades the powers alone. */
export function logTicks(from: number, to: number): number[] {
  const [first, last] = [Math.floor(Math.log10(from)), Math.ceil(Math.log10(to))];
  const steps = Math.log10(to / from) > 3 ? [1] : [1, 2, 5];
  const every = Math.max(1, Math.ceil((last - first) / 8));
  const ticks: number[] = [];
  for (let power = first; power <= last; power++) {
    if ((power - first) % every === 0) ticks.push(...steps.map((s) => (power < 0 ? s / 10 ** -power : s * 10 ** power)));
  }
  const inside = ticks.filter((t) => t >= from * 0.999 && t <= to * 1.001);
  return inside.length > 1 ? inside : [from, to];
}

/** A domain that is never empty. */
function spread(from: number, to: number): [number, number] {
  return to > from ? [from, to] : [from, from + 1];
}

/** The middle of a stop's text, pushed inside the chart. */
function stopLabel(at: number, text: string): { middle: number } {
  const half = textWidth(text) / 2;
  return { middle: Math.min(Math.max(at, TALL.left + half), WIDTH - half) };
}

/** What a dot and its whisker cover. */
function dotStrokes(x: number, low: number, y: number, high: number): { x: number; y: number }[][] {
  return [
    [
      { x, y: Math.min(high, y - 6) },
      { x, y: Math.max(low, y + 6) },
    ],
    [
      { x: x - 6, y },
      { x: x + 6, y },
    ],
  ];
}

function Whisker({ x, low, high }: { x: number; low: number; high: number }): JSX.Element {
  return <path class="whisker" d={`M${px(x)},${px(low)}V${px(high)}M${px(x - 4)},${px(low)}h8M${px(x - 4)},${px(high)}h8`} />;
}

/** A ring where a curve crosses the stop. */
function AtStop(props: {
  points: readonly LinePoint[];
  at: number;
  x: (v: number) => number;
  y: (v: number) => number;
}): JSX.Element | null {
  const p = props.points.find((q) => q.x === props.at);
  return p ? <circle class="dot-hollow" cx={px(props.x(p.x))} cy={px(props.y(p.y))} r={4.5} /> : null;
}
