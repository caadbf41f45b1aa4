/** One backend test: read by our reader, written by our writer, run, compared. Each ends in exactly one class. */
import * as native from 'onnxruntime-node';
import { SecateurError } from '../../src/core/errors.ts';
import { sameDims } from '../../src/core/shapes.ts';
import { f32, type NumericArray, sizeOf, type Tensor } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { checkModel } from '../../src/onnx/check.ts';
import { bytesOf, dtypeCode } from '../../src/onnx/dtypes.ts';
import { subgraphs } from '../../src/onnx/edit.ts';
import type { Graph, Model, ValueInfo } from '../../src/onnx/model.ts';
import { whyRefused } from '../../src/onnx/operators.ts';
import { readModel, readTensor, writeModel } from '../../src/onnx/proto.ts';
import { trueInputs } from '../../src/onnx/spec.ts';
import { inThreadRuntime } from '../../src/runtime/in-thread.ts';
import type { Vector } from './archive.ts';

/** ONNX Runtime in this process on one thread: thousands of tiny sessions. */
export const runtime = inThreadRuntime(native, { backend: 'native', threads: 1 });

/**
 * `passed`; `refused` by our reader; `no kernel`: this ONNX Runtime does not run it; `not carried`: a sequence or an optional goes in or
 * out; `random`: other random numbers; `runtime differs`: ONNX Runtime gives the same from the bytes of the file itself, and it is not what
 * the test expects; `differs`: reader or writer changed something.
 */
export type Class = 'passed' | 'refused' | 'no kernel' | 'not carried' | 'random' | 'runtime differs' | 'differs';

export interface Forward {
  readonly class: Class;
  /** Why it is not `passed`. */
  readonly why?: string;
  /** Operators of the graph, subgraphs included, with the version of their domain: `Add`, `com.microsoft.Gelu`. */
  readonly operators: ReadonlyMap<string, number>;
  /** Where it passed. */
  readonly run?: { readonly model: Model; readonly feeds: Readonly<Record<string, Tensor>>; readonly outputs: readonly Tensor[] };
}

const RTOL = 1e-3;
const ATOL = 1e-7;

const CARRIED = new Set<string | undefined>([
  ...['float32', 'float64', 'float16', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'bool', 'string'],
]);

export async function runForward(vector: Vector): Promise<Forward> {
  const operators = new Map<string, number>();
  let model: Model;
  try {
    model = readModel(vector.model, vector.name);
    collect(model.graph, model, operators);
    checkModel(model, vector.name);
    const refused = [...nodesOf(model.graph)].map((node) => whyRefused(node.domain, node.opType)).find((why) => why !== undefined);
    if (refused !== undefined) return { class: 'refused', why: refused, operators };
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    return { class: 'refused', why: `${error.parts.what}${error.parts.got === undefined ? '' : `: ${error.parts.got}`}`, operators };
  }
  const inputs = trueInputs(model);
  const values = [...inputs, ...model.graph.outputs];
  if (values.some((info) => info.dtype === undefined)) return { class: 'not carried', why: 'a sequence or an optional', operators };

  const given = vector.inputs?.map((bytes, i) => readTensor(bytes, `${vector.name} input ${i}`)) ?? [ramp(inputs[0])];
  const expected = vector.outputs.map((bytes, i) => readTensor(bytes, `${vector.name} output ${i}`));
  const uncarried = values.find((info) => !CARRIED.has(info.dtype));
  if (uncarried !== undefined) return { ...(await runInside(vector.name, model, inputs, given, expected)), operators };
  const feeds = Object.fromEntries(inputs.map((info, i) => [info.name, given[i]]).filter(([, tensor]) => tensor !== undefined));
  let found: Tensor[];
  try {
    const session = await runtime.open(writeModel(model));
    try {
      const values = await session.run(feeds);
      found = model.graph.outputs.map((info) => values[info.name]);
    } finally {
      await session.close();
    }
  } catch (error) {
    const why = noKernel((error as Error).message);
    if (why !== undefined) return { class: 'no kernel', why, operators };
    const itself = await failsFromFile(vector, feeds, (error as Error).message);
    return { class: itself ? 'runtime differs' : 'differs', why: `fails: ${firstLine((error as Error).message)}`, operators };
  }
  const why = found.map((tensor, i) => difference(tensor, expected[i])).find((text) => text !== undefined);
  if (why === undefined) return { class: 'passed', operators, run: { model, feeds, outputs: found } };
  const random = [...nodesOf(model.graph)].some((node) => RANDOM.test(node.opType) || (node.opType === 'Dropout' && node.inputs[2]));
  if (random) return { class: 'random', why: 'the file gives a seed for another generator', operators };
  return { class: (await sameFromFile(vector, feeds, model, found)) ? 'runtime differs' : 'differs', why, operators };
}

/**
 * Values of types that JavaScript cannot hand over (4-bit integers, 8-bit floats, bfloat16) stay inside the graph: inputs and expected
 * outputs as initialisers, which our writer stores, and what comes out, like what is expected, made float32 by a Cast.
 */
