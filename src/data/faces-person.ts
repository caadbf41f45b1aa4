/**
 * A made-up person for `faces.ts`: the relief of a face and how bright its skin, hair, eyes and lips are, drawn from a stream of numbers.
 * 84 x 96 pixels (width x height) with the eyes at about x 20 and 64, y 26, as the cropped Extended Yale faces have them. Only + - * / and
 * square roots are used, so a seed gives the same bytes on every machine.
 */
import type { Rng } from '../core/rng.ts';
import { bell } from './bell.ts';

export const FACE_WIDTH = 84;
export const FACE_HEIGHT = 96;
const AREA = FACE_WIDTH * FACE_HEIGHT;
const MIDDLE = FACE_WIDTH / 2;

export interface Person {
  /** Height of the surface towards the camera in pixels, `[96,84]`; far below 0 beside the head. */
  readonly relief: Float32Array;
  /** Of the relief. */
  readonly highest: number;
  /** Unit normals, `[3,96,84]`: x to the right, y down, z to the camera. */
  readonly normals: Float32Array;
  /** Share of the light that comes back, 0..1, `[96,84]`; 0 beside the head. */
  readonly albedo: Float32Array;
}

const square = (x: number): number => x * x;

/** 1 in the middle, 0 from the edge of the ellipse on, smooth between. */
function bump(dx: number, dy: number): number {
  const q = 1 - dx * dx - dy * dy;
  return q > 0 ? q * q : 0;
}

/** 0 up to `from`, 1 from `to` on. */
function ramp(x: number, from: number, to: number): number {
  const t = Math.min(1, Math.max(0, (x - from) / (to - from)));
  return t * t * (3 - 2 * t);
}

interface Traits {
  readonly head: { readonly width: number; readonly length: number; readonly jaw: number; readonly depth: number };
  readonly eyes: { readonly apart: number; readonly y: number; readonly wide: number; readonly open: number; readonly deep: number };
  readonly iris: number;
  readonly brows: { readonly y: number; readonly thick: number; readonly long: number; readonly tilt: number; readonly dark: number };
  readonly ridge: number;
  readonly nose: { readonly tip: number; readonly high: number; readonly wide: number; readonly wings: number; readonly bend: number };
  readonly mouth: { readonly y: number; readonly wide: number; readonly full: number; readonly dark: number; readonly curl: number };
  readonly cheeks: { readonly high: number; readonly y: number; readonly hollow: number };
  readonly chin: { readonly high: number; readonly wide: number };
  readonly skin: number;
  readonly hair: { readonly line: number; readonly arch: number; readonly part: number; readonly dark: number };
  /** 0 where there is none. */
  readonly moustache: number;
  readonly beard: number;
  readonly moles: readonly { readonly x: number; readonly y: number; readonly r: number; readonly dark: number }[];
}

function traits(rng: Rng): Traits {
  const u = (low: number, high: number): number => low + (high - low) * rng.next();
  const some = (share: number, low: number, high: number): number => {
    const [has, value] = [rng.next() < share, u(low, high)];
    return has ? value : 0;
  };
  return {
    head: { width: u(1, 1.2), length: u(1.12, 1.35), jaw: u(0.02, 0.34), depth: u(40, 56) },
    eyes: { apart: 22 + 0.8 * bell(rng), y: 26 + 0.7 * bell(rng), wide: u(5.8, 8), open: u(1.8, 3.8), deep: u(3, 8) },
    iris: u(0.06, 0.3),
    brows: { y: u(14, 19), thick: u(1.1, 3.6), long: u(10, 15), tilt: 0.12 * bell(rng), dark: u(0.12, 0.7) },
    ridge: u(0.5, 4.5),
    nose: { tip: u(48, 58), high: u(9, 18), wide: u(4.5, 8), wings: u(1.5, 4.5), bend: 0.8 * bell(rng) },
    mouth: { y: u(68, 76), wide: u(11, 19), full: u(2.2, 5.2), dark: u(0.5, 0.95), curl: 0.012 * bell(rng) },
    cheeks: { high: u(0.5, 6), y: u(44, 54), hollow: u(0, 4) },
    chin: { high: u(1, 8), wide: u(9, 18) },
    skin: u(0.42, 0.95),
    hair: { line: u(-6, 9), arch: u(0.001, 0.006), part: u(-18, 18), dark: u(0.05, 0.5) },
    moustache: some(0.3, 0.35, 0.75),
    beard: some(0.25, 0.4, 0.75),
    moles: Array.from({ length: 4 }, () => ({ x: u(6, 78), y: u(30, 90), r: u(0.9, 2), dark: u(0.3, 0.8) })),
  };
}

