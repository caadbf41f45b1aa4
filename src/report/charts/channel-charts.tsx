/** Channels of a layer, clean against triggered: a scatter, and dumbbells in the order in which pruning cuts them. */
import { scaleLinear } from 'd3-scale';
import type { JSX } from 'preact';
import { Chart, type ChartText, type Plot, px, XAxis, YAxis } from './frame.tsx';

export interface ChannelPoint {
  readonly channel: number;
  readonly clean: number;
  readonly triggered: number;
  readonly backdoor: boolean;
  readonly dormant: boolean;
}

export interface ChannelChartProps extends ChartText {
  readonly channels: readonly ChannelPoint[];
}

const WIDTH = 420;

/** One dot a channel; what fires only with the trigger lies far above the diagonal at the left edge. */
export function ChannelScatter(props: ChannelChartProps): JSX.Element {
  const { channels } = props;
  const height = 380;
  const plot: Plot = { left: 46, right: WIDTH - 14, top: 30, bottom: height - 44 };
  const [low, high] = extent(channels);
  const x = scaleLinear([low, high], [plot.left + 8, plot.right - 8]).nice(5);
  const y = scaleLinear([low, high], [plot.bottom - 8, plot.top + 8]).nice(5);
  const [from, to] = x.domain();
  const plain = channels.filter((c) => !c.backdoor);
  const marked = channels.filter((c) => c.backdoor);
  return (
    <Chart {...props} width={WIDTH} height={height}>
      <YAxis plot={plot} scale={y} title="mean activation, triggered inputs" format={y.tickFormat(5)} />
      <XAxis plot={plot} scale={x} title="mean activation, clean inputs" format={x.tickFormat(5)} ticks={x.ticks(5)} />
      <line class="diagonal" x1={px(x(from))} y1={px(y(from))} x2={px(x(to))} y2={px(y(to))} />
      <text x={px(x(to) - 4)} y={px(y(to) - 6)} text-anchor="end">
        same on both
      </text>
      {plain.map((c) => (
        <g key={c.channel} class={c.dormant ? 'tone-quiet' : 'tone-clean'}>
          <circle class={c.dormant ? 'dot-hollow' : 'dot'} cx={px(x(c.clean))} cy={px(y(c.triggered))} r={4.5} />
        </g>
      ))}
      {marked.map((c) => (
        <g key={c.channel} class="tone-triggered">
          <circle class="dot" cx={px(x(c.clean))} cy={px(y(c.triggered))} r={6} />
        </g>
      ))}
      {spaced(named(marked), (c) => y(c.triggered), plot.bottom).map(({ channel, at }) => (
        <g key={channel.channel} class="tone-triggered">
          <text class="label" x={px(x(channel.clean) + 10)} y={px(at + 4)}>
            {channel.channel}
          </text>
        </g>
      ))}
    </Chart>
  );
}

/** More numbers than these would cover each other; all are in the chart beside. */
const NAMED = 8;
/** Pixels that a label may be pushed away from its dot. */
const PUSHED = 26;

/** The channels that rise most with the trigger. */
function named(channels: readonly ChannelPoint[]): ChannelPoint[] {
  const rise = (c: ChannelPoint): number => c.triggered - c.clean;
  return [...channels].sort((a, b) => rise(b) - rise(a)).slice(0, NAMED);
}

/** Labels pushed down until none covers the one above; one that would end far from its dot, or below the chart, is left out. */
function spaced(
  channels: readonly ChannelPoint[],
  y: (c: ChannelPoint) => number,
  bottom: number,
): { channel: ChannelPoint; at: number }[] {
  let last = Number.NEGATIVE_INFINITY;
  return [...channels]
    .sort((a, b) => y(a) - y(b))
    .flatMap((channel) => {
      const at = Math.max(y(channel), last + 13);
      if (at - y(channel) > PUSHED || at > bottom - 4) return [];
      last = at;
      return [{ channel, at }];
    });
}

/** Most channels that are drawn as rows; of a wider layer those that change most. */
export const MAX_ROWS = 48;

/** The channels that {@link ChannelDumbbells} draws, in order of clean activation: the order of pruning. */
export function dumbbellRows(channels: readonly ChannelPoint[]): ChannelPoint[] {
  const gap = (c: ChannelPoint): number => Math.abs(c.triggered - c.clean);
  const kept = channels.length <= MAX_ROWS ? [...channels] : [...channels].sort((a, b) => gap(b) - gap(a)).slice(0, MAX_ROWS);
  return kept.sort((a, b) => a.clean - b.clean || a.channel - b.channel);
}

/** A row a channel: clean dot, triggered dot, a line between; the quietest on clean data on top. */
export function ChannelDumbbells(props: ChannelChartProps): JSX.Element {
  const rows = dumbbellRows(props.channels);
  const step = rows.length > 36 ? 11 : 14;
  const size = rows.length > 36 ? 10 : 11;
  const plot: Plot = { left: 92, right: WIDTH - 14, top: 24, bottom: 24 + rows.length * step + 4 };
  const [low, high] = extent(rows);
  const x = scaleLinear([low, high], [plot.left + 6, plot.right - 6]).nice(5);
  const rowY = (i: number): number => plot.top + (i + 0.5) * step + 2;
  return (
    <Chart {...props} width={WIDTH} height={plot.bottom + 44}>
      <text class="axis-title" x={0} y={12}>
        channel, in pruning order (first cut on top)
      </text>
      <XAxis plot={plot} scale={x} title="mean activation" format={x.tickFormat(5)} ticks={x.ticks(5)} grid />
      {rows.map((c, i) => (
        <g key={c.channel}>
          <text
            class={c.backdoor ? 'label' : 'row-label'}
            style={c.backdoor ? 'fill:var(--triggered-ink)' : undefined}
            x={plot.left - 8}
            y={px(rowY(i) + 4)}
            text-anchor="end"
            font-size={size}
          >
            {c.backdoor ? `backdoor ${c.channel}` : c.dormant ? `dormant ${c.channel}` : c.channel}
          </text>
          <line
            class={c.backdoor ? 'whisker tone-triggered' : 'whisker tone-quiet'}
            stroke-opacity={c.backdoor ? 1 : 0.6}
            x1={px(x(c.clean))}
            x2={px(x(c.triggered))}
            y1={px(rowY(i))}
            y2={px(rowY(i))}
          />
          <circle class="dot tone-triggered" cx={px(x(c.triggered))} cy={px(rowY(i))} r={4.5} />
          <circle class="dot tone-clean" cx={px(x(c.clean))} cy={px(rowY(i))} r={4.5} />
        </g>
      ))}
    </Chart>
  );
}

function extent(channels: readonly ChannelPoint[]): [number, number] {
  const values = channels.flatMap((c) => [c.clean, c.triggered]);
  const [low, high] = [Math.min(0, ...values), Math.max(...values)];
  return high > low ? [low, high] : [low, low + 1];
}
