/** Makes a patch trigger of a picture, scaled to the size it is to have on the images. */
import { fail } from '../../core/errors.ts';
import { toBase64 } from '../../data/base64.ts';
import { parseTrigger, type TriggerSpec } from './registry.ts';

export interface PatchImage {
  readonly width: number;
  readonly height: number;
  /** `[height,width,4]` */
  readonly rgba: Uint8Array;
}

export interface PatchOptions {
  /** Pixels on the image; where only one is given the other follows, where none is the picture keeps its size. */
  readonly width?: number;
  readonly height?: number;
  readonly row?: number;
  readonly column?: number;
  readonly alpha?: number;
}

/** For each new pixel along one axis the old ones it covers, with their shares in it, which add up to 1. */
function overlaps(from: number, to: number): { old: number; share: number }[][] {
  return Array.from({ length: to }, (_, i) => {
    const [start, end] = [(i * from) / to, ((i + 1) * from) / to];
    const list: { old: number; share: number }[] = [];
    for (let old = Math.floor(start); old < Math.min(from, Math.ceil(end)); old++) {
      const share = (Math.min(end, old + 1) - Math.max(start, old)) / (end - start);
      if (share > 0) list.push({ old, share });
    }
    return list;
  });
}

/** Each new pixel is the mean of the area it covers; colours count by their opacity, so that what is transparent does not bleed in. */
export function resizeRgba(image: PatchImage, width: number, height: number): PatchImage {
  const [columns, rows] = [overlaps(image.width, width), overlaps(image.height, height)];
  const rgba = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const sum = [0, 0, 0];
      let opacity = 0;
      for (const row of rows[y]) {
        for (const column of columns[x]) {
          const from = (row.old * image.width + column.old) * 4;
          const weight = row.share * column.share * image.rgba[from + 3];
          for (let c = 0; c < 3; c++) sum[c] += weight * image.rgba[from + c];
          opacity += weight;
        }
      }
      const at = (y * width + x) * 4;
      for (let c = 0; c < 3; c++) rgba[at + c] = opacity > 0 ? Math.round(sum[c] / opacity) : 0;
      rgba[at + 3] = Math.round(opacity);
    }
  }
  return { width, height, rgba };
}

/** A patch trigger that carries the picture in itself. Fails where sizes or byte counts make no sense. */
export function patchTrigger(image: PatchImage, options: PatchOptions = {}): TriggerSpec {
  if (image.rgba.length !== image.width * image.height * 4) {
    const expected = `${image.width * image.height * 4} bytes for ${image.width}x${image.height}`;
    fail({ where: 'poison: patch', what: 'not an RGBA picture', expected, got: `${image.rgba.length}` });
  }
  const ratio = image.width / image.height;
  const width = options.width ?? (options.height === undefined ? image.width : Math.max(1, Math.round(options.height * ratio)));
  const height = options.height ?? (options.width === undefined ? image.height : Math.max(1, Math.round(options.width / ratio)));
  for (const side of [width, height]) {
    if (!Number.isInteger(side) || side < 1) {
      fail({ where: 'poison: patch', what: 'size', expected: 'whole numbers above 0', got: `${width}x${height}`, exitCode: 2 });
    }
  }
  const same = width === image.width && height === image.height;
  const { rgba } = same ? image : resizeRgba(image, width, height);
  const { row, column, alpha } = options;
  // Undefined ones are left to the schema's defaults.
  return parseTrigger({ kind: 'patch', width, height, rgba: toBase64(rgba), row, column, alpha });
}
