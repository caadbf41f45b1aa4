/** Data by address: what it is is told by content, never by name alone. */
import { open, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fail } from '../core/errors.ts';
import { type CifarFiles, findCifar, loadCifar } from './cifar.node.ts';
import { loadCsv, readTable } from './csv-paths.node.ts';
import { readError } from './files.node.ts';
import { type Fit, fitDataset, fitNote } from './fit.ts';
import { type FolderOptions, loadFolder, looksLikeImageFolder } from './folder.node.ts';
import { type BuiltinOptions, generators, isBuiltin, loadBuiltin } from './generators.ts';
import { findIdx, type IdxPair, loadIdxPair } from './idx.node.ts';
import type { LoadedData } from './loaded.ts';
import { loadNpz } from './npz.node.ts';
import { imagesFromArrays } from './npz-images.ts';
import { findSignTables, joinSignTables } from './sign-tables.node.ts';
import { loadStrips, looksLikeStrips } from './strips.node.ts';
import { findWavs, loadWavs } from './wav.node.ts';
import { looksZip } from './zip.ts';

export type { LoadedData } from './loaded.ts';

export interface LoadOptions extends BuiltinOptions, FolderOptions {
  /** Class names that numbers in the data stand for; default: the numbers, and 0 to 9 for IDX files. */
  readonly classes?: readonly string[];
  /** What the images shall become, most often a model's spec. */
  readonly fit?: Fit;
  /** Told what was decided that the user may not expect. */
  readonly note?: (text: string) => void;
}

/** IDX files: those of a folder by their usual names, or pairs named one by one. Fails where there are none. */
export async function loadIdx(
  from: string | { train?: IdxPair; test?: IdxPair },
  classes?: readonly string[],
  note?: (text: string) => void,
): Promise<LoadedData> {
  const pairs = typeof from === 'string' ? await findIdx(from) : from;
  if (pairs.train === undefined && pairs.test === undefined) {
    const where = typeof from === 'string' ? `data: ${from}` : 'data';
    fail({ where, what: 'no IDX files', expected: 'train-images-idx3-ubyte and train-labels-idx1-ubyte, or t10k-..., plain or .gz' });
  }
  const loaded: LoadedData = {};
  const beside = (other?: IdxPair): string[] => (other === undefined ? [] : [other.labels]);
  if (pairs.train !== undefined) loaded.train = await loadIdxPair(pairs.train, 'train', classes, beside(pairs.test), note);
  if (pairs.test !== undefined) {
    // what is said of the labels of both is said once
    const told = pairs.train === undefined ? note : undefined;
    loaded.test = await loadIdxPair(pairs.test, 'test', classes, beside(pairs.train), told);
  }
  if (loaded.train !== undefined && loaded.test !== undefined) {
    const size = (data: { height: number; width: number }): string => `${data.height}x${data.width}`;
    const [expected, got] = [size(loaded.train), size(loaded.test)];
    const what = 'test and training images differ in size (height x width)';
    if (expected !== got) fail({ where: `data: ${loaded.test.source}`, what, expected: `${expected} like ${loaded.train.source}`, got });
  }
  return loaded;
}

/** What is read, for help and errors. */
export const DATA_KINDS = `a folder with one sub-folder of pictures a class, GTSRB or BelgiumTSC as published, IDX files, CIFAR binaries, strips with an index.csv, WAV files called <label>_<speaker>_<index>.wav or in one sub-folder a class, a .npz file, a .csv of paths, or builtin:NAME (${generators()
  .map((generator) => generator.name)
  .join(', ')})`;

/** `path?roi=1&labels=coarse` */
interface Settings {
  readonly roi?: boolean;
  readonly labels?: 'fine' | 'coarse';
}

/**
 * Training and test data at `uri`: `builtin:NAME` (`generators.ts`), a folder with IDX files (`idx.node.ts`), CIFAR binaries
 * (`cifar.node.ts`), strips (`strips.node.ts`), WAV files (`wav.node.ts`) or
 * pictures (`folder.node.ts`), a `.npz` file (`npz-images.ts`) or a table of paths (`csv-paths.node.ts`); then as `options.fit` says. A part that is not there is left out. Fails where it is none of them.
 */
export async function loadData(uri: string, options: LoadOptions = {}): Promise<LoadedData> {
  const raw = await loadRaw(uri, options);
  if (options.fit === undefined) return raw;
  const { fit } = options;
  const fitted: LoadedData = { ...raw };
  if (raw.train) fitted.train = fitDataset(raw.train, fit);
  if (raw.test) fitted.test = fitDataset(raw.test, fit);
  const [before, after] = [raw.train ?? raw.test, fitted.train ?? fitted.test];
  const note = before && after && fitNote(before, after);
  if (note !== undefined) options.note?.(note);
  return fitted;
}

