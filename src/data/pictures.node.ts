/** Many picture files, each decoded and made to fit as soon as it is read, so that large originals are not all in memory. */
import { readFile } from 'node:fs/promises';
import { decodePicture, looksJpeg, openJpegDecoder, READ_FORMATS } from './decode.node.ts';
import { readError } from './files.node.ts';
import { checkRoom, type Fit, fitPicture } from './fit.ts';
import { type Picture, withChannels } from './resize.ts';

export interface PictureOptions {
  /** 1 turns colour into grey, 3 grey into RGB; default: 1 where every file is grey, else 3. */
  readonly channels?: 1 | 3;
  /** What shows through transparent pixels, 0..255; default 255, white. */
  readonly background?: number;
  /** What the pictures shall become; default: they stay as they are and must be of one size. */
  readonly fit?: Fit;
}

/** A picture file and the part of it that counts: `[left, top, right, bottom]`, the last two outside. */
export interface PictureFile {
  readonly path: string;
  /** For errors, where the path alone does not say it: the row of an index. */
  readonly where?: string;
  readonly box?: readonly [number, number, number, number];
}

export const READ_NAMES = /\.(png|jpe?g|jfif|ppm|pgm|pnm)$/i;
/** Picture files that are not read: left out silently, they would shrink a class. */
export const OTHER_NAMES = /\.(bmp|gif|webp|tiff?|avif|heic|jp2|pbm)$/i;
/** Files read at once: enough to keep the disk busy, below any limit on open files. */
const BATCH = 64;

/** Reads and fits them, in order. Throws SecateurError naming the file that cannot be read or does not fit. */
export async function readPictures(files: readonly PictureFile[], options: PictureOptions): Promise<Picture[]> {
  const { background, channels } = options;
  const fit: Fit = { ...options.fit, ...(channels !== undefined && { channels }) };
  const pictures: Picture[] = [];
  for (let i = 0; i < files.length; i += BATCH) {
    const batch = files.slice(i, i + BATCH);
    const contents = await Promise.all(
      batch.map(({ path, where }) => readFile(path).catch((error: unknown) => readError(error, where ?? `data: ${path}`, path))),
    );
    if (contents.some(looksJpeg)) await openJpegDecoder();
    for (const [k, bytes] of contents.entries()) {
      const where = batch[k].where ?? `data: ${batch[k].path}`;
      const whole = decodePicture(bytes, where, background);
      const cut = cutBox(whole, batch[k].box);
      pictures.push(fitPicture(channels === undefined ? cut : withChannels(cut, channels), fit, where));
      // told before hours of decoding
      if (pictures.length === 1) checkRoom(files.length, pictures[0], where);
    }
  }
  return pictures;
}

function cutBox(picture: Picture, box: PictureFile['box']): Picture {
  if (box === undefined) return picture;
  const left = Math.max(0, Math.min(box[0], picture.width - 1));
  const top = Math.max(0, Math.min(box[1], picture.height - 1));
  const width = Math.max(1, Math.min(box[2], picture.width) - left);
  const height = Math.max(1, Math.min(box[3], picture.height) - top);
  const pixels = new Uint8Array(picture.channels * height * width);
  for (let c = 0; c < picture.channels; c++) {
    for (let y = 0; y < height; y++) {
      const from = (c * picture.height + top + y) * picture.width + left;
      pixels.set(picture.pixels.subarray(from, from + width), (c * height + y) * width);
    }
  }
  return { channels: picture.channels, height, width, pixels };
}

/** The error for a picture of a kind that is not read. */
export const notRead = { what: 'picture is not read', expected: READ_FORMATS, hint: 'converting it to PNG' } as const;
