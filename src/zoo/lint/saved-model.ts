/** TensorFlow's `saved_model.pb`: SavedModel > MetaGraphDef > GraphDef > NodeDef.op, and the same in the library of functions. */
import type { ByteSource } from '../../data/zip.ts';
import { textFields } from './caffe-text.ts';
import { type Findings, quoted } from './findings.ts';
import { lintKerasConfig } from './keras.ts';
import { type ProtoBudget, ProtoEnd, type ProtoField, protoFields, protoText } from './proto-fields.ts';

const MAX_FIELDS = 2_000_000;
/** Bytes of one object's metadata. */
const MAX_METADATA = 4_000_000;
const FLAG = "a TensorFlow graph, which is a program; TensorFlow itself says to run strangers' ones in a sandbox only";

/** Operators that run Python, read or write files of the graph's choice, or talk to the network. Saving and restoring weights is not here. */
const REFUSED = new Set(
  [
    'PyFunc PyFuncStateless EagerPyFunc PrintV2 ReadFile WriteFile MatchingFiles ImmutableConst DebugIdentity DebugIdentityV2 DebugNanCount',
    'DebugNumericSummary DebugNumericSummaryV2 WholeFileReader WholeFileReaderV2 TextLineReader TextLineReaderV2 TFRecordReader TFRecordReaderV2',
    'FixedLengthRecordReader FixedLengthRecordReaderV2 IdentityReader IdentityReaderV2 RecordInput TextLineDataset TFRecordDataset',
    'FixedLengthRecordDataset FixedLengthRecordDatasetV2 MatchingFilesDataset DatasetToTFRecord ExperimentalDatasetToTFRecord SaveDataset',
    'SaveDatasetV2 LoadDataset SnapshotDataset SnapshotDatasetV2 CSVDataset CSVDatasetV2 SqlDataset LMDBReader LMDBDataset RemoteCall',
    'CreateSummaryFileWriter CreateSummaryDbWriter RpcCall RpcClient RpcServer RpcServerRegister GrpcServer DataServiceDataset',
  ]
    .join(' ')
    .split(' '),
);

/** All of TensorFlow's that is named so does the same, and newer versions of what is on the list. */
const isRefused = (op: string): boolean => {
  const plain = op.replace(/^Experimental/, '').replace(/V\d+$/, '');
  return REFUSED.has(op) || REFUSED.has(plain) || REFUSED.has(`${plain}V2`);
};

/** A graph that stands in a file by itself, or with what belongs to a checkpoint (`.meta`), and not in a SavedModel. */
export function graphShape(source: ByteSource): 'graph' | 'meta' | undefined {
  const budget: ProtoBudget = { fields: 20_000 };
  const isNode = ({ from, to }: ProtoField): boolean => {
    let op = '';
    try {
      for (const field of protoFields(source, from, to, budget)) {
        if (field.wire !== 2 || field.no > 7) return false;
        if (field.no === 2) op = protoText(source, field, 256);
      }
    } catch (error) {
      if (error instanceof ProtoEnd) return false;
      throw error;
    }
    return /^_?[A-Z]\w*$/.test(op);
  };
  try {
    for (const field of protoFields(source, 0, source.size, budget)) {
      if (field.wire !== 2) continue;
      if (field.no === 1 && isNode(field)) return 'graph';
      if (field.no !== 2) continue;
      try {
        for (const inner of protoFields(source, field.from, field.to, budget))
          if (inner.no === 1 && inner.wire === 2 && isNode(inner)) return 'meta';
      } catch (error) {
        if (!(error instanceof ProtoEnd)) throw error;
      }
    }
  } catch (error) {
    if (!(error instanceof ProtoEnd)) throw error;
  }
  return undefined;
}

/** `keras_metadata.pb` beside a SavedModel: SavedMetadata > SavedObject.metadata, from which Keras makes its layers anew. */
export function lintKerasMetadata(source: ByteSource, findings: Findings): void {
  const budget: ProtoBudget = { fields: MAX_FIELDS };
  try {
    for (const node of protoFields(source, 0, source.size, budget)) {
      if (node.no !== 1 || node.wire !== 2) continue;
      for (const field of protoFields(source, node.from, node.to, budget))
        if (field.no === 5 && field.wire === 2) metadata(source, field, findings);
    }
  } catch (error) {
    if (!(error instanceof ProtoEnd)) throw error;
    findings.refuse('saved-model', `is damaged or cut off: ${error.message}`);
  }
}

function metadata(source: ByteSource, field: ProtoField, findings: Findings): void {
  const text = protoText(source, field, MAX_METADATA);
  if (/^\s*\{/.test(text)) lintKerasConfig(text, 'metadata', findings);
}

/** A graph in protobuf's text form: the values of its fields `op`. */
export function lintGraphText(text: string, findings: Findings): void {
  findings.flag('saved-model', FLAG);
  const found = new Set<string>();
  for (const { key, value } of textFields(text)) if (key === 'op' && isRefused(value)) found.add(value);
  report(found, findings);
}

function report(found: ReadonlySet<string>, findings: Findings): void {
  for (const op of found)
    findings.refuse('saved-model-operator', `runs the operator ${quoted(op)}, which reaches files, Python or the network`);
}

/** Flags the file for what it is, a program, and refuses it for operators that reach out of the graph. */
export function lintSavedModel(source: ByteSource, findings: Findings): void {
  findings.flag('saved-model', FLAG);
  const budget: ProtoBudget = { fields: MAX_FIELDS };
  const found = new Set<string>();
  const walk = (field: ProtoField, visit: (inner: ProtoField) => void): void => {
    for (const inner of protoFields(source, field.from, field.to, budget)) if (inner.wire === 2) visit(inner);
  };
  const node = (field: ProtoField): void =>
    walk(field, (inner) => {
      if (inner.no !== 2) return;
      const op = protoText(source, inner, 256);
      if (isRefused(op)) found.add(op);
    });
  const library = (field: ProtoField): void =>
    walk(field, (fn) => {
      if (fn.no === 1) walk(fn, (inner) => void (inner.no === 3 && node(inner)));
    });
  const graph = (field: ProtoField): void =>
    walk(field, (inner) => {
      if (inner.no === 1) node(inner);
      else if (inner.no === 2) library(inner);
    });
  /** SavedObjectGraph > SavedObject > SavedUserObject.metadata, where TensorFlow 2.0 to 2.4 kept what Keras makes layers from. */
  const objects = (field: ProtoField): void =>
    walk(field, (object) => {
      if (object.no !== 1) return;
      walk(object, (kind) => {
        if (kind.no === 4) walk(kind, (inner) => void (inner.no === 3 && metadata(source, inner, findings)));
      });
    });
  const meta = (field: ProtoField): void =>
    walk(field, (inner) => {
      if (inner.no === 2) graph(inner);
      if (inner.no === 7) objects(inner);
    });
  const all: ProtoField = { no: 0, wire: 2, value: 0, from: 0, to: source.size };
  const shape = graphShape(source);
  try {
    if (shape === 'graph') graph(all);
    else if (shape === 'meta') meta(all);
    else walk(all, (inner) => void (inner.no === 2 && meta(inner)));
  } catch (error) {
    if (!(error instanceof ProtoEnd)) throw error;
    findings.refuse('saved-model', `is damaged or cut off: ${error.message}`);
  }
  report(found, findings);
}
