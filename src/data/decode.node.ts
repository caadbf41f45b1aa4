/** Pictures from files: PNG, JPEG, PPM and PGM, told by content. PNG by pngjs, JPEG by libjpeg-turbo as WebAssembly: bit by bit what PIL reads. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { inflateSync } from 'node:zlib';
import { PNG, type PNGWithMetadata } from 'pngjs';
import { fail } from '../core/errors.ts';
import { checkPictureSize } from './picture-size.ts';
import { decodePnm, looksPnm } from './pnm.ts';
import type { Picture } from './resize.ts';

/** What is read, for errors. */
export const READ_FORMATS = 'PNG, JPEG, PPM or PGM';
const PNG_START = [0x89, 0x50, 0x4e, 0x47];

/** Other people's pictures, by their first bytes; `....` stands for any four. */
const NOT_READ: readonly (readonly [name: string, start: string])[] = [
  ['GIF', 'GIF8'],
  ['BMP', 'BM'],
  ['TIFF', 'II*\0'],
  ['TIFF', 'MM\0*'],
  ['WebP', 'RIFF....WEBP'],
  ['AVIF or HEIC', '....ftyp'],
  ['a bitmap of Netpbm', 'P1'],
  ['a bitmap of Netpbm', 'P4'],
  ['PAM', 'P7'],
  ['an HTML page', '<!DOC'],
  ['an HTML page', '<html'],
  ['a Git LFS pointer', 'version https://git-lfs'],
];

/**
 * One picture; colour stays colour and grey stays grey. Transparent pixels let `background` (a grey, 0..255) show through.
 * `where` names the file. Throws SecateurError where it is no picture, one of another format, a damaged one or too large.
 */
export function decodePicture(bytes: Uint8Array, where: string, background = 255): Picture {
  if (PNG_START.every((b, i) => bytes[i] === b)) return decodePng(bytes, where, background);
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return decodeJpeg(bytes, where);
  if (looksPnm(bytes)) return decodePnm(bytes, where);
  const text = String.fromCharCode(...bytes.subarray(0, 32));
  const known = NOT_READ.find(([, start]) => [...start].every((c, i) => c === '.' || text[i] === c));
  const first = [...bytes.subarray(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
  return fail({
    where,
    what: known === undefined ? 'not a picture' : 'picture is not read',
    expected: READ_FORMATS,
    got: known?.[0] ?? (first === '' ? 'an empty file' : `a file that starts with ${first}`),
    hint: known === undefined || !/^[A-Z]/.test(known[0]) ? undefined : 'converting it to PNG',
  });
}

function decodePng(bytes: Uint8Array, where: string, background: number): Picture {
  const damaged = (got: string, cause?: unknown): never =>
    fail({ where, what: 'PNG file is damaged', expected: 'a whole PNG file', got, cause });
  if (bytes.length < 33) damaged(`${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  checkPictureSize(width, height, where);
  if (bytes[28] !== 0) checkInterlaced(bytes, view, width, height, damaged);
  let png: PNGWithMetadata;
  try {
    png = PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (cause) {
    return damaged(cause instanceof Error ? cause.message : String(cause), cause);
  }
  return flatten(png, png.color ? 3 : 1, background);
}

/** pngjs unpacks interlaced pictures without a limit, so it is done here once before. */
function checkInterlaced(bytes: Uint8Array, view: DataView, width: number, height: number, damaged: (got: string) => never): void {
  const parts: Uint8Array[] = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.length) break;
    if (view.getUint32(at + 4) === 0x49444154) parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  // at most 8 bytes a pixel, and one for each row of each of the seven passes
  const most = width * height * 8 + height * 7 + 64;
  try {
    inflateSync(Buffer.concat(parts), { maxOutputLength: most });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    damaged(code === 'ERR_BUFFER_TOO_LARGE' ? `more than ${most} bytes for ${width}x${height}` : String((error as Error).message));
  }
}

function flatten({ width, height, data }: PNGWithMetadata, channels: 1 | 3, background: number): Picture {
  const plane = width * height;
  const pixels = new Uint8Array(channels * plane);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < plane; i++) {
      const alpha = data[i * 4 + 3];
      const value = data[i * 4 + c];
      pixels[c * plane + i] = alpha === 255 ? value : Math.round((value * alpha + background * (255 - alpha)) / 255);
    }
  }
  return { channels, height, width, pixels };
}

interface TurboDecoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  getFrameInfo(): { width: number; height: number; componentCount: number };
  getDecodedBuffer(): Uint8Array;
  delete(): void;
}
type Turbo = { readonly JPEGDecoder: new () => TurboDecoder };

let turbo: Turbo | undefined;

/** Opened when the first JPEG comes. */
export async function openJpegDecoder(): Promise<void> {
  if (turbo !== undefined) return;
  const require = createRequire(import.meta.url);
  const open = require('@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs') as (o: { wasmBinary: Uint8Array }) => Promise<Turbo>;
  turbo = await open({ wasmBinary: readFileSync(require.resolve('@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasm')) });
}

export function looksJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8;
}

function decodeJpeg(bytes: Uint8Array, where: string): Picture {
  const { width, height, components } = jpegFrame(bytes, where);
  if (components !== 1 && components !== 3) {
    const got = components === 4 ? 'four (CMYK)' : String(components);
    fail({ where, what: 'JPEG file is not read', expected: 'one or three colour components', got, hint: 'converting it to RGB' });
  }
  if (turbo === undefined) throw new Error('openJpegDecoder first');
  const decoder = new turbo.JPEGDecoder();
  try {
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    const raw = decoder.getDecodedBuffer();
    const channels = components;
    const plane = width * height;
    if (raw.length !== plane * channels) throw new Error(`${raw.length} bytes for ${width}x${height}`);
    const pixels = new Uint8Array(channels * plane);
    for (let c = 0; c < channels; c++) for (let i = 0; i < plane; i++) pixels[c * plane + i] = raw[i * channels + c];
    return { channels, height, width, pixels };
  } catch (cause) {
    // what C++ throws is a number that says nothing
    const got = cause instanceof Error ? cause.message : 'an end or a code where none belongs';
    return fail({ where, what: 'JPEG file is damaged', expected: 'a whole JPEG file', got, cause });
  } finally {
    decoder.delete();
  }
}

/** Size and components from the frame header (ITU-T T.81, B.2.2), before anything is decoded. */
function jpegFrame(bytes: Uint8Array, where: string): { width: number; height: number; components: 1 | 3 } & { components: number } {
  const damaged = (got: string): never => fail({ where, what: 'JPEG file is damaged', expected: 'a whole JPEG file', got });
  for (let at = 2; at + 9 < bytes.length; ) {
    if (bytes[at] !== 0xff) damaged('no marker where one belongs');
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++;
      continue;
    }
    const length = (bytes[at + 2] << 8) | bytes[at + 3];
    const frame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (frame) {
      const [height, width] = [(bytes[at + 5] << 8) | bytes[at + 6], (bytes[at + 7] << 8) | bytes[at + 8]];
      checkPictureSize(width, height, where);
      if (bytes[at + 4] !== 8) {
        fail({
          where,
          what: 'JPEG file is not read',
          expected: '8 bits a colour',
          got: String(bytes[at + 4]),
          hint: 'converting it to PNG',
        });
      }
      return { width, height, components: bytes[at + 9] as 1 | 3 };
    }
    if (marker === 0xd9 || marker === 0xda) break;
    at += 2 + length;
  }
  return damaged('no frame in it');
}
