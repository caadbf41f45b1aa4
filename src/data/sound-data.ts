/** Data sets of sound: recordings, and the spectrograms that are their images. */
import { fail } from '../core/errors.ts';
import type { Dataset, Groups, ImageShape, Role } from './dataset.ts';
import { imageSize, makeDataset, shapeText } from './make.ts';
import type { Sound } from './sound.ts';
import { spectrogram } from './spectrogram.ts';

/** What one array of bytes can hold. */
const MOST_BYTES = 2 ** 32;

export interface SoundParts<R extends Role> {
  readonly role: R;
  readonly source: string;
  readonly labels: Int32Array;
  readonly classes: readonly string[];
  readonly groups?: Groups;
  readonly sound: Sound;
}

/** Spectrograms of all recordings, `[N,C,H,W]` bytes. Fails where there are more bytes than an array holds, or the view is none. */
export function draw(sound: Sound, shape: ImageShape, where: string): Uint8Array {
  const size = imageSize(shape);
  const bytes = sound.recordings.length * size;
  if (bytes > MOST_BYTES) {
    fail({
      where,
      what: 'too many spectrograms of this size for one data set',
      expected: `at most ${MOST_BYTES} bytes`,
      got: `${bytes} (${sound.recordings.length} of ${shapeText(shape)})`,
      hint: 'a smaller size, or one channel',
    });
  }
  const paint = spectrogram(sound.view, sound.rate, shape);
  const pixels = new Uint8Array(bytes);
  for (const [i, recording] of sound.recordings.entries()) paint(recording, pixels.subarray(i * size, (i + 1) * size));
  return pixels;
}

/** A data set whose images are the spectrograms of its recordings. Fails as {@link draw} and `makeDataset` do. */
export function soundDataset<R extends Role>(parts: SoundParts<R>, shape: ImageShape): Dataset<R> {
  return makeDataset({ ...parts, ...shape, pixels: draw(parts.sound, shape, `data: ${parts.source}`) });
}

/** A data set of sound drawn at another size: rendered from the recordings, not resized. Fails where it has no recordings. */
export function redraw<R extends Role>(data: Dataset<R>, shape: ImageShape): Dataset<R> {
  const { role, source, labels, classes, groups, sound } = data;
  if (sound === undefined) return fail({ where: `data: ${source}`, what: 'images without recordings', expected: 'spectrograms of sound' });
  return soundDataset({ role, source, labels, classes, sound, ...(groups && { groups }) }, shape);
}
