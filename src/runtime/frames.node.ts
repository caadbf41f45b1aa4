/**
 * Messages with tensors in them over a pipe between processes: one frame is the message as JSON, in which typed arrays are numbered, and
 * behind it the arrays' bytes as they are. Nothing is encoded twice, and the side that reads checks every length: what comes out of a
 * process that ran a stranger's file is a stranger's word. (V8's own serialisation would be as quick, but reads on trust.)
 *
 * Frame: bytes of the JSON (u32), number of arrays (u32), bytes of each array (f64 each), JSON, arrays. Little-endian.
 */
import { SecateurError } from '../core/errors.ts';

const ARRAYS = {
  Float32Array,
  Float64Array,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
} as const;
type ArrayName = keyof typeof ARRAYS;

/** Of one frame's JSON: names, shapes and messages, never numbers by the million. */
const MAX_JSON = 2 ** 28;
const MAX_ARRAYS = 2 ** 20;

/** Key that marks what JSON has no word for. */
const MARK = '$';

/**
 * The pieces of a frame, to be written one after the other. Arrays are pieces without a copy, so they must stay as they are until then.
 * Takes plain objects, arrays, Maps, typed arrays, bigints and what JSON has. Throws TypeError for anything else.
 */
export function encodeFrame(message: unknown): Uint8Array[] {
  const arrays: Uint8Array[] = [];
  const json = Buffer.from(JSON.stringify(plain(message, arrays)));
  const head = Buffer.alloc(8 + 8 * arrays.length);
  head.writeUInt32LE(json.byteLength, 0);
  head.writeUInt32LE(arrays.length, 4);
  for (const [i, bytes] of arrays.entries()) head.writeDoubleLE(bytes.byteLength, 8 + 8 * i);
  return [head, json, ...arrays.filter((bytes) => bytes.byteLength > 0)];
}

function plain(value: unknown, arrays: Uint8Array[]): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0) ? value : { [MARK]: 'number', v: numberText(value) };
  if (typeof value === 'bigint') return { [MARK]: 'bigint', v: String(value) };
  if (value === undefined) return { [MARK]: 'undefined' };
  if (Array.isArray(value)) return value.map((v) => plain(v, arrays));
  if (ArrayBuffer.isView(value)) {
    // Node's Buffer is a Uint8Array to the other side.
    const kind = Buffer.isBuffer(value) ? 'Uint8Array' : value.constructor.name;
    if (!Object.hasOwn(ARRAYS, kind)) throw new TypeError(`a ${kind} does not fit into a frame`);
    arrays.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    return { [MARK]: 'array', kind, at: arrays.length - 1 };
  }
  if (value instanceof Map) return { [MARK]: 'map', v: [...value].map(([k, v]) => [plain(k, arrays), plain(v, arrays)]) };
  if (typeof value !== 'object' || (Object.getPrototypeOf(value) !== Object.prototype && Object.getPrototypeOf(value) !== null)) {
    throw new TypeError(`a ${typeof value} does not fit into a frame`);
  }
  const entries = Object.entries(value).map(([k, v]): [string, unknown] => [k, plain(v, arrays)]);
  // A name out of a file may be the mark, or one that means something to objects.
  if (entries.some(([k]) => k === MARK || k === '__proto__')) return { [MARK]: 'object', v: entries };
  return Object.fromEntries(entries);
}

const numberText = (v: number): string => (Object.is(v, -0) ? '-0' : String(v));

/** Puts frames together from the chunks in which a pipe delivers them. */
export class FrameReader {
  readonly #limit: number;
  readonly #deliver: (message: unknown) => void;
  /** What is being filled, how far, and what comes when it is full. */
  #target: Uint8Array = new Uint8Array(8);
  #filled = 0;
  #next: () => void;

  /** @param limit bytes that one frame may have; `deliver` gets each message. */
  constructor(limit: number, deliver: (message: unknown) => void) {
    this.#limit = limit;
    this.#deliver = deliver;
    this.#next = () => this.#lengths();
  }

