/** Images that are of no use to anybody: a face in a light that shows nothing of it. */
import { fail } from '../core/errors.ts';
import type { Dataset, Role } from './dataset.ts';
import { imageAt, subset } from './make.ts';

/** BT.601 luma of red, green and blue. */
const LUMA = [0.299, 0.587, 0.114];

/** Mean grey of each image, 0..255, `[N]`: of the luma where there are three channels, else of all of them alike. */
export function meanGrey(data: Dataset): Float64Array {
  const area = data.height * data.width;
  return Float64Array.from({ length: data.count }, (_, i) => {
    const image = imageAt(data, i);
    let grey = 0;
    for (let c = 0; c < data.channels; c++) {
      let sum = 0;
      for (let at = c * area; at < (c + 1) * area; at++) sum += image[at];
      grey += (data.channels === 3 ? LUMA[c] : 1 / data.channels) * (sum / area);
    }
    return grey;
  });
}

/**
 * The data without the images whose mean grey is below `meanBelow` (0..255); the data themselves where there is none. What is dropped is
 * the difference in `count`. Throws SecateurError where nothing would be left.
 */
export function withoutDark<R extends Role>(data: Dataset<R>, meanBelow: number): Dataset<R> {
  const grey = meanGrey(data);
  const bright = Int32Array.from(grey.keys()).filter((i) => grey[i] >= meanBelow);
  if (bright.length === data.count) return data;
  if (bright.length === 0) {
    const got = `${grey.reduce((a, b) => Math.max(a, b)).toFixed(1)} at most`;
    fail({ where: `data: ${data.source}`, what: 'all images are too dark', expected: `a mean grey of at least ${meanBelow}`, got });
  }
  return subset(data, bright);
}
