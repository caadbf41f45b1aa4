/** A folder of pictures, one sub-folder a class; with `train/` and `test/` inside, both parts. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fail } from '../core/errors.ts';
import type { Dataset, Groups, Role } from './dataset.ts';
import { readError } from './files.node.ts';
import { checkSizes, joinPictures } from './fit.ts';
import { groupsOf, prefixKey, prefixName } from './groups.ts';
import type { LoadedData } from './loaded.ts';
import { naturalOrder } from './natural-order.ts';
import { notRead, OTHER_NAMES, type PictureOptions, READ_NAMES, readPictures } from './pictures.node.ts';
import type { Picture } from './resize.ts';

export interface FolderOptions extends PictureOptions {
  /** `prefix`: files whose names begin alike belong together (`groups.ts`). */
  readonly groupBy?: string;
}

/** Names in a folder, in natural order, without hidden ones; a link is what it leads to, and a file where it leads nowhere. */
export async function entries(dir: string): Promise<{ folders: string[]; files: string[] }> {
  const all = await readdir(dir, { withFileTypes: true }).catch((error: unknown) => readError(error, `data: ${dir}`, dir));
  const visible = all.filter((entry) => !entry.name.startsWith('.'));
  const found: { folders: string[]; files: string[] } = { folders: [], files: [] };
  for (const entry of visible) {
    const target = entry.isSymbolicLink() ? await stat(join(dir, entry.name)).catch(() => entry) : entry;
    found[target.isDirectory() ? 'folders' : 'files'].push(entry.name);
  }
  return { folders: found.folders.sort(naturalOrder), files: found.files.sort(naturalOrder) };
}

async function pictureFiles(dir: string): Promise<string[]> {
  const { files } = await entries(dir);
  const other = files.find((name) => OTHER_NAMES.test(name));
  if (other !== undefined) fail({ where: `data: ${join(dir, other)}`, ...notRead, got: other });
  return files.filter((name) => READ_NAMES.test(name)).map((name) => join(dir, name));
}

interface Part<R extends Role> {
  readonly role: R;
  readonly dir: string;
  readonly classes: readonly string[];
  readonly paths: readonly string[];
  readonly pictures: readonly Picture[];
  readonly labels: Int32Array;
}

/** `known`: the classes of the training part, which the test part must keep to (it may lack some). */
async function readPart<R extends Role>(dir: string, role: R, options: FolderOptions, known?: readonly string[]): Promise<Part<R>> {
  const { folders } = await entries(dir);
  const where = `data: ${dir}`;
  if (folders.length === 0) fail({ where, what: 'no class folders', expected: 'one sub-folder of pictures for each class' });
  const classes = known ?? folders;
  const stranger = folders.find((name) => !classes.includes(name));
  if (stranger !== undefined) {
    fail({ where: `data: ${join(dir, stranger)}`, what: 'class is not in the training part', expected: classes.join(', '), got: stranger });
  }
  const paths: string[] = [];
  const labels: number[] = [];
  for (const name of folders) {
    const files = await pictureFiles(join(dir, name));
    if (files.length === 0) fail({ where: `data: ${join(dir, name)}`, what: 'class folder is empty', expected: 'pictures in it' });
    paths.push(...files);
    labels.push(...files.map(() => classes.indexOf(name)));
  }
  const files = paths.map((path) => ({ path }));
  const pictures = await readPictures(files, options);
  checkSizes(pictures, (i) => paths[i]);
  return { role, dir, classes, paths, pictures, labels: Int32Array.from(labels) };
}

/** Whether a folder holds images the way this file reads them: sub-folders, and pictures in the first of them or one level below. */
export async function looksLikeImageFolder(dir: string): Promise<boolean> {
  const { folders } = await entries(dir);
  for (const name of folders) {
    const inside = await entries(join(dir, name));
    if (inside.files.some((file) => READ_NAMES.test(file) || OTHER_NAMES.test(file))) return true;
    if ((name === 'train' || name === 'test') && inside.folders.length > 0) return true;
  }
  return false;
}

/**
 * Reads a folder of images: each sub-folder is a class, named by it, in natural order (`2` before `10`). With a `train` or `test` folder
 * inside, those are the parts; without, all of it is training data. Images become `[N,C,H,W]` bytes, transparent ones flattened, resized
 * where `fit` says how.
 * Fails where images differ in size, a file is no picture, a class is empty, or the test part knows a class that training does not.
 */
export async function loadFolder(dir: string, options: FolderOptions = {}): Promise<LoadedData> {
  const { folders } = await entries(dir);
  const parted = folders.includes('train') || folders.includes('test');
  const train = !parted || folders.includes('train') ? await readPart(parted ? join(dir, 'train') : dir, 'train', options) : undefined;
  const test = folders.includes('test') && parted ? await readPart(join(dir, 'test'), 'test', options, train?.classes) : undefined;
  if (train !== undefined && test !== undefined) {
    const [a, b] = [train.pictures[0], test.pictures[0]];
    if (a.width !== b.width || a.height !== b.height) {
      const expected = `${a.width}x${a.height} like ${train.paths[0]}`;
      fail({
        where: `data: ${test.paths[0]}`,
        what: 'test and training images differ in size (width x height)',
        expected,
        got: `${b.width}x${b.height}`,
      });
    }
  }
  const all = [...(train?.pictures ?? []), ...(test?.pictures ?? [])];
  const colour = all.some((picture) => picture.channels === 3);
  const groups = (part: Part<Role>): Groups | undefined =>
    options.groupBy === undefined || options.groupBy === 'none'
      ? undefined
      : groupsOf(
          options.groupBy,
          part.paths.map((path, i) => prefixKey(part.labels[i], basename(path))),
          (i) => prefixName(part.classes[part.labels[i]], basename(part.paths[i])),
        );
  if (options.groupBy !== undefined && options.groupBy !== 'none' && options.groupBy !== 'prefix') {
    const expected = 'prefix (files are grouped by their names up to the last _ or -) or none';
    fail({ where: '--group-by', what: 'an image folder has no columns', expected, got: options.groupBy, exitCode: 2 });
  }
  const assemble = <R extends Role>(part: Part<R>): Dataset<R> => {
    const grouped = groups(part);
    return joinPictures(part.pictures, { ...part, source: part.dir, where: part.dir, colour, ...(grouped && { groups: grouped }) });
  };
  const result: LoadedData = {};
  if (train !== undefined) result.train = assemble(train);
  if (test !== undefined) result.test = assemble(test);
  if (!parted) result.undivided = true;
  return result;
}
