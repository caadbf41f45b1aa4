/** Finds and reads IDX files, plain or gzip (told by content, not by name), and pairs images with labels. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { fail } from '../core/errors.ts';
import { placesInArrays } from './classes.ts';
import type { Dataset, Role } from './dataset.ts';
import { readError } from './files.node.ts';
import { type Idx, type IdxKind, looksGzip, parseIdx } from './idx.ts';
import { makeDataset } from './make.ts';

const unzip = promisify(gunzip);
/** No IDX file in use unpacks to more; a gzip bomb does. */
const MAX_BYTES = 2 ** 31 - 1;

/** One image file and its label file. */
export interface IdxPair {
  readonly images: string;
  readonly labels: string;
}

const PREFIXES = { train: ['train'], test: ['t10k', 'test'] } as const;
const SUFFIX = { images: ['images-idx3-ubyte', 'images.idx3-ubyte'], labels: ['labels-idx1-ubyte', 'labels.idx1-ubyte'] } as const;
/** Where torchvision and others put them inside of a data folder. */
const SUBFOLDERS = ['', 'raw', 'MNIST/raw'];

async function readIdx(path: string, kind: IdxKind): Promise<Idx> {
  const where = `data: ${basename(path)}`;
  let bytes: Uint8Array = await readFile(path).catch((error: unknown) => readError(error, where, path));
  if (looksGzip(bytes)) {
    bytes = await unzip(bytes, { maxOutputLength: MAX_BYTES }).catch((cause: NodeJS.ErrnoException) => {
      const truncated = cause.code === 'Z_BUF_ERROR';
      const what = truncated ? 'gzip file is truncated' : 'gzip file is damaged';
      const got = truncated ? `${bytes.length} bytes and no end` : cause.message;
      return fail({ where, what, expected: 'a whole gzip file', got, hint: 'copying or downloading the file again', cause });
    });
  } else if (path.endsWith('.gz') && bytes.length >= 2 && !(bytes[0] === 0 && bytes[1] === 0)) {
    const start = [...bytes.subarray(0, 2)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
    fail({ where, what: 'not a gzip file', expected: 'a file that starts with 1f 8b', got: start, hint: 'downloading the file again' });
  }
  return parseIdx(bytes, kind, where);
}

/** The file with one of the names, plain before gzip, or undefined. */
function choose(names: ReadonlySet<string>, prefixes: readonly string[], kind: IdxKind): string | undefined {
  for (const prefix of prefixes) {
    for (const suffix of SUFFIX[kind]) {
      for (const name of [`${prefix}-${suffix}`, `${prefix}-${suffix}.gz`]) if (names.has(name)) return name;
    }
  }
  return undefined;
}

/**
 * The pairs in a folder, by the names MNIST has (`train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, with a dot for the second dash, with
 * `.gz`), in the folder itself, in `raw` or in `MNIST/raw`. Empty where there are none; fails where half a pair is missing.
 */
export async function findIdx(dir: string): Promise<{ train?: IdxPair; test?: IdxPair }> {
  for (const sub of SUBFOLDERS) {
    const folder = join(dir, sub);
    const names = new Set(await readdir(folder).catch(() => []));
    const found: { train?: IdxPair; test?: IdxPair } = {};
    for (const part of ['train', 'test'] as const) {
      const images = choose(names, PREFIXES[part], 'images');
      const labels = choose(names, PREFIXES[part], 'labels');
      if (images !== undefined && labels !== undefined) found[part] = { images: join(folder, images), labels: join(folder, labels) };
      else if (images !== undefined || labels !== undefined) {
        const [have, lack] = images !== undefined ? [images, 'labels' as const] : [labels, 'images' as const];
        const expected = `${PREFIXES[part][0]}-${SUFFIX[lack][0]} or ${PREFIXES[part][0]}-${SUFFIX[lack][0]}.gz`;
        fail({ where: `data: ${folder}`, what: `no ${lack} file beside ${have}`, expected });
      }
    }
    if (found.train !== undefined || found.test !== undefined) return found;
  }
  return {};
}

/** The digits; IDX files carry no class names. */
export const DIGIT_CLASSES: readonly string[] = Array.from({ length: 10 }, (_, i) => `${i}`);

/**
 * One pair of IDX files as a data set of grey images `[N,1,H,W]`. IDX files carry no class names: it takes 0 to 9 unless `classes` names
 * others, and where those are all numbers, labels that all are among them stand for them by name; `beside` are other label files that have
 * to be among them too. Fails where a file is missing, no IDX file of its kind or truncated, where the two do not belong together, or where a label is
 * out of range.
 */
export async function loadIdxPair<R extends Role>(
  pair: IdxPair,
  role: R,
  classes = DIGIT_CLASSES,
  beside: readonly string[] = [],
  note?: (text: string) => void,
): Promise<Dataset<R>> {
  const [images, labels] = await Promise.all([readIdx(pair.images, 'images'), readIdx(pair.labels, 'labels')]);
  const [count, height, width] = images.dims;
  const where = `data: ${basename(pair.labels)}`;
  if (labels.dims[0] !== count) {
    const expected = `${count} labels, one for each image of ${basename(pair.images)}`;
    fail({ where, what: 'labels do not belong to the images', expected, got: `${labels.dims[0]}` });
  }
  const others = await Promise.all(beside.map((path) => readIdx(path, 'labels')));
  const places = placesInArrays(new Set([labels, ...others].flatMap(({ data }) => [...new Set(data)])), classes, note);
  const bad = places ? -1 : labels.data.findIndex((label) => label >= classes.length);
  if (bad >= 0) {
    const expected = `0 to ${classes.length - 1} (${classes.length} classes)`;
    fail({ where, what: `label of image ${bad} is out of range`, expected, got: `${labels.data[bad]}` });
  }
  return makeDataset({
    role,
    source: pair.images,
    channels: 1,
    height,
    width,
    pixels: images.data,
    labels: Int32Array.from(labels.data, (label) => places?.get(label) ?? label),
    classes,
  });
}
