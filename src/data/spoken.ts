/**
 * `builtin:spoken`: ten digits said by a formant synthesiser in the voices of several made-up speakers, so that everything about sound runs
 * without a download. Buzzing robots, not people, and easier to tell apart. The same seed gives the same recordings wherever the functions of
 * `Math` are V8's, as in Node and Chromium; elsewhere a sample may be rounded the other way.
 */
import { Rng } from '../core/rng.ts';
import type { Dataset, Role } from './dataset.ts';
import type { GeneratorOptions } from './generators.ts';
import { soundDataset } from './sound-data.ts';
import { USUAL_RATE, USUAL_SHAPE, usualView } from './spectrogram.ts';
import { DIGIT_WORDS } from './spoken-phones.ts';
import { drawVoice, say, whiteNoise } from './spoken-voice.ts';

/** Speakers of training data, as many as the Free Spoken Digit Dataset has. */
const SPEAKERS = 6;
const CLASSES: readonly string[] = Array.from({ length: 10 }, (_, i) => `${i}`);

/**
 * `count` recordings as spectrograms `[N,1,64,64]`, groups being the six speakers, whose turns go round every ten recordings; every ten hold
 * each digit once in random order. Recording `i` depends on seed, role and `i` alone, so a smaller set is the beginning of a larger one. Each
 * role has speakers of its own: nobody in the test data is heard in training.
 */
export function spoken<R extends Role>({ count, seed, role }: GeneratorOptions<R>): Dataset<R> {
  const stream = Rng.from(seed, 'spoken', role);
  const voices = Array.from({ length: SPEAKERS }, (_, i) => drawVoice(stream.fork(`voice ${i}`)));
  const hiss = whiteNoise(stream.fork('hiss'));
  const order = stream.fork('order');
  const words = stream.fork('words');
  const labels = new Int32Array(count);
  const ids = new Int32Array(count);
  const recordings: Int16Array[] = [];
  for (let start = 0; start < count; start += 10) {
    const ten = order.permutation(10);
    for (let i = start; i < Math.min(start + 10, count); i++) {
      labels[i] = ten[i - start];
      ids[i] = (start / 10) % SPEAKERS;
      recordings.push(say(DIGIT_WORDS[labels[i]], voices[ids[i]], hiss, words.fork(i), USUAL_RATE));
    }
  }
  const sound = { rate: USUAL_RATE, recordings, view: usualView() };
  return soundDataset({ role, source: 'builtin:spoken', labels, classes: CLASSES, groups: { by: 'speaker', ids }, sound }, USUAL_SHAPE);
}
