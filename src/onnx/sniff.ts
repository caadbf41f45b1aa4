/** Tells a file that is not an ONNX model, or only the first part of one, before protobuf sees it; messages say what it seems to be. */
import { fail } from '../core/errors.ts';

const EXPORT_HINT = 'to export it as .onnx first (PyTorch: torch.onnx.export, Keras: tf2onnx)';

interface Signature {
  readonly what: string;
  readonly hint: string;
  matches(bytes: Uint8Array, text: string): boolean;
}

const startsWith = (...magic: number[]): Signature['matches'] => {
  return (bytes) => magic.every((b, i) => bytes[i] === b);
};

const SIGNATURES: readonly Signature[] = [
  {
    what: 'a web page (HTML or XML)',
    hint: 'to download the raw file rather than the page that shows it',
    matches: (_, text) => /^\s*<(!doctype|html|head|body|\?xml)/i.test(text),
  },
  {
    what: 'a Git LFS pointer, not the file it stands for',
    hint: 'git lfs pull in the repository it comes from',
    matches: (_, text) => text.startsWith('version https://git-lfs'),
  },
  { what: 'a zip archive, as PyTorch checkpoints and .npz files are', hint: EXPORT_HINT, matches: startsWith(0x50, 0x4b, 3, 4) },
  { what: 'a gzip archive', hint: 'to unpack it with gunzip first', matches: startsWith(0x1f, 0x8b) },
  { what: 'an HDF5 file, as Keras writes them', hint: EXPORT_HINT, matches: startsWith(0x89, 0x48, 0x44, 0x46) },
  { what: 'a Python pickle, as old PyTorch checkpoints are', hint: EXPORT_HINT, matches: (b) => b[0] === 0x80 && b[1] >= 2 && b[1] <= 5 },
  { what: 'a TensorFlow Lite model', hint: EXPORT_HINT, matches: (_, text) => text.slice(4, 8) === 'TFL3' },
  {
    what: "ONNX Runtime's own .ort format",
    hint: 'the .onnx file that it was converted from',
    matches: (_, text) => text.slice(4, 8) === 'ORTM',
  },
  { what: 'a PNG image', hint: 'the path of an .onnx file', matches: startsWith(0x89, 0x50, 0x4e, 0x47) },
  { what: 'a safetensors file', hint: EXPORT_HINT, matches: (b, text) => text.slice(8, 10) === '{"' && b[6] === 0 && b[7] === 0 },
  { what: 'JSON text', hint: 'the path of an .onnx file', matches: (_, text) => /^\s*[{[]\s*["{[]/.test(text) },
];

/** Throws the error for a file that is no ONNX model. */
export function notOnnx(where: string, got: string, hint?: string): never {
  fail({ where, what: 'not an ONNX model', expected: 'the protobuf of an ONNX file', got, hint });
}

/**
 * Refuses empty files, well-known other formats and files that end before the length they announce. Reads only the outermost
 * fields' tags, never the weights.
 */
export function checkModelBytes(bytes: Uint8Array, where: string): void {
  if (bytes.byteLength === 0) notOnnx(where, 'an empty file', 'to download or export it again');
  const text = String.fromCharCode(...bytes.subarray(0, 256));
  const signature = SIGNATURES.find((s) => s.matches(bytes, text));
  if (signature) notOnnx(where, signature.what, signature.hint);
  checkOuterFields(bytes, where);
}

/** Walks the fields of ModelProto: number, wire type, length. */
function checkOuterFields(bytes: Uint8Array, where: string): void {
  let at = 0;
  let graphSeen = false;
  const varint = (): number => {
    // Nearly all are of one byte, and a hostile file may hold millions.
    if (bytes[at] < 0x80) return bytes[at++];
    let value = 0;
    for (let shift = 1; shift < 2 ** 70; shift *= 128) {
      if (at >= bytes.byteLength) return Number.NaN;
      const byte = bytes[at++];
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  };
  while (at < bytes.byteLength) {
    const start = at;
    const tag = varint();
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    // The first field of a real file is ir_version, a varint, or another low-numbered field of ModelProto.
    if (!Number.isFinite(tag) || field < 1 || wire === 3 || wire === 4 || wire > 5 || (start === 0 && field > 50)) {
      notOnnx(where, graphSeen ? `bytes after the graph that are no protobuf, at ${start}` : 'other bytes');
    }
    const length = wire === 1 ? 8 : wire === 5 ? 4 : varint();
    if (wire !== 0) at += length;
    if (field === 7 && wire === 2) graphSeen = true;
    if (at > bytes.byteLength || Number.isNaN(at)) {
      if (!graphSeen && start === 0) notOnnx(where, 'other bytes');
      fail({
        where,
        what: 'the file is cut off',
        expected: Number.isNaN(at) ? 'more bytes' : `at least ${at} bytes`,
        got: String(bytes.byteLength),
        hint: 'to download or export it again',
      });
    }
  }
}
