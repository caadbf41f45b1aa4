/** WAV files: RIFF/WAVE with plain samples, whole numbers of 8 to 32 bits or floating point, any number of channels. */
import { fail } from '../core/errors.ts';

/** One recording as a file holds it. */
export interface WavSound {
  /** Samples per second. */
  readonly rate: number;
  /** One array for each channel, all of one length, -1..1 (floating-point files may go beyond). */
  readonly channels: readonly Float32Array[];
}

const FORMATS: Readonly<Record<number, string>> = {
  2: 'Microsoft ADPCM',
  6: 'A-law',
  7: 'mu-law',
  17: 'IMA ADPCM',
  49: 'GSM 6.10',
  80: 'MPEG audio',
  85: 'MP3',
};
const PCM = 1;
const FLOAT = 3;
/** The real format stands in the first two bytes of a GUID further on. */
const EXTENSIBLE = 0xfffe;
/** A recording longer than that is no word; also what keeps a damaged header from asking for all memory. */
const MOST_SAMPLES = 2 ** 28;
const RATES = { least: 1000, most: 768_000 };
const READ = 'PCM of 8, 16, 24 or 32 bits, or floating point of 32 or 64';

/** Other people's sound, by its first bytes; `....` stands for any four. */
const OTHERS: readonly (readonly [name: string, start: string])[] = [
  ['a WAV file in big-endian order (RIFX)', 'RIFX'],
  ['a WAV file of more than 4 GB (RF64)', 'RF64'],
  ['FLAC', 'fLaC'],
  ['Ogg', 'OggS'],
  ['MP3', 'ID3'],
  ['AIFF', 'FORM....AIF'],
  ['an AU file', '.snd'],
  ['a video or another RIFF file', 'RIFF'],
  ['an MP4 file', '....ftyp'],
  ['a Git LFS pointer', 'version https://git-lfs'],
];

interface Format {
  readonly code: number;
  readonly channels: number;
  readonly rate: number;
  readonly bits: number;
}

/**
 * Reads a WAV file (Microsoft and IBM, Multimedia Programming Interface and Data Specifications 1.0, 1991; WAVE_FORMAT_EXTENSIBLE since).
 * Chunks other than `fmt ` and `data` are passed over. A `data` chunk that is cut short, or whose size was never written (recorders that
 * stream leave 0 or 0xFFFFFFFF), is read to the end of the file; 0 means none where whole chunks follow.
 * @param where names the file in errors
 * @returns samples scaled to -1..1: 8 bits (v - 128) / 128, n bits v / 2^(n-1), floating point as it is
 * @throws SecateurError where it is no WAV file, compressed, damaged or without samples
 */
export function readWav(bytes: Uint8Array, where: string): WavSound {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (tag(0) !== 'RIFF' || tag(8) !== 'WAVE') notWav(bytes, where);
  let format: Format | undefined;
  let at = 12;
  while (at + 8 <= bytes.length) {
    const name = tag(at);
    const size = view.getUint32(at + 4, true);
    const start = at + 8;
    if (name === 'fmt ') format = readFormat(view, start, size, where);
    if (name === 'data') {
      if (format === undefined) damaged(where, 'a fmt chunk before the samples', 'none');
      const rest = bytes.length - start;
      const unwritten = size === 0 && rest > 0 && rest % frameBytes(format) === 0 && !chunksTo(view, start);
      const unknown = size === 0xffffffff || unwritten;
      return readSamples(view, start, unknown ? rest : Math.min(size, rest), format, where);
    }
    // chunks begin at even places
    at = start + size + (size % 2);
  }
  return damaged(where, `chunks "fmt " and "data"`, format === undefined ? 'neither' : 'no data chunk');
}

/** Whether nothing but whole chunks lies between `at` and the end: a name in four printable letters, a size, that many bytes. */
function chunksTo(view: DataView, at: number): boolean {
  let next = at;
  while (next + 8 <= view.byteLength) {
    for (let i = 0; i < 4; i++) {
      const letter = view.getUint8(next + i);
      if (letter < 0x20 || letter > 0x7e) return false;
    }
    const size = view.getUint32(next + 4, true);
    next += 8 + size + (size % 2);
  }
  // the byte that fills up an odd chunk may be missing at the end
  return next === view.byteLength || next === view.byteLength + 1;
}

