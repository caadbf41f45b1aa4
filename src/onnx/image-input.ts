/** Which images a graph input takes: layout, channels, height and width, from the graph, the metadata and what flags say. */
import { fail } from '../core/errors.ts';
import { formatDims } from '../core/shapes.ts';
import type { Dim, Model, ValueInfo } from './model.ts';
import { type Layout, Preparation, preparedSize, scaledTo } from './preprocess.ts';
import type { SpecOverrides } from './spec.ts';

export interface ImageInput {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly layout: Layout;
  /** Sizes after the batch, as fed. */
  readonly dims: number[];
  readonly preprocess?: Preparation;
}

/** What the graph alone says; sizes that it leaves open are undefined. */
interface OwnShape {
  readonly layout: Layout;
  /** Channels, height, width. */
  readonly sizes: readonly [number | undefined, number | undefined, number | undefined];
}

/** As in grey, RGB and RGBA images: what tells the channels from height and width. */
const isChannels = (d: Dim | undefined): boolean => d === 1 || d === 3 || d === 4;
const fixed = (d: Dim | undefined): number | undefined => (typeof d === 'number' && d > 0 ? d : undefined);

/** Layout and sizes as the graph's input says them; undefined where its shape is not that of images at all. */
export function ownShape(info: ValueInfo, layout?: Layout): OwnShape | undefined {
  const { dims } = info;
  if (dims === undefined) return { layout: layout ?? 'NCHW', sizes: [undefined, undefined, undefined] };
  if (dims.length === 4) {
    const last = !isChannels(dims[1]) && isChannels(dims[3]);
    const own = layout ?? (last ? 'NHWC' : 'NCHW');
    if (own === 'flat') return { layout: own, sizes: [undefined, undefined, undefined] };
    const [c, h, w] = own === 'NHWC' ? [dims[3], dims[1], dims[2]] : [dims[1], dims[2], dims[3]];
    return { layout: own, sizes: [fixed(c), fixed(h), fixed(w)] };
  }
  if (dims.length !== 2 && dims.length !== 3) return undefined;
  // [N,28,28] are grey images without their channel
  const plane = dims.length === 3 && dims.slice(1).every((d) => typeof d === 'number' && d > 1);
  return { layout: 'flat', sizes: plane ? [1, fixed(dims[1]), fixed(dims[2])] : [undefined, undefined, undefined] };
}

/**
 * The images that input `info` takes. Sizes that the graph leaves open come from `overrides`, from the metadata (`secateur.shape`) or
 * from what the preprocessing makes.
 * Throws SecateurError where it takes no images, or nothing says of which size, or the preprocessing makes others.
 */
export function imageInput(model: Model, info: ValueInfo, overrides: SpecOverrides): ImageInput {
  const text = (key: string): string | undefined => model.metadata.get(`secateur.${key}`);
  const layout = overrides.layout ?? readLayout(text('layout'));
  const own = info.dtype === undefined || info.dtype === 'float32' ? ownShape(info, layout) : undefined;
  if (own === undefined) return notImages(info);
  if (layout !== undefined && own.layout !== layout) {
    const expected = `float32 ${layout === 'NHWC' ? '[N,H,W,C]' : '[N,C,H,W]'}`;
    const where = overrides.layout === undefined ? 'model metadata secateur.layout' : (overrides.from?.layout ?? '--preprocess');
    fail({ where, what: `input "${info.name}" is not ${layout}`, expected, got: shapeOf(info), exitCode: overrides.layout ? 2 : 1 });
  }
  const prepared = overrides.preprocess === undefined ? readPreparation(text('preprocess')) : (overrides.preprocess ?? undefined);
  const stored = readShape(text('shape'));
  const made = preparedSize(prepared);
  const flat = own.layout === 'flat' && own.sizes[1] === undefined;
  const elements = flat ? flatElements(info) : undefined;
  const height = overrides.height ?? own.sizes[1] ?? made?.[0] ?? stored?.[1];
  const width = overrides.width ?? own.sizes[2] ?? made?.[1] ?? stored?.[2];
  const perPixel = elements !== undefined && height !== undefined && width !== undefined ? elements / (height * width) : undefined;
  const channels = overrides.channels ?? own.sizes[0] ?? (perPixel === undefined ? (stored?.[0] ?? prepared?.channels) : perPixel);
  if (height === undefined || width === undefined || channels === undefined) return unknownSize(info, elements);
  if (!Number.isInteger(channels) || (elements !== undefined && channels * height * width !== elements)) {
    fail({
      where: 'model',
      what: `input "${info.name}" does not take images of ${height}x${width}`,
      expected: `${elements} numbers, channels x height x width`,
      got: `${Number.isInteger(channels) ? `${channels} x ` : ''}${height} x ${width}`,
      hint: '--preprocess FILE.yaml with "resize: [HEIGHT, WIDTH]" and "channels: 1" or 3',
    });
  }
  const dims = dimsOf(info, own.layout, [channels, height, width]);
  const preprocess = prepared && fitted(prepared, height, width, overrides);
  return { channels, height, width, layout: own.layout, dims, ...(preprocess && { preprocess }) };
}

