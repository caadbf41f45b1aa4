/**
 * Pictures that triggers lay over an image, drawn by code at the size they are needed: sunglasses (the accessory key of Chen et al. 2017,
 * which Fine-Pruning puts on faces), and the yellow square, the bomb and the flower that BadNets (Gu et al. 2017) stick on traffic signs.
 */
import type { PatchImage } from './patch-image.ts';

/** Red, green, blue 0..255 and opacity 0..1. */
export type Paint = readonly [red: number, green: number, blue: number, opacity: number];
/** What is at a place of the picture, `x` and `y` 0..1 from the top left; undefined where it is clear. */
export type Drawing = (x: number, y: number) => Paint | undefined;

/** Samples along each side of a pixel. */
const FINE = 6;

/** The drawing at `width` x `height` pixels, each the mean of what it covers; colours count by their opacity. */
export function rasterise(drawing: Drawing, width: number, height: number): PatchImage {
  const rgba = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    const sum = [0, 0, 0];
    let opacity = 0;
    for (let k = 0; k < FINE * FINE; k++) {
      const x = ((i % width) + ((k % FINE) + 0.5) / FINE) / width;
      const y = (Math.floor(i / width) + (Math.floor(k / FINE) + 0.5) / FINE) / height;
      const paint = drawing(x, y);
      if (paint === undefined) continue;
      for (let c = 0; c < 3; c++) sum[c] += paint[3] * paint[c];
      opacity += paint[3];
    }
    for (let c = 0; c < 3; c++) rgba[i * 4 + c] = opacity > 0 ? Math.round(sum[c] / opacity) : 0;
    rgba[i * 4 + 3] = Math.round((255 * opacity) / (FINE * FINE));
  }
  return { width, height, rgba };
}

// only + - * / and square roots, so a trigger is the same bytes on every machine
const cube = (x: number): number => Math.abs(x) * x * x;
const distance = (dx: number, dy: number): number => Math.sqrt(dx * dx + dy * dy);

const LENS: Paint = [22, 20, 24, 1];
const FRAME: Paint = [98, 92, 84, 1];
const GLINT: Paint = [205, 208, 214, 1];

/** Proportions of {@link sunglasses}: height over width. */
export const SUNGLASSES_RATIO = 28 / 80;

/**
 * Dark lenses in a light metal frame, with a glint on each: in hard side light half of a face is black, and glasses that were all black
 * would not be there. Coordinates are 80 x 28, with the eyes at x 18 and 62.
 */
export const sunglasses: Drawing = (x, y) => {
  const [u, v] = [Math.abs(x * 80 - 40), y * 28];
  const [dx, dy] = [u - 22, v - 14 - (u - 22) * 0.06];
  // a rounded rectangle, a little narrower at its lower end
  const wide = dy > 0 ? 1 - 0.012 * dy : 1;
  const lens = cube(dx / (16 * wide)) + cube(dy / 11.5);
  if (lens <= 1) {
    const along = (x < 0.5 ? -dx : dx) + 0.55 * dy;
    const glint = along > -8.5 && along < -4 && dy > -8 && dy < 4;
    return glint ? GLINT : LENS;
  }
  if (cube(dx / (18 * wide)) + cube(dy / 13.5) <= 1) return FRAME;
  const bridge = u < 8 && v > 7.5 + 0.04 * u * u && v < 11.5 + 0.04 * u * u;
  const temple = u > 37 && v > 6 && v < 10.5;
  return bridge || temple ? FRAME : undefined;
};

/** One colour from edge to edge. */
export const square =
  ([red, green, blue]: readonly [number, number, number]): Drawing =>
  () => [red, green, blue, 1];

const SPARK: Paint = [255, 196, 40, 1];
const IRON: Paint = [24, 24, 28, 1];
const SHINE: Paint = [190, 190, 200, 1];
const FUSE: Paint = [150, 110, 70, 1];

/** A round black bomb with a burning fuse. */
export const bomb: Drawing = (x, y) => {
  if (distance(x - 0.86, y - 0.12) < 0.13) return SPARK;
  const body = distance(x - 0.42, y - 0.6);
  if (body < 0.39) return distance(x - 0.29, y - 0.46) < 0.1 ? SHINE : IRON;
  // from the neck of the body up to the spark
  if (x > 0.6 && x < 0.86 && Math.abs(y - 0.34 + (x - 0.64) * 0.9) < 0.055) return FUSE;
  return Math.abs(x - y - 0.38) < 0.2 && x + y < 1.08 && x + y > 0.86 && x > 0.52 ? IRON : undefined;
};

const PETAL: Paint = [232, 92, 150, 1];
const VEIN: Paint = [250, 170, 205, 1];
const HEART: Paint = [246, 206, 44, 1];

/** Six pink petals around a yellow heart. */
export const flower: Drawing = (x, y) => {
  const [dx, dy] = [x - 0.5, y - 0.5];
  const far = distance(dx, dy);
  if (far < 0.17) return HEART;
  // cosine of six times the angle
  const [a, b] = [(dx * dx) / (far * far), (dy * dy) / (far * far)];
  const wave = a * a * a - 15 * a * a * b + 15 * a * b * b - b * b * b;
  if (far > 0.36 + 0.13 * wave) return undefined;
  return wave > 0.6 && far < 0.34 ? VEIN : PETAL;
};
