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

function boxAt(text: string, x: number, y: number): Box {
  const half = textWidth(text, SIZE) / 2;
  return { left: x - half, right: x + half, top: y - SIZE * 0.8, bottom: y + SIZE * 0.25 };
}

/** Distance from a box to the nearest of the points, 0 inside. This is where the time goes, so it is a plain loop. */
function nearest(box: Box, points: readonly Point[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (const p of points) {
    const dx = p.x < box.left ? box.left - p.x : p.x > box.right ? p.x - box.right : 0;
    const dy = p.y < box.top ? box.top - p.y : p.y > box.bottom ? p.y - box.bottom : 0;
    const d = dx * dx + dy * dy;
    if (d < least) {
      if (d === 0) return 0;
      least = d;
    }
  }
  return Math.sqrt(least);
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

/** What labels must not cover, beside the lines. */
export interface Obstacles {
  /** Texts, `x` their middle. */
  readonly texts?: readonly PlacedLabel[];
  readonly strokes?: readonly (readonly Point[])[];
}

/** Of the points along a line every so many-th is tried as the place of its label. */
const STRIDE = 3;
/** Nearer than this a label touches. */
const CLEAR = 3;
/** More room than this to the other lines is no better. */
const ROOMY = 40;
/** How much nearer a label must be to its own line than to any other for a reader to tell whose it is. */
const TELLING = 1;

/**
 * For each line the place beside it where its label is clearly nearer to it than to any other line and covers nothing. A label that
 * finds no such place inside the plot is left out of the result (undefined): the caller shows a key for it.
 */
export function placeLabels(
  lines: readonly { readonly text: string; readonly points: readonly Point[] }[],
  plot: Plot,
  obstacles: Obstacles = {},
): (PlacedLabel | undefined)[] {
  const dense = lines.map((line) => densify(line.points));
  const strokes = (obstacles.strokes ?? []).flatMap((s) => densify(s));
  const taken: Box[] = (obstacles.texts ?? []).map((o) => boxAt(o.text, o.x, o.y));
  return lines.map((line, own) => {
    const half = textWidth(line.text, SIZE) / 2;
    const others = dense.filter((_, i) => i !== own).flat();
    let best: PlacedLabel | undefined;
    let bestScore = TELLING;
    for (let i = 0; i < dense[own].length; i += STRIDE) {
      const at = dense[own][i];
      const places = [
        ...[-9, -17, -26, 18, 26, 35].map((dy) => ({ x: at.x, y: at.y + dy })),
        ...[-1, 1].flatMap((side) => [9, 18].map((gap) => ({ x: at.x + side * (half + gap), y: at.y + 4 }))),
      ];
      for (const place of places) {
        const x = Math.min(Math.max(place.x, plot.left + half + 2), plot.right - half - 2);
        const box = boxAt(line.text, x, place.y);
        if (box.top < plot.top - 22 || box.bottom > plot.bottom - 1 || taken.some((t) => overlap(t, box))) continue;
        const toOwn = nearest(box, dense[own]);
        if (toOwn < CLEAR) continue;
        const toOthers = Math.min(ROOMY, nearest(box, others));
        if (toOthers < CLEAR || nearest(box, strokes) < CLEAR) continue;
        const score = toOthers - 1.15 * toOwn + (x > plot.left + half + 8 && x < plot.right - half - 8 ? 1 : 0);
        if (score > bestScore) {
          bestScore = score;
          best = { text: line.text, x, y: place.y };
        }
      }
    }
    if (best) taken.push(boxAt(line.text, best.x, best.y));
    return best;
  });
}