async function runInside(
  where: string,
  model: Model,
  inputs: readonly ValueInfo[],
  given: readonly Tensor[],
  expected: readonly Tensor[],
): Promise<Pick<Forward, 'class' | 'why'>> {
  const b = GraphBuilder.from(model, { prefix: 'test' });
  const asFloat = (name: string): string => b.op('Cast', [name], { to: dtypeCode('float32') });
  const pairs = model.graph.outputs.map((info, i): [string, string] => [
    asFloat(info.name),
    asFloat(b.initializer(`test/expected${i}`, expected[i])),
  ]);
  const wrapped = b.build();
  const { graph } = wrapped;
  for (const [i, info] of inputs.entries()) graph.initializers.set(info.name, given[i]);
  graph.inputs = [];
  graph.outputs = pairs.flat().map((name) => ({ name, dtype: undefined, dims: undefined }));
  try {
    const session = await runtime.open(writeModel(wrapped));
    const found = await session.run({}).finally(() => session.close());
    const why = pairs.map(([a, e]) => difference(found[a], found[e])).find((text) => text !== undefined);
    return why === undefined ? { class: 'passed' } : { class: 'differs', why };
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    const why = noKernel(error.message);
    return why === undefined ? { class: 'not carried', why: `${where}: ${firstLine(error.message)}` } : { class: 'no kernel', why };
  }
}

const RANDOM = /^(Random|Bernoulli|Multinomial)/;

/** Whether ONNX Runtime gives the very same from the bytes of the file itself, so that reader and writer have no part in it. */
async function sameFromFile(
  { model: bytes }: Vector,
  feeds: Readonly<Record<string, Tensor>>,
  model: Model,
  ours: readonly Tensor[],
): Promise<boolean> {
  const session = await runtime.open(bytes);
  try {
    const values = await session.run(feeds);
    return model.graph.outputs.every(({ name }, i) =>
      Buffer.from(bytesOf(values[name].data as NumericArray)).equals(bytesOf(ours[i].data as NumericArray)),
    );
  } finally {
    await session.close();
  }
}

async function failsFromFile({ model: bytes }: Vector, feeds: Readonly<Record<string, Tensor>>, message: string): Promise<boolean> {
  try {
    const session = await runtime.open(bytes);
    await session.run(feeds).finally(() => session.close());
    return false;
  } catch (error) {
    return (error as Error).message === message;
  }
}

function* nodesOf(graph: Graph): Generator<Graph['nodes'][number]> {
  for (const node of graph.nodes) {
    yield node;
    for (const inner of subgraphs(node)) yield* nodesOf(inner);
  }
}

function collect(graph: Graph, model: Model, operators: Map<string, number>): void {
  for (const { opType, domain } of nodesOf(graph)) {
    operators.set(domain === '' ? opType : `${domain}.${opType}`, model.opsets.get(domain) ?? 0);
  }
}

/** What `light` is fed with: element i of n is i / n. */
function ramp(info: ValueInfo): Tensor {
  const dims = (info.dims ?? []).map(Number);
  const n = sizeOf(dims);
  return f32(
    Float32Array.from({ length: n }, (_, i) => i / n),
    dims,
  );
}

/** In a few words, where ONNX Runtime says that it does not run this; undefined where something else is wrong. */
function noKernel(message: string): string | undefined {
  const kernel =
    /Could not find an implementation for ([\w.]+\(-?\d+\))/.exec(message) ?? /([\w.]+:[\w.]+\(-?\d+\)) is not a registered/.exec(message);
  if (kernel !== null) return `no kernel for ${kernel[1]}`;
  const opset = /Opset (\d+) is under development/.exec(message);
  if (opset !== null) return `opset ${opset[1]} is not released`;
  if (
    /Unsupported data type|not supported|[Uu]nsupported|not implemented|NOT_IMPLEMENTED|is not a registered|No Op registered/.test(message)
  ) {
    return firstLine(message);
  }
  return undefined;
}

const firstLine = (message: string): string =>
  message
    .replace(/^runtime \(native\): /, '')
    .replace(/\/onnxruntime_src\/\S+ /, '')
    .split('\n')[0]
    .slice(0, 160);

/** What is different, or undefined. */
function difference(found: Tensor, expected: Tensor | undefined): string | undefined {
  if (expected === undefined) return 'no expected output in the archive';
  if (found.dtype !== expected.dtype) return `type ${found.dtype}, expected ${expected.dtype}`;
  if (!sameDims(found.dims, expected.dims)) return `shape [${found.dims}], expected [${expected.dims}]`;
  if (found.dtype === 'string') {
    const [a, b] = [found.data as readonly string[], expected.data as readonly string[]];
    return a.every((text, i) => text === b[i]) ? undefined : 'text differs';
  }
  const exact = !found.dtype.startsWith('float');
  const [a, b] = [numbersOf(found), numbersOf(expected)];
  for (let i = 0; i < b.length; i++) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue;
    if (exact || !(Math.abs(a[i] - b[i]) <= ATOL + RTOL * Math.abs(b[i]))) return `element ${i} is ${a[i]}, expected ${b[i]}`;
  }
  return undefined;
}

export function numbersOf({ dtype, data }: Tensor): ArrayLike<number> {
  if (dtype === 'float16') return Float64Array.from(data as Uint16Array, half);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Array.from(data, Number);
  return data as Float32Array;
}

/** IEEE 754 half precision. */
function half(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0) return sign * 2 ** -14 * (fraction / 1024);
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}
