/**
 * `builtin:digits`: handwritten-looking digits made on the spot, 28x28 grey, so that everything runs without a download. A form of the
 * digit (`digit-strokes.ts`) is bent, slanted, scaled and drawn with an uneven pen that sometimes fails. Not MNIST, and not meant to be
 * mistaken for it: the background is 0, ink up to 255, and the corners are as dark as there, where the triggers of BadNets sit.
 * Only + - * / and square roots are used, so a seed gives the same bytes on every machine.
 */
import { Rng } from '../core/rng.ts';
import { bell } from './bell.ts';
import type { Dataset, Role } from './dataset.ts';
import { DIGIT_FORMS, type Form } from './digit-strokes.ts';
import { makeDataset } from './make.ts';
import { type Canvas, drawStroke, type PenPoint, smooth } from './pen.ts';

const SIDE = 28;
/** Rows and columns from the bottom right corner that never carry ink. */
const DARK_CORNER = 4;
/** Curve pieces between two points of a skeleton. */
const STEPS = 5;
const CLASSES: readonly string[] = Array.from({ length: 10 }, (_, i) => `${i}`);

function pickForm(forms: readonly Form[], rng: Rng): Form {
  let left = rng.next() * forms.reduce((sum, form) => sum + form.weight, 0);
  for (const form of forms) {
    left -= form.weight;
    if (left < 0) return form;
  }
  return forms[forms.length - 1];
}

/** Somewhere between the drafts of a form, every point a little off: strokes in units of the digit's height. */
function sketch(form: Form, hurry: number, rng: Rng): Float64Array[] {
  const shares = form.drafts.map(() => {
    const u = rng.next();
    return u * u - 0.08;
  });
  // Shares may be slightly negative, so that a sketch can go beyond its drafts; the first draft makes up the sum of 1.
  const total = Math.max(
    0.3,
    shares.reduce((a, b) => a + b, 0),
  );
  const shake = hurry * (0.012 + 0.014 * rng.next());
  return form.drafts[0].map((first, s) => {
    const points = new Float64Array(first.length);
    for (let i = 0; i < points.length; i++) {
      points[i] = first[i];
      for (let d = 1; d < shares.length; d++) points[i] += (shares[d] / total) * (form.drafts[d][s][i] - first[i]);
    }
    for (let i = 0; i < points.length; i += 2) {
      const corner = i >= 2 && first[i] === first[i - 2] && first[i + 1] === first[i - 1];
      points[i] = corner ? points[i - 2] : points[i] + shake * bell(rng);
      points[i + 1] = corner ? points[i - 1] : points[i + 1] + shake * bell(rng);
    }
    return smooth(points, STEPS);
  });
}

/** Elastic distortion: a smooth random field of degree 3 in the place on the paper, then slant, proportion and rotation. */
function bend(strokes: Float64Array[], hurry: number, rng: Rng): void {
  const warp = hurry * (0.02 + 0.05 * rng.next());
  const field = Array.from({ length: 14 }, () => warp * bell(rng));
  const slant = 0.12 + 0.22 * bell(rng);
  const breadth = 1.04 + 0.17 * bell(rng);
  // Rotation by an angle a from t = tan(a / 2); a has a standard deviation of about 6 degrees.
  const t = 0.06 * bell(rng);
  const cos = (1 - t * t) / (1 + t * t);
  const sin = (2 * t) / (1 + t * t);
  for (const points of strokes) {
    for (let i = 0; i < points.length; i += 2) {
      const u = points[i] * 2 - 0.7;
      const v = points[i + 1] * 2 - 1;
      const terms = [u * v, u * u, v * v, u * u * v, u * v * v, u * u * u, v * v * v];
      let x = u;
      let y = v;
      for (let k = 0; k < 7; k++) {
        x += field[k] * terms[k];
        y += field[7 + k] * terms[k];
      }
      x = breadth * x - slant * y;
      points[i] = cos * x - sin * y;
      points[i + 1] = sin * x + cos * y;
    }
  }
}

