/**
 * Says what a file is and whether loading it can run code, by its bytes and never by its name alone. Nothing is executed. Every parser
 * here is of our own, bounded in time and memory for any file (7.3 of the facts: a file below 10 MB in a second and 100 MB).
 */
import { SecateurError } from '../../core/errors.ts';
import type { ByteSource } from '../../data/zip.ts';
import { checkModelBytes } from '../../onnx/sniff.ts';
import type { FormatKind, LintReport } from '../types.ts';
import { type Budget, budgetFor, endsAsZip } from './archive.ts';
import { lintCaffemodel } from './caffe-model.ts';
import { LONGEST_PROTOTXT, lintPrototxt } from './caffe-text.ts';
import { type Detected, detect } from './detect.ts';
import { checkExtension } from './extension.ts';
import { Findings } from './findings.ts';
import { lintGguf } from './gguf.ts';
import { lintHdf5 } from './hdf5-lint.ts';
import { hdf5Start } from './hdf5-start.ts';
import { lintNpy } from './npy.ts';
import { type ExternalCheck, lintOnnx } from './onnx.ts';
import { holdsPickle } from './packed.ts';
import { beginsBarePickle, lintPickle } from './pickle.ts';
import { lintText, textStart } from './plain.ts';
import { lintSafetensors } from './safetensors.ts';
import { lintGraphText, lintKerasMetadata, lintSavedModel } from './saved-model.ts';
import { isTar, lintTar } from './tar.ts';
import { lintZip } from './zip-kinds.ts';

/** Version of the rules, which stands in the lock beside each verdict: year and month. */
export const LINT_RULES = '2026-11';

/** Characters of a configuration in JSON that are read. */
const LONGEST_JSON = 16_000_000;

export interface LintContext {
  /** Looks at files beside an ONNX model; without it such files are named as not looked at. */
  readonly external?: ExternalCheck;
  /** The file belongs to a model of another file, which says what it is: raw weights of ONNX or TensorFlow. */
  readonly part?: FormatKind;
  /** What an archive around it leaves to be unpacked. */
  readonly budget?: Budget;
}

/**
 * What a file is and what is to be said about it. `name` is only used to tell where name and content differ.
 * Never throws for what the bytes are; what `source` throws, it passes on.
 */
export function lintBytes(source: ByteSource, name: string, context: LintContext = {}): LintReport {
  return lintAt(source, name, 0, context);
}

function lintAt(source: ByteSource, name: string, nesting: number, context: LintContext): LintReport {
  const findings = new Findings();
  const detected = byName(name, detect(source));
  const kind = lintDetected(detected, source, name, nesting, context, findings);
  polyglot(source, detected, findings);
  if (detected !== 'zip' && detected !== 'pickle' && isTar(source)) {
    if (MARKED.has(detected)) findings.refuse('polyglot', 'is also a tar archive, which old PyTorch checkpoints are');
    const budget = context.budget ?? budgetFor(source);
    lintTar(source, findings, nesting, (inner, entry, depth) => lintAt(inner, entry, depth, { budget }));
  }
  if (context.part !== undefined && harmless(kind, findings)) return new Findings().report(context.part);
  // names within archives are the archive's own affair
  if (nesting === 0) checkExtension(name, kind, detected, findings);
  return findings.report(kind);
}

/** Raw numbers may begin like anything; they are what they are said to be unless they hold something that would do something. */
function harmless(kind: FormatKind, findings: Findings): boolean {
  if (kind === 'unknown' || kind === 'other') return !findings.refused || findings.report(kind).findings.every((f) => f.rule === 'empty');
  const report = findings.report(kind);
  return report.findings.length > 0 && report.findings.every((f) => HARMLESS_END.has(f.rule));
}
/** What a reader says of bytes that only begin like its format. */
const HARMLESS_END = new Set(['pickle-broken', 'safetensors', 'npy', 'gguf', 'zip-broken', 'onnx', 'caffemodel']);

