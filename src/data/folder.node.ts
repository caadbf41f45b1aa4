/** A folder of PNG files, one sub-folder a class; with `train/` and `test/` inside, both parts. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PNG, type PNGWithMetadata } from 'pngjs';
import { fail } from '../core/errors.ts';
import type { Dataset, Role } from './dataset.ts';
import { readError } from './files.node.ts';
import type { LoadedData } from './idx.node.ts';
import { makeDataset } from './make.ts';
import { naturalOrder } from './natural-order.ts';

export interface FolderOptions {
  /** 1 turns colour into grey, 3 grey into RGB; default: 1 where every file of the folder is grey, else 3. */
  readonly channels?: 1 | 3;
  /** What shows through transparent pixels, 0..255; default 255, white. */
  readonly background?: number;
}

interface DecodedImage {
  readonly path: string;
  readonly width: number;
  readonly height: number;
  readonly grey: boolean;
  /** `[H,W,4]` */
  readonly rgba: Uint8Array;
}

/** Picture files that are not PNG: left out silently, they would shrink a class. */
const OTHER_PICTURES = /\.(jpe?g|bmp|gif|webp|tiff?|ppm|pgm|avif)$/i;
const PNG_START = '89 50 4e 47';
/** Files read at once: enough to keep the disk busy, below any limit on open files. */
const BATCH = 64;

async function entries(dir: string): Promise<{ folders: string[]; files: string[] }> {
  const found = await readdir(dir, { withFileTypes: true }).catch((error: unknown) => readError(error, `data: ${dir}`, dir));
  const visible = found.filter((entry) => !entry.name.startsWith('.'));
  return {
    folders: visible
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort(naturalOrder),
    files: visible
      .filter((entry) => !entry.isDirectory())
      .map((entry) => entry.name)
      .sort(naturalOrder),
  };
}

async function pngFiles(dir: string): Promise<string[]> {
  const { files } = await entries(dir);
  const other = files.find((name) => OTHER_PICTURES.test(name));
  if (other !== undefined) {
    fail({
      where: `data: ${join(dir, other)}`,
      what: 'picture is not read',
      expected: 'PNG files',
      got: other,
      hint: 'converting it to PNG',
    });
  }
  return files.filter((name) => /\.png$/i.test(name)).map((name) => join(dir, name));
}

/**
 * Reads a PNG of any colour type; pixels come as RGBA.
 * Fails where the file cannot be read or is no PNG, or a damaged one.
 */
