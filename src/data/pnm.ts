/** Netpbm's pictures, as GTSRB and the Yale faces come: PGM (grey) and PPM (RGB), plain or binary, 8 or 16 bits. */
import { fail } from '../core/errors.ts';
import { checkPictureSize } from './picture-size.ts';
import type { Picture } from './resize.ts';

/** `P2` to `P6`; `P1` and `P4` are bitmaps, `P7` is another format. */
export function looksPnm(bytes: Uint8Array): boolean {
  return bytes.length >= 3 && bytes[0] === 0x50 && [0x32, 0x33, 0x35, 0x36].includes(bytes[1]) && isSpace(bytes[2]);
}

const isSpace = (b: number): boolean => b === 0x20 || (b >= 0x09 && b <= 0x0d);

/** One picture; values are scaled from 0..maxval to bytes. `where` names the file. Throws SecateurError where it is damaged or too large. */
export function decodePnm(bytes: Uint8Array, where: string): Picture {
  const damaged = (got: string): never => fail({ where, what: 'PPM or PGM file is damaged', expected: 'a whole file', got });
  const channels = bytes[1] === 0x33 || bytes[1] === 0x36 ? 3 : 1;
  const plain = bytes[1] === 0x32 || bytes[1] === 0x33;
  let at = 2;
  const number = (what: string): number => {
    for (; at < bytes.length && (isSpace(bytes[at]) || bytes[at] === 0x23); at++) {
      // a comment goes to the end of its line
      if (bytes[at] === 0x23) while (at < bytes.length && bytes[at] !== 0x0a) at++;
    }
    const start = at;
    let value = 0;
    for (; at < bytes.length && bytes[at] >= 0x30 && bytes[at] <= 0x39 && at - start < 9; at++) value = value * 10 + bytes[at] - 0x30;
    return at > start ? value : damaged(at >= bytes.length ? `an end before the ${what}` : `no number for the ${what}`);
  };
  const [width, height, most] = [number('width'), number('height'), number('largest value')];
  checkPictureSize(width, height, where);
  if (most < 1 || most > 65535) damaged(`largest value ${most}`);
  const plane = width * height;
  const count = plane * channels;
  const wide = most > 255;
  const start = at + 1;
  if (!plain && bytes.length - start < count * (wide ? 2 : 1)) damaged(`${bytes.length} bytes for ${width}x${height}x${channels}`);
  // two digits' worth of bytes at least, so that a short text cannot claim a large picture
  if (plain && bytes.length - at < count * 2 - 1) damaged(`${bytes.length} bytes for ${count} numbers`);
  const pixels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const raw = plain ? number('pixels') : wide ? (bytes[start + 2 * i] << 8) | bytes[start + 2 * i + 1] : bytes[start + i];
    if (raw > most) damaged(`value ${raw} above ${most}`);
    pixels[(i % channels) * plane + Math.floor(i / channels)] = most === 255 ? raw : Math.round((raw * 255) / most);
  }
  return { channels, height, width, pixels };
}