  /** Throws SecateurError where the bytes are no frame; the pipe is of no use afterwards. */
  take(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.byteLength; ) {
      const n = Math.min(chunk.byteLength - at, this.#target.byteLength - this.#filled);
      this.#target.set(chunk.subarray(at, at + n), this.#filled);
      this.#filled += n;
      at += n;
      if (this.#filled === this.#target.byteLength) this.#next();
    }
  }

  /** Waits for so many bytes, at least one. */
  #fill(bytes: number, next: () => void): void {
    this.#target = new Uint8Array(bytes);
    this.#filled = 0;
    this.#next = next;
  }

  #lengths(): void {
    const head = view(this.#target);
    const [json, count] = [head.getUint32(0, true), head.getUint32(4, true)];
    if (json === 0 || json > MAX_JSON || count > MAX_ARRAYS) bad(`a head of ${json} bytes and ${count} arrays`);
    if (count === 0) {
      this.#text(json, []);
      return;
    }
    this.#fill(8 * count, () => {
      const table = view(this.#target);
      const sizes = Array.from({ length: count }, (_, i) => table.getFloat64(8 * i, true));
      const total = sizes.reduce((sum, n) => sum + n, json);
      if (sizes.some((n) => !Number.isSafeInteger(n) || n < 0) || total > this.#limit) bad(`${total} bytes at once`);
      this.#text(json, sizes);
    });
  }

  #text(bytes: number, sizes: readonly number[]): void {
    this.#fill(bytes, () => {
      const json = Buffer.from(this.#target.buffer).toString();
      const arrays = sizes.map((n) => (n === 0 ? new Uint8Array() : undefined));
      const next = (from: number): void => {
        const i = arrays.indexOf(undefined, from);
        if (i < 0) this.#whole(json, arrays as Uint8Array<ArrayBuffer>[]);
        else {
          this.#fill(sizes[i], () => {
            arrays[i] = this.#target as Uint8Array<ArrayBuffer>;
            next(i + 1);
          });
        }
      };
      next(0);
    });
  }

  #whole(json: string, arrays: readonly Uint8Array<ArrayBuffer>[]): void {
    this.#fill(8, () => this.#lengths());
    let message: unknown;
    try {
      message = revive(JSON.parse(json), arrays);
    } catch (error) {
      if (error instanceof SecateurError) throw error;
      bad(error instanceof Error ? error.message : String(error));
    }
    this.#deliver(message);
  }
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function bad(got: string): never {
  throw new SecateurError({ where: 'runtime', what: 'the process that runs the model answers nonsense', got });
}

function revive(value: unknown, arrays: readonly Uint8Array<ArrayBuffer>[]): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((v) => revive(v, arrays));
  const marked = value as Record<string, unknown>;
  if (!Object.hasOwn(marked, MARK)) return fromEntries(Object.entries(marked), arrays);
  switch (marked[MARK]) {
    case 'number':
      return Number(marked.v);
    case 'bigint':
      return BigInt(String(marked.v));
    case 'undefined':
      return undefined;
    case 'map':
      return new Map((marked.v as [unknown, unknown][]).map(([k, v]) => [revive(k, arrays), revive(v, arrays)]));
    case 'object':
      return fromEntries(marked.v as [string, unknown][], arrays);
    case 'array': {
      const bytes = arrays[Number(marked.at)];
      const kind = String(marked.kind);
      if (bytes === undefined || !Object.hasOwn(ARRAYS, kind)) return bad(`an array "${kind}"`);
      const array = ARRAYS[kind as ArrayName];
      if (bytes.byteLength % array.BYTES_PER_ELEMENT !== 0) return bad(`a ${kind} of ${bytes.byteLength} bytes`);
      return new array(bytes.buffer, 0, bytes.byteLength / array.BYTES_PER_ELEMENT);
    }
    default:
      return bad(`a "${String(marked[MARK])}"`);
  }
}

function fromEntries(entries: readonly (readonly [string, unknown])[], arrays: readonly Uint8Array<ArrayBuffer>[]): object {
  const out: Record<string, unknown> = {};
  for (const [key, v] of entries) {
    // Assigning would set the prototype where the key is `__proto__`.
    Object.defineProperty(out, key, { value: revive(v, arrays), enumerable: true, writable: true, configurable: true });
  }
  return out;
}
