/**
 * Reads zip archives (PKWARE APPNOTE 6.3) entry by entry from anything that gives bytes at an offset, so that an archive of some hundred
 * megabytes is never in memory twice. Stored and deflated entries, with the 64-bit fields; everything that an archive says of itself is
 * checked against the bytes that are there before anything is allocated.
 */
import { inflateSync } from 'fflate';
import { fail } from '../core/errors.ts';
import { crc32 } from './png.ts';

/** Where an archive's bytes come from. */
export interface ByteSource {
  readonly size: number;
  /** The bytes from `offset` on; the caller has checked that they are there. */
  read(offset: number, length: number): Uint8Array;
  /** Faster ways to do the same, where there are some (`npz.node.ts`). */
  readonly inflate?: (bytes: Uint8Array, size: number) => Uint8Array;
  readonly crc32?: (bytes: Uint8Array) => number;
}

export interface ZipEntry {
  readonly name: string;
  /** Unpacked bytes. */
  readonly size: number;
  /** Unpacks it, checking size and CRC. */
  read(): Uint8Array;
}

export interface ZipLimits {
  readonly maxEntries?: number;
  /** Bytes of all entries together, unpacked. */
  readonly maxBytes?: number;
}

/** How the records of an archive begin (APPNOTE 4.3), as little-endian numbers. */
export const LOCAL = 0x04034b50;
export const CENTRAL = 0x02014b50;
export const END = 0x06054b50;
export const END64 = 0x06064b50;
export const LOCATOR64 = 0x07064b50;
/** An end record of 22 bytes and the longest comment. */
export const TAIL = 22 + 0xffff;
/** Deflate's best: 258 bytes from two bits, and a little for the block's header. */
const BEST_RATIO = 1032;
const MAX_ENTRIES = 100_000;
const MAX_BYTES = 2 ** 32;

export function bytesSource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

export function looksZip(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5);
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * The entries of an archive in the order of its directory; `where` names the file in errors.
 * Throws SecateurError where it is no zip archive, is damaged, encrypted or split, or unpacks to more than the limits.
 */
export function readZip(source: ByteSource, where: string, limits: ZipLimits = {}): ZipEntry[] {
  const { maxEntries = MAX_ENTRIES, maxBytes = MAX_BYTES } = limits;
  const damaged = (got: string): never =>
    fail({ where, what: 'zip archive is damaged', expected: 'a whole zip archive', got, hint: 'copying or downloading the file again' });
  const at = (offset: number, length: number, what: string): DataView => {
    if (!(offset >= 0 && length >= 0 && offset + length <= source.size)) damaged(`${what} outside of the file`);
    return viewOf(source.read(offset, length));
  };

  const { count, offset, size } = directory(source, at, damaged);
  if (count > maxEntries) fail({ where, what: 'zip archive with too many entries', expected: `at most ${maxEntries}`, got: `${count}` });
  const table = at(offset, size, 'directory');
  const entries: ZipEntry[] = [];
  let total = 0;
  for (let i = 0, p = 0; i < count; i++) {
    if (p + 46 > size || table.getUint32(p, true) !== CENTRAL) damaged(`no entry ${i} in a directory of ${count}`);
    const end = p + 46 + table.getUint16(p + 28, true) + table.getUint16(p + 30, true) + table.getUint16(p + 32, true);
    if (end > size) damaged('directory entry that goes on after the directory');
    const entry = directoryEntry(table, p);
    p = end;
    if (entry.name.endsWith('/')) continue;
    const problem =
      (entry.flags & 1) !== 0 ? 'encrypted' : entry.method !== 0 && entry.method !== 8 ? `compression method ${entry.method}` : undefined;
    if (problem !== undefined) {
      fail({ where, what: `entry "${entry.name}" cannot be read`, expected: 'stored or deflated, not encrypted', got: problem });
    }
    if (entry.method === 0 && entry.packed !== entry.size) damaged(`stored entry "${entry.name}" of two sizes`);
    if (entry.size > entry.packed * BEST_RATIO + 64) damaged(`entry "${entry.name}" that says ${entry.size} bytes in ${entry.packed}`);
    total += entry.size;
    if (!(total <= maxBytes)) {
      fail({ where, what: 'zip archive unpacks to too much', expected: `at most ${maxBytes} bytes`, got: `${total} or more` });
    }
    entries.push({ name: entry.name, size: entry.size, read: () => unpack(source, entry, at, damaged) });
  }
  return entries;
}

