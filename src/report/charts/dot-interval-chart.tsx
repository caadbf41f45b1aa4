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
  /** Units of the drawing, 12 of which are the height of the text: 420 for two charts beside each other, 350 for three. */
  readonly width?: number;
  /** Names of rows above their dots instead of to the left of them: for long names. */
  readonly namesAbove?: boolean;
  /** Lanes a row has room for; charts beside each other look best with the same number. */
  readonly lanes?: number;
}

/** Room at the top, and what a key needs there. */
const TOP = 6;
const KEY = 20;
const LANE = 17;
const ROW_GAP = 12;
/** What a name above its row needs. */
const NAME = 17;

export function DotIntervalChart(props: DotIntervalProps): JSX.Element {
  const { rows, series, domain, format, valueFormat, separators = [], width = 420, namesAbove = false } = props;
  const lanes = Math.max(props.lanes ?? 0, series.length);
  const nameRoom = namesAbove ? NAME : 0;
  const rowHeight = lanes * LANE + ROW_GAP + nameRoom;
  const left = namesAbove ? 8 : Math.max(24, ...rows.map((r) => textWidth(r, 13) + 14));
  const right = width - 12;
  const x = scaleLinear([...domain], [left + 8, right - 8]).clamp(true);
  const textOf = (v: DotValue, name?: string): string => [valueFormat?.(v.value), name].filter((w) => w !== undefined).join(' ');
  // Each series is named once, at the first dot that has room for it; a series without such a dot is named in a key above.
  const namedAt = series.map((s) => s.values.findIndex((v) => v !== undefined && textPlace(v, x, left, right, textOf(v, s.label)).free));
  const keyed = series.filter((_, i) => namedAt[i] < 0);
  const top = TOP + (keyed.length > 0 ? KEY : 0);
  const plot = { left, right, top, bottom: top + rows.length * rowHeight + 4 };
  const laneY = (row: number, lane: number): number =>
    top + row * rowHeight + nameRoom + ROW_GAP / 2 + (lane + 0.5 + (lanes - series.length) / 2) * LANE + 2;

  return (
    <Chart {...props} width={width} height={plot.bottom + 44}>
      <Key series={keyed} left={left} />
      <XAxis plot={plot} scale={x} title={props.xTitle} format={format} ticks={x.ticks(width < 400 ? 4 : 6)} grid />
      {domain[0] < 0 &&
        rows.map((row, r) => {
          // beside the dots only: it would strike through the names above them
          const y = top + r * rowHeight + (namesAbove ? nameRoom + 5 : 2);
          return <line key={row} class="axis" x1={px(x(0))} x2={px(x(0))} y1={px(y)} y2={px(top + (r + 1) * rowHeight + 2)} />;
        })}
      {rows.map((row, r) => (
        <g key={row}>
          {r > 0 && (
            <line
              class={separators.includes(r) ? 'axis' : 'separator'}
              x1={0}
              x2={right}
              y1={px(top + r * rowHeight + 2)}
              y2={px(top + r * rowHeight + 2)}
            />
          )}
          {namesAbove ? (
            <text class="row-label" x={0} y={px(top + r * rowHeight + 19)} font-size={13}>
              {row}
            </text>
          ) : (
            <text class="row-label" x={px(left - 10)} y={px(top + (r + 0.5) * rowHeight + 6)} text-anchor="end" font-size={13}>
              {row}
            </text>
          )}
        </g>
      ))}
      {series.map((s, lane) => (
        <g key={s.label} class={`tone-${s.tone}`}>
          {s.values.map((v, r) => {
            if (!v) return null;
            const text = textOf(v, r === namedAt[lane] ? s.label : undefined);
            return <Dot key={rows[r]} value={v} x={x} y={laneY(r, lane)} text={text} place={textPlace(v, x, left, right, text)} />;
          })}
        </g>
      ))}
    </Chart>
  );
}

interface TextPlace {
  readonly x: number;
  readonly anchor: 'start' | 'end';
  /** Neither whisker, diamond nor axis is covered. */
  readonly free: boolean;
}

/**
 * Where the text of a dot goes: right behind its whisker or before it, beyond the paper's diamond only where that is in the way; else
 * over the longer half of the whisker.
 */
function textPlace(value: DotValue, x: (value: number) => number, left: number, right: number, text: string): TextPlace {
  const at = x(value.value);
  const paper = value.paper === undefined ? undefined : x(value.paper);
  const width = textWidth(text);
  const covers = (from: number): boolean => paper !== undefined && paper + 8 > from && paper - 8 < from + width;
  const high = Math.max(at + 5, x(value.high ?? value.value)) + 6;
  const low = Math.min(at - 5, x(value.low ?? value.value)) - 6;
  const starts = paper === undefined ? [high] : [high, Math.max(high, paper + 11)];
  const ends = paper === undefined ? [low] : [low, Math.min(low, paper - 11)];
  const start = starts.find((from) => from + width <= right && !covers(from));
  if (start !== undefined) return { x: start, anchor: 'start', free: true };
  const end = ends.find((to) => to - width >= left && !covers(to - width));
  if (end !== undefined) return { x: end, anchor: 'end', free: true };
  const rightward = right - at > at - left;
  return { x: rightward ? at + 10 : at - 10, anchor: rightward ? 'start' : 'end', free: false };
}

interface DotProps {
  readonly value: DotValue;
  readonly x: (value: number) => number;
  readonly y: number;
  readonly text: string;
  readonly place: TextPlace;
}

/** One dot with its interval, the paper's diamond and a text. */
function Dot({ value, x, y, text, place }: DotProps): JSX.Element {
  const low = x(value.low ?? value.value);
  const high = x(value.high ?? value.value);
  return (
    <g>
      {value.low !== undefined && (
        <path class="whisker" d={`M${px(low)},${px(y)}H${px(high)}M${px(low)},${px(y - 4)}v8M${px(high)},${px(y - 4)}v8`} />
      )}
      <circle class="dot" cx={px(x(value.value))} cy={px(y)} r={5} />
      {value.paper !== undefined && <PaperMark x={x(value.paper)} y={y} />}
      {text !== '' && (
        <text class="label" x={px(place.x)} y={px(y + 4)} text-anchor={place.anchor}>
          {text}
        </text>
      )}
    </g>
  );
}

/** Dots and names in a row above the plot. */
function Key({ series, left }: { series: readonly DotSeries[]; left: number }): JSX.Element {
  let at = left + 8;
  return (
    <g>
      {series.map((s) => {
        const x = at;
        at += textWidth(s.label) + 30;
        return (
          <g key={s.label} class={`tone-${s.tone}`}>
            <circle class="dot" cx={px(x)} cy={9} r={5} />
            <text class="label" x={px(x + 10)} y={13}>
              {s.label}
            </text>
          </g>
        );
      })}
    </g>
  );
}
