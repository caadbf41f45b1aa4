/**
 * The IDX format of MNIST and its relatives: big-endian, two zero bytes, an element type, the number of dimensions, the dimensions,
 * the elements. Read here from bytes in memory; `idx.node.ts` finds, opens and unpacks the files.
 */
import { fail } from '../core/errors.ts';

const UBYTE = 0x08;
const KINDS = { images: 3, labels: 1 } as const;
export type IdxKind = keyof typeof KINDS;

export interface Idx {
  readonly dims: readonly number[];
  /** Row-major; a view of the bytes given. */
  readonly data: Uint8Array;
}

const magicOf = (kind: IdxKind): number => (UBYTE << 8) | KINDS[kind];
const hex = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, '0')).join(' ');

export function looksGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** What a file that is no IDX file of the kind asked for seems to be, and what to do about it. */
function diagnose(bytes: Uint8Array, kind: IdxKind): { got: string; hint?: string } {
  const magic = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
  const other: IdxKind = kind === 'images' ? 'labels' : 'images';
  if (magic === magicOf(other)) return { got: `${magic}, an IDX file of ${other}`, hint: 'swapping the images file and the labels file' };
  if (looksGzip(bytes)) return { got: `${hex(bytes.subarray(0, 4))}, a gzip file inside a gzip file`, hint: 'gunzip once more' };
  if (bytes[0] === 0 && bytes[1] === 0 && bytes[2] >= 0x08 && bytes[2] <= 0x0e) {
    return { got: `${magic} (element type 0x${bytes[2].toString(16).padStart(2, '0')}, ${bytes[3]} dimensions)` };
  }
  return { got: `bytes ${hex(bytes.subarray(0, 4))}, which is no IDX file` };
}

/**
 * Images `[N,H,W]` or labels `[N]` of an unpacked IDX file; elements are unsigned bytes. `where` names the file in errors.
 * Fails where the file is empty, of another kind, shorter than its header says, or longer.
 */
export function parseIdx(bytes: Uint8Array, kind: IdxKind, where: string): Idx {
  const rank = KINDS[kind];
  const headerSize = 4 + 4 * rank;
  if (bytes.length < headerSize) {
    fail({
      where,
      what: 'file ends inside its header',
      expected: `an IDX file of ${kind}, at least ${headerSize} bytes`,
      got: `${bytes.length}`,
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const magic = view.getUint32(0);
  if (magic !== magicOf(kind)) {
    fail({
      where,
      what: 'wrong magic number',
      expected: `${magicOf(kind)} (IDX file of ${kind}, unsigned bytes)`,
      ...diagnose(bytes, kind),
    });
  }
  const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = dims.reduce((n, d) => n * d, 1);
  const text = dims.join('x');
  if (size === 0) fail({ where, what: 'file holds nothing', expected: `at least one of its ${kind}`, got: `size ${text}` });
  const got = bytes.length - headerSize;
  if (got !== size) {
    const what = got < size ? 'file is truncated' : 'file goes on after its end';
    const hint = got < size ? 'copying or downloading the file again' : undefined;
    fail({ where, what, expected: `${headerSize + size} bytes for ${text}`, got: `${bytes.length}`, hint });
  }
  return { dims, data: bytes.subarray(headerSize) };
}
