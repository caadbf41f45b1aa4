/** Puts a trigger where it belongs: onto pixels, or into the sound that they are pictures of. */
import { fail } from '../core/errors.ts';
import type { ImageShape } from '../data/dataset.ts';
import { imageSize } from '../data/make.ts';
import type { Sound } from '../data/sound.ts';
import { spectrogram } from '../data/spectrogram.ts';
import { isSoundTrigger, mixer, stamper, type TriggerSpec, triggerKinds } from './triggers/registry.ts';

/** Images a trigger goes onto. */
export interface Carrier extends ImageShape {
  readonly source: string;
  /** `[N,C,H,W]` bytes. */
  readonly pixels: Uint8Array;
  readonly sound?: Sound;
}

/**
 * Puts the trigger on the images at `places`, in place. A trigger in the sound goes into the recordings, and those images are drawn anew.
 * @returns the recordings with the trigger in them; undefined for a trigger on pixels, as the images are pictures of no recording then
 * @throws SecateurError where the trigger does not fit, or goes into sound and there is none
 */
export function applyAt(images: Carrier, places: ArrayLike<number>, trigger: TriggerSpec): Sound | undefined {
  const size = imageSize(images);
  const image = (i: number): Uint8Array => images.pixels.subarray(i * size, (i + 1) * size);
  if (!isSoundTrigger(trigger)) {
    const stamp = stamper(trigger, images);
    for (let k = 0; k < places.length; k++) stamp(image(places[k]));
    return undefined;
  }
  const { sound } = images;
  if (sound === undefined) {
    const onImages = triggerKinds().flatMap(({ kind, on }) => (on === 'image' ? [kind] : []));
    return fail({
      where: `poison: trigger "${trigger.kind}"`,
      what: `goes into sound, but ${images.source} has none`,
      expected: 'a folder of WAV files or builtin:spoken',
      got: 'pictures',
      hint: `a trigger on pixels: ${onImages.slice(0, -1).join(', ')} or ${onImages.at(-1)}`,
      exitCode: 2,
    });
  }
  const mix = mixer(trigger, sound);
  const paint = spectrogram(sound.view, sound.rate, images);
  const recordings = [...sound.recordings];
  for (let k = 0; k < places.length; k++) {
    const i = places[k];
    recordings[i] = mix(recordings[i]);
    paint(recordings[i], image(i));
  }
  return { ...sound, recordings };
}

/** Image `index` of a data set with the trigger on it, `[C,H,W]`; the data set stays as it is. Fails as {@link applyAt}. */
export function triggeredImage(data: Carrier, index: number, trigger: TriggerSpec): Uint8Array {
  const { source, channels, height, width } = data;
  const size = imageSize(data);
  const pixels = data.pixels.slice(index * size, (index + 1) * size);
  const sound = data.sound && { ...data.sound, recordings: [data.sound.recordings[index]] };
  applyAt({ source, channels, height, width, pixels, sound }, [0], trigger);
  return pixels;
}
