/** From bytes to what a network is fed. The one place where pixels are normalised: triggers are stamped before it. */
import { fail } from '../core/errors.ts';
import { type FloatTensor, f32 } from '../core/tensor.ts';
import type { ModelSpec } from '../onnx/spec.ts';
import type { AnyImages } from './dataset.ts';
import { imageSize, shapeText } from './make.ts';

/**
 * What the network is fed for each byte, 256 values a channel: `((byte / 255) * (hi - lo) + lo - mean) / std`, computed in double
 * precision and rounded once.
 */
export function feedTable(spec: ModelSpec): Float32Array {
  const [lo, hi] = spec.range;
  const table = new Float32Array(spec.channels * 256);
  for (let c = 0; c < spec.channels; c++) {
    for (let byte = 0; byte < 256; byte++) table[c * 256 + byte] = ((byte / 255) * (hi - lo) + lo - spec.mean[c]) / spec.std[c];
  }
  return table;
}

/** Fails where the images are not of the size the model takes. */
export function checkShape(data: AnyImages, spec: ModelSpec): void {
  if (shapeText(data) === shapeText(spec)) return;
  fail({
    where: `data: ${data.source}`,
    what: 'images do not fit the model (channels x height x width)',
    expected: `${shapeText(spec)} for input "${spec.input}"`,
    got: shapeText(data),
  });
}

/** Fails where model and data do not have the same number of classes; which class is which would be guesswork. */
export function checkClasses(data: AnyImages, spec: ModelSpec): void {
  if (data.classes.length === spec.labels.length) return;
  fail({
    where: `data: ${data.source}`,
    what: 'classes do not fit the model',
    expected: `${spec.labels.length} (${shortList(spec.labels)})`,
    got: `${data.classes.length} (${shortList(data.classes)})`,
  });
}

function shortList(names: readonly string[]): string {
  return names.length <= 6 ? names.join(', ') : `${names.slice(0, 3).join(', ')}, ..., ${names[names.length - 1]}`;
}

/** Writes the image bytes `[n,C,H,W]` of `pixels` as feed values into `out` from 0 on; `table` is {@link feedTable}'s. */
export function normalise(pixels: Uint8Array, channels: number, plane: number, table: Float32Array, out: Float32Array): void {
  const planes = pixels.length / plane;
  for (let p = 0, at = 0; p < planes; p++) {
    const base = (p % channels) * 256;
    for (const end = at + plane; at < end; at++) out[at] = table[base + pixels[at]];
  }
}

/**
 * The images at `indices` as the network `spec` describes is fed them: float32 `[n,C,H,W]`, n = `indices.length`.
 * Fails where the images do not fit the model, or an index is outside of the data.
 */
export function toFeed(data: AnyImages, indices: ArrayLike<number>, spec: ModelSpec): FloatTensor {
  checkShape(data, spec);
  const size = imageSize(data);
  const out = new Float32Array(indices.length * size);
  const table = feedTable(spec);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i];
    if (!(from >= 0 && from < data.count)) {
      fail({ where: `data: ${data.source}`, what: 'no such image', expected: `0 to ${data.count - 1}`, got: `${from}` });
    }
    const image = data.pixels.subarray(from * size, (from + 1) * size);
    normalise(image, data.channels, data.height * data.width, table, out.subarray(i * size, (i + 1) * size));
  }
  return f32(out, [indices.length, data.channels, data.height, data.width]);
}

/**
 * `count` images from `start` on, as {@link toFeed}; filled up with zeros to `batch` images where `batch` is larger.
 * The caller has checked that the images fit and passes the table.
 */
export function rangeFeed(data: AnyImages, start: number, count: number, table: Float32Array, batch = count): FloatTensor {
  const size = imageSize(data);
  const out = new Float32Array(batch * size);
  normalise(data.pixels.subarray(start * size, (start + count) * size), data.channels, data.height * data.width, table, out);
  return f32(out, [batch, data.channels, data.height, data.width]);
}