function lintDetected(
  detected: Detected,
  source: ByteSource,
  name: string,
  nesting: number,
  context: LintContext,
  findings: Findings,
): FormatKind {
  switch (detected) {
    case 'zip': {
      const budget = context.budget ?? budgetFor(source);
      return lintZip(source, findings, nesting, budget, (inner, entry, depth) => lintAt(inner, entry, depth, { budget }));
    }
    case 'pickle':
      lintPickle(source, findings);
      return 'pickle';
    case 'safetensors':
      lintSafetensors(source, findings);
      return detected;
    case 'onnx':
      lintOnnx(source, findings, context.external);
      return detected;
    case 'npy':
      lintNpy(source, findings);
      return detected;
    case 'gguf':
      lintGguf(source, findings);
      return detected;
    case 'hdf5':
      return lintHdf5(source, findings);
    case 'saved-model':
      lintSavedModel(source, findings);
      return detected;
    case 'caffemodel':
      lintCaffemodel(source, findings);
      return detected;
    case 'prototxt':
      lintPrototxt(textOf(source, LONGEST_PROTOTXT), findings);
      return detected;
    case 'text':
      if (/\.pbtxt$/i.test(name)) {
        lintGraphText(textOf(source, LONGEST_PROTOTXT), findings);
        return 'saved-model';
      }
      lintText(textStart(source) as string, name, findings, () => textOf(source, LONGEST_JSON));
      return 'other';
    case 'native':
      findings.refuse('native-code', 'a program or library for the machine');
      return 'unknown';
    case 'packed':
      if (holdsPickle(source)) findings.refuse('packed-pickle', 'a compressed pickle, which some loaders unpack and run');
      findings.flag('packed', 'compressed as a whole, and not looked into');
      return 'unknown';
    case 'other':
      return 'other';
    default:
      unknown(source, name, findings);
      return 'unknown';
  }
}

const textOf = (source: ByteSource, longest: number): string =>
  new TextDecoder('utf-8').decode(source.read(0, Math.min(source.size, longest)));

/** Files that a program takes for something by their name alone. */
function byName(name: string, detected: Detected): Detected {
  const last = name.slice(name.lastIndexOf('/') + 1);
  if (last === 'saved_model.pb' && (detected === 'unknown' || detected === 'caffemodel')) return 'saved-model';
  if (/\.(prototxt|pbtxt)$/i.test(last) && (detected === 'text' || detected === 'prototxt'))
    return /\.pbtxt$/i.test(last) ? 'text' : 'prototxt';
  return detected;
}

function unknown(source: ByteSource, name: string, findings: Findings): void {
  if (source.size === 0) {
    findings.flag('empty', 'an empty file');
    return;
  }
  if (/(^|\/)keras_metadata\.pb$/.test(name)) lintKerasMetadata(source, findings);
  findings.flag('unknown-format', 'of no format that is known here, so nothing can be said about loading it');
  if (!/\.onnx$/i.test(name)) return;
  try {
    checkModelBytes(source.read(0, source.size), 'file');
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    findings.refuse('onnx', `${error.parts.what}${error.parts.got === undefined ? '' : `, got ${error.parts.got}`}`);
  }
}

/** Where bytes that have the mark of something else may be a pickle as well, as opcodes are most letters of the alphabet. */
const MARKED: ReadonlySet<Detected> = new Set(['gguf', 'safetensors', 'onnx', 'saved-model', 'caffemodel', 'hdf5', 'npy', 'other']);

/** A file that is one thing from its start and another from its end, or from byte 512 on, or for another reader, is made to be taken for both. */
function polyglot(source: ByteSource, detected: Detected, findings: Findings): void {
  if (MARKED.has(detected) && beginsBarePickle(source)) {
    findings.refuse('polyglot', 'is also a pickle from its first byte on, which programs that load pickles run');
  }
  if (detected !== 'zip' && endsAsZip(source)) findings.refuse('polyglot', 'is also a zip archive, read from its end');
  const start = detected === 'hdf5' ? 0 : (hdf5Start(source) ?? 0);
  if (start > 0) findings.refuse('polyglot', `is also an HDF5 file, read from byte ${start} on`);
}
