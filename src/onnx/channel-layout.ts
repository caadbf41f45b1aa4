/**
 * Where the channels of a cut point are in a value: which axes count them, and which channel each feature there belongs to. With that, flattening,
 * concatenating, splitting, shuffling and moving channels to the last axis are all one thing: a table that is cut, joined and put in order.
 */
import { sizeOf } from '../core/tensor.ts';

export interface Layout {
  /** First of the axes that count features. */
  readonly axis: number;
  /** How many neighbouring axes count them together: 1, or more inside a channel shuffle. */
  readonly span: number;
  /** Feature (in row-major order over these axes) -> channel; -1 where it belongs to something else. */
  readonly map: Int32Array;
}

/** Features of `axis` are the channels themselves. */
export function plainLayout(axis: number, channels: number): Layout {
  return { axis, span: 1, map: Int32Array.from({ length: channels }, (_, c) => c) };
}

/** Whether feature f is channel f. */
export function isPlain({ span, map }: Layout, channels = map.length): boolean {
  return span === 1 && map.length === channels && map.every((c, f) => c === f);
}

export function sameLayout(a: Layout, b: Layout): boolean {
  return a.axis === b.axis && a.span === b.span && a.map.length === b.map.length && a.map.every((c, f) => c === b.map[f]);
}

/** Features that belong to one of `channels`, in order. */
export function featuresOf({ map }: Pick<Layout, 'map'>, channels: Iterable<number>): number[] {
  const wanted = new Set(channels);
  return Array.from(map.keys()).filter((f) => wanted.has(map[f]));
}

/** Features that belong to none of `channels`, in order: what is left when those are taken out. */
export function featuresWithout({ map }: Pick<Layout, 'map'>, channels: Iterable<number>): number[] {
  const gone = new Set(channels);
  return Array.from(map.keys()).filter((f) => !gone.has(map[f]));
}

/**
 * The same values in another shape. Axes before and behind the features may merge with each other or fall apart; where they merge with the
 * features, each feature becomes several. Undefined where `to` holds another number of elements.
 */
export function reshaped({ axis, span, map }: Layout, from: readonly number[], to: readonly number[]): Layout | undefined {
  if (sizeOf(from) !== sizeOf(to) || sizeOf(to) === 0) return undefined;
  const [before, after] = [sizeOf(from.slice(0, axis)), sizeOf(from.slice(axis + span))];
  let first = 0;
  for (let size = 1; first < to.length && before % (size * to[first]) === 0 && size < before; first++) size *= to[first];
  let end = to.length;
  for (let size = 1; end > first && after % (size * to[end - 1]) === 0 && size < after; end--) size *= to[end - 1];
  const tile = before / sizeOf(to.slice(0, first));
  const repeat = after / sizeOf(to.slice(end));
  // Axes of size 1 on the rim belong to neither side; without them the features keep an axis of their own.
  while (end - first > 1 && to[end - 1] === 1) end--;
  while (end - first > 1 && to[first] === 1) first++;
  if (end === first || sizeOf(to.slice(first, end)) !== tile * map.length * repeat) return undefined;
  const out = new Int32Array(tile * map.length * repeat);
  for (let i = 0; i < out.length; i++) out[i] = map[Math.floor(i / repeat) % map.length];
  return { axis: first, span: end - first, map: out };
}

/** `perm[i]` is the old axis at new place i. Undefined where axes that count features together come apart. */
export function transposed({ axis, span, map }: Layout, from: readonly number[], perm: readonly number[]): Layout | undefined {
  const counted = perm.flatMap((old, at) => (old >= axis && old < axis + span ? [{ old: old - axis, at }] : []));
  if (counted.length !== span || counted[span - 1].at - counted[0].at !== span - 1) return undefined;
  const dims = from.slice(axis, axis + span);
  const out = new Int32Array(map.length);
  const place = new Array<number>(span).fill(0);
  for (let i = 0; i < out.length; i++) {
    out[i] = map[dims.reduce((index, d, a) => index * d + place[a], 0)];
    // The last new axis counts fastest.
    for (let k = span - 1; k >= 0; k--) {
      const { old } = counted[k];
      if (++place[old] < dims[old]) break;
      place[old] = 0;
    }
  }
  return { axis: counted[0].at, span, map: out };
}

/** Features `from` to `to` (not included). */
export function sliced({ axis, map }: Layout, from: number, to: number): Layout {
  return { axis, span: 1, map: map.slice(from, to) };
}

/** The features as a part of `length`, from `offset` on; the rest belongs to something else. */
export function embedded({ axis, map }: Layout, offset: number, length: number): Layout {
  const out = new Int32Array(length).fill(-1);
  out.set(map, offset);
  return { axis, span: 1, map: out };
}

/** Each feature `times` times, side by side: what a depthwise convolution with a multiplier makes. */
export function repeated({ axis, map }: Layout, times: number): Layout {
  return { axis, span: 1, map: Int32Array.from({ length: map.length * times }, (_, i) => map[Math.floor(i / times)]) };
}
