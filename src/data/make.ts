/** How data sets come to be: checked once, here, so that nothing after has to. */
import { fail } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { AnyImages, Dataset, Groups, ImageShape, Role } from './dataset.ts';
import { gatherSound, type Sound } from './sound.ts';

export interface DatasetParts<R extends Role> extends ImageShape {
  readonly role: R;
  /** Where it came from; also names it in errors. */
  readonly source: string;
  /** Bytes 0..255, `[N,C,H,W]`. */
  readonly pixels: Uint8Array;
  readonly labels: Int32Array;
  readonly classes: readonly string[];
  readonly groups?: Groups;
  /** One recording for each image. */
  readonly sound?: Sound;
}

/** Bytes of one image. */
export function imageSize(shape: ImageShape): number {
  return shape.channels * shape.height * shape.width;
}

/** `1x28x28`: channels, height, width. */
export function shapeText(shape: ImageShape): string {
  return `${shape.channels}x${shape.height}x${shape.width}`;
}

/** The bytes of image `index`, `[C,H,W]`: a view, not a copy. */
export function imageAt(data: AnyImages, index: number): Uint8Array {
  const size = imageSize(data);
  return data.pixels.subarray(index * size, (index + 1) * size);
}

/**
 * sha-256 over shape, pixels and labels, hex: the hash of the text `NxCxHxW\n<sha-256 of pixels>\n<sha-256 of labels>\n`, labels as
 * little-endian int32. Class names, role and source do not take part.
 */
export function hashImages(shape: ImageShape, pixels: Uint8Array, labels: Int32Array): string {
  const labelBytes = new Uint8Array(labels.length * 4);
  const view = new DataView(labelBytes.buffer);
  for (let i = 0; i < labels.length; i++) view.setInt32(i * 4, labels[i], true);
  const text = `${labels.length}x${shapeText(shape)}\n${sha256(pixels)}\n${sha256(labelBytes)}\n`;
  return sha256(new TextEncoder().encode(text));
}

/**
 * A data set of clean images. The hash is computed when it is first asked for (about a second for 60,000 digits) and kept.
 * Fails where there are no images, where the byte count or the number of recordings does not fit, or where a label names no class.
 */
export function makeDataset<R extends Role>(parts: DatasetParts<R>): Dataset<R> {
  const { role, source, channels, height, width, pixels, labels, classes, groups, sound } = parts;
  const where = `data: ${source}`;
  const count = labels.length;
  if (count === 0) fail({ where, what: 'no images', expected: 'at least one' });
  const bytes = count * imageSize(parts);
  if (pixels.length !== bytes) {
    fail({
      where,
      what: 'pixels do not fit',
      expected: `${bytes} bytes for ${count} images of ${shapeText(parts)}`,
      got: `${pixels.length}`,
    });
  }
  for (let i = 0; i < count; i++) {
    if (labels[i] < 0 || labels[i] >= classes.length) {
      const expected = classes.length === 1 ? '0, the only class' : `0 to ${classes.length - 1}, one for each of ${classes.length} classes`;
      fail({ where, what: `label of image ${i} is out of range`, expected, got: `${labels[i]}` });
    }
  }
  if (sound !== undefined && sound.recordings.length !== count) {
    fail({ where, what: 'recordings do not fit', expected: `${count}, one for each image`, got: `${sound.recordings.length}` });
  }
  let hash: string | undefined;
  return {
    kind: 'clean',
    role,
    source,
    count,
    channels,
    height,
    width,
    pixels,
    labels,
    classes,
    ...(groups && { groups }),
    ...(sound && { sound }),
    get sha256() {
      hash ??= hashImages(parts, pixels, labels);
      return hash;
    },
  };
}

/**
 * The images at `indices`, in that order, copied, in the role given (default: the role they had).
 * Fails where an index is outside of the set or no index is given.
 */
export function subset<R extends Role>(data: Dataset<R>, indices: ArrayLike<number>): Dataset<R>;
export function subset<R extends Role>(data: Dataset, indices: ArrayLike<number>, role: R): Dataset<R>;
export function subset(data: Dataset, indices: ArrayLike<number>, role: Role = data.role): Dataset {
  const { source, channels, height, width, classes } = data;
  const groups = data.groups && { ...data.groups, ids: Int32Array.from(indices, (i) => data.groups!.ids[i]) };
  return makeDataset({ role, source, channels, height, width, classes, ...(groups && { groups }), ...gather(data, indices) });
}

/** Pixels and labels of the images at `indices`, copied, and the recordings behind them where there are any. */
export function gather(data: AnyImages, indices: ArrayLike<number>): { pixels: Uint8Array; labels: Int32Array; sound?: Sound } {
  const size = imageSize(data);
  const pixels = new Uint8Array(indices.length * size);
  const labels = new Int32Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i];
    if (!(from >= 0 && from < data.count)) {
      fail({ where: `data: ${data.source}`, what: 'no such image', expected: `0 to ${data.count - 1}`, got: `${from}` });
    }
    pixels.set(data.pixels.subarray(from * size, (from + 1) * size), i * size);
    labels[i] = data.labels[from];
  }
  return { pixels, labels, ...(data.sound && { sound: gatherSound(data.sound, indices) }) };
}

/** The same images with other labels, `[N]`, and other classes. Fails where a label names no class. */
export function withLabels<R extends Role>(data: Dataset<R>, labels: Int32Array, classes: readonly string[]): Dataset<R> {
  // not all of it at once, as that would hash the images
  const { role, source, channels, height, width, pixels, groups, sound } = data;
  const extra = { ...(groups && { groups }), ...(sound && { sound }) };
  return makeDataset({ role, source, channels, height, width, pixels, labels, classes, ...extra });
}

/** How many images of each class there are. */
export function countByClass(data: { labels: Int32Array; classes: readonly string[] }): Int32Array {
  const counts = new Int32Array(data.classes.length);
  for (const label of data.labels) counts[label]++;
  return counts;
}
