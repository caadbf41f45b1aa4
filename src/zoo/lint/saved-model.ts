/** TensorFlow's `saved_model.pb`: SavedModel > MetaGraphDef > GraphDef > NodeDef.op, and the same in the library of functions. */
import type { ByteSource } from '../../data/zip.ts';
import { type Findings, quoted } from './findings.ts';
import { type ProtoBudget, ProtoEnd, type ProtoField, protoFields, protoText } from './proto-fields.ts';

const MAX_FIELDS = 2_000_000;

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

/** Flags the file for what it is, a program, and refuses it for operators that reach out of the graph. */
export function lintSavedModel(source: ByteSource, findings: Findings): void {
  findings.flag('saved-model', "a TensorFlow graph, which is a program; TensorFlow itself says to run strangers' ones in a sandbox only");
  const budget: ProtoBudget = { fields: MAX_FIELDS };
  const found = new Set<string>();
  const walk = (field: ProtoField, visit: (inner: ProtoField) => void): void => {
    for (const inner of protoFields(source, field.from, field.to, budget)) if (inner.wire === 2) visit(inner);
  };
  const node = (field: ProtoField): void =>
    walk(field, (inner) => {
      if (inner.no !== 2) return;
      const op = protoText(source, inner, 256);
      if (REFUSED.has(op)) found.add(op);
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
  try {
    walk({ no: 0, wire: 2, value: 0, from: 0, to: source.size }, (meta) => {
      if (meta.no === 2) walk(meta, (inner) => void (inner.no === 2 && graph(inner)));
    });
  } catch (error) {
    if (!(error instanceof ProtoEnd)) throw error;
    findings.refuse('saved-model', `is damaged or cut off: ${error.message}`);
  }
  for (const op of found)
    findings.refuse('saved-model-operator', `runs the operator ${quoted(op)}, which reaches files, Python or the network`);
}
