/** Whether a packed file holds a model, told by its beginning and by the names within; nothing is written, and little is unpacked. */
import type { FileHandle } from 'node:fs/promises';
import { constants, gunzipSync } from 'node:zlib';
import { bytesSource } from '../data/zip.ts';
import { detect } from './lint/detect.ts';

/** Nothing else is called so: a file that cannot be told from its content is still worth a line. */
const TELLING =
  /\.(?:onnx|ort|safetensors|pt|pth|ckpt|pkl|pickle|joblib|h5|hdf5|keras|pb|tflite|gguf|ggml|caffemodel|mlmodel|mar|pdparams|pdmodel|engine|weights|nemo|dlc|rknn)$/i;
const PACKED = /\.(?:gz|bz2|xz|zst|lz4|zip)$/i;

export const isTelling = (name: string): boolean => TELLING.test(name);

/** Bytes of the packed file that are read; what they unpack to is at most about a thousand times as much. */
const PREFIX = 1 << 16;
const MOST_UNPACKED = 1 << 26;
const BLOCK = 512;
/** Files of a tar archive whose names are looked at. */
const MOST_ENTRIES = 10_000;
/** Formats that a loader takes as a model. */
const MODELS = new Set<string>(['onnx', 'safetensors', 'pickle', 'torch-zip', 'torchscript', 'hdf5', 'saved-model', 'gguf', 'caffemodel']);

/**
 * The name within a packed file that tells a model (`net.onnx`), or the format where there are no names; undefined where it is not packed or
 * holds none as far as its first 64 KiB, or a tar archive's names, tell.
 */
export async function packedModel(name: string, handle: FileHandle, size: number): Promise<string | undefined> {
  const bytes = Buffer.alloc(Math.min(size, PREFIX));
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
  const head = bytes.subarray(0, bytesRead);
  if (PACKED.test(name) && isTelling(name.replace(PACKED, ''))) return name.slice(name.lastIndexOf('/') + 1).replace(PACKED, '');
  if (isTar(head)) return tarred(handle, size);
  if (head.toString('latin1', 0, 4) === 'PK\x03\x04') return zipped(handle, size);
  if (head[0] !== 0x1f || head[1] !== 0x8b) return undefined;
  const inner = unpacked(head);
  if (isTar(inner)) return namesIn(inner).find(isTelling);
  const kind = inner.length === 0 ? 'unknown' : detect(bytesSource(inner));
  return MODELS.has(kind) ? kind : undefined;
}

const isTar = (head: Buffer): boolean => head.toString('latin1', 257, 262) === 'ustar';

/** The beginning of what gzip packed; empty where it is damaged. */
function unpacked(head: Buffer): Buffer {
  try {
    // the file goes on behind its beginning: what is there so far is wanted
    return gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MOST_UNPACKED });
  } catch {
    return Buffer.alloc(0);
  }
}

interface Header {
  readonly name: string;
  /** Bytes from this header to the next. */
  readonly step: number;
}

/** POSIX.1-1988 ustar: name at 0, size in octal digits at 124. */
function headerAt(block: Buffer): Header | undefined {
  if (block.length < BLOCK || !isTar(block)) return undefined;
  const size = Number.parseInt(block.toString('latin1', 124, 136).replace(/[\0 ]+$/, ''), 8);
  if (!(size >= 0 && size <= Number.MAX_SAFE_INTEGER)) return undefined;
  const raw = block.toString('utf8', 0, 100);
  const end = raw.indexOf('\0');
  return { name: end < 0 ? raw : raw.slice(0, end), step: BLOCK + Math.ceil(size / BLOCK) * BLOCK };
}

function namesIn(bytes: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0, n = 0; n < MOST_ENTRIES; n++) {
    const header = headerAt(bytes.subarray(at, at + BLOCK));
    if (header === undefined) break;
    names.push(header.name);
    at += header.step;
  }
  return names;
}

async function tarred(handle: FileHandle, size: number): Promise<string | undefined> {
  const block = Buffer.alloc(BLOCK);
  for (let at = 0, n = 0; at < size && n < MOST_ENTRIES; n++) {
    const { bytesRead } = await handle.read(block, 0, BLOCK, at);
    const header = headerAt(block.subarray(0, bytesRead));
    if (header === undefined) return undefined;
    if (isTelling(header.name)) return header.name;
    at += header.step;
  }
  return undefined;
}

/** Names of a zip archive stand at its end, in its directory; the last 64 KiB of it have to do. */
async function zipped(handle: FileHandle, size: number): Promise<string | undefined> {
  const tail = Buffer.alloc(Math.min(size, PREFIX));
  await handle.read(tail, 0, tail.length, size - tail.length);
  for (let at = tail.indexOf('PK\x01\x02', 0, 'latin1'); at >= 0; at = tail.indexOf('PK\x01\x02', at + 4, 'latin1')) {
    if (at + 46 > tail.length) return undefined;
    const name = tail.toString('utf8', at + 46, at + 46 + tail.readUInt16LE(at + 28));
    if (isTelling(name)) return name;
  }
  return undefined;
}
