/**
 * Zip archives (PKWARE APPNOTE 6.3.10) as several readers at once would see them. Scanners were passed by with archives that Python,
 * PyTorch and the scanner read differently, so here every fact that stands in an archive twice must be the same both times, every byte
 * must belong to something, and what no program that writes models does is refused.
 */
import { Inflate } from 'fflate';
import { type ByteSource, CENTRAL, END, END64, LOCAL, LOCATOR64, TAIL } from '../../data/zip.ts';
import { type Findings, quoted } from './findings.ts';

const DESCRIPTOR = 0x08074b50;
const MAX_ENTRIES = 10_000;
/** Unpacked bytes for each packed one, all entries together; beyond {@link SMALL} bytes unpacked. */
const MAX_RATIO = 20;
const SMALL = 16_000_000;
/** Descriptor behind the data (bit 3), names in UTF-8 (bit 11), how hard deflate tried (bits 1 and 2). */
const KNOWN_FLAGS = 0x0008 | 0x0800 | 0x0006;
/** Bytes of which the checksums are computed; what lies beyond is only read where it is looked into. */
const CHECKED = 16_000_000;
/** Bytes that are unpacked of all entries together, beside twice the size of the file. */
const INFLATED = 40_000_000;

export interface ArchiveEntry {
  readonly name: string;
  readonly size: number;
  readonly stored: boolean;
  /** The unpacked bytes; undefined where they are more than `longest`, or damaged, which is then among the findings. */
  open(longest: number): ByteSource | undefined;
  /** At most the first `length` unpacked bytes, not checked; a start that cannot be unpacked is empty. */
  start(length: number): Uint8Array;
}

