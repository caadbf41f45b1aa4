/** Names of lines that found no room beside their line: in a row above the plot, or in rows below the chart where that is too short. */
import type { JSX } from 'preact';
import type { Tone } from '../theme.ts';
import { type Plot, px, textWidth } from './frame.tsx';
import { Marker } from './marker.tsx';

export interface ChartKeyEntry {
  readonly text: string;
  readonly tone: Tone;
  readonly dashed: boolean;
  /** Of a {@link Marker}; none where lines are not told apart by shapes. */
  readonly shape?: number;
}

interface Place extends ChartKeyEntry {
  readonly x: number;
  readonly y: number;
}

/** The piece of line before a name, and the room between entries. */
const STROKE = 26;
const GAP = 8;
const ROW = 18;

const widthOf = (entry: ChartKeyEntry): number => textWidth(entry.text) + STROKE + GAP;

/** Whether all entries stand beside the title of the y axis. */
export function keyFitsAbove(entries: readonly ChartKeyEntry[], yTitle: string, plot: Plot): boolean {
  return entries.reduce((sum, e) => sum + widthOf(e), textWidth(yTitle)) <= plot.right;
}

export function KeyAbove({ entries, plot }: { entries: readonly ChartKeyEntry[]; plot: Plot }): JSX.Element | null {
  let at = plot.right;
  const places = [...entries].reverse().map((e): Place => {
    at -= widthOf(e);
    return { ...e, x: at, y: 12 };
  });
  return places.length === 0 ? null : <Entries places={places} />;
}

/** Where entries stand in rows below a chart of height `top`, and how much higher it becomes by that. */
export function keyBelow(entries: readonly ChartKeyEntry[], plot: Plot, top: number): { places: Place[]; room: number } {
  if (entries.length === 0) return { places: [], room: 0 };
  let x = plot.left;
  let row = 0;
  const places = entries.map((e): Place => {
    if (x > plot.left && x + widthOf(e) > plot.right + GAP) {
      x = plot.left;
      row++;
    }
    const place = { ...e, x, y: top + 12 + row * ROW };
    x += widthOf(e) + GAP;
    return place;
  });
  return { places, room: 6 + (row + 1) * ROW };
}

export function KeyBelow({ places }: { places: readonly Place[] }): JSX.Element | null {
  return places.length === 0 ? null : <Entries places={places} />;
}

function Entries({ places }: { places: readonly Place[] }): JSX.Element {
  return (
    <g>
      {places.map((e) => (
        <g key={e.text} class={`tone-${e.tone}`}>
          <line class={e.dashed ? 'line line-dashed' : 'line'} x1={px(e.x)} x2={px(e.x + STROKE - 4)} y1={e.y - 4} y2={e.y - 4} />
          {e.shape !== undefined && <Marker shape={e.shape} x={e.x + STROKE / 2 - 2} y={e.y - 4} />}
          <text class="label" x={px(e.x + STROKE)} y={e.y}>
            {e.text}
          </text>
        </g>
      ))}
    </g>
  );
}
