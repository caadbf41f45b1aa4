/**
 * A walk over the bytes of a file before protobuf makes objects of them. It knows the messages of onnx.proto and what a field of each costs
 * in memory once it is parsed, so that a small file which would become gigabytes of objects, or nest without end, is refused in
 * milliseconds. It takes time linear in the bytes and memory of a few numbers.
 *
 * It also finds the long packed runs of numbers for which `packed.ts` has a better way than an array with an object a number.
 */
import { fail } from '../core/errors.ts';
import { MAX_DEPTH, MAX_NAME_BYTES } from './limits.ts';
import { notOnnx } from './sniff.ts';

/**
 * Fields by number. `i` integer, `f` 4 bytes, `d` 8 bytes, `n` name, `t` text or bytes, `=message`; a star marks repeated fields.
 * Numbers after `i` and `f` in stars may be packed.
 */
const FIELDS: Record<string, Record<number, string>> = {
  ModelProto: {
    ...{ 1: 'i', 2: 'n', 3: 'n', 4: 'n', 5: 'i', 6: 't', 7: '=GraphProto', 8: '=OperatorSetIdProto*', 14: '=StringStringEntryProto*' },
    ...{ 20: '=TrainingInfoProto*', 25: '=FunctionProto*', 26: '=DeviceConfigurationProto*' },
  },
  GraphProto: {
    ...{ 1: '=NodeProto*', 2: 'n', 5: '=TensorProto*', 10: 't', 11: '=ValueInfoProto*', 12: '=ValueInfoProto*', 13: '=ValueInfoProto*' },
    ...{ 14: '=TensorAnnotation*', 15: '=SparseTensorProto*', 16: '=StringStringEntryProto*' },
  },
  NodeProto: {
    ...{ 1: 'n*', 2: 'n*', 3: 'n', 4: 'n', 5: '=AttributeProto*', 6: 't', 7: 'n', 8: 'n', 9: '=StringStringEntryProto*' },
    10: '=NodeDeviceConfigurationProto*',
  },
  AttributeProto: {
    ...{ 1: 'n', 2: 'f', 3: 'i', 4: 't', 5: '=TensorProto', 6: '=GraphProto', 7: 'f*', 8: 'i*', 9: 't*', 10: '=TensorProto*' },
    ...{ 11: '=GraphProto*', 13: 't', 14: '=TypeProto', 15: '=TypeProto*', 20: 'i', 21: 'n', 22: '=SparseTensorProto' },
    23: '=SparseTensorProto*',
  },
  TensorProto: {
    ...{ 1: 'i*', 2: 'i', 3: '=Segment', 4: 'f*', 5: 'i*', 6: 't*', 7: 'i*', 8: 'n', 9: 't', 10: 'd*', 11: 'i*', 12: 't' },
    ...{ 13: '=StringStringEntryProto*', 14: 'i', 16: '=StringStringEntryProto*' },
  },
  Segment: { 1: 'i', 2: 'i' },
  SparseTensorProto: { 1: '=TensorProto', 2: '=TensorProto', 3: 'i*' },
  ValueInfoProto: { 1: 'n', 2: '=TypeProto', 3: 't', 4: '=StringStringEntryProto*' },
  TypeProto: { 1: '=TensorType', 4: '=Sequence', 5: '=Map', 6: 'n', 7: '=Opaque', 8: '=TensorType', 9: '=Sequence' },
  TensorType: { 1: 'i', 2: '=TensorShapeProto' },
  Sequence: { 1: '=TypeProto' },
  Map: { 1: 'i', 2: '=TypeProto' },
  Opaque: { 1: 'n', 2: 'n' },
  TensorShapeProto: { 1: '=Dimension*' },
  Dimension: { 1: 'i', 2: 'n', 3: 'n' },
  TrainingInfoProto: { 1: '=GraphProto', 2: '=GraphProto', 3: '=StringStringEntryProto*', 4: '=StringStringEntryProto*' },
  FunctionProto: {
    ...{ 1: 'n', 4: 'n*', 5: 'n*', 6: 'n*', 7: '=NodeProto*', 8: 't', 9: '=OperatorSetIdProto*', 10: 'n', 11: '=AttributeProto*' },
    ...{ 12: '=ValueInfoProto*', 13: 'n', 14: '=StringStringEntryProto*' },
  },
  OperatorSetIdProto: { 1: 'n', 2: 'i' },
  StringStringEntryProto: { 1: 'n', 2: 't' },
  TensorAnnotation: { 1: 'n', 2: '=StringStringEntryProto*' },
  DeviceConfigurationProto: { 1: 'n', 2: 'i', 3: 'n*' },
  NodeDeviceConfigurationProto: { 1: 'n', 2: '=ShardingSpecProto*', 3: 'i' },
  ShardingSpecProto: { 1: 'n', 2: 'i*', 3: '=IntIntListEntryProto*', 4: '=ShardedDimProto*' },
  IntIntListEntryProto: { 1: 'i', 2: 'i*' },
  ShardedDimProto: { 1: 'i', 2: '=SimpleShardedDimProto*' },
  SimpleShardedDimProto: { 1: 'i', 2: 'n', 3: 'i' },
};

