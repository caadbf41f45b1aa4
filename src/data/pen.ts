/** Draws smooth pen strokes with antialiasing on a small grey canvas. Only + - * / and square roots: the same bits on every machine. */

/** Ink on a canvas of `height` x `width`, 0..1 a pixel, row-major. */
export interface Canvas {
  readonly width: number;
  readonly height: number;
  readonly ink: Float32Array;
}

/** A point of a stroke: position in pixels, half the pen's width in pixels, ink 0..1. */
export interface PenPoint {
  x: number;
  y: number;
  radius: number;
  ink: number;
}

/** Points on a Catmull-Rom curve (uniform), `steps` for each piece between two points; doubled points make corners. */
export function smooth(points: Float64Array, steps: number): Float64Array {
  const n = points.length / 2;
  const out = new Float64Array(((n - 1) * steps + 1) * 2);
  for (let piece = 0; piece < n - 1; piece++) {
    const [i0, i1, i2, i3] = [Math.max(piece - 1, 0) * 2, piece * 2, (piece + 1) * 2, Math.min(piece + 2, n - 1) * 2];
    for (let step = 0; step < steps; step++) {
      const t = step / steps;
      const a = ((2 - t) * t - 1) * t * 0.5;
      const b = ((3 * t - 5) * t * t + 2) * 0.5;
      const c = ((4 - 3 * t) * t + 1) * t * 0.5;
      const d = (t - 1) * t * t * 0.5;
      const at = (piece * steps + step) * 2;
      out[at] = a * points[i0] + b * points[i1] + c * points[i2] + d * points[i3];
      out[at + 1] = a * points[i0 + 1] + b * points[i1 + 1] + c * points[i2 + 1] + d * points[i3 + 1];
    }
  }
  out[out.length - 2] = points[points.length - 2];
  out[out.length - 1] = points[points.length - 1];
  return out;
}

/**
 * One piece of a stroke: a straight line with round ends whose width and ink go evenly from `from` to `to`. Edges fade over about `soft`
 * pixels. Ink does not add up where strokes cross: the darkest counts.
 */
export function drawPiece(canvas: Canvas, from: PenPoint, to: PenPoint, soft: number): void {
  const reach = Math.max(from.radius, to.radius) + soft;
  const x0 = Math.max(0, Math.floor(Math.min(from.x, to.x) - reach));
  const x1 = Math.min(canvas.width - 1, Math.ceil(Math.max(from.x, to.x) + reach));
  const y0 = Math.max(0, Math.floor(Math.min(from.y, to.y) - reach));
  const y1 = Math.min(canvas.height - 1, Math.ceil(Math.max(from.y, to.y) + reach));
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const scale = dx * dx + dy * dy > 0 ? 1 / (dx * dx + dy * dy) : 0;
  for (let y = y0; y <= y1; y++) {
    for (let x = x0; x <= x1; x++) {
      const px = x - from.x;
      const py = y - from.y;
      const along = Math.min(1, Math.max(0, (px * dx + py * dy) * scale));
      const ex = px - along * dx;
      const ey = py - along * dy;
      const radius = from.radius + along * (to.radius - from.radius);
      const cover = (radius - Math.sqrt(ex * ex + ey * ey)) / soft + 0.5;
      if (cover <= 0) continue;
      const ink = Math.min(1, cover) * (from.ink + along * (to.ink - from.ink));
      const at = y * canvas.width + x;
      if (ink > canvas.ink[at]) canvas.ink[at] = ink;
    }
  }
}

/** A whole stroke. */
export function drawStroke(canvas: Canvas, points: readonly PenPoint[], soft: number): void {
  for (let i = 0; i + 1 < points.length; i++) drawPiece(canvas, points[i], points[i + 1], soft);
}