function height(t: Traits, x: number, y: number): number {
  const u = (x - MIDDLE) / MIDDLE;
  const v = (y - 46) / 48;
  const narrow = v > 0.1 ? 1 - t.head.jaw * (v - 0.1) * (v - 0.1) : 1;
  const q = 1 - square(u / (t.head.width * narrow)) - square(v / t.head.length);
  if (q <= 0) return -30;
  const side = Math.abs(x - MIDDLE);
  let z = t.head.depth * Math.sqrt(q);
  z += t.ridge * bump((side - 20) / 19, (y - t.brows.y - 1) / 7);
  z -= t.eyes.deep * bump((side - t.eyes.apart + 2) / 15, (y - t.eyes.y) / 9.5);
  z += 3.4 * bump((side - t.eyes.apart) / 9, (y - t.eyes.y) / (3.5 + t.eyes.open));
  z += t.cheeks.high * bump((side - 27) / 16, (y - t.cheeks.y) / 13) - t.cheeks.hollow * bump((side - 25) / 12, (y - t.mouth.y) / 15);
  // the nose: a ridge that rises to its tip and falls off below it
  const along = (y - 24) / (t.nose.tip - 24);
  if (along > 0) {
    const rise = along < 1 ? 0.22 + 0.78 * along * along : Math.max(0, 1 - square((y - t.nose.tip) / 5.5));
    const foot = ramp(along, 0, 0.25);
    const wide = t.nose.wide * (0.75 + 0.75 * Math.min(1, along));
    z += foot * t.nose.high * rise * bump((x - MIDDLE - t.nose.bend * along) / (wide * 1.35), 0);
  }
  z += t.nose.wings * bump((side - t.nose.wide * 1.05) / 4.8, (y - t.nose.tip + 0.5) / 4.6);
  const bow = t.mouth.y + t.mouth.curl * side * side;
  z += 2.6 * bump(side / (t.mouth.wide + 5), (y - bow) / 11);
  z +=
    (0.5 * t.mouth.full + 0.6) *
    (bump(side / t.mouth.wide, (y - bow + t.mouth.full * 0.75) / t.mouth.full) +
      1.15 * bump(side / (t.mouth.wide * 0.92), (y - bow - t.mouth.full * 0.85) / t.mouth.full));
  z -= 1.8 * bump(side / t.mouth.wide, (y - bow) / 1.5) + 2.2 * bump(side / 13, (y - bow - t.mouth.full * 2.3) / 4);
  z += t.chin.high * bump(side / t.chin.wide, (y - 92) / 10);
  return z;
}

const mix = (from: number, share: number, to: number): number => from + share * (to - from);

