/**
 * Exact static types of every value of a graph for one batch size, found by running it with every value as an output. ONNX Runtime is
 * the shape inference: there is no second opinion to disagree with it, and data-dependent shapes come out right. A large batch is not
 * run: three small ones are, and where every size grows by the same step from one to the next, it is known for all.
 */
import { fail } from '../core/errors.ts';
import { sameDims } from '../core/shapes.ts';
import { type DType, type NumericArray, sizeOf, type Tensor } from '../core/tensor.ts';
import { usedValues } from '../onnx/edit.ts';
import type { Dim, Graph, Model, ValueInfo } from '../onnx/model.ts';
import type { ValueType, ValueTypes } from '../onnx/value-types.ts';
import { visibleValues } from './probe-outputs.ts';
import type { Runtime } from './session.ts';

/** Values up to this many elements are kept as constants where they do not depend on the graph's inputs (axes, shapes, pads). */
const CONSTANT_LIMIT = 1024;

/** Batches up to the last of these are run as they are; larger ones are told from these three. */
const [FIRST, SECOND, CHECK] = [2, 3, 5];

/** Operators whose result depends on the shape of their input alone, which is fixed once the batch is. */
const SHAPE_ONLY = new Set(['Shape', 'Size']);

type Types = Map<string, ValueType>;

/**
 * @param options.batch what a symbolic or unknown dimension stands for; every such dimension gets the same number (default 1)
 * @throws SecateurError where the graph cannot be run with these dimensions
 */
export async function probe(runtime: Runtime, model: Model, options: { batch?: number } = {}): Promise<ValueTypes> {
  const batch = options.batch ?? 1;
  const { graph } = model;
  const inputs = graph.inputs.filter((input) => !graph.initializers.has(input.name));
  const outputs = visibleValues(graph).map((name): ValueInfo => ({ name, dtype: undefined, dims: undefined }));
  const everything: Model = { ...model, graph: { ...graph, outputs, source: undefined } };
  const constants = constantNames(graph);
  const session = await runtime.open(everything, { label: 'a first run that finds the shapes' });
  const at = async (size: number): Promise<Types> => {
    const feeds: Record<string, Tensor> = {};
    for (const input of inputs) feeds[input.name] = zeros(input, size);
    const types: Types = new Map();
    for (const [name, { dtype, dims }] of Object.entries(feeds)) types.set(name, { dtype, dims });
    for (const [name, tensor] of graph.initializers) types.set(name, initializerType(tensor));
    for (const [name, { dtype, dims, constant }] of Object.entries(await session.types(feeds, CONSTANT_LIMIT))) {
      types.set(name, constants.has(name) && constant !== undefined ? { dtype, dims, constant } : { dtype, dims });
    }
    return types;
  };
  try {
    const fixed = inputs.every(({ dims }) => dims?.every(isFixed));
    if (fixed || batch <= CHECK) return await at(batch);
    return extrapolate(await at(FIRST), await at(SECOND), await at(CHECK), batch) ?? (await at(batch));
  } finally {
    await session.close();
  }
}

/** A number at `batch` from those at the three small sizes; undefined where they lie on no line. */
type Line = (first: number, second: number, check: number) => number | undefined;

/** Types at `batch` from those at three small sizes; undefined where something does not grow evenly. */
function extrapolate(first: Types, second: Types, check: Types, batch: number): Types | undefined {
  const line: Line = (a, b, c) => (a + (b - a) * (CHECK - FIRST) === c ? a + (b - a) * (batch - FIRST) : undefined);
  const types: Types = new Map();
  for (const [name, a] of first) {
    const [b, c] = [second.get(name)!, check.get(name)!];
    if (a.dims.length !== b.dims.length || a.dims.length !== c.dims.length) return undefined;
    const dims = a.dims.map((d, i) => line(d, b.dims[i], c.dims[i]));
    if (!dims.every((d) => d !== undefined)) return undefined;
    const constant = a.constant && tensorOnLine(a.constant, b.constant, c.constant, line);
    if (a.constant !== undefined && constant === undefined) return undefined;
    types.set(name, { dtype: a.dtype, dims, ...(constant && { constant }) });
  }
  return types;
}

function tensorOnLine(a: Tensor, b: Tensor | undefined, c: Tensor | undefined, line: Line): Tensor | undefined {
  if (b === undefined || c === undefined || !sameDims(a.dims, b.dims) || !sameDims(a.dims, c.dims)) return undefined;
  const values: unknown[] = [...a.data];
  if (values.every((v, i) => Object.is(v, b.data[i]) && Object.is(v, c.data[i]))) return a;
  if (a.dtype !== 'int64' && a.dtype !== 'int32') return undefined;
  const next = values.map((v, i) => line(Number(v), Number(b.data[i]), Number(c.data[i])));
  if (!next.every((v) => v !== undefined)) return undefined;
  return { ...a, data: a.dtype === 'int64' ? BigInt64Array.from(next, BigInt) : Int32Array.from(next) };
}

function initializerType(tensor: Tensor): ValueType {
  const { dtype, dims } = tensor;
  return sizeOf(dims) <= CONSTANT_LIMIT ? { dtype, dims, constant: tensor } : { dtype, dims };
}

/** Values that every input of the graph leaves alone. */
function constantNames(graph: Graph): Set<string> {
  const constant = new Set(graph.initializers.keys());
  for (const node of graph.nodes) {
    // What a graph inside of the node reads counts too.
    const fixed = SHAPE_ONLY.has(node.opType) || (!isRandom(node.opType) && usedValues(node).every((name) => constant.has(name)));
    if (fixed) for (const name of node.outputs) constant.add(name);
  }
  return constant;
}

const isRandom = (opType: string): boolean => opType.startsWith('Random') || opType === 'Bernoulli' || opType === 'Multinomial';
const isFixed = (d: Dim): d is number => typeof d === 'number' && d > 0;

function zeros(input: ValueInfo, batch: number): Tensor {
  if (input.dims === undefined || input.dtype === undefined) {
    fail({ where: `model input "${input.name}"`, what: 'has no tensor type', expected: 'a type and a rank in the file', got: 'none' });
  }
  const dims = input.dims.map((d) => (isFixed(d) ? d : batch));
  return { dtype: input.dtype, dims, data: zeroData(input.dtype, sizeOf(dims)) };
}

function zeroData(dtype: DType, n: number): NumericArray | string[] {
  switch (dtype) {
    case 'float32':
      return new Float32Array(n);
    case 'float64':
      return new Float64Array(n);
    case 'int64':
      return new BigInt64Array(n);
    case 'uint64':
      return new BigUint64Array(n);
    case 'int32':
      return new Int32Array(n);
    case 'uint32':
      return new Uint32Array(n);
    case 'float16':
    case 'bfloat16':
    case 'uint16':
      return new Uint16Array(n);
    case 'int16':
      return new Int16Array(n);
    case 'int8':
      return new Int8Array(n);
    case 'string':
      return new Array<string>(n).fill('');
    default:
      return new Uint8Array(n);
  }
}