/** Bytes that an object of a message takes, as protobuf's object and as ours together; measured on files with many of one kind. */
const MESSAGE_COST: Record<string, number> = { NodeProto: 1100, AttributeProto: 900, TensorProto: 900, GraphProto: 1000 };
const OTHER_MESSAGE = 300;
/** An element of a repeated field: an object of its own for texts and 64-bit integers, eight bytes for floats. */
const ELEMENT_COST = { i: 48, f: 16, d: 16, n: 40, t: 220 } as const;
const UNKNOWN_COST = 200;

/** Runs shorter than this are left to the library. */
const LONG = 128;
/** TensorProto's packed numbers: field -> bytes of one number in memory; fields without entry stay as they are in the file. */
const RUNS = new Map<number, number | undefined>([
  [4, undefined],
  [5, 4],
  [7, 8],
  [10, undefined],
  [11, 8],
]);

/** The way to those tensors that `proto-read.ts` surely looks at, and can give a hidden run back: message -> fields to go on by. */
const OPEN = new Set(['ModelProto 7', 'GraphProto 1', 'GraphProto 5', 'NodeProto 5', 'AttributeProto 5']);

/** The way to tensors of which external data are read, under the rules for its path. Anywhere else such data are refused. */
const RESOLVED = new Set([...OPEN, 'AttributeProto 6', 'AttributeProto 11']);

interface Field {
  readonly kind: 'i' | 'f' | 'd' | 'n' | 't' | 'message';
  readonly repeated: boolean;
  readonly message: Message | undefined;
  readonly open: boolean;
  readonly resolved: boolean;
}
interface Message {
  readonly name: string;
  readonly cost: number;
  readonly fields: (Field | undefined)[];
}

const MESSAGES = new Map<string, Message>(
  Object.keys(FIELDS).map((name) => [name, { name, cost: MESSAGE_COST[name] ?? OTHER_MESSAGE, fields: [] }]),
);
for (const [name, fields] of Object.entries(FIELDS)) {
  for (const [no, text] of Object.entries(fields)) {
    const repeated = text.endsWith('*');
    const message = text.startsWith('=') ? MESSAGES.get(text.slice(1, repeated ? -1 : undefined)) : undefined;
    MESSAGES.get(name)!.fields[Number(no)] = {
      kind: message ? 'message' : (text[0] as 'i'),
      repeated,
      message,
      open: OPEN.has(`${name} ${no}`),
      resolved: RESOLVED.has(`${name} ${no}`),
    };
  }
}

const DATA_LOCATION = 14;

const WIRE = ['a varint', '8 bytes', 'a run of bytes', 'a group', 'a group', '4 bytes'];

