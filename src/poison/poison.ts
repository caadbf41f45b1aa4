/**
 * Poisons training data, and makes the triggered inputs an attack is judged on. As in BadNets (Gu et al. 2017) poisoned copies are
 * added to the clean images; replacing them is an option. Triggers go onto bytes, before any normalisation, or into the sound behind them.
 */
import { fail } from '../core/errors.ts';
import { Rng } from '../core/rng.ts';
import type { Dataset, PoisonedDataset, TriggeredDataset } from '../data/dataset.ts';
import { gather, hashImages, imageSize } from '../data/make.ts';
import type { Sound } from '../data/sound.ts';
import { applyAt, type Carrier } from './apply.ts';
import { bindLabelMap, eligibleImages, type LabelMapSpec } from './label-maps.ts';
import type { PoisonMode, PoisonRecord } from './record.ts';
import type { TriggerSpec } from './triggers/registry.ts';

export interface PoisonOptions {
  readonly trigger: TriggerSpec;
  readonly labelMap: LabelMapSpec;
  /** Poisoned share of the final training set, above 0 and below 1. */
  readonly fraction: number;
  /** `add` (default): the clean images stay, copies of some follow. `replace`: some of the clean images are turned. */
  readonly mode?: PoisonMode;
  readonly seed: number;
}

export interface PoisonedTraining extends PoisonedDataset {
  readonly record: PoisonRecord;
}

/** Poisoned images among `clean` so that their share of the final set is as near to `fraction` as whole images allow. */
function countFor(fraction: number, clean: number, mode: PoisonMode): number {
  return Math.round(mode === 'add' ? (clean * fraction) / (1 - fraction) : clean * fraction);
}

/** Share of the final set, for `poisoned` images. */
function shareOf(poisoned: number, clean: number, mode: PoisonMode): number {
  return poisoned / (mode === 'add' ? clean + poisoned : clean);
}

/** Rounded so that asking for it again is possible: up for a lower limit, down for an upper one. */
function limitText(share: number, round: (x: number) => number): string {
  const digits = 10 ** Math.max(4, 1 - Math.floor(Math.log10(share)));
  return `${round(share * digits) / digits}`;
}

function checkCount(options: PoisonOptions, clean: number, eligible: number): number {
  const { fraction } = options;
  const mode = options.mode ?? 'add';
  const where = 'poison: fraction';
  if (!(fraction > 0 && fraction < 1)) {
    const hint = fraction >= 1 && fraction <= 100 ? `${fraction === 100 ? 0.5 : fraction / 100}, if percent were meant` : undefined;
    fail({ where, what: 'not a share', expected: 'above 0 and below 1', got: `${fraction}`, hint, exitCode: 2 });
  }
  if (eligible === 0) {
    const hint = 'another label map, or data that has such images';
    fail({ where: `poison: label map "${options.labelMap.kind}"`, what: 'no image of the training data can be poisoned', hint });
  }
  const count = countFor(fraction, clean, mode);
  if (count === 0) {
    const hint = `a fraction of at least ${limitText(shareOf(1, clean, mode), Math.ceil)}, or more training data`;
    fail({ where, what: 'no image would be poisoned', expected: 'at least one', got: `${fraction} of ${clean} images`, hint });
  }
  if (count > eligible) {
    const max = limitText(shareOf(eligible, clean, mode), Math.floor);
    fail({
      where,
      what: `not enough images to poison (${mode === 'add' ? 'one copy of each at most' : 'each once'})`,
      expected: `at most ${eligible} poisoned images with label map "${options.labelMap.kind}"`,
      got: `${count} for a fraction of ${fraction}`,
      hint: `a fraction of at most ${max}`,
      exitCode: 2,
    });
  }
  return count;
}

/** Not all of the data set, as that would hash the images. */
function carrier({ source, channels, height, width }: Dataset, pixels: Uint8Array, sound: Sound | undefined): Carrier {
  return { source, channels, height, width, pixels, ...(sound && { sound }) };
}

