/** Dots with intervals on a level scale, one row a case, one lane a metric: tables of defences, errors per class. */
import { scaleLinear } from 'd3-scale';
import type { JSX } from 'preact';
import type { Tone } from '../theme.ts';
import { Chart, type ChartText, PaperMark, px, textWidth, XAxis } from './frame.tsx';

export interface DotValue {
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
  readonly paper?: number;
}

export interface DotSeries {
  readonly label: string;
  readonly tone: Tone;
  /** One entry a row; undefined where nothing was measured. */
  readonly values: readonly (DotValue | undefined)[];
}

export interface DotIntervalProps extends ChartText {
  readonly rows: readonly string[];
  readonly series: readonly DotSeries[];
  readonly xTitle: string;
  readonly domain: readonly [number, number];
  /** Labels of the axis. */
  readonly format: (value: number) => string;
  /** Labels of the dots; none where it is missing. */
  readonly valueFormat?: (value: number) => string;
  /** Rows above which a line is drawn: an average below the classes. */
  readonly separators?: readonly number[];
  /** Units of the drawing, 12 of which are the height of the text: 480 for two charts beside each other, 350 for three. */
  readonly width?: number;
  /** Lanes a row has room for; charts beside each other look best with the same number. */
  readonly lanes?: number;
}

const TOP = 6;
const LANE = 17;
const ROW_GAP = 12;

export function DotIntervalChart(props: DotIntervalProps): JSX.Element {
  const { rows, series, domain, format, valueFormat, separators = [], width = 480 } = props;
  const lanes = Math.max(props.lanes ?? 0, series.length);
  const rowHeight = lanes * LANE + ROW_GAP;
  const left = Math.max(24, ...rows.map((r) => textWidth(r, 13) + 14));
  const plot = { left, right: width - 12, top: TOP, bottom: TOP + rows.length * rowHeight + 4 };
  const x = scaleLinear([...domain], [plot.left + 8, plot.right - 8]);
  const laneY = (row: number, lane: number): number =>
    TOP + row * rowHeight + ROW_GAP / 2 + (lane + 0.5 + (lanes - series.length) / 2) * LANE + 2;

  return (
    <Chart {...props} width={width} height={plot.bottom + 44}>
      <XAxis plot={plot} scale={x} title={props.xTitle} format={format} ticks={x.ticks(width < 400 ? 4 : 6)} grid />
      {rows.map((row, r) => (
        <g key={row}>
          {r > 0 && (
            <line
              class={separators.includes(r) ? 'axis' : 'separator'}
              x1={0}
              x2={width - 12}
              y1={px(TOP + r * rowHeight + 2)}
              y2={px(TOP + r * rowHeight + 2)}
            />
          )}
          <text class="row-label" x={px(plot.left - 10)} y={px(TOP + (r + 0.5) * rowHeight + 6)} text-anchor="end" font-size={13}>
            {row}
          </text>
        </g>
      ))}
      {series.map((s, lane) => {
        const first = s.values.findIndex((v) => v !== undefined);
        return (
          <g key={s.label} class={`tone-${s.tone}`}>
            {s.values.map((v, r) => {
              if (!v) return null;
              const words = [valueFormat?.(v.value), r === first ? s.label : undefined].filter((w) => w !== undefined).join(' ');
              return <Dot key={rows[r]} value={v} x={x} y={laneY(r, lane)} right={plot.right} text={words} />;
            })}
          </g>
        );
      })}
    </Chart>
  );
}

interface DotProps {
  readonly value: DotValue;
  readonly x: (value: number) => number;
  readonly y: number;
  readonly right: number;
  readonly text: string;
}

/** One dot with its interval, the paper's diamond and a text on the side that has room. */
function Dot({ value, x, y, right, text }: DotProps): JSX.Element {
  const at = x(value.value);
  const low = x(value.low ?? value.value);
  const high = x(value.high ?? value.value);
  const marks = value.paper === undefined ? [] : [x(value.paper)];
  const end = Math.max(at + 5, high, ...marks.map((m) => m + 5)) + 6;
  const start = Math.min(at - 5, low, ...marks.map((m) => m - 5)) - 6;
  const fits = end + textWidth(text) <= right;
  return (
    <g>
      {value.low !== undefined && (
        <path class="whisker" d={`M${px(low)},${px(y)}H${px(high)}M${px(low)},${px(y - 4)}v8M${px(high)},${px(y - 4)}v8`} />
      )}
      <circle class="dot" cx={px(at)} cy={px(y)} r={5} />
      {marks.map((m) => (
        <PaperMark key={m} x={m} y={y} />
      ))}
      {text !== '' && (
        <text class="label" x={px(fits ? end : start)} y={px(y + 4)} text-anchor={fits ? 'start' : 'end'}>
          {text}
        </text>
      )}
    </g>
  );
}
