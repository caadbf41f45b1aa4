/** Stretches of a level axis with names over them: the phases of a pruning curve. */
import type { JSX } from 'preact';
import { type Plot, px, textWidth } from './frame.tsx';
import type { PlacedLabel } from './place-labels.ts';

interface Stretch {
  readonly label: string;
  /** In units of the drawing. */
  readonly from: number;
  readonly to: number;
}

export interface Stretches {
  readonly areas: readonly Stretch[];
  /** The names in their order, `x` the middle. */
  readonly names: readonly PlacedLabel[];
  /** Height that the names need above the plot. */
  readonly room: number;
}

const ROW = 16;
const GAP = 8;

/**
 * Finds a place for each name over its stretch, pushed aside where neighbours are too near; in as many rows as it takes that none
 * covers another.
 * @param above base line of the text over which nothing may be written
 */
export function placeStretches(areas: readonly Stretch[], plot: Plot, above: number): Stretches {
  if (areas.length === 0) return { areas, names: [], room: 0 };
  const sorted = [...areas].sort((a, b) => a.from - b.from);
  const fits = (group: readonly Stretch[]): boolean =>
    group.reduce((sum, s) => sum + textWidth(s.label) + GAP, -GAP) <= plot.right - plot.left + 12;
  let rows = 1;
  while (rows < sorted.length && !rowsOf(sorted, rows).every(fits)) rows++;
  const names = rowsOf(sorted, rows).flatMap((group, row) => placeRow(group, plot, above + ROW * (row + 1) + 2));
  return { areas: sorted, names: names.sort((a, b) => a.x - b.x), room: rows * ROW + 4 };
}

/** Every `rows`-th stretch in one row, so that neighbours stand below each other. */
function rowsOf(areas: readonly Stretch[], rows: number): Stretch[][] {
  return Array.from({ length: rows }, (_, r) => areas.filter((_, i) => i % rows === r));
}

/** Names of one row, each as near to the middle of its stretch as the others allow: first pushed right, then back from the edge. */
function placeRow(group: readonly Stretch[], plot: Plot, y: number): PlacedLabel[] {
  const halves = group.map((s) => textWidth(s.label) / 2);
  const middles = group.map((s, i) => Math.max((s.from + s.to) / 2, plot.left - 12 + halves[i]));
  for (let i = 1; i < middles.length; i++) middles[i] = Math.max(middles[i], middles[i - 1] + halves[i - 1] + halves[i] + GAP);
  let edge = plot.right + 12;
  for (let i = middles.length - 1; i >= 0; i--) {
    middles[i] = Math.min(middles[i], edge - halves[i]);
    edge = middles[i] - halves[i] - GAP;
  }
  return group.map((s, i) => ({ text: s.label, x: middles[i], y }));
}

/** Every other stretch is shaded, and a line stands where one ends. */
export function StretchAreas({ stretches, plot }: { stretches: Stretches; plot: Plot }): JSX.Element | null {
  if (stretches.areas.length === 0) return null;
  return (
    <g>
      {stretches.areas.map((s, i) => (
        <g key={s.label}>
          {i % 2 === 1 && (
            <rect class="stretch" x={px(s.from)} y={px(plot.top)} width={px(s.to - s.from)} height={px(plot.bottom - plot.top)} />
          )}
          {s.from > plot.left + 1 && <line class="stretch-edge" x1={px(s.from)} x2={px(s.from)} y1={px(plot.top)} y2={px(plot.bottom)} />}
        </g>
      ))}
    </g>
  );
}

export function StretchNames({ stretches }: { stretches: Stretches }): JSX.Element | null {
  if (stretches.names.length === 0) return null;
  return (
    <g>
      {stretches.names.map((n) => (
        <text key={n.text} class="stretch-name" x={px(n.x)} y={px(n.y)} text-anchor="middle">
          {n.text}
        </text>
      ))}
    </g>
  );
}
