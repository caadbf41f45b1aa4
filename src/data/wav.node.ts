/** Folders of WAV files: digits spoken by several people, as `<label>_<speaker>_<index>.wav` or in one sub-folder a class. */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fail } from '../core/errors.ts';
import type { Dataset, Groups, ImageShape, Role } from './dataset.ts';
import { readError } from './files.node.ts';
import type { Fit } from './fit.ts';
import { entries } from './folder.node.ts';
import { byPrefix, groupsOf, prefixKey, prefixName } from './groups.ts';
import type { LoadedData } from './loaded.ts';
import { naturalOrder } from './natural-order.ts';
import { soundDataset } from './sound-data.ts';
import { recorder } from './sound-resample.ts';
import { readSoundSettings, type SoundSettings } from './sound-settings.ts';
import { readWav } from './wav.ts';

export interface WavOptions {
  /** Size that a network wants: the spectrograms are drawn in it, unless the address says another. */
  readonly fit?: Fit;
  /** `speaker` (default where names have one), `prefix` (the name up to its last `_` or `-`) or `none`. */
  readonly groupBy?: string;
  /** Told what was decided that the user may not expect. */
  readonly note?: (text: string) => void;
}

const WAV_NAMES = /\.wave?$/i;
/** Sound that is not read: left out silently, it would shrink a class. */
const OTHER_NAMES = /\.(mp3|flac|ogg|opus|m4a|aac|aiff?|au|wma)$/i;
/** `3_theo_17.wav`; a speaker's name may have `_` in it. */
const FLAT_NAME = /^([^_]+)_(.+)_([^_]+)\.wave?$/i;
/** Files read at once. */
const BATCH = 64;

interface WavFile {
  readonly path: string;
  readonly label: string;
  readonly speaker: string;
}

/** WAV files of a folder, in natural order. Fails where other sound is among them. */
async function wavFiles(dir: string): Promise<string[]> {
  const { files } = await entries(dir);
  const wavs = files.filter((name) => WAV_NAMES.test(name));
  const other = files.find((name) => OTHER_NAMES.test(name));
  if (other !== undefined && wavs.length > 0) {
    const hint = 'ffmpeg -i FILE -c:a pcm_s16le FILE.wav';
    fail({ where: `data: ${join(dir, other)}`, what: 'sound of a kind that is not read', expected: 'WAV', got: other, hint });
  }
  return wavs;
}

/** A folder of recordings, and how it is laid out. */
export interface WavFolder {
  readonly dir: string;
  /** All files in one folder and the label in the name, or one sub-folder a class. */
  readonly flat: boolean;
}

/** Where in `dir` the recordings lie: in it, in its only sub-folder, or in one sub-folder for each class; undefined where none do. */
export async function findWavs(dir: string): Promise<WavFolder | undefined> {
  if ((await wavFiles(dir)).length > 0) return { dir, flat: true };
  const { folders } = await entries(dir);
  if (folders.length === 1) {
    const only = join(dir, folders[0]);
    const names = await wavFiles(only);
    if (names.length > 0 && names.every((name) => FLAT_NAME.test(name))) return { dir: only, flat: true };
  }
  for (const name of isParted(folders) ? folders.filter(isRead) : folders) {
    const inside = isParted(folders) ? await findWavs(join(dir, name)) : undefined;
    if (inside !== undefined) return { dir, flat: inside.flat };
    if ((await wavFiles(join(dir, name))).length > 0) return { dir, flat: false };
  }
  return undefined;
}

/** A part that is read. */
const isRead = (name: string): boolean => name === 'train' || name === 'test';
/** A part that is not: the defender's recordings are taken from the training part. */
const VALIDATION = /^(val|valid|validation|dev)$/i;

/** Parts, whatever lies beside them, and not a class of trains. */
function isParted(folders: readonly string[]): boolean {
  if (folders.includes('train') && folders.includes('test')) return true;
  return folders.some(isRead) && folders.every((name) => isRead(name) || VALIDATION.test(name));
}