interface DirectoryEntry {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly local: number;
}

type At = (offset: number, length: number, what: string) => DataView;
type Damaged = (got: string) => never;

const big = (view: DataView, offset: number): number => Number(view.getBigUint64(offset, true));

function directory(source: ByteSource, at: At, damaged: Damaged): { count: number; offset: number; size: number } {
  const start = Math.max(0, source.size - TAIL);
  const tail = at(start, source.size - start, 'end');
  let p = tail.byteLength - 22;
  while (p >= 0 && tail.getUint32(p, true) !== END) p--;
  if (p < 0) return damaged('no directory at its end');
  let count = tail.getUint16(p + 10, true);
  let size = tail.getUint32(p + 12, true);
  let offset = tail.getUint32(p + 16, true);
  const locator = start + p - 20;
  if (locator >= 0 && at(locator, 20, 'end').getUint32(0, true) === LOCATOR64) {
    const end = at(big(at(locator, 20, 'end'), 8), 56, '64-bit end record');
    if (end.getUint32(0, true) !== END64) damaged('no 64-bit end record where it says');
    [count, size, offset] = [big(end, 32), big(end, 40), big(end, 48)];
  }
  return { count, offset, size };
}

function directoryEntry(table: DataView, p: number): DirectoryEntry {
  const nameLength = table.getUint16(p + 28, true);
  const extraLength = table.getUint16(p + 30, true);
  const name = new TextDecoder().decode(new Uint8Array(table.buffer, table.byteOffset + p + 46, nameLength));
  let size = table.getUint32(p + 24, true);
  let packed = table.getUint32(p + 20, true);
  let local = table.getUint32(p + 42, true);
  // 64-bit values of the fields that are all ones, in this order
  for (let e = p + 46 + nameLength, end = e + extraLength; e + 4 <= end; ) {
    const [id, length] = [table.getUint16(e, true), table.getUint16(e + 2, true)];
    let q = e + 4;
    const stop = Math.min(end, q + length);
    const next = (value: number): number => {
      if (value !== 0xffffffff || q + 8 > stop) return value;
      q += 8;
      return big(table, q - 8);
    };
    if (id === 1) [size, packed, local] = [next(size), next(packed), next(local)];
    e += 4 + length;
  }
  return {
    ...{ name, packed, size, local },
    flags: table.getUint16(p + 8, true),
    method: table.getUint16(p + 10, true),
    crc: table.getUint32(p + 16, true),
  };
}

function unpack(source: ByteSource, entry: DirectoryEntry, at: At, damaged: Damaged): Uint8Array {
  const { name, packed, size, local, method, crc } = entry;
  const header = at(local, 30, `entry "${name}"`);
  if (header.getUint32(0, true) !== LOCAL) damaged(`no entry "${name}" where the directory says`);
  // lengths may differ from those in the directory
  const start = local + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (start + packed > source.size) damaged(`entry "${name}" outside of the file`);
  const raw = source.read(start, packed);
  const bytes = method === 0 ? raw : inflate(source, raw, size, name, damaged);
  if (bytes.length !== size) damaged(`entry "${name}" of ${bytes.length} bytes instead of ${size}`);
  if ((source.crc32 ?? crc32)(bytes) !== crc) damaged(`entry "${name}" whose CRC is wrong`);
  return bytes;
}

function inflate(source: ByteSource, raw: Uint8Array, size: number, name: string, damaged: Damaged): Uint8Array {
  try {
    if (source.inflate) return source.inflate(raw, size);
    return inflateSync(raw, { out: new Uint8Array(size) });
  } catch (error) {
    return damaged(`entry "${name}": ${error instanceof Error ? error.message : String(error)}`);
  }
}