function fitted(p: Preparation, height: number, width: number, overrides: SpecOverrides): Preparation {
  const size = preparedSize(p);
  if (size === undefined || (size[0] === height && size[1] === width)) return p;
  // what stands in a file was made for that file; a preset was not
  if (overrides.preprocess !== undefined && overrides.sizesFollow) return scaledTo(p, height, width);
  return fail({
    where: overrides.preprocess === undefined ? 'model metadata secateur.preprocess' : (overrides.from?.preprocess ?? '--preprocess'),
    what: 'makes images of another size than the network takes (height x width)',
    expected: `${height}x${width}`,
    got: size.join('x'),
    exitCode: overrides.preprocess === undefined ? 1 : 2,
  });
}

function dimsOf(info: ValueInfo, layout: Layout, [c, h, w]: readonly [number, number, number]): number[] {
  if (layout === 'NHWC') return [h, w, c];
  if (layout === 'NCHW') return [c, h, w];
  const dims = info.dims?.slice(1) ?? [c * h * w];
  // one size may be open, and the others say what it is
  const rest = dims.reduce<number>((n, d) => n * (fixed(d) ?? 1), 1);
  return dims.map((d) => fixed(d) ?? (c * h * w) / rest);
}

/** How many numbers a flat input takes; undefined where the graph leaves it open. */
function flatElements(info: ValueInfo): number | undefined {
  const dims = info.dims?.slice(1);
  if (dims === undefined || dims.some((d) => fixed(d) === undefined)) return undefined;
  return dims.reduce<number>((n, d) => n * (d as number), 1);
}

const shapeOf = (info: ValueInfo): string =>
  `${info.dtype ?? 'no type'} ${info.dims === undefined ? 'of unknown shape' : formatDims(info.dims)}`;

function notImages(info: ValueInfo): never {
  const expected = 'float32 [N,C,H,W], [N,H,W,C] or flat [N,C*H*W]';
  return fail({ where: 'model', what: `input "${info.name}" does not take images`, expected, got: shapeOf(info) });
}

function unknownSize(info: ValueInfo, elements: number | undefined): never {
  const flat = elements !== undefined;
  return fail({
    where: 'model',
    what: `nothing says ${flat ? 'which images' : 'images of which size'} input "${info.name}" takes`,
    expected: flat ? `height and width of the images that make ${elements} numbers` : 'a fixed channel, height and width',
    got: shapeOf(info),
    hint: `${elements === 784 ? '--preprocess mnist, or ' : flat ? '' : '--preprocess imagenet, or '}--preprocess FILE.yaml with "resize: [HEIGHT, WIDTH]"`,
  });
}

function readLayout(text: string | undefined): Layout | undefined {
  if (text === undefined || text === 'NCHW' || text === 'NHWC' || text === 'flat') return text;
  return fail({ where: 'model metadata secateur.layout', what: 'bad value', expected: 'NCHW, NHWC or flat', got: text.slice(0, 60) });
}

function json(key: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return fail({ where: `model metadata secateur.${key}`, what: 'does not parse', expected: 'JSON', got: text.slice(0, 60) });
  }
}

function readShape(text: string | undefined): readonly number[] | undefined {
  if (text === undefined) return undefined;
  const value = json('shape', text);
  if (Array.isArray(value) && value.length === 3 && value.every((v) => Number.isInteger(v) && v > 0 && v <= 16384)) return value;
  const expected = 'channels, height and width in brackets';
  return fail({ where: 'model metadata secateur.shape', what: 'bad value', expected, got: text.slice(0, 60) });
}

function readPreparation(text: string | undefined): Preparation | undefined {
  if (text === undefined) return undefined;
  const parsed = Preparation.safeParse(json('preprocess', text));
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  return fail({
    where: `model metadata secateur.preprocess${path.length > 0 ? `: ${path.join('.')}` : ''}`,
    what: 'bad value',
    expected: message,
    got: text.slice(0, 60),
  });
}
