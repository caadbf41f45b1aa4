/** The writing half of the door to the file format, see `proto.ts`: the graph of `model.ts` in, protobuf messages out. */

import { create, type DescMessage, isFieldSet, type MessageShape, toBinary } from '@bufbuild/protobuf';
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
  type StringStringEntryProto,
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
import { joinBytes } from '../core/bytes.ts';
import { fail } from '../core/errors.ts';
import type { NumericArray, Tensor } from '../core/tensor.ts';
import { bytesOf, dtypeCode } from './dtypes.ts';
import { type ExternalFile, layOutExternal, type OutsideTensor, type Place } from './external-layout.ts';
import { MAX_MODEL_BYTES } from './limits.ts';
import type { Attribute, Dim, Graph, Model, Node, ValueInfo } from './model.ts';
import { attributeType, externalSources, readDim, readValueInfo, standardDomain, strictText, tensorSources } from './proto-read.ts';

const encoder = new TextEncoder();

/**
 * `name` undefined: keep the name the tensor was read with (attributes), none for new ones. `before` is what stood in this place of the
 * file: a tensor with new values keeps its doc string and whatever else was said of it.
 */
function tensorTo(t: Tensor, name?: string, before?: TensorProto): TensorProto {
  const source = tensorSources.get(t);
  if (source !== undefined) return name === undefined || source.name === name ? source : edited(TensorProtoSchema, source, { name });
  const p = headOf(t, before);
  if (name !== undefined) p.name = name;
  if (t.dtype === 'string') p.stringData = (t.data as readonly string[]).map((s) => encoder.encode(s));
  else p.rawData = bytesOf(t.data as NumericArray);
  return p;
}

/** A message with type and shape of a tensor and no data, otherwise like `before`. */
function headOf(t: Tensor, before: TensorProto | undefined): TensorProto {
  const p = create(TensorProtoSchema);
  if (before !== undefined) {
    const { name, docString, metadataProps } = before;
    if (isFieldSet(before, TensorProtoSchema.field.name)) p.name = name;
    if (isFieldSet(before, TensorProtoSchema.field.docString)) p.docString = docString;
    p.metadataProps = metadataProps;
    // Runs of packed numbers that `packed.ts` kept apart are the old data.
    const data: readonly number[] = [TensorProtoSchema.field.floatData.number, TensorProtoSchema.field.doubleData.number];
    p.$unknown = before.$unknown?.filter((f) => !data.includes(f.no));
  }
  p.dims = t.dims.map(BigInt);
  p.dataType = dtypeCode(t.dtype);
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
      set.t = tensorTo(a.value, undefined, source?.t);
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
  const before = new Map(source?.initializer.map((t) => [t.name, t]));
  const lists = {
    node: graph.nodes.map(nodeTo),
    input: graph.inputs.map(valueInfoTo),
    output: graph.outputs.map(valueInfoTo),
    valueInfo: graph.valueInfo.map(valueInfoTo),
    initializer: [...graph.initializers].map(([name, t]) => tensorTo(t, name, before.get(name))),
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
  set.metadataProps = metadataTo(model.metadata, source?.metadataProps ?? []);
  return edited(ModelProtoSchema, source, set);
}

/** As {@link opsetsTo}: the file's entries in their order, with the values of now, then the new ones. */
function metadataTo(metadata: ReadonlyMap<string, string>, source: readonly StringStringEntryProto[]): StringStringEntryProto[] {
  const old = new Map(source.map((e) => [e.key, e.value]));
  const kept = source.flatMap((e) => {
    const value = metadata.get(e.key);
    if (value === undefined) return [];
    return value === old.get(e.key) ? [e] : [edited(StringStringEntryProtoSchema, e, { value })];
  });
  const added = [...metadata].filter(([key]) => !old.has(key));
  return [...kept, ...added.map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }))];
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

/** What is said of a model that is more than protobuf's 2 GB in one piece. */
export interface TooLarge {
  readonly what: string;
  readonly expected: string;
  readonly hint?: string;
}

const TOO_LARGE: TooLarge = { what: 'model too large to write', expected: 'less than 2 GB, the bound of the file format' };

/**
 * The bytes of an ONNX file in pieces, whose concatenation is the file. Large tensors are pieces that share the tensor's memory, so
 * nothing is copied until the pieces are written or joined. Throws SecateurError beyond protobuf's 2 GB.
 */
