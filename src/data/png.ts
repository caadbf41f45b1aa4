/** Writes PNG files in memory, in the browser as in Node: pictures of triggers, contact sheets, filters. Reading is `folder.node.ts`'s. */

import { zlibSync } from 'fflate';
import { joinBytes } from '../core/bytes.ts';
import { fail } from '../core/errors.ts';

/** PNG's colour types: grey, RGB, RGBA. */
const COLOUR_TYPES: Readonly<Record<number, number>> = { 1: 0, 3: 2, 4: 6 };
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/** CRC-32 as in PNG and gzip (ISO 3309). */
export function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const b of bytes) c = CRC_TABLE[(c ^ b) & 0xff] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function chunk(type: string, body: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + body.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length);
  for (let i = 0; i < 4; i++) out[4 + i] = type.charCodeAt(i);
  out.set(body, 8);
  view.setUint32(8 + body.length, crc32(out.subarray(4, 8 + body.length)));
  return out;
}

/**
 * An 8-bit PNG file. `pixels` are `[H,W,C]` row-major (the order of a screen, not of a network), C = 1 grey, 3 RGB or 4 RGBA.
 * The same pixels give the same bytes. Fails where the byte count does not fit the size.
 */
export function encodePng(pixels: Uint8Array | Uint8ClampedArray, width: number, height: number, channels: number): Uint8Array {
  const colourType = COLOUR_TYPES[channels];
  if (colourType === undefined) {
    fail({ where: 'png', what: 'cannot be written', expected: '1, 3 or 4 channels', got: `${channels}` });
  }
  const stride = width * channels;
  if (pixels.length !== stride * height || pixels.length === 0) {
    const expected = `${stride * height} bytes for ${width}x${height}x${channels}`;
    fail({ where: 'png', what: 'pixels do not fit the size', expected, got: `${pixels.length}` });
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, colourType, 0, 0, 0], 8);
  // Filter type 0 before every row: the pictures here are small, and most are flat.
  const rows = new Uint8Array((stride + 1) * height);
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * stride, (y + 1) * stride), y * (stride + 1) + 1);
  const parts = [
    Uint8Array.from(SIGNATURE),
    chunk('IHDR', header),
    chunk('IDAT', zlibSync(rows, { level: 9 })),
    chunk('IEND', new Uint8Array(0)),
  ];
  return joinBytes(parts);
}