/**
 * Walks over a message. Throws SecateurError where the bytes are no such message, nest deeper than {@link MAX_DEPTH}, have a name longer
 * than {@link MAX_NAME_BYTES}, or would take more than `budget` bytes of memory beside the tensors' own bytes.
 * @returns positions of the tags of long packed runs in initialisers and tensor attributes of the main graph
 */
export function walkWire(bytes: Uint8Array, message: 'ModelProto' | 'TensorProto', where: string, budget: number): number[] {
  return new Walk(bytes, where, budget).message(MESSAGES.get(message)!);
}

class Walk {
  readonly #bytes: Uint8Array;
  readonly #where: string;
  readonly #budget: number;
  readonly #runs: number[] = [];
  #at = 0;
  #cost = 0;

  constructor(bytes: Uint8Array, where: string, budget: number) {
    this.#bytes = bytes;
    this.#where = where;
    this.#budget = budget;
  }

  message(kind: Message): number[] {
    this.#fields(kind, this.#bytes.byteLength, 1, true, true);
    return this.#runs;
  }

  #fields(message: Message, end: number, depth: number, open: boolean, resolved: boolean): void {
    if (depth > MAX_DEPTH) this.#refuse('messages nested too deeply', `at most ${MAX_DEPTH} levels`, `more, the last a ${message.name}`);
    this.#spend(message.cost);
    const runsBefore = this.#runs.length;
    /** Which single messages came already, and in a tensor which runs came in several pieces. */
    let seen = 0;
    let pieces = 0;
    while (this.#at < end) {
      const tagAt = this.#at;
      const tag = this.#varint(end, message);
      const no = Math.floor(tag / 8);
      const wire = tag % 8;
      const field = message.fields[no];
      if (no < 1 || no > 0x1fffffff || wire === 3 || wire === 4 || wire > 5) this.#broken(message, `no field begins at byte ${tagAt}`);
      // Nobody writes such a tag, and `packed.ts` changes the one byte of a tag.
      const spare = this.#at - tagAt - 1;
      if (spare > 0 && tag < 128 ** spare) this.#broken(message, `a tag longer than it need be, at byte ${tagAt}`);
      const bit = no < 31 ? 1 << no : 0;
      if (message.name === 'TensorProto' && RUNS.has(no)) {
        if ((pieces & bit) !== 0) seen |= bit;
        pieces |= bit;
      }
      if (wire === 0) {
        const value = this.#varint(end, message);
        if (message.name === 'TensorProto' && no === DATA_LOCATION && value !== 0 && !resolved) {
          this.#refuse('external data where ONNX has none', 'external data in initialisers and tensor attributes', `some at byte ${tagAt}`);
        }
        if (field === undefined) this.#spend(UNKNOWN_COST);
        else if (field.kind !== 'i') this.#broken(message, `field ${no} is ${WIRE[wire]}`);
        else if (field.repeated) this.#spend(ELEMENT_COST[field.kind as 'i']);
        continue;
      }
      const length = wire === 2 ? this.#varint(end, message) : wire === 1 ? 8 : 4;
      const stop = this.#at + length;
      if (stop > end) this.#broken(message, `field ${no} runs over its end, at byte ${tagAt}`);
      if (field === undefined) this.#spend(UNKNOWN_COST);
      else if (wire !== 2) {
        if (field.kind !== (wire === 5 ? 'f' : 'd')) this.#broken(message, `field ${no} is ${WIRE[wire]}`);
        if (field.repeated) this.#spend(ELEMENT_COST[field.kind as 'i']);
      } else if (field.message !== undefined) {
        if (!field.repeated && (seen & bit) !== 0) this.#broken(message, `field ${no} is there twice`);
        seen |= bit;
        this.#fields(field.message, stop, depth + 1, open && field.open, resolved && field.resolved);
      } else if (field.kind === 'n') this.#name(message, length, field.repeated);
      else if (field.kind === 't')
        this.#spend(field.repeated ? ELEMENT_COST.t : message.name === 'TensorProto' && no === 9 ? 0 : 32 + length);
      else if (!field.repeated) this.#broken(message, `field ${no} is ${WIRE[wire]}`);
      else {
        if (!this.#whole(field.kind, stop)) this.#broken(message, `field ${no} ends within a number, at byte ${stop}`);
        if (open && message.name === 'TensorProto' && length >= LONG && RUNS.has(no)) this.#run(tagAt, no, stop);
        else
          this.#spend(ELEMENT_COST[field.kind as 'i'] * (field.kind === 'i' ? this.#varints(stop) : length / (field.kind === 'f' ? 4 : 8)));
      }
      this.#at = stop;
    }
    if (message.name === 'TensorProto' && (seen & pieces) !== 0) this.#leave(runsBefore, seen & pieces);
  }

