/**
 * Shapes by their signed distance, for `sign-pictures.ts`: negative inside, positive outside, in units of half the sign's width, x to the
 * right and y down from its middle. Only + - * / and square roots are used, so a seed gives the same bytes on every machine.
 */

/** Distance from `x`, `y` to the edge of a shape. */
export type Shape = (x: number, y: number) => number;
export type Colour = readonly [red: number, green: number, blue: number];

/** A shape in one colour; later ones lie on earlier ones. */
export interface Layer {
  readonly shape: Shape;
  readonly colour: Colour;
}

export const disc =
  (radius: number, cx = 0, cy = 0): Shape =>
  (x, y) =>
    Math.sqrt((x - cx) * (x - cx) + (y - cy) * (y - cy)) - radius;

/** Convex, by corners clockwise as one sees them; distances are exact near the edges, which is where they count. */
export function polygon(...corners: (readonly [x: number, y: number])[]): Shape {
  const sides = corners.map(([ax, ay], i) => {
    const [bx, by] = corners[(i + 1) % corners.length];
    const length = Math.sqrt((bx - ax) * (bx - ax) + (by - ay) * (by - ay));
    return { ax, ay, nx: (by - ay) / length, ny: (ax - bx) / length };
  });
  return (x, y) => {
    let far = -Infinity;
    for (const { ax, ay, nx, ny } of sides) far = Math.max(far, (x - ax) * nx + (y - ay) * ny);
    return far;
  };
}

export const box = (left: number, top: number, right: number, bottom: number): Shape =>
  polygon([left, top], [right, top], [right, bottom], [left, bottom]);

/** A line of some thickness through the points, with round ends. */
export function line(thickness: number, ...points: (readonly [x: number, y: number])[]): Shape {
  return (x, y) => {
    let near = Infinity;
    for (let i = 0; i + 1 < points.length; i++) {
      const [[ax, ay], [bx, by]] = [points[i], points[i + 1]];
      const [dx, dy] = [bx - ax, by - ay];
      const along = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)));
      const [ex, ey] = [x - ax - along * dx, y - ay - along * dy];
      near = Math.min(near, ex * ex + ey * ey);
    }
    return Math.sqrt(near) - thickness / 2;
  };
}

/** All of them together. */
export const together =
  (...shapes: Shape[]): Shape =>
  (x, y) => {
    let near = Infinity;
    for (const shape of shapes) near = Math.min(near, shape(x, y));
    return near;
  };

/** What lies in all of them. */
export const common =
  (...shapes: Shape[]): Shape =>
  (x, y) => {
    let far = -Infinity;
    for (const shape of shapes) far = Math.max(far, shape(x, y));
    return far;
  };

/** The first without the second. */
export const without =
  (shape: Shape, hole: Shape): Shape =>
  (x, y) =>
    Math.max(shape(x, y), -hole(x, y));

export const mirrored =
  (shape: Shape): Shape =>
  (x, y) =>
    shape(-x, y);

/** A quarter turn clockwise, `times` times. */
export const turned =
  (shape: Shape, times = 1): Shape =>
  (x, y) => {
    for (let i = 0; i < times; i++) [x, y] = [y, -x];
    return shape(x, y);
  };

/** Shapes of whole signs; `s` shrinks them towards their middle, for the field inside a rim. */
export const triangle = (s = 1): Shape => polygon([0, 0.14 - 1.02 * s], [0.98 * s, 0.14 + 0.68 * s], [-0.98 * s, 0.14 + 0.68 * s]);
export const funnel = (s = 1): Shape => polygon([-0.98 * s, -0.14 - 0.68 * s], [0.98 * s, -0.14 - 0.68 * s], [0, -0.14 + 1.02 * s]);
export const diamond = (s = 1): Shape => polygon([0, -s], [s, 0], [0, s], [-s, 0]);
export const octagon = (s = 1): Shape => {
  const [a, b] = [0.95 * s, 0.394 * s];
  return polygon([-b, -a], [b, -a], [a, -b], [a, b], [b, a], [-b, a], [-a, b], [-a, -b]);
};

/** Digits as pen strokes in a field one wide and two high, from its top left. */
const DIGITS: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  '0': [
    [0.5, 0],
    [0.9, 0.25],
    [1, 1],
    [0.9, 1.75],
    [0.5, 2],
    [0.1, 1.75],
    [0, 1],
    [0.1, 0.25],
    [0.5, 0],
  ],
  '2': [
    [0, 0.4],
    [0.2, 0.05],
    [0.75, 0.05],
    [1, 0.5],
    [0.85, 0.95],
    [0, 2],
    [1, 2],
  ],
  '3': [
    [0, 0.2],
    [0.5, 0],
    [0.95, 0.4],
    [0.8, 0.85],
    [0.4, 0.95],
    [0.85, 1.1],
    [1, 1.55],
    [0.5, 2],
    [0, 1.75],
  ],
  '4': [
    [0.75, 2],
    [0.75, 0],
    [0, 1.35],
    [1, 1.35],
  ],
  '5': [
    [0.95, 0],
    [0.1, 0],
    [0.05, 0.85],
    [0.6, 0.8],
    [1, 1.3],
    [0.8, 1.85],
    [0.35, 2],
    [0, 1.8],
  ],
  '7': [
    [0, 0],
    [1, 0],
    [0.35, 2],
  ],
  '8': [
    [0.5, 0.9],
    [0.1, 0.5],
    [0.5, 0],
    [0.9, 0.5],
    [0.5, 0.9],
    [0, 1.45],
    [0.5, 2],
    [1, 1.45],
    [0.5, 0.9],
  ],
  '9': [
    [0.95, 0.75],
    [0.5, 1.1],
    [0, 0.7],
    [0.2, 0.15],
    [0.6, 0],
    [0.95, 0.35],
    [1, 1],
    [0.75, 1.75],
    [0.35, 2],
  ],
};

/** A number of two digits, `high` high, in the middle. */
export function number(text: string, high = 0.8, thickness = 0.17): Shape {
  const [step, size] = [high * 0.68, high / 2];
  const left = -((text.length - 1) * step + size) / 2;
  return together(
    ...[...text].map((digit, i) =>
      line(thickness, ...DIGITS[digit].map(([x, y]) => [left + i * step + x * size, (y - 1) * size] as const)),
    ),
  );
}

/** An arrow upwards through the middle. */
export const arrow = together(line(0.24, [0, 0.6], [0, -0.25]), polygon([0, -0.72], [0.42, -0.18], [-0.42, -0.18]));
