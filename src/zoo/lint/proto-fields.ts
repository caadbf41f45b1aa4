/** The fields of protobuf messages of any kind, without reading what they hold: tags and lengths only. */
import type { ByteSource } from '../../data/zip.ts';
import { Forward } from './forward.ts';

export interface ProtoField {
  readonly no: number;
  /** 0 varint, 1 eight bytes, 2 a run of bytes, 5 four bytes. */
  readonly wire: number;
  /** Of varints; exact below 2^53. */
  readonly value: number;
  /** Where the bytes of a run begin and end. */
  readonly from: number;
  readonly to: number;
}

/** How many fields may still be looked at, in all messages of a file together. */
export interface ProtoBudget {
  fields: number;
}

/** What is wrong with a message; the fields before it were given. */
export class ProtoEnd extends Error {
  /** A field goes on after the end of its message: the file may be cut off. */
  readonly cut: boolean;
  constructor(what: string, cut = false) {
    super(what);
    this.cut = cut;
  }
}

/**
 * The fields of the message from `from` to `to`, in order.
 * @throws ProtoEnd where the bytes are no such message, or the budget is used up
 */
export function* protoFields(source: ByteSource, from: number, to: number, budget: ProtoBudget): Generator<ProtoField> {
  const bytes = new Forward(source, from, to);
  while (bytes.left > 0) {
    if (--budget.fields < 0) throw new ProtoEnd('too many fields');
    const tag = varint(bytes);
    const no = Math.floor(tag / 8);
    const wire = tag % 8;
    if (no < 1 || no > 0x1fffffff || wire === 3 || wire === 4 || wire > 5) throw new ProtoEnd('no field where one should begin');
    if (wire === 0) {
      yield { no, wire, value: varint(bytes), from: bytes.at, to: bytes.at };
      continue;
    }
    const length = wire === 2 ? varint(bytes) : wire === 1 ? 8 : 4;
    const begin = bytes.at;
    if (length > bytes.left) {
      yield { no, wire, value: 0, from: begin, to };
      throw new ProtoEnd('a field goes on after the end', true);
    }
    yield { no, wire, value: 0, from: begin, to: begin + length };
    bytes.skip(length);
  }
}

function varint(bytes: Forward): number {
  let value = 0;
  for (let shift = 1; shift < 2 ** 70; shift *= 128) {
    const byte = bytes.byte();
    if (byte < 0) throw new ProtoEnd('ends within a number', true);
    value += (byte & 0x7f) * shift;
    if (byte < 0x80) return value;
  }
  throw new ProtoEnd('a number of too many bytes');
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** The text of a run of bytes, its first `longest` bytes. */
export const protoText = (source: ByteSource, { from, to }: ProtoField, longest = 1024): string =>
  utf8.decode(source.read(from, Math.min(to - from, longest)));

/** Which fields a file has at its outermost level, as far as they can be read. */
export interface Outline {
  /** `no/wire` */
  readonly fields: ReadonlySet<string>;
  readonly first: ProtoField | undefined;
  /** All bytes that were looked at are fields, the last one perhaps cut off. */
  readonly fits: boolean;
  /** The last field goes on after the end. */
  readonly cut: boolean;
}

const OUTLINE_FIELDS = 1_000_000;

export function protoOutline(source: ByteSource): Outline {
  const fields = new Set<string>();
  let first: ProtoField | undefined;
  const budget = { fields: OUTLINE_FIELDS };
  try {
    for (const field of protoFields(source, 0, source.size, budget)) {
      first ??= field;
      fields.add(`${field.no}/${field.wire}`);
    }
  } catch (error) {
    if (!(error instanceof ProtoEnd)) throw error;
    return { fields, first, fits: error.cut || budget.fields < 0, cut: error.cut };
  }
  return { fields, first, fits: true, cut: false };
}