  /**
   * Whether packed numbers end where their run does. The protobuf library reads the last one to its own end, and would go on in the middle
   * of what follows: it would see other fields than were counted here.
   */
  #whole(kind: Field['kind'], stop: number): boolean {
    const length = stop - this.#at;
    if (kind === 'i') return length === 0 || this.#bytes[stop - 1] < 0x80;
    return length % (kind === 'f' ? 4 : 8) === 0;
  }

  /** A run is kept as it is in the file, or as an array of numbers of its own. */
  #run(tagAt: number, no: number, stop: number): void {
    const size = RUNS.get(no);
    this.#spend(UNKNOWN_COST + (size === undefined ? stop - this.#at : size * this.#varints(stop)));
    this.#runs.push(tagAt);
  }

  /** Runs that came in several pieces are left to the library, which joins them: an array with an entry a number. */
  #leave(from: number, fields: number): void {
    for (const tagAt of this.#runs.splice(from)) {
      const no = this.#bytes[tagAt] >> 3;
      if ((fields & (1 << no)) === 0) this.#runs.push(tagAt);
      else {
        this.#at = tagAt + 1;
        const stop = this.#varint(this.#bytes.byteLength, MESSAGES.get('TensorProto')!) + this.#at;
        const kind = no === 4 ? 'f' : no === 10 ? 'd' : 'i';
        this.#spend(ELEMENT_COST[kind] * (kind === 'i' ? this.#varints(stop) : (stop - this.#at) / (kind === 'f' ? 4 : 8)));
        this.#at = stop;
      }
    }
  }

  #name(message: Message, length: number, repeated: boolean): void {
    if (length > MAX_NAME_BYTES)
      this.#refuse(`a name of ${length} bytes in a ${message.name}`, `names of at most ${MAX_NAME_BYTES} bytes`, String(length));
    this.#spend((repeated ? ELEMENT_COST.n : 24) + length);
  }

  #varint(end: number, message: Message): number {
    const bytes = this.#bytes;
    if (this.#at < end && bytes[this.#at] < 0x80) return bytes[this.#at++];
    let value = 0;
    // Ten bytes at most, as 64-bit integers have. Values beyond 2^53 are rounded: a length of that size is refused in any case.
    for (let i = 0, scale = 1; i < 10 && this.#at < end; i++, scale *= 128) {
      const byte = bytes[this.#at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return this.#broken(message, `a number without end, at byte ${this.#at}`);
  }

  /** How many varints lie from here to `stop`. */
  #varints(stop: number): number {
    let count = 0;
    for (let i = this.#at; i < stop; i++) if (this.#bytes[i] < 0x80) count++;
    return count;
  }

  #spend(cost: number): void {
    this.#cost += cost;
    if (this.#cost > this.#budget) {
      this.#refuse(
        'too many parts',
        `a graph that takes at most ${Math.round(this.#budget / 1e6)} MB in memory beside its weights`,
        `more, in a file of ${(this.#bytes.byteLength / 1e6).toFixed(1)} MB`,
      );
    }
  }

  #broken(message: Message, what: string): never {
    return notOnnx(this.#where, `its protobuf does not parse (${message.name}: ${what})`);
  }

  #refuse(what: string, expected: string, got: string): never {
    return fail({ where: this.#where, what, expected, got });
  }
}
