/**
 * The binary files of CIFAR-10 (a label byte, then 3,072 bytes a 32x32 RGB image) and CIFAR-100 (coarse label, fine label, image), as
 * Krizhevsky publishes them.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail } from '../core/errors.ts';
import type { Dataset, Role } from './dataset.ts';
import { readError } from './files.node.ts';
import type { LoadedData } from './loaded.ts';
import { makeDataset } from './make.ts';

export interface CifarOptions {
  /** Which of CIFAR-100's two labels; default fine. */
  readonly labels?: 'fine' | 'coarse';
}

export interface CifarFiles {
  readonly dir: string;
  readonly kind: 'cifar10' | 'cifar100';
  readonly train: readonly string[];
  readonly test: readonly string[];
}

const IMAGE = 3 * 32 * 32;
/** Where the archives put them. */
const SUBFOLDERS = ['', 'cifar-10-batches-bin', 'cifar-100-binary'];
const CIFAR10 = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];

/** The files in a folder or where the archives put them below it; undefined where there are none. */
export async function findCifar(dir: string): Promise<CifarFiles | undefined> {
  for (const sub of SUBFOLDERS) {
    const folder = join(dir, sub);
    const names = (await readdir(folder).catch(() => [])).sort();
    const batches = names.filter((name) => /^data_batch_\d\.bin$/.test(name));
    if (batches.length > 0 || names.includes('test_batch.bin')) {
      return { dir: folder, kind: 'cifar10', train: batches, test: names.filter((name) => name === 'test_batch.bin') };
    }
    if (names.includes('train.bin') || names.includes('test.bin')) {
      const of = (name: string): string[] => names.filter((n) => n === name);
      return { dir: folder, kind: 'cifar100', train: of('train.bin'), test: of('test.bin') };
    }
    if (names.some((name) => /^data_batch_\d$/.test(name))) {
      fail({
        where: `data: ${folder}`,
        what: 'the Python version of CIFAR is pickled, and a pickle runs code when it is read',
        expected: 'data_batch_1.bin and its like',
        hint: 'the binary version (cifar-10-binary.tar.gz)',
      });
    }
  }
  return undefined;
}

/**
 * The images of such files, RGB 32x32.
 * Throws SecateurError where a file is not a whole number of records or a label is out of range, naming the record.
 */
export async function loadCifar(files: CifarFiles, options: CifarOptions = {}): Promise<LoadedData> {
  const coarse = options.labels === 'coarse';
  if (coarse && files.kind === 'cifar10') {
    fail({ where: `data: ${files.dir}`, what: 'CIFAR-10 has no coarse labels', expected: 'CIFAR-100', got: '?labels=coarse', exitCode: 2 });
  }
  const head = files.kind === 'cifar10' ? 1 : 2;
  const count = files.kind === 'cifar10' ? 10 : coarse ? 20 : 100;
  const names = await classNames(files, coarse, count);
  const part = async <R extends Role>(role: R, list: readonly string[]): Promise<Dataset<R>> => {
    const labels: number[] = [];
    const chunks: Uint8Array[] = [];
    for (const name of list) {
      const path = join(files.dir, name);
      const where = `data: ${path}`;
      const bytes: Uint8Array = await readFile(path).catch((error: unknown) => readError(error, where, path));
      const record = head + IMAGE;
      if (bytes.length === 0 || bytes.length % record !== 0) {
        // the other kind's records fit: it has the wrong name
        const other = bytes.length > 0 && bytes.length % (3 - head + IMAGE) === 0;
        const hint = other
          ? 'the name of its kind: CIFAR-10 files are data_batch_N.bin, CIFAR-100 files train.bin and test.bin'
          : 'copying or downloading the file again';
        fail({
          where,
          what: 'file is not a whole number of images',
          expected: `a multiple of ${record} bytes`,
          got: `${bytes.length}`,
          hint,
        });
      }
      const pixels = new Uint8Array((bytes.length / record) * IMAGE);
      for (let i = 0; i * record < bytes.length; i++) {
        const label = bytes[i * record + (head === 2 && !coarse ? 1 : 0)];
        if (label >= count) fail({ where, what: `label of image ${i} is out of range`, expected: `0 to ${count - 1}`, got: `${label}` });
        labels.push(label);
        pixels.set(bytes.subarray(i * record + head, (i + 1) * record), i * IMAGE);
      }
      chunks.push(pixels);
    }
    const pixels = new Uint8Array(labels.length * IMAGE);
    let at = 0;
    for (const chunk of chunks) {
      pixels.set(chunk, at);
      at += chunk.length;
    }
    return makeDataset({
      role,
      source: files.dir,
      channels: 3,
      height: 32,
      width: 32,
      pixels,
      labels: Int32Array.from(labels),
      classes: names,
    });
  };
  const result: LoadedData = {};
  if (files.train.length > 0) result.train = await part('train', files.train);
  if (files.test.length > 0) result.test = await part('test', files.test);
  return result;
}

/** From the text files beside the data; CIFAR-10's are known, others are numbers without them. */
async function classNames(files: CifarFiles, coarse: boolean, count: number): Promise<readonly string[]> {
  const file = files.kind === 'cifar10' ? 'batches.meta.txt' : `${coarse ? 'coarse' : 'fine'}_label_names.txt`;
  const text = await readFile(join(files.dir, file), 'utf8').catch(() => '');
  const names = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  if (names.length === count) return names;
  return files.kind === 'cifar10' ? CIFAR10 : Array.from({ length: count }, (_, i) => String(i));
}
