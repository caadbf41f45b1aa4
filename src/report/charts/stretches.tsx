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
  /** Words that all names start with, written once at the left. */
  readonly common: string;
  /** Height that the names need, below {@link TOP}. */
  readonly room: number;
}

/** Where the names begin, under the title of the axis. */
const TOP = 18;
const ROW = 16;
const GAP = 8;

/**
 * Finds a place for each name over its stretch, pushed aside where neighbours are too near; in as many rows as it takes that none
 * covers another. Words that all names begin with are written once.
 */
export function placeStretches(areas: readonly Stretch[], plot: Plot): Stretches {
  if (areas.length === 0) return { areas, names: [], common: '', room: 0 };
  const common = commonWords(areas.map((a) => a.label));
  const short = areas.map((a) => ({ ...a, label: a.label.slice(common.length).trim() })).sort((a, b) => a.from - b.from);
  const [left, right] = [Math.max(plot.left - 12, common === '' ? 0 : textWidth(common) + GAP), plot.right + 12];
  const fits = (group: readonly Stretch[]): boolean => group.reduce((sum, s) => sum + textWidth(s.label) + GAP, -GAP) <= right - left;
  let rows = 1;
  while (rows < short.length && !rowsOf(short, rows).every(fits)) rows++;
  const names = rowsOf(short, rows).flatMap((group, row) => placeRow(group, left, right, TOP + ROW * (row + 1) - 4));
  return { areas: short, names: names.sort((a, b) => a.x - b.x), common, room: rows * ROW + 2 };
}

/** `used by` of `used by neither` and `used by the backdoor`; nothing where a name has no other words. */
export function commonWords(names: readonly string[]): string {
  if (names.length < 2) return '';
  const words = names.map((n) => n.split(' '));
  let count = 0;
  while (words.every((w) => w.length > count + 1 && w[count] === words[0][count])) count++;
  return words[0].slice(0, count).join(' ');
}

/** Every `rows`-th stretch in one row, so that neighbours stand below each other. */
function rowsOf(areas: readonly Stretch[], rows: number): Stretch[][] {
  return Array.from({ length: rows }, (_, r) => areas.filter((_, i) => i % rows === r));
}

/** Names of one row, each as near to the middle of its stretch as the others allow: first pushed right, then back from the edge. */
function placeRow(group: readonly Stretch[], left: number, right: number, y: number): PlacedLabel[] {
  const halves = group.map((s) => textWidth(s.label) / 2);
  const middles = group.map((s, i) => Math.max((s.from + s.to) / 2, left + halves[i]));
  for (let i = 1; i < middles.length; i++) middles[i] = Math.max(middles[i], middles[i - 1] + halves[i - 1] + halves[i] + GAP);
  let edge = right;
  for (let i = middles.length - 1; i >= 0; i--) {
    middles[i] = Math.min(middles[i], edge - halves[i]);
    edge = middles[i] - halves[i] - GAP;
  }
  return group.map((s, i) => ({ text: s.label, x: middles[i], y }));
}

/** Every other stretch is shaded up to its name, and a line stands where one ends. */
export function StretchAreas({ stretches, plot }: { stretches: Stretches; plot: Plot }): JSX.Element | null {
  if (stretches.areas.length === 0) return null;
  return (
    <g>
      {stretches.areas.map((s, i) => (
        <g key={s.from}>
          {i % 2 === 1 && <rect class="stretch" x={px(s.from)} y={TOP} width={px(s.to - s.from)} height={px(plot.bottom - TOP)} />}
          {s.from > plot.left + 1 && <line class="stretch-edge" x1={px(s.from)} x2={px(s.from)} y1={TOP} y2={px(plot.bottom)} />}
        </g>
      ))}
    </g>
  );
}

export function StretchNames({ stretches }: { stretches: Stretches }): JSX.Element | null {
  if (stretches.names.length === 0) return null;
  return (
    <g>
      {stretches.common !== '' && (
        <text class="stretch-name" x={0} y={TOP + ROW - 4}>
          {stretches.common}
        </text>
      )}
      {stretches.names.map((n) => (
        <text key={n.x} class="stretch-name" x={px(n.x)} y={px(n.y)} text-anchor="middle">
          {n.text}
        </text>
      ))}
    </g>
  );
}
