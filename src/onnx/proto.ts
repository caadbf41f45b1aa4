/**
 * The only door to the file format: protobuf messages in, the graph of `model.ts` out, and back.
 *
 * Nothing is lost on the way: every entity keeps the message it came from, and writing starts from that message and sets only what
 * differs. So what is read and written unchanged is equal field by field, whatever fields this program has never heard of.
 */
import { create, type DescMessage, fromBinary, isFieldSet, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type OperatorSetIdProto,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
  type TensorShapeProto_Dimension,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { fail } from '../core/errors.ts';
import type { NumericArray, Tensor } from '../core/tensor.ts';
import { byteLength, bytesOf, dtypeCode, dtypeInfo, dtypeOfCode, viewBytes } from './dtypes.ts';
import { checkedDims, MAX_MODEL_BYTES } from './limits.ts';
import type { Attribute, Dim, Graph, Model, Node, ValueInfo } from './model.ts';
import { packedRun, reveal, withHiddenRuns } from './packed.ts';
import { checkModelBytes, notOnnx } from './sniff.ts';

/** Gives the bytes of a tensor that is stored outside the model's file; see `external.node.ts`. */
export type ExternalReader = (at: { location: string; offset: number; length: number | undefined }, where: string) => Uint8Array;

/** Tensors are immutable, so the message a tensor was read from stays true of it for ever. */
const tensorSources = new WeakMap<Tensor, TensorProto>();

// ---------------------------------------------------------------------------------------------------------------- read

/**
 * Reads a model from the bytes of an ONNX file. Tensors are views of `bytes` where alignment allows, so `bytes` must not change
 * afterwards. `where` names the file in messages. Throws SecateurError on anything that is not a whole, consistent ONNX model.
 */
export function readModel(bytes: Uint8Array, where = 'onnx', external?: ExternalReader): Model {
  checkModelBytes(bytes, where);
  const message = parse(ModelProtoSchema, bytes, where);
  if (!message.graph) notOnnx(where, 'no graph in it');
  const opsets = new Map(message.opsetImport.map((o) => [standardDomain(o.domain), safeNumber(o.version, `${where}: opset`)]));
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

/** Reads a serialised TensorProto, such as the `input_0.pb` of ONNX's own test data. */
export function readTensor(bytes: Uint8Array, where = 'tensor'): Tensor {
  return tensorFrom(parse(TensorProtoSchema, bytes, where), where);
}

function parse<S extends DescMessage>(schema: S, bytes: Uint8Array, where: string): MessageShape<S> {
  try {
    // Node's Buffer would make every bytes field a Buffer.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return withHiddenRuns(plain, schema.typeName === ModelProtoSchema.typeName ? 'model' : 'tensor', () => fromBinary(schema, plain));
  } catch (cause) {
    return notOnnx(where, `its protobuf does not parse (${cause instanceof Error ? cause.message : String(cause)})`);
  }
}

const standardDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);

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
    initializers: new Map(source.initializer.map((t) => [t.name, tensorFrom(t, `${where}: initializer "${t.name}"`, external)])),
    source,
  };
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
function attributeType(a: AttributeProto): AttributeType {
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
const encoder = new TextEncoder();

function strictText(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

function readAttribute(a: AttributeProto, where: string, external?: ExternalReader): Attribute {
  const at = `${where}, attribute "${a.name}"`;
  reveal(a.t?.$unknown);
  if (a.refAttrName !== '') return { type: 'opaque', value: a };
  switch (attributeType(a)) {
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

function readValueInfo(source: ValueInfoProto): ValueInfo {
  const type = source.type?.value;
  if (type?.case !== 'tensorType') return { name: source.name, dtype: undefined, dims: undefined, source };
  return { name: source.name, dtype: dtypeOfCode(type.value.elemType), dims: type.value.shape?.dim.map(readDim), source };
}

/** Negative sizes, which some exporters write, and empty symbols say nothing. */
function readDim({ value }: TensorShapeProto_Dimension): Dim {
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
    // Not remembered as a source: the tensor is written into the file itself from now on.
    return { dtype, dims, data: externalData(p, dtype, elements, where, external) };
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
  if (run !== undefined) {
    checkLength(snake, 'bytes', bytes, run.byteLength, dims, where);
    return viewBytes(kind, run);
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

function externalData(p: TensorProto, dtype: Tensor['dtype'], elements: number, where: string, read?: ExternalReader): NumericArray {
  const entries = new Map(p.externalData.map((e) => [e.key, e.value]));
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

/** `name` undefined: keep the name the tensor was read with (attributes), none for new ones. */
function tensorTo(t: Tensor, name?: string): TensorProto {
  const source = tensorSources.get(t);
  if (source !== undefined) return name === undefined || source.name === name ? source : edited(TensorProtoSchema, source, { name });
  const p = create(TensorProtoSchema, { dims: t.dims.map(BigInt), dataType: dtypeCode(t.dtype) });
  if (name !== undefined) p.name = name;
  if (t.dtype === 'string') p.stringData = (t.data as readonly string[]).map((s) => encoder.encode(s));
  else p.rawData = bytesOf(t.data as NumericArray);
  return p;
}

// --------------------------------------------------------------------------------------------------------------- write

/** A copy of `source` (undefined: an empty message) one level deep, with some fields set anew. Unknown fields come along. */
function edited<S extends DescMessage>(schema: S, source: MessageShape<S> | undefined, set: Partial<MessageShape<S>>): MessageShape<S> {
  return Object.assign(create(schema), source, set);
}

/** `list` if it is the same messages as in the source, in the same order: then there is nothing to write anew. */
function same<T>(a: readonly T[], b: readonly T[] | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((v, i) => v === b[i]);
}

function sameMap<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): boolean {
  const other = [...b];
  return a.size === b.size && [...a].every(([k, v], i) => k === other[i][0] && v === other[i][1]);
}

function attributeTo(name: string, a: Attribute, source: AttributeProto | undefined): AttributeProto {
  if (a.type === 'opaque') return a.value as AttributeProto;
  const set: Partial<AttributeProto> = {};
  switch (a.type) {
    case 'float':
      set.f = a.value;
      set.type = AttributeType.FLOAT;
      break;
    case 'int':
    case 'bigint':
      set.i = toInt64(a.value);
      set.type = AttributeType.INT;
      break;
    case 'string':
    case 'bytes':
      set.s = a.type === 'string' ? encoder.encode(a.value) : new Uint8Array(a.value);
      set.type = AttributeType.STRING;
      break;
    case 'tensor':
      set.t = tensorTo(a.value);
      set.type = AttributeType.TENSOR;
      break;
    case 'graph':
      set.g = graphTo(a.value);
      set.type = AttributeType.GRAPH;
      break;
    case 'floats':
      set.floats = [...a.value];
      set.type = AttributeType.FLOATS;
      break;
    case 'ints':
      set.ints = a.value.map(toInt64);
      set.type = AttributeType.INTS;
      break;
    case 'strings':
      set.strings = a.value.map((s) => encoder.encode(s));
      set.type = AttributeType.STRINGS;
      break;
    case 'graphs':
      set.graphs = a.value.map(graphTo);
      set.type = AttributeType.GRAPHS;
      break;
  }
  if (source !== undefined && attributeType(source) === set.type && sameAttribute(a, set, source)) return source;
  return edited(AttributeProtoSchema, undefined, { name, docString: source?.docString || undefined, ...set });
}

function sameAttribute(a: Attribute, set: Partial<AttributeProto>, source: AttributeProto): boolean {
  switch (a.type) {
    case 'float':
      return Object.is(a.value, source.f);
    case 'int':
    case 'bigint':
      return set.i === source.i;
    case 'string':
      return strictText(source.s) === a.value;
    case 'bytes':
      return same([...(set.s as Uint8Array)], [...source.s]);
    case 'tensor':
      return set.t === source.t;
    case 'graph':
      return set.g === source.g;
    case 'floats':
      return a.value.length === source.floats.length && a.value.every((v, i) => Object.is(v, source.floats[i]));
    case 'ints':
      // Compared as numbers: values beyond 2^53 are rounded in memory and must come back exact.
      return same(a.value, source.ints.map(Number));
    case 'strings':
      return same(a.value, source.strings.map(strictText));
    case 'graphs':
      return same(set.graphs as GraphProto[], source.graphs);
    default:
      return false;
  }
}

/** Saturates: INT64_MAX as a number is one above the range. */
function toInt64(v: number | bigint): bigint {
  const n = typeof v === 'bigint' ? v : BigInt(Math.trunc(v));
  const max = 2n ** 63n - 1n;
  return n > max ? max : n < -max - 1n ? -max - 1n : n;
}

function nodeTo(node: Node): NodeProto {
  const source = node.source as NodeProto | undefined;
  const attribute = [...node.attributes].map(([name, a]) => {
    return attributeTo(
      name,
      a,
      source?.attribute.find((s) => s.name === name),
    );
  });
  const set: Partial<NodeProto> = {};
  if (!same(node.inputs, source?.input)) set.input = [...node.inputs];
  if (!same(node.outputs, source?.output)) set.output = [...node.outputs];
  if (!same(attribute, source?.attribute)) set.attribute = attribute;
  if (node.name !== (source?.name ?? '')) set.name = node.name;
  if (node.opType !== source?.opType) set.opType = node.opType;
  if (node.domain !== standardDomain(source?.domain ?? '')) set.domain = node.domain;
  return source !== undefined && Object.keys(set).length === 0 ? source : edited(NodeProtoSchema, source, set);
}

function valueInfoTo(info: ValueInfo): ValueInfoProto {
  const source = info.source as ValueInfoProto | undefined;
  const before = source && readValueInfo(source);
  const sameType = before !== undefined && before.dtype === info.dtype && (before.dims === info.dims || sameDims(before.dims, info.dims));
  if (source !== undefined && sameType && source.name === info.name) return source;
  const set: Partial<ValueInfoProto> = { name: info.name };
  if (!sameType && (info.dtype !== undefined || info.dims !== undefined)) {
    const dim = info.dims?.map((d, axis) => dimTo(d, sourceDims(source)?.[axis]));
    const tensor = create(TypeProto_TensorSchema, { shape: dim && create(TensorShapeProtoSchema, { dim }) });
    if (info.dtype !== undefined) tensor.elemType = dtypeCode(info.dtype);
    set.type = edited(TypeProtoSchema, source?.type, { value: { case: 'tensorType', value: tensor } });
  }
  return edited(ValueInfoProtoSchema, source, set);
}

function sourceDims(source: ValueInfoProto | undefined): TensorShapeProto_Dimension[] | undefined {
  const type = source?.type?.value;
  return type?.case === 'tensorType' ? type.value.shape?.dim : undefined;
}

function dimTo(d: Dim, source: TensorShapeProto_Dimension | undefined): TensorShapeProto_Dimension {
  if (source !== undefined && readDim(source) === d) return source;
  const denotation = source?.denotation || undefined;
  if (d === null) return create(TensorShapeProto_DimensionSchema, { denotation });
  const value = typeof d === 'number' ? ({ case: 'dimValue', value: BigInt(d) } as const) : ({ case: 'dimParam', value: d } as const);
  return create(TensorShapeProto_DimensionSchema, { denotation, value });
}

function sameDims(a: readonly Dim[] | undefined, b: readonly Dim[] | undefined): boolean {
  return a !== undefined && b !== undefined && same(a, b);
}

function graphTo(graph: Graph): GraphProto {
  const source = graph.source as GraphProto | undefined;
  const lists = {
    node: graph.nodes.map(nodeTo),
    input: graph.inputs.map(valueInfoTo),
    output: graph.outputs.map(valueInfoTo),
    valueInfo: graph.valueInfo.map(valueInfoTo),
    initializer: [...graph.initializers].map(([name, t]) => tensorTo(t, name)),
  };
  const changed = Object.entries(lists).filter(([key, list]) => !same<unknown>(list, source?.[key as keyof typeof lists]));
  const set: Partial<GraphProto> = Object.fromEntries(changed);
  if (graph.name !== (source?.name ?? '')) set.name = graph.name;
  return source !== undefined && Object.keys(set).length === 0 ? source : edited(GraphProtoSchema, source, set);
}

/** Everything of the model but its graph. */
function headTo(model: Model): ModelProto {
  const source = model.source as ModelProto | undefined;
  const set: Partial<ModelProto> = { graph: undefined };
  if (BigInt(model.irVersion) !== source?.irVersion) set.irVersion = BigInt(model.irVersion);
  if (model.producerName !== (source?.producerName ?? '')) set.producerName = model.producerName;
  if (model.producerVersion !== (source?.producerVersion ?? '')) set.producerVersion = model.producerVersion;
  set.opsetImport = opsetsTo(model.opsets, source?.opsetImport ?? []);
  if (source === undefined || !sameMap(model.metadata, new Map(source.metadataProps.map((e) => [e.key, e.value])))) {
    set.metadataProps = [...model.metadata].map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }));
  }
  return edited(ModelProtoSchema, source, set);
}

/** The file's entries in their order where still true, then the new ones. */
function opsetsTo(opsets: ReadonlyMap<string, number>, source: readonly OperatorSetIdProto[]): OperatorSetIdProto[] {
  const written = new Set(source.map((o) => standardDomain(o.domain)));
  const kept = source.flatMap((o) => {
    const version = opsets.get(standardDomain(o.domain));
    if (version === undefined) return [];
    return BigInt(version) === o.version ? [o] : [edited(OperatorSetIdProtoSchema, o, { version: BigInt(version) })];
  });
  const added = [...opsets].filter(([domain]) => !written.has(domain));
  return [...kept, ...added.map(([domain, v]) => create(OperatorSetIdProtoSchema, { domain, version: BigInt(v) }))];
}

/** Below this many bytes of `raw_data` a tensor is encoded by the library; above, its bytes become a chunk of their own. */
const BIG = 4096;

/**
 * The bytes of an ONNX file in pieces, whose concatenation is the file. Large tensors are pieces that share the tensor's memory, so
 * nothing is copied until the pieces are written or joined. Throws SecateurError beyond protobuf's 2 GB.
 */
export function encodeModel(model: Model, where = 'onnx'): Uint8Array[] {
  const graph = graphTo(model.graph);
  const parts: Uint8Array[] = [toBinary(GraphProtoSchema, edited(GraphProtoSchema, graph, { initializer: [] }))];
  const initializerTag = GraphProtoSchema.field.initializer.number;
  const rawTag = TensorProtoSchema.field.rawData.number;
  for (const tensor of graph.initializer) {
    if (tensor.rawData.byteLength < BIG) {
      const body = toBinary(TensorProtoSchema, tensor);
      parts.push(prefix(initializerTag, body.byteLength), body);
      continue;
    }
    const head = toBinary(TensorProtoSchema, edited(TensorProtoSchema, tensor, { rawData: undefined }));
    const rawPrefix = prefix(rawTag, tensor.rawData.byteLength);
    parts.push(prefix(initializerTag, head.byteLength + rawPrefix.byteLength + tensor.rawData.byteLength), head, rawPrefix, tensor.rawData);
  }
  const graphBytes = parts.reduce((sum, p) => sum + p.byteLength, 0);
  if (graphBytes > MAX_MODEL_BYTES) {
    fail({ where, what: 'model too large to write', expected: 'less than 2 GB, the bound of the file format', got: `${graphBytes} bytes` });
  }
  return [toBinary(ModelProtoSchema, headTo(model)), prefix(ModelProtoSchema.field.graph.number, graphBytes), ...parts];
}

function prefix(field: number, bytes: number): Uint8Array {
  return new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(bytes).finish();
}

/** The bytes of an ONNX file. One copy of every tensor is made; see {@link encodeModel} to avoid that. */
export function writeModel(model: Model): Uint8Array {
  const parts = encodeModel(model);
  const out = new Uint8Array(parts.reduce((sum, p) => sum + p.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  return out;
}

/** A serialised TensorProto. */
export function writeTensor(t: Tensor, name?: string): Uint8Array {
  return toBinary(TensorProtoSchema, tensorTo(t, name));
}
