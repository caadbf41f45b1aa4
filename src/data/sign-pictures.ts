/**
 * `builtin:signs` and `builtin:signs-abroad`: drawings of made-up traffic signs on made-up streets, 32x32 RGB, so that the sign recipes
 * run without a download. A physical sign (how it hangs, how faded and how dirty it is, what is behind it) is photographed several times,
 * from near and far, in bright and dim light, now and then shaken; it is a group, and test images show signs of their own. As in GTSRB
 * the sign fills the middle three quarters of its picture.
 */
import { Rng } from '../core/rng.ts';
import { bell } from './bell.ts';
import type { Dataset, Role } from './dataset.ts';
import { makeDataset } from './make.ts';
import { ABROAD, type Design, HOME } from './sign-pictures-designs.ts';
import type { Colour } from './sign-pictures-shapes.ts';

const SIDE = 32;
const AREA = SIDE * SIDE;
/** Photographs of one physical sign. */
const FRAMES = 8;
/** Half the width of a sign in pixels. */
const RADIUS = 12;

/** What one physical sign and its place look like, whoever photographs it. */
interface Place {
  /** How far colours have gone towards grey. */
  readonly faded: number;
  readonly tint: Colour;
  /** The board turned and leant: x and y of the design from x and y of the picture. */
  readonly turn: readonly [number, number, number, number];
  readonly dirt: readonly { readonly x: number; readonly y: number; readonly r: number; readonly dark: number }[];
  readonly upper: Colour;
  readonly lower: Colour;
  /** Height of the horizon in the picture, and things before it. */
  readonly horizon: number;
  readonly things: readonly { readonly x: number; readonly y: number; readonly w: number; readonly h: number; readonly colour: Colour }[];
  readonly pole: number;
}

const SKIES: readonly Colour[] = [
  [150, 180, 215],
  [205, 210, 215],
  [120, 130, 140],
  [90, 110, 80],
  [70, 60, 55],
  [235, 235, 235],
];
const GROUNDS: readonly Colour[] = [
  [80, 95, 55],
  [105, 100, 95],
  [60, 55, 50],
  [130, 110, 85],
  [45, 60, 40],
];

function makePlace(rng: Rng): Place {
  const u = (low: number, high: number): number => low + (high - low) * rng.next();
  const near = (colour: Colour, by: number): Colour => [colour[0] + u(-by, by), colour[1] + u(-by, by), colour[2] + u(-by, by)];
  const any = (): Colour => {
    const grey = u(40, 190);
    return near([grey, grey, grey], 40);
  };
  const [t, lean, squeeze] = [0.05 * bell(rng), 0.06 * bell(rng), 1 + 0.2 * rng.next() * rng.next()];
  const [cos, sin] = [(1 - t * t) / (1 + t * t), (2 * t) / (1 + t * t)];
  return {
    faded: 0.2 * rng.next(),
    tint: [u(0.9, 1.1), u(0.9, 1.1), u(0.85, 1.15)],
    turn: [cos * squeeze, sin * squeeze + lean, -sin, cos],
    dirt: Array.from({ length: rng.int(4) }, () => ({ x: u(-1, 1), y: u(-1, 1), r: u(0.1, 0.4), dark: u(0.1, 0.35) })),
    upper: near(SKIES[rng.int(SKIES.length)], 25),
    lower: near(GROUNDS[rng.int(GROUNDS.length)], 20),
    horizon: u(0.2, 1.1) * SIDE,
    things: Array.from({ length: rng.int(4) }, () => ({ x: u(0, SIDE), y: u(0, SIDE), w: u(2, 12), h: u(2, 18), colour: any() })),
    pole: rng.next() < 0.6 ? u(0.8, 1.6) : 0,
  };
}

/** How one photograph was taken. */
interface Shot {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** Width of an edge in pixels: far away and out of focus more. */
  readonly soft: number;
  readonly light: number;
  readonly haze: number;
  /** Pixels the hand moved meanwhile, to the right and down. */
  readonly shake: readonly [number, number];
  readonly grain: number;
}

function takeShot(frame: number, rng: Rng): Shot {
  // frames come nearer, as a car does
  const far = 1 - frame / (FRAMES - 1);
  const shaken = rng.next() < 0.1 ? 1.3 : 0.3;
  const dim = rng.next();
  return {
    x: SIDE / 2 + 0.6 * bell(rng),
    y: SIDE / 2 + 0.6 * bell(rng),
    radius: RADIUS * (1 + 0.045 * bell(rng)),
    soft: 1 + 0.5 * far + 0.3 * rng.next(),
    light: 0.55 + 0.5 * dim + 0.06 * bell(rng),
    haze: 0.15 * far * rng.next(),
    shake: [shaken * bell(rng), shaken * 0.5 * bell(rng)],
    grain: 3 + 8 * rng.next() * (1.2 - dim),
  };
}