async function loadRaw(uri: string, options: LoadOptions): Promise<LoadedData> {
  if (isBuiltin(uri)) return loadBuiltin(uri, options);
  const where = `data: ${uri}`;
  const { path, query } = await splitSettings(uri);
  const found = await stat(path).catch((error: unknown) => readError(error, where, path));
  if (found.isDirectory()) return loadFrom(path, where, query, options);
  const settings = readSettings(query, where);
  if (!found.isFile()) fail({ where, what: 'neither a file nor a folder', expected: DATA_KINDS });
  const start = await firstBytes(path, where);
  if (looksZip(start)) return imagesFromArrays(await loadNpz(path), path, options);
  if (/\.(csv|tsv)$/i.test(path)) return loadTable(path, settings, options);
  const record = /^(data_batch_\d|test_batch|train|test)\.bin$/.test(basename(path));
  if (record) return loadCifar(oneCifarFile(path), settings);
  return fail({ where, what: 'not a kind of file that holds data', expected: DATA_KINDS, got: startText(start) });
}

async function loadFrom(dir: string, where: string, query: string, options: LoadOptions): Promise<LoadedData> {
  const index = join(dir, 'index.csv');
  const indexed = (await stat(index).catch(() => undefined)) !== undefined;
  const wavs = indexed ? undefined : await findWavs(dir);
  if (wavs !== undefined) return loadWavs(wavs, query, where, options);
  const settings = readSettings(query, where);
  const pairs = await findIdx(dir);
  if (pairs.train !== undefined || pairs.test !== undefined) return loadIdx(pairs, options.classes, options.note);
  const cifar = await findCifar(dir);
  if (cifar !== undefined) return loadCifar(cifar, settings);
  if (indexed) return loadTable(index, settings, options);
  const signs = await findSignTables(dir);
  if (signs !== undefined) return loadCsv(signs.root, await joinSignTables(signs), { ...options, roi: settings.roi });
  if (await looksLikeImageFolder(dir)) return loadFolder(dir, options);
  return fail({
    where,
    what: 'no data found in this folder',
    expected:
      'one sub-folder of pictures (PNG, JPEG, PPM, PGM) or of WAV files for each class, WAV files called <label>_<speaker>_<index>.wav, IDX files (train-images-idx3-ubyte, plain or .gz), CIFAR binaries (data_batch_1.bin) or an index.csv',
  });
}

async function loadTable(path: string, settings: Settings, options: LoadOptions): Promise<LoadedData> {
  const table = await readTable(path);
  if (await looksLikeStrips(path, table)) return loadStrips(path, table, options);
  return loadCsv(path, table, { ...options, roi: settings.roi });
}

function oneCifarFile(path: string): CifarFiles {
  const name = basename(path);
  const test = name.startsWith('test');
  const kind = name === 'train.bin' || name === 'test.bin' ? 'cifar100' : 'cifar10';
  return { dir: dirname(path), kind, train: test ? [] : [name], test: test ? [name] : [] };
}

/** Cuts `?name=value` off, unless a file is really called so. */
async function splitSettings(uri: string): Promise<{ path: string; query: string }> {
  const at = uri.lastIndexOf('?');
  if (at < 0 || (await stat(uri).catch(() => undefined))) return { path: uri, query: '' };
  return { path: uri.slice(0, at), query: uri.slice(at + 1) };
}

/** What can be said of pictures; for sound see `sound-settings.ts`. */
function readSettings(query: string, where: string): Settings {
  const settings: { roi?: boolean; labels?: 'fine' | 'coarse' } = {};
  for (const [key, value] of new URLSearchParams(query)) {
    if (key === 'roi' && (value === '1' || value === '0')) settings.roi = value === '1';
    else if (key === 'labels' && (value === 'fine' || value === 'coarse')) settings.labels = value;
    else fail({ where, what: `unknown setting "${key}=${value}"`, expected: 'roi=1 (tables) or labels=coarse (CIFAR-100)', exitCode: 2 });
  }
  return settings;
}

async function firstBytes(path: string, where: string): Promise<Uint8Array> {
  const file = await open(path, 'r').catch((error: unknown) => readError(error, where, path));
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(64), 0, 64, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function startText(start: Uint8Array): string {
  if (start.length === 0) return 'an empty file';
  if (start[0] === 0x80 && start[1] <= 5) return 'a pickle, which runs code when it is read';
  return `a file that starts with ${[...start.subarray(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ')}`;
}