/** The files of one part with label and speaker. Fails where a name of a flat folder says no label, or there is nothing. */
async function listPart(dir: string, flat: boolean): Promise<WavFile[]> {
  if (flat) {
    return (await wavFiles(dir)).map((name) => {
      const parts = FLAT_NAME.exec(name);
      if (parts === null) {
        const hint = 'one sub-folder for each class, with any names';
        fail({
          where: `data: ${join(dir, name)}`,
          what: 'the name says no label',
          expected: '<label>_<speaker>_<index>.wav',
          got: name,
          hint,
        });
      }
      return { path: join(dir, name), label: parts[1], speaker: parts[2] };
    });
  }
  const { folders } = await entries(dir);
  const files: WavFile[] = [];
  for (const label of folders) {
    const names = await wavFiles(join(dir, label));
    if (names.length === 0) fail({ where: `data: ${join(dir, label)}`, what: 'class folder is empty', expected: 'WAV files in it' });
    files.push(...names.map((name) => ({ path: join(dir, label, name), label, speaker: speakerOf(label, name) })));
  }
  return files;
}

/** Who speaks in a file of a class folder, the same in all of them, were it a number; a name that says no one is somebody else's each time. */
function speakerOf(label: string, name: string): string {
  const [speaker, stem] = [byPrefix(name), name.replace(WAV_NAMES, '')];
  return speaker === stem && /^\d+$/.test(stem) ? `${label}/${stem}` : speaker;
}

/** Which recordings are of one speaker; undefined where nothing says it. */
function speakers(files: readonly WavFile[], groupBy: string | undefined, dir: string): Groups | undefined {
  if (groupBy === 'none') return undefined;
  if (groupBy !== undefined && groupBy !== 'prefix' && groupBy !== 'speaker') {
    const expected = 'speaker, prefix (names up to the last _ or -) or none';
    fail({ where: '--group-by', what: `no such column in ${dir}`, expected, got: groupBy, exitCode: 2 });
  }
  if (groupBy === 'prefix') {
    const classes = [...new Set(files.map((file) => file.label))];
    return groupsOf(
      'prefix',
      files.map(({ path, label }) => prefixKey(classes.indexOf(label), basename(path))),
      (i) => prefixName(files[i].label, basename(files[i].path)),
    );
  }
  const found = groupsOf(
    'speaker',
    files.map((file) => file.speaker),
    (i) => files[i].speaker,
  );
  const count = new Set(found.ids).size;
  // names that are all different, or all alike, say nothing about who speaks
  return groupBy === 'speaker' || (count > 1 && count < files.length) ? found : undefined;
}

async function readAll(files: readonly WavFile[], rate: number, note?: (text: string) => void): Promise<Int16Array[]> {
  const record = recorder(rate);
  const recordings: Int16Array[] = [];
  const rates = new Map<number, number>();
  let mixed = 0;
  for (let start = 0; start < files.length; start += BATCH) {
    const some = await Promise.all(
      files.slice(start, start + BATCH).map(async ({ path }) => {
        const where = `data: ${path}`;
        return readWav(await readFile(path).catch((error: unknown) => readError(error, where, path)), where);
      }),
    );
    for (const sound of some) {
      rates.set(sound.rate, (rates.get(sound.rate) ?? 0) + 1);
      if (sound.channels.length > 1) mixed++;
      recordings.push(record(sound));
    }
  }
  const others = [...rates].filter(([from]) => from !== rate);
  if (others.length > 0) {
    const text = others.map(([from, n]) => `${n} of ${from} Hz`).join(', ');
    note?.(`recordings brought to ${rate} samples per second: ${text} (?rate= in the address says another)`);
  }
  if (mixed > 0) note?.(`${mixed} recordings have more than one channel: the mean is taken`);
  return recordings;
}

