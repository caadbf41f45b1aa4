/**
 * Where tensors go that a model keeps in files beside it. A file that was read with external data is written with external data: same
 * file names, and the same offsets as long as every tensor still fits where it was.
 */
import { sameBytes } from './dtypes.ts';

/** A tensor to be stored outside; `at` is where it was read from. */
export interface OutsideTensor {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly at: { readonly location: string; readonly offset: number };
}

export interface Place {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** One file beside the model: pieces in order of their offsets; what lies between them is zero. */
export interface ExternalFile {
  readonly location: string;
  readonly pieces: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

/** Large tensors begin at pages, so that a runtime can map them into memory; small ones at cache lines. */
const PAGE = 4096;
const LINE = 64;
const LARGE = 2 ** 20;
/** Bytes between tensors that are put up with. */
const HOLES = 2 ** 22;

/** Places for all tensors, and the files that hold them, one for each location in order of first appearance. */
export function layOutExternal(tensors: readonly OutsideTensor[]): { places: Map<string, Place>; files: ExternalFile[] } {
  const byLocation = new Map<string, OutsideTensor[]>();
  for (const tensor of tensors) {
    const list = byLocation.get(tensor.at.location);
    if (list) list.push(tensor);
    else byLocation.set(tensor.at.location, [tensor]);
  }
  const places = new Map<string, Place>();
  const files: ExternalFile[] = [];
  for (const [location, list] of byLocation) {
    const sorted = [...list].sort((a, b) => a.at.offset - b.at.offset);
    const offsets = fits(sorted) ? sorted.map((t) => t.at.offset) : oneAfterTheOther(sorted);
    const pieces: { offset: number; bytes: Uint8Array }[] = [];
    for (const [i, { name, bytes }] of sorted.entries()) {
      places.set(name, { location, offset: offsets[i], length: bytes.byteLength });
      // Two tensors may be one range of the file; it is written once.
      if (bytes.byteLength > 0 && pieces.at(-1)?.offset !== offsets[i]) pieces.push({ offset: offsets[i], bytes });
    }
    files.push({ location, pieces });
  }
  return { places, files };
}

/** Whether the tensors can stay where they were: no two overlap, but for equal ones at the same place, and there is little between them. */
function fits(sorted: readonly OutsideTensor[]): boolean {
  const last = sorted[sorted.length - 1];
  const bytes = sorted.reduce((sum, t) => sum + t.bytes.byteLength, 0);
  // A file that is mostly holes takes no room where it came from, and all of it where its zeros are written.
  if (last.at.offset + last.bytes.byteLength > 2 * bytes + HOLES) return false;
  return sorted.every((tensor, i) => {
    const before = sorted[i - 1];
    if (before === undefined || before.at.offset + before.bytes.byteLength <= tensor.at.offset) return true;
    return before.at.offset === tensor.at.offset && sameBytes(before.bytes, tensor.bytes);
  });
}

function oneAfterTheOther(sorted: readonly OutsideTensor[]): number[] {
  let end = 0;
  return sorted.map(({ bytes }) => {
    const step = bytes.byteLength >= LARGE ? PAGE : LINE;
    const offset = Math.ceil(end / step) * step;
    end = offset + bytes.byteLength;
    return offset;
  });
}
