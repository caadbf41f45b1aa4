/** Files that are compressed as a whole: joblib, NumPy and pandas unpack them unasked, and unpickle what is in them. */
import { Gunzip, Unzlib } from 'fflate';
import { type ByteSource, bytesSource } from '../../data/zip.ts';
import { beginsPickle } from './pickle.ts';

/** Compressed bytes that are handed on at once, and unpacked bytes that are looked at. */
const PIECE = 512;
const LOOKED = 1 << 16;

/** The first bytes of what a file in the form of gzip or zlib unpacks to; nothing for other forms. */
function unpackedStart(source: ByteSource): Uint8Array {
  const first = source.size < 2 ? 0 : source.read(0, 1)[0];
  if (first !== 0x1f && first !== 0x78) return new Uint8Array();
  const out = new Uint8Array(LOOKED);
  let length = 0;
  const take = (chunk: Uint8Array): void => {
    const piece = chunk.subarray(0, LOOKED - length);
    out.set(piece, length);
    length += piece.length;
  };
  const stream = first === 0x1f ? new Gunzip(take) : new Unzlib(take);
  try {
    for (let at = 0; at < source.size && length < LOOKED && at < 2 * LOOKED; at += PIECE) {
      const piece = Math.min(PIECE, source.size - at);
      stream.push(source.read(at, piece).slice(), at + piece === source.size);
    }
  } catch {
    // damaged: what came out before is looked at
  }
  return out.subarray(0, length);
}

export const holdsPickle = (source: ByteSource): boolean => beginsPickle(bytesSource(unpackedStart(source)));
