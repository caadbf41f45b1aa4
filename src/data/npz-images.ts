/**
 * Images and labels from NumPy arrays, under the names that Keras, MedMNIST and most people give them. Bytes are taken as they are;
 * floating point numbers must lie in 0..1 (then rounded to bytes) or be whole numbers 0..255.
 */
import { fail } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import { placesInArrays } from './classes.ts';
import type { Dataset, ImageShape, Role } from './dataset.ts';
import type { Fit } from './fit.ts';
import type { LoadedData } from './loaded.ts';
import { makeDataset } from './make.ts';

export interface ArrayOptions {
  /** Names of the classes that the numbers stand for, by name where all classes are numbers; default `0`, `1`, ... */
  readonly classes?: readonly string[];
  /** Says what the rows of flat images are. */
  readonly fit?: Fit;
  readonly note?: (text: string) => void;
}

/** Pairs of names, the first that is there counts. */
const TRAIN = [
  ['x_train', 'y_train'],
  ['X_train', 'y_train'],
  ['X_train', 'Y_train'],
  ['train_images', 'train_labels'],
  ['train_x', 'train_y'],
] as const;
const TEST = [
  ['x_test', 'y_test'],
  ['X_test', 'y_test'],
  ['X_test', 'Y_test'],
  ['test_images', 'test_labels'],
  ['test_x', 'test_y'],
] as const;
const WHOLE = [
  ['images', 'labels'],
  ['x', 'y'],
  ['X', 'y'],
  ['data', 'labels'],
  ['data', 'target'],
  ['input', 'labels'],
] as const;

/**
 * The data in a `.npz` file's arrays.
 * Throws SecateurError where no pair of names is known, or shapes, types or values are not those of images and labels.
 */
export function imagesFromArrays(arrays: ReadonlyMap<string, Tensor>, source: string, options: ArrayOptions): LoadedData {
  const where = `data: ${source}`;
  const find = (pairs: readonly (readonly [string, string])[]): readonly [string, string] | undefined =>
    pairs.find(([x, y]) => arrays.has(x) && arrays.has(y));
  const [train, test] = [find(TRAIN), find(TEST)];
  const whole = (train ?? test) ? undefined : find(WHOLE);
  if (!train && !test && !whole) {
    const expected = 'x_train and y_train (x_test and y_test), train_images and train_labels, or images and labels';
    return fail({ where, what: 'no images and labels in it', expected, got: [...arrays.keys()].slice(0, 12).join(', ') || 'no arrays' });
  }
  const read = new Map([train, test, whole].flatMap((pair) => (pair ? [[pair[1], labelsOf(arrays, pair[1], where)] as const] : [])));
  const most = [...read.values()].reduce((high, { labels }) => labels.reduce((a, v) => Math.max(a, v), high), 0);
  const classes = options.classes ?? Array.from({ length: Math.max(2, most + 1) }, (_, i) => String(i));
  // all parts together, or one part's numbers would be names and the other's places; a one-hot row says the place
  const named = [...read.values()].every(({ oneHot }) => !oneHot);
  const places = named
    ? placesInArrays(new Set([...read.values()].flatMap(({ labels }) => [...labels])), classes, options.note)
    : undefined;
  const part = <R extends Role>(role: R, [x, y]: readonly [string, string]): Dataset<R> => {
    const images = readImages(arrays.get(x)!, `${where}: ${x}`, options);
    const { labels } = read.get(y)!;
    if (labels.length !== images.count) {
      fail({
        where: `${where}: ${y}`,
        what: 'labels do not belong to the images',
        expected: `${images.count}, one for each of ${x}`,
        got: `${labels.length}`,
      });
    }
    const bad = places ? -1 : labels.findIndex((label) => label < 0 || label >= classes.length);
    if (bad >= 0) {
      const expected = `0 to ${classes.length - 1} (${classes.length} classes)`;
      fail({ where: `${where}: ${y}`, what: `label of image ${bad} is out of range`, expected, got: `${labels[bad]}` });
    }
    const mine = places ? labels.map((label) => places.get(label)!) : labels;
    return makeDataset({ role, source, ...images.shape, pixels: images.pixels, labels: mine, classes });
  };
  if (arrays.has('val_images')) options.note?.("val_images are left out: the defender's own are taken from the training images");
  const result: LoadedData = {};
  if (train) result.train = part('train', train);
  if (test) result.test = part('test', test);
  if (whole) {
    result.train = part('train', whole);
    result.undivided = true;
  }
  return result;
}

interface Images {
  readonly shape: ImageShape;
  readonly count: number;
  /** `[N,C,H,W]` */
  readonly pixels: Uint8Array;
}

const isChannels = (d: number): boolean => d === 1 || d === 3;

