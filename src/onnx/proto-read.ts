/** The reading half of the door to the file format, see `proto.ts`: protobuf messages in, the graph of `model.ts` out. */
import { type DescMessage, fromBinary, isFieldSet, type MessageShape } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type OperatorSetIdProto,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
  type TensorShapeProto_Dimension,
  type ValueInfoProto,
} from 'onnx-buf';
import { fail } from '../core/errors.ts';
import type { NumericArray, Tensor } from '../core/tensor.ts';
import { byteLength, dtypeInfo, dtypeOfCode, viewBytes } from './dtypes.ts';
import { subgraphs } from './edit.ts';
import { checkedDims, type Limits, TRUSTED, UNTRUSTED } from './limits.ts';
import type { Attribute, Dim, Graph, Model, Node, ValueInfo } from './model.ts';
import { countVarints, decodeVarints, packedRun, reveal, withHiddenRuns } from './packed.ts';
import { checkModelBytes, notOnnx } from './sniff.ts';
import { walkWire } from './wire.ts';

/** Gives the bytes of a tensor that is stored outside the model's file; see `external.node.ts`. */
export type ExternalReader = (at: { location: string; offset: number; length: number | undefined }, where: string) => Uint8Array;

/** Tensors are immutable, so the message a tensor was read from stays true of it for ever. */
export const tensorSources = new WeakMap<Tensor, TensorProto>();
/** The same for tensors whose data were read from another file. */
export const externalSources = new WeakMap<Tensor, TensorProto>();

// ---------------------------------------------------------------------------------------------------------------- read

/**
 * Reads a model from the bytes of an ONNX file. Tensors are views of `bytes` where alignment allows, so `bytes` must not change
 * afterwards. `where` names the file in messages. Throws SecateurError on anything that is not a whole, consistent ONNX model, or that
 * asks for more than `limits`. Nothing here refuses operators: see `vet.ts`.
 */
export function readModel(bytes: Uint8Array, where = 'onnx', external?: ExternalReader, limits: Limits = UNTRUSTED): Model {
  checkModelBytes(bytes, where);
  const message = parse(ModelProtoSchema, bytes, where, limits);
  if (!message.graph) notOnnx(where, 'no graph in it');
  const opsets = readOpsets(message.opsetImport, where);
  if (opsets.size === 0) {
    fail({ where, what: 'no operator set', expected: 'an opset_import as every ONNX model has', got: 'none; the file may be cut off' });
  }
  return {
    irVersion: safeNumber(message.irVersion, `${where}: IR version`),
    producerName: message.producerName,
    producerVersion: message.producerVersion,
    opsets,
    metadata: new Map(message.metadataProps.map((entry) => [entry.key, entry.value])),
    graph: readGraph(message.graph, where, external),
    source: message,
  };
}

function readOpsets(imports: readonly OperatorSetIdProto[], where: string): Map<string, number> {
  const opsets = new Map<string, number>();
  for (const o of imports) {
    const [domain, version] = [standardDomain(o.domain), safeNumber(o.version, `${where}: opset`)];
    // ONNX Runtime and others do not agree on which of two counts.
    if ((opsets.get(domain) ?? version) !== version) {
      const what = `operator set of "${domain || 'ai.onnx'}" imported twice`;
      fail({ where, what, expected: 'one version of each', got: `${opsets.get(domain)} and ${version}` });
    }
    opsets.set(domain, version);
  }
  return opsets;
}

/** Reads a serialised TensorProto, such as the `input_0.pb` of ONNX's own test data. */
export function readTensor(bytes: Uint8Array, where = 'tensor'): Tensor {
  return tensorFrom(parse(TensorProtoSchema, bytes, where, TRUSTED), where);
}

function parse<S extends DescMessage>(schema: S, bytes: Uint8Array, where: string, limits: Limits): MessageShape<S> {
  // Node's Buffer would make every bytes field a Buffer.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const message = schema.typeName === ModelProtoSchema.typeName ? 'ModelProto' : 'TensorProto';
  const runs = walkWire(plain, message, where, limits.structureBytes(plain.byteLength));
  try {
    return withHiddenRuns(plain, runs, () => fromBinary(schema, plain));
  } catch (cause) {
    return notOnnx(where, `its protobuf does not parse (${cause instanceof Error ? cause.message : String(cause)})`);
  }
}

