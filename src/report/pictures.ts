/** From bytes and floats to pictures in data URIs, and what the page computes of them: difference, changed pixels, close-up. */
import { dataUri, fromBase64 } from '../data/base64.ts';
import { encodePng } from '../data/png.ts';
import type { Picture } from './media.ts';

/** An image that is ready to be shown. */
export interface Bitmap {
  readonly width: number;
  readonly height: number;
  readonly uri: string;
}

/** A part of a picture, in pixels. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export function bitmapOf(picture: Picture): Bitmap {
  const { width, height, channels } = picture;
  return { width, height, uri: dataUri(encodePng(fromBase64(picture.pixels), width, height, channels)) };
}

/** Red, green, blue of the two tones that heat maps use; with an alpha they stand on a light page as on a dark one. */
const CLEAN = [0, 114, 178] as const;
const TRIGGERED = [213, 94, 0] as const;

/**
 * Floats as a picture in one hue, transparent at 0 and solid at `max`; negative values are shown in the other hue. `max` is a
 * parameter so that pictures beside each other share a scale.
 * @param values `[h,w]`
 */
export function heatBitmap(
  values: ArrayLike<number>,
  width: number,
  height: number,
  max: number,
  positive: 'clean' | 'triggered' = 'triggered',
): Bitmap {
  const hues = positive === 'clean' ? [CLEAN, TRIGGERED] : [TRIGGERED, CLEAN];
  const pixels = new Uint8Array(width * height * 4); // [h,w,RGBA]
  for (let i = 0; i < width * height; i++) {
    const share = max > 0 ? Math.min(1, Math.abs(values[i]) / max) : 0;
    const hue = hues[values[i] < 0 ? 1 : 0];
    pixels.set([...hue, Math.round(255 * share)], i * 4);
  }
  return { width, height, uri: dataUri(encodePng(pixels, width, height, 4)) };
}

/** What the trigger did to one image. */
export interface Change {
  /** Positions of the pixels that differ, row by row. */
  readonly pixels: readonly { readonly x: number; readonly y: number }[];
  /** Largest difference of a byte, 0..255. */
  readonly largest: number;
  /** The triggered image minus the clean one, mean over channels, -255..255, `[H,W]`. */
  readonly difference: Float32Array;
}

/** Compares two pictures of one size; undefined where the sizes differ. */
export function changeOf(clean: Picture, triggered: Picture): Change | undefined {
  const { width, height, channels } = clean;
  if (triggered.width !== width || triggered.height !== height || triggered.channels !== channels) return undefined;
  const [a, b] = [fromBase64(clean.pixels), fromBase64(triggered.pixels)];
  const pixels: { x: number; y: number }[] = [];
  const difference = new Float32Array(width * height);
  let largest = 0;
  for (let i = 0; i < width * height; i++) {
    let changed = false;
    for (let c = 0; c < channels; c++) {
      const d = b[i * channels + c] - a[i * channels + c];
      difference[i] += d / channels;
      largest = Math.max(largest, Math.abs(d));
      changed ||= d !== 0;
    }
    if (changed) pixels.push({ x: i % width, y: Math.floor(i / width) });
  }
  return { pixels, largest, difference };
}

/** The square around the changed pixels with some room, inside the picture; the whole picture where a trigger covers much of it. */
export function closeUp(picture: { width: number; height: number }, change: Change): Box {
  const { width, height } = picture;
  if (change.pixels.length === 0 || change.pixels.length > (width * height) / 4) return { x: 0, y: 0, width, height };
  const xs = change.pixels.map((p) => p.x);
  const ys = change.pixels.map((p) => p.y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const side = Math.min(width, height, Math.max(right - left + 5, bottom - top + 5, 11));
  const clamp = (v: number, hi: number): number => Math.max(0, Math.min(hi, v));
  const x = clamp(Math.round((left + right + 1 - side) / 2), width - side);
  const y = clamp(Math.round((top + bottom + 1 - side) / 2), height - side);
  return { x, y, width: side, height: side };
}