interface Entry {
  readonly name: string;
  readonly raw: Uint8Array;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly local: number;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function hasZipMark(source: ByteSource): boolean {
  if (source.size < 4) return false;
  const b = source.read(0, 4);
  return b[0] === 0x50 && b[1] === 0x4b && ((b[2] === 3 && b[3] === 4) || (b[2] === 5 && b[3] === 6));
}

/** Whether an end record at the end of a file leads to a directory: such a file is a zip archive to Python, whatever its start is. */
export function endsAsZip(source: ByteSource): boolean {
  const found = findEnd(source);
  if (found === undefined) return false;
  // Python goes by the size of the directory and not by the number of entries; and by a 64-bit record where its locator is there
  if (found.size > 0 && isDirectory(source, found.at - found.size)) return true;
  const locator = found.at - 20;
  if (locator < 56 || viewOf(source.read(locator, 4)).getUint32(0, true) !== LOCATOR64) return false;
  const record = viewOf(source.read(locator - 56, 56));
  return record.getUint32(0, true) === END64 && isDirectory(source, locator - 56 - big(record, 40));
}

function isDirectory(source: ByteSource, at: number): boolean {
  return at >= 0 && at + 46 <= source.size && viewOf(source.read(at, 4)).getUint32(0, true) === CENTRAL;
}

interface End {
  readonly at: number;
  readonly size: number;
  readonly offset: number;
  readonly count: number;
  readonly disks: boolean;
  readonly comment: number;
  /** Other places that could be the end record as well. */
  readonly others: number;
}

function findEnd(source: ByteSource): End | undefined {
  const start = Math.max(0, source.size - TAIL);
  const tail = viewOf(source.read(start, source.size - start));
  let found: End | undefined;
  let others = 0;
  for (let p = tail.byteLength - 22; p >= 0; p--) {
    if (tail.getUint8(p) !== 0x50 || tail.getUint32(p, true) !== END) continue;
    const comment = tail.getUint16(p + 20, true);
    if (found === undefined) {
      const [size, offset, count] = [tail.getUint32(p + 12, true), tail.getUint32(p + 16, true), tail.getUint16(p + 10, true)];
      const disks = tail.getUint16(p + 4, true) !== 0 || tail.getUint16(p + 6, true) !== 0 || tail.getUint16(p + 8, true) !== count;
      found = { at: start + p, size, offset, count, disks, comment, others };
    } else if (p + 22 + comment === tail.byteLength) others++;
  }
  return found && { ...found, others };
}

export interface Archive {
  /** Folders left out. */
  readonly entries: readonly ArchiveEntry[];
  /** False where entries share bytes, are not where they should be or would unpack to too much: then their contents are left alone. */
  readonly readable: boolean;
}

/** An archive by its directory; undefined where there is none to go by. What is wrong or odd goes to the findings. */
export function readArchive(source: ByteSource, findings: Findings, budget: Budget): Archive | undefined {
  const end = findEnd(source);
  const bad = (says: string): undefined => {
    findings.refuse('zip-broken', says);
    return undefined;
  };
  if (end === undefined) return bad('is a zip archive without the directory at its end');
  if (end.at + 22 + end.comment !== source.size) findings.refuse('zip-trailing', 'bytes stand behind the end of the zip archive');
  if (end.others > 0) findings.refuse('zip-two-ends', 'has two ends of a zip archive, of which programs take one or the other');
  if (end.disks) findings.refuse('zip-split', 'is one part of a split zip archive');
  const place = directoryPlace(source, end);
  if (place === undefined) return bad('the 64-bit end record of the zip archive is not where it should be, or differs from the other');
  if (place.offset + place.size !== place.end) return bad('the directory of the zip archive does not end where its end record begins');
  if (place.count > MAX_ENTRIES) return bad(`a zip archive of ${place.count} entries, at most ${MAX_ENTRIES} are looked through`);
  const entries = readDirectory(source, place, findings);
  if (entries === undefined) return bad('the directory of the zip archive is damaged');
  checkNames(entries, findings);
  let readable = checkPlaces(source, entries, place.offset, findings);
  const packed = entries.reduce((sum, e) => sum + e.packed, 0);
  const unpacked = entries.reduce((sum, e) => sum + e.size, 0);
  if (unpacked > SMALL && unpacked > MAX_RATIO * packed) {
    readable = false;
    findings.refuse('zip-bomb', `unpacks to ${unpacked} bytes from ${packed}, more than ${MAX_RATIO} for each`);
  }
  const files = entries.filter((e) => !e.name.endsWith('/'));
  const opened = files.map((entry) => openable(source, entry, findings, budget));
  if (!readable) return { entries: opened, readable };
  let checked = 0;
  for (const [i, entry] of files.entries()) {
    checked += Math.max(entry.packed, entry.size);
    if (checked > CHECKED) break;
    opened[i].open(entry.size);
  }
  return { entries: opened, readable };
}

/** Bytes that may still come out of deflated ones, of a file and all archives within it together. */
export interface Budget {
  bytes: number;
}
export const budgetFor = (source: ByteSource): Budget => ({ bytes: INFLATED + 2 * source.size });

interface Place {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
  /** Where the end records begin. */
  readonly end: number;
}

function directoryPlace(source: ByteSource, end: End): Place | undefined {
  const { offset, size, count } = end;
  const locator = end.at - 20;
  if (locator < 0 || viewOf(source.read(locator, 4)).getUint32(0, true) !== LOCATOR64) return { offset, size, count, end: end.at };
  const at = Number(viewOf(source.read(locator + 8, 8)).getBigUint64(0, true));
  if (!(at + 56 === locator)) return undefined;
  const record = viewOf(source.read(at, 56));
  if (record.getUint32(0, true) !== END64) return undefined;
  const wide = { count: big(record, 32), size: big(record, 40), offset: big(record, 48), end: at };
  const agrees = (narrow: number, full: number, most: number): boolean => narrow === most || narrow === full;
  if (!agrees(count, wide.count, 0xffff) || !agrees(size, wide.size, 0xffffffff) || !agrees(offset, wide.offset, 0xffffffff))
    return undefined;
  return wide;
}

const big = (view: DataView, offset: number): number => Number(view.getBigUint64(offset, true));

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
function nameOf(raw: Uint8Array): string | undefined {
  try {
    return strict.decode(raw);
  } catch {
    return undefined;
  }
}

function readDirectory(source: ByteSource, place: Place, findings: Findings): Entry[] | undefined {
  const bytes = source.read(place.offset, place.size);
  const table = viewOf(bytes);
  const entries: Entry[] = [];
  let p = 0;
  for (let i = 0; i < place.count; i++) {
    if (p + 46 > place.size || table.getUint32(p, true) !== CENTRAL) return undefined;
    const [nameLength, extraLength, commentLength] = [
      table.getUint16(p + 28, true),
      table.getUint16(p + 30, true),
      table.getUint16(p + 32, true),
    ];
    const next = p + 46 + nameLength + extraLength + commentLength;
    if (next > place.size) return undefined;
    const raw = bytes.slice(p + 46, p + 46 + nameLength);
    const name = nameOf(raw);
    if (name === undefined) findings.refuse('zip-name', `entry ${i + 1} has a name that is no UTF-8`);
    const extra = { from: p + 46 + nameLength, to: p + 46 + nameLength + extraLength };
    const [size, packed, local] = widened(table, extra, [
      table.getUint32(p + 24, true),
      table.getUint32(p + 20, true),
      table.getUint32(p + 42, true),
    ]);
    const shown = quoted(name ?? `entry ${i + 1}`);
    if (hasExtra(table, extra, 0x7075)) findings.refuse('zip-name', `entry ${shown} has a second name, which some programs take instead`);
    // a link: the upper half holds the mode where the entry was made on Unix
    if ((table.getUint16(p + 40, true) & 0xf000) === 0xa000) findings.refuse('zip-link', `entry ${shown} is a symbolic link`);
    const flags = table.getUint16(p + 8, true);
    const entry = { name: name ?? `entry ${i + 1}`, raw, flags, size, packed, local };
    entries.push({ ...entry, method: table.getUint16(p + 10, true), crc: table.getUint32(p + 16, true) });
    p = next;
  }
  if (p !== place.size) findings.refuse('zip-hidden', `the directory of the zip archive goes on behind its ${place.count} entries`);
  return entries;
}

interface Extra {
  readonly from: number;
  readonly to: number;
}

/** The 64-bit values of those fields that are all ones, which stand in the extra field 1 in this order. */
function widened(table: DataView, { from, to }: Extra, values: readonly number[]): number[] {
  for (let e = from; e + 4 <= to; e += 4 + table.getUint16(e + 2, true)) {
    if (table.getUint16(e, true) !== 1) continue;
    let q = e + 4;
    const stop = Math.min(to, q + table.getUint16(e + 2, true));
    return values.map((v) => {
      if (v !== 0xffffffff || q + 8 > stop) return v;
      q += 8;
      return big(table, q - 8);
    });
  }
  return [...values];
}

function hasExtra(table: DataView, { from, to }: Extra, id: number): boolean {
  for (let e = from; e + 4 <= to; e += 4 + table.getUint16(e + 2, true)) if (table.getUint16(e, true) === id) return true;
  return false;
}

function checkNames(entries: readonly Entry[], findings: Findings): void {
  const seen = new Set<string>();
  for (const { name } of entries) {
    const steps = name.split('/');
    if (
      name === '' ||
      name.length > 1024 ||
      /[\0\\]/.test(name) ||
      name.startsWith('/') ||
      /^[A-Za-z]:/.test(name) ||
      steps.includes('..')
    ) {
      findings.refuse('zip-name', `entry ${quoted(name)} has a name that leads elsewhere or means different things to programs`);
    }
    const key = name.normalize('NFC').toLowerCase();
    if (seen.has(key)) findings.refuse('zip-twice', `entry ${quoted(name)} is there twice, and programs differ in which they take`);
    seen.add(key);
  }
}

/**
 * Compares the headers before the entries with the directory, and looks for bytes that belong to no entry.
 * @returns whether every entry has bytes of its own
 */
function checkPlaces(source: ByteSource, entries: readonly Entry[], directory: number, findings: Findings): boolean {
  let at = 0;
  let apart = true;
  for (const entry of [...entries].sort((a, b) => a.local - b.local)) {
    const shown = quoted(entry.name);
    if (entry.local > at) findings.refuse('zip-hidden', `${entry.local - at} bytes before entry ${shown} belong to no entry`);
    if (entry.local < at) {
      apart = false;
      findings.refuse('zip-overlap', `entry ${shown} shares bytes with another`);
    }
    const stop = checkLocal(source, entry, directory, findings);
    if (stop === undefined) {
      findings.refuse('zip-headers', `entry ${shown} has no header of its own where the directory says`);
      return false;
    }
    at = stop;
  }
  if (at < directory) findings.refuse('zip-hidden', `${directory - at} bytes before the directory belong to no entry`);
  if (at > directory) findings.refuse('zip-overlap', 'the last entry goes on into the directory');
  return apart && at <= directory;
}

/** @returns where the entry ends, with its descriptor; undefined without header */
function checkLocal(source: ByteSource, entry: Entry, directory: number, findings: Findings): number | undefined {
  const { local, name, flags, method, packed, size, crc, raw } = entry;
  if (!(local + 30 <= directory)) return undefined;
  const header = viewOf(source.read(local, 30));
  if (header.getUint32(0, true) !== LOCAL) return undefined;
  const [nameLength, extraLength] = [header.getUint16(26, true), header.getUint16(28, true)];
  const data = local + 30 + nameLength + extraLength;
  if (data + packed > directory) return undefined;
  const rest = source.read(local + 30, nameLength + extraLength);
  const extra = { from: nameLength, to: nameLength + extraLength };
  const [wideSize, widePacked] = widened(viewOf(rest), extra, [header.getUint32(22, true), header.getUint32(18, true)]);
  const differs = (what: string): void =>
    findings.refuse('zip-headers', `entry ${quoted(name)} has two headers that differ in ${what}; programs differ in which they believe`);
  if (header.getUint16(6, true) !== flags) differs('flags');
  if (header.getUint16(8, true) !== method) differs('compression');
  if (nameLength !== raw.length || raw.some((b, i) => b !== rest[i])) differs('name');
  if (hasExtra(viewOf(rest), extra, 0x7075))
    findings.refuse('zip-name', `entry ${quoted(name)} has a second name, which some programs take instead`);
  const later = (flags & 8) !== 0;
  const same = (here: number, there: number): boolean => here === there || (later && (here === 0 || here === 0xffffffff));
  if (!same(wideSize, size) || !same(widePacked, packed)) differs('size');
  if (!same(header.getUint32(14, true), crc)) differs('checksum');
  if ((flags & 0x2041) !== 0)
    findings.refuse('zip-encrypted', `entry ${quoted(name)} says that it is encrypted; some loaders read it all the same`);
  else if ((flags & ~KNOWN_FLAGS) !== 0)
    findings.refuse('zip-flags', `entry ${quoted(name)} has flags that no program sets (0x${flags.toString(16)})`);
  if (method !== 0 && method !== 8)
    findings.refuse('zip-method', `entry ${quoted(name)} is compressed in a way (${method}) that is not looked into`);
  if (method === 0 && size !== packed) differs('size');
  return data + packed + (later ? descriptor(source, data + packed, entry, directory, differs) : 0);
}

/** Bytes of the record behind an entry's data: with or without mark, sizes of 4 or 8 bytes. */
function descriptor(
  source: ByteSource,
  at: number,
  { crc, packed, size }: Entry,
  directory: number,
  differs: (what: string) => void,
): number {
  const bytes = source.read(at, Math.max(0, Math.min(24, directory - at)));
  const view = viewOf(bytes);
  for (const [mark, width] of [
    [4, 8],
    [4, 4],
    [0, 8],
    [0, 4],
  ] as const) {
    const length = mark + 4 + 2 * width;
    if (length > bytes.length || (mark === 4 && view.getUint32(0, true) !== DESCRIPTOR)) continue;
    const sizes = [mark + 4, mark + 4 + width].map((p) => (width === 8 ? big(view, p) : view.getUint32(p, true)));
    if (view.getUint32(mark, true) === crc && sizes[0] === packed && sizes[1] === size) return length;
  }
  differs('the sizes behind its data');
  return 0;
}

// ---------------------------------------------------------------------------------------------------------------- content

function openable(source: ByteSource, entry: Entry, findings: Findings, budget: Budget): ArchiveEntry {
  const stored = entry.method === 0;
  const data = dataStart(source, entry);
  const here = data !== undefined && data + entry.packed <= source.size && (stored || entry.method === 8);
  let opened: ByteSource | undefined;
  let tried = false;
  const unpack = (): ByteSource | undefined => {
    if (!here) return undefined;
    const bytes = stored ? undefined : inflated(source, data, entry.packed, entry.size + 1, budget);
    if (!stored && bytes?.length !== entry.size) {
      if (budget.bytes < 0) findings.refuse('zip-bomb', 'unpacks to more bytes, with all that is in it, than are looked through');
      else findings.refuse('zip-broken', `entry ${quoted(entry.name)} does not unpack to the ${entry.size} bytes that it says`);
      return undefined;
    }
    const content: ByteSource =
      bytes === undefined
        ? { size: entry.size, read: (offset, length) => source.read(data + offset, length) }
        : { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
    if (checksum(content) !== entry.crc) {
      findings.refuse(
        'zip-checksum',
        `entry ${quoted(entry.name)} has a wrong checksum; loaders that do not compare it read it all the same`,
      );
    }
    return content;
  };
  return {
    ...{ name: entry.name, size: entry.size, stored },
    open(longest) {
      if (entry.size > longest) return undefined;
      if (stored || !tried) opened = stored && tried ? opened : unpack();
      tried = true;
      const found = opened;
      // inflated bytes are not kept: an archive may hold many
      if (!stored) [opened, tried] = [undefined, false];
      return found;
    },
    start(length) {
      if (!here) return new Uint8Array();
      if (stored) return source.read(data, Math.min(length, entry.size));
      return inflated(source, data, entry.packed, Math.min(length, entry.size), budget) ?? new Uint8Array();
    },
  };
}

function dataStart(source: ByteSource, { local }: Entry): number | undefined {
  if (!(local + 30 <= source.size)) return undefined;
  const header = viewOf(source.read(local, 30));
  return header.getUint32(0, true) === LOCAL ? local + 30 + header.getUint16(26, true) + header.getUint16(28, true) : undefined;
}

/** Compressed bytes that are handed on at once: what comes out of them is at most 1,032 times as much. */
const PIECE = 512;

/** At most `longest` bytes of what deflated bytes unpack to; undefined where they are damaged, or the budget is used up. */
function inflated(source: ByteSource, at: number, packed: number, longest: number, budget: Budget): Uint8Array | undefined {
  if (budget.bytes < 0) return undefined;
  const out = new Uint8Array(longest);
  let length = 0;
  const inflate = new Inflate((chunk) => {
    const room = Math.min(chunk.length, longest - length);
    out.set(room < chunk.length ? chunk.subarray(0, room) : chunk, length);
    length += room;
    budget.bytes -= chunk.length;
  });
  try {
    for (let done = 0; done < packed && length < longest; done += PIECE) {
      if (budget.bytes < 0) return undefined;
      const piece = Math.min(PIECE, packed - done);
      inflate.push(source.read(at + done, piece).slice(), done + piece >= packed);
    }
  } catch {
    return undefined;
  }
  return out.subarray(0, length);
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = (c & 1) === 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c;
});

/** CRC-32 of a source, a window at a time. */
function checksum(source: ByteSource): number {
  let c = -1;
  for (let at = 0; at < source.size; at += 1 << 16) {
    const bytes = source.read(at, Math.min(1 << 16, source.size - at));
    for (let i = 0; i < bytes.length; i++) c = CRC_TABLE[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  }
  return (c ^ -1) >>> 0;
}
