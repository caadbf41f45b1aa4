/**
 * Exact static types of every value of a graph for one batch size, found by running it once with every value as an output. ONNX
 * Runtime is the shape inference: there is no second opinion to disagree with it, and data-dependent shapes come out right.
 */
import { fail } from '../core/errors.ts';
import { type DType, type NumericArray, sizeOf, type Tensor } from '../core/tensor.ts';
import type { Dim, Graph, Model, ValueInfo } from '../onnx/model.ts';
import type { ValueType, ValueTypes } from '../onnx/value-types.ts';
import type { Runtime } from './session.ts';

/** Values up to this many elements are kept as constants where they do not depend on the graph's inputs (axes, shapes, pads). */
const CONSTANT_LIMIT = 1024;

/** Operators whose result depends on the shape of their input alone, which is fixed once the batch is. */
const SHAPE_ONLY = new Set(['Shape', 'Size']);

/**
 * @param options.batch what a symbolic or unknown dimension stands for; every such dimension gets the same number (default 1)
 * @throws SecateurError where the graph cannot be run with these dimensions
 */
export async function probe(runtime: Runtime, model: Model, options: { batch?: number } = {}): Promise<ValueTypes> {
  const batch = options.batch ?? 1;
  const { graph } = model;
  const inputs = graph.inputs.filter((input) => !graph.initializers.has(input.name));
  const feeds: Record<string, Tensor> = {};
  for (const input of inputs) feeds[input.name] = zeros(input, batch);

  const computed = graph.nodes.flatMap((node) => node.outputs.filter((name) => name !== ''));
  const everything: Model = {
    ...model,
    graph: { ...graph, outputs: computed.map((name): ValueInfo => ({ name, dtype: undefined, dims: undefined })), source: undefined },
  };
  const session = await runtime.open(everything, { label: 'a first run that finds the shapes' });
  const types = new Map<string, ValueType>();
  try {
    const values = await session.run(feeds);
    const constants = constantNames(graph);
    for (const [name, tensor] of Object.entries(feeds)) types.set(name, { dtype: tensor.dtype, dims: tensor.dims });
    for (const [name, tensor] of graph.initializers) types.set(name, typeOf(tensor, true));
    for (const [name, tensor] of Object.entries(values)) types.set(name, typeOf(tensor, constants.has(name)));
  } finally {
    await session.close();
  }
  return types;
}

function typeOf(tensor: Tensor, constant: boolean): ValueType {
  const { dtype, dims } = tensor;
  return constant && sizeOf(dims) <= CONSTANT_LIMIT ? { dtype, dims, constant: tensor } : { dtype, dims };
}

/** Values that every input of the graph leaves alone. */
function constantNames(graph: Graph): Set<string> {
  const constant = new Set(graph.initializers.keys());
  for (const node of graph.nodes) {
    const fixed =
      SHAPE_ONLY.has(node.opType) || (!node.opType.startsWith('Random') && node.inputs.every((name) => name === '' || constant.has(name)));
    if (fixed) for (const name of node.outputs) constant.add(name);
  }
  return constant;
}

function zeros(input: ValueInfo, batch: number): Tensor {
  if (input.dims === undefined || input.dtype === undefined) {
    fail({ where: `model input "${input.name}"`, what: 'has no tensor type', expected: 'a type and a rank in the file', got: 'none' });
  }
  const dims = input.dims.map((d: Dim) => (typeof d === 'number' && d > 0 ? d : batch));
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