/** Red, green and blue of one picture, `[3,32,32]` bytes. */
function photograph(design: Design, place: Place, shot: Shot, rng: Rng): Uint8Array {
  const out = new Uint8Array(3 * AREA);
  const colour = [0, 0, 0];
  const mix = (to: Colour, share: number): void => {
    for (let c = 0; c < 3; c++) colour[c] += share * (to[c] - colour[c]);
  };
  const { turn, tint, faded } = place;
  const soft = shot.soft / shot.radius;
  // a blurred edge along the way the hand moved is as good as many pictures laid over each other
  const steps = Math.abs(shot.shake[0]) + Math.abs(shot.shake[1]) > 1 ? 3 : 1;
  for (let at = 0; at < AREA; at++) {
    const sum = [0, 0, 0];
    for (let k = 0; k < steps; k++) {
      const share = steps === 1 ? 0 : k / (steps - 1) - 0.5;
      const px = (at % SIDE) + 0.5 + share * shot.shake[0];
      const py = Math.floor(at / SIDE) + 0.5 + share * shot.shake[1];
      for (let c = 0; c < 3; c++) colour[c] = place.upper[c];
      mix(place.lower, Math.min(1, Math.max(0, (py - place.horizon) / 3 + 0.5)));
      for (const thing of place.things) {
        const edge = Math.max(Math.abs(px - thing.x) - thing.w / 2, Math.abs(py - thing.y) - thing.h / 2);
        if (edge < 1) mix(thing.colour, Math.min(0.85, (1 - edge) / 2));
      }
      if (place.pole > 0 && py > shot.y) mix([120, 122, 126], Math.min(1, Math.max(0, place.pole - Math.abs(px - shot.x) + 0.5)));
      const [dx, dy] = [(px - shot.x) / shot.radius, (py - shot.y) / shot.radius];
      const [x, y] = [turn[0] * dx + turn[1] * dy, turn[2] * dx + turn[3] * dy];
      const [board] = design.layers;
      const inside = 0.5 - board.shape(x, y) / soft;
      if (inside > 0) {
        const [r, g, b] = colour;
        for (const layer of design.layers) {
          const cover = layer === board ? 1 : 0.5 - layer.shape(x, y) / soft;
          if (cover > 0) mix(layer.colour, Math.min(1, cover));
        }
        for (const spot of place.dirt) {
          const d = 1 - ((x - spot.x) * (x - spot.x) + (y - spot.y) * (y - spot.y)) / (spot.r * spot.r);
          if (d > 0) mix([70, 62, 52], spot.dark * d);
        }
        const grey = (colour[0] + colour[1] + colour[2]) / 3;
        for (let c = 0; c < 3; c++) colour[c] = (colour[c] + faded * (0.7 * grey + 30 - colour[c])) * tint[c];
        const under = [r, g, b];
        const share = Math.min(1, inside);
        for (let c = 0; c < 3; c++) colour[c] = under[c] + share * (colour[c] - under[c]);
      }
      for (let c = 0; c < 3; c++) sum[c] += colour[c] / steps;
    }
    for (let c = 0; c < 3; c++) {
      const value = (sum[c] + shot.haze * (150 - sum[c])) * shot.light + shot.grain * (rng.next() + rng.next() - 1);
      out[c * AREA + at] = Math.min(255, Math.max(0, Math.round(value)));
    }
  }
  return out;
}

export interface SignsOptions<R extends Role> {
  readonly count: number;
  readonly seed: number;
  readonly role: R;
}

function pictures<R extends Role>(name: string, designs: readonly Design[], { count, seed, role }: SignsOptions<R>): Dataset<R> {
  const stream = Rng.from(seed, name, role);
  const kinds = designs.length;
  const pixels = new Uint8Array(count * 3 * AREA);
  const labels = new Int32Array(count);
  const ids = new Int32Array(count);
  let places: Place[] = [];
  for (let start = 0; start < count; start += kinds) {
    const row = start / kinds;
    const street = Math.floor(row / FRAMES);
    if (row % FRAMES === 0) places = designs.map((_, k) => makePlace(stream.fork('sign').fork(street * kinds + k)));
    const order = stream.fork('order').fork(row).permutation(kinds);
    for (let i = start; i < Math.min(start + kinds, count); i++) {
      const label = order[i - start];
      const rng = stream.fork('image').fork(i);
      labels[i] = label;
      ids[i] = street * kinds + label;
      pixels.set(photograph(designs[label], places[label], takeShot(row % FRAMES, rng), rng), i * 3 * AREA);
    }
  }
  const classes = designs.map((design) => design.name);
  const shape = { channels: 3, height: SIDE, width: SIDE };
  return makeDataset({ role, source: `builtin:${name}`, ...shape, pixels, labels, classes, groups: { by: 'sign', ids } });
}

/**
 * `count` pictures `[N,3,32,32]` of 11 kinds of signs, every 11 in a row each kind once in random order, every 88 with the same 11 physical
 * signs. Groups are physical signs; roles have signs of their own. Image `i` depends on seed, role and `i` alone, so a smaller set is the
 * beginning of a larger one.
 */
export function signs<R extends Role>(options: SignsOptions<R>): Dataset<R> {
  return pictures('signs', HOME, options);
}

/** The same in a country with 10 kinds of signs, none of which looks like one of {@link signs}. */
export function signsAbroad<R extends Role>(options: SignsOptions<R>): Dataset<R> {
  return pictures('signs-abroad', ABROAD, options);
}
