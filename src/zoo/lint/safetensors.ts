/** Safetensors (huggingface/safetensors, README "Format"): a length, a JSON header, and the tensors' bytes without a hole. */
import { fail } from '../../core/errors.ts';
import type { ByteSource } from '../../data/zip.ts';
import { type JsonNode, parseJsonBytes } from '../strict-json.ts';
import { type Findings, quoted } from './findings.ts';

/** Bytes of the header; the format's own bound is 100 MB, that of Hugging Face's JavaScript reader 25 MB. */
const MAX_HEADER = 25_000_000;
/** Values in the header: some 40,000 tensors, ten times what any file has that is split as usual. */
const MAX_VALUES = 300_000;
const MAX_RANK = 64;
/** Bits of an element. */
const BITS: Readonly<Record<string, number>> = {
  ...{ BOOL: 8, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8, I16: 16, U16: 16, F16: 16, BF16: 16 },
  ...{ I32: 32, U32: 32, F32: 32, I64: 64, U64: 64, F64: 64, C64: 64, F4: 4, F6_E2M3: 6, F6_E3M2: 6 },
};

/** Whether a file looks like one: a plausible length, then `{`. */
export function looksSafetensors(source: ByteSource): boolean {
  if (source.size < 10) return false;
  const head = source.read(0, 9);
  const view = new DataView(head.buffer, head.byteOffset, 9);
  // 2^40 is beyond all bounds, and still tells such a file, cut off or inflated, from text and protobuf
  return head[8] === 0x7b && view.getUint32(4, true) < 256 && view.getBigUint64(0, true) >= 2n;
}

/** What is wrong with the file, as findings of the rule `safetensors`. */
export function lintSafetensors(source: ByteSource, findings: Findings): void {
  findings.attempt('safetensors', () => check(source));
}

const wrong = (what: string, expected?: string, got?: string): never => fail({ where: 'safetensors', what, expected, got });

function check(source: ByteSource): void {
  const head = source.read(0, 8);
  const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER)) wrong('header too long', `at most ${MAX_HEADER} bytes`, `${length}`);
  if (length + 8n > BigInt(source.size)) wrong('header goes on after the end of the file', `at most ${source.size - 8} bytes`, `${length}`);
  const start = 8 + Number(length);
  const json = trimmed(source.read(8, Number(length)));
  const header = parseJsonBytes(json, 'header', { maxDepth: 4, maxValues: MAX_VALUES, maxChars: MAX_HEADER });
  const ranges: { begin: number; end: number; name: string }[] = [];
  for (const [name, node] of header.object()) {
    if (name === '__metadata__') for (const [, value] of node.object()) value.string({ max: MAX_HEADER });
    else ranges.push({ name, ...rangeOf(name, node) });
  }
  cover(ranges, source.size - start);
}

/** Writers fill the header up with spaces so that the tensors begin at a multiple of 8. */
function trimmed(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0x20) end--;
  return bytes.subarray(0, end);
}

function rangeOf(name: string, node: JsonNode): { begin: number; end: number } {
  node.only('dtype', 'shape', 'data_offsets');
  const dtype = node.field('dtype').string({ max: 32 });
  const bits = Object.hasOwn(BITS, dtype)
    ? BITS[dtype]
    : wrong(`tensor ${quoted(name)} has an unknown element type`, Object.keys(BITS).join(', '), quoted(dtype));
  let size = BigInt(bits as number);
  for (const d of node.field('shape').array({ max: MAX_RANK })) {
    size *= BigInt(d.integer({ min: 0 }));
    if (size > 1n << 60n) wrong(`tensor ${quoted(name)} is too large`, 'at most 2^57 bytes', 'more');
  }
  const [begin, end] = node
    .field('data_offsets')
    .array({ min: 2, max: 2 })
    .map((n) => n.integer({ min: 0 }));
  if (begin > end) wrong(`tensor ${quoted(name)} ends before it begins`, 'begin <= end', `${begin}, ${end}`);
  if (BigInt(end - begin) * 8n !== size) {
    wrong(`tensor ${quoted(name)} does not fit its shape`, `${(size + 7n) / 8n} bytes`, `${end - begin}`);
  }
  return { begin, end };
}

/** The tensors' ranges, one behind the other, are all there is. */
function cover(ranges: { begin: number; end: number; name: string }[], size: number): void {
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { begin, end, name } of ranges) {
    if (begin > at) wrong(`bytes that belong to no tensor before ${quoted(name)}`, `it to begin at ${at}`, `${begin}`);
    if (begin < at) wrong(`tensor ${quoted(name)} shares bytes with another`, `it to begin at ${at}`, `${begin}`);
    if (end > size) wrong(`tensor ${quoted(name)} goes on after the end of the file`, `at most ${size} bytes of tensors`, `${end}`);
    at = end;
  }
  if (at < size) wrong('bytes behind the last tensor that belong to none', `${at} bytes of tensors`, `${size}`);
}
