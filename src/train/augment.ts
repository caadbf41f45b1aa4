/** Augmentation on bytes, before normalisation: every image of a batch is changed on its own, by the batch's own random numbers. */
import { fail } from '../core/errors.ts';
import type { Rng } from '../core/rng.ts';
import type { ImageShape } from '../data/dataset.ts';

export interface Augmentation {
  /** Mirrored left to right with probability 1/2. */
  readonly flip?: boolean;
  /** Moved by -shift..shift pixels on each axis; what comes in is black. The same as padding with zeros and cropping back. */
  readonly shift?: number;
  /** A random window up to this many pixels smaller on each axis, scaled back to full size (bilinear). */
  readonly crop?: number;
}

export const AUGMENT_FORMS = 'flip, shift:PIXELS and crop:PIXELS, joined by commas, or none';

/**
 * Reads what stands after `--augment`: `none`, `flip`, `shift:2`, `flip,shift:4,crop:3`.
 * @throws SecateurError for another form.
 */
export function parseAugment(text: string): Augmentation {
  if (text === 'none') return {};
  const out: { flip?: boolean; shift?: number; crop?: number } = {};
  const bad = (got: string): never =>
    fail({ where: '--augment', what: 'not an augmentation', expected: AUGMENT_FORMS, got: `"${got}"`, exitCode: 2 });
  for (const part of text.split(',')) {
    const [kind, value, more] = part.trim().split(':');
    if (kind === 'flip' && value === undefined) out.flip = true;
    else if ((kind === 'shift' || kind === 'crop') && more === undefined && value !== undefined && /^[1-9]\d*$/.test(value)) {
      out[kind] = Number(value);
    } else bad(part);
  }
  return out;
}

/** The inverse of {@link parseAugment}. */
export function formatAugment(a: Augmentation): string {
  const parts: string[] = [];
  if (a.flip) parts.push('flip');
  if (a.shift) parts.push(`shift:${a.shift}`);
  if (a.crop) parts.push(`crop:${a.crop}`);
  return parts.length === 0 ? 'none' : parts.join(',');
}

/**
 * Refuses what the images are too small for.
 * @throws SecateurError where a shift or crop reaches the image's size.
 */
export function checkAugment(a: Augmentation, shape: ImageShape): void {
  const least = Math.min(shape.height, shape.width);
  for (const kind of ['shift', 'crop'] as const) {
    const v = a[kind];
    if (v === undefined || v < least) continue;
    fail({
      where: '--augment',
      what: `${kind} is as large as the image`,
      expected: `less than ${least} pixels for ${shape.height}x${shape.width} images`,
      got: String(v),
      exitCode: 2,
    });
  }
}

/**
 * Augments `count` images in place. `pixels` is [N,C,H,W] bytes; draws the same numbers for the same `rng` state, in image order.
 */
export function augment(a: Augmentation, pixels: Uint8Array, count: number, shape: ImageShape, rng: Rng): void {
  const size = shape.channels * shape.height * shape.width;
  const scratch = new Uint8Array(size);
  for (let n = 0; n < count; n++) {
    const image = pixels.subarray(n * size, (n + 1) * size);
    if (a.crop) {
      const smaller = rng.int(a.crop + 1);
      const window = { height: shape.height - smaller, width: shape.width - smaller };
      const [top, left] = [rng.int(smaller + 1), rng.int(smaller + 1)];
      if (smaller > 0) cropped(image, scratch, shape, { ...window, top, left });
    }
    if (a.shift) {
      const dy = rng.int(2 * a.shift + 1) - a.shift;
      const dx = rng.int(2 * a.shift + 1) - a.shift;
      if (dx !== 0 || dy !== 0) shifted(image, scratch, shape, dy, dx);
    }
    if (a.flip && rng.next() < 0.5) flipped(image, shape);
  }
}

function shifted(image: Uint8Array, scratch: Uint8Array, { channels, height, width }: ImageShape, dy: number, dx: number): void {
  scratch.set(image);
  image.fill(0);
  const from = Math.max(0, -dx);
  const run = width - Math.abs(dx);
  for (let c = 0; c < channels; c++) {
    for (let y = Math.max(0, dy); y < Math.min(height, height + dy); y++) {
      const source = (c * height + y - dy) * width + from;
      image.set(scratch.subarray(source, source + run), (c * height + y) * width + from + dx);
    }
  }
}

function flipped(image: Uint8Array, { channels, height, width }: ImageShape): void {
  for (let row = 0; row < channels * height; row++) image.subarray(row * width, (row + 1) * width).reverse();
}

interface Window {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** Where one output coordinate reads from: two neighbours, and the share of the second. */
interface Taps {
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly share: Float32Array;
}

/** Pixel centres at half-integers, edges clamped. */
function taps(start: number, window: number, size: number): Taps {
  const [first, second, share] = [new Int32Array(size), new Int32Array(size), new Float32Array(size)];
  for (let i = 0; i < size; i++) {
    const at = Math.min(Math.max(((i + 0.5) * window) / size - 0.5, 0), window - 1);
    const low = Math.floor(at);
    first[i] = start + low;
    second[i] = start + Math.min(low + 1, window - 1);
    share[i] = at - low;
  }
  return { first, second, share };
}

/** Bilinear. */
function cropped(image: Uint8Array, scratch: Uint8Array, { channels, height, width }: ImageShape, w: Window): void {
  scratch.set(image);
  const ys = taps(w.top, w.height, height);
  const xs = taps(w.left, w.width, width);
  let out = 0;
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      const upper = (c * height + ys.first[y]) * width;
      const lower = (c * height + ys.second[y]) * width;
      const down = ys.share[y];
      for (let x = 0; x < width; x++) {
        const left = xs.first[x];
        const right = xs.second[x];
        const across = xs.share[x];
        const above = scratch[upper + left] + (scratch[upper + right] - scratch[upper + left]) * across;
        const below = scratch[lower + left] + (scratch[lower + right] - scratch[lower + left]) * across;
        image[out++] = Math.round(above + (below - above) * down);
      }
    }
  }
}
