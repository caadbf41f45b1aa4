/** A model with something in every corner of the format, made straight from protobuf so that no code under test has a hand in it. */
import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as A,
  AttributeProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataType as T,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';

const utf8 = (s: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(s);
const entry = (key: string, value: string) => create(StringStringEntryProtoSchema, { key, value });
const tensor = (name: string) =>
  create(TensorProtoSchema, {
    name,
    dims: [2n],
    dataType: T.FLOAT,
    floatData: [1, Number.NaN],
    docString: 'kept',
    metadataProps: [entry('t', '1')],
  });
const tensorType = (elemType: number, dim: (bigint | string | null)[], denotation = '') => ({
  denotation,
  value: {
    case: 'tensorType' as const,
    value: {
      elemType,
      shape: {
        dim: dim.map((d) => {
          if (d === null) return { denotation: 'CHANNEL' };
          return typeof d === 'bigint'
            ? { value: { case: 'dimValue' as const, value: d } }
            : { value: { case: 'dimParam' as const, value: d } };
        }),
      },
    },
  },
});

const inner = () =>
  create(GraphProtoSchema, {
    name: 'branch',
    docString: 'inside',
    node: [create(NodeProtoSchema, { opType: 'Identity', input: ['x'], output: ['inner_out'] })],
    initializer: [tensor('inner_w')],
    output: [create(ValueInfoProtoSchema, { name: 'inner_out' })],
  });

const attributes = () => [
  create(AttributeProtoSchema, { name: 'float', type: A.FLOAT, f: Math.fround(0.1), docString: 'a doc' }),
  create(AttributeProtoSchema, { name: 'nan', type: A.FLOAT, f: Number.NaN }),
  create(AttributeProtoSchema, { name: 'minus_zero', type: A.FLOAT, f: -0 }),
  create(AttributeProtoSchema, { name: 'int', type: A.INT, i: -7n }),
  create(AttributeProtoSchema, { name: 'int_max', type: A.INT, i: 2n ** 63n - 1n }),
  create(AttributeProtoSchema, { name: 'string', type: A.STRING, s: utf8('naïve ☃') }),
  create(AttributeProtoSchema, { name: 'bom', type: A.STRING, s: Uint8Array.of(0xef, 0xbb, 0xbf, 65) }),
  create(AttributeProtoSchema, { name: 'bytes', type: A.STRING, s: Uint8Array.of(0xff, 0xfe, 0) }),
  create(AttributeProtoSchema, { name: 'tensor', type: A.TENSOR, t: tensor('named inside') }),
  create(AttributeProtoSchema, { name: 'graph', type: A.GRAPH, g: inner() }),
  create(AttributeProtoSchema, { name: 'floats', type: A.FLOATS, floats: [1.5, Number.POSITIVE_INFINITY] }),
  create(AttributeProtoSchema, { name: 'ints', type: A.INTS, ints: [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)] }),
  create(AttributeProtoSchema, { name: 'no_ints', type: A.INTS }),
  create(AttributeProtoSchema, { name: 'strings', type: A.STRINGS, strings: [utf8('a'), utf8('')] }),
  create(AttributeProtoSchema, { name: 'byte_strings', type: A.STRINGS, strings: [Uint8Array.of(0xc0)] }),
  create(AttributeProtoSchema, { name: 'graphs', type: A.GRAPHS, graphs: [inner()] }),
  create(AttributeProtoSchema, { name: 'tensors', type: A.TENSORS, tensors: [tensor('in a list')] }),
  create(AttributeProtoSchema, { name: 'sparse', type: A.SPARSE_TENSOR, sparseTensor: { values: tensor('v'), dims: [9n] } }),
  create(AttributeProtoSchema, { name: 'type', type: A.TYPE_PROTO, tp: tensorType(1, [1n]) }),
  // IR version 1 left the type out.
  create(AttributeProtoSchema, { name: 'untyped_int', i: 3n }),
  create(AttributeProtoSchema, { name: 'untyped_floats', floats: [2] }),
  create(AttributeProtoSchema, { name: 'untyped_empty' }),
];

export function exoticProto(): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: 10n,
    producerName: 'exotic',
    producerVersion: '1.0',
    domain: 'org.example',
    modelVersion: 7n,
    docString: 'everything',
    opsetImport: [
      create(OperatorSetIdProtoSchema, { domain: 'com.example', version: 3n }),
      create(OperatorSetIdProtoSchema, { domain: 'ai.onnx', version: 17n }),
    ],
    metadataProps: [entry('b', '2'), entry('a', '1')],
    trainingInfo: [{ algorithm: inner(), updateBinding: [entry('k', 'v')] }],
    functions: [{ name: 'f', domain: 'com.example', input: ['p'], output: ['q'], node: [{ opType: 'Neg', input: ['p'], output: ['q'] }] }],
    configuration: [{ name: 'two', numDevices: 2, device: ['a', 'b'] }],
    graph: {
      name: 'main',
      docString: 'the graph',
      metadataProps: [entry('g', '1')],
      node: [
        {
          name: 'first',
          opType: 'Relu',
          domain: 'ai.onnx',
          input: ['x'],
          output: ['r'],
          docString: 'a node',
          metadataProps: [entry('n', '1')],
        },
        { opType: 'Odd', domain: 'com.example', overload: 'two', input: ['r', '', 'w'], output: ['y', ''], attribute: attributes() },
      ],
      initializer: [tensor('w'), create(TensorProtoSchema, { name: 'scalar', dataType: T.INT64, int64Data: [-(2n ** 63n)] })],
      sparseInitializer: [{ values: tensor('sparse'), indices: { dims: [2n], dataType: T.INT64, int64Data: [0n, 5n] }, dims: [9n] }],
      input: [{ name: 'x', type: tensorType(T.FLOAT, ['N', 3n, null], 'IMAGE'), docString: 'in', metadataProps: [entry('i', '1')] }],
      output: [{ name: 'y' }],
      valueInfo: [
        { name: 'r', type: tensorType(T.FLOAT, [-1n, 3n, '']) },
        { name: 'seq', type: { value: { case: 'sequenceType', value: { elemType: tensorType(T.FLOAT, []) } } } },
        { name: 'unranked', type: { value: { case: 'tensorType', value: { elemType: T.DOUBLE } } } },
      ],
      quantizationAnnotation: [{ tensorName: 'r', quantParameterTensorNames: [entry('SCALE_TENSOR', 'scalar')] }],
    },
  });
}

/** Unknown fields on the model, the graph and a node: what a later version of ONNX may add. */
export function exoticBytes(): Uint8Array {
  const model = exoticProto();
  const unknown = { no: 900, wireType: 2, data: Uint8Array.of(3, 1, 2, 3) };
  const varint = { no: 901, wireType: 0, data: Uint8Array.of(42) };
  model.$unknown = [unknown, varint];
  if (model.graph) model.graph.$unknown = [unknown];
  if (model.graph) model.graph.node[0].$unknown = [varint];
  if (model.graph) model.graph.initializer[0].$unknown = [unknown];
  return toBinary(ModelProtoSchema, model);
}