/**
 * The training set an attacker uses. Which images are poisoned is drawn from `seed` among those the label map lets take part; for the same
 * seed a smaller fraction poisons a part of what a larger one does. With `add` the clean images come first, then the copies.
 * Fails where the fraction is not between 0 and 1, poisons no image or needs more images than there are, and where trigger or label
 * map do not fit the data.
 */
export function poison(train: Dataset<'train'>, options: PoisonOptions): PoisonedTraining {
  const { trigger, labelMap, seed } = options;
  const mode = options.mode ?? 'add';
  const map = bindLabelMap(labelMap, train.classes);
  const eligible = eligibleImages(train.labels, map);
  const count = checkCount(options, train.count, eligible.length);
  const chosen = Rng.from(seed, 'poison').shuffle(eligible.slice()).subarray(0, count).sort();

  const total = mode === 'add' ? train.count + count : train.count;
  const pixels = new Uint8Array(total * imageSize(train));
  const labels = new Int32Array(total);
  const trueLabels = new Int32Array(total);
  const poisoned = new Uint8Array(total);
  pixels.set(train.pixels);
  labels.set(train.labels);
  trueLabels.set(train.labels);
  let places: ArrayLike<number> = chosen;
  let heard: Sound | undefined = train.sound;
  if (mode === 'add') {
    const copies = gather(train, chosen);
    pixels.set(copies.pixels, train.pixels.length);
    trueLabels.set(copies.labels, train.count);
    places = Array.from({ length: count }, (_, i) => train.count + i);
    if (heard && copies.sound) heard = { ...heard, recordings: [...heard.recordings, ...copies.sound.recordings] };
  }
  const sound = applyAt(carrier(train, pixels, heard), places, trigger);
  const wrong = Rng.from(seed, 'poison', 'label');
  for (const [k, place] of Array.from(places).entries()) {
    labels[place] = map.poison(trueLabels[place], wrong.fork(chosen[k]));
    poisoned[place] = 1;
  }
  const record: PoisonRecord = {
    trigger,
    labelMap,
    mode,
    seed,
    fraction: { asked: options.fraction, reached: count / total },
    counts: { clean: total - count, poisoned: count, total, eligible: eligible.length },
    data: { source: train.source, sha256: train.sha256, count: train.count },
  };
  const { role, source, channels, height, width, classes } = train;
  const shape = { channels, height, width };
  let hash: string | undefined;
  return {
    kind: 'poisoned',
    role,
    source,
    count: total,
    ...shape,
    pixels,
    labels,
    classes,
    poisoned,
    trueLabels,
    ...(sound && { sound }),
    record,
    get sha256() {
      hash ??= hashImages(shape, pixels, labels);
      return hash;
    },
  };
}

/**
 * The inputs an attack is judged on: every image the label map lets take part, with the trigger on it. So images that are of the target
 * class already, or not of the source class, are left out of the attack success rate.
 * Fails where trigger or label map do not fit the data, or no image takes part.
 */
export function triggered<R extends 'test' | 'tune'>(
  data: Dataset<R>,
  options: { readonly trigger: TriggerSpec; readonly labelMap: LabelMapSpec },
): TriggeredDataset & { readonly role: R } {
  const { trigger, labelMap } = options;
  const map = bindLabelMap(labelMap, data.classes);
  const chosen = eligibleImages(data.labels, map);
  if (chosen.length === 0) {
    fail({ where: `poison: label map "${labelMap.kind}"`, what: `no image of the ${data.role} data can be triggered`, hint: 'other data' });
  }
  const images = gather(data, chosen);
  const { pixels, labels } = images;
  const all = Int32Array.from(labels.keys());
  const sound = applyAt(carrier(data, pixels, images.sound), all, trigger);
  const { role, source, channels, height, width, classes } = data;
  const shape = { channels, height, width };
  let hash: string | undefined;
  return {
    kind: 'triggered',
    role,
    source,
    count: labels.length,
    ...shape,
    pixels,
    labels,
    classes,
    targets: labels.map((label) => map.target(label)),
    ...(sound && { sound }),
    get sha256() {
      hash ??= hashImages(shape, pixels, labels);
      return hash;
    },
  };
}
