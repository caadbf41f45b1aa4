/** Tells what a file is by its bytes. */
import type { ByteSource } from '../../data/zip.ts';
import type { FormatKind } from '../types.ts';
import { hasZipMark } from './archive.ts';
import { looksPrototxt } from './caffe-text.ts';
import { hdf5Start } from './hdf5-start.ts';
import { hasNpyMark } from './npy.ts';
import { beginsPickle, hasPickleMark } from './pickle.ts';
import { isNative, isPicture, textStart } from './plain.ts';
import { type Outline, protoOutline } from './proto-fields.ts';
import { looksSafetensors } from './safetensors.ts';
import { graphShape } from './saved-model.ts';

/** `zip`: an archive, to be told by its entries. `native`: a program for the machine. `packed`: compressed as a whole. */
export type Detected = FormatKind | 'zip' | 'native' | 'packed' | 'text';

const isAt = (source: ByteSource, at: number, mark: readonly number[]): boolean =>
  source.size >= at + mark.length && source.read(at, mark.length).every((b, i) => b === mark[i]);

const PACKED: readonly (readonly number[])[] = [
  [0x1f, 0x8b],
  [0x42, 0x5a, 0x68],
  [0xfd, 0x37, 0x7a, 0x58, 0x5a],
  [0x28, 0xb5, 0x2f, 0xfd],
  [0x04, 0x22, 0x4d, 0x18],
  [0x5d, 0x00, 0x00],
];
/** zlib, as joblib writes it. */
const isZlib = (source: ByteSource): boolean => {
  if (source.size < 2) return false;
  const [a, b] = source.read(0, 2);
  return a === 0x78 && [0x01, 0x5e, 0x9c, 0xda].includes(b);
};

export function detect(source: ByteSource): Detected {
  if (source.size === 0) return 'unknown';
  if (hasZipMark(source)) return 'zip';
  if (hdf5Start(source) === 0) return 'hdf5';
  if (hasNpyMark(source)) return 'npy';
  if (isAt(source, 0, [0x47, 0x47, 0x55, 0x46])) return 'gguf';
  // before pickles: a header of 128 bytes, or of 384, begins with the same two bytes
  if (looksSafetensors(source)) return 'safetensors';
  if (hasPickleMark(source)) return 'pickle';
  if (isPicture(source)) return 'other';
  if (isNative(source)) return 'native';
  const outline = protoOutline(source);
  // a text may begin like fields, the last of which would go on for ever
  const protobuf = outline.cut && textStart(source) !== undefined ? undefined : protobufKind(outline);
  if (protobuf !== 'onnx' && outline.fits && !outline.cut && (outline.fields.has('1/2') || outline.fields.has('2/2')) && graphShape(source))
    return 'saved-model';
  if (protobuf !== undefined) return protobuf;
  if (beginsPickle(source)) return 'pickle';
  if (PACKED.some((mark) => isAt(source, 0, mark)) || isZlib(source) || isAt(source, 257, [0x75, 0x73, 0x74, 0x61, 0x72])) return 'packed';
  const text = textStart(source);
  if (text !== undefined) return looksPrototxt(text) ? 'prototxt' : 'text';
  return hdf5Start(source) === undefined ? 'unknown' : 'hdf5';
}

const CAFFE_FIELDS = new Set(['1/2', '2/2', '3/2', '4/0', '4/2', '5/0', '6/2', '7/0', '8/2', '100/2']);
const SAVED_MODEL_FIELDS = new Set(['1/0', '2/2']);

/** Which of three messages the outermost fields are of; a file that is cut off within one is of that kind too. */
function protobufKind({ fields, first, fits }: Outline): FormatKind | undefined {
  if (first === undefined || !fits) return undefined;
  const all = [...fields];
  // ModelProto: ir_version, graph
  if (fields.has('7/2') && all.every((f) => !f.startsWith('1/') || f === '1/0')) return 'onnx';
  if (all.every((f) => SAVED_MODEL_FIELDS.has(f)) && fields.has('2/2') && fields.has('1/0')) return 'saved-model';
  if (all.every((f) => CAFFE_FIELDS.has(f)) && (fields.has('100/2') || (fields.has('2/2') && fields.has('1/2')))) return 'caffemodel';
  return undefined;
}
