/**
 * What happens on the side where ONNX Runtime lives: sessions by number, carried state, conversion between our tensors and ORT's.
 * Knows neither worker threads nor which build of ONNX Runtime it drives, so the native and the WASM backend share all of it.
 */
import { type DType, type NumericArray, sizeOf, type Tensor } from '../core/tensor.ts';
import type { ValueType } from '../onnx/value-types.ts';
import type { Backend, Feeds, Fetches } from './session.ts';

/** The part of onnxruntime-common that both packages export. */
export interface Ort {
  readonly InferenceSession: { create(model: Uint8Array, options?: Record<string, unknown>): Promise<OrtSession> };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => OrtTensor;
}
export interface OrtTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
  dispose?(): void;
}
export interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, OrtTensor>, fetches: readonly string[] | Record<string, OrtTensor | null>): Promise<Record<string, OrtTensor>>;
  release(): Promise<void>;
  endProfiling(): void;
}

export interface OpenRequest {
  readonly bytes: Uint8Array;
  readonly carry: Readonly<Record<string, string>>;
  readonly state: Feeds;
  readonly ortOptions: Record<string, unknown>;
}

interface Live {
  readonly session: OrtSession;
  readonly carry: ReadonlyArray<readonly [input: string, output: string]>;
  /** Outputs that a caller gets when it names none. */
  readonly free: readonly string[];
  /** The carried inputs now, and the buffers that the next run writes into: the two change places after each run. */
  current: Record<string, OrtTensor>;
  next: Record<string, OrtTensor>;
  /** Inputs that stay as they are. */
  readonly held: Readonly<Record<string, OrtTensor>>;
}

export class Engine {
  readonly #ort: Ort;
  /**
   * Whether outputs may be written into tensors that the caller made. onnxruntime-web takes such CPU tensors, computes into a copy of
   * them in its own heap and returns them unchanged (1.30), so there the runtime makes new ones.
   */
  readonly #writesIntoFetches: boolean;
  readonly #live = new Map<number, Live>();
  #last = 0;

  constructor(ort: Ort, backend: Backend) {
    this.#ort = ort;
    this.#writesIntoFetches = backend === 'native';
  }

  async open(request: OpenRequest): Promise<{ id: number; inputNames: readonly string[]; outputNames: readonly string[] }> {
    const session = await this.#ort.InferenceSession.create(request.bytes, request.ortOptions);
    const carry = Object.entries(request.carry);
    const carried = new Set(carry.map(([, output]) => output));
    const held: Record<string, OrtTensor> = {};
    for (const [name, tensor] of Object.entries(request.state)) if (!(name in request.carry)) held[name] = this.#toOrt(copyOf(tensor));
    const live: Live = {
      session,
      held,
      carry,
      free: session.outputNames.filter((name) => !carried.has(name)),
      current: {},
      next: {},
    };
    for (const [input] of carry) {
      const first = request.state[input];
      if (first === undefined) throw new Error(`carried input "${input}" has no first value`);
      // Both buffers are ours: what the caller gave stays untouched.
      live.current[input] = this.#toOrt(copyOf(first));
      live.next[input] = this.#toOrt(copyOf(first));
    }
    const id = ++this.#last;
    this.#live.set(id, live);
    return { id, inputNames: session.inputNames.filter((n) => !(n in request.state)), outputNames: live.free };
  }

  async run(id: number, feeds: Feeds, outputs: readonly string[] | undefined): Promise<Fetches> {
    const live = this.#get(id);
    const inputs: Record<string, OrtTensor> = { ...live.held, ...live.current };
    for (const [name, tensor] of Object.entries(feeds)) inputs[name] = this.#toOrt(tensor);
    const wanted = outputs ?? live.free;
    const fetches: Record<string, OrtTensor | null> = {};
    for (const name of wanted) fetches[name] = null;
    for (const [input, output] of live.carry) fetches[output] = this.#writesIntoFetches ? live.next[input] : null;
    const result = await live.session.run(inputs, fetches);
    const next: Record<string, OrtTensor> = {};
    for (const [input, output] of live.carry) next[input] = result[output];
    if (live.carry.length > 0) {
      live.next = live.current;
      live.current = next;
    }
    const fetched: Fetches = {};
    for (const name of wanted) fetched[name] = fromOrt(result[name]);
    return fetched;
  }

  async types(id: number, feeds: Feeds, limit: number): Promise<Record<string, ValueType>> {
    const types: Record<string, ValueType> = {};
    for (const [name, tensor] of Object.entries(await this.run(id, feeds, undefined))) {
      const { dtype, dims } = tensor;
      types[name] = sizeOf(dims) <= limit ? { dtype, dims, constant: tensor } : { dtype, dims };
    }
    return types;
  }

  state(id: number): Fetches {
    const live = this.#get(id);
    const state: Fetches = {};
    for (const [input] of live.carry) state[input] = copyOf(fromOrt(live.current[input]));
    return state;
  }

  setState(id: number, state: Feeds): void {
    const live = this.#get(id);
    for (const [name, tensor] of Object.entries(state)) {
      const old = live.current[name];
      if (old === undefined) throw new Error(`"${name}" is not a carried input`);
      if (sizeOf(old.dims) !== sizeOf(tensor.dims) || old.dims.some((d, i) => d !== tensor.dims[i])) {
        throw new Error(`state "${name}": expected shape [${old.dims.join(',')}], got [${tensor.dims.join(',')}]`);
      }
      live.current[name] = this.#toOrt(copyOf(tensor));
    }
  }

  endProfile(id: number): void {
    this.#get(id).session.endProfiling();
  }

  async close(id: number): Promise<void> {
    const live = this.#live.get(id);
    if (live === undefined) return;
    this.#live.delete(id);
    await live.session.release();
  }

  #get(id: number): Live {
    const live = this.#live.get(id);
    if (live === undefined) throw new Error('session is closed');
    return live;
  }

  #toOrt(tensor: Tensor): OrtTensor {
    return new this.#ort.Tensor(tensor.dtype, tensor.data, tensor.dims);
  }
}

function copyOf(tensor: Tensor): Tensor {
  return { ...tensor, data: tensor.data.slice() as NumericArray | readonly string[] };
}

function fromOrt(tensor: OrtTensor): Tensor {
  const data = tensor.data as NumericArray;
  // Where there is a Float16Array (browsers), ONNX Runtime takes either and gives that; everything here holds float16 as bits.
  const bits = tensor.type === 'float16' && !(data instanceof Uint16Array);
  return {
    dtype: tensor.type as DType,
    dims: [...tensor.dims],
    data: bits ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data,
  };
}
