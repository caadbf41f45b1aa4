/**
 * `builtin:faces`: made-up people under many lights, 96x84 grey, so that the face recipes run without a download. Reliefs
 * (`faces-person.ts`) lit by one lamp, with the shadows that brow and nose cast; nobody who looks at one takes it for a photograph. As in
 * the Extended Yale faces everybody is seen under the same lights; a light is a group, and test images show lights of their own.
 */
import { Rng } from '../core/rng.ts';
import { bell } from './bell.ts';
import type { Dataset, Role } from './dataset.ts';
import { FACE_HEIGHT, FACE_WIDTH, makePerson, type Person } from './faces-person.ts';
import { makeDataset } from './make.ts';

const PEOPLE = 20;
const AREA = FACE_WIDTH * FACE_HEIGHT;
const CLASSES: readonly string[] = Array.from({ length: PEOPLE }, (_, i) => `person ${i + 1}`);

/** Where the light is, as a unit vector from the face: x to the right, y down, z to the camera; and how bright. */
export interface Light {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly gain: number;
}

/** An angle by the tangent of its half, so that no sine is needed. */
const angle = (t: number): { cos: number; sin: number } => ({ cos: (1 - t * t) / (1 + t * t), sin: (2 * t) / (1 + t * t) });

const limit = (t: number, most: number): number => Math.min(most, Math.max(-most, t));

/** Most lights come from the front, some from far aside or above: standard deviations of about 40 and 20 degrees. */
function drawLight(rng: Rng): Light {
  const azimuth = angle(limit(0.36 * bell(rng), 0.85));
  const elevation = angle(limit(0.1 + 0.17 * bell(rng), 0.5));
  const gain = 250 + 45 * bell(rng);
  return { x: azimuth.sin * elevation.cos, y: -elevation.sin, z: azimuth.cos * elevation.cos, gain };
}

/** Looks along a ray of light: how far from its foot in pixels, the nearer ones closer together. */
const LOOKS: readonly number[] = [1, 2, 3, 4, 5.5, 7, 9, 11, 13.5, 16.5, 20, 24, 29, 35];

/** What the camera sees of a person in a light, brightness 255 and more is white, `[96,84]`. */
function shine({ relief, normals, albedo, highest }: Person, light: Light): Float32Array {
  const seen = new Float32Array(AREA);
  const across = Int32Array.from(LOOKS, (s) => Math.round(light.x * s));
  const down = Int32Array.from(LOOKS, (s) => Math.round(light.y * s));
  const up = Float64Array.from(LOOKS, (s) => light.z * s + 0.8);
  for (let y = 0, at = 0; y < FACE_HEIGHT; y++) {
    for (let x = 0; x < FACE_WIDTH; x++, at++) {
      if (albedo[at] === 0) continue;
      const facing = normals[at] * light.x + normals[AREA + at] * light.y + normals[2 * AREA + at] * light.z;
      // share of the light that reaches the place, 0..1: the nearer its ray passes above something, the less
      let clear = facing > 0 ? 1 : 0;
      for (let k = 0; k < LOOKS.length && clear > 0; k++) {
        const [px, py, pz] = [x + across[k], y + down[k], relief[at] + up[k]];
        if (px < 0 || py < 0 || px >= FACE_WIDTH || py >= FACE_HEIGHT || pz > highest) break;
        clear = Math.min(clear, 0.5 + (3.5 * (pz - relief[py * FACE_WIDTH + px])) / LOOKS[k]);
      }
      seen[at] = light.gain * albedo[at] * (0.035 + (clear > 0 ? clear * facing : 0));
    }
  }
  return seen;
}

const clip = (i: number, most: number): number => Math.min(most, Math.max(0, i));

/** The picture, a little off its place, with the grain of a camera. */
function shoot(seen: Float32Array, rng: Rng): Uint8Array {
  const [dx, dy] = [0.7 * bell(rng), 0.7 * bell(rng)];
  const exposure = 1 + 0.05 * bell(rng);
  const [fx, fy] = [dx - Math.floor(dx), dy - Math.floor(dy)];
  const out = new Uint8Array(AREA);
  for (let y = 0; y < FACE_HEIGHT; y++) {
    const top = y + Math.floor(dy);
    const [upper, lower] = [clip(top, FACE_HEIGHT - 1) * FACE_WIDTH, clip(top + 1, FACE_HEIGHT - 1) * FACE_WIDTH];
    for (let x = 0; x < FACE_WIDTH; x++) {
      const left = clip(x + Math.floor(dx), FACE_WIDTH - 1);
      const right = clip(x + Math.floor(dx) + 1, FACE_WIDTH - 1);
      const above = seen[upper + left] + fx * (seen[upper + right] - seen[upper + left]);
      const below = seen[lower + left] + fx * (seen[lower + right] - seen[lower + left]);
      const value = exposure * (above + fy * (below - above)) + 1 + 4 * rng.next();
      out[y * FACE_WIDTH + x] = Math.min(255, Math.max(0, Math.round(value)));
    }
  }
  return out;
}

export interface FacesOptions<R extends Role> {
  readonly count: number;
  readonly seed: number;
  readonly role: R;
}

let last: { readonly seed: number; readonly people: readonly Person[] } | undefined;

/** Training and test images show the same people, who take longer to make than a picture of them. */
function peopleOf(seed: number): readonly Person[] {
  if (last?.seed !== seed) last = { seed, people: CLASSES.map((_, i) => makePerson(Rng.from(seed, 'faces', 'person', i))) };
  return last.people;
}

/**
 * `count` faces `[N,1,96,84]` of 20 people who depend on the seed alone, every 20 in a row one light with each person once in random
 * order. Groups are lights; roles have lights of their own. Image `i` depends on seed, role and `i` alone, so a smaller set is the beginning
 * of a larger one.
 */
export function faces<R extends Role>({ count, seed, role }: FacesOptions<R>): Dataset<R> {
  const people = peopleOf(seed);
  const stream = Rng.from(seed, 'faces', role);
  const pixels = new Uint8Array(count * AREA);
  const labels = new Int32Array(count);
  const ids = new Int32Array(count);
  for (let start = 0; start < count; start += PEOPLE) {
    const group = start / PEOPLE;
    const light = drawLight(stream.fork('light').fork(group));
    const order = stream.fork('order').fork(group).permutation(PEOPLE);
    for (let i = start; i < Math.min(start + PEOPLE, count); i++) {
      labels[i] = order[i - start];
      ids[i] = group;
      pixels.set(shoot(shine(people[labels[i]], light), stream.fork('image').fork(i)), i * AREA);
    }
  }
  const shape = { channels: 1, height: FACE_HEIGHT, width: FACE_WIDTH };
  return makeDataset({ role, source: 'builtin:faces', ...shape, pixels, labels, classes: CLASSES, groups: { by: 'light', ids } });
}
