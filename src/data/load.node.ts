/** Data by address: a folder of IDX files, a folder of images, or something built in. */
import { stat } from 'node:fs/promises';
import { fail } from '../core/errors.ts';
import { readError } from './files.node.ts';
import { type FolderOptions, loadFolder, looksLikeImageFolder } from './folder.node.ts';
import { type BuiltinOptions, isBuiltin, loadBuiltin } from './generators.ts';
import { findIdx, type IdxPair, type LoadedData, loadIdxPair } from './idx.node.ts';

export interface LoadOptions extends BuiltinOptions, FolderOptions {
  /** Class names of IDX files; default 0 to 9. */
  readonly classes?: readonly string[];
}

/** IDX files: those of a folder by their usual names, or pairs named one by one. Fails where there are none. */
export async function loadIdx(from: string | { train?: IdxPair; test?: IdxPair }, classes?: readonly string[]): Promise<LoadedData> {
  const pairs = typeof from === 'string' ? await findIdx(from) : from;
  if (pairs.train === undefined && pairs.test === undefined) {
    const where = typeof from === 'string' ? `data: ${from}` : 'data';
    fail({ where, what: 'no IDX files', expected: 'train-images-idx3-ubyte and train-labels-idx1-ubyte, or t10k-..., plain or .gz' });
  }
  const loaded: LoadedData = {};
  if (pairs.train !== undefined) loaded.train = await loadIdxPair(pairs.train, 'train', classes);
  if (pairs.test !== undefined) loaded.test = await loadIdxPair(pairs.test, 'test', classes);
  if (loaded.train !== undefined && loaded.test !== undefined) {
    const size = (data: { height: number; width: number }): string => `${data.height}x${data.width}`;
    const [expected, got] = [size(loaded.train), size(loaded.test)];
    const what = 'test and training images differ in size (height x width)';
    if (expected !== got) fail({ where: `data: ${loaded.test.source}`, what, expected: `${expected} like ${loaded.train.source}`, got });
  }
  return loaded;
}

/**
 * Training and test data at `uri`: `builtin:NAME` (`generators.ts`), a folder with IDX files (`idx.node.ts`), or a folder of images with
 * one sub-folder a class (`folder.node.ts`). A part that is not there is left out. Fails where it is none of them.
 */
export async function loadData(uri: string, options: LoadOptions = {}): Promise<LoadedData> {
  if (isBuiltin(uri)) return loadBuiltin(uri, options);
  const where = `data: ${uri}`;
  const found = await stat(uri).catch((error: unknown) => readError(error, where, uri));
  if (!found.isDirectory()) fail({ where, what: 'not a folder', expected: 'a folder with IDX files or images, or builtin:digits' });
  const pairs = await findIdx(uri);
  if (pairs.train !== undefined || pairs.test !== undefined) return loadIdx(pairs, options.classes);
  if (await looksLikeImageFolder(uri)) return loadFolder(uri, options);
  return fail({
    where,
    what: 'no data found in this folder',
    expected: 'IDX files (train-images-idx3-ubyte, plain or .gz) or one sub-folder of PNG files for each class',
  });
}