export function encodeModel(model: Model, where = 'onnx', tooLarge: TooLarge = TOO_LARGE): Uint8Array[] {
  const graph = graphTo(model.graph);
  checkSize(bytesInNodes(graph), MAX_MODEL_BYTES, where, tooLarge);
  const parts = partsOf(model, graph);
  checkSize(sizeOfParts(parts.graph), MAX_MODEL_BYTES, where, tooLarge);
  return parts.whole;
}

function checkSize(bytes: number, limit: number, where: string, tooLarge: TooLarge = TOO_LARGE): void {
  if (bytes > limit) fail({ where, ...tooLarge, got: `${bytes} bytes` });
}

/** Bytes of the tensors in a graph's nodes, which are encoded by the library: beyond 4 GB it would end with an error of its own. */
function bytesInNodes(graph: GraphProto): number {
  let bytes = 0;
  for (const node of graph.node) {
    for (const { t, tensors, g, graphs } of node.attribute) {
      for (const tensor of [t, ...tensors]) bytes += tensor?.rawData.byteLength ?? 0;
      for (const inner of [g, ...graphs]) {
        if (inner === undefined) continue;
        bytes += inner.initializer.reduce((sum, tensor) => sum + tensor.rawData.byteLength, bytesInNodes(inner));
      }
    }
  }
  return bytes;
}

export interface ExternalOptions {
  /** Name of the file for tensors that were not outside before. */
  readonly spill: string;
  /** Name of the file for tensors that were read from `location`, a text from a model that nobody vouches for. */
  nameOf(location: string): string;
  /** For messages. */
  readonly where?: string;
  /** Bytes of the graph from which on large tensors go outside. */
  readonly limit?: number;
}

/**
 * As {@link encodeModel}, but initialisers that were read from files beside the model go back to such files, `files`, to be written beside
 * the new one. Where the graph would be larger than the limit (2 GB), its other large initialisers go out too.
 */
export function encodeWithExternal(model: Model, options: ExternalOptions): { parts: Uint8Array[]; files: ExternalFile[] } {
  const { where = 'onnx', limit = MAX_MODEL_BYTES } = options;
  const source = model.graph.source as GraphProto | undefined;
  const before = new Map(source?.initializer.map((t) => [t.name, t]));
  const graph = graphTo(model.graph);
  checkSize(bytesInNodes(graph), limit, where);
  const wasOutside = new Set([...before].flatMap(([name, p]) => (p.dataLocation === TensorProto_DataLocation.EXTERNAL ? [name] : [])));
  let outside = moveOut(model, graph, before, options, (name) => wasOutside.has(name));
  let parts = partsOf(model, outside.graph);
  if (sizeOfParts(parts.graph) > limit) {
    outside = moveOut(model, graph, before, options, (name, bytes) => wasOutside.has(name) || bytes.byteLength >= BIG);
    parts = partsOf(model, outside.graph);
  }
  checkSize(sizeOfParts(parts.graph), limit, where);
  return { parts: parts.whole, files: outside.files };
}

function moveOut(
  model: Model,
  graph: GraphProto,
  before: ReadonlyMap<string, TensorProto>,
  { spill, nameOf }: ExternalOptions,
  goes: (name: string, bytes: Uint8Array) => boolean,
): { graph: GraphProto; files: ExternalFile[] } {
  const locations = new Map<string, string>();
  const tensors = graph.initializer.flatMap((p): OutsideTensor[] => {
    const tensor = model.graph.initializers.get(p.name);
    if (tensor === undefined || tensor.dtype === 'string') return [];
    const bytes = bytesOf(tensor.data as NumericArray);
    if (!goes(p.name, bytes)) return [];
    const old = new Map(before.get(p.name)?.externalData.map((e) => [e.key, e.value]));
    const location = old.get('location');
    if (location !== undefined && !locations.has(location)) locations.set(location, nameOf(location));
    const at = { location: location === undefined ? spill : locations.get(location)!, offset: Number(old.get('offset') || 0) };
    return [{ name: p.name, bytes, at }];
  });
  const { places, files } = layOutExternal(tensors);
  const untouched = (name: string): boolean => externalSources.get(model.graph.initializers.get(name)!) === before.get(name);
  const initializer = graph.initializer.map((p) => {
    const place = places.get(p.name);
    if (place === undefined) return p;
    const old = before.get(p.name);
    const head = headOf(model.graph.initializers.get(p.name)!, old ?? p);
    head.name = p.name;
    head.dataLocation = TensorProto_DataLocation.EXTERNAL;
    // A checksum is of the whole file, so it goes as soon as one tensor of the file is another, or of another file.
    const same = [...places].every(([name, other]) => other.location !== place.location || untouched(name));
    const alone = [...locations].every(([from, to]) => to !== place.location || from === to);
    head.externalData = externalEntries(place, old?.externalData ?? [], same && alone);
    return head;
  });
  return { graph: tensors.length === 0 ? graph : edited(GraphProtoSchema, graph, { initializer }), files };
}