export async function readPng(path: string): Promise<DecodedImage> {
  const where = `data: ${path}`;
  const bytes = await readFile(path).catch((error: unknown) => readError(error, where, path));
  const start = [...bytes.subarray(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
  if (start !== PNG_START) {
    fail({ where, what: 'not a PNG file', expected: `a file that starts with ${PNG_START}`, got: start || 'an empty file' });
  }
  let png: PNGWithMetadata;
  try {
    png = PNG.sync.read(bytes);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    return fail({ where, what: 'PNG file is damaged', expected: 'a whole PNG file', got, cause });
  }
  return { path, width: png.width, height: png.height, grey: !png.color, rgba: png.data };
}

/** Flattens one picture over the background into `[C,H,W]` bytes at `out`. Grey is the BT.601 luma. */
function flatten(image: DecodedImage, channels: 1 | 3, background: number, out: Uint8Array): void {
  const area = image.width * image.height;
  for (let i = 0; i < area; i++) {
    const alpha = image.rgba[i * 4 + 3] / 255;
    const under = background * (1 - alpha);
    const r = image.rgba[i * 4] * alpha + under;
    const g = image.rgba[i * 4 + 1] * alpha + under;
    const b = image.rgba[i * 4 + 2] * alpha + under;
    if (channels === 3) {
      out[i] = Math.round(r);
      out[area + i] = Math.round(g);
      out[2 * area + i] = Math.round(b);
    } else out[i] = image.grey ? Math.round(r) : Math.round(0.299 * r + 0.587 * g + 0.114 * b);
  }
}

async function decodeAll(paths: readonly string[]): Promise<DecodedImage[]> {
  const images: DecodedImage[] = [];
  for (let i = 0; i < paths.length; i += BATCH) images.push(...(await Promise.all(paths.slice(i, i + BATCH).map(readPng))));
  const [first] = images;
  const odd = images.find((image) => image.width !== first.width || image.height !== first.height);
  if (odd !== undefined) {
    const expected = `${first.width}x${first.height} like ${first.path}`;
    const hint = 'resizing all images to one size';
    fail({ where: `data: ${odd.path}`, what: 'images differ in size (width x height)', expected, got: `${odd.width}x${odd.height}`, hint });
  }
  return images;
}

interface Part<R extends Role> {
  readonly role: R;
  readonly dir: string;
  readonly classes: readonly string[];
  readonly images: readonly DecodedImage[];
  readonly labels: Int32Array;
}

/** `known`: the classes of the training part, which the test part must keep to (it may lack some). */
async function readPart<R extends Role>(dir: string, role: R, known?: readonly string[]): Promise<Part<R>> {
  const { folders } = await entries(dir);
  const where = `data: ${dir}`;
  if (folders.length === 0) fail({ where, what: 'no class folders', expected: 'one sub-folder of PNG files for each class' });
  const classes = known ?? folders;
  const stranger = folders.find((name) => !classes.includes(name));
  if (stranger !== undefined) {
    fail({ where: `data: ${join(dir, stranger)}`, what: 'class is not in the training part', expected: classes.join(', '), got: stranger });
  }
  const paths: string[] = [];
  const labels: number[] = [];
  for (const name of folders) {
    const files = await pngFiles(join(dir, name));
    if (files.length === 0) fail({ where: `data: ${join(dir, name)}`, what: 'class folder is empty', expected: 'PNG files in it' });
    paths.push(...files);
    labels.push(...files.map(() => classes.indexOf(name)));
  }
  return { role, dir, classes, images: await decodeAll(paths), labels: Int32Array.from(labels) };
}

function assemble<R extends Role>(part: Part<R>, channels: 1 | 3, background: number): Dataset<R> {
  const { role, dir, classes, images, labels } = part;
  const { width, height } = images[0];
  const size = channels * width * height;
  const pixels = new Uint8Array(images.length * size);
  images.forEach((image, i) => {
    flatten(image, channels, background, pixels.subarray(i * size, (i + 1) * size));
  });
  return makeDataset({ role, source: dir, channels, height, width, pixels, labels, classes });
}

/** Whether a folder holds images the way this file reads them: sub-folders, and PNG files in the first of them or one level below. */
export async function looksLikeImageFolder(dir: string): Promise<boolean> {
  const { folders } = await entries(dir);
  for (const name of folders) {
    const inside = await entries(join(dir, name));
    if (inside.files.some((file) => /\.png$/i.test(file) || OTHER_PICTURES.test(file))) return true;
    if ((name === 'train' || name === 'test') && inside.folders.length > 0) return true;
  }
  return false;
}

/**
 * Reads a folder of images: each sub-folder is a class, named by it, in natural order (`2` before `10`). With a `train` or `test` folder
 * inside, those are the parts; without, all of it is training data. Images become `[N,C,H,W]` bytes, transparent ones flattened.
 * Fails where images differ in size, a file is no PNG, a class is empty, or the test part knows a class that training does not.
 */
export async function loadFolder(dir: string, options: FolderOptions = {}): Promise<LoadedData> {
  const { folders } = await entries(dir);
  const parted = folders.includes('train') || folders.includes('test');
  const train = !parted || folders.includes('train') ? await readPart(parted ? join(dir, 'train') : dir, 'train') : undefined;
  const test = folders.includes('test') && parted ? await readPart(join(dir, 'test'), 'test', train?.classes) : undefined;
  if (train !== undefined && test !== undefined) {
    const [a, b] = [train.images[0], test.images[0]];
    if (a.width !== b.width || a.height !== b.height) {
      const expected = `${a.width}x${a.height} like ${a.path}`;
      fail({
        where: `data: ${b.path}`,
        what: 'test and training images differ in size (width x height)',
        expected,
        got: `${b.width}x${b.height}`,
      });
    }
  }
  const all = [...(train?.images ?? []), ...(test?.images ?? [])];
  const channels = options.channels ?? (all.every((image) => image.grey) ? 1 : 3);
  const background = options.background ?? 255;
  const result: LoadedData = {};
  if (train !== undefined) result.train = assemble(train, channels, background);
  if (test !== undefined) result.test = assemble(test, channels, background);
  return result;
}