export const standardDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);

function safeNumber(value: bigint, where: string): number {
  const n = Number(value);
  if (!Number.isSafeInteger(n)) fail({ where, what: 'number out of range', expected: 'a version', got: String(value) });
  return n;
}

function readGraph(source: GraphProto, where: string, external?: ExternalReader): Graph {
  return {
    name: source.name,
    nodes: source.node.map((n) => readNode(n, where, external)),
    inputs: source.input.map(readValueInfo),
    outputs: source.output.map(readValueInfo),
    valueInfo: source.valueInfo.map(readValueInfo),
    initializers: readInitializers(source, where, external),
    source,
  };
}

function readInitializers(source: GraphProto, where: string, external?: ExternalReader): Map<string, Tensor> {
  const read = new Map<string, Tensor>();
  for (const t of source.initializer) {
    const at = `${where}: initializer "${t.name}"`;
    if (read.has(t.name)) fail({ where: at, what: 'is there twice', expected: 'one tensor for each name' });
    read.set(t.name, tensorFrom(t, at, external));
  }
  return read;
}

/** A function that a file defines for its own nodes to call. */
export interface ModelFunction {
  readonly domain: string;
  readonly name: string;
  readonly overload: string;
  /** Names by which the body knows what it is called with, and what it gives back. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Attributes that a call may leave out. */
  readonly defaults: ReadonlyMap<string, Attribute>;
  /** Operator sets that the body is written in. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly nodes: readonly Node[];
}

/** What a file holds that the graph of `model.ts` has no place for: its functions, the names of sparse initialisers, how many trainings. */
export function besideGraph(model: Model, where = 'onnx'): { functions: ModelFunction[]; sparse: string[]; trainings: number } {
  const functions = ((model.source as ModelProto | undefined)?.functions ?? []).map((f): ModelFunction => {
    const at = `${where}: function "${f.name}"`;
    const nodes = f.node.map((n) => readNode(n, at));
    return {
      domain: standardDomain(f.domain),
      name: f.name,
      overload: f.overload,
      inputs: [...f.input],
      outputs: [...f.output],
      defaults: new Map(f.attributeProto.map((a) => [a.name, readAttribute(a, at)])),
      opsets: new Map(f.opsetImport.map((o) => [standardDomain(o.domain), Number(o.version)])),
      nodes,
    };
  });
  const sparse: string[] = [];
  const visit = (graph: Graph): void => {
    for (const s of (graph.source as GraphProto | undefined)?.sparseInitializer ?? []) sparse.push(s.values?.name ?? '');
    for (const node of graph.nodes) for (const inner of subgraphs(node)) visit(inner);
  };
  visit(model.graph);
  for (const f of functions) for (const node of f.nodes) for (const inner of subgraphs(node)) visit(inner);
  return { functions, sparse, trainings: (model.source as ModelProto | undefined)?.trainingInfo.length ?? 0 };
}

function readNode(source: NodeProto, where: string, external?: ExternalReader): Node {
  const attributes = new Map<string, Attribute>();
  for (const a of source.attribute) {
    const at = `${where}: node "${source.name || source.opType}"`;
    if (attributes.has(a.name)) fail({ where: at, what: `attribute "${a.name}" is there twice`, expected: 'one value for each attribute' });
    attributes.set(a.name, readAttribute(a, at, external));
  }
  return {
    name: source.name,
    opType: source.opType,
    domain: standardDomain(source.domain),
    inputs: [...source.input],
    outputs: [...source.output],
    attributes,
    source,
  };
}

/** Files of IR version 1 may leave the type out: the field that is set tells it. */
export function attributeType(a: AttributeProto): AttributeType {
  if (a.type !== AttributeType.UNDEFINED) return a.type;
  const set = (name: 'f' | 'i' | 's'): boolean => isFieldSet(a, AttributeProtoSchema.field[name]);
  if (set('f')) return AttributeType.FLOAT;
  if (set('i')) return AttributeType.INT;
  if (set('s')) return AttributeType.STRING;
  if (a.t) return AttributeType.TENSOR;
  if (a.g) return AttributeType.GRAPH;
  if (a.floats.length > 0) return AttributeType.FLOATS;
  if (a.ints.length > 0) return AttributeType.INTS;
  if (a.strings.length > 0) return AttributeType.STRINGS;
  return a.graphs.length > 0 ? AttributeType.GRAPHS : AttributeType.UNDEFINED;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

export function strictText(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Parts that the attribute's type says are not there: nobody here would look at them, and others might. */
function checkHidden(a: AttributeProto, type: AttributeType, where: string): void {
  const hidden =
    (type !== AttributeType.GRAPH && a.g !== undefined) ||
    (type !== AttributeType.GRAPHS && a.graphs.length > 0) ||
    (type !== AttributeType.TENSOR && a.t?.dataLocation === TensorProto_DataLocation.EXTERNAL);
  if (hidden) fail({ where, what: 'holds more than its type says', expected: `a value of type ${AttributeType[type]} and no other` });
}

function readAttribute(a: AttributeProto, where: string, external?: ExternalReader): Attribute {
  const at = `${where}, attribute "${a.name}"`;
  reveal(a.t?.$unknown);
  if (a.refAttrName !== '') return { type: 'opaque', value: a };
  const type = attributeType(a);
  checkHidden(a, type, at);
  switch (type) {
    case AttributeType.FLOAT:
      return { type: 'float', value: a.f };
    case AttributeType.INT:
      return Number.isSafeInteger(Number(a.i)) ? { type: 'int', value: Number(a.i) } : { type: 'bigint', value: a.i };
    case AttributeType.STRING: {
      const text = strictText(a.s);
      return text === undefined ? { type: 'bytes', value: a.s } : { type: 'string', value: text };
    }
    case AttributeType.TENSOR:
      return a.t ? { type: 'tensor', value: tensorFrom(a.t, at, external) } : { type: 'opaque', value: a };
    case AttributeType.GRAPH:
      return a.g ? { type: 'graph', value: readGraph(a.g, at, external) } : { type: 'opaque', value: a };
    case AttributeType.FLOATS:
      return { type: 'floats', value: a.floats };
    case AttributeType.INTS:
      return { type: 'ints', value: a.ints.map(Number) };
    case AttributeType.STRINGS: {
      const texts = a.strings.map(strictText);
      return texts.every((t) => t !== undefined) ? { type: 'strings', value: texts } : { type: 'opaque', value: a };
    }
    case AttributeType.GRAPHS:
      return { type: 'graphs', value: a.graphs.map((g) => readGraph(g, at, external)) };
    default:
      return { type: 'opaque', value: a };
  }
}

export function readValueInfo(source: ValueInfoProto): ValueInfo {
  const type = source.type?.value;
  if (type?.case !== 'tensorType') return { name: source.name, dtype: undefined, dims: undefined, source };
  return { name: source.name, dtype: dtypeOfCode(type.value.elemType), dims: type.value.shape?.dim.map(readDim), source };
}

/** Negative sizes, which some exporters write, and empty symbols say nothing. */
export function readDim({ value }: TensorShapeProto_Dimension): Dim {
  if (value.case === 'dimValue') return value.value >= 0n ? Number(value.value) : null;
  return value.case === 'dimParam' && value.value !== '' ? value.value : null;
}

// ------------------------------------------------------------------------------------------------------------- tensors

function tensorFrom(p: TensorProto, where: string, external?: ExternalReader): Tensor {
  reveal(p.$unknown);
  const dtype = dtypeOfCode(p.dataType);
  if (dtype === undefined)
    fail({ where, what: 'unknown element type', expected: 'a TensorProto.DataType up to 26', got: String(p.dataType) });
  if (p.segment) fail({ where, what: 'tensor stored in segments', expected: 'whole tensors; ONNX itself gave segments up' });
  const { dims, elements } = checkedDims(p.dims, where);
  if (p.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    const outside: Tensor = { dtype, dims, data: externalData(p, dtype, elements, where, external) };
    externalSources.set(outside, p);
    return outside;
  }
  const kind = dtypeInfo(dtype);
  let data: Tensor['data'];
  if (kind === undefined) {
    data = p.stringData.map((s) => lenient.decode(s));
    checkLength('string_data', 'strings', elements, data.length, dims, where);
  } else if (p.rawData.byteLength > 0) {
    checkLength('raw_data', 'bytes', byteLength(kind, elements), p.rawData.byteLength, dims, where);
    data = viewBytes(kind, p.rawData);
  } else {
    data = typedData(p, kind.field, byteLength(kind, elements), kind, dims, where);
  }
  const tensor: Tensor = { dtype, dims, data };
  tensorSources.set(tensor, p);
  return tensor;
}

function checkLength(field: string, unit: string, expected: number, got: number, dims: readonly number[], where: string): void {
  if (expected === got) return;
  fail({
    where,
    what: `${field} does not fit the shape [${dims.join(',')}]`,
    expected: `${expected} ${unit}`,
    got: String(got),
    hint: 'to export or download the model again: the file is damaged',
  });
}

type Kind = NonNullable<ReturnType<typeof dtypeInfo>>;

function typedData(p: TensorProto, field: Kind['field'], bytes: number, kind: Kind, dims: readonly number[], where: string): NumericArray {
  const snake = field.replace('D', '_d');
  const run = packedRun(p.$unknown, TensorProtoSchema.field[field].number);
  if (run !== undefined && (field === 'floatData' || field === 'doubleData')) {
    checkLength(snake, 'bytes', bytes, run.byteLength, dims, where);
    return viewBytes(kind, run);
  }
  if (run !== undefined) {
    checkLength(snake, 'values', bytes / kind.array.BYTES_PER_ELEMENT, countVarints(run), dims, where);
    return decodeVarints(run, kind, bytes);
  }
  const values = p[field];
  checkLength(snake, 'values', bytes / kind.array.BYTES_PER_ELEMENT, values.length, dims, where);
  const data = viewBytes(kind, new Uint8Array(bytes));
  // 32-bit fields hold 8- and 16-bit integers and bit patterns: the typed array keeps the low bits. uint32 comes as bigint.
  if (field === 'uint64Data' && data instanceof Uint32Array) {
    for (let i = 0; i < data.length; i++) data[i] = Number(BigInt.asUintN(32, values[i] as bigint));
  } else {
    (data as { set(from: ArrayLike<number | bigint>): void }).set(values);
  }
  return data;
}

const EXTERNAL_KEYS = new Set(['location', 'offset', 'length', 'checksum', 'basepath']);

function externalData(p: TensorProto, dtype: Tensor['dtype'], elements: number, where: string, read?: ExternalReader): NumericArray {
  const entries = new Map<string, string>();
  for (const { key, value } of p.externalData) {
    if (!EXTERNAL_KEYS.has(key) || entries.has(key)) {
      const got = entries.has(key) ? `"${key}" twice` : `"${key}"`;
      fail({ where, what: 'external data with a bad entry', expected: `each at most once of ${[...EXTERNAL_KEYS].join(', ')}`, got });
    }
    entries.set(key, value);
  }
  const location = entries.get('location') ?? '';
  const kind = dtypeInfo(dtype);
  if (read === undefined) {
    fail({
      where,
      what: `its data lie in another file, "${location}"`,
      expected: 'a model in one file',
      hint: 'to open the model by its path, with that file beside it',
    });
  }
  if (kind === undefined) return fail({ where, what: 'strings stored as external data', expected: 'numbers; ONNX forbids strings there' });
  const number = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined || text === '') return undefined;
    if (!/^\d{1,15}$/.test(text))
      fail({ where, what: `external data with a bad ${key}`, expected: 'a whole number of bytes', got: `"${text}"` });
    return Number(text);
  };
  const expected = byteLength(kind, elements);
  const bytes = read({ location, offset: number('offset') ?? 0, length: number('length') ?? expected }, where);
  checkLength('external data', 'bytes', expected, bytes.byteLength, p.dims.map(Number), where);
  return viewBytes(kind, bytes);
}