function readImages(tensor: Tensor, where: string, { fit, note }: ArrayOptions): Images {
  const { dims } = tensor;
  const got = `${tensor.dtype} [${dims.join(',')}]`;
  const expected = 'uint8 [N,H,W], [N,H,W,C] or [N,C,H,W] with 1 or 3 channels';
  const [count, ...rest] = dims;
  if (count === 0) fail({ where, what: 'no images', expected: 'at least one', got });
  const bytes = toBytes(tensor, where, note);
  if (rest.length === 1) {
    const flat =
      flatShape(rest[0], fit) ??
      fail({ where, what: 'flat images of unknown size', expected, got, hint: '--preprocess FILE.yaml with "resize: [HEIGHT, WIDTH]"' });
    return { shape: flat, count, pixels: bytes };
  }
  if (rest.length === 2) return { shape: { channels: 1, height: rest[0], width: rest[1] }, count, pixels: bytes };
  if (rest.length !== 3 || !(isChannels(rest[2]) || isChannels(rest[0]))) return fail({ where, what: 'not images', expected, got });
  if (!isChannels(rest[2])) return { shape: { channels: rest[0], height: rest[1], width: rest[2] }, count, pixels: bytes };
  const [height, width, channels] = rest;
  const shape = { channels, height, width };
  if (channels === 1) return { shape, count, pixels: bytes };
  const plane = height * width;
  const pixels = new Uint8Array(bytes.length);
  for (let i = 0, at = 0; i < count; i++) {
    for (let p = 0; p < plane; p++) for (let c = 0; c < channels; c++) pixels[(i * channels + c) * plane + p] = bytes[at++];
  }
  return { shape, count, pixels };
}

/** Grey or colour images of the network's size, or square grey ones. */
function flatShape(size: number, fit: Fit | undefined): ImageShape | undefined {
  if (fit?.height !== undefined && fit.width !== undefined) {
    for (const channels of [1, 3]) {
      if (channels * fit.height * fit.width === size) return { channels, height: fit.height, width: fit.width };
    }
  }
  const side = Math.round(Math.sqrt(size));
  return side * side === size && side > 1 ? { channels: 1, height: side, width: side } : undefined;
}

function toBytes({ dtype, data }: Tensor, where: string, note: ArrayOptions['note']): Uint8Array {
  if (dtype === 'uint8' && data instanceof Uint8Array) return data;
  if (dtype === 'bool' && data instanceof Uint8Array) return data.map((v) => v * 255);
  if (!ArrayBuffer.isView(data) || dtype.startsWith('complex') || dtype === 'float16') {
    return fail({ where, what: 'not images', expected: 'uint8, other integers, or float32 from 0 to 1', got: dtype });
  }
  const values = data as ArrayLike<number | bigint>;
  let [low, high, whole] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, true];
  for (let i = 0; i < values.length; i++) {
    const v = Number(values[i]);
    if (!(v >= low)) low = v;
    if (!(v <= high)) high = v;
    whole &&= Number.isInteger(v);
  }
  const floats = data instanceof Float32Array || data instanceof Float64Array;
  const unit = floats && low >= 0 && high <= 1;
  if (!unit && !(whole && low >= 0 && high <= 255)) {
    fail({
      where,
      what: 'values are not those of pictures',
      expected: 'bytes 0..255, or numbers 0..1',
      got: `${low.toPrecision(4)} to ${high.toPrecision(4)}${whole ? '' : ', not all whole'}`,
      hint: 'the images as they were before they were normalised; --preprocess does that here',
    });
  }
  if (unit) note?.(`${where.replace(/^data: /, '')}: numbers 0..1 were rounded to bytes`);
  return Uint8Array.from({ length: values.length }, (_, i) => (unit ? Math.round(Number(values[i]) * 255) : Number(values[i])));
}

const isIntegers = (dtype: string): boolean => /^u?int(8|16|32|64)$/.test(dtype);

/** Class numbers `[N]` or `[N,1]`, or one row a class with a single 1 in it (`[N,K]`). */
function readLabels(tensor: Tensor, where: string): Int32Array {
  const { dtype, dims, data } = tensor;
  const values = data as ArrayLike<number | bigint>;
  const bad = (got: string): never =>
    fail({ where, what: 'not labels', expected: 'whole numbers [N] or [N,1], or one-hot rows [N,K]', got });
  if (dims.length === 1 || (dims.length === 2 && dims[1] === 1)) {
    const numbers = Float64Array.from({ length: values.length }, (_, i) => Number(values[i]));
    if (!isIntegers(dtype) && !numbers.every(Number.isInteger)) bad(`${dtype} [${dims.join(',')}]`);
    return Int32Array.from(numbers);
  }
  if (dims.length !== 2) bad(`${dtype} [${dims.join(',')}]`);
  const [count, width] = dims;
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    let ones = 0;
    for (let k = 0; k < width; k++) {
      const v = Number(values[i * width + k]);
      if (v === 1) {
        labels[i] = k;
        ones++;
      } else if (v !== 0) bad(`row ${i} with a ${v}`);
    }
    if (ones !== 1) bad(`row ${i} with ${ones} ones`);
  }
  return labels;
}

interface ReadLabels {
  readonly labels: Int32Array;
  readonly oneHot: boolean;
}

function labelsOf(arrays: ReadonlyMap<string, Tensor>, name: string, where: string): ReadLabels {
  const tensor = arrays.get(name)!;
  return { labels: readLabels(tensor, `${where}: ${name}`), oneHot: tensor.dims.length === 2 && tensor.dims[1] !== 1 };
}
