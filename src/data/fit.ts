/** Pictures of any size and colour made into what one network takes, as its spec says (`onnx/preprocess.ts`). */
import { fail } from '../core/errors.ts';
import type { Preparation } from '../onnx/preprocess.ts';
import type { Dataset, ImageShape, Role } from './dataset.ts';
import { imageAt, makeDataset, shapeText } from './make.ts';
import { checkResized, cropCentre, type Picture, resize, shorterSide, withChannels } from './resize.ts';
import { redraw } from './sound-data.ts';

/** What images shall become; what is left out stays as it is. A `ModelSpec` is one. */
export interface Fit extends Partial<ImageShape> {
  readonly preprocess?: Preparation;
}

/** Pixels a side that a picture may have on its way. */
const LONGEST = 65536;
export const PREPROCESS_HINT = '--preprocess imagenet, cifar10, mnist or FILE.yaml, which says how to resize them';

/**
 * One picture as `fit` says: grey or colour first, then resized and cropped. A picture that has the size already is not resized.
 * Throws SecateurError where colour would be lost without being asked for, or the size does not come out.
 */
export function fitPicture(picture: Picture, fit: Fit, where: string): Picture {
  const p = fit.preprocess;
  let out = picture;
  if (p?.channels !== undefined) out = withChannels(out, p.channels);
  if (fit.channels === 3) out = withChannels(out, 3);
  if (fit.channels === 1 && out.channels === 3) {
    if (!isGrey(out)) {
      const hint = '--preprocess mnist, or FILE.yaml with "channels: 1", which makes them grey';
      fail({ where, what: 'picture is in colour', expected: 'grey, as the network takes it', got: 'RGB', hint });
    }
    out = withChannels(out, 1);
  }
  if (p === undefined || (p.resize === undefined && p.crop === undefined)) return out;
  if (out.height === fit.height && out.width === fit.width) return out;
  if (p.resize !== undefined) {
    const [height, width] = typeof p.resize === 'number' ? shorterSide(out.height, out.width, p.resize) : p.resize;
    checkResized([height, width], LONGEST, where);
    out = resize(out, height, width, p.interpolation, p.antialias);
  }
  if (p.crop !== undefined) return cropCentre(out, p.crop[0], p.crop[1]);
  const { height = out.height, width = out.width } = fit;
  if (out.height < height || out.width < width) {
    const expected = `at least ${height}x${width}, what the network takes`;
    fail({ where, what: 'picture is too small after resizing (height x width)', expected, got: `${out.height}x${out.width}` });
  }
  return cropCentre(out, height, width);
}

/** Colour in name only: all three channels are the same. */
function isGrey({ pixels, height, width }: Picture): boolean {
  const plane = height * width;
  for (let i = 0; i < plane; i++) if (pixels[i] !== pixels[plane + i] || pixels[i] !== pixels[2 * plane + i]) return false;
  return true;
}

/**
 * A data set whose images all have one size, as {@link fitPicture}; the data set itself where nothing has to be done. Pictures of sound are
 * drawn anew at the new size instead of being resized.
 */
export function fitDataset<R extends Role>(data: Dataset<R>, fit: Fit): Dataset<R> {
  const { channels, height, width } = data;
  const same = (fit.channels ?? channels) === channels && (fit.height ?? height) === height && (fit.width ?? width) === width;
  const asked = fit.preprocess?.channels;
  if ((same && (asked === undefined || asked === channels)) || (channels !== 1 && channels !== 3)) return data;
  const where = `data: ${data.source}`;
  if (data.sound !== undefined) {
    return redraw(data, { channels: fit.channels ?? asked ?? channels, height: fit.height ?? height, width: fit.width ?? width });
  }
  const pictures = Array.from({ length: data.count }, (_, i) => {
    const picture = fitPicture({ channels, height, width, pixels: imageAt(data, i) }, fit, where);
    if (i === 0) checkRoom(data.count, picture, where);
    return picture;
  });
  // not all of it at once, as that would hash the images
  const { role, source, labels, classes, groups } = data;
  return joinPictures(pictures, { role, source, labels, classes, ...(groups && { groups }), where });
}

interface Joining<R extends Role> {
  readonly role: R;
  readonly source: string;
  readonly labels: Int32Array;
  readonly classes: readonly string[];
  readonly groups?: Dataset['groups'];
  readonly where: string;
  /** Names picture `i` in errors. */
  readonly name?: (i: number) => string;
  /** Pictures of another part are in colour, so these must be too. */
  readonly colour?: boolean;
}

/**
 * A data set of pictures that have one size; grey among colour becomes RGB.
 * Throws SecateurError where sizes differ, naming the first odd one.
 */
export function joinPictures<R extends Role>(pictures: readonly Picture[], o: Joining<R>): Dataset<R> {
  const [{ height, width }] = pictures;
  checkSizes(pictures, o.name ?? (() => o.where));
  const channels = !o.colour && pictures.every((p) => p.channels === 1) ? 1 : 3;
  const shape = { channels, height, width };
  checkRoom(pictures.length, shape, o.where);
  const size = channels * height * width;
  const pixels = new Uint8Array(pictures.length * size);
  for (const [i, picture] of pictures.entries()) pixels.set(withChannels(picture, channels as 1 | 3).pixels, i * size);
  const { role, source, labels, classes, groups } = o;
  return makeDataset({ role, source, ...shape, pixels, labels, classes, ...(groups && { groups }) });
}

/** What one array of bytes can hold. */
const MOST_BYTES = 2 ** 32;

/** Fails where `count` images of one shape are more bytes than fit into one data set. */
export function checkRoom(count: number, shape: ImageShape, where: string): void {
  const bytes = count * shape.channels * shape.height * shape.width;
  if (bytes <= MOST_BYTES) return;
  fail({
    where,
    what: 'too many images of this size for one data set',
    expected: `at most ${MOST_BYTES} bytes`,
    got: `${bytes} (${count} images of ${shapeText(shape)})`,
    hint: 'fewer images, or --preprocess with a smaller size',
  });
}

/** Fails where pictures differ in size. */
export function checkSizes(pictures: readonly Picture[], name: (i: number) => string): void {
  const [first] = pictures;
  const odd = pictures.findIndex((p) => p.width !== first.width || p.height !== first.height);
  if (odd < 0) return;
  fail({
    where: `data: ${name(odd)}`,
    what: 'images differ in size (width x height)',
    expected: `${first.width}x${first.height} like ${name(0)}`,
    got: `${pictures[odd].width}x${pictures[odd].height}`,
    hint: PREPROCESS_HINT,
  });
}

/** What happened to the images of a set, in words; undefined where nothing did. */
export function fitNote(before: ImageShape | undefined, after: ImageShape): string | undefined {
  if (before === undefined || shapeText(before) === shapeText(after)) return undefined;
  const colour = before.channels === 1 && after.channels === 3 ? ', grey in all three channels' : '';
  return `images of ${shapeText(before)} became ${shapeText(after)}${colour}`;
}