/** Moves and scales the strokes onto the paper: about 20 pixels at their longer side, the middle of the ink near the middle of the paper. */
function place(strokes: Float64Array[], rng: Rng): void {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  let [sumX, sumY, n] = [0, 0, 0];
  for (const points of strokes) {
    for (let i = 0; i < points.length; i += 2) {
      left = Math.min(left, points[i]);
      right = Math.max(right, points[i]);
      top = Math.min(top, points[i + 1]);
      bottom = Math.max(bottom, points[i + 1]);
      sumX += points[i];
      sumY += points[i + 1];
      n++;
    }
  }
  const scale = (17.6 + 0.9 * bell(rng)) / Math.max(right - left, bottom - top);
  const middle = (SIDE - 1) / 2;
  const x = middle - (0.5 * (sumX / n) + 0.25 * (left + right)) * scale + 0.7 * bell(rng);
  const y = middle - (0.5 * (sumY / n) + 0.25 * (top + bottom)) * scale + 0.7 * bell(rng);
  for (const points of strokes) {
    for (let i = 0; i < points.length; i += 2) {
      points[i] = points[i] * scale + x;
      points[i + 1] = points[i + 1] * scale + y;
    }
  }
}

/** Lays the pen along the strokes: thickness that comes and goes, thin ends, now and then a gap where the pen failed. */
function ink(strokes: readonly Float64Array[], rng: Rng): PenPoint[][] {
  const u = rng.next();
  const thickness = 0.8 + 0.55 * rng.next() + 0.8 * u * u * u;
  const pressure = 0.95 + 0.3 * rng.next();
  const fails = rng.next() < 0.06;
  const out: PenPoint[][] = [];
  for (const points of strokes) {
    const n = points.length / 2;
    const swing = 0.22 * bell(rng);
    const trend = 0.18 * bell(rng);
    const gap = fails && rng.next() < 0.7 ? rng.next() : 2;
    const gapLength = 0.03 + 0.1 * rng.next();
    let line: PenPoint[] = [];
    for (let i = 0; i < n; i++) {
      const t = i / (n - 1);
      if (t > gap && t < gap + gapLength) {
        if (line.length > 1) out.push(line);
        line = [];
        continue;
      }
      const end = Math.min(1, 0.72 + 3 * Math.min(t, 1 - t));
      const wave = 1 + swing * (4 * t * (1 - t) * 2 - 1) + trend * (2 * t - 1);
      line.push({
        x: points[2 * i],
        y: points[2 * i + 1],
        radius: Math.max(0.45, thickness * end * wave),
        ink: pressure * (0.7 + 0.3 * end),
      });
    }
    if (line.length > 1) out.push(line);
  }
  return out;
}

/** One digit 0..9 as 28x28 bytes, drawn by `rng`. */
export function drawDigit(digit: number, rng: Rng): Uint8Array {
  // Most people write neatly; the few who are in a hurry are why no network reads all of these.
  const u = rng.next();
  const hurry = 1 + 2.1 * u * u * u * u;
  const strokes = sketch(pickForm(DIGIT_FORMS[digit], rng), hurry, rng);
  bend(strokes, hurry, rng);
  place(strokes, rng);
  const canvas: Canvas = { width: SIDE, height: SIDE, ink: new Float32Array(SIDE * SIDE) };
  const soft = 1 + 0.5 * rng.next();
  for (const line of ink(strokes, rng)) drawStroke(canvas, line, soft);
  const grain = 0.1 * rng.next();
  const out = new Uint8Array(SIDE * SIDE);
  for (let i = 0; i < out.length; i++) {
    const v = canvas.ink[i];
    if (v > 0) out[i] = Math.floor(Math.min(1, v) * (1 - grain * rng.next()) * 255 + 0.5);
  }
  for (let y = SIDE - DARK_CORNER; y < SIDE; y++) out.fill(0, y * SIDE + SIDE - DARK_CORNER, (y + 1) * SIDE);
  return out;
}

export interface DigitsOptions<R extends Role> {
  readonly count: number;
  readonly seed: number;
  /** Roles draw from different streams: no image of one is in the other. */
  readonly role: R;
}

/**
 * `count` digits `[N,1,28,28]`, every ten in a row holding each class once in random order. Image `i` depends on seed, role and `i` alone,
 * so a smaller set is the beginning of a larger one. About 96 to 99 % of fresh ones are what a small network trained on 6000 can get.
 */
export function digits<R extends Role>({ count, seed, role }: DigitsOptions<R>): Dataset<R> {
  const area = SIDE * SIDE;
  const pixels = new Uint8Array(count * area);
  const labels = new Int32Array(count);
  const stream = Rng.from(seed, 'digits', role);
  const order = stream.fork('order');
  const images = stream.fork('images');
  for (let start = 0; start < count; start += 10) {
    const ten = order.permutation(10);
    for (let i = start; i < Math.min(start + 10, count); i++) {
      labels[i] = ten[i - start];
      pixels.set(drawDigit(labels[i], images.fork(i)), i * area);
    }
  }
  return makeDataset({ role, source: 'builtin:digits', channels: 1, height: SIDE, width: SIDE, pixels, labels, classes: CLASSES });
}
