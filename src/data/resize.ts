/**
 * Resizing and cropping of byte images as PIL does it (`Image.resize` of Pillow; torchvision's `Resize` and `CenterCrop` on such
 * images): a separable filter with 22-bit fixed-point weights, first across, then down, rounded to bytes after each. Bit by bit the
 * same, because networks were trained on what it gives.
 */
import { fail } from '../core/errors.ts';
import type { Interpolation } from '../onnx/preprocess.ts';

/** One image, `[C,H,W]` bytes. */
export interface Picture {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  readonly pixels: Uint8Array;
}

interface Filter {
  readonly support: number;
  readonly weight: (x: number) => number;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

type FilterName = Exclude<Interpolation, 'nearest'>;
const FILTERS: Readonly<Record<FilterName, Filter>> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  // Keys' kernel with a = -0.5
  bicubic: {
    support: 2,
    weight(signed) {
      const x = Math.abs(signed);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

const BITS = 22;
const HALF = 1 << (BITS - 1);

/** For each place of the result: which source places count, from where on, with which weights. */
interface Taps {
  readonly start: Int32Array;
  readonly count: Int32Array;
  /** `size` of them for each place. */
  readonly weights: Int32Array;
  readonly size: number;
}

/** The last ones made: most images of a set have one size. */
const RECENT = new Map<string, Taps>();
const MOST_RECENT = 8;

function tapsOf(from: number, to: number, interpolation: FilterName, antialias: boolean): Taps {
  const key = `${from} ${to} ${interpolation} ${antialias}`;
  const known = RECENT.get(key);
  if (known !== undefined) return known;
  if (RECENT.size >= MOST_RECENT) RECENT.clear();
  const made = taps(from, to, FILTERS[interpolation], antialias);
  RECENT.set(key, made);
  return made;
}

function taps(from: number, to: number, filter: Filter, antialias: boolean): Taps {
  const scale = from / to;
  // a wider filter where many pixels become one; without it some of them would not count at all
  const wide = antialias ? Math.max(1, scale) : 1;
  const support = filter.support * wide;
  const size = Math.ceil(support) * 2 + 1;
  const start = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Int32Array(to * size);
  const exact = new Float64Array(size);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(from, Math.trunc(centre + support + 0.5));
    let sum = 0;
    for (let k = first; k < last; k++) sum += exact[k - first] = filter.weight((k - centre + 0.5) / wide);
    for (let k = 0; k < last - first; k++) {
      const share = (sum === 0 ? exact[k] : exact[k] / sum) * 2 ** BITS;
      weights[i * size + k] = Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
    }
    start[i] = first;
    count[i] = last - first;
  }
  return { start, count, weights, size };
}

const clip = (v: number): number => (v < 0 ? 0 : v > 255 ? 255 : v);

/** `lines` lines of `from` pixels each, `step` apart from pixel to pixel and `next` from line to line, resampled. */
function resample(
  source: Uint8Array,
  out: Uint8Array,
  { start, count, weights, size }: Taps,
  lines: number,
  stride: { readonly step: number; readonly next: number; readonly outStep: number; readonly outNext: number },
): void {
  const { step, next, outStep, outNext } = stride;
  for (let line = 0; line < lines; line++) {
    for (let i = 0; i < start.length; i++) {
      let sum = HALF;
      for (let k = 0, at = line * next + start[i] * step, w = i * size; k < count[i]; k++, at += step, w++) sum += source[at] * weights[w];
      out[line * outNext + i * outStep] = clip(sum >> BITS);
    }
  }
}

/** The picture at another size, whatever its proportions. */
export function resize(picture: Picture, height: number, width: number, interpolation: Interpolation, antialias = true): Picture {
  if (picture.height === height && picture.width === width) return picture;
  return interpolation === 'nearest' ? nearest(picture, height, width) : filtered(picture, height, width, interpolation, antialias);
}

function filtered(picture: Picture, height: number, width: number, filter: FilterName, antialias: boolean): Picture {
  const { channels } = picture;
  let { pixels } = picture;
  if (picture.width !== width) {
    const lines = channels * picture.height;
    const out = new Uint8Array(lines * width);
    resample(pixels, out, tapsOf(picture.width, width, filter, antialias), lines, {
      step: 1,
      next: picture.width,
      outStep: 1,
      outNext: width,
    });
    pixels = out;
  }
  if (picture.height !== height) {
    const out = new Uint8Array(channels * height * width);
    const down = tapsOf(picture.height, height, filter, antialias);
    const [from, to] = [picture.height * width, height * width];
    const stride = { step: width, next: 1, outStep: width, outNext: 1 };
    for (let c = 0; c < channels; c++) resample(pixels.subarray(c * from, (c + 1) * from), out.subarray(c * to), down, width, stride);
    pixels = out;
  }
  return { channels, height, width, pixels };
}

function nearest(picture: Picture, height: number, width: number): Picture {
  const { channels, pixels } = picture;
  const out = new Uint8Array(channels * height * width);
  // added up, not multiplied: where a place falls between two pixels, rounding decides as it does in PIL
  const place = (from: number, to: number): Int32Array => {
    const places = new Int32Array(to);
    for (let i = 0, at = from / to / 2; i < to; i++, at += from / to) places[i] = Math.min(from - 1, Math.floor(at));
    return places;
  };
  const [rows, columns] = [place(picture.height, height), place(picture.width, width)];
  for (let c = 0, at = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      const from = (c * picture.height + rows[y]) * picture.width;
      for (let x = 0; x < width; x++) out[at++] = pixels[from + columns[x]];
    }
  }
  return { channels, height, width, pixels: out };
}

/** Python's `round`: halves to the even neighbour. */
const roundEven = (v: number): number => (Math.abs(v % 1) === 0.5 ? 2 * Math.round(v / 2) : Math.round(v));

/** The middle of the picture; black is added where it is smaller. */
export function cropCentre(picture: Picture, height: number, width: number): Picture {
  if (picture.height === height && picture.width === width) return picture;
  const { channels, pixels } = picture;
  // a picture that is too small is first padded on both sides, the odd pixel after
  const offset = (from: number, to: number): number => (from < to ? -Math.floor((to - from) / 2) : roundEven((from - to) / 2));
  const [top, left] = [offset(picture.height, height), offset(picture.width, width)];
  const out = new Uint8Array(channels * height * width);
  const [x0, x1] = [Math.max(0, left), Math.min(picture.width, left + width)];
  for (let c = 0; c < channels; c++) {
    for (let y = Math.max(0, top); y < Math.min(picture.height, top + height); y++) {
      const from = (c * picture.height + y) * picture.width;
      out.set(pixels.subarray(from + x0, from + x1), (c * height + y - top) * width + x0 - left);
    }
  }
  return { channels, height, width, pixels: out };
}

/** Size with the shorter side `side` and the longer one in proportion, rounded down as torchvision does: `[height, width]`. */
export function shorterSide(height: number, width: number, side: number): [number, number] {
  return height <= width ? [side, Math.trunc((side * width) / height)] : [Math.trunc((side * height) / width), side];
}

/**
 * The picture in grey or in three channels. Grey is the BT.601 luma, as PIL's `convert('L')` rounds it.
 */
export function withChannels(picture: Picture, channels: 1 | 3): Picture {
  if (picture.channels === channels) return picture;
  const { height, width, pixels } = picture;
  const plane = height * width;
  const out = new Uint8Array(channels * plane);
  if (channels === 3) for (let c = 0; c < 3; c++) out.set(pixels, c * plane);
  else {
    for (let i = 0; i < plane; i++) {
      out[i] = (pixels[i] * 19595 + pixels[plane + i] * 38470 + pixels[2 * plane + i] * 7471 + 0x8000) >> 16;
    }
  }
  return { channels, height, width, pixels: out };
}

/** Fails where a picture would become larger than `limit` pixels a side on its way: a thin strip resized by its shorter side. */
export function checkResized([height, width]: readonly [number, number], limit: number, where: string): void {
  if (height <= limit && width <= limit) return;
  fail({
    where,
    what: 'picture is too long for its width to be resized by its shorter side',
    expected: `at most ${limit}`,
    got: `${height}x${width}`,
  });
}