/** The entries as they were, with the values of now. An offset of 0 and a length may be left out, and stay so. */
function externalEntries(place: Place, old: readonly StringStringEntryProto[], keepChecksum: boolean): StringStringEntryProto[] {
  const now = new Map([
    ['location', place.location],
    ['offset', String(place.offset)],
    ['length', String(place.length)],
  ]);
  const kept = old.filter((e) => e.key !== 'checksum' || keepChecksum);
  const entries = kept.map((e) => edited(StringStringEntryProtoSchema, e, { value: now.get(e.key) ?? e.value }));
  const has = new Set(kept.map((e) => e.key));
  const added = [...now].filter(([key]) => !has.has(key) && (old.length === 0 || (key === 'offset' && place.offset > 0)));
  return [...entries, ...added.map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }))];
}

/** Names of the files beside it that a model was read from, in the order of first use. */
export function externalLocations(model: Model): string[] {
  const source = model.graph.source as GraphProto | undefined;
  const entries = (source?.initializer ?? []).flatMap((t) => (t.dataLocation === TensorProto_DataLocation.EXTERNAL ? t.externalData : []));
  return [...new Set(entries.filter((e) => e.key === 'location').map((e) => e.value))];
}

const sizeOfParts = (parts: readonly Uint8Array[]): number => parts.reduce((sum, p) => sum + p.byteLength, 0);

function partsOf(model: Model, graph: GraphProto): { whole: Uint8Array[]; graph: Uint8Array[] } {
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
  const head = [toBinary(ModelProtoSchema, headTo(model)), prefix(ModelProtoSchema.field.graph.number, sizeOfParts(parts))];
  return { whole: [...head, ...parts], graph: parts };
}

/** Not with `uint32`, which throws beyond 4 GB: such pieces are never written, but their size must be told. */
function prefix(field: number, bytes: number): Uint8Array {
  return new BinaryWriter().tag(field, WireType.LengthDelimited).uint64(BigInt(bytes)).finish();
}

/** The bytes of an ONNX file. One copy of every tensor is made; see {@link encodeModel} to avoid that. */
export function writeModel(model: Model, where = 'onnx', tooLarge: TooLarge = TOO_LARGE): Uint8Array {
  return joinBytes(encodeModel(model, where, tooLarge));
}

/** A serialised TensorProto. */
export function writeTensor(t: Tensor, name?: string): Uint8Array {
  return toBinary(TensorProtoSchema, tensorTo(t, name));
}

/** Fields that a Model holds by name; {@link otherFields} is about the others. */
const HELD: ReadonlySet<string> = new Set([
  ...['ModelProto.ir_version', 'ModelProto.producer_name', 'ModelProto.producer_version', 'ModelProto.opset_import'],
  ...['ModelProto.metadata_props', 'ModelProto.graph', 'GraphProto.node', 'GraphProto.initializer', 'GraphProto.input'],
  ...['GraphProto.output', 'GraphProto.value_info', 'GraphProto.name'],
]);

/**
 * What the file has that a Model does not hold by name (functions, doc strings, sparse tensors, fields of later versions of ONNX), as bytes in
 * hex by field: `functions`, `graph.doc_string`. Empty fields are left out.
 */
export function otherFields(model: Model): Map<string, string> {
  const found = new Map<string, string>();
  const collect = (
    schema: typeof ModelProtoSchema | typeof GraphProtoSchema,
    message: ModelProto | GraphProto | undefined,
    prefix: string,
  ): void => {
    if (message === undefined) return;
    const values = message as unknown as Record<string, unknown>;
    for (const field of schema.fields) {
      if (HELD.has(`${schema.name}.${field.name}`) || !isFieldSet(message as ModelProto, field)) continue;
      const alone = Object.assign(create(schema), { [field.localName]: values[field.localName] });
      const bytes = toBinary(schema as typeof ModelProtoSchema, alone as ModelProto);
      if (bytes.byteLength > 0) found.set(prefix + field.name, hex(bytes));
    }
    for (const { no, data } of message.$unknown ?? [])
      found.set(`${prefix}field ${no}`, `${found.get(`${prefix}field ${no}`) ?? ''}${hex(data)}`);
  };
  collect(ModelProtoSchema, model.source as ModelProto | undefined, '');
  collect(GraphProtoSchema, model.graph.source as GraphProto | undefined, 'graph.');
  return found;
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
