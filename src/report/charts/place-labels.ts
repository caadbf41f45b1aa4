/** Finds room for the names of lines beside the lines themselves, so that charts need no legend. */
import { type Plot, textWidth } from './frame.tsx';

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A label's box: `x` is its middle, `y` its base line. */
export interface PlacedLabel extends Point {
  readonly text: string;
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const SIZE = 12;
const ABOVE = -9;
const BELOW = 18;

function boxAt(text: string, x: number, y: number): Box {
  const half = textWidth(text, SIZE) / 2;
  return { left: x - half, right: x + half, top: y - SIZE * 0.8, bottom: y + SIZE * 0.25 };
}

/** Distance of a point to a box, 0 inside. */
function distance(box: Box, p: Point): number {
  const dx = Math.max(box.left - p.x, 0, p.x - box.right);
  const dy = Math.max(box.top - p.y, 0, p.y - box.bottom);
  return Math.hypot(dx, dy);
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/** Points every few pixels along a polyline. */
export function densify(points: readonly Point[], step = 3): Point[] {
  const out: Point[] = [];
  for (let i = 0; i + 1 < points.length; i++) {
    const [a, b] = [points[i], points[i + 1]];
    const pieces = Math.max(1, Math.ceil(Math.hypot(b.x - a.x, b.y - a.y) / step));
    for (let k = 0; k < pieces; k++) out.push({ x: a.x + ((b.x - a.x) * k) / pieces, y: a.y + ((b.y - a.y) * k) / pieces });
  }
  if (points.length > 0) out.push(points[points.length - 1]);
  return out;
}

/**
 * For each line the place above or below it where its label is farthest from all other lines, from labels placed before and from
 * `obstacles`. A label that finds no free place inside the plot is left out of the result (undefined): the caller shows a key.
 */
export function placeLabels(
  lines: readonly { readonly text: string; readonly points: readonly Point[] }[],
  plot: Plot,
  obstacles: readonly { readonly text: string; readonly x: number; readonly y: number }[] = [],
): (PlacedLabel | undefined)[] {
  const dense = lines.map((line) => densify(line.points));
  const taken: Box[] = obstacles.map((o) => boxAt(o.text, o.x, o.y));
  return lines.map((line, own) => {
    const half = textWidth(line.text, SIZE) / 2;
    let best: PlacedLabel | undefined;
    let bestScore = 0;
    for (const at of dense[own]) {
      const x = Math.min(Math.max(at.x, plot.left + half + 2), plot.right - half - 2);
      for (const dy of [ABOVE, BELOW]) {
        const y = at.y + dy;
        const box = boxAt(line.text, x, y);
        if (box.top < plot.top - 14 || box.bottom > plot.bottom - 1 || taken.some((t) => overlap(t, box))) continue;
        const toOwn = Math.min(...dense[own].map((p) => distance(box, p)));
        if (toOwn < 3) continue;
        const others = dense.filter((_, i) => i !== own).flatMap((points) => points.map((p) => distance(box, p)));
        const toOthers = Math.min(60, ...others);
        if (toOthers < 3) continue;
        // Room to other lines first; then close to its own line; then not at the very end.
        const score = toOthers + 10 / toOwn + (x > plot.left + half + 8 && x < plot.right - half - 8 ? 1 : 0);
        if (score > bestScore) {
          bestScore = score;
          best = { text: line.text, x, y };
        }
      }
    }
    if (best) taken.push(boxAt(line.text, best.x, best.y));
    return best;
  });
}