/**
 * Reads a folder of recordings as spectrograms (`spectrogram.ts`), keeping the recordings in `sound`: files called
 * `<label>_<speaker>_<index>.wav` in it or in its only sub-folder, or one sub-folder a class; with `train` and `test` inside, both parts
 * (other folders beside them are left out, which is said where they hold recordings).
 * Groups are the speakers where names say them (in class folders the name up to its last `_` or `-`, the same speaker in every class), numbered
 * in the order in which they appear, that is by label, then by name. Every recording is brought to one rate and one channel.
 * @param query what follows `?` in the address: `size=64`, `size=64x48` (height x width), `channels=1|3`, `rate=8000`, `scale=mel|linear`,
 *   `window=0.025`, `low=50`, `high=4000`, `range=60`, `span=word` or seconds
 * @throws SecateurError where a file is damaged or no WAV file, a name says no label, or a setting is unknown
 */
export async function loadWavs(found: WavFolder, query: string, where: string, options: WavOptions = {}): Promise<LoadedData> {
  const { dir, flat } = found;
  const settings = readSoundSettings(query, where);
  const { fit } = options;
  const usual = settings.shape;
  const shape: ImageShape = {
    channels: settings.given.channels ? usual.channels : (fit?.channels ?? usual.channels),
    height: settings.given.size ? usual.height : (fit?.height ?? usual.height),
    width: settings.given.size ? usual.width : (fit?.width ?? usual.width),
  };
  const { folders } = await entries(dir);
  const part = async <R extends Role>(at: string, role: R, known?: readonly string[]): Promise<Dataset<R>> =>
    readPart(at, role, { flat, settings, shape, known, options });
  if (!isParted(folders)) return { train: await part(dir, 'train'), undivided: true };
  for (const name of folders.filter((folder) => !isRead(folder))) {
    if ((await findWavs(join(dir, name))) === undefined) continue;
    const why = VALIDATION.test(name) ? "the defender's own recordings are taken from the training part" : 'neither train nor test';
    options.note?.(`the folder "${name}" is left out: ${why}`);
  }
  const result: LoadedData = {};
  const inner = async (name: string): Promise<string> =>
    flat ? ((await findWavs(join(dir, name)))?.dir ?? join(dir, name)) : join(dir, name);
  if (folders.includes('train')) result.train = await part(await inner('train'), 'train');
  if (folders.includes('test')) result.test = await part(await inner('test'), 'test', result.train?.classes);
  return result;
}

interface PartOptions {
  readonly flat: boolean;
  readonly settings: SoundSettings;
  readonly shape: ImageShape;
  /** The classes of the training part, which the test part must keep to (it may lack some). */
  readonly known?: readonly string[];
  readonly options: WavOptions;
}

async function readPart<R extends Role>(dir: string, role: R, o: PartOptions): Promise<Dataset<R>> {
  const files = await listPart(dir, o.flat);
  if (files.length === 0) fail({ where: `data: ${dir}`, what: 'no recordings', expected: 'WAV files' });
  const classes = o.known ?? [...new Set(files.map((file) => file.label))].sort(naturalOrder);
  const stranger = files.find((file) => !classes.includes(file.label));
  if (stranger !== undefined) {
    const expected = classes.join(', ');
    fail({ where: `data: ${stranger.path}`, what: 'class is not in the training part', expected, got: stranger.label });
  }
  const groups = speakers(files, o.options.groupBy, dir);
  if (groups !== undefined && o.options.groupBy === undefined && role === 'train') {
    o.options.note?.('recordings of the same speaker stay together when some are held out (--group-by none parts them)');
  }
  const { rate, view } = o.settings;
  const recordings = await readAll(files, rate, o.options.note);
  const labels = Int32Array.from(files, (file) => classes.indexOf(file.label));
  return soundDataset({ role, source: dir, labels, classes, sound: { rate, recordings, view }, ...(groups && { groups }) }, o.shape);
}
