/** Builds graphs node by node, from nothing or on top of a model; every new name is unique and says what it is. */
import { fail } from '../core/errors.ts';
import { type DType, i64, type NumericArray, sizeOf, type Tensor } from '../core/tensor.ts';
import { bytesOf, dtypeInfo } from './dtypes.ts';
import { allNames, allowFreeInitializers, cloneModel, describeNode, topologicalOrder, usedValues } from './edit.ts';
import { type Attribute, type AttributeShorthand, type Dim, Float, type Model } from './model.ts';

/** Readable by the onnx 1.12 checker and by ONNX Runtime 1.30 alike. */
export const DEFAULT_OPSET = 17;
export const DEFAULT_IR_VERSION = 8;

export interface BuilderOptions {
  /** Name of the graph. */
  readonly name?: string;
  /** Version of the standard operator set. */
  readonly opset?: number;
  /** Put before every new name that is not given in full: `grad` makes `grad/relu`. */
  readonly prefix?: string;
}

export interface OpOptions {
  /** How many outputs, or their exact names ('' leaves one out). Default 1. */
  readonly outputs?: number | readonly string[];
  /** '' is the standard domain; another one is imported at version 1 if the model does not import it yet. */
  readonly domain?: string;
  /** Name wished for the node and its first output, `conv1/relu`; a number is added where it is taken. Default: the operator's. */
  readonly name?: string;
}

/** Constants up to this many bytes are shared between equal ones. */
const SHARED_CONSTANT_BYTES = 1024;

export class GraphBuilder {
  readonly #model: Model;
  readonly #prefix: string;
  readonly #taken: Set<string>;
  /** Values that exist: inputs, initialisers, node outputs. */
  readonly #values: Set<string>;
  readonly #counters = new Map<string, number>();
  readonly #constants = new Map<string, string>();