function brightness(t: Traits, x: number, y: number): number {
  const side = Math.abs(x - MIDDLE);
  let a = t.skin;
  const bow = t.mouth.y + t.mouth.curl * side * side;
  const lips = Math.max(
    bump(side / t.mouth.wide, (y - bow + t.mouth.full * 0.6) / (t.mouth.full * 1.25)),
    bump(side / (t.mouth.wide * 0.92), (y - bow - t.mouth.full * 0.7) / (t.mouth.full * 1.35)),
  );
  a = mix(
    a,
    ramp(t.beard * ramp(y, t.mouth.y - 2 - 0.5 * side, t.mouth.y + 10 - 0.4 * side), 0, 1) * (1 - ramp(lips, 0, 0.2)),
    t.hair.dark,
  );
  a = mix(a, t.moustache * ramp(bump(side / (t.mouth.wide + 3), (y - (t.nose.tip + bow) / 2 - 2) / 5.5), 0, 0.5), t.hair.dark);
  a = mix(a, ramp(lips, 0, 0.3) * 0.8, t.skin * t.mouth.dark);
  a = mix(a, 0.75 * ramp(1.5 - Math.abs(y - bow), 0, 1.2) * ramp(t.mouth.wide - side, 0, 2), 0.08);
  a = mix(a, ramp(bump((side - t.nose.wide * 0.75) / 2.6, (y - t.nose.tip - 2.6) / 1.7), 0, 0.7), 0.06);
  // eyes: the white, the iris, and the line of the upper lid
  const [ex, ey] = [(side - t.eyes.apart) / t.eyes.wide, (y - t.eyes.y) / t.eyes.open];
  const lid = 1 - ex * ex;
  if (lid > 0) {
    a = mix(a, ramp(lid - Math.abs(ey), -0.15, 0.25), 0.82);
    const [ix, iy] = [side - t.eyes.apart + 0.2, y - t.eyes.y];
    const iris = 3 - Math.sqrt(ix * ix + iy * iy);
    if (Math.abs(ey) < lid) a = mix(a, ramp(iris, -0.6, 0.6), t.iris);
    a = mix(a, 0.8 * ramp(1.4 - Math.abs(y - t.eyes.y + t.eyes.open * lid), 0, 1.2), 0.1);
  }
  const brow = t.brows.y + t.brows.tilt * (side - 20) + 0.012 * (side - 18) * (side - 18);
  a = mix(
    a,
    t.brows.dark * ramp(t.brows.thick + 0.6 - Math.abs(y - brow), 0, 1.2) * ramp(t.brows.long - Math.abs(side - 20), 0, 3),
    t.hair.dark,
  );
  for (const mole of t.moles) a = mix(a, mole.dark * bump((x - mole.x) / (2 * mole.r), (y - mole.y) / (2 * mole.r)), 0.1);
  const line = t.hair.line - t.hair.arch * square(x - MIDDLE - t.hair.part) * 0.4 + 0.0016 * side * side;
  a = mix(a, ramp(line - y, -1.5, 1.5), t.hair.dark);
  return a;
}

/** The person that `rng` draws. */
export function makePerson(rng: Rng): Person {
  const t = traits(rng);
  const relief = new Float32Array(AREA);
  const albedo = new Float32Array(AREA);
  for (let y = 0; y < FACE_HEIGHT; y++) {
    for (let x = 0; x < FACE_WIDTH; x++) {
      const at = y * FACE_WIDTH + x;
      relief[at] = height(t, x + 0.5, y + 0.5);
      albedo[at] = relief[at] < -10 ? 0 : brightness(t, x + 0.5, y + 0.5);
    }
  }
  return { relief, highest: relief.reduce((a, b) => Math.max(a, b)), normals: normalsOf(relief), albedo };
}

function normalsOf(relief: Float32Array): Float32Array {
  const normals = new Float32Array(3 * AREA);
  for (let y = 0; y < FACE_HEIGHT; y++) {
    const [above, below] = [Math.max(0, y - 1), Math.min(FACE_HEIGHT - 1, y + 1)];
    for (let x = 0; x < FACE_WIDTH; x++) {
      const [left, right] = [Math.max(0, x - 1), Math.min(FACE_WIDTH - 1, x + 1)];
      const dx = (relief[y * FACE_WIDTH + right] - relief[y * FACE_WIDTH + left]) / (right - left);
      const dy = (relief[below * FACE_WIDTH + x] - relief[above * FACE_WIDTH + x]) / (below - above);
      const length = Math.sqrt(dx * dx + dy * dy + 1);
      const at = y * FACE_WIDTH + x;
      normals[at] = -dx / length;
      normals[AREA + at] = -dy / length;
      normals[2 * AREA + at] = 1 / length;
    }
  }
  return normals;
}
