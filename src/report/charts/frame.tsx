/** What every chart has: an SVG with title and description, axes, and coordinates of at most two decimals. */
import type { ComponentChildren, JSX } from 'preact';

export interface ChartText {
  /** Unique on the page. */
  readonly id: string;
  readonly title: string;
  /** What a reader who does not see the chart should know. */
  readonly description: string;
}

/** Two decimals are below what a screen shows, and keep files small and golden files stable. */
export function px(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Rough width of a bold text: there is no font to measure where the page is written, so this is on the safe side. */
export function textWidth(text: string, size = 12): number {
  return text.length * size * 0.61;
}

interface ChartProps extends ChartText {
  readonly width: number;
  readonly height: number;
  readonly children: ComponentChildren;
}

export function Chart({ id, title, description, width, height, children }: ChartProps): JSX.Element {
  return (
    <svg
      class="chart"
      viewBox={`0 0 ${px(width)} ${px(height)}`}
      role="img"
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-desc`}
    >
      <title id={`${id}-title`}>{title}</title>
      <desc id={`${id}-desc`}>{description}</desc>
      {children}
    </svg>
  );
}

/** The rectangle inside the axes. */
export interface Plot {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** A scale as the axes need it; d3's linear scale is one. */
export interface AxisScale {
  (value: number): number;
  ticks(count?: number): number[];
}

export interface AxisProps {
  readonly plot: Plot;
  readonly scale: AxisScale;
  /** Written at the end of the axis, with its unit. */
  readonly title: string;
  readonly ticks?: readonly number[];
  readonly format: (value: number) => string;
}

/** Horizontal axis at the bottom, its title centred below. */
export function XAxis({ plot, scale, title, ticks = scale.ticks(6), format, grid = false }: AxisProps & { grid?: boolean }): JSX.Element {
  return (
    <g>
      {grid && ticks.map((t) => <line key={t} class="grid" x1={px(scale(t))} x2={px(scale(t))} y1={px(plot.top)} y2={px(plot.bottom)} />)}
      <line class="axis" x1={px(plot.left)} x2={px(plot.right)} y1={px(plot.bottom)} y2={px(plot.bottom)} />
      {ticks.map((t) => (
        <text key={t} x={px(scale(t))} y={px(plot.bottom + 17)} text-anchor="middle">
          {format(t)}
        </text>
      ))}
      <text class="axis-title" x={px((plot.left + plot.right) / 2)} y={px(plot.bottom + 36)} text-anchor="middle">
        {title}
      </text>
    </g>
  );
}

/** Vertical axis with grid lines, its title written level above the plot, where it needs no turned head. */
export function YAxis({ plot, scale, title, ticks = scale.ticks(5), format }: AxisProps): JSX.Element {
  return (
    <g>
      {ticks.map((t) => (
        <line key={t} class="grid" x1={px(plot.left)} x2={px(plot.right)} y1={px(scale(t))} y2={px(scale(t))} />
      ))}
      {ticks.map((t) => (
        <text key={t} x={px(plot.left - 8)} y={px(scale(t) + 4)} text-anchor="end">
          {format(t)}
        </text>
      ))}
      <text class="axis-title" x={0} y={12}>
        {title}
      </text>
    </g>
  );
}

/** A diamond: the paper's number, wherever it appears. */
export function PaperMark({ x, y, size = 5 }: { x: number; y: number; size?: number }): JSX.Element {
  return <path class="paper-mark" d={`M${px(x)},${px(y - size)}l${size},${size}l${-size},${size}l${-size},${-size}z`} />;
}