  constructor(options: BuilderOptions = {}, continued?: Model) {
    this.#prefix = options.prefix ? `${options.prefix}/` : '';
    this.#model = continued ?? {
      irVersion: DEFAULT_IR_VERSION,
      producerName: 'secateur',
      producerVersion: '',
      opsets: new Map([['', options.opset ?? DEFAULT_OPSET]]),
      metadata: new Map(),
      graph: { name: options.name ?? 'graph', nodes: [], inputs: [], outputs: [], valueInfo: [], initializers: new Map() },
    };
    const { graph } = this.#model;
    this.#taken = allNames(graph);
    this.#values = new Set([
      ...graph.inputs.map((i) => i.name),
      ...graph.initializers.keys(),
      ...graph.nodes.flatMap((n) => n.outputs.filter((o) => o !== '')),
    ]);
    for (const [name, tensor] of graph.initializers) this.#remember(name, tensor);
  }

  /** Goes on with a copy of a model; the model itself is not changed, its tensors are shared. */
  static from(model: Model, options: Pick<BuilderOptions, 'prefix'> = {}): GraphBuilder {
    return new GraphBuilder(options, cloneModel(model));
  }

  /** Version of the standard operator set of the graph. */
  get opset(): number {
    return this.#model.opsets.get('') ?? 0;
  }

  /** The tensor behind an initialiser's name. */
  initializerOf(name: string): Tensor | undefined {
    return this.#model.graph.initializers.get(name);
  }

  /** A name nobody uses yet: the hint itself, or the hint and a number. It is taken from then on. */
  fresh(hint: string): string {
    return this.#unique(this.#prefix + hint);
  }

  #unique(wished: string): string {
    let name = wished;
    // Counted on from the last number given out, or thousands of equal hints would take quadratic time.
    let i = this.#counters.get(wished) ?? 0;
    while (this.#taken.has(name)) name = `${wished}_${++i}`;
    this.#counters.set(wished, i);
    this.#taken.add(name);
    return name;
  }

  /** A graph input of exactly this name. */
  input(name: string, dtype: DType, dims: readonly Dim[]): string {
    this.#define(name);
    this.#model.graph.inputs.push({ name, dtype, dims: [...dims] });
    return name;
  }

  /**
   * Makes an existing value a graph output. Without dtype and shape the runtime infers them, which onnx.checker does not accept:
   * give them for models that leave the program.
   */
  output(name: string, dtype?: DType, dims?: readonly Dim[]): string {
    if (!this.#values.has(name)) fail({ where: 'onnx: builder', what: `output "${name}" is no value of the graph` });
    const known = this.#model.graph.inputs.find((i) => i.name === name);
    const type = dtype ?? known?.dtype ?? this.initializerOf(name)?.dtype;
    const shape = dims ?? known?.dims ?? this.initializerOf(name)?.dims;
    this.#model.graph.outputs.push({ name, dtype: type, dims: shape && [...shape] });
    return name;
  }

  /** An initialiser of exactly this name. */
  initializer(name: string, tensor: Tensor): string {
    this.#define(name);
    this.#model.graph.initializers.set(name, tensor);
    return name;
  }

  /** An initialiser under a name of the builder's choice; small equal ones are one. */
  constant(tensor: Tensor): string {
    const key = constantKey(tensor);
    const known = key === undefined ? undefined : this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.fresh(constantHint(tensor));
    this.#values.add(name);
    this.#model.graph.initializers.set(name, tensor);
    this.#remember(name, tensor);
    return name;
  }

  /** A constant int64 vector: shapes, axes, pads. */
  ints(values: readonly number[]): string {
    return this.constant(i64(values));
  }

  /** A constant scalar of shape []. 16-bit floats are not offered: there is one place to round them, the Cast operator. */
  scalar(value: number, dtype: Exclude<DType, 'string' | 'float16' | 'bfloat16'> = 'float32'): string {
    const kind = dtypeInfo(dtype);
    if (kind === undefined || kind.bits < 8) return fail({ where: 'onnx: builder', what: `no scalar constants of type ${dtype}` });
    const array = new kind.array(new ArrayBuffer(kind.array.BYTES_PER_ELEMENT), 0, 1);
    if (array instanceof BigInt64Array || array instanceof BigUint64Array) array[0] = BigInt(value);
    else array[0] = value;
    return this.constant({ dtype, dims: [], data: array });
  }

  /** Adds a node with one output (or the outputs asked for) and returns its first output's name. */
  op(opType: string, inputs: readonly string[], attributes: Readonly<Record<string, AttributeShorthand>> = {}, o: OpOptions = {}): string {
    return this.opN(opType, inputs, attributes, o)[0];
  }

  /** As {@link op}, returning all outputs' names. */
  opN(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeShorthand>> = {},
    o: OpOptions = {},
  ): string[] {
    const missing = inputs.find((name) => name !== '' && !this.#values.has(name));
    const name = this.fresh(o.name ?? opType.toLowerCase());
    if (missing !== undefined) {
      fail({ where: 'onnx: builder', what: `node "${name}" (${opType}) reads "${missing}", which is no value of the graph` });
    }
    const outputs = this.#outputNames(name, o.outputs ?? 1);
    const domain = o.domain ?? '';
    if (!this.#model.opsets.has(domain)) this.#model.opsets.set(domain, 1);
    const entries = Object.entries(attributes).map(([key, value]): [string, Attribute] => [key, fromShorthand(value)]);
    this.#model.graph.nodes.push({ name, opType, domain, inputs: [...inputs], outputs, attributes: new Map(entries) });
    return outputs;
  }

  #outputNames(node: string, wished: number | readonly string[]): string[] {
    if (typeof wished === 'number') {
      // Nodes and values are named apart in ONNX, so the first output may carry the node's name.
      return Array.from({ length: wished }, (_, i) => {
        const name = i === 0 ? node : this.#unique(`${node}.${i}`);
        this.#values.add(name);
        return name;
      });
    }
    for (const name of wished) if (name !== '' && name !== node) this.#define(name);
    for (const name of wished) if (name !== '') this.#values.add(name);
    return [...wished];
  }

  #define(name: string): void {
    if (name === '' || this.#values.has(name)) {
      fail({ where: 'onnx: builder', what: name === '' ? 'a value without a name' : `the graph has a value "${name}" already` });
    }
    this.#taken.add(name);
    this.#values.add(name);
  }

  #remember(name: string, tensor: Tensor): void {
    const key = constantKey(tensor);
    if (key !== undefined && !this.#constants.has(key)) this.#constants.set(key, name);
  }

  /** The model as built so far. Throws where a node or an output reads a value that does not exist. */
  build(): Model {
    const model = cloneModel(this.#model);
    const { graph } = model;
    const defined = new Set([...graph.inputs.map((i) => i.name), ...graph.initializers.keys()]);
    let inOrder = true;
    for (const node of graph.nodes) {
      if (!usedValues(node).every((name) => defined.has(name))) inOrder = false;
      for (const output of node.outputs) defined.add(output);
    }
    if (!inOrder) {
      for (const node of graph.nodes) {
        const missing = usedValues(node).find((name) => !defined.has(name));
        if (missing !== undefined)
          fail({ where: `onnx: ${describeNode(node)}`, what: `reads "${missing}", which is no value of the graph` });
      }
      graph.nodes = topologicalOrder(graph);
    }
    allowFreeInitializers(model);
    return model;
  }
}

function fromShorthand(value: AttributeShorthand): Attribute {
  if (value instanceof Float) {
    return typeof value.value === 'number' ? { type: 'float', value: Math.fround(value.value) } : floats(value.value);
  }
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) fail({ where: 'onnx: builder', what: 'attribute is no integer', got: String(value), hint: 'float(…)' });
    return { type: 'int', value };
  }
  if (typeof value === 'string') return { type: 'string', value };
  if (isArray(value)) {
    if (value.every((v) => typeof v === 'string')) return value.length > 0 ? { type: 'strings', value } : { type: 'ints', value: [] };
    return { type: 'ints', value: value as readonly number[] };
  }
  return { type: 'tensor', value };
}

const floats = (values: readonly number[]): Attribute => ({ type: 'floats', value: values.map(Math.fround) });

/** Array.isArray does not narrow readonly arrays. */
function isArray(value: AttributeShorthand): value is readonly number[] | readonly string[] {
  return Array.isArray(value);
}

function constantKey({ dtype, dims, data }: Tensor): string | undefined {
  if (dtype === 'string') return undefined;
  const bytes = bytesOf(data as NumericArray);
  if (bytes.byteLength > SHARED_CONSTANT_BYTES) return undefined;
  return `${dtype}[${dims.join(',')}]${String.fromCharCode(...bytes)}`;
}

function constantHint({ dtype, dims, data }: Tensor): string {
  const short = dtype === 'int64' ? 'i64' : dtype === 'float32' ? 'f32' : dtype;
  const isShort = sizeOf(dims) <= 6 && dims.length <= 1 && dtype !== 'string';
  return isShort ? `const/${short}_${[...data].join('_')}` : `const/${short}_${dims.join('x')}`;
}
