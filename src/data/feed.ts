/** From bytes to what a network is fed. The one place where pixels are normalised: triggers are stamped before it. */
import { fail } from '../core/errors.ts';
import { type FloatTensor, f32 } from '../core/tensor.ts';
import type { ModelSpec } from '../onnx/spec.ts';
import type { AnyImages } from './dataset.ts';
import { imageSize, shapeText } from './make.ts';

/** Writes images as the network of one spec is fed them. */
export interface Feeder {
  readonly spec: ModelSpec;
  /** The images `[n,C,H,W]` of `pixels` as feed values, into `out` from 0 on. */
  write(pixels: Uint8Array, out: Float32Array): void;
  /** Dimensions of `n` images as fed: those of the graph's input. */
  dims(n: number): number[];
}

/**
 * What the network is fed for each byte, 256 values a channel: `((byte / 255) * (hi - lo) + lo - mean) / std`, computed in double
 * precision and rounded once. Channels in the network's order.
 */
export function feedTable(spec: ModelSpec): Float32Array {
  const [lo, hi] = spec.range;
  const table = new Float32Array(spec.channels * 256);
  for (let c = 0; c < spec.channels; c++) {
    for (let byte = 0; byte < 256; byte++) table[c * 256 + byte] = ((byte / 255) * (hi - lo) + lo - spec.mean[c]) / spec.std[c];
  }
  return table;
}

/** The one place that knows layout and channel order: for `forward`, training batches and everything else that feeds a network. */
export function feeder(spec: ModelSpec): Feeder {
  const { channels, height, width } = spec;
  const plane = height * width;
  const table = feedTable(spec);
  const turned = spec.channelOrder === 'BGR' && channels === 3;
  const last = spec.layout === 'NHWC' && channels > 1;
  return {
    spec,
    dims: (n) => [n, ...spec.dims],
    write(pixels, out) {
      const planes = pixels.length / plane;
      for (let p = 0; p < planes; p++) {
        const c = p % channels;
        // the channel of the network that this plane of the image is
        const to = turned ? channels - 1 - c : c;
        const base = to * 256;
        const from = p * plane;
        if (last) {
          for (let i = 0, at = (p - c) * plane + to; i < plane; i++, at += channels) out[at] = table[base + pixels[from + i]];
        } else {
          const start = (p - c + to) * plane;
          for (let i = 0; i < plane; i++) out[start + i] = table[base + pixels[from + i]];
        }
      }
    },
  };
}

/** Fails where the images are not of the size the model takes. */
export function checkShape(data: AnyImages, spec: ModelSpec): void {
  if (shapeText(data) === shapeText(spec)) return;
  fail({
    where: `data: ${data.source}`,
    what: 'images do not fit the model (channels x height x width)',
    expected: `${shapeText(spec)} for input "${spec.input}"`,
    got: shapeText(data),
    hint: '--preprocess imagenet, cifar10, mnist or FILE.yaml, which says how to resize them',
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

/**
 * The images at `indices` as the network `spec` describes is fed them: float32, n = `indices.length` images in the shape of its input.
 * Fails where the images do not fit the model, or an index is outside of the data.
 */
export function toFeed(data: AnyImages, indices: ArrayLike<number>, spec: ModelSpec): FloatTensor {
  checkShape(data, spec);
  const size = imageSize(data);
  const out = new Float32Array(indices.length * size);
  const feed = feeder(spec);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i];
    if (!(from >= 0 && from < data.count)) {
      fail({ where: `data: ${data.source}`, what: 'no such image', expected: `0 to ${data.count - 1}`, got: `${from}` });
    }
    feed.write(data.pixels.subarray(from * size, (from + 1) * size), out.subarray(i * size, (i + 1) * size));
  }
  return f32(out, feed.dims(indices.length));
}

/**
 * `count` images from `start` on, as {@link toFeed}; filled up with zeros to `batch` images where `batch` is larger.
 * The caller has checked that the images fit.
 */
export function rangeFeed(data: AnyImages, start: number, count: number, feed: Feeder, batch = count): FloatTensor {
  const size = imageSize(data);
  const out = new Float32Array(batch * size);
  feed.write(data.pixels.subarray(start * size, (start + count) * size), out);
  return f32(out, feed.dims(batch));
}