function notWav(bytes: Uint8Array, where: string): never {
  const text = String.fromCharCode(...bytes.subarray(0, 32));
  const known = OTHERS.find(([, start]) => [...start].every((c, i) => c === '.' || text[i] === c))?.[0];
  const got = bytes.length === 0 ? 'an empty file' : (known ?? `a file that starts with ${hex(bytes.subarray(0, 4))}`);
  const hint = known === undefined || known.startsWith('a Git') ? undefined : 'ffmpeg -i FILE -c:a pcm_s16le FILE.wav';
  return fail({ where, what: 'not a WAV file', expected: 'RIFF/WAVE', got, hint });
}

const hex = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, '0')).join(' ');

function damaged(where: string, expected: string, got: string): never {
  return fail({ where, what: 'damaged WAV file', expected, got });
}

const frameBytes = ({ bits, channels }: Format): number => (bits / 8) * channels;

function readFormat(view: DataView, start: number, size: number, where: string): Format {
  if (size < 16 || start + 16 > view.byteLength)
    damaged(where, 'a fmt chunk of at least 16 bytes', `${Math.min(size, view.byteLength - start)}`);
  let code = view.getUint16(start, true);
  if (code === EXTENSIBLE && size >= 26 && start + 26 <= view.byteLength) code = view.getUint16(start + 24, true);
  const format = {
    code,
    channels: view.getUint16(start + 2, true),
    rate: view.getUint32(start + 4, true),
    bits: view.getUint16(start + 14, true),
  };
  const { channels, rate, bits } = format;
  const fits = code === PCM ? [8, 16, 24, 32].includes(bits) : code === FLOAT && (bits === 32 || bits === 64);
  if (!fits) {
    const kind =
      code === PCM ? `PCM of ${bits} bits` : code === FLOAT ? `floating point of ${bits} bits` : (FORMATS[code] ?? `format ${code}`);
    const hint = 'ffmpeg -i FILE -c:a pcm_s16le NEW.wav';
    fail({ where, what: 'samples of a kind that is not read', expected: READ, got: kind, hint });
  }
  if (channels === 0) damaged(where, 'at least one channel', '0');
  if (rate < RATES.least || rate > RATES.most) damaged(where, `${RATES.least} to ${RATES.most} samples per second`, `${rate}`);
  return format;
}

function readSamples(view: DataView, start: number, size: number, format: Format, where: string): WavSound {
  const { code, channels, rate, bits } = format;
  const width = bits / 8;
  const count = Math.floor(size / frameBytes(format));
  if (count === 0) fail({ where, what: 'a recording without samples', expected: 'at least one' });
  if (count * channels > MOST_SAMPLES) {
    fail({ where, what: 'recording is too long', expected: `at most ${MOST_SAMPLES} samples`, got: `${count * channels}` });
  }
  const read = reader(view, code, bits);
  const out = Array.from({ length: channels }, () => new Float32Array(count));
  for (let i = 0, at = start; i < count; i++) {
    for (let c = 0; c < channels; c++, at += width) out[c][i] = read(at);
  }
  // whole numbers are always finite
  const odd = code === FLOAT ? out.findIndex((samples) => !samples.every(Number.isFinite)) : -1;
  if (odd >= 0) fail({ where, what: 'a sample is not a number', expected: 'finite samples', got: `channel ${odd} has others` });
  return { rate, channels: out };
}

function reader(view: DataView, code: number, bits: number): (at: number) => number {
  if (code === FLOAT) return bits === 32 ? (at) => view.getFloat32(at, true) : (at) => view.getFloat64(at, true);
  if (bits === 8) return (at) => (view.getUint8(at) - 128) / 128;
  if (bits === 16) return (at) => view.getInt16(at, true) / 2 ** 15;
  if (bits === 24) return (at) => (view.getUint8(at) + view.getInt16(at + 1, true) * 256) / 2 ** 23;
  return (at) => view.getInt32(at, true) / 2 ** 31;
}

/**
 * A WAV file of 16-bit PCM, one channel.
 * @param samples 16-bit samples
 * @param rate samples per second
 */
export function writeWav(samples: Int16Array, rate: number): Uint8Array {
  const bytes = new Uint8Array(44 + samples.length * 2);
  const view = new DataView(bytes.buffer);
  const tag = (at: number, text: string): void => bytes.set(new TextEncoder().encode(text), at);
  tag(0, 'RIFF');
  view.setUint32(4, bytes.length - 8, true);
  tag(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, PCM, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  tag(36, 'data');
  view.setUint32(40, samples.length * 2, true);
  for (const [i, v] of samples.entries()) view.setInt16(44 + i * 2, v, true);
  return bytes;
}
