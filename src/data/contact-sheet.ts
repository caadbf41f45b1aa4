/** Many small images on one sheet, to look at. */
import type { AnyImages } from './dataset.ts';
import { imageAt } from './make.ts';
import { encodePng } from './png.ts';

export interface SheetOptions {
  readonly columns?: number;
  /** Screen pixels for each image pixel. */
  readonly zoom?: number;
  /** Screen pixels between images. */
  readonly gap?: number;
  /** Grey of the gaps, 0..255. */
  readonly paper?: number;
}

/** A PNG of the images at `indices`, row by row. One channel gives a grey picture, three an RGB one; of any other number the first counts. */
export function contactSheet(data: AnyImages, indices: ArrayLike<number>, options: SheetOptions = {}): Uint8Array {
  const { columns = 10, zoom = 1, gap = 1, paper = 96 } = options;
  const channels = data.channels === 3 ? 3 : 1;
  const rows = Math.ceil(indices.length / columns);
  const [stepX, stepY] = [data.width * zoom + gap, data.height * zoom + gap];
  const width = columns * stepX + gap;
  const height = rows * stepY + gap;
  const sheet = new Uint8Array(width * height * channels).fill(paper);
  const area = data.width * data.height;
  for (let i = 0; i < indices.length; i++) {
    const image = imageAt(data, indices[i]);
    const left = gap + (i % columns) * stepX;
    const top = gap + Math.floor(i / columns) * stepY;
    for (let y = 0; y < data.height * zoom; y++) {
      for (let x = 0; x < data.width * zoom; x++) {
        const from = Math.floor(y / zoom) * data.width + Math.floor(x / zoom);
        const at = ((top + y) * width + left + x) * channels;
        for (let c = 0; c < channels; c++) sheet[at + c] = image[c * area + from];
      }
    }
  }
  return encodePng(sheet, width, height, channels);
}
