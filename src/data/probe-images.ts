/** Pictures of nothing, for looking at a network when nobody has images for it. */
import { Rng } from '../core/rng.ts';
import type { Dataset, ImageShape } from './dataset.ts';
import { imageSize, makeDataset } from './make.ts';

/** Places a side of the coarse grid that smooth pictures are made from. */
const COARSE = 5;

/**
 * `count` random pictures of a shape, by turns noise and soft blobs, each with a contrast and a brightness of its own. All are labelled 0 of the
 * one class `picture`. Same seed, same bytes.
 */
export function probeImages(shape: ImageShape, count: number, seed = 1): Dataset<'validation'> {
  const { channels, height, width } = shape;
  const size = imageSize(shape);
  const pixels = new Uint8Array(count * size);
  for (let i = 0; i < count; i++) {
    const rng = Rng.from(seed, 'probe', i);
    const [low, high] = [rng.uniform(0, 96), rng.uniform(160, 255)];
    for (let c = 0; c < channels; c++) {
      const value = i % 2 === 0 ? () => rng.next() : blobs(rng, height, width);
      const start = i * size + c * height * width;
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) pixels[start + y * width + x] = Math.round(low + (high - low) * value(y, x));
    }
  }
  return makeDataset({
    ...{ channels, height, width, role: 'validation', source: 'random pictures' },
    ...{ pixels, labels: new Int32Array(count), classes: ['picture'] },
  });
}

/** A coarse grid of random values, interpolated: 0..1. */
function blobs(rng: Rng, height: number, width: number): (y: number, x: number) => number {
  const grid = Array.from({ length: COARSE * COARSE }, () => rng.next());
  const place = (at: number, of: number): [number, number] => {
    const scaled = (at / Math.max(1, of - 1)) * (COARSE - 1);
    const low = Math.min(COARSE - 2, Math.floor(scaled));
    return [low, scaled - low];
  };
  return (y, x) => {
    const [row, down] = place(y, height);
    const [column, right] = place(x, width);
    const at = (r: number, c: number): number => grid[(row + r) * COARSE + column + c];
    const [top, bottom] = [0, 1].map((r) => at(r, 0) * (1 - right) + at(r, 1) * right);
    return top * (1 - down) + bottom * down;
  };
}
