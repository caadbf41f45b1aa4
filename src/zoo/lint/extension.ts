/** A name that promises another content than is there. */
import type { FormatKind } from '../types.ts';
import type { Detected } from './detect.ts';
import type { Findings } from './findings.ts';

/** Extension -> what a file of that name holds. */
const EXPECTED: Readonly<Record<string, readonly FormatKind[]>> = {
  onnx: ['onnx'],
  safetensors: ['safetensors'],
  npy: ['npy'],
  npz: ['npz'],
  gguf: ['gguf'],
  h5: ['keras-h5', 'hdf5'],
  hdf5: ['keras-h5', 'hdf5'],
  keras: ['keras-zip', 'keras-h5'],
  caffemodel: ['caffemodel'],
  prototxt: ['prototxt', 'other'],
  pt: ['torch-zip', 'pickle', 'torchscript'],
  pth: ['torch-zip', 'pickle', 'torchscript'],
  ckpt: ['torch-zip', 'pickle', 'hdf5', 'other'],
  pkl: ['pickle'],
  pickle: ['pickle'],
  joblib: ['pickle'],
  txt: ['other', 'prototxt'],
  md: ['other'],
  json: ['other'],
  yaml: ['other'],
  yml: ['other'],
  png: ['other'],
  jpg: ['other'],
  jpeg: ['other'],
  csv: ['other'],
};

/** Kinds that can run code, and that a name must not hide. */
const PROGRAMS: ReadonlySet<FormatKind> = new Set(['pickle', 'torch-zip', 'torchscript', 'keras-h5', 'keras-zip', 'saved-model']);
/** Extensions of which a loader unpickles what it finds, after unpacking it where it is packed. */
const UNPICKLED = new Set(['pt', 'pth', 'ckpt', 'pkl', 'pickle', 'joblib', 'mar', 'pt2']);

const WORDS: Readonly<Record<FormatKind, string>> = {
  onnx: 'an ONNX model',
  'onnx-data': 'weights of an ONNX model',
  safetensors: 'a safetensors file',
  npy: 'a NumPy array',
  npz: 'an archive of NumPy arrays',
  pickle: 'a Python pickle',
  'torch-zip': 'a PyTorch checkpoint',
  torchscript: 'a TorchScript program',
  'keras-h5': 'a Keras model in HDF5',
  'keras-zip': 'a Keras model',
  hdf5: 'an HDF5 file',
  'saved-model': 'a TensorFlow SavedModel',
  gguf: 'a GGUF file',
  caffemodel: 'a Caffe model',
  prototxt: 'a Caffe network description',
  other: 'a text or picture',
  unknown: 'something unknown',
};

export function checkExtension(name: string, kind: FormatKind, detected: Detected, findings: Findings): void {
  // weights.pkl.gz is unpacked, then unpickled
  const plain = detected === 'packed' ? name.replace(/\.(gz|bz2|xz|lzma|zst|lz4|z|zlib|tar)$/i, '') : name;
  const extension = /\.([A-Za-z0-9]+)$/.exec(plain)?.[1].toLowerCase() ?? '';
  const expected = Object.hasOwn(EXPECTED, extension) ? EXPECTED[extension] : undefined;
  if (UNPICKLED.has(extension) && (kind === 'unknown' || kind === 'other')) {
    const says =
      detected === 'packed'
        ? 'is compressed; its loader unpacks it and runs the pickle inside'
        : 'holds nothing that can be looked through; its loader unpickles it';
    findings.refuse('extension', `named .${extension}, which ${says}`);
    return;
  }
  if (expected === undefined || expected.includes(kind)) return;
  const says = `named .${extension}, but is ${WORDS[kind]}`;
  if (PROGRAMS.has(kind) && !expected.some((k) => PROGRAMS.has(k))) findings.refuse('extension', says);
  else findings.flag('extension', says);
}
